//! What a log says about its own statements is judged against them; what it says about others' is told as not judged.

use kaopu::audit::{ELSEWHERE, GAPS, NOT_READ};
use kaopu::statement::{Audience, Digest, Reader, Statement};
use serde_json::{Value, json};

use super::{START, Sample};

const ON: &str = "2026-10-30";

/// An event about an entry of the log, for whom and about whom that is.
fn event(sample: &mut Sample, kind: &str, about: u64, body: &Value) -> Statement {
    let named = sample.statements[about as usize].clone();
    let (sub, aud) = (named.statement().sub.clone(), named.statement().aud.clone());
    let said = sample.city.statement(kind, START + 60, sub, body.as_object().unwrap().clone());
    Statement { refs: vec![named.digest()], aud, ..said }
}

/// A repair of an entry.
pub fn repair(sample: &mut Sample, about: u64) -> Statement {
    let body = json!({"type": "终止公示", "decided": ON, "effective": ON, "authority": "示例局", "reason": "示例"});
    event(sample, "repair", about, &body)
}

/// The revocation of one.
pub fn revocation(sample: &mut Sample, about: u64) -> Statement {
    event(sample, "repair-revocation", about, &json!({"decided": ON, "effective": ON, "reason": "示例"}))
}

fn withdrawal(sample: &mut Sample, about: u64) -> Statement {
    event(sample, "withdrawal", about, &json!({"decided": ON, "reason": "示例"}))
}

fn recognition(sample: &mut Sample, about: u64) -> Statement {
    let body = json!({"outcome": "recognised", "effective": ON, "policies": ["示例"], "policy_set": Digest([1; 32]).to_string()});
    event(sample, "recognition", about, &body)
}

fn application(sample: &mut Sample, about: u64, stage: &str) -> Statement {
    event(sample, "application", about, &json!({"stage": stage, "on": ON}))
}

/// The same about a statement that is not in the log.
fn elsewhere(statement: Statement) -> Statement {
    Statement { refs: vec![Digest([9; 32])], ..statement }
}

type Made = fn(&mut Sample, u64) -> Statement;

impl Sample {
    fn says(&mut self, made: Made, about: u64) -> u64 {
        let statement = made(self, about);
        self.say(statement)
    }

    fn version(&mut self, of: u64, number: u64) -> u64 {
        let mut version = self.city.penalty(number);
        version.body.insert("fine".to_owned(), "9".into());
        self.say(Statement { prev: Some(self.log[of as usize].0.digest), iat: START + 60, ..version })
    }
}

#[test]
fn what_may_not_be_said_of_the_logs_own_statements_is_found() {
    let mut sample = Sample::new(12);
    let mut wrong = Vec::new();
    let mut good = 0;
    // of records 1, 2 and 3, which are penalties 0, 1 and 2
    let first = sample.says(repair, 1);
    wrong.push((sample.says(repair, 1), "repaired"));
    let revoked = sample.says(revocation, first);
    wrong.push((sample.says(revocation, first), "revoked"));
    sample.says(repair, 1);
    good += 3;
    sample.says(withdrawal, 2);
    wrong.push((sample.says(repair, 2), "withdrawn"));
    wrong.push((sample.says(withdrawal, 2), "withdrawn"));
    let anew = sample.version(2, 1);
    sample.says(repair, anew);
    wrong.push((sample.says(repair, 2), "repaired"));
    sample.says(withdrawal, anew);
    good += 3;
    let dispute =
        |sample: &mut Sample, about| event(sample, "dispute", about, &json!({"reason": "示例", "raised": ON}));
    let answer = |sample: &mut Sample, about| {
        event(sample, "dispute-answer", about, &json!({"outcome": "维持", "answered": ON, "reason": "示例"}))
    };
    let disputed = sample.says(dispute, 3);
    sample.says(answer, disputed);
    wrong.push((sample.says(answer, disputed), "answered"));
    good += 2;
    // of nothing, of the wrong kind, by whom it may not be said, about somebody else
    wrong.push((sample.says(|sample, about| elsewhere(repair(sample, about)), 4), "about-nothing"));
    wrong.push((sample.says(repair, first), "about-kind"));
    wrong.push((sample.says(revocation, revoked), "about-kind"));
    wrong.push((sample.says(repair, 0), "about-kind"));
    wrong.push((sample.says(recognition, first), "about-own"));
    let filed = |sample: &mut Sample, about| application(sample, about, "filed");
    wrong.push((sample.says(filed, 5), "stage"));
    let other = |sample: &mut Sample, about| {
        let other = sample.statements[6].statement().sub.clone();
        Statement { sub: other, ..repair(sample, about) }
    };
    wrong.push((sample.says(other, 5), "subject"));
    let for_fewer = |sample: &mut Sample, about| {
        let aud = Audience::Named(vec![Reader::Group("delta".to_owned())]);
        Statement { aud, ..repair(sample, about) }
    };
    wrong.push((sample.says(for_fewer, 5), "audience"));
    // of what was refused itself
    let refused = |sample: &mut Sample, _| {
        let mut penalty = sample.city.penalty(50);
        penalty.body.insert("valid_until".to_owned(), "2026-10-29".into());
        Statement { iat: START + 60, ..penalty }
    };
    let refused = sample.says(refused, 0);
    wrong.push((sample.says(repair, refused), "about-refused"));
    wrong.push((refused, "rule"));
    // what other logs would have to say
    sample.says(|sample, about| elsewhere(recognition(sample, about)), 4);
    let theirs = sample.says(|sample, about| elsewhere(application(sample, about, "filed")), 4);
    sample.says(|sample, about| application(sample, about, "supplied"), theirs);

    let (faults, report) = sample.audit();
    wrong.sort_unstable();
    assert_eq!(faults, wrong.iter().map(|(index, code)| (Some(*index), *code)).collect::<Vec<_>>());
    assert_eq!(report.verified, sample.log.len() as u64 - wrong.len() as u64);
    assert_eq!((report.events, report.unjudged), (good, [(ELSEWHERE, 2), (NOT_READ, 1)].into()));
}

#[test]
fn what_is_wrong_only_by_what_may_be_missing_is_no_fault() {
    // a revocation that was erased
    let mut sample = Sample::new(3);
    let first = sample.says(repair, 1);
    let revoked = sample.says(revocation, first);
    sample.says(repair, 1);
    let nothing = sample.says(|sample, about| elsewhere(repair(sample, about)), 2);
    let erased = sample.log[revoked as usize].0.digest;
    sample.log[revoked as usize].1 = "erased".to_owned();
    let erasure = sample.city.statement("erasure", START + 60, None, serde_json::Map::new());
    sample.say(Statement { refs: vec![erased], ..erasure });
    let (faults, report) = sample.audit();
    assert_eq!(faults, [(Some(nothing), "about-nothing")]);
    assert_eq!((report.events, report.unjudged), (1, [(GAPS, 1)].into()));

    // one that is withheld, of a record that is addressed; what is open is no less certain for that
    let mut sample = Sample::new(3);
    let aud = Audience::Named(vec![Reader::Group("delta".to_owned())]);
    let addressed = Statement { aud, iat: START + 60, ..sample.city.penalty(9) };
    let addressed = sample.say(addressed);
    let first = sample.says(repair, addressed);
    let revoked = sample.says(revocation, first);
    sample.says(repair, addressed);
    sample.log[revoked as usize].1 = "withheld".to_owned();
    sample.says(repair, 1);
    let twice = sample.says(repair, 1);
    let (faults, report) = sample.audit();
    assert_eq!(faults, [(Some(twice), "repaired")]);
    assert_eq!((report.withheld, report.events, report.unjudged), (1, 2, [(GAPS, 1)].into()));
    // and the record itself
    sample.log[addressed as usize].1 = "withheld".to_owned();
    let (faults, report) = sample.audit();
    assert_eq!(faults, [(Some(twice), "repaired")]);
    assert_eq!((report.events, report.unjudged), (1, [(NOT_READ, 2)].into()));
}

#[test]
fn a_later_generation_may_speak_of_what_an_earlier_one_said() {
    let mut sample = Sample::of("kaopu/340500/records/2", 3);
    sample.says(|sample, about| elsewhere(repair(sample, about)), 1);
    sample.says(repair, 1);
    let twice = sample.says(repair, 1);
    let (faults, report) = sample.audit();
    assert_eq!(faults, [(Some(twice), "repaired")]);
    assert_eq!((report.events, report.unjudged), (1, [(ELSEWHERE, 1)].into()));
}
