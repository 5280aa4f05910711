//! The peer interface as a peer sees it on the wire.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER};
use kaopu::clock::Clock;
use kaopu::exchange::PeerClient;
use kaopu::exchange::client::{Line, Patience};
use kaopu::http::Limits;
use kaopu::log::{Checkpoint, TileId, merkle};
use kaopu::quota::DayLimit;
use kaopu::statement::{Audience, Reader};
use kaopu::trust::registry::Peer;
use kaopu::trust::tls;
use reqwest::{Client, Response};

use crate::city::{City, NOW};
use crate::line::{Office, place, publish};

const RECORDS: &str = "kaopu/310107/records/1";

/// An office that serves 300 entries, of which 10 is for 340500 alone, and the address where it does.
async fn serving(limits: Limits) -> (Office, kaopu::log::appender::Appender, String) {
    let (tcp, url) = place().await;
    let mut owner = Office::new(City::new("310107", &url)).await;
    let appender = owner.publishes().await;
    let mut statements: Vec<_> = (1..300).map(|n| owner.city.penalty(n)).collect();
    let mut addressed = owner.city.draft(10);
    addressed.aud = Audience::Named(vec![Reader::Node("340500".parse().unwrap())]);
    statements[9] = owner.city.say(addressed);
    publish(&appender, statements).await;
    owner.serve_within(tcp, limits);
    (owner, appender, url)
}

/// How `caller` asks `server`, with nothing in between.
fn raw(caller: &City, server: &City) -> Client {
    let peer = Arc::new(Peer::of(server.peer_row()).unwrap());
    let mut config = tls::client_tls(&caller.identity, &peer).unwrap().config;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Client::builder().tls_backend_preconfigured(config).no_zstd().no_proxy().build().unwrap()
}

/// How a node asks.
fn client(caller: &City, server: &City) -> PeerClient {
    let peer = Arc::new(Peer::of(server.peer_row()).unwrap());
    let config = tls::client_tls(&caller.identity, &peer).unwrap();
    let patience =
        Patience { connect: Duration::from_secs(5), idle: Duration::from_secs(20), whole: Duration::from_secs(30) };
    PeerClient::new(&server.descriptor.endpoints[0], config, patience, true).unwrap()
}

fn hash() -> String {
    RECORDS.parse::<kaopu::log::Origin>().unwrap().hash()
}

async fn problem(response: Response) -> (StatusCode, String) {
    let status = response.status();
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    (status, problem["type"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_reads_checkpoint_tiles_bundles_and_bodies() {
    let (owner, _appender, url) = serving(Limits::default()).await;
    let caller = City::new("340500", "https://127.0.0.1:1");
    owner.knows(&[&caller]).await;
    let peer = client(&caller, &owner.city);
    let origin = owner.city.records();

    let served = peer.checkpoint(&origin, None, Duration::ZERO).await.unwrap().unwrap();
    let checkpoint = Checkpoint::open(&served.note, &origin, &[owner.city.verifier()]).unwrap();
    assert_eq!(checkpoint.size, 300);
    let mut leaves = peer.tile(&origin, TileId { level: 0, n: 0, width: 256 }).await.unwrap();
    let above = peer.tile(&origin, TileId { level: 1, n: 0, width: 1 }).await.unwrap();
    assert_eq!(above, [merkle::root_of(&leaves)]);
    let partial = peer.tile(&origin, TileId { level: 0, n: 1, width: 44 }).await.unwrap();
    let prefix = peer.tile(&origin, TileId { level: 0, n: 1, width: 20 }).await.unwrap();
    assert_eq!(partial[..20], prefix);
    leaves.extend(partial);
    assert_eq!(merkle::root_of(&leaves), checkpoint.root);
    let mut entries = peer.bundle(&origin, 0, 256).await.unwrap();
    entries.extend(peer.bundle(&origin, 1, 44).await.unwrap());
    assert_eq!(entries.iter().map(kaopu::log::Entry::leaf_hash).collect::<Vec<_>>(), leaves);
    let lines = peer.statements(&origin, 0, 256).await.unwrap();
    assert!(lines.iter().zip(&entries).all(|(line, entry)| {
        matches!(line, Line::Body(jws) if kaopu::statement::Digest::of(jws.as_bytes()) == entry.digest)
    }));
    assert_eq!(peer.descriptors().await.unwrap(), [owner.city.first.jws()]);

    let raw = raw(&caller, &owner.city);
    let get = async |path: &str| raw.get(format!("{url}/v1/logs/{}/{path}", hash())).send().await.unwrap();
    for path in ["tile/0/000", "tile/entries/000"] {
        assert_eq!(get(path).await.headers()[CACHE_CONTROL], "max-age=31536000, immutable", "{path}");
    }
    for path in ["tile/0/001.p/44", "tile/entries/001.p/44", "checkpoint"] {
        assert_eq!(get(path).await.headers()[CACHE_CONTROL], "no-cache", "{path}");
    }
    assert_eq!(get("statements/000").await.headers()[CACHE_CONTROL], "no-store");
    assert_eq!(get("statements/000").await.headers().get(CONTENT_ENCODING), None);
    let packed = raw.get(format!("{url}/v1/logs/{}/statements/000", hash())).header("accept-encoding", "zstd");
    assert_eq!(packed.send().await.unwrap().headers()[CONTENT_ENCODING], "zstd");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_goes_to_those_alone_for_whom_it_is() {
    let (owner, _appender, _) = serving(Limits::default()).await;
    let [named, other] = ["340500", "341200"].map(|node| City::new(node, "https://127.0.0.1:1"));
    owner.knows(&[&named, &other]).await;
    let lines = client(&named, &owner.city).statements(&owner.city.records(), 0, 256).await.unwrap();
    assert!(lines.iter().all(|line| matches!(line, Line::Body(_))));
    let lines = client(&other, &owner.city).statements(&owner.city.records(), 0, 256).await.unwrap();
    for (index, line) in (0..).zip(&lines) {
        assert_eq!(*line == Line::Withheld, index == 10, "entry {index}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_serves_what_it_has_proven_and_gives_the_issuer_its_own_back() {
    let (owner, appender, _) = serving(Limits::default()).await;
    let origin = owner.city.records();
    let (tcp, url) = place().await;
    let mut mirror = Office::new(City::new("340500", &url)).await;
    let third = City::new("341200", "https://127.0.0.1:1");
    owner.knows(&[&mirror.city]).await;
    mirror.knows(&[&owner.city, &third]).await;
    mirror.serve(tcp);
    let from_mirror = client(&third, &mirror.city);
    assert!(from_mirror.checkpoint(&origin, None, Duration::ZERO).await.is_err(), "nothing is held yet");
    mirror.pull();
    mirror.holds(&origin, 300).await;
    mirror.rest().await;
    publish(&appender, vec![owner.city.penalty(1000)]).await;

    let served = from_mirror.checkpoint(&origin, None, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(Checkpoint::open(&served.note, &origin, &[owner.city.verifier()]).unwrap().size, 300);
    assert!(from_mirror.bundle(&origin, 1, 45).await.is_err());
    let lines = from_mirror.statements(&origin, 0, 256).await.unwrap();
    assert_eq!(lines.iter().filter(|line| **line == Line::Withheld).count(), 1);
    let lines = client(&owner.city, &mirror.city).statements(&origin, 0, 256).await.unwrap();
    assert!(lines.iter().all(|line| matches!(line, Line::Body(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_held_open_until_the_head_moves() {
    let (owner, appender, url) = serving(Limits::default()).await;
    let caller = City::new("340500", "https://127.0.0.1:1");
    owner.knows(&[&caller]).await;
    let raw = raw(&caller, &owner.city);
    let path = format!("{url}/v1/logs/{}/checkpoint", hash());
    let etag = raw.get(&path).send().await.unwrap().headers()[ETAG].clone();
    let asks = || raw.get(&path).header(IF_NONE_MATCH, &etag);
    assert_eq!(asks().send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let begun = Instant::now();
    assert_eq!(asks().header("prefer", "wait=1").send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
    assert!(begun.elapsed() >= Duration::from_secs(1));

    // what this process appends
    let held = tokio::spawn(asks().header("prefer", "wait=20").send());
    publish(&appender, vec![owner.city.penalty(1000)]).await;
    let begun = Instant::now();
    let response = held.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_ne!(response.headers()[ETAG], etag);
    let etag = response.headers()[ETAG].clone();

    // what another process appends
    let beside = Office::beside(&owner).await;
    let other = beside.publishes().await;
    let held = tokio::spawn(raw.get(&path).header(IF_NONE_MATCH, &etag).header("prefer", "wait=20").send());
    publish(&other, vec![owner.city.penalty(1001)]).await;
    let begun = Instant::now();
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_held_open_is_answered_when_the_node_stops() {
    let (mut owner, _appender, url) = serving(Limits::default()).await;
    let caller = City::new("340500", "https://127.0.0.1:1");
    owner.knows(&[&caller]).await;
    let raw = raw(&caller, &owner.city);
    let path = format!("{url}/v1/logs/{}/checkpoint", hash());
    let etag = raw.get(&path).send().await.unwrap().headers()[ETAG].clone();
    let held = tokio::spawn(raw.get(&path).header(IF_NONE_MATCH, &etag).header("prefer", "wait=30").send());
    // the request is under way once a later one on the same connection is answered
    raw.get(&path).send().await.unwrap();
    let begun = Instant::now();
    owner.close().await;
    assert_eq!(held.await.unwrap().unwrap().status(), StatusCode::NOT_MODIFIED);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_problems_of_a_stable_type() {
    let (owner, _appender, url) = serving(Limits { body_bytes: 1000, ..Limits::default() }).await;
    let caller = City::new("340500", "https://127.0.0.1:1");
    owner.knows(&[&caller]).await;
    let raw = raw(&caller, &owner.city);
    let get = async |path: String| problem(raw.get(format!("{url}{path}")).send().await.unwrap()).await;
    let log = format!("/v1/logs/{}", hash());
    let not_found = StatusCode::NOT_FOUND;
    let malformed = (StatusCode::BAD_REQUEST, "urn:kaopu:problem:malformed".to_owned());
    assert_eq!(get("/v1/nothing".to_owned()).await, (not_found, "urn:kaopu:problem:unknown-path".to_owned()));
    assert_eq!(get("/v1/logs/00/checkpoint".to_owned()).await, (not_found, "urn:kaopu:problem:unknown-log".to_owned()));
    for path in ["tile/0/002", "tile/0/001.p/45", "tile/1/000.p/2", "tile/entries/001", "statements/001.p/45"] {
        let found = get(format!("{log}/{path}")).await;
        assert_eq!(found, (not_found, "urn:kaopu:problem:not-held".to_owned()), "{path}");
    }
    for path in ["tile/0", "tile/64/000", "tile/0/1", "tile/entries/000.p/0", "tile/entries/000.p/257", "statements/x"]
    {
        assert_eq!(get(format!("{log}/{path}")).await, malformed, "{path}");
    }
    let posted = raw.post(format!("{url}{log}/checkpoint")).send().await.unwrap();
    assert_eq!(problem(posted).await.0, StatusCode::METHOD_NOT_ALLOWED);
    let long = raw.get(format!("{url}{log}/checkpoint")).body(vec![0; 1001]).send().await.unwrap();
    assert_eq!(problem(long).await, (StatusCode::PAYLOAD_TOO_LARGE, "urn:kaopu:problem:too-large".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let (owner, _appender, url) = serving(Limits { per_second: 5, ..Limits::default() }).await;
    let [greedy, other] = ["340500", "341200"].map(|node| City::new(node, "https://127.0.0.1:1"));
    owner.knows(&[&greedy, &other]).await;
    let path = format!("{url}/v1/logs/{}/checkpoint", hash());
    let asks = raw(&greedy, &owner.city);
    let mut refused = None;
    for _ in 0..50 {
        let response = asks.get(&path).send().await.unwrap();
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(response);
            break;
        }
    }
    let refused = refused.expect("fifty requests at once are more than five a second");
    assert_eq!(refused.headers()[RETRY_AFTER], "1");
    assert_eq!(problem(refused).await.1, "urn:kaopu:problem:too-many-requests");
    assert_eq!(raw(&other, &owner.city).get(&path).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_peer_gets_the_descriptor_at_most() {
    let (owner, _appender, url) = serving(Limits::default()).await;
    let [peer, stranger] = ["340500", "341200"].map(|node| City::new(node, "https://127.0.0.1:1"));
    owner.knows(&[&peer]).await;
    // without a certificate
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let nobody = Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    let descriptor = nobody.get(format!("{url}/v1/descriptor")).send().await.unwrap().text().await.unwrap();
    assert_eq!(descriptor, format!("{}\n", owner.city.first.jws()));
    let logs = nobody.get(format!("{url}/v1/logs/{}/checkpoint", hash())).send().await.unwrap();
    assert_eq!(problem(logs).await, (StatusCode::FORBIDDEN, "urn:kaopu:problem:certificate-needed".to_owned()));
    // with the certificate of one that is no peer, or that another authority gave
    let path = format!("{url}/v1/descriptor");
    assert!(raw(&stranger, &owner.city).get(&path).send().await.is_err());
    let impostor = City::new("340500", "https://127.0.0.1:1");
    assert!(raw(&impostor, &owner.city).get(&path).send().await.is_err());
    assert!(raw(&peer, &owner.city).get(&path).send().await.unwrap().status().is_success());
    // and a server that is not who it should be is not asked
    assert!(raw(&peer, &impostor).get(&path).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_was_served_its_share_of_a_day_comes_back_the_next() {
    for day in [DayLimit { bytes: 100_000, entries: u64::MAX }, DayLimit { bytes: u64::MAX, entries: 500 }] {
        let (owner, _appender, url) = serving(Limits { day, ..Limits::default() }).await;
        let [greedy, other] = ["340500", "341200"].map(|node| City::new(node, "https://127.0.0.1:1"));
        owner.knows(&[&greedy, &other]).await;
        let raw_client = raw(&greedy, &owner.city);
        let get = async |path: &str| raw_client.get(format!("{url}{path}")).send().await.unwrap();
        let bundle = format!("/v1/logs/{}/statements/000", hash());
        for _ in 0..2 {
            let answer = get(&bundle).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(answer.bytes().await.unwrap().len() > 100_000);
            if day.entries == u64::MAX {
                break;
            }
        }
        let refused = get(&bundle).await;
        let wait: i64 = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert_eq!(wait, 86_400 - NOW % 86_400);
        assert_eq!(problem(refused).await, (StatusCode::TOO_MANY_REQUESTS, "urn:kaopu:problem:day-spent".to_owned()));
        assert_eq!(get("/v1/descriptor").await.status(), StatusCode::OK, "who this is can always be asked");
        client(&other, &owner.city).statements(&owner.city.records(), 0, 256).await.unwrap();
        let Clock::Fixed(ms) = &owner.clock else { unreachable!() };
        ms.store((NOW + wait) * 1000, Ordering::Relaxed);
        assert_eq!(get(&bundle).await.status(), StatusCode::OK);
    }
}
