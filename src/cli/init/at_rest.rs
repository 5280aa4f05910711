//! How the keys of a new node are kept at rest.

use std::path::Path;

use anyhow::bail;
use kaopu::node::rng;
use kaopu::trust::keys::passphrase::SHORTEST;
use kaopu::trust::keys::{AtRest, KeyFileError, Passphrase, Passphrases};

/// The file, in the node's folder, of a passphrase that nobody gave.
pub const MADE: &str = "passphrase";

/// Under which passphrase the node's keys are kept, that of the root keys apart, or that they are in clear.
pub struct Kept {
    pub node: AtRest,
    pub root: AtRest,
    /// A passphrase that was made here, since none was given and nobody could be asked: a script makes the node.
    made: Option<Passphrase>,
}

impl Kept {
    /// In clear, because somebody said so.
    pub fn in_clear() -> Self {
        Self { node: AtRest::Clear, root: AtRest::Clear, made: None }
    }

    /// Under what is set or typed; a script that sets nothing gets a passphrase of its own.
    pub fn encrypted() -> anyhow::Result<Self> {
        let node = Passphrases::of_node(None);
        let (node, made) = match node.for_new_keys("the node's keys")? {
            Some(_) => (node, None),
            None => {
                let made = Passphrase::generate(&mut rng());
                (Passphrases::known(made.clone()), Some(made))
            }
        };
        let root = Passphrases::of_root(&node);
        let under = |passphrases: &Passphrases, whose: &str| -> anyhow::Result<AtRest> {
            match passphrases.for_new_keys(whose)? {
                Some(passphrase) if passphrase.is_long() => Ok(AtRest::Encrypted(passphrase)),
                _ => bail!("the passphrase for {whose} is shorter than {SHORTEST} characters"),
            }
        };
        Ok(Self { node: under(&node, "the node's keys")?, root: under(&root, "the root keys")?, made })
    }

    /// Whether a passphrase was made here.
    pub fn is_made(&self) -> bool {
        self.made.is_some()
    }

    /// Writes the passphrase that was made into the node's folder, before any key that needs it.
    pub fn write(&self, dir: &Path) -> Result<(), KeyFileError> {
        self.made.as_ref().map_or(Ok(()), |made| made.write(&dir.join(MADE)))
    }
}
