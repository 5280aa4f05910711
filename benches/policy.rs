//! How long the policies that come with the program take over a decision: `cargo bench --bench policy`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench reports and may panic")]

use std::time::Instant;

use kaopu::policy::{AskCase, Groups, Known, Policies, RepairCase};
use kaopu::record::{Purpose, Severity};
use kaopu::statement::{Kinds, NodeId};

fn main() {
    let known = || Known::new(&"310107".parse().unwrap(), &Kinds::builtin().unwrap(), &Groups::default());
    let policies = Policies::builtin(known()).unwrap();
    let ask = |asker: &NodeId, kinds: &[&str]| {
        let (purpose, basis) = (Purpose::Approval, true);
        let case = AskCase { asker, active: true, purpose, basis, person: false, authorised: false, kinds };
        drop(policies.may_ask(&case));
    };
    let asker: NodeId = "341200".parse().unwrap();
    let ten: Vec<&str> =
        "registration licence penalty judgment listing contract commitment grade honour voluntary".split(' ').collect();
    each("load", 20, |_| drop(Policies::builtin(known()).unwrap()));
    each("may_ask, one kind, for the first time", 5_000, |n| ask(&format!("{n:06}").parse().unwrap(), &["penalty"]));
    each("may_ask, one kind, again", 100_000, |_| ask(&asker, &["penalty"]));
    each("may_ask, ten kinds, again", 100_000, |_| ask(&asker, &ten));
    each("decide_recognition", 5_000, |_| drop(policies.decide_recognition(&repair())));
}

fn each(what: &str, rounds: u32, work: impl FnMut(u32)) {
    let begun = Instant::now();
    (0..rounds).for_each(work);
    println!("{what}: {:.2} µs", begun.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
}

fn repair() -> RepairCase {
    let issuer: NodeId = "340500".parse().unwrap();
    let day = |text: &str| text.parse().unwrap();
    RepairCase {
        by: issuer.clone(),
        active: true,
        revokes: false,
        record_issuer: issuer,
        kind: "penalty".to_owned(),
        person: false,
        severity: Some(Severity::General),
        categories: vec!["罚款".to_owned()],
        list: None,
        fine: None,
        confiscated: None,
        record_decided: Some(day("2026-01-05")),
        repair_type: "终止公示".to_owned(),
        authority: "示例市市场监督管理局".to_owned(),
        authority_uscc: None,
        decided: day("2026-08-01"),
        effective: day("2026-08-01"),
    }
}
