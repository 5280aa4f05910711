//! The status of a record: a pure function of what was said about it.

use serde::Serialize;

/// What a record is worth today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// The current version of its record.
    Published,
    /// A later version stands in its place.
    Superseded,
}

impl Status {
    /// The status of a version, by whether it is its record's current one. What has no versions is always current.
    pub fn of(current: bool) -> Self {
        if current { Self::Published } else { Self::Superseded }
    }

    /// The word that scripts read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Superseded => "superseded",
        }
    }

    /// The word that users say.
    pub fn title(self) -> &'static str {
        match self {
            Self::Published => "已公布",
            Self::Superseded => "已被更新",
        }
    }
}
