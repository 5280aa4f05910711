//! The payload of a statement as it stands on the wire: which members it has and what form each has.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::json::{self, NotIJson};
use super::{Audience, Digest, Reader, Refused, Salt, Statement, Subject, Typ};

/// The last second of the year 9999: later than this no date is.
pub const MAX_IAT: i64 = 253_402_300_799;

/// The longest name of a subject, in characters.
pub const MAX_NAME: usize = 500;

/// The longest 工商注册号, in characters.
pub const MAX_REGISTRATION: usize = 50;

/// Reads a payload: exactly the members that a statement has, each of its form. Whether the body is what the kind says
/// is for the kind to judge.
pub fn decode(typ: Typ, bytes: &[u8]) -> Result<Statement, Refused> {
    match written::read(&typ, bytes) {
        Some(statement) => Ok(statement),
        None => parse(typ, bytes),
    }
}

/// The same for members in any order and any notation of JSON.
fn parse(typ: Typ, bytes: &[u8]) -> Result<Statement, Refused> {
    let mut payload = json::parse_object(bytes)?;
    let statement = Statement {
        typ,
        iss: take(&mut payload, "iss").and_then(|v| v.as_str()?.parse().ok()).ok_or(Refused::Member("iss"))?,
        iat: take(&mut payload, "iat").and_then(|v| v.as_i64()).filter(is_time).ok_or(Refused::Member("iat"))?,
        aud: take(&mut payload, "aud").and_then(|v| audience(&v)).ok_or(Refused::Member("aud"))?,
        salt: take(&mut payload, "salt").and_then(|v| salt(&v)).ok_or(Refused::Member("salt"))?,
        sub: optional(&mut payload, "sub", subject)?,
        prev: optional(&mut payload, "prev", |v| v.as_str()?.parse().ok())?,
        refs: optional(&mut payload, "ref", references)?.unwrap_or_default(),
        body: match take(&mut payload, "body") {
            Some(Value::Object(body)) => body,
            _ => return Err(Refused::Member("body")),
        },
    };
    match payload.into_iter().next() {
        None => Ok(statement),
        Some((unknown, _)) => Err(Refused::UnknownMember(unknown)),
    }
}

/// Writes a payload that [`decode`] reads, and refuses what it would refuse.
pub fn encode(statement: &Statement) -> Result<Vec<u8>, Refused> {
    check(statement)?;
    let Statement { typ: _, iss, iat, aud, salt, sub, prev, refs, body } = statement;
    let mut out = Writer(Vec::with_capacity(1024));
    out.raw("{\"iss\":\"").raw(iss.as_str()).raw("\",\"iat\":").raw(&iat.to_string()).raw(",\"aud\":");
    match aud {
        Audience::Everyone => out.raw("[\"*\"]"),
        Audience::Named(readers) => out.list(readers),
    };
    out.raw(",\"salt\":\"").raw(&URL_SAFE_NO_PAD.encode(salt.0)).raw("\"");
    if let Some(sub) = sub {
        out.raw(",\"sub\":{");
        match sub {
            Subject::Enterprise { uscc, .. } => out.raw("\"uscc\":").json(uscc)?.raw(","),
            Subject::Registered { registration, .. } => out.raw("\"registration\":").json(registration)?.raw(","),
            Subject::Named { .. } => &mut out,
            Subject::Person { person, .. } => out.raw("\"person\":").json(person)?.raw(","),
        };
        out.raw("\"name\":").json(sub.name())?.raw("}");
    }
    if let Some(prev) = prev {
        out.raw(",\"prev\":\"").raw(&prev.to_string()).raw("\"");
    }
    if !refs.is_empty() {
        out.raw(",\"ref\":").list(refs);
    }
    out.raw(",\"body\":").json(body)?.raw("}");
    Ok(out.0)
}

fn take(payload: &mut Map<String, Value>, name: &str) -> Option<Value> {
    payload.swap_remove(name)
}

/// A member that may be missing, but not be `null`.
fn optional<T>(
    payload: &mut Map<String, Value>,
    name: &'static str,
    form: impl Fn(&Value) -> Option<T>,
) -> Result<Option<T>, Refused> {
    match take(payload, name) {
        None => Ok(None),
        Some(value) => form(&value).map(Some).ok_or(Refused::Member(name)),
    }
}

fn is_time(iat: &i64) -> bool {
    (0..=MAX_IAT).contains(iat)
}

fn audience(value: &Value) -> Option<Audience> {
    let readers = value.as_array()?;
    if readers.len() == 1 && readers[0].as_str() == Some("*") {
        return Some(Audience::Everyone);
    }
    let readers: Vec<Reader> = readers.iter().map(|r| r.as_str()?.parse().ok()).collect::<Option<_>>()?;
    is_set(&readers).then_some(Audience::Named(readers))
}

fn salt(value: &Value) -> Option<Salt> {
    salt_of(value.as_str()?)
}

fn salt_of(text: &str) -> Option<Salt> {
    let mut salt = [0; 16];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut salt).ok()?;
    (length == salt.len()).then_some(Salt(salt))
}

fn references(value: &Value) -> Option<Vec<Digest>> {
    let refs: Vec<Digest> = value.as_array()?.iter().map(|r| r.as_str()?.parse().ok()).collect::<Option<_>>()?;
    is_set(&refs).then_some(refs)
}

/// At least one, none twice.
fn is_set<T: Eq + std::hash::Hash>(items: &[T]) -> bool {
    items.len() == 1 || (!items.is_empty() && items.iter().collect::<HashSet<_>>().len() == items.len())
}

fn subject(value: &Value) -> Option<Subject> {
    let members = value.as_object()?;
    let text = |name| members.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = text("name")?;
    let sub = match members.len() {
        1 => Subject::Named { name },
        2 => {
            if let Some(uscc) = text("uscc") {
                Subject::Enterprise { uscc, name }
            } else if let Some(registration) = text("registration") {
                Subject::Registered { registration, name }
            } else {
                Subject::Person { person: text("person")?, name }
            }
        }
        _ => return None,
    };
    is_subject(&sub).then_some(sub)
}

fn is_subject(subject: &Subject) -> bool {
    let name = subject.name();
    !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && match subject {
            Subject::Enterprise { uscc, .. } => is_uscc(uscc),
            Subject::Registered { registration, .. } => {
                !registration.is_empty() && registration.chars().count() <= MAX_REGISTRATION
            }
            Subject::Named { .. } => true,
            Subject::Person { person, .. } => is_person(person),
        }
}

/// The form of a 统一社会信用代码 (GB 32100-2015); its check digit is for the kind to judge.
fn is_uscc(text: &str) -> bool {
    text.len() == 18 && text.bytes().all(|b| b"0123456789ABCDEFGHJKLMNPQRTUWXY".contains(&b))
}

/// `<key version>.<HMAC-SHA-256>`.
fn is_person(text: &str) -> bool {
    text.split_once('.').is_some_and(|(version, hash)| {
        (1..=9).contains(&version.len())
            && version.bytes().all(|b| b.is_ascii_digit())
            && !version.starts_with('0')
            && hash.parse::<Digest>().is_ok()
    })
}

/// What [`decode`] would refuse in a statement that was put together here.
fn check(statement: &Statement) -> Result<(), Refused> {
    let Statement { typ, iss: _, iat, aud, salt: _, sub, prev: _, refs, body } = statement;
    if typ.to_string().parse().as_ref() != Ok(typ) {
        return Err(Refused::Typ);
    }
    if !is_time(iat) {
        return Err(Refused::Member("iat"));
    }
    if let Audience::Named(readers) = aud
        && !(is_set(readers) && readers.iter().all(|r| r.to_string().parse().as_ref() == Ok(r)))
    {
        return Err(Refused::Member("aud"));
    }
    if let Some(sub) = sub {
        if !is_subject(sub) {
            return Err(Refused::Member("sub"));
        }
        json::check_text(sub.name())?;
        if let Subject::Registered { registration, .. } = sub {
            json::check_text(registration)?;
        }
    }
    if !refs.is_empty() && !is_set(refs) {
        return Err(Refused::Member("ref"));
    }
    // the body stands one deeper in the payload
    json::check_object(body, 2)?;
    Ok(())
}

struct Writer(Vec<u8>);

impl Writer {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<&mut Self, Refused> {
        serde_json::to_writer(&mut self.0, value).map_err(|e| NotIJson::Syntax(e.to_string()))?;
        Ok(self)
    }

    /// An array of strings that need no escaping.
    fn list<T: ToString>(&mut self, items: &[T]) -> &mut Self {
        for (i, item) in items.iter().enumerate() {
            self.raw(if i == 0 { "[\"" } else { "\",\"" }).raw(&item.to_string());
        }
        self.raw("\"]")
    }
}

mod written;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "iss": "340500",
            "iat": 1_780_000_000,
            "aud": ["310107", "@delta"],
            "salt": "AAECAwQFBgcICQoLDA0ODw",
            "sub": {"uscc": "91310107MA1G000005", "name": "示例有限公司"},
            "prev": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "ref": ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
            "body": {"text": "示例"},
        })
    }

    fn decode_value(value: &Value) -> Result<Statement, Refused> {
        decode(Typ::first("penalty"), value.to_string().as_bytes())
    }

    #[test]
    fn a_payload_comes_back_as_it_was_written() {
        let mut optional = good();
        for name in ["sub", "prev", "ref"] {
            optional.as_object_mut().unwrap().shift_remove(name);
        }
        optional["aud"] = json!(["*"]);
        for payload in [good(), optional] {
            let statement = decode_value(&payload).unwrap();
            assert_eq!(String::from_utf8(encode(&statement).unwrap()).unwrap(), payload.to_string());
        }
    }

    #[test]
    fn each_member_has_its_form() {
        let digest = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for (member, values) in [
            ("iss", vec![json!(null), json!("34050"), json!(340_500), json!("340500.")]),
            ("iat", vec![json!(null), json!(-1), json!("1780000000"), json!(MAX_IAT + 1)]),
            (
                "aud",
                vec![
                    json!(null),
                    json!("*"),
                    json!([]),
                    json!(["*", "*"]),
                    json!(["*", "310107"]),
                    json!(["310107", "310107"]),
                    json!(["@delta", "@delta"]),
                    json!(["@Delta"]),
                    json!([1]),
                ],
            ),
            (
                "salt",
                vec![
                    json!(null),
                    json!(""),
                    json!("AAECAwQFBgcICQoLDA0ODx"),   // spare bits are set
                    json!("AAECAwQFBgcICQoLDA0ODw=="), // padded
                    json!("AAECAwQFBgcICQoLDA0O"),
                    json!("AAECAwQFBgcICQoLDA0ODxA"),
                    json!("AAECAwQFBgcICQoLDA0OD+"),
                ],
            ),
            (
                "sub",
                vec![
                    json!(null),
                    json!({}),
                    json!("示例"),
                    json!({"name": ""}),
                    json!({"name": null}),
                    json!({"name": "示".repeat(MAX_NAME + 1)}),
                    json!({"uscc": "91310107MA1G000005"}),
                    json!({"uscc": "91310107MA1G00000", "name": "示例"}),
                    json!({"uscc": "91310107MA1G00000I", "name": "示例"}),
                    json!({"uscc": "91310107ma1g000005", "name": "示例"}),
                    json!({"uscc": "91310107MA1G000005", "name": "示例", "person": format!("1.{digest}")}),
                    json!({"registration": "", "name": "示例"}),
                    json!({"person": "1.x", "name": "示例"}),
                    json!({"person": format!("0.{digest}"), "name": "示例"}),
                    json!({"person": digest, "name": "示例"}),
                    json!({"id": "1", "name": "示例"}),
                ],
            ),
            (
                "prev",
                vec![json!(null), json!(""), json!([digest]), json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB")],
            ),
            ("ref", vec![json!(null), json!([]), json!(digest), json!([digest, digest]), json!(["x"]), json!([1])]),
            ("body", vec![json!(null), json!([]), json!("x")]),
        ] {
            for value in values {
                let mut payload = good();
                payload[member] = value.clone();
                assert_eq!(decode_value(&payload), Err(Refused::Member(member)), "{member}: {value}");
            }
        }
        for member in ["iss", "iat", "aud", "salt", "body"] {
            let mut payload = good();
            payload.as_object_mut().unwrap().shift_remove(member);
            assert_eq!(decode_value(&payload), Err(Refused::Member(member)));
        }
        for member in ["exp", "jti", "refs", "Iss", ""] {
            let mut payload = good();
            payload[member] = json!(1);
            assert_eq!(decode_value(&payload), Err(Refused::UnknownMember(member.to_owned())));
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_written() {
        let good = decode_value(&good()).unwrap();
        let with = |change: fn(&mut Statement)| {
            let mut statement = good.clone();
            change(&mut statement);
            encode(&statement).unwrap_err()
        };
        assert_eq!(with(|s| s.typ.version = 0), Refused::Typ);
        assert_eq!(with(|s| s.typ.kind = "Penalty".to_owned()), Refused::Typ);
        assert_eq!(with(|s| s.iat = -1), Refused::Member("iat"));
        assert_eq!(with(|s| s.aud = Audience::Named(vec![])), Refused::Member("aud"));
        assert_eq!(with(|s| s.aud = Audience::Named(vec![Reader::Group("\"".to_owned())])), Refused::Member("aud"));
        assert_eq!(with(|s| s.sub = Some(Subject::Named { name: String::new() })), Refused::Member("sub"));
        assert_eq!(
            with(|s| s.sub = Some(Subject::Named { name: "a\nb".to_owned() })),
            Refused::Json(NotIJson::ControlCharacter)
        );
        assert_eq!(with(|s| s.refs = vec![s.refs[0]; 2]), Refused::Member("ref"));
        assert_eq!(with(|s| s.body["text"] = json!("a\u{85}b")), Refused::Json(NotIJson::ControlCharacter));
        assert_eq!(with(|s| s.body["text"] = json!(0.5)), Refused::Json(NotIJson::Float));
    }
}
