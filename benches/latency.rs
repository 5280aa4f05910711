//! From published at one node to visible at another, while the first one imports: over real mutual TLS, both in this
//! process.
//!
//! `cargo bench --bench latency`; `KAOPU_RATE` says how many penalties a second (6,000: half of the pull's rate),
//! `KAOPU_SECONDS` for how long (30).

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

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use city::City;
use database::Kind;
use kaopu::log::appender::Appender;
use line::{Office, place, publish};
use tokio::sync::mpsc;

/// Submissions a second.
const BEATS: u64 = 20;

fn main() {
    let number = |name, or| std::env::var(name).map_or(or, |value| value.parse().expect("a number"));
    let (rate, seconds) = (number("KAOPU_RATE", 6000), number("KAOPU_SECONDS", 30));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for kind in [Kind::Sqlite, Kind::DurablePostgres] {
            let mut latencies = Box::pin(measure(kind, rate, seconds)).await;
            latencies.sort_unstable();
            let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
            println!(
                "{kind:?}: {rate}/s for {seconds} s: p50 {:?}, p90 {:?}, p99 {:?}, most {:?}",
                at(0.5),
                at(0.9),
                at(0.99),
                at(1.0)
            );
        }
    });
}

/// How long each submission took from its commit until the mirror held it.
async fn measure(kind: Kind, rate: u64, seconds: u64) -> Vec<Duration> {
    let (tcp, url) = place().await;
    let mut owner = Office::in_a(kind, City::new("310107", &url)).await;
    let mut mirror = Office::in_a(kind, City::new("340500", "https://127.0.0.1:1")).await;
    owner.knows(&[&mirror.city]).await;
    mirror.knows(&[&owner.city]).await;
    let appender = owner.publishes().await;
    owner.serve(tcp);
    mirror.pull();
    mirror.holds(&owner.city.records(), 1).await;

    let (published, mut news) = mpsc::unbounded_channel();
    let importing = async {
        import(&owner, &appender, rate, seconds, &published).await;
        drop(published);
    };
    let watching = async {
        let mut waiting: VecDeque<(u64, Instant)> = VecDeque::new();
        let mut latencies = Vec::new();
        let mut listener = mirror.news.listen();
        let mut over = false;
        while !over || !waiting.is_empty() {
            tokio::select! {
                more = news.recv(), if !over => match more {
                    Some(submission) => waiting.push_back(submission),
                    None => over = true,
                },
                () = listener.heard() => {}
            }
            let held = mirror.copy(&owner.city.records()).await.map_or(0, |log| log.size);
            while waiting.front().is_some_and(|(size, _)| *size <= held) {
                let (_, published) = waiting.pop_front().expect("there is one");
                latencies.push(published.elapsed());
            }
        }
        latencies
    };
    let (latencies, ()) = tokio::join!(watching, importing);
    mirror.rest().await;
    owner.close().await;
    latencies
}

async fn import(
    owner: &Office,
    appender: &Appender,
    rate: u64,
    seconds: u64,
    published: &mpsc::UnboundedSender<(u64, Instant)>,
) {
    let mut beat = tokio::time::interval(Duration::from_millis(1000 / BEATS));
    let each = rate / BEATS;
    for n in 0..BEATS * seconds {
        beat.tick().await;
        let statements = (1 + n * each..1 + (n + 1) * each).map(|n| owner.city.penalty(n)).collect();
        let size = publish(appender, statements).await.size;
        // whoever measures is there until the end
        let _ = published.send((size, Instant::now()));
    }
}
