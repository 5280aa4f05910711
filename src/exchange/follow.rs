//! Following a peer: newer descriptors of it that lead on from the one that the registry has.

use super::Fault;
use super::feed::blocking;
use super::pull::Surroundings;
use crate::store::peer::PeerRow;
use crate::trust::registry::Peer;

/// Takes those descriptors of a peer into the registry that follow on the one there, each on the one before it, oldest
/// first; false if none does.
pub async fn follow(around: &Surroundings, owner: &Peer, line: Vec<String>) -> Result<bool, Fault> {
    let Some(peer) = around.registry.peer(&owner.node) else { return Ok(false) };
    if line.is_empty() || line.last().is_some_and(|newest| *newest == peer.descriptor_jws) {
        return Ok(false);
    }
    let leads_on = move || {
        let mut at = peer.descriptor.clone();
        let mut followed = Vec::new();
        for jws in line {
            if let Ok((_, next)) = at.successor(&jws) {
                followed.push((next.sequence, jws));
                at = next;
            }
        }
        Ok(followed)
    };
    let followed = blocking(leads_on).await?;
    let Some(row) = around.db.peers().await?.into_iter().find(|row| row.node == owner.node) else { return Ok(false) };
    let mut taken = false;
    for (sequence, descriptor) in followed {
        taken |= around.db.put_peer(&PeerRow { descriptor, sequence, ..row.clone() }).await?;
    }
    if taken && let Err(error) = around.registry.refresh().await {
        tracing::warn!(%error, "could not look at the peers");
    }
    Ok(taken)
}
