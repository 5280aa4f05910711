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
    /// How a list of them names the records that they are about.
    pub found_by: Option<FoundBy>,
}

/// The members of an upload by which a row's record is found (`found-by` of `x-about`). All are only uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FoundBy {
    /// The kind of a row's record that does not say it.
    pub default_kind: String,
    /// The kind of the record, by name or title.
    pub kind: String,
    /// 文号.
    pub number: String,
    /// 名单名称, of a listing.
    pub list: String,
    /// The subject's name.
    pub name: String,
    /// Its 统一社会信用代码.
    pub uscc: String,
    /// Its 工商注册号.
    pub registration: String,
    /// The identity number of a natural person.
    pub person_id: String,
    /// Who made the finding.
    pub authority: String,
    /// … by code.
    pub authority_uscc: String,
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
    #[serde(rename = "found-by")]
    found_by: Option<FoundBy>,
}

impl From<Keyword> for About {
    fn from(keyword: Keyword) -> Self {
        let (records, kinds): (Vec<_>, Vec<_>) = keyword.what.into_iter().partition(|what| what == "record");
        Self { records: !records.is_empty(), kinds, by: keyword.by, found_by: keyword.found_by }
    }
}

impl About {
    /// Whether it may be about a statement of a kind.
    pub fn takes(&self, kind: &str, is_record: bool) -> bool {
        if is_record { self.records } else { self.kinds.iter().any(|known| known == kind) }
    }
}

impl FoundBy {
    /// The members that it names.
    pub fn members(&self) -> [&String; 9] {
        let Self { kind, number, list, name, uscc, registration, person_id, authority, authority_uscc, .. } = self;
        [kind, number, list, name, uscc, registration, person_id, authority, authority_uscc]
    }
}
