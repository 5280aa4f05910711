//! That a node which is refused learns why, at its first request, whatever becomes of the connection.

use std::future::pending;
use std::time::Duration;

use axum::Router;
use kaopu::clock::Clock;
use kaopu::exchange::client::Patience;
use kaopu::exchange::{Fault, PeerClient};
use kaopu::http::Limits;
use kaopu::http::listener::PeerListener;
use kaopu::trust::tls::{self, Identity, ServerTls, TlsError};
use rcgen::ExtendedKeyUsagePurpose;

use super::certificates::{Certificate, impostors};
use super::{Federation, NOW};
use crate::line::place;

/// How a node that shows this certificate gets on with its first request; None where no node can show it.
async fn first_request(all: &Federation, url: &str, (chain, key): Certificate) -> Option<Fault> {
    let node = tls::node_of(&chain[0]).ok()?;
    let identity = Identity::new(node, chain, key, Clock::fixed(NOW * 1000)).unwrap();
    let here = all.registry.peer(&all.here.id).unwrap();
    let seconds = Duration::from_secs(20);
    let patience = Patience { connect: seconds, idle: seconds, whole: seconds };
    let client = PeerClient::new(url, tls::client_tls(&identity, &here).unwrap(), patience, false).unwrap();
    Some(client.standing().await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_learns_why_at_the_first_request() {
    let all = Federation::new().await;
    let (tcp, url) = place().await;
    let tls = ServerTls::new(&all.here.identity(), all.registry.clone());
    let (registry, limits) = (all.registry.clone(), Limits::default());
    let listener = PeerListener { tcp, tls, registry, router: Router::new(), limits };
    let serving = tokio::spawn(listener.serve(pending()));
    let mut tried = 0;
    for _ in 0..3 {
        let impostors = impostors(&all.peer, &all.other, &all.stranger, ExtendedKeyUsagePurpose::ServerAuth);
        for (what, certificate, _, alert) in impostors {
            let Some(fault) = first_request(&all, &url, certificate).await else { continue };
            assert!(matches!(&fault, Fault::Tls(TlsError::Told(told)) if told == alert), "{what}: {fault}");
            tried += 1;
        }
    }
    assert!(tried >= 30, "{tried}");
    // who is let in gets an answer: there are no routes here
    let fault = first_request(&all, &url, all.peer.certificate()).await;
    assert!(matches!(fault, Some(Fault::NotHeld)), "{fault:?}");
    // and a line that is down is not said to be anything else
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    let fault = first_request(&all, &url, all.peer.certificate()).await;
    assert!(matches!(fault, Some(Fault::Unreachable(_))), "{fault:?}");
}
