//! A new descriptor of the node: signed by its root, into both logs, and into the file that partners are given.
//!
//! The records log counts. After a crash between the two logs the exchange log is behind, until the next descriptor, which
//! follows in either. So the same command again goes on where it was.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::accounts::By;
use super::{Node, NodeError, newest_own, rng};
use crate::log::appender::{AppendError, Submission};
use crate::log::origin::LogName;
use crate::statement::{Audience, NodeId, Reader, Salt, SigningKey, Statement, Typ, Verified};
use crate::store::Db;
use crate::trust::descriptor::{Descriptor, DescriptorError, thumbprint};
use crate::trust::keys::KeyFileError;
use crate::trust::rotation::{Step, Use};
use crate::trust::tls::TlsError;

/// Who changes keys, and why.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    /// Whose keys.
    pub node: &'a Node,
    /// Who.
    pub by: &'a By,
    /// Why.
    pub reason: Option<&'a str>,
    /// Whether a step is taken although peers would not follow yet.
    pub force: bool,
    /// Whether a rotation is to be begun, rather than gone on with.
    pub begin: bool,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyChangeError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A log.
    #[error(transparent)]
    Log(#[from] AppendError),
    /// The descriptor.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// A certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The key that was given is not the root.
    #[error("the key that was given is {given}; descriptor {sequence} is signed by the root key {wanted}")]
    NotTheRoot {
        /// Which was given.
        given: String,
        /// Which signed the newest descriptor.
        wanted: String,
        /// Of the newest descriptor.
        sequence: u64,
    },
    /// The next root was given where the root is wanted.
    #[error(
        "the key that was given is the next root: it only takes the root's place (`kaopu key rotate root`); give the root key itself"
    )]
    IsTheNextRoot,
    /// Not the next root.
    #[error(
        "the key that was given is not the next root that descriptor {0} commits to: give the file that init wrote as root-next.pem"
    )]
    NotTheNextRoot(u64),
    /// Peers would cut this node off.
    #[error(
        "{missing} would no longer take this node's certificate: not every active peer holds descriptor {sequence} yet. Wait, or go ahead with --force --reason TEXT"
    )]
    NotPickedUp {
        /// Which peers.
        missing: String,
        /// That they must hold.
        sequence: u64,
    },
    /// Forced without saying why.
    #[error("--force needs --reason TEXT: it stands in the exchange log")]
    ForcedWithoutReason,
    /// The rotation is complete, and nobody said to begin another.
    #[error(
        "no rotation of {0} is under way, and the one before it, if there was one, is complete: --begin begins another"
    )]
    NotBegun(Use),
    /// It was begun before.
    #[error(
        "a rotation of {0} is under way already: the same command without --begin takes its next step, which is to {1}"
    )]
    UnderWay(Use, Step),
    /// There is no such key.
    #[error("{0}")]
    NoSuchKey(String),
    /// A private half is not here.
    #[error("the private half of {0} is neither in the folder of the keys nor on a token that the configuration names")]
    NotHere(String),
    /// The certificate is still under the old authority.
    #[error(
        "the certificate in {0} is still under the authority that would be retired: `kaopu key rotate certificate` first"
    )]
    OldAuthority(String),
    /// A file can't be written or read.
    #[error("{path}: {error}")]
    Disk {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
}

/// All descriptors of the node, oldest first.
pub async fn own_descriptors(db: &Db, node: &NodeId) -> Result<Vec<(Verified, Descriptor)>, NodeError> {
    let log = newest_own(db, node, LogName::Records).await?;
    let all = db.descriptors(log.id).await?;
    Ok(all.iter().map(|(_, jws)| Descriptor::open(jws)).collect::<Result<_, _>>()?)
}

impl Keeper<'_> {
    /// The newest descriptor, with its statement.
    pub(super) async fn newest(&self) -> Result<(Verified, Descriptor), KeyChangeError> {
        let mut all = own_descriptors(&self.node.db, &self.node.id).await?;
        Ok(all.pop().ok_or_else(|| NodeError::NotInitialised(self.node.id.clone()))?)
    }

    /// The step that the next call takes; None for what is replaced in one.
    pub async fn step(&self, of: Use) -> Result<Option<Step>, KeyChangeError> {
        let (_, newest) = self.newest().await?;
        Ok(match of {
            Use::Certificate | Use::Root => None,
            Use::Ca => Some(newest.ca_step()),
            of => of.purpose(&newest).map(|purpose| newest.step(&purpose)),
        })
    }

    /// Whether a step is the one that the call was meant for: one call too many must not begin the next rotation.
    pub(super) fn meant(&self, of: Use, step: Step) -> Result<(), KeyChangeError> {
        match (step, self.begin) {
            (Step::Announce, false) => Err(KeyChangeError::NotBegun(of)),
            (Step::Activate | Step::Retire, true) => Err(KeyChangeError::UnderWay(of, step)),
            _ => Ok(()),
        }
    }

    /// Checks that a key is the root of a descriptor.
    pub(super) fn check_root(&self, root: &SigningKey, newest: &Descriptor) -> Result<(), KeyChangeError> {
        if *root.public() == newest.root {
            return Ok(());
        }
        if thumbprint(root.public()) == newest.next_root {
            return Err(KeyChangeError::IsTheNextRoot);
        }
        Err(KeyChangeError::NotTheRoot {
            given: root.public().kid().to_owned(),
            wanted: newest.root.kid().to_owned(),
            sequence: newest.sequence,
        })
    }

    /// Signs a descriptor as the one that follows on `before`, appends it to both logs, and tells of it.
    pub(super) async fn publish(
        &self,
        (before, next): (&Verified, &Descriptor),
        root: &SigningKey,
        (action, subject): (&str, &str),
    ) -> Result<Verified, KeyChangeError> {
        if self.force && self.reason.is_none() {
            return Err(KeyChangeError::ForcedWithoutReason);
        }
        let signed = next.sign_after(Some(before), root, self.node.clock.now(), &mut rng())?;
        for log in [&self.node.records, &self.node.exchange] {
            log.append(Submission { statements: vec![signed.clone()], ..Submission::default() }).await?;
        }
        replace(&self.node.config.files.descriptor, format!("{}\n", signed.jws()).as_bytes())?;
        self.tell(action, subject, Some(&signed)).await?;
        Ok(signed)
    }

    /// The `change` that the exchange log keeps of a step.
    pub(super) async fn tell(
        &self,
        action: &str,
        subject: &str,
        about: Option<&Verified>,
    ) -> Result<(), KeyChangeError> {
        let mut body = Map::new();
        body.insert("of".to_owned(), json!("key"));
        body.insert("subject".to_owned(), json!(subject));
        body.insert("action".to_owned(), json!(action));
        body.insert("by".to_owned(), json!(self.by.name()));
        if let Some(reason) = self.reason {
            let forced = if self.force { "forced: " } else { "" };
            body.insert("reason".to_owned(), Value::String(format!("{forced}{reason}")));
        }
        if let Some(about) = about {
            body.insert("digest".to_owned(), json!(about.digest()));
        }
        let change = Statement {
            typ: Typ::first("change"),
            iss: self.node.id.clone(),
            iat: self.node.clock.now(),
            aud: Audience::Named(vec![Reader::Node(self.node.id.clone())]),
            salt: Salt::random(&mut rng()),
            sub: None,
            prev: None,
            refs: Vec::new(),
            body,
        };
        self.node.exchange.say(change).await?;
        Ok(())
    }

    /// The active peers that have not said that they hold a descriptor of this node, or a later one.
    pub(super) async fn behind(&self, sequence: u64) -> Result<Vec<NodeId>, KeyChangeError> {
        let held = self.node.db.picked_up().await.map_err(NodeError::from)?;
        let holds = |node: &NodeId| held.iter().any(|(peer, held)| peer == node && held.is_some_and(|h| h >= sequence));
        let peers = self.node.registry.peers();
        Ok(peers.iter().map(|peer| peer.node.clone()).filter(|node| !holds(node)).collect())
    }
}

/// Puts a file in the place of another: after a crash one of the two is there, and whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), KeyChangeError> {
    use std::io::Write as _;
    let failed = |error| KeyChangeError::Disk { path: path.display().to_string(), error };
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}

/// Names of nodes for a sentence.
pub(super) fn names(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ")
}

/// There is no key of this use.
pub(super) fn no_key_of(of: Use) -> KeyChangeError {
    KeyChangeError::NoSuchKey(format!("the newest descriptor has no place for a key of use {of}"))
}
