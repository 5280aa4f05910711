//! `kaopu doctor`: each thing broken for real, and the sentence that names it and says what to do.

use std::process::Output;
use std::time::Instant;

use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::node::doctor::{Check, Report, Verdict, examine};
use kaopu::trust::certificates::{Wanted, make_ca, make_node};
use kaopu::trust::state::PeerState;
use serde_json::Value;
use sqlx::Connection as _;

use crate::federation::{DEADLINE, Federation, Node, free_port, said};
use crate::figures::certificate_for_days;

/// Nothing but the disk of the machine that tests may be wrong.
fn faults(report: &Value) -> Vec<String> {
    let own = report["own"].as_array().unwrap().iter();
    let of_peers = report["peers"].as_array().unwrap().iter().flat_map(|peer| peer["checks"].as_array().unwrap());
    let bad =
        |check: &&Value| matches!(check["verdict"].as_str(), Some("fault" | "warning")) && check["name"] != "disk";
    let words = |check: &Value| format!("{}: {}", check["name"].as_str().unwrap(), check["words"].as_str().unwrap());
    own.chain(of_peers).filter(bad).map(words).collect()
}

/// What doctor says at a node, in JSON; its exit code says the same.
fn doctor(node: &Node) -> Value {
    let output: Output = node.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!(output.status.success(), report["well"].as_bool().unwrap(), "{report}");
    report
}

/// Waits until doctor says this at a node; that it is not well goes with it.
fn says(node: &Node, words: &str) {
    let begun = Instant::now();
    loop {
        let report = doctor(node);
        let faults = faults(&report);
        if faults.iter().any(|fault| fault.contains(words)) {
            return assert_eq!(report["well"], false);
        }
        assert!(begun.elapsed() < DEADLINE, "{words}: not among {faults:#?}");
    }
}

/// Waits until doctor says this at a node; from then on it says so each time.
fn keeps_saying(node: &Node, words: &str) {
    says(node, words);
    for _ in 0..10 {
        let faults = faults(&doctor(node));
        assert!(faults.iter().any(|fault| fault.contains(words)), "{words}: not among {faults:#?}");
    }
}

/// Waits until doctor finds nothing.
fn finds_nothing(node: &Node) {
    let begun = Instant::now();
    loop {
        let faults = faults(&doctor(node));
        if faults.is_empty() {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{faults:#?}");
    }
}

/// Changes the store of a node as an administrator at its side would.
fn change(node: &Node, sql: &str, bound: &str) {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let url = format!("sqlite:{}", node.dir.join("data/kaopu.db").display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        // the store itself refuses most of the steps between states that are tried here
        sqlx::query("DROP TRIGGER IF EXISTS peer_steps").execute(&mut connection).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).bind(bound).execute(&mut connection).await.unwrap();
        let version = "UPDATE registry SET version = version + 1 WHERE id = 1";
        sqlx::query(version).execute(&mut connection).await.unwrap();
    });
}

fn set_state(node: &Node, of: &Node, state: PeerState) {
    change(node, &format!("UPDATE peer SET state = '{state}' WHERE node = $1"), &of.id);
}

#[test]
fn what_is_broken_between_two_nodes_is_named_and_what_to_do() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    federation.until_in_step();
    let address = |node: &Node| {
        let config = Config::load(&node.config()).unwrap();
        config.node.url
    };
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    finds_nothing(here);
    let well = here.done(&["doctor", "310107"]);
    for expected in [
        "ok    their pull  310107 pulled from this node",
        "ok    witness     310107 has just cosigned",
        "ok    cosigns     this node last cosigned a log of 310107",
        "note  root keys",
        "ok    there",
    ] {
        assert!(well.contains(expected), "no {expected} in\n{well}");
    }
    let shown = here.json(&["peer", "show", "310107"]);
    assert!(shown["cosignatures"].as_u64().unwrap() >= 2, "{shown}");
    let of_logs: Vec<&str> =
        shown["cosigned"].as_array().unwrap().iter().map(|c| c["origin"].as_str().unwrap()).collect();
    assert_eq!(of_logs, ["kaopu/340500/exchange/1", "kaopu/340500/records/1"]);
    assert!(here.done(&["status"]).contains("  cosigned by 1 witnesses, all of it by 1"));
    let stranger = here.run(&["doctor", "440100"]);
    assert_eq!(stranger.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stranger.stdout).contains("440100 is no peer of this node"));

    // suspended there, suspended here
    set_state(peer, here, PeerState::Suspended);
    keeps_saying(here, "there: this node is suspended at 310107: ask its administrator why, and to resume it");
    says(peer, "here: 340500 is suspended here: `kaopu peer resume 340500` takes it back");
    set_state(peer, here, PeerState::Active);
    finds_nothing(here);
    // not active there yet, revoked there
    set_state(peer, here, PeerState::Confirmed);
    says(here, "there: this node is confirmed at 310107: its administrators have still to approve");
    set_state(peer, here, PeerState::Revoked);
    keeps_saying(here, "tls: TLS: the other side refuses this node (CertificateRevoked): this node was revoked there");
    set_state(peer, here, PeerState::Active);
    // what was closed then stays so, and is not cosigned any more
    says(here, "witness: 310107 does not cosign this node's logs (log-stopped): telephone its administrator");
    change(peer, "UPDATE log SET state = 'open', reason = NULL, revoked_ms = NULL WHERE node = $1", &here.id);
    finds_nothing(here);

    // an address where nobody listens, and a name that nobody has
    let right = address(peer);
    let url = "UPDATE peer SET url = $1";
    change(here, url, &format!("https://127.0.0.1:{}", free_port()));
    says(here, "takes no connection (Connection refused");
    change(here, url, "https://nobody.invalid:7443");
    says(here, "name: nobody.invalid:7443");
    // an address that leads to another node: this one's own
    change(here, url, &address(here));
    says(here, "tls: TLS: the server is 340500; 310107 was expected: the address leads to another node");
    change(here, url, &right);
    finds_nothing(here);

    // a certificate that has expired cannot be shown by a running node; a node that is started with it shows it
    let node = &mut federation.nodes[1];
    node.signal("-TERM");
    says(&federation.nodes[0], "port: 127.0.0.1:");
    certificate_for_days(&federation.nodes[1], -1);
    federation.nodes[1].start();
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    says(here, "the certificate of 310107 has expired");
    says(here, "tell 310107's administrator to renew its certificate");
    says(peer, "certificate: peers will refuse");
    keeps_saying(peer, "its journal says more: renew this node's certificate, and compare the clocks of both machines");
    says(peer, "expiry: this node's certificate has ended");
    // one that ends soon
    certificate_for_days(peer, 5);
    says(here, "expiry: 310107's certificate ends in 4 days: tell its administrator");
    certificate_for_days(peer, 365);
    finds_nothing(here);

    // a certificate of another authority, which no running node would take either
    let node = &mut federation.nodes[1];
    node.signal("-TERM");
    let id = node.id.parse().unwrap();
    let wanted = Wanted { node: &id, host: None, now: Clock::System.now() };
    let made = make_node(&wanted, &make_ca(&wanted).unwrap()).unwrap();
    let kept = ["certs/node.pem", "certs/node.key"].map(|name| std::fs::read(node.dir.join(name)).unwrap());
    std::fs::write(node.dir.join("certs/node.pem"), &made.certificate).unwrap();
    std::fs::write(node.dir.join("certs/node.key"), &*made.key).unwrap();
    node.start();
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    says(here, "is not signed by the authority that it names");
    says(here, "ask 310107's administrator whether it changed its authority");
    says(peer, "see that this node's certificate is of an authority that its descriptor names");
    std::fs::write(peer.dir.join("certs/node.pem"), &kept[0]).unwrap();
    std::fs::write(peer.dir.join("certs/node.key"), &kept[1]).unwrap();
    finds_nothing(here);
}

#[test]
fn a_node_that_nobody_added_is_told_so_by_doctor_each_time() {
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.start();
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    here.done(&["peer", "add", peer.descriptor().to_str().unwrap()]);
    keeps_saying(
        here,
        "tls: TLS: the other side refuses this node (AccessDenied): this node is no peer there: it has to be added there; its \
         journal says more: ask 310107's administrator to add this node (`kaopu peer add`)",
    );
}

#[test]
fn what_is_broken_at_home_is_named_and_what_to_do() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    federation.until_in_step();
    let [here, _] = &federation.nodes[..] else { unreachable!() };
    finds_nothing(here);

    let sign = here.dir.join("keys/sign.pem");
    std::fs::set_permissions(&sign, std::fs::Permissions::from_mode(0o644)).unwrap();
    says(here, &format!("files: others than their owner can read {0}: run `chmod 600 {0}`", sign.display()));
    std::fs::set_permissions(&sign, std::fs::Permissions::from_mode(0o600)).unwrap();
    let aside = here.dir.join("sign.aside");
    std::fs::rename(&sign, &aside).unwrap();
    says(here, "bring it back from the backup of the keys");
    std::fs::rename(&aside, &sign).unwrap();
    let remembered = here.dir.join("data/records-1.checkpoint");
    let note = std::fs::read_to_string(&remembered).unwrap();
    std::fs::write(&remembered, note.replacen("\n1\n", "\n7\n", 1)).unwrap();
    says(here, "remembers 7 entries of kaopu/340500/records/1 that the store, with 1, no longer has");
    std::fs::write(&remembered, note).unwrap();
    finds_nothing(here);

    // the machine's clock, an hour (and some seconds, since it stands while the other goes on) ahead, and far behind what
    // the node signed
    let config = Config::load(&here.config()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let at = |seconds: i64| {
        let clock = Clock::fixed((Clock::System.now() + seconds) * 1000);
        let report: Report = runtime.block_on(examine(&config, &clock, None));
        let all = report.own.into_iter().chain(report.peers.into_iter().flat_map(|peer| peer.checks));
        all.filter(|check| check.verdict == Verdict::Fault).collect::<Vec<Check>>()
    };
    let ahead = at(3630);
    let words = "the clock of 310107 is 60 min behind this node's: one of them is wrong; set it, and let NTP keep it";
    assert!(ahead.iter().any(|check| check.words == words), "{ahead:?}");
    let behind = at(-1800);
    assert!(
        behind.iter().any(|check| check.words.starts_with("the clock of this machine stands 29 min behind")
            || check.words.starts_with("the clock of this machine stands 30 min behind")),
        "{behind:?}"
    );

    // it does not serve, and then has no store
    federation.nodes[0].signal("-TERM");
    let here = &federation.nodes[0];
    says(here, "serving: nobody listens on 127.0.0.1:");
    let (data, away) = (here.dir.join("data"), here.dir.join("away"));
    std::fs::rename(&data, &away).unwrap();
    says(here, "store: ");
    std::fs::remove_dir_all(&data).ok();
    std::fs::rename(&away, &data).unwrap();
}
