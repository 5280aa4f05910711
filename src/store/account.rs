//! Accounts: the persons who may work at this node. They are disabled, never deleted.

use sqlx::FromRow;

use super::db::{int, on, retry};
use super::pending::{Change, commit_noted};
use super::{Db, StoreError};

/// An account as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// `[a-z0-9._-]{1,32}`.
    pub name: String,
    /// argon2id of the secret, as a PHC string.
    pub hash: String,
    /// Whether it may be used.
    pub active: bool,
    /// When it was added, milliseconds since 1970.
    pub added_ms: i64,
}

/// Wrong secrets in a row after which there is one try in [`TRY_EVERY_MS`].
pub const FREE_TRIES: u64 = 5;
/// Milliseconds between tries after that.
pub const TRY_EVERY_MS: i64 = 60_000;

const ALL: &str = "SELECT name, hash, state, added_ms FROM account ORDER BY name";
const ADD: &str = "INSERT INTO account (name, hash, state, added_ms, failures) VALUES ($1, $2, 'active', $3, 0) \
     ON CONFLICT DO NOTHING";
const DISABLE: &str = "UPDATE account SET state = 'disabled' WHERE name = $1 AND state = 'active'";
// counted before the secret is looked at, so that guesses side by side are counted too
const TRY: &str = "UPDATE account SET failures = failures + 1, failed_ms = $1 \
     WHERE name = $2 AND (failures < $3 OR failed_ms <= $4)";
const RIGHT: &str = "UPDATE account SET failures = 0 WHERE name = $1";
/// Whoever adds the first account and whoever takes a peer by file wait for each other here.
pub(super) const BUMP: &str = "UPDATE registry SET version = version + 1 WHERE id = 1";

impl Db {
    /// All, by name.
    pub async fn accounts(&self) -> Result<Vec<AccountRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ALL).fetch_all(c))?;
        Ok(rows.into_iter().map(AccountRow::from).collect())
    }

    /// Adds one; false if the name is taken.
    pub async fn add_account(&self, name: &str, hash: &str, change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            on!(change tx, c => sqlx::query(BUMP).execute(c))?;
            let added = on!(change tx, c => sqlx::query(ADD).bind(name).bind(hash).bind(change.at_ms).execute(c))?;
            commit_noted(tx, added, change).await
        })
        .await
    }

    /// Disables one; false if there is no such active account.
    pub async fn disable_account(&self, name: &str, change: &Change<'_>) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let disabled = on!(change tx, c => sqlx::query(DISABLE).bind(name).execute(c))?;
            commit_noted(tx, disabled, change).await
        })
        .await
    }

    /// Counts a try of an account's secret as a wrong one, until [`Db::right_secret`] says otherwise; false if there were
    /// too many, or no such account.
    pub async fn try_secret(&self, name: &str, now_ms: i64) -> Result<bool, StoreError> {
        let tried = retry(|| async {
            on!(write self, c => sqlx::query(TRY)
                .bind(now_ms)
                .bind(name)
                .bind(int(FREE_TRIES))
                .bind(now_ms.saturating_sub(TRY_EVERY_MS))
                .execute(c))
        })
        .await?;
        Ok(tried == 1)
    }

    /// The secret was right: earlier wrong ones count no more.
    pub async fn right_secret(&self, name: &str) -> Result<(), StoreError> {
        retry(|| async { on!(write self, c => sqlx::query(RIGHT).bind(name).execute(c)) }).await?;
        Ok(())
    }
}

#[derive(FromRow)]
struct Row {
    name: String,
    hash: String,
    state: String,
    added_ms: i64,
}

impl From<Row> for AccountRow {
    fn from(row: Row) -> Self {
        Self { name: row.name, hash: row.hash, active: row.state == "active", added_ms: row.added_ms }
    }
}
