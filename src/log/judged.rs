//! A statement of an own log, judged before it is signed and handed in. Only the judge makes one, so that the appender need
//! not judge it a second time, but for its place, which nobody knows before.

use std::sync::Arc;

use jiff::civil::Date;

use super::judge;
use super::origin::LogName;
use crate::clock::date_of;
use crate::statement::{Digest, Kind, Refused, Salt, SignError, SigningKey, Statement, Verified, envelope};
use crate::store::append::{Projection, RecordKey};

/// A statement that its kind finds good, yet to get its time, its salt and the version that it replaces.
#[derive(Debug)]
pub struct Sound {
    statement: Statement,
    found: Found,
    record: Option<RecordKey>,
}

/// A statement that its kind finds good, signed.
#[derive(Clone, Debug)]
pub struct Judged {
    verified: Verified,
    found: Found,
    projection: Projection,
}

/// By which kind, for which log and as of which day a statement was found good.
#[derive(Clone, Debug)]
struct Found {
    kind: Arc<Kind>,
    log: LogName,
    day: Date,
}

impl Sound {
    /// Judges what a statement of a log says, as if it were issued on a day.
    pub fn judge(kind: &Arc<Kind>, log: LogName, statement: Statement, day: Date) -> Result<Self, Refused> {
        if statement.typ != kind.typ {
            return Err(Refused::Typ);
        }
        judge::holds(kind, log, &statement, day)?;
        let record = judge::record_key(kind, &statement);
        Ok(Self { statement, found: Found { kind: Arc::clone(kind), log, day }, record })
    }

    /// Which record it is and what it says of it; None for what is no record.
    pub fn record(&self) -> Option<&RecordKey> {
        self.record.as_ref()
    }

    /// Signs it. `iat` is in seconds since 1970; the rules are held once more to another day than it was judged by.
    pub fn sign(self, key: &SigningKey, iat: i64, salt: Salt, prev: Option<Digest>) -> Result<Judged, SignError> {
        let Self { mut statement, mut found, record } = self;
        (statement.iat, statement.salt, statement.prev) = (iat, salt, prev);
        if date_of(iat) != found.day {
            found.day = date_of(iat);
            judge::holds(&found.kind, found.log, &statement, found.day)?;
        }
        let projection = judge::project(&statement, record);
        Ok(Judged { verified: envelope::sign(statement, key)?, found, projection })
    }
}

impl Judged {
    /// The statement.
    pub fn verified(&self) -> &Verified {
        &self.verified
    }

    /// As it was before it was signed: to be signed anew.
    pub fn unsigned(self) -> Sound {
        let statement = self.verified.statement().clone();
        Sound { statement, found: self.found, record: self.projection.record }
    }

    /// What the tables make of it, if it was judged by this kind and for this log.
    pub(super) fn projection(&self, kind: Option<&Arc<Kind>>, log: LogName) -> Option<&Projection> {
        let is_same = kind.is_some_and(|kind| kind.says_the_same_as(&self.found.kind)) && log == self.found.log;
        is_same.then_some(&self.projection)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use serde_json::json;

    use super::*;
    use crate::log::judge::{TOLERANCE, class_of, judge, judge_again};
    use crate::log::{Class, Place, Verdict};
    use crate::statement::{Audience, Kinds, Subject, Suite, Typ};

    /// 2026-05-28 in the Delta.
    const NOW: i64 = 1_780_000_000;

    fn registration(registered: &str) -> Statement {
        let body = json!({"name": "示例有限公司", "uscc": "91340500MA2EXAMP5W", "registered": registered});
        let (uscc, name) = ("91340500MA2EXAMP5W".to_owned(), "示例有限公司".to_owned());
        Statement {
            typ: Typ::first("registration"),
            iss: "340500".parse().unwrap(),
            iat: 0,
            aud: Audience::Everyone,
            salt: Salt([0; 16]),
            sub: Some(Subject::Enterprise { uscc, name }),
            prev: None,
            refs: vec![],
            body: body.as_object().unwrap().clone(),
        }
    }

    fn sound(kinds: &Kinds, registered: &str, day: Date) -> Result<Sound, Refused> {
        let kind = kinds.newest("registration").unwrap();
        Sound::judge(kind, LogName::Records, registration(registered), day)
    }

    fn key() -> SigningKey {
        SigningKey::generate(Suite::EdDsa, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn what_was_judged_before_is_accepted_like_anything_else_and_held_against_its_place() {
        let kinds = Kinds::builtin().unwrap();
        let sound = sound(&kinds, "2026-05-28", date_of(NOW)).unwrap();
        let judged = sound.sign(&key(), NOW, Salt([7; 16]), None).unwrap();
        let owner = "340500".parse().unwrap();
        let place = Place { owner: &owner, log: LogName::Records, max_iat: NOW, now: NOW };
        let verdict = judge_again(&kinds, &place, Class::Open, &judged);
        assert!(matches!(verdict, Verdict::Accepted(_)));
        let verified = judged.verified();
        assert_eq!(verdict, judge(&kinds, &place, class_of(&verified.statement().aud), verified));

        let other = "341200".parse().unwrap();
        for place in [
            Place { owner: &other, ..place },
            Place { log: LogName::Exchange, ..place },
            Place { max_iat: NOW + TOLERANCE + 1, ..place },
            Place { now: NOW - TOLERANCE - 1, ..place },
        ] {
            let verdict = judge_again(&kinds, &place, Class::Open, &judged);
            assert!(!matches!(verdict, Verdict::Accepted(_)), "{place:?}");
            assert_eq!(verdict, judge(&kinds, &place, Class::Open, verified));
        }
        assert_eq!(judge_again(&kinds, &place, Class::Addressed, &judged), Verdict::Refused(Refused::Class));
    }

    #[test]
    fn what_its_kind_refuses_is_never_signed() {
        let kinds = Kinds::builtin().unwrap();
        let later = date_of(NOW + 5 * 86_400);
        assert!(matches!(sound(&kinds, "2026-05-30", date_of(NOW)), Err(Refused::Rule(_))));
        // found good as of a later day than it is issued on
        let early = sound(&kinds, "2026-05-30", later).unwrap();
        let signed = early.sign(&key(), NOW, Salt([7; 16]), None);
        assert!(matches!(signed, Err(SignError::Refused(Refused::Rule(_)))));
        let due = sound(&kinds, "2026-05-30", later).unwrap();
        assert!(due.sign(&key(), NOW + 5 * 86_400, Salt([7; 16]), None).is_ok());
        let kind = kinds.newest("penalty").unwrap();
        let other = Sound::judge(kind, LogName::Records, registration("2026-05-28"), date_of(NOW));
        assert_eq!(other.err(), Some(Refused::Typ));
    }

    #[test]
    fn what_is_signed_anew_says_the_same() {
        let kinds = Kinds::builtin().unwrap();
        let sign = |sound: Sound, iat| sound.sign(&key(), iat, Salt([7; 16]), None).unwrap();
        let first = sign(sound(&kinds, "2026-05-28", date_of(NOW)).unwrap(), NOW);
        let body = first.verified().statement().body.clone();
        let record = first.projection.record;
        let second = sign(first.unsigned(), NOW + 60);
        assert_eq!((&second.verified().statement().body, second.projection.record), (&body, record));
        assert_eq!(second.verified().statement().iat, NOW + 60);
    }
}
