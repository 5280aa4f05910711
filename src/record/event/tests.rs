use serde_json::json;

use super::*;
use crate::statement::Kinds;

fn of(kind: &str, body: &Value) -> Option<Event> {
    let Value::Object(body) = body else { unreachable!("an object") };
    Event::of(kind, &[Digest([7; 32])], body)
}

/// What each kind of event has to say, and what that means.
#[test]
fn what_a_schema_takes_is_an_event() {
    let about = Digest([7; 32]);
    let [on, effective] = ["2026-07-10", "2026-07-15"].map(|day| day.parse::<Date>().unwrap());
    let repair = |kind: &str, until: Option<&str>| {
        let mut body = json!({"type": kind, "decided": "2026-07-10", "effective": "2026-07-15", "authority": "示例局", "reason": "示例"});
        if let Some(until) = until {
            body["until"] = json!(until);
        }
        body
    };
    let decided = |outcome: &str| json!({"outcome": outcome, "effective": "2026-07-15", "policies": ["示例"], "policy_set": about.to_string()});
    let recognition = |outcome| Event::Recognition { of: about, outcome, effective };
    let answer = |outcome: &str| json!({"outcome": outcome, "answered": "2026-07-10", "reason": "示例"});
    let answered = |outcome| Event::DisputeAnswer { of: about, outcome, answered: on };
    let lasts = |of| Event::Repair { of, effective, until: None };
    let shield = Event::Repair { of: RepairType::Shield, effective, until: Some("2026-12-31".parse().unwrap()) };
    let cases = [
        ("withdrawal", json!({"reason": "示例", "decided": "2026-07-10"}), Event::Withdrawal { decided: Some(on) }),
        ("dispute", json!({"reason": "示例", "raised": "2026-07-10"}), Event::Dispute { raised: on }),
        ("dispute-answer", answer("维持"), answered(DisputeOutcome::Upheld)),
        ("dispute-answer", answer("更正"), answered(DisputeOutcome::Corrected)),
        ("dispute-answer", answer("撤销"), answered(DisputeOutcome::Withdrawn)),
        ("repair", repair("终止公示", None), lasts(RepairType::EndPublicity)),
        ("repair", repair("移出名单", None), lasts(RepairType::Remove)),
        ("repair", repair("信用评价修复", None), lasts(RepairType::Grade)),
        ("repair", repair("暂时屏蔽", Some("2026-12-31")), shield),
        (
            "repair-revocation",
            json!({"decided": "2026-07-10", "effective": "2026-07-15", "reason": "示例"}),
            Event::Revocation { of: about, effective },
        ),
        ("recognition", decided("recognised"), recognition(RecognitionOutcome::Recognised)),
        ("recognition", decided("refused"), recognition(RecognitionOutcome::Refused)),
        ("recognition", decided("pending"), recognition(RecognitionOutcome::Pending)),
    ];
    let kinds = Kinds::builtin().unwrap();
    for (kind, body, expected) in cases {
        assert_eq!(of(kind, &body), Some(expected), "{kind} {body}");
        // what is required of such a body, and the words of its lists, are those that are read here
        let members = &kinds.newest(kind).unwrap().members;
        for member in body.as_object().unwrap().keys() {
            assert!(members.iter().any(|m| m.name == *member), "{kind} has no {member}");
        }
    }
}

#[test]
fn every_stage_of_an_application_that_its_schema_has_is_known() {
    let schema: Value = serde_json::from_str(include_str!("../../../schemas/application.json")).unwrap();
    for stage in schema["properties"]["stage"]["enum"].as_array().unwrap() {
        let event = of("application", &json!({"stage": stage, "on": "2026-07-10"}));
        let first = stage == "filed";
        assert!(matches!(event, Some(Event::Application { of, .. }) if of.is_none() == first), "{stage}");
    }
}

#[test]
fn what_no_schema_takes_is_no_event() {
    for (kind, body) in [
        ("penalty", json!({"decided": "2026-07-10"})),
        ("repair", json!({"type": "终止公示"})),
        ("repair", json!({"type": "示例", "effective": "2026-07-15"})),
        ("dispute", json!({"raised": "2026-7-10"})),
        ("recognition", json!({"outcome": "yes", "effective": "2026-07-15"})),
    ] {
        assert_eq!(of(kind, &body), None, "{kind} {body}");
    }
    let nothing = Event::of("repair-revocation", &[], json!({"effective": "2026-07-15"}).as_object().unwrap());
    assert_eq!(nothing, None);
    // only a shielding ends by itself
    let ends = json!({"type": "终止公示", "effective": "2026-07-15", "until": "2026-12-31"});
    assert!(matches!(of("repair", &ends), Some(Event::Repair { until: None, .. })));
}
