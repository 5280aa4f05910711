//! What a node may ask, by where it stands: over real connections, in every state and on every route.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{ETAG, IF_NONE_MATCH};
use kaopu::exchange::standing::Standing;
use kaopu::trust::registry::Peer;
use kaopu::trust::state::PeerState;
use kaopu::trust::tls;
use reqwest::{Client, Response};
use sqlx::Connection as _;

use crate::city::{City, NOW};
use crate::line::{Office, place, publish, until};

/// Every route that is for active peers alone, by its path behind the hash of a log.
const FOR_ACTIVE_PEERS: [&str; 4] = ["checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1", "statements/000.p/1"];

/// An office that serves its log, and its address.
async fn serving() -> (Office, kaopu::log::appender::Appender, String) {
    let (tcp, url) = place().await;
    let mut owner = Office::new(City::new("310107", &url)).await;
    let appender = owner.publishes().await;
    publish(&appender, (1..10).map(|n| owner.city.penalty(n)).collect()).await;
    owner.serve(tcp);
    (owner, appender, url)
}

fn log_url(owner: &Office, url: &str, path: &str) -> String {
    format!("{url}/v1/logs/{}/{path}", owner.city.records().hash())
}

/// How `caller` asks `server` over a connection of its own.
fn client(caller: &City, server: &City) -> Client {
    let peer = Arc::new(Peer::of(server.peer_row()).unwrap());
    let mut config = tls::client_tls(&caller.identity, &peer).unwrap().config;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Client::builder().tls_backend_preconfigured(config).no_zstd().no_proxy().build().unwrap()
}

async fn problem(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let problem: serde_json::Value = response.json().await.unwrap();
    (status, problem["type"].as_str().unwrap().strip_prefix("urn:kaopu:problem:").unwrap().to_owned())
}

/// Puts a peer into a state, as another process would.
async fn put(office: &Office, city: &City, state: PeerState) {
    let mut connection = sqlx::SqliteConnection::connect(office.database.url()).await.unwrap();
    for (change, bound) in [
        // the store itself refuses most of these steps
        ("DROP TRIGGER IF EXISTS peer_steps", false),
        ("UPDATE peer SET state = $1 WHERE node = $2", true),
        ("UPDATE registry SET version = version + 1 WHERE id = 1", false),
    ] {
        let query = sqlx::query(change);
        let query = if bound { query.bind(state.as_str()).bind(city.node.as_str()) } else { query };
        query.execute(&mut connection).await.unwrap();
    }
}

/// The reason why a request got no answer, or the whole chain of them.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_every_route_but_the_descriptors_is_refused() {
    let (owner, _appender, url) = serving().await;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let nobody = Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().build().unwrap();
    for path in FOR_ACTIVE_PEERS {
        let answer = nobody.get(log_url(&owner, &url, path)).send().await.unwrap();
        assert_eq!(problem(answer).await, (StatusCode::FORBIDDEN, "certificate-needed".to_owned()), "{path}");
    }
    let answer = nobody.get(format!("{url}/v1/standing")).send().await.unwrap();
    assert_eq!(problem(answer).await, (StatusCode::FORBIDDEN, "certificate-needed".to_owned()));
    assert!(nobody.get(format!("{url}/v1/descriptor")).send().await.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_not_active_is_told_so_on_every_route() {
    let (owner, _appender, url) = serving().await;
    let caller = City::new("340500", "https://127.0.0.1:1");
    owner.knows(&[&caller]).await;
    use PeerState::{Active, Approved, Confirmed, Fetched, Suspended};
    for (state, name) in [
        (Fetched, "not-active"),
        (Confirmed, "not-active"),
        (Approved, "not-active"),
        (Active, ""),
        (Suspended, "suspended"),
    ] {
        put(&owner, &caller, state).await;
        // what another process has decided binds the first request after it, on a new connection
        owner.registry.refresh().await.unwrap();
        let caller = client(&caller, &owner.city);
        let standing: Standing = caller.get(format!("{url}/v1/standing")).send().await.unwrap().json().await.unwrap();
        assert_eq!((&standing.node, standing.state, standing.holds), (&owner.city.node, state, 1));
        assert_eq!(
            (standing.missing, standing.clock),
            (state.missing().iter().map(|s| (*s).to_owned()).collect(), NOW)
        );
        for path in FOR_ACTIVE_PEERS {
            let answer = caller.get(log_url(&owner, &url, path)).send().await.unwrap();
            if name.is_empty() {
                assert!(answer.status().is_success(), "{path}");
            } else {
                assert_eq!(problem(answer).await, (StatusCode::FORBIDDEN, name.to_owned()), "{state} {path}");
            }
        }
    }
    // one that was revoked does not get past the handshake, and is told why
    put(&owner, &caller, PeerState::Revoked).await;
    owner.registry.refresh().await.unwrap();
    // its request may break off before the alert is read, so it asks more than once
    until("it is told that it was revoked", || async {
        let asked = client(&caller, &owner.city).get(log_url(&owner, &url, "checkpoint")).send().await;
        chain(&asked.unwrap_err()).contains("CertificateRevoked")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_decides_binds_the_next_request_and_ends_what_is_under_way() {
    for (state, name) in [(PeerState::Suspended, "suspended"), (PeerState::Revoked, "revoked")] {
        let (mut owner, _appender, url) = serving().await;
        let city = City::new("340500", "https://127.0.0.1:1");
        owner.knows(&[&city]).await;
        let caller = client(&city, &owner.city);
        let path = log_url(&owner, &url, "checkpoint");
        let etag = caller.get(&path).send().await.unwrap().headers()[ETAG].clone();
        // nobody looks at the registry but for the request itself
        put(&owner, &city, state).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let answer = caller.get(&path).send().await;
        // the connection may end as soon as the answer is given
        if let Ok(answer) = answer {
            assert_eq!(problem(answer).await, (StatusCode::FORBIDDEN, name.to_owned()));
        }

        // and one that is held open, while another task of the server looks at the registry
        let city = City::new("341200", "https://127.0.0.1:1");
        owner.knows(&[&city]).await;
        let caller = client(&city, &owner.city);
        let held = caller.get(&path).header(IF_NONE_MATCH, &etag).header("prefer", "wait=30").send();
        let held = tokio::spawn(held);
        // the request is under way once a later one on the same connection is answered
        caller.get(&path).send().await.unwrap();
        owner.pull();
        let begun = Instant::now();
        put(&owner, &city, state).await;
        assert!(held.await.unwrap().is_err(), "it is cut off");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        owner.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_asks_nothing_of_a_peer_that_is_not_active_and_gives_up_what_is_under_way() {
    let (owner, appender, _) = serving().await;
    let (tcp, _) = place().await;
    drop(tcp);
    let mut mirror = Office::new(City::new("340500", "https://127.0.0.1:1")).await;
    owner.knows(&[&mirror.city]).await;
    mirror.knows(&[&owner.city]).await;
    mirror.pull();
    let origin = owner.city.records();
    mirror.holds(&origin, 10).await;
    // its request is held open there now: 10 entries are in step
    for state in [PeerState::Suspended, PeerState::Revoked] {
        put(&mirror, &owner.city, state).await;
        until("the mirror has read it", || async { mirror.registry.peer(&owner.city.node).is_none() }).await;
        let before = mirror.copy(&origin).await.unwrap().size;
        publish(&appender, vec![owner.city.penalty(100 + before)]).await;
        // long enough for ten pulls
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(mirror.copy(&origin).await.unwrap().size, before, "{state}");
        if state == PeerState::Suspended {
            put(&mirror, &owner.city, PeerState::Active).await;
            mirror.holds(&origin, before + 1).await;
        }
    }
    mirror.rest().await;
}
