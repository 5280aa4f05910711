//! What came back from a peer that was asked, held against what was asked of it. Whatever does not fit is evidence, and
//! nothing of it is shown as the peer's word.

use std::collections::{HashMap, HashSet};

use super::question::{About, Outcome, PAGE, Question, Reply, of_body};
use crate::clock::date_of;
use crate::log::judge::TOLERANCE;
use crate::statement::{
    Audience, Digest, KeyRing, Kinds, NodeId, Reader, Refused, Statement, Subject, Unverified, Verified, envelope,
};
use crate::trust::descriptor::{Descriptor, KeyState, Purpose};
use crate::trust::registry::Peer;

/// What was asked, by whom and of whom.
pub struct Asked<'a> {
    /// The query.
    pub query: &'a Verified,
    /// What it asks.
    pub question: &'a Question,
    /// Who was asked.
    pub peer: &'a Peer,
    /// The kinds that are known here.
    pub kinds: &'a Kinds,
    /// Now, in seconds since 1970.
    pub now: i64,
}

/// Why what came is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// What came is not of the form of an answer.
    #[error("no answer but something else: {0}")]
    Malformed(String),
    /// Nothing came, or no statement.
    #[error("no answer but something else: {0}")]
    Unreadable(Refused),
    /// Not signed by who was asked.
    #[error("the answer: {0}")]
    Signature(Refused),
    /// Not a statement of the kind.
    #[error("a statement that is no answer: {0}")]
    Kind(String),
    /// Its body is not what an answer's is.
    #[error("the answer's body: {0}")]
    Body(Refused),
    /// The answer to something else.
    #[error("the answer to another query")]
    OtherQuery,
    /// For somebody else.
    #[error("an answer for somebody else")]
    Audience,
    /// Said before it was asked, or ahead of the clock.
    #[error("said before it was asked, or ahead of the clock")]
    Time,
    /// Outcome and contents do not fit.
    #[error("says {0}, and lists {1} statements")]
    Outcome(&'static str, usize),
    /// What travels beside it is not what it lists.
    #[error("lists {0} statements, and {1} travel beside it")]
    Count(usize, usize),
    /// A statement that it does not list.
    #[error("statement {0} beside it is not the one that it lists")]
    Other(usize),
    /// A statement that is not what was asked for, or not that peer's.
    #[error("statement {0} was not asked for: {1}")]
    NotAskedFor(usize, &'static str),
    /// A statement that does not hold.
    #[error("statement {0} beside it does not verify: {1}")]
    Statement(usize, String),
}

/// An answer that holds, and what it lists, signatures not verified yet.
#[derive(Debug)]
pub struct Answer {
    /// The answer.
    pub answer: Verified,
    /// What it says.
    pub reply: Reply,
    /// The statements beside it, in its order; None where one was erased since.
    pub statements: Vec<Option<Unverified>>,
    /// Which of them are events, and what each is about: something that is listed before it.
    pub events: HashMap<Digest, Digest>,
}

/// Reads what came: the answer to this query, by who was asked, for who asked, and beside it what it lists.
pub fn read(asked: &Asked<'_>, lines: &[String]) -> Result<Answer, Invalid> {
    let (first, beside) = lines.split_first().ok_or(Invalid::Unreadable(Refused::NotCompact))?;
    let answer = Unverified::parse(first).map_err(Invalid::Unreadable)?;
    let answer = answer.verify(&asked.peer.key_ring).map_err(Invalid::Signature)?;
    let reply = fits(asked, answer.statement())?;
    if reply.found.len() != beside.len() {
        return Err(Invalid::Count(reply.found.len(), beside.len()));
    }
    let (mut statements, mut events) = (Vec::with_capacity(beside.len()), HashMap::new());
    for (at, (digest, line)) in reply.found.iter().zip(beside).enumerate() {
        let one = beside_it(asked, at, digest, line)?;
        if let Some(said) = one.as_ref().map(Unverified::statement).filter(|said| is_event(asked, said)) {
            events.insert(*digest, about_a_listed_one(at, said, &reply.found, &statements)?);
        }
        statements.push(one);
    }
    // an event stands behind its record, so an answer of events alone has nothing that they are about
    Ok(Answer { answer, reply, statements, events })
}

fn fits(asked: &Asked<'_>, said: &Statement) -> Result<Reply, Invalid> {
    let kind = asked.kinds.find(&said.typ).filter(|kind| kind.typ.kind == "answer");
    let kind = kind.ok_or_else(|| Invalid::Kind(said.typ.to_string()))?;
    kind.validate(said, date_of(said.iat)).map_err(Invalid::Body)?;
    if said.refs != [asked.query.digest()] {
        return Err(Invalid::OtherQuery);
    }
    if said.aud != Audience::Named(vec![Reader::Node(asked.query.issuer().clone())]) {
        return Err(Invalid::Audience);
    }
    let earliest = asked.query.statement().iat - TOLERANCE;
    let latest = asked.now.min(asked.question.expires) + TOLERANCE;
    if said.iat < earliest || said.iat > latest {
        return Err(Invalid::Time);
    }
    let reply: Reply = of_body(&said.body).map_err(|error| Invalid::Body(Refused::Schema(error.to_string())))?;
    let found = reply.found.len();
    let are_distinct = reply.found.iter().collect::<HashSet<_>>().len() == found;
    if (reply.outcome == Outcome::Yes) != (found > 0) || found > PAGE || !are_distinct {
        return Err(Invalid::Outcome(reply.outcome.as_str(), found));
    }
    Ok(reply)
}

/// A statement beside the answer: the one that is listed there, of that peer, about that subject.
fn beside_it(asked: &Asked<'_>, at: usize, digest: &Digest, line: &str) -> Result<Option<Unverified>, Invalid> {
    if line == "erased" {
        return Ok(None);
    }
    if Digest::of(line.as_bytes()) != *digest {
        return Err(Invalid::Other(at));
    }
    let read = Unverified::parse(line).map_err(|error| Invalid::Statement(at, error.to_string()))?;
    let said = read.statement();
    if said.iss != asked.peer.node {
        return Err(Invalid::NotAskedFor(at, "of another issuer"));
    }
    let is_asked_for = asked.question.kinds.is_empty() || asked.question.kinds.contains(&said.typ.kind);
    if !is_asked_for && !is_event(asked, said) {
        return Err(Invalid::NotAskedFor(at, "of another kind"));
    }
    let is_about = match (&asked.question.subject, &said.sub) {
        // who that is, only its issuer knows
        (About::Named { name, .. }, Some(Subject::Person { name: stated, .. })) => stated == name,
        (about, Some(sub)) => about.key() == Some(sub.key()),
        (_, None) => false,
    };
    if is_about { Ok(Some(read)) } else { Err(Invalid::NotAskedFor(at, "about another subject")) }
}

/// Whether it is something that is said about a record.
fn is_event(asked: &Asked<'_>, said: &Statement) -> bool {
    asked.kinds.newest(&said.typ.kind).is_some_and(|kind| kind.about.is_some())
}

/// What an event is about, if that is listed before it and about the same subject.
fn about_a_listed_one(
    at: usize,
    event: &Statement,
    found: &[Digest],
    before: &[Option<Unverified>],
) -> Result<Digest, Invalid> {
    let about = event.refs.first().copied();
    let listed = found.iter().zip(before).find(|(digest, _)| Some(**digest) == about);
    let (digest, target) = listed.ok_or(Invalid::NotAskedFor(at, "about what is not listed before it"))?;
    let key = |statement: &Statement| statement.sub.as_ref().map(Subject::key);
    match target {
        Some(target) if key(target.statement()) != key(event) => Err(Invalid::NotAskedFor(at, "about another subject")),
        _ => Ok(*digest),
    }
}

/// Verifies statements that no mirror here vouches for, under the keys that the peer's newest descriptor still stands by,
/// and judges each by its kind where that is known.
pub fn verify(asked: &Asked<'_>, statements: Vec<(usize, Unverified)>) -> Result<(), Invalid> {
    let ring = still_good(&asked.peer.node, &asked.peer.descriptor);
    let (places, unverified): (Vec<usize>, Vec<_>) = statements.into_iter().map(|(at, one)| (at, (one, &ring))).unzip();
    for (at, result) in places.into_iter().zip(envelope::verify_all(unverified)) {
        let bad = |refused: Refused| Invalid::Statement(at, refused.to_string());
        let one = result.map_err(bad)?;
        let said = one.statement();
        if let Some(kind) = asked.kinds.find(&said.typ) {
            kind.validate(said, date_of(said.iat)).map_err(bad)?;
        }
    }
    Ok(())
}

/// Keys that sign now, and those that did and were retired: what a retired key signed stays valid.
fn still_good(node: &NodeId, descriptor: &Descriptor) -> KeyRing {
    let good = descriptor
        .keys
        .iter()
        .filter(|entry| entry.purpose == Purpose::Sign && matches!(entry.state, KeyState::Active | KeyState::Retired));
    let sign = good.map(|entry| (entry.key.kid().to_owned(), entry.key.clone())).collect();
    KeyRing { issuer: node.clone(), root: descriptor.root.clone(), sign }
}
