//! One peer is asked to cosign the newest checkpoint of a log of this node: C2SP `tlog-witness` from the log's side.

use super::{Fault, PeerClient, head};
use crate::clock::Clock;
use crate::log::cosignature::name_of;
use crate::log::witness::{Submitted, Witnessed};
use crate::log::{Checkpoint, Cosignature};
use crate::store::{Db, Head, LogRow};
use crate::trust::registry::Peer;

/// How often the size that a witness says it holds is followed: another process of this node may push meanwhile.
const TRIES: usize = 4;
/// Seconds by which clocks may differ. A cosignature is from between the checkpoint and now: one from before it would make the
/// log seem older than it is.
const SKEW: i64 = 300;

/// Has a peer cosign the head of an own log, and keeps what it gives.
pub async fn cosign(
    db: &Db,
    client: &PeerClient,
    peer: &Peer,
    log: &LogRow,
    clock: &Clock,
) -> Result<Cosignature, Fault> {
    let head = log.head.as_ref().ok_or(Fault::NotHeld)?;
    let mut old = newest(db, peer, log).await?.map_or(0, |(size, _)| size).min(head.size);
    for _ in 0..TRIES {
        let proof = head::consistency(db, log, old).await?;
        let submitted = Submitted { old, proof, note: head.note.clone() };
        match client.add_checkpoint(&submitted).await? {
            Witnessed::Cosigned(lines) => {
                let cosignature = read(peer, log, head, &lines, clock)?;
                db.put_cosignature(log.id, head.size, &cosignature).await?;
                return Ok(cosignature);
            }
            Witnessed::Holds(there) if there > head.size => {
                return Err(Fault::Ahead { origin: log.origin.clone(), there, here: head.size });
            }
            Witnessed::Holds(there) => old = there,
        }
    }
    Err(Fault::Format { what: "the cosignature", why: "it says each time that it holds another size".to_owned() })
}

/// The newest cosignature of a peer on an own log, and on which size it is.
pub async fn newest(db: &Db, peer: &Peer, log: &LogRow) -> Result<Option<(u64, Cosignature)>, Fault> {
    let witness = name_of(&peer.node);
    let rows = db.cosignatures(log.id).await?;
    Ok(rows.into_iter().find(|row| row.cosignature.witness == witness).map(|row| (row.size, row.cosignature)))
}

/// Whether a cosignature on the head is by a key that the peer's descriptor names now.
pub fn is_current(peer: &Peer, log: &LogRow, head: &Head, cosignature: &Cosignature) -> bool {
    let read = Cosignature::read(&text(log, head), &cosignature.line, &peer.descriptor.witness_keys());
    matches!(read, Ok(Some(_)))
}

fn read(peer: &Peer, log: &LogRow, head: &Head, lines: &str, clock: &Clock) -> Result<Cosignature, Fault> {
    let keys = peer.descriptor.witness_keys();
    let read = Cosignature::read_all(&text(log, head), lines, &keys);
    let refused = |why: &str| Fault::Cosignature(why.to_owned());
    let cosignature = read
        .map_err(|error| Fault::Cosignature(error.to_string()))?
        .ok_or_else(|| refused("it is by no witness key that the peer's descriptor names"))?;
    match cosignature.at {
        at if at > clock.now().saturating_add(SKEW) => Err(refused("its time is ahead of this node's clock")),
        at if at < head.seen_ms.div_euclid(1000) - SKEW => Err(refused("its time is before that of the checkpoint")),
        _ => Ok(cosignature),
    }
}

/// What was signed: the three lines of the checkpoint.
fn text(log: &LogRow, head: &Head) -> String {
    Checkpoint { origin: log.origin.clone(), size: head.size, root: head.root }.text()
}
