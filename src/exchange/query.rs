//! Asking. What is asked stands in the exchange log before it is sent, and what came back, with its receipt, before anything
//! of it is shown: so that who asked what, and what it was told, can be proven by either side.
//!
//! A crash before the query's commit leaves nothing; between the two commits, a query of which nothing was heard, which is
//! what the log then says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::Fault;
use super::finding::{Ask, Failure, Finding, Stated, Whom};
use super::heard::{self, Asked, Invalid};
use super::mirrored::{Mirrored, Mirrors};
use super::pull::Surroundings;
use super::question::{About, MAX_LIFE, Next, Question, Receipt, Taken, to_body};
use crate::log::appender::{AppendError, Appender, Exchange};
use crate::statement::envelope::MAX_BYTES;
use crate::statement::sealed::{self, Between};
use crate::statement::{
    Audience, Digest, NodeId, Reader, Refused, Salt, Statement, Typ, Unverified, Verified, envelope,
};
use crate::store::StoreError;
use crate::store::query::{Exchanged, Heard};
use crate::trust::descriptor::Purpose;
use crate::trust::registry::Peer;

/// Pages of one answer that are asked for.
const MOST_PAGES: usize = 100;
/// A query is good for so many seconds beyond its deadline, so that clocks may differ a little.
const GRACE: i64 = 300;
/// A query whose answer did not come is sent again, the same bytes, so often and after these pauses.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// How often a key may be rotated under a receipt's feet.
const TRIES: usize = 10;

/// Asks peers. Cheap to clone.
#[derive(Clone)]
pub struct Asker {
    /// Store, registry, certificate, kinds and clock.
    pub around: Surroundings,
    /// This node.
    pub node: NodeId,
    /// What the mirrors here say of what comes.
    pub mirrors: Mirrors,
    /// Appends to its exchange log.
    pub exchange: Appender,
    /// For nonces and salts.
    pub rng: Arc<Mutex<dyn CryptoRng + Send>>,
}

impl Asker {
    /// Asks many at once. Each has until the deadline, and none waits for another; in the order of the peers.
    pub async fn ask_all(&self, peers: &[Arc<Peer>], ask: &Ask, deadline: Instant) -> Vec<Finding> {
        let mut asking = JoinSet::new();
        for (at, peer) in peers.iter().enumerate() {
            let (asker, peer, ask) = (self.clone(), Arc::clone(peer), ask.clone());
            asking.spawn(async move { (at, asker.ask(&peer, &ask, deadline).await) });
        }
        let mut findings: Vec<Option<Finding>> = vec![None; peers.len()];
        while let Some(ended) = asking.join_next().await {
            match ended {
                Ok((at, finding)) => findings[at] = Some(finding),
                Err(error) => tracing::error!(%error, "asking a peer ended badly"),
            }
        }
        let failed = |peer: &Arc<Peer>| {
            let mut finding = Finding::of(peer);
            finding.fails(Failure::Unavailable("asking it failed here".to_owned()));
            finding
        };
        peers.iter().zip(findings).map(|(peer, finding)| finding.unwrap_or_else(|| failed(peer))).collect()
    }

    /// Asks one peer, page after page.
    pub async fn ask(&self, peer: &Arc<Peer>, ask: &Ask, deadline: Instant) -> Finding {
        let begun = Instant::now();
        let mut finding = Finding::of(peer);
        let mut next = None;
        for _ in 0..MOST_PAGES {
            match Box::pin(self.page(peer, ask, next, deadline, &mut finding)).await {
                Ok(Some(more)) => next = Some(more),
                Ok(None) => {
                    finding.complete = true;
                    break;
                }
                Err(failure) => {
                    finding.fails(failure);
                    break;
                }
            }
        }
        finding.took = begun.elapsed();
        finding
    }

    /// One page: log, send, verify, log; only then it counts. Gives where it goes on.
    async fn page(
        &self,
        peer: &Arc<Peer>,
        ask: &Ask,
        next: Option<Next>,
        deadline: Instant,
        finding: &mut Finding,
    ) -> Result<Option<Next>, Failure> {
        let question = self.question(peer, ask, next, deadline)?;
        let (query, _) = self.exchange.say(self.query(peer, &question)).await.map_err(own)?;
        finding.queries.push(query.digest());
        let sent = self.send(peer, &query, deadline).await?;
        // a key of it may have changed since its descriptor was taken
        let peer = self.around.registry.peer(&peer.node).unwrap_or_else(|| Arc::clone(peer));
        let kinds = &self.around.kinds;
        let asked = Asked { query: &query, question: &question, peer: &peer, kinds, now: self.around.clock.now() };
        let heard = self.hear(&asked, &sent).await;
        self.take_in(&asked, &sent, &heard).await.map_err(own)?;
        let (answer, statements) = heard.map_err(|unheard| match unheard {
            Unheard::Invalid(invalid) => Failure::Invalid(invalid),
            Unheard::Store(error) => own(error),
        })?;
        Ok(finding.takes(answer, statements))
    }

    fn question(&self, peer: &Peer, ask: &Ask, next: Option<Next>, deadline: Instant) -> Result<Question, Failure> {
        let wait = i64::try_from(deadline.saturating_duration_since(Instant::now()).as_secs()).unwrap_or(MAX_LIFE);
        let life = wait.saturating_add(GRACE).min(MAX_LIFE);
        Ok(Question {
            subject: self.about(peer, &ask.subject)?,
            purpose: ask.purpose,
            basis: ask.basis.clone(),
            kinds: ask.kinds.clone(),
            authorisation: ask.authorisation,
            nonce: URL_SAFE_NO_PAD.encode(self.salt().0),
            expires: self.around.clock.now() + life,
            next,
        })
    }

    /// A person's number goes under the peer's seal, and the name masked.
    fn about(&self, peer: &Peer, whom: &Whom) -> Result<About, Failure> {
        let (name, id) = match whom {
            Whom::Known(about) => return Ok(about.clone()),
            Whom::Person { name, id } => (name.clone(), id),
        };
        let key = peer.descriptor.active(&[Purpose::Seal]).last();
        let key = key.ok_or_else(|| Failure::Unavailable("its descriptor names no sealing key".to_owned()))?;
        let plain = Zeroizing::new(serde_json::to_vec(id).map_err(own)?);
        let between = Between { sender: &self.node, receiver: &peer.node };
        let sealed = sealed::seal(&plain, key, between).map_err(own)?;
        Ok(About::Named { name, sealed: Some(sealed) })
    }

    fn query(&self, peer: &Peer, question: &Question) -> Statement {
        self.statement("query", &peer.node, Vec::new(), to_body(question))
    }

    /// Sends a query until something comes back: where the line broke or nothing came, the same bytes again, to which the
    /// peer has the same answer.
    async fn send(&self, peer: &Arc<Peer>, query: &Verified, deadline: Instant) -> Result<Sent, Failure> {
        let client = self.around.client(peer).map_err(|fault| unavailable(&fault))?;
        let mut pauses = AGAIN.into_iter();
        loop {
            let fault = match timeout_at(deadline, client.query(query.jws())).await {
                Err(_) => return Err(Failure::Unavailable("no answer within the time".to_owned())),
                Ok(Ok(lines)) => return Ok(Ok(lines)),
                Ok(Err(fault @ (Fault::Format { .. } | Fault::TooLong { .. }))) => {
                    return Ok(Err(Invalid::Malformed(fault.to_string())));
                }
                Ok(Err(fault)) => fault,
            };
            let pause = match &fault {
                Fault::Limited(wait) => pauses.next().map(|pause| pause.max(*wait)),
                Fault::Unreachable(_) | Fault::Slow(..) => pauses.next(),
                _ => None,
            };
            match pause {
                Some(pause) if Instant::now() + pause < deadline => tokio::time::sleep(pause).await,
                _ => return Err(unavailable(&fault)),
            }
        }
    }

    /// Holds what came against what was asked: the answer, then each statement, by the mirror of the peer's log here where
    /// that has it, else by the peer's keys.
    async fn hear(&self, asked: &Asked<'_>, sent: &Sent) -> Result<(heard::Answer, Vec<Stated>), Unheard> {
        let lines = sent.as_ref().map_err(Clone::clone)?;
        let mut answer = heard::read(asked, lines)?;
        let (mut stated, mut unknown) = (Vec::with_capacity(answer.statements.len()), Vec::new());
        let digests = answer.statements.iter().flatten().map(Unverified::digest).collect();
        let known = self.mirrors.of(digests).await?;
        for (at, one) in std::mem::take(&mut answer.statements).into_iter().enumerate() {
            // erased since it was found
            let Some(one) = one else { continue };
            let mirrored = match known.get(&one.digest()) {
                Some(Mirrored::Refused) => {
                    return Err(Invalid::Statement(at, "it was refused in its log".to_owned()).into());
                }
                Some(Mirrored::Accepted) => true,
                None => false,
            };
            stated.push(Stated::of(&one, mirrored));
            if !mirrored {
                unknown.push((at, one));
            }
        }
        heard::verify(asked, unknown)?;
        Ok((answer, stated))
    }

    /// The receipt for what came, and that beside it: together or not at all.
    async fn take_in(
        &self,
        asked: &Asked<'_>,
        sent: &Sent,
        heard: &Result<(heard::Answer, Vec<Stated>), Unheard>,
    ) -> Result<(), AppendError> {
        let (outcome, invalid) = match heard {
            Ok((answer, _)) => (answer.reply.outcome.as_str(), None),
            Err(Unheard::Invalid(invalid)) => ("invalid", Some(invalid.to_string())),
            // nothing was held against anything: there is nothing to receipt
            Err(Unheard::Store(_)) => return Ok(()),
        };
        let came = sent.as_ref().ok().and_then(|lines| lines.first()).map_or("", String::as_str);
        let came = &came[..came.floor_char_boundary(MAX_BYTES)];
        let digest = Digest::of(came.as_bytes());
        let result = if invalid.is_none() { Taken::Taken } else { Taken::Refused };
        let reason = invalid.as_ref().map(|why| why.chars().filter(|c| !c.is_control()).take(500).collect());
        let receipt = self.statement("receipt", &asked.peer.node, vec![digest], to_body(&Receipt { result, reason }));
        let heard = Heard {
            query: asked.query.digest(),
            peer: asked.peer.node.clone(),
            digest,
            jws: came.to_owned(),
            outcome,
            reason: invalid,
        };
        let mut tries = 0;
        loop {
            let receipt = envelope::sign(receipt.clone(), &*self.exchange.signing()?)?;
            let exchanged = vec![Exchanged::Heard(heard.clone())];
            match self.exchange.append(Exchange { statements: vec![receipt], exchanged }).await {
                Err(AppendError::Refused(_, Refused::UnknownKey)) if tries < TRIES => tries += 1,
                outcome => return outcome.map(|_| ()),
            }
        }
    }

    /// A statement to one peer.
    fn statement(
        &self,
        kind: &str,
        peer: &NodeId,
        refs: Vec<Digest>,
        body: serde_json::Map<String, serde_json::Value>,
    ) -> Statement {
        Statement {
            typ: Typ::first(kind),
            iss: self.node.clone(),
            iat: self.around.clock.now(),
            aud: Audience::Named(vec![Reader::Node(peer.clone())]),
            salt: self.salt(),
            sub: None,
            prev: None,
            refs,
            body,
        }
    }

    fn salt(&self) -> Salt {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        Salt::random(&mut *rng)
    }
}

/// The lines that came, or that it was something else.
type Sent = Result<Vec<String>, Invalid>;

/// Why nothing was heard.
enum Unheard {
    Invalid(Invalid),
    Store(StoreError),
}

impl From<Invalid> for Unheard {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

impl From<StoreError> for Unheard {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// This node's own trouble: the peer is not to blame.
fn own(error: impl std::fmt::Display) -> Failure {
    Failure::Unavailable(format!("this node: {error}"))
}

fn unavailable(fault: &Fault) -> Failure {
    Failure::Unavailable(match fault {
        Fault::Http(status, name) => format!("refused the query: {name} ({status})"),
        other => other.to_string(),
    })
}
