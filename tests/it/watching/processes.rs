//! The same as users know it: processes, commands, a partner that publishes.

use std::process::Command;

use kaopu::statement::{NodeId, PublicKey};
use kaopu::trust::descriptor::Descriptor;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::receiver::{Answer, Got, Receiver, verifies};
use crate::database::{Database, Kind};
use crate::federation::{Federation, Node, free_port, said, until};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/demo");

/// Lets a node call this machine, and try again soon.
pub fn may_call_here(node: &Node) {
    let config = std::fs::read_to_string(node.config()).unwrap();
    assert!(config.contains("allow = []") && config.contains("retry_first_ms = 1000"));
    let config = config.replace("allow = []", "allow = [\"127.0.0.0/8\"]");
    std::fs::write(node.config(), config.replace("retry_first_ms = 1000", "retry_first_ms = 50")).unwrap();
}

/// A list of all whom a sample names.
fn list(federation: &Federation, sample: &str) -> String {
    let path = federation.folder.path().join("关注.csv");
    std::fs::copy(format!("{SAMPLES}/{sample}"), &path).unwrap();
    path.display().to_string()
}

pub fn public_key(node: &Node) -> PublicKey {
    let jws = std::fs::read_to_string(node.descriptor()).unwrap();
    let (_, descriptor) = Descriptor::open(jws.trim()).unwrap();
    let sign = descriptor.keys.iter().find(|key| key.purpose == kaopu::trust::descriptor::Purpose::Sign);
    sign.unwrap().key.clone()
}

fn count(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

#[test]
fn a_follower_hears_of_what_a_partner_publishes_also_after_a_kill() {
    let runtime = Runtime::new().unwrap();
    let mut federation = Federation::new(&["310107", "340500"]);
    let gone = runtime.block_on(Receiver::new(|_: &Got| Answer::Take));
    let (address, url) = (gone.address, gone.url.clone());
    drop(gone);
    may_call_here(&federation.nodes[1]);
    let file = list(&federation, "310107/registration.csv");
    let follow = ["watch", "add", "--file", &file, "--follower", "商务委", "--purpose", "日常监管", "--webhook", &url];
    let added = federation.nodes[1].json(&follow);
    let followed = added["added"].as_u64().unwrap();
    assert!(followed > 5 && added["faults"].as_array().unwrap().iter().all(|fault| fault["row"].is_u64()), "{added}");
    assert_eq!(federation.nodes[1].json(&follow)["added"], 0);
    let over = federation.nodes[1].run(&[&follow[..], &["--until", "2020-01-01"]].concat());
    assert!(over.status.code() == Some(1) && said(&over).contains("截止日期已过"), "{over:?}");
    let elsewhere = federation.nodes[1].run(&[&follow[..9], &["http://example.com/"]].concat());
    assert_eq!(said(&elsewhere).matches("is no address of a webhook").count(), 1, "{elsewhere:?}");
    // nobody acknowledges what others were told
    assert_eq!(federation.nodes[1].run(&["watch", "inbox", "--all"]).status.code(), Some(2));
    assert_eq!(count(&federation.nodes[1].json(&["watch", "list"])) as u64, followed);

    federation.start();
    for sample in ["registration.csv", "licence.csv"] {
        let kind = sample.trim_end_matches(".csv");
        federation.nodes[0].done(&["import", &format!("{SAMPLES}/310107/{sample}"), "--kind", kind]);
    }
    federation.until_in_step();
    let inbox = |node: &Node| node.json(&["watch", "inbox", "--follower", "商务委", "--limit", "1000"]);
    until("the inbox has all", || count(&inbox(&federation.nodes[1])) as u64 >= followed);
    until("the failure is told of", || {
        let status = federation.nodes[1].json(&["status"]);
        status["watching"]["webhooks"][0]["last_error"].is_string()
    });
    let told = inbox(&federation.nodes[1]);
    let first = &told[0];
    assert_eq!((&first["issuer"], &first["event"]), (&"310107".into(), &"published".into()), "{first}");
    assert!(first["title"].as_str().unwrap().chars().any(|c| c > '\u{3000}'));
    assert!(first.get("body").is_none());

    // what is in the inbox is on its way, also when the process that told is killed
    federation.nodes[1].signal("-KILL");
    let receiver = runtime.block_on(Receiver::at(address, |_: &Got| Answer::Take));
    federation.nodes[1].start();
    until("all is delivered", || federation.nodes[1].json(&["watch", "webhook", "list"])[0]["waiting"] == 0);
    let told = inbox(&federation.nodes[1]);
    let mut ids: Vec<_> = told.as_array().unwrap().iter().map(|it| format!("340500-{}", it["id"])).collect();
    let mut got: Vec<_> = receiver.taken().iter().map(|got| got.id.clone()).collect();
    ids.sort();
    got.sort();
    got.dedup();
    assert_eq!(got, ids);
    let key = public_key(&federation.nodes[1]);
    assert!(receiver.taken().iter().all(|got| verifies(&got.jws, &key)));

    let metrics = http_get(federation.nodes[1].local.as_deref().unwrap(), "/metrics");
    for figure in
        ["kaopu_notices_unread ", "kaopu_notices_waiting{webhook=\"1\"} 0", "kaopu_deliveries_total{outcome=\"taken\"}"]
    {
        assert!(metrics.contains(figure), "{figure}: {metrics}");
    }
    let unread = count(&federation.nodes[1].json(&["watch", "inbox", "--unread", "--limit", "1000"]));
    assert_eq!(unread, ids.len());
    assert!(federation.nodes[1].done(&["watch", "inbox", "--follower", "商务委", "--all"]).contains("已阅"));
    assert_eq!(count(&federation.nodes[1].json(&["watch", "inbox", "--unread"])), 0);
    assert!(federation.nodes[1].done(&["status"]).contains("动态监测"));
    let removed = federation.nodes[1].json(&["watch", "remove", "--all", "--follower", "商务委"]);
    assert_eq!(removed["removed"], followed);
    runtime.block_on(async move { drop(receiver) });
}

#[test]
fn two_servers_on_one_postgresql_tell_once() {
    let runtime = Runtime::new().unwrap();
    let database = runtime.block_on(Database::new(Kind::Postgres));
    let mut federation = Federation::of_strangers(&[]);
    let folder = federation.folder.path().to_owned();
    let first = Node::init(&folder, "340500", &["--store", database.url()]);
    may_call_here(&first);
    let second = Node::at(folder.join("second"));
    assert!(Command::new("cp").arg("-r").arg(&first.dir).arg(&second.dir).status().unwrap().success());
    let config = std::fs::read_to_string(first.config()).unwrap();
    let own = config.lines().find(|line| line.starts_with("peer = ")).unwrap();
    let other = format!("peer = \"127.0.0.1:{}\"", free_port());
    std::fs::write(second.config(), config.replace(own, &other)).unwrap();
    federation.nodes.extend([first, second]);

    let receiver = runtime.block_on(Receiver::new(|_: &Got| Answer::Take));
    let file = list(&federation, "340500/registration.csv");
    let args =
        ["watch", "add", "--file", &file, "--follower", "商务委", "--purpose", "award", "--webhook", &receiver.url];
    let output = federation.nodes[0].run(&args);
    assert_eq!(output.status.code(), Some(1), "rows of it have faults: {}", said(&output));
    federation.start();
    for sample in ["registration", "penalty", "licence"] {
        let path = format!("{SAMPLES}/340500/{sample}.csv");
        federation.nodes[0].done(&["import", &path, "--kind", sample]);
    }
    until("all is told and delivered", || {
        let inbox = federation.nodes[0].json(&["watch", "inbox", "--limit", "1000"]);
        count(&inbox) > 10 && federation.nodes[1].json(&["watch", "webhook", "list"])[0]["waiting"] == 0
    });
    let inbox = federation.nodes[0].json(&["watch", "inbox", "--limit", "1000"]);
    let places = inbox.as_array().unwrap().iter().map(|it| (it["origin"].to_string(), it["index"].as_u64()));
    let mut places: Vec<_> = places.collect();
    let all = places.len();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), all, "each once");
    let node: NodeId = "340500".parse().unwrap();
    assert!(receiver.taken().iter().all(|got| got.payload["iss"] == node.as_str()));
    runtime.block_on(async move { drop(receiver) });
}

#[test]
fn what_cannot_be_followed_is_refused_with_what_to_do() {
    let federation = Federation::of_strangers(&["340500"]);
    let node = &federation.nodes[0];
    let refused = |args: &[&str], code: i32, words: &str| {
        let output = node.run(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        assert!(said(&output).contains(words), "{args:?}: {}", said(&output));
    };
    let code = "91350100M000100Y43";
    refused(&["watch", "add", code, "--follower", "商务委"], 2, "--purpose");
    refused(&["watch", "add", code, "--follower", "商务委", "--purpose", "curiosity"], 2, "not a purpose");
    refused(&["watch", "add", "91350100M000100Y44", "--follower", "x", "--purpose", "award"], 2, "check digit");
    refused(&["watch", "add", "--follower", "x", "--purpose", "award"], 1, "name one or more");
    refused(&["watch", "add", code, "--follower", " ", "--purpose", "award"], 1, "a follower is named");
    for (url, words) in [
        ("http://a.example/", "https://host/path is expected"),
        ("https://10.0.0.1/", "[webhooks] allow"),
        ("https://li:secret@a.example/", "no name and no secret"),
    ] {
        refused(&["watch", "add", code, "--follower", "x", "--purpose", "award", "--webhook", url], 1, words);
    }
    refused(&["watch", "webhook", "retry", "7"], 1, "there is no webhook 7");
    refused(&["watch", "inbox", "--ack", "7"], 1, "no unread notice 7");
    assert_eq!(count(&node.json(&["watch", "list"])), 0, "nothing was added");

    // by name alone only who is known here, and once
    let file = federation.folder.path().join("名单.csv");
    std::fs::write(&file, "企业名称,统一社会信用代码\n无人识得有限公司,\n").unwrap();
    let path = file.to_str().unwrap();
    let output = node.run(&["watch", "add", "--file", path, "--follower", "x", "--purpose", "award"]);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && printed.contains("第 1 行 E101"), "{printed}");
}

fn http_get(address: &str, path: &str) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address.strip_prefix("http://").unwrap()).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}
