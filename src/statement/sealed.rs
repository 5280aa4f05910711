//! What is sealed for one node: a JWE (RFC 7516) to its sealing key, `ECDH-ES+A256KW` with `A256GCM`. Sender and receiver
//! stand in `apu` and `apv`, so that what was sealed from one for another opens between no others.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwe::{self, ECDH_ES_A256KW, JweHeader};
use josekit::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{NodeId, PublicKey, SigningKey, Suite};

/// Between whom something is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Between<'a> {
    /// Who seals.
    pub sender: &'a NodeId,
    /// Who opens.
    pub receiver: &'a NodeId,
}

/// Why something was not sealed, or not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Only P-256 keys seal.
    #[error("a sealing key is on P-256")]
    Key,
    /// It is no JWE as this protocol has them.
    #[error("not sealed as this protocol seals: {0}")]
    Form(&'static str),
    /// Sealed from another, or for another.
    #[error("sealed between other nodes")]
    Parties,
    /// The key that it was sealed for is not here.
    #[error("sealed for a key that is not here")]
    NoKey,
    /// It was changed on its way, or sealed for another key.
    #[error("does not open")]
    Broken,
}

/// Exactly these members, and no compression: what is sealed is short.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    enc: String,
    kid: String,
    apu: String,
    apv: String,
    #[serde(rename = "epk")]
    _epk: Value,
}

const ALG: &str = "ECDH-ES+A256KW";
const ENC: &str = "A256GCM";

/// Seals for a node's key.
pub fn seal(plain: &[u8], key: &PublicKey, between: Between<'_>) -> Result<String, SealError> {
    let Value::Object(members) = key.jwk() else { return Err(SealError::Key) };
    if key.suite() != Suite::Es256 {
        return Err(SealError::Key);
    }
    let jwk = Jwk::from_map(members).map_err(|_| SealError::Key)?;
    let encrypter = ECDH_ES_A256KW.encrypter_from_jwk(&jwk).map_err(|_| SealError::Key)?;
    let mut header = JweHeader::new();
    header.set_content_encryption(ENC);
    header.set_key_id(key.kid());
    header.set_agreement_partyuinfo(between.sender.as_str());
    header.set_agreement_partyvinfo(between.receiver.as_str());
    jwe::serialize_compact(plain, &header, &encrypter).map_err(|_| SealError::Broken)
}

/// The thumbprint of the key that something is sealed for.
pub fn sealed_for(jwe: &str) -> Result<String, SealError> {
    header(jwe).map(|header| header.kid)
}

/// Opens what was sealed for a key that is here.
pub fn open(jwe: &str, key: &Arc<SigningKey>, between: Between<'_>) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let header = header(jwe)?;
    let is = |member: &str, node: &NodeId| member == URL_SAFE_NO_PAD.encode(node.as_str());
    if !is(&header.apu, between.sender) || !is(&header.apv, between.receiver) {
        return Err(SealError::Parties);
    }
    if header.kid != key.public().kid() || key.public().suite() != Suite::Es256 {
        return Err(SealError::NoKey);
    }
    let pem = key.to_pem().ok_or(SealError::NoKey)?;
    let decrypter = ECDH_ES_A256KW.decrypter_from_pem(pem.as_bytes()).map_err(|_| SealError::Key)?;
    let (plain, _) = jwe::deserialize_compact(jwe, &decrypter).map_err(|_| SealError::Broken)?;
    Ok(Zeroizing::new(plain))
}

fn header(jwe: &str) -> Result<Header, SealError> {
    let (header, _) = jwe.split_once('.').ok_or(SealError::Form("not compact"))?;
    let bytes = URL_SAFE_NO_PAD.decode(header).map_err(|_| SealError::Form("base64url"))?;
    let header: Header = serde_json::from_slice(&bytes).map_err(|_| SealError::Form("header"))?;
    if header.alg != ALG || header.enc != ENC {
        return Err(SealError::Form("algorithm"));
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> Arc<SigningKey> {
        Arc::new(SigningKey::from_seed(Suite::Es256, &[seed; 32]).unwrap())
    }

    fn nodes() -> [NodeId; 3] {
        ["310107", "340500", "341200"].map(|node| node.parse().unwrap())
    }

    #[test]
    fn what_is_sealed_opens_between_the_two_alone() {
        let [putuo, maanshan, fuyang] = nodes();
        let between = Between { sender: &putuo, receiver: &maanshan };
        let jwe = seal("示例".as_bytes(), key(1).public(), between).unwrap();
        assert_eq!(sealed_for(&jwe).unwrap(), key(1).public().kid());
        assert_eq!(open(&jwe, &key(1), between).unwrap().as_slice(), "示例".as_bytes());
        for other in [
            Between { sender: &fuyang, receiver: &maanshan },
            Between { sender: &putuo, receiver: &fuyang },
            Between { sender: &maanshan, receiver: &putuo },
        ] {
            assert_eq!(open(&jwe, &key(1), other).unwrap_err(), SealError::Parties);
        }
        assert_eq!(open(&jwe, &key(2), between).unwrap_err(), SealError::NoKey);
        assert_ne!(seal("示例".as_bytes(), key(1).public(), between).unwrap(), jwe, "never twice the same");
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let [putuo, maanshan, fuyang] = nodes();
        let between = Between { sender: &putuo, receiver: &maanshan };
        let jwe = seal(b"example", key(1).public(), between).unwrap();
        for at in [jwe.len() - 3, jwe.rfind('.').unwrap() - 4] {
            let mut changed = jwe.clone();
            changed.replace_range(at..=at, if &changed[at..=at] == "A" { "B" } else { "A" });
            assert_eq!(open(&changed, &key(1), between).unwrap_err(), SealError::Broken);
        }
        // a header that names another receiver has another key
        let (head, rest) = jwe.split_once('.').unwrap();
        let members = String::from_utf8(URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
        let apv = |node: &NodeId| URL_SAFE_NO_PAD.encode(node.as_str());
        let members = members.replace(&apv(&maanshan), &apv(&fuyang));
        let renamed = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(members));
        let theirs = Between { sender: &putuo, receiver: &fuyang };
        assert_eq!(open(&renamed, &key(1), theirs).unwrap_err(), SealError::Broken);
    }

    #[test]
    fn only_what_this_protocol_seals_is_opened() {
        let [putuo, maanshan, _] = nodes();
        let between = Between { sender: &putuo, receiver: &maanshan };
        let of = |header: &str| format!("{}.a.b.c.d", URL_SAFE_NO_PAD.encode(header));
        for (jwe, form) in [
            ("x".to_owned(), "not compact"),
            ("é.a".to_owned(), "base64url"),
            (of("{}"), "header"),
            (of(r#"{"alg":"dir","enc":"A256GCM","kid":"k","apu":"","apv":"","epk":{}}"#), "algorithm"),
            (
                of(r#"{"alg":"ECDH-ES+A256KW","enc":"A256GCM","kid":"k","apu":"","apv":"","epk":{},"zip":"DEF"}"#),
                "header",
            ),
        ] {
            assert_eq!(open(&jwe, &key(1), between).unwrap_err(), SealError::Form(form), "{jwe}");
        }
        let ed25519 = SigningKey::from_seed(Suite::EdDsa, &[1; 32]).unwrap();
        assert_eq!(seal(b"x", ed25519.public(), between), Err(SealError::Key));
    }
}
