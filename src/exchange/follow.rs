//! Following a peer: newer descriptors of it that lead on from the one that the registry has.

use super::feed::blocking;
use super::pull::Surroundings;
use super::{Fault, PeerClient};
use crate::store::peer::PeerRow;
use crate::store::refused_descriptor::RefusedDescriptor;
use crate::trust::refusal::{NotTaken, Refusal, weigh};
use crate::trust::registry::Peer;
use crate::trust::tls::untrusting_tls;

/// Descriptors taken before that are held against what is offered under the same sequence.
const KNOWN: u32 = 1000;

/// Takes those descriptors of a peer into the registry that follow on the one there, each on the one before it, oldest
/// first; false if none does. What is refused is kept as evidence, and told to the administrators of both sides. `whole`:
/// these are all that the peer has.
pub async fn follow(around: &Surroundings, owner: &Peer, line: Vec<String>, whole: bool) -> Result<bool, Fault> {
    let Some(peer) = around.registry.peer(&owner.node) else { return Ok(false) };
    if line.is_empty() || line.last().is_some_and(|newest| *newest == peer.descriptor_jws) {
        return Ok(false);
    }
    let known = around.db.taken_descriptors(&owner.node, KNOWN).await?.into_iter().collect();
    let now_ms = around.clock.now_ms();
    let weighed = move || Ok(weigh(&peer.descriptor, &known, &line, whole, now_ms.div_euclid(1000)));
    let (followed, refused) = blocking(weighed).await?;
    for refusal in refused {
        refuse(around, owner, refusal, now_ms).await?;
    }
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

async fn refuse(around: &Surroundings, owner: &Peer, refusal: Refusal, at_ms: i64) -> Result<(), Fault> {
    let Refusal { sequence, jws, why, held } = refusal;
    let (node, reason, words) = (&owner.node, why.code().to_owned(), why.to_string());
    let kept = RefusedDescriptor { sequence, reason, words, jws, held, at_ms };
    if !around.db.refuse_descriptor(node, &kept).await? {
        return Ok(());
    }
    let RefusedDescriptor { reason, words, .. } = kept;
    if why == NotTaken::Fork {
        tracing::error!(%node, sequence, reason, words, "refused a descriptor of a peer; an administrator must look at it");
    } else {
        tracing::warn!(%node, sequence, reason, words, "refused a descriptor of a peer");
    }
    around.db.note_contact(node, Some(&format!("its descriptor {sequence} is refused: {words}")), at_ms).await?;
    Ok(())
}

/// Asks the owner of a log for its descriptors, from time to time or after it failed; true if one follows on the one that is known.
pub async fn newer(around: &Surroundings, owner: &Peer, fault: Option<&Fault>) -> Result<bool, Fault> {
    let Some(peer) = around.registry.peer(&owner.node) else { return Ok(false) };
    if peer.descriptor_jws != owner.descriptor_jws {
        return Ok(true); // another feed, or another process of this node, was first
    }
    let client = match fault {
        // it may have had to change its authority; a descriptor proves itself, whoever hands it out
        Some(Fault::Tls(_)) => {
            let tls = untrusting_tls(&around.identity).map_err(Fault::Tls)?;
            PeerClient::new(&peer.url, tls, around.settings.patience, false)?
        }
        _ => around.client(&peer)?,
    };
    let descriptors = client.descriptors().await?;
    // the newest ones lead on from what is known; more of them than a log has in an hour are no honest answer
    let most = around.taken.limit(&owner.node).descriptors as usize;
    let newest = &descriptors[..descriptors.len().min(most)];
    follow(around, owner, newest.iter().rev().cloned().collect(), true).await
}
