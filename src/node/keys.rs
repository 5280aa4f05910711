//! What the node's keys, authorities and certificates are, and which peer has picked up which descriptor.

use serde::Serialize;

use super::publish::own_descriptors;
use super::status::time;
use super::{Node, NodeError};
use crate::statement::{Digest, NodeId};
use crate::trust::certificates;
use crate::trust::descriptor::{Descriptor, KeyEntry, KeyState, TlsTrust};
use crate::trust::keys::first::stem;

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct OwnKeys {
    /// The sequence of the newest descriptor.
    pub descriptor: u64,
    /// Until when it holds.
    pub valid_until: Option<String>,
    /// The root key, by its thumbprint.
    pub root: String,
    /// The one that may follow.
    pub next_root: String,
    /// The keys that it names.
    pub keys: Vec<OwnKey>,
    /// The authorities that it names.
    pub authorities: Vec<OwnAuthority>,
    /// Until when the TLS certificate holds; None where the file can't be read.
    pub certificate_valid_until: Option<String>,
    /// The active peers.
    pub peers: Vec<PickedUp>,
}

/// One key.
#[derive(Clone, Debug, Serialize)]
pub struct OwnKey {
    /// `sign`, `log-records` …
    #[serde(rename = "use")]
    pub of: &'static str,
    /// Its thumbprint.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// The sequence of the descriptor that first said so.
    pub since: u64,
    /// Where its private half is: `here`, `token`, `missing`, or what is wrong with it.
    pub private: String,
}

/// One authority.
#[derive(Clone, Debug, Serialize)]
pub struct OwnAuthority {
    /// The digest of its certificate.
    pub certificate: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// The sequence of the descriptor that first said so.
    pub since: u64,
    /// Until when it holds.
    pub valid_until: Option<String>,
}

/// What a peer has of this node.
#[derive(Clone, Debug, Serialize)]
pub struct PickedUp {
    /// Which peer.
    pub node: NodeId,
    /// The sequence of the descriptor that it said it holds; None if it has not asked yet.
    pub holds: Option<u64>,
}

impl OwnKeys {
    /// Of an open node.
    pub async fn of(node: &Node) -> Result<Self, NodeError> {
        let all: Vec<Descriptor> = own_descriptors(&node.db, &node.id).await?.into_iter().map(|(_, d)| d).collect();
        let newest = all.last().ok_or_else(|| NodeError::NotInitialised(node.id.clone()))?;
        let held = node.db.picked_up().await?;
        let until = |seconds: i64| time(seconds.checked_mul(1000)?);
        Ok(Self {
            descriptor: newest.sequence,
            valid_until: until(newest.valid_until),
            root: newest.root.kid().to_owned(),
            next_root: newest.next_root.to_string(),
            keys: newest.keys.iter().map(|entry| own_key(node, &all, entry)).collect(),
            authorities: newest.tls.iter().map(|trust| own_authority(&all, trust, until)).collect(),
            certificate_valid_until: node.identity.valid_until().and_then(until),
            peers: node
                .registry
                .peers()
                .iter()
                .map(|peer| PickedUp {
                    node: peer.node.clone(),
                    holds: held.iter().find(|(id, _)| *id == peer.node).and_then(|(_, sequence)| *sequence),
                })
                .collect(),
        })
    }
}

fn own_key(node: &Node, all: &[Descriptor], entry: &KeyEntry) -> OwnKey {
    let private = match node.keys.find(&entry.key) {
        Ok(Some(key)) if key.is_here() => "here".to_owned(),
        Ok(Some(_)) => "token".to_owned(),
        Ok(None) => "missing".to_owned(),
        Err(error) => error.to_string(),
    };
    let says = |d: &&Descriptor| d.keys.iter().any(|other| other.key == entry.key && other.state == entry.state);
    OwnKey {
        of: stem(&entry.purpose),
        kid: entry.key.kid().to_owned(),
        state: entry.state,
        since: all.iter().find(says).map_or(0, |d| d.sequence),
        private,
    }
}

fn own_authority(all: &[Descriptor], trust: &TlsTrust, until: impl Fn(i64) -> Option<String>) -> OwnAuthority {
    let says = |d: &&Descriptor| d.tls.contains(trust);
    OwnAuthority {
        certificate: Digest::of(&trust.certificate).to_string(),
        state: trust.state,
        since: all.iter().find(says).map_or(0, |d| d.sequence),
        valid_until: certificates::valid_until(&trust.certificate).and_then(until),
    }
}
