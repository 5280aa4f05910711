//! An event about a record: what it is about is looked up, whether it may be said is judged, and it is signed and appended.

use std::collections::HashSet;

use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SayError;
use super::find::{Finder, Sought, words};
use super::may::{MayNot, may_be_said};
use crate::clock::Clock;
use crate::in_force::InForce;
use crate::log::appender::{AppendError, Appender, Said};
use crate::log::event::{Lives, RecordPlace, Target};
use crate::record::Rules;
use crate::statement::kind::About;
use crate::statement::{Digest, Kind, NodeId, NotAbout, Refused, Salt, Statement, envelope};
use crate::store::Db;

/// How often a key may be rotated under events' feet.
pub(super) const TRIES: usize = 10;

/// Says things about records in a node's name. Cheap to clone.
#[derive(Clone)]
pub struct Office {
    /// The store.
    pub db: Db,
    /// The node.
    pub node: NodeId,
    /// By which a repair is allowed.
    pub rules: InForce<Rules>,
    /// The appender of the node's records log.
    pub records: Appender,
    /// The time.
    pub clock: Clock,
    /// Who works there, as the store keeps it beside what is said.
    pub operator: Option<String>,
}

/// What an event is about, as it is named.
#[derive(Clone, Debug)]
pub enum Named {
    /// A statement by its digest.
    Digest(Digest),
    /// A record of this node by what offices name it by.
    Record(Sought),
}

/// An event that was said, or may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spoken {
    /// Its digest; None where it was not said.
    pub digest: Option<Digest>,
    /// Where it stands in the node's records log.
    pub index: Option<u64>,
    /// Its kind.
    pub kind: String,
    /// The statement that it is about.
    pub about: Digest,
    /// The kind of the record that it is about.
    pub record: String,
    /// What tells the statement that it is about from others.
    pub words: String,
    /// The key of the record's subject.
    pub subject: Option<String>,
    /// The name of the record's subject.
    pub name: Option<String>,
    /// What it says.
    pub body: Map<String, Value>,
}

/// What an event will be about.
struct Subject {
    digest: Digest,
    statement: Statement,
    place: RecordPlace,
    lives: Lives,
}

impl Office {
    /// Says an event of a kind, or only whether it may be said. A crash leaves it said or not; said twice, the second is
    /// refused.
    pub async fn say(
        &self,
        kind: &Kind,
        named: &Named,
        body: Map<String, Value>,
        rehearsal: bool,
    ) -> Result<Spoken, SayError> {
        let (event, mut spoken) = Box::pin(self.prepare(kind, named, body)).await?;
        if !rehearsal {
            let (said, appended) = Box::pin(self.records.say_for(event, self.operator.as_deref())).await?;
            (spoken.digest, spoken.index) = (Some(said.digest()), Some(appended.first));
        }
        Ok(spoken)
    }

    /// An event that may be said now, and what will be told of it.
    pub async fn prepare(
        &self,
        kind: &Kind,
        named: &Named,
        body: Map<String, Value>,
    ) -> Result<(Statement, Spoken), SayError> {
        let about = kind.about.as_ref().ok_or(SayError::MayNot(MayNot::Event(NotAbout::Kind)))?;
        let faults: Vec<_> = kind.faults(&body, &[], None, self.clock.today());
        let faults: Vec<_> = faults.into_iter().filter(|fault| !fault.code.is_warning()).collect();
        if !faults.is_empty() {
            return Err(SayError::Body(faults));
        }
        let subject = Box::pin(self.look_up(kind, about, named)).await?;
        let event = self.draft(kind, subject.digest, &subject.statement, body);
        kind.validate(&event, self.clock.today()).map_err(SayError::Refused)?;
        may_be_said(about, &event, &subject.lives, &self.rules.now())?;
        let spoken = Spoken {
            digest: None,
            index: None,
            kind: event.typ.kind.clone(),
            about: subject.digest,
            record: subject.place.kind,
            words: words(&subject.statement),
            subject: event.sub.as_ref().map(|sub| sub.key()),
            name: event.sub.as_ref().map(|sub| sub.name().to_owned()),
            body: event.body.clone(),
        };
        Ok((event, spoken))
    }

    /// Signs and appends events that may be said, all at once; leaves out those that another process has said meanwhile.
    /// Gives back how many were said.
    pub async fn say_all(&self, mut events: Vec<Statement>) -> Result<u64, SayError> {
        let mut tries = 0;
        while !events.is_empty() {
            let key = self.records.signing().map_err(SayError::from)?;
            let signed = events.iter().map(|event| envelope::sign(event.clone(), &key));
            let statements = signed.collect::<Result<_, _>>().map_err(AppendError::from)?;
            match self.records.append(Said { statements, by: self.operator.clone() }).await {
                Ok(_) => break,
                Err(AppendError::Refused(_, Refused::UnknownKey)) if tries < TRIES => tries += 1,
                // each time one fewer: that ends by itself
                Err(AppendError::Refused(at, Refused::Event(_))) if at < events.len() => drop(events.remove(at)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(events.len() as u64)
    }

    /// The statement of an event about another: for whom that one is, and who said it, and about whom.
    pub fn draft(&self, kind: &Kind, about: Digest, statement: &Statement, body: Map<String, Value>) -> Statement {
        Statement {
            typ: kind.typ.clone(),
            iss: self.node.clone(),
            iat: self.clock.now(),
            aud: if statement.iss == self.node { statement.aud.clone() } else { statement.aud.with(&statement.iss) },
            salt: Salt::random(&mut rand::make_rng::<StdRng>()),
            sub: statement.sub.clone(),
            prev: None,
            refs: vec![about],
            body,
        }
    }

    async fn look_up(&self, kind: &Kind, about: &About, named: &Named) -> Result<Subject, SayError> {
        let digest = match named {
            Named::Digest(digest) => *digest,
            Named::Record(sought) => Finder::default().find(&self.db, &self.node, sought).await??.digest,
        };
        let mut lives = self.db.lives(&[digest], &HashSet::new()).await?;
        let (statement, place) = match lives.targets.get(&digest) {
            Some(Target::Here(statement, place)) => (statement.as_ref().clone(), place.clone()),
            Some(Target::Other) => return Err(MayNot::Event(NotAbout::Kind).into()),
            Some(Target::Refused) => return Err(MayNot::Event(NotAbout::Refused).into()),
            Some(Target::Early) => return Err(MayNot::Early(crate::log::event::NOT_READ.to_owned()).into()),
            None => return Err(SayError::Unknown(digest)),
        };
        if statement.typ.kind != place.kind {
            return Ok(Subject { digest, statement, place, lives });
        }
        let identities = [place.identity];
        let current = self.db.current(&place.issuer, &place.kind, &identities).await?;
        if let Some(current) = current.get(&place.identity).filter(|current| current.digest != digest) {
            return Err(MayNot::Superseded(current.digest).into());
        }
        if about.records {
            return Ok(Subject { digest, statement, place, lives });
        }
        // what is about an event finds it at the record too, where one waits
        let (digest, statement) = open_one(&self.node, kind, about, &place, &lives)?;
        lives.targets.insert(digest, Target::Here(Box::new(statement.clone()), place.clone()));
        Ok(Subject { digest, statement, place, lives })
    }
}

/// The one event of a node about a record that something of a kind can be said about, and was not.
pub fn open_one(
    node: &NodeId,
    kind: &Kind,
    about: &About,
    place: &RecordPlace,
    lives: &Lives,
) -> Result<(Digest, Statement), SayError> {
    let said =
        || lives.lives.get(place).into_iter().flat_map(|life| &life.said).filter(|said| said.statement.iss == *node);
    let is_settled = |digest: &Digest| {
        said().any(|said| said.statement.typ.kind == kind.typ.kind && said.statement.refs.first() == Some(digest))
    };
    let mut open: Vec<_> = said()
        .filter(|said| about.takes(&said.statement.typ.kind, false) && !is_settled(&said.digest))
        .map(|said| (said.digest, said.statement.clone()))
        .collect();
    match open.len() {
        0 => Err(SayError::NothingOpen { what: about.kinds.join(", ") }),
        1 => Ok(open.remove(0)),
        _ => Err(SayError::SeveralOpen(open.into_iter().map(|(digest, _)| digest).collect())),
    }
}
