//! What must hold of a kind that its keywords cannot each say for themselves.

use serde_json::Value;

use super::laid_out::MOST_MEMBERS;
use super::{Kind, Layout, Sharing};
use crate::record::name::fold;
use crate::statement::Audience;

/// Every member that a keyword names must be one.
pub(super) fn names(kind: &Kind) -> Result<(), String> {
    let is_member = |name: &str| name == "@subject" || kind.member(name).is_some();
    let conditions = kind.members.iter().flat_map(|m| &m.rules.required_if).flat_map(|c| &c.0).map(|(name, _)| name);
    let subject = kind.subject.iter().flat_map(|s| {
        let when = s.person_when.iter().flat_map(|c| &c.0).map(|(name, _)| name);
        [Some(&s.name), s.uscc.as_ref(), s.registration.as_ref(), s.person_id.as_ref(), s.person_id_type.as_ref()]
            .into_iter()
            .flatten()
            .chain(&s.person_without)
            .chain(when)
    });
    let mut named = kind
        .identity
        .iter()
        .flatten()
        .chain(&kind.required)
        .chain(kind.layouts.iter().flat_map(|layout| &layout.required))
        .chain(kind.members.iter().flat_map(|m| &m.rules.not_before))
        .chain(kind.members.iter().filter_map(|m| m.adds_to.as_ref()))
        .chain(kind.about.iter().filter_map(|about| about.found_by.as_ref()).flat_map(|found_by| found_by.members()))
        .chain(conditions)
        .chain(subject);
    if let Some(unknown) = named.find(|name| !is_member(name)) {
        return Err(format!("{unknown:?} is named but is no member"));
    }
    Ok(())
}

/// What must hold of a record, so that every layout makes bodies that every peer takes.
pub(super) fn record(kind: &Kind, schema: &Value) -> Result<(), String> {
    if kind.members.len() > MOST_MEMBERS {
        return Err(format!("more than {MOST_MEMBERS} members"));
    }
    if kind.identity.iter().flatten().any(|name| name == "@subject") && kind.subject.is_none() {
        return Err("x-identity names @subject, but there is no x-subject".to_owned());
    }
    if kind.sharing != Sharing::Unconditional && kind.is_record && kind.audience == Audience::Everyone {
        return Err("x-audience: only what is shared unconditionally is for everybody".to_owned());
    }
    if let Some(member) = kind.members.iter().find(|m| m.personal && schema["properties"].get(&m.name).is_some()) {
        return Err(format!("{}: x-personal belongs under x-upload-only, so that no body takes it", member.name));
    }
    if kind.about.is_some() && (kind.is_record || kind.subject.is_some()) {
        return Err("x-about: an event is no record, and about whom it is says what it is about".to_owned());
    }
    if let Some(about) = &kind.about {
        let named = about.found_by.iter().flat_map(|found_by| found_by.members());
        if let Some(name) = named.into_iter().find(|name| kind.member(name).is_some_and(|m| !m.upload_only)) {
            return Err(format!("{name}: what found-by names belongs under x-upload-only"));
        }
        if about.found_by.is_none() != kind.layouts.is_empty() {
            return Err("x-about: an upload of events needs both x-layouts and found-by".to_owned());
        }
        return kind.layouts.iter().try_for_each(|layout| columns(kind, layout));
    }
    if !kind.is_record {
        return Ok(());
    }
    if kind.identity.is_empty() {
        return Err("a record without x-identity".to_owned());
    }
    if schema["type"] != "object" || schema["additionalProperties"] != false {
        return Err("a record's body is an object with \"additionalProperties\": false".to_owned());
    }
    kind.layouts.iter().try_for_each(|layout| columns(kind, layout))
}

/// Every member that is required has a column, and no header stands for two.
fn columns(kind: &Kind, layout: &Layout) -> Result<(), String> {
    let has_column = |name: &String| layout.columns.iter().any(|(column, _)| column == name);
    if let Some(name) = kind.required.iter().chain(&layout.required).find(|name| !has_column(name)) {
        return Err(format!("x-layouts: {} requires {name:?} but has no column for it", layout.name));
    }
    // what no row of a layout can give would be missing in its records for every peer
    if let Some(member) = kind.members.iter().find(|m| !m.rules.required_if.is_empty() && !has_column(&m.name)) {
        return Err(format!("{}: x-required-if, but the layout {} has no column for it", member.name, layout.name));
    }
    let mut seen: Vec<String> = Vec::new();
    for header in layout.columns.iter().flat_map(|(_, headers)| headers) {
        if seen.contains(&fold(header)) {
            return Err(format!("x-columns: in {} the header {header:?} stands for two members", layout.name));
        }
        seen.push(fold(header));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::schema_file::read;

    fn sound() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "示例", "type": "object", "additionalProperties": false,
            "x-kind": {"name": "example", "version": 1, "record": true},
            "x-identity": ["number", "@subject"],
            "x-subject": {"name": "name", "uscc": "uscc"},
            "x-layouts": [{"name": "chinese", "required": ["uscc"]}],
            "required": ["name", "number"],
            "properties": {
                "name": {"title": "名称", "type": "string", "x-columns": {"chinese": ["名称"]}},
                "uscc": {"title": "代码", "type": "string", "x-form": "uscc", "x-columns": {"chinese": ["代码"]}},
                "number": {"title": "文号", "type": "string", "x-columns": {"chinese": ["文号"]}},
                "open": {"title": "公开", "type": "boolean"}
            }
        })
    }

    fn reason(change: impl FnOnce(&mut Value)) -> String {
        let mut schema = sound();
        change(&mut schema);
        read(&schema.to_string()).err().unwrap_or_default()
    }

    #[test]
    fn a_faulty_schema_says_what_is_wrong_and_where() {
        assert_eq!(reason(|_| ()), "");
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 20] = [
            (|s| s["properties"]["open"]["x-personal"] = json!(true), "open: x-personal belongs"),
            (|s| s["properties"]["open"]["x-required-if"] = json!([{"name": "示例"}]), "open: x-required-if, but"),
            (|s| s["type"] = json!(7), "not a schema: at /type"),
            (|s| s["x-about"] = json!({"what": ["record"], "by": "issuer"}), "x-about: an event is no record"),
            (|s| s["x-about"] = json!({"what": ["record"], "by": "me"}), "unknown variant `me`"),
            (|s| s["x-kind"]["name"] = json!("X"), "x-kind"),
            (|s| s["x-audiences"] = json!(["*"]), "at the top: x-audiences is no keyword"),
            (|s| s["properties"]["uscc"]["x-not-befor"] = json!(["name"]), "uscc: x-not-befor is no keyword"),
            (|s| s["properties"]["uscc"]["x-form"] = json!("usc"), "uscc: x-form"),
            (|s| s["properties"]["uscc"]["x-not-before"] = json!(["begin"]), "\"begin\" is named"),
            (|s| s["properties"]["name"] = json!({"type": "string"}), "name: missing field `title`"),
            (|s| s["properties"]["name"]["x-columns"] = json!({"older": ["MC"]}), "name: x-columns"),
            (|s| s["properties"]["name"]["x-columns"] = json!({}), "requires \"name\" but has no column"),
            (|s| s["properties"]["name"]["x-columns"]["chinese"] = json!(["文号"]), "stands for two members"),
            (|s| s["properties"]["name"]["pattern"] = json!("(?=a)"), "not a schema: at /properties/name"),
            (|s| s["x-identity"] = json!([]), "x-identity"),
            (|s| drop(s.as_object_mut().unwrap().remove("x-subject")), "@subject"),
            (|s| s["x-sharing"] = json!("conditional"), "x-audience"),
            (|s| s["additionalProperties"] = json!(true), "additionalProperties"),
            (|s| s["x-upload-only"] = json!({"name": {"title": "名称"}}), "name: a member is uploaded only"),
        ];
        for (change, expected) in changes {
            let reason = reason(change);
            assert!(reason.contains(expected), "{expected}: {reason}");
        }
    }

    #[test]
    fn what_is_no_strict_json_is_no_schema() {
        let twice = sound().to_string().replacen("\"title\":", "\"title\":\"\",\"title\":", 1);
        for text in ["{", "[]", twice.as_str()] {
            assert!(read(text).unwrap_err().starts_with("not JSON"), "{text:.40}");
        }
    }
}
