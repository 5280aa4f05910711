//! The head of a log: the one checkpoint that this node stands by, moved only by the witness check.
//!
//! C2SP `tlog-witness` in short: a checkpoint is taken if a key of the log signed it and the tree that it stands for has
//! the tree of the head as its prefix. It comes by a pull, which proves that by tiles ([`advance`]), or was pushed with a proof
//! ([`continues`]); either way the store moves the head by one compare-and-swap. Whoever served it, two signed checkpoints that
//! cannot both be true prove a fork.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::prove::{Target, Tiles};
use super::source::{Server, Source};
use super::{Fault, PeerClient};
use crate::log::checkpoint::CheckpointError;
use crate::log::note::{NoteError, VerifierKey};
use crate::log::proof::{self, Node};
use crate::log::{Checkpoint, Hash, Origin};
use crate::store::{Db, Head, LogRow};

/// No honest log has more entries; numbers beyond are noise, and would not fit the store.
const MAX_SIZE: u64 = 1 << 40;

/// Reads a signed checkpoint. Of its signatures those of the log are kept: what others put beneath it is not looked at here.
pub fn open(note: &str, origin: &Origin, keys: &[VerifierKey]) -> Result<Target, Fault> {
    let malformed = |why: String| Fault::Format { what: "the checkpoint", why };
    let checkpoint = Checkpoint::open(note, origin, keys).map_err(|error| match error {
        // no key of this log would sign for another: that is a mix-up, not a forged checkpoint
        CheckpointError::Note(NoteError::Unsigned) if note.lines().next() != Some(&origin.to_string()) => {
            malformed("it is of another log".to_owned())
        }
        CheckpointError::Note(NoteError::Unsigned) => Fault::Key { note: note.to_owned() },
        CheckpointError::Note(error @ NoteError::BadSignature(_)) => {
            Fault::Signature { why: error.to_string(), note: note.to_owned() }
        }
        CheckpointError::EmptyRoot => Fault::EmptyRoot,
        other => malformed(other.to_string()),
    })?;
    if checkpoint.size > MAX_SIZE {
        return Err(malformed(format!("{} entries are more than a log can have", checkpoint.size)));
    }
    let own = Checkpoint::own_note(note, origin, keys).map_err(|error| malformed(error.to_string()))?;
    Ok(Target { size: checkpoint.size, root: checkpoint.root, note: own })
}

/// The witness check: moves the head to `target` if it is newer and true to the head. Gives the proven tiles of the
/// target where there are entries of it to be had, None where there is nothing new.
pub async fn advance(
    db: &Db,
    log: &LogRow,
    source: &Source,
    target: Target,
    now_ms: i64,
) -> Result<Option<Tiles>, Fault> {
    contradicted(db, log, &target).await?;
    let held = log.head.as_ref().map_or(0, |head| head.size);
    if target.size < held && source.server == Server::Owner {
        return Err(Fault::Shrunk { held, served: target.size });
    }
    let newer = log.head.is_none() || target.size > held;
    if !newer && target.size <= log.size {
        return Ok(None);
    }

    let tiles = Tiles::open(source.client.clone(), log.origin.clone(), target.clone()).await?;
    if newer && let Some(head) = &log.head {
        prefix(log, &tiles, head.size, &head.root).await?;
    }
    if log.size != held {
        prefix(log, &tiles, log.size, &log.edge.root()).await?;
    }
    if newer {
        let head = Head { size: target.size, root: target.root, note: target.note, seen_ms: now_ms };
        let moved = db.move_head(log.id, log.head.as_ref().map(|head| head.size), &head).await?;
        // its owner may have pushed the same one meanwhile
        if !moved && !stands_at(db, &log.origin, &head).await? {
            return Err(Fault::Moved);
        }
    }
    Ok((tiles.target().size > log.size).then_some(tiles))
}

async fn stands_at(db: &Db, origin: &Origin, head: &Head) -> Result<bool, Fault> {
    let now = db.log(origin).await?.and_then(|log| log.head);
    Ok(now.is_some_and(|now| now.size == head.size && now.root == head.root))
}

/// A checkpoint that cannot be true beside the head, or beside what is stored here, is one half of a fork.
pub async fn contradicted(db: &Db, log: &LogRow, target: &Target) -> Result<(), Fault> {
    match &log.head {
        Some(head) if target.size < head.size => contradiction_below(db, log, target).await,
        Some(head) if target.size == head.size && target.root != head.root => Err(fork(log, target, &[])),
        _ => Ok(()),
    }
}

/// The witness check of a pushed checkpoint that is no smaller than the head: whether the proof that came with it holds. If it
/// does not, that is a fork where the proof itself shows another history; else whoever pushed it has proven nothing.
pub fn continues(log: &LogRow, target: &Target, proof: &[Hash]) -> Result<bool, Fault> {
    let Some(head) = &log.head else { return Ok(proof.is_empty()) };
    if head.size == 0 {
        return Ok(proof.is_empty());
    }
    let holds = proof::verify_consistency(head.size, &head.root, target.size, &target.root, proof).is_ok();
    if !holds && proof::contradicts(head.size, &head.root, target.size, &target.root, proof) {
        return Err(fork(log, target, proof));
    }
    Ok(holds)
}

/// The proof, from the tiles that are stored here, that the log's first `old` entries are a prefix of all that are.
pub async fn consistency(db: &Db, log: &LogRow, old: u64) -> Result<Vec<Hash>, Fault> {
    let mut found = HashMap::new();
    for node in proof::consistency_nodes(old, log.size) {
        let id = node.tile(log.size);
        let hashes = match log.edge.level(id.level) {
            partial if id.n == crate::log::tile::tiles_at(log.size, id.level).0 => partial.to_vec(),
            _ => db.tile(log.id, id.level, id.n).await?.unwrap_or_default(),
        };
        let hash = node.hash_in(&hashes).ok_or_else(|| Fault::Damaged(format!("tile {id} is not stored")))?;
        found.insert(node, hash);
    }
    proof::consistency(old, log.size, |node: Node| {
        found.get(&node).copied().ok_or_else(|| Fault::Damaged(format!("no hash for {node:?}")))
    })
}

/// Stops a log for an administrator to look at, and keeps the evidence.
pub async fn freeze(db: &Db, log: &LogRow, words: &str, evidence: &[u8], now_ms: i64) {
    let origin = &log.origin;
    tracing::error!(%origin, fault = words, "the log is frozen here; an administrator must look at it");
    if let Err(error) = db.freeze(log.id, words, evidence, now_ms).await {
        tracing::error!(%origin, %error, "could not keep the evidence");
    }
}

/// Whether a checkpoint is true to what is stored here, for who only wants to know: the head stays where it is.
pub async fn agrees(db: &Db, log: &LogRow, client: &PeerClient, target: Target) -> Result<(), Fault> {
    if target.size < log.size {
        contradiction_below(db, log, &target).await?;
        return Err(Fault::Shrunk { held: log.size, served: target.size });
    }
    let tiles = Tiles::open(client.clone(), log.origin.clone(), target).await?;
    prefix(log, &tiles, log.size, &log.edge.root()).await
}

/// The tree (`old`, `root`) is a prefix of the target's; else the log has two histories.
async fn prefix(log: &LogRow, tiles: &Tiles, old: u64, root: &Hash) -> Result<(), Fault> {
    if old == 0 {
        return Ok(());
    }
    let target = tiles.target();
    let proof = tiles.consistency(old).await?;
    proof::verify_consistency(old, root, target.size, &target.root, &proof).map_err(|_| fork(log, target, &proof))
}

/// An older checkpoint must be a prefix of what is stored here. Beyond the cursor nothing can be said yet.
async fn contradiction_below(db: &Db, log: &LogRow, target: &Target) -> Result<(), Fault> {
    if target.size == 0 || target.size > log.size {
        return Ok(());
    }
    let proof = consistency(db, log, target.size).await?;
    proof::verify_consistency(target.size, &target.root, log.size, &log.edge.root(), &proof)
        .map_err(|_| fork(log, target, &proof))
}

/// The proof of a fork: both signed checkpoints, and the hashes that show that the smaller is no prefix of the larger.
fn fork(log: &LogRow, target: &Target, proof: &[Hash]) -> Fault {
    let head = log.head.as_ref();
    let evidence = json!({
        "fault": "fork",
        "origin": log.origin,
        "held": head.map(|head| &head.note),
        "served": target.note,
        "stored": { "size": log.size, "root": STANDARD.encode(log.edge.root()) },
        "proof": proof.iter().map(|hash| STANDARD.encode(hash)).collect::<Vec<_>>(),
    });
    Fault::Fork {
        held: head.map_or(log.size, |head| head.size),
        served: target.size,
        evidence: evidence.to_string().into_bytes(),
    }
}
