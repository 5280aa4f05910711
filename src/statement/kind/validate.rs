//! A statement judged by its kind: schema, rules across members, subject.

use jiff::civil::Date;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::{Kind, SubjectMembers};
use crate::statement::{Refused, Statement, Subject};

/// The keywords of JSON Schema that need no look at a body as one: its members are judged one by one.
const FLAT: [&str; 9] =
    ["$schema", "$id", "$comment", "title", "description", "type", "additionalProperties", "required", "properties"];

/// The JSON Schema of a body.
#[derive(Debug)]
pub(super) enum Schema {
    /// An object without further members, judged without building one: a validator for each member, in their order.
    Flat(Vec<Validator>),
    /// One that says more than that.
    Whole(Box<Validator>),
}

impl Schema {
    /// Compiles a schema, whose body members come first among the kind's.
    pub(super) fn compile(schema: &Value, properties: &Map<String, Value>) -> Result<Self, String> {
        let whole = compile(schema)?;
        let says_more = |name: &String| !name.starts_with("x-") && !FLAT.contains(&name.as_str());
        let is_closed = schema["additionalProperties"] == false && schema["type"] == "object";
        let refers = Value::from_iter(properties.clone()).to_string().contains("\"$ref\"");
        if !is_closed || refers || schema.as_object().is_none_or(|s| s.keys().any(says_more)) {
            return Ok(Self::Whole(Box::new(whole)));
        }
        properties.values().map(compile).collect::<Result<_, _>>().map(Self::Flat)
    }

    /// Whether a value may stand under the member at a position; where bodies are judged as one, that is not known.
    pub(super) fn takes_member(&self, at: usize, value: &Value) -> bool {
        match self {
            Self::Flat(members) => members.get(at).is_none_or(|member| member.is_valid(value)),
            Self::Whole(_) => true,
        }
    }

    /// The member for which a body as one is refused, empty where it is for the body itself.
    pub(super) fn refused_member(&self, body: impl FnOnce() -> Map<String, Value>) -> Option<String> {
        let Self::Whole(whole) = self else { return None };
        let body = Value::Object(body());
        let error = whole.validate(&body).err()?;
        let path = error.instance_path().to_string();
        Some(path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned())
    }
}

/// Patterns run in linear time and nothing is fetched: schema files may come from elsewhere.
fn compile(schema: &Value) -> Result<Validator, String> {
    let options = jsonschema::options().with_draft(Draft::Draft202012).with_pattern_options(PatternOptions::regex());
    options.offline().build(schema).map_err(|error| format!("not a schema: at {}: {error}", error.instance_path()))
}

impl Kind {
    /// Judges a statement of this kind: schema, rules across members, subject. `today` is the day of judging; a peer's
    /// statement is judged by the day of its `iat`, so that every node comes to the same end.
    pub fn validate(&self, statement: &Statement, today: Date) -> Result<(), Refused> {
        self.judge_schema(&statement.body)?;
        if let Some(fault) =
            self.faults(&statement.body, &[], None, today).into_iter().find(|fault| !fault.code.is_warning())
        {
            return Err(Refused::Rule(format!("{} at {}", fault.code, fault.member)));
        }
        match &self.subject {
            None if statement.sub.is_none() => Ok(()),
            None => Err(Refused::Rule("a kind about nobody".to_owned())),
            Some(members) => self.judge_subject(members, statement).map_err(|why| Refused::Rule(why.to_owned())),
        }
    }

    fn judge_schema(&self, body: &Map<String, Value>) -> Result<(), Refused> {
        let members = match &self.schema {
            Schema::Flat(members) => members,
            Schema::Whole(whole) => {
                return whole.validate(&Value::Object(body.clone())).map_err(|error| refused("", &error));
            }
        };
        for (name, value) in body {
            match self.position(name).and_then(|at| members.get(at)) {
                None => return Err(Refused::Schema("additionalProperties at /".to_owned())),
                Some(member) if member.is_valid(value) => {}
                Some(member) => member.validate(value).map_err(|error| refused(&format!("/{name}"), &error))?,
            }
        }
        match self.required.iter().find(|name| !body.contains_key(*name)) {
            Some(_) => Err(Refused::Schema("required at /".to_owned())),
            None => Ok(()),
        }
    }

    /// `sub` is whom the body is about. Of a natural person the body has the masked name and nothing that tells who it is.
    fn judge_subject(&self, members: &SubjectMembers, statement: &Statement) -> Result<(), &'static str> {
        let body = &statement.body;
        let (true, Some(person)) = (members.is_person(body), &statement.sub) else {
            let of_body = self.subject_of(body);
            return if !members.is_person(body) && of_body == statement.sub { Ok(()) } else { Err(OTHER_SUBJECT) };
        };
        let Subject::Person { name, .. } = person else { return Err(OTHER_SUBJECT) };
        if body.get(&members.name).and_then(Value::as_str) != Some(name) {
            return Err(OTHER_SUBJECT);
        }
        if !name.chars().skip(1).all(|c| c == '*') {
            return Err("the name of a natural person is not masked");
        }
        match members.person_without.iter().any(|member| body.contains_key(member)) {
            true => Err("a member that tells who a natural person is"),
            false => Ok(()),
        }
    }
}

const OTHER_SUBJECT: &str = "the subject is not the body's";

/// The path and the keyword, never the value: it may be a person's.
fn refused(above: &str, error: &ValidationError<'_>) -> Refused {
    let path = format!("{above}{}", error.instance_path());
    let path = if path.is_empty() { "/" } else { &path };
    Refused::Schema(format!("{} at {path}", error.kind().keyword()))
}
