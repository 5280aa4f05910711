//! What a token must be, and the error of each way in which it is not.

use std::collections::HashMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;

use super::*;
use crate::statement::json::NotIJson;
use crate::statement::{Audience, Salt, Subject};

pub(super) fn key(suite: Suite) -> SigningKey {
    SigningKey::generate(suite, &mut StdRng::seed_from_u64(7))
}

pub(super) fn ring(key: &SigningKey) -> KeyRing {
    let public = key.public();
    let root = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(8));
    KeyRing {
        issuer: "340500".parse().unwrap(),
        root: root.public().clone(),
        sign: HashMap::from([(public.kid().to_owned(), public.clone())]),
    }
}

fn statement() -> Statement {
    Statement {
        typ: Typ::first("penalty"),
        iss: "340500".parse().unwrap(),
        iat: 1_780_000_000,
        aud: Audience::Everyone,
        salt: Salt([9; 16]),
        sub: Some(Subject::Enterprise { uscc: "91310107MA1G000005".to_owned(), name: "示例有限公司".to_owned() }),
        prev: None,
        refs: vec![],
        body: json!({"number": "示例〔2026〕1号"}).as_object().unwrap().clone(),
    }
}

fn refused(jws: &str, keys: &KeyRing) -> Refused {
    match Unverified::parse(jws) {
        Ok(unverified) => unverified.verify(keys).unwrap_err(),
        Err(refused) => refused,
    }
}

/// A token with any header and payload, properly signed.
fn token(key: &SigningKey, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn header(key: &SigningKey) -> String {
    json!({"alg": key.public().suite().alg(), "kid": key.public().kid(), "typ": "kaopu.penalty.1+jws"}).to_string()
}

fn payload() -> String {
    String::from_utf8(payload::encode(&statement()).unwrap()).unwrap()
}

#[test]
fn what_is_signed_verifies_in_each_suite() {
    for suite in Suite::ALL {
        let key = key(suite);
        let signed = sign(statement(), &key).unwrap();
        let unverified = Unverified::parse(signed.jws()).unwrap();
        assert_eq!((unverified.digest(), unverified.kid()), (signed.digest(), signed.kid()));
        let verified = unverified.verify(&ring(&key)).unwrap();
        assert_eq!(verified.statement(), &statement());
        assert_eq!((verified.jws(), verified.digest()), (signed.jws(), Digest::of(signed.jws().as_bytes())));
    }
}

#[test]
fn the_header_is_these_three_members_and_nothing_else() {
    let key = key(Suite::EdDsa);
    let keys = ring(&key);
    assert!(Unverified::parse(&token(&key, &header(&key), &payload())).unwrap().verify(&keys).is_ok());
    let (alg, kid, typ) = ("EdDSA", key.public().kid(), "kaopu.penalty.1+jws");
    for (header, expected) in [
        (json!({"alg": alg, "kid": kid, "typ": typ, "crit": ["exp"]}), Refused::Header),
        (json!({"alg": alg, "kid": kid, "typ": typ, "b64": false, "crit": ["b64"]}), Refused::Header),
        (json!({"alg": alg, "kid": kid, "typ": typ, "jwk": key.public().jwk()}), Refused::Header),
        (json!({"alg": alg, "kid": kid, "typ": typ, "cty": "JWT"}), Refused::Header),
        (json!({"alg": alg, "kid": kid}), Refused::Header),
        (json!({"alg": alg, "typ": typ}), Refused::Header),
        (json!({"kid": kid, "typ": typ}), Refused::Header),
        (json!({"alg": alg, "kid": kid, "typ": null}), Refused::Header),
        (json!({"alg": alg, "kid": kid, "typ": "JWT"}), Refused::Typ),
        (json!({"alg": alg, "kid": kid, "typ": "kaopu.penalty.01+jws"}), Refused::Typ),
        (json!({"alg": alg, "kid": "other", "typ": typ}), Refused::UnknownKey),
        (json!({"alg": alg, "kid": kid, "typ": "kaopu.descriptor.1+jws"}), Refused::UnknownKey),
        (json!({"alg": alg, "kid": keys.root.kid(), "typ": typ}), Refused::UnknownKey),
        (json!({"alg": "ES256", "kid": kid, "typ": typ}), Refused::Algorithm),
        (json!({"alg": "none", "kid": kid, "typ": typ}), Refused::Algorithm),
        (json!({"alg": "HS256", "kid": kid, "typ": typ}), Refused::Algorithm),
    ] {
        assert_eq!(refused(&token(&key, &header.to_string(), &payload()), &keys), expected, "{header}");
    }
    let twice = format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{kid}","typ":"{typ}"}}"#);
    for header in [&twice, "[]", "{", "null"] {
        assert_eq!(refused(&token(&key, header, &payload()), &keys), Refused::Header, "{header}");
    }
}

#[test]
fn each_fault_of_a_payload_is_told_apart() {
    let key = key(Suite::EdDsa);
    let keys = ring(&key);
    let with = |from: &str, to: &str| {
        assert!(payload().contains(from));
        refused(&token(&key, &header(&key), &payload().replacen(from, to, 1)), &keys)
    };
    let twice = |name: &str| Refused::Json(NotIJson::DuplicateMember(name.to_owned()));
    assert_eq!(with(r#""iat":"#, r#""iss":"340500","iat":"#), twice("iss"));
    assert_eq!(with(r#""number":"#, r#""number":"","number":"#), twice("number"));
    assert_eq!(with("1780000000", "1780000000.0"), Refused::Json(NotIJson::Float));
    assert_eq!(with("1780000000", "178e7"), Refused::Json(NotIJson::Float));
    assert_eq!(with("1780000000", "9007199254740992"), Refused::Json(NotIJson::Float));
    assert_eq!(with("号", r"\u0007"), Refused::Json(NotIJson::ControlCharacter));
    assert_eq!(with("号", "\u{9f}"), Refused::Json(NotIJson::ControlCharacter));
    assert!(matches!(with("号", "\n"), Refused::Json(NotIJson::Syntax(_))), "not even JSON");
    assert!(matches!(with("}", ""), Refused::Json(NotIJson::Syntax(_))));
    assert_eq!(with(r#""iat":"#, r#""exp":1,"iat":"#), Refused::UnknownMember("exp".to_owned()));
    assert_eq!(with(r#"["*"]"#, "[]"), Refused::Member("aud"));
    assert_eq!(with("340500", "341200"), Refused::Issuer);
}

#[test]
fn a_token_has_three_parts_and_an_end() {
    let key = key(Suite::EdDsa);
    let keys = ring(&key);
    let jws = sign(statement(), &key).unwrap().jws().to_owned();
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    for (text, expected) in [
        (String::new(), Refused::NotCompact),
        (format!("{header}.{payload}"), Refused::NotCompact),
        (format!("{header}..{signature}"), Refused::NotCompact),
        (format!(".{payload}.{signature}"), Refused::NotCompact),
        (format!("{header}.{payload}."), Refused::NotCompact),
        (format!("{jws}.{signature}"), Refused::NotCompact),
        (format!("{jws}="), Refused::Base64),
        (format!("{jws}=="), Refused::Base64),
        (format!("{jws}\n"), Refused::Base64),
        (format!(" {jws}"), Refused::Base64),
        (format!("{header}.{payload}+.{signature}"), Refused::Base64),
        (format!("{header}.{payload}.{}", &signature[..64]), Refused::Signature),
        (format!("{header}.{payload}.{}", "A".repeat(86)), Refused::Signature),
        (format!("{header}.{payload}.{}", "A".repeat(88)), Refused::Signature),
        ("A".repeat(MAX_BYTES + 1), Refused::TooLong),
    ] {
        assert_eq!(refused(&text, &keys), expected, "{text:.60}");
    }
}

#[test]
fn a_statement_is_as_long_as_64_kib_and_no_longer() {
    for suite in [Suite::EdDsa, Suite::Es256] {
        let key = key(suite);
        let sized = |n: usize| {
            let mut statement = statement();
            statement.body = json!({"text": "x".repeat(n)}).as_object().unwrap().clone();
            sign(statement, &key)
        };
        let room = (0..MAX_BYTES).collect::<Vec<_>>().partition_point(|&n| sized(n).is_ok()) - 1;
        let longest = sized(room).unwrap();
        assert!(MAX_BYTES - longest.jws().len() < 3);
        assert!(Unverified::parse(longest.jws()).unwrap().verify(&ring(&key)).is_ok());
        assert_eq!(sized(room + 1).unwrap_err(), SignError::Refused(Refused::TooLong));
    }
}

fn jwk(key: &PublicKey) -> josekit::jwk::Jwk {
    josekit::jwk::Jwk::from_map(key.jwk().as_object().unwrap().clone()).unwrap()
}

#[test]
fn the_higher_s_of_es256_is_refused_as_such() {
    let key = key(Suite::Es256);
    for iat in 0..20 {
        let jws = sign(Statement { iat, ..statement() }, &key).unwrap().jws().to_owned();
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        let other = crate::statement::suite::with_other_s(&URL_SAFE_NO_PAD.decode(signature).unwrap());
        let other = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&other));
        assert_eq!(refused(&other, &ring(&key)), Refused::HighS);
        let josekit = josekit::jws::ES256.verifier_from_jwk(&jwk(key.public())).unwrap();
        assert!(josekit::jws::deserialize_compact(&other, &josekit).is_ok(), "it would verify elsewhere");
    }
}

#[test]
fn josekit_verifies_what_is_signed_here_and_signs_what_verifies_here() {
    use josekit::jws::{ES256, EdDSA, JwsHeader, JwsSigner, JwsVerifier, deserialize_compact, serialize_compact};
    for suite in [Suite::EdDsa, Suite::Es256] {
        let key = key(suite);
        let (pem, jwk) = (key.to_pem().unwrap(), jwk(key.public()));
        let (signer, verifier): (Box<dyn JwsSigner>, Box<dyn JwsVerifier>) = if suite == Suite::EdDsa {
            (Box::new(EdDSA.signer_from_pem(pem.as_bytes()).unwrap()), Box::new(EdDSA.verifier_from_jwk(&jwk).unwrap()))
        } else {
            (Box::new(ES256.signer_from_pem(pem.as_bytes()).unwrap()), Box::new(ES256.verifier_from_jwk(&jwk).unwrap()))
        };
        let (read, header) = deserialize_compact(sign(statement(), &key).unwrap().jws(), &*verifier).unwrap();
        assert_eq!((read, header.claims_set().len()), (payload().into_bytes(), 3));

        let mut header = JwsHeader::new();
        header.set_token_type("kaopu.penalty.1+jws");
        header.set_key_id(key.public().kid());
        let theirs = serialize_compact(payload().as_bytes(), &header, &*signer).unwrap();
        let result = Unverified::parse(&theirs).unwrap().verify(&ring(&key));
        assert!(matches!(result, Ok(_) | Err(Refused::HighS)), "{result:?}");
    }
}

#[test]
fn the_suites_serve_josekit_as_signers_and_verifiers() {
    for suite in Suite::ALL {
        let key = key(suite);
        let mut header = josekit::jws::JwsHeader::new();
        header.set_token_type("kaopu.penalty.1+jws");
        let jws = josekit::jws::serialize_compact(payload().as_bytes(), &header, key.signer()).unwrap();
        assert!(Unverified::parse(&jws).unwrap().verify(&ring(&key)).is_ok());
        let (read, _) = josekit::jws::deserialize_compact(&jws, key.public().verifier()).unwrap();
        assert_eq!(read, payload().into_bytes());
    }
}

#[test]
fn a_batch_names_its_culprits() {
    let good: Vec<SigningKey> = Suite::ALL.into_iter().map(key).collect();
    let mut keys = ring(&good[0]);
    keys.sign.extend(good.iter().map(|key| (key.public().kid().to_owned(), key.public().clone())));
    let stranger = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(99));
    let mut tokens: Vec<(String, Option<Refused>)> = (0..1_300)
        .map(|iat| {
            let by = if iat % 50 == 49 { &good[1 + iat / 50 % 2] } else { &good[0] };
            (sign(Statement { iat: iat as i64, ..statement() }, by).unwrap().jws().to_owned(), None)
        })
        .collect();
    let forge = |jws: &str| {
        let (signed, _) = jws.rsplit_once('.').unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(stranger.sign(signed.as_bytes()).unwrap()))
    };
    for place in [0, 1_023, 1_299] {
        tokens[place] = (forge(&tokens[place].0), Some(Refused::Signature));
    }
    tokens[300] = (sign(statement(), &stranger).unwrap().jws().to_owned(), Some(Refused::UnknownKey));
    let read = tokens.iter().map(|(jws, _)| (Unverified::parse(jws).unwrap(), &keys)).collect();
    for ((jws, expected), result) in tokens.iter().zip(verify_all(read)) {
        assert_eq!(result.as_ref().err(), expected.as_ref());
        assert!(result.is_err() || result.is_ok_and(|verified| verified.jws() == jws));
    }
    assert!(verify_all(vec![]).is_empty());
}

/// The issuer can make a signature whose R is of small order; the single check refuses it, and so must a batch.
#[test]
fn a_batch_is_as_strict_as_the_single_check() {
    let seed = [7; 32];
    let key = SigningKey::from_seed(Suite::EdDsa, &seed).unwrap();
    let keys = ring(&key);
    let jws = sign(statement(), &key).unwrap().jws().to_owned();
    let (signed, _) = jws.rsplit_once('.').unwrap();
    for weak in crate::statement::suite::small_order_signatures(&seed, signed.as_bytes()) {
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(weak));
        assert_eq!(refused(&forged, &keys), Refused::Signature);
        let both = [&jws, &forged].map(|jws| (Unverified::parse(jws).unwrap(), &keys));
        let results = verify_all(both.into());
        assert!(results[0].is_ok());
        assert_eq!(results[1].as_ref().unwrap_err(), &Refused::Signature);
    }
}
