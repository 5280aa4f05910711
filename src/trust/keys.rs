//! A node's private keys on disk: one file a key, one use a key, readable by its owner only.
//!
//! | file | use | suite |
//! |---|---|---|
//! | `root.pem`, `root-next.pem` | sign descriptors; kept elsewhere | the node's |
//! | `sign.pem` | statements | the node's |
//! | `log-records.pem`, `log-exchange.pem` | checkpoints | Ed25519 |
//! | `witness.pem` | cosignatures | Ed25519 |
//! | `seal.pem` | what others encrypt to | P-256 |
//! | `person.key` | natural persons are known under it | HMAC-SHA-256 |

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::CryptoRng;
use zeroize::Zeroizing;

use super::descriptor::{KeyEntry, KeyState, Purpose};
use crate::log::Origin;
use crate::log::origin::LogName;
use crate::statement::key::KeyError;
use crate::statement::{NodeId, SigningKey, Suite};

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

/// Why a key can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others can read it.
    #[error("{}: others than its owner can read it; `chmod 600` it", path.display())]
    Readable {
        /// Which.
        path: PathBuf,
    },
    /// It holds no key.
    #[error("{}: {error}", path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        error: KeyError,
    },
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

    /// Reads them from their folder.
    pub fn read(folder: &Path) -> Result<Self, KeyFileError> {
        let read = |name: &str| read_key(&folder.join(name)).map(Arc::new);
        Ok(Self {
            sign: read("sign.pem")?,
            log_records: read("log-records.pem")?,
            log_exchange: read("log-exchange.pem")?,
            witness: read("witness.pem")?,
            seal: read("seal.pem")?,
        })
    }

    /// Writes them into their folder, over none that is there.
    pub fn write(&self, folder: &Path) -> Result<(), KeyFileError> {
        for (name, key) in [
            ("sign.pem", &self.sign),
            ("log-records.pem", &self.log_records),
            ("log-exchange.pem", &self.log_exchange),
            ("witness.pem", &self.witness),
            ("seal.pem", &self.seal),
        ] {
            write_secret(&folder.join(name), key.to_pem().as_bytes())?;
        }
        Ok(())
    }

    /// The key of one of the logs.
    pub fn log(&self, log: LogName) -> &Arc<SigningKey> {
        match log {
            LogName::Records => &self.log_records,
            LogName::Exchange => &self.log_exchange,
        }
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

impl RootKeys {
    /// New ones.
    pub fn generate(suite: Suite, rng: &mut dyn CryptoRng) -> Self {
        Self { root: SigningKey::generate(suite, rng), next: SigningKey::generate(suite, rng) }
    }

    /// Writes them into a folder, over none that is there.
    pub fn write(&self, folder: &Path) -> Result<(), KeyFileError> {
        write_secret(&folder.join("root.pem"), self.root.to_pem().as_bytes())?;
        write_secret(&folder.join("root-next.pem"), self.next.to_pem().as_bytes())
    }
}

/// Reads a private key that its owner alone may read.
pub fn read_key(path: &Path) -> Result<SigningKey, KeyFileError> {
    let pem = read_secret(path)?;
    SigningKey::from_pem(&pem).map_err(|error| KeyFileError::Key { path: path.to_owned(), error })
}

/// Reads a file that its owner alone may read.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |error| KeyFileError::File { path: path.to_owned(), error };
    if others_can_read(path).map_err(failed)? {
        return Err(KeyFileError::Readable { path: path.to_owned() });
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

/// Writes a new file that its owner alone may read, and sees it onto the disk.
pub fn write_secret(path: &Path, text: &[u8]) -> Result<(), KeyFileError> {
    let write = || {
        let mut file = create_private(path)?;
        file.write_all(text)?;
        file.sync_all()?;
        // a file is only there after a crash if its folder says so
        path.parent().filter(|folder| *folder != Path::new("")).map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| KeyFileError::File { path: path.to_owned(), error })
}

fn create_private(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

fn others_can_read(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn keys_come_back_from_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let keys = NodeKeys::generate(Suite::Sm2, &mut StdRng::seed_from_u64(1));
        keys.write(folder.path()).unwrap();
        let again = NodeKeys::read(folder.path()).unwrap();
        let node = "340500".parse().unwrap();
        assert_eq!(again.entries(&node), keys.entries(&node));
        assert_eq!(fs::metadata(folder.path().join("sign.pem")).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_is_not_taken_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let keys = NodeKeys::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(1));
        keys.write(folder.path()).unwrap();
        assert!(matches!(keys.write(folder.path()), Err(KeyFileError::File { .. })));
        fs::set_permissions(folder.path().join("witness.pem"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(NodeKeys::read(folder.path()), Err(KeyFileError::Readable { .. })));
    }
}
