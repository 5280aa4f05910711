//! The private halves that a running node works with: whichever the newest descriptor names as active.
//!
//! Another process may rotate a key while this one runs. So a store is asked with the descriptor, and looks into its folder
//! again when it is asked for a key that it has not read yet.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::file::{self, KeyFileError, key_files, kid_of, read_secret};
use super::passphrase::Passphrases;
use crate::log::Origin;
use crate::statement::{PublicKey, SigningKey};
use crate::trust::descriptor::{Descriptor, KeyState, Purpose};
use crate::trust::token::TokenUri;

/// A key that was not found is not looked for again before this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A node's private keys. Cheap to clone; what one clone has read, all have.
#[derive(Clone)]
pub struct KeyStore {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Option<PathBuf>,
    passphrases: Passphrases,
    /// Where further keys are.
    tokens: Vec<TokenUri>,
    /// By kid.
    held: RwLock<HashMap<String, Arc<SigningKey>>>,
    /// When which kid was looked for last, in vain.
    missed: Mutex<HashMap<String, Instant>>,
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum NoKey {
    /// The descriptor names none.
    #[error("descriptor {sequence} names no active {purpose} key")]
    NotNamed {
        /// Of the descriptor.
        sequence: u64,
        /// What for.
        purpose: &'static str,
    },
    /// The private half of none that it names is here.
    #[error(
        "no private half of the {purpose} key {kid} that descriptor {sequence} names: it is neither in the folder of the \
         keys nor on a token that the configuration names"
    )]
    NotHere {
        /// What for.
        purpose: &'static str,
        /// Which.
        kid: String,
        /// Of the descriptor.
        sequence: u64,
    },
    /// It could not be read.
    #[error(transparent)]
    File(#[from] KeyFileError),
}

impl KeyStore {
    /// The keys of a folder; they are read when they are wanted.
    pub fn open(folder: &Path, passphrases: Passphrases) -> Self {
        Self::new(Some(folder.to_owned()), passphrases, Vec::new(), HashMap::new())
    }

    /// The keys of a folder and those on tokens.
    pub fn with_tokens(folder: &Path, passphrases: Passphrases, tokens: Vec<TokenUri>) -> Self {
        Self::new(Some(folder.to_owned()), passphrases, tokens, HashMap::new())
    }

    /// Keys that are there already, and no others.
    pub fn of(keys: impl IntoIterator<Item = Arc<SigningKey>>) -> Self {
        let held = keys.into_iter().map(|key| (key.public().kid().to_owned(), key)).collect();
        Self::new(None, Passphrases::of_node(None), Vec::new(), held)
    }

    fn new(
        folder: Option<PathBuf>,
        passphrases: Passphrases,
        tokens: Vec<TokenUri>,
        held: HashMap<String, Arc<SigningKey>>,
    ) -> Self {
        let (held, missed) = (RwLock::new(held), Mutex::default());
        Self { inner: Arc::new(Inner { folder, passphrases, tokens, held, missed }) }
    }

    /// The key that signs statements behind a descriptor: the last of those active whose private half is here.
    pub fn signing(&self, descriptor: &Descriptor) -> Result<Arc<SigningKey>, NoKey> {
        self.active(descriptor, &Purpose::Sign)?.pop().ok_or(not_named(descriptor, &Purpose::Sign))
    }

    /// The keys that sign the checkpoints of a log, the last one first: all that are active, which are two while one is
    /// being rotated, as far as their private halves are here.
    pub fn log(&self, descriptor: &Descriptor, origin: &Origin) -> Result<Vec<Arc<SigningKey>>, NoKey> {
        let mut keys = self.active(descriptor, &Purpose::Log(origin.clone()))?;
        keys.reverse();
        Ok(keys)
    }

    /// The key that cosigns others' checkpoints.
    pub fn witness(&self, descriptor: &Descriptor) -> Result<Arc<SigningKey>, NoKey> {
        self.active(descriptor, &Purpose::Witness)?.pop().ok_or(not_named(descriptor, &Purpose::Witness))
    }

    /// The keys that open what others sealed: the active ones, the last one first, and behind them those in whose place
    /// they came, as far as their private halves are here. What was sealed to a key before it was retired still comes, and
    /// is still kept.
    pub fn seal(&self, descriptor: &Descriptor) -> Result<Vec<Arc<SigningKey>>, NoKey> {
        let mut keys = self.active(descriptor, &Purpose::Seal)?;
        keys.reverse();
        let earlier = |state| matches!(state, KeyState::Retired | KeyState::Compromised);
        let earlier = descriptor.keys.iter().rev().filter(|key| key.purpose == Purpose::Seal && earlier(key.state));
        keys.extend(earlier.filter_map(|entry| self.find(&entry.key).ok().flatten()));
        Ok(keys)
    }

    /// The private half of a key; None where it is not here.
    pub fn find(&self, key: &PublicKey) -> Result<Option<Arc<SigningKey>>, KeyFileError> {
        if let Some(held) = self.held(key.kid()) {
            return Ok(Some(held));
        }
        let mut missed = self.inner.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.get(key.kid()).is_some_and(|when| when.elapsed() < LOOK_EVERY) {
            return Ok(None);
        }
        // others wait for the lock meanwhile, and find what this look found
        if let Some(held) = self.held(key.kid()) {
            return Ok(Some(held));
        }
        let found = self.look(key)?;
        match &found {
            Some(_) => missed.remove(key.kid()),
            None => missed.insert(key.kid().to_owned(), Instant::now()),
        };
        Ok(found)
    }

    /// Reads many at once: opening one that is encrypted takes tens of milliseconds.
    pub fn prepare<'k>(&self, keys: impl IntoIterator<Item = &'k PublicKey>) {
        std::thread::scope(|scope| {
            for key in keys {
                // what cannot be read is told of when it is wanted
                scope.spawn(|| self.look(key).ok());
            }
        });
    }

    fn held(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.inner.held.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    fn hold(&self, key: SigningKey) {
        let mut held = self.inner.held.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(key.public().kid().to_owned(), Arc::new(key));
    }

    /// Goes through the folder. A file that names another key is passed over; one that names none has to be opened.
    fn look(&self, key: &PublicKey) -> Result<Option<Arc<SigningKey>>, KeyFileError> {
        let Some(folder) = &self.inner.folder else { return Ok(None) };
        let mut failure = None;
        for path in key_files(folder)? {
            match self.look_into(&path, key.kid()) {
                Ok(()) if self.held(key.kid()).is_some() => break,
                Ok(()) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        for uri in &self.inner.tokens {
            if self.held(key.kid()).is_some() {
                break;
            }
            match uri.open() {
                Ok(key) => self.hold(key),
                Err(error) => failure = failure.or(Some(error.into())),
            }
        }
        match (self.held(key.kid()), failure) {
            (None, Some(error)) => Err(error),
            (found, _) => Ok(found),
        }
    }

    fn look_into(&self, path: &Path, wanted: &str) -> Result<(), KeyFileError> {
        let text = read_secret(path)?;
        if kid_of(&text).is_some_and(|kid| kid != wanted) {
            return Ok(());
        }
        let pem = file::open(path, &text, &self.inner.passphrases)?;
        let key = SigningKey::from_pem(&pem).map_err(|error| KeyFileError::Key { path: path.to_owned(), error })?;
        self.hold(key);
        Ok(())
    }

    /// The active keys of a purpose whose private halves are here, in the order of the descriptor.
    fn active(&self, descriptor: &Descriptor, purpose: &Purpose) -> Result<Vec<Arc<SigningKey>>, NoKey> {
        let named = descriptor.keys.iter().filter(|k| k.state == KeyState::Active && k.purpose == *purpose);
        let (mut found, mut missing, mut failure) = (Vec::new(), None, None);
        for entry in named {
            match self.find(&entry.key) {
                Ok(Some(key)) => found.push(key),
                Ok(None) => missing = Some(entry.key.kid().to_owned()),
                Err(error) => failure = Some(error),
            }
        }
        match (found.is_empty(), failure, missing) {
            (false, ..) => Ok(found),
            (true, Some(error), _) => Err(error.into()),
            (true, None, Some(kid)) => {
                Err(NoKey::NotHere { purpose: words(purpose), kid, sequence: descriptor.sequence })
            }
            (true, None, None) => Err(not_named(descriptor, purpose)),
        }
    }
}

impl From<Arc<SigningKey>> for KeyStore {
    fn from(key: Arc<SigningKey>) -> Self {
        Self::of([key])
    }
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyStore({:?})", self.inner.folder)
    }
}

fn not_named(descriptor: &Descriptor, purpose: &Purpose) -> NoKey {
    NoKey::NotNamed { sequence: descriptor.sequence, purpose: words(purpose) }
}

fn words(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Sign => "signing",
        Purpose::Log(_) => "log",
        Purpose::Witness => "witness",
        Purpose::Seal => "sealing",
    }
}
