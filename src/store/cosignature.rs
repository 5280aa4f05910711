//! Cosignatures: those that witnesses gave on checkpoints of own logs, and those that this node gave, as a witness, on
//! checkpoints of its peers. Of each witness the newest on each log is kept.

use sqlx::FromRow;

use super::db::{Tx, int, nat, on, retry};
use super::log::{Head, MOVE_HEAD};
use super::{Db, StoreError};
use crate::log::{Cosignature, Origin};

/// The newest cosignature of a witness on a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CosignatureRow {
    /// The log.
    pub origin: Origin,
    /// It is this node's own.
    pub own: bool,
    /// Of the checkpoint.
    pub size: u64,
    /// Who gave it, when, and its line.
    pub cosignature: Cosignature,
    /// How many came of this witness on this log.
    pub given: u64,
}

// one on a smaller checkpoint, or an older one, changes nothing: it came late
const PUT: &str = "INSERT INTO cosignature (log, witness, size, at, line, given) VALUES ($1, $2, $3, $4, $5, 1) \
     ON CONFLICT (log, witness) DO UPDATE SET size = excluded.size, at = excluded.at, line = excluded.line, \
     given = cosignature.given + 1 \
     WHERE excluded.size > cosignature.size OR (excluded.size = cosignature.size AND excluded.at >= cosignature.at)";
const ALL: &str = "SELECT l.origin, l.own, c.witness, c.size, c.at, c.line, c.given FROM cosignature c \
     JOIN log l ON l.id = c.log ORDER BY l.origin, c.witness";
const OF_LOG: &str = "SELECT l.origin, l.own, c.witness, c.size, c.at, c.line, c.given FROM cosignature c \
     JOIN log l ON l.id = c.log WHERE c.log = $1 ORDER BY c.witness";

impl Db {
    /// As a witness: moves the head of a peer's log from size `old` (None: no head yet) and keeps the cosignature that says
    /// so, or neither, which is false, if the head stands elsewhere by now. Cosigning the head where it stands moves nothing.
    ///
    /// The cosignature goes out after the commit: a crash before it leaves nothing, one after it a head that is cosigned
    /// again when it is asked for again.
    pub async fn cosign(
        &self,
        log: i64,
        old: Option<u64>,
        head: &Head,
        cosignature: &Cosignature,
    ) -> Result<bool, StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            let moved = on!(change tx, c => sqlx::query(MOVE_HEAD)
                .bind(int(head.size))
                .bind(&head.root[..])
                .bind(&head.note)
                .bind(head.seen_ms)
                .bind(log)
                .bind(old.map_or(-1, int))
                .execute(c))?;
            if moved == 0 {
                return Ok(false);
            }
            put(&mut tx, log, head.size, cosignature).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Keeps what a witness gave on a checkpoint of an own log.
    pub async fn put_cosignature(&self, log: i64, size: u64, cosignature: &Cosignature) -> Result<(), StoreError> {
        retry(|| async {
            let mut tx = self.begin().await?;
            put(&mut tx, log, size, cosignature).await?;
            tx.commit().await
        })
        .await
    }

    /// Those on one log, by witness.
    pub async fn cosignatures(&self, log: i64) -> Result<Vec<CosignatureRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(OF_LOG).bind(log).fetch_all(c))?;
        rows.into_iter().map(CosignatureRow::try_from).collect()
    }

    /// All, by log and witness.
    pub async fn all_cosignatures(&self) -> Result<Vec<CosignatureRow>, StoreError> {
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(CosignatureRow::try_from).collect()
    }
}

async fn put(tx: &mut Tx, log: i64, size: u64, cosignature: &Cosignature) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(PUT)
        .bind(log)
        .bind(&cosignature.witness)
        .bind(int(size))
        .bind(cosignature.at)
        .bind(&cosignature.line)
        .execute(c))?;
    Ok(())
}

#[derive(FromRow)]
struct Row {
    origin: String,
    own: i64,
    witness: String,
    size: i64,
    at: i64,
    line: String,
    given: i64,
}

impl TryFrom<Row> for CosignatureRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            origin: row.origin.parse().map_err(|_| StoreError::Corrupt(format!("origin {:?}", row.origin)))?,
            own: row.own == 1,
            size: nat(row.size)?,
            cosignature: Cosignature { witness: row.witness, at: row.at, line: row.line },
            given: nat(row.given)?,
        })
    }
}
