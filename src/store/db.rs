//! The two pools, opening, migrating, retrying, and how one query runs on either.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, PgPool, Postgres, SqlitePool, Transaction};

use super::statistics::Growth;
use super::writer::{Write, Writer};

static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// How often a transaction that lost against another is tried before its caller hears of it.
const TRIES: u32 = 10;

/// The database of a node. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pub(super) pools: Pools,
    pub(super) growth: Arc<Growth>,
}

/// One of the two databases. [`on!`](on) runs a query on whichever it is.
#[derive(Clone)]
pub(super) enum Pools {
    /// One connection that writes, a few that read.
    Sqlite { write: Writer, read: SqlitePool },
    /// One pool for both.
    Postgres(PgPool),
}

/// A transaction under way on either database; rolled back when it is dropped.
pub(super) enum Tx {
    Sqlite(Write),
    Postgres(Transaction<'static, Postgres>),
}

/// The store failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database: {0}")]
    Database(String),
    /// Another transaction was in the way: the same again may well succeed.
    #[error("the database was busy: {0}")]
    Busy(String),
    /// The connection broke: what was under way may or may not have been committed.
    #[error("the connection to the database broke: {0}")]
    Broken(String),
    /// There is no room for what is to be written, or a quota is reached: nothing of it was committed, and the same again
    /// fails until somebody makes room.
    #[error(
        "there is no room left for the database ({0}). Nothing that was committed is lost: make room on its disk, or raise \
         its quota"
    )]
    Full(String),
    /// What stands in the database is not what this program writes.
    #[error("the database holds what this program never writes: {0}")]
    Corrupt(String),
    /// The address of the database is none that this program knows.
    #[error("{0:?} is no store: sqlite:PATH or postgres://… is expected")]
    Address(String),
}

/// Runs one expression, written once, on the connection of whichever database it is:
/// `on!(read db, c => sqlx::query_as(SQL).bind(x).fetch_all(c))`, with `write db` or `tx transaction` likewise.
macro_rules! on {
    (read $db:expr, $c:ident => $run:expr) => {
        match &$db.pools {
            $crate::store::db::Pools::Sqlite { read: $c, .. } => $run.await,
            $crate::store::db::Pools::Postgres($c) => $run.await,
        }
        .map_err($crate::store::StoreError::from)
    };
    (write $db:expr, $c:ident => $run:expr) => {
        match &$db.pools {
            $crate::store::db::Pools::Sqlite { write, .. } => {
                let mut held = write.take().await?;
                let $c = held.connection()?;
                $run.await.map(|r| r.rows_affected())
            }
            $crate::store::db::Pools::Postgres($c) => $run.await.map(|r| r.rows_affected()),
        }
        .map_err($crate::store::StoreError::from)
    };
    (change $tx:expr, $c:ident => $run:expr) => {
        match $tx.reborrow() {
            $crate::store::db::Tx::Sqlite(t) => {
                let $c = t.connection()?;
                $run.await.map(|r| r.rows_affected())
            }
            $crate::store::db::Tx::Postgres(t) => {
                let $c = &mut **t;
                $run.await.map(|r| r.rows_affected())
            }
        }
        .map_err($crate::store::StoreError::from)
    };
    (tx $tx:expr, $c:ident => $run:expr) => {
        match $tx.reborrow() {
            $crate::store::db::Tx::Sqlite(t) => {
                let $c = t.connection()?;
                $run.await
            }
            $crate::store::db::Tx::Postgres(t) => {
                let $c = &mut **t;
                $run.await
            }
        }
        .map_err($crate::store::StoreError::from)
    };
}
pub(super) use on;

impl Db {
    /// Opens and migrates: `sqlite:<path>` (created where absent) or `postgres://…`.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let pools = if let Some(path) = url.strip_prefix("sqlite:") {
            // whoever turns the write-ahead log on keeps others out for a moment, and no busy timeout covers that
            retry(|| open_sqlite(Path::new(path.strip_prefix("//").unwrap_or(path)))).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            open_postgres(url).await?
        } else {
            return Err(StoreError::Address(url.chars().take_while(|c| *c != ':').collect()));
        };
        let db = Self { pools, growth: Arc::default() };
        // two processes may meet at a new database: whoever comes second finds the tables there when it looks again
        retry(|| db.migrate()).await?;
        Ok(db)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        match &self.pools {
            Pools::Sqlite { write, .. } => SQLITE.run(write.take().await?.connection()?).await,
            Pools::Postgres(pool) => POSTGRES.run(pool).await,
        }
        .map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => match StoreError::from(error) {
                full @ StoreError::Full(_) => full,
                other => StoreError::Busy(format!("migrating: {other}")),
            },
            other => StoreError::Busy(format!("migrating: {other}")),
        })
    }

    /// Begins a transaction that writes. On SQLite it waits here for whoever writes now, never later.
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match &self.pools {
            Pools::Sqlite { write, .. } => Tx::Sqlite(write.begin().await?),
            Pools::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }

    /// Closes all connections; what was committed stays. SQLite folds its write-ahead log into the file.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// The same for the macros, whether they are given it or a reference to it.
    pub(super) fn reborrow(&mut self) -> &mut Self {
        self
    }

    /// Commits. After an error of the connection it is unknown whether it did.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await.map_err(StoreError::from),
        }
    }
}

/// Runs `work`, and again while another transaction is in its way, ten times at most, waiting 5 ms to 1.3 s between.
pub(super) async fn retry<T, E, F>(mut work: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: MaybeBusy,
{
    let mut tries = 1;
    loop {
        match work().await {
            Err(error) if error.is_busy() && tries < TRIES => {
                tokio::time::sleep(Duration::from_millis(5 << (tries - 1).min(8))).await;
                tries += 1;
            }
            result => return result,
        }
    }
}

/// Runs what only looks, and again while the connection breaks too: for when an answer must be had.
pub(super) async fn patiently<T, F>(mut work: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    retry(|| {
        let work = work();
        async {
            work.await.map_err(|error| match error {
                StoreError::Broken(why) | StoreError::Database(why) => StoreError::Busy(why),
                other => other,
            })
        }
    })
    .await
}

/// An error that may say "the same again".
pub(super) trait MaybeBusy {
    fn is_busy(&self) -> bool;
}

impl MaybeBusy for StoreError {
    fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) => match database.code().as_deref() {
                // PostgreSQL: serialisation failure, deadlock, lock not to be had
                Some("40001" | "40P01" | "55P03") => Self::Busy(text),
                // PostgreSQL: shut down or terminated by its administrator, starting up
                Some("57P01" | "57P02" | "57P03") => Self::Broken(text),
                // PostgreSQL: disk full. SQLite: full; could not write (over a quota: it asks for ENOSPC alone), could not
                // enlarge the index of its write-ahead log
                Some("53100" | "13" | "778" | "4874") => Self::Full(database.message().to_owned()),
                // SQLite: busy and locked, whose extended codes carry them in the low byte
                Some(code) if code.len() <= 4 && code.parse::<u32>().is_ok_and(|c| matches!(c & 0xff, 5 | 6)) => {
                    Self::Busy(text)
                }
                _ => Self::Database(text),
            },
            sqlx::Error::PoolTimedOut => Self::Busy(text),
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
                Self::Broken(text)
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Corrupt(text),
            _ => Self::Database(text),
        }
    }
}

/// A size, an index or a row number as both databases have it.
pub(super) fn int(number: u64) -> i64 {
    // no log and no file comes near 2^63
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A size, an index or a row number as it was stored.
pub(super) fn nat(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Corrupt(format!("{number} where a size is expected")))
}

/// 32 bytes as they were stored.
pub(super) fn hash(bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt(format!("{} bytes where a hash is expected", bytes.len())))
}

/// Text that PostgreSQL takes: what peers said may be quoted in it, and NUL is the one character that it refuses.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

async fn open_sqlite(path: &Path) -> Result<Pools, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .foreign_keys(false)
        .disable_statement_logging();
    // KiB of page cache: the writer's holds the upper parts of the two random indexes, the readers' one bundle each
    let write = options.clone().pragma("cache_size", "-16384").pragma("wal_autocheckpoint", "4000");
    let read = options.pragma("cache_size", "-1024").pragma("query_only", "ON");
    let write = Writer::open(write).await.map_err(|error| match error {
        StoreError::Database(why) => StoreError::Database(format!("{}: {why}", path.display())),
        other => other,
    })?;
    let read = SqlitePoolOptions::new()
        .max_connections(4)
        .idle_timeout(Duration::from_secs(30))
        .test_before_acquire(false)
        .connect_lazy_with(read);
    Ok(Pools::Sqlite { write, read })
}

async fn open_postgres(url: &str) -> Result<Pools, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| StoreError::Address("postgres".to_owned()))?
        .application_name("kaopu")
        .disable_statement_logging();
    let pool = PgPoolOptions::new()
        .max_connections(8)
        .acquire_timeout(Duration::from_secs(30))
        .idle_timeout(Duration::from_secs(60))
        .connect_with(options)
        .await?;
    Ok(Pools::Postgres(pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("kaopu.db");
        let error = Db::open(&format!("sqlite:{}", path.display())).await.err().unwrap();
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}
