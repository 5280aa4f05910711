//! How the descriptor of another node comes here. Whatever the way, nothing vouches for it but itself: it is worth something
//! once a person has compared its fingerprint.

use std::sync::Arc;

use serde::Serialize;

use super::{Peers, PeersError, Person};
use crate::exchange::PeerClient;
use crate::exchange::standing::Introduction;
use crate::log::origin::LogName;
use crate::node::NodeError;
use crate::node::publish::own_descriptors;
use crate::statement::{NodeId, Verified};
use crate::store::Db;
use crate::store::ceremony::Fetched;
use crate::store::invitation::InvitationUse;
use crate::store::peer::PeerRow;
use crate::store::peer_state::PeerState;
use crate::store::pending::Change;
use crate::trust::descriptor::{Descriptor, spoken, thumbprint};
use crate::trust::invitation::{Invitation, Secret};
use crate::trust::registry::Peer;
use crate::trust::tls::{self, ClientTls};

/// What became of a descriptor.
#[derive(Clone, Debug, Serialize)]
pub struct Added {
    /// Whose.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Where it answers.
    pub url: String,
    /// The descriptor's sequence.
    pub sequence: u64,
    /// To be compared over another channel.
    pub fingerprint: String,
    /// Where the node stands now.
    pub state: PeerState,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether the other side has this node's descriptor now, where an invitation was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introduced: Option<Introduced>,
}

/// What became of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is here now.
    Added,
    /// It follows the one that was here.
    Updated,
    /// It was here.
    Unchanged,
}

/// Whether the other side was told of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Introduced {
    /// It was.
    pub done: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Peers {
    /// Answers an invitation: fetches the descriptor of the node that invited, and introduces this one there.
    pub async fn add_by_invitation(&self, text: &str, by: &Person) -> Result<Added, PeersError> {
        let invitation: Invitation = text.parse()?;
        if invitation.node == self.id {
            return Err(PeersError::Own);
        }
        if invitation.until < self.clock.now() {
            return Err(PeersError::InvitationLate);
        }
        let jws = self.fetch(&invitation.url).await?;
        let (verified, descriptor) = Descriptor::open(&jws)?;
        if !invitation.is_of(&descriptor) {
            return Err(PeersError::NotTheInviter { url: invitation.url, answers: descriptor.node });
        }
        let url = Some(invitation.url.as_str());
        let mut added = self.take(verified, &descriptor, url, by, None).await?;
        let introduced = self.introduce(&invitation, &jws).await;
        if let Err(error) = &introduced {
            tracing::warn!(node = %added.node, %error, "could not introduce this node");
        }
        added.introduced =
            Some(Introduced { done: introduced.is_ok(), error: introduced.err().map(|error| error.to_string()) });
        Ok(added)
    }

    /// Fetches the descriptor of whoever answers at an address.
    pub async fn add_by_url(&self, url: &str, by: &Person) -> Result<Added, PeersError> {
        let jws = self.fetch(url).await?;
        let (verified, descriptor) = Descriptor::open(&jws)?;
        self.take(verified, &descriptor, Some(url), by, None).await
    }

    /// Takes the descriptor that somebody gave as a file. Only while this node has no accounts may that be nobody in
    /// particular, named `operator`; the peer is then active at once, and marked as taken so.
    pub async fn add_by_file(
        &self,
        jws: &str,
        url: Option<&str>,
        by: Option<&Person>,
        operator: &str,
        reason: Option<&str>,
    ) -> Result<Added, PeersError> {
        let (verified, descriptor) = Descriptor::open(jws.trim())?;
        match by {
            Some(person) => self.take(verified, &descriptor, url, person, reason).await,
            None if self.db.accounts().await?.is_empty() => {
                self.take_without_persons(&verified, &descriptor, url, operator, reason).await
            }
            None => Err(PeersError::Account(crate::node::accounts::AccountError::PersonNeeded)),
        }
    }

    /// What answers there, over a line that nobody vouches for.
    async fn fetch(&self, url: &str) -> Result<String, PeersError> {
        let client = self.client(url, tls::untrusting_tls(&self.identity)?)?;
        let line = client.descriptors().await.map_err(|fault| PeersError::Asked(url.to_owned(), fault))?;
        // newest first
        line.into_iter().next().ok_or_else(|| PeersError::Asked(url.to_owned(), crate::exchange::Fault::NotHeld))
    }

    /// Hands the secret to the node that invited, and to nobody else: it must show a certificate of the authorities that
    /// its descriptor names.
    async fn introduce(&self, invitation: &Invitation, jws: &str) -> Result<(), PeersError> {
        let (_, descriptor) = Descriptor::open(jws)?;
        let row = PeerRow::new(descriptor.node, PeerState::Fetched, jws, descriptor.sequence, 0);
        let inviter = Arc::new(Peer::of(row)?);
        let client = self.client(&invitation.url, tls::unnamed_tls(&self.identity, &inviter)?)?;
        let own = self.own_jws().await?;
        let introduction = Introduction { invitation: invitation.secret.to_string(), descriptor: own };
        client.enrol(&introduction).await.map_err(|fault| PeersError::Asked(invitation.url.clone(), fault))
    }

    pub(super) fn client(&self, url: &str, tls: ClientTls) -> Result<PeerClient, PeersError> {
        PeerClient::new(url, tls, self.patience, false).map_err(|fault| PeersError::Asked(url.to_owned(), fault))
    }

    async fn own_jws(&self) -> Result<String, PeersError> {
        let newest = own_descriptors(&self.db, &self.id).await.map_err(PeersError::Node)?.pop();
        let (newest, _) = newest.ok_or_else(|| PeersError::Node(NodeError::NotInitialised(self.id.clone())))?;
        Ok(newest.jws().to_owned())
    }

    /// Keeps a descriptor as fetched; one that follows on what is held of a peer is taken into its row.
    pub(super) async fn take(
        &self,
        verified: Verified,
        descriptor: &Descriptor,
        url: Option<&str>,
        by: &Person,
        reason: Option<&str>,
    ) -> Result<Added, PeersError> {
        check(&self.id, descriptor, self.clock.now())?;
        let url = url.filter(|url| descriptor.endpoints.first().map(String::as_str) != Some(url));
        let digest = verified.digest().to_string();
        let change = Change { reason, digest: Some(&digest), ..self.change(&descriptor.node, "fetch", by.name()) };
        let outcome = keep(&self.db, verified.jws(), descriptor, url, &change).await?;
        self.log_changes().await;
        let row = self.row(&descriptor.node).await?;
        Ok(added(&row, descriptor, outcome))
    }

    /// There are no persons, so the file's word is all there is.
    async fn take_without_persons(
        &self,
        verified: &Verified,
        descriptor: &Descriptor,
        url: Option<&str>,
        operator: &str,
        reason: Option<&str>,
    ) -> Result<Added, PeersError> {
        check(&self.id, descriptor, self.clock.now())?;
        let known = self.find(&descriptor.node).await?;
        let outcome = match &known {
            None => Outcome::Added,
            Some(row) => follows(row, verified.jws(), url)?,
        };
        if outcome != Outcome::Unchanged {
            let digest = verified.digest().to_string();
            let (action, by_file) = match outcome {
                Outcome::Added => ("add", Some("taken by file, no administrators yet")),
                _ => ("update", None),
            };
            let change = Change {
                reason: reason.or(by_file),
                digest: Some(&digest),
                ..self.change(&descriptor.node, action, operator)
            };
            let node = descriptor.node.clone();
            let new = PeerRow::new(node, PeerState::Active, verified.jws(), descriptor.sequence, change.at_ms);
            let row = PeerRow { url: url.map(str::to_owned), ..new };
            if !self.db.put_peer_noting(&row, &change).await? {
                return Err(PeersError::Moved(row.node));
            }
            self.log_changes().await;
            for log in descriptor.logs.iter().filter(|log| log.origin.log == LogName::Records) {
                self.db.create_log(&log.origin, false).await?;
            }
        }
        let row = self.row(&descriptor.node).await?;
        Ok(added(&row, descriptor, outcome))
    }
}

/// `POST /v1/enrol`: a node that was invited introduces itself. The invitation is used up, with this very descriptor: who
/// has not heard the answer, or met a crash before the descriptor was kept, says the same again and is told the same.
pub async fn enrol(db: &Db, own: &NodeId, now_ms: i64, introduction: &Introduction) -> Result<PeerState, PeersError> {
    let secret: Secret = introduction.invitation.parse()?;
    let (verified, descriptor) = Descriptor::open(&introduction.descriptor)?;
    check(own, &descriptor, now_ms.div_euclid(1000))?;
    let node = &descriptor.node;
    let digest = verified.digest();
    // whoever has no secret learns nothing of what is known here
    let worth = db.look_at_invitation(&secret.hash(), node, &digest, now_ms).await?;
    open(worth, node)?;
    let known = db.peers().await?.into_iter().find(|row| row.node == *node);
    if let (InvitationUse::Again, Some(row)) = (worth, &known) {
        // it brings nothing new, whatever has become of the peer since
        let the_same = row.descriptor == verified.jws() && row.state != PeerState::Revoked;
        return if the_same { Ok(row.state) } else { Err(PeersError::InvitationSpent) };
    }
    if let Some(row) = known.as_ref().filter(|row| !matches!(row.state, PeerState::Fetched | PeerState::Revoked)) {
        follows(row, verified.jws(), None)?;
    }
    let [root, next_root] = roots(&descriptor);
    if db.is_root_revoked(node, &root, &next_root).await? {
        return Err(PeersError::Revoked(node.clone()));
    }
    open(db.use_invitation(&secret.hash(), node, &digest, now_ms).await?, node)?;
    let digest = digest.to_string();
    let change = Change {
        about: "peer",
        subject: node.as_str(),
        action: "fetch",
        by: node.as_str(),
        reason: Some("introduced itself by invitation"),
        digest: Some(&digest),
        at_ms: now_ms,
    };
    keep(db, verified.jws(), &descriptor, None, &change).await?;
    let row = db.peers().await?.into_iter().find(|row| row.node == *node);
    Ok(row.map_or(PeerState::Fetched, |row| row.state))
}

fn open(invitation: InvitationUse, node: &NodeId) -> Result<(), PeersError> {
    match invitation {
        InvitationUse::Open | InvitationUse::Again => Ok(()),
        InvitationUse::Unknown => Err(PeersError::NotInvited(node.clone())),
        InvitationUse::Late => Err(PeersError::InvitationLate),
        InvitationUse::Spent => Err(PeersError::InvitationSpent),
    }
}

/// Into the store, if it may stand there.
async fn keep(
    db: &Db,
    jws: &str,
    descriptor: &Descriptor,
    url: Option<&str>,
    change: &Change<'_>,
) -> Result<Outcome, PeersError> {
    let node = &descriptor.node;
    let known = db.peers().await?.into_iter().find(|row| row.node == *node);
    let [root, next_root] = roots(descriptor);
    if db.is_root_revoked(node, &root, &next_root).await? {
        return Err(PeersError::Revoked(node.clone()));
    }
    if let Some(row) = known.as_ref().filter(|row| !matches!(row.state, PeerState::Fetched | PeerState::Revoked)) {
        let outcome = follows(row, jws, url)?;
        if outcome != Outcome::Unchanged {
            let newer = PeerRow {
                descriptor: jws.to_owned(),
                sequence: descriptor.sequence,
                url: url.map(str::to_owned),
                ..row.clone()
            };
            let change = Change { action: "update", ..*change };
            if !db.put_peer_noting(&newer, &change).await? {
                return Err(PeersError::Moved(node.clone()));
            }
        }
        return Ok(outcome);
    }
    if known.as_ref().is_some_and(|row| row.state == PeerState::Fetched && row.descriptor == jws) {
        return Ok(Outcome::Unchanged);
    }
    let sequence = descriptor.sequence;
    let fetched = Fetched { node, descriptor: jws, sequence, root: &root, next_root: &next_root, url };
    if !db.fetch_peer(&fetched, change).await? {
        return Err(match known.map(|row| row.state) {
            Some(PeerState::Revoked) => PeersError::Revoked(node.clone()),
            _ => PeersError::Moved(node.clone()),
        });
    }
    Ok(Outcome::Added)
}

fn roots(descriptor: &Descriptor) -> [String; 2] {
    [thumbprint(&descriptor.root).to_string(), descriptor.next_root.to_string()]
}

/// Of another node, and not over.
fn check(own: &NodeId, descriptor: &Descriptor, now: i64) -> Result<(), PeersError> {
    if descriptor.node == *own {
        return Err(PeersError::Own);
    }
    if descriptor.valid_until < now {
        return Err(PeersError::Ended(descriptor.node.clone()));
    }
    Ok(())
}

/// What a descriptor means for what is held of its node.
fn follows(row: &PeerRow, jws: &str, url: Option<&str>) -> Result<Outcome, PeersError> {
    if row.state == PeerState::Revoked {
        return Err(PeersError::Revoked(row.node.clone()));
    }
    if row.descriptor == jws {
        let same_url = url.is_none() || url == row.url.as_deref();
        return Ok(if same_url { Outcome::Unchanged } else { Outcome::Updated });
    }
    let (_, before) = Descriptor::open(&row.descriptor)?;
    before.successor(jws).map_err(|why| PeersError::DoesNotFollow {
        node: row.node.clone(),
        sequence: before.sequence,
        why,
    })?;
    Ok(Outcome::Updated)
}

fn added(row: &PeerRow, descriptor: &Descriptor, outcome: Outcome) -> Added {
    Added {
        node: row.node.clone(),
        name: descriptor.name.clone(),
        url: row.url.clone().or_else(|| descriptor.endpoints.first().cloned()).unwrap_or_default(),
        sequence: descriptor.sequence,
        fingerprint: spoken(&descriptor.fingerprint()),
        state: row.state,
        outcome,
        introduced: None,
    }
}
