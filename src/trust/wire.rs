//! The body of a descriptor, as it stands in the statement. Unknown members are ignored, here only: a node must be able to
//! read the descriptor of one that is newer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::descriptor::{
    Descriptor, DescriptorError, KeyEntry, KeyState, LogEntry, Purpose, TlsTrust, ValidBelow, is_endpoint,
};
use crate::log::Origin;
use crate::statement::{Digest, NodeId, PublicKey, Statement, Suite};

/// More keys, logs, authorities or endpoints than this, and it is no descriptor.
const MOST: usize = 64;

#[derive(Serialize, Deserialize)]
struct Body {
    versions: Vec<u32>,
    suites: Vec<String>,
    sequence: u64,
    name: String,
    endpoints: Vec<String>,
    tls: Vec<Tls>,
    root: Value,
    next_root: Digest,
    logs: Vec<Log>,
    keys: Vec<Key>,
    refresh: u64,
    valid_until: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    predecessor: Option<NodeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<NodeId>,
}

#[derive(Serialize, Deserialize)]
struct Tls {
    certificate: String,
    state: KeyState,
}

#[derive(Serialize, Deserialize)]
struct Log {
    origin: Origin,
    state: LogStage,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogStage {
    Open,
    Closed,
}

#[derive(Serialize, Deserialize)]
struct Key {
    #[serde(rename = "use")]
    purpose: Use,
    state: KeyState,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    jwk: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_below: Option<ValidBelow>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Use {
    Sign,
    Log,
    Witness,
    Seal,
}

/// The body of a descriptor.
pub(super) fn encode(descriptor: &Descriptor) -> Result<Map<String, Value>, DescriptorError> {
    let body = Body {
        versions: descriptor.versions.clone(),
        suites: descriptor.suites.iter().map(|suite| suite.alg().to_owned()).collect(),
        sequence: descriptor.sequence,
        name: descriptor.name.clone(),
        endpoints: descriptor.endpoints.clone(),
        tls: descriptor.tls.iter().map(Tls::from).collect(),
        root: descriptor.root.jwk(),
        next_root: descriptor.next_root,
        logs: descriptor.logs.iter().map(Log::from).collect(),
        keys: descriptor.keys.iter().map(Key::from).collect(),
        refresh: descriptor.refresh,
        valid_until: descriptor.valid_until,
        predecessor: descriptor.predecessor.clone(),
        successor: descriptor.successor.clone(),
    };
    match serde_json::to_value(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(DescriptorError::Member("body", "not an object".to_owned())),
        Err(error) => Err(DescriptorError::Member("body", error.to_string())),
    }
}

/// From the body of a statement, whose signature is not checked here.
pub(super) fn decode(statement: &Statement) -> Result<Descriptor, DescriptorError> {
    let refuse = |member, why: &str| Err(DescriptorError::Member(member, why.to_owned()));
    let body: Body = serde_json::from_value(Value::Object(statement.body.clone()))
        .map_err(|error| DescriptorError::Member("body", error.to_string()))?;
    if !body.versions.contains(&1) {
        return refuse("versions", "version 1 of the protocol is not among them");
    }
    if body.sequence == 0 {
        return refuse("sequence", "it counts from 1");
    }
    if body.name.is_empty() || body.name.chars().count() > 100 {
        return refuse("name", "1 to 100 characters are expected");
    }
    if body.endpoints.len().max(body.tls.len()).max(body.logs.len()).max(body.keys.len()) > MOST {
        return refuse("body", "a list with more than 64 members");
    }
    if let Some(bad) = body.endpoints.iter().find(|url| !is_endpoint(url)) {
        return refuse("endpoints", &format!("{bad:.80?} is not https://host:port"));
    }
    let logs = body.logs.into_iter().map(|log| log.decode(&statement.iss)).collect::<Result<_, _>>()?;
    let keys = body.keys.into_iter().map(|key| key.decode(&statement.iss)).collect::<Result<Vec<_>, _>>()?;
    let root = key("root", &body.root)?;
    if keys.iter().any(|entry| entry.key == root) {
        return refuse("keys", "the root key does nothing but sign descriptors");
    }
    for (place, entry) in keys.iter().enumerate() {
        if keys[..place].iter().any(|other| other.key == entry.key) {
            return refuse("keys", "a key has one use");
        }
    }
    Ok(Descriptor {
        node: statement.iss.clone(),
        versions: body.versions,
        // a suite that this node does not know is none of its business
        suites: body.suites.iter().filter_map(|alg| Suite::from_alg(alg)).collect(),
        sequence: body.sequence,
        name: body.name,
        endpoints: body.endpoints,
        tls: body.tls.into_iter().map(Tls::decode).collect::<Result<_, _>>()?,
        logs,
        keys,
        root,
        next_root: body.next_root,
        refresh: body.refresh,
        valid_until: body.valid_until,
        predecessor: body.predecessor,
        successor: body.successor,
    })
}

fn key(member: &'static str, jwk: &Value) -> Result<PublicKey, DescriptorError> {
    PublicKey::from_jwk(jwk).map_err(|error| DescriptorError::Member(member, error.to_string()))
}

impl From<&TlsTrust> for Tls {
    fn from(trust: &TlsTrust) -> Self {
        Self { certificate: URL_SAFE_NO_PAD.encode(&trust.certificate), state: trust.state }
    }
}

impl Tls {
    fn decode(self) -> Result<TlsTrust, DescriptorError> {
        let refuse = |why: &str| DescriptorError::Member("tls", why.to_owned());
        let der = URL_SAFE_NO_PAD.decode(&self.certificate).map_err(|_| refuse("a certificate not in base64url"))?;
        let (rest, certificate) = X509Certificate::from_der(&der).map_err(|_| refuse("not a certificate"))?;
        if !rest.is_empty() || !certificate.is_ca() {
            return Err(refuse("not the certificate of an authority"));
        }
        Ok(TlsTrust { certificate: CertificateDer::from(der), state: self.state })
    }
}

impl From<&LogEntry> for Log {
    fn from(log: &LogEntry) -> Self {
        let state = if log.closed_at.is_some() { LogStage::Closed } else { LogStage::Open };
        Self { origin: log.origin.clone(), state, size: log.closed_at }
    }
}

impl Log {
    fn decode(self, owner: &NodeId) -> Result<LogEntry, DescriptorError> {
        let refuse = |why: &str| Err(DescriptorError::Member("logs", why.to_owned()));
        if self.origin.node != *owner {
            return refuse("a log of another node");
        }
        match (self.state, self.size) {
            (LogStage::Open, None) | (LogStage::Closed, Some(_)) => {
                Ok(LogEntry { origin: self.origin, closed_at: self.size })
            }
            (LogStage::Open, Some(_)) => refuse("an open log has no closing size"),
            (LogStage::Closed, None) => refuse("a closed log has a closing size"),
        }
    }
}

impl From<&KeyEntry> for Key {
    fn from(entry: &KeyEntry) -> Self {
        let (purpose, origin) = match &entry.purpose {
            Purpose::Sign => (Use::Sign, None),
            Purpose::Log(origin) => (Use::Log, Some(origin.clone())),
            Purpose::Witness => (Use::Witness, None),
            Purpose::Seal => (Use::Seal, None),
        };
        Self { purpose, state: entry.state, origin, jwk: entry.key.jwk(), valid_below: entry.valid_below.clone() }
    }
}

impl Key {
    fn decode(self, owner: &NodeId) -> Result<KeyEntry, DescriptorError> {
        let refuse = |why: &str| Err(DescriptorError::Member("keys", why.to_owned()));
        let key = key("keys", &self.jwk)?;
        let purpose = match (self.purpose, self.origin) {
            (Use::Sign, None) => Purpose::Sign,
            (Use::Witness, None) => Purpose::Witness,
            (Use::Seal, None) => Purpose::Seal,
            (Use::Log, Some(origin)) if origin.node == *owner => Purpose::Log(origin),
            _ => return refuse("an origin of the node's own is named by log keys, and only by them"),
        };
        if matches!(purpose, Purpose::Log(_) | Purpose::Witness) && key.suite() != Suite::EdDsa {
            return refuse("logs and witnesses sign with Ed25519");
        }
        if self.valid_below.is_some() && self.state != KeyState::Compromised {
            return refuse("valid_below is for compromised keys");
        }
        if let Some(ValidBelow::Each(logs)) = &self.valid_below
            && logs.keys().any(|origin| origin.node != *owner)
        {
            return refuse("valid_below names logs of the node's own");
        }
        Ok(KeyEntry { key, purpose, state: self.state, valid_below: self.valid_below })
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use serde_json::json;

    use super::*;
    use crate::statement::{Audience, Salt, SigningKey, Typ};

    fn statement(bend: impl FnOnce(&mut Map<String, Value>)) -> Statement {
        let mut rng = StdRng::seed_from_u64(1);
        let mut jwk = |suite| SigningKey::generate(suite, &mut rng).public().jwk();
        let Value::Object(mut body) = json!({
            "versions": [1, 2], "suites": ["EdDSA", "of the future"], "sequence": 1, "name": "示例市",
            "endpoints": ["https://127.0.0.1:7443"], "tls": [], "root": jwk(Suite::EdDsa),
            "next_root": Digest::of(b"next"),
            "logs": [{"origin": "kaopu/340500/records/1", "state": "open", "more": true}],
            "keys": [
                {"use": "sign", "state": "active", "jwk": jwk(Suite::Sm2)},
                {"use": "log", "state": "next", "origin": "kaopu/340500/records/1", "jwk": jwk(Suite::EdDsa)},
            ],
            "refresh": 3600, "valid_until": 1_800_000_000, "of the future": {"x": 1},
        }) else {
            unreachable!()
        };
        bend(&mut body);
        Statement {
            typ: Typ::first("descriptor"),
            iss: "340500".parse().unwrap(),
            iat: 0,
            aud: Audience::Everyone,
            salt: Salt([0; 16]),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body,
        }
    }

    #[test]
    fn unknown_members_and_suites_are_ignored() {
        let descriptor = decode(&statement(|_| ())).unwrap();
        assert_eq!((descriptor.suites, descriptor.keys.len()), (vec![Suite::EdDsa], 2));
    }

    #[test]
    fn a_compromised_key_ends_in_each_log_at_its_own_index_or_in_all_at_one() {
        let [records, exchange]: [Origin; 2] =
            ["kaopu/340500/records/1", "kaopu/340500/exchange/1"].map(|origin| origin.parse().unwrap());
        for (written, ends) in [
            (json!(5), [5, 5]),
            (json!({"kaopu/340500/records/1": 5, "kaopu/340500/exchange/1": 7}), [5, 7]),
            (json!({"kaopu/340500/records/1": 5}), [5, 0]),
        ] {
            let mut descriptor = decode(&statement(|b| {
                b["keys"][0]["state"] = json!("compromised");
                b["keys"][0]["valid_below"] = written.clone();
            }))
            .unwrap();
            assert_eq!(encode(&descriptor).unwrap()["keys"][0]["valid_below"], written);
            let below = descriptor.keys.swap_remove(0).valid_below.unwrap();
            assert_eq!([below.of(&records), below.of(&exchange)], ends);
        }
    }

    #[test]
    fn what_contradicts_itself_is_no_descriptor() {
        type Bend = fn(&mut Map<String, Value>);
        let cases: [(&str, &str, Bend); 16] = [
            ("versions", "a protocol not spoken here", |b| b["versions"] = json!([2])),
            ("sequence", "a sequence of 0", |b| b["sequence"] = json!(0)),
            ("name", "no name", |b| b["name"] = json!("")),
            ("endpoints", "an address in clear", |b| b["endpoints"] = json!(["http://127.0.0.1"])),
            ("body", "no root", |b| drop(b.remove("root"))),
            ("body", "too many logs", |b| b["logs"] = json!(vec![b["logs"][0].clone(); 65])),
            ("logs", "a log of another node", |b| b["logs"][0]["origin"] = json!("kaopu/310107/records/1")),
            ("logs", "closed, but where", |b| b["logs"][0]["state"] = json!("closed")),
            ("logs", "open with an end", |b| b["logs"][0]["size"] = json!(5)),
            ("keys", "the root signs statements", |b| b["keys"][0]["jwk"] = b["root"].clone()),
            ("keys", "one key for two uses", |b| b["keys"][0]["jwk"] = b["keys"][1]["jwk"].clone()),
            ("keys", "a log key without its log", |b| b["keys"][1]["origin"] = Value::Null),
            ("keys", "a log key of SM2", |b| {
                b["keys"][1]["jwk"] = b["keys"][0]["jwk"].take();
                b["keys"][0]["jwk"] = SigningKey::generate(Suite::Es256, &mut StdRng::seed_from_u64(9)).public().jwk();
            }),
            ("keys", "an end of what is not compromised", |b| b["keys"][0]["valid_below"] = json!(5)),
            ("keys", "an end in another's log", |b| {
                b["keys"][0]["state"] = json!("compromised");
                b["keys"][0]["valid_below"] = json!({"kaopu/310107/records/1": 5});
            }),
            ("tls", "no certificate", |b| b["tls"] = json!([{"certificate": "AAAA", "state": "active"}])),
        ];
        for (expected, what, bend) in cases {
            match decode(&statement(bend)) {
                Err(DescriptorError::Member(member, _)) => assert_eq!(member, expected, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        }
    }
}
