//! A statement judged by its kind: schema, rules across members, subject.

use jiff::civil::Date;
use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Value};

use super::laid_out::LaidOut;
use super::{Kind, SubjectMembers};
use crate::statement::{NotAbout, Refused, Statement, Subject};

/// The keywords of JSON Schema that need no look at a body as one: its members are judged one by one.
const FLAT: [&str; 9] =
    ["$schema", "$id", "$comment", "title", "description", "type", "additionalProperties", "required", "properties"];

/// The JSON Schema of a body.
#[derive(Debug)]
pub(super) enum Schema {
    /// An object without further members, judged without building one: a schema for each member, in their order.
    Flat(Vec<OfMember>),
    /// One that says more than that.
    Whole(Box<Validator>),
}

/// The JSON Schema of one member.
#[derive(Debug)]
pub(super) struct OfMember {
    /// All that it says, where it asks for a text of some length or of a list: so do most, and that needs no validator.
    text: Option<Text>,
    validator: Validator,
}

/// A text of so many characters, or one of a list.
#[derive(Debug)]
struct Text {
    least: usize,
    most: usize,
    one_of: Option<Vec<String>>,
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
        properties.values().map(OfMember::compile).collect::<Result<_, _>>().map(Self::Flat)
    }

    /// Whether a value may stand under the member at a position; where bodies are judged as one, that is not known.
    pub(super) fn takes_member(&self, at: usize, value: &Value) -> bool {
        match self {
            Self::Flat(members) => members.get(at).is_none_or(|member| member.takes(value)),
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

impl OfMember {
    fn compile(schema: &Value) -> Result<Self, String> {
        Ok(Self { text: Text::of(schema), validator: compile(schema)? })
    }

    fn takes(&self, value: &Value) -> bool {
        match (&self.text, value) {
            (Some(text), Value::String(value)) => text.takes(value),
            (Some(_), _) => false,
            (None, value) => self.validator.is_valid(value),
        }
    }
}

impl Text {
    /// None for a schema that says anything else.
    fn of(schema: &Value) -> Option<Self> {
        let number = |name| schema.get(name).map(|value| value.as_u64().and_then(|n| usize::try_from(n).ok()));
        let texts = |list: &Value| list.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect();
        let is_known = |name: &String| {
            name.starts_with("x-")
                || ["title", "description", "type", "minLength", "maxLength", "enum"].contains(&name.as_str())
        };
        if schema["type"] != "string" || !schema.as_object()?.keys().all(is_known) {
            return None;
        }
        let one_of: Option<Option<Vec<String>>> = schema.get("enum").map(texts);
        Some(Self {
            least: number("minLength").unwrap_or(Some(0))?,
            most: number("maxLength").unwrap_or(Some(usize::MAX))?,
            one_of: match one_of {
                None => None,
                Some(listed) => Some(listed?),
            },
        })
    }

    fn takes(&self, text: &str) -> bool {
        // a character is one to four bytes
        let is_long_enough = text.len() / 4 >= self.least || text.chars().count() >= self.least;
        let is_short_enough = text.len() <= self.most || text.chars().count() <= self.most;
        let is_listed = |list: &Vec<String>| list.iter().any(|listed| listed == text);
        is_long_enough && is_short_enough && self.one_of.as_ref().is_none_or(is_listed)
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
        let body = &statement.body;
        let laid_out = LaidOut::of(self, body);
        self.judge_schema(body, &laid_out)?;
        if let Some((member, code)) = self.error_of(body, &laid_out, today) {
            return Err(Refused::Rule(format!("{code} at {member}")));
        }
        if self.about.is_some() && statement.refs.len() != 1 {
            return Err(Refused::Event(NotAbout::Refs));
        }
        match &self.subject {
            None if statement.sub.is_none() || self.about.is_some() => Ok(()),
            None => Err(Refused::Rule("a kind about nobody".to_owned())),
            Some(members) => self.judge_subject(members, statement).map_err(|why| Refused::Rule(why.to_owned())),
        }
    }

    fn judge_schema(&self, body: &Map<String, Value>, laid_out: &LaidOut<'_>) -> Result<(), Refused> {
        let members = match &self.schema {
            Schema::Flat(members) => members,
            Schema::Whole(whole) => {
                return whole.validate(&Value::Object(body.clone())).map_err(|error| refused("", &error));
            }
        };
        let takes = |at: usize| Some(members.get(at)?.takes(laid_out.value(at)?));
        let is_complete = self.demands.required.without(laid_out.present).is_empty();
        if laid_out.is_known && is_complete && laid_out.present.iter().all(|at| takes(at) == Some(true)) {
            return Ok(());
        }
        // what is wrong with it: in the order of the body, so that every node says the same
        for (name, value) in body {
            match self.position(name).and_then(|at| members.get(at)) {
                None => return Err(Refused::Schema("additionalProperties at /".to_owned())),
                Some(member) => {
                    member.validator.validate(value).map_err(|error| refused(&format!("/{name}"), &error))?;
                }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::statement::Kinds;

    #[test]
    fn a_schema_of_a_text_is_understood_as_far_as_it_says_no_more() {
        let text = |schema: Value| Text::of(&schema).is_some();
        assert!(text(json!({"type": "string", "title": "示例", "minLength": 1, "maxLength": 9, "x-form": "text"})));
        assert!(text(json!({"type": "string", "enum": ["甲", "乙"]})));
        for schema in [
            json!({"type": "string", "pattern": "^A"}),
            json!({"type": ["string", "null"]}),
            json!({"enum": ["甲"]}),
            json!({"type": "string", "enum": ["甲", 1]}),
            json!({"type": "string", "maxLength": 2.0e300}),
            json!({"type": "string", "not": {"minLength": 3}}),
            json!({"type": "array"}),
        ] {
            assert!(!text(schema.clone()), "{schema}");
        }
    }

    proptest! {
        /// JSON Schema counts characters, not bytes.
        #[test]
        fn a_text_is_judged_as_the_validator_would(
            text in "[a一😀]{0,6}|甲|乙", least in prop::option::of(0..6_u64), most in prop::option::of(0..6_u64), listed: bool,
        ) {
            let mut schema = json!({"type": "string"});
            least.inspect(|least| schema["minLength"] = json!(least));
            most.inspect(|most| schema["maxLength"] = json!(most));
            if listed {
                schema["enum"] = json!(["甲", "乙"]);
            }
            let member = OfMember::compile(&schema).unwrap();
            prop_assert!(member.text.is_some());
            for value in [Value::from(text), json!(1), json!(null)] {
                prop_assert_eq!(member.takes(&value), member.validator.is_valid(&value), "{} of {}", value, schema);
            }
        }

        #[test]
        fn every_member_of_every_kind_is_judged_as_its_validator_would(text in "[0-9A-Z一-三.-]{0,20}", at in 0..200_usize) {
            let value = Value::from(text);
            for kind in Kinds::builtin().unwrap().all() {
                let Schema::Flat(members) = &kind.schema else { continue };
                if let Some(member) = members.get(at % members.len().max(1)) {
                    prop_assert_eq!(member.takes(&value), member.validator.is_valid(&value));
                }
            }
        }
    }
}
