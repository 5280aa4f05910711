//! Statements whose verdict turned after they were stored, noted for those who follow their subjects. The note is part of
//! the transaction that turns the verdict: a statement that was held is told of when it is settled, and one that turns out
//! to be void is told of once more.

use super::StoreError;
use super::db::{Tx, int, on};

// while nobody follows anything, nobody needs to be told later either
const NOTE: &str = "INSERT INTO turned (log, idx, subject, stands) \
     SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS BIGINT) \
     WHERE EXISTS (SELECT 1 FROM watch)";

/// Notes that a statement stands from now on, or does not any more.
pub(super) async fn note(tx: &mut Tx, log: i64, index: u64, subject: &str, stands: bool) -> Result<(), StoreError> {
    on!(change tx, c => sqlx::query(NOTE)
        .bind(log)
        .bind(int(index))
        .bind(subject)
        .bind(i64::from(stands))
        .execute(c))?;
    Ok(())
}
