//! The passphrase under which private keys are encrypted, and where it comes from: environment, a file of mode 0600, a
//! credential of systemd, or the terminal. It is asked for only when an encrypted file is met.

use std::fmt;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::file::{KeyFileError, read_secret, write_secret};

/// The name of the credential that systemd may pass on (`LoadCredential=kaopu-passphrase:…`).
const CREDENTIAL: &str = "kaopu-passphrase";
/// Shorter ones are not taken for new keys.
pub const SHORTEST: usize = 12;

/// A passphrase. Never printed, wiped when dropped.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// Where passphrases come from, looked at when one is needed, and then kept. Cheap to clone.
#[derive(Clone)]
pub struct Passphrases {
    inner: Arc<Inner>,
}

struct Inner {
    /// The environment variable; with `_FILE` behind it, the one that names a file.
    variable: &'static str,
    /// The file that the configuration names.
    file: Option<PathBuf>,
    found: OnceLock<Passphrase>,
    /// Asked before the terminal is.
    before: Option<Passphrases>,
    /// Whether somebody at the terminal may be asked.
    terminal: bool,
    /// One question at a time; true once what was typed opened nothing.
    asking: Mutex<bool>,
}

impl Passphrase {
    /// A text; the end of its line does not belong to it.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// A new one that nobody need remember: 192 random bits.
    pub fn generate(rng: &mut dyn CryptoRng) -> Self {
        let mut bits = Zeroizing::new([0; 24]);
        rng.fill_bytes(&mut *bits);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bits)))
    }

    /// Writes it into a new file that its owner alone may read.
    pub fn write(&self, path: &Path) -> Result<(), KeyFileError> {
        write_secret(path, self.expose())
    }

    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it is long enough for new keys.
    pub fn is_long(&self) -> bool {
        self.0.chars().count() >= SHORTEST
    }
}

impl Passphrases {
    /// Those of a node's keys; the configuration may name a file.
    pub fn of_node(file: Option<PathBuf>) -> Self {
        Self::new("KAOPU_PASSPHRASE", file, None)
    }

    /// Those of root keys: they may have one of their own, else have the node's.
    pub fn of_root(node: &Self) -> Self {
        Self::new("KAOPU_ROOT_PASSPHRASE", None, Some(node.clone()))
    }

    /// One that is known.
    pub fn known(passphrase: Passphrase) -> Self {
        let found = OnceLock::from(passphrase);
        let inner = Inner {
            variable: "KAOPU_PASSPHRASE",
            file: None,
            found,
            before: None,
            terminal: false,
            asking: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    fn new(variable: &'static str, file: Option<PathBuf>, before: Option<Self>) -> Self {
        let (found, asking) = (OnceLock::new(), Mutex::default());
        Self { inner: Arc::new(Inner { variable, file, found, before, terminal: true, asking }) }
    }

    /// What a file is tried with, one after the other: what was set for it, what was set for the node, what somebody types.
    /// Gives `attempt`'s first success, else its last failure.
    pub(super) fn each<T>(
        &self,
        path: &Path,
        mut attempt: impl FnMut(&Passphrase) -> Result<T, KeyFileError>,
    ) -> Result<T, KeyFileError> {
        let mut failure = None;
        let known_before = self.inner.found.get().is_some();
        for known in [self.without_asking()?, self.node_s()?].into_iter().flatten() {
            match attempt(&known) {
                Err(wrong @ KeyFileError::WrongPassphrase { .. }) => failure = Some(wrong),
                other => return other,
            }
        }
        // many files are opened at once, and one answer serves them all; a wrong one is not asked for again and again
        let mut in_vain = self.inner.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(typed) = self.inner.found.get().filter(|_| !known_before) {
            match attempt(typed) {
                Err(wrong @ KeyFileError::WrongPassphrase { .. }) => failure = Some(wrong),
                other => return other,
            }
        }
        if *in_vain {
            return Err(failure.unwrap_or_else(|| KeyFileError::WrongPassphrase { path: path.to_owned() }));
        }
        match self.ask(&format!("Passphrase of {}: ", path.display())) {
            Some(typed) => {
                let opened = attempt(&typed);
                *in_vain = opened.is_err();
                // it serves the other files too
                if opened.is_ok() {
                    let _ = self.inner.found.set(typed);
                }
                opened
            }
            None => Err(failure.unwrap_or_else(|| KeyFileError::NoPassphrase {
                path: path.to_owned(),
                variable: self.inner.variable,
            })),
        }
    }

    /// The one for new keys: as set, else as somebody types it twice. None where there is neither.
    pub fn for_new_keys(&self, of_what: &str) -> Result<Option<Passphrase>, KeyFileError> {
        if let Some(known) = self.without_asking()? {
            return Ok(Some(known));
        }
        if let Some(known) = self.node_s()? {
            return Ok(Some(known));
        }
        let Some(first) = self.ask(&format!("New passphrase for {of_what}: ")) else { return Ok(None) };
        let again = self.ask("The same again: ");
        if again.is_none_or(|again| again.expose() != first.expose()) {
            return Err(KeyFileError::Differ);
        }
        let _ = self.inner.found.set(first.clone());
        Ok(Some(first))
    }

    fn node_s(&self) -> Result<Option<Passphrase>, KeyFileError> {
        self.inner.before.as_ref().map_or(Ok(None), Self::without_asking)
    }

    /// What somebody types on the terminal, unseen; None where there is no terminal, or nothing was typed.
    fn ask(&self, prompt: &str) -> Option<Passphrase> {
        if !self.inner.terminal || !std::io::stdin().is_terminal() {
            return None;
        }
        let typed = Zeroizing::new(rpassword::prompt_password(prompt).ok()?);
        (!typed.is_empty()).then(|| Passphrase::new(&typed))
    }

    /// What is set, without asking anybody.
    pub fn without_asking(&self) -> Result<Option<Passphrase>, KeyFileError> {
        let Inner { variable, file, found, before, .. } = &*self.inner;
        if let Some(found) = found.get() {
            return Ok(Some(found.clone()));
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let credential = || {
            let folder = PathBuf::from(set("CREDENTIALS_DIRECTORY").filter(|_| before.is_none())?);
            Some(folder.join(CREDENTIAL)).filter(|file| file.exists())
        };
        let read = |path: &Path| read_secret(path).map(|text| Passphrase::new(&text));
        let passphrase = if let Some(text) = set(variable) {
            Passphrase::new(&Zeroizing::new(text.to_string_lossy().into_owned()))
        } else if let Some(path) = set(&format!("{variable}_FILE")) {
            read(Path::new(&path))?
        } else if let Some(path) = file {
            read(path)?
        } else if let Some(path) = credential() {
            // systemd lets the service's user alone read it, whatever its mode says
            let text = std::fs::read_to_string(&path).map_err(|error| KeyFileError::File { path, error })?;
            Passphrase::new(&Zeroizing::new(text))
        } else {
            return Ok(None);
        };
        Ok(Some(found.get_or_init(|| passphrase).clone()))
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(…)")
    }
}

impl fmt::Debug for Passphrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passphrases({})", self.inner.variable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_does_not_print_and_has_no_line_end() {
        let passphrase = Passphrase::new("correct horse\r\n");
        assert_eq!(passphrase.expose(), b"correct horse");
        let printed = format!("{passphrase:?} {:?}", Passphrases::known(passphrase.clone()));
        assert!(!printed.contains("horse"), "{printed}");
        assert!(passphrase.is_long() && !Passphrase::new("correct").is_long());
    }
}
