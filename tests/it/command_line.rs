//! The commands that make, introduce, run and show nodes, as processes of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use kaopu::clock::Clock;
use kaopu::config::Config;
use kaopu::statement::{Audience, Suite, Unverified};
use kaopu::store::Db;
use kaopu::store::statement::Body;
use kaopu::trust::descriptor::Descriptor;
use kaopu::trust::keys::{Passphrases, read_key as read_signing_key};

use crate::database::{Database, Kind};
use crate::federation::{Federation, Node, PRIVATE, free_port, kaopu, records, said, until};

#[test]
fn init_makes_a_whole_node_and_never_another_over_it() {
    let federation = Federation::of_strangers(&["340500"]);
    let [node] = &federation.nodes[..] else { unreachable!() };
    for secret in PRIVATE.into_iter().chain(["node.toml"]) {
        let mode = node.dir.join(secret).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    for public in ["certs/ca.pem", "certs/node.pem", "descriptor.jws", "data"] {
        assert!(node.dir.join(public).exists(), "{public}");
    }
    let before = std::fs::read(node.descriptor()).unwrap();
    let again = kaopu()
        .args(["init", "--unencrypted"])
        .arg(&node.dir)
        .args(["--node", "340500", "--name", "示例市"])
        .output()
        .unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("holds a node already"), "{}", said(&again));
    assert_eq!(std::fs::read(node.descriptor()).unwrap(), before);

    let status = node.json(&["status"]);
    for log in status["logs"].as_array().unwrap() {
        assert_eq!(log["size"], 1, "the descriptor is entry 0");
        let key = log["verifier_keys"][0].as_str().unwrap();
        assert!(key.starts_with(&format!("{}+", log["origin"].as_str().unwrap())), "{key}");
    }
}

#[test]
fn an_import_never_makes_the_secret_under_which_persons_are_known() {
    let federation = Federation::of_strangers(&["340500"]);
    let node = &federation.nodes[0];
    let (file, key) = (federation.folder.path().join("a.csv"), node.dir.join("keys/person.key"));
    std::fs::write(&file, "XK_XDR,XK_WSH\n示例商贸有限公司,1\n").unwrap();
    let import = ["import", file.to_str().unwrap(), "--kind", "licence", "--dry-run"];
    node.done(&import);
    std::fs::remove_file(&key).unwrap();
    let output = node.run(&import);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("restore it from the backup of the keys"), "{}", said(&output));
    assert!(!key.exists());
}

#[test]
fn every_suite_makes_a_node_and_init_prints_the_keys_that_status_repeats() {
    let folder = tempfile::tempdir().unwrap();
    for (suite, expected) in [("EdDSA", Suite::EdDsa), ("es256", Suite::Es256), ("SM2", Suite::Sm2)] {
        let dir = folder.path().join(suite);
        let init = kaopu()
            .args(["init", "--unencrypted"])
            .arg(&dir)
            .args(["--node", "310107.scjg", "--name", "示例局", "--suite", suite, "--json"])
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", said(&init));
        let printed: serde_json::Value = serde_json::from_slice(&init.stdout).unwrap();
        let node = Node::at(dir);
        let status = node.json(&["status"]);
        let keys = status["logs"].as_array().unwrap().iter().map(|log| log["verifier_keys"][0].clone());
        let (mut keys, mut told): (Vec<_>, _) = (keys.collect(), printed["verifier_keys"].as_array().unwrap().clone());
        keys.sort_by_key(ToString::to_string);
        told.sort_by_key(ToString::to_string);
        assert_eq!(keys, told);
        assert_eq!(printed["fingerprint"], status["fingerprint"]);
        let jws = std::fs::read_to_string(node.descriptor()).unwrap();
        assert_eq!(Descriptor::open(jws.trim()).unwrap().1.root.suite(), expected);
    }
}

#[test]
fn what_init_is_not_told_about_addresses_follows_from_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (args, url, peer)) in [
        (&[] as &[&str], "https://127.0.0.1:7443", "127.0.0.1:7443"),
        (&["--listen", "127.0.0.2:9"], "https://127.0.0.2:9", "127.0.0.2:9"),
        (&["--url", "https://credit.example.cn:7444"], "https://credit.example.cn:7444", "0.0.0.0:7444"),
        (&["--url", "https://localhost:7444"], "https://localhost:7444", "127.0.0.1:7444"),
        (&["--url", "https://x.example", "--listen", "10.0.0.1:1"], "https://x.example", "10.0.0.1:1"),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = folder.path().join(number.to_string());
        let init = kaopu()
            .args(["init", "--unencrypted"])
            .arg(&dir)
            .args(["--node", "340500", "--name", "示例市"])
            .args(args)
            .output();
        assert!(init.unwrap().status.success());
        let config = Config::load(&dir.join("node.toml")).unwrap();
        assert_eq!((config.node.url.as_str(), config.listen.peer.to_string().as_str()), (url, peer));
    }
}

#[test]
fn wrong_usage_ends_with_2_and_a_failure_with_1_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| kaopu().current_dir(folder.path()).args(args).output().unwrap();
    for args in [
        &["init", "x", "--node", "Ma'anshan", "--name", "x"] as &[&str],
        &["init", "x"],
        &["frobnicate"],
        &["peer", "add"],
        &["status", "--jsn"],
    ] {
        assert_eq!(run(args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    for (args, advice) in [
        (&["status"] as &[&str], "name the node's node.toml with -c FILE"),
        (&["init", "x", "--node", "340500", "--name", "x", "--url", "http://x"], "https://host:port is expected"),
        (&["init", "x", "--node", "340500", "--name", "x", "--listen", "0.0.0.0:1"], "say --url https://host:port too"),
        (
            &["init", "x", "--unencrypted", "--node", "340500", "--name", "x", "--store", "mysql://x"],
            "sqlite:PATH or postgres://",
        ),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(said(&output).contains(advice), "{args:?}: {}", said(&output));
    }
    assert!(!folder.path().join("x/node.toml").exists());
}

#[test]
fn a_configuration_or_key_that_does_not_fit_stops_the_start() {
    let federation = Federation::of_strangers(&["340500", "310107"]);
    let [node, other] = &federation.nodes[..] else { unreachable!() };
    let refused = |advice: &str| {
        let output = node.run(&["serve"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(advice), "{}", said(&output));
    };
    let config = std::fs::read_to_string(node.config()).unwrap();
    std::fs::write(node.config(), format!("{config}\ncolour = 1\n")).unwrap();
    refused("unknown field `colour`");
    std::fs::write(node.config(), &config).unwrap();

    let key = node.dir.join("keys/sign.pem");
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, std::fs::read(other.dir.join("keys/sign.pem")).unwrap()).unwrap();
    refused("no private half of the signing key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("`chmod 600` it");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, good).unwrap();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = config.lines().map(|line| match line.starts_with("peer = ") {
        true => format!("peer = \"{}\"\n", taken.local_addr().unwrap()),
        false => format!("{line}\n"),
    });
    std::fs::write(node.config(), busy.collect::<String>()).unwrap();
    refused("choose another in the section [listen]");
    std::fs::write(node.config(), config).unwrap();
}

#[test]
fn a_peer_is_added_once_updated_by_what_follows_and_by_nothing_else() {
    let federation = Federation::of_strangers(&["340500", "310107", "341200"]);
    let [here, peer, third] = &federation.nodes[..] else { unreachable!() };
    let add = |file: &Path| here.run(&["peer", "add", file.to_str().unwrap(), "--json"]);
    let outcome = |file: &Path| {
        let output = add(file);
        assert!(output.status.success(), "{}", said(&output));
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        printed[0]["outcome"].as_str().unwrap().to_owned()
    };
    let refused = |file: &Path, reason: &str| {
        let output = add(file);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(reason), "{}", said(&output));
    };
    assert_eq!(outcome(&peer.descriptor()), "added");
    assert_eq!(outcome(&peer.descriptor()), "unchanged");
    refused(&here.descriptor(), "this node's own descriptor");
    refused(&here.config(), "give the descriptor.jws");
    refused(Path::new("/nowhere"), "cannot read /nowhere");

    let jws = std::fs::read_to_string(peer.descriptor()).unwrap();
    let (_, first) = Descriptor::open(jws.trim()).unwrap();
    let root = read_signing_key(&peer.dir.join("keys/root.pem"), &Passphrases::of_node(None)).unwrap();
    let file = federation.folder.path().join("next.jws");
    let next = |bend: &dyn Fn(&mut Descriptor)| {
        let mut next = Descriptor { sequence: 2, endpoints: vec!["https://10.0.0.1:7443".to_owned()], ..first.clone() };
        bend(&mut next);
        let signed = next.sign(&root, Clock::System.now(), &mut kaopu::node::rng()).unwrap();
        std::fs::write(&file, signed.jws()).unwrap();
    };
    next(&|d| d.sequence = 1);
    refused(&file, "sequence 1 does not follow 1");
    next(&|d| d.valid_until = 1);
    refused(&file, "ask 310107 for a newer one");
    next(&|_| ());
    assert_eq!(outcome(&file), "updated");
    refused(&peer.descriptor(), "sequence 1 does not follow 2");
    // one bad file, and none is taken
    let both = [third.descriptor().display().to_string(), here.config().display().to_string()];
    assert!(!here.run(&["peer", "add", &both[0], &both[1]]).status.success());
    let listed = here.json(&["peer", "list"]);
    let [listed] = &listed.as_array().unwrap()[..] else { panic!("one peer: {listed}") };
    assert_eq!((&listed["node"], &listed["url"]), (&"310107".into(), &"https://10.0.0.1:7443".into()));
    let elsewhere = format!("https://127.0.0.1:{}", free_port());
    here.done(&["peer", "add", file.to_str().unwrap(), "--url", &elsewhere, "--reason", "示例"]);
    assert_eq!(here.json(&["peer", "list"])[0]["url"], elsewhere.as_str());

    // each of the three changes is in the exchange log, with who and what, for this node's eyes
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rows = runtime.block_on(async {
        let db = Db::open(&format!("sqlite:{}", here.dir.join("data/kaopu.db").display())).await.unwrap();
        let log = db.log(&"kaopu/340500/exchange/1".parse().unwrap()).await.unwrap().unwrap();
        db.statements(log.id, 1, 10).await.unwrap()
    });
    let changes = rows.iter().map(|row| match &row.body {
        Body::Here(jws) => Unverified::parse(jws).unwrap().statement().clone(),
        body => panic!("{body:?}"),
    });
    let changes: Vec<_> = changes.collect();
    assert!(changes.iter().all(|change| change.aud == Audience::Named(vec!["340500".parse().unwrap()])));
    let said: Vec<_> = changes.iter().map(|c| [&c.body["subject"], &c.body["action"], &c.body["by"]]).collect();
    assert_eq!(said, [["310107", "add", "示例"], ["310107", "update", "示例"], ["310107", "update", "示例"]]);
}

#[test]
fn nodes_pull_from_each_other_tell_of_an_outage_and_end_in_order() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    federation.until_in_step();
    let summary = |node: &Node| node.json(&["status"])["peers"][0]["summary"].as_str().unwrap().to_owned();
    assert!(summary(&federation.nodes[0]).starts_with("in step, answered"), "{}", summary(&federation.nodes[0]));
    assert!(federation.nodes[1].signal("-TERM"), "an orderly end");
    until("the outage is told of", || summary(&federation.nodes[0]).contains("cannot be reached"));
    federation.nodes[1].start();
    until("the peer is back", || summary(&federation.nodes[0]).starts_with("in step"));
    assert!(federation.nodes[0].signal("-INT"), "an orderly end");
}

#[test]
fn an_idle_node_takes_at_most_60_mb() {
    let mut federation = Federation::new(&["340500", "310107"]);
    federation.start();
    federation.until_in_step();
    for node in &federation.nodes {
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(kib <= 60 * 1024, "{line}");
    }
}

#[test]
fn a_peer_is_taken_in_while_a_node_runs() {
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.start();
    let [here, peer] = &federation.nodes[..] else { unreachable!() };
    here.done(&["peer", "add", peer.descriptor().to_str().unwrap()]);
    peer.done(&["peer", "add", here.descriptor().to_str().unwrap()]);
    federation.until_in_step();
}

#[test]
fn a_status_shows_an_own_log_and_its_key() {
    let federation = Federation::of_strangers(&["340500"]);
    let status = federation.nodes[0].json(&["status"]);
    let log = records(&status);
    assert_eq!((&log["origin"], &log["state"]), (&"kaopu/340500/records/1".into(), &"open".into()));
    for end in ["certificate_valid_until", "descriptor_valid_until"] {
        assert!(status[end].as_str().is_some_and(|time| time.starts_with("20") && time.ends_with('Z')), "{status}");
    }
    assert!(federation.nodes[0].done(&["status"]).contains(log["verifier_keys"][0].as_str().unwrap()));
}

#[test]
fn several_servers_on_one_postgresql_are_one_node() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(Kind::Postgres));
    let mut federation = Federation::of_strangers(&["310107", "341200"]);
    let folder = federation.folder.path().to_owned();
    let first = Node::init(&folder, "340500", &["--store", database.url()]);
    // the second server has the same keys and store, and an address of its own
    let second = Node::at(folder.join("second"));
    assert!(std::process::Command::new("cp").arg("-r").arg(&first.dir).arg(&second.dir).status().unwrap().success());
    let config = std::fs::read_to_string(first.config()).unwrap();
    let own = config.lines().find_map(|line| line.strip_prefix("peer = ")).unwrap().trim_matches('"').to_owned();
    let other = format!("127.0.0.1:{}", free_port());
    std::fs::write(second.config(), config.replace(&format!("peer = \"{own}\""), &format!("peer = \"{other}\"")))
        .unwrap();

    // each peer knows the node by the address of one server
    for (peer, address) in federation.nodes.iter().zip([&own, &other]) {
        let descriptor = first.descriptor().display().to_string();
        peer.done(&["peer", "add", &descriptor, "--url", &format!("https://{address}")]);
        first.done(&["peer", "add", peer.descriptor().to_str().unwrap()]);
    }
    federation.nodes.extend([first, second]);
    federation.start();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/310107/registration.csv");
    federation.nodes[2].done(&["import", sample, "--kind", "registration"]);
    let size = records(&federation.nodes[3].json(&["status"]))["size"].as_u64().unwrap();
    assert!(size > 1, "what one command published is there for all");
    for peer in &federation.nodes[..2] {
        until("the peer has it", || peer.json(&["status"])["peers"][0]["size"] == size);
    }
    // one server fails; the other goes on
    federation.nodes[2].signal("-KILL");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo/310107/honour.jsonl");
    federation.nodes[3].done(&["import", sample, "--kind", "honour"]);
    let grown = records(&federation.nodes[3].json(&["status"]))["size"].as_u64().unwrap();
    assert!(grown > size);
    until("the peer has it", || federation.nodes[1].json(&["status"])["peers"][0]["size"] == grown);
}

#[test]
fn a_node_that_is_no_peer_yet_is_told_so() {
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.start();
    let [here, other] = &federation.nodes[..] else { unreachable!() };
    here.done(&["peer", "add", other.descriptor().to_str().unwrap()]);
    until("the refusal is told of", || {
        let status = here.json(&["status"]);
        let error = status["peers"][0]["last_error"].as_str().unwrap_or_default();
        error.contains("it has to be added there")
    });
    assert!(other.journal_text().contains("340500 is not a peer of this node"));
}
