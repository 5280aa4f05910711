//! Secret files: PKCS#8 PEM, encrypted under a passphrase (PBES2: scrypt and AES-256-CBC, RFC 8018 and RFC 7914) or in
//! clear, mode 0600 in either case. OpenSSL reads both. What stands before the PEM says which key it is, so that a file
//! need not be opened to be passed over.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pkcs8::der::asn1::OctetStringRef;
use pkcs8::der::pem::LineEnding;
use pkcs8::der::{Document, SecretDocument};
use pkcs8::pkcs5::pbes2;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::passphrase::{Passphrase, Passphrases};
use crate::statement::SigningKey;
use crate::statement::key::KeyError;
use crate::trust::token::TokenError;

const CLEAR: &str = "PRIVATE KEY";
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// A secret that is no key.
const SEALED: &str = "ENCRYPTED KAOPU SECRET";
const BEGIN: &str = "-----BEGIN ";
/// Says in a key's file which key it is.
const KID: &str = "kid: ";

/// How new secret files are written.
#[derive(Clone, Debug)]
pub enum AtRest {
    /// Encrypted.
    Encrypted(Passphrase),
    /// Readable by whoever can read the file.
    Clear,
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
    /// It is encrypted, and no passphrase is set.
    #[error("{} is encrypted: set {variable} or {variable}_FILE, or run this on a terminal", path.display())]
    NoPassphrase {
        /// Which.
        path: PathBuf,
        /// The environment variable.
        variable: &'static str,
    },
    /// It is encrypted under another passphrase.
    #[error("{}: the passphrase does not open it", path.display())]
    WrongPassphrase {
        /// Which.
        path: PathBuf,
    },
    /// A token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A new passphrase was not typed twice.
    #[error("the two passphrases differ; nothing was written")]
    Differ,
}

impl KeyFileError {
    fn not_a_key(path: &Path, why: &dyn std::fmt::Display) -> Self {
        Self::Key { path: path.to_owned(), error: KeyError::NotAPrivateKey(why.to_string()) }
    }
}

/// Reads a private key that its owner alone may read, encrypted or not.
pub fn read_key(path: &Path, passphrases: &Passphrases) -> Result<SigningKey, KeyFileError> {
    let pem = read_private(path, passphrases)?;
    SigningKey::from_pem(&pem).map_err(|error| KeyFileError::Key { path: path.to_owned(), error })
}

/// The private key of a file as PKCS#8 PEM in clear.
pub fn read_private(path: &Path, passphrases: &Passphrases) -> Result<Zeroizing<String>, KeyFileError> {
    open(path, &read_secret(path)?, passphrases)
}

/// The PEM in clear of a file's text.
pub(super) fn open(path: &Path, text: &str, passphrases: &Passphrases) -> Result<Zeroizing<String>, KeyFileError> {
    let pem = text.find(BEGIN).map_or(text, |begin| text[begin..].trim_end());
    if !is_encrypted(pem) {
        return Ok(Zeroizing::new(pem.to_owned()));
    }
    let (_, document) = Document::from_pem(pem).map_err(|error| KeyFileError::not_a_key(path, &error))?;
    let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|error| KeyFileError::not_a_key(path, &error))?;
    passphrases.each(path, |passphrase| {
        let wrong = || KeyFileError::WrongPassphrase { path: path.to_owned() };
        let clear = info.decrypt(passphrase.expose()).map_err(|_| wrong())?;
        // one wrong passphrase in some hundred gives bytes that look well padded
        PrivateKeyInfoRef::try_from(clear.as_bytes()).map_err(|_| wrong())?;
        clear.to_pem(CLEAR, LineEnding::LF).map_err(|error| KeyFileError::not_a_key(path, &error))
    })
}

/// Writes a secret that is no key into a new file, at rest as the keys are.
pub fn write_sealed(path: &Path, text: &str, at_rest: &AtRest) -> Result<(), KeyFileError> {
    let AtRest::Encrypted(passphrase) = at_rest else { return write_secret(path, text.as_bytes()) };
    let failed = |error: &dyn std::fmt::Display| KeyFileError::not_a_key(path, error);
    let params = pbes2::Parameters::generate_recommended(&mut rand::rngs::SysRng).map_err(|error| failed(&error))?;
    let data = params.encrypt(passphrase.expose(), text.as_bytes()).map_err(|error| failed(&error))?;
    let encrypted_data = OctetStringRef::new(&data).map_err(|error| failed(&error))?;
    let info = EncryptedPrivateKeyInfoRef { encryption_algorithm: params.into(), encrypted_data };
    let document = SecretDocument::try_from(&info).map_err(|error| failed(&error))?;
    let pem = document.to_pem(SEALED, LineEnding::LF).map_err(|error| failed(&error))?;
    write_secret(path, pem.as_bytes())
}

/// Reads such a secret.
pub fn read_sealed(path: &Path, passphrases: &Passphrases) -> Result<Zeroizing<String>, KeyFileError> {
    let text = read_secret(path)?;
    if !text.starts_with(&format!("{BEGIN}{SEALED}")) {
        return Ok(text);
    }
    let failed = |error: &dyn std::fmt::Display| KeyFileError::not_a_key(path, error);
    let (_, document) = Document::from_pem(text.trim_end()).map_err(|error| failed(&error))?;
    let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|error| failed(&error))?;
    passphrases.each(path, |passphrase| {
        let wrong = || KeyFileError::WrongPassphrase { path: path.to_owned() };
        let clear = info.encryption_algorithm.decrypt(passphrase.expose(), info.encrypted_data.as_bytes());
        String::from_utf8(clear.map_err(|_| wrong())?).map(Zeroizing::new).map_err(|_| wrong())
    })
}

/// Whether the text of a file is an encrypted key's.
pub fn is_encrypted(text: &str) -> bool {
    text.find(BEGIN).is_some_and(|begin| text[begin + BEGIN.len()..].starts_with(ENCRYPTED))
}

/// Which key a file says that it holds.
pub(super) fn kid_of(text: &str) -> Option<&str> {
    let before = &text[..text.find(BEGIN)?];
    before.lines().find_map(|line| line.strip_prefix(KID)).map(str::trim)
}

/// Writes a private key (PKCS#8 PEM in clear) into a new file, and sees it onto the disk.
pub fn write_private(path: &Path, pem: &str, at_rest: &AtRest) -> Result<(), KeyFileError> {
    write_secret(path, at_rest.text(path, None, pem)?.as_bytes())
}

/// Writes a key of this node into a new file.
pub fn write_key(path: &Path, key: &SigningKey, at_rest: &AtRest) -> Result<(), KeyFileError> {
    let pem = key.to_pem().ok_or_else(|| KeyFileError::not_a_key(path, &"its private half is on a token"))?;
    write_secret(path, at_rest.text(path, Some(key.public().kid()), &pem)?.as_bytes())
}

impl AtRest {
    /// As the other keys of a folder are kept: new ones are encrypted where one of those is.
    pub fn like(folder: &Path, passphrases: &Passphrases) -> Result<Self, KeyFileError> {
        for path in key_files(folder)? {
            let text = read_secret(&path)?;
            if is_encrypted(&text) {
                // opens it, so that a passphrase that was mistyped is not the one of the new key
                open(&path, &text, passphrases)?;
                let passphrase = passphrases.without_asking()?;
                let variable = "KAOPU_PASSPHRASE";
                return passphrase.map(Self::Encrypted).ok_or(KeyFileError::NoPassphrase { path, variable });
            }
        }
        Ok(Self::Clear)
    }

    fn text(&self, path: &Path, kid: Option<&str>, pem: &str) -> Result<Zeroizing<String>, KeyFileError> {
        let before = kid.map(|kid| format!("{KID}{kid}\n")).unwrap_or_default();
        let pem = match self {
            Self::Clear => Zeroizing::new(pem.to_owned()),
            Self::Encrypted(passphrase) => {
                let failed = |error: &dyn std::fmt::Display| KeyFileError::not_a_key(path, error);
                let (_, document) = SecretDocument::from_pem(pem.trim()).map_err(|error| failed(&error))?;
                let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|error| failed(&error))?;
                // scrypt with N = 2^14, r = 8, p = 1: some 40 ms and 16 MiB a key, and what OpenSSL reads
                let encrypted = info.encrypt_with_rng(&mut rand::rngs::SysRng, passphrase.expose());
                let encrypted = encrypted.map_err(|error| failed(&error))?;
                encrypted.to_pem(ENCRYPTED, LineEnding::LF).map_err(|error| failed(&error))?
            }
        };
        Ok(Zeroizing::new(format!("{before}{}", *pem)))
    }
}

/// The key files of a folder, by name.
pub(super) fn key_files(folder: &Path) -> Result<Vec<PathBuf>, KeyFileError> {
    let failed = |error| KeyFileError::File { path: folder.to_owned(), error };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
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
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text)?;
        file.sync_all()?;
        // a file is only there after a crash if its folder says so
        path.parent().filter(|folder| *folder != Path::new("")).map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|error| KeyFileError::File { path: path.to_owned(), error })
}

fn others_can_read(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::statement::Suite;

    #[test]
    fn an_encrypted_key_opens_under_its_passphrase_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let known = |text: &str| Passphrases::known(Passphrase::new(text));
        for (n, suite) in Suite::ALL.into_iter().enumerate() {
            let key = SigningKey::generate(suite, &mut StdRng::seed_from_u64(1));
            let path = folder.path().join(format!("{n}.pem"));
            write_key(&path, &key, &AtRest::Encrypted(Passphrase::new("correct horse"))).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert!(is_encrypted(&text) && kid_of(&text) == Some(key.public().kid()), "{text}");
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(read_key(&path, &known("correct horse")).unwrap().public(), key.public());
            let wrong = read_key(&path, &known("incorrect horse")).unwrap_err();
            assert_eq!(wrong.to_string(), format!("{}: the passphrase does not open it", path.display()));
        }
        assert!(matches!(AtRest::like(folder.path(), &known("correct horse")), Ok(AtRest::Encrypted(_))));
        assert!(matches!(
            AtRest::like(folder.path(), &known("incorrect horse")),
            Err(KeyFileError::WrongPassphrase { .. })
        ));
    }

    #[test]
    fn a_key_that_others_can_read_is_not_taken_and_none_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(1));
        let path = folder.path().join("sign.pem");
        write_key(&path, &key, &AtRest::Clear).unwrap();
        assert!(matches!(write_key(&path, &key, &AtRest::Clear), Err(KeyFileError::File { .. })));
        let none = Passphrases::of_node(None);
        assert_eq!(read_key(&path, &none).unwrap().public(), key.public());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_key(&path, &none), Err(KeyFileError::Readable { .. })));
    }
}
