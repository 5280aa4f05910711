//! The origin of a log: `kaopu/<node id>/<log>/<generation>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::statement::{Digest, NodeId};

/// Which of a node's two logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogName {
    /// What it publishes and decides; mirrored by peers.
    Records,
    /// Queries, answers, receipts, changes; witnessed, not mirrored.
    Exchange,
}

/// The name of one generation of one log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Whose log.
    pub node: NodeId,
    /// Which of its logs.
    pub log: LogName,
    /// From 1.
    pub generation: u32,
}

/// The text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an origin: kaopu/<node id>/<records or exchange>/<generation> is expected")]
pub struct NotAnOrigin;

impl LogName {
    /// `records` or `exchange`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Exchange => "exchange",
        }
    }
}

impl Origin {
    /// SHA-256 of the origin in lower-case hexadecimal: how URLs name a log.
    pub fn hash(&self) -> String {
        Digest::of(self.to_string().as_bytes()).as_bytes().iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kaopu/{}/{}/{}", self.node, self.log.as_str(), self.generation)
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let parts: Vec<&str> = text.split('/').collect();
        let ["kaopu", node, log, generation] = parts[..] else { return Err(NotAnOrigin) };
        let origin = Self {
            node: node.parse().map_err(|_| NotAnOrigin)?,
            log: match log {
                "records" => LogName::Records,
                "exchange" => LogName::Exchange,
                _ => return Err(NotAnOrigin),
            },
            generation: generation.parse().map_err(|_| NotAnOrigin)?,
        };
        // one origin has one text: no leading zeros or signs, and generations count from 1
        if origin.generation == 0 || origin.to_string() != text { Err(NotAnOrigin) } else { Ok(origin) }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_text() {
        let origin: Origin = "kaopu/310107.scjg/exchange/12".parse().unwrap();
        assert_eq!(origin.to_string(), "kaopu/310107.scjg/exchange/12");
        assert_eq!(origin.hash().len(), 64);
        for bad in [
            "",
            "kaopu/310107/records",
            "kaopu/310107/records/0",
            "kaopu/310107/records/01",
            "kaopu/310107/records/+1",
            "kaopu/310107/other/1",
            "kaopu/310107/records/1/",
            "Kaopu/310107/records/1",
        ] {
            assert_eq!(bad.parse::<Origin>(), Err(NotAnOrigin), "{bad:?}");
        }
    }
}
