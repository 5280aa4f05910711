//! The peers as this process sees them: read from the store, and read again when its version has moved.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::Instant;

use super::descriptor::Descriptor;
use super::state::PeerState;
use crate::statement::{KeyRing, NodeId};
use crate::store::peer::PeerRow;
use crate::store::{Db, StoreError};

/// A peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its id.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Where its peer interface answers: `https://host:port`.
    pub url: String,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// That statement.
    pub descriptor_jws: String,
    /// The keys of its newest descriptor.
    pub key_ring: KeyRing,
    /// Its own authorities: nobody else vouches for it.
    pub cas: Vec<CertificateDer<'static>>,
    /// Where it stands with this node.
    pub state: PeerState,
}

/// The peers, in whatever state. Cheap to clone; all clones see a change at once.
#[derive(Clone)]
pub struct Registry {
    db: Db,
    seen: Arc<RwLock<Seen>>,
    /// Tells the version that was read last.
    changed: Arc<watch::Sender<i64>>,
    /// When the version was last looked at for a request.
    looked: Arc<Mutex<Option<Instant>>>,
}

/// A request is answered by what the registry was at most this long ago.
const FRESH: Duration = Duration::from_millis(20);

/// What a node may ask here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admission {
    /// Nothing: its handshake is refused.
    Nothing,
    /// How it stands here.
    Standing,
    /// Everything.
    Everything,
}

#[derive(Default)]
struct Seen {
    version: i64,
    peers: HashMap<NodeId, Arc<Peer>>,
}

impl Registry {
    /// Reads the peers from the store.
    pub async fn load(db: Db) -> Result<Self, StoreError> {
        let seen = Seen::read(&db, &HashMap::new()).await?;
        let changed = Arc::new(watch::Sender::new(seen.version));
        Ok(Self { db, seen: Arc::new(RwLock::new(seen)), changed, looked: Arc::default() })
    }

    /// An active peer: one whose connections and logs are taken.
    pub fn peer(&self, node: &NodeId) -> Option<Arc<Peer>> {
        self.standing(node).filter(|peer| peer.state == PeerState::Active)
    }

    /// All active peers, by id.
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        let mut peers = self.all();
        peers.retain(|peer| peer.state == PeerState::Active);
        peers
    }

    /// A node of which a descriptor is held, with its state: it may be trusted, not yet, or no more.
    pub fn standing(&self, node: &NodeId) -> Option<Arc<Peer>> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).peers.get(node).cloned()
    }

    /// All of those, by id.
    pub fn all(&self) -> Vec<Arc<Peer>> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let mut peers: Vec<_> = seen.peers.values().cloned().collect();
        peers.sort_by(|a, b| a.node.cmp(&b.node));
        peers
    }

    /// Reads them again if the store's version has moved; whether it had. A peer that did not change stays the same `Arc`.
    pub async fn refresh(&self) -> Result<bool, StoreError> {
        let version = self.db.registry_version().await?;
        let before = {
            let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
            if seen.version == version {
                return Ok(false);
            }
            seen.peers.clone()
        };
        let now = Seen::read(&self.db, &before).await?;
        let version = {
            let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
            // another task may have read a newer state meanwhile
            if now.version > seen.version {
                *seen = now;
            }
            seen.version
        };
        self.changed.send_replace(version);
        Ok(true)
    }

    /// The same before a request is answered, unless that has just been done: what another process has decided binds the
    /// next request.
    pub async fn refresh_for_request(&self) -> Result<(), StoreError> {
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.is_some_and(|then| then.elapsed() < FRESH) {
                return Ok(());
            }
            *looked = Some(Instant::now());
        }
        self.refresh().await.map(|_| ())
    }

    /// Hears of each change that this process has read.
    pub fn changes(&self) -> watch::Receiver<i64> {
        self.changed.subscribe()
    }

    /// What a node may ask here now.
    pub fn admission(&self, node: &NodeId) -> Admission {
        self.standing(node).map_or(Admission::Nothing, |peer| Admission::of(peer.state))
    }

    /// Ends when a node may ask less than this.
    pub async fn admitted_less(&self, node: &NodeId, than: Admission) {
        let mut changes = self.changes();
        while self.admission(node) >= than {
            if changes.changed().await.is_err() {
                return std::future::pending().await; // never: this registry has the sender
            }
        }
    }
}

impl Admission {
    /// What follows from where a node stands.
    pub fn of(state: PeerState) -> Self {
        match state {
            PeerState::Invited | PeerState::Revoked => Self::Nothing,
            PeerState::Fetched | PeerState::Confirmed | PeerState::Approved | PeerState::Suspended => Self::Standing,
            PeerState::Active => Self::Everything,
        }
    }
}

impl Seen {
    async fn read(db: &Db, before: &HashMap<NodeId, Arc<Peer>>) -> Result<Self, StoreError> {
        // the version first: what changes between the two reads is then read once more, never missed
        let version = db.registry_version().await?;
        let mut peers = HashMap::new();
        for row in db.peers().await? {
            let node = row.node.clone();
            match before.get(&node) {
                Some(peer) if peer.is_as_in(&row) => peers.insert(node, Arc::clone(peer)),
                _ => match Peer::of(row) {
                    Ok(peer) => peers.insert(node, Arc::new(peer)),
                    Err(error) => {
                        tracing::error!(%node, %error, "left a peer out");
                        None
                    }
                },
            };
        }
        Ok(Self { version, peers })
    }
}

impl Peer {
    /// From its row in the store, whose descriptor is verified again.
    pub fn of(row: PeerRow) -> Result<Self, StoreError> {
        let corrupt = |why: String| StoreError::Corrupt(format!("peer {}: {why}", row.node));
        let (_, descriptor) = Descriptor::open(&row.descriptor).map_err(|error| corrupt(error.to_string()))?;
        if descriptor.node != row.node {
            return Err(corrupt(format!("a descriptor of {}", descriptor.node)));
        }
        let url = row.url.clone().or_else(|| descriptor.endpoints.first().cloned());
        Ok(Self {
            url: url.ok_or_else(|| corrupt("no address".to_owned()))?,
            node: row.node,
            name: descriptor.name.clone(),
            descriptor_jws: row.descriptor,
            key_ring: descriptor.key_ring(),
            cas: descriptor.accepted_cas().cloned().collect(),
            state: row.state,
            descriptor,
        })
    }

    fn is_as_in(&self, row: &PeerRow) -> bool {
        self.descriptor_jws == row.descriptor
            && self.state == row.state
            && row.url.as_ref().or(self.descriptor.endpoints.first()) == Some(&self.url)
    }
}
