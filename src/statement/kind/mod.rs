//! Kinds as data: a kind is a JSON Schema (2020-12) whose `x-` keywords say how it is uploaded, identified and shared.
//!
//! [`schema_file`] reads such a file, [`rules`] judges values and rules across members, for uploads and for peers alike.
//! `docs/KINDS.md` describes each keyword.

mod builtin;
mod form;
mod identity;
mod rules;
mod schema_file;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use serde_json::Value;

pub use form::{Code, Form};
pub use rules::{Condition, Rules};

use super::{Audience, Refused, Statement, Subject, Typ};

/// All kinds that this node knows: the built-in ones and those of a folder.
#[derive(Clone, Debug)]
pub struct Kinds {
    by_typ: BTreeMap<Typ, Arc<Kind>>,
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
    required: Vec<String>,
    validator: jsonschema::Validator,
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
        let mut kinds = Self { by_typ: BTreeMap::new() };
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
        self.by_typ.insert(kind.typ.clone(), Arc::new(kind));
        Ok(())
    }
}

impl Kind {
    /// Judges a statement of this kind: schema, rules across members, subject. `today` is the day of judging; a peer's
    /// statement is judged by the day of its `iat`, so that every node comes to the same end.
    pub fn validate(&self, statement: &Statement, today: Date) -> Result<(), Refused> {
        let body = Value::Object(statement.body.clone());
        if let Err(error) = self.validator.validate(&body) {
            // the path and the rule, never the value: it may be a person's
            let at = error.instance_path().to_string();
            return Err(Refused::Schema(format!(
                "{} at {}",
                error.kind().keyword(),
                if at.is_empty() { "/" } else { &at }
            )));
        }
        if let Some(fault) = self.faults(&statement.body, &[], None, today).into_iter().find(|f| !f.code.is_warning()) {
            return Err(Refused::Rule(format!("{} at {}", fault.code, fault.member)));
        }
        if self.subject_agrees(statement) {
            Ok(())
        } else {
            Err(Refused::Rule("the subject is not the body's".to_owned()))
        }
    }

    /// A member by name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The members that every layout has: the body's `required`.
    pub fn required(&self) -> &[String] {
        &self.required
    }

    /// Whether `sub` is whom the body is about. Of a person the body has only the masked name.
    fn subject_agrees(&self, statement: &Statement) -> bool {
        let Some(members) = &self.subject else { return true };
        let of_body = self.subject_of(&statement.body);
        match (&statement.sub, of_body) {
            (Some(Subject::Person { name, .. }), Some(of_body)) => {
                members.is_person(&statement.body) && of_body.name() == name
            }
            (sub, of_body) => *sub == of_body,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;
    use crate::statement::Salt;

    fn penalty() -> Value {
        json!({
            "name": "马鞍山示例建材有限公司", "party": "法人及非法人组织", "uscc": "91350100M000100Y43",
            "number": "马市监罚决〔2024〕1号", "violation": "发布虚假广告", "facts": "经查，当事人发布虚假广告。",
            "basis": "《中华人民共和国广告法》第五十五条", "category": ["罚款"], "content": "罚款，罚款0.5万元", "fine": "0.5",
            "decided": "2024-03-05", "valid_until": "2027-03-05", "authority": "马鞍山市市场监督管理局",
            "authority_uscc": "91350100M000100Y43", "source": "马鞍山市市场监督管理局", "source_uscc": "91350100M000100Y43",
        })
    }

    fn statement(kind: &Kind, body: Value) -> Statement {
        let Value::Object(body) = body else { unreachable!("bodies are objects") };
        Statement {
            typ: kind.typ.clone(),
            iss: "340500".parse().unwrap(),
            iat: 1_750_000_000,
            aud: Audience::Everyone,
            salt: Salt([7; 16]),
            sub: kind.subject_of(&body),
            prev: None,
            refs: Vec::new(),
            body,
        }
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> Option<String> {
        let kinds = Kinds::builtin().unwrap();
        let kind = kinds.newest("penalty").unwrap();
        let mut body = penalty();
        change(&mut body);
        kind.validate(&statement(kind, body), date(2025, 6, 15)).err().map(|refused| refused.to_string())
    }

    #[test]
    fn the_ten_record_kinds_come_with_the_program() {
        let kinds = Kinds::builtin().unwrap();
        let records: Vec<&str> = kinds.all().filter(|k| k.is_record).map(|k| k.typ.kind.as_str()).collect();
        assert_eq!(
            records,
            [
                "commitment",
                "contract",
                "grade",
                "honour",
                "judgment",
                "licence",
                "listing",
                "penalty",
                "registration",
                "voluntary"
            ]
        );
        for kind in kinds.all().filter(|k| k.is_record) {
            assert!(kind.layouts.iter().all(|layout| !layout.columns.is_empty()), "{:?}", kind.typ);
            assert!(kind.members.iter().filter(|m| m.personal).all(|m| m.upload_only), "{:?}", kind.typ);
        }
    }

    #[test]
    fn a_sound_penalty_is_valid_and_each_broken_rule_is_named() {
        assert_eq!(refusal(|_| ()), None);
        for (member, value, expected) in [
            ("uscc", json!("91350100M000100Y44"), "E202 at uscc"),
            ("uscc", json!("91350100M000100YO4"), "E201 at uscc"),
            ("decided", json!("2024-02-30"), "E104 at decided"),
            ("decided", json!("2025-06-16"), "E105 at decided"),
            ("valid_until", json!("2024-03-04"), "E105 at valid_until"),
            ("party", Value::Null, "type at /party"),
            ("category", json!(["口头教育"]), "enum at /category/0"),
            ("fine", json!("0.50"), "pattern at /fine"),
            ("person_id", json!("11010519491231002X"), "additionalProperties at /"),
            ("name", json!("长".repeat(201)), "maxLength at /name"),
        ] {
            let refused = refusal(|body| body[member] = value.clone()).unwrap_or_default();
            assert!(refused.ends_with(expected), "{member} = {value}: {refused}");
        }
        let missing = refusal(|body| drop(body.as_object_mut().unwrap().remove("uscc")));
        assert!(missing.unwrap().ends_with("E101 at uscc"));
    }

    #[test]
    fn a_subject_that_is_not_the_body_s_is_refused() {
        let kinds = Kinds::builtin().unwrap();
        let kind = kinds.newest("penalty").unwrap();
        let mut lie = statement(kind, penalty());
        lie.sub = Some(Subject::Enterprise {
            uscc: "91350100M000100Y43".to_owned(),
            name: "另一家示例公司".to_owned(),
        });
        assert!(matches!(kind.validate(&lie, date(2025, 6, 15)), Err(Refused::Rule(_))));
        lie.sub =
            Some(Subject::Person { person: "1.x".to_owned(), name: "马鞍山示例建材有限公司".to_owned() });
        assert!(matches!(kind.validate(&lie, date(2025, 6, 15)), Err(Refused::Rule(_))));
        lie.sub = None;
        assert!(matches!(kind.validate(&lie, date(2025, 6, 15)), Err(Refused::Rule(_))));
    }

    #[test]
    fn what_identifies_a_record_and_what_it_says_are_two_things() {
        let kinds = Kinds::builtin().unwrap();
        let kind = kinds.newest("penalty").unwrap();
        let before = statement(kind, penalty());
        let mut after = before.clone();
        after.body["content"] = json!("罚款，罚款0.6万元");
        (after.iat, after.salt) = (1_760_000_000, Salt([8; 16]));
        assert_eq!(kind.identity_of(&before), kind.identity_of(&after));
        assert_ne!(kind.content_of(&before), kind.content_of(&after));
        after.body["content"] = before.body["content"].clone();
        after.body = after.body.into_iter().rev().collect();
        assert_eq!(kind.content_of(&before), kind.content_of(&after));
        after.body["number"] = json!("马市监罚决〔2024〕2号");
        assert_ne!(kind.identity_of(&before), kind.identity_of(&after));
    }

    #[test]
    fn an_upload_is_held_to_its_layout() {
        let kinds = Kinds::builtin().unwrap();
        let kind = kinds.newest("penalty").unwrap();
        let Value::Object(mut body) = penalty() else { unreachable!() };
        for member in ["party", "valid_until", "authority_uscc", "source", "source_uscc"] {
            body.remove(member);
        }
        let codes = |layout: &str, at_fault: &[&str]| {
            let layout = kind.layouts.iter().find(|l| l.name == layout).unwrap();
            let faults = kind.faults(&body, at_fault, Some(layout), date(2025, 6, 15));
            faults.into_iter().map(|f| (f.member, f.code.as_str())).collect::<Vec<_>>()
        };
        assert_eq!(codes("older", &[]), []);
        let missing: Vec<String> = codes("chinese", &["source"]).into_iter().map(|(member, _)| member).collect();
        assert_eq!(missing, ["party", "valid_until", "authority_uscc", "source_uscc"]);
    }

    #[test]
    fn nothing_is_compared_with_a_date_that_is_itself_at_fault() {
        let kinds = Kinds::builtin().unwrap();
        let kind = kinds.newest("penalty").unwrap();
        let layout = kind.layouts.iter().find(|l| l.name == "code");
        let Value::Object(mut body) = penalty() else { unreachable!() };
        body["decided"] = json!("2093-01-05");
        let faults = kind.faults(&body, &[], layout, date(2025, 6, 15));
        assert_eq!(faults.iter().map(|f| f.member.as_str()).collect::<Vec<_>>(), ["decided"]);
        body.remove("decided");
        assert_eq!(kind.faults(&body, &["decided"], layout, date(2025, 6, 15)), []);
    }

    #[test]
    fn a_faulty_schema_says_where() {
        for (text, expected) in [
            ("{", "not JSON"),
            (r#"{"title": "x", "type": 7, "x-kind": {"name": "x", "version": 1}}"#, "not a schema"),
            (r#"{"title": "x", "x-kind": {"name": "X", "version": 1}}"#, "x-kind"),
            (r#"{"title": "x", "x-kind": {"name": "x", "version": 1, "record": true}}"#, "x-identity"),
            (r#"{"title": "x", "x-kind": {"name": "x", "version": 1}, "required": ["y"]}"#, "\"y\" is named"),
            (
                r#"{"title": "x", "x-kind": {"name": "x", "version": 1}, "properties": {"a": {"title": "a", "x-form": "z"}}}"#,
                "a: x-form",
            ),
        ] {
            let reason = schema_file::read(text).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
