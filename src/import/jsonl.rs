//! JSON Lines: an object a line, whose keys are the headers of one layout.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::decode::{AllowanceUsedUp, Encoding, Text};
use super::{Cell, MAX_ROW, NotAnUpload};

const BUFFER: usize = 64 * 1024;

/// Calls back with the members of each line; blank lines are skipped.
pub(super) fn rows(
    path: &Path,
    encoding: Encoding,
    each: &mut dyn FnMut(Vec<(String, Cell)>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    let text = Text::open(path, encoding)?;
    let allowance = text.allowance();
    let mut reader = BufReader::with_capacity(BUFFER, text);
    let mut line = Vec::new();
    for number in 1u64.. {
        allowance.set(MAX_ROW + BUFFER);
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) if line.len() > MAX_ROW + 1 => return Err(NotAnUpload::RowTooLong { line: number }),
            Ok(_) => {}
            Err(e) if e.get_ref().is_some_and(|e| e.is::<AllowanceUsedUp>()) => {
                return Err(NotAnUpload::RowTooLong { line: number });
            }
            Err(e) => return Err(NotAnUpload::unreadable(&e)),
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Object(members) = serde_json::from_slice(&line)
            .map_err(|e| NotAnUpload::damaged("JSON Lines", &format!("line {number}: {e}")))?;
        if each(members)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// One line: its members in order, none of them twice.
struct Object(Vec<(String, Cell)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object whose members are column headers")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members: Vec<(String, Cell)> = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    if members.len() == super::MAX_COLUMNS {
                        return Err(A::Error::custom("too many members"));
                    }
                    if members.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                    let Value(cell) = map.next_value()?;
                    members.push((name, cell));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A value: text, a number, a truth value or null; nothing that holds others.
struct Value(Cell);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl Visitor<'_> for Scalar {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number or null")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
                Ok(Value(Cell::from(text)))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
                Ok(Value(Cell::Number { text: number.to_string(), serial: None }))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
                Ok(Value(Cell::Number { text: number.to_string(), serial: None }))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
                Ok(Value(Cell::of_json(number)))
            }
            fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
                Ok(Value(Cell::Text(truth.to_string())))
            }
            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value(Cell::Blank))
            }
        }
        deserializer.deserialize_any(Scalar)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<(String, Cell)>>, NotAnUpload> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        rows(file.path(), Encoding::Utf8, &mut |members| {
            out.push(members);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(out)
    }

    #[test]
    fn members_come_in_order_and_as_they_are() {
        let rows = read("{\"CF_WSH\": \"示例\", \"CF_NR_FK\": 1.5, \"BZ\": null}\n\n{}\r\n").unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0][0], ("CF_WSH".into(), Cell::from("示例")));
        assert_eq!(rows[0][1], ("CF_NR_FK".into(), Cell::Number { text: "1.5".into(), serial: None }));
        assert_eq!(rows[0][2], ("BZ".into(), Cell::Blank));
        assert!(rows[1].is_empty());
    }

    #[test]
    fn a_number_that_lost_digits_does_not_look_exact() {
        for (came, text) in [
            ("913101071323334317", "913101071323334317"),
            ("91310107132333431700", "9.13101071323334E+19"),
            ("123456789012.123456", "1.23456789012123E+11"),
            ("12345678901.1234", "12345678901.1234"),
            ("0.000001", "0.000001"),
        ] {
            assert_eq!(read(&format!("{{\"a\": {came}}}")).unwrap()[0][0].1.text(), text);
        }
    }

    #[test]
    fn what_is_no_flat_object_is_refused_with_its_line() {
        for bad in ["{\"a\": [1]}", "{\"a\": {\"b\": 1}}", "[1]", "{\"a\": 1", "{\"a\":1,\"a\":2}", "{\"a\": 1} x"] {
            match read(&format!("{{}}\n{bad}\n")) {
                Err(NotAnUpload::Damaged { reason, .. }) => assert!(reason.starts_with("line 2: "), "{reason}"),
                other => panic!("{bad}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_line_that_never_ends_is_refused() {
        let text = format!("{{}}\n{{\"a\": \"{}\"}}", "x".repeat(3 * MAX_ROW));
        assert!(matches!(read(&text), Err(NotAnUpload::RowTooLong { line: 2 })));
    }
}
