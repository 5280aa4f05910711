//! Where a log can be pulled from, and when to ask again: the owner first, then any other peer that mirrors it.

use std::collections::HashMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::PeerClient;
use crate::statement::NodeId;

/// Who serves a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The owner: it never has less than it had, and holds every body.
    Owner,
    /// Another node that mirrors the log: it may be behind, and may not hold what was not for it.
    Mirror,
}

/// One source of a log, to be asked.
#[derive(Clone)]
pub struct Source {
    /// Which node.
    pub node: NodeId,
    /// How to ask it.
    pub client: PeerClient,
    /// Owner or mirror.
    pub server: Server,
}

/// How a feed waits after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure, at most.
    pub first: Duration,
    /// After many, at most.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), longest: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// How long to wait after so many failures before this one; `share`, 0 to 1, is drawn: between half and the whole of it,
    /// so that many who failed together do not come back together.
    pub fn after(&self, failures: u32, share: f64) -> Duration {
        let wait = self.first.saturating_mul(1 << failures.min(16)).min(self.longest);
        wait.mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0)
    }
}

/// A mirror that has nothing new is asked again after this, while the owner is away.
const MIRROR_REST: Duration = Duration::from_secs(2);
/// A mirror that served what the log does not say is left alone for this long.
const LIAR_REST: Duration = Duration::from_secs(600);
/// A peer that does not mirror the log is asked again after this.
const STRANGER_REST: Duration = Duration::from_secs(60);

/// The sources of one log.
pub struct Sources {
    owner: NodeId,
    backoff: Backoff,
    states: HashMap<NodeId, State>,
    rng: StdRng,
}

#[derive(Clone, Copy)]
struct State {
    failures: u32,
    next: Instant,
}

/// How a turn with a source went, as far as the next one is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answered.
    Good,
    /// It failed; it may have said when to come back.
    Failed(Option<Duration>),
    /// It does not have the log.
    Stranger,
    /// It lied.
    Liar,
}

impl Sources {
    /// The sources of a log of `owner`; `seed` sets the jitter.
    pub fn new(owner: NodeId, backoff: Backoff, seed: u64) -> Self {
        Self { owner, backoff, states: HashMap::new(), rng: StdRng::seed_from_u64(seed) }
    }

    /// The first of owner and `others` that may be asked at `now`; else when the next may.
    pub fn pick(&self, others: &[NodeId], now: Instant) -> Result<NodeId, Instant> {
        let next = |node: &NodeId| self.states.get(node).map_or(now, |state| state.next);
        let mut soonest = next(&self.owner);
        if soonest <= now {
            return Ok(self.owner.clone());
        }
        for other in others.iter().filter(|node| **node != self.owner) {
            if next(other) <= now {
                return Ok(other.clone());
            }
            soonest = soonest.min(next(other));
        }
        Err(soonest)
    }

    /// Notes how a turn went.
    pub fn note(&mut self, node: &NodeId, outcome: Outcome, now: Instant) {
        let failures = self.states.get(node).map_or(0, |state| state.failures);
        let state = match outcome {
            Outcome::Good if *node == self.owner => State { failures: 0, next: now },
            Outcome::Good => State { failures: 0, next: now + self.jitter(MIRROR_REST) },
            Outcome::Stranger => State { failures: 0, next: now + self.jitter(STRANGER_REST) },
            Outcome::Liar => State { failures: failures + 1, next: now + self.jitter(LIAR_REST) },
            Outcome::Failed(asked) => {
                let longest = self.backoff.longest;
                let wait = self.backoff.first.saturating_mul(1 << failures.min(16)).min(longest);
                let wait = self.jitter(wait).max(asked.unwrap_or_default());
                State { failures: failures + 1, next: now + wait }
            }
        };
        self.states.insert(node.clone(), state);
    }

    /// Between half and the whole of it, so that many who failed together do not come back together.
    fn jitter(&mut self, wait: Duration) -> Duration {
        wait.mul_f64(self.rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> NodeId {
        text.parse().unwrap()
    }

    #[test]
    fn the_owner_comes_first_and_a_mirror_while_it_is_away() {
        let (owner, mirror) = (node("310107"), node("340500"));
        let mut sources = Sources::new(owner.clone(), Backoff::default(), 1);
        let others = [owner.clone(), mirror.clone()];
        let now = Instant::now();
        assert_eq!(sources.pick(&others, now), Ok(owner.clone()));
        sources.note(&owner, Outcome::Failed(None), now);
        assert_eq!(sources.pick(&others, now), Ok(mirror.clone()));
        sources.note(&mirror, Outcome::Stranger, now);
        let next = sources.pick(&others, now).unwrap_err();
        assert!(next > now && next <= now + Duration::from_millis(500));
        assert_eq!(sources.pick(&others, next), Ok(owner));
    }

    #[test]
    fn waits_grow_to_the_longest_and_no_further() {
        let owner = node("310107");
        let mut sources = Sources::new(owner.clone(), Backoff::default(), 1);
        let mut now = Instant::now();
        for failures in 0..40 {
            sources.note(&owner, Outcome::Failed(None), now);
            let wait = sources.pick(&[], now).unwrap_err() - now;
            let most = Duration::from_millis(500).saturating_mul(1 << failures.min(16)).min(Duration::from_secs(60));
            assert!(wait <= most && wait >= most / 2, "{failures}: {wait:?}");
            now += wait;
        }
        sources.note(&owner, Outcome::Failed(Some(Duration::from_secs(300))), now);
        assert!(sources.pick(&[], now).unwrap_err() >= now + Duration::from_secs(300));
        sources.note(&owner, Outcome::Good, now);
        assert_eq!(sources.pick(&[], now), Ok(owner));
    }
}
