//! A key in somebody else's hands: what it signed is taken back, at the owner, by a mirror that had it and by one that comes
//! later, over real connections.

use kaopu::statement::{Salt, SigningKey, Statement, Suite, Verified, envelope};
use kaopu::trust::descriptor::{KeyEntry, KeyState, Purpose, ValidBelow};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::city::{City, NOW};
use crate::line::{Office, place, publish, until};

/// Verdicts of all that an office holds of a log, and which versions of a subject are current.
async fn told(office: &Office, of: &City, subject: &str) -> (Vec<String>, Vec<(u64, bool)>) {
    let verdicts = office.statements(&of.records()).await.into_iter().map(|row| row.verdict).collect();
    let about = office.db.about(subject, 20).await.unwrap();
    (verdicts, about.iter().map(|(row, current)| (row.index, *current)).collect())
}

/// What does not count about a subject: index, how it stands and why.
async fn aside(office: &Office, subject: &str) -> Vec<(u64, &'static str, String)> {
    let aside = kaopu::node::aside::about(&office.db, &office.kinds, subject).await.unwrap();
    assert!(aside.iter().all(|aside| aside.proven && aside.said.is_some()));
    aside.into_iter().map(|aside| (aside.index, aside.standing, aside.reason)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_compromised_key_signed_is_taken_back_everywhere() {
    let (tcp, url) = place().await;
    let mut city = City::new("310107", &url);
    let stolen = SigningKey::from_seed(Suite::EdDsa, &[77; 32]).unwrap();
    let (key, state) = (stolen.public().clone(), KeyState::Active);
    city.descriptor.keys.push(KeyEntry { key, purpose: Purpose::Sign, state, valid_below: None });
    city.first = city.descriptor.sign(&city.root, NOW, &mut StdRng::seed_from_u64(1)).unwrap();
    let mut owner = Office::new(city).await;
    let mut early = Office::new(City::new("340500", "https://127.0.0.1:1")).await;
    let mut late = Office::new(City::new("341200", "https://127.0.0.1:1")).await;
    owner.knows(&[&early.city, &late.city]).await;
    early.knows(&[&owner.city]).await;
    late.knows(&[&owner.city]).await;
    let appender = owner.publishes().await;
    owner.serve(tcp);

    let version = |n: u8, prev: Option<&Verified>| Statement {
        salt: Salt([n; 16]),
        prev: prev.map(Verified::digest),
        ..owner.city.draft(1)
    };
    let first = owner.city.say(version(1, None));
    let thiefs = envelope::sign(version(2, Some(&first)), &stolen).unwrap();
    let built_on_it = owner.city.say(version(3, Some(&thiefs)));
    let invented = envelope::sign(owner.city.draft(2), &stolen).unwrap();
    let subject = first.statement().sub.as_ref().unwrap().key();
    publish(&appender, vec![first.clone(), thiefs, built_on_it, invented.clone()]).await;
    early.pull();
    early.holds(&owner.city.records(), 5).await;
    assert_eq!(told(&early, &owner.city, &subject).await.1, [(1, false), (2, false), (3, true)]);

    let mut next = owner.city.descriptor.clone();
    next.sequence = 2;
    let entry = next.keys.last_mut().unwrap();
    entry.state = KeyState::Compromised;
    entry.valid_below = Some(ValidBelow::Each([(owner.city.records(), 2)].into()));
    let declared = next.sign_after(Some(&owner.city.first), &owner.city.root, NOW, &mut StdRng::seed_from_u64(2));
    publish(&appender, vec![declared.unwrap()]).await;
    let why = "refused: signed by a key that was compromised by then";
    let taken_back = (
        ["accepted", "accepted", why, "refused: prev is not the current version of the record", why, "accepted"]
            .map(str::to_owned)
            .to_vec(),
        vec![(1, true)],
    );
    assert_eq!(told(&owner, &owner.city, &subject).await, taken_back, "at once, when the descriptor is appended");
    late.pull();
    for mirror in [&early, &late] {
        mirror.holds(&owner.city.records(), 6).await;
        until("it is taken back", || async { told(mirror, &owner.city, &subject).await == taken_back }).await;
    }
    // the invented one's subject is found by nobody
    let name = invented.statement().sub.as_ref().unwrap().name();
    for office in [&owner, &early, &late] {
        assert!(office.db.subjects_named(name, 10).await.unwrap().is_empty());
    }

    // but an auditor finds all of it, and why it does not count
    let invented = invented.statement().sub.as_ref().unwrap().key();
    for office in [&owner, &early, &late] {
        assert_eq!(
            aside(office, &subject).await,
            [
                (2, "void", "signed by a key that was compromised by then".to_owned()),
                (3, "superseded", "prev is not the current version of the record".to_owned())
            ]
        );
        let stands = [(4, "void", "signed by a key that was compromised by then".to_owned())];
        assert_eq!(aside(office, &invented).await, stands);
        assert!(office.db.about(&invented, 20).await.unwrap().is_empty());
    }

    // the true record goes on from what stands, and the others follow
    publish(&appender, vec![owner.city.say(version(4, Some(&first)))]).await;
    for office in [&early, &late] {
        office.holds(&owner.city.records(), 7).await;
        assert_eq!(told(office, &owner.city, &subject).await.1, [(1, false), (6, true)]);
    }
}
