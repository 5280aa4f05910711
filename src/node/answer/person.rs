//! Who a natural person is: told by an identity number that came sealed, and known under this node's own secret alone.

use std::sync::Arc;

use crate::exchange::question::SealedId;
use crate::import::PersonKey;
use crate::import::mend::narrow;
use crate::node::publish::own_descriptors;
use crate::record::identifier::resident_id_checks;
use crate::statement::sealed::{self, Between, SealError};
use crate::store::Db;
use crate::trust::descriptor::{KeyState, Purpose};
use crate::trust::keys::KeyStore;

/// What opens a sealed number, and the secret under which its owner is known.
#[derive(Clone)]
pub struct Persons {
    /// The sealing keys.
    pub keys: KeyStore,
    /// The secret.
    pub secret: Arc<PersonKey>,
}

impl Persons {
    /// The key of the subject that a sealed number tells; else why it tells none.
    pub async fn key_of(
        &self,
        db: &Db,
        between: Between<'_>,
        name: &str,
        sealed: &str,
    ) -> Result<String, &'static str> {
        let id = self.open(db, between, sealed).await.map_err(|_| "the sealed identity number does not open here")?;
        let number = narrow(&id.number);
        if number.is_empty() || number.contains('*') {
            return Err("a whole identity number is needed");
        }
        if resident_id_checks(&number) == Some(false) {
            return Err("the check digit of the identity number is wrong");
        }
        Ok(self.secret.of_number(name, id.of.as_deref(), &number).key())
    }

    async fn open(&self, db: &Db, between: Between<'_>, sealed: &str) -> Result<SealedId, SealError> {
        let kid = sealed::sealed_for(sealed)?;
        let own = own_descriptors(db, between.receiver).await.map_err(|_| SealError::NoKey)?;
        let (_, newest) = own.last().ok_or(SealError::NoKey)?;
        // one that is being replaced opens what was sealed before
        let named = newest.keys.iter().find(|entry| {
            entry.purpose == Purpose::Seal && entry.state != KeyState::Compromised && entry.key.kid() == kid
        });
        let named = named.ok_or(SealError::NoKey)?;
        let key = self.keys.find(&named.key).ok().flatten().ok_or(SealError::NoKey)?;
        let plain = sealed::open(sealed, &key, between)?;
        serde_json::from_slice(&plain).map_err(|_| SealError::Form("contents"))
    }
}
