//! Queries between two nodes over real mutual TLS, signed and logged on both sides, both in this process, while the asked
//! one holds many records, which the asking one has mirrored: how many a second with 64 under way, held against nginx serving
//! a static file over mutual TLS to the same client, and how long each takes at half the rate that is asked for.
//!
//! `cargo bench --bench query`; `KAOPU_ROWS` says how many records (100,000), `KAOPU_SECONDS` for how long (10),
//! `KAOPU_FLIGHT` how many queries are under way at once (64), `KAOPU_STORE` on which database alone.

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
mod nginx;

use std::time::{Duration, Instant};

use city::{City, certificates};
use database::Kind;
use filled::{databases, fill, settle, uscc};
use kaopu::exchange::finding::{Ask, Came, Whom};
use kaopu::exchange::question::About;
use kaopu::http::Limits;
use kaopu::record::Purpose;
use kaopu::statement::NodeId;
use line::{Office, place};
use nginx::Nginx;

/// The share of nginx's rate that queries are to reach.
const GOAL: f64 = 0.15;

fn main() {
    let number = |name, or| std::env::var(name).map_or(or, |value| value.parse().expect("a number"));
    let (rows, seconds) = (number("KAOPU_ROWS", 100_000), number("KAOPU_SECONDS", 10));
    let (flight, time) = (number("KAOPU_FLIGHT", 64), Duration::from_secs(seconds));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for kind in databases() {
            Box::pin(measure(kind, rows, flight, time)).await;
        }
    });
}

async fn measure(kind: Kind, rows: u64, flight: u64, time: Duration) {
    let mut line = Box::pin(Line::new(kind, rows)).await;
    let nginx = match Nginx::start(&line.pem, &line.asker.city).await {
        Some(nginx) => Some(nginx.measure(&line.asker, &line.asked.city, flight, time).await),
        None => None,
    };
    let before = processor();
    let (reached, took) = line.ask(flight, time, None).await;
    let each = (processor() - before) / took.len().max(1) as u32;
    println!(
        "{kind:?}: {reached} queries/s, {flight} in flight, {rows} records: {}, {each:.0?} of processor time each",
        shares(took)
    );
    let Some(nginx) = nginx else { return println!("no nginx here to hold it against: install it for the ratio") };
    println!("{kind:?}: nginx {nginx}/s, ratio {:.3}", reached as f64 / nginx as f64);
    let half = ((nginx as f64 * GOAL) as u64).min(reached) / 2;
    let (reached, took) = line.ask(flight, time, Some(half)).await;
    println!("{kind:?}: at {reached} queries/s of {half} that were to be asked: {}", shares(took));
    line.asked.close().await;
}

/// What this process has had of the processors: both nodes, without a database server.
fn processor() -> Duration {
    // user and system time, in hundredths of a second on Linux
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Duration::from_millis(10 * ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
}

fn shares(mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    format!("p50 {:.1?}, p99 {:.1?}", at(0.5), at(0.99))
}

/// Two nodes, of which one asks the other.
struct Line {
    asked: Office,
    asker: Office,
    /// The certificate of the asked one, with its key.
    pem: String,
    rows: u64,
}

impl Line {
    async fn new(kind: Kind, rows: u64) -> Self {
        let (tcp, url) = place().await;
        let node: NodeId = "340500".parse().unwrap();
        let (identity, pem, ca) = certificates(&node);
        let mut asked = Office::in_a(kind, City::with(node, &url, identity, ca)).await;
        let mut asker = Office::in_a(kind, City::new("310107", "https://127.0.0.1:1")).await;
        asked.knows(&[&asker.city]).await;
        asker.knows(&[&asked.city]).await;
        let records = asked.publishes().await;
        asker.exchanges().await;
        asked.exchanges().await;
        fill(&asked.city, &records, rows).await;
        let limits = Limits { per_second: u32::MAX, in_flight: 1024, ..Limits::default() };
        asked.serve_within(tcp, limits);
        asker.pull();
        let hour = Duration::from_secs(3600);
        // the descriptor stands before the records
        asker.holds_within(&asked.city.records(), rows + 1, hour).await;
        asker.rest().await;
        for office in [&asked, &asker] {
            settle(kind, office.database.url()).await;
            // as `kaopu serve` does
            tokio::spawn(office.db.clone().keep_folding());
        }
        Self { asked, asker, pem, rows }
    }

    /// `flight` askers at once, each behind its last answer, or all together at a rate: how many queries a second there
    /// were, and how long each took, from when it was due until its receipt was logged.
    async fn ask(&self, flight: u64, time: Duration, rate: Option<u64>) -> (u64, Vec<Duration>) {
        let begun = Instant::now();
        let until = begun + time;
        let pace = rate.map(|rate| Duration::from_secs(flight).div_f64(rate as f64));
        let one = self.asker.asker();
        let asking: Vec<_> = (0..flight)
            .map(|number| {
                let asker = one.clone();
                let peer = self.asker.registry.peer(&self.asked.city.node).unwrap();
                let (mut n, rows) = (number * 7919, self.rows);
                tokio::spawn(async move {
                    let mut took = Vec::new();
                    let mut due = begun + pace.unwrap_or_default().mul_f64(number as f64 / flight as f64);
                    while Instant::now() < until {
                        match pace {
                            None => due = Instant::now(),
                            Some(pace) => {
                                tokio::time::sleep_until(due.into()).await;
                                due += pace;
                            }
                        }
                        let begun = due - pace.unwrap_or_default();
                        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
                        let finding = asker.ask(&peer, &about(n % rows), deadline).await;
                        assert_eq!(finding.came, Came::Yes, "{:?}", finding.reason);
                        took.push(begun.elapsed());
                        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 1;
                    }
                    took
                })
            })
            .collect();
        let mut took = Vec::new();
        for one in asking {
            took.extend(one.await.unwrap());
        }
        (took.len() as u64 / time.as_secs(), took)
    }
}

fn about(n: u64) -> Ask {
    Ask {
        subject: Whom::Known(About::Enterprise { uscc: uscc(n) }),
        purpose: Purpose::Finance,
        basis: "示例条例第一条".to_owned(),
        kinds: Vec::new(),
        authorisation: None,
    }
}
