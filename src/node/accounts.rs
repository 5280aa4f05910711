//! The persons who may work at this node. A name typed in is worth nothing: whoever acts shows a secret, and only that makes
//! a [`Person`].

use std::sync::LazyLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use serde::Serialize;
use zeroize::Zeroizing;

use super::peers::Peers;
use super::status::time;
use crate::store::StoreError;
use crate::store::pending::Change;

/// A secret has at least this many characters.
pub const SHORTEST_SECRET: usize = 10;
/// argon2 takes no more; also what is read of a file.
const LONGEST_SECRET: usize = 1024;

/// Somebody who has shown the secret of an active account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    name: String,
}

/// Who answers for a change of this node itself: a person, or, while it has no accounts, whoever the command names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By(String);

/// An account, as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// `active` or `disabled`.
    pub state: &'static str,
    /// When it was added.
    pub added: Option<String>,
}

/// Why a person is not let in, or an account not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same for whatever is wrong, so that nobody learns which it was.
    #[error(
        "the name or the secret is wrong, or the account is disabled, or there were too many tries: after five wrong ones there is one a minute"
    )]
    NotLetIn,
    /// Not a name.
    #[error("{0:?} is no name of an account: 1 to 32 of a-z, 0-9, '.', '_' and '-' are expected")]
    Name(String),
    /// The secret is too short or too long.
    #[error("a secret has {SHORTEST_SECRET} to {LONGEST_SECRET} characters")]
    Secret,
    /// The name is taken.
    #[error("there is an account {0} already; a disabled one is not used again either")]
    Taken(String),
    /// There is no such account.
    #[error("there is no active account {0}; `kaopu user list` shows them")]
    Unknown(String),
    /// The first account adds itself; all others are added by a person.
    #[error("there are accounts already: say with --as NAME who adds another")]
    PersonNeeded,
    /// Where there are persons, one of them does it.
    #[error("this node has accounts, so a person does this: say --as NAME; `kaopu user list` shows who there is")]
    Unnamed,
    /// Hashing failed.
    #[error("the secret could not be hashed: {0}")]
    Hash(String),
}

/// What is verified against where there is no account, so that it takes as long.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this secret").ok());

impl Person {
    /// The account's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl By {
    /// The name that the exchange log keeps.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Peers {
    /// The person, if one has shown a secret; `operator` only where nobody could.
    pub async fn by(&self, person: Option<&Person>, operator: &str) -> Result<By, AccountError> {
        match person {
            Some(person) => Ok(By(person.name.clone())),
            None if self.db.accounts().await?.is_empty() => Ok(By(operator.to_owned())),
            None => Err(AccountError::Unnamed),
        }
    }

    /// Whoever has this name and this secret.
    pub async fn person(&self, name: &str, secret: &str) -> Result<Person, AccountError> {
        let account = self.db.accounts().await?.into_iter().find(|account| account.name == name);
        let may_try = self.db.try_secret(name, self.clock.now_ms()).await?;
        let active = account.as_ref().is_some_and(|account| account.active);
        let hash = account.map(|account| account.hash).or_else(|| NOBODY.clone()).unwrap_or_default();
        let secret = Zeroizing::new(secret.to_owned());
        let right = blocking(move || Ok(verify(&secret, &hash))).await?;
        if right && active && may_try {
            self.db.right_secret(name).await?;
            return Ok(Person { name: name.to_owned() });
        }
        tracing::warn!(name = name.chars().take(32).collect::<String>(), "a person was not let in");
        Err(AccountError::NotLetIn)
    }

    /// Adds an account. The first one is added by itself, any other by a person.
    pub async fn add_account(&self, name: &str, secret: &str, by: Option<&Person>) -> Result<(), AccountError> {
        if !is_name(name) {
            return Err(AccountError::Name(name.to_owned()));
        }
        if !(SHORTEST_SECRET..=LONGEST_SECRET).contains(&secret.chars().count()) {
            return Err(AccountError::Secret);
        }
        if by.is_none() && !self.db.accounts().await?.is_empty() {
            return Err(AccountError::PersonNeeded);
        }
        let secret = Zeroizing::new(secret.to_owned());
        let hash = blocking(move || hash(&secret)).await?;
        let change = self.account_change(name, "add", by.map_or(name, Person::name));
        if !self.db.add_account(name, &hash, &change).await? {
            return Err(AccountError::Taken(name.to_owned()));
        }
        self.log_changes().await;
        Ok(())
    }

    /// Disables an account, for ever.
    pub async fn disable_account(&self, name: &str, by: &Person) -> Result<(), AccountError> {
        let change = self.account_change(name, "disable", by.name());
        if !self.db.disable_account(name, &change).await? {
            return Err(AccountError::Unknown(name.to_owned()));
        }
        self.log_changes().await;
        Ok(())
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<Account>, AccountError> {
        let rows = self.db.accounts().await?;
        let account = |row: crate::store::account::AccountRow| Account {
            name: row.name,
            state: if row.active { "active" } else { "disabled" },
            added: time(row.added_ms),
        };
        Ok(rows.into_iter().map(account).collect())
    }

    fn account_change<'a>(&self, subject: &'a str, action: &'static str, by: &'a str) -> Change<'a> {
        Change { about: "account", subject, action, by, reason: None, digest: None, at_ms: self.clock.now_ms() }
    }
}

/// Whether a text may name an account.
pub fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
    (1..=32).contains(&name.len()) && name.bytes().all(fits)
}

/// argon2id with 19 MiB and 2 passes (OWASP Password Storage Cheat Sheet): some 40 ms.
fn hash(secret: &str) -> Result<String, AccountError> {
    let hash: Result<PasswordHashText, _> = Argon2::default().hash_password(secret.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|error| AccountError::Hash(error.to_string()))
}

type PasswordHashText = PasswordHash;

fn verify(secret: &str, hash: &str) -> bool {
    // a hash that cannot be read is nobody's
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
}

/// Off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, AccountError> + Send + 'static,
) -> Result<T, AccountError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| AccountError::Hash(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_its_secret_alone_and_salted() {
        let (one, other) = (hash("示例密码一二三四五").unwrap(), hash("示例密码一二三四五").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(verify("示例密码一二三四五", &one) && !verify("示例密码一二三四六", &one));
        assert!(!verify("x", "") && !verify("", "$argon2id$nonsense"));
    }

    #[test]
    fn names_are_lower_case_and_short() {
        for good in ["li.na", "a", "sec_admin-2"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Li", "李", "a b", "a\n", &"a".repeat(33)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
