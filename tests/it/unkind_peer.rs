//! A peer that does not lie but makes trouble: it answers in haste, speaks ahead of its time, goes on where it has closed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use kaopu::clock::Clock;
use kaopu::http::Limits;
use kaopu::statement::{Salt, SigningKey, Verified};
use kaopu::store::LogState;
use kaopu::trust::descriptor::Descriptor;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::city::{City, NOW};
use crate::liar::{self, Lie, Tale};
use crate::line::{Office, place, until};

/// A city that serves what it is told to, and one that pulls from it.
struct Pair {
    teller: Office,
    listener: Office,
    asked: Arc<AtomicU64>,
}

impl Pair {
    /// `change` may change the descriptor that the log begins with, `statements` are told behind it.
    async fn new(change: impl FnOnce(&mut City), statements: impl FnOnce(&City) -> Vec<Verified>) -> Self {
        let (place, url) = place().await;
        let mut city = City::new("110101", &url);
        change(&mut city);
        city.first = city.descriptor.sign(&city.root, NOW, &mut StdRng::seed_from_u64(7)).unwrap();
        let mut teller = Office::new(city).await;
        let listener = Office::new(City::new("310107", "https://127.0.0.1:1")).await;
        teller.knows(&[&listener.city]).await;
        listener.knows(&[&teller.city]).await;

        let log_key = SigningKey::from_pem(&teller.city.log_key.to_pem().unwrap()).unwrap();
        let mut told = Tale::new(teller.city.records(), log_key, std::slice::from_ref(&teller.city.first));
        told.tell(&statements(&teller.city));
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let routes =
            liar::routes(Arc::new(Mutex::new(told))).layer(middleware::from_fn(move |request: Request, next: Next| {
                count.fetch_add(1, Ordering::Relaxed);
                next.run(request)
            }));
        teller.serve_routes(place, routes, Limits::default());
        Self { teller, listener, asked }
    }

    async fn verdict(&self, index: usize) -> String {
        self.listener.statements(&self.teller.city.records()).await[index].verdict.clone()
    }

    /// Moves the listener's clock.
    fn later(&self, seconds: i64) {
        let Clock::Fixed(ms) = &self.listener.clock else { unreachable!() };
        ms.store((NOW + seconds) * 1000, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_hold_requests_open_is_not_asked_without_pause() {
    let mut pair = Pair::new(|_| (), |city| vec![city.penalty(1)]).await;
    pair.listener.pull();
    pair.listener.holds(&pair.teller.city.records(), 2).await;
    let asked = || pair.asked.load(Ordering::Relaxed);
    let (before, begun) = (asked(), Instant::now());
    until("it is asked again", || async { asked() >= before + 6 }).await;
    assert!(begun.elapsed() > Duration::from_secs(1), "six times in {:?}", begun.elapsed());
}

/// The descriptor after `before`, of the same keys.
fn next(city: &City, before: &Verified, sequence: u64) -> Verified {
    let descriptor = Descriptor { sequence, ..city.descriptor.clone() };
    descriptor.sign_after(Some(before), &city.root, NOW, &mut StdRng::seed_from_u64(sequence)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_descriptors_pauses_the_feed_until_the_hour_turns_and_never_freezes_it() {
    let flood = |city: &City| {
        let (mut all, mut before) = (vec![city.penalty(1)], city.first.clone());
        for sequence in 2..9 {
            before = next(city, &before, sequence);
            all.extend([before.clone(), city.penalty(sequence)]);
        }
        all
    };
    let mut pair = Pair::new(|_| (), flood).await;
    pair.listener.limits.descriptors_per_hour = 4;
    let origin = pair.teller.city.records();
    pair.listener.pull();
    pair.listener.says(&pair.teller.city.node, "more than 4 descriptors an hour").await;
    let log = pair.listener.copy(&origin).await.unwrap();
    assert_eq!((log.state, log.size), (LogState::Open, 8), "all before the fifth descriptor is taken in");
    pair.later(3600);
    pair.listener.holds(&origin, 16).await;
    assert_eq!(pair.verdict(15).await, "accepted");
    until("its newest descriptor is followed", || async {
        pair.listener.registry.peer(&pair.teller.city.node).unwrap().descriptor.sequence == 8
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_serves_ever_newer_descriptors_is_asked_less_and_less() {
    let mut pair = Pair::new(|_| (), |city| vec![city.penalty(1)]).await;
    pair.teller.close().await;
    let (place, url) = place().await;
    let mut row = pair.teller.city.peer_row();
    row.url = Some(url);
    assert!(pair.listener.db.put_peer(&row).await.unwrap());
    pair.listener.registry.refresh().await.unwrap();

    let city = Arc::clone(&pair.teller.city);
    let log_key = SigningKey::from_pem(&city.log_key.to_pem().unwrap()).unwrap();
    let mut tale = Tale::new(city.records(), log_key, &[city.first.clone(), city.penalty(1)]);
    tale.lie = Some(Lie::Key);
    let served = Arc::new(Mutex::new(vec![city.first.clone()]));
    let asked = Arc::clone(&served);
    let teller = Arc::clone(&city);
    let routes =
        liar::routes(Arc::new(Mutex::new(tale))).layer(middleware::from_fn(move |request: Request, then: Next| {
            let served = Arc::clone(&asked);
            let city = Arc::clone(&teller);
            async move {
                if request.uri().path() != "/v1/descriptor" {
                    return then.run(request).await;
                }
                let mut served = served.lock().unwrap();
                let newest = next(&city, served.last().unwrap(), served.len() as u64 + 1);
                served.push(newest);
                served.iter().rev().map(|it| format!("{}\n", it.jws())).collect::<String>().into_response()
            }
        }));
    pair.teller.serve_routes(place, routes, Limits::default());
    pair.listener.pull();
    pair.listener.says(&city.node, "nor by those of the newer descriptors that it serves each time").await;
    let count = || served.lock().unwrap().len();
    let (before, begun) = (count(), Instant::now());
    until("it is asked again", || async { count() >= before + 24 }).await;
    assert!(begun.elapsed() > Duration::from_millis(600), "24 times in {:?}", begun.elapsed());
    assert_eq!(pair.listener.copy(&city.records()).await.unwrap().state, LogState::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_log_ends_where_its_descriptor_says() {
    let close = |city: &mut City| city.descriptor.logs[0].closed_at = Some(2);
    let mut pair = Pair::new(close, |city| vec![city.penalty(1), city.penalty(2)]).await;
    pair.listener.pull();
    pair.listener.says(&pair.teller.city.node, "was closed at 2 entries; a checkpoint of 3").await;
    assert_eq!(pair.listener.copy(&pair.teller.city.records()).await.unwrap().size, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_replaces_a_version_that_came_early_is_as_early() {
    let versions = |city: &City| {
        let mut first = city.draft(1);
        first.iat = NOW + 400;
        let first = city.say(first);
        let mut second = city.draft(1);
        second.iat = NOW + 200;
        second.salt = Salt([2; 16]);
        second.prev = Some(first.digest());
        second.body.insert("facts".to_owned(), "示例更正".into());
        let mut third = second.clone();
        let second = city.say(second);
        third.prev = Some(second.digest());
        vec![first, second, city.say(third)]
    };
    let mut pair = Pair::new(|_| (), versions).await;
    let origin = pair.teller.city.records();
    pair.listener.pull();
    pair.listener.holds(&origin, 4).await;
    assert!(pair.verdict(1).await.starts_with("held: issued 400 s ahead"));
    for index in [2, 3] {
        assert_eq!(pair.verdict(index).await, "held: what stands before it at its record's place is held itself");
    }
    pair.later(200);
    for index in [1, 2, 3] {
        until("it is accepted", || async { pair.verdict(index).await == "accepted" }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_that_stay_early_do_not_keep_others_from_their_turn() {
    let statements = |city: &City| {
        let unknown = |n| {
            let mut draft = city.draft(n);
            draft.typ.kind = "novelty".to_owned();
            city.say(draft)
        };
        let mut all: Vec<Verified> = (0..1100).map(unknown).collect();
        let mut early = city.draft(2000);
        early.iat = NOW + 400;
        all.push(city.say(early));
        all
    };
    let mut pair = Pair::new(|_| (), statements).await;
    pair.listener.pull();
    pair.listener.holds(&pair.teller.city.records(), 1102).await;
    assert!(pair.verdict(1101).await.starts_with("held: issued 400 s ahead"));
    pair.later(200);
    until("it is accepted", || async { pair.verdict(1101).await == "accepted" }).await;
    assert!(pair.verdict(1100).await.starts_with("held: kind novelty"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_begins_under_another_root_is_not_taken_in() {
    let mut pair = Pair::new(|_| (), |city| vec![city.penalty(1)]).await;
    // the listener has confirmed another descriptor of the same node; only the authorities and the log's key are the same
    let mut confirmed = City::new("110101", &pair.teller.city.descriptor.endpoints[0]);
    let root = SigningKey::from_seed(kaopu::statement::Suite::EdDsa, &[77; 32]).unwrap();
    confirmed.descriptor = pair.teller.city.descriptor.clone();
    confirmed.descriptor.root = root.public().clone();
    confirmed.descriptor.sequence = 2;
    confirmed.first = confirmed.descriptor.sign(&root, NOW, &mut StdRng::seed_from_u64(8)).unwrap();
    let mut row = confirmed.peer_row();
    row.sequence = 2;
    assert!(pair.listener.db.put_peer(&row).await.unwrap());
    pair.listener.registry.refresh().await.unwrap();
    pair.listener.pull();
    pair.listener.says(&pair.teller.city.node, "does not begin with a descriptor of its owner").await;
    assert_eq!(pair.listener.copy(&pair.teller.city.records()).await.unwrap().size, 0);
}
