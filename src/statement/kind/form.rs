//! Forms: how a member's text is written, and what its value must be.

use serde_json::Value;

use crate::record::identifier::{self, NotAUscc, UNKNOWN, Uscc};
use crate::record::{Amount, FaultCode, date};
use crate::statement::Digest;

/// How the text of a cell becomes a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Text as it came.
    Text,
    /// 文号: text whose brackets around the year are mended.
    DocumentNumber,
    /// A date.
    Date,
    /// A decimal string with at most so many digits, and so many of them behind the point.
    Decimal {
        /// Digits in all.
        digits: u32,
        /// Digits behind the point.
        fraction: u32,
    },
    /// An integer.
    Integer,
    /// A unified social credit code, or the one that stands for unknown.
    Uscc,
    /// A 工商注册号 (checked when it has 15 digits).
    Registration,
    /// A resident id or other identity number (checked when it has the form of a resident id).
    PersonId,
    /// Any other code or number of identification, whose check digits are not known here.
    Identifier,
    /// True or false.
    Boolean,
    /// One of a list.
    Code(Vec<Code>),
    /// One or several of a list, separated by ; ； or 、.
    Codes(Vec<Code>),
    /// SHA-256 of something, base64url.
    Digest,
    /// One or several of these, separated by ; ； , ， 、 or white space.
    Digests,
}

/// A value of a code list and the wordings that mean it.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// As it stands in the body.
    pub value: String,
    /// As it may stand in a cell beside that, in any layout.
    pub also: Vec<String>,
    /// As it may stand in a cell of one layout only: (layout, wording). An empty wording is what a blank cell means.
    pub in_layout: Vec<(String, String)>,
    /// A value that must not be shared: what to do instead, in Chinese (E103).
    pub advice: Option<String>,
}

impl Form {
    /// The fault of a value on its own: at most one error, or a warning.
    pub fn fault_of(&self, value: &Value) -> Option<FaultCode> {
        let text = value.as_str();
        match self {
            // the schema says which type it has: members of a descriptor are lists and objects
            Self::Text | Self::DocumentNumber => None,
            Self::Date => text.and_then(date::parse_canonical).is_none().then_some(FaultCode::E104),
            Self::Decimal { digits, fraction } => {
                text.filter(|text| Amount::is_written(text, *digits, *fraction)).is_none().then_some(FaultCode::E106)
            }
            Self::Identifier => text.is_none().then_some(FaultCode::E101),
            Self::Boolean => value.as_bool().is_none().then_some(FaultCode::E103),
            Self::Integer => value.as_i64().is_none().then_some(FaultCode::E106),
            Self::Uscc => fault_of_uscc(text?),
            Self::Registration => {
                (identifier::registration_number_checks(text?) == Some(false)).then_some(FaultCode::E203)
            }
            Self::PersonId => (identifier::resident_id_checks(text?) == Some(false)).then_some(FaultCode::E203),
            Self::Code(codes) => (!is_listed(codes, text)).then_some(FaultCode::E103),
            Self::Codes(codes) => {
                let listed =
                    value.as_array().is_some_and(|a| !a.is_empty() && a.iter().all(|v| is_listed(codes, v.as_str())));
                (!listed).then_some(FaultCode::E103)
            }
            Self::Digest => text.is_none_or(|t| t.parse::<Digest>().is_err()).then_some(FaultCode::E103),
            // the schema says what stands in the list
            Self::Digests => value.as_array().is_none_or(Vec::is_empty).then_some(FaultCode::E103),
        }
    }

    /// What may stand in a cell of a layout, for the sentence of a fault: a digit that means something else there is given
    /// with its meaning.
    pub fn listing(codes: &[Code], layout: &str) -> String {
        let listed = codes.iter().filter(|code| code.advice.is_none() && !code.has_own(layout));
        let mut listed: Vec<String> = listed.map(|code| code.value.clone()).collect();
        let own = codes.iter().filter(|code| code.advice.is_none() && code.has_own(layout));
        let mut meanings: Vec<String> = own.flat_map(|code| code.meanings(layout)).collect();
        meanings.sort();
        listed.append(&mut meanings);
        listed.join("；")
    }

    /// The code that a wording of a cell means in a layout.
    pub fn code_of<'a>(codes: &'a [Code], wording: &str, layout: &str) -> Option<&'a Code> {
        codes.iter().find(|code| code.is_worded(wording, layout))
    }

    /// The codes of a cell that lists several, separated by ; ； or 、. Where a code's wording holds a separator itself,
    /// the longest that fits is taken. None where something is left that is no code.
    pub fn codes_of<'a>(codes: &'a [Code], text: &str, layout: &str) -> Option<Vec<&'a Code>> {
        const SEPARATORS: [char; 4] = [';', '；', '、', ' '];
        let mut found: Vec<&Code> = Vec::new();
        let mut rest = text.trim_matches(SEPARATORS);
        while !rest.is_empty() {
            let (code, length) = longest(codes, rest, layout, &SEPARATORS)?;
            if !found.contains(&code) {
                found.push(code);
            }
            rest = rest[length..].trim_start_matches(SEPARATORS);
        }
        // in the order of the list: the same values are the same content, however they were listed
        let found: Vec<&Code> = codes.iter().filter(|code| found.contains(code)).collect();
        (!found.is_empty()).then_some(found)
    }
}

impl Code {
    fn wordings<'a>(&'a self, layout: &'a str) -> impl Iterator<Item = &'a str> {
        let own = self.in_layout.iter().filter(move |(name, _)| name == layout).map(|(_, wording)| wording.as_str());
        std::iter::once(self.value.as_str()).chain(self.also.iter().map(String::as_str)).chain(own)
    }

    /// The digits of a layout, each with the word that stands for the same there.
    fn meanings(&self, layout: &str) -> Vec<String> {
        let own = self.in_layout.iter().filter(|(name, own)| name == layout && !own.is_empty()).map(|(_, own)| own);
        let (digits, words): (Vec<&String>, Vec<&String>) =
            own.partition(|own| own.bytes().all(|b| b.is_ascii_digit()));
        if digits.len() == words.len() {
            return digits.iter().zip(words).map(|(digit, word)| format!("{digit} {word}")).collect();
        }
        digits.into_iter().chain(words).cloned().collect()
    }

    /// Whether a layout means something else by the digit that is the value.
    fn has_own(&self, layout: &str) -> bool {
        self.in_layout.iter().any(|(name, _)| name == layout) && self.value.bytes().all(|b| b.is_ascii_digit())
    }

    /// A layout that gives wordings of its own for a value means those, not the value itself (`1` may mean something else).
    fn is_worded(&self, wording: &str, layout: &str) -> bool {
        if self.has_own(layout) {
            return self.in_layout.iter().any(|(name, own)| name == layout && own == wording);
        }
        self.wordings(layout).any(|own| own == wording)
    }
}

/// The longest wording at the beginning of the text, up to a separator or the end.
fn longest<'a>(codes: &'a [Code], text: &str, layout: &str, separators: &[char]) -> Option<(&'a Code, usize)> {
    let fits = |wording: &&str| {
        !wording.is_empty()
            && text.strip_prefix(wording).is_some_and(|rest| rest.is_empty() || rest.starts_with(separators))
    };
    codes
        .iter()
        .flat_map(|code| code.wordings(layout).filter(fits).map(move |wording| (code, wording.len())))
        .max_by_key(|(_, length)| *length)
}

fn is_listed(codes: &[Code], value: Option<&str>) -> bool {
    value.is_some_and(|value| codes.iter().any(|code| code.value == value && code.advice.is_none()))
}

fn fault_of_uscc(text: &str) -> Option<FaultCode> {
    match Uscc::parse(text) {
        _ if text == UNKNOWN => None,
        Ok(code) if code.organisation_code_checks() => None,
        Ok(_) => Some(FaultCode::W201),
        Err(NotAUscc::Form) => Some(FaultCode::E201),
        Err(NotAUscc::CheckDigit) => Some(FaultCode::E202),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(value: &str, also: &[&str], older: &[&str]) -> Code {
        Code {
            value: value.to_owned(),
            also: also.iter().map(|s| (*s).to_owned()).collect(),
            in_layout: older.iter().map(|s| ("older".to_owned(), (*s).to_owned())).collect(),
            advice: None,
        }
    }

    #[test]
    fn several_codes_in_a_cell_are_told_apart_longest_first() {
        let codes =
            [code("没收违法所得、没收非法财物", &["没收违法所得", "没收非法财物"], &["2"]), code("罚款", &[], &["1"])];
        let values = |text: &str, layout: &str| {
            Form::codes_of(&codes, text, layout).map(|found| found.iter().map(|c| c.value.as_str()).collect::<Vec<_>>())
        };
        let both = Some(vec!["没收违法所得、没收非法财物", "罚款"]);
        assert_eq!(values("没收违法所得、没收非法财物、罚款", "code"), both);
        assert_eq!(values("没收违法所得;罚款；", "code"), both);
        assert_eq!(values("没收违法所得、没收非法财物", "code"), Some(vec!["没收违法所得、没收非法财物"]));
        assert_eq!(values("2、1", "older"), both);
        assert_eq!(values("2", "code"), None);
        assert_eq!(values("罚款与警告", "code"), None);
        assert_eq!(values("；", "code"), None);
    }

    #[test]
    fn a_layout_may_give_a_digit_another_meaning() {
        let codes = [code("1", &["有效"], &["0", "", "2", "3"]), code("0", &["无效"], &["1"])];
        let value = |text: &str, layout: &str| Form::code_of(&codes, text, layout).map(|c| c.value.as_str());
        assert_eq!(value("1", "code"), Some("1"));
        assert_eq!(value("1", "older"), Some("0"));
        assert_eq!(value("0", "older"), Some("1"));
        assert_eq!(value("", "older"), Some("1"));
        assert_eq!(value("", "code"), None);
        assert_eq!(value("无效", "chinese"), Some("0"));
    }
}
