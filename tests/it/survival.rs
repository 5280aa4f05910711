//! What must survive: requests without end between two nodes while every key and certificate of both is rotated.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::federation::{Federation, Node, records, said, until};
use crate::reload::Asker;
use crate::upload;

/// Those who ask at once, in each direction, and how often each does: a thousand times a second in all.
const ASKERS: usize = 8;
const PACE: Duration = Duration::from_millis(16);
/// After so many requests on a connection the next one begins.
const ON_ONE_CONNECTION: u64 = 64;

/// Asks from one node to another until it is over; each failure is kept.
async fn ask(asker: Arc<Mutex<Arc<Asker>>>, over: Arc<AtomicBool>, asked: Arc<AtomicU64>) -> Vec<String> {
    let now = || Arc::clone(&asker.lock().unwrap());
    let (mut refused, mut own) = (Vec::new(), 0);
    let mut client = now().client();
    let mut pace = tokio::time::interval(PACE);
    while !over.load(Ordering::Relaxed) {
        pace.tick().await;
        if let Err(why) = now().ask(&client).await {
            refused.push(why);
        }
        own += 1;
        asked.fetch_add(1, Ordering::Relaxed);
        if own % ON_ONE_CONNECTION == 0 {
            client = now().client();
        }
    }
    refused
}

/// Takes all steps of all rotations of a node.
fn rotate_everything(node: &Node) {
    let root = |name: &str| node.dir.join("keys").join(name).display().to_string();
    for of in ["sign", "log-records", "log-exchange", "witness", "seal"] {
        node.done(&["key", "rotate", of, "--begin", "--root", &root("root.pem")]);
        for _ in 0..2 {
            node.done(&["key", "rotate", of, "--root", &root("root.pem")]);
        }
    }
    node.done(&["key", "rotate", "certificate"]);
    node.done(&["key", "rotate", "ca", "--begin", "--root", &root("root.pem")]);
    until("the peer knows the next authority", || {
        let list = node.json(&["key", "list"]);
        list["peers"][0]["holds"] == list["descriptor"]
    });
    node.done(&["key", "rotate", "ca", "--root", &root("root.pem")]);
    node.done(&["key", "rotate", "ca", "--root", &root("root.pem")]);
    node.done(&["key", "rotate", "root", "--root", &root("root-next.pem")]);
}

/// Every log that a node has, its own and its mirror, verified from what it exports.
fn verify_all(node: &Node, all: &[&Node]) {
    for owner in all {
        let status = owner.json(&["status"]);
        for log in status["logs"].as_array().unwrap() {
            let origin = log["origin"].as_str().unwrap();
            if owner.id != node.id && origin.contains("/exchange/") {
                continue; // not mirrored
            }
            let folder = node.dir.join(format!("taken-{}", origin.replace('/', "-"))).display().to_string();
            node.done(&["audit", "export", "--origin", origin, &folder]);
            let key = log["verifier_keys"][0].as_str().unwrap();
            let verified = node.run(&["audit", "verify", "--log", &folder, "--key", key]);
            let out = String::from_utf8_lossy(&verified.stdout).into_owned();
            assert!(verified.status.success(), "{origin} at {}: {out}{}", node.id, said(&verified));
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "the rates are what the test is about")]
fn not_a_request_is_refused_and_no_statement_lost_while_every_key_of_two_nodes_is_rotated() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    federation.until_in_step();
    let [here, there] = &federation.nodes[..] else { unreachable!() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));

    let asker = |from: &Node, to: &Node| Arc::new(Mutex::new(Arc::new(runtime.block_on(Asker::new(from, to)))));
    let askers = [(here, there, asker(here, there)), (there, here, asker(there, here))];
    let begun = Instant::now();
    let mut asking = Vec::new();
    for (_, _, asker) in &askers {
        for _ in 0..ASKERS {
            asking.push(runtime.spawn(ask(Arc::clone(asker), Arc::clone(&over), Arc::clone(&asked))));
        }
    }
    let published = AtomicU64::new(0);
    std::thread::scope(|scope| {
        // what a node knows of its peer and shows it changes as it does in the node
        for (from, to, asker) in &askers {
            let over = &over;
            scope.spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                while !over.load(Ordering::Relaxed) {
                    runtime.block_on(async {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        if let Some(new) = Asker::find(from, to).await {
                            *asker.lock().unwrap() = Arc::new(new);
                        }
                    });
                }
            });
        }
        // both publish meanwhile
        for node in [here, there] {
            let (over, published) = (&over, &published);
            scope.spawn(move || {
                let mut round = 0;
                while !over.load(Ordering::Relaxed) {
                    round += 1;
                    let file = node.dir.join(format!("示例{round}.csv"));
                    std::fs::write(&file, upload::text(200, &format!("1.{round}1"))).unwrap();
                    let import = node.run(&["import", "--json", "--kind", "penalty", file.to_str().unwrap()]);
                    let receipt: Value = serde_json::from_slice(&import.stdout)
                        .unwrap_or_else(|_| panic!("no receipt: {}", said(&import)));
                    published.fetch_add(receipt["published"].as_u64().unwrap(), Ordering::Relaxed);
                }
            });
        }
        let rotating = [here, there].map(|node| scope.spawn(move || rotate_everything(node)));
        let rotated = rotating.map(std::thread::ScopedJoinHandle::join);
        over.store(true, Ordering::Relaxed);
        rotated.into_iter().for_each(|done| done.unwrap());
    });
    let spent = begun.elapsed();
    let refused: Vec<String> = asking.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    let asked = asked.load(Ordering::Relaxed);
    eprintln!(
        "{asked} requests in {spent:?}, {:.0} a second, {} refused; {} statements published meanwhile",
        asked as f64 / spent.as_secs_f64(),
        refused.len(),
        published.load(Ordering::Relaxed)
    );
    assert!(refused.is_empty(), "{} of {asked}: {:?}", refused.len(), &refused[..refused.len().min(5)]);
    assert!(asked > 1000 && published.load(Ordering::Relaxed) > 0);

    federation.until_in_step();
    for node in [here, there] {
        assert!(records(&node.json(&["status"]))["size"].as_u64().unwrap() > 20);
        verify_all(node, &[here, there]);
    }
}
