use jiff::ToSpan as _;
use serde_json::{Map, Value, json};

use super::*;
use crate::record::event::{RecognitionOutcome, RepairType, Stage};
use crate::record::{Event, Place};

const HOME: &str = "340500";
const PARTNER: &str = "310107";

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn node(id: &str) -> NodeId {
    id.parse().unwrap()
}

fn facts(kind: &str, body: &Value) -> Facts {
    let body: Map<String, Value> = body.as_object().unwrap().clone();
    Facts::of(kind, &node(HOME), Place { generation: 1, index: 0 }, &body, true)
}

/// A fine of April 2026: shown until 10 April 2027, repairable from 10 July 2026 on.
fn fine() -> Facts {
    facts("penalty", &json!({"category": ["罚款"], "fine": "2", "decided": "2026-04-10", "valid_until": "2099-12-31"}))
}

/// The number is digest and index at once.
fn said(by: &str, number: u8, event: Event) -> Said {
    let place = Place { generation: 1, index: u64::from(number) };
    Said { digest: digest(number), by: node(by), place, event }
}

fn repair(number: u8, of: RepairType, effective: &str, until: Option<&str>) -> Said {
    said(HOME, number, Event::Repair { of, effective: day(effective), until: until.map(day) })
}

fn revocation(number: u8, of: u8, effective: &str) -> Said {
    said(HOME, number, Event::Revocation { of: digest(of), effective: day(effective) })
}

fn recognition(by: &str, number: u8, of: u8, outcome: RecognitionOutcome, effective: &str) -> Said {
    said(by, number, Event::Recognition { of: digest(of), outcome, effective: day(effective) })
}

fn standing(facts: &Facts, said: &[Said], viewpoint: &str, on: Date) -> Standing {
    Standing::of(facts, said, &Rules::built_in().unwrap(), &node(viewpoint), on)
}

/// The status on the day before, on the day itself and on the day after; each day lies within its own span.
#[track_caller]
fn around(facts: &Facts, said: &[Said], viewpoint: &str, edge: &str, expected: [Status; 3]) {
    let edge = day(edge);
    let found = [-1, 0, 1].map(|days| {
        let on = edge.saturating_add(days.days());
        let standing = standing(facts, said, viewpoint, on);
        assert!(standing.since.is_none_or(|since| since <= on) && standing.until.is_none_or(|until| on <= until));
        standing.status
    });
    assert_eq!(found, expected, "around {edge} at {viewpoint}");
}

use RecognitionOutcome::{Pending as Undecided, Recognised, Refused};
use Status::{Disputed, Expired, Pending, Published, Repaired, Shielded, Superseded, Unpublicised, Withdrawn};

#[test]
fn publicity_ends_behind_its_last_day() {
    around(&fine(), &[], HOME, "2027-04-10", [Published, Published, Unpublicised]);
    let without = facts("penalty", &json!({"category": ["罚款"], "decided": "2026-04-10"}));
    around(&without, &[], HOME, "2027-04-10", [Published, Published, Expired]);
    let sooner = facts(
        "penalty",
        &json!({"category": ["罚款"], "decided": "2026-04-10", "valid_until": "2026-12-31", "publicity_until": "2026-08-31"}),
    );
    around(&sooner, &[], HOME, "2026-08-31", [Published, Published, Unpublicised]);
    around(&sooner, &[], HOME, "2026-12-31", [Unpublicised, Unpublicised, Expired]);
    let serious =
        facts("penalty", &json!({"category": ["吊销许可证件"], "decided": "2028-02-29", "valid_until": "2099-12-31"}));
    around(&serious, &[], HOME, "2031-02-28", [Published, Published, Unpublicised]);
    // what was decided before order 36 follows it from the day on which it is in force
    let older = facts("penalty", &json!({"category": ["罚款"], "decided": "2025-01-10", "valid_until": "2099-12-31"}));
    around(&older, &[], HOME, "2026-03-31", [Published, Published, Unpublicised]);
    let unperformed = facts("penalty", &json!({"category": ["罚款"], "decided": "2026-04-10", "performed": "未履行"}));
    around(&unperformed, &[], HOME, "2027-04-10", [Published; 3]);
}

#[test]
fn validity_ends_behind_its_last_day() {
    for kind in ["licence", "honour", "grade"] {
        let facts = facts(kind, &json!({"decided": "2026-01-01", "valid_until": "2026-06-30"}));
        around(&facts, &[], PARTNER, "2026-06-30", [Published, Published, Expired]);
    }
    let long_term = facts("licence", &json!({"decided": "2026-01-01", "valid_until": "2099-12-31", "state": "1"}));
    assert_eq!(standing(&long_term, &[], HOME, day("2080-01-01")).status, Published);
    let invalid = facts("licence", &json!({"decided": "2026-01-01", "valid_until": "2099-12-31", "state": "0"}));
    assert_eq!(standing(&invalid, &[], HOME, day("2026-02-01")).reason, Reason::Invalid);
    let removed = facts("listing", &json!({"list": "经营异常名录", "listed": "2026-05-01", "removed": "2026-08-01"}));
    around(&removed, &[], HOME, "2026-08-01", [Published, Expired, Expired]);
    let honest = facts("listing", &json!({"list": "白名单", "listed": "2016-05-01"}));
    assert_eq!(standing(&honest, &[], HOME, day("2036-05-01")).status, Published);
}

#[test]
fn minor_conduct_is_shared_and_not_shown() {
    let warning =
        facts("penalty", &json!({"category": ["警告"], "decided": "2026-04-10", "valid_until": "2026-12-31"}));
    around(&warning, &[], HOME, "2026-07-10", [Unpublicised; 3]);
    let now = standing(&warning, &[], PARTNER, day("2026-05-01"));
    assert_eq!((now.public, now.shared, now.used, now.reason), (false, true, true, Reason::Minor));
    around(&warning, &[], HOME, "2026-12-31", [Unpublicised, Unpublicised, Expired]);
}

#[test]
fn a_listing_in_its_grace_period_is_neither_shown_nor_used() {
    let held = facts(
        "judgment",
        &json!({"category": "失信被执行人", "decided": "2026-05-01", "published_from": "2026-06-01"}),
    );
    around(&held, &[], HOME, "2026-06-01", [Pending, Published, Published]);
    let now = standing(&held, &[], PARTNER, day("2026-05-31"));
    assert_eq!((now.public, now.shared, now.used, now.until), (false, true, false, Some(day("2026-05-31"))));
}

#[test]
fn a_dispute_marks_until_it_is_answered_and_what_is_wrong_until_it_is_corrected() {
    let raised = said(HOME, 1, Event::Dispute { raised: day("2026-06-01") });
    around(&fine(), std::slice::from_ref(&raised), HOME, "2026-06-01", [Published, Disputed, Disputed]);
    for (outcome, after) in [
        (DisputeOutcome::Upheld, Published),
        (DisputeOutcome::Corrected, Disputed),
        (DisputeOutcome::Withdrawn, Disputed),
    ] {
        let answer = said(HOME, 2, Event::DisputeAnswer { of: digest(1), outcome, answered: day("2026-06-08") });
        around(&fine(), &[raised.clone(), answer], HOME, "2026-06-08", [Disputed, after, after]);
    }
    // its issuer has not taken these up, or never heard of what they answer
    let others = said(PARTNER, 3, Event::Dispute { raised: day("2026-06-01") });
    assert_eq!(standing(&fine(), &[others], PARTNER, day("2026-06-02")).status, Published);
    let answer = Event::DisputeAnswer { of: digest(1), outcome: DisputeOutcome::Upheld, answered: day("2026-06-08") };
    let found = standing(&fine(), &[raised.clone(), said(PARTNER, 2, answer)], PARTNER, day("2026-06-09"));
    assert_eq!((found.status, found.public, found.shared, found.used), (Disputed, true, true, true));
    // what is not shown is marked all the same
    let warning = facts("penalty", &json!({"category": ["警告"], "decided": "2026-04-10"}));
    let found = standing(&warning, &[raised], HOME, day("2026-06-09"));
    assert!(found.status == Unpublicised && found.dispute.is_some());
}

#[test]
fn a_repair_takes_effect_at_its_issuer_on_its_day_and_ends_all_three() {
    for of in [RepairType::EndPublicity, RepairType::Remove, RepairType::Grade] {
        let all = [repair(1, of, "2026-07-15", None)];
        around(&fine(), &all, HOME, "2026-07-15", [Published, Repaired, Repaired]);
        let found = standing(&fine(), &all, HOME, day("2026-07-15"));
        assert_eq!(
            (found.public, found.shared, found.used, found.since),
            (false, false, false, Some(day("2026-07-15")))
        );
        let eve = standing(&fine(), &all, HOME, day("2026-07-14"));
        let effective = day("2026-07-15");
        assert_eq!(eve.under_repair, Some(RepairMark::Coming { repair: digest(1), effective }));
        assert_eq!(eve.until, Some(day("2026-07-14")));
    }
}

#[test]
fn at_a_partner_a_repair_takes_effect_by_that_partners_recognition_alone() {
    let fixed = repair(1, RepairType::EndPublicity, "2026-07-15", None);
    let at_partner = |more: &[Said], edge: &str, expected| {
        let all: Vec<Said> = more.iter().cloned().chain([fixed.clone()]).collect();
        around(&fine(), &all, PARTNER, edge, expected);
    };
    at_partner(&[], "2026-07-15", [Published; 3]);
    at_partner(&[recognition(PARTNER, 9, 1, Recognised, "2026-07-18")], "2026-07-18", [Published, Repaired, Repaired]);
    at_partner(&[recognition(PARTNER, 9, 1, Recognised, "2026-07-01")], "2026-07-15", [Published, Repaired, Repaired]);
    for outcome in [Refused, Undecided] {
        at_partner(&[recognition(PARTNER, 9, 1, outcome, "2026-07-18")], "2026-07-18", [Published; 3]);
    }
    at_partner(&[recognition("341200", 9, 1, Recognised, "2026-07-18")], "2026-07-18", [Published; 3]);
    at_partner(&[recognition(HOME, 9, 1, Recognised, "2026-07-18")], "2026-07-18", [Published; 3]);
    at_partner(&[recognition(PARTNER, 9, 7, Recognised, "2026-07-18")], "2026-07-18", [Published; 3]);
    // the newest decision counts, from its day on, and the one before it until then
    let decided = [
        recognition(PARTNER, 9, 1, Undecided, "2026-07-16"),
        recognition(PARTNER, 10, 1, Recognised, "2026-07-18"),
        recognition(PARTNER, 11, 1, Refused, "2026-08-01"),
    ];
    at_partner(&decided, "2026-07-18", [Published, Repaired, Repaired]);
    at_partner(&decided, "2026-08-01", [Repaired, Published, Published]);
    let waiting = standing(&fine(), std::slice::from_ref(&fixed), PARTNER, day("2026-07-20"));
    assert_eq!(waiting.under_repair, Some(RepairMark::Unrecognised { repair: digest(1) }));
    let refused = [fixed.clone(), recognition(PARTNER, 9, 1, Refused, "2026-07-18")];
    assert_eq!(standing(&fine(), &refused, PARTNER, day("2026-07-20")).under_repair, None);
}

#[test]
fn after_a_revocation_the_record_stands_again_and_can_be_repaired_again() {
    let mut all = vec![repair(1, RepairType::EndPublicity, "2026-07-15", None), revocation(2, 1, "2026-09-01")];
    around(&fine(), &all, HOME, "2026-09-01", [Repaired, Published, Published]);
    let reason = standing(&fine(), &all, HOME, day("2026-09-02")).reason;
    assert_eq!(reason, Reason::RepairRevoked { repair: digest(1), effective: day("2026-09-01") });
    // at a partner that had recognised the repair: as soon as it is known, unless it is refused there
    all.push(recognition(PARTNER, 9, 1, Recognised, "2026-07-18"));
    around(&fine(), &all, PARTNER, "2026-09-01", [Repaired, Published, Published]);
    for (outcome, after) in [(Recognised, Published), (Undecided, Published), (Refused, Repaired)] {
        let mut all = all.clone();
        all.push(recognition(PARTNER, 10, 2, outcome, "2026-09-01"));
        around(&fine(), &all, PARTNER, "2026-09-01", [Repaired, after, after]);
    }
    // another's revocation, or one of a repair that nobody knows, changes nothing
    let foreign = [all[0].clone(), said(PARTNER, 2, Event::Revocation { of: digest(1), effective: day("2026-09-01") })];
    around(&fine(), &foreign, HOME, "2026-09-01", [Repaired; 3]);
    around(&fine(), &[all[0].clone(), revocation(2, 7, "2026-09-01")], HOME, "2026-09-01", [Repaired; 3]);
    all.push(repair(3, RepairType::EndPublicity, "2026-12-01", None));
    around(&fine(), &all, HOME, "2026-12-01", [Published, Repaired, Repaired]);
}

#[test]
fn a_shielded_record_comes_back_behind_the_last_day() {
    let mut all = vec![repair(1, RepairType::Shield, "2026-05-01", Some("2026-12-31"))];
    around(&fine(), &all, HOME, "2026-05-01", [Published, Shielded, Shielded]);
    around(&fine(), &all, HOME, "2026-12-31", [Shielded, Shielded, Published]);
    around(&fine(), &[repair(1, RepairType::Shield, "2026-05-01", None)], HOME, "2030-01-01", [Shielded; 3]);
    all.push(repair(2, RepairType::EndPublicity, "2026-08-01", None));
    around(&fine(), &all, HOME, "2026-08-01", [Shielded, Repaired, Repaired]);
    around(&fine(), &all, HOME, "2026-12-31", [Repaired; 3]);
}

#[test]
fn a_withdrawal_by_the_issuer_counts_at_once_everywhere_and_before_all_else() {
    let withdrawn = said(HOME, 4, Event::Withdrawal { decided: Some(day("2026-06-01")) });
    let all = [repair(1, RepairType::EndPublicity, "2026-07-15", None), withdrawn.clone()];
    for viewpoint in [HOME, PARTNER] {
        around(&fine(), &all, viewpoint, "2026-06-01", [Withdrawn; 3]);
    }
    let superseded = Facts { current: false, ..fine() };
    around(&superseded, &all[..1], HOME, "2026-07-15", [Superseded; 3]);
    around(&superseded, &all, HOME, "2026-07-15", [Withdrawn; 3]);
    let foreign = said(PARTNER, 4, Event::Withdrawal { decided: None });
    around(&fine(), &[foreign], PARTNER, "2026-06-01", [Published; 3]);
    let later_version = Facts { place: Place { generation: 2, index: 0 }, ..fine() };
    around(&later_version, &[withdrawn], HOME, "2026-06-01", [Published; 3]);
}

#[test]
fn a_repair_of_an_earlier_version_holds_for_the_later_ones() {
    let later_version = Facts { place: Place { generation: 1, index: 3 }, ..fine() };
    let earlier = repair(1, RepairType::EndPublicity, "2026-07-15", None);
    around(&later_version, std::slice::from_ref(&earlier), HOME, "2026-07-15", [Published, Repaired, Repaired]);
    let dispute = said(HOME, 2, Event::Dispute { raised: day("2026-06-01") });
    assert_eq!(standing(&later_version, &[dispute], HOME, day("2026-06-02")).dispute, None);
}

#[test]
fn an_application_marks_once_the_issuer_has_it() {
    let on = day("2026-08-01");
    let filed = said(PARTNER, 1, Event::Application { stage: Stage::Filed, of: None, on });
    let stage = |number, stage| said(HOME, number, Event::Application { stage, of: Some(digest(1)), on });
    let mark = |all: &[Said]| standing(&fine(), all, PARTNER, on).under_repair;
    let eve = |all: &[Said]| standing(&fine(), all, PARTNER, day("2026-07-31")).under_repair;
    let applied = Some(RepairMark::Applied { application: digest(1) });
    assert_eq!(mark(std::slice::from_ref(&filed)), None);
    let at_home = [said(HOME, 1, filed.event.clone())];
    assert_eq!((mark(&at_home), eve(&at_home)), (applied.clone(), None));
    assert_eq!(mark(&[filed.clone(), stage(2, Stage::Accepted)]), applied);
    assert_eq!(mark(&[stage(3, Stage::More), filed.clone(), stage(2, Stage::Accepted)]), applied);
    assert_eq!(mark(&[filed.clone(), stage(2, Stage::Accepted), stage(3, Stage::Rejected)]), None);
    assert_eq!(mark(&[filed.clone(), stage(2, Stage::Accepted), stage(3, Stage::Decided)]), None);
    // who filed it takes it back, and no third
    for (by, expected) in [(PARTNER, None), ("341200", applied)] {
        let back = said(by, 4, Event::Application { stage: Stage::Withdrawn, of: Some(digest(1)), on });
        assert_eq!(mark(&[filed.clone(), stage(2, Stage::Accepted), back]), expected, "{by}");
    }
}

#[test]
fn a_repair_is_refused_with_its_reason() {
    let rules = Rules::built_in().unwrap();
    let allowed = |facts: &Facts, said: &[Said], of, on: &str| repair_allowed(facts, said, &rules, of, day(on));
    let end = RepairType::EndPublicity;
    let earliest = day("2026-07-10");
    assert_eq!(allowed(&fine(), &[], end, "2026-07-09"), Err(NotRepairable::TooEarly { earliest }));
    for on in ["2026-07-10", "2026-07-11"] {
        assert_eq!(allowed(&fine(), &[], end, on), Ok(()));
    }
    assert_eq!(allowed(&fine(), &[], RepairType::Shield, "2026-04-11"), Ok(()));
    let withdrawn = said(HOME, 4, Event::Withdrawal { decided: None });
    assert_eq!(allowed(&fine(), &[withdrawn], end, "2026-08-01"), Err(NotRepairable::Withdrawn));
    let superseded = Facts { current: false, ..fine() };
    assert_eq!(allowed(&superseded, &[], end, "2026-08-01"), Err(NotRepairable::Superseded));
    let mut all = vec![repair(1, end, "2027-01-01", None)];
    assert_eq!(allowed(&fine(), &all, end, "2026-08-01"), Err(NotRepairable::AlreadyRepaired { repair: digest(1) }));
    all.push(revocation(2, 1, "2027-02-01"));
    assert_eq!(allowed(&fine(), &all, end, "2026-08-01"), Ok(()));
    let shielded = [repair(1, RepairType::Shield, "2026-05-01", None)];
    assert_eq!(allowed(&fine(), &shielded, end, "2026-08-01"), Ok(()));
    let minor = facts("penalty", &json!({"category": ["警告"], "decided": "2026-04-10"}));
    assert_eq!(allowed(&minor, &[], end, "2026-04-10"), Ok(()));
    let honour = facts("honour", &json!({"awarded": "2026-04-10"}));
    assert!(matches!(allowed(&honour, &[], end, "2026-08-01"), Err(NotRepairable::Kind { .. })));
}
