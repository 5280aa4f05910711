//! Enrolment over real connections, against those who want in by another way: invitations used twice, too late, by others or
//! guessed; somebody in the line; approval by the proposer through the local API.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use kaopu::exchange::client::Patience;
use kaopu::exchange::standing::Introduction;
use kaopu::exchange::{Fault, PeerClient};
use kaopu::trust::invitation::Invitation;
use kaopu::trust::tls::untrusting_tls;
use serde_json::Value;
use sqlx::Connection as _;

use crate::ceremony::{by, done_by, enrol, fingerprint, persons, refused, secret_of, shown};
use crate::city::City;
use crate::federation::{DEADLINE, Federation, Node, said, until};

fn invite(node: &Node, guest: &str) -> Invitation {
    let printed = done_by(node, "li", &["peer", "invite", guest]);
    printed["invitation"].as_str().unwrap().parse().unwrap()
}

/// What a node answers to an introduction: nothing, or the name of its problem.
fn introduce(url: &str, secret: &str, descriptor: &str) -> Result<(), String> {
    let stranger = City::new("419999", "https://127.0.0.1:1");
    let patience = Patience { connect: DEADLINE, idle: DEADLINE, whole: DEADLINE };
    let introduction = Introduction { invitation: secret.to_owned(), descriptor: descriptor.to_owned() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = PeerClient::new(url, untrusting_tls(&stranger.identity).unwrap(), patience, false).unwrap();
        client.enrol(&introduction).await.map_err(|fault| match fault {
            Fault::Http(_, name) | Fault::NotTaken(name) => name,
            other => other.to_string(),
        })
    })
}

fn url_of(node: &Node) -> String {
    node.json(&["status"])["url"].as_str().unwrap().to_owned()
}

fn jws_of(node: &Node) -> String {
    std::fs::read_to_string(node.descriptor()).unwrap().trim().to_owned()
}

/// Introduces a node, and waits as long as it is told to where it comes too often.
fn introduce_in_turn(url: &str, secret: &str, jws: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    loop {
        match introduce(url, secret, jws) {
            Err(answer) if answer.starts_with("asks to wait") => {
                runtime.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
            }
            outcome => return outcome,
        }
    }
}

#[test]
fn an_invitation_serves_once_in_time_and_only_whom_it_is_for() {
    let mut federation = Federation::of_strangers(&["340500", "310107", "341200"]);
    persons(&federation.nodes[0]);
    federation.nodes[0].start();
    let [one, guest, other] = &federation.nodes[..] else { unreachable!() };
    let url = url_of(one);
    let refused = |secret: &str, of: &Node, name: &str| {
        assert_eq!(introduce_in_turn(&url, secret, &jws_of(of)), Err(name.to_owned()));
        assert!(one.journal_text().contains(name), "{name} is not in the journal");
    };
    let secret = invite(one, "310107").secret.to_string();
    refused("AAAAAAAAAAAAAAAAAAAAAA", guest, "invitation-unknown");
    refused("short", guest, "malformed");
    refused(&secret, other, "invitation-unknown");
    assert_eq!(introduce_in_turn(&url, &secret, &jws_of(guest)), Ok(()));
    let stands = || ["state", "since", "descriptor", "root"].map(|member| shown(one, guest)[member].clone());
    let held = stands();
    assert_eq!(held[0], "fetched");
    // who has not heard the answer is told the same, and nothing changes; anybody else is refused
    assert_eq!(introduce_in_turn(&url, &secret, &jws_of(guest)), Ok(()));
    assert_eq!(stands(), held);
    refused(&secret, other, "invitation-unknown");
    let namesake = tempfile::tempdir().unwrap();
    let namesake = Node::init(namesake.path(), "310107", &[]);
    refused(&secret, &namesake, "invitation-used");
    let root = guest.dir.join("keys/root.pem").display().to_string();
    let first = jws_of(guest);
    guest.done(&["key", "renew", "--root", &root]);
    refused(&secret, guest, "invitation-used");
    assert_eq!(stands(), held);
    // nor does it bring back what has been taken from here since
    done_by(one, "li", &["peer", "add", guest.descriptor().to_str().unwrap()]);
    assert_eq!(introduce_in_turn(&url, &secret, &first), Err("invitation-used".to_owned()));
    assert_eq!(shown(one, guest)["descriptor"], 2);

    // withdrawn by a newer one, which then ends
    let first = invite(one, "341200").secret.to_string();
    let second = invite(one, "341200").secret.to_string();
    refused(&first, other, "invitation-used");
    let database = format!("sqlite:{}", one.dir.join("data/kaopu.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect(&database).await.unwrap();
        sqlx::query("UPDATE invitation SET until_ms = 1 WHERE used_ms IS NULL").execute(&mut connection).await.unwrap();
    });
    refused(&second, other, "invitation-late");

    // who goes on guessing is told to come back later, and finds nothing
    let mut answers = (0..12).map(|n| introduce(&url, &format!("{:0>22}", n * 4), &jws_of(guest)));
    assert!(answers.any(|answer| answer.unwrap_err().contains("asks to wait")));
}

#[test]
fn somebody_in_the_line_is_found_out_by_the_fingerprint() {
    let mallory = tempfile::tempdir().unwrap();
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.nodes.push(Node::init(mallory.path(), "310107", &[]));
    persons(&federation.nodes[0]);
    persons(&federation.nodes[1]);
    federation.start();
    let [one, other, mallory] = &federation.nodes[..] else { unreachable!() };
    // an invitation names the root key, so what answers in its place is found out at once, and gets no secret
    let invitation = invite(other, "340500");
    let bent = Invitation { url: url_of(mallory), ..invitation.clone() }.to_string();
    refused(one, "li", &["peer", "add", &bent], "is not the node that invited");
    assert!(one.json(&["peer", "list"]).as_array().unwrap().is_empty());
    // an address names nothing, so people compare
    done_by(one, "li", &["peer", "add", &url_of(mallory)]);
    refused(one, "li", &["peer", "confirm", "310107", &fingerprint(other)], "somebody is in the line between");
    assert_eq!(shown(one, other)["state"], "fetched");
    // over another line it is the right one
    done_by(one, "li", &["peer", "add", &invitation.to_string()]);
    done_by(one, "li", &["peer", "confirm", "310107", &fingerprint(other)]);
    // and from then on no other takes its place
    refused(one, "wang", &["peer", "add", &url_of(mallory)], "is known with another descriptor");
    done_by(one, "wang", &["peer", "approve", "310107"]);
    assert_eq!(shown(one, other)["state"], "approved", "the other side has not approved");
}

#[test]
fn both_sides_at_once_come_to_the_same() {
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.nodes.iter().for_each(persons);
    federation.start();
    let [one, other] = &federation.nodes[..] else { unreachable!() };
    let texts = [invite(other, &one.id).to_string(), invite(one, &other.id).to_string()];
    let pairs = [(one, other), (other, one)];
    std::thread::scope(|scope| {
        for ((here, _), text) in pairs.iter().zip(&texts) {
            scope.spawn(move || by(here, "li", &["peer", "add", text]));
        }
    });
    for step in ["confirm", "approve"] {
        std::thread::scope(|scope| {
            for (here, there) in pairs {
                scope.spawn(move || match step {
                    "confirm" => done_by(here, "li", &["peer", "confirm", &there.id, &fingerprint(there)]),
                    _ => done_by(here, "wang", &["peer", "approve", &there.id]),
                });
            }
        });
    }
    until("both are active", || pairs.iter().all(|(here, there)| shown(here, there)["state"] == "active"));
}

/// What the local API answers: the status, and the body.
pub fn post(node: &Node, path: &str, account: Option<(&str, &str)>, body: &str) -> (u16, Value) {
    use base64::Engine as _;
    let address = node.local.as_ref().unwrap().strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
    let login = account.map_or(String::new(), |(name, secret)| {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}"));
        format!("Authorization: Basic {basic}\r\n")
    });
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{login}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn the_local_api_asks_for_persons_and_holds_to_the_same_steps() {
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.nodes.iter().for_each(persons);
    federation.start();
    let [one, other] = &federation.nodes[..] else { unreachable!() };
    done_by(one, "li", &["peer", "add", &url_of(other)]);
    let (li, wang) = (secret_of("li"), secret_of("wang"));
    let (li, wang) = (Some(("li", li.as_str())), Some(("wang", wang.as_str())));
    let refused = |step: &str, account, body: &str, status: u16, name: &str| {
        let (got, problem) = post(one, &format!("/peers/310107/{step}"), account, body);
        assert_eq!((got, &problem["type"]), (status, &format!("urn:kaopu:problem:{name}").into()), "{problem}");
    };
    refused("approve", None, "{}", 401, "person-needed");
    refused("approve", Some(("li", "wrong secret")), "{}", 401, "not-let-in");
    refused("approve", Some(("nobody", "wrong secret")), "{}", 401, "not-let-in");
    refused("approve", li, "{}", 409, "not-in-this-state");
    refused("confirm", li, r#"{"fingerprint": "12345"}"#, 400, "malformed");
    refused("confirm", li, &format!(r#"{{"fingerprint": "{}"}}"#, fingerprint(one)), 409, "other-fingerprint");
    refused("trust", li, "{}", 404, "unknown-path");
    refused("suspend", li, "{}", 400, "malformed");
    let digits = format!(r#"{{"fingerprint": "{}"}}"#, fingerprint(other));
    assert_eq!(post(one, "/peers/310107/confirm", li, &digits).1["state"], "confirmed");
    refused("approve", li, "{}", 403, "same-person");
    assert_eq!(post(one, "/peers/310107/approve", wang, "{}").1["state"], "approved");
    assert_eq!(post(one, "/peers/310107/revoke", li, r#"{"reason": "示例"}"#).1["state"], "revoked");
    refused("approve", wang, "{}", 403, "revoked");
    assert_eq!(post(one, "/peers/341200/approve", wang, "{}").0, 404);
}

#[test]
fn a_secret_does_not_stand_in_what_a_node_writes() {
    let mut federation = Federation::of_strangers(&["340500", "310107"]);
    federation.nodes.iter().for_each(persons);
    federation.start();
    let [one, other] = &federation.nodes[..] else { unreachable!() };
    enrol(one, other);
    for node in [one, other] {
        let output = by(node, "li", &["peer", "show", "310107"]);
        for text in [node.journal_text(), said(&output), String::from_utf8_lossy(&output.stdout).into_owned()] {
            assert!(!text.contains("的示例密码"), "{text}");
        }
        let store = std::fs::read(node.dir.join("data/kaopu.db")).unwrap();
        let secret = "的示例密码".as_bytes();
        assert!(!store.windows(secret.len()).any(|part| part == secret));
    }
}
