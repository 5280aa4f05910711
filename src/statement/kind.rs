//! Kinds as data: a kind is a JSON Schema (2020-12) whose `x-` keywords say how it is uploaded, identified and shared.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::{Audience, Refused, Statement, Typ};

/// All kinds that this node knows: the built-in ones and those of a folder.
#[derive(Clone)]
pub struct Kinds {
    by_typ: BTreeMap<Typ, Arc<Kind>>,
}

/// One version of one kind.
pub struct Kind {
    /// Name and version.
    pub typ: Typ,
    /// The Chinese title.
    pub title: String,
    /// A record (it has an identity and versions), or an event, trust or exchange statement.
    pub is_record: bool,
    /// Who may hold a body unless the upload says otherwise.
    pub audience: Audience,
    /// Members in the order of the schema.
    pub members: Vec<Member>,
    /// Members that identify a record, in order; each the first present of alternatives.
    pub identity: Vec<Vec<String>>,
    /// The layouts of an upload that it knows: `code`, `chinese`, `older` …
    pub layouts: Vec<Layout>,
    _private: (),
}

/// One member of a kind's body.
pub struct Member {
    /// Its name in the body.
    pub name: String,
    /// Its Chinese title.
    pub title: String,
    /// How a cell becomes its value.
    pub form: Form,
    /// The longest text, in characters.
    pub max_length: Option<usize>,
    /// Never enters a body that is shared in clear.
    pub personal: bool,
}

/// How the text of a cell becomes a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Text as it came.
    Text,
    /// 文号: text whose brackets around the year are mended.
    DocumentNumber,
    /// A date.
    Date,
    /// A decimal string with at most so many digits before and after the point.
    Decimal { digits: u32, fraction: u32 },
    /// An integer.
    Integer,
    /// A unified social credit code.
    Uscc,
    /// A 工商注册号 (checked when it has 15 digits).
    Registration,
    /// A resident id or other identity number (checked when it has the form of a resident id).
    PersonId,
    /// One of a list.
    Code(Vec<Code>),
    /// One or several of a list, separated by ; ； or 、.
    Codes(Vec<Code>),
    /// SHA-256 of something, base64url.
    Digest,
}

/// A value of a code list and the wordings that mean it.
#[derive(Clone, Debug, PartialEq)]
pub struct Code {
    /// As it stands in the body.
    pub value: String,
    /// As it may stand in a cell beside that.
    pub also: Vec<String>,
}

/// A layout of an upload.
pub struct Layout {
    /// `code`, `chinese`, `older`.
    pub name: String,
    /// Member → the headers under which it comes, as they are printed.
    pub columns: Vec<(String, Vec<String>)>,
    /// Members that this layout demands beyond the schema's `required`.
    pub required: Vec<String>,
}

/// Why a schema file is no kind.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct SchemaError {
    /// The file.
    pub file: String,
    /// What is wrong, and where.
    pub reason: String,
}

impl Kinds {
    /// The kinds that come with the program.
    pub fn builtin() -> Result<Self, SchemaError> {
        todo!()
    }
    /// These and the `*.json` of a folder.
    pub fn with_folder(self, _folder: &Path) -> Result<Self, SchemaError> {
        todo!()
    }
    /// One version of a kind.
    pub fn find(&self, typ: &Typ) -> Option<&Arc<Kind>> {
        self.by_typ.get(typ)
    }
    /// The newest version of a kind.
    pub fn newest(&self, name: &str) -> Option<&Arc<Kind>> {
        self.by_typ.values().filter(|k| k.typ.kind == name).next_back()
    }
    /// All, by name and version.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_typ.values()
    }
}

impl Kind {
    /// Judges a statement of this kind: schema, rules across members, subject. `today` is the day of judging; a peer's
    /// statement is judged by the day of its `iat`, so that every node comes to the same end.
    pub fn validate(&self, _statement: &Statement, _today: Date) -> Result<(), Refused> {
        todo!()
    }
    /// SHA-256 over the identifying members, None for what is no record. Not on the wire: each node computes its own.
    pub fn identity_of(&self, _statement: &Statement) -> Option<[u8; 32]> {
        todo!()
    }
    /// SHA-256 over what a statement says (audience, subject, body, references), without `iat`, `salt` and `prev`: equal
    /// for an unchanged record.
    pub fn content_of(&self, _statement: &Statement) -> [u8; 32] {
        todo!()
    }
    /// A member by name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.name == name)
    }
    /// The body's `required`.
    pub fn required(&self) -> &[String] {
        todo!()
    }
    /// The subject that a body is about.
    pub fn subject_of(&self, _body: &Map<String, Value>) -> Option<super::Subject> {
        todo!()
    }
}
