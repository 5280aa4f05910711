//! What a statement says: its type and the members of its payload.

use std::fmt;
use std::str::FromStr;

use rand::CryptoRng;
use serde_json::{Map, Value};

use super::{Digest, NodeId};

/// The `typ` of the protected header: `kaopu.<kind>.<version>+jws`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Typ {
    /// The kind, for example `penalty`: `^[a-z][a-z0-9-]{0,31}$`.
    pub kind: String,
    /// The version of the kind, from 1.
    pub version: u32,
}

/// A statement before it is signed, or after it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Kind and version.
    pub typ: Typ,
    /// Who says it.
    pub iss: NodeId,
    /// When, in seconds since 1970.
    pub iat: i64,
    /// Who may hold the body.
    pub aud: Audience,
    /// Hides the body behind its digest.
    pub salt: Salt,
    /// About whom, where there is somebody.
    pub sub: Option<Subject>,
    /// The version that this one replaces.
    pub prev: Option<Digest>,
    /// The statements that this one is about (`ref` on the wire).
    pub refs: Vec<Digest>,
    /// What the kind says, valid against its schema.
    pub body: Map<String, Value>,
}

/// Who may hold a body: everybody (`["*"]`), or those named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// `["*"]`: the entry is open.
    Everyone,
    /// Nodes and groups, at least one: the entry is addressed.
    Named(Vec<Reader>),
}

/// One that may hold a body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// A node.
    Node(NodeId),
    /// A group, `@delta` on the wire, held without the `@`, `^[a-z][a-z0-9-]{0,31}$`; who belongs to it is each node's configuration.
    Group(String),
}

impl Audience {
    /// The same, and this node beside it: a node is not named in the audience of what it said itself, and would not get what
    /// others say to that.
    pub fn with(&self, node: &NodeId) -> Self {
        match self {
            Self::Named(readers) => {
                let node = Reader::Node(node.clone());
                let added = Some(node).filter(|node| !readers.contains(node));
                Self::Named(readers.iter().cloned().chain(added).collect())
            }
            Self::Everyone => Self::Everyone,
        }
    }
}

/// 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `{"uscc", "name"}`: known by its unified social credit code.
    Enterprise {
        /// 统一社会信用代码.
        uscc: String,
        /// 名称.
        name: String,
    },
    /// `{"registration", "name"}`: known by its 工商注册号 only.
    Registered {
        /// 工商注册号.
        registration: String,
        /// 名称.
        name: String,
    },
    /// `{"name"}`: known by name only.
    Named {
        /// 名称.
        name: String,
    },
    /// `{"person", "name"}`: a natural person, by keyed hash and masked name.
    Person {
        /// `<key version>.<HMAC-SHA-256>` under the issuer's own secret.
        person: String,
        /// The name, masked.
        name: String,
    },
}

impl Salt {
    /// A new salt.
    pub fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

impl Typ {
    /// Version 1 of a kind.
    pub fn first(kind: &str) -> Self {
        Self { kind: kind.to_owned(), version: 1 }
    }
}

impl fmt::Display for Typ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kaopu.{}.{}+jws", self.kind, self.version)
    }
}

/// The text is no `typ` of a statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a statement's typ: kaopu.<kind>.<version>+jws is expected")]
pub struct NotATyp;

impl FromStr for Typ {
    type Err = NotATyp;

    fn from_str(text: &str) -> Result<Self, NotATyp> {
        let inner = text.strip_prefix("kaopu.").and_then(|t| t.strip_suffix("+jws")).ok_or(NotATyp)?;
        let (kind, version) = inner.split_once('.').ok_or(NotATyp)?;
        // one version has one text: no leading zeros or signs, and versions count from 1
        if !is_name(kind) || version.starts_with(['0', '+']) {
            return Err(NotATyp);
        }
        Ok(Self { kind: kind.to_owned(), version: version.parse().map_err(|_| NotATyp)? })
    }
}

impl FromStr for Reader {
    type Err = NotAReader;

    fn from_str(text: &str) -> Result<Self, NotAReader> {
        match text.strip_prefix('@') {
            Some(group) if is_name(group) => Ok(Self::Group(group.to_owned())),
            Some(_) => Err(NotAReader),
            None => text.parse().map(Self::Node).map_err(|_| NotAReader),
        }
    }
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::Group(group) => write!(f, "@{group}"),
        }
    }
}

/// The text names no reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a reader: a node id, or @ and the name of a group, is expected")]
pub struct NotAReader;

/// Kinds and groups: `^[a-z][a-z0-9-]{0,31}$`.
fn is_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

impl Subject {
    /// The name as stated (masked for a person).
    pub fn name(&self) -> &str {
        match self {
            Self::Enterprise { name, .. }
            | Self::Registered { name, .. }
            | Self::Named { name }
            | Self::Person { name, .. } => name,
        }
    }

    /// The key by which a subject is found: the code itself, else `reg:<工商注册号>`, `name:<folded name>` or `person:<hash>`.
    pub fn key(&self) -> String {
        match self {
            Self::Enterprise { uscc, .. } => uscc.clone(),
            Self::Registered { registration, .. } => format!("reg:{registration}"),
            Self::Named { name } => format!("name:{}", crate::record::name::fold(name)),
            Self::Person { person, .. } => format!("{PERSON}{person}"),
        }
    }

    /// Whether a key is a natural person's.
    pub fn is_key_of_a_person(key: &str) -> bool {
        key.starts_with(PERSON)
    }
}

/// How the key of a natural person begins.
const PERSON: &str = "person:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typ_has_one_text() {
        for good in ["kaopu.penalty.1+jws", "kaopu.repair-revocation.4294967295+jws", "kaopu.a.1+jws"] {
            assert_eq!(good.parse::<Typ>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "JWT",
            "kaopu.penalty+jws",
            "kaopu.penalty.0+jws",
            "kaopu.penalty.01+jws",
            "kaopu.penalty.+1+jws",
            "kaopu.penalty.1.1+jws",
            "kaopu.penalty.4294967296+jws",
            "kaopu.penalty.+jws",
            "kaopu.penalty.1+jwt",
            "kaopu..1+jws",
            "kaopu.Penalty.1+jws",
            "kaopu.1.1+jws",
            "kaopu.abcdefghijklmnopqrstuvwxyz0123456.1+jws",
            "KAOPU.penalty.1+jws",
            "kaopu.penalty.1+jws ",
            "kaopu.处罚.1+jws",
        ] {
            assert_eq!(bad.parse::<Typ>(), Err(NotATyp), "{bad:?}");
        }
    }

    #[test]
    fn a_reader_is_a_node_or_a_group() {
        for good in ["310107", "310107.scjg", "@delta"] {
            assert_eq!(good.parse::<Reader>().unwrap().to_string(), good);
        }
        for bad in ["", "*", "@", "@@delta", "@Delta", "delta", "@310107", "31"] {
            assert_eq!(bad.parse::<Reader>(), Err(NotAReader), "{bad:?}");
        }
    }
}
