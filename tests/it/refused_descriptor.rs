//! Descriptors that a peer offers and that are refused, each for a reason of its own, over real connections: kept as
//! evidence, told on both sides, and nothing else of the peer stops.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use kaopu::exchange::PeerClient;
use kaopu::exchange::client::Patience;
use kaopu::http::Limits;
use kaopu::statement::{SigningKey, Suite, Verified};
use kaopu::store::LogState;
use kaopu::trust::descriptor::{Descriptor, thumbprint};
use kaopu::trust::registry::Peer;
use kaopu::trust::tls;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::city::{City, NOW};
use crate::liar::{self, Tale};
use crate::line::{Office, place, until};

/// What the teller serves as its descriptors, newest first, made from the city; and the reason that must be found.
type Case = (&'static str, u64, fn(&City) -> Vec<String>);

fn signed(descriptor: &Descriptor, root: &SigningKey, before: Option<&Verified>) -> String {
    let seed = &mut StdRng::seed_from_u64(descriptor.sequence);
    descriptor.sign_after(before, root, NOW, seed).unwrap().jws().to_owned()
}

fn second(city: &City) -> Descriptor {
    Descriptor { sequence: 2, ..city.descriptor.clone() }
}

fn other_key() -> SigningKey {
    SigningKey::from_seed(Suite::EdDsa, &[88; 32]).unwrap()
}

/// The one that the listener holds is the second where the first is to be played back.
const CASES: [Case; 6] = [
    ("lower-sequence", 1, |city| vec![city.first.jws().to_owned()]),
    ("fork", 1, |city| {
        vec![signed(&Descriptor { name: "示例另一市".to_owned(), ..city.descriptor.clone() }, &city.root, None)]
    }),
    ("expired", 2, |city| {
        let expired = Descriptor { valid_until: NOW - 1, ..second(city) };
        vec![signed(&expired, &city.root, Some(&city.first)), city.first.jws().to_owned()]
    }),
    ("root", 2, |city| {
        let usurped = Descriptor { root: other_key().public().clone(), ..second(city) };
        vec![signed(&usurped, &other_key(), Some(&city.first)), city.first.jws().to_owned()]
    }),
    ("next-root", 2, |city| {
        let changed = Descriptor { next_root: thumbprint(other_key().public()), ..second(city) };
        vec![signed(&changed, &city.root, Some(&city.first)), city.first.jws().to_owned()]
    }),
    ("signature", 0, |city| {
        let mut jws = signed(&second(city), &city.root, Some(&city.first));
        let at = jws.len() - 40;
        let letter = if jws.as_bytes()[at] == b'A' { "B" } else { "A" };
        jws.replace_range(at..=at, letter);
        vec![jws, city.first.jws().to_owned()]
    }),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_descriptor_is_kept_told_on_both_sides_and_stops_nothing() {
    for (reason, sequence, offered) in CASES {
        let (tellers_place, url) = place().await;
        let mut teller = Office::new(City::new("110101", &url)).await;
        let (listeners_place, url) = place().await;
        let mut listener = Office::new(City::new("310107", &url)).await;
        teller.knows(&[&listener.city]).await;
        let mut row = teller.city.peer_row();
        if reason == "lower-sequence" {
            row.descriptor = signed(&second(&teller.city), &teller.city.root, Some(&teller.city.first));
            row.sequence = 2;
        }
        let held = row.descriptor.clone();
        assert!(listener.db.put_peer(&row).await.unwrap());
        listener.registry.refresh().await.unwrap();

        let log_key = SigningKey::from_pem(&teller.city.log_key.to_pem().unwrap()).unwrap();
        let tale = Tale::new(teller.city.records(), log_key, &[teller.city.first.clone(), teller.city.penalty(1)]);
        let lines = offered(&teller.city);
        let (served, newest) = (lines.iter().map(|jws| format!("{jws}\n")).collect::<String>(), lines[0].clone());
        let routes =
            liar::routes(Arc::new(Mutex::new(tale))).layer(middleware::from_fn(move |request: Request, next: Next| {
                let served = served.clone();
                async move {
                    let asked = request.uri().path() == "/v1/descriptor";
                    if asked { served.into_response() } else { next.run(request).await }
                }
            }));
        teller.serve_routes(tellers_place, routes, Limits::default());
        listener.serve(listeners_place);
        listener.pull();

        let node = &teller.city.node;
        until(&format!("{reason} is found"), || async {
            !listener.db.refused_descriptors(node, 10).await.unwrap().is_empty()
        })
        .await;
        let kept = listener.db.refused_descriptors(node, 10).await.unwrap();
        assert_eq!(kept.len(), 1, "{reason}: {kept:?}");
        assert_eq!((kept[0].reason.as_str(), kept[0].sequence, &kept[0].jws), (reason, sequence, &newest));
        assert_eq!(kept[0].held.as_ref(), (reason == "fork").then_some(&held), "both halves of a fork are kept");
        listener.says(node, &format!("its descriptor {sequence} is refused: {}", kept[0].words)).await;
        // the log goes on under the descriptor that is held
        listener.holds(&teller.city.records(), 2).await;
        assert_eq!(listener.copy(&teller.city.records()).await.unwrap().state, LogState::Open);
        assert_eq!(listener.registry.peer(node).unwrap().descriptor_jws, held);

        // and the other side hears it
        let peer = Arc::new(Peer::of(listener.city.peer_row()).unwrap());
        let second = Duration::from_secs(5);
        let patience = Patience { connect: second, idle: second, whole: second };
        let tls = tls::client_tls(&teller.city.identity, &peer).unwrap();
        let client = PeerClient::new(&listener.city.descriptor.endpoints[0], tls, patience, true).unwrap();
        let told = client.standing().await.unwrap().refused;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].reason.as_str(), told[0].sequence, &told[0].words), (reason, sequence, &kept[0].words));
    }
}
