//! What holds of every statement and every token.

use proptest::prelude::*;

use super::tests::{key, ring};
use super::*;
use crate::statement::{Audience, Reader, Salt, Subject};

fn any_digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn any_text() -> impl Strategy<Value = String> {
    "[ -~一-龥（）〔〕😀]{1,20}"
}

fn any_audience() -> impl Strategy<Value = Audience> {
    let reader = prop_oneof![
        "[0-9]{6}(\\.[a-z0-9]{1,16})?".prop_map(|id| Reader::Node(id.parse().unwrap())),
        "[a-z][a-z0-9-]{0,31}".prop_map(Reader::Group),
    ];
    prop_oneof![
        Just(Audience::Everyone),
        prop::collection::hash_set(reader, 1..4).prop_map(|set| Audience::Named(set.into_iter().collect())),
    ]
}

fn any_subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        ("[0-9A-HJ-NPQRTUWXY]{18}", any_text()).prop_map(|(uscc, name)| Subject::Enterprise { uscc, name }),
        ("[0-9]{15}", any_text()).prop_map(|(registration, name)| Subject::Registered { registration, name }),
        any_text().prop_map(|name| Subject::Named { name }),
        (any_digest(), any_text()).prop_map(|(hash, name)| Subject::Person { person: format!("1.{hash}"), name }),
    ]
}

fn any_statement() -> impl Strategy<Value = Statement> {
    let value = prop_oneof![
        any_text().prop_map(Value::from),
        (-json::MAX_INTEGER..=json::MAX_INTEGER).prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::collection::vec(any_text(), 0..3).prop_map(Value::from),
    ];
    (
        ("[a-z][a-z0-9-]{0,31}", 1..u32::MAX).prop_filter("root-signed", |(kind, _)| kind != "descriptor"),
        0..payload::MAX_IAT,
        any_audience(),
        any::<[u8; 16]>(),
        prop::option::of(any_subject()),
        (prop::option::of(any_digest()), prop::collection::hash_set(any_digest(), 0..3)),
        prop::collection::hash_map(any_text(), value, 0..5),
    )
        .prop_map(|((kind, version), iat, aud, salt, sub, (prev, refs), body)| Statement {
            typ: Typ { kind, version },
            iss: "340500".parse().unwrap(),
            iat,
            aud,
            salt: Salt(salt),
            sub,
            prev,
            refs: refs.into_iter().collect(),
            body: body.into_iter().collect(),
        })
}

proptest! {
    #[test]
    fn any_statement_comes_back_in_each_suite(statement in any_statement()) {
        for suite in Suite::ALL {
            let key = key(suite);
            let signed = sign(statement.clone(), &key).unwrap();
            let read = Unverified::parse(signed.jws()).unwrap().verify(&ring(&key)).unwrap();
            prop_assert_eq!(read.statement(), &statement);
        }
    }

    #[test]
    fn a_token_with_one_bit_changed_is_refused(
        statement in any_statement(), place in any::<prop::sample::Index>(), bit in 0..7_u8
    ) {
        for suite in Suite::ALL {
            let key = key(suite);
            let keys = ring(&key);
            let good = sign(statement.clone(), &key).unwrap();
            let mut bytes = good.jws().as_bytes().to_vec();
            bytes[place.index(good.jws().len())] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            let result = Unverified::parse(&changed).and_then(|read| read.verify(&keys));
            prop_assert!(result.is_err(), "{}", changed);
            if let Ok(read) = Unverified::parse(&changed) {
                let good = Unverified::parse(good.jws()).unwrap();
                let results = verify_all(vec![(good, &keys), (read, &keys)]);
                prop_assert!(results[0].is_ok() && results[1].is_err());
            }
        }
    }

    #[test]
    fn base64_in_another_form_is_refused(statement in any_statement(), part in 0..3_usize, spare in 1..16_usize) {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let jws = sign(statement, &key(Suite::EdDsa)).unwrap().jws().to_owned();
        let mut parts: Vec<String> = jws.split('.').map(str::to_owned).collect();
        let spare = spare & [0, 0, 0x0f, 0x03][parts[part].len() % 4];
        prop_assume!(spare != 0);
        let last = parts[part].pop().unwrap();
        let value = ALPHABET.iter().position(|&c| char::from(c) == last).unwrap();
        parts[part].push(char::from(ALPHABET[value | spare]));
        prop_assert_eq!(Unverified::parse(&parts.join(".")).unwrap_err(), Refused::Base64);
    }

    /// With a space behind the first brace the parser reads it, without one it need not.
    #[test]
    fn a_header_is_read_alike_with_and_without_the_parser(
        alg in "[ -~\\\\\"一\u{7}]{0,8}", kid in "[ -~]{0,8}|[a-z\",:{}]{0,20}", kind in "[a-z.]{0,10}", version in 0..3,
    ) {
        let typ = format!("kaopu.{kind}.{version}+jws");
        for text in [
            format!(r#""alg":{},"kid":{},"typ":{}}}"#, Value::from(alg.clone()), Value::from(kid.clone()), Value::from(typ.clone())),
            format!(r#""alg":"{alg}","kid":"{kid}","typ":"{typ}"}}"#),
        ] {
            let read = |text: String| Header::decode(text.as_bytes()).map(|h| (h.alg, h.kid, h.typ));
            prop_assert_eq!(read(format!("{{{text}")), read(format!("{{ {text}")), "{}", text);
        }
    }
}
