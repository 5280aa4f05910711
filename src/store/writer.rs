//! The one connection of this process that writes to SQLite, whoever has it, and the transaction on it.
//!
//! A pool would hand it from one writer to the next by way of the connection's thread, and counts the transactions that it
//! believes to be under way: one that SQLite ended by itself, as when a disk is full, leaves it wrong for good. Here the next
//! writer has it when the one before lets go, and a transaction is the words `BEGIN IMMEDIATE` and `COMMIT`.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, raw_sql};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

use super::StoreError;

/// Whoever waits longer for those before it is told that the database is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The connection. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    options: Arc<SqliteConnectOptions>,
    connection: Arc<Mutex<Seat>>,
}

/// Where the connection is while nobody writes.
enum Seat {
    Open(SqliteConnection),
    /// It broke: the next writer opens another.
    Broken,
    Closed,
}

/// The connection while somebody has it.
pub(super) struct Held(OwnedMutexGuard<Seat>);

/// A transaction under way; rolled back when it is dropped.
pub(super) struct Write {
    /// None once it has ended.
    held: Option<Held>,
}

impl Writer {
    /// Opens the connection.
    pub(super) async fn open(options: SqliteConnectOptions) -> Result<Self, StoreError> {
        let connection = Seat::Open(options.connect().await?);
        Ok(Self { options: Arc::new(options), connection: Arc::new(Mutex::new(connection)) })
    }

    /// How it was opened.
    pub(super) fn options(&self) -> &SqliteConnectOptions {
        &self.options
    }

    /// Waits for the connection.
    pub(super) async fn take(&self) -> Result<Held, StoreError> {
        let busy = |_| StoreError::Busy("those who write before have not ended".to_owned());
        let mut seat = timeout(PATIENCE, Arc::clone(&self.connection).lock_owned()).await.map_err(busy)?;
        match &*seat {
            Seat::Open(_) => {}
            Seat::Broken => *seat = Seat::Open(self.options.connect().await?),
            Seat::Closed => return Err(StoreError::Database("it was closed".to_owned())),
        }
        Ok(Held(seat))
    }

    /// Begins a transaction: waits here for whoever writes now, never later.
    pub(super) async fn begin(&self) -> Result<Write, StoreError> {
        let mut write = Write { held: Some(self.take().await?) };
        raw_sql("BEGIN IMMEDIATE").execute(write.connection()?).await?;
        Ok(write)
    }

    /// Closes the connection behind those who wait for it.
    pub(super) async fn close(&self) {
        let mut seat = self.connection.lock().await;
        if let Seat::Open(connection) = std::mem::replace(&mut *seat, Seat::Closed) {
            // what was committed is safe whether or not it goes well
            drop(connection.close().await);
        }
    }
}

impl Held {
    /// The connection itself.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        match &mut *self.0 {
            Seat::Open(connection) => Ok(connection),
            Seat::Broken | Seat::Closed => Err(StoreError::Broken("the connection is gone".to_owned())),
        }
    }

    /// Ends the transaction that may be under way. One that the database ended by itself, as it does when a disk is full,
    /// is none.
    async fn roll_back(mut self) {
        let Ok(connection) = self.connection() else { return };
        if let Err(error) = raw_sql("ROLLBACK").execute(connection).await
            && !has_no_transaction(&error)
        {
            tracing::warn!(%error, "a transaction could not be rolled back: another connection takes its place");
            *self.0 = Seat::Broken;
        }
    }
}

impl Write {
    /// The connection itself.
    pub(super) fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        match &mut self.held {
            Some(held) => held.connection(),
            None => Err(StoreError::Broken("the transaction has ended".to_owned())),
        }
    }

    /// Commits.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        raw_sql("COMMIT").execute(self.connection()?).await?;
        self.held = None;
        Ok(())
    }
}

impl Drop for Write {
    fn drop(&mut self) {
        let Some(mut held) = self.held.take() else { return };
        match Handle::try_current() {
            // whoever writes next waits for it
            Ok(runtime) => drop(runtime.spawn(held.roll_back())),
            // a connection that goes away rolls back
            Err(_) => *held.0 = Seat::Broken,
        }
    }
}

/// SQLite has one code for all that is wrong with a statement itself; with this one it can be nothing else.
fn has_no_transaction(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some("1"))
}

#[cfg(test)]
mod tests {
    use sqlx::query_scalar;

    use super::*;

    const ONE_MORE: &str = "INSERT INTO t (a) SELECT count(*) FROM t";

    async fn writer(folder: &std::path::Path) -> Writer {
        let options = SqliteConnectOptions::new().filename(folder.join("t.db")).create_if_missing(true);
        let writer = Writer::open(options).await.unwrap();
        let mut held = writer.take().await.unwrap();
        raw_sql("CREATE TABLE t (a INTEGER NOT NULL UNIQUE)").execute(held.connection().unwrap()).await.unwrap();
        writer
    }

    async fn write(write: &mut Write) {
        raw_sql(ONE_MORE).execute(write.connection().unwrap()).await.unwrap();
    }

    async fn count(writer: &Writer) -> i64 {
        let mut held = writer.take().await.unwrap();
        query_scalar("SELECT count(*) FROM t").fetch_one(held.connection().unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn what_is_dropped_before_its_commit_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path()).await;
        for ends_well in [true, false, false, true] {
            let before = count(&writer).await;
            let mut tx = writer.begin().await.unwrap();
            write(&mut tx).await;
            if ends_well {
                tx.commit().await.unwrap();
            } else {
                drop(tx);
            }
            assert_eq!(count(&writer).await, before + i64::from(ends_well));
        }
    }

    #[tokio::test]
    async fn whoever_gives_up_at_any_moment_leaves_the_connection_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path()).await;
        for polls in 0..40 {
            let mut writing = Box::pin(async {
                let mut tx = writer.begin().await.unwrap();
                write(&mut tx).await;
                tx.commit().await.unwrap();
            });
            for _ in 0..polls {
                if futures_util::poll!(&mut writing).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(writing);
            let before = count(&writer).await;
            let mut tx = writer.begin().await.unwrap();
            write(&mut tx).await;
            tx.commit().await.unwrap();
            assert_eq!(count(&writer).await, before + 1, "given up after {polls}");
        }
    }

    #[tokio::test]
    async fn a_transaction_that_the_database_ended_is_no_trouble_for_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path()).await;
        let mut tx = writer.begin().await.unwrap();
        write(&mut tx).await;
        let twice = raw_sql("INSERT OR ROLLBACK INTO t (a) VALUES (0)").execute(tx.connection().unwrap()).await;
        assert!(twice.is_err());
        assert!(tx.commit().await.is_err());
        let mut tx = writer.begin().await.unwrap();
        write(&mut tx).await;
        tx.commit().await.unwrap();
        assert_eq!(count(&writer).await, 1);
    }

    #[tokio::test]
    async fn a_transaction_that_ends_where_nothing_can_be_awaited_takes_its_connection_along() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path()).await;
        let mut tx = writer.begin().await.unwrap();
        write(&mut tx).await;
        std::thread::spawn(move || drop(tx)).join().unwrap();
        assert_eq!(count(&writer).await, 0);
        let mut tx = writer.begin().await.unwrap();
        write(&mut tx).await;
        tx.commit().await.unwrap();
        assert_eq!(count(&writer).await, 1);
    }

    #[tokio::test]
    async fn nobody_writes_behind_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let writer = writer(folder.path()).await;
        let tx = writer.begin().await.unwrap();
        let closing = tokio::spawn({
            let writer = writer.clone();
            async move { writer.close().await }
        });
        tx.commit().await.unwrap();
        closing.await.unwrap();
        assert!(matches!(writer.begin().await, Err(StoreError::Database(_))));
    }
}
