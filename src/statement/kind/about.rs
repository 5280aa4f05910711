//! What an event is about: each names one statement in `ref`, a record or another event.

use serde::Deserialize;

/// What the statements of a kind are about (`x-about`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Any record.
    pub records: bool,
    /// Statements of these kinds.
    pub kinds: Vec<String>,
    /// Who may say it.
    pub by: By,
}

/// Who may say something about a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Only who issued that statement.
    Issuer,
    /// Only somebody else.
    Others,
    /// Anybody.
    Anyone,
}

/// The keyword as it stands in a schema file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keyword {
    what: Vec<String>,
    by: By,
}

impl From<Keyword> for About {
    fn from(keyword: Keyword) -> Self {
        let (records, kinds): (Vec<_>, Vec<_>) = keyword.what.into_iter().partition(|what| what == "record");
        Self { records: !records.is_empty(), kinds, by: keyword.by }
    }
}

impl About {
    /// Whether it may be about a statement of a kind.
    pub fn takes(&self, kind: &str, is_record: bool) -> bool {
        if is_record { self.records } else { self.kinds.iter().any(|known| known == kind) }
    }
}
