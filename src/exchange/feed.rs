//! One feed: turn after turn, a source is asked for a newer checkpoint of one log, and what it commits to is pulled.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fetch;
use super::follow::{follow, newer};
use super::head;
use super::judge::{Judge, Judged, judge_all};
use super::keys::Keys;
use super::prove::Tiles;
use super::pull::{Surroundings, due};
use super::source::{Outcome, Server, Source, Sources};
use super::{Fault, apply, held};
use crate::log::Origin;
use crate::quota::HourCount;
use crate::statement::NodeId;
use crate::store::{Head, LogRow, LogState, StoreError};
use crate::trust::compromise::{self, VoidError};
use crate::trust::registry::Peer;

/// How long a feed rests when it can do nothing: its log is stopped, or the node's own store fails.
const REST: Duration = Duration::from_secs(2);
/// How long it rests when the store has no room: somebody must make some.
const REST_FULL: Duration = Duration::from_secs(5);
/// A good contact is noted at most this often.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// How long a mirror may take for a turn: a slow one must not keep the feed from an owner who is back. What it has served
/// until then is stored.
const MIRROR_TURN: Duration = Duration::from_secs(60);
/// A peer's descriptors are asked for at most this often, whatever they say themselves.
const REFRESH: Duration = Duration::from_secs(60);
/// An answer without news that comes sooner than this was not held open; the next request then waits.
const PROMPT: Duration = Duration::from_millis(100);
const AFTER_PROMPT: Duration = Duration::from_millis(250);

/// The feed of one mirrored log.
pub struct Feed {
    around: Surroundings,
    origin: Origin,
    sources: Sources,
    /// The owner's checkpoint that is held in full, by its entity tag.
    etag: Option<String>,
    /// When the last good contact with the owner was noted; None after a bad one.
    noted: Option<Instant>,
    /// When held statements were tried last.
    tried_held: Option<Instant>,
    /// The owner's keys, as far as the log was known when they were last needed.
    keys: Option<Keys>,
    /// When the owner's descriptors were last asked for.
    refreshed: Option<Instant>,
    /// Descriptors of the log that came this hour.
    descriptors: HourCount,
    /// There are more of them than there may be.
    flooded: bool,
    /// A newer descriptor was served when the checkpoint's key was not known, and nothing has gone well since.
    followed: bool,
}

impl Feed {
    /// A feed of `origin`; `seed` sets its jitter.
    pub fn new(around: Surroundings, origin: Origin, seed: u64) -> Self {
        let sources = Sources::new(origin.node.clone(), around.settings.backoff, seed);
        Self {
            around,
            origin,
            sources,
            etag: None,
            noted: None,
            tried_held: None,
            keys: None,
            refreshed: None,
            descriptors: HourCount::default(),
            flooded: false,
            followed: false,
        }
    }

    /// Pulls until it is aborted.
    pub async fn run(mut self) {
        loop {
            match self.around.db.create_log(&self.origin, false).await {
                Ok(log) if log.unvoided.is_some() => Box::pin(self.void(log)).await,
                Ok(log) if log.state == LogState::Open => Box::pin(self.turn(log)).await,
                Ok(_) => tokio::time::sleep(REST).await,
                Err(error) => {
                    tracing::warn!(origin = %self.origin, %error, "the store fails the feed");
                    rest(&error).await;
                }
            }
        }
    }

    /// Takes back what compromised keys signed, whether or not anybody can be asked for more.
    async fn void(&self, log: LogRow) {
        match compromise::void(&self.around.db, &self.around.kinds, log).await {
            Ok(log) => {
                tracing::warn!(origin = %self.origin, descriptor = log.descriptor, "took back what a compromised key signed");
            }
            Err(VoidError::Moved) => {}
            Err(error) => {
                tracing::error!(origin = %self.origin, %error, "cannot take back what a compromised key signed");
                tokio::time::sleep(REST).await;
            }
        }
    }

    async fn turn(&mut self, log: LogRow) {
        self.flooded &= self.descriptors_left() == 0;
        if self.flooded {
            // whoever is asked would serve the same
            return tokio::time::sleep(self.around.settings.backoff.longest).await;
        }
        let peers = self.around.registry.peers();
        let others: Vec<NodeId> = peers.iter().map(|peer| peer.node.clone()).collect();
        let node = match self.sources.pick(&others, Instant::now()) {
            Ok(node) => node,
            Err(next) => return tokio::time::sleep_until(next).await,
        };
        let Some(owner) = self.around.registry.peer(&self.origin.node) else {
            return tokio::time::sleep(REST).await; // no peer any more: the feed will be aborted
        };
        let Some(peer) = peers.into_iter().find(|peer| peer.node == node) else { return };

        let begun = Instant::now();
        let outcome = match self.around.client(&peer) {
            Ok(client) => {
                let server = if node == self.origin.node { Server::Owner } else { Server::Mirror };
                let source = Source { node: node.clone(), client, server };
                let turn = Box::pin(self.ask(&log, &owner, &source));
                match server {
                    Server::Owner => turn.await,
                    Server::Mirror => {
                        let slow = Err(Fault::Slow("a turn", MIRROR_TURN));
                        tokio::time::timeout(MIRROR_TURN, turn).await.unwrap_or(slow)
                    }
                }
            }
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(news) => self.good(&node, news || begun.elapsed() > PROMPT).await,
            Err(fault) => Box::pin(self.bad(&log, &owner, &node, fault)).await,
        }
    }

    /// Asks a source for a newer checkpoint and pulls up to it; false if there was nothing new.
    async fn ask(&mut self, log: &LogRow, owner: &Peer, source: &Source) -> Result<bool, Fault> {
        let keys = self.keys(log, owner, source).await?;
        if due(self.tried_held, self.around.settings.retry_held) {
            held::retry(&self.around.db, log, &keys, &self.around.kinds, &self.around.clock).await?;
            self.tried_held = Some(Instant::now());
        }
        let every = Duration::from_secs(owner.descriptor.refresh).max(REFRESH);
        if source.server == Server::Owner && due(self.refreshed, every) {
            self.refreshed = Some(Instant::now());
            // the log is what counts: whoever has no descriptors to hand has them there
            match Box::pin(newer(&self.around, owner, None)).await {
                Ok(true) => return Ok(true), // and what it says of keys is heeded from the next turn on
                Ok(false) => {}
                Err(fault) => tracing::debug!(origin = %self.origin, %fault, "no descriptors were to be had"),
            }
        }
        let known = if source.server == Server::Owner { self.etag.as_deref() } else { None };
        let served = source.client.checkpoint(&self.origin, known, self.wait()).await?;
        let Some(served) = served else { return Ok(false) };

        let target = head::open(&served.note, &self.origin, &owner.descriptor.log_keys(&self.origin))?;
        let size = target.size;
        let this = owner.descriptor.logs.iter().find(|entry| entry.origin == self.origin);
        if let Some(closed) = this.and_then(|entry| entry.closed_at)
            && size > closed
        {
            return Err(Fault::Closed { closed, served: size });
        }
        let now = self.around.clock.now_ms();
        let tiles = head::advance(&self.around.db, log, source, target, now).await?;
        let news = tiles.is_some();
        if let Some(tiles) = tiles {
            Box::pin(self.pull(log.clone(), keys, source, tiles, owner)).await.map_err(|fault| self.named(fault))?;
            tracing::debug!(origin = %self.origin, size, from = %source.node, "pulled");
        }
        if source.server == Server::Owner {
            self.etag = served.etag;
        }
        Ok(news)
    }

    /// Fetches, judges and applies all that the tiles commit to beyond the cursor. The three go on side by side, a chunk
    /// each; a fault in one ends those before it, while what is behind it is still applied.
    async fn pull(
        &mut self,
        mut log: LogRow,
        keys: Keys,
        source: &Source,
        tiles: Tiles,
        owner: &Peer,
    ) -> Result<(), Fault> {
        let target = tiles.target().clone();
        let complete = Head {
            size: target.size,
            root: target.root,
            note: target.note.clone(),
            seen_ms: self.around.clock.now_ms(),
        };
        let judge = Judge {
            kinds: self.around.kinds.clone(),
            clock: self.around.clock.clone(),
            origin: self.origin.clone(),
            keys,
            edge: log.edge.clone(),
            max_iat: log.max_iat,
            descriptors: self.descriptors_left(),
            unvoided: None,
        };
        let (to_judge, chunks) = mpsc::channel(1);
        let (to_apply, mut judged) = mpsc::channel::<Judged>(1);
        let fetching = fetch::into_chunks(source.clone(), self.origin.clone(), Arc::new(tiles), log.size, to_judge);
        let judging = judge_all(judge, target.note, chunks, to_apply);
        let around = &self.around;
        let counted = &mut self.descriptors;
        let applying = async {
            while let Some(judged) = judged.recv().await {
                let end = judged.first + judged.entries.len() as u64;
                let (descriptors, read) = (judged.descriptors.clone(), judged.read);
                let complete = (end == complete.size).then_some(&complete);
                log = apply::apply(&around.db, log, &around.kinds, judged, complete, around.clock.now_ms()).await?;
                counted.add(read, around.clock.now());
                around.news.tell();
                follow(
                    around,
                    owner,
                    descriptors.iter().map(|descriptor| descriptor.jws().to_owned()).collect(),
                    false,
                )
                .await?;
            }
            // the receiver goes with this block: those before it end when they next want to send
            drop(judged);
            Ok(())
        };
        let (applied, judged, fetched) = tokio::join!(applying, judging, fetching);
        applied.and(judged).and(fetched)
    }

    /// The keys of the owner as this node's copy of the log has them: those that were known, and what has come since.
    async fn keys(&mut self, log: &LogRow, owner: &Peer, source: &Source) -> Result<Keys, Fault> {
        if let Some(keys) = &self.keys
            && keys.last_index() == log.descriptor
        {
            return Ok(keys.clone());
        }
        let known = self.keys.take();
        let from = known.as_ref().and_then(Keys::last_index).map_or(0, |last| last + 1);
        let accepted = self.around.db.descriptors_from(log.id, from).await?;
        if known.is_none() && accepted.is_empty() {
            if source.server == Server::Mirror {
                return Ok(Keys::new(&owner.descriptor_jws, Vec::new()));
            }
            // entry 0 may be further from the confirmed descriptor than one change of the root; if it is, and these are not
            // to be had, the log does not begin well, and is tried again
            let mut line = source.client.descriptors().await.unwrap_or_default();
            line.reverse();
            return Ok(Keys::new(&owner.descriptor_jws, line));
        }
        // this node may have ended, or lost the race, between storing one and following it
        follow(&self.around, owner, accepted.iter().map(|(_, jws)| jws.clone()).collect(), false).await?;
        let mut keys = known.unwrap_or_else(|| Keys::new(&owner.descriptor_jws, Vec::new()));
        let keys = blocking(move || {
            keys.extend(&accepted).map_err(|error| Fault::Damaged(error.to_string()))?;
            Ok(keys)
        });
        Ok(self.keys.insert(keys.await?).clone())
    }

    fn descriptors_left(&self) -> u32 {
        let limit = self.around.taken.limit(&self.origin.node).descriptors;
        self.descriptors.left(limit, self.around.clock.now())
    }

    /// A flood with its numbers.
    fn named(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Flood { .. } => Fault::Flood {
                limit: self.around.taken.limit(&self.origin.node).descriptors,
                wait: HourCount::wait(self.around.clock.now()),
            },
            other => other,
        }
    }

    fn wait(&self) -> Duration {
        if self.etag.is_some() { self.around.settings.wait } else { Duration::ZERO }
    }

    /// `fair` if it had news, or held the request open while it had none.
    async fn good(&mut self, node: &NodeId, fair: bool) {
        self.sources.note(node, Outcome::Good, Instant::now());
        self.followed &= *node != self.origin.node;
        if !fair {
            tokio::time::sleep(AFTER_PROMPT).await;
        }
        if *node == self.origin.node && due(self.noted, NOTE_EVERY) {
            self.note(node, None).await;
            self.noted = Some(Instant::now());
        }
    }

    async fn bad(&mut self, log: &LogRow, owner: &Peer, node: &NodeId, fault: Fault) {
        let from_owner = *node == self.origin.node;
        self.etag = None;
        // a log key or the authority may have been changed, and the new descriptor stands behind what it is needed for
        let fault = match fault {
            Fault::Key { .. } | Fault::Tls(_) if from_owner => {
                match newer(&self.around, owner, Some(&fault)).await {
                    // once: a server that always has a newer one would be asked without pause
                    Ok(true) if !self.followed => {
                        self.followed = true;
                        return;
                    }
                    Ok(true) => Fault::Restless,
                    // not a lie before the owner could be asked
                    Err(_) if matches!(fault, Fault::Tls(_)) => fault,
                    Err(unanswered) if unanswered.is_outage() || unanswered.is_ours() => unanswered,
                    Ok(false) | Err(_) => fault,
                }
            }
            fault => fault,
        };
        if fault.is_ours() {
            if !matches!(fault, Fault::Moved | Fault::Voids | Fault::Inactive) {
                tracing::warn!(origin = %self.origin, %fault, "this node fails the feed");
            }
            return match &fault {
                Fault::Moved => {}
                Fault::Store(error) => rest(error).await,
                _ => tokio::time::sleep(REST).await,
            };
        }
        let outcome = match &fault {
            Fault::NotHeld if !from_owner => Outcome::Stranger,
            Fault::Limited(wait) => Outcome::Failed(Some(*wait)),
            // looking again costs the other side nothing
            Fault::DaySpent(spent) => Outcome::Failed(Some(spent.wait.min(self.around.settings.backoff.longest))),
            fault if fault.is_lie() && !from_owner => Outcome::Liar,
            _ => Outcome::Failed(None),
        };
        self.flooded = matches!(fault, Fault::Flood { .. });
        self.sources.note(node, outcome, Instant::now());
        if outcome == Outcome::Stranger {
            return;
        }
        let of_the_log = from_owner || matches!(fault, Fault::Flood { .. });
        let words = if of_the_log { fault.to_string() } else { format!("as a source of {}: {fault}", self.origin) };
        if fault.is_fork() || (from_owner && fault.is_lie()) {
            head::freeze(&self.around.db, log, &words, &fault.evidence(), self.around.clock.now_ms()).await;
        } else {
            tracing::info!(origin = %self.origin, source = %node, fault = words, "the feed waits");
        }
        self.noted = None;
        self.note(if of_the_log { &self.origin.node } else { node }, Some(&words)).await;
    }

    async fn note(&self, node: &NodeId, words: Option<&str>) {
        if let Err(error) = self.around.db.note_contact(node, words, self.around.clock.now_ms()).await {
            tracing::warn!(%node, %error, "could not note the contact");
        }
    }
}

/// The node's own store fails: it is tried again, without an end and without haste.
async fn rest(error: &StoreError) {
    let full = matches!(error, StoreError::Full(_));
    tokio::time::sleep(if full { REST_FULL } else { REST }).await;
}

/// Runs what computes for long on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Fault::Damaged(error.to_string()))?
}
