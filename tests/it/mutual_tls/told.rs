//! Connections to a listener: that who is refused learns why at the first request, and that none outlives its certificate.

use std::future::pending;
use std::time::Duration;

use axum::Router;
use kaopu::clock::Clock;
use kaopu::exchange::client::Patience;
use kaopu::exchange::{Fault, PeerClient};
use kaopu::http::Limits;
use kaopu::http::listener::PeerListener;
use kaopu::trust::tls::{self, Identity, ServerTls, TlsError};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::version::TLS13;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_does_not_outlive_the_certificate_that_was_shown_on_it() {
    let all = Federation::new().await;
    let clock = Clock::fixed(NOW * 1000);
    let (chain, key) = all.here.certificate();
    let identity = Identity::new(all.here.id.clone(), chain, key, clock.clone()).unwrap();
    let (tcp, _) = place().await;
    let address = tcp.local_addr().unwrap();
    let tls = ServerTls::new(&identity, all.registry.clone());
    let (registry, limits) = (all.registry.clone(), Limits::default());
    let listener = PeerListener { tcp, tls, registry, router: Router::new(), limits };
    tokio::spawn(listener.serve(pending()));
    let soon = date_time_ymd(1970, 1, 1) + Duration::from_secs(NOW.unsigned_abs() + 1);
    let connected = async |certificate| {
        let stream = TcpStream::connect(address).await.unwrap();
        let (config, _) = all.client(Some(certificate), &TLS13);
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(config).connect(name, stream).await.unwrap()
    };
    let mut ends_soon = connected(all.peer.bent(|params| params.not_after = soon)).await;
    let mut holds = connected(all.other.certificate()).await;
    // a request each, so that the server has taken them in; what answers is an error, since there is no such method
    for stream in [&mut ends_soon, &mut holds] {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
    }
    let Clock::Fixed(ms) = &clock else { unreachable!() };
    ms.store((NOW + 2) * 1000, std::sync::atomic::Ordering::Relaxed);
    let closed =
        timeout(Duration::from_secs(60), ends_soon.read(&mut [0; 64])).await.expect("it is closed within a minute");
    assert!(matches!(closed, Ok(0) | Err(_)));
    assert!(timeout(Duration::from_millis(500), holds.read(&mut [0; 64])).await.is_err(), "the other one goes on");
}
