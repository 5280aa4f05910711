//! The sets of policies that were in force, and the one that is.

use super::db::{on, retry};
use super::pending::{Change, note};
use super::{Db, StoreError};
use crate::statement::Digest;

const PUT: &str = "INSERT INTO policy_in_force (id, digest, since_ms) VALUES (1, $1, $2) \
     ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, since_ms = excluded.since_ms \
     WHERE policy_in_force.digest <> excluded.digest";
const KEEP: &str = "INSERT INTO policy_set (digest, files, first_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const FIND: &str = "SELECT files FROM policy_set WHERE digest = $1";
const IN_FORCE: &str = "SELECT digest FROM policy_in_force";

impl Db {
    /// This set is in force from now on, its files as JSON, and the change is on its way into the exchange log; false, and
    /// nothing happens, if it is already: another process may have seen it first.
    pub async fn put_policies(&self, digest: Digest, files: &[u8], change: &Change<'_>) -> Result<bool, StoreError> {
        let digest = digest.to_string();
        retry(|| async {
            let mut tx = self.begin().await?;
            let put = on!(change tx, c => sqlx::query(PUT).bind(&digest).bind(change.at_ms).execute(c))?;
            if put == 0 {
                return Ok(false);
            }
            on!(change tx, c => sqlx::query(KEEP).bind(&digest).bind(files).bind(change.at_ms).execute(c))?;
            note(&mut tx, change).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// The files of a set that is or was in force, as JSON.
    pub async fn policy_files(&self, digest: Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let digest = digest.to_string();
        on!(read self, c => sqlx::query_scalar(FIND).bind(&digest).fetch_optional(c))
    }

    /// The digest of the set that a running node last put in force.
    pub async fn policies_in_force(&self) -> Result<Option<String>, StoreError> {
        on!(read self, c => sqlx::query_scalar(IN_FORCE).fetch_optional(c))
    }
}
