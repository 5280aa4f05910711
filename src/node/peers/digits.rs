//! A fingerprint as somebody types it who hears it on the telephone.

use std::str::FromStr;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::statement::Digest;
use crate::trust::descriptor::spoken;

const DIGITS: usize = 30;

/// Thirty digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedFingerprint([u8; DIGITS]);

/// What was typed is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDigits {
    /// Too many or too few.
    #[error("a fingerprint has 30 digits; {0} were given")]
    Count(usize),
    /// Something else among them.
    #[error("{0:?} is no digit; a fingerprint has 30 of them, in groups or not")]
    Other(char),
}

impl TypedFingerprint {
    /// Whether it is that one; takes as long whichever digit differs.
    pub fn is(&self, fingerprint: &Digest) -> bool {
        let expected: Vec<u8> = spoken(fingerprint).bytes().filter(u8::is_ascii_digit).collect();
        verify_slices_are_equal(&self.0, &expected).is_ok()
    }
}

/// Spaces and dashes between the groups are ignored, full-width digits are digits.
impl FromStr for TypedFingerprint {
    type Err = NotDigits;

    fn from_str(text: &str) -> Result<Self, NotDigits> {
        let mut digits = Vec::with_capacity(DIGITS);
        for c in text.chars() {
            match c {
                '0'..='9' => digits.push(c as u8),
                '０'..='９' => digits.push(b'0' + (c as u32 - '０' as u32) as u8),
                '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '－' | '_' | '·' => {}
                c if c.is_whitespace() => {}
                c => return Err(NotDigits::Other(c)),
            }
        }
        let count = digits.len();
        digits.try_into().map(Self).map_err(|_| NotDigits::Count(count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_dashes_and_full_width_digits_are_read() {
        let fingerprint = Digest::of("示例".as_bytes());
        let said = spoken(&fingerprint);
        let wide: String =
            said.chars().map(|c| c.to_digit(10).map_or('　', |d| char::from_u32('０' as u32 + d).unwrap())).collect();
        for typed in [said.clone(), said.replace(' ', ""), said.replace(' ', "-"), said.replace(' ', " — "), wide] {
            assert!(typed.parse::<TypedFingerprint>().unwrap().is(&fingerprint), "{typed}");
        }
    }

    #[test]
    fn one_digit_makes_another_fingerprint() {
        let fingerprint = Digest::of(b"x");
        let mut said: Vec<u8> = spoken(&fingerprint).into_bytes();
        for at in (0..said.len()).filter(|at| !at.is_multiple_of(6) || *at == 0) {
            if said[at] == b' ' {
                continue;
            }
            let was = said[at];
            said[at] = if was == b'9' { b'0' } else { was + 1 };
            let typed: TypedFingerprint = std::str::from_utf8(&said).unwrap().parse().unwrap();
            assert!(!typed.is(&fingerprint));
            said[at] = was;
        }
    }

    #[test]
    fn what_is_no_fingerprint_is_said_to_be_none() {
        assert_eq!("12345".parse::<TypedFingerprint>(), Err(NotDigits::Count(5)));
        assert_eq!("1234x".parse::<TypedFingerprint>(), Err(NotDigits::Other('x')));
    }
}
