//! Events: what may be said about a record, or about what was said of it, after what was said before.
//!
//! An event names one statement in `ref`. It is judged by that statement and by the *life* of the record that both are
//! about: all events about any of its versions. What only an issuer may say about its own statements depends on its log
//! alone, below the event's index, so every mirror comes to the same end; neither rules of dates nor policies are asked
//! here, since those are each node's own. What others say about a statement waits until that statement is seen.

use std::collections::HashMap;

use super::judge::NotAccepted;
use crate::record::{Event, Facts, Place, Said as Told};
use crate::statement::kind::{About, By};
use crate::statement::{Audience, Digest, Kind, NodeId, NotAbout, Statement};

/// Under which a record stands: its issuer, its kind and its identity there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordPlace {
    /// Who issued it.
    pub issuer: NodeId,
    /// Its kind.
    pub kind: String,
    /// SHA-256 over the identifying members.
    pub identity: [u8; 32],
}

/// Where an entry stands among those of its issuer: generation and index.
pub type At = (u32, u64);

/// The statement that an event is about, as far as it is known here.
#[derive(Clone, Debug)]
pub enum Target {
    /// It is accepted.
    Here(Box<Statement>, RecordPlace),
    /// It is accepted, and no record or event.
    Other,
    /// It is held, or its body is not here.
    Early,
    /// It was refused.
    Refused,
}

/// An event that was accepted.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its digest.
    pub digest: Digest,
    /// Where it stands in its issuer's log.
    pub at: At,
    /// What it says.
    pub statement: Statement,
}

/// What was said about a record.
#[derive(Clone, Debug, Default)]
pub struct Life {
    /// Where its current version stands: what was withdrawn before that counts no more.
    pub version: Option<At>,
    /// Events about any of its versions.
    pub said: Vec<Said>,
}

/// What events are judged by: the statements that they are about and the lives of those records, before and among them.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    /// By digest; one that is not known here is missing.
    pub targets: HashMap<Digest, Target>,
    /// By record.
    pub lives: HashMap<RecordPlace, Life>,
}

/// Why an event waits.
pub const NOT_SEEN: &str = "the statement that it is about was not seen yet";
/// Why an event waits whose target is held or withheld.
pub const NOT_READ: &str = "the statement that it is about is held itself, or its body is not here";

impl Lives {
    /// Judges an event that its kind finds good, at its place in its issuer's log; gives the record that it is about.
    pub fn judge(&self, about: &About, statement: &Statement, at: At) -> Result<RecordPlace, NotAccepted> {
        let refused = |why: NotAbout| NotAccepted::Refused(why.into());
        let named = statement.refs.first().and_then(|digest| self.targets.get(digest));
        let (target, place) = match named {
            Some(Target::Here(target, place)) => (target, place),
            Some(Target::Early) => return Err(NotAccepted::Held(NOT_READ.to_owned())),
            Some(Target::Refused) => return Err(refused(NotAbout::Refused)),
            Some(Target::Other) => return Err(refused(NotAbout::Kind)),
            // of one's own log all that stands below is known; of an older generation, or another's, it may come
            None if about.by == By::Issuer && at.0 == 1 => return Err(refused(NotAbout::Nothing)),
            None => return Err(NotAccepted::Held(NOT_SEEN.to_owned())),
        };
        may_be_about(about, statement, target, place).map_err(refused)?;
        let none = Life::default();
        let life = self.lives.get(place).unwrap_or(&none);
        life.allows(statement, target, place, at).map_err(refused)?;
        Ok(place.clone())
    }

    /// An event was accepted: what comes behind it may be about it.
    pub fn take(&mut self, digest: Digest, statement: &Statement, place: RecordPlace, at: At) {
        self.targets.insert(digest, Target::Here(Box::new(statement.clone()), place.clone()));
        self.lives.entry(place).or_default().said.push(Said { digest, at, statement: statement.clone() });
    }

    /// A record was accepted that something behind it is about.
    pub fn take_record(&mut self, digest: Digest, statement: &Statement, place: RecordPlace, at: At) {
        self.targets.insert(digest, Target::Here(Box::new(statement.clone()), place.clone()));
        self.take_version(place, at);
    }

    /// A version of a record was accepted that itself is named by nothing here: what was withdrawn before counts no more.
    pub fn take_version(&mut self, place: RecordPlace, at: At) {
        self.lives.entry(place).or_default().version = Some(at);
    }

    /// The record that a statement of this digest is about, or is.
    pub fn place_of(&self, digest: &Digest) -> Option<&RecordPlace> {
        if let Some(Target::Here(_, place)) = self.targets.get(digest) { Some(place) } else { None }
    }
}

/// The digest that an event names.
pub fn named(kind: &Kind, statement: &Statement) -> Option<Digest> {
    kind.about.as_ref().and_then(|_| statement.refs.first().copied())
}

/// Under which a statement stands, where it is a record.
pub fn place_of(kind: &Kind, statement: &Statement) -> Option<RecordPlace> {
    let identity = kind.identity_of(statement)?;
    Some(RecordPlace { issuer: statement.iss.clone(), kind: statement.typ.kind.clone(), identity })
}

/// What does not depend on what was said before: kind, issuer, subject, audience.
fn may_be_about(about: &About, event: &Statement, target: &Statement, place: &RecordPlace) -> Result<(), NotAbout> {
    let is_record = target.typ.kind == place.kind;
    if !about.takes(&target.typ.kind, is_record) {
        return Err(NotAbout::Kind);
    }
    match about.by {
        By::Issuer if target.iss != event.iss => return Err(NotAbout::NotIssuer),
        By::Others if target.iss == event.iss => return Err(NotAbout::Own),
        _ => {}
    }
    if event.sub.as_ref().map(|sub| sub.key()) != target.sub.as_ref().map(|sub| sub.key()) {
        return Err(NotAbout::Subject);
    }
    if !contains(&event.aud, &target.aud) {
        return Err(NotAbout::Audience);
    }
    Ok(())
}

/// Whether whoever may hold the other may hold this one.
fn contains(aud: &Audience, other: &Audience) -> bool {
    match (aud, other) {
        (Audience::Everyone, _) => true,
        (Audience::Named(_), Audience::Everyone) => false,
        (Audience::Named(these), Audience::Named(those)) => those.iter().all(|reader| these.contains(reader)),
    }
}

/// What of a version of a record its standing depends on.
pub fn facts(record: &Statement, at: At, current: bool) -> Facts {
    Facts::of(&record.typ.kind, &record.iss, place(at), &record.body, current)
}

fn place((generation, index): At) -> Place {
    Place { generation: generation.into(), index }
}

impl Life {
    /// What was said, as a standing depends on it.
    pub fn told(&self) -> Vec<Told> {
        let told = self.said.iter().filter_map(|said| {
            let statement = &said.statement;
            let event = Event::of(&statement.typ.kind, &statement.refs, &statement.body)?;
            Some(Told { digest: said.digest, by: statement.iss.clone(), place: place(said.at), event })
        });
        told.collect()
    }

    /// What depends on what was said before.
    fn allows(&self, event: &Statement, target: &Statement, place: &RecordPlace, at: At) -> Result<(), NotAbout> {
        let before = Before { life: self, issuer: &place.issuer, at };
        let named = event.refs.first();
        match event.typ.kind.as_str() {
            "withdrawal" if before.is_withdrawn() => Err(NotAbout::Withdrawn),
            "repair" if before.is_withdrawn() => Err(NotAbout::Withdrawn),
            "repair" if before.is_repaired(event) => Err(NotAbout::Repaired),
            "repair-revocation" if before.any("repair-revocation", named) => Err(NotAbout::Revoked),
            "dispute-answer" if before.any("dispute-answer", named) => Err(NotAbout::Answered),
            // one's own dispute is no answer to what another claims, and a claim of others is taken up once
            "dispute" if target.typ.kind == "dispute" && target.iss == event.iss => Err(NotAbout::Own),
            "application" => before.application(event, target, place),
            _ => Ok(()),
        }
    }
}

/// What the record's issuer had said below an entry of its log, and others anywhere.
struct Before<'a> {
    life: &'a Life,
    issuer: &'a NodeId,
    at: At,
}

impl Before<'_> {
    fn said(&self, kind: &str) -> impl Iterator<Item = &Said> {
        self.life.said.iter().filter(move |said| {
            said.statement.typ.kind == kind && (said.statement.iss != *self.issuer || said.at < self.at)
        })
    }

    fn any(&self, kind: &str, about: Option<&Digest>) -> bool {
        self.said(kind).any(|said| said.statement.iss == *self.issuer && said.statement.refs.first() == about)
    }

    fn is_withdrawn(&self) -> bool {
        // a version that came later was published anew
        let from = self.life.version.filter(|version| *version < self.at);
        self.said("withdrawal").any(|said| from.is_none_or(|version| said.at > version))
    }

    /// Whether a repair stands that leaves nothing for this one to do. One that shields for a time gives way to another type,
    /// and to one that is decided when its time is over.
    fn is_repaired(&self, repair: &Statement) -> bool {
        let text = |statement: &Statement, member: &str| statement.body.get(member)?.as_str().map(str::to_owned);
        let shields = |statement: &Statement| text(statement, "type").as_deref() == Some(SHIELDING);
        self.said("repair").filter(|said| !self.any("repair-revocation", Some(&said.digest))).any(|said| {
            !shields(&said.statement)
                || shields(repair)
                    && text(&said.statement, "until")
                        .is_none_or(|until| text(repair, "decided").is_some_and(|decided| decided <= until))
        })
    }

    /// The stages of an application: filed, supplied and withdrawn at the window, the others by the record's issuer.
    fn application(&self, event: &Statement, target: &Statement, place: &RecordPlace) -> Result<(), NotAbout> {
        let stage = |statement: &Statement| statement.body.get("stage").and_then(|s| s.as_str()).map(str::to_owned);
        let (this, about_record) = (stage(event).unwrap_or_default(), target.typ.kind == place.kind);
        let by_issuer = event.iss == place.issuer;
        let fits = match this.as_str() {
            "filed" => about_record && !by_issuer,
            _ if about_record || stage(target).as_deref() != Some("filed") => false,
            "supplied" | "withdrawn" => event.iss == target.iss,
            _ => by_issuer,
        };
        // what each side says follows from its own log alone; what the two say to each other does not
        let own = self.said("application").filter(|said| said.statement.iss == event.iss && said.at < self.at);
        let about_this = own.filter(|said| said.statement.refs.first() == event.refs.first());
        let before: Vec<String> = about_this.filter_map(|said| stage(&said.statement)).collect();
        let was = |stage: &str| before.iter().any(|before| before == stage);
        let ended = ["rejected", "decided", "withdrawn"].into_iter().any(was);
        let follows = !ended
            && match this.as_str() {
                "accepted" => !was("accepted"),
                "extended" => was("accepted") && !was("extended"),
                "decided" => was("accepted"),
                _ => true,
            };
        if fits && follows { Ok(()) } else { Err(NotAbout::Stage) }
    }
}

/// 暂时屏蔽: a repair for some time.
const SHIELDING: &str = "暂时屏蔽";

#[cfg(test)]
mod tests;
