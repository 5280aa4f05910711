//! What imports count for the monthly figures of data quality (双公示评估).

use std::ops::AddAssign;
use std::sync::LazyLock;

use super::db::{Tx, clean, int, nat, on};
use super::rows::{MultiRow, insert};
use super::{Db, StoreError};

/// The counts of one month, kind and department, or what an upload's step adds to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// `YYYY-MM` in which the rows came (UTC+8).
    pub month: String,
    /// Their kind.
    pub kind: String,
    /// The department; empty where nobody said.
    pub department: String,
    /// The counts.
    pub tally: Tally,
}

/// Rows and values, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Rows, but those that were published already and unchanged.
    pub submitted: u64,
    /// Of them published.
    pub valid: u64,
    /// Rows passed over, counted nowhere else.
    pub unchanged: u64,
    /// Values that submitted rows had to give.
    pub required: u64,
    /// Of them given.
    pub given: u64,
    /// Rows that published a record for the first time, with a day of decision.
    pub first: u64,
    /// Of them in time.
    pub in_time: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.submitted += other.submitted;
        self.valid += other.valid;
        self.unchanged += other.unchanged;
        self.required += other.required;
        self.given += other.given;
        self.first += other.first;
        self.in_time += other.in_time;
    }
}

static ADD: LazyLock<MultiRow> = LazyLock::new(|| {
    MultiRow::new(
        "INSERT INTO quality (month, kind, department, submitted, valid, unchanged, required, given, first, in_time)",
        10,
        "ON CONFLICT (month, kind, department) DO UPDATE SET submitted = quality.submitted + excluded.submitted, \
         valid = quality.valid + excluded.valid, unchanged = quality.unchanged + excluded.unchanged, \
         required = quality.required + excluded.required, given = quality.given + excluded.given, \
         first = quality.first + excluded.first, in_time = quality.in_time + excluded.in_time",
    )
});
const MONTH: &str = "SELECT kind, department, submitted, valid, unchanged, required, given, first, in_time FROM quality \
     WHERE month = $1 ORDER BY kind, department";

impl Db {
    /// What came in a month, by kind and department.
    pub async fn quality(&self, month: &str) -> Result<Vec<Tallied>, StoreError> {
        type Row = (String, String, i64, i64, i64, i64, i64, i64, i64);
        let rows: Vec<Row> = on!(read self, c => sqlx::query_as(MONTH).bind(month).fetch_all(c))?;
        let tallied = |(kind, department, submitted, valid, unchanged, required, given, first, in_time): Row| {
            Ok(Tallied {
                month: month.to_owned(),
                kind,
                department,
                tally: Tally {
                    submitted: nat(submitted)?,
                    valid: nat(valid)?,
                    unchanged: nat(unchanged)?,
                    required: nat(required)?,
                    given: nat(given)?,
                    first: nat(first)?,
                    in_time: nat(in_time)?,
                },
            })
        };
        rows.into_iter().map(tallied).collect()
    }
}

/// Adds counts within the transaction that moves the upload's cursor; each month, kind and department stands among them once.
pub(super) async fn add(tx: &mut Tx, tallied: &[Tallied]) -> Result<(), StoreError> {
    insert!(tx, ADD, tallied, |query, row| query
        .bind(&row.month)
        .bind(&row.kind)
        .bind(clean(&row.department))
        .bind(int(row.tally.submitted))
        .bind(int(row.tally.valid))
        .bind(int(row.tally.unchanged))
        .bind(int(row.tally.required))
        .bind(int(row.tally.given))
        .bind(int(row.tally.first))
        .bind(int(row.tally.in_time)))
    .await?;
    Ok(())
}
