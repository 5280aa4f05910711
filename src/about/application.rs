//! An application for a repair at another city's window, as both sides have told it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::clock::date_of;
use crate::log::event::{Lives, RecordPlace};
use crate::record::application::{Side, Step, side};
use crate::record::date;
use crate::record::event::Stage;
use crate::statement::{Digest, NodeId, Statement};
use crate::store::application::OfApplication;

/// An application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its digest, as filed.
    pub digest: Digest,
    /// What was filed.
    pub filed: Statement,
    /// The record.
    pub place: RecordPlace,
    /// What was said of it, from the filing on: each side in its order, the two by their times.
    pub said: Vec<(Digest, Statement)>,
}

/// A file that an application names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// SHA-256 of the sealed file.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What it is called, for everybody.
    pub title: Option<String>,
}

impl Application {
    /// The one of this digest among what was read of it.
    pub fn of(lives: &Lives, digest: &Digest) -> Option<Self> {
        Self::in_life(lives, lives.place_of(digest)?, digest)
    }

    /// The one of this digest in what was said about a record.
    pub fn in_life(lives: &Lives, place: &RecordPlace, digest: &Digest) -> Option<Self> {
        let said = &lives.lives.get(place)?.said;
        let filed = said.iter().find(|said| said.digest == *digest && stage(&said.statement) == Some(Stage::Filed))?;
        let mut told = said.iter().map(|said| (said.digest, said.statement.clone()));
        Some(Self::new(*digest, filed.statement.clone(), place.clone(), &mut told))
    }

    /// All of them, the oldest first.
    pub fn all(told: Vec<OfApplication>) -> Vec<Self> {
        let mut filed = Vec::new();
        let mut about: HashMap<Digest, Vec<(Digest, Statement)>> = HashMap::new();
        for one in told {
            match (stage(&one.statement), one.statement.refs.first()) {
                (Some(Stage::Filed), _) => filed.push(one),
                (_, Some(of)) => about.entry(*of).or_default().push((one.digest, one.statement)),
                (_, None) => {}
            }
        }
        // a statement may stand in a log twice
        let mut known = HashSet::new();
        filed.retain(|one: &OfApplication| known.insert(one.digest));
        let with_told = |one: OfApplication| {
            let told = about.remove(&one.digest).unwrap_or_default();
            Self::new(one.digest, one.statement, one.place, &mut told.into_iter())
        };
        let mut all: Vec<Self> = filed.into_iter().map(with_told).collect();
        all.sort_by_key(|application| application.filed.iat);
        all
    }

    fn new(
        digest: Digest,
        filed: Statement,
        place: RecordPlace,
        told: &mut dyn Iterator<Item = (Digest, Statement)>,
    ) -> Self {
        let mut sides: [Vec<(Digest, Statement)>; 2] = [Vec::new(), Vec::new()];
        for (said, statement) in told {
            let known = sides.iter().flatten().any(|(known, _)| *known == said);
            let Some(of) = stage(&statement).filter(|_| statement.refs.first() == Some(&digest) && !known) else {
                continue;
            };
            sides[usize::from(side(of) == Side::Decider)].push((said, statement));
        }
        let [windows, deciders] = sides;
        let (mut windows, mut deciders) = (windows.into_iter().peekable(), deciders.into_iter().peekable());
        let mut said = vec![(digest, filed.clone())];
        loop {
            let count = |of| said.iter().filter(|(_, statement)| stage(statement) == Some(of)).count();
            // whatever the clocks say, it was asked for before it was supplied
            let unasked = count(Stage::Supplied) >= count(Stage::More);
            let first = match (windows.peek(), deciders.peek()) {
                (Some((_, window)), Some((_, decider)))
                    if decider.iat < window.iat || unasked && stage(window) == Some(Stage::Supplied) =>
                {
                    deciders.next()
                }
                (Some(_), _) => windows.next(),
                (None, _) => deciders.next(),
            };
            let Some(first) = first else { break };
            said.push(first);
        }
        Self { digest, filed, place, said }
    }

    /// The city where the enterprise is.
    pub fn window(&self) -> &NodeId {
        &self.filed.iss
    }

    /// The city whose record it is.
    pub fn decider(&self) -> &NodeId {
        &self.place.issuer
    }

    /// The node of a side.
    pub fn node(&self, side: Side) -> &NodeId {
        match side {
            Side::Window => self.window(),
            Side::Decider => self.decider(),
        }
    }

    /// The record, in the version that was named.
    pub fn record(&self) -> Option<Digest> {
        self.filed.refs.first().copied()
    }

    /// What was said of it, as its course depends on it.
    pub fn steps(&self) -> Vec<Step> {
        self.said.iter().filter_map(|(_, statement)| step(statement)).collect()
    }

    /// The files that it names, filed with it or supplied.
    pub fn attachments(&self) -> Vec<Attachment> {
        let mut all: Vec<Attachment> = Vec::new();
        for attachment in self.said.iter().flat_map(|(_, statement)| attachments(statement)) {
            if all.iter().all(|known| known.digest != attachment.digest) {
                all.push(attachment);
            }
        }
        all
    }

    /// When it was rejected or decided, or taken back by then; seconds since 1970.
    pub fn ended(&self) -> Option<i64> {
        let ends = || self.said.iter().filter(|(_, said)| stage(said).is_some_and(Stage::is_last));
        let of_decider = ends().find(|(_, said)| stage(said).map(side) == Some(Side::Decider));
        of_decider.or_else(|| ends().next()).map(|(_, said)| said.iat)
    }
}

/// The stage that a statement says.
pub fn stage(statement: &Statement) -> Option<Stage> {
    let is_one = statement.typ.kind == "application";
    statement.body.get("stage").and_then(Value::as_str).and_then(Stage::parse).filter(|_| is_one)
}

/// The step that a statement is.
pub fn step(statement: &Statement) -> Option<Step> {
    let stage = stage(statement)?;
    let until = statement.body.get("deadline").and_then(Value::as_str).and_then(date::parse_canonical);
    Some(Step { stage, day: date_of(statement.iat), until: until.filter(|_| stage == Stage::More) })
}

fn attachments(statement: &Statement) -> Vec<Attachment> {
    // only the window's files are the application's
    let of_window = stage(statement).is_some_and(|stage| side(stage) == Side::Window);
    let named = statement.body.get("attachments").and_then(Value::as_array).filter(|_| of_window);
    let read = |one: &Value| {
        Some(Attachment {
            digest: one["digest"].as_str()?.parse().ok()?,
            size: one["size"].as_u64()?,
            title: one["name"].as_str().map(str::to_owned),
        })
    };
    named.into_iter().flatten().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::statement::{Audience, Salt, Typ};

    fn said(iss: &str, iat: i64, about: u8, body: &Value) -> Statement {
        Statement {
            typ: Typ::first("application"),
            iss: iss.parse().unwrap(),
            iat,
            aud: Audience::Everyone,
            salt: Salt([0; 16]),
            sub: None,
            prev: None,
            refs: vec![Digest([about; 32])],
            body: body.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn what_both_sides_said_is_told_in_order_and_once() {
        let place = RecordPlace { issuer: "340500".parse().unwrap(), kind: "penalty".to_owned(), identity: [0; 32] };
        let file = |n: u8| json!({"digest": Digest([n; 32]).to_string(), "size": n, "name": "示例"});
        let told = [
            (5, said("340500", 30, 2, &json!({"stage": "more", "reason": "示例"}))),
            (7, said("340500", 50, 2, &json!({"stage": "rejected"}))),
            (2, said("310107", 10, 1, &json!({"stage": "filed", "attachments": [file(8)]}))),
            // by the window's clock before it was asked for
            (6, said("310107", 20, 2, &json!({"stage": "supplied", "attachments": [file(9), file(8)]}))),
            (6, said("310107", 20, 2, &json!({"stage": "supplied"}))),
            (2, said("310107", 10, 1, &json!({"stage": "filed"}))),
            (3, said("310107", 5, 1, &json!({"stage": "filed"}))),
            (9, said("340500", 5, 4, &json!({"stage": "accepted"}))),
            // taken back before it was heard that it was rejected
            (8, said("310107", 45, 2, &json!({"stage": "withdrawn"}))),
            (4, said("310107", 60, 3, &json!({"stage": "withdrawn"}))),
        ];
        let told =
            told.map(|(n, statement)| OfApplication { digest: Digest([n; 32]), statement, place: place.clone() });
        let all = Application::all(told.to_vec());
        assert_eq!(all.iter().map(|one| one.digest.0[0]).collect::<Vec<_>>(), [3, 2]);
        let one = &all[1];
        assert_eq!(one.said.iter().map(|(digest, _)| digest.0[0]).collect::<Vec<_>>(), [2, 5, 6, 8, 7]);
        let files: Vec<u64> = one.attachments().iter().map(|file| file.size).collect();
        assert_eq!((files, one.ended(), all[0].ended()), (vec![8, 9], Some(50), Some(60)));
        assert_eq!((one.window().as_str(), one.decider().as_str()), ("310107", "340500"));
    }
}
