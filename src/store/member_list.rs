//! Member lists: the newest that this node stands by, and the newest that it took.

use sqlx::FromRow;

use super::db::{hash, int, nat, on, retry};
use super::{Db, StoreError};
use crate::statement::Digest;

/// What this node did with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It stands by it, as an administrator's node.
    Signed,
    /// It took it.
    Taken,
}

/// A member list as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberListRow {
    /// Of which federation.
    pub federation: String,
    /// What this node did with it.
    pub done: Done,
    /// Its sequence.
    pub sequence: u64,
    /// Its digest.
    pub digest: Digest,
    /// List and signatures, as a file has them.
    pub file: String,
    /// When, milliseconds since 1970.
    pub at_ms: i64,
}

// A list never goes back, and of one sequence there is one list, whatever the caller believes. What is signed is newer than
// what was taken, too.
const PUT: &str = "INSERT INTO member_list (federation, done, sequence, digest, file, at_ms) \
     SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM member_list WHERE federation = $1 \
     AND ((sequence > $3 AND ($2 = 'signed' OR done = 'taken')) OR (sequence = $3 AND digest <> $4))) \
     ON CONFLICT (federation, done) DO UPDATE SET sequence = excluded.sequence, digest = excluded.digest, \
     file = excluded.file, at_ms = excluded.at_ms WHERE member_list.sequence < excluded.sequence \
     OR (member_list.sequence = excluded.sequence AND member_list.digest = excluded.digest)";
const ONE: &str =
    "SELECT federation, done, sequence, digest, file, at_ms FROM member_list WHERE federation = $1 AND done = $2";

impl Done {
    fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Taken => "taken",
        }
    }
}

impl Db {
    /// Keeps a list; false, and nothing changed, where a newer one is kept, or another one of the same sequence.
    pub async fn put_member_list(&self, row: &MemberListRow) -> Result<bool, StoreError> {
        let changed = retry(|| async {
            on!(write self, c => sqlx::query(PUT)
                .bind(&row.federation)
                .bind(row.done.as_str())
                .bind(int(row.sequence))
                .bind(&row.digest.0[..])
                .bind(&row.file)
                .bind(row.at_ms)
                .execute(c))
        })
        .await?;
        Ok(changed == 1)
    }

    /// The newest list that this node signed, or took.
    pub async fn member_list(&self, federation: &str, done: Done) -> Result<Option<MemberListRow>, StoreError> {
        let row: Option<Row> = on!(read self, c => sqlx::query_as(ONE)
            .bind(federation)
            .bind(done.as_str())
            .fetch_optional(c))?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(MemberListRow {
            federation: row.federation,
            done,
            sequence: nat(row.sequence)?,
            digest: Digest(hash(&row.digest)?),
            file: row.file,
            at_ms: row.at_ms,
        }))
    }
}

#[derive(FromRow)]
struct Row {
    federation: String,
    sequence: i64,
    digest: Vec<u8>,
    file: String,
    at_ms: i64,
}
