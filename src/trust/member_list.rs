//! A federation's list of members, signed by several administrators' nodes: it proposes peers to all, so that sixty cities
//! need not find each other pairwise. That somebody is on it confirms nobody, unless a node's own policy says so.
//!
//! The list is one line of JSON, and what is signed is its digest: each administrator's node says in a statement of kind
//! `members` that it stands by a list of these bytes. Those statements are in the nodes' exchange logs; a file carries list
//! and signatures, a line each, over any channel.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::log::judge::TOLERANCE;
use crate::statement::{Audience, Digest, KeyRing, NodeId, Refused, Salt, Statement, Typ, Unverified, json};
use crate::trust::descriptor::is_endpoint;

/// The kind of statement by which a node stands by a list.
pub const KIND: &str = "members";
/// Bytes of a list.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Members of a list.
pub const MOST_MEMBERS: usize = 1000;
/// Signatures that are looked at.
pub const MOST_SIGNATURES: usize = 200;
/// Characters of a name.
const NAME: usize = 100;

/// The members of a federation at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberList {
    /// The federation's name.
    pub federation: String,
    /// Grows with each list of it, from 1.
    pub sequence: u64,
    /// Until when it may be taken, in seconds since 1970.
    pub valid_until: i64,
    /// The members, by id.
    pub members: Vec<Member>,
}

/// A node that is a member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// Where its peer interface answers: `https://host:port`.
    pub url: String,
    /// The thumbprint of its root key (RFC 7638).
    pub root: Digest,
    /// The fingerprint of its descriptor.
    pub fingerprint: Digest,
}

/// A list as it was written, with the signatures that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedList {
    list: MemberList,
    text: String,
    digest: Digest,
    signatures: Vec<String>,
}

/// Whose signatures count, and how many of them make a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum<'a> {
    /// The federation.
    pub federation: &'a str,
    /// The administrators' nodes.
    pub administrators: &'a [NodeId],
    /// So many of them.
    pub of_them: usize,
}

/// Who stands by a list, and which signatures say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Signers {
    /// Administrators whose signatures are good, by id.
    pub good: BTreeSet<NodeId>,
    /// The others.
    pub passed_over: Vec<PassedOver>,
}

/// A signature that says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Its place among the signatures, from 1.
    pub number: usize,
    /// Who it claims to be by.
    pub node: Option<NodeId>,
    /// Why it says nothing.
    pub why: String,
}

/// Why a list is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// It is no list.
    #[error("not a member list: {0}")]
    Malformed(String),
    /// It is another federation's.
    #[error("a list of {found:?}; this node belongs to {expected:?}")]
    Federation {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// Its time has passed.
    #[error("list {0} has ended; ask an administrator of the federation for the newest one")]
    Expired(u64),
    /// Too few stand by it.
    #[error("{} of the {of} administrators stand by it, {need} must", .signers.good.len())]
    Quorum {
        /// Who does.
        signers: Signers,
        /// So many are needed.
        need: usize,
        /// So many there are.
        of: usize,
    },
}

impl MemberList {
    /// From its text; whatever it says must be what a list may say.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let malformed = |why: &dyn std::fmt::Display| ListError::Malformed(why.to_string());
        if text.len() > MAX_BYTES {
            return Err(malformed(&format_args!("more than {MAX_BYTES} bytes")));
        }
        let object = json::parse_object(text.as_bytes()).map_err(|error| malformed(&error))?;
        let list: Self = serde_json::from_value(Value::Object(object)).map_err(|error| malformed(&error))?;
        list.check().map_err(|why| malformed(&why))?;
        Ok(list)
    }

    /// As it is written: one line.
    pub fn to_text(&self) -> Result<String, ListError> {
        let text = serde_json::to_string(self).map_err(|error| ListError::Malformed(error.to_string()))?;
        // what was put together here is held to the same rules as what comes from elsewhere
        Self::parse(&text).map(|_| text)
    }

    fn check(&self) -> Result<(), String> {
        let is_name = |name: &str| !name.trim().is_empty() && name.chars().count() <= NAME;
        if !is_name(&self.federation) {
            return Err(format!("the federation has a name of 1 to {NAME} characters"));
        }
        if self.sequence == 0 {
            return Err("its sequence begins with 1".to_owned());
        }
        if self.members.is_empty() || self.members.len() > MOST_MEMBERS {
            return Err(format!("it has 1 to {MOST_MEMBERS} members"));
        }
        if let Some(pair) = self.members.windows(2).find(|pair| pair[0].node >= pair[1].node) {
            return Err(format!("{} does not stand behind {}: members stand once, by id", pair[1].node, pair[0].node));
        }
        let mut roots = BTreeSet::new();
        for member in &self.members {
            let Member { node, name, url, root, .. } = member;
            if !is_name(name) {
                return Err(format!("{node}: a name of 1 to {NAME} characters is expected"));
            }
            if !is_endpoint(url) {
                return Err(format!("{node}: {url:?}: https://host:port is expected"));
            }
            if !roots.insert(root) {
                return Err(format!("{node} has the root key of another member"));
            }
        }
        Ok(())
    }
}

impl SignedList {
    /// A list that nobody has signed yet.
    pub fn unsigned(list: &MemberList) -> Result<Self, ListError> {
        Self::parse(&list.to_text()?)
    }

    /// From a file: the list, and signatures, a line each.
    pub fn parse(file: &str) -> Result<Self, ListError> {
        let (text, signatures) = file.split_once('\n').unwrap_or((file, ""));
        let text = text.trim_end_matches('\r').to_owned();
        let signatures = signatures.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
        Ok(Self {
            list: MemberList::parse(&text)?,
            digest: Digest::of(text.as_bytes()),
            signatures: signatures.take(MOST_SIGNATURES).collect(),
            text,
        })
    }

    /// What the file holds.
    pub fn to_file(&self) -> String {
        let lines = std::iter::once(&self.text).chain(&self.signatures);
        lines.flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    /// The list.
    pub fn list(&self) -> &MemberList {
        &self.list
    }

    /// SHA-256 of its text.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Adds a signature; one that is there already is not doubled.
    pub fn add(&mut self, jws: &str) {
        if !self.signatures.iter().any(|there| there == jws) && self.signatures.len() < MOST_SIGNATURES {
            self.signatures.push(jws.to_owned());
        }
    }

    /// Takes over the signatures of another file of the same list; false where it is of another one.
    pub fn merge(&mut self, other: &Self) -> bool {
        if other.digest != self.digest {
            return false;
        }
        other.signatures.iter().for_each(|jws| self.add(jws));
        true
    }

    /// What a node says to stand by it.
    pub fn statement(&self, by: NodeId, iat: i64, salt: Salt) -> Statement {
        Statement {
            typ: Typ::first(KIND),
            iss: by,
            iat,
            aud: Audience::Everyone,
            salt,
            sub: None,
            prev: None,
            refs: Vec::new(),
            body: self.said(),
        }
    }

    fn said(&self) -> Map<String, Value> {
        let MemberList { federation, sequence, valid_until, .. } = &self.list;
        let members = [
            ("federation", json!(federation)),
            ("sequence", json!(sequence)),
            ("valid_until", json!(valid_until)),
            ("list", json!(self.digest)),
        ];
        members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
    }

    /// Verifies the list: of this federation, in time, and enough administrators stand by it. `keys` are the keys of a node
    /// that this node trusts to speak for itself: its own, or an active peer's.
    pub fn verify(
        &self,
        quorum: &Quorum<'_>,
        keys: impl Fn(&NodeId) -> Option<KeyRing>,
        now: i64,
    ) -> Result<Signers, ListError> {
        if self.list.federation != quorum.federation {
            let (found, expected) = (self.list.federation.clone(), quorum.federation.to_owned());
            return Err(ListError::Federation { found, expected });
        }
        if self.list.valid_until < now {
            return Err(ListError::Expired(self.list.sequence));
        }
        let signers = self.signers(quorum.administrators, keys, now);
        let (need, of) = (quorum.of_them.max(1), quorum.administrators.len());
        if signers.good.len() < need {
            return Err(ListError::Quorum { signers, need, of });
        }
        Ok(signers)
    }

    /// Which administrators stand by it. A signature that says nothing spoils no other.
    pub fn signers(&self, administrators: &[NodeId], keys: impl Fn(&NodeId) -> Option<KeyRing>, now: i64) -> Signers {
        let mut signers = Signers::default();
        for (number, jws) in (1..).zip(&self.signatures) {
            match self.signer(jws, administrators, &keys, now) {
                Ok(node) => drop(signers.good.insert(node)),
                Err((node, why)) => signers.passed_over.push(PassedOver { number, node, why }),
            }
        }
        signers
    }

    fn signer(
        &self,
        jws: &str,
        administrators: &[NodeId],
        keys: impl Fn(&NodeId) -> Option<KeyRing>,
        now: i64,
    ) -> Result<NodeId, (Option<NodeId>, String)> {
        let unverified = Unverified::parse(jws).map_err(|why| (None, why.to_string()))?;
        let statement = unverified.statement();
        let by = statement.iss.clone();
        let refuse = |why: &str| Err((Some(by.clone()), why.to_owned()));
        if statement.typ != Typ::first(KIND) || statement.aud != Audience::Everyone {
            return refuse("it does not say that a node stands by a list");
        }
        if statement.body != self.said() {
            return refuse("it stands by another list");
        }
        if statement.iat > now.saturating_add(TOLERANCE) {
            return refuse("it was said ahead of the clock");
        }
        if !administrators.contains(&by) {
            return refuse("it is no administrator of this federation here");
        }
        let Some(ring) = keys(&by) else { return refuse("it is no active peer of this node") };
        match unverified.verify(&ring) {
            Ok(_) => Ok(by),
            Err(Refused::UnknownKey) => refuse("it was signed under a key that is not in use any more: sign again"),
            Err(why) => refuse(&why.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
