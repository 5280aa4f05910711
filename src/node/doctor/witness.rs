//! Witnessing, in both directions: whether a peer cosigns what this node's logs say, which is tried, and whether this node
//! cosigns what the peer's say, which its own store tells.

use super::Check;
use super::peer::{Surroundings, failed};
use crate::exchange::cosign::cosign;
use crate::exchange::{Fault, PeerClient};
use crate::log::cosignature::name_of;
use crate::node::status::spoken_span;
use crate::store::{LogState, StoreError};
use crate::trust::registry::Peer;
use crate::trust::state::PeerState;

/// The exchange log is pushed once a minute; what is not cosigned after this will not be.
const GRACE_MS: i64 = 3 * 60 * 1000;

impl Surroundings<'_> {
    /// Has it cosign the newest checkpoints of this node's logs, as `kaopu serve` does.
    pub(super) async fn witness(&self, peer: &Peer, client: &PeerClient) -> Check {
        const NAME: &str = "witness";
        let node = &peer.node;
        if peer.descriptor.witness_keys().is_empty() {
            let words = format!("the descriptor of {node} names no witness key: ask its administrator to add one");
            return Check::warning(NAME, words);
        }
        let tried = async {
            let mut said = Vec::new();
            for log in self.db.logs().await?.into_iter().filter(|log| log.own && log.state == LogState::Open) {
                cosign(self.db, client, peer, &log, self.clock).await?;
                said.push(format!("{} entries of {}", log.size, log.origin));
            }
            Ok::<_, Fault>(said.join(" and "))
        };
        match tried.await {
            Ok(said) => Check::good(NAME, format!("{node} has just cosigned {said}")),
            Err(Fault::NotHeld) => Check::fault(
                NAME,
                format!("{node} does not know this node's logs: see that it holds this node's newest descriptor"),
            ),
            Err(Fault::Http(_, why)) if why == "log-stopped" || why == "fork" => Check::fault(
                NAME,
                format!(
                    "{node} does not cosign this node's logs ({why}): telephone its administrator, whose `kaopu status` says \
                     what it holds against them"
                ),
            ),
            Err(fault @ Fault::Ahead { .. }) => Check::fault(
                NAME,
                format!("{fault} Do not append before that is explained: bring the store back from a newer backup"),
            ),
            Err(fault @ Fault::Cosignature(_)) => Check::fault(
                NAME,
                format!("{fault}: ask the administrator of {node} which key it cosigns with, and compare the clocks"),
            ),
            Err(fault) => failed(NAME, &fault, peer),
        }
    }

    /// Whether this node has cosigned what it holds of the peer's logs: the peer asks for it, so this says whether it does.
    pub(super) async fn cosigns(&self, peer: &Peer) -> Option<Check> {
        const NAME: &str = "cosigns";
        if peer.state != PeerState::Active {
            return None;
        }
        if self.own.witness_keys().is_empty() {
            let words = "this node's own descriptor names no witness key: `kaopu key rotate witness` makes one";
            return Some(Check::warning(NAME, words));
        }
        Some(match self.cosigned(peer).await {
            Ok(check) => check,
            Err(error) => Check::fault(NAME, format!("{error}: look at this node's own store")),
        })
    }

    async fn cosigned(&self, peer: &Peer) -> Result<Check, StoreError> {
        const NAME: &str = "cosigns";
        let (node, witness, now_ms) = (&peer.node, name_of(&self.own.node), self.clock.now_ms());
        let (mut newest, mut late) = (None, Vec::new());
        for log in self.db.logs().await?.into_iter().filter(|log| log.origin.node == *node) {
            if log.state == LogState::Frozen {
                let why = log.reason.as_deref().unwrap_or("no reason is noted");
                let words = format!("{} is frozen here ({why}): telephone the administrator of {node}", log.origin);
                return Ok(Check::fault(NAME, words));
            }
            let Some(head) = log.head.as_ref().filter(|_| log.state == LogState::Open) else { continue };
            let rows = self.db.cosignatures(log.id).await?;
            let own = rows.into_iter().find(|row| row.cosignature.witness == witness);
            newest = newest.max(own.as_ref().map(|row| row.cosignature.at));
            if own.is_none_or(|row| row.size < head.size) && now_ms - head.seen_ms > GRACE_MS {
                late.push(log.origin.to_string());
            }
        }
        let ago = newest.map(|at| spoken_span(now_ms - at.saturating_mul(1000)));
        Ok(match ago {
            _ if !late.is_empty() => {
                let logs = late.join(" and ");
                let words =
                    format!("{node} does not ask this node to cosign {logs}: ask whether its `kaopu serve` runs");
                Check::warning(NAME, words)
            }
            Some(ago) => Check::good(NAME, format!("this node last cosigned a log of {node} {ago} ago")),
            None => Check::note(NAME, format!("this node has not cosigned a log of {node} yet")),
        })
    }
}
