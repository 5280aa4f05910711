//! Answering a peer's query. The order is what makes an answer a proof: what is said stands in the exchange log, with the
//! receipt for the query, before the peer hears it.
//!
//! Before the commit nothing happened, and the same query is a new one. After it the answer stands: whoever did not hear it
//! asks with the same query again, and is told the same bytes. A commit whose answer was lost is looked up by the appender.

mod access;
mod found;
mod look;
mod person;
mod refused;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::CryptoRng;
use tokio::sync::Semaphore;

use self::access::access;
use self::found::{Asking, Page, Read, page};
pub use self::look::Look;
use self::look::{Known, Wanted};
pub use self::person::Persons;
pub use self::refused::NotAnswered;
use crate::clock::{Clock, date_of};
use crate::exchange::question::{
    About, Coverage, MAX_LIFE, Outcome, Question, Receipt, Reply, Taken, Withheld, of_body, to_body,
};
use crate::in_force::InForce;
use crate::log::Origin;
use crate::log::appender::{AppendError, Appender, Exchange};
use crate::log::judge::TOLERANCE;
use crate::node::view::View;
use crate::policy::{Access, Policies};
use crate::record::{Purpose, Rules};
use crate::statement::sealed::Between;
use crate::statement::{
    Audience, Digest, Kinds, NodeId, Reader, Refused, Salt, Statement, Typ, Unverified, Verified, envelope,
};
use crate::store::query::{Answered, Exchanged, Extent, Stored};
use crate::store::statement::Body;
use crate::store::{Db, StoreError};
use crate::trust::registry::Registry;

/// Whether a body with this audience, of this issuer, may go to this caller: what the node's groups and policies say.
pub type MayRead = Arc<dyn Fn(&Audience, &NodeId, &NodeId) -> bool + Send + Sync>;

/// Queries answered at once, of all peers; what one peer may have under way is bounded before.
pub const AT_ONCE: usize = 256;

/// A query that is answered elsewhere at this moment is looked for again after this, and then after twice as long each time.
const AGAIN: Duration = Duration::from_millis(5);

/// How often a key may be rotated under an answer's feet, or another process be about to answer the same query.
const TRIES: usize = 10;

/// Answers queries. Cheap to clone.
#[derive(Clone)]
pub struct Answerer {
    /// The store.
    pub db: Db,
    /// What it knows for queries that wait together.
    pub look: Look,
    /// This node's records log, as far as it goes.
    pub records: Origin,
    /// Appends to its exchange log.
    pub exchange: Appender,
    /// Its peers.
    pub registry: Registry,
    /// The kinds that it knows.
    pub kinds: Kinds,
    /// The present.
    pub clock: Clock,
    /// What decides who may be told what.
    pub policies: InForce<Policies>,
    /// Its rules: what of a record may be shared.
    pub rules: InForce<Rules>,
    /// Who may hold what, by its audience.
    pub may_read: MayRead,
    /// What tells natural persons; None where their numbers cannot be opened.
    pub persons: Option<Persons>,
    /// Room for queries.
    pub room: Arc<Semaphore>,
    /// For salts.
    pub rng: Arc<Mutex<dyn CryptoRng + Send>>,
}

/// What goes back to who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The answer.
    pub answer: String,
    /// The statements that it lists, in its order; `erased` where one was erased since.
    pub statements: Vec<String>,
}

/// Why nothing is said about a subject.
enum Unsaid {
    /// None of the kinds may be told.
    Denied,
    /// It is not clear who is meant.
    Unclear(&'static str),
}

impl Answerer {
    /// Answers what a peer sent.
    pub async fn answer(&self, asker: &NodeId, jws: &str) -> Result<Told, NotAnswered> {
        let _place = self.room.try_acquire().map_err(|_| NotAnswered::Busy)?;
        let query = self.verify(asker, jws)?;
        let question = self.weigh(query.statement())?;
        // decided before anything is looked for
        let policies = self.policies.now();
        let access = access(&self.kinds, &policies, asker, &question);
        let subject = match access.allowed.is_empty() {
            true => Err(Unsaid::Denied),
            false => self.key_of(asker, &question.subject).await.map_err(Unsaid::Unclear),
        };
        let known = self.look.up(Wanted {
            asker: asker.clone(),
            nonce: question.nonce.clone(),
            subject: subject.as_ref().ok().filter(|_| question.next.is_none()).cloned(),
        });
        let Known { stored, extent, first } = known.await?;
        if let Some(stored) = stored {
            return self.tell_again(&query, stored).await;
        }
        let found = match subject {
            Ok(subject) => Ok(self.find(asker, &question, &subject, first, &access.allowed, &policies).await?),
            Err(unsaid) => Err(unsaid),
        };
        let (reply, statements) = self.reply(found, access, extent);
        for tries in 0..TRIES {
            match self.log(&query, &question, &reply).await {
                Ok(answer) => return Ok(Told { answer: answer.jws().to_owned(), statements }),
                Err(AppendError::Repeated) => {}
                Err(error) => return Err(error.into()),
            }
            // the same query at another process of this node, or beside this one: that one's answer is on its way, or stands
            if let Some(told) = self.told_before(&query, &question).await? {
                return Ok(told);
            }
            // many at once must not keep the first of them from its commit
            tokio::time::sleep(AGAIN * (1 << tries.min(6))).await;
        }
        Err(AppendError::Repeated.into())
    }

    /// It is the sender's own, signed under a key of the newest descriptor of it that is held here.
    fn verify(&self, asker: &NodeId, jws: &str) -> Result<Verified, NotAnswered> {
        let query = Unverified::parse(jws).map_err(NotAnswered::Unreadable)?;
        let issuer = &query.statement().iss;
        if issuer != asker {
            return Err(NotAnswered::Issuer(issuer.clone(), asker.clone()));
        }
        let peer = self.registry.peer(asker).ok_or(NotAnswered::Signature(Refused::UnknownKey))?;
        query.verify(&peer.key_ring).map_err(NotAnswered::Signature)
    }

    /// It is a query for this node, says what for, asks for what there is, and its time has come and is not over.
    fn weigh(&self, said: &Statement) -> Result<Question, NotAnswered> {
        let kind = self.kinds.find(&said.typ).filter(|_| said.typ.kind == "query");
        let kind = kind.ok_or_else(|| NotAnswered::NotAQuery(said.typ.clone()))?;
        let node = &self.records.node;
        if said.aud != Audience::Named(vec![Reader::Node(node.clone())]) {
            return Err(NotAnswered::Audience(node.clone()));
        }
        let purpose = said.body.get("purpose").and_then(|purpose| purpose.as_str());
        if !Purpose::ALL.iter().any(|known| purpose == Some(known.as_str())) {
            return Err(NotAnswered::Purpose);
        }
        kind.validate(said, date_of(said.iat)).map_err(NotAnswered::Body)?;
        let malformed = |error: serde_json::Error| NotAnswered::Body(Refused::Schema(error.to_string()));
        let question: Question = of_body(&said.body).map_err(malformed)?;
        let is_known = |name: &String| self.kinds.newest(name).is_some_and(|kind| kind.is_record);
        if let Some(unknown) = question.kinds.iter().find(|name| !is_known(name)) {
            return Err(NotAnswered::Kind(unknown.clone()));
        }
        let now = self.clock.now();
        if now > question.expires {
            return Err(NotAnswered::Expired(now - question.expires));
        }
        if said.iat > now.saturating_add(TOLERANCE) || question.expires > said.iat.saturating_add(MAX_LIFE) {
            return Err(NotAnswered::Ahead);
        }
        Ok(question)
    }

    /// What was answered to the same query before.
    async fn told_before(&self, query: &Verified, question: &Question) -> Result<Option<Told>, NotAnswered> {
        match self.db.answered(query.issuer(), &question.nonce).await? {
            Some(stored) => self.tell_again(query, stored).await.map(Some),
            None => Ok(None),
        }
    }

    async fn tell_again(&self, query: &Verified, stored: Stored) -> Result<Told, NotAnswered> {
        if stored.query != query.digest() {
            return Err(NotAnswered::Replayed);
        }
        let corrupt = |why: &str| StoreError::Corrupt(format!("answer {}: {why}", stored.answer));
        let answer = self.body_of(&stored.answer).await?.ok_or_else(|| corrupt("it is not in the exchange log"))?;
        let read = Unverified::parse(&answer).map_err(|error| corrupt(&error.to_string()))?;
        let reply: Reply = of_body(&read.statement().body).map_err(|error| corrupt(&error.to_string()))?;
        let mut statements = Vec::with_capacity(reply.found.len());
        for digest in &reply.found {
            statements.push(self.body_of(digest).await?.unwrap_or_else(|| "erased".to_owned()));
        }
        Ok(Told { answer, statements })
    }

    async fn body_of(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        let rows = self.db.find(digest).await?;
        Ok(rows.into_iter().find_map(|row| if let Body::Here(jws) = row.body { Some(jws) } else { None }))
    }

    /// What there is about the subject that may be told.
    async fn find(
        &self,
        asker: &NodeId,
        question: &Question,
        subject: &str,
        first: Option<Read>,
        kinds: &[String],
        policies: &Policies,
    ) -> Result<Page, StoreError> {
        let rules = self.rules.now();
        let view = View { node: &self.records.node, kinds: &self.kinds, rules: &rules, clock: &self.clock };
        let asking = Asking { asker, kinds, view, may_read: &self.may_read, policies };
        page(&self.db, subject, question.next, first, &asking).await
    }

    /// What this node says, and the statements beside it.
    fn reply(&self, found: Result<Page, Unsaid>, access: Access, extent: Extent) -> (Reply, Vec<String>) {
        let (outcome, reason, page) = match found {
            Ok(page) if page.digests.is_empty() => (Outcome::None, None, page),
            Ok(page) => (Outcome::Yes, None, page),
            Err(Unsaid::Denied) => {
                (Outcome::Denied, Some("none of the kinds that are asked for may be told"), Page::default())
            }
            Err(Unsaid::Unclear(why)) => (Outcome::InsufficientIdentity, Some(why), Page::default()),
        };
        let denied = access.denied.into_iter().map(|denied| Withheld { kind: denied.kind, reason: denied.reason });
        let reply = Reply {
            outcome,
            reason: reason.map(str::to_owned),
            found: page.digests,
            next: page.next,
            withheld: denied.chain(page.withheld).collect(),
            policies: access.policies,
            policy_set: access.policy_set,
            coverage: Coverage { origin: self.records.clone(), size: extent.size, root: Digest(extent.root) },
        };
        (reply, page.statements)
    }

    /// Who is meant, where the words tell; else why they do not.
    async fn key_of(&self, asker: &NodeId, about: &About) -> Result<String, &'static str> {
        match (about, &self.persons) {
            (About::Named { sealed: Some(_), .. }, None) => Err("sealed identity numbers cannot be opened here"),
            (About::Named { name, sealed: Some(sealed) }, Some(persons)) => {
                let between = Between { sender: asker, receiver: &self.records.node };
                persons.key_of(&self.db, between, name, sealed).await
            }
            _ => about.key().ok_or("a name alone does not tell who it is"),
        }
    }

    /// Receipt and answer into the exchange log, and the query beside it: together or not at all.
    async fn log(&self, query: &Verified, question: &Question, reply: &Reply) -> Result<Verified, AppendError> {
        let receipt = self.statement("receipt", query, to_body(&Receipt { result: Taken::Taken, reason: None }));
        let answer = self.statement("answer", query, to_body(reply));
        let mut tries = 0;
        loop {
            let key = self.exchange.signing()?;
            let receipt = envelope::sign(receipt.clone(), &key)?;
            let answer = envelope::sign(answer.clone(), &key)?;
            let answered = Answered {
                asker: query.issuer().clone(),
                nonce: question.nonce.clone(),
                query: query.digest(),
                jws: query.jws().to_owned(),
                answer: answer.digest(),
            };
            let exchange =
                Exchange { statements: vec![receipt, answer.clone()], exchanged: vec![Exchanged::Answered(answered)] };
            match self.exchange.append(exchange).await {
                Err(AppendError::Refused(_, Refused::UnknownKey)) if tries < TRIES => tries += 1,
                outcome => return outcome.map(|_| answer),
            }
        }
    }

    /// A statement to who asked, about its query.
    fn statement(&self, kind: &str, query: &Verified, body: serde_json::Map<String, serde_json::Value>) -> Statement {
        let salt = {
            let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
            Salt::random(&mut *rng)
        };
        Statement {
            typ: Typ::first(kind),
            iss: self.records.node.clone(),
            iat: self.clock.now(),
            aud: Audience::Named(vec![Reader::Node(query.issuer().clone())]),
            salt,
            sub: None,
            prev: None,
            refs: vec![query.digest()],
            body,
        }
    }
}
