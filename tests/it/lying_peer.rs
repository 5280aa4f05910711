//! A peer that lies, each time about something else: every lie is told apart, and stays in its own feed.

use std::sync::{Arc, Mutex};

use kaopu::http::Limits;
use kaopu::log::Class;
use kaopu::statement::{Audience, Digest, Reader, SigningKey, Suite, Unverified, Verified, envelope};
use kaopu::store::LogState;
use kaopu::store::statement::Body;
use kaopu::trust::descriptor::{KeyEntry, KeyState, Purpose};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::city::{City, NOW};
use crate::liar::{self, Lie, Tale};
use crate::line::{Office, place};

/// A liar's office and its tale, and another that pulls from it and from an honest one.
struct Scene {
    _liar: Office,
    honest: Office,
    told: Arc<Mutex<Tale>>,
    listener: Office,
}

impl Scene {
    /// All three, before anything is pulled.
    async fn new(size: u64) -> Self {
        let (liars_place, url) = place().await;
        let mut liar = Office::new(City::new("110101", &url)).await;
        let (honest_place, url) = place().await;
        let mut honest = Office::new(City::new("120101", &url)).await;
        let listener = Office::new(City::new("310107", "https://127.0.0.1:1")).await;
        liar.knows(&[&listener.city]).await;
        honest.knows(&[&listener.city]).await;
        listener.knows(&[&liar.city, &honest.city]).await;
        let told = tale(&liar.city, size);
        liar.serve_routes(liars_place, liar::routes(Arc::clone(&told)), Limits::default());
        honest.serve_routes(honest_place, liar::routes(tale(&honest.city, 300)), Limits::default());
        Self { _liar: liar, honest, told, listener }
    }

    fn lie(&self, lie: Lie) {
        self.told.lock().unwrap().lie = Some(lie);
    }

    fn liar(&self) -> &City {
        &self._liar.city
    }

    /// Nothing of the lie has reached the honest city's log.
    async fn others_go_on(&self) {
        self.listener.holds(&self.honest.city.records(), 300).await;
    }

    /// What was made of the statement at an index.
    async fn verdict(&self, index: usize) -> String {
        self.listener.statements(&self.liar().records()).await[index].verdict.clone()
    }
}

/// A true log of a descriptor and penalties.
fn tale(city: &City, size: u64) -> Arc<Mutex<Tale>> {
    let mut statements = vec![city.first.clone()];
    statements.extend((1..size).map(|n| city.penalty(n)));
    let log_key = SigningKey::from_pem(&city.log_key.to_pem().unwrap()).unwrap();
    Arc::new(Mutex::new(Tale::new(city.records(), log_key, &statements)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_true_log_is_taken_in() {
    let mut scene = Scene::new(600).await;
    scene.listener.pull();
    scene.listener.holds(&scene.liar().records(), 600).await;
    scene.others_go_on().await;
    let told = scene.told.lock().unwrap().told.clone();
    let copy = scene.listener.statements(&scene.liar().records()).await;
    assert_eq!(copy.len(), told.len());
    for (row, (entry, body)) in copy.iter().zip(&told) {
        assert_eq!((row.entry, &row.body, row.verdict.as_str()), (*entry, &Body::Here(body.clone()), "accepted"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_about_the_log_freezes_its_feed_with_the_evidence_and_no_other() {
    let lies = [
        (Lie::Root, "do not give the checkpoint's root"),
        (Lie::Key, "signed by none of the log's keys"),
        (Lie::Signature, "signature does not verify"),
        (Lie::Tile, "tile 0/000 is not the one"),
        (Lie::Bundle, "entry 3 is not the one that its tile commits to"),
        (Lie::Swapped, "the body served for entry 1 is not the one"),
    ];
    for (lie, words) in lies {
        let mut scene = Scene::new(600).await;
        scene.lie(lie.clone());
        scene.listener.pull();
        let reason = scene.listener.freezes(&scene.liar().records()).await;
        assert!(reason.contains(words), "{lie:?}: {reason}");
        let log = scene.listener.copy(&scene.liar().records()).await.unwrap();
        assert_eq!(log.size, 0, "{lie:?} was taken in");
        let evidence = scene.listener.db.evidence(log.id).await.unwrap();
        assert_eq!(evidence.len(), 1, "{lie:?}");
        assert!(String::from_utf8_lossy(&evidence[0].1).contains(&scene.liar().records().to_string()), "{lie:?}");
        scene.others_go_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_none_is_told_apart_and_the_feed_waits_for_a_better_one() {
    let lies = [
        (Lie::OtherLog, "it is of another log"),
        (Lie::Size, "more than a log can have"),
        (Lie::Note, "the checkpoint is malformed"),
        (Lie::ShortTile, "a tile is malformed"),
        (Lie::BundleLengths, "a bundle is malformed"),
        (Lie::Lines, "255 lines for 256 entries"),
        (Lie::NotText, "not UTF-8"),
        (Lie::Withheld, "withholds the body of entry 0"),
        (Lie::Erased, "says that entry 0 was erased"),
        (Lie::Long, "longer than 17825792 bytes"),
        (Lie::Endless, "longer than 17825792 bytes"),
        (Lie::Slow, "answers too slowly"),
        (Lie::Bomb, "longer than 17825792 bytes"),
        (Lie::NotZstd, "zstd"),
        (Lie::Broken, "answered 500"),
        (Lie::Later, "asks to wait 2s"),
    ];
    for (lie, words) in lies {
        let mut scene = Scene::new(600).await;
        scene.lie(lie.clone());
        scene.listener.pull();
        scene.listener.says(&scene.liar().node, words).await;
        let log = scene.listener.copy(&scene.liar().records()).await.unwrap();
        assert_eq!((log.size, log.state), (0, LogState::Open), "{lie:?}");
        scene.others_go_on().await;
        scene.told.lock().unwrap().lie = None;
        scene.listener.holds(&scene.liar().records(), 600).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_proven_and_freezes_the_feed() {
    for (held, served) in [(600, 600), (600, 700), (600, 400)] {
        let mut scene = Scene::new(held).await;
        scene.listener.pull();
        scene.listener.holds(&scene.liar().records(), held).await;
        let other = tale(scene.liar(), served);
        {
            // the same but for one statement
            let mut told = scene.told.lock().unwrap();
            told.told.clone_from(&other.lock().unwrap().told);
            let another = scene.liar().penalty(100_000);
            told.told[300] =
                (kaopu::log::Entry { class: Class::Open, digest: another.digest() }, another.jws().to_owned());
        }
        let reason = scene.listener.freezes(&scene.liar().records()).await;
        assert!(reason.contains("two histories"), "{reason}");
        let log = scene.listener.copy(&scene.liar().records()).await.unwrap();
        assert_eq!(log.size, held);
        let evidence = scene.listener.db.evidence(log.id).await.unwrap().remove(0).1;
        let evidence: serde_json::Value = serde_json::from_slice(&evidence).unwrap();
        for note in ["held", "served"] {
            let note = evidence[note].as_str().unwrap();
            kaopu::log::Checkpoint::open(note, &log.origin, &[scene.liar().verifier()]).unwrap();
        }
        scene.others_go_on().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_shrinks_is_noted_and_goes_on_when_it_is_back() {
    let mut scene = Scene::new(600).await;
    scene.listener.pull();
    scene.listener.holds(&scene.liar().records(), 600).await;
    scene.told.lock().unwrap().told.truncate(400);
    scene.listener.says(&scene.liar().node, "shrunk from 600 to 400").await;
    let back = tale(scene.liar(), 700);
    scene.told.lock().unwrap().told.clone_from(&back.lock().unwrap().told);
    scene.listener.holds(&scene.liar().records(), 700).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_bad_statement_is_refused_and_the_feed_goes_on() {
    let mut scene = Scene::new(10).await;
    let city = City::new("110101", &scene.liar().descriptor.endpoints[0]);
    let stranger = City::new("330101", "https://127.0.0.1:1");
    let altered = |verified: &Verified| {
        let mut jws = verified.jws().to_owned();
        // another letter in the middle of the signature
        let at = jws.len() - 40;
        let letter = if jws.as_bytes()[at] == b'A' { "B" } else { "A" };
        jws.replace_range(at..=at, letter);
        jws
    };
    let mut backdated = city.draft(1001);
    backdated.iat = NOW - 301;
    let mut early = city.draft(1002);
    early.iat = NOW + 301;
    let mut addressed = city.draft(1003);
    addressed.aud = Audience::Named(vec![Reader::Node("310107".parse().unwrap())]);
    let mut again = city.draft(5);
    again.salt = kaopu::statement::Salt([1; 16]);
    let mut unknown_kind = city.draft(1005);
    unknown_kind.typ.kind = "novelty".to_owned();
    let mut others = stranger.draft(1004);
    others.iss = city.node.clone();
    let mut no_penalty = city.draft(1006);
    no_penalty.body = serde_json::from_value(serde_json::json!({ "bad": "示例" })).unwrap();
    let other_issuer = {
        let mut draft = stranger.draft(1007);
        draft.iss = stranger.node.clone();
        envelope::sign(draft, &city.sign).unwrap()
    };

    let cases: Vec<(Class, String, &str)> = vec![
        (Class::Open, "no statement".to_owned(), "refused: not a compact JWS"),
        (Class::Open, altered(&city.penalty(1000)), "refused: the signature does not verify"),
        (Class::Open, envelope::sign(others, &stranger.sign).unwrap().jws().to_owned(), "refused: signed under a key"),
        (Class::Open, other_issuer.jws().to_owned(), "refused: issued by another"),
        (Class::Open, city.say(backdated).jws().to_owned(), "refused: iat more than 300 s below"),
        (Class::Open, city.say(addressed.clone()).jws().to_owned(), "refused: the entry's class disagrees"),
        (Class::Addressed, city.penalty(1008).jws().to_owned(), "refused: the entry's class disagrees"),
        (Class::Open, city.say(again).jws().to_owned(), "refused: prev is not the current version"),
        (Class::Open, city.say(no_penalty).jws().to_owned(), "refused: the schema refuses the body"),
        (Class::Open, city.say(unknown_kind).jws().to_owned(), "held: kind novelty version 1 is not known here"),
        (Class::Open, "x".repeat(70_000), "refused: longer than 64 KiB"),
        (Class::Addressed, city.say(addressed).jws().to_owned(), "accepted"),
        (Class::Open, city.penalty(1009).jws().to_owned(), "accepted"),
        // the last one: what comes behind it is held against its iat
        (Class::Open, city.say(early).jws().to_owned(), "held: issued 301 s ahead of the clock"),
    ];
    {
        let mut told = scene.told.lock().unwrap();
        for (class, body, _) in &cases {
            told.tell_as(*class, body);
        }
    }
    scene.listener.pull();
    scene.listener.holds(&scene.liar().records(), 10 + cases.len() as u64).await;
    for (index, (_, body, verdict)) in (10..).zip(&cases) {
        let found = scene.verdict(index).await;
        assert!(found.starts_with(verdict), "entry {index}: {found}, not {verdict}");
        let row = scene.listener.statements(&scene.liar().records()).await.swap_remove(index);
        assert_eq!(row.entry.digest, Digest::of(body.as_bytes()));
        assert_eq!(row.body, Body::Here(body.clone()), "kept as evidence");
        let Ok(said) = Unverified::parse(body) else { continue };
        // whoever looks into the subject as an auditor finds it there, with the reason, and nobody else does
        let listener = &scene.listener;
        let subject = said.statement().sub.as_ref().unwrap().key();
        let aside = kaopu::node::aside::about(&listener.db, &listener.kinds, &subject).await.unwrap();
        let aside: Vec<_> = aside.iter().filter(|aside| aside.index == index as u64).collect();
        let counts = listener.db.about(&subject, 100).await.unwrap();
        assert_eq!(counts.iter().any(|(row, _)| row.index == index as u64), aside.is_empty());
        let said = aside.iter().map(|aside| match aside.standing {
            "superseded" => format!("refused: {}", aside.reason),
            standing => format!("{standing}: {}", aside.reason),
        });
        assert_eq!(said.collect::<Vec<_>>(), if found == "accepted" { vec![] } else { vec![found] });
    }
    scene.others_go_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_holds_under_the_keys_of_the_last_descriptor_below_it() {
    let mut scene = Scene::new(10).await;
    let cases = {
        let city = scene.liar();
        let later = SigningKey::from_seed(Suite::EdDsa, &[77; 32]).unwrap();
        let mut second = city.descriptor.clone();
        second.sequence = 2;
        second.keys[0].state = KeyState::Retired;
        let key = later.public().clone();
        second.keys.push(KeyEntry { key, purpose: Purpose::Sign, state: KeyState::Active, valid_below: None });
        let second = second.sign_after(Some(&city.first), &city.root, NOW, &mut StdRng::seed_from_u64(8)).unwrap();
        let by_later = |number| envelope::sign(city.draft(number), &later).unwrap();
        [
            (by_later(1001), "refused: signed under a key"),
            (city.penalty(1002), "accepted"),
            (second, "accepted"),
            (city.penalty(1003), "refused: signed under a key"),
            (by_later(1004), "accepted"),
        ]
    };
    scene.told.lock().unwrap().tell(&cases.each_ref().map(|(statement, _)| statement.clone()));
    scene.listener.pull();
    scene.listener.holds(&scene.liar().records(), 10 + cases.len() as u64).await;
    for (index, (_, verdict)) in (10..).zip(&cases) {
        let found = scene.verdict(index).await;
        assert!(found.starts_with(verdict), "entry {index}: {found}, not {verdict}");
    }
    scene.others_go_on().await;
}
