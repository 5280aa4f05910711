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
    /// A group, `@delta` on the wire, held without the `@`; who belongs to it is each node's configuration.
    Group(String),
}

/// 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

/// Whom a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `{"uscc", "name"}`: known by its unified social credit code.
    Enterprise { uscc: String, name: String },
    /// `{"registration", "name"}`: known by its 工商注册号 only.
    Registered { registration: String, name: String },
    /// `{"name"}`: known by name only.
    Named { name: String },
    /// `{"person", "name"}`: a natural person, by keyed hash and masked name.
    Person { person: String, name: String },
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

    fn from_str(_text: &str) -> Result<Self, NotATyp> {
        todo!()
    }
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
            Self::Person { person, .. } => format!("person:{person}"),
        }
    }
}
