//! What the policies that come with the program say, and what holds for any.

use std::sync::LazyLock;

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::record::{Amount, Purpose, Severity};
use crate::statement::kind::Sharing;
use crate::statement::{Kinds, NodeId};

fn node(id: &str) -> NodeId {
    id.parse().unwrap()
}

fn known() -> Known {
    let delta = vec![Member::Divisions("31".into()), Member::Divisions("34".into())];
    let mut known =
        Known::new(&node("310107"), &Kinds::builtin().unwrap(), &Groups::from([("delta".to_owned(), delta)]));
    // none of the ten kinds is 不予共享
    known.kinds.insert("secret".to_owned(), Sharing::None);
    known
}

static BUILTIN: LazyLock<Policies> = LazyLock::new(|| Policies::builtin(known()).unwrap());

fn builtin() -> &'static Policies {
    &BUILTIN
}

/// The built-in policies and one more.
fn with(more: &str) -> Policies {
    let files = Files::builtin();
    let mut all: Vec<_> = files.iter().collect();
    all.push(("more.cedar", more));
    Policies::of(Files::of(&all), known()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn repair() -> RepairCase {
    RepairCase {
        by: node("340500"),
        active: true,
        revokes: false,
        record_issuer: node("340500"),
        kind: "penalty".into(),
        person: false,
        severity: Some(Severity::General),
        categories: vec!["罚款".into()],
        list: None,
        fine: Some(Amount::parse("3.25", 18, 6).unwrap()),
        confiscated: None,
        record_decided: Some(date(2026, 4, 1)),
        repair_type: "终止公示".into(),
        authority: "马鞍山市市场监督管理局".into(),
        authority_uscc: None,
        decided: date(2026, 9, 1),
        effective: date(2026, 9, 2),
    }
}

fn fined(amount: &str) -> RepairCase {
    RepairCase { fine: Some(Amount::parse(amount, 18, 6).unwrap()), ..repair() }
}

const ALL: &[&str] = &["penalty", "contract", "grade", "voluntary", "registration", "secret"];

#[test]
fn the_defaults_answer_what_is_shared_and_the_rest_on_conditions() {
    let policies = builtin();
    let asker = node("341200");
    let ask = |purpose, basis, person, authorised, active| {
        let case = AskCase { asker: &asker, active, purpose, basis, person, authorised, kinds: ALL };
        policies.may_ask(&case).allowed.join(" ")
    };
    let (free, all) = ("penalty registration", "penalty contract grade voluntary registration");
    for (purpose, with_basis) in [
        (Purpose::Approval, all),
        (Purpose::Procurement, all),
        (Purpose::Tender, all),
        (Purpose::Subsidy, all),
        (Purpose::Award, all),
        (Purpose::Investment, free),
        (Purpose::Finance, free),
        (Purpose::Supervision, all),
        (Purpose::Judicial, all),
        (Purpose::Own, all),
    ] {
        assert_eq!(ask(purpose, true, false, false, true), with_basis, "{purpose}");
        assert_eq!(ask(purpose, false, false, false, true), free, "{purpose} without basis");
        assert_eq!(ask(purpose, true, true, false, true), "", "{purpose} about a person");
        assert_eq!(ask(purpose, true, true, true, true), with_basis, "{purpose} about a person who agrees");
        assert_eq!(ask(purpose, true, false, false, false), "", "{purpose} by a peer that is not active");
    }
}

#[test]
fn an_answer_says_which_policies_decided_and_why_not() {
    let policies = builtin();
    let asker = node("341200");
    let kinds = ["penalty", "contract", "secret", "nonsense"];
    let case = AskCase {
        asker: &asker,
        active: true,
        purpose: Purpose::Finance,
        basis: true,
        person: false,
        authorised: false,
        kinds: &kinds,
    };
    let access = policies.may_ask(&case);
    assert_eq!(access, policies.may_ask(&case), "the same when it comes again");
    assert_eq!(access.allowed, ["penalty"]);
    assert_eq!(access.policies, ["ask-never-shared", "ask-unconditional"]);
    assert_eq!(access.policy_set, policies.digest());
    let denied = |kind: &str| access.denied.iter().find(|denied| denied.kind == kind).unwrap();
    assert_eq!((denied("contract").policies.len(), &*denied("contract").reason), (0, "没有策略允许"));
    assert_eq!(denied("secret").policies, ["ask-never-shared"]);
    assert_eq!(denied("secret").reason, "该类信息不予共享");
    assert_eq!(denied("nonsense").reason, "本节点没有该类信息");
    // a person's records of a kind that is not shared are denied for both reasons
    let access = policies.may_ask(&AskCase { person: true, kinds: &["secret"], ..case });
    assert_eq!(access.denied[0].policies, ["ask-never-shared", "ask-person-authorised"]);
    assert_eq!(access.denied[0].reason, "该类信息不予共享；查询自然人须提供授权书摘要");
}

#[test]
fn the_defaults_recognise_what_peers_repaired_of_their_own_and_leave_the_serious_to_a_person() {
    let policies = builtin();
    let serious = || RepairCase { severity: Some(Severity::Serious), ..repair() };
    let listing = |list: &str| RepairCase {
        kind: "listing".into(),
        list: Some(list.into()),
        severity: None,
        repair_type: "移出名单".into(),
        ..repair()
    };
    let of = |id: &str, case| RepairCase { by: node(id), record_issuer: node(id), ..case };
    for (case, outcome, ids) in [
        (repair(), Outcome::Recognised, "decide-alone recognise-own"),
        (RepairCase { severity: Some(Severity::Minor), ..repair() }, Outcome::Recognised, "decide-alone recognise-own"),
        (
            RepairCase { severity: None, record_decided: None, ..repair() },
            Outcome::Recognised,
            "decide-alone recognise-own",
        ),
        (serious(), Outcome::Pending, "recognise-own serious-by-person"),
        // of another system of this node's own region, 310107
        (of("310107.scjg", serious()), Outcome::Recognised, "decide-alone recognise-own"),
        (of("310107.scjg", listing("严重失信主体名单")), Outcome::Recognised, "decide-alone recognise-own"),
        (of("310109.scjg", serious()), Outcome::Pending, "recognise-own serious-by-person"),
        (listing("严重失信主体名单"), Outcome::Pending, "recognise-own serious-by-person"),
        (listing("经营异常名录"), Outcome::Recognised, "decide-alone recognise-own"),
        (RepairCase { active: false, ..repair() }, Outcome::Refused, ""),
        (RepairCase { by: node("341200"), ..repair() }, Outcome::Refused, ""),
        (RepairCase { by: node("340500.scjg"), ..repair() }, Outcome::Refused, ""),
        // that a serious record stands again is no favour, so no person is asked
        (RepairCase { revokes: true, ..serious() }, Outcome::Recognised, "decide-alone recognise-revocation-of-own"),
        (RepairCase { revokes: true, by: node("341200"), ..repair() }, Outcome::Refused, ""),
        // a word that the schema does not have
        (RepairCase { repair_type: "赦免".into(), ..repair() }, Outcome::Refused, ""),
    ] {
        let recognition = policies.decide_recognition(&case);
        assert_eq!(recognition.outcome, outcome, "{case:?} {recognition:?}");
        assert_eq!(recognition.policies.join(" "), ids, "{case:?}");
        assert_eq!(recognition.reason.is_none(), outcome == Outcome::Recognised, "{recognition:?}");
    }
}

#[test]
fn the_defaults_let_those_hold_whom_an_audience_names() {
    let policies = builtin();
    let hold = |kind: &str, active| {
        let case =
            HoldCase { holder: node("341200"), active, issuer: node("340500"), kind: kind.to_owned(), person: false };
        policies.may_hold(case).permitted
    };
    assert!(hold("contract", true) && !hold("contract", false));
    assert!(!hold("secret", true) && !hold("not-known-here", true));
}

#[test]
fn whoever_follows_says_what_for_and_persons_only_with_their_authorisation() {
    let follow = |policies: &Policies, follower: &str, purpose, person, authorised| {
        let verdict = policies.may_follow(&FollowCase { follower, purpose, person, authorised });
        assert_eq!(verdict.permitted, verdict.reason.is_none());
        (verdict.permitted, verdict.policies.join(" "), verdict.reason.unwrap_or_default())
    };
    let (yes, no) =
        (|id: &str| (true, id.to_owned(), String::new()), |id: &str, why: &str| (false, id.to_owned(), why.to_owned()));
    for purpose in Purpose::ALL {
        assert_eq!(follow(builtin(), "商务委", purpose, false, false), yes("follow-stated"));
        assert_eq!(follow(builtin(), "商务委", purpose, true, true), yes("follow-stated"));
        let refused = no("follow-person-authorised", "关注自然人须提供授权书摘要");
        assert_eq!(follow(builtin(), "商务委", purpose, true, false), refused);
    }
    let narrower = with(
        r#"@id("banks-for-finance") @reason("金融机构仅限融资授信") forbid (principal, action == Action::"follow", resource)
        when { principal == Follower::"示例银行" && context.purpose != Purpose::"finance" };"#,
    );
    assert_eq!(follow(&narrower, "示例银行", Purpose::Finance, false, false), yes("follow-stated"));
    let refused = no("banks-for-finance", "金融机构仅限融资授信");
    assert_eq!(follow(&narrower, "示例银行", Purpose::Award, false, false), refused);
}

#[test]
fn a_region_is_refused_with_its_reason_and_its_revocations_are_not() {
    let policies = with(
        r#"@id("no-repairs-of-huangshan") @reason("黄山市的修复暂不认可")
        forbid (principal in Region::"341000", action == Action::"recognise", resource);"#,
    );
    let of = |id: &str, revokes| {
        let case = RepairCase { by: node(id), record_issuer: node(id), revokes, ..repair() };
        policies.decide_recognition(&case)
    };
    for id in ["341000", "341000.scjg"] {
        let refused = of(id, false);
        assert_eq!(
            (refused.outcome, refused.reason.as_deref()),
            (Outcome::Refused, Some("黄山市的修复暂不认可")),
            "{id}"
        );
        assert_eq!(refused.policies, ["no-repairs-of-huangshan"]);
        assert_eq!(of(id, true).outcome, Outcome::Recognised, "{id}");
    }
    assert_eq!(of("340500", false).outcome, Outcome::Recognised);
}

#[test]
fn money_dates_groups_and_categories_decide() {
    for (condition, case, pending) in [
        ("resource.fine > 10000000", fined("1000"), false),
        ("resource.fine > 10000000", fined("1000.000001"), true),
        ("resource.fine > 10000000", fined("1000.01"), true),
        ("resource.fine + resource.confiscated > 30000", fined("3"), false),
        ("resource.decided >= 20260901", repair(), true),
        ("resource.decided > 20260901", repair(), false),
        ("resource.effective == 20260902", repair(), true),
        ("resource has days_since_record && resource.days_since_record < 154", repair(), true),
        ("resource has days_since_record && resource.days_since_record < 153", repair(), false),
        ("resource has record_decided && resource.record_decided == 20260401", repair(), true),
        ("resource has record_decided", RepairCase { record_decided: None, ..repair() }, false),
        ("resource.categories.contains(\"罚款\")", repair(), true),
        ("resource.categories.contains(\"警告\")", repair(), false),
        ("principal in Group::\"delta\"", repair(), true),
        ("principal in Province::\"34\" && principal.region == Region::\"340500\"", repair(), true),
        ("principal in Province::\"31\"", repair(), false),
        ("resource.kind == Kind::\"penalty\" && resource.kind.sharing == Sharing::\"unconditional\"", repair(), true),
        ("resource.repair_type == RepairType::\"暂时屏蔽\"", repair(), false),
        ("resource.authority like \"*市场监督管理局\"", repair(), true),
        ("resource.person", RepairCase { person: true, ..repair() }, true),
    ] {
        let policies = with(&format!(
            "@id(\"more\") forbid (principal, action == Action::\"decide-alone\", resource) when {{ {condition} }};"
        ));
        let expected = if pending { Outcome::Pending } else { Outcome::Recognised };
        assert_eq!(policies.decide_recognition(&case).outcome, expected, "{condition}");
    }
}

#[test]
fn what_cannot_be_evaluated_denies_and_is_told() {
    // a Long overflows
    let overflow = "resource.fine * 9223372036854775807 == 1";
    for effect in ["forbid", "permit"] {
        let policies = with(&format!(
            "@id(\"too-large\") {effect} (principal, action == Action::\"recognise\", resource) when {{ {overflow} }};"
        ));
        let recognition = policies.decide_recognition(&repair());
        assert_eq!(recognition.outcome, Outcome::Refused, "{effect}");
        assert_eq!(recognition.policies, ["too-large"]);
        assert!(recognition.reason.unwrap().contains("overflow"), "{effect}");
    }
}

/// Any condition on a repair, as an author might write it.
fn condition() -> impl Strategy<Value = String> {
    prop_oneof![
        (0_i64..20_000_000).prop_map(|n| format!("resource.fine > {n}")),
        (0_i64..20_000_000).prop_map(|n| format!("resource.fine <= {n}")),
        Just("resource.severity == Severity::\"general\"".to_owned()),
        Just("resource.person".to_owned()),
        Just("principal in Region::\"340500\"".to_owned()),
        Just("!(principal in Group::\"delta\")".to_owned()),
        Just("resource.fine * resource.fine * resource.fine > 1".to_owned()),
    ]
}

fn any_case() -> impl Strategy<Value = RepairCase> {
    let texts = ("\\PC{0,20}", "\\PC{0,20}", "\\PC{0,20}", proptest::collection::vec("\\PC{0,10}", 0..4));
    let places = ("[0-9]{6}(\\.[a-z0-9]{1,16})?", any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (texts, places, 0_u64..2_000_000_000_000).prop_map(|((kind, list, authority, categories), place, fine)| {
        let (by, active, revokes, own, person) = place;
        RepairCase {
            by: node(&by),
            active,
            revokes,
            record_issuer: if own { node(&by) } else { node("340500") },
            kind,
            person,
            categories,
            list: Some(list.clone()),
            authority,
            repair_type: if person { list } else { "终止公示".to_owned() },
            ..fined(&format!("{}.{:06}", fine / 1_000_000, fine % 1_000_000))
        }
    })
}

fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Refused => 0,
        Outcome::Pending => 1,
        Outcome::Recognised => 2,
    }
}

proptest! {
    // each of them is parsed and validated
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn one_more_policy_that_forbids_never_permits_more(case in any_case(), condition in condition(), alone: bool) {
        let action = if alone { "decide-alone" } else { "recognise" };
        let more = with(&format!(
            "@id(\"more\") forbid (principal, action == Action::\"{action}\", resource is Repair) when {{ {condition} }};"
        ));
        let (before, after) = (builtin().decide_recognition(&case), more.decide_recognition(&case));
        prop_assert!(rank(after.outcome) <= rank(before.outcome), "{before:?} {after:?}");
        if after.policies == ["more"] {
            prop_assert_eq!(after.outcome, Outcome::Refused);
        }
    }

}

proptest! {
    #[test]
    fn what_one_forbids_none_permits(case in any_case()) {
        static NONE: LazyLock<Policies> = LazyLock::new(|| {
            with(
                "@id(\"all\") permit (principal, action, resource); \
                 @id(\"none\") forbid (principal, action == Action::\"recognise\", resource);",
            )
        });
        let recognition = NONE.decide_recognition(&case);
        prop_assert!(case.revokes || recognition.outcome == Outcome::Refused, "{recognition:?}");
    }

    #[test]
    fn any_texts_are_judged(case in any_case(), kind in "\\PC{0,40}", asker in "[0-9]{6}") {
        let policies = builtin();
        policies.decide_recognition(&case);
        let hold =
            HoldCase { holder: node(&asker), active: true, issuer: case.by.clone(), kind: kind.clone(), person: false };
        prop_assert!(!policies.may_hold(hold).permitted);
        let asker = node(&asker);
        let kinds = [&*kind];
        let case = AskCase {
            asker: &asker,
            active: true,
            purpose: Purpose::Own,
            basis: true,
            person: false,
            authorised: true,
            kinds: &kinds,
        };
        prop_assert!(policies.may_ask(&case).allowed.is_empty());
    }
}
