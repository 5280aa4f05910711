//! The test vectors of docs/PROTOCOL.md: keys, statements in each suite, and tokens that must be refused.
//!
//! They are made anew here and compared; `KAOPU_BLESS=1` writes them. An ES256 signature is different each time, so of
//! those tokens all but the signature is compared, and that the stored one verifies.

mod refused;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kaopu::log::origin::LogName;
use kaopu::log::{Class, Place, Verdict, judge};
use kaopu::statement::envelope::sign;
use kaopu::statement::{
    Audience, Digest, KeyRing, Kinds, PublicKey, Refused, Salt, SigningKey, Statement, Subject, Suite, Typ, Unverified,
};
use serde_json::{Value, json};

const ISSUER: &str = "340500";

/// A key that everybody knows.
struct TestKey {
    name: &'static str,
    key_use: &'static str,
    seed: [u8; 32],
    key: SigningKey,
}

fn test_key(name: &'static str, key_use: &'static str, suite: Suite) -> TestKey {
    let seed = Digest::of(format!("kaopu test key {name}").as_bytes()).0;
    TestKey { name, key_use, seed, key: SigningKey::from_seed(suite, &seed).unwrap() }
}

fn test_keys() -> [TestKey; 5] {
    [
        test_key("root", "root", Suite::EdDsa),
        test_key("sign-eddsa", "sign", Suite::EdDsa),
        test_key("sign-es256", "sign", Suite::Es256),
        test_key("sign-sm2", "sign", Suite::Sm2),
        test_key("stranger", "none", Suite::EdDsa),
    ]
}

fn keys_file() -> Value {
    let keys: Vec<Value> = test_keys()
        .iter()
        .map(|TestKey { name, key_use, seed, key }| {
            json!({
                "name": name,
                "use": key_use,
                "alg": key.public().suite().alg(),
                "kid": key.public().kid(),
                "jwk": key.public().jwk(),
                "d": URL_SAFE_NO_PAD.encode(seed),
                "pem": *key.to_pem().unwrap(),
            })
        })
        .collect();
    json!({
        "note": "Test keys: their private halves are public. Never enrol one.",
        "issuer": ISSUER,
        "keys": keys,
    })
}

fn statements_file() -> Value {
    let [root, eddsa, es256, sm2, stranger] = test_keys();
    let statements: Vec<Value> = statements(&[&eddsa, &es256, &sm2])
        .into_iter()
        .map(|(name, by, statement)| accepted(&name, by, statement))
        .collect();
    let refused: Vec<Value> = refused::refused(&root, &eddsa, &es256, &sm2, &stranger)
        .into_iter()
        .map(|(name, reason, jws)| json!({"name": name, "reason": reason, "jws": jws}))
        .collect();
    json!({
        "note": "Under the keys of keys.json: `root` signs descriptors, the `sign` keys everything else; `stranger` is enrolled nowhere.",
        "issuer": ISSUER,
        "statements": statements,
        "refused": refused,
    })
}

fn accepted(name: &str, by: &TestKey, statement: Statement) -> Value {
    let class = if statement.aud == Audience::Everyone { "open" } else { "addressed" };
    let signed = sign(statement, &by.key).unwrap();
    let parts: Vec<&str> = signed.jws().split('.').collect();
    json!({
        "name": name,
        "key": by.name,
        "class": class,
        "header": decoded(parts[0]),
        "payload": decoded(parts[1]),
        "jws": signed.jws(),
        "digest": signed.digest(),
    })
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn statements<'k>(signers: &[&'k TestKey; 3]) -> Vec<(String, &'k TestKey, Statement)> {
    let mut all = Vec::new();
    for by in signers {
        all.push((format!("a penalty of an enterprise, {}", by.key.public().suite().alg()), *by, penalty()));
    }
    let digest = |text: &str| Digest::of(text.as_bytes());
    let mut add = |name: &str, change: &dyn Fn(&mut Statement)| {
        let mut statement = penalty();
        change(&mut statement);
        // the salt of each is its own
        statement.salt = Salt(Digest::of(name.as_bytes()).0[..16].try_into().unwrap());
        all.push((name.to_owned(), signers[0], statement));
    };
    add("a new version", &|s| s.prev = Some(digest("the version before")));
    add("for a node, a node of a region and a group", &|s| {
        s.aud = Audience::Named(["310107", "310107.scjg", "@delta"].map(|r| r.parse().unwrap()).into());
    });
    add("a subject known by its 工商注册号", &|s| {
        s.sub = Some(Subject::Registered {
            registration: "340500600123459".to_owned(), name: "示例小吃店".to_owned()
        });
        s.body.shift_remove("uscc");
        s.body.insert("party".to_owned(), "个体工商户".into());
        s.body.insert("registration_number".to_owned(), "340500600123459".into());
        s.body.insert("name".to_owned(), "示例小吃店".into());
    });
    add("a natural person", &|s| {
        s.sub = Some(Subject::Person { person: format!("1.{}", digest("a keyed hash")), name: "示*".to_owned() });
        s.body.shift_remove("uscc");
        s.body.insert("party".to_owned(), "自然人".into());
        s.body.insert("name".to_owned(), "示*".into());
    });
    add("about two others, of a kind that nobody knows yet", &|s| {
        s.typ = Typ { kind: "example".to_owned(), version: 7 };
        s.sub = None;
        s.refs = vec![digest("one"), digest("another")];
        s.body = json!({
            "": null, "integers": [0, -9_007_199_254_740_991_i64, 9_007_199_254_740_991_i64],
            "text": "\"\\/ ’ 𠮷 😀", "nested": {"yes": true, "no": false, "none": {}},
        })
        .as_object()
        .unwrap()
        .clone();
    });
    all
}

fn penalty() -> Statement {
    let body = json!({
        "name": "示例有限公司",
        "party": "法人及非法人组织",
        "uscc": "91340500MA2EXAMP5W",
        "number": "示市监罚〔2026〕1号",
        "violation": "示例违法行为",
        "facts": "示例事实",
        "basis": "《示例条例》第一条",
        "category": ["罚款"],
        "content": "罚款示例",
        "fine": "1.5",
        "decided": "2026-05-20",
        "valid_until": "2029-05-20",
        "authority": "示例市市场监督管理局",
        "authority_uscc": "11340500MB0EXAMP5T",
        "source": "示例市市场监督管理局",
        "source_uscc": "11340500MB0EXAMP5T",
    });
    Statement {
        typ: Typ::first("penalty"),
        iss: ISSUER.parse().unwrap(),
        iat: 1_780_000_000,
        aud: Audience::Everyone,
        salt: Salt(*b"sixteen bytes!!!"),
        sub: Some(Subject::Enterprise { uscc: "91340500MA2EXAMP5W".to_owned(), name: "示例有限公司".to_owned() }),
        prev: None,
        refs: vec![],
        body: body.as_object().unwrap().clone(),
    }
}

/// The stored file, written first where that is asked for.
fn stored(name: &str, made: &Value) -> Value {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    let read = || serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
    if std::env::var_os("KAOPU_BLESS").is_some() && comparable(&read()) != comparable(made) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{made:#}\n")).unwrap();
    }
    read()
}

/// The value without what an ES256 signature makes different each time.
fn comparable(value: &Value) -> Value {
    let mut value = value.clone();
    for list in ["statements", "refused"] {
        for item in value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some((signed, _)) = item["jws"].as_str().and_then(|jws| jws.rsplit_once('.')) else { continue };
            if URL_SAFE_NO_PAD
                .decode(signed.split('.').next().unwrap())
                .is_ok_and(|h| h.windows(5).any(|w| w == b"ES256"))
            {
                item["jws"] = json!(signed);
                item["digest"] = json!(null);
            }
        }
    }
    value
}

fn key_ring(keys: &Value) -> KeyRing {
    let of = |key_use: &str| {
        let keys = keys["keys"].as_array().unwrap().iter().filter(|key| key["use"] == key_use);
        keys.map(|key| PublicKey::from_jwk(&key["jwk"]).unwrap()).collect::<Vec<_>>()
    };
    KeyRing {
        issuer: keys["issuer"].as_str().unwrap().parse().unwrap(),
        root: of("root").remove(0),
        sign: of("sign").into_iter().map(|key| (key.kid().to_owned(), key)).collect::<HashMap<_, _>>(),
    }
}

/// As stored and as made here, once for all tests: an ES256 signature is not made twice.
static STATEMENTS: LazyLock<(Value, Value)> = LazyLock::new(|| {
    let made = statements_file();
    (stored("statements.json", &made), made)
});

#[test]
fn the_keys_of_the_vectors_are_the_ones_made_here() {
    let file = stored("keys.json", &keys_file());
    assert_eq!(file, keys_file(), "run this test with KAOPU_BLESS=1 and look at the difference");
    for key in file["keys"].as_array().unwrap() {
        let private = SigningKey::from_pem(key["pem"].as_str().unwrap()).unwrap();
        assert_eq!(private.public().kid(), key["kid"]);
        assert_eq!(private.public(), &PublicKey::from_jwk(&key["jwk"]).unwrap());
    }
}

#[test]
fn the_statements_of_the_vectors_verify_and_are_the_ones_made_here() {
    let (file, made) = &*STATEMENTS;
    assert_eq!(comparable(file), comparable(made), "run this test with KAOPU_BLESS=1 and look at the difference");
    let keys = key_ring(&keys_file());
    for item in file["statements"].as_array().unwrap() {
        let jws = item["jws"].as_str().unwrap();
        let verified = Unverified::parse(jws).unwrap().verify(&keys).unwrap();
        assert_eq!(verified.digest().to_string(), item["digest"], "{}", item["name"]);
        assert_eq!(decoded(jws.split('.').nth(1).unwrap()), item["payload"], "{}", item["name"]);
    }
}

#[test]
fn each_refused_token_of_the_vectors_is_refused_for_its_reason() {
    let (file, _) = &*STATEMENTS;
    let keys = key_ring(&keys_file());
    let refused = |jws: &str| -> Option<Refused> { Unverified::parse(jws).and_then(|read| read.verify(&keys)).err() };
    for item in file["refused"].as_array().unwrap() {
        let reason = refused(item["jws"].as_str().unwrap()).map(|refused| refused.code());
        assert_eq!(reason, item["reason"].as_str(), "{}", item["name"]);
    }
}

#[test]
fn the_records_of_the_vectors_are_accepted_where_they_are_known() {
    let (file, _) = &*STATEMENTS;
    let (kinds, keys) = (Kinds::builtin().unwrap(), key_ring(&keys_file()));
    for item in file["statements"].as_array().unwrap() {
        let verified = Unverified::parse(item["jws"].as_str().unwrap()).unwrap().verify(&keys).unwrap();
        let class = if item["class"] == "open" { Class::Open } else { Class::Addressed };
        let place = Place { owner: &keys.issuer, log: LogName::Records, max_iat: 0, now: 1_780_000_000 };
        let is_known = verified.statement().typ.kind == "penalty";
        match judge(&kinds, &place, class, &verified) {
            Verdict::Accepted(projection) => assert!(is_known && projection.record.is_some(), "{}", item["name"]),
            Verdict::Held(_) => assert!(!is_known, "{}", item["name"]),
            Verdict::Refused(refused) => panic!("{}: {refused}", item["name"]),
        }
    }
}
