//! Codes of subjects and their check digits: 统一社会信用代码, 组织机构代码, 工商注册号, resident id.

use std::fmt;

use super::date;

/// Stands for "unknown" in any code column although its check digit is wrong; never a subject.
pub const UNKNOWN: &str = "00000000000000000X";

/// The 31 characters of a 统一社会信用代码; a character's value is its place (GB 32100-2015, table 1).
const USCC: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// GB 32100-2015, 4.5.
const USCC_WEIGHTS: [u32; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
/// GB 11714-1997, 3.2.
const ORGANISATION_WEIGHTS: [u32; 8] = [3, 7, 9, 10, 5, 8, 4, 2];
/// GB 11643-1999, annex A.
const RESIDENT_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// A 统一社会信用代码 whose form and check digit are right (GB 32100-2015). Its division is never judged: many that are
/// in use name one that no longer exists.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uscc([u8; 18]);

/// Why a text is no 统一社会信用代码.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAUscc {
    /// Not 18 of its 31 characters.
    #[error("not 18 characters of 0-9 and A-Y without I, O, S, V")]
    Form,
    /// The last character is not the check digit of the others.
    #[error("the check digit is wrong")]
    CheckDigit,
}

impl Uscc {
    /// Takes a code in half width and upper case.
    pub fn parse(text: &str) -> Result<Self, NotAUscc> {
        let code: [u8; 18] = text.as_bytes().try_into().map_err(|_| NotAUscc::Form)?;
        let values = code.map(|character| USCC_VALUES[usize::from(character)]);
        if values.contains(&NO_VALUE) {
            return Err(NotAUscc::Form);
        }
        let sum: u32 = values.iter().zip(USCC_WEIGHTS).map(|(value, weight)| u32::from(*value) * weight).sum();
        if (31 - sum % 31) % 31 == u32::from(values[17]) { Ok(Self(code)) } else { Err(NotAUscc::CheckDigit) }
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        // none but ASCII gets in
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Whether the 组织机构代码 inside has its own check digit right. Real codes that do not are in use.
    pub fn organisation_code_checks(&self) -> bool {
        is_organisation_code(&self.as_str()[8..17])
    }
}

impl fmt::Display for Uscc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Uscc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether nine characters are a 组织机构代码 (GB 11714): eight of 36 characters and their check digit.
pub fn is_organisation_code(code: &str) -> bool {
    let bytes = code.as_bytes();
    let Some((check, body)) = bytes.split_last().filter(|(_, body)| body.len() == 8) else { return false };
    if !body.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        return false;
    }
    let values = body.iter().filter_map(|b| (*b as char).to_digit(36));
    let sum: u32 = values.zip(ORGANISATION_WEIGHTS).map(|(value, weight)| value * weight).sum();
    let expected = match 11 - sum % 11 {
        10 => b'X',
        11 => b'0',
        digit => b'0' + digit as u8,
    };
    *check == expected
}

/// Whether a 工商注册号 of 15 digits has its check digit right (GS 15-2006: ISO 7064 MOD 11,10). None where the text has
/// not that form: older numbers have others.
pub fn registration_number_checks(text: &str) -> Option<bool> {
    let digits = digits(text).filter(|digits| digits.len() == 15)?;
    let product = digits[..14].iter().fold(10, |p, digit| {
        let s = (p + digit) % 10;
        (if s == 0 { 10 } else { s }) * 2 % 11
    });
    Some((11 - product) % 10 == digits[14])
}

/// Whether a resident id of 18 characters has its check digit right (GB 11643). None where the text has not that form.
pub fn resident_id_checks(text: &str) -> Option<bool> {
    let (body, check) = (text.get(..17)?, text.get(17..)?);
    let digits = digits(body).filter(|_| check.len() == 1 && matches!(check.as_bytes()[0], b'0'..=b'9' | b'X'))?;
    let sum: u32 = digits.iter().zip(RESIDENT_WEIGHTS).map(|(value, weight)| value * weight).sum();
    Some(b"10X98765432"[(sum % 11) as usize] == check.as_bytes()[0])
}

/// Whether 18 characters are somebody's resident id beyond doubt: the check digit is right, the birthday is a date, and no
/// 统一社会信用代码 reads the same.
pub fn is_resident_id(text: &str) -> bool {
    resident_id_checks(text) == Some(true)
        && matches!(text.as_bytes()[0], b'1'..=b'8')
        && matches!(text.get(6..8), Some("19" | "20"))
        && text.get(6..14).is_some_and(|birthday| date::parse(birthday).is_some())
        && Uscc::parse(text).is_err()
}

/// Whether 15 digits read like a resident id as they were given until 1999: a province, and a birthday in the last century
/// (GB 11643-1989). Such a number has no check digit, so that others may read like one.
pub fn reads_like_an_old_resident_id(text: &str) -> bool {
    let province = text.get(..2).and_then(|digits| digits.parse::<u8>().ok());
    let is_province = |code| matches!(code, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81 | 82);
    text.len() == 15
        && digits(text).is_some()
        && province.is_some_and(is_province)
        && date::parse(&format!("19{}", &text[6..12])).is_some()
}

const NO_VALUE: u8 = u8::MAX;
/// The value of each character, [`NO_VALUE`] for what is none of the 31.
const USCC_VALUES: [u8; 256] = {
    let mut values = [NO_VALUE; 256];
    let mut value = 0;
    while value < USCC.len() {
        values[USCC[value] as usize] = value as u8;
        value += 1;
    }
    values
};

fn digits(text: &str) -> Option<Vec<u32>> {
    text.bytes().map(|b| (b as char).to_digit(10)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A code with the right check digit behind 17 characters.
    fn complete(body: &str) -> String {
        let fits = |check: &u8| Uscc::parse(&format!("{body}{}", *check as char)).is_ok();
        let checks: Vec<u8> = USCC.iter().copied().filter(fits).collect();
        assert_eq!(checks.len(), 1, "one check digit for {body}");
        format!("{body}{}", checks[0] as char)
    }

    #[test]
    fn the_code_printed_in_the_standard_checks() {
        // GB 32100-2015, annex A
        let code = Uscc::parse("91350100M000100Y43").unwrap();
        assert!(code.organisation_code_checks());
    }

    #[test]
    fn a_code_of_another_form_is_told_apart_from_a_wrong_digit() {
        for bad in [
            "",
            "91350100M000100Y4",
            "91350100M000100Y433",
            "91350100m000100y43",
            "91350100M000100Y4O",
            "９1350100M000100Y43",
        ] {
            assert_eq!(Uscc::parse(bad), Err(NotAUscc::Form), "{bad}");
        }
        assert_eq!(Uscc::parse("91350100M000100Y44"), Err(NotAUscc::CheckDigit));
        assert_eq!(Uscc::parse(UNKNOWN), Err(NotAUscc::CheckDigit));
    }

    #[test]
    fn organisation_codes_check_as_in_the_standard() {
        // GB 11714-1997, 3.3
        assert!(is_organisation_code("D2143569X"));
        assert!(!is_organisation_code("D21435690"));
        assert!(!is_organisation_code("d2143569X"));
        assert!(!is_organisation_code("D2143569"));
    }

    #[test]
    fn registration_numbers_check_where_they_have_fifteen_digits() {
        // ISO 7064 MOD 11,10 over made-up bodies
        assert_eq!(registration_number_checks("110108000000016"), Some(true));
        assert_eq!(registration_number_checks("110108000000017"), Some(false));
        assert_eq!(registration_number_checks("3401001000001"), None);
        assert_eq!(registration_number_checks("企合皖总字第000001号"), None);
    }

    #[test]
    fn resident_ids_check_as_in_the_standard() {
        // GB 11643-1999, annex A
        assert_eq!(resident_id_checks("11010519491231002X"), Some(true));
        assert_eq!(resident_id_checks("440524188001010014"), Some(true));
        assert_eq!(resident_id_checks("110105194912310021"), Some(false));
        assert_eq!(resident_id_checks("11010519491231002x"), None);
        assert_eq!(resident_id_checks("护照E12345678901234"), None);
    }

    #[test]
    fn a_number_is_a_resident_id_only_with_a_birthday_in_it() {
        assert!(is_resident_id("11010519491231002X"));
        for other in ["110105194913310026", "11010519491231002x", "110105194912310021", "91350100M000100Y43", ""] {
            assert!(!is_resident_id(other), "{other}");
        }
    }

    #[test]
    fn an_old_number_is_a_resident_id_by_its_province_and_its_birthday() {
        assert!(reads_like_an_old_resident_id("340503600123456"));
        for other in ["340503601323456", "990503600123456", "34050360012345", "340503600000123", "34050360012345X", ""]
        {
            assert!(!reads_like_an_old_resident_id(other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_single_wrong_character_is_always_found(body in "[0-9A-HJ-NP-RTUWXY]{17}", at in 0_usize..18, other in 0_usize..31) {
            let code = complete(&body);
            let mut changed = code.clone().into_bytes();
            prop_assume!(changed[at] != USCC[other]);
            changed[at] = USCC[other];
            prop_assert_eq!(Uscc::parse(std::str::from_utf8(&changed).unwrap()), Err(NotAUscc::CheckDigit));
        }

        #[test]
        fn no_text_breaks_a_check(text in ".{0,40}") {
            let _ = (Uscc::parse(&text), registration_number_checks(&text), resident_id_checks(&text), is_organisation_code(&text));
        }
    }
}
