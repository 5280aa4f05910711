//! Cities for tests: each with its keys, its authority and certificate, its descriptor, and perhaps a place where it
//! answers. All of them are invented.

use std::sync::Arc;

use kaopu::clock::Clock;
use kaopu::log::note::VerifierKey;
use kaopu::log::{Origin, origin::LogName};
use kaopu::statement::{
    Audience, Digest, NodeId, Salt, SigningKey, Statement, Subject, Suite, Typ, Verified, envelope,
};
use kaopu::store::peer::PeerRow;
use kaopu::trust::descriptor::{Descriptor, KeyEntry, KeyState, LogEntry, Purpose, TlsTrust, thumbprint};
use kaopu::trust::keys::KeyStore;
use kaopu::trust::state::PeerState;
use kaopu::trust::tls::Identity;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value, json};

/// Seconds since 1970 at which everything in these tests is said.
pub const NOW: i64 = 1_790_000_000;

/// A clock that stands there.
pub fn clock() -> Clock {
    Clock::fixed(NOW * 1000)
}

/// One city.
pub struct City {
    pub node: NodeId,
    pub root: SigningKey,
    pub sign: SigningKey,
    pub log_key: Arc<SigningKey>,
    pub exchange_key: Arc<SigningKey>,
    pub witness: Arc<SigningKey>,
    pub identity: Arc<Identity>,
    pub descriptor: Descriptor,
    /// Its first descriptor, signed.
    pub first: Verified,
}

impl City {
    /// A city that answers at `url`.
    pub fn new(node: &str, url: &str) -> Self {
        let node: NodeId = node.parse().unwrap();
        let (identity, _, ca) = certificates(&node);
        Self::with(node, url, identity, ca)
    }

    /// The same, with a certificate and the authority that it is under.
    pub fn with(node: NodeId, url: &str, identity: Identity, ca: CertificateDer<'static>) -> Self {
        let key = |n: u8| {
            let mut seed = *Digest::of(node.as_str().as_bytes()).as_bytes();
            seed[0] = n;
            SigningKey::from_seed(Suite::EdDsa, &seed).unwrap()
        };
        let [root, next, sign, log_key, exchange_key, witness] = [1, 2, 3, 4, 5, 6].map(key);
        let log = |name| Origin { node: node.clone(), log: name, generation: 1 };
        let (records, exchange) = (log(LogName::Records), log(LogName::Exchange));
        let entry = |key: &SigningKey, purpose| KeyEntry {
            key: key.public().clone(),
            purpose,
            state: KeyState::Active,
            valid_below: None,
        };
        let descriptor = Descriptor {
            node: node.clone(),
            versions: vec![1],
            suites: vec![Suite::EdDsa, Suite::Es256, Suite::Sm2],
            sequence: 1,
            name: format!("示例市{node}"),
            endpoints: vec![url.to_owned()],
            tls: vec![TlsTrust { certificate: ca, state: KeyState::Active }],
            logs: [&records, &exchange].map(|origin| LogEntry { origin: origin.clone(), closed_at: None }).to_vec(),
            keys: vec![
                entry(&sign, Purpose::Sign),
                entry(&log_key, Purpose::Log(records)),
                entry(&exchange_key, Purpose::Log(exchange)),
                entry(&witness, Purpose::Witness),
            ],
            root: root.public().clone(),
            next_root: thumbprint(next.public()),
            refresh: 3600,
            valid_until: NOW + 86_400 * 365,
            predecessor: None,
            successor: None,
        };
        let first = descriptor.sign(&root, NOW, &mut StdRng::seed_from_u64(7)).unwrap();
        let [log_key, exchange_key, witness] = [log_key, exchange_key, witness].map(Arc::new);
        Self { node, root, sign, log_key, exchange_key, witness, identity: Arc::new(identity), descriptor, first }
    }

    /// Its records log.
    pub fn records(&self) -> Origin {
        Origin { node: self.node.clone(), log: LogName::Records, generation: 1 }
    }

    /// Its exchange log.
    pub fn exchange(&self) -> Origin {
        Origin { node: self.node.clone(), log: LogName::Exchange, generation: 1 }
    }

    /// The private halves that a serving node works with.
    pub fn keys(&self) -> KeyStore {
        let sign = Arc::new(SigningKey::from_pem(&self.sign.to_pem().unwrap()).unwrap());
        KeyStore::of([sign, Arc::clone(&self.log_key), Arc::clone(&self.exchange_key), Arc::clone(&self.witness)])
    }

    /// An invented penalty about an enterprise, unlike those of other numbers.
    pub fn penalty_of(&self, uscc: &str, number: u64) -> Statement {
        let mut penalty = self.draft(number);
        let name = "示例有限公司".to_owned();
        penalty.body.insert("uscc".to_owned(), uscc.into());
        penalty.body.insert("name".to_owned(), name.clone().into());
        penalty.sub = Some(Subject::Enterprise { uscc: uscc.to_owned(), name });
        penalty
    }

    /// As others keep it.
    pub fn peer_row(&self) -> PeerRow {
        PeerRow::new(self.node.clone(), PeerState::Active, self.first.jws(), 1, NOW * 1000)
    }

    /// The key of its records log.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.records().to_string(), key: self.log_key.public().ed25519_bytes().unwrap() }
    }

    /// An invented penalty, unlike those of other numbers.
    pub fn penalty(&self, number: u64) -> Verified {
        self.say(self.draft(number))
    }

    /// The same before it is signed.
    pub fn draft(&self, number: u64) -> Statement {
        let name = format!("示例{number}有限公司");
        Statement {
            typ: Typ::first("penalty"),
            iss: self.node.clone(),
            iat: NOW,
            aud: Audience::Everyone,
            salt: Salt::random(&mut StdRng::seed_from_u64(number)),
            sub: Some(Subject::Named { name: name.clone() }),
            prev: None,
            refs: Vec::new(),
            body: penalty(number, &name),
        }
    }

    /// Signs what a draft says.
    pub fn say(&self, statement: Statement) -> Verified {
        envelope::sign(statement, &self.sign).unwrap()
    }
}

fn penalty(number: u64, name: &str) -> Map<String, Value> {
    let body = json!({
        "name": name,
        "number": format!("示例罚字〔2026〕第{number}号"),
        "violation": "示例违法行为",
        "facts": "示例违法事实",
        "basis": "示例处罚依据",
        "category": ["罚款"],
        "content": "示例处罚内容",
        "fine": "1.5",
        "decided": "2026-01-15",
        "authority": "示例市场监督管理局",
    });
    let Value::Object(body) = body else { unreachable!() };
    body
}

/// A certificate that names a node, the same with its key as PEM, and an authority of the node's own that it is under.
pub fn certificates(node: &NodeId) -> (Identity, String, CertificateDer<'static>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_der = ca.self_signed(&ca_key).unwrap().der().clone();

    let key = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name.push(DnType::CommonName, node.as_str());
    leaf.subject_alt_names = vec![SanType::URI(format!("kaopu:node:{node}").try_into().unwrap())];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    let pem = certificate.pem() + &key.serialize_pem();
    let chain = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let identity = Identity::new(node.clone(), chain, key, clock()).unwrap();
    (identity, pem, ca_der)
}
