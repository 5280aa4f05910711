//! Groups of nodes, as the configuration has them: an audience may name them, and a policy.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::statement::{Audience, NodeId, Reader};

/// Groups by name, without the `@`.
pub type Groups = BTreeMap<String, Vec<Member>>;

/// Whether a node may read what was said to this audience: its issuer always, else whom it names.
pub fn may_read(groups: &Groups, aud: &Audience, issuer: &NodeId, node: &NodeId) -> bool {
    let named = |reader: &Reader| match reader {
        Reader::Node(reader) => reader == node,
        Reader::Group(group) => groups.get(group).is_some_and(|all| all.iter().any(|member| member.is(node))),
    };
    match aud {
        Audience::Everyone => true,
        Audience::Named(readers) => node == issuer || readers.iter().any(named),
    }
}

/// One member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// One node.
    Node(NodeId),
    /// All nodes whose division begins with these digits.
    Divisions(String),
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if (2..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
            return Ok(Self::Divisions(text));
        }
        text.parse().map(Self::Node).map_err(|_| {
            serde::de::Error::custom(format!(
                "{text:?} is no member of a group: a node id, or the first 2 to 6 digits of divisions, is expected"
            ))
        })
    }
}

impl Member {
    /// Whether the node is one of these.
    pub fn is(&self, node: &NodeId) -> bool {
        match self {
            Self::Node(member) => member == node,
            Self::Divisions(digits) => node.division().starts_with(digits.as_str()),
        }
    }
}
