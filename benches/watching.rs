//! What it costs to tell followers of a page of statements, where a thousand subjects are followed and where a million are.
//!
//! `cargo bench --bench watching`; `KAOPU_WATCHED` says how many subjects (1,000 and 1,000,000: a list), `KAOPU_ROWS` how many
//! statements (100,000), of which one in a hundred is about somebody who is followed.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench reports and may panic")]
#![expect(clippy::allow_attributes, reason = "what is shared with the tests is not all used here")]

#[path = "../tests/it/database.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "the tests' harness has more than a bench needs")]
mod database;
#[path = "../tests/it/growth.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod growth;

use std::sync::Arc;
use std::time::Instant;

use database::{Database, Kind};
use kaopu::clock::Clock;
use kaopu::exchange::tell::{Stepped, Teller};
use kaopu::record::Purpose;
use kaopu::store::Db;
use kaopu::store::watch::{Followed, Following};
use tokio::sync::Notify;

const ORIGIN: &str = "kaopu/340500/records/1";

fn main() {
    let number = |text: &str| text.replace('_', "").parse::<u64>().expect("a number");
    let watched = std::env::var("KAOPU_WATCHED").unwrap_or_else(|_| "1_000,1_000_000".to_owned());
    let rows = std::env::var("KAOPU_ROWS").map_or(100_000, |rows| number(&rows));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for kind in [Kind::Sqlite, Kind::DurablePostgres] {
            for watched in watched.split(',') {
                measure(kind, number(watched), rows).await;
            }
        }
    });
}

async fn measure(kind: Kind, watched: u64, rows: u64) {
    let database = Database::new(kind).await;
    let db = database.open().await;
    let begun = Instant::now();
    follow(&db, watched, rows).await;
    let added = begun.elapsed();
    let mut log = growth::log(&db, ORIGIN, false).await;
    let numbers: Vec<u64> = (0..rows).collect();
    for chunk in numbers.chunks(4096) {
        let entries: Vec<_> = chunk.iter().map(|n| growth::penalty(&log.origin, *n)).collect();
        log = growth::append(&db, &log, &entries, &[]).await.unwrap();
    }
    let teller = Teller { db: db.clone(), clock: Clock::System, keep_days: 730, deliveries: Arc::new(Notify::new()) };
    let (begun, mut steps) = (Instant::now(), 0_u32);
    while teller.step().await.unwrap() == Stepped::More {
        steps += 1;
    }
    let spent = begun.elapsed();
    let told = db.unread().await.unwrap();
    println!(
        "{kind:?}: {watched} watched (added at {:.0}/s): {rows} statements in {} steps, {told} notices: {:.2} µs a statement, \
         {:.1} ms a step",
        watched as f64 / added.as_secs_f64(),
        steps + 1,
        spent.as_micros() as f64 / rows as f64,
        spent.as_secs_f64() * 1000.0 / f64::from(steps + 1),
    );
}

/// One in a hundred of the subjects that the statements are about, and as many others as are wanted.
async fn follow(db: &Db, watched: u64, rows: u64) {
    let of_rows = (0..rows / 3).step_by(100).map(|n| format!("91340500MA{n:08}"));
    let others = (0..).map(|n| format!("91110000MB{n:08}"));
    let count = usize::try_from(watched).expect("so many");
    let subjects: Vec<Followed> =
        of_rows.chain(others).take(count).map(|subject| Followed { subject, name: None }).collect();
    let following = Following {
        follower: "商务委",
        purpose: Purpose::Supervision,
        until_ms: None,
        webhook: None,
        added_by: "示例",
        allowed_by: None,
        now_ms: 0,
    };
    let subjects: Vec<&Followed> = subjects.iter().collect();
    for some in subjects.chunks(5000) {
        db.follow(&following, some).await.unwrap();
    }
}
