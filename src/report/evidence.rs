//! The evidence file of a report: lines of JSON, each ended by a line feed. The first is the report; each further one is a
//! source, that is a log with the statements that the report quotes from it.
//!
//! The QR code holds the digest of the first line, and that line the digest of all behind it: so the code vouches for every
//! byte of the file, and the statements in it prove themselves by their cities' keys.

use serde::{Deserialize, Serialize};

use super::model::Report;
use crate::log::{Hash, Origin};
use crate::statement::{Digest, NodeId};

/// A log, or a node of whose log nothing is here, and what the report quotes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Whose statements these are.
    pub node: NodeId,
    /// The log that they are proven to stand in; None: their signatures alone vouch for them.
    pub log: Option<ProvenLog>,
    /// The descriptors whose keys are valid, oldest first. Without a log: the newest one held.
    pub descriptors: Vec<Entry>,
    /// What the report quotes.
    pub statements: Vec<Entry>,
}

/// A log and the checkpoint that the proofs lead to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenLog {
    /// Its origin.
    pub origin: Origin,
    /// The signed note.
    pub checkpoint: String,
}

/// A statement and the proof of its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its index in the log; 0 where there is no log.
    pub index: u64,
    /// The proof of inclusion (RFC 9162 section 2.1.3), hash by hash in base64url.
    pub proof: Vec<Digest>,
    /// The statement as it was signed.
    pub jws: String,
}

/// A report with its evidence.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The digest of the report's line: what the QR code holds.
    pub digest: Digest,
    /// The report's line, without its end.
    pub line: String,
    /// The whole file.
    pub file: String,
}

impl Evidence {
    /// Writes both; puts the digest of the evidence into the report.
    pub fn write(report: &mut Report, sources: &[Source]) -> Result<Self, serde_json::Error> {
        let mut behind = String::new();
        for source in sources {
            behind += &serde_json::to_string(source)?;
            behind.push('\n');
        }
        report.evidence = Digest::of(behind.as_bytes());
        let line = serde_json::to_string(report)?;
        let file = format!("{line}\n{behind}");
        Ok(Self { digest: Digest::of(line.as_bytes()), line, file })
    }
}

impl Entry {
    /// With the hashes of a proof.
    pub fn new(index: u64, proof: &[Hash], jws: &str) -> Self {
        Self { index, proof: proof.iter().map(|hash| Digest(*hash)).collect(), jws: jws.to_owned() }
    }

    /// The hashes of its proof.
    pub fn hashes(&self) -> Vec<Hash> {
        self.proof.iter().map(|hash| hash.0).collect()
    }
}
