//! Reading a schema file: plain JSON Schema for bodies, and `x-` keywords for all that a schema cannot say.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::laid_out::Demands;
use super::validate::Schema;
use super::{About, Code, Condition, Form, Kind, Layout, Member, Rules, Sharing, SubjectMembers, about, check};
use crate::record::Amount;
use crate::statement::{Audience, Digest, NodeId, Reader, Typ, json};

/// The `x-` keywords at the top of a schema, as [`Head`] reads them.
const OF_KIND: [&str; 8] =
    ["x-kind", "x-about", "x-sharing", "x-audience", "x-identity", "x-subject", "x-layouts", "x-upload-only"];
/// The `x-` keywords of a member, as [`Property`] reads them.
const OF_MEMBER: [&str; 11] = [
    "x-form",
    "x-decimal",
    "x-codes",
    "x-columns",
    "x-personal",
    "x-adds-to",
    "x-known",
    "x-not-before",
    "x-not-future",
    "x-required-if",
    "x-warn-from",
];

/// The `x-` keywords at the top of a schema.
#[derive(Deserialize)]
struct Head {
    title: String,
    #[serde(rename = "x-kind")]
    kind: KindKeyword,
    #[serde(rename = "x-about")]
    about: Option<about::Keyword>,
    #[serde(rename = "x-audience", default)]
    audience: Vec<String>,
    #[serde(rename = "x-sharing", default)]
    sharing: Option<String>,
    #[serde(rename = "x-identity", default)]
    identity: Vec<Alternatives>,
    #[serde(rename = "x-subject")]
    subject: Option<SubjectKeyword>,
    #[serde(rename = "x-layouts", default)]
    layouts: Vec<LayoutKeyword>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(rename = "x-upload-only", default)]
    upload_only: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindKeyword {
    name: String,
    version: u32,
    #[serde(default)]
    record: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Alternatives {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectKeyword {
    name: String,
    uscc: Option<String>,
    registration: Option<String>,
    #[serde(rename = "person-when")]
    person_when: Option<Map<String, Value>>,
    #[serde(rename = "person-id")]
    person_id: Option<String>,
    #[serde(rename = "person-id-type")]
    person_id_type: Option<String>,
    #[serde(rename = "person-hints", default)]
    person_hints: Vec<String>,
    #[serde(rename = "person-without", default)]
    person_without: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutKeyword {
    name: String,
    #[serde(default)]
    required: Vec<String>,
}

/// The keywords of one property. JSON Schema's own ones that are not looked at here are the validator's.
#[derive(Deserialize)]
struct Property {
    title: String,
    #[serde(rename = "type", default)]
    json_type: Option<String>,
    #[serde(rename = "maxLength")]
    max_length: Option<usize>,
    #[serde(rename = "x-form")]
    form: Option<String>,
    #[serde(rename = "x-decimal")]
    decimal: Option<(u32, u32)>,
    #[serde(rename = "x-codes")]
    codes: Option<Vec<CodeKeyword>>,
    #[serde(rename = "x-columns", default)]
    columns: BTreeMap<String, Vec<String>>,
    #[serde(rename = "x-personal", default)]
    personal: bool,
    #[serde(rename = "x-adds-to")]
    adds_to: Option<String>,
    #[serde(rename = "x-known", default)]
    known: bool,
    #[serde(rename = "x-not-before", default)]
    not_before: Vec<String>,
    #[serde(rename = "x-not-future", default)]
    not_future: bool,
    #[serde(rename = "x-required-if", default)]
    required_if: Vec<Map<String, Value>>,
    #[serde(rename = "x-warn-from")]
    warn_from: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CodeKeyword {
    Plain(String),
    Worded {
        value: String,
        #[serde(default)]
        also: Vec<String>,
        #[serde(default)]
        layouts: BTreeMap<String, Vec<String>>,
        advice: Option<String>,
    },
}

/// A kind from the text of its schema file; the error says what is wrong, and where.
pub(super) fn read(text: &str) -> Result<Kind, String> {
    let schema = json::parse_object(text.as_bytes()).map_err(|error| format!("not JSON: {error}"))?;
    known_keywords(&schema, &OF_KIND).map_err(|error| format!("at the top: {error}"))?;
    let schema = Value::Object(schema);
    if let Err(error) = jsonschema::draft202012::meta::validate(&schema) {
        return Err(format!("not a schema: at {}: {error}", error.instance_path()));
    }
    let head = Head::deserialize(&schema).map_err(|error| error.to_string())?;
    let typ = Typ { kind: head.kind.name.clone(), version: head.kind.version };
    typ.to_string().parse::<Typ>().map_err(|error| format!("x-kind: {error}"))?;
    let mut layouts: Vec<Layout> = head
        .layouts
        .into_iter()
        .map(|layout| Layout { name: layout.name, columns: Vec::new(), required: layout.required })
        .collect();
    let mut members = Vec::new();
    for (properties, upload_only) in [(&head.properties, false), (&head.upload_only, true)] {
        for (name, value) in properties {
            members.push(member(name, value, upload_only, &mut layouts)?);
        }
    }
    let mut kind = Kind {
        typ,
        title: head.title,
        is_record: head.kind.record,
        about: head.about.map(About::from),
        sharing: sharing(head.sharing.as_deref())?,
        audience: audience(&head.audience)?,
        members,
        identity: head.identity.into_iter().map(alternatives).collect(),
        subject: head.subject.map(subject).transpose()?,
        layouts,
        digest: Digest::of(text.as_bytes()),
        required: head.required,
        positions: HashMap::new(),
        demands: Demands::default(),
        schema: Schema::compile(&schema, &head.properties)?,
    };
    for (at, member) in kind.members.iter().enumerate() {
        if kind.positions.insert(member.name.clone(), at).is_some() {
            return Err(format!("{}: a member is uploaded only, or it is not", member.name));
        }
    }
    check::names(&kind)?;
    check::record(&kind, &schema)?;
    kind.demands = Demands::of(&kind);
    Ok(kind)
}

fn member(name: &str, value: &Value, upload_only: bool, layouts: &mut [Layout]) -> Result<Member, String> {
    let at = |error: &dyn std::fmt::Display| format!("{name}: {error}");
    let keywords = value.as_object().ok_or_else(|| at(&"an object is expected"))?;
    known_keywords(keywords, &OF_MEMBER).map_err(|error| at(&error))?;
    let property = Property::deserialize(value).map_err(|error| at(&error))?;
    for (layout, headers) in &property.columns {
        let known = layouts.iter_mut().find(|l| l.name == *layout);
        let known = known.ok_or_else(|| at(&format!("x-columns names the layout {layout:?}, x-layouts does not")))?;
        known.columns.push((name.to_owned(), headers.clone()));
    }
    Ok(Member {
        name: name.to_owned(),
        form: form(&property).map_err(|error| at(&error))?,
        max_length: property.max_length,
        personal: property.personal,
        upload_only: upload_only || property.personal,
        adds_to: property.adds_to,
        rules: Rules {
            required_if: property.required_if.iter().map(condition).collect::<Result<_, _>>().map_err(|e| at(&e))?,
            warn_from: property.warn_from.map(|text| Amount::parse(&text, 36, 12)).transpose().map_err(|e| at(&e))?,
            known: property.known,
            not_before: property.not_before,
            not_future: property.not_future,
        },
        title: property.title,
    })
}

fn form(property: &Property) -> Result<Form, String> {
    let codes = || property.codes.iter().flatten().map(code).collect::<Vec<_>>();
    Ok(match property.form.as_deref() {
        None if property.json_type.as_deref() == Some("integer") => Form::Integer,
        None if property.json_type.as_deref() == Some("boolean") => Form::Boolean,
        None | Some("text") => Form::Text,
        Some("document-number") => Form::DocumentNumber,
        Some("date") => Form::Date,
        Some("decimal") => {
            let (digits, fraction) = property.decimal.ok_or("a decimal without x-decimal [digits, fraction]")?;
            Form::Decimal { digits, fraction }
        }
        Some("uscc") => Form::Uscc,
        Some("registration") => Form::Registration,
        Some("person-id") => Form::PersonId,
        Some("identifier") => Form::Identifier,
        Some("digest") => Form::Digest,
        Some("digests") => Form::Digests,
        Some("code" | "codes") if codes().is_empty() => return Err("a code list without x-codes".to_owned()),
        Some("code") => Form::Code(codes()),
        Some("codes") => Form::Codes(codes()),
        Some(other) => return Err(format!("x-form {other:?} is none that this program knows")),
    })
}

fn code(keyword: &CodeKeyword) -> Code {
    match keyword {
        CodeKeyword::Plain(value) => {
            Code { value: value.clone(), also: Vec::new(), in_layout: Vec::new(), advice: None }
        }
        CodeKeyword::Worded { value, also, layouts, advice } => Code {
            value: value.clone(),
            also: also.clone(),
            in_layout: layouts
                .iter()
                .flat_map(|(name, words)| words.iter().map(|w| (name.clone(), w.clone())))
                .collect(),
            advice: advice.clone(),
        },
    }
}

fn alternatives(keyword: Alternatives) -> Vec<String> {
    match keyword {
        Alternatives::One(name) => vec![name],
        Alternatives::Several(names) => names,
    }
}

fn subject(keyword: SubjectKeyword) -> Result<SubjectMembers, String> {
    Ok(SubjectMembers {
        name: keyword.name,
        uscc: keyword.uscc,
        registration: keyword.registration,
        person_when: keyword.person_when.as_ref().map(condition).transpose()?,
        person_id: keyword.person_id,
        person_id_type: keyword.person_id_type,
        person_hints: keyword.person_hints,
        person_without: keyword.person_without,
    })
}

/// `{"party": "自然人"}` or `{"party": ["个体工商户"], "uscc": [null, "0…X"]}`.
fn condition(keyword: &Map<String, Value>) -> Result<Condition, String> {
    let value = |value: &Value| match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        other => Err(format!("a condition compares with texts or null, not with {other}")),
    };
    let values = |wanted: &Value| match wanted {
        Value::Array(list) => list.iter().map(value).collect::<Result<Vec<_>, _>>(),
        one => value(one).map(|one| vec![one]),
    };
    keyword.iter().map(|(name, wanted)| Ok((name.clone(), values(wanted)?))).collect::<Result<_, _>>().map(Condition)
}

fn sharing(keyword: Option<&str>) -> Result<Sharing, String> {
    match keyword {
        None | Some("unconditional") => Ok(Sharing::Unconditional),
        Some("conditional") => Ok(Sharing::Conditional),
        Some("none") => Ok(Sharing::None),
        Some(other) => Err(format!("x-sharing {other:?}: unconditional, conditional or none is expected")),
    }
}

fn audience(keyword: &[String]) -> Result<Audience, String> {
    let reader = |text: &String| match text.strip_prefix('@') {
        Some(group) => Ok(Reader::Group(group.to_owned())),
        None => text.parse::<NodeId>().map(Reader::Node).map_err(|error| format!("x-audience: {error}")),
    };
    match keyword {
        [] => Ok(Audience::Everyone),
        [star] if star == "*" => Ok(Audience::Everyone),
        readers => readers.iter().map(reader).collect::<Result<_, _>>().map(Audience::Named),
    }
}

/// Refuses a keyword that is misspelt: what it should have said would silently not hold.
fn known_keywords(schema: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match schema.keys().find(|name| name.starts_with("x-") && !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(format!("{name} is no keyword here; known are {}", known.join(", "))),
    }
}
