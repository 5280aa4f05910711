//! Tokens that must be refused, each with the code of its reason.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use kaopu::statement::envelope::sign;
use serde_json::{Value, json};
use sm2::dsa::signature::Signer as _;

use super::{ISSUER, TestKey, decoded, penalty};

/// What it is, the code of its reason, the token.
pub type Refusal = (String, &'static str, String);

pub fn refused(root: &TestKey, eddsa: &TestKey, es256: &TestKey, sm2: &TestKey, stranger: &TestKey) -> Vec<Refusal> {
    let mut all = Vec::new();
    forms(eddsa, &mut all);
    headers(eddsa, stranger, root, &mut all);
    payloads(eddsa, &mut all);
    signatures(eddsa, es256, sm2, &mut all);
    all
}

/// A token with any header and payload, properly signed.
fn token(by: &TestKey, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(by.key.sign(signed.as_bytes()).unwrap()))
}

fn header(by: &TestKey, typ: &str) -> Value {
    json!({"alg": by.key.public().suite().alg(), "kid": by.key.public().kid(), "typ": typ})
}

const TYP: &str = "kaopu.penalty.1+jws";

fn good(by: &TestKey) -> String {
    sign(penalty(), &by.key).unwrap().jws().to_owned()
}

/// The payload of the penalty, as text.
fn payload(by: &TestKey) -> String {
    decoded(good(by).split('.').nth(1).unwrap()).to_string()
}

fn forms(by: &TestKey, all: &mut Vec<Refusal>) {
    let jws = good(by);
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("three parts") };
    let mut add = |name: &str, reason, jws| all.push((name.to_owned(), reason, jws));
    add("no signature", "not-compact", format!("{header}.{payload}"));
    add("an empty signature", "not-compact", format!("{header}.{payload}."));
    add("five parts, as a JWE has", "not-compact", format!("{jws}.{payload}.{signature}"));
    add("a detached payload", "not-compact", format!("{header}..{signature}"));
    add("padded base64url", "base64", format!("{jws}=="));
    add("a line break at the end", "base64", format!("{jws}\n"));
    // these bytes need '+' and '/' in the other alphabet
    let other = STANDARD_NO_PAD.encode([0xfb; 64]);
    add("base64 where base64url is asked for", "base64", format!("{header}.{payload}.{other}"));
    // 64 bytes end in a character that carries two bits; the four others must be 0
    let last = signature.chars().last().unwrap();
    let next = char::from_u32(u32::from(last) + 1).unwrap();
    add("spare bits that are not 0", "base64", format!("{header}.{payload}.{}{next}", &signature[..85]));
    add("a signature cut short", "signature", format!("{header}.{payload}.{}", &signature[..84]));
}

fn headers(by: &TestKey, stranger: &TestKey, root: &TestKey, all: &mut Vec<Refusal>) {
    let payload = payload(by);
    let with = |member: &str, value: Value| {
        let mut header = header(by, TYP);
        header[member] = value;
        header.to_string()
    };
    let without = |member: &str| {
        let mut header = header(by, TYP);
        header.as_object_mut().unwrap().shift_remove(member);
        header.to_string()
    };
    let mut add =
        |name: &str, reason, header: String| all.push((name.to_owned(), reason, token(by, &header, &payload)));
    add("a header with crit", "header", with("crit", json!(["exp"])));
    add("a header with a key in it", "header", with("jwk", by.key.public().jwk()));
    add("a header with cty", "header", with("cty", json!("JWT")));
    add("a header without typ", "header", without("typ"));
    add("a header without kid", "header", without("kid"));
    add("a header with alg twice", "header", header(by, TYP).to_string().replacen('{', r#"{"alg":"none","#, 1));
    add("a header that is an array", "header", "[]".to_owned());
    add("the typ of a JWT", "typ", with("typ", json!("JWT")));
    add("version 0", "typ", with("typ", json!("kaopu.penalty.0+jws")));
    add("a version with a leading zero", "typ", with("typ", json!("kaopu.penalty.01+jws")));
    add("a kind in capitals", "typ", with("typ", json!("kaopu.PENALTY.1+jws")));
    add("another algorithm than the key's", "algorithm", with("alg", json!("ES256")));
    add("no algorithm", "algorithm", with("alg", json!("none")));
    add("the name of the curve for the algorithm", "algorithm", with("alg", json!("Ed25519")));
    all.push((
        "a key that is not enrolled".to_owned(),
        "unknown-key",
        token(stranger, &header(stranger, TYP).to_string(), &payload),
    ));
    all.push((
        "a penalty under the root key".to_owned(),
        "unknown-key",
        token(root, &header(root, TYP).to_string(), &payload),
    ));
    let descriptor = header(by, "kaopu.descriptor.1+jws").to_string();
    all.push(("a descriptor under a signing key".to_owned(), "unknown-key", token(by, &descriptor, &payload)));
}

fn payloads(by: &TestKey, all: &mut Vec<Refusal>) {
    let good = payload(by);
    let header = header(by, TYP).to_string();
    let mut add = |name: &str, reason, from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        all.push((name.to_owned(), reason, token(by, &header, &good.replacen(from, to, 1))));
    };
    add("a payload that is no JSON", "json", "}}", "}");
    add("text after the payload", "json", "}}", "}} {}");
    add("a line break inside a string", "json", "示例事实", "示例\n事实");
    add("half of a surrogate pair", "json", "示例事实", r"\ud83d");
    add("a member twice", "duplicate-member", r#"{"iss""#, r#"{"iss":"340500","iss""#);
    add("a member of the body twice, once escaped", "duplicate-member", r#""facts":"#, r#""\u0066acts":"","facts":"#);
    add("an integer as a float", "float", "1780000000", "1780000000.0");
    add("an integer with an exponent", "float", "1780000000", "178e7");
    add("an integer beyond 2^53 − 1", "float", "1780000000", "9007199254740992");
    add("a float in the body", "float", r#""1.5""#, "1.5");
    add("an escaped control character", "control-character", "示例事实", r"示例\n事实");
    add("a character of C1", "control-character", "示例事实", "示例\u{85}事实");
    add("a noncharacter", "noncharacter", "示例事实", "示例\u{fffe}事实");
    let deep = format!("{}{}", "[".repeat(15), "]".repeat(15));
    add("17 deep", "too-deep", r#""1.5""#, &deep);
    add("a member that statements do not have", "unknown-member", r#"{"iss""#, r#"{"exp":1780000000,"iss""#);
    add("no audience", "member", r#"["*"]"#, "[]");
    add("everyone and somebody", "member", r#"["*"]"#, r#"["*","310107"]"#);
    add("a reader twice", "member", r#"["*"]"#, r#"["310107","310107"]"#);
    add("a time before 1970", "member", "1780000000", "-1");
    add("a time that is text", "member", "1780000000", r#""1780000000""#);
    add("a salt of 15 bytes", "member", "c2l4dGVlbiBieXRlcyEhIQ", "c2l4dGVlbiBieXRlcyEh");
    add("a salt with spare bits", "member", "c2l4dGVlbiBieXRlcyEhIQ", "c2l4dGVlbiBieXRlcyEhIR");
    add("a prev that is null", "member", r#","body""#, r#","prev":null,"body""#);
    add("a ref to nothing", "member", r#","body""#, r#","ref":[],"body""#);
    add(
        "a subject with a code of 17 characters",
        "member",
        r#"{"uscc":"91340500MA2EXAMP5W""#,
        r#"{"uscc":"91340500MA2EXAMP5""#,
    );
    add("a subject known by two things", "member", r#""sub":{"#, r#""sub":{"registration":"340500600123459","#);
    add("a subject without a name", "member", r#","name":"示例有限公司"},"body""#, r#"},"body""#);
    add("a body that is no object", "member", r#""body":{"#, r#""body":[],"more":{"#);
    add("another issuer", "issuer", ISSUER, "341200");
}

fn signatures(eddsa: &TestKey, es256: &TestKey, sm2: &TestKey, all: &mut Vec<Refusal>) {
    let mut add = |name: &str, reason, by: &TestKey, change: &dyn Fn(&[u8], &mut Vec<u8>)| {
        let jws = good(by);
        let (signed, signature) = jws.rsplit_once('.').unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        change(signed.as_bytes(), &mut signature);
        all.push((name.to_owned(), reason, format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))));
    };
    for by in [eddsa, es256, sm2] {
        let alg = by.key.public().suite().alg();
        add(&format!("another bit, {alg}"), "signature", by, &|_, signature| signature[20] ^= 1);
        add(&format!("all zeros, {alg}"), "signature", by, &|_, signature| signature.fill(0));
        add(&format!("65 bytes, {alg}"), "signature", by, &|_, signature| signature.push(0));
    }
    add("EdDSA with s + L for s", "signature", eddsa, &|_, signature| add_order(&mut signature[32..]));
    add("EdDSA with R and s of 0 and 1", "signature", eddsa, &|_, signature| {
        signature.fill(0);
        signature[0] = 1;
    });
    add("ES256 with the higher s", "high-s", es256, &|_, signature| negate(&mut signature[32..]));
    add("SM2 under another signer id", "signature", sm2, &|message, signature| {
        let secret = sm2::SecretKey::from_slice(&sm2.seed).unwrap();
        let key = sm2::dsa::SigningKey::new("", &secret).unwrap();
        let other: sm2::dsa::Signature = key.sign(message);
        signature.copy_from_slice(&other.to_bytes());
    });
}

/// s + L, little-endian, L the order of Ed25519's base point (RFC 8032, section 5.1).
fn add_order(s: &mut [u8]) {
    let mut order = [0_u8; 32];
    order[..16].copy_from_slice(&27_742_317_777_372_353_535_851_937_790_883_648_493_u128.to_le_bytes());
    order[31] = 0x10;
    let mut carry = 0;
    for (digit, order) in s.iter_mut().zip(order) {
        let sum = u16::from(*digit) + u16::from(order) + carry;
        (*digit, carry) = (sum as u8, sum >> 8);
    }
}

/// n − s, big-endian, n the order of P-256.
fn negate(s: &mut [u8]) {
    const ORDER: [u32; 8] =
        [0xffff_ffff, 0, 0xffff_ffff, 0xffff_ffff, 0xbce6_faad, 0xa717_9e84, 0xf3b9_cac2, 0xfc63_2551];
    let mut borrow = 0;
    for (digit, order) in s.iter_mut().zip(ORDER.map(u32::to_be_bytes).as_flattened()).rev() {
        let difference = i16::from(*order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = difference.rem_euclid(256) as u8;
    }
}
