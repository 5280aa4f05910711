//! Sixty nodes in one process, each the peer of each other over real mutual TLS, each with a store of its own: how long
//! until a repair is recognised by all, until its issuer has heard so, and what asking all at once takes while ten of them
//! are dead.
//!
//! `cargo bench --bench sixty`; `KAOPU_NODES` says how many (60), `KAOPU_DEAD` how many of them are dead (10).

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

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use city::{City, NOW};
use kaopu::clock::date_of;
use kaopu::exchange::finding::{Ask, Whom};
use kaopu::exchange::pull::Surroundings;
use kaopu::exchange::question::About;
use kaopu::exchange::{PullSettings, Puller};
use kaopu::log::appender::Appender;
use kaopu::node::recognise::Recogniser;
use kaopu::node::settings::Settings;
use kaopu::policy::{Groups, InForce, Known, Policies};
use kaopu::record::{Calendar, Purpose, Rules};
use kaopu::statement::{Audience, Salt, Statement, Typ, Verified};
use line::{Office, place, publish};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::net::TcpListener;

/// Whoever has not answered by then is shown as silent.
const DEADLINE: Duration = Duration::from_secs(3);

fn main() {
    let number = |name, or| std::env::var(name).map_or(or, |value| value.parse().expect("a number"));
    let (nodes, dead) = (number("KAOPU_NODES", 60), number("KAOPU_DEAD", 10));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let begun = Instant::now();
        let mut cities = together(nodes).await;
        println!("{nodes} nodes, each with the others' logs: {:.1?}", begun.elapsed());
        repair(&cities).await;
        ask(&mut cities, dead).await;
    });
}

/// A node and what appends to its records log.
struct Node {
    office: Office,
    records: Appender,
    _puller: Puller,
}

/// Nodes that serve, pull from each other and decide on repairs, each with the logs of all others.
async fn together(nodes: usize) -> Vec<Node> {
    let mut offices = Vec::new();
    for n in 0..nodes {
        let (tcp, url) = place().await;
        let mut office = Office::new(City::new(&(340_500 + n).to_string(), &url)).await;
        let records = office.publishes().await;
        office.exchanges().await;
        offices.push((office, records, tcp));
    }
    for at in 0..nodes {
        let others: Vec<&City> = (0..nodes).filter(|n| *n != at).map(|n| &*offices[n].0.city).collect();
        offices[at].0.knows(&others).await;
    }
    let cities: Vec<Node> = offices.into_iter().map(|(office, records, tcp)| start(office, records, tcp)).collect();
    for node in &cities {
        holds(node, &cities, 1).await;
    }
    cities
}

fn start(mut office: Office, records: Appender, tcp: TcpListener) -> Node {
    office.serve(tcp);
    let around = Surroundings { settings: PullSettings::default(), ..office.surroundings() };
    let puller = Puller::start(around, Box::new(StdRng::seed_from_u64(1)));
    let recogniser = Recogniser {
        db: office.db.clone(),
        node: office.city.node.clone(),
        kinds: office.kinds.clone(),
        registry: office.registry.clone(),
        records: records.clone(),
        policies: InForce::new(
            Policies::builtin(Known::new(&office.city.node, &office.kinds, &Default::default())).unwrap(),
        ),
        groups: Groups::default(),
        settings: Settings::new(Rules::built_in().unwrap(), Calendar::built_in().unwrap()),
        clock: office.clock.clone(),
    };
    tokio::spawn(recogniser.keep_deciding());
    Node { office, records, _puller: puller }
}

/// Waits until a node holds so many entries of the others' logs.
async fn holds(node: &Node, others: &[Node], size: u64) {
    for other in others.iter().filter(|other| other.office.city.node != node.office.city.node) {
        node.office.holds_within(&other.office.city.records(), size, Duration::from_secs(300)).await;
    }
}

async fn repair(cities: &[Node]) {
    let (issuer, partners) = cities.split_first().unwrap();
    let mut draft = issuer.office.city.draft(1);
    draft.body.insert("decided".to_owned(), json!("2026-03-01"));
    let penalty = issuer.office.city.say(draft);
    publish(&issuer.records, vec![penalty.clone()]).await;
    for partner in partners {
        partner.office.holds(&issuer.office.city.records(), 2).await;
    }
    // what had to be told is told
    tokio::time::sleep(Duration::from_secs(2)).await;

    let begun = Instant::now();
    publish(&issuer.records, vec![repair_of(&penalty, &issuer.office.city)]).await;
    let mut took = Vec::new();
    let mut waiting = tokio::task::JoinSet::new();
    for partner in partners {
        let mut sizes = partner.records.sizes();
        // its descriptor, then its recognition
        waiting.spawn(async move {
            let recognised = tokio::time::timeout(Duration::from_secs(60), sizes.wait_for(|size| *size > 1)).await;
            recognised.expect("recognised in a minute").expect("its appender runs");
            begun.elapsed()
        });
    }
    while let Some(one) = waiting.join_next().await {
        took.push(one.unwrap());
    }
    holds(issuer, partners, 2).await;
    let heard = begun.elapsed();
    println!(
        "a repair: recognised by the first after {:.1?}, by half after {:.1?}, by all {} after {:.1?}; its issuer had \
         heard so after {heard:.1?}",
        took[0],
        took[took.len() / 2],
        took.len(),
        took[took.len() - 1],
    );
    let begun = Instant::now();
    for node in partners {
        holds(node, partners, 2).await;
    }
    println!("all had the recognitions of all another {:.1?} later", begun.elapsed());
}

fn repair_of(penalty: &Verified, issuer: &City) -> Verified {
    let today = date_of(NOW).to_string();
    let body = json!({
        "type": "终止公示", "decided": today, "effective": today, "authority": "示例市场监督管理局", "reason": "已履行"
    });
    issuer.say(Statement {
        typ: Typ::first("repair"),
        aud: Audience::Everyone,
        salt: Salt([9; 16]),
        refs: vec![penalty.digest()],
        body: body.as_object().unwrap().clone(),
        ..penalty.statement().clone()
    })
}

/// One asks all the others, some of which are dead: half of those refuse connections, half take them and say nothing.
async fn ask(cities: &mut [Node], dead: usize) {
    let mut silent = Vec::new();
    for (n, node) in cities.iter_mut().rev().take(dead).enumerate() {
        node.office.close().await;
        if n % 2 == 0 {
            let url = &node.office.city.descriptor.endpoints[0];
            silent.push(TcpListener::bind(url.trim_start_matches("https://")).await.unwrap());
        }
    }
    let asker = cities[0].office.asker();
    let peers = cities[0].office.registry.peers();
    let ask = Ask {
        subject: Whom::Known(About::Enterprise { uscc: "91340500MA00000000".to_owned() }),
        purpose: Purpose::Finance,
        basis: "示例条例第一条".to_owned(),
        kinds: Vec::new(),
        authorisation: None,
    };
    for round in ["first", "second"] {
        let begun = Instant::now();
        let findings = asker.ask_all(&peers, &ask, tokio::time::Instant::now() + DEADLINE).await;
        let took = begun.elapsed();
        let mut came: BTreeMap<&str, u32> = BTreeMap::new();
        for finding in &findings {
            *came.entry(finding.came.as_str()).or_default() += 1;
        }
        let mut answered: Vec<_> =
            findings.iter().filter(|finding| !finding.answers.is_empty()).map(|finding| finding.took).collect();
        answered.sort_unstable();
        println!(
            "asking {} at once, {dead} of them dead, deadline {DEADLINE:?}, the {round} time: {took:.1?}, {came:?}, the last \
             answer after {:.1?}",
            peers.len(),
            answered.last().copied().unwrap_or_default(),
        );
    }
}
