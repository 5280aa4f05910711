//! Amounts of money: decimals as text, never floats.

use std::cmp::Ordering;
use std::fmt;

/// A decimal that is not negative, without needless zeros. Compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    whole: String,
    fraction: String,
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAmount {
    /// Not digits, and perhaps a point and digits.
    #[error("not a number")]
    Form,
    /// More digits before or behind the point than the column holds.
    #[error("more digits than the column holds")]
    Digits,
}

impl Amount {
    /// Reads a decimal of at most `digits` digits, `fraction` of them behind the point: `decimal(18,6)` is `(18, 6)`.
    pub fn parse(text: &str, digits: u32, fraction: u32) -> Result<Self, NotAnAmount> {
        let (whole, fraction) = parts(text, digits, fraction)?;
        Ok(Self { whole: whole.to_owned(), fraction: fraction.to_owned() })
    }

    /// An amount of 万元 in 元, as policies compare it: a part of a 元 counts as a whole one, so that what is more than so
    /// many 元 stays more. At most `i64::MAX`.
    pub fn yuan(&self) -> i64 {
        let (four, rest) = self.fraction.split_at(self.fraction.len().min(4));
        let text = format!("{}{four:0<4}", self.whole);
        let whole: i64 = text.parse().unwrap_or(i64::MAX);
        whole.saturating_add(i64::from(!rest.is_empty()))
    }

    /// Whether a text is an amount, in the one way to write it.
    pub fn is_written(text: &str, digits: u32, fraction: u32) -> bool {
        let Ok((whole, fraction)) = parts(text, digits, fraction) else { return false };
        let whole = if whole.is_empty() { "0" } else { whole };
        match text.split_once('.') {
            None => text == whole,
            Some((before, behind)) => before == whole && !fraction.is_empty() && behind == fraction,
        }
    }
}

/// What stands before and behind the point, without needless zeros.
fn parts(text: &str, digits: u32, fraction: u32) -> Result<(&str, &str), NotAnAmount> {
    let (whole, behind) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(behind) {
        return Err(NotAnAmount::Form);
    }
    let (whole, behind) = (whole.trim_start_matches('0'), behind.trim_end_matches('0'));
    if whole.len() > digits.saturating_sub(fraction) as usize || behind.len() > fraction as usize {
        return Err(NotAnAmount::Digits);
    }
    Ok((whole, behind))
}

impl Ord for Amount {
    fn cmp(&self, other: &Self) -> Ordering {
        // without leading zeros the longer whole is the larger; fractions compare from the point on
        (self.whole.len(), &self.whole, &self.fraction).cmp(&(other.whole.len(), &other.whole, &other.fraction))
    }
}

impl PartialOrd for Amount {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.whole.is_empty() { "0" } else { &self.whole })?;
        if self.fraction.is_empty() { Ok(()) } else { write!(f, ".{}", self.fraction) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(text: &str) -> Result<String, NotAnAmount> {
        Amount::parse(text, 18, 6).map(|a| a.to_string())
    }

    #[test]
    fn an_amount_is_written_in_one_way() {
        for (text, expected) in [
            ("0", "0"),
            ("000.50", "0.5"),
            ("120.000000", "120"),
            ("3.25", "3.25"),
            ("999999999999.999999", "999999999999.999999"),
        ] {
            assert_eq!(amount(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", ".", ".5", "5.", "-1", "+1", "1,000", "1e3", "叁万元整", "1.2.3", "１"] {
            assert_eq!(amount(text), Err(NotAnAmount::Form), "{text}");
        }
        assert_eq!(amount("1000000000000"), Err(NotAnAmount::Digits));
        assert_eq!(amount("0.1234567"), Err(NotAnAmount::Digits));
    }

    #[test]
    fn a_part_of_a_yuan_counts_as_one() {
        for (text, yuan) in [
            ("0", 0),
            ("0.0001", 1),
            ("0.000001", 1),
            ("3.25", 32_500),
            ("1000", 10_000_000),
            ("1000.000001", 10_000_001),
            ("999999999999.999999", 10_000_000_000_000_000),
        ] {
            assert_eq!(Amount::parse(text, 18, 6).unwrap().yuan(), yuan, "{text}");
        }
        assert_eq!(Amount::parse(&"9".repeat(30), 30, 0).unwrap().yuan(), i64::MAX);
    }

    proptest! {
        #[test]
        fn an_amount_is_known_by_the_way_it_is_written(text in "[0-9]{0,14}(\\.[0-9]{0,8})?|[.0-9a-]{0,5}") {
            let is_written = Amount::parse(&text, 18, 6).is_ok_and(|amount| amount.to_string() == text);
            prop_assert_eq!(Amount::is_written(&text, 18, 6), is_written);
        }

        #[test]
        fn amounts_compare_as_numbers(a in 0_u64..2_000_000_000, b in 0_u64..2_000_000_000) {
            let text = |n: u64| format!("{}.{:06}", n / 1_000_000, n % 1_000_000);
            let [x, y] = [a, b].map(|n| Amount::parse(&text(n), 18, 6).unwrap());
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }
    }
}
