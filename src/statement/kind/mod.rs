//! Kinds as data: a kind is a JSON Schema (2020-12) whose `x-` keywords say how it is uploaded, identified and shared.
//!
//! `schema_file` reads such a file, `about` what events are about, `rules` judges values and rules across members, for uploads and for peers alike,
//! `validate` a statement as a whole.
//! `docs/KINDS.md` describes each keyword.

mod about;
mod builtin;
mod check;
mod form;
mod identity;
mod laid_out;
mod rules;
mod schema_file;
mod validate;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

pub use about::{About, By, FoundBy};
pub use form::{Code, Form};
pub use rules::{Condition, Rules, not_listed};

use super::{Audience, Digest, Typ};

/// All kinds that this node knows: the built-in ones and those of a folder.
#[derive(Clone, Debug)]
pub struct Kinds {
    by_typ: Arc<BTreeMap<Typ, Arc<Kind>>>,
}

/// One version of one kind.
#[derive(Debug)]
pub struct Kind {
    /// Name and version.
    pub typ: Typ,
    /// The Chinese title.
    pub title: String,
    /// A record (it has an identity and versions), or an event, trust or exchange statement.
    pub is_record: bool,
    /// What a statement of this kind is about, where it is an event.
    pub about: Option<About>,
    /// On which terms it is shared among authorities.
    pub sharing: Sharing,
    /// Who may hold a body unless the upload says otherwise.
    pub audience: Audience,
    /// Members in the order of the schema, those that are only uploaded behind those of a body.
    pub members: Vec<Member>,
    /// Members that identify a record, in order; each the first present of alternatives, `@subject` the statement's subject.
    pub identity: Vec<Vec<String>>,
    /// The members that say about whom a record is.
    pub subject: Option<SubjectMembers>,
    /// The layouts of an upload that it knows: `code`, `chinese`, `older` …
    pub layouts: Vec<Layout>,
    /// SHA-256 of its schema file.
    digest: Digest,
    required: Vec<String>,
    positions: HashMap<String, usize>,
    demands: laid_out::Demands,
    schema: validate::Schema,
}

/// 政务数据共享: shared freely, on conditions, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// 无条件共享.
    Unconditional,
    /// 有条件共享.
    Conditional,
    /// 不予共享.
    None,
}

/// One member of a kind.
#[derive(Clone, Debug)]
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
    /// Judged in an upload, never published: personal members, and columns that only steer the import.
    pub upload_only: bool,
    /// The list member of the body to which the codes of this upload column are added.
    pub adds_to: Option<String>,
    /// Rules across members.
    pub rules: Rules,
}

/// The members that say about whom a record is.
#[derive(Clone, Debug)]
pub struct SubjectMembers {
    /// The name.
    pub name: String,
    /// The 统一社会信用代码.
    pub uscc: Option<String>,
    /// The 工商注册号.
    pub registration: Option<String>,
    /// When the subject is a natural person: masked in the body, known by a keyed hash.
    pub person_when: Option<Condition>,
    /// The member of an upload that holds the person's identity number.
    pub person_id: Option<String>,
    /// The member of an upload that holds the number's type.
    pub person_id_type: Option<String>,
    /// Headers of columns that no layout takes, in which an identity number tells that a row is about a natural person.
    pub person_hints: Vec<String>,
    /// Members that a body about a natural person does not have: they would tell who it is.
    pub person_without: Vec<String>,
}

/// A layout of an upload.
#[derive(Clone, Debug)]
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
        let mut kinds = Self { by_typ: Arc::default() };
        for (file, text) in builtin::SCHEMAS {
            kinds.add(file, text)?;
        }
        Ok(kinds)
    }

    /// These and the `*.json` of a folder, in the order of their names.
    pub fn with_folder(mut self, folder: &Path) -> Result<Self, SchemaError> {
        let failed = |path: &Path, error: &dyn std::fmt::Display| SchemaError {
            file: path.display().to_string(),
            reason: error.to_string(),
        };
        let entries = std::fs::read_dir(folder).map_err(|error| failed(folder, &error))?;
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|error| failed(&path, &error))?;
            self.add(&path.display().to_string(), &text)?;
        }
        Ok(self)
    }

    /// One version of a kind.
    pub fn find(&self, typ: &Typ) -> Option<&Arc<Kind>> {
        self.by_typ.get(typ)
    }

    /// The newest version of a kind.
    pub fn newest(&self, name: &str) -> Option<&Arc<Kind>> {
        self.by_typ.values().rfind(|kind| kind.typ.kind == name)
    }

    /// All, by name and version.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_typ.values()
    }

    fn add(&mut self, file: &str, text: &str) -> Result<(), SchemaError> {
        let failed = |reason: String| SchemaError { file: file.to_owned(), reason };
        let kind = schema_file::read(text).map_err(failed)?;
        // a version never changes its meaning, so a second file for it would make nodes disagree
        if self.by_typ.contains_key(&kind.typ) {
            return Err(failed(format!("kind {} version {} is known already", kind.typ.kind, kind.typ.version)));
        }
        Arc::make_mut(&mut self.by_typ).insert(kind.typ.clone(), Arc::new(kind));
        Ok(())
    }
}

impl Kind {
    /// Reads a schema file that belongs to no set of kinds; `file` is named in what is wrong.
    pub fn read(file: &str, text: &str) -> Result<Self, SchemaError> {
        schema_file::read(text).map_err(|reason| SchemaError { file: file.to_owned(), reason })
    }

    /// A member by name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.position(name).map(|at| &self.members[at])
    }

    /// The position of a member by name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions.get(name).copied()
    }

    /// Whether it is the same to the last letter.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// The members that every layout has: the body's `required`.
    pub fn required(&self) -> &[String] {
        &self.required
    }
}

#[cfg(test)]
mod tests;
