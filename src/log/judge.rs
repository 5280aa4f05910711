//! Judging a verified statement at its place in a log: accepted, held or refused.
//!
//! Refused is only what no later knowledge can mend. What is merely early is held and judged again. The rules look at
//! the log and the statement alone, so that every node comes to the same end about a refusal.

use jiff::civil::Date;

use super::origin::LogName;
use super::{Class, Judged};
use crate::clock::date_of;
use crate::statement::{Audience, Kind, Kinds, NodeId, Refused, Statement, Typ, Verified};
use crate::store::append::{Early, Projection, RecordKey};

/// How far `iat` may lie below an earlier one of its log, and above the clock, in seconds.
pub const TOLERANCE: i64 = 300;

/// What is known of the log when an entry is judged.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose log it is.
    pub owner: &'a NodeId,
    /// Which of its logs.
    pub log: LogName,
    /// The highest `iat` before this entry.
    pub max_iat: i64,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// What comes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds, and this is what the tables make of it.
    Accepted(Projection),
    /// It is early; to be judged again.
    Held(Early),
    /// It is refused for good.
    Refused(Refused),
}

/// Why a statement is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAccepted {
    /// It is early, for the reason given; to be judged again.
    Held(String),
    /// It is refused for good.
    Refused(Refused),
}

impl From<Refused> for NotAccepted {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Judges a verified statement at its place, and says what the tables make of it. Whether an event may be said of what it
/// names is for [`super::event`] to say.
pub fn judge(kinds: &Kinds, place: &Place<'_>, class: Class, verified: &Verified) -> Verdict {
    match accept(kinds, place, class, verified) {
        Ok(kind) => {
            let statement = verified.statement();
            Verdict::Accepted(project(statement, record_key(kind, statement)))
        }
        Err(NotAccepted::Held(why)) => {
            let statement = verified.statement();
            let identity = kinds.find(&statement.typ).and_then(|kind| kind.identity_of(statement));
            Verdict::Held(Early { why, identity })
        }
        Err(NotAccepted::Refused(refused)) => Verdict::Refused(refused),
    }
}

/// Judges at its place what was judged before: all of it only where that was by another kind or for another log.
pub fn judge_again(kinds: &Kinds, place: &Place<'_>, class: Class, judged: &Judged) -> Verdict {
    let statement = judged.verified().statement();
    let Some(projection) = judged.projection(kinds.find(&statement.typ), place.log) else {
        return judge(kinds, place, class, judged.verified());
    };
    match fits(place, class, statement).map_err(NotAccepted::from).and_then(|()| is_due(place, statement)) {
        Ok(()) => Verdict::Accepted(projection.clone()),
        Err(NotAccepted::Held(why)) => {
            Verdict::Held(Early { why, identity: projection.record.map(|key| key.identity) })
        }
        Err(NotAccepted::Refused(refused)) => Verdict::Refused(refused),
    }
}

/// Judges a verified statement at its place: issuer, class, `iat`, kind, schema and rules.
///
/// Whether `prev` is current is for the store's transaction to say.
pub fn accept<'k>(
    kinds: &'k Kinds,
    place: &Place<'_>,
    class: Class,
    verified: &Verified,
) -> Result<&'k Kind, NotAccepted> {
    let statement = verified.statement();
    fits(place, class, statement)?;
    let Some(kind) = kinds.find(&statement.typ) else {
        let Typ { kind, version } = &statement.typ;
        return Err(NotAccepted::Held(format!("kind {kind} version {version} is not known here")));
    };
    // the day of its iat, not of today: every node must come to the same end
    holds(kind, place.log, statement, date_of(statement.iat))?;
    // last, so that a clock can only put off what will be accepted
    is_due(place, statement)?;
    Ok(kind)
}

/// What its kind says of a statement, wherever it stands in a log.
pub(super) fn holds(kind: &Kind, log: LogName, statement: &Statement, day: Date) -> Result<(), Refused> {
    if log == LogName::Exchange && kind.is_record {
        return Err(Refused::WrongLog);
    }
    kind.validate(statement, day)
}

fn is_due(place: &Place<'_>, statement: &Statement) -> Result<(), NotAccepted> {
    if statement.iat > place.now.saturating_add(TOLERANCE) {
        return Err(NotAccepted::Held(format!("issued {} s ahead of the clock", statement.iat - place.now)));
    }
    Ok(())
}

/// What can be judged without knowing the kind.
fn fits(place: &Place<'_>, class: Class, statement: &Statement) -> Result<(), Refused> {
    if statement.iss != *place.owner {
        return Err(Refused::Issuer);
    }
    if class != class_of(&statement.aud) {
        return Err(Refused::Class);
    }
    // a descriptor is made where the root key is, and its sequence orders it; nobody who puts a log's time ahead may keep
    // its owner from declaring keys compromised
    if statement.typ.kind != "descriptor" && statement.iat < place.max_iat.saturating_sub(TOLERANCE) {
        return Err(Refused::Backdated);
    }
    match log_of(&statement.typ.kind) {
        Some(log) if log != place.log => Err(Refused::WrongLog),
        _ => Ok(()),
    }
}

/// The class of an entry for this audience.
pub fn class_of(audience: &Audience) -> Class {
    match audience {
        Audience::Everyone => Class::Open,
        Audience::Named(_) => Class::Addressed,
    }
}

/// The one log that a kind belongs to; None for a descriptor, which is in both, and for a kind that the protocol does not
/// name: such a one may become a record kind here later.
fn log_of(kind: &str) -> Option<LogName> {
    match kind {
        "query" | "answer" | "receipt" | "change" | "members" => Some(LogName::Exchange),
        "withdrawal" | "dispute" | "dispute-answer" | "repair" | "repair-revocation" | "application"
        | "recognition" | "erasure" | "release" | "fork" => Some(LogName::Records),
        _ => None,
    }
}

/// What an accepted statement projects into the tables.
pub(super) fn project(statement: &Statement, record: Option<RecordKey>) -> Projection {
    Projection {
        subject: statement.sub.as_ref().map(|sub| (sub.key(), sub.name().to_owned())),
        record,
        prev: statement.prev,
        refs: statement.refs.clone(),
        about: None,
    }
}

/// Which record it is and what it says of it.
pub(super) fn record_key(kind: &Kind, statement: &Statement) -> Option<RecordKey> {
    kind.identity_of(statement).map(|identity| RecordKey { identity, content: kind.content_of(statement) })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::LazyLock;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use serde_json::{Value, json};

    use super::*;
    use crate::statement::{KeyRing, Salt, SigningKey, Subject, Suite, Typ, Unverified, envelope};

    const NOW: i64 = 1_780_000_000;

    static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::builtin().unwrap());

    fn statement(kind: &str, body: &Value) -> Statement {
        Statement {
            typ: Typ::first(kind),
            iss: "340500".parse().unwrap(),
            iat: NOW,
            aud: Audience::Everyone,
            salt: Salt([7; 16]),
            sub: None,
            prev: None,
            refs: vec![],
            body: body.as_object().unwrap().clone(),
        }
    }

    fn registration() -> Statement {
        let mut statement = statement("registration", &json!({"name": "示例有限公司", "uscc": "91340500MA2EXAMP5W"}));
        let (uscc, name) = ("91340500MA2EXAMP5W".to_owned(), "示例有限公司".to_owned());
        statement.sub = Some(Subject::Enterprise { uscc, name });
        statement
    }

    fn verdict_at(place: &Place<'_>, class: Class, statement: Statement) -> Verdict {
        let key = SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(1));
        let ring = KeyRing {
            issuer: statement.iss.clone(),
            root: key.public().clone(),
            sign: HashMap::from([(key.public().kid().to_owned(), key.public().clone())]),
        };
        let signed = envelope::sign(statement, &key).unwrap();
        judge(&KINDS, place, class, &Unverified::parse(signed.jws()).unwrap().verify(&ring).unwrap())
    }

    fn verdict(log: LogName, statement: Statement) -> Verdict {
        let owner = "340500".parse().unwrap();
        let class = class_of(&statement.aud);
        verdict_at(&Place { owner: &owner, log, max_iat: NOW, now: NOW }, class, statement)
    }

    fn refused(verdict: &Verdict) -> Option<&'static str> {
        if let Verdict::Refused(refused) = verdict { Some(refused.code()) } else { None }
    }

    #[test]
    fn a_record_is_accepted_with_what_it_projects() {
        let Verdict::Accepted(projection) = verdict(LogName::Records, registration()) else { panic!("not accepted") };
        assert_eq!(projection.subject, Some(("91340500MA2EXAMP5W".to_owned(), "示例有限公司".to_owned())));
        let key = projection.record.unwrap();
        let mut changed = registration();
        changed.body.insert("region".to_owned(), "示例区".into());
        let Verdict::Accepted(other) = verdict(LogName::Records, changed) else { panic!("not accepted") };
        assert_eq!(other.record.unwrap().identity, key.identity);
        assert_ne!(other.record.unwrap().content, key.content);
    }

    #[test]
    fn only_the_owner_speaks_in_its_log_and_the_class_is_that_of_the_audience() {
        let other = Statement { iss: "341200".parse().unwrap(), ..registration() };
        assert_eq!(refused(&verdict(LogName::Records, other)), Some("issuer"));
        let owner = "340500".parse().unwrap();
        let place = Place { owner: &owner, log: LogName::Records, max_iat: 0, now: NOW };
        assert_eq!(refused(&verdict_at(&place, Class::Addressed, registration())), Some("class"));
        let addressed = Statement { aud: Audience::Named(vec!["@delta".parse().unwrap()]), ..registration() };
        assert_eq!(refused(&verdict_at(&place, Class::Open, addressed.clone())), Some("class"));
        assert!(matches!(verdict_at(&place, Class::Addressed, addressed), Verdict::Accepted(_)));
    }

    #[test]
    fn what_is_backdated_is_refused_and_what_is_early_is_held() {
        let at = |iat| verdict(LogName::Records, Statement { iat, ..registration() });
        assert_eq!(refused(&at(NOW - TOLERANCE - 1)), Some("backdated"));
        assert!(matches!(at(NOW - TOLERANCE), Verdict::Accepted(_)));
        assert!(matches!(at(NOW + TOLERANCE), Verdict::Accepted(_)));
        assert!(matches!(at(NOW + TOLERANCE + 1), Verdict::Held(_)));
    }

    #[test]
    fn each_kind_stands_in_its_log() {
        let of = |log, kind| verdict(log, statement(kind, &json!({})));
        for kind in ["query", "answer", "receipt", "change", "members"] {
            assert_eq!(refused(&of(LogName::Records, kind)), Some("wrong-log"), "{kind}");
            assert_ne!(refused(&of(LogName::Exchange, kind)), Some("wrong-log"), "{kind}");
        }
        for kind in ["withdrawal", "repair", "recognition", "erasure", "fork", "penalty", "registration"] {
            assert_eq!(refused(&of(LogName::Exchange, kind)), Some("wrong-log"), "{kind}");
            assert_ne!(refused(&of(LogName::Records, kind)), Some("wrong-log"), "{kind}");
        }
        for log in [LogName::Records, LogName::Exchange] {
            assert_ne!(refused(&of(log, "descriptor")), Some("wrong-log"));
            assert!(matches!(of(log, "not-known-yet"), Verdict::Held(_)));
        }
        let newer = Statement { typ: Typ { version: 99, ..Typ::first("penalty") }, ..registration() };
        assert!(matches!(verdict(LogName::Records, newer), Verdict::Held(_)));
    }

    #[test]
    fn a_body_is_judged_by_schema_and_rules_as_of_its_own_day() {
        let with = |name: &str, value: Value| {
            let mut statement = registration();
            statement.body.insert(name.to_owned(), value);
            verdict(LogName::Records, statement)
        };
        assert_eq!(refused(&with("unknown", json!("x"))), Some("schema"));
        assert_eq!(refused(&with("region", json!(7))), Some("schema"));
        assert_eq!(refused(&with("uscc", json!("91340500MA2EXAMP5X"))), Some("rule"));
        // 2026-05-28 in the Delta, when it was issued; what lies behind that day has not happened
        assert!(matches!(with("registered", json!("2026-05-28")), Verdict::Accepted(_)));
        assert_eq!(refused(&with("registered", json!("2026-05-30"))), Some("rule"));
        let other = Statement { sub: Some(Subject::Named { name: "示例有限公司".to_owned() }), ..registration() };
        assert_eq!(refused(&verdict(LogName::Records, other)), Some("rule"));
    }
}
