//! Import and pull against the bare insertion of the same rows, on SQLite and on PostgreSQL.
//!
//! `cargo bench --bench throughput`; `KAOPU_ROWS` says how many penalties (200,000).

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench reports and may panic")]
#![expect(clippy::allow_attributes, reason = "what is shared with the tests is not all used here")]

mod baseline;
#[path = "../tests/it/city.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod city;
mod import;
#[path = "../tests/it/database.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "the tests' harness has more than a bench needs")]
mod database;
#[path = "../tests/it/own_log.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod own_log;
#[path = "../tests/it/penalty_file.rs"]
mod penalty_file;
#[path = "../tests/it/growth.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod growth;
#[path = "../tests/it/line.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod line;
mod pull;

use std::time::{Duration, Instant};

use database::{Database, Kind};
use kaopu::store::NewEntry;

fn main() {
    let rows: u64 = std::env::var("KAOPU_ROWS").map_or(200_000, |rows| rows.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for kind in [Kind::Sqlite, Kind::DurablePostgres] {
            store(kind, rows).await;
            Box::pin(import(kind, rows)).await;
            Box::pin(pull(kind, rows)).await;
        }
    });
}

/// What a pull makes of rows that stand at another node.
async fn pull(kind: Kind, rows: u64) {
    let (spent, bare) = Box::pin(pull::measure(kind, rows)).await;
    println!(
        "{kind:?}: {rows} rows: pull {:.0}/s, bare {:.0}/s, ratio {:.2}",
        rate(rows, spent),
        rate(rows, bare),
        bare.as_secs_f64() / spent.as_secs_f64()
    );
}

fn rate(rows: u64, spent: Duration) -> f64 {
    rows as f64 / spent.as_secs_f64()
}

/// What the store alone takes of rows that are signed and judged.
async fn store(kind: Kind, rows: u64) {
    let database = Database::new(kind).await;
    let db = database.open().await;
    let mut log = growth::log(&db, "kaopu/340500/records/1", true).await;
    let mut spent = Duration::ZERO;
    let mut first = 0;
    while first < rows {
        let end = (first + 4096).min(rows);
        let entries: Vec<NewEntry> = (first..end).map(|n| growth::penalty(&log.origin, n)).collect();
        let started = Instant::now();
        log = growth::append(&db, &log, &entries, &[]).await.unwrap();
        spent += started.elapsed();
        first = end;
    }
    db.close().await;
    let empty = Database::new(kind).await;
    let bare = baseline::insert(database.url(), empty.url(), log.id, rows as i64).await;
    println!(
        "{kind:?}: {rows} rows: append {:.0}/s, bare {:.0}/s, ratio {:.2}",
        rate(rows, spent),
        rate(rows, bare),
        bare.as_secs_f64() / spent.as_secs_f64()
    );
}

/// An upload imported, against its rows inserted bare.
async fn import(kind: Kind, rows: u64) {
    let imported = Box::pin(import::measure(kind, rows)).await;
    let empty = Database::new(kind).await;
    let bare = baseline::insert(imported.database.url(), empty.url(), imported.log, imported.size).await;
    println!(
        "{kind:?}: {rows} rows: import {:.0}/s, bare {:.0}/s, ratio {:.2}",
        rate(rows, imported.spent),
        rate(rows, bare),
        bare.as_secs_f64() / imported.spent.as_secs_f64()
    );
}
