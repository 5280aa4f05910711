//! Cosignatures as they are shown: whose, of which log, how many entries of it, since when.

use serde::Serialize;

use super::status::time;
use crate::log::Origin;
use crate::log::cosignature::name_of;
use crate::statement::NodeId;
use crate::store::cosignature::CosignatureRow;

/// The newest cosignature of a witness on a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cosigned {
    /// The log.
    pub origin: Origin,
    /// Who gave it: `kaopu/<node id>/witness`.
    pub witness: String,
    /// Entries of the checkpoint.
    pub size: u64,
    /// When it was given, as the witness says.
    pub time: Option<String>,
    /// The same in seconds since 1970.
    #[serde(skip)]
    pub at: i64,
    /// How many it has given on this log.
    pub given: u64,
}

impl Cosigned {
    /// As it is stored.
    pub fn of(row: &CosignatureRow) -> Self {
        let at = row.cosignature.at;
        Self {
            origin: row.origin.clone(),
            witness: row.cosignature.witness.clone(),
            size: row.size,
            time: at.checked_mul(1000).and_then(time),
            at,
            given: row.given,
        }
    }

    /// Those of one node on logs of this node.
    pub fn by(node: &NodeId, rows: &[CosignatureRow]) -> Vec<Self> {
        let witness = name_of(node);
        rows.iter().filter(|row| row.own && row.cosignature.witness == witness).map(Self::of).collect()
    }

    /// In words.
    pub fn words(&self) -> String {
        let (size, time) = (self.size, self.time.as_deref().unwrap_or("?"));
        format!("{size} entries of {}, {time}, the last of {}", self.origin, self.given)
    }
}
