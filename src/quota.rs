//! How much may go between this node and one peer: bytes and entries a day, and descriptors of a log an hour. Days and
//! hours are those of UTC. Counted by each process of a node for itself, from its start.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::statement::NodeId;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// How much may go one way in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayLimit {
    /// Bytes, as they go over the line.
    pub bytes: u64,
    /// Entries of logs.
    pub entries: u64,
}

/// What has gone one way today.
#[derive(Debug)]
pub struct DayCount {
    limit: DayLimit,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    day: i64,
    bytes: u64,
    entries: u64,
}

/// A day's limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// `bytes` or `entries`.
    pub what: &'static str,
    /// How many there may be.
    pub limit: u64,
    /// How long until the day turns.
    pub wait: Duration,
}

impl DayCount {
    /// Nothing has gone yet.
    pub fn new(limit: DayLimit) -> Self {
        Self { limit, used: Mutex::default() }
    }

    /// Whether more may go at `now`, in seconds since 1970. What is under way when the limit is reached still goes.
    pub fn room(&self, now: i64) -> Result<(), Spent> {
        let used = self.today(now);
        let spent = |what, limit| Err(Spent { what, limit, wait: until_next(now, DAY) });
        if used.bytes >= self.limit.bytes {
            return spent("bytes", self.limit.bytes);
        }
        if used.entries >= self.limit.entries {
            return spent("entries", self.limit.entries);
        }
        Ok(())
    }

    /// So much has gone.
    pub fn add(&self, now: i64, bytes: u64, entries: u64) {
        let mut used = self.today(now);
        used.bytes = used.bytes.saturating_add(bytes);
        used.entries = used.entries.saturating_add(entries);
    }

    fn today(&self, now: i64) -> std::sync::MutexGuard<'_, Used> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.div_euclid(DAY);
        if used.day != day {
            *used = Used { day, ..Used::default() };
        }
        used
    }
}

/// What is taken from each peer.
#[derive(Debug)]
pub struct Taken {
    usual: TakenLimit,
    others: BTreeMap<NodeId, TakenLimit>,
    counts: Mutex<HashMap<NodeId, Arc<DayCount>>>,
}

/// How much is taken from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenLimit {
    /// In a day.
    pub day: DayLimit,
    /// Descriptors in one log, in an hour.
    pub descriptors: u32,
}

impl Taken {
    /// Limits for all, and for some that have others.
    pub fn new(usual: TakenLimit, others: BTreeMap<NodeId, TakenLimit>) -> Self {
        Self { usual, others, counts: Mutex::default() }
    }

    /// How much is taken from this peer.
    pub fn limit(&self, node: &NodeId) -> TakenLimit {
        self.others.get(node).copied().unwrap_or(self.usual)
    }

    /// What was taken from this peer today.
    pub fn count(&self, node: &NodeId) -> Arc<DayCount> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(DayCount::new(self.limit(node).day));
        Arc::clone(counts.entry(node.clone()).or_insert_with(new))
    }
}

/// Descriptors of one log in the present hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourCount {
    hour: i64,
    used: u32,
}

impl HourCount {
    /// How many more there may be at `now`, in seconds since 1970.
    pub fn left(&self, limit: u32, now: i64) -> u32 {
        if self.hour == now.div_euclid(HOUR) { limit.saturating_sub(self.used) } else { limit }
    }

    /// So many have come.
    pub fn add(&mut self, count: u32, now: i64) {
        let hour = now.div_euclid(HOUR);
        self.used = if self.hour == hour { self.used.saturating_add(count) } else { count };
        self.hour = hour;
    }

    /// How long until the hour turns.
    pub fn wait(now: i64) -> Duration {
        until_next(now, HOUR)
    }
}

fn until_next(now: i64, span: i64) -> Duration {
    Duration::from_secs((span - now.rem_euclid(span)).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_s_limit_is_reached_once_and_is_new_with_the_day() {
        let count = DayCount::new(DayLimit { bytes: 1000, entries: 10 });
        let noon = 20_000 * DAY + DAY / 2;
        assert_eq!(count.room(noon), Ok(()));
        count.add(noon, 999, 0);
        assert_eq!(count.room(noon), Ok(()));
        count.add(noon, 1, 0);
        let spent = Spent { what: "bytes", limit: 1000, wait: Duration::from_secs(43_200) };
        assert_eq!(count.room(noon), Err(spent));
        assert_eq!(count.room(noon + DAY / 2), Ok(()));
        count.add(noon + DAY / 2, 0, 11);
        assert_eq!(count.room(noon + DAY / 2).map_err(|spent| spent.what), Err("entries"));
    }

    #[test]
    fn descriptors_are_counted_by_the_hour() {
        let mut count = HourCount::default();
        let now = 500_000 * HOUR + 3000;
        assert_eq!(count.left(3, now), 3);
        count.add(2, now);
        count.add(2, now);
        assert_eq!((count.left(3, now), HourCount::wait(now)), (0, Duration::from_secs(600)));
        assert_eq!(count.left(3, now + 600), 3);
    }

    #[test]
    fn a_peer_may_have_limits_of_its_own() {
        let limit = |bytes| TakenLimit { day: DayLimit { bytes, entries: 1 }, descriptors: 1 };
        let [usual, other]: [NodeId; 2] = ["340500", "310107"].map(|node| node.parse().unwrap());
        let taken = Taken::new(limit(1), BTreeMap::from([(other.clone(), limit(2))]));
        taken.count(&usual).add(0, 1, 0);
        taken.count(&other).add(0, 1, 0);
        assert!(taken.count(&usual).room(0).is_err() && taken.count(&other).room(0).is_ok());
    }
}
