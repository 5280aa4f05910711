//! What is known about a subject, looked up among ten million records and among a hundred thousand.
//!
//! `cargo bench --bench lookup`; `KAOPU_ROWS` says how many real records there are first (100,000), `KAOPU_TIMES` how many
//! times as many there are then (100), `KAOPU_STORE` on which database alone. The further records are copies of the real
//! ones, each about a subject, under a digest and of an identity of its own, made in the database: some 14 GB.

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench reports and may panic")]
#![expect(clippy::allow_attributes, reason = "what is shared with the tests is not all used here")]

#[path = "../tests/it/city.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod city;
#[path = "../tests/it/database.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "the tests' harness has more than a bench needs")]
mod database;
mod filled;
#[path = "../tests/it/line.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod line;

use std::str::FromStr as _;
use std::time::{Duration, Instant};

use city::City;
use database::Kind;
use filled::{databases, fill, settle, uscc};
use kaopu::node::lookup;
use kaopu::node::view::View;
use kaopu::record::Rules;
use line::Office;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

/// Look-ups before those that count, and those.
const LOOK_UPS: (usize, usize) = (2_000, 10_000);

fn main() {
    let number = |name, or| std::env::var(name).map_or(or, |value| value.parse().expect("a number"));
    let (rows, times) = (number("KAOPU_ROWS", 100_000), number("KAOPU_TIMES", 100));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for kind in databases() {
            Box::pin(measure(kind, rows, times)).await;
        }
    });
}

async fn measure(kind: Kind, rows: u64, times: u64) {
    let office = Office::in_a(kind, City::new("340500", "https://127.0.0.1:1")).await;
    let records = office.publishes().await;
    fill(&office.city, &records, rows).await;
    settle(kind, office.database.url()).await;
    let few = look_up(&office, rows, 1).await;
    println!("{kind:?}: {rows} records: {}", said(&few));
    copy(kind, office.database.url(), rows, times).await;
    let many = look_up(&office, rows, times).await;
    let ratio = mean(&many).as_secs_f64() / mean(&few).as_secs_f64();
    println!("{kind:?}: {} records: {}, ratio {ratio:.2}", rows * times, said(&many));
}

/// How long looking up took, for subjects anywhere.
async fn look_up(office: &Office, rows: u64, times: u64) -> Vec<Duration> {
    let rules = Rules::built_in().unwrap();
    let view = View { node: &office.city.node, kinds: &office.kinds, rules: &rules, clock: &office.clock };
    let mut rng = StdRng::seed_from_u64(1);
    let mut took = Vec::new();
    for _ in 0..LOOK_UPS.0 + LOOK_UPS.1 {
        let (n, time) = (rng.random_range(0..rows), rng.random_range(0..times));
        let key = if time == 0 { uscc(n) } else { format!("{}-{time}", uscc(n)) };
        let begun = Instant::now();
        let found = lookup::about(&office.db, &view, &key).await.unwrap();
        took.push(begun.elapsed());
        assert_eq!(found.len(), 1, "{key}");
    }
    took.split_off(LOOK_UPS.0)
}

fn mean(took: &[Duration]) -> Duration {
    took.iter().sum::<Duration>() / took.len() as u32
}

fn said(took: &[Duration]) -> String {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    format!("a look-up takes {:.0?}, p50 {:.0?}, p99 {:.0?}", mean(took), at(0.5), at(0.99))
}

/// Copies each record so often that there are `times` as many.
async fn copy(kind: Kind, url: &str, rows: u64, times: u64) {
    let digest = if kind == Kind::Sqlite { "randomblob(32)" } else { "sha256(s.digest || CAST($1 AS TEXT)::bytea)" };
    let statement = format!(
        "INSERT INTO statement (log, idx, class, digest, kind, version, iat, subject, identity, verdict, body, jws) \
         SELECT s.log, s.idx + $1 * {rows}, s.class, {digest}, s.kind, s.version, s.iat, \
         s.subject || '-' || CAST($1 AS TEXT), {identity}, s.verdict, s.body, s.jws \
         FROM statement s WHERE s.kind = 'penalty' AND s.idx <= {rows}",
        identity = digest.replace("s.digest", "s.identity"),
    );
    let record = format!(
        "INSERT INTO record (issuer, kind, identity, log, idx, digest, content, versions) \
         SELECT l.node, s.kind, s.identity, s.log, s.idx, s.digest, s.digest, 1 FROM statement s \
         JOIN log l ON l.id = s.log WHERE s.idx > $1 * {rows} AND s.idx <= ($1 + 1) * {rows} AND s.kind = 'penalty'"
    );
    let begun = Instant::now();
    let times = i64::try_from(times).unwrap();
    match kind {
        Kind::Sqlite => {
            let path = url.trim_start_matches("sqlite:");
            let options = SqliteConnectOptions::new().filename(path).pragma("synchronous", "OFF");
            let mut to = options.pragma("cache_size", "-6000000").connect().await.unwrap();
            for time in 1..times {
                for sql in [&statement, &record] {
                    sqlx::query(AssertSqlSafe(sql.clone())).bind(time).execute(&mut to).await.unwrap();
                }
            }
            to.close().await.unwrap();
        }
        _ => {
            let mut to = PgConnectOptions::from_str(url).unwrap().connect().await.unwrap();
            sqlx::query("SET synchronous_commit = off").execute(&mut to).await.unwrap();
            for time in 1..times {
                for sql in [&statement, &record] {
                    sqlx::query(AssertSqlSafe(sql.clone())).bind(time).execute(&mut to).await.unwrap();
                }
            }
            to.close().await.unwrap();
            settle(kind, url).await;
        }
    }
    println!("{kind:?}: copied in {:.0?}", begun.elapsed());
}
