//! A node's descriptor: what it says of itself, signed by its root key. It is the one statement that a peer must hold
//! before it can verify any other, so it names its own key, and administrators compare fingerprints.

use std::collections::BTreeMap;

use rand::CryptoRng;
use rustls_pki_types::CertificateDer;

use super::wire;
use crate::log::note::VerifierKey;
use crate::log::{Origin, WitnessKey, cosignature};
use crate::statement::{
    Audience, Digest, KeyRing, NodeId, PublicKey, Refused, Salt, SignError, SigningFailed, SigningKey, Statement,
    Suite, Typ, Unverified, Verified, envelope,
};

/// The kind of statement that a descriptor is.
pub const KIND: &str = "descriptor";

/// How long a descriptor holds that is made now, in seconds: a year and a month, so that the yearly one comes in time.
pub const DESCRIPTOR_HOLDS: i64 = 396 * 86_400;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    /// Whose descriptor it is.
    pub node: NodeId,
    /// The versions of the protocol that it speaks.
    pub versions: Vec<u32>,
    /// The suites that it verifies.
    pub suites: Vec<Suite>,
    /// Grows with each descriptor of the node, from 1.
    pub sequence: u64,
    /// The name of the node, for people.
    pub name: String,
    /// Where its peer interface answers: `https://host:port`, the first one first.
    pub endpoints: Vec<String>,
    /// The authorities that vouch for its TLS certificates.
    pub tls: Vec<TlsTrust>,
    /// Its logs, each generation of them.
    pub logs: Vec<LogEntry>,
    /// Its keys beside the root.
    pub keys: Vec<KeyEntry>,
    /// The key that signed it, and does nothing else.
    pub root: PublicKey,
    /// RFC 7638 thumbprint of the root key that may follow.
    pub next_root: Digest,
    /// How often a peer should look for a newer one, in seconds.
    pub refresh: u64,
    /// Until when it holds, in seconds since 1970.
    pub valid_until: i64,
    /// The node whose place this one took.
    pub predecessor: Option<NodeId>,
    /// The node that takes this one's place.
    pub successor: Option<NodeId>,
}

/// A certificate authority of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTrust {
    /// Its certificate.
    pub certificate: CertificateDer<'static>,
    /// Under one that is next or active a connection is accepted.
    pub state: KeyState,
}

/// One generation of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its name.
    pub origin: Origin,
    /// None while it goes on, else the size at which it was closed.
    pub closed_at: Option<u64>,
}

/// A key of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// The key.
    pub key: PublicKey,
    /// What it is for: one key has one use.
    pub purpose: Purpose,
    /// Where it is in its life.
    pub state: KeyState,
    /// For a compromised key: from which index on what it signed is void. None: all of it is.
    pub valid_below: Option<ValidBelow>,
}

/// From which index on what a compromised key signed is void. It speaks in both logs of its node, and each counts by itself.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum ValidBelow {
    /// The same in every log.
    Every(u64),
    /// In each of these logs; in any other all of it is void.
    Each(BTreeMap<Origin, u64>),
}

impl ValidBelow {
    /// In one log.
    pub fn of(&self, origin: &Origin) -> u64 {
        match self {
            Self::Every(index) => *index,
            Self::Each(logs) => logs.get(origin).copied().unwrap_or(0),
        }
    }
}

/// What a key is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Statements.
    Sign,
    /// The checkpoints of one log.
    Log(Origin),
    /// Cosignatures under other nodes' checkpoints.
    Witness,
    /// What others encrypt to.
    Seal,
}

/// Where a key or an authority is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Announced, not used yet.
    Next,
    /// In use.
    Active,
    /// No longer used; what it signed stays valid.
    Retired,
    /// In somebody else's hands.
    Compromised,
}

/// Why a descriptor is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// It is no statement, or its signature is bad.
    #[error("not a signed descriptor: {0}")]
    Statement(#[from] Refused),
    /// The private half of the root key did not sign.
    #[error(transparent)]
    Signing(SigningFailed),
    /// It is a statement of another kind or version, or not for everybody.
    #[error("a statement, but not a descriptor: {0}")]
    Kind(String),
    /// A member of its body.
    #[error("member {0:?}: {1}")]
    Member(&'static str, String),
    /// Of another node than the one that it should follow.
    #[error("a descriptor of {0}, not of {1}")]
    Node(NodeId, NodeId),
    /// Its sequence is not above that of the one that it should follow.
    #[error("sequence {0} does not follow {1}: it is old, or forks")]
    Sequence(u64, u64),
    /// Signed by a root that the one before neither is nor committed to.
    #[error("signed by a root key that the descriptor before it did not commit to")]
    Root,
    /// The same root commits to another next root: whoever stole one root could pass the node on.
    #[error("changes the next root key, which only the next root key may do")]
    NextRoot,
}

impl From<SignError> for DescriptorError {
    fn from(error: SignError) -> Self {
        match error {
            SignError::Refused(why) => Self::Statement(why),
            SignError::Failed(why) => Self::Signing(why),
        }
    }
}

impl Descriptor {
    /// Verifies under the root key that it names itself: what a file is worth that was given by hand.
    pub fn open(jws: &str) -> Result<(Verified, Self), DescriptorError> {
        let unverified = Unverified::parse(jws)?;
        let statement = unverified.statement();
        if statement.typ != Typ::first(KIND) {
            return Err(DescriptorError::Kind(statement.typ.to_string()));
        }
        if statement.aud != Audience::Everyone {
            return Err(DescriptorError::Kind("it is not for everybody".to_owned()));
        }
        let descriptor = wire::decode(statement)?;
        let ring = descriptor.key_ring();
        Ok((unverified.verify(&ring)?, descriptor))
    }

    /// Verifies that `jws` follows this one: of the same node, with a higher sequence, signed by this root or by the next
    /// one that this descriptor commits to.
    pub fn successor(&self, jws: &str) -> Result<(Verified, Self), DescriptorError> {
        let (verified, next) = Self::open(jws)?;
        if next.node != self.node {
            return Err(DescriptorError::Node(next.node, self.node.clone()));
        }
        if next.sequence <= self.sequence {
            return Err(DescriptorError::Sequence(next.sequence, self.sequence));
        }
        if next.root == self.root {
            if next.next_root != self.next_root {
                return Err(DescriptorError::NextRoot);
            }
        } else if thumbprint(&next.root) != self.next_root {
            return Err(DescriptorError::Root);
        }
        Ok((verified, next))
    }

    /// Signs it with the root key that it names, as the first of its node.
    pub fn sign(&self, root: &SigningKey, iat: i64, rng: &mut dyn CryptoRng) -> Result<Verified, DescriptorError> {
        self.sign_after(None, root, iat, rng)
    }

    /// Signs it as the one that follows on `before`: its `prev` proves backwards what `next_root` proves forwards, so that
    /// who has confirmed a later descriptor can trust an earlier one.
    pub fn sign_after(
        &self,
        before: Option<&Verified>,
        root: &SigningKey,
        iat: i64,
        rng: &mut dyn CryptoRng,
    ) -> Result<Verified, DescriptorError> {
        if *root.public() != self.root {
            return Err(DescriptorError::Root);
        }
        let statement = Statement {
            typ: Typ::first(KIND),
            iss: self.node.clone(),
            iat,
            aud: Audience::Everyone,
            salt: Salt::random(rng),
            sub: None,
            prev: before.map(Verified::digest),
            refs: Vec::new(),
            body: wire::encode(self)?,
        };
        Ok(envelope::sign(statement, root)?)
    }

    /// The keys that verify what the node says behind this descriptor.
    pub fn key_ring(&self) -> KeyRing {
        let active = self.keys.iter().filter(|k| k.state == KeyState::Active && k.purpose == Purpose::Sign);
        let sign = active.map(|k| (k.key.kid().to_owned(), k.key.clone())).collect();
        KeyRing { issuer: self.node.clone(), root: self.root.clone(), sign }
    }

    /// The keys that sign the checkpoints of a log; several while they are being changed.
    pub fn log_keys(&self, origin: &Origin) -> Vec<VerifierKey> {
        let of_log = |k: &&KeyEntry| k.state == KeyState::Active && k.purpose == Purpose::Log(origin.clone());
        let keys = self.keys.iter().filter(of_log).filter_map(|k| k.key.ed25519_bytes());
        keys.map(|key| VerifierKey { name: origin.to_string(), key }).collect()
    }

    /// The keys under which it cosigns others' checkpoints; several while they are being changed.
    pub fn witness_keys(&self) -> Vec<WitnessKey> {
        let name = cosignature::name_of(&self.node);
        let keys = self.active(&[Purpose::Witness]).filter_map(|key| key.ed25519_bytes());
        keys.map(|key| WitnessKey { name: name.clone(), key }).collect()
    }

    /// The active keys for any of these purposes.
    pub fn active(&self, purposes: &[Purpose]) -> impl Iterator<Item = &PublicKey> {
        let active = self.keys.iter().filter(|k| k.state == KeyState::Active && purposes.contains(&k.purpose));
        active.map(|entry| &entry.key)
    }

    /// The certificates of its authorities in use.
    pub fn active_cas(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.tls.iter().filter(|t| t.state == KeyState::Active).map(|t| &t.certificate)
    }

    /// The certificates of the authorities that vouch for its certificates now or from some moment on: what others take.
    pub fn accepted_cas(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        let accepted = |state| matches!(state, KeyState::Next | KeyState::Active);
        self.tls.iter().filter(move |t| accepted(t.state)).map(|t| &t.certificate)
    }

    /// What administrators compare over another channel: SHA-256 over node id, root key and active authorities, each on a
    /// line of its own.
    pub fn fingerprint(&self) -> Digest {
        let mut cas: Vec<String> = self.active_cas().map(|der| Digest::of(der).to_string()).collect();
        cas.sort_unstable();
        Digest::of(format!("kaopu/fingerprint\n{}\n{}\n{}\n", self.node, self.root.kid(), cas.join("\n")).as_bytes())
    }
}

/// `https://host` with a port or without, and nothing behind.
pub fn is_endpoint(url: &str) -> bool {
    url.parse::<http::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("https")
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("/"))
            && !url.ends_with('/')
    })
}

/// RFC 7638 thumbprint of a key, as a digest.
pub fn thumbprint(key: &PublicKey) -> Digest {
    // a kid is that thumbprint in text, so it always parses
    key.kid().parse().unwrap_or(Digest([0; 32]))
}

/// A fingerprint as people read it out: 30 digits in six groups.
pub fn spoken(fingerprint: &Digest) -> String {
    fingerprint.as_bytes().chunks_exact(5).map(group).collect::<Vec<_>>().join(" ")
}

/// Five digits from five bytes; the bias of the remainder is below 2^-22.
fn group(bytes: &[u8]) -> String {
    let number = bytes.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    format!("{:05}", number % 100_000)
}

#[cfg(test)]
pub mod sample;
#[cfg(test)]
mod tests;
