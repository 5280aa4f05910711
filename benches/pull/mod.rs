//! A log pulled over real mutual TLS, both ends in this process.

use std::time::{Duration, Instant};

use kaopu::statement::Verified;

use crate::baseline;
use crate::city::City;
use crate::database::Kind;
use crate::line::{Office, place, publish};

/// Statements in one submission.
const SUBMISSION: u64 = 4096;

/// Pulls a log of `rows` penalties into an empty store: how long that takes, and how long the bare rows.
pub async fn measure(kind: Kind, rows: u64) -> (Duration, Duration) {
    let (tcp, url) = place().await;
    let mut owner = Office::in_a(kind, City::new("310107", &url)).await;
    let mut mirror = Office::in_a(kind, City::new("340500", "https://127.0.0.1:1")).await;
    owner.knows(&[&mirror.city]).await;
    mirror.knows(&[&owner.city]).await;
    let appender = owner.publishes().await;
    let mut first = 1;
    while first < rows {
        let end = (first + SUBMISSION).min(rows);
        let statements: Vec<Verified> = (first..end).map(|n| owner.city.penalty(n)).collect();
        publish(&appender, statements).await;
        first = end;
    }
    owner.serve(tcp);

    let origin = owner.city.records();
    let started = Instant::now();
    mirror.pull();
    mirror.holds_within(&origin, rows, Duration::from_secs(3600)).await;
    let spent = started.elapsed();
    mirror.rest().await;
    owner.close().await;

    let log = mirror.copy(&origin).await.expect("the log was pulled").id;
    let empty = crate::database::Database::new(kind).await;
    let rows = i64::try_from(rows).expect("a number of rows");
    (spent, baseline::insert(mirror.database.url(), empty.url(), log, rows).await)
}
