//! Following a peer: newer descriptors of it that lead on from the one that the registry has.

use super::feed::blocking;
use super::pull::{Clients, Surroundings};
use super::{Fault, PeerClient};
use crate::store::peer::PeerRow;
use crate::trust::registry::Peer;
use crate::trust::tls::untrusting_tls;

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

/// Asks the owner of a log for its descriptors after it failed; true if one follows on the one that is known.
pub async fn newer(around: &Surroundings, clients: &Clients, owner: &Peer, fault: &Fault) -> Result<bool, Fault> {
    let Some(peer) = around.registry.peer(&owner.node) else { return Ok(false) };
    let client = match fault {
        // it may have had to change its authority; a descriptor proves itself, whoever hands it out
        Fault::Tls(_) => {
            let tls = untrusting_tls(&around.identity).map_err(|error| Fault::Tls(error))?;
            PeerClient::new(&peer.url, tls, around.settings.patience, false)?
        }
        _ => clients.of(&peer, around)?,
    };
    let descriptors = client.descriptors().await?;
    // the newest ones lead on from what is known; more of them than a log has in an hour are no honest answer
    let most = around.taken.limit(&owner.node).descriptors as usize;
    let newest = &descriptors[..descriptors.len().min(most)];
    follow(around, owner, newest.iter().rev().cloned().collect()).await
}
