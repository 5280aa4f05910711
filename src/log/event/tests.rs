use serde_json::{Value, json};

use super::*;
use crate::statement::{Kinds, Salt, Subject, Typ};

/// A penalty of 340500 at index 1 of its log, and what is said of it from index 10 on.
struct Story {
    kinds: Kinds,
    lives: Lives,
    next: u64,
}

const ISSUER: &str = "340500";
const OTHER: &str = "341200";

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn place() -> RecordPlace {
    RecordPlace { issuer: ISSUER.parse().unwrap(), kind: "penalty".to_owned(), identity: [7; 32] }
}

fn statement(iss: &str, kind: &str, about: &str, body: &Value) -> Statement {
    let (uscc, name) = ("91340500MA2EXAMP5W".to_owned(), "示例有限公司".to_owned());
    Statement {
        typ: Typ::first(kind),
        iss: iss.parse().unwrap(),
        iat: 0,
        aud: Audience::Everyone,
        salt: Salt([0; 16]),
        sub: Some(Subject::Enterprise { uscc, name }),
        prev: None,
        refs: vec![digest(about)],
        body: body.as_object().unwrap().clone(),
    }
}

impl Story {
    fn begin() -> Self {
        let mut lives = Lives::default();
        let record = Statement { refs: Vec::new(), ..statement(ISSUER, "penalty", "", &json!({})) };
        lives.take_record(digest("record"), &record, place(), (1, 1));
        Self { kinds: Kinds::builtin().unwrap(), lives, next: 10 }
    }

    fn judge(&self, statement: &Statement) -> Result<RecordPlace, NotAccepted> {
        let kind = self.kinds.find(&statement.typ).unwrap();
        self.lives.judge(kind.about.as_ref().unwrap(), statement, (1, self.next))
    }

    /// What comes of saying it: nothing, or why not.
    fn try_say(&self, statement: &Statement) -> Option<&'static str> {
        match self.judge(statement) {
            Ok(of) => {
                assert_eq!(of, place());
                None
            }
            Err(NotAccepted::Held(_)) => Some("held"),
            Err(NotAccepted::Refused(refused)) => Some(refused.code()),
        }
    }

    fn say(&mut self, name: &str, iss: &str, kind: &str, about: &str, body: &Value) -> Option<&'static str> {
        let statement = statement(iss, kind, about, body);
        let outcome = self.try_say(&statement);
        if outcome.is_none() {
            self.lives.take(digest(name), &statement, place(), (1, self.next));
        }
        self.next += 1;
        outcome
    }

    /// The issuer's event about a statement.
    fn issuer(&mut self, name: &str, kind: &str, about: &str) -> Option<&'static str> {
        self.say(name, ISSUER, kind, about, &json!({}))
    }
}

#[test]
fn what_was_said_before_decides_what_may_be_said_next() {
    // (name, kind, about) of what the issuer says one after the other, and what comes of each
    type Step = (&'static str, &'static str, &'static str, Option<&'static str>);
    let stories: [&[Step]; 6] = [
        &[("w", "withdrawal", "record", None), ("x", "withdrawal", "record", Some("withdrawn"))],
        &[("w", "withdrawal", "record", None), ("r", "repair", "record", Some("withdrawn"))],
        &[("r", "repair", "record", None), ("s", "repair", "record", Some("repaired"))],
        &[
            ("r", "repair", "record", None),
            ("v", "repair-revocation", "r", None),
            ("x", "repair-revocation", "r", Some("revoked")),
            ("s", "repair", "record", None),
            ("y", "repair-revocation", "s", None),
        ],
        &[
            ("d", "dispute", "record", None),
            ("a", "dispute-answer", "d", None),
            ("b", "dispute-answer", "d", Some("answered")),
            ("e", "dispute", "record", None),
            ("c", "dispute-answer", "e", None),
        ],
        &[("d", "dispute", "record", None), ("e", "dispute", "d", Some("about-own"))],
    ];
    for story in stories {
        let mut told = Story::begin();
        for (name, kind, about, outcome) in story {
            assert_eq!(told.issuer(name, kind, about), *outcome, "{name}: {kind} about {about}");
        }
    }
}

#[test]
fn each_kind_is_about_its_kinds_and_by_whom_it_may() {
    let mut told = Story::begin();
    for (name, kind, about) in [("w", "repair", "record"), ("d", "dispute", "record"), ("v", "repair-revocation", "w")]
    {
        assert_eq!(told.issuer(name, kind, about), None);
    }
    let empty = json!({});
    for (iss, kind, about, outcome) in [
        (ISSUER, "withdrawal", "w", Some("about-kind")),
        (ISSUER, "repair", "d", Some("about-kind")),
        (ISSUER, "repair-revocation", "record", Some("about-kind")),
        (ISSUER, "dispute-answer", "record", Some("about-kind")),
        (OTHER, "recognition", "record", Some("about-kind")),
        (OTHER, "recognition", "d", Some("about-kind")),
        (OTHER, "withdrawal", "record", Some("not-issuer")),
        (OTHER, "repair", "record", Some("not-issuer")),
        (OTHER, "repair-revocation", "w", Some("not-issuer")),
        (OTHER, "dispute-answer", "d", Some("not-issuer")),
        (ISSUER, "recognition", "w", Some("about-own")),
        (OTHER, "recognition", "w", None),
        (OTHER, "recognition", "v", None),
        (OTHER, "dispute", "record", None),
        // of one's own log all is known that stands below; of another's it may come
        (ISSUER, "repair", "nothing", Some("about-nothing")),
        (OTHER, "recognition", "nothing", Some("held")),
        (OTHER, "dispute", "nothing", Some("held")),
    ] {
        assert_eq!(told.try_say(&statement(iss, kind, about, &empty)), outcome, "{iss}: {kind} about {about}");
    }
    // the claim of another is taken up by the issuer
    assert_eq!(told.say("theirs", OTHER, "dispute", "record", &empty), None);
    assert_eq!(told.issuer("ours", "dispute", "theirs"), None);
}

#[test]
fn what_is_held_or_refused_cannot_be_built_upon() {
    for (target, outcome) in
        [(Target::Early, "held"), (Target::Refused, "about-refused"), (Target::Other, "about-kind")]
    {
        let mut told = Story::begin();
        told.lives.targets.insert(digest("record"), target);
        assert_eq!(told.issuer("r", "repair", "record"), Some(outcome));
    }
}

#[test]
fn subject_and_audience_are_those_of_the_record() {
    let mut told = Story::begin();
    let repair = || statement(ISSUER, "repair", "record", &json!({}));
    let other = Statement { sub: Some(Subject::Named { name: "别家有限公司".to_owned() }), ..repair() };
    assert_eq!(told.try_say(&other), Some("subject"));
    assert_eq!(told.try_say(&Statement { sub: None, ..repair() }), Some("subject"));
    let named = |readers: &[&str]| Audience::Named(readers.iter().map(|reader| reader.parse().unwrap()).collect());
    let to = |aud| Statement { aud, ..repair() };
    assert_eq!(told.try_say(&to(named(&["@delta"]))), Some("audience"));
    let addressed = Statement { aud: named(&["@delta", "310107"]), ..statement(ISSUER, "penalty", "", &json!({})) };
    told.lives.take_record(digest("record"), &addressed, place(), (1, 1));
    for (aud, outcome) in [
        (named(&["@delta"]), Some("audience")),
        (named(&["310107", "@delta"]), None),
        (named(&["310107", "@delta", "341200"]), None),
        (Audience::Everyone, None),
    ] {
        assert_eq!(told.try_say(&to(aud)), outcome);
    }
}

#[test]
fn a_version_that_comes_after_a_withdrawal_is_published_anew() {
    let mut told = Story::begin();
    assert_eq!(told.issuer("w", "withdrawal", "record"), None);
    let record = Statement { refs: Vec::new(), ..statement(ISSUER, "penalty", "", &json!({})) };
    let at = (1, told.next);
    told.lives.take_record(digest("anew"), &record, place(), at);
    told.next += 1;
    assert_eq!(told.issuer("r", "repair", "anew"), None);
    // whichever version is named: it is one record
    assert_eq!(told.issuer("s", "repair", "record"), Some("repaired"));
    assert_eq!(told.issuer("x", "withdrawal", "record"), None);
    assert_eq!(told.issuer("y", "withdrawal", "anew"), Some("withdrawn"));
}

#[test]
fn what_comes_later_in_the_log_does_not_count() {
    let mut told = Story::begin();
    told.next = 20;
    assert_eq!(told.issuer("r", "repair", "record"), None);
    told.next = 15;
    assert_eq!(told.try_say(&statement(ISSUER, "repair", "record", &json!({}))), None);
}

#[test]
fn a_shield_gives_way_to_a_repair_and_to_time() {
    let shield = |decided: &str, until: Option<&str>| {
        let mut body = json!({"type": "暂时屏蔽", "decided": decided});
        until.inspect(|until| body["until"] = json!(until));
        body
    };
    let mut told = Story::begin();
    let say = |told: &mut Story, name: &str, body: &Value| told.say(name, ISSUER, "repair", "record", body);
    assert_eq!(say(&mut told, "a", &shield("2026-01-01", Some("2026-06-30"))), None);
    assert_eq!(say(&mut told, "b", &shield("2026-06-30", Some("2026-12-31"))), Some("repaired"));
    assert_eq!(say(&mut told, "c", &shield("2026-07-01", None)), None);
    assert_eq!(say(&mut told, "d", &shield("2027-07-01", None)), Some("repaired"));
    assert_eq!(say(&mut told, "e", &json!({"type": "终止公示", "decided": "2026-08-01"})), None);
    assert_eq!(say(&mut told, "f", &json!({"type": "移出名单", "decided": "2026-08-01"})), Some("repaired"));
}

#[test]
fn an_application_goes_from_the_window_to_the_issuer_and_back() {
    let stage = |stage: &str| json!({"stage": stage});
    let mut told = Story::begin();
    let mut say =
        |name: &str, iss: &str, about: &str, what: &str| told.say(name, iss, "application", about, &stage(what));
    assert_eq!(say("own", ISSUER, "record", "filed"), Some("stage"));
    assert_eq!(say("early", ISSUER, "record", "accepted"), Some("stage"));
    assert_eq!(say("f", OTHER, "record", "filed"), None);
    for early in ["decided", "extended"] {
        assert_eq!(say("n", ISSUER, "f", early), Some("stage"), "{early}");
    }
    assert_eq!(say("a", ISSUER, "f", "accepted"), None);
    assert_eq!(say("b", ISSUER, "f", "accepted"), Some("stage"));
    assert_eq!(say("m", ISSUER, "f", "more"), None);
    assert_eq!(say("l", ISSUER, "f", "extended"), None);
    assert_eq!(say("k", ISSUER, "f", "extended"), Some("stage"));
    assert_eq!(say("x", "310107", "f", "supplied"), Some("stage"));
    assert_eq!(say("y", OTHER, "f", "accepted"), Some("stage"));
    assert_eq!(say("z", OTHER, "a", "supplied"), Some("stage"));
    assert_eq!(say("s", OTHER, "f", "supplied"), None);
    assert_eq!(say("d", ISSUER, "f", "decided"), None);
    assert_eq!(say("e", ISSUER, "f", "rejected"), Some("stage"));
    // who filed it takes it back, once, and says nothing of it behind that; the other side's log tells nothing of that
    for (iss, about) in [("310107", "f"), (ISSUER, "f"), (OTHER, "a"), (OTHER, "record")] {
        assert_eq!(say("n", iss, about, "withdrawn"), Some("stage"), "{iss}: {about}");
    }
    assert_eq!(say("w", OTHER, "f", "withdrawn"), None);
    for behind in ["withdrawn", "supplied"] {
        assert_eq!(say("n", OTHER, "f", behind), Some("stage"), "{behind}");
    }
    assert_eq!(say("g", OTHER, "record", "filed"), None);
    assert_eq!(say("v", OTHER, "g", "withdrawn"), None);
    assert_eq!(say("h", ISSUER, "g", "accepted"), None);
}
