//! Webhooks get every notice at least once, in order for a subject, whatever their receivers do.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kaopu::clock::Clock;
use kaopu::exchange::deliver::{Deliverer, DeliverySettings};
use kaopu::exchange::reach::Reach;
use kaopu::exchange::source::Backoff;
use kaopu::statement::SigningKey;
use kaopu::store::Db;
use kaopu::trust::keys::KeyStore;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::receiver::{Answer, Got, Receiver, verifies};
use super::{by_subject, follow, inbox, penalties, subject, tell_all};
use crate::city::City;
use crate::database::{Kind, on_both};
use crate::growth::{again, append, log};
use crate::line::{Office, until};

const MIRROR: &str = "kaopu/340500/records/1";

/// A node with notices to deliver: three of each of so many subjects.
struct Sender {
    office: Office,
}

/// One that delivers, until it is ended.
struct Delivering {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Sender {
    async fn new(kind: Kind) -> Self {
        let office = Office::in_a(kind, City::new("310107", "https://127.0.0.1:1")).await;
        drop(office.publishes().await);
        Self { office }
    }

    fn db(&self) -> &Db {
        &self.office.db
    }

    /// Notices of these subjects, by their numbers, wait for an address.
    async fn tells(&self, url: &str, subjects: std::ops::Range<u64>) {
        let db = self.db();
        let hook = db.webhook(url, 0).await.unwrap();
        let keys: Vec<String> = subjects.clone().map(|n| subject(3 * n)).collect();
        follow(db, "商务委", &keys, None, Some(hook)).await;
        let mirror = log(db, MIRROR, false).await;
        // one after the other of each subject, so that lines grow side by side
        for nth in 0..3 {
            let mirror = again(db, &mirror).await;
            let numbers = subjects.clone().map(|n| 3 * n + nth);
            let entries: Vec<_> = numbers.flat_map(|n| penalties(&mirror, n..n + 1)).collect();
            append(db, &mirror, &entries, &[]).await.unwrap();
        }
        tell_all(db).await;
    }

    fn deliverer(&self, db: Db) -> Deliverer {
        let sign = SigningKey::from_pem(&self.office.city.sign.to_pem().unwrap()).unwrap();
        Deliverer {
            db,
            node: self.office.city.node.clone(),
            keys: KeyStore::of([Arc::new(sign)]),
            records: self.office.city.records(),
            clock: Clock::System,
            settings: DeliverySettings {
                reach: Reach { allow: vec!["127.0.0.0/8".parse().unwrap()] },
                connect: Duration::from_millis(500),
                answer: Duration::from_millis(700),
                at_once: 8,
                each: 4,
                backoff: Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(100) },
            },
            authorities: Vec::new(),
            deliveries: Arc::new(Notify::new()),
        }
    }

    /// As one of possibly several processes.
    async fn delivers(&self) -> Delivering {
        let db = self.office.database.open().await;
        start(self.deliverer(db))
    }

    async fn until_all_is_delivered(&self) {
        until("all is delivered", || async { self.db().queues().await.unwrap().is_empty() }).await;
    }

    /// That it had each notice, in order for each subject, counted by when it first took each.
    async fn check(&self, receiver: &Receiver) {
        let mut first: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for got in receiver.taken() {
            let number: i64 = got.id.strip_prefix("310107-").unwrap().parse().unwrap();
            let key = got.payload["subject"]["key"].as_str().unwrap().to_owned();
            let line = first.entry(key).or_default();
            if !line.contains(&number) {
                line.push(number);
            }
            assert_eq!(got.payload["jti"], got.id.as_str());
            assert_eq!(got.payload["aud"], receiver.url.as_str());
            assert!(got.payload.get("body").is_none() && got.payload["statement"].get("body").is_none());
            assert!(verifies(&got.jws, self.office.city.sign.public()));
        }
        assert_eq!(first, by_subject(&inbox(self.db()).await));
    }
}

fn start(deliverer: Deliverer) -> Delivering {
    let (stop, stopping) = watch::channel(false);
    let rng = StdRng::seed_from_u64(3);
    Delivering { stop, task: tokio::spawn(deliverer.keep_delivering(stopping, Box::new(rng))) }
}

impl Delivering {
    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }

    /// As a process that is killed.
    fn kill(self) {
        self.task.abort();
    }
}

on_both! {
    async fn whatever_fails_at_random_every_line_arrives_in_order(database: Database) {
        let kind = if database.url().starts_with("sqlite") { Kind::Sqlite } else { Kind::Postgres };
        let sender = Sender::new(kind).await;
        let rng = Mutex::new(StdRng::seed_from_u64(11));
        let receiver = Receiver::new(move |_: &Got| match rng.lock().unwrap().random_range(0..10) {
            0 => Answer::Status(500),
            1 => Answer::Status(404),
            2 => Answer::Busy(0),
            3 => Answer::Endless,
            _ => Answer::Take,
        })
        .await;
        sender.tells(&receiver.url, 0..20).await;
        // two processes, of which one dies and another comes
        let (first, second) = (sender.delivers().await, sender.delivers().await);
        until("some are delivered", || async { receiver.taken().len() > 10 }).await;
        first.kill();
        let third = sender.delivers().await;
        // others come while these are under way
        sender.tells(&receiver.url, 20..30).await;
        sender.until_all_is_delivered().await;
        sender.check(&receiver).await;
        second.end().await;
        third.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_is_refused_holds_up_itself_alone() {
    let sender = Sender::new(Kind::Sqlite).await;
    let refused = subject(3);
    let open = Arc::new(AtomicUsize::new(0));
    let (bad, may) = (refused.clone(), Arc::clone(&open));
    let receiver = Receiver::new(move |got: &Got| {
        let is_bad = got.payload["subject"]["key"] == bad.as_str() && may.load(Ordering::Relaxed) == 0;
        if is_bad { Answer::Status(422) } else { Answer::Take }
    })
    .await;
    sender.tells(&receiver.url, 0..5).await;
    let delivering = sender.delivers().await;
    until("the others have arrived", || async { receiver.taken().len() == 12 }).await;
    // the receiver has them before the sender has heard that it does
    until("only those that are refused wait", || async { sender.db().queues().await.unwrap()[0].waiting == 3 }).await;
    let told =
        || async { sender.db().webhooks().await.unwrap()[0].error.as_deref().is_some_and(|it| it.contains("422")) };
    until("the refusal is noted", told).await;
    let row = &sender.db().webhooks().await.unwrap()[0];
    assert_eq!(row.failures, 0, "the receiver as a whole is well");
    open.store(1, Ordering::Relaxed);
    sender.until_all_is_delivered().await;
    sender.check(&receiver).await;
    delivering.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_is_asked_seldom_and_gets_all_when_it_is_back() {
    let sender = Sender::new(Kind::Sqlite).await;
    let gone = Receiver::new(|_: &Got| Answer::Take).await;
    let (address, url) = (gone.address, gone.url.clone());
    drop(gone);
    until("nobody listens", || async { tokio::net::TcpStream::connect(address).await.is_err() }).await;
    sender.tells(&url, 0..40).await;
    let delivering = sender.delivers().await;
    until("it was tried", || async { sender.db().webhooks().await.unwrap()[0].failures >= 4 }).await;
    let row = sender.db().webhooks().await.unwrap().remove(0);
    assert!(row.error.is_some() && row.success_ms.is_none(), "{row:?}");
    let receiver = Receiver::at(address, |_: &Got| Answer::Take).await;
    sender.until_all_is_delivered().await;
    sender.check(&receiver).await;
    assert_eq!(receiver.came(), 120, "each once");
    let row = sender.db().webhooks().await.unwrap().remove(0);
    assert!(row.failures == 0 && row.success_ms.is_some(), "{row:?}");
    delivering.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_and_one_that_leads_elsewhere_are_cut_off_and_hold_no_other_up() {
    let sender = Sender::new(Kind::Sqlite).await;
    let good = Receiver::new(|_: &Got| Answer::Take).await;
    let slow = Receiver::new(|_: &Got| Answer::Hang).await;
    let elsewhere = good.url.replace("/notices", "/elsewhere");
    let sly = Receiver::new(move |_: &Got| Answer::Elsewhere(elsewhere.clone())).await;
    sender.tells(&slow.url, 0..20).await;
    sender.tells(&sly.url, 20..40).await;
    sender.tells(&good.url, 40..50).await;
    let delivering = sender.delivers().await;
    let db = sender.db();
    let of = |url: String| async move {
        let rows = db.webhooks().await.unwrap();
        let row = rows.into_iter().find(|row| row.url == url).unwrap();
        let queues = db.queues().await.unwrap();
        let waiting = queues.into_iter().find(|queue| queue.webhook == row.id).map_or(0, |queue| queue.waiting);
        (waiting, row.error.unwrap_or_default())
    };
    until("the good one has all", || async { of(good.url.clone()).await.0 == 0 }).await;
    until("the slow one is told of", || async { of(slow.url.clone()).await.1.contains("took too long") }).await;
    until("the sly one is told of", || async { of(sly.url.clone()).await.1.contains("307") }).await;
    assert_eq!((good.came(), of(slow.url.clone()).await.0, of(sly.url.clone()).await.0), (30, 60, 60));
    delivering.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_out_of_reach_is_never_connected_to() {
    let sender = Sender::new(Kind::Sqlite).await;
    let receiver = Receiver::new(|_: &Got| Answer::Take).await;
    let by_name = format!("http://localhost:{}/notices", receiver.address.port());
    sender.tells(&by_name, 0..1).await;
    let mut deliverer = sender.deliverer(sender.db().clone());
    deliverer.settings.reach = Reach::default();
    let delivering = start(deliverer);
    until("it is told of", || async {
        let rows = sender.db().webhooks().await.unwrap();
        rows[0].error.as_deref().is_some_and(|error| error.contains("not a public address"))
    })
    .await;
    delivering.end().await;
    assert_eq!(receiver.came(), 0);
    // once it is allowed, the same name is called
    let delivering = sender.delivers().await;
    sender.until_all_is_delivered().await;
    assert_eq!(receiver.came(), 3);
    delivering.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_known_by_its_certificate() {
    let sender = Sender::new(Kind::Sqlite).await;
    let (ca, chain, key) = certificates("127.0.0.1");
    let (address, heard) = tls_receiver(chain, key).await;
    sender.tells(&format!("https://{address}/notices"), 0..2).await;
    let delivering = sender.delivers().await;
    until("nobody vouches for it", || async {
        let rows = sender.db().webhooks().await.unwrap();
        rows[0].error.as_deref().is_some_and(|error| error.to_lowercase().contains("certificate"))
    })
    .await;
    delivering.end().await;
    assert_eq!(heard.load(Ordering::Relaxed), 0);
    let deliverer = Deliverer { authorities: vec![ca], ..sender.deliverer(sender.db().clone()) };
    let delivering = start(deliverer);
    sender.until_all_is_delivered().await;
    assert_eq!(heard.load(Ordering::Relaxed), 6);
    delivering.end().await;
}

/// An authority and a certificate for an address under it.
fn certificates(host: &str) -> (CertificateDer<'static>, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_der = ca.self_signed(&ca_key).unwrap().der().clone();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
    (ca_der, vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

/// Takes whatever comes over TLS, and counts it.
async fn tls_receiver(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> (SocketAddr, Arc<AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, heard) = (tcp.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (stream, _) = tcp.accept().await.unwrap();
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let (mut request, mut some) = (Vec::new(), [0; 4096]);
                while !is_whole(&request) {
                    match stream.read(&mut some).await {
                        Ok(count) if count > 0 => request.extend_from_slice(&some[..count]),
                        _ => return,
                    }
                }
                counted.fetch_add(1, Ordering::Relaxed);
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, heard)
}

/// Whether a request of HTTP/1.1 has come with its body.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let headers: HashMap<String, &str> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    headers.get("content-length").is_none_or(|length| body.len() >= length.parse().unwrap())
}
