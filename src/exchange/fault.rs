//! What can go wrong with a peer, told apart: in words for an administrator, and in what it means for the feed.

use std::time::Duration;

use crate::log::{Origin, TileId};
use crate::quota::Spent;
use crate::store::StoreError;
use crate::trust::tls::TlsError;

/// Why a pull did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No connection, or it broke.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The certificates do not fit, on either side.
    #[error("TLS: {0}")]
    Tls(TlsError),
    /// It took longer than this node waits.
    #[error("answers too slowly: {0} took longer than {1:?}")]
    Slow(&'static str, Duration),
    /// It answered with a status that is no answer.
    #[error("answered {0}: {1}")]
    Http(u16, String),
    /// It knows this node, and does not answer it: not active there yet, suspended or revoked.
    #[error("this node is {words} there", words = .0.replace('-', " "))]
    NotTaken(String),
    /// It is no active peer of this node any more, so it is not asked.
    #[error("is not an active peer any more")]
    Inactive,
    /// It asks us to come back later.
    #[error("asks to wait {0:?}")]
    Limited(Duration),
    /// This node has taken from it what it takes from a peer in a day.
    #[error("{} {} were taken from it today, as many as [limits] allow; goes on when the day turns, in {:?}", .0.limit, .0.what, .0.wait)]
    DaySpent(Spent),
    /// More descriptors than a log has in an hour.
    #[error(
        "its log has more than {limit} descriptors an hour, as many as [limits] allow; goes on when the hour turns, in {wait:?}"
    )]
    Flood {
        /// How many there may be.
        limit: u32,
        /// How long until there may be more.
        wait: Duration,
    },
    /// It signs by a key that its descriptors do not name, and each time serves newer ones that do not name it either.
    #[error(
        "the checkpoint is signed by none of the log's keys, nor by those of the newer descriptors that it serves each time"
    )]
    Restless,
    /// An answer longer than it can honestly be.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// Which answer.
        what: &'static str,
        /// What it can be at most.
        limit: usize,
    },
    /// An answer that is not of the form that the protocol has.
    #[error("{what} is malformed: {why}")]
    Format {
        /// Which answer.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It does not serve this log, or nothing of it yet.
    #[error("holds nothing of this log")]
    NotHeld,
    /// A checkpoint of no entries that has the root of some.
    #[error("the checkpoint is of no entries and has the root of some")]
    EmptyRoot,
    /// A checkpoint signed by none of the log's keys.
    #[error("the checkpoint is signed by none of the log's keys")]
    Key {
        /// The note.
        note: String,
    },
    /// A checkpoint whose signature by a known key does not verify.
    #[error("the checkpoint's signature does not verify: {why}")]
    Signature {
        /// What the note's reader says.
        why: String,
        /// The note.
        note: String,
    },
    /// Two signed checkpoints of one log that cannot both be true.
    #[error("the log has two histories: the checkpoints of {held} and of {served} entries contradict each other")]
    Fork {
        /// Size of the checkpoint held.
        held: u64,
        /// Size of the checkpoint served.
        served: u64,
        /// Both notes and the proof, JSON.
        evidence: Vec<u8>,
    },
    /// The owner serves a checkpoint older than one that it has served before.
    #[error("the log has shrunk from {held} to {served} entries")]
    Shrunk {
        /// Size of the checkpoint held.
        held: u64,
        /// Size of the checkpoint served.
        served: u64,
    },
    /// A checkpoint beyond the size at which the owner's descriptor closed the log.
    #[error("the log was closed at {closed} entries; a checkpoint of {served} was served")]
    Closed {
        /// Size at which it was closed.
        closed: u64,
        /// Size of the checkpoint served.
        served: u64,
    },
    /// Entry 0 is not a descriptor of one line with the confirmed one: nothing behind it could be verified.
    #[error("the log does not begin with a descriptor of its owner: {0}")]
    Beginning(String),
    /// The tiles of the right edge have another root than the checkpoint.
    #[error("the tiles at the edge of {size} entries do not give the checkpoint's root")]
    Root {
        /// Size of the tree.
        size: u64,
        /// The note.
        note: String,
    },
    /// A tile is not the one that the tree commits to.
    #[error("tile {id} is not the one that the checkpoint commits to")]
    Tile {
        /// Which one.
        id: TileId,
        /// What came instead.
        bytes: Vec<u8>,
        /// The note.
        note: String,
    },
    /// A bundle is not the one that its tile commits to.
    #[error("entry {index} is not the one that its tile commits to")]
    Entry {
        /// Index of the first entry that differs.
        index: u64,
        /// The note.
        note: String,
    },
    /// A body is not the one that its entry names.
    #[error("the body served for entry {index} is not the one that the entry names")]
    Digest {
        /// Index of the entry.
        index: u64,
        /// The body that came instead.
        body: String,
        /// The note.
        note: String,
    },
    /// As a witness it says what is not so: its cosignature does not verify, or is of another time.
    #[error("its cosignature is not taken: {0}")]
    Cosignature(String),
    /// As a witness it holds a larger checkpoint of this node's log than this node has.
    #[error("it holds a checkpoint of {there} entries of {origin}, and here are {here}: was this store set back?")]
    Ahead {
        /// Which log.
        origin: Origin,
        /// Size of the checkpoint there.
        there: u64,
        /// Entries here.
        here: u64,
    },
    /// The body of an open entry is kept back.
    #[error("withholds the body of entry {0}, which is open to everybody")]
    Withheld(u64),
    /// A body is said to be erased, and no erasure says so.
    #[error("says that entry {0} was erased, without the statement that orders it")]
    Erased(u64),
    /// The log is closed or frozen here, or its peer is not active any more.
    #[error("the feed is stopped: {0}")]
    Stopped(String),
    /// A descriptor declares keys compromised; what they signed is taken back before the log goes on.
    #[error("its owner declares a key compromised: what that signed is taken back first")]
    Voids,
    /// Another process of this node has moved this log; look again.
    #[error("another process of this node moved the log")]
    Moved,
    /// This node's own store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What this node holds itself does not fit together.
    #[error("this node's own copy is damaged: {0}")]
    Damaged(String),
}

impl Fault {
    /// Whether it is a lie about the log, not an outage: told by the owner, it freezes the feed.
    pub fn is_lie(&self) -> bool {
        matches!(
            self,
            Self::Key { .. }
                | Self::Signature { .. }
                | Self::Fork { .. }
                | Self::Root { .. }
                | Self::Tile { .. }
                | Self::Entry { .. }
                | Self::Digest { .. }
        )
    }

    /// Whether there was no answer at all, or none yet.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Tls(_) | Self::Slow(..) | Self::Limited(_))
    }

    /// Whether the owner's own signatures prove it, whoever served them.
    pub fn is_fork(&self) -> bool {
        matches!(self, Self::Fork { .. })
    }

    /// Whether it is this node's own trouble, so that no peer is to blame.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Store(_) | Self::Moved | Self::Voids | Self::Inactive | Self::Damaged(_) | Self::Stopped(_)
        )
    }

    /// What is kept as proof, JSON.
    pub fn evidence(&self) -> Vec<u8> {
        use base64::Engine as _;
        let base64 = base64::engine::general_purpose::STANDARD;
        let evidence = match self {
            Self::Fork { evidence, .. } => return evidence.clone(),
            Self::Key { note } | Self::Signature { note, .. } | Self::Root { note, .. } | Self::Entry { note, .. } => {
                serde_json::json!({ "fault": self.to_string(), "checkpoint": note })
            }
            Self::Tile { id, bytes, note } => serde_json::json!({
                "fault": self.to_string(), "checkpoint": note, "tile": id.to_string(), "served": base64.encode(bytes),
            }),
            Self::Digest { index, body, note } => serde_json::json!({
                "fault": self.to_string(), "checkpoint": note, "index": index, "served": body,
            }),
            _ => serde_json::json!({ "fault": self.to_string() }),
        };
        evidence.to_string().into_bytes()
    }
}
