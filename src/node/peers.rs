//! The peers of this node as its administrators handle them: from an invitation to two persons on each side, and out again.
//! The one face that the command line and the local API call.
//!
//! Every step is one transaction: the condition stands in the store, and the change that the exchange log will keep is
//! written with it, and logged after it.
//!
//! | file | what |
//! |---|---|
//! | `fetch.rs` | how a descriptor comes here: by an address, an invitation, a file, or its own node |
//! | `listed.rs` | peers that a federation's member list proposes |
//! | `standing.rs` | asking the other side how this node stands there, and becoming active |
//! | `show.rs` | a peer as it is shown, and what is missing on which side |
//! | `fault.rs` | why a step is not taken |
//! | `digits.rs` | a fingerprint as it is typed in |

mod digits;
mod fault;
mod fetch;
mod listed;
mod show;
mod standing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, json};

pub use self::digits::{NotDigits, TypedFingerprint};
pub use self::fault::PeersError;
pub use self::fetch::{Added, Introduced, Outcome, enrol};
pub use self::listed::Listed;
pub use self::show::{PeerView, ShownKey, waiting};
use super::accounts::Person;
use super::{Node, own_log, rng};
use crate::clock::Clock;
use crate::exchange::client::Patience;
use crate::exchange::pull::PullSettings;
use crate::log::appender::{AppendError, Appender};
use crate::log::origin::LogName;
use crate::statement::{Audience, NodeId, Reader, Salt, Statement, Typ};
use crate::store::ceremony::Step;
use crate::store::invitation::InvitationRow;
use crate::store::peer::PeerRow;
use crate::store::peer_state::PeerState;
use crate::store::pending::{Change, PendingChange};
use crate::store::{Db, StoreError};
use crate::trust::descriptor::{Descriptor, thumbprint};
use crate::trust::invitation::{Invitation, Secret, root_begins};
use crate::trust::tls::Identity;

/// How long an invitation may be used at most, in milliseconds: thirty days.
const LONGEST_INVITATION_MS: i64 = 30 * 86_400_000;

/// The peers of a node. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    /// The store.
    pub db: Db,
    /// This node.
    pub id: NodeId,
    /// The present.
    pub clock: Clock,
    /// Where its changes are logged.
    exchange: Appender,
    identity: Arc<Identity>,
    /// Where this node answers.
    url: String,
    patience: Patience,
    /// Why changes could not be logged when that was tried last, in this process.
    unlogged: Arc<Mutex<Option<String>>>,
}

/// Why a change is not in the exchange log yet.
#[derive(Debug, thiserror::Error)]
enum NotLogged {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Log(#[from] AppendError),
}

impl Peers {
    /// Those of an open node.
    pub fn of(node: &Node) -> Self {
        Self {
            db: node.db.clone(),
            id: node.id.clone(),
            clock: node.clock.clone(),
            exchange: node.exchange.clone(),
            identity: Arc::clone(&node.identity),
            url: node.config.node.url.clone(),
            patience: PullSettings::from(&node.config.pull).patience,
            unlogged: Arc::default(),
        }
    }

    /// Invites a node for some milliseconds. An earlier invitation for it is withdrawn.
    pub async fn invite(&self, node: &NodeId, valid_ms: i64, by: &Person) -> Result<Invitation, PeersError> {
        if *node == self.id {
            return Err(PeersError::Own);
        }
        if !(1..=LONGEST_INVITATION_MS).contains(&valid_ms) {
            return Err(PeersError::Validity);
        }
        let known = self.find(node).await?.map(|row| row.state);
        if let Some(state) = known.filter(|state| !matches!(state, PeerState::Fetched | PeerState::Revoked)) {
            return Err(PeersError::Stands { node: node.clone(), state, step: "invited" });
        }
        let (_, own) = own_log(&self.db, &self.id, LogName::Records).await?;
        let now_ms = self.clock.now_ms();
        let secret = Secret::random(&mut rng());
        let row = InvitationRow {
            node: node.clone(),
            invited_by: by.name().to_owned(),
            made_ms: now_ms,
            until_ms: now_ms + valid_ms,
        };
        let change = Change { reason: None, ..self.change(node, "invite", by.name()) };
        self.db.add_invitation(&secret.hash(), &row, &change).await?;
        self.log_changes().await;
        let until = row.until_ms.div_euclid(1000);
        Ok(Invitation { node: self.id.clone(), url: self.url.clone(), root: root_begins(&own), secret, until })
    }

    /// A person has typed the fingerprint as it was read out: proposes the peer.
    pub async fn confirm(&self, node: &NodeId, typed: &TypedFingerprint, by: &Person) -> Result<PeerRow, PeersError> {
        let (row, descriptor) = self.held(node).await?;
        if !typed.is(&descriptor.fingerprint()) {
            tracing::warn!(%node, by = by.name(), "a fingerprint does not agree");
            return Err(PeersError::OtherFingerprint(node.clone()));
        }
        self.step(Step::Confirm, row, "confirm", by, None).await
    }

    /// A confirmation was a mistake: as long as nobody has approved it, the peer is where it was before.
    pub async fn take_back(&self, node: &NodeId, by: &Person, reason: Option<&str>) -> Result<PeerRow, PeersError> {
        let (row, _) = self.held(node).await?;
        self.step(Step::TakeBack, row, "take-back", by, reason).await
    }

    /// Another person agrees.
    pub async fn approve(&self, node: &NodeId, by: &Person) -> Result<PeerRow, PeersError> {
        let (row, _) = self.held(node).await?;
        if row.proposed_by.as_deref() == Some(by.name()) && row.approved_by.is_none() {
            return Err(PeersError::SamePerson(node.clone(), by.name().to_owned()));
        }
        self.step(Step::Approve, row, "approve", by, None).await
    }

    /// Takes an active peer out for the time being.
    pub async fn suspend(&self, node: &NodeId, by: &Person, reason: &str) -> Result<PeerRow, PeersError> {
        let (row, _) = self.held(node).await?;
        self.step(Step::Suspend, row, "suspend", by, Some(said(reason)?)).await
    }

    /// Takes a suspended peer back in.
    pub async fn resume(&self, node: &NodeId, by: &Person, reason: Option<&str>) -> Result<PeerRow, PeersError> {
        let (row, _) = self.held(node).await?;
        self.step(Step::Resume, row, "resume", by, reason).await
    }

    /// Never trusts the node again under the root keys that it has or has committed to.
    pub async fn revoke(&self, node: &NodeId, by: &Person, reason: &str) -> Result<PeerRow, PeersError> {
        let reason = said(reason)?;
        let (row, descriptor) = self.held(node).await?;
        let change = Change { reason: Some(reason), ..self.change(node, "revoke", by.name()) };
        let roots = [thumbprint(&descriptor.root).to_string(), descriptor.next_root.to_string()];
        if !self.db.revoke_peer(node, &roots, &change).await? {
            return Err(self.why_not(&row, "revoked", by).await);
        }
        self.log_changes().await;
        self.row(node).await
    }

    /// Everything that was changed and is not in the exchange log yet goes there. What fails is tried again by whoever
    /// comes next, a running node every few seconds; why is said once.
    pub async fn log_changes(&self) {
        loop {
            match self.log_change().await {
                Ok(false) => return,
                Ok(true) => {
                    if self.unlogged().take().is_some() {
                        tracing::info!("changes go into the exchange log again");
                    }
                }
                Err(error) => {
                    let why = error.to_string();
                    if self.unlogged().replace(why.clone()).as_ref() != Some(&why) {
                        tracing::error!(%error, "a change could not be logged yet; it is kept, and tried again");
                    }
                    return;
                }
            }
        }
    }

    /// The oldest one; false where there is none.
    async fn log_change(&self) -> Result<bool, NotLogged> {
        let Some(pending) = self.db.take_change(self.clock.now_ms()).await? else { return Ok(false) };
        let logged = self.exchange.say(self.statement(&pending)).await;
        if let Err(AppendError::Unsigned(_)) = &logged {
            // a token that was pulled out, say: nothing was appended
            self.db.leave_change(pending.id).await?;
        }
        logged?;
        self.db.end_change(pending.id).await?;
        Ok(true)
    }

    fn unlogged(&self) -> MutexGuard<'_, Option<String>> {
        self.unlogged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn step(
        &self,
        step: Step,
        row: PeerRow,
        action: &'static str,
        by: &Person,
        reason: Option<&str>,
    ) -> Result<PeerRow, PeersError> {
        let digest = crate::statement::Digest::of(row.descriptor.as_bytes()).to_string();
        let change = Change { reason, digest: Some(&digest), ..self.change(&row.node, action, by.name()) };
        if !self.db.step_peer(step, &row.node, &row.descriptor, &change).await? {
            return Err(self.why_not(&row, action, by).await);
        }
        self.log_changes().await;
        self.row(&row.node).await
    }

    /// What the store's condition missed, as it stands now.
    async fn why_not(&self, seen: &PeerRow, step: &'static str, by: &Person) -> PeersError {
        let now = match self.row(&seen.node).await {
            Ok(row) => row,
            Err(error) => return error,
        };
        let accounts = self.db.accounts().await.unwrap_or_default();
        if !accounts.iter().any(|account| account.active && account.name == by.name()) {
            return PeersError::Account(super::accounts::AccountError::NotLetIn);
        }
        if now.state == PeerState::Revoked {
            return PeersError::Revoked(now.node);
        }
        if step == "approve" && now.proposed_by.as_deref() == Some(by.name()) && now.approved_by.is_none() {
            return PeersError::SamePerson(now.node, by.name().to_owned());
        }
        if now.descriptor != seen.descriptor && now.state == seen.state {
            return PeersError::Moved(now.node);
        }
        PeersError::Stands { node: now.node, state: now.state, step }
    }

    /// A peer's row, if there is one.
    pub async fn find(&self, node: &NodeId) -> Result<Option<PeerRow>, PeersError> {
        Ok(self.db.peers().await?.into_iter().find(|row| row.node == *node))
    }

    async fn row(&self, node: &NodeId) -> Result<PeerRow, PeersError> {
        self.find(node).await?.ok_or_else(|| PeersError::Unknown(node.clone()))
    }

    async fn held(&self, node: &NodeId) -> Result<(PeerRow, Descriptor), PeersError> {
        let row = self.row(node).await?;
        if row.state == PeerState::Revoked {
            return Err(PeersError::Revoked(row.node));
        }
        let (_, descriptor) = Descriptor::open(&row.descriptor)?;
        Ok((row, descriptor))
    }

    fn change<'a>(&self, node: &'a NodeId, action: &'static str, by: &'a str) -> Change<'a> {
        let at_ms = self.clock.now_ms();
        Change { about: "peer", subject: node.as_str(), action, by, reason: None, digest: None, at_ms }
    }

    fn statement(&self, change: &PendingChange) -> Statement {
        let mut body = Map::new();
        body.insert("of".to_owned(), json!(change.about));
        body.insert("subject".to_owned(), json!(change.subject));
        body.insert("action".to_owned(), json!(change.action));
        body.insert("by".to_owned(), json!(change.done_by));
        if let Some(reason) = &change.reason {
            body.insert("reason".to_owned(), json!(reason));
        }
        if let Some(digest) = &change.digest {
            body.insert("digest".to_owned(), json!(digest));
        }
        Statement {
            typ: Typ::first("change"),
            iss: self.id.clone(),
            iat: self.clock.now(),
            aud: Audience::Named(vec![Reader::Node(self.id.clone())]),
            salt: Salt::random(&mut rng()),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body,
        }
    }
}

/// A reason that says something, and fits its statement.
fn said(reason: &str) -> Result<&str, PeersError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > 2000 || reason.chars().any(char::is_control) {
        return Err(PeersError::Reason);
    }
    Ok(reason)
}
