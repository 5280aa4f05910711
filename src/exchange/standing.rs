//! How one node stands with another, as that one says: `GET /v1/standing`. The one thing that a node which is not active yet,
//! or not for the time being, may ask too.

use serde::{Deserialize, Serialize};

use crate::statement::NodeId;
use crate::store::peer::PeerRow;
use crate::store::refused_descriptor::RefusedDescriptor;
use crate::trust::state::PeerState;

/// What a node that was invited sends to introduce itself: `POST /v1/enrol`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Introduction {
    /// The secret of the invitation, base64url.
    pub invitation: String,
    /// The newest descriptor statement of who was invited.
    pub descriptor: String,
}

/// How the caller stands with the node that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Who answers.
    pub node: NodeId,
    /// Where the caller stands there.
    pub state: PeerState,
    /// What is still to be done there until it is active, in order.
    pub missing: Vec<String>,
    /// The sequence of the caller's descriptor that is held there.
    pub holds: u64,
    /// What time it is there, in seconds since 1970.
    pub clock: i64,
    /// How pulling the caller's records goes there.
    pub pull: PullStanding,
    /// The newest of the caller's descriptors that were refused there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedStanding>,
}

/// A descriptor that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedStanding {
    /// Its sequence; 0 where it could not be read.
    pub sequence: u64,
    /// `lower-sequence`, `fork`, `expired`, `root`, `next-root` or `signature`.
    pub reason: String,
    /// The same in words.
    pub words: String,
    /// When it was first offered, milliseconds since 1970.
    pub at_ms: i64,
}

/// So many of them are told.
pub const REFUSED_TOLD: u32 = 10;

impl From<RefusedDescriptor> for RefusedStanding {
    fn from(row: RefusedDescriptor) -> Self {
        Self { sequence: row.sequence, reason: row.reason, words: row.words, at_ms: row.at_ms }
    }
}

/// How pulling goes; times in milliseconds since 1970 by the clock of the node that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullStanding {
    /// The last time that the caller answered it.
    pub success_ms: Option<i64>,
    /// The last time that the caller did not, or not as it should.
    pub error_ms: Option<i64>,
    /// What happened then, in words.
    pub error: Option<String>,
}

impl Standing {
    /// How a peer stands with `node`, at `now` seconds since 1970.
    pub fn of(node: NodeId, peer: &PeerRow, now: i64) -> Self {
        Self {
            node,
            state: peer.state,
            missing: peer.state.missing().iter().map(|step| (*step).to_owned()).collect(),
            holds: peer.sequence,
            clock: now,
            pull: PullStanding { success_ms: peer.success_ms, error_ms: peer.error_ms, error: peer.error.clone() },
            refused: Vec::new(),
        }
    }
}
