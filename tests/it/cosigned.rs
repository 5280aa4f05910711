//! A node whose peers cosign its logs: what comes back is verified, kept and served, and nobody waits for a witness.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::post;
use http::StatusCode;
use kaopu::exchange::cosign::cosign;
use kaopu::exchange::{Fault, Pusher};
use kaopu::http::Limits;
use kaopu::log::cosignature::name_of;
use kaopu::log::witness::Submitted;
use kaopu::log::{Checkpoint, Cosignature, Origin};
use kaopu::store::cosignature::CosignatureRow;
use kaopu::trust::descriptor::Descriptor;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::city::{City, NOW};
use crate::line::{Office, place, publish, until};

impl Office {
    /// Pushes both of its logs.
    fn push(&self) -> Pusher {
        let logs = vec![self.city.records(), self.city.exchange()];
        Pusher::start(self.surroundings(), logs, Box::new(StdRng::seed_from_u64(3)))
    }

    /// What a witness gave on a log.
    async fn given(&self, origin: &Origin, witness: &City) -> Option<CosignatureRow> {
        let log = self.copy(origin).await.unwrap();
        let name = name_of(&witness.node);
        self.db.cosignatures(log.id).await.unwrap().into_iter().find(|row| row.cosignature.witness == name)
    }

    /// Waits until a witness has cosigned so many entries of a log.
    async fn cosigned(&self, origin: &Origin, witness: &City, size: u64) {
        until(&format!("{} cosigns {size} entries of {origin}", witness.node), || async {
            self.given(origin, witness).await.is_some_and(|row| row.size == size)
        })
        .await;
    }
}

/// A city that serves, with both logs.
async fn office(node: &str) -> (Office, [kaopu::log::appender::Appender; 2]) {
    let (tcp, url) = place().await;
    let mut office = Office::new(City::new(node, &url)).await;
    let appenders = [office.publishes().await, office.exchanges().await];
    office.serve(tcp);
    (office, appenders)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_peer_cosigns_both_logs_and_a_dead_one_holds_nobody_up() {
    let (owner, [records, exchange]) = office("310107").await;
    let (mut one, _of_one) = office("340500").await;
    let (other, _of_other) = office("341200").await;
    // nobody answers there
    let dead = City::new("320100", "https://127.0.0.1:1");
    owner.knows(&[&one.city, &other.city, &dead]).await;
    one.knows(&[&owner.city]).await;
    other.knows(&[&owner.city]).await;
    one.pull();
    let (of_records, of_exchange) = (owner.city.records(), owner.city.exchange());

    let pusher = owner.push();
    for witness in [&one.city, &other.city] {
        owner.cosigned(&of_records, witness, 1).await;
        owner.cosigned(&of_exchange, witness, 1).await;
    }
    // it pulls and witnesses the same log at once, under load
    for some in 0..10_u64 {
        publish(&records, (1..40).map(|n| owner.city.penalty(some * 100 + n)).collect()).await;
    }
    one.holds(&of_records, 391).await;
    for witness in [&one, &other] {
        owner.cosigned(&of_records, &witness.city, 391).await;
        let head = witness.copy(&of_records).await.unwrap().head.unwrap();
        assert_eq!(head.root, owner.copy(&of_records).await.unwrap().head.unwrap().root);
    }
    assert!(owner.given(&of_records, &dead).await.is_none());
    // a minute has not passed
    let second = Descriptor { sequence: 2, ..owner.city.descriptor.clone() };
    let second = second.sign_after(Some(&owner.city.first), &owner.city.root, NOW, &mut StdRng::seed_from_u64(8));
    publish(&exchange, vec![second.unwrap()]).await;
    assert_eq!(owner.given(&of_exchange, &one.city).await.unwrap().size, 1);

    // the checkpoint is served with what it was given, and is still a checkpoint to who pulls it
    let served = reqwest_client(&one.city, &owner.city)
        .get(format!("{}/v1/logs/{}/checkpoint", owner.city.descriptor.endpoints[0], of_records.hash()))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let checkpoint = Checkpoint::open(&served, &of_records, &[owner.city.verifier()]).unwrap();
    assert_eq!(checkpoint.size, 391);
    let keys = [&one.city, &other.city].map(|witness| witness.descriptor.witness_keys()).concat();
    let lines = served.lines().filter(|line| line.contains("/witness "));
    let read: Vec<_> = lines.filter_map(|line| Cosignature::read(&checkpoint.text(), line, &keys).unwrap()).collect();
    assert_eq!(read.len(), 2, "{served}");
    assert!(read.iter().all(|cosignature| cosignature.at == NOW));
    pusher.stop().await;

    // after a restart nothing is asked for that is there already; what is new is
    let given = owner.given(&of_records, &other.city).await.unwrap().given;
    let pusher = owner.push();
    owner.cosigned(&of_exchange, &other.city, 2).await;
    assert_eq!(owner.given(&of_records, &other.city).await.unwrap().given, given);
    publish(&records, vec![owner.city.penalty(6000)]).await;
    owner.cosigned(&of_records, &other.city, 392).await;
    pusher.stop().await;
}

fn reqwest_client(caller: &City, server: &City) -> reqwest::Client {
    let peer = Arc::new(kaopu::trust::registry::Peer::of(server.peer_row()).unwrap());
    let mut config = kaopu::trust::tls::client_tls(&caller.identity, &peer).unwrap().config;
    config.alpn_protocols = vec![b"h2".to_vec()];
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap()
}

/// What a witness says instead of the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    OtherKey,
    OtherName,
    OtherSize,
    Future,
    Past,
    NoLine,
    NotANote,
    AlwaysElsewhere,
    Ahead,
    NoSize,
    Unknown,
}

#[derive(Clone)]
struct Liar {
    city: Arc<City>,
    lie: Lie,
    asked: Arc<AtomicU64>,
}

async fn lies(State(liar): State<Liar>, body: String) -> axum::response::Response {
    let note = Submitted::parse(&body).unwrap().note;
    let text = note.split_once("\n\n").unwrap().0.to_owned() + "\n";
    let (city, name) = (&liar.city, name_of(&liar.city.node));
    let size = |size: u64| (StatusCode::CONFLICT, [("content-type", "text/x.tlog.size")], format!("{size}\n"));
    let line = |text: &str, name: &str, key, at| Cosignature::sign(text, name, key, at).unwrap().line + "\n";
    let asked = liar.asked.fetch_add(1, Ordering::Relaxed);
    match liar.lie {
        Lie::None => line(&text, &name, &city.witness, NOW).into_response(),
        Lie::OtherKey => line(&text, &name, &city.sign, NOW).into_response(),
        Lie::OtherName => line(&text, "kaopu/340500/other", &city.witness, NOW).into_response(),
        Lie::OtherSize => line(&text.replacen("\n1\n", "\n2\n", 1), &name, &city.witness, NOW).into_response(),
        Lie::Future => line(&text, &name, &city.witness, NOW + 301).into_response(),
        Lie::Past => line(&text, &name, &city.witness, NOW - 301).into_response(),
        Lie::NoLine => String::new().into_response(),
        Lie::NotANote => "— thank you\n".into_response(),
        Lie::AlwaysElsewhere => size(asked % 2).into_response(),
        Lie::Ahead => size(7).into_response(),
        Lie::NoSize => (StatusCode::CONFLICT, [("content-type", "text/x.tlog.size")], "seven\n").into_response(),
        Lie::Unknown => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lying_witness_says_is_told_apart_and_not_kept() {
    let owner = Office::new(City::new("310107", "https://127.0.0.1:1")).await;
    let _records = owner.publishes().await;
    for (lie, words) in [
        (Lie::OtherKey, "by no witness key that the peer's descriptor names"),
        (Lie::OtherName, "by no witness key that the peer's descriptor names"),
        (Lie::OtherSize, "the signature of kaopu/340500/witness does not verify"),
        (Lie::Future, "its time is ahead of this node's clock"),
        (Lie::Past, "its time is before that of the checkpoint"),
        (Lie::NoLine, "no newline at the end"),
        (Lie::NotANote, "a signature line is not"),
        (Lie::AlwaysElsewhere, "it says each time that it holds another size"),
        (Lie::Ahead, "it holds a checkpoint of 7 entries"),
        (Lie::NoSize, "it says no size"),
        (Lie::Unknown, "holds nothing of this log"),
        (Lie::None, ""),
    ] {
        let (tcp, url) = place().await;
        let mut witness = Office::new(City::new("340500", &url)).await;
        witness.knows(&[&owner.city]).await;
        let told = Liar { city: Arc::clone(&witness.city), lie, asked: Arc::default() };
        let routes = Router::new().route("/v1/add-checkpoint", post(lies)).with_state(told);
        witness.serve_routes(tcp, routes, Limits::default());

        let peer = Arc::new(kaopu::trust::registry::Peer::of(witness.city.peer_row()).unwrap());
        let client = {
            let tls = kaopu::trust::tls::client_tls(&owner.city.identity, &peer).unwrap();
            let seconds = Duration::from_secs(5);
            let patience = kaopu::exchange::client::Patience { connect: seconds, idle: seconds, whole: seconds };
            kaopu::exchange::PeerClient::new(&peer.url, tls, patience, false).unwrap()
        };
        let log = owner.copy(&owner.city.records()).await.unwrap();
        let said: Result<Cosignature, Fault> = cosign(&owner.db, &client, &peer, &log, &owner.clock).await;
        let kept = owner.given(&log.origin, &witness.city).await;
        if lie == Lie::None {
            assert_eq!(kept.unwrap().cosignature, said.unwrap());
        } else {
            let fault = said.unwrap_err();
            assert!(fault.to_string().contains(words), "{lie:?}: {fault}");
            assert!(kept.is_none(), "{lie:?}");
            assert!(!fault.is_lie(), "{lie:?}: as a witness, not as a log");
        }
    }
}
