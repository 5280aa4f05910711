//! A notice as a webhook gets it: a compact JWS under the node's signing key. It is no statement: its `typ` is none that a
//! statement can have, so neither is ever taken for the other, and it stands in no log.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::statement::{NodeId, SigningFailed, SigningKey};
use crate::store::inbox::NoticeRow;

/// The `typ` of its protected header.
pub const TYP: &str = "kaopu-notice.1+jws";

/// The payload. What a statement says is not in it: for that it is looked up, with the purpose of the look-up.
#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a NodeId,
    aud: &'a str,
    iat: i64,
    jti: &'a str,
    event: &'static str,
    follower: &'a str,
    purpose: &'a str,
    subject: About<'a>,
    statement: Told<'a>,
    noticed_ms: i64,
}

#[derive(Serialize)]
struct About<'a> {
    key: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Told<'a> {
    digest: String,
    kind: &'a str,
    version: i64,
    issuer: &'a str,
    log: &'a str,
    index: u64,
    iat: i64,
    #[serde(rename = "ref")]
    about: &'a [String],
}

/// The id of a notice, the same however often it is delivered: by it a receiver knows what it has had.
pub fn delivery_id(node: &NodeId, notice: &NoticeRow) -> String {
    format!("{node}-{}", notice.id)
}

/// Signs a notice for the webhook of this address; `now` in seconds since 1970.
pub fn sign(node: &NodeId, url: &str, notice: &NoticeRow, key: &SigningKey, now: i64) -> Result<String, SigningFailed> {
    let header = serde_json::json!({"alg": key.public().suite().alg(), "kid": key.public().kid(), "typ": TYP});
    let payload = Payload {
        iss: node,
        aud: url,
        iat: now,
        jti: &delivery_id(node, notice),
        event: event(notice),
        follower: &notice.follower,
        purpose: &notice.purpose,
        subject: About { key: &notice.subject, name: &notice.name },
        statement: Told {
            digest: notice.digest.to_string(),
            kind: &notice.kind,
            version: notice.version,
            issuer: issuer(&notice.origin),
            log: &notice.origin,
            index: notice.index,
            iat: notice.iat,
            about: &notice.about,
        },
        noticed_ms: notice.at_ms,
    };
    let payload = serde_json::to_string(&payload).map_err(|error| SigningFailed(error.to_string()))?;
    let mut jws = URL_SAFE_NO_PAD.encode(header.to_string());
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut jws);
    let signature = key.sign(jws.as_bytes())?;
    jws.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut jws);
    Ok(jws)
}

/// What has become of the statement: `published`, or `void` where it does not stand any more.
pub fn event(notice: &NoticeRow) -> &'static str {
    if notice.stands { "published" } else { "void" }
}

/// The node whose log an origin names.
pub fn issuer(origin: &str) -> &str {
    origin.split('/').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::statement::{Digest, Suite, Unverified};

    #[test]
    fn a_notice_verifies_under_the_nodes_key_and_is_no_statement() {
        let notice = NoticeRow {
            id: 17,
            follower: "普陀区商务委".to_owned(),
            purpose: "supervision".to_owned(),
            subject: "91350100M000100Y43".to_owned(),
            name: "示例\"有限公司".to_owned(),
            stands: true,
            origin: "kaopu/340500/records/1".to_owned(),
            index: 9,
            digest: Digest([7; 32]),
            kind: "penalty".to_owned(),
            version: 1,
            iat: 1_790_000_000,
            about: Vec::new(),
            at_ms: 1_790_000_001_000,
            seen_ms: None,
        };
        for suite in Suite::ALL {
            let key = SigningKey::from_seed(suite, &[5; 32]).unwrap();
            let jws = sign(&"310107".parse().unwrap(), "https://a.example/x", &notice, &key, 1_790_000_002).unwrap();
            let (signed, signature) = jws.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            assert!(key.public().verify(signed.as_bytes(), &signature));
            let [header, payload] = [0, 1].map(|part| -> Value {
                let part = URL_SAFE_NO_PAD.decode(jws.split('.').nth(part).unwrap()).unwrap();
                serde_json::from_slice(&part).unwrap()
            });
            assert_eq!((header["typ"].as_str(), header["kid"].as_str()), (Some(TYP), Some(key.public().kid())));
            assert_eq!((&payload["jti"], &payload["statement"]["issuer"]), (&"310107-17".into(), &"340500".into()));
            assert_eq!((&payload["event"], &payload["aud"]), (&"published".into(), &"https://a.example/x".into()));
            assert!(Unverified::parse(&jws).is_err(), "it is no statement");
        }
    }
}
