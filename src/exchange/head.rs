//! The head of a log: the one checkpoint that this node stands by, moved only by the witness check.
//!
//! C2SP `tlog-witness` in short: a checkpoint is taken if a key of the log signed it and the tree that it stands for has
//! the tree of the head as its prefix. Whoever served it, two signed checkpoints that cannot both be true prove a fork.

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

/// Reads a signed checkpoint.
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
        other => malformed(other.to_string()),
    })?;
    if checkpoint.size > MAX_SIZE {
        return Err(malformed(format!("{} entries are more than a log can have", checkpoint.size)));
    }
    Ok(Target { size: checkpoint.size, root: checkpoint.root, note: note.to_owned() })
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
    let held = log.head.as_ref().map_or(0, |head| head.size);
    if target.size < held {
        contradiction_below(db, log, &target).await?;
        if source.server == Server::Owner {
            return Err(Fault::Shrunk { held, served: target.size });
        }
    }
    if target.size == held
        && let Some(head) = &log.head
        && head.root != target.root
    {
        return Err(fork(log, &target, &[]));
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
        if !db.move_head(log.id, log.head.as_ref().map(|head| head.size), &head).await? {
            return Err(Fault::Moved);
        }
    }
    Ok((tiles.target().size > log.size).then_some(tiles))
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
    let mut found = std::collections::HashMap::new();
    for node in proof::consistency_nodes(target.size, log.size) {
        let id = node.tile(log.size);
        let hashes = match log.edge.level(id.level) {
            partial if id.n == crate::log::tile::tiles_at(log.size, id.level).0 => partial.to_vec(),
            _ => db.tile(log.id, id.level, id.n).await?.unwrap_or_default(),
        };
        let hash = node.hash_in(&hashes).ok_or_else(|| Fault::Damaged(format!("tile {id} is not stored")))?;
        found.insert(node, hash);
    }
    let proof = proof::consistency(target.size, log.size, |node: Node| {
        found.get(&node).copied().ok_or_else(|| Fault::Damaged(format!("no hash for {node:?}")))
    })?;
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
