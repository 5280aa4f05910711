//! The section `[limits]`: what peers may ask, and what is taken from them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::quota::{DayLimit, Taken, TakenLimit};
use crate::statement::NodeId;

/// What peers may ask, and what is taken from them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of one peer under way at once; those held open count apart, up to the same number.
    pub in_flight: usize,
    /// Requests of one peer a second, on average.
    pub per_second: u32,
    /// Requests a second of all who come without a certificate.
    pub strangers_per_second: u32,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Seconds that an answer may take.
    pub answer_seconds: u64,
    /// Seconds that a request for a newer checkpoint is held open, at most.
    pub wait_seconds: u64,
    /// Connections at once, of all.
    pub connections: usize,
    /// TLS handshakes under way at once, of all.
    pub handshakes: usize,
    /// Seconds that a handshake may take.
    pub handshake_seconds: u64,
    /// Bytes that one peer is served in a day (UTC).
    pub served_bytes_per_day: u64,
    /// Entries that one peer is served the bodies of in a day.
    pub served_entries_per_day: u64,
    /// Bytes that are taken from one peer in a day.
    pub taken_bytes_per_day: u64,
    /// Entries that are taken from one peer in a day.
    pub taken_entries_per_day: u64,
    /// Descriptors that are taken from one log in an hour.
    pub descriptors_per_hour: u32,
    /// Other limits for some peers.
    pub peers: BTreeMap<NodeId, PeerLimits>,
}

/// What is other for one peer than [`Limits`] say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerLimits {
    /// As in [`Limits`].
    pub in_flight: Option<usize>,
    /// As in [`Limits`].
    pub per_second: Option<u32>,
    /// As in [`Limits`].
    pub body_bytes: Option<usize>,
    /// As in [`Limits`].
    pub answer_seconds: Option<u64>,
    /// As in [`Limits`].
    pub wait_seconds: Option<u64>,
    /// As in [`Limits`].
    pub served_bytes_per_day: Option<u64>,
    /// As in [`Limits`].
    pub served_entries_per_day: Option<u64>,
    /// As in [`Limits`].
    pub taken_bytes_per_day: Option<u64>,
    /// As in [`Limits`].
    pub taken_entries_per_day: Option<u64>,
    /// As in [`Limits`].
    pub descriptors_per_hour: Option<u32>,
}

impl Limits {
    /// The limits as they are for one peer.
    pub fn of(&self, peer: &PeerLimits) -> Self {
        Self {
            in_flight: peer.in_flight.unwrap_or(self.in_flight),
            per_second: peer.per_second.unwrap_or(self.per_second),
            body_bytes: peer.body_bytes.unwrap_or(self.body_bytes),
            answer_seconds: peer.answer_seconds.unwrap_or(self.answer_seconds),
            wait_seconds: peer.wait_seconds.unwrap_or(self.wait_seconds),
            served_bytes_per_day: peer.served_bytes_per_day.unwrap_or(self.served_bytes_per_day),
            served_entries_per_day: peer.served_entries_per_day.unwrap_or(self.served_entries_per_day),
            taken_bytes_per_day: peer.taken_bytes_per_day.unwrap_or(self.taken_bytes_per_day),
            taken_entries_per_day: peer.taken_entries_per_day.unwrap_or(self.taken_entries_per_day),
            descriptors_per_hour: peer.descriptors_per_hour.unwrap_or(self.descriptors_per_hour),
            peers: BTreeMap::new(),
            ..*self
        }
    }

    /// What is made of the limits of each peer that has some of its own.
    pub fn of_each<T>(&self, make: impl Fn(&Self) -> T) -> BTreeMap<NodeId, T> {
        self.peers.iter().map(|(node, peer)| (node.clone(), make(&self.of(peer)))).collect()
    }

    /// How much is taken from peers.
    pub fn taken(&self) -> Taken {
        let limit = |limits: &Self| TakenLimit {
            day: DayLimit { bytes: limits.taken_bytes_per_day, entries: limits.taken_entries_per_day },
            descriptors: limits.descriptors_per_hour,
        };
        Taken::new(limit(self), self.of_each(limit))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 64,
            per_second: 2000,
            strangers_per_second: 20,
            body_bytes: 64 * 1024,
            answer_seconds: 30,
            wait_seconds: 30,
            connections: 1024,
            handshakes: 64,
            handshake_seconds: 10,
            served_bytes_per_day: 1_000_000_000_000,
            served_entries_per_day: 1_000_000_000,
            taken_bytes_per_day: 1_000_000_000_000,
            taken_entries_per_day: 1_000_000_000,
            descriptors_per_hour: 1000,
            peers: BTreeMap::new(),
        }
    }
}
