//! The two pools, opening, migrating, retrying.

/// The database of a node. Cheap to clone.
#[derive(Clone)]
pub enum Db {
    /// SQLite: one writing connection, several reading.
    Sqlite(),
    /// PostgreSQL.
    Postgres(),
}

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database refused or could not be reached.
    #[error("the database: {0}")]
    Database(String),
    /// What stands in the database is not what this program writes.
    #[error("the database holds what this program never writes: {0}")]
    Corrupt(String),
}

impl Db {
    /// Opens and migrates: `sqlite:<path>` (created where absent) or `postgres://…`.
    pub async fn open(_url: &str) -> Result<Self, StoreError> {
        todo!()
    }
}
