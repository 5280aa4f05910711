//! Queries between two nodes over real mutual TLS, signed and logged on both sides, both in this process, while the asked
//! one holds many records.
//!
//! `cargo bench --bench query`; `KAOPU_ROWS` says how many records (100,000), `KAOPU_SECONDS` for how long (10),
//! `KAOPU_FLIGHT` how many queries are under way at once (64).

#![expect(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench reports and may panic")]
#![expect(clippy::allow_attributes, reason = "what is shared with the tests is not all used here")]

#[path = "../tests/it/city.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod city;
#[path = "../tests/it/database.rs"]
#[allow(dead_code, unused_macros, unused_imports, reason = "the tests' harness has more than a bench needs")]
mod database;
#[path = "../tests/it/line.rs"]
#[allow(dead_code, reason = "the tests have more use for it")]
mod line;

use std::sync::Arc;
use std::time::{Duration, Instant};

use city::City;
use database::Kind;
use kaopu::exchange::finding::{Ask, Came, Whom};
use kaopu::exchange::question::About;
use kaopu::http::Limits;
use kaopu::record::Purpose;
use kaopu::statement::Verified;
use line::{Office, place, publish};

/// Statements in one submission.
const SUBMISSION: u64 = 4096;

fn main() {
    let number = |name, or| std::env::var(name).map_or(or, |value| value.parse().expect("a number"));
    let (rows, seconds) = (number("KAOPU_ROWS", 100_000), number("KAOPU_SECONDS", 10));
    let flight = number("KAOPU_FLIGHT", 64);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for kind in [Kind::Sqlite, Kind::DurablePostgres] {
            let mut took = Box::pin(measure(kind, rows, flight, Duration::from_secs(seconds))).await;
            took.sort_unstable();
            let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
            println!(
                "{kind:?}: {} queries/s, {flight} in flight, {rows} records: p50 {:?}, p99 {:?}",
                took.len() as u64 / seconds,
                at(0.5),
                at(0.99)
            );
        }
    });
}

/// A code of which there is one record.
fn uscc(n: u64) -> String {
    const CHARACTERS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let body = format!("91340500M{n:08}");
    let value = |c: u8| CHARACTERS.iter().position(|known| *known == c).expect("a character of codes");
    let sum: usize = body.bytes().zip(WEIGHTS).map(|(c, weight)| value(c) * weight).sum();
    format!("{body}{}", char::from(CHARACTERS[(31 - sum % 31) % 31]))
}

/// How long each query took, from its signing until its receipt was logged.
async fn measure(kind: Kind, rows: u64, flight: u64, time: Duration) -> Vec<Duration> {
    let (tcp, url) = place().await;
    let mut asked = Office::in_a(kind, City::new("340500", &url)).await;
    let mut asker = Office::in_a(kind, City::new("310107", "https://127.0.0.1:1")).await;
    asked.knows(&[&asker.city]).await;
    asker.knows(&[&asked.city]).await;
    let records = asked.publishes().await;
    asker.exchanges().await;
    asked.exchanges().await;
    let mut first = 0;
    while first < rows {
        let end = (first + SUBMISSION).min(rows);
        let statements: Vec<Verified> =
            (first..end).map(|n| asked.city.say(asked.city.penalty_of(&uscc(n), n))).collect();
        publish(&records, statements).await;
        first = end;
    }
    let limits = Limits { per_second: u32::MAX, in_flight: 1024, ..Limits::default() };
    asked.serve_within(tcp, limits);

    let peer = asker.registry.peer(&asked.city.node).unwrap();
    let asker = asker.asker();
    let until = Instant::now() + time;
    let one = |number: u64| {
        let (asker, peer) = (asker.clone(), Arc::clone(&peer));
        async move {
            let (mut took, mut n) = (Vec::new(), number);
            while Instant::now() < until {
                let ask = Ask {
                    subject: Whom::Known(About::Enterprise { uscc: uscc(n % rows) }),
                    purpose: Purpose::Finance,
                    basis: "示例条例第一条".to_owned(),
                    kinds: Vec::new(),
                    authorisation: None,
                };
                let begun = Instant::now();
                let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
                let finding = asker.ask(&peer, &ask, deadline).await;
                assert_eq!(finding.came, Came::Yes, "{:?}", finding.reason);
                took.push(begun.elapsed());
                n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1;
            }
            took
        }
    };
    let all: Vec<_> = (0..flight).map(|number| tokio::spawn(one(number * 7919))).collect();
    let mut took = Vec::new();
    for asking in all {
        took.extend(asking.await.unwrap());
    }
    asked.close().await;
    took
}
