//! SQLite's write-ahead log, folded into the database file beside the one who writes.
//!
//! By itself SQLite folds when the log has reached a size, in the commit that made it that large: every other commit waits
//! tens of milliseconds for thousands of pages. What was folded before, it has not to fold then.

use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnection;
use tokio::time::sleep;

use super::db::Pools;
use super::{Db, StoreError};

/// Between two foldings while something is written: under full load some thousand pages, a few milliseconds.
const EVERY: Duration = Duration::from_millis(50);
/// … and while nothing is.
const IDLE: Duration = Duration::from_secs(1);
/// After a fault. The writer meets the same one, and says it.
const AGAIN: Duration = Duration::from_secs(10);

impl Db {
    /// Folds again and again; PostgreSQL has a process of its own for that.
    pub async fn keep_folding(self) {
        let Pools::Sqlite { write, .. } = &self.pools else { return };
        loop {
            let folding = async {
                let mut connection = write.options().connect().await?;
                let mut before = 0;
                loop {
                    let pages = fold(&mut connection).await?;
                    sleep(if pages == before { IDLE } else { EVERY }).await;
                    before = pages;
                }
            };
            let ended: Result<(), StoreError> = folding.await;
            if let Err(error) = ended {
                tracing::debug!(%error, "could not fold the write-ahead log");
            }
            sleep(AGAIN).await;
        }
    }
}

/// As much as can be without waiting for anybody. Gives the pages in the log.
async fn fold(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let (_, pages, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(PASSIVE)").fetch_one(connection).await?;
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::store::db::on;

    /// How many peers a copy of the database file shows, without its write-ahead log.
    async fn in_the_file(folder: &std::path::Path) -> i64 {
        std::fs::copy(folder.join("kaopu.db"), folder.join("copy.db")).unwrap();
        let options = SqliteConnectOptions::new().filename(folder.join("copy.db")).immutable(true);
        let mut copy = options.connect().await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM revoked_root").fetch_one(&mut copy).await.unwrap_or(0);
        copy.close().await.unwrap();
        count
    }

    #[tokio::test]
    async fn what_was_committed_comes_into_the_file_without_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&format!("sqlite:{}", folder.path().join("kaopu.db").display())).await.unwrap();
        let one_more = "INSERT INTO revoked_root (node, root) VALUES ('310107', 'x')";
        let written: Result<u64, StoreError> = async { on!(write db, c => sqlx::query(one_more).execute(c)) }.await;
        assert_eq!(written.unwrap(), 1);
        assert_eq!(in_the_file(folder.path()).await, 0);

        let folding = tokio::spawn(db.clone().keep_folding());
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        while in_the_file(folder.path()).await == 0 {
            assert!(tokio::time::Instant::now() < until, "it was not folded");
            sleep(Duration::from_millis(20)).await;
        }
        folding.abort();
        db.close().await;
    }
}
