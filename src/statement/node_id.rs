//! The id of a node: a GB/T 2260 division code, or a code and a suffix for one of several systems of a region.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `^[0-9]{6}(\.[a-z0-9]{1,16})?$`, for example `310107` or `310107.scjg`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Arc<str>);

/// The text is no node id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a node id: six digits, and perhaps a dot and up to sixteen of a-z and 0-9")]
pub struct NotANodeId(String);

impl NodeId {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The six digits of the division.
    pub fn division(&self) -> &str {
        &self.0[..6]
    }
}

impl FromStr for NodeId {
    type Err = NotANodeId;

    fn from_str(text: &str) -> Result<Self, NotANodeId> {
        let (division, suffix) = match text.split_once('.') {
            Some((division, suffix)) => (division, Some(suffix)),
            None => (text, None),
        };
        let division_fits = division.len() == 6 && division.bytes().all(|b| b.is_ascii_digit());
        let suffix_fits = suffix.is_none_or(|s| {
            (1..=16).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if division_fits && suffix_fits {
            Ok(Self(text.into()))
        } else {
            Err(NotANodeId(text.chars().take(40).collect()))
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_code_and_perhaps_a_suffix_is_a_node_id() {
        for good in ["310107", "310107.scjg", "000000.a", "310107.abcdefghij012345"] {
            assert_eq!(good.parse::<NodeId>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "31010",
            "3101070",
            "31010a",
            "310107.",
            "310107.SCJG",
            "310107.a.b",
            "310107.abcdefghij0123456",
            "３１０１０７",
            "310107\n",
        ] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
    }
}
