//! I-JSON (RFC 7493) without floats and without control characters: what header and payload of a statement may be.
//!
//! One reading of a text must be the only one, in every language and library. So what parsers are known to disagree
//! about is refused: members that stand twice, numbers that are not small integers, characters that cannot be seen.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// The largest integer that every JSON library keeps exactly: 2^53 − 1 (RFC 7493, section 2.2).
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// How deep objects and arrays may be nested, the outermost object counted.
pub const MAX_DEPTH: usize = 16;

/// Room for the members of a payload or body before it grows: most fit.
const MEMBERS: usize = 24;

/// Why a text is not JSON as statements have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIJson {
    /// Not JSON, or not an object.
    #[error("not a JSON object: {0}")]
    Syntax(String),
    /// A member stands twice in one object.
    #[error("member {0:?} stands twice")]
    DuplicateMember(String),
    /// A number with fraction or exponent, or beyond ±(2^53 − 1).
    #[error("a number that is not an integer within ±(2^53 − 1)")]
    Float,
    /// A string holds a control character.
    #[error("a control character in a string")]
    ControlCharacter,
    /// A string holds a code point that Unicode will never assign (RFC 7493, section 2.1).
    #[error("a noncharacter in a string")]
    Noncharacter,
    /// Objects and arrays nested deeper than [`MAX_DEPTH`].
    #[error("nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

/// Parses one JSON object strictly.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, NotIJson> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let strict = Strict { fault: &fault, depth: 0, plain: false };
    let parsed = deserializer.deserialize_map(strict).and_then(|value| deserializer.end().map(|()| value));
    match parsed {
        Ok(Value::Object(map)) => Ok(map),
        // the first fault that the visitor saw says more than the parser's message about it
        Err(error) => Err(fault.take().unwrap_or_else(|| syntax(&error))),
        Ok(_) => Err(NotIJson::Syntax("not an object".to_owned())),
    }
}

/// Parses an object that stands `depth` deep in a text that is [plain](is_plain): its strings need no second look. None
/// where it is not what [`parse_object`] takes.
pub(super) fn parse_plain(text: &str, depth: usize) -> Option<Map<String, Value>> {
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = deserializer.deserialize_map(Strict { fault: &fault, depth, plain: true }).ok()?;
    deserializer.end().ok()?;
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

/// Whether a text has no escapes and nothing that may not stand in a statement, so that the same holds of its strings.
pub(super) fn is_plain(text: &str) -> bool {
    let escapes = text.bytes().fold(0, |escapes, byte| escapes | u8::from(byte == b'\\'));
    escapes == 0 && check_text(text).is_ok()
}

/// What the parser itself found; a number too large for a float is still a number.
fn syntax(error: &serde_json::Error) -> NotIJson {
    let message = error.to_string();
    if message.starts_with("number out of range") { NotIJson::Float } else { NotIJson::Syntax(message) }
}

/// Judges an object as [`parse_object`] would judge its text, without writing it, if it stood `depth` deep (the outermost
/// object is 1 deep).
pub fn check_object(map: &Map<String, Value>, depth: usize) -> Result<(), NotIJson> {
    check_members(map, depth)
}

/// Whether a text may stand in a statement.
pub fn check_text(text: &str) -> Result<(), NotIJson> {
    if !needs_a_closer_look(text.as_bytes()) {
        return Ok(());
    }
    if text.bytes().any(|byte| byte < 0x20) {
        return Err(NotIJson::ControlCharacter);
    }
    for c in text.chars() {
        let code = u32::from(c);
        if matches!(code, 0x7f..=0x9f) {
            return Err(NotIJson::ControlCharacter);
        }
        if matches!(code, 0xfdd0..=0xfdef) || code & 0xfffe == 0xfffe {
            return Err(NotIJson::Noncharacter);
        }
    }
    Ok(())
}

/// Whether a text may hold what may not stand in a statement. A first look, without branches, so that many bytes are seen in
/// one step.
fn needs_a_closer_look(text: &[u8]) -> bool {
    let looks = |byte: u8, next: u8| {
        (byte < 0x20)
            | (byte == 0x7f)
            // U+0080–009F, U+FDC0–FDFF, U+FFC0–FFFF, and all beyond U+FFFF
            | ((byte == 0xc2) & (next < 0xa0))
            | ((byte == 0xef) & ((next == 0xb7) | (next == 0xbf)))
            | (byte >= 0xf0)
    };
    let Some((last, before)) = text.split_last() else { return false };
    let found = before.iter().zip(&text[1..]).map(|(byte, next)| u8::from(looks(*byte, *next)));
    found.fold(0, |found, looks| found | looks) | u8::from(looks(*last, 0xff)) != 0
}

fn check_members(map: &Map<String, Value>, depth: usize) -> Result<(), NotIJson> {
    for (name, value) in map {
        check_text(name)?;
        check_value(value, depth)?;
    }
    Ok(())
}

fn check_value(value: &Value, depth: usize) -> Result<(), NotIJson> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        Value::String(text) => check_text(text),
        Value::Number(number) => integer(number.as_i64()).map(drop),
        Value::Array(items) => {
            let depth = deeper(depth)?;
            items.iter().try_for_each(|item| check_value(item, depth))
        }
        Value::Object(map) => check_members(map, deeper(depth)?),
    }
}

fn deeper(depth: usize) -> Result<usize, NotIJson> {
    if depth < MAX_DEPTH { Ok(depth + 1) } else { Err(NotIJson::TooDeep) }
}

fn integer(number: Option<i64>) -> Result<i64, NotIJson> {
    number.filter(|n| (-MAX_INTEGER..=MAX_INTEGER).contains(n)).ok_or(NotIJson::Float)
}

/// Builds a value while it is read, and leaves the first fault in `fault`, which serde's errors cannot carry.
#[derive(Clone, Copy)]
struct Strict<'a> {
    fault: &'a Cell<Option<NotIJson>>,
    depth: usize,
    /// Its strings were looked at.
    plain: bool,
}

impl Strict<'_> {
    fn take<T, E: serde::de::Error>(self, judged: Result<T, NotIJson>) -> Result<T, E> {
        judged.map_err(|fault| {
            let error = E::custom(&fault);
            self.fault.set(Some(fault));
            error
        })
    }

    fn text<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if self.plain { Ok(()) } else { self.take(check_text(text)) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON as statements have it")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.take(integer(Some(value))).map(|n| Value::Number(Number::from(n)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.take(integer(i64::try_from(value).ok())).map(|n| Value::Number(Number::from(n)))
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Value, E> {
        self.take(Err(NotIJson::Float))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.text(text)?;
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = Strict { depth: self.take(deeper(self.depth))?, ..self };
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = Strict { depth: self.take(deeper(self.depth))?, ..self };
        let mut map = Map::with_capacity(if self.depth < 2 { MEMBERS } else { 0 });
        while let Some(name) = members.next_key::<String>()? {
            self.text(&name)?;
            let value = members.next_value_seed(inside)?;
            match map.entry(name) {
                Entry::Vacant(place) => _ = place.insert(value),
                Entry::Occupied(first) => {
                    return self.take(Err(NotIJson::DuplicateMember(first.key().clone())));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> NotIJson {
        parse_object(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn each_departure_has_its_own_fault() {
        for text in ["", "{", "[]", "1", "{}x", "{} {}", "{\"a\":1,}", "{'a':1}", "\u{feff}{}", "{\"a\":\"\\ud800\"}"] {
            assert!(matches!(fault(text), NotIJson::Syntax(_)), "{text:?}: {:?}", fault(text));
        }
        assert!(matches!(parse_object(b"{\"a\":\"\xff\"}"), Err(NotIJson::Syntax(_))));
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"b":[{"a":1,"c":{},"a":null}]}"#] {
            assert_eq!(fault(text), NotIJson::DuplicateMember("a".to_owned()), "{text}");
        }
        for number in
            ["1.0", "1e3", "0.1", "-0", "9007199254740992", "-9007199254740992", "1E400", "18446744073709551616"]
        {
            assert_eq!(fault(&format!(r#"{{"a":[{number}]}}"#)), NotIJson::Float, "{number}");
        }
        for text in [r#"{"a":"\u0000"}"#, r#"{"a":"\n"}"#, "{\"a\":\"\u{7f}\"}", "{\"a\":\"\u{85}\"}", r#"{"\t":1}"#] {
            assert_eq!(fault(text), NotIJson::ControlCharacter, "{text:?}");
        }
        for text in ["{\"a\":\"\u{fdd0}\"}", "{\"a\":\"\u{ffff}\"}", "{\"a\":\"\u{1fffe}\"}", r#"{"\uffff":1}"#] {
            assert_eq!(fault(text), NotIJson::Noncharacter, "{text:?}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let nested = |n: usize| format!("{}{}", r#"{"a":"#.repeat(n - 1) + "{}", "}".repeat(n - 1));
        let deepest = parse_object(nested(MAX_DEPTH).as_bytes()).unwrap();
        assert_eq!(check_object(&deepest, 1), Ok(()));
        assert_eq!(fault(&nested(MAX_DEPTH + 1)), NotIJson::TooDeep);
        assert_eq!(fault(&format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))), NotIJson::TooDeep);
        let mut deeper = Map::new();
        deeper.insert("a".to_owned(), Value::Object(deepest));
        assert_eq!(check_object(&deeper, 1), Err(NotIJson::TooDeep));
    }

    #[test]
    fn what_is_allowed_is_kept_as_it_stands() {
        let text = r#"{"z":null,"a":[true,-9007199254740991,9007199254740991],"名":"（“ ”）😀 ","o":{"":""}}"#;
        let map = parse_object(text.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&map).unwrap(), text);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(20, 40, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_object_is_judged_like_its_text(members in prop::collection::vec(("[a-z\u{80}-\u{a0}]{1,3}", value()), 0..4)) {
            let map: Map<String, Value> = members.into_iter().collect();
            let text = serde_json::to_string(&map).unwrap();
            let parsed = parse_object(text.as_bytes());
            prop_assert_eq!(parsed.is_ok(), check_object(&map, 1).is_ok());
            if let Ok(parsed) = parsed {
                prop_assert_eq!(parsed, map);
            }
        }
    }
}
