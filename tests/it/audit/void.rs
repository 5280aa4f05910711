//! What a compromised key signed counts for nothing, in the versions of records and in what was said of them.

use kaopu::audit::NOT_READ;
use kaopu::statement::{SigningKey, Statement, Suite};
use kaopu::trust::descriptor::{Descriptor, KeyEntry, KeyState, Purpose, ValidBelow};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::events::{repair, revocation};
use super::{START, Sample};

impl Sample {
    /// The next descriptor has a further key.
    fn takes_key(&mut self, key: &SigningKey) -> Descriptor {
        let mut second = self.city.descriptor();
        second.sequence = 2;
        let (key, state) = (key.public().clone(), KeyState::Active);
        second.keys.push(KeyEntry { key, purpose: Purpose::Sign, state, valid_below: None });
        let signed = self.city.sign_descriptor(&second, START + 100);
        self.push(signed);
        second
    }

    /// The one after that says that it was compromised from an entry on.
    fn declares_compromised(&mut self, second: &Descriptor, from: u64) {
        let mut third = second.clone();
        third.sequence = 3;
        let entry = third.keys.last_mut().unwrap();
        entry.state = KeyState::Compromised;
        entry.valid_below = Some(ValidBelow::Every(from));
        let signed = self.city.sign_descriptor(&third, START + 100);
        self.push(signed);
    }
}

#[test]
fn what_a_compromised_key_signed_is_void_for_the_versions_of_its_record_too() {
    let mut sample = Sample::new(3);
    let stolen = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(5));
    let second = sample.takes_key(&stolen);
    let version = |sample: &mut Sample, prev: u64, facts: &str| {
        let mut version = Statement { prev: Some(sample.log[prev as usize].0.digest), ..sample.city.penalty(1) };
        version.body.insert("facts".to_owned(), facts.into());
        Statement { iat: START + 100, ..version }
    };
    let first = 2; // of penalty number 1
    let theirs = version(&mut sample, first, "示例窃");
    let theirs = kaopu::statement::envelope::sign(theirs, &stolen).unwrap();
    let theirs = sample.push(theirs);
    let on_it = version(&mut sample, theirs, "示例承");
    let on_it = sample.say(on_it);
    sample.declares_compromised(&second, theirs);
    let anew = version(&mut sample, first, "示例正");
    sample.say(anew);
    let (void, report) = sample.audit();
    assert_eq!(void, [(Some(theirs), "compromised"), (Some(on_it), "on-void")]);
    assert_eq!(report.verified, sample.log.len() as u64 - 2);
    assert_eq!((report.faults, report.void), (0, 2), "its owner says so itself: nothing is wrong with the log");
}

#[test]
fn what_a_compromised_key_said_of_a_record_counts_for_nothing() {
    let mut sample = Sample::new(3);
    let stolen = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(5));
    let second = sample.takes_key(&stolen);
    let theirs = kaopu::statement::envelope::sign(repair(&mut sample, 1), &stolen).unwrap();
    let theirs = sample.push(theirs);
    let on_it = revocation(&mut sample, theirs);
    sample.say(on_it);
    sample.declares_compromised(&second, theirs);
    let anew = repair(&mut sample, 1);
    sample.say(anew);
    let (void, report) = sample.audit();
    assert_eq!(void, [(Some(theirs), "compromised")]);
    assert_eq!((report.events, report.unjudged), (1, [(NOT_READ, 1)].into()));
}
