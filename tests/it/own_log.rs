//! A node's own log with keys and a descriptor, and penalties to append to it.

use std::path::PathBuf;
use std::sync::Arc;

use kaopu::clock::Clock;
use kaopu::log::Origin;
use kaopu::log::appender::{AppendError, Appender};
use kaopu::statement::envelope::sign;
use kaopu::statement::{Audience, Digest, Kinds, Salt, SigningKey, Statement, Subject, Suite, Typ, Verified};
use kaopu::store::Db;
use kaopu::trust::descriptor::{Descriptor, KeyEntry, KeyState, LogEntry, Purpose, thumbprint};
use kaopu::trust::keys::KeyStore;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// When all of it is said, in seconds since 1970.
pub const NOW: i64 = 1_790_000_000;

/// The keys of one log of one node; the same for the same origin in every process.
pub struct OwnLog {
    pub origin: Origin,
    pub sign: Arc<SigningKey>,
    pub log_key: Arc<SigningKey>,
    root: SigningKey,
}

impl OwnLog {
    pub fn of(origin: &str) -> Self {
        let origin: Origin = origin.parse().unwrap();
        let seed = Digest::of(origin.to_string().as_bytes()).0;
        let mut rng = StdRng::from_seed(seed);
        let mut key = || SigningKey::generate(Suite::EdDsa, &mut rng);
        Self { sign: Arc::new(key()), log_key: Arc::new(key()), root: key(), origin }
    }

    /// The descriptor of a sequence; with another signing key where one is given.
    pub fn descriptor(&self, sequence: u64, sign: Option<&SigningKey>) -> Verified {
        let active = |key: &SigningKey, purpose| KeyEntry {
            key: key.public().clone(),
            purpose,
            state: KeyState::Active,
            valid_below: None,
        };
        let descriptor = Descriptor {
            node: self.origin.node.clone(),
            versions: vec![1],
            suites: vec![Suite::EdDsa, Suite::Es256, Suite::Sm2],
            sequence,
            name: "示例市".to_owned(),
            endpoints: vec!["https://127.0.0.1:7443".to_owned()],
            tls: Vec::new(),
            logs: vec![LogEntry { origin: self.origin.clone(), closed_at: None }],
            keys: vec![
                active(sign.unwrap_or(&self.sign), Purpose::Sign),
                active(&self.log_key, Purpose::Log(self.origin.clone())),
            ],
            root: self.root.public().clone(),
            next_root: thumbprint(self.sign.public()),
            refresh: 3600,
            valid_until: NOW + 86_400 * 365,
            predecessor: None,
            successor: None,
        };
        descriptor.sign(&self.root, NOW, &mut StdRng::seed_from_u64(sequence)).unwrap()
    }

    fn keys(&self) -> KeyStore {
        KeyStore::of([Arc::clone(&self.sign), Arc::clone(&self.log_key)])
    }

    /// Starts its appender; the log is made where it is not there.
    pub async fn start(&self, db: &Db) -> Appender {
        db.create_log(&self.origin, true).await.unwrap();
        let (kinds, clock) = (Kinds::builtin().unwrap(), Clock::fixed(NOW * 1000));
        Appender::start(db.clone(), self.origin.clone(), self.keys(), kinds, clock).await.unwrap()
    }

    /// The same with a file that remembers the largest checkpoint.
    pub async fn start_remembering(&self, db: Db, file: PathBuf) -> Result<Appender, AppendError> {
        db.create_log(&self.origin, true).await.unwrap();
        let (kinds, clock) = (Kinds::builtin().unwrap(), Clock::fixed(NOW * 1000));
        Appender::start_remembering(db, self.origin.clone(), self.keys(), kinds, clock, Some(file)).await
    }

    /// A version of the record of a number; `salt` makes it unlike any other.
    pub fn penalty(&self, record: u64, salt: u128, prev: Option<Digest>) -> Verified {
        sign(self.unsigned(record, salt, prev), &self.sign).unwrap()
    }

    pub fn unsigned(&self, record: u64, salt: u128, prev: Option<Digest>) -> Statement {
        let name = format!("示例{}有限公司", record % 100);
        let body = serde_json::json!({
            "name": name,
            "number": format!("示例罚〔2026〕{record}号"),
            "violation": "示例违法行为",
            "facts": "示例事实",
            "basis": "《示例条例》第一条",
            "category": ["罚款"],
            "content": "罚款示例",
            "decided": "2026-01-15",
            "authority": "示例市市场监督管理局",
        });
        Statement {
            typ: Typ::first("penalty"),
            iss: self.origin.node.clone(),
            iat: NOW,
            aud: Audience::Everyone,
            salt: Salt(salt.to_be_bytes()),
            sub: Some(Subject::Named { name }),
            prev,
            refs: Vec::new(),
            body: body.as_object().unwrap().clone(),
        }
    }
}
