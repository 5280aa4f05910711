//! The keys that a new node begins with: one use a key.
//!
//! | file | use | suite |
//! |---|---|---|
//! | `root.pem`, `root-next.pem` | sign descriptors; kept elsewhere | the node's |
//! | `sign.pem` | statements | the node's |
//! | `log-records.pem`, `log-exchange.pem` | checkpoints | Ed25519 |
//! | `witness.pem` | cosignatures | Ed25519 |
//! | `seal.pem` | what others encrypt to | P-256 |
//!
//! Keys that follow them bear a part of their thumbprint in the name, and only what stands in the file counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::CryptoRng;

use super::file::{AtRest, KeyFileError, write_key};
use super::store::KeyStore;
use crate::log::Origin;
use crate::log::origin::LogName;
use crate::statement::{NodeId, SigningKey, Suite};
use crate::trust::descriptor::{KeyEntry, KeyState, Purpose};

/// The keys that a running node works with.
#[derive(Clone, Debug)]
pub struct NodeKeys {
    /// Signs statements.
    pub sign: Arc<SigningKey>,
    /// Signs the checkpoints of `records`.
    pub log_records: Arc<SigningKey>,
    /// Signs the checkpoints of `exchange`.
    pub log_exchange: Arc<SigningKey>,
    /// Cosigns other nodes' checkpoints.
    pub witness: Arc<SigningKey>,
    /// Opens what others sealed.
    pub seal: Arc<SigningKey>,
}

/// The keys that sign descriptors. They are made once and moved away.
#[derive(Debug)]
pub struct RootKeys {
    /// Signs descriptors.
    pub root: SigningKey,
    /// The one that may follow.
    pub next: SigningKey,
}

impl NodeKeys {
    /// New keys; log and witness keys are Ed25519 in every suite, as C2SP has them.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Self {
        let mut new = |suite| Arc::new(SigningKey::generate(suite, rng));
        Self {
            sign: new(suite),
            log_records: new(Suite::EdDsa),
            log_exchange: new(Suite::EdDsa),
            witness: new(Suite::EdDsa),
            seal: new(Suite::Es256),
        }
    }

    /// Writes those into their folder whose private halves are here, over none that is there.
    pub fn write(&self, folder: &Path, at_rest: &AtRest) -> Result<(), KeyFileError> {
        for (name, key) in [
            ("sign.pem", &self.sign),
            ("log-records.pem", &self.log_records),
            ("log-exchange.pem", &self.log_exchange),
            ("witness.pem", &self.witness),
            ("seal.pem", &self.seal),
        ] {
            if key.is_here() {
                write_key(&folder.join(name), key, at_rest)?;
            }
        }
        Ok(())
    }

    /// As a store that holds them.
    pub fn store(&self) -> KeyStore {
        KeyStore::of([&self.sign, &self.log_records, &self.log_exchange, &self.witness, &self.seal].map(Arc::clone))
    }

    /// As a descriptor names them, all active.
    pub fn entries(&self, node: &NodeId) -> Vec<KeyEntry> {
        let log = |log| Purpose::Log(Origin { node: node.clone(), log, generation: 1 });
        [
            (Purpose::Sign, &self.sign),
            (log(LogName::Records), &self.log_records),
            (log(LogName::Exchange), &self.log_exchange),
            (Purpose::Witness, &self.witness),
            (Purpose::Seal, &self.seal),
        ]
        .map(|(purpose, key)| KeyEntry {
            key: key.public().clone(),
            purpose,
            state: KeyState::Active,
            valid_below: None,
        })
        .into()
    }
}

/// What the file of a key with this purpose is called, without ending.
pub fn stem(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Sign => "sign",
        Purpose::Log(origin) if origin.log == LogName::Records => "log-records",
        Purpose::Log(_) => "log-exchange",
        Purpose::Witness => "witness",
        Purpose::Seal => "seal",
    }
}

/// The file of a key that follows on the first of its purpose.
pub fn file_of(folder: &Path, stem: &str, key: &SigningKey) -> PathBuf {
    let part: String = key.public().kid().chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    folder.join(format!("{stem}-{part}.pem"))
}

impl RootKeys {
    /// New ones.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Self {
        Self { root: SigningKey::generate(suite, rng), next: SigningKey::generate(suite, rng) }
    }

    /// Writes those into a folder whose private halves are here, over none that is there.
    pub fn write(&self, folder: &Path, at_rest: &AtRest) -> Result<(), KeyFileError> {
        for (name, key) in [("root.pem", &self.root), ("root-next.pem", &self.next)] {
            if key.is_here() {
                write_key(&folder.join(name), key, at_rest)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::trust::keys::Passphrases;

    #[test]
    fn keys_come_back_from_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let keys = NodeKeys::generate(Suite::Sm2, &mut StdRng::seed_from_u64(1));
        keys.write(folder.path(), &AtRest::Clear).unwrap();
        let store = KeyStore::open(folder.path(), Passphrases::of_node(None));
        for entry in keys.entries(&"340500".parse().unwrap()) {
            assert_eq!(store.find(&entry.key).unwrap().unwrap().public(), &entry.key);
        }
    }
}
