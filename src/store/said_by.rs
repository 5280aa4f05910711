//! Who had this node say what: of a statement that came with an upload whoever ran that, of any other who ran the command.

use std::collections::HashMap;
use std::sync::LazyLock;

use sqlx::FromRow;

use super::db::{Tx, clean, int, on};
use super::rows::{MultiRow, insert};
use super::{Db, StoreError};
use crate::statement::Digest;

/// Entries that one operator had the node say, in the transaction that appends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaidBy {
    /// The index of the first one.
    pub first: u64,
    /// The index behind the last one.
    pub next: u64,
    /// Who.
    pub operator: String,
}

/// Who had a statement said.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Operator {
    /// Their name.
    pub operator: String,
    /// The upload that it came with.
    pub upload: Option<i64>,
    /// Who approved that, where it was held for a second person.
    pub approved_by: Option<String>,
}

// An upload's entries are ranges that do not meet: the last one that begins no later may hold it.
const WHO: &str = "SELECT b.operator AS said, u.operator AS ran, u.id AS upload, h.decided_by AS approved, s.idx, p.next \
     FROM statement s JOIN log l ON l.id = s.log AND l.own = 1 \
     LEFT JOIN said_by b ON b.log = s.log AND b.idx = s.idx \
     LEFT JOIN upload_span p ON p.log = s.log AND p.first = \
       (SELECT MAX(q.first) FROM upload_span q WHERE q.log = s.log AND q.first <= s.idx) \
     LEFT JOIN upload u ON u.id = p.upload LEFT JOIN upload_hold h ON h.upload = u.id WHERE s.digest = $1";

static ADD: LazyLock<MultiRow> = LazyLock::new(|| MultiRow::new("INSERT INTO said_by (log, idx, operator)", 3, ""));

#[derive(FromRow)]
struct Row {
    said: Option<String>,
    ran: Option<String>,
    upload: Option<i64>,
    approved: Option<String>,
    idx: i64,
    next: Option<i64>,
}

/// Notes who had entries said.
pub(super) async fn add(tx: &mut Tx, log: i64, said: &[SaidBy]) -> Result<(), StoreError> {
    let rows: Vec<(u64, String)> =
        said.iter().flat_map(|by| (by.first..by.next).map(|index| (index, clean(&by.operator)))).collect();
    insert!(tx, ADD, &rows, |query, row| query.bind(log).bind(int(row.0)).bind(&row.1)).await?;
    Ok(())
}

impl Db {
    /// Who had these statements of own logs said, as far as that is known.
    pub async fn operators(&self, digests: &[Digest]) -> Result<HashMap<Digest, Operator>, StoreError> {
        let mut operators = HashMap::new();
        for digest in digests {
            let rows: Vec<Row> = on!(read self, c => sqlx::query_as(WHO).bind(&digest.0[..]).fetch_all(c))?;
            operators.extend(rows.into_iter().find_map(Row::operator).map(|operator| (*digest, operator)));
        }
        Ok(operators)
    }
}

impl Row {
    fn operator(self) -> Option<Operator> {
        if let Some(operator) = self.said {
            return Some(Operator { operator, upload: None, approved_by: None });
        }
        let came_with_it = self.next.is_some_and(|next| self.idx < next);
        let operator = self.ran.filter(|_| came_with_it)?;
        Some(Operator { operator, upload: self.upload, approved_by: self.approved })
    }
}
