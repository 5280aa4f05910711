//! This node as the witness of its peers: [C2SP `tlog-witness`](https://c2sp.org/tlog-witness).
//!
//! Each origin has one head, that of its row among the logs, whether the log is mirrored or not. A checkpoint moves it and is
//! cosigned in one transaction, which holds the head against the one that was checked; so of two at once, in whatever
//! process, one goes first and the other is told of it.

use std::sync::{Arc, Mutex, PoisonError};

use super::feed::blocking;
use super::prove::Target;
use super::{Fault, head};
use crate::clock::Clock;
use crate::log::cosignature::name_of;
use crate::log::witness::{NotSubmitted, Submitted};
use crate::log::{Checkpoint, Cosignature, Origin};
use crate::statement::SigningKey;
use crate::store::{Db, Head, LogRow, LogState, StoreError};
use crate::trust::descriptor::Descriptor;
use crate::trust::keys::KeyStore;
use crate::trust::registry::Registry;

/// How often a head that another moved meanwhile is looked at again; the next answer is then that it stands elsewhere.
const TRIES: usize = 3;

/// Cosigns what peers' logs say. Cheap to clone.
#[derive(Clone)]
pub struct Witness {
    db: Db,
    registry: Registry,
    keys: KeyStore,
    /// This node's records log, whose last descriptor says which key cosigns.
    own: Origin,
    clock: Clock,
    descriptor: Arc<Mutex<Option<Held>>>,
}

/// That descriptor, and its index.
type Held = (u64, Arc<Descriptor>);

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// It is no submission, no checkpoint, or smaller than the size from which its proof is to lead.
    #[error("{0}")]
    Malformed(String),
    /// Not a log of an active peer, or none of which anything was cosigned.
    #[error("this node witnesses no log of that origin")]
    UnknownOrigin,
    /// None of the log's keys signed, or one signed something else.
    #[error("{0}")]
    NotSigned(String),
    /// The head is not the checkpoint from which the proof leads on, but one of this size.
    #[error("the checkpoint that is held here is of {0} entries")]
    Elsewhere(u64),
    /// The proof does not hold.
    #[error("the proof does not show that the checkpoint continues the one that is held here")]
    Unproven,
    /// It cannot be true beside another one that the log signed: the evidence is kept.
    #[error("{0}")]
    Fork(String),
    /// The log is frozen here, or has ended.
    #[error("{0}")]
    Stopped(String),
    /// This node has no key to cosign with.
    #[error("this node cannot cosign now: {0}")]
    NoKey(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What this node holds does not fit together.
    #[error("this node's own copy is damaged: {0}")]
    Damaged(String),
}

impl From<NotSubmitted> for NotCosigned {
    fn from(error: NotSubmitted) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl Witness {
    /// The witness that the owner of the records log `own` is, by the keys that its descriptors name.
    pub fn new(db: Db, registry: Registry, keys: KeyStore, own: Origin, clock: Clock) -> Self {
        Self { db, registry, keys, own, clock, descriptor: Arc::default() }
    }

    /// `add-checkpoint`: cosigns a checkpoint if it continues the head, which it then is.
    pub async fn add_checkpoint(&self, text: &str) -> Result<Cosignature, NotCosigned> {
        let submitted = Submitted::parse(text)?;
        let (origin, target) = self.open(&submitted.note)?;
        if submitted.old > target.size {
            return Err(NotCosigned::Malformed("the old size is above that of the checkpoint".to_owned()));
        }
        let key = self.key().await?;
        let mut log = self.log(&origin).await?;
        for _ in 0..TRIES {
            self.check(&log, &target, &submitted).await?;
            if let Some(cosignature) = self.cosign(&log, &target, &key).await? {
                return Ok(cosignature);
            }
            log = self.log(&origin).await?;
        }
        Err(NotCosigned::Elsewhere(held(&log)))
    }

    /// The newest checkpoint of a log that this node stands by, cosigned: the log by the SHA-256 of its origin.
    pub async fn checkpoint(&self, hash: &str) -> Result<String, NotCosigned> {
        for _ in 0..TRIES {
            let log = self.db.log_by_hash(hash).await?.filter(|log| !log.own).ok_or(NotCosigned::UnknownOrigin)?;
            let head = log.head.clone().ok_or(NotCosigned::UnknownOrigin)?;
            let witness = name_of(&self.own.node);
            let rows = self.db.cosignatures(log.id).await?;
            let known = rows.into_iter().find(|row| row.cosignature.witness == witness && row.size == head.size);
            let cosignature = match known {
                Some(row) => Some(row.cosignature),
                None if log.state != LogState::Open => return Err(NotCosigned::UnknownOrigin),
                // a pull has moved the head
                None => {
                    let target = Target { size: head.size, root: head.root, note: head.note.clone() };
                    self.cosign(&log, &target, &*self.key().await?).await?
                }
            };
            if let Some(cosignature) = cosignature {
                return Ok(format!("{}{}\n", head.note, cosignature.line));
            }
        }
        Err(NotCosigned::Damaged(format!("the head of {hash} does not stay where it is")))
    }

    /// Reads a checkpoint of a log of an active peer, signed by a key that its descriptor names.
    fn open(&self, note: &str) -> Result<(Origin, Target), NotCosigned> {
        let first = note.lines().next().unwrap_or_default();
        // an origin that is not of our form is that of a log which nobody here knows
        let origin: Origin = first.parse().map_err(|_| match first {
            "" => NotCosigned::Malformed("there is no checkpoint".to_owned()),
            _ => NotCosigned::UnknownOrigin,
        })?;
        let owner = self.registry.peer(&origin.node).ok_or(NotCosigned::UnknownOrigin)?;
        let entry = owner.descriptor.logs.iter().find(|entry| entry.origin == origin);
        let entry = entry.ok_or(NotCosigned::UnknownOrigin)?;
        let target = head::open(note, &origin, &owner.descriptor.log_keys(&origin)).map_err(|fault| match fault {
            Fault::Key { .. } | Fault::Signature { .. } => NotCosigned::NotSigned(fault.to_string()),
            Fault::EmptyRoot => NotCosigned::Unproven,
            other => NotCosigned::Malformed(other.to_string()),
        })?;
        match entry.closed_at {
            Some(closed) if target.size > closed => {
                let fault = Fault::Closed { closed, served: target.size };
                Err(NotCosigned::Stopped(fault.to_string()))
            }
            _ => Ok((origin, target)),
        }
    }

    async fn log(&self, origin: &Origin) -> Result<LogRow, NotCosigned> {
        Ok(match self.db.log(origin).await? {
            Some(log) => log,
            None => self.db.create_log(origin, false).await?,
        })
    }

    /// The witness check.
    async fn check(&self, log: &LogRow, target: &Target, submitted: &Submitted) -> Result<(), NotCosigned> {
        if log.state != LogState::Open {
            let why = log.reason.as_deref().unwrap_or("no reason is noted");
            return Err(NotCosigned::Stopped(format!("{} is stopped here: {why}", log.origin)));
        }
        if let Err(fault) = head::contradicted(&self.db, log, target).await {
            return Err(self.fork(log, fault).await);
        }
        if submitted.old != held(log) {
            return Err(NotCosigned::Elsewhere(held(log)));
        }
        match head::continues(log, target, &submitted.proof) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotCosigned::Unproven),
            Err(fault) => Err(self.fork(log, fault).await),
        }
    }

    /// A fork proves itself, whoever showed it: the log stops here, as it does when a pull meets one.
    async fn fork(&self, log: &LogRow, fault: Fault) -> NotCosigned {
        if fault.is_fork() {
            head::freeze(&self.db, log, &fault.to_string(), &fault.evidence(), self.clock.now_ms()).await;
            return NotCosigned::Fork(fault.to_string());
        }
        match fault {
            Fault::Store(error) => NotCosigned::Store(error),
            other => NotCosigned::Damaged(other.to_string()),
        }
    }

    /// Makes a checked target the head, and cosigns it; None if the head was moved meanwhile.
    async fn cosign(
        &self,
        log: &LogRow,
        target: &Target,
        key: &SigningKey,
    ) -> Result<Option<Cosignature>, NotCosigned> {
        let text = Checkpoint { origin: log.origin.clone(), size: target.size, root: target.root }.text();
        let cosignature = Cosignature::sign(&text, &name_of(&self.own.node), key, self.clock.now())
            .map_err(|error| NotCosigned::NoKey(error.to_string()))?;
        let head = match &log.head {
            Some(head) if head.size == target.size => head.clone(),
            _ => Head { size: target.size, root: target.root, note: target.note.clone(), seen_ms: self.clock.now_ms() },
        };
        let old = log.head.as_ref().map(|head| head.size);
        let moved = self.db.cosign(log.id, old, &head, &cosignature).await?;
        Ok(moved.then_some(cosignature))
    }

    /// The key that this node's newest descriptor names.
    async fn key(&self) -> Result<Arc<SigningKey>, NotCosigned> {
        let none = |why: String| NotCosigned::NoKey(why);
        let log = self.db.log(&self.own).await?.ok_or_else(|| none("it has no log".to_owned()))?;
        let index = log.descriptor.ok_or_else(|| none("its log has no descriptor".to_owned()))?;
        let known = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let descriptor = match known {
            Some((at, descriptor)) if at == index => descriptor,
            _ => {
                let newest = self.db.descriptors_from(log.id, index).await?.pop();
                let (at, jws) = newest.ok_or_else(|| none("its descriptor is not stored".to_owned()))?;
                let (_, descriptor) = Descriptor::open(&jws).map_err(|error| none(error.to_string()))?;
                let descriptor = Arc::new(descriptor);
                let mut known = self.descriptor.lock().unwrap_or_else(PoisonError::into_inner);
                *known = Some((at, Arc::clone(&descriptor)));
                descriptor
            }
        };
        // the first time its file is opened, which takes a while
        let keys = self.keys.clone();
        let found =
            blocking(move || keys.witness(&descriptor).map_err(|error| Fault::Damaged(error.to_string()))).await;
        found.map_err(|fault| match fault {
            Fault::Damaged(why) => none(why),
            other => none(other.to_string()),
        })
    }
}

/// The size that a witness holds of a log; 0 where it holds nothing.
fn held(log: &LogRow) -> u64 {
    log.head.as_ref().map_or(0, |head| head.size)
}
