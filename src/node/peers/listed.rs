//! Peers that a federation's member list proposes: fetched like any other, and held against the list.

use serde::Serialize;

use super::{Peers, PeersError, Person, Step};
use crate::exchange::Fault;
use crate::statement::NodeId;
use crate::store::peer::PeerRow;
use crate::trust::descriptor::{Descriptor, spoken, thumbprint};
use crate::trust::member_list::Member;
use crate::trust::proposed::{Proposed, compare};
use crate::trust::state::PeerState;
use crate::trust::tls;

/// What became of a member that was proposed.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    /// Whose.
    pub node: NodeId,
    /// Where it stands here now; None where it could not be fetched.
    pub state: Option<PeerState>,
    /// The fingerprint that the list names.
    pub listed: String,
    /// The one of what was fetched.
    pub fetched: Option<String>,
    /// Why it was not taken.
    pub error: Option<String>,
}

impl Listed {
    pub(in crate::node) fn failed(member: &Member, error: &PeersError) -> Self {
        let (node, listed) = (member.node.clone(), spoken(&member.fingerprint));
        Self { node, state: None, listed, fetched: None, error: Some(error.to_string()) }
    }
}

impl Peers {
    /// Asks the address of a member for its descriptors, over a line that nobody vouches for.
    pub(in crate::node) async fn ask_member(&self, member: &Member) -> Result<Proposed, PeersError> {
        let client = self.client(&member.url, tls::untrusting_tls(&self.identity)?)?;
        let asked = |fault: Fault| PeersError::Asked(member.url.clone(), fault);
        let served = client.descriptors().await.map_err(asked)?;
        Ok(compare(member, &served, self.clock.now())?)
    }

    /// Keeps what a member's address answered as fetched.
    pub(in crate::node) async fn keep_member(
        &self,
        member: &Member,
        found: Proposed,
        by: &Person,
        because: &str,
    ) -> Result<Listed, PeersError> {
        let Proposed { verified, descriptor, .. } = found;
        let added = self.take(verified, &descriptor, Some(&member.url), by, Some(because)).await?;
        Ok(Listed {
            node: added.node,
            state: Some(added.state),
            listed: spoken(&member.fingerprint),
            fetched: Some(added.fingerprint),
            error: None,
        })
    }

    /// Confirms a fetched member by the list alone, where this node's own policy says that a list does that: root key and
    /// authorities are exactly those that the list names. Another person still approves.
    pub(in crate::node) async fn confirm_by_list(
        &self,
        member: &Member,
        by: &Person,
        because: &str,
    ) -> Result<Option<PeerRow>, PeersError> {
        let (row, descriptor) = self.held(&member.node).await?;
        let is_listed =
            |held: &Descriptor| thumbprint(&held.root) == member.root && held.fingerprint() == member.fingerprint;
        if row.state != PeerState::Fetched || !is_listed(&descriptor) {
            return Ok(None);
        }
        self.step(Step::Confirm, row, "confirm", by, Some(because)).await.map(Some)
    }
}
