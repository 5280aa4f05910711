use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::record::event::{RecognitionOutcome, RepairType, Stage};
use crate::record::{Event, Place};

const NODES: [&str; 3] = ["340500", "310107", "341200"];

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn a_day() -> impl Strategy<Value = Date> {
    (0_i32..400).prop_map(|days| date(2026, 4, 1).saturating_add(days.days()))
}

/// A statement about any of the twelve that there may be.
fn an_event() -> impl Strategy<Value = Event> {
    let target = || (0_u8..12).prop_map(digest);
    let outcome =
        prop_oneof![Just(DisputeOutcome::Upheld), Just(DisputeOutcome::Corrected), Just(DisputeOutcome::Withdrawn)];
    let decision = prop_oneof![
        3 => Just(RecognitionOutcome::Recognised),
        1 => Just(RecognitionOutcome::Refused),
        1 => Just(RecognitionOutcome::Pending)
    ];
    let stage = prop_oneof![
        Just(Stage::Accepted),
        Just(Stage::More),
        Just(Stage::Rejected),
        Just(Stage::Decided),
        Just(Stage::Withdrawn)
    ];
    prop_oneof![
        1 => proptest::option::of(a_day()).prop_map(|decided| Event::Withdrawal { decided }),
        3 => a_day().prop_map(|raised| Event::Dispute { raised }),
        3 => (target(), outcome, a_day()).prop_map(|(of, outcome, answered)| Event::DisputeAnswer { of, outcome, answered }),
        5 => a_day().prop_map(|effective| Event::Repair { of: RepairType::EndPublicity, effective, until: None }),
        4 => (a_day(), proptest::option::of(a_day()))
            .prop_map(|(effective, until)| Event::Repair { of: RepairType::Shield, effective, until }),
        5 => (target(), a_day()).prop_map(|(of, effective)| Event::Revocation { of, effective }),
        8 => (target(), decision, a_day())
            .prop_map(|(of, outcome, effective)| Event::Recognition { of, outcome, effective }),
        1 => a_day().prop_map(|on| Event::Application { stage: Stage::Filed, of: None, on }),
        2 => (target(), stage, a_day()).prop_map(|(of, stage, on)| Event::Application { stage, of: Some(of), on }),
    ]
}

/// Up to twelve statements by three nodes: the n-th has the digest n, and a place that no other of its node's has.
fn some_said() -> impl Strategy<Value = Vec<Said>> {
    let one = (an_event(), prop_oneof![4 => Just(0_usize), 3 => Just(1), 1 => Just(2)], 0_u64..3, any::<u8>());
    proptest::collection::vec(one, 0..12).prop_map(|all| {
        all.into_iter()
            .zip(0_u8..)
            .map(|((event, node, generation, index), number)| Said {
                digest: digest(number),
                by: NODES[node].parse().unwrap(),
                place: Place { generation, index: u64::from(index) * 16 + u64::from(number) },
                event,
            })
            .collect()
    })
}

fn a_record() -> impl Strategy<Value = Facts> {
    let values = [("category", "罚款"), ("category", "警告"), ("list", "白名单")];
    (
        0_usize..3,
        proptest::option::of(a_day()),
        [proptest::option::of(a_day()), proptest::option::of(a_day()), proptest::option::of(a_day())],
        (0_u64..2, 0_u64..1500),
        prop::bool::weighted(0.9),
    )
        .prop_map(move |(value, decided, [valid_until, publicity_until, published_from], place, current)| Facts {
            kind: "penalty".to_owned(),
            issuer: NODES[0].parse().unwrap(),
            place: Place { generation: place.0, index: place.1 * 16 + 15 },
            current,
            decided,
            values: vec![(values[value].0, values[value].1.to_owned())],
            fine: None,
            severity: None,
            valid_until,
            publicity_until,
            published_from,
            removed: None,
            invalid: false,
            unperformed: false,
            summary_texts: Vec::new(),
            special_texts: Vec::new(),
        })
}

/// Another telling of the same rules: everything is entered into books, node by node in the order of its log, and then read
/// off them for one day.
fn told_otherwise(facts: &Facts, said: &[Said], terms: Option<&Terms>, viewpoint: &NodeId, on: Date) -> Status {
    let mut logs: BTreeMap<(&str, Place), &Said> = BTreeMap::new();
    for one in said {
        logs.insert((one.by.as_str(), one.place), one);
    }
    let home = viewpoint == &facts.issuer;
    let mut decisions: BTreeMap<Digest, RecognitionOutcome> = BTreeMap::new();
    for ((by, _), one) in &logs {
        if let Event::Recognition { of, outcome, effective } = one.event
            && *by == viewpoint.as_str()
            && effective <= on
        {
            decisions.insert(of, outcome);
        }
    }
    let (mut repaired, mut shielded, mut disputed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut withdrawn = false;
    let own: Vec<&&Said> = logs.values().filter(|one| one.by == facts.issuer).collect();
    for one in &own {
        match one.event {
            Event::Withdrawal { .. } if one.place > facts.place => withdrawn = true,
            Event::Dispute { raised } if one.place > facts.place && raised <= on => {
                disputed.insert(one.digest, ());
            }
            Event::Repair { of, effective, until } if effective <= on && until.is_none_or(|last| last >= on) => {
                let recognised = home || decisions.get(&one.digest) == Some(&RecognitionOutcome::Recognised);
                let book = if of == RepairType::Shield { &mut shielded } else { &mut repaired };
                if recognised {
                    book.insert(one.digest, ());
                }
            }
            _ => {}
        }
    }
    let mut answers = BTreeMap::new();
    for one in &own {
        match one.event {
            Event::DisputeAnswer { of, outcome, answered } if answered <= on => {
                answers.insert(of, outcome);
            }
            Event::Revocation { of, effective }
                if effective <= on && (home || decisions.get(&one.digest) != Some(&RecognitionOutcome::Refused)) =>
            {
                repaired.remove(&of);
                shielded.remove(&of);
            }
            _ => {}
        }
    }
    disputed.retain(|dispute, ()| answers.get(dispute) != Some(&DisputeOutcome::Upheld));
    let publicity_end = terms.map_or(facts.publicity_until, |t| t.public_until);
    let last_day = facts.valid_until.or(publicity_end);
    let is_over = |last: Option<Date>| last.is_some_and(|last| on > last);
    let ladder = [
        (withdrawn, Status::Withdrawn),
        (!facts.current, Status::Superseded),
        (!repaired.is_empty(), Status::Repaired),
        (!shielded.is_empty(), Status::Shielded),
        (is_over(last_day), Status::Expired),
        (facts.published_from.is_some_and(|from| from > on), Status::Pending),
        (terms.is_some_and(|t| !t.public) || is_over(publicity_end), Status::Unpublicised),
        (!disputed.is_empty(), Status::Disputed),
    ];
    ladder.into_iter().find(|(holds, _)| *holds).map_or(Status::Published, |(_, status)| status)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn order_of_arrival_repetition_and_late_arrival_change_nothing(
        facts in a_record(),
        (said, arrived) in some_said().prop_flat_map(|said| {
            let twice: Vec<Said> = said.iter().cloned().chain(said.iter().cloned()).collect();
            (Just(said), Just(twice).prop_shuffle())
        }),
        cut in 0_usize..24,
        node in 0_usize..3,
        day in a_day(),
    ) {
        let rules = Rules::built_in().unwrap();
        let viewpoint: NodeId = NODES[node].parse().unwrap();
        let all_at_once = Standing::of(&facts, &said, &rules, &viewpoint, day);
        prop_assert_eq!(&Standing::of(&facts, &arrived, &rules, &viewpoint, day), &all_at_once);
        // some were there, and were asked about, before the others came
        let (early, late) = arrived.split_at(cut.min(arrived.len()));
        let mut known: Vec<Said> = early.to_vec();
        let _ = Standing::of(&facts, &known, &rules, &viewpoint, day);
        known.splice(0..0, late.iter().cloned());
        prop_assert_eq!(&Standing::of(&facts, &known, &rules, &viewpoint, day), &all_at_once);
    }

    #[test]
    fn the_same_rules_told_otherwise_come_to_the_same(
        facts in a_record(), said in some_said(), node in 0_usize..3, day in a_day(),
    ) {
        let rules = Rules::built_in().unwrap();
        let viewpoint: NodeId = NODES[node].parse().unwrap();
        let found = Standing::of(&facts, &said, &rules, &viewpoint, day);
        prop_assert_eq!(found.status, told_otherwise(&facts, &said, found.terms.as_ref(), &viewpoint, day));
    }

    #[test]
    fn a_status_holds_from_its_first_to_its_last_day_and_no_longer(
        facts in a_record(), said in some_said(), node in 0_usize..3, day in a_day(), other in a_day(),
    ) {
        let rules = Rules::built_in().unwrap();
        let viewpoint: NodeId = NODES[node].parse().unwrap();
        let on = |day| Standing::of(&facts, &said, &rules, &viewpoint, day);
        let found = on(day);
        let after = found.since.is_none_or(|since| since <= other || other > day);
        let within = after && found.until.is_none_or(|until| other <= until || other < day);
        if within && (other >= day || found.since.is_some()) {
            prop_assert_eq!(on(other).status, found.status, "on {}", other);
        }
        if let Some(until) = found.until {
            prop_assert!(until >= day);
            prop_assert_ne!(on(until.tomorrow().unwrap()).status, found.status);
        }
    }

    #[test]
    fn nothing_is_shown_that_is_not_shared_and_nothing_used_that_is_not(
        facts in a_record(), said in some_said(), node in 0_usize..3, day in a_day(),
    ) {
        let viewpoint: NodeId = NODES[node].parse().unwrap();
        let found = Standing::of(&facts, &said, &Rules::built_in().unwrap(), &viewpoint, day);
        prop_assert!(found.shared || (!found.public && !found.used));
        prop_assert!(found.used || !found.public);
    }

    #[test]
    fn strangers_have_no_say(facts in a_record(), said in some_said(), day in a_day()) {
        let viewpoint: NodeId = NODES[1].parse().unwrap();
        let rules = Rules::built_in().unwrap();
        let heard: Vec<Said> = said
            .iter()
            .filter(|s| s.by == facts.issuer || s.by == viewpoint || matches!(s.event, Event::Application { .. }))
            .cloned()
            .collect();
        let with_strangers = Standing::of(&facts, &said, &rules, &viewpoint, day);
        prop_assert_eq!(with_strangers, Standing::of(&facts, &heard, &rules, &viewpoint, day));
    }
}
