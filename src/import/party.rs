//! Whether a row is about a natural person, and what is taken from its body then.

use serde_json::{Map, Value};

use super::person::{Id, masked, one_way, reads_like_a_person};
use super::{Cell, SourceRow, mend, veil};
use crate::record::identifier::{UNKNOWN, resident_id_checks};
use crate::statement::kind::{Form, Layout, Member, SubjectMembers};
use crate::statement::{Kind, Subject};

/// A cell of a column that no layout takes says something of a person from so many digits on.
const DIGITS_OF_A_NUMBER: usize = 6;

/// The identity number of a row.
pub enum Number {
    /// As its own column has it, and its type where that came.
    Given(String, Option<String>),
    /// In a column that no layout takes: it is judged by nobody, so it tells only that the row is about a person.
    Hinted,
}

impl Number {
    /// The number that a row bears, before the members that are only uploaded are taken from its body.
    pub fn of(members: &SubjectMembers, body: &Map<String, Value>, hints: &[usize], row: &SourceRow) -> Option<Self> {
        let said = |name: &Option<String>| name.as_ref().and_then(|name| body.get(name)).and_then(Value::as_str);
        let (own, its_type) = (said(&members.person_id), said(&members.person_id_type));
        own.map(|number| Self::Given(number.to_owned(), its_type.map(str::to_owned)))
            .or_else(|| hints.iter().filter_map(|column| row.cells.get(*column)).find_map(hinted))
    }

    /// What a person is known again by.
    pub fn known_by(&self) -> Option<Id<'_>> {
        match self {
            Self::Given(number, of) => Some(Id { of: of.as_deref(), number }),
            Self::Hinted => None,
        }
    }
}

fn hinted(cell: &Cell) -> Option<Number> {
    let text = mend::narrow(&mend::text(cell.text())?);
    if text.bytes().filter(u8::is_ascii_digit).count() < DIGITS_OF_A_NUMBER || text == UNKNOWN {
        return None;
    }
    let is_sound = matches!(cell, Cell::Text(_)) && resident_id_checks(&text) == Some(true);
    Some(if is_sound { Number::Given(text, None) } else { Number::Hinted })
}

/// Whether a row is about a natural person: it says so; or it cannot, because its layout has no column for that, and it
/// bears an identity number, or a name that reads like a person's, and no code. Then the body says so from now on.
pub fn make_person(kind: &Kind, layout: &Layout, body: &mut Map<String, Value>, has_number: bool) -> bool {
    let Some(members) = &kind.subject else { return false };
    if members.is_person(body) {
        return true;
    }
    let Some(condition) = &members.person_when else { return false };
    let can_say = |name: &String| layout.columns.iter().any(|(column, _)| column == name);
    let name = body.get(&members.name).and_then(Value::as_str).unwrap_or("");
    let looks = !has_code(kind, members, body) && (has_number || reads_like_a_person(name));
    if !looks || condition.0.iter().any(|(name, _)| can_say(name)) {
        return false;
    }
    for (name, values) in &condition.0 {
        if let Some(value) = values.iter().flatten().next() {
            body.insert(name.clone(), value.as_str().into());
        }
    }
    members.is_person(body)
}

/// Whether any code or number that only an organisation has is given.
fn has_code(kind: &Kind, members: &SubjectMembers, body: &Map<String, Value>) -> bool {
    let is_code = |name: &&String| {
        kind.member(name).is_some_and(|m| matches!(m.form, Form::Uscc | Form::Registration | Form::Identifier))
    };
    let said = |name: &String| body.get(name).and_then(Value::as_str).is_some_and(|code| code != UNKNOWN);
    members.uscc.iter().chain(&members.registration).chain(&members.person_without).filter(is_code).any(said)
}

/// A value of any row without the resident ids that stand in it: other numbers that are one are left out, in text they are
/// masked, and text that is nothing else is left out too.
pub fn without_resident_ids(member: &Member, value: Value) -> Option<Value> {
    let hidden = match &member.form {
        Form::Text if !member.upload_only => value.as_str().and_then(veil::resident_ids_old_ones_too),
        // a number of 15 digits there is far more often a number of what it should be
        Form::DocumentNumber | Form::Registration | Form::Identifier if !member.upload_only => {
            value.as_str().and_then(veil::resident_ids)
        }
        _ => None,
    };
    match (hidden, &member.form) {
        (None, _) => Some(value),
        (Some(_), Form::Registration | Form::Identifier) => None,
        (Some(text), _) => text.chars().any(|c| c != '*').then(|| text.into()),
    }
}

/// Masks a person's name and number wherever they stand, and takes what else would tell who it is; the subject comes back.
pub fn hide(
    kind: &Kind,
    number: Option<&Number>,
    body: &mut Map<String, Value>,
    subject: impl FnOnce(&str) -> Subject,
) -> Option<Subject> {
    let members = kind.subject.as_ref()?;
    let name = body.get(&members.name)?.as_str()?.to_owned();
    for member in &members.person_without {
        body.shift_remove(member);
    }
    let number =
        number.and_then(Number::known_by).map(|id| id.number).filter(|number| number.len() >= DIGITS_OF_A_NUMBER);
    for (member, value) in body.iter_mut() {
        let Some(text) = value.as_str().filter(|_| is_text(kind, member)) else { continue };
        let mut hidden = number.map_or_else(|| text.to_owned(), |number| veil::over(text, number, 0));
        if name.chars().count() > 1 && !names_another(kind, member) {
            hidden = veil::over(&hidden, &name, 1);
        }
        if hidden != text {
            *value = hidden.into();
        }
    }
    body.insert(members.name.clone(), masked(&one_way(&name)).into());
    Some(subject(&name))
}

fn is_text(kind: &Kind, member: &str) -> bool {
    kind.member(member).is_some_and(|m| matches!(m.form, Form::Text | Form::DocumentNumber))
}

/// Whether a member names an authority, a document or another party: a short name may be part of theirs by chance.
fn names_another(kind: &Kind, member: &str) -> bool {
    kind.identity.iter().flatten().any(|identifying| identifying == member)
        || kind.member(&format!("{member}_uscc")).is_some()
        || kind.member(member).is_some_and(|m| m.form == Form::DocumentNumber)
}
