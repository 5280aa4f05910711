//! Texts become policies: each parsed, named, and validated against the schema, strictly. All faults are told at once.

use std::collections::BTreeMap;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, ValidationWarning, Validator};
use serde::Serialize;

use super::fault::{Place, PolicyFault, PolicyFaults};
use super::files::{Files, SCHEMA};
use super::words::Known;
use crate::statement::NodeId;

/// A policy, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Its id, by which statements name it.
    pub id: String,
    /// Whether it forbids; else it permits.
    pub forbids: bool,
    /// What it says, in the words of its author (`@title`).
    pub title: Option<String>,
    /// What is told to whom it forbids (`@reason`).
    pub reason: Option<String>,
    /// The file in which it stands.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// What a policy may be annotated with.
const ANNOTATIONS: [&str; 3] = ["id", "title", "reason"];
/// The longest id, in characters: a recognition names it.
const LONGEST_ID: usize = 100;
/// The longest title or reason, in characters.
const LONGEST_TEXT: usize = 500;

/// A policy and where it stands.
struct Found<'a> {
    policy: Policy,
    file: String,
    /// The text of the whole file.
    text: &'a str,
    /// Where the policy begins in it.
    at: usize,
}

/// The schema that comes with the program.
pub(super) fn schema() -> Result<Schema, PolicyFault> {
    let (file, text) = SCHEMA;
    match Schema::from_cedarschema_str(text) {
        Ok((schema, _)) => Ok(schema),
        Err(error) => Err(PolicyFault::of(file, text, 0, &error)),
    }
}

/// The policies of some files, by their ids, and what each is.
pub(super) fn read(
    files: &Files,
    known: &Known,
    schema: &Schema,
) -> Result<(PolicySet, BTreeMap<String, Told>), PolicyFaults> {
    let mut faults = Vec::new();
    let mut set = PolicySet::new();
    let mut by_id: BTreeMap<String, Found<'_>> = BTreeMap::new();
    for (name, text) in files.iter() {
        for found in parse(&files.shown(name), text, &mut faults) {
            faults.extend(found.check(known));
            let Some(id) = found.policy.annotation("id").filter(|id| is_id(id)).map(str::to_owned) else { continue };
            if let Some(first) = by_id.get(&id) {
                let first = PolicyFault::at(&first.file, first.text, first.at, "has it already");
                faults.push(found.fault(format_args!("the id {id:?} is not its own: {first}")));
                continue;
            }
            let policy = found.policy.new_id(PolicyId::new(&id));
            match set.add(policy.clone()) {
                Ok(()) => drop(by_id.insert(id, Found { policy, ..found })),
                Err(error) => faults.push(found.fault(error)),
            }
        }
    }
    faults.extend(validate(&set, schema, &by_id));
    if faults.is_empty() {
        return Ok((set, by_id.into_iter().map(|(id, found)| (id.clone(), found.tell(id))).collect()));
    }
    faults.sort_by(|a, b| (&a.file, a.at, &a.reason).cmp(&(&b.file, b.at, &b.reason)));
    faults.dedup();
    Err(PolicyFaults(faults))
}

/// What the schema does not allow, and what can never apply: it forbids nothing, and somebody believes that it does. Texts
/// in several scripts are no fault.
fn validate(set: &PolicySet, schema: &Schema, by_id: &BTreeMap<String, Found<'_>>) -> Vec<PolicyFault> {
    let result = Validator::new(schema.clone()).validate(set, ValidationMode::Strict);
    let mut by_policy: BTreeMap<String, Vec<PolicyFault>> = BTreeMap::new();
    let mut tell = |id: String, fault: &dyn miette::Diagnostic| {
        if let Some(found) = by_id.get(&id) {
            by_policy.entry(id).or_default().push(PolicyFault::of(&found.file, found.text, found.at, fault));
        }
    };
    for error in result.validation_errors() {
        tell(error.policy_id().to_string(), error);
    }
    for warning in result.validation_warnings() {
        match warning {
            ValidationWarning::MixedScriptString(_)
            | ValidationWarning::MixedScriptIdentifier(_)
            | ValidationWarning::ConfusableIdentifier(_) => {}
            other => tell(other.policy_id().to_string(), other),
        }
    }
    // an error within a policy also makes that no action can be found, or that it never applies
    let causes = by_policy.into_iter().flat_map(|(id, faults)| {
        let start = by_id.get(&id).map(|found| Place::of(found.text, found.at));
        let (whole, within): (Vec<_>, Vec<_>) = faults.into_iter().partition(|fault| fault.at == start);
        if within.is_empty() { whole.into_iter().take(1).collect() } else { within }
    });
    causes.collect()
}

/// The policies of one file in their order. Where one cannot be parsed, none of the file's can.
fn parse<'a>(file: &str, text: &'a str, faults: &mut Vec<PolicyFault>) -> Vec<Found<'a>> {
    let set: PolicySet = match text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: &cedar_policy::ParseErrors = &errors;
            faults.extend(errors.iter().map(|error| PolicyFault::of(file, text, text.len(), error)));
            return Vec::new();
        }
    };
    for template in set.templates() {
        let at = text.find(&template.to_cedar()).unwrap_or(0);
        faults.push(PolicyFault::at(file, text, at, "a template with slots (?principal) decides nothing here"));
    }
    // the parser numbers them as they stand: policy0, policy1 …
    let number = |policy: &Policy| policy.id().to_string().trim_start_matches("policy").parse().unwrap_or(usize::MAX);
    let mut policies: Vec<_> = set.policies().cloned().collect();
    policies.sort_by_key(number);
    let mut end = 0;
    let place = |policy: Policy| {
        let own = policy.to_cedar().unwrap_or_default();
        let at = text.get(end..).and_then(|rest| rest.find(&own)).map_or(end, |at| end + at);
        end = at + own.len();
        Found { policy, file: file.to_owned(), text, at }
    };
    policies.into_iter().map(place).collect()
}

impl Found<'_> {
    fn fault(&self, reason: impl std::fmt::Display) -> PolicyFault {
        PolicyFault::at(&self.file, self.text, self.at, reason)
    }

    /// What the schema does not say: names, annotations, and the ids of kinds, groups and divisions.
    fn check(&self, known: &Known) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        match self.policy.annotation("id") {
            None => faults.push(self.fault("it has no id; write @id(\"…\") before it")),
            Some(id) if !is_id(id) => faults.push(self.fault(format_args!(
                "the id {id:?} is no name of a-z, 0-9, hyphens and dots, a letter or digit first, at most {LONGEST_ID}"
            ))),
            Some(_) => {}
        }
        for (key, value) in self.policy.annotations() {
            if !ANNOTATIONS.contains(&key) {
                faults.push(self.fault(format_args!("@{key} means nothing here; known are @id, @title and @reason")));
            } else if value.is_empty() || value.chars().count() > LONGEST_TEXT || value.chars().any(char::is_control) {
                faults.push(
                    self.fault(format_args!("@{key} needs a text of one line, at most {LONGEST_TEXT} characters")),
                );
            } else if key == "reason" && self.policy.effect() == Effect::Permit {
                faults.push(self.fault("@reason is told to whom a policy forbids; this one permits, @title says what"));
            }
        }
        for literal in self.policy.entity_literals() {
            let id = literal.id().unescaped();
            if let Some(reason) = unknown(literal.type_name().basename(), id, known) {
                let written = self.text.get(self.at..).and_then(|rest| rest.find(&literal.to_string()));
                let at = self.at + written.unwrap_or(0);
                faults.push(PolicyFault::at(&self.file, self.text, at, format_args!("{literal}: {reason}")));
            }
        }
        faults
    }

    fn tell(&self, id: String) -> Told {
        let annotation = |key: &str| self.policy.annotation(key).map(str::to_owned);
        Told {
            id,
            forbids: self.policy.effect() == Effect::Forbid,
            title: annotation("title"),
            reason: annotation("reason"),
            file: self.file.clone(),
            text: self.policy.to_cedar().unwrap_or_default(),
        }
    }
}

/// Why there is no such entity: a slip here would make a policy that never applies.
fn unknown(of: &str, id: &str, known: &Known) -> Option<&'static str> {
    let digits = |count: usize| id.len() == count && id.bytes().all(|b| b.is_ascii_digit());
    match of {
        "Kind" if !known.kinds.contains_key(id) => Some("no kind that this node knows"),
        "Group" if !known.groups.contains_key(id) => Some("no group of the configuration ([groups] in node.toml)"),
        "Node" if id.parse::<NodeId>().is_err() => Some("no node id"),
        "Region" if !digits(6) => Some("six digits of a division are expected"),
        "Province" if !digits(2) => Some("the first two digits of divisions are expected"),
        _ => None,
    }
}

fn is_id(id: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(fits) && !id.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests;
