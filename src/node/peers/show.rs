//! A peer as it is shown to its administrators: its keys and when they end, how the last contact went, and what is missing
//! on which side.

use serde::Serialize;

use super::{Peers, PeersError};
use crate::exchange::standing::{REFUSED_TOLD, RefusedStanding, Standing};
use crate::log::origin::LogName;
use crate::node::cosigned::Cosigned;
use crate::node::status::{spoken_span, time};
use crate::statement::NodeId;
use crate::store::invitation::InvitationRow;
use crate::store::peer::PeerRow;
use crate::store::peer_state::PeerState;
use crate::trust::descriptor::{Descriptor, KeyState, spoken, thumbprint};

/// A peer, or a node that is invited.
#[derive(Clone, Debug, Serialize)]
pub struct PeerView {
    /// Its id.
    pub node: NodeId,
    /// Where it stands here.
    pub state: PeerState,
    /// Since when.
    pub since: Option<String>,
    /// Why it was suspended or revoked.
    pub reason: Option<String>,
    /// Its name; None while it is only invited.
    pub name: Option<String>,
    /// Where it answers.
    pub url: Option<String>,
    /// As digits that can be read out.
    pub fingerprint: Option<String>,
    /// The sequence of its newest descriptor.
    pub descriptor: Option<u64>,
    /// Until when that holds.
    pub valid_until: Option<String>,
    /// Its root key's thumbprint.
    pub root: Option<String>,
    /// Its keys and authorities.
    pub keys: Vec<ShownKey>,
    /// Who typed the fingerprint.
    pub proposed_by: Option<String>,
    /// Who agreed.
    pub approved_by: Option<String>,
    /// It was taken by a file, before this node had accounts.
    pub by_file: bool,
    /// Who invited it, and until when the invitation holds.
    pub invited: Option<Invited>,
    /// What is still to be done here, in order.
    pub missing_here: Vec<String>,
    /// Where this node stands there, as it last said; None if it never did.
    pub state_there: Option<PeerState>,
    /// What is still to be done there.
    pub missing_there: Vec<String>,
    /// When it said so.
    pub heard: Option<String>,
    /// The sequence of this node's descriptor that it holds.
    pub picked_up: Option<u64>,
    /// When it last answered.
    pub last_success: Option<String>,
    /// When it last did not, and what happened.
    pub last_error_time: Option<String>,
    /// In words.
    pub last_error: Option<String>,
    /// The newest of its descriptors that were refused here.
    pub refused: Vec<RefusedStanding>,
    /// The newest of this node's descriptors that were refused there, as it last said.
    pub refused_there: Vec<RefusedStanding>,
    /// Cosignatures that it gave on checkpoints of this node's logs.
    pub cosignatures: u64,
    /// Of each log the newest of them.
    pub cosigned: Vec<Cosigned>,
    /// What is to be done next, in one sentence.
    pub next: String,
}

/// Who invited a node, and until when.
#[derive(Clone, Debug, Serialize)]
pub struct Invited {
    /// Who.
    pub by: String,
    /// Until when the invitation holds.
    pub until: Option<String>,
}

/// A key of a peer.
#[derive(Clone, Debug, Serialize)]
pub struct ShownKey {
    /// What for.
    pub purpose: String,
    /// Its thumbprint; of an authority the certificate's digest.
    pub id: String,
    /// Where it is in its life.
    pub state: KeyState,
}

impl Peers {
    /// All peers, and all nodes that are invited, by id.
    pub async fn show_all(&self) -> Result<Vec<PeerView>, PeersError> {
        Self::views(&self.db, self.clock.now_ms()).await
    }

    /// One of them.
    pub async fn show(&self, node: &NodeId) -> Result<PeerView, PeersError> {
        let all = self.show_all().await?;
        all.into_iter().find(|view| view.node == *node).ok_or_else(|| PeersError::Unknown(node.clone()))
    }

    /// The same from a store alone, without keys or certificates.
    pub async fn views(db: &crate::store::Db, now_ms: i64) -> Result<Vec<PeerView>, PeersError> {
        let invitations = db.invitations(now_ms).await?;
        let cosignatures = db.all_cosignatures().await?;
        let rows = db.peers().await?;
        let mut views = Vec::new();
        for invitation in &invitations {
            if !rows.iter().any(|row| row.node == invitation.node) {
                views.push(PeerView::of_invitation(invitation));
            }
        }
        for row in rows {
            let (_, descriptor) = Descriptor::open(&row.descriptor)?;
            let invited = invitations.iter().find(|invitation| invitation.node == row.node);
            let cosigned = Cosigned::by(&row.node, &cosignatures);
            let refused = db.refused_descriptors(&row.node, REFUSED_TOLD).await?;
            views.push(PeerView {
                refused: refused.into_iter().map(Into::into).collect(),
                invited: invited.map(Invited::of),
                cosignatures: cosigned.iter().map(|newest| newest.given).sum(),
                cosigned,
                ..PeerView::of(row, &descriptor, now_ms)
            });
        }
        views.sort_by(|a, b| a.node.cmp(&b.node));
        Ok(views)
    }
}

impl Invited {
    fn of(row: &InvitationRow) -> Self {
        Self { by: row.invited_by.clone(), until: time(row.until_ms) }
    }
}

impl PeerView {
    fn of_invitation(row: &InvitationRow) -> Self {
        Self {
            node: row.node.clone(),
            state: PeerState::Invited,
            since: time(row.made_ms),
            reason: None,
            name: None,
            url: None,
            fingerprint: None,
            descriptor: None,
            valid_until: None,
            root: None,
            keys: Vec::new(),
            proposed_by: None,
            approved_by: None,
            by_file: false,
            invited: Some(Invited::of(row)),
            missing_here: PeerState::Invited.missing().iter().map(|step| (*step).to_owned()).collect(),
            state_there: None,
            missing_there: Vec::new(),
            heard: None,
            picked_up: None,
            last_success: None,
            last_error_time: None,
            last_error: None,
            refused: Vec::new(),
            refused_there: Vec::new(),
            cosignatures: 0,
            cosigned: Vec::new(),
            next: "its administrator runs `kaopu peer add` with the invitation's text".to_owned(),
        }
    }

    fn of(row: PeerRow, descriptor: &Descriptor, now_ms: i64) -> Self {
        let standing = heard(&row);
        Self {
            since: time(row.changed_ms),
            name: Some(descriptor.name.clone()),
            url: row.url.clone().or_else(|| descriptor.endpoints.first().cloned()),
            fingerprint: Some(spoken(&descriptor.fingerprint())),
            descriptor: Some(descriptor.sequence),
            valid_until: descriptor.valid_until.checked_mul(1000).and_then(time),
            root: Some(thumbprint(&descriptor.root).to_string()),
            keys: keys(descriptor),
            invited: None,
            missing_here: row.state.missing().iter().map(|step| (*step).to_owned()).collect(),
            state_there: standing.as_ref().map(|standing| standing.state),
            missing_there: standing.as_ref().map(|standing| standing.missing.clone()).unwrap_or_default(),
            refused: Vec::new(),
            refused_there: standing.map(|standing| standing.refused).unwrap_or_default(),
            heard: row.standing_ms.and_then(time),
            last_success: row.success_ms.and_then(time),
            last_error_time: row.error_ms.and_then(time),
            last_error: row.error.clone(),
            cosignatures: 0,
            cosigned: Vec::new(),
            next: next(&row, now_ms),
            node: row.node,
            state: row.state,
            reason: row.reason,
            proposed_by: row.proposed_by,
            approved_by: row.approved_by,
            by_file: row.by_file,
            picked_up: row.picked_up,
        }
    }
}

fn heard(row: &PeerRow) -> Option<Standing> {
    serde_json::from_str(row.standing.as_ref()?).ok()
}

fn keys(descriptor: &Descriptor) -> Vec<ShownKey> {
    use crate::trust::descriptor::Purpose;
    let purpose = |purpose: &Purpose| match purpose {
        Purpose::Sign => "sign".to_owned(),
        Purpose::Log(origin) => format!("log {}", if origin.log == LogName::Records { "records" } else { "exchange" }),
        Purpose::Witness => "witness".to_owned(),
        Purpose::Seal => "seal".to_owned(),
    };
    let authorities = descriptor.tls.iter().map(|trust| ShownKey {
        purpose: "tls authority".to_owned(),
        id: crate::statement::Digest::of(&trust.certificate).to_string(),
        state: trust.state,
    });
    let keys = descriptor.keys.iter().map(|entry| ShownKey {
        purpose: purpose(&entry.purpose),
        id: entry.key.kid().to_owned(),
        state: entry.state,
    });
    authorities.chain(keys).collect()
}

/// What is missing until a peer is active, or stands in its way, on which side, in one sentence. None for one that is
/// active.
pub fn waiting(row: &PeerRow, now_ms: i64) -> Option<String> {
    (row.state != PeerState::Active).then(|| next(row, now_ms))
}

fn next(row: &PeerRow, now_ms: i64) -> String {
    let node = &row.node;
    let because = row.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let here = match row.state {
        PeerState::Invited => return "invited".to_owned(),
        PeerState::Fetched => format!(
            "missing here: confirm its fingerprint by telephone (`kaopu peer confirm {node} --as NAME`), then another person approves"
        ),
        PeerState::Confirmed => {
            let by = row.proposed_by.as_deref().unwrap_or("somebody");
            format!("missing here: another person than {by} approves it (`kaopu peer approve {node} --as NAME`)")
        }
        PeerState::Approved => "this side has approved".to_owned(),
        PeerState::Active if row.by_file => {
            return format!(
                "active, but taken by a file, before this node had accounts: `kaopu user add NAME` begins, then `kaopu peer confirm {node}` and `kaopu peer approve {node}` put two persons behind it"
            );
        }
        PeerState::Active => match heard(row).map(|standing| standing.state) {
            Some(PeerState::Suspended) => return "active here; the other side has suspended this node".to_owned(),
            _ => return "active".to_owned(),
        },
        PeerState::Suspended => {
            return format!("suspended here{because}; `kaopu peer resume {node} --as NAME` takes it back in");
        }
        PeerState::Revoked => return format!("revoked here for ever{because}"),
    };
    let failed = row.error_ms.is_some() && row.error_ms > row.standing_ms;
    let there = match (heard(row), &row.error) {
        (_, Some(error)) if failed => format!("the other side could not be asked: {error}"),
        (None, _) => "the other side was not asked yet: is `kaopu serve` running?".to_owned(),
        (Some(standing), _) if standing.missing.is_empty() => {
            format!("the other side has {} this node", standing.state)
        }
        (Some(standing), _) => {
            let ago = spoken_span(now_ms.saturating_sub(row.standing_ms.unwrap_or(now_ms)));
            format!("missing there: {} ({ago} ago)", standing.missing.join(", "))
        }
    };
    format!("{here}; {there}")
}
