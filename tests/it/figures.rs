//! What ends soon, and what happens, as an administrator hears of it: in the journal, in `status`, in the figures.

use std::io::{Read as _, Write as _};

use kaopu::clock::Clock;
use kaopu::trust::certificates::{Made, Wanted, make_node};

use crate::federation::{Federation, Node, until};

/// What the local API answers to a GET.
pub fn local(node: &Node, path: &str) -> String {
    let address = node.local.as_deref().unwrap();
    let mut stream = std::net::TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Gives a node a certificate that ends in so many days, less an hour.
pub fn certificate_for_days(node: &Node, days: i64) {
    let read = |name: &str| std::fs::read_to_string(node.dir.join(name)).unwrap();
    let ca = Made { certificate: read("certs/ca.pem"), key: read("certs/ca.key").into() };
    let id = node.id.parse().unwrap();
    let made = make_node(&Wanted { node: &id, host: None, now: Clock::System.now() - (365 - days) * 86_400 }, &ca);
    let made = made.unwrap();
    std::fs::write(node.dir.join("certs/node.pem"), &made.certificate).unwrap();
    std::fs::write(node.dir.join("certs/node.key"), &*made.key).unwrap();
}

#[test]
fn what_ends_soon_and_what_happens_is_told_at_every_place_and_to_the_peers_too() {
    let mut federation = Federation::new(&["340500", "310107", "341200"]);
    certificate_for_days(&federation.nodes[0], 14);
    federation.start();
    federation.until_in_step();
    let [here, peer, _] = &federation.nodes[..] else { unreachable!() };

    let warnings = here.json(&["status"])["warnings"].clone();
    assert_eq!((&warnings[0]["threshold"], &warnings[0]["days"]), (&14.into(), &13.into()), "{warnings}");
    assert_eq!(warnings.as_array().unwrap().len(), 1);
    assert!(here.done(&["status"]).contains("! this node's certificate ends in 13 days: renew it"));
    until("its journal warns", || here.journal_text().contains("this node's certificate ends in 13 days"));
    // the peers saw it in handshakes
    until("a peer warns", || peer.done(&["status"]).contains("! 340500's certificate ends in 13 days"));

    // that somebody looks whether the port is open is no refusal
    let doctor = peer.run(&["doctor", "340500"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("takes connections"));
    let figures = local(here, "/metrics");
    assert!(!figures.contains("kaopu_refusals_total{"), "{figures}");
    let figure = |name: &str| {
        let line = figures.lines().find(|line| line.starts_with(name));
        let value = line.unwrap_or_else(|| panic!("no {name} in\n{figures}")).rsplit(' ').next().unwrap();
        value.parse::<f64>().unwrap()
    };
    assert!((13.0..14.0).contains(&figure(r#"kaopu_expires_days{node="340500",what="certificate"}"#)));
    assert!(figure(r#"kaopu_expires_days{node="310107",what="descriptor"}"#) > 60.0);
    assert_eq!(figure(r#"kaopu_feed_lag_entries{node="341200"}"#), 0.0);
    assert!(figure(r#"kaopu_feed_success_seconds{node="310107"}"#) > 1_700_000_000.0);
    assert_eq!(figure(r#"kaopu_log_entries{origin="kaopu/340500/records/1"}"#), 1.0);
    assert!(figure(r#"kaopu_requests_total{status="200"}"#) >= 2.0);
    assert_eq!(figure(r#"kaopu_peer_state{node="310107",state="active"}"#), 1.0);
}
