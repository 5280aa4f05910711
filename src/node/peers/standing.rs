//! Asking the other side how this node stands there. What it says makes a peer active that two persons here have approved,
//! and nothing else: a node that lies about itself gains nothing.

use std::sync::Arc;
use std::time::Duration;

use super::{Peers, PeersError};
use crate::exchange::Fault;
use crate::exchange::standing::Standing;
use crate::statement::NodeId;
use crate::store::ceremony::Step;
use crate::store::peer::PeerRow;
use crate::store::peer_state::PeerState;
use crate::store::pending::Change;
use crate::trust::registry::Peer;
use crate::trust::tls;

/// How often those are asked that are not active, and those that are: a side that has been taken out must be able to say so.
const ASK_EVERY: Duration = Duration::from_secs(2);
const ASK_ACTIVE_EVERY_MS: i64 = 60_000;
/// Asked at once; the others wait for the next turn.
const AT_ONCE: usize = 8;

impl Peers {
    /// Asks for ever, and logs changes that wait to be logged.
    pub async fn keep_asking(self) {
        loop {
            if let Err(error) = self.ask_all().await {
                tracing::warn!(%error, "could not ask the peers how this node stands");
            }
            self.log_changes().await;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Asks each peer that is due once.
    pub async fn ask_all(&self) -> Result<(), PeersError> {
        let now_ms = self.clock.now_ms();
        let due = |row: &PeerRow| match row.state {
            PeerState::Revoked | PeerState::Invited => false,
            PeerState::Active => row.standing_ms.is_none_or(|ms| now_ms.saturating_sub(ms) >= ASK_ACTIVE_EVERY_MS),
            _ => true,
        };
        let rows: Vec<PeerRow> = self.db.peers().await?.into_iter().filter(due).collect();
        for some in rows.chunks(AT_ONCE) {
            let asked = some.iter().map(|row| async move {
                if let Err(error) = Box::pin(self.ask(row)).await {
                    tracing::debug!(node = %row.node, %error, "did not hear how this node stands");
                }
            });
            futures_util::future::join_all(asked).await;
        }
        Ok(())
    }

    /// Asks one peer. If it has approved this node, and this node it, it is active from now on.
    pub async fn ask(&self, row: &PeerRow) -> Result<Standing, PeersError> {
        let asked = self.hear(row).await;
        let now_ms = self.clock.now_ms();
        let standing = match asked {
            Ok(standing) => standing,
            Err(error) => {
                // feeds note how it goes with those that are active
                if row.state != PeerState::Active {
                    self.db.note_contact(&row.node, Some(&said(&error)), now_ms).await?;
                }
                return Err(error);
            }
        };
        self.heard(row, &standing).await?;
        Ok(standing)
    }

    /// Keeps what a peer has said. Its word alone makes nobody active: two persons here must have approved.
    pub async fn heard(&self, row: &PeerRow, standing: &Standing) -> Result<(), PeersError> {
        let now_ms = self.clock.now_ms();
        if row.state != PeerState::Active {
            self.db.note_contact(&row.node, None, now_ms).await?;
        }
        let text = serde_json::to_string(standing).unwrap_or_default();
        self.db.note_standing(&row.node, &text, now_ms).await?;
        if row.state == PeerState::Approved && has_approved(standing.state) {
            self.activate(row).await?;
        }
        Ok(())
    }

    async fn hear(&self, row: &PeerRow) -> Result<Standing, PeersError> {
        let peer = Arc::new(Peer::of(row.clone())?);
        let client = self.client(&peer.url, tls::client_tls(&self.identity, &peer)?)?.holding(row.sequence);
        let asked = |fault| PeersError::Asked(row.node.to_string(), fault);
        let standing = client.standing().await.map_err(asked)?;
        if standing.node != row.node {
            let why = format!("it says that it is {}", standing.node);
            return Err(asked(Fault::Format { what: "the standing", why }));
        }
        Ok(standing)
    }

    /// The store lets nobody become active whom two persons have not approved.
    async fn activate(&self, row: &PeerRow) -> Result<(), PeersError> {
        let digest = crate::statement::Digest::of(row.descriptor.as_bytes()).to_string();
        let by: &NodeId = &self.id;
        let change = Change {
            reason: Some("both sides have approved"),
            digest: Some(&digest),
            ..self.change(&row.node, "activate", by.as_str())
        };
        if self.db.step_peer(Step::Activate, &row.node, &row.descriptor, &change).await? {
            tracing::info!(node = %row.node, "is an active peer from now on");
            self.log_changes().await;
        }
        Ok(())
    }
}

/// Whether two persons there stand for this node.
fn has_approved(there: PeerState) -> bool {
    matches!(there, PeerState::Approved | PeerState::Active)
}

fn said(error: &PeersError) -> String {
    match error {
        PeersError::Asked(_, fault) => fault.to_string(),
        other => other.to_string(),
    }
}
