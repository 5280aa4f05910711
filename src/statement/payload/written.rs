//! A payload as [`encode`](super::encode) writes it: its members in that order, without white space or escapes. Nearly all
//! payloads are, and reading them needs no parser but for the body.

use super::{is_set, is_subject, is_time};
use crate::statement::{Audience, NodeId, Reader, Statement, Subject, Typ, json};

/// Reads such a payload. None for any other one, and for one with a fault: the parser reads those, and names the fault.
pub(super) fn read(typ: &Typ, bytes: &[u8]) -> Option<Statement> {
    let text = std::str::from_utf8(bytes).ok()?;
    if !json::is_plain(text) {
        return None;
    }
    let mut rest = Rest(text);
    rest.literal("{\"iss\":")?;
    let iss: NodeId = rest.string()?.parse().ok()?;
    rest.literal(",\"iat\":")?;
    let iat = rest.integer().filter(is_time)?;
    rest.literal(",\"aud\":")?;
    let aud = match rest.literal("[\"*\"]") {
        Some(()) => Audience::Everyone,
        None => audience(&rest.list()?)?,
    };
    rest.literal(",\"salt\":")?;
    let salt = super::salt_of(rest.string()?)?;
    let sub = match rest.literal(",\"sub\":") {
        Some(()) => Some(rest.subject()?),
        None => None,
    };
    let prev = match rest.literal(",\"prev\":") {
        Some(()) => Some(rest.string()?.parse().ok()?),
        None => None,
    };
    let refs = match rest.literal(",\"ref\":") {
        Some(()) => rest
            .list()?
            .into_iter()
            .map(|digest| digest.parse().ok())
            .collect::<Option<_>>()
            .filter(|r: &Vec<_>| is_set(r))?,
        None => Vec::new(),
    };
    rest.literal(",\"body\":")?;
    let body = json::parse_plain(rest.0.strip_suffix('}')?, 1)?;
    Some(Statement { typ: typ.clone(), iss, iat, aud, salt, sub, prev, refs, body })
}

/// What is yet to be read of a text without escapes.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn literal(&mut self, literal: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(literal)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let (string, rest) = self.0.strip_prefix('"')?.split_once('"')?;
        self.0 = rest;
        Some(string)
    }

    /// One that is not negative, up to the comma behind it; more digits than fit into the largest are none.
    fn integer(&mut self) -> Option<i64> {
        let digits = self.0.find(',').map(|end| &self.0[..end])?;
        let is_written = digits == "0" || !digits.starts_with('0');
        let is_number = is_written && digits.len() <= 15 && digits.bytes().all(|b| b.is_ascii_digit());
        self.0 = &self.0[digits.len()..];
        if is_number { digits.parse().ok() } else { None }
    }

    /// Strings, at least one.
    fn list(&mut self) -> Option<Vec<&'a str>> {
        self.literal("[")?;
        let mut list = vec![self.string()?];
        while self.literal("]").is_none() {
            self.literal(",")?;
            list.push(self.string()?);
        }
        Some(list)
    }

    fn subject(&mut self) -> Option<Subject> {
        self.literal("{")?;
        let known_by = match self.string()? {
            "name" => None,
            key @ ("uscc" | "registration" | "person") => {
                self.literal(":")?;
                let known_by = self.string()?.to_owned();
                self.literal(",\"name\"")?;
                Some((key, known_by))
            }
            _ => return None,
        };
        self.literal(":")?;
        let name = self.string()?.to_owned();
        self.literal("}")?;
        let subject = match known_by {
            None => Subject::Named { name },
            Some(("uscc", uscc)) => Subject::Enterprise { uscc, name },
            Some(("registration", registration)) => Subject::Registered { registration, name },
            Some((_, person)) => Subject::Person { person, name },
        };
        Some(subject).filter(is_subject)
    }
}

fn audience(readers: &[&str]) -> Option<Audience> {
    let readers: Vec<Reader> = readers.iter().map(|reader| reader.parse().ok()).collect::<Option<_>>()?;
    is_set(&readers).then_some(Audience::Named(readers))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{decode, parse};
    use super::*;

    const DIGEST: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn whole() -> String {
        format!(
            r#"{{"iss":"340500","iat":1780000000,"aud":["310107","@delta"],"salt":"AAECAwQFBgcICQoLDA0ODw","sub":{{"uscc":"91310107MA1G000005","name":"示例，有限公司"}},"prev":"{DIGEST}","ref":["{DIGEST}"],"body":{{"text":"示例","list":[1,{{"a":null}}]}}}}"#
        )
    }

    /// Parts of payloads, as they are written and as they are not.
    fn any_payload() -> impl Strategy<Value = String> {
        let one = |texts: &'static [&'static str]| prop::sample::select(texts);
        let digest: &[&str] = &["\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "\"x\"", "null"];
        let (prev, refs) = (prop::sample::select(digest), prop::sample::select(digest));
        (
            one(&["\"340500\"", "\"34050\"", "\"34\\u00350500\"", "340500"]),
            one(&["0", "1780000000", "01", "-1", "1.0", "1e3", " 1", "253402300800", "9007199254740993"]),
            one(&[
                "[\"*\"]",
                "[]",
                "[\"310107\",\"@a\"]",
                "[\"310107\",\"310107\"]",
                "[\"*\",\"310107\"]",
                "[ \"*\"]",
                "\"*\"",
            ]),
            one(&["\"AAECAwQFBgcICQoLDA0ODw\"", "\"AAECAwQFBgcICQoLDA0ODx\"", "\"\"", "1"]),
            one(&[
                "",
                ",\"sub\":{\"name\":\"示例\"}",
                ",\"sub\":{\"name\":\"示例\",\"uscc\":\"91310107MA1G000005\"}",
                ",\"sub\":{\"uscc\":\"91310107MA1G000005\",\"name\":\"示\u{85}例\"}",
                ",\"sub\":{\"uscc\":\"91310107MA1G000005\",\"name\":\"a\\\"b\"}",
                ",\"sub\":{\"registration\":\"1\",\"name\":\"示例\"}",
                ",\"sub\":{\"person\":\"1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"name\":\"示*\"}",
                ",\"sub\":{\"name\":\"\"}",
                ",\"sub\":{}",
            ]),
            prop::option::of(prev).prop_map(|p| p.map(|p| format!(",\"prev\":{p}")).unwrap_or_default()),
            prop::option::of(refs).prop_map(|r| r.map(|r| format!(",\"ref\":[{r}]")).unwrap_or_default()),
            one(&[
                "{}",
                "{\"a\":1}",
                "{\"a\":1,\"a\":1}",
                "{\"a\":0.5}",
                "{\"a\":\"\u{7f}\"}",
                "{\"a\":\"\\n\"}",
                "{\"a\":\"，\u{ffc0}😀\"}",
                "{\"a\":\"\u{fffe}\"}",
                "{ \"a\" : [ ] } ",
                "{\"a\":[[[[[[[[[[[[[]]]]]]]]]]]]]}",
                "{\"a\":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}",
                "{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}",
                "{},\"x\":1",
                "{},\"body\":{}",
                "[]",
            ]),
        )
            .prop_map(|(iss, iat, aud, salt, sub, prev, refs, body)| {
                format!(r#"{{"iss":{iss},"iat":{iat},"aud":{aud},"salt":{salt}{sub}{prev}{refs},"body":{body}}}"#)
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_payload_is_read_as_the_parser_reads_it(text in any_payload()) {
            let typ = Typ::first("penalty");
            prop_assert_eq!(decode(typ.clone(), text.as_bytes()), parse(typ, text.as_bytes()), "{}", text);
        }

        #[test]
        fn a_payload_with_a_byte_changed_is_read_as_the_parser_reads_it(at: prop::sample::Index, byte: u8) {
            let mut bytes = whole().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let typ = Typ::first("penalty");
            prop_assert_eq!(decode(typ.clone(), &bytes), parse(typ, &bytes));
        }
    }

    #[test]
    fn what_is_written_here_is_read_without_the_parser() {
        let typ = Typ::first("penalty");
        let read = read(&typ, whole().as_bytes());
        assert_eq!(read, Some(parse(typ, whole().as_bytes()).unwrap()));
    }
}
