//! About whom a record is, which record it is, and what it says.

use std::borrow::Cow;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{Form, Kind, SubjectMembers};
use crate::record::identifier::UNKNOWN;
use crate::record::name::fold;
use crate::statement::{Audience, Reader, Statement, Subject};

impl Kind {
    /// SHA-256 over the identifying members, None for what is no record. Not on the wire: each node computes its own.
    /// Names and numbers are compared as look-ups compare them, so that a bracket of another width makes no other record.
    pub fn identity_of(&self, statement: &Statement) -> Option<[u8; 32]> {
        if !self.is_record {
            return None;
        }
        let subject = statement.sub.as_ref().map(Subject::key);
        let mut hash = Parts::new();
        for alternatives in &self.identity {
            let present = alternatives.iter().find_map(|name| match name.as_str() {
                "@subject" => subject.as_deref().map(Cow::Borrowed),
                name => self.identifying(&statement.body, name),
            });
            hash.add(present.as_deref().unwrap_or(""));
        }
        Some(hash.finish())
    }

    fn identifying<'a>(&self, body: &'a Map<String, Value>, name: &str) -> Option<Cow<'a, str>> {
        match (&self.member(name)?.form, body.get(name)?) {
            (Form::Text | Form::DocumentNumber, Value::String(text)) => Some(fold(text).into()),
            (_, Value::String(_)) => said(body, name).map(Cow::Borrowed),
            (_, other) => Some(other.to_string().into()),
        }
    }

    /// SHA-256 over what a statement says (audience, subject, body, references), without `iat`, `salt` and `prev`: equal
    /// for an unchanged record, in whatever order its members came.
    pub fn content_of(&self, statement: &Statement) -> [u8; 32] {
        let mut hash = Parts::new();
        match &statement.aud {
            Audience::Everyone => hash.add("*"),
            Audience::Named(readers) => readers.iter().for_each(|reader| match reader {
                Reader::Node(node) => hash.add(node.as_str()),
                Reader::Group(group) => hash.add(&format!("@{group}")),
            }),
        }
        hash.add(&statement.sub.as_ref().map(|sub| format!("{} {}", sub.key(), sub.name())).unwrap_or_default());
        let mut members: Vec<(&String, &Value)> = statement.body.iter().collect();
        members.sort_by_key(|(name, _)| *name);
        for (name, value) in members {
            hash.add(name);
            match value {
                Value::String(text) => hash.add(text),
                other => hash.add(&other.to_string()),
            }
        }
        statement.refs.iter().for_each(|digest| hash.add(&digest.to_string()));
        hash.finish()
    }

    /// The subject that a body is about: by its code, else its 工商注册号, else its name. For a natural person the name
    /// alone; who publishes it adds the keyed hash.
    pub fn subject_of(&self, body: &Map<String, Value>) -> Option<Subject> {
        let members = self.subject.as_ref()?;
        let name = said(body, &members.name)?.to_owned();
        if members.is_person(body) {
            return Some(Subject::Named { name });
        }
        let member = |name: &Option<String>| name.as_deref().and_then(|name| said(body, name));
        Some(if let Some(uscc) = member(&members.uscc).filter(|code| *code != UNKNOWN) {
            Subject::Enterprise { uscc: uscc.to_owned(), name }
        } else if let Some(registration) = member(&members.registration) {
            Subject::Registered { registration: registration.to_owned(), name }
        } else {
            Subject::Named { name }
        })
    }
}

impl SubjectMembers {
    /// Whether a body is about a natural person.
    pub fn is_person(&self, body: &Map<String, Value>) -> bool {
        self.person_when.as_ref().is_some_and(|condition| condition.holds(body))
    }
}

/// A member that says something: the code for unknown does not.
fn said<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str).filter(|text| *text != UNKNOWN)
}

/// SHA-256 over parts, each behind its length, so that no two lists of parts look alike. By the library whose updates
/// cost no call each.
struct Parts(Sha256);

impl Parts {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn add(&mut self, part: &str) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
