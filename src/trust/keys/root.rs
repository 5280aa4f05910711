//! The root key, which signs descriptors and does nothing else. It is kept elsewhere, so whoever needs it says where.

use std::path::PathBuf;
use std::str::FromStr;

use super::file::{KeyFileError, read_key};
use super::passphrase::Passphrases;
use crate::statement::SigningKey;
use crate::trust::token::{TokenError, TokenUri};

/// Where a root key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RootPlace {
    /// In a file.
    File(PathBuf),
    /// On a token.
    Token(TokenUri),
}

impl FromStr for RootPlace {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("pkcs11:") { text.parse().map(Self::Token) } else { Ok(Self::File(text.into())) }
    }
}

impl RootPlace {
    /// Takes the key from there.
    pub fn open(&self, passphrases: &Passphrases) -> Result<SigningKey, KeyFileError> {
        match self {
            Self::File(path) => read_key(path, passphrases),
            Self::Token(uri) => Ok(uri.open()?),
        }
    }
}
