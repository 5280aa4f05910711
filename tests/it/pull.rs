//! Pulling: what one city publishes stands verified at another, through outages, kills and changes of keys.

use std::sync::Arc;
use std::time::Duration;

use kaopu::clock::Clock;
use kaopu::config;
use kaopu::log::appender::Appender;
use kaopu::log::tile::FULL;
use kaopu::log::{Origin, merkle};
use kaopu::statement::{Audience, Reader, SigningKey, Suite, Verified, envelope};
use kaopu::store::LogState;
use kaopu::store::statement::Body;
use kaopu::trust::descriptor::{KeyEntry, KeyState, Purpose};
use kaopu::trust::keys::KeyStore;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::Connection as _;

use crate::city::{City, NOW};
use crate::line::{Office, place, publish, until};

fn penalties(city: &City, numbers: std::ops::Range<u64>) -> Vec<Verified> {
    numbers.map(|n| city.penalty(n)).collect()
}

/// Two cities that know each other; the first one serves.
async fn pair() -> (Office, Office) {
    let (tcp, url) = place().await;
    let mut owner = Office::new(City::new("310107", &url)).await;
    let (_, url) = place().await;
    let mirror = Office::new(City::new("340500", &url)).await;
    owner.knows(&[&mirror.city]).await;
    mirror.knows(&[&owner.city]).await;
    owner.serve(tcp);
    (owner, mirror)
}

/// The copy is the log: same entries and bodies, gap-free, and its tiles give its root.
async fn same(owner: &Office, mirror: &Office) {
    let origin = owner.city.records();
    let (there, here) = (owner.statements(&origin).await, mirror.statements(&origin).await);
    assert_eq!(there.len(), here.len());
    for (index, (there, here)) in (0..).zip(there.iter().zip(&here)) {
        assert_eq!((here.index, here.entry, &here.body), (index, there.entry, &there.body));
        assert_eq!(here.verdict, "accepted", "entry {index}");
    }
    let log = mirror.copy(&origin).await.unwrap();
    let leaves: Vec<_> = here.iter().map(|row| row.entry.leaf_hash()).collect();
    assert_eq!(log.edge.root(), merkle::root_of(&leaves));
    for (n, tile) in (0..).zip(leaves.chunks_exact(FULL)) {
        assert_eq!(mirror.db.tile(log.id, 0, n).await.unwrap().as_deref(), Some(tile), "tile {n}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_publishes_stands_at_the_other_at_once() {
    let (owner, mut mirror) = pair().await;
    let appender = owner.publishes().await;
    publish(&appender, penalties(&owner.city, 1..1000)).await;
    mirror.pull();
    mirror.holds(&owner.city.records(), 1000).await;
    for n in 1000..1010 {
        let begun = std::time::Instant::now();
        publish(&appender, penalties(&owner.city, n..n + 1)).await;
        mirror.holds(&owner.city.records(), n + 1).await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
    same(&owner, &mirror).await;
    assert_eq!(mirror.error_of(&owner.city.node).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_third_pulls_from_a_mirror_while_the_owner_is_away() {
    let (owners_place, url) = place().await;
    let mut owner = Office::new(City::new("310107", &url)).await;
    let (tcp, url) = place().await;
    let mut mirror = Office::new(City::new("340500", &url)).await;
    let mut third = Office::new(City::new("341200", "https://127.0.0.1:1")).await;
    owner.knows(&[&mirror.city]).await;
    mirror.knows(&[&owner.city, &third.city]).await;
    third.knows(&[&owner.city, &mirror.city]).await;
    let appender = owner.publishes().await;
    publish(&appender, penalties(&owner.city, 1..4097)).await;
    publish(&appender, penalties(&owner.city, 4097..5000)).await;
    owner.serve(owners_place);
    mirror.serve(tcp);
    mirror.pull();
    mirror.holds(&owner.city.records(), 5000).await;
    owner.close().await;
    third.pull();
    third.holds(&owner.city.records(), 5000).await;
    same(&owner, &third).await;
    third.says(&owner.city.node, "cannot be reached").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_caught_up_with_by_itself() {
    let (mut owner, mut mirror) = pair().await;
    let origin = owner.city.records();
    let appender = owner.publishes().await;
    mirror.pull();
    mirror.holds(&origin, 1).await;
    owner.close().await;
    publish(&appender, penalties(&owner.city, 1..3000)).await;
    mirror.says(&owner.city.node, "cannot be reached").await;
    let address = owner.city.descriptor.endpoints[0].trim_start_matches("https://").to_owned();
    let tcp = tokio::net::TcpListener::bind(address).await.unwrap();
    owner.serve(tcp);
    mirror.holds(&origin, 3000).await;
    same(&owner, &mirror).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_puller_that_is_stopped_anywhere_neither_loses_nor_repeats() {
    let (owner, mut mirror) = pair().await;
    let origin = owner.city.records();
    let appender = owner.publishes().await;
    let mut rng = StdRng::seed_from_u64(11);
    let mut next = 1;
    for _ in 0..25 {
        let more = rng.random_range(1..600);
        publish(&appender, penalties(&owner.city, next..next + more)).await;
        next += more;
        mirror.pull();
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..60))).await;
        mirror.rest().await;
    }
    mirror.pull();
    mirror.holds(&origin, next).await;
    same(&owner, &mirror).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_pull_into_one_store_keep_one_copy() {
    let (owner, mut mirror) = pair().await;
    let origin = owner.city.records();
    let appender = owner.publishes().await;
    publish(&appender, penalties(&owner.city, 1..4000)).await;
    let mut second = Office::beside(&mirror).await;
    mirror.pull();
    second.pull();
    mirror.holds(&origin, 4000).await;
    publish(&appender, penalties(&owner.city, 4000..9000)).await;
    second.holds(&origin, 9000).await;
    same(&owner, &mirror).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_descriptor_changes_the_keys_for_what_stands_behind_it() {
    let (owner, mut mirror) = pair().await;
    let city = &owner.city;
    let new_key = SigningKey::from_seed(Suite::EdDsa, &[42; 32]).unwrap();
    let mut descriptor = city.descriptor.clone();
    descriptor.sequence = 2;
    for entry in &mut descriptor.keys {
        if entry.purpose == Purpose::Sign {
            entry.state = KeyState::Retired;
        }
    }
    descriptor.keys.push(KeyEntry {
        key: new_key.public().clone(),
        purpose: Purpose::Sign,
        state: KeyState::Active,
        valid_below: None,
    });
    let second = descriptor.sign(&city.root, NOW, &mut StdRng::seed_from_u64(8)).unwrap();

    let appender = owner.publishes().await;
    let under_new = |n| envelope::sign(city.draft(n), &new_key).unwrap();
    let mut statements = penalties(city, 1..300);
    statements.push(second.clone());
    statements.extend((301..700).map(under_new));
    publish(&appender, statements).await;
    mirror.pull();
    mirror.holds(&city.records(), 700).await;
    same(&owner, &mirror).await;
    until("the registry has the new descriptor", || async {
        mirror.registry.refresh().await.unwrap();
        mirror.registry.peer(&city.node).is_some_and(|peer| peer.descriptor_jws == second.jws())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_log_key_is_learnt_from_the_descriptor_that_names_it() {
    let (owner, mut mirror) = pair().await;
    let city = &owner.city;
    let mut appender = owner.publishes().await;
    publish(&appender, penalties(city, 1..300)).await;
    mirror.pull();
    mirror.holds(&city.records(), 300).await;
    mirror.rest().await;

    let new_key = Arc::new(SigningKey::from_seed(Suite::EdDsa, &[43; 32]).unwrap());
    let mut descriptor = city.descriptor.clone();
    descriptor.sequence = 2;
    descriptor.keys.retain(|entry| entry.purpose != Purpose::Log(city.records()));
    descriptor.keys.push(KeyEntry {
        key: new_key.public().clone(),
        purpose: Purpose::Log(city.records()),
        state: KeyState::Active,
        valid_below: None,
    });
    appender.stop().await;
    let (db, kinds, clock) = (owner.db.clone(), owner.kinds.clone(), owner.clock.clone());
    let keys = KeyStore::of([Arc::clone(&city.log_key), new_key]);
    appender = Appender::start(db, city.records(), keys, kinds, clock).await.unwrap();
    publish(&appender, vec![descriptor.sign(&city.root, NOW, &mut StdRng::seed_from_u64(9)).unwrap()]).await;
    publish(&appender, penalties(city, 301..400)).await;
    mirror.pull();
    mirror.holds(&city.records(), 400).await;
    same(&owner, &mirror).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_early_is_taken_in_when_its_time_has_come() {
    let (mut owner, mut mirror) = pair().await;
    let origin = owner.city.records();
    // the owner's clock is ahead of the mirror's
    owner.clock = Clock::fixed((NOW + 1000) * 1000);
    let appender = owner.publishes().await;
    let mut early = owner.city.draft(1);
    early.iat = NOW + 900;
    publish(&appender, vec![owner.city.say(early)]).await;
    mirror.pull();
    mirror.holds(&origin, 2).await;
    assert!(mirror.statements(&origin).await[1].verdict.starts_with("held: issued 900 s ahead"));
    let Clock::Fixed(ms) = &mirror.clock else { unreachable!() };
    ms.store((NOW + 700) * 1000, std::sync::atomic::Ordering::Relaxed);
    until("it is accepted", || async { mirror.statements(&origin).await[1].verdict == "accepted" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_for_a_city_is_kept_back_and_its_entry_proven_all_the_same() {
    let (owner, mut mirror) = pair().await;
    let origin = owner.city.records();
    let to = |node: &str, n| {
        let mut draft = owner.city.draft(n);
        draft.aud = Audience::Named(vec![Reader::Node(node.parse().unwrap())]);
        owner.city.say(draft)
    };
    let appender = owner.publishes().await;
    publish(&appender, vec![to("340500", 1), to("341200", 2), owner.city.penalty(3)]).await;
    mirror.pull();
    mirror.holds(&origin, 4).await;
    let copy = mirror.statements(&origin).await;
    assert!(matches!(copy[1].body, Body::Here(_)));
    assert_eq!(copy[2].body, Body::Withheld);
    assert!(matches!(copy[3].body, Body::Here(_)));
    let entries = owner.statements(&origin).await;
    assert!(copy.iter().zip(&entries).all(|(here, there)| here.entry == there.entry));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_dropped_is_not_pulled_any_more() {
    let (owner, mut mirror) = pair().await;
    let origin: Origin = owner.city.records();
    let appender = owner.publishes().await;
    mirror.pull();
    mirror.holds(&origin, 1).await;
    let mut store = sqlx::SqliteConnection::connect(mirror.database.url()).await.unwrap();
    sqlx::query("UPDATE peer SET state = 'suspended'").execute(&mut store).await.unwrap();
    sqlx::query("UPDATE registry SET version = version + 1").execute(&mut store).await.unwrap();
    until("the feed has ended", || async {
        mirror.registry.refresh().await.unwrap();
        mirror.registry.peer(&owner.city.node).is_none()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    publish(&appender, penalties(&owner.city, 1..10)).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(mirror.copy(&origin).await.unwrap().size, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_withheld_from_a_node_does_not_stop_those_that_follow_it() {
    let (owner, mut mirror) = pair().await;
    let appender = owner.publishes().await;
    let first = owner.city.penalty(1);
    let version = |facts: &str, prev: &Verified| {
        let mut next = owner.city.draft(1);
        next.body.insert("facts".to_owned(), facts.into());
        next.prev = Some(prev.digest());
        next
    };
    let mut second = version("示例更正一", &first);
    second.aud = Audience::Named(vec![Reader::Node("341200".parse().unwrap())]);
    let second = owner.city.say(second);
    let third = owner.city.say(version("示例更正二", &second));
    let fourth = owner.city.say(version("示例更正三", &third));
    let subject = first.statement().sub.as_ref().unwrap().key();

    publish(&appender, vec![first]).await;
    mirror.pull();
    mirror.holds(&owner.city.records(), 2).await;
    publish(&appender, vec![second]).await;
    mirror.holds(&owner.city.records(), 3).await;
    publish(&appender, vec![third, fourth]).await;
    mirror.holds(&owner.city.records(), 5).await;
    let verdicts: Vec<String> =
        mirror.statements(&owner.city.records()).await.into_iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, ["accepted", "accepted", "unread", "accepted", "accepted"]);
    let about = mirror.db.about(&subject, 10).await.unwrap();
    let about: Vec<(u64, bool)> = about.iter().map(|(row, current)| (row.index, *current)).collect();
    assert_eq!(about, [(1, false), (3, false), (4, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_from_a_peer_in_a_day_is_bounded_and_the_feed_goes_on_the_next() {
    for limits in [
        config::Limits { taken_bytes_per_day: 400_000, ..config::Limits::default() },
        config::Limits { taken_entries_per_day: 3000, ..config::Limits::default() },
    ] {
        let (owner, mut mirror) = pair().await;
        let origin = owner.city.records();
        let appender = owner.publishes().await;
        publish(&appender, penalties(&owner.city, 1..4000)).await;
        publish(&appender, penalties(&owner.city, 4000..8000)).await;
        mirror.limits = limits;
        mirror.pull();
        mirror.says(&owner.city.node, "were taken from it today, as many as [limits] allow").await;
        let log = mirror.copy(&origin).await.unwrap();
        assert!(log.state == LogState::Open && log.size < 8000, "{} entries", log.size);
        // day after day
        let Clock::Fixed(ms) = &mirror.clock else { unreachable!() };
        until("all of it is taken in", || async {
            ms.fetch_add(86_400_000, std::sync::atomic::Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
            mirror.copy(&origin).await.unwrap().size == 8000
        })
        .await;
    }
}
