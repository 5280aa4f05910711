//! Does a repair of a peer, or its revocation, take effect here?

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, RestrictedExpression as Value};
use jiff::civil::Date;
use serde_json::{Map, Value as Json};

use super::cedar::{Policies, Question};
use super::words::NotMade;
use crate::record::{Amount, Severity, date};
use crate::statement::{Digest, NodeId, Statement, Subject};

/// A repair, or the revocation of one, as policies see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairCase {
    /// Who repaired, or revoked.
    pub by: NodeId,
    /// Whether that is an active peer.
    pub active: bool,
    /// It revokes the repair.
    pub revokes: bool,
    /// Whose record it is.
    pub record_issuer: NodeId,
    /// The kind of the record.
    pub kind: String,
    /// Whether the record is about a natural person.
    pub person: bool,
    /// None where the record has none.
    pub severity: Option<Severity>,
    /// The record's categories, as its body has them.
    pub categories: Vec<String>,
    /// The name of the list, of a listing.
    pub list: Option<String>,
    /// 罚款金额, 万元.
    pub fine: Option<Amount>,
    /// 没收金额, 万元.
    pub confiscated: Option<Amount>,
    /// When the record was decided, listed, ….
    pub record_decided: Option<Date>,
    /// The type of the repair, as its body has it.
    pub repair_type: String,
    /// Who decided on the repair.
    pub authority: String,
    /// Its code, where given.
    pub authority_uscc: Option<String>,
    /// When the repair, or the revocation, was decided.
    pub decided: Date,
    /// From when on it takes effect.
    pub effective: Date,
}

/// What a node says to a repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It takes effect here too.
    Recognised,
    /// It does not.
    Refused,
    /// A person will decide.
    Pending,
}

/// An outcome and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognition {
    /// The outcome.
    pub outcome: Outcome,
    /// Ids of the policies that decided.
    pub policies: Vec<String>,
    /// The digest of the whole set.
    pub policy_set: Digest,
    /// Why it was not recognised at once, in words for whom it concerns.
    pub reason: Option<String>,
}

impl Outcome {
    /// The word that stands in statements.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recognised => "recognised",
            Self::Refused => "refused",
            Self::Pending => "pending",
        }
    }
}

/// So many policies a recognition names at most, as its schema has it.
const MOST_NAMED: usize = 50;

/// Members of a record's body that say when it was decided; the first that is there.
const DECIDED: [&str; 7] = ["decided", "listed", "awarded", "made", "signed", "provided", "registered"];

impl RepairCase {
    /// What the statements say: a record, its repair, and the revocation of that where it is about one. None where a body
    /// lacks what its schema requires. `severity` is what the rules make of the record.
    pub fn of(
        record: &Statement,
        repair: &Statement,
        revocation: Option<&Statement>,
        severity: Option<Severity>,
        active: bool,
    ) -> Option<Self> {
        let last = revocation.unwrap_or(repair);
        let amount = |member| text(&record.body, member).and_then(|text| Amount::parse(text, 18, 6).ok());
        Some(Self {
            by: last.iss.clone(),
            active,
            revokes: revocation.is_some(),
            record_issuer: record.iss.clone(),
            kind: record.typ.kind.clone(),
            person: matches!(record.sub, Some(Subject::Person { .. })),
            severity,
            categories: texts(record.body.get("category")),
            list: text(&record.body, "list").map(str::to_owned),
            fine: amount("fine"),
            confiscated: amount("confiscated"),
            record_decided: DECIDED.iter().find_map(|member| day(&record.body, member)),
            repair_type: text(&repair.body, "type")?.to_owned(),
            authority: text(&repair.body, "authority")?.to_owned(),
            authority_uscc: text(&repair.body, "authority_uscc").map(str::to_owned),
            decided: day(&last.body, "decided")?,
            effective: day(&last.body, "effective")?,
        })
    }

    fn entity(&self, policies: &Policies) -> Result<Entity, NotMade> {
        let words = &policies.words;
        let text = |text: &str| Value::new_string(text.to_owned());
        let yuan = |amount: &Option<Amount>| Value::new_long(amount.as_ref().map_or(0, Amount::yuan));
        let mut attributes = HashMap::from([
            ("issuer", words.reference("Node", self.record_issuer.as_str())),
            ("kind", words.reference("Kind", &self.kind)),
            ("person", Value::new_bool(self.person)),
            ("severity", words.reference("Severity", self.severity.map_or("none", Severity::as_str))),
            ("categories", Value::new_set(self.categories.iter().map(|category| text(category)))),
            ("list", text(self.list.as_deref().unwrap_or_default())),
            ("fine", yuan(&self.fine)),
            ("confiscated", yuan(&self.confiscated)),
            ("repair_type", words.reference("RepairType", &self.repair_type)),
            ("authority", text(&self.authority)),
            ("authority_uscc", text(self.authority_uscc.as_deref().unwrap_or_default())),
            ("decided", Value::new_long(number(self.decided))),
            ("effective", Value::new_long(number(self.effective))),
        ]);
        if let Some(decided) = self.record_decided {
            attributes.insert("record_decided", Value::new_long(number(decided)));
            attributes.insert("days_since_record", Value::new_long(days_between(decided, self.decided)));
        }
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Entity::new(words.uid(self.type_name(), "this"), attributes, HashSet::new())?)
    }

    fn type_name(&self) -> &'static str {
        if self.revokes { "Revocation" } else { "Repair" }
    }

    fn question(&self, action: &'static str, policies: &Policies) -> Result<Question, NotMade> {
        let (words, known) = (&policies.words, &policies.known);
        let mut entities = vec![words.node(&self.by, known)?, words.kind(&self.kind, known)?, self.entity(policies)?];
        if self.by != self.record_issuer {
            entities.push(words.node(&self.record_issuer, known)?);
        }
        Ok(Question {
            principal: words.uid("Node", self.by.as_str()),
            action,
            resource: words.uid(self.type_name(), "this"),
            entities,
            context: vec![("active", Value::new_bool(self.active))],
        })
    }
}

impl Policies {
    /// Refused is what is forbidden, or permitted by none; pending what is recognised, but not to be decided without a
    /// person; recognised the rest.
    pub fn decide_recognition(&self, case: &RepairCase) -> Recognition {
        let action = if case.revokes { "recognise-revocation" } else { "recognise" };
        let may = self.judge(case.question(action, self));
        if !may.permitted {
            let policies = may.policies.into_iter().take(MOST_NAMED).collect();
            return self.recognition(Outcome::Refused, policies, may.reason);
        }
        let alone = self.judge(case.question("decide-alone", self));
        let outcome = if alone.permitted { Outcome::Recognised } else { Outcome::Pending };
        let mut policies = [may.policies, alone.policies].concat();
        policies.sort();
        policies.dedup();
        policies.truncate(MOST_NAMED);
        self.recognition(outcome, policies, alone.reason)
    }

    fn recognition(&self, outcome: Outcome, policies: Vec<String>, reason: Option<String>) -> Recognition {
        Recognition { outcome, policies, policy_set: self.digest(), reason }
    }
}

fn text<'a>(body: &'a Map<String, Json>, member: &str) -> Option<&'a str> {
    body.get(member).and_then(Json::as_str)
}

fn day(body: &Map<String, Json>, member: &str) -> Option<Date> {
    text(body, member).and_then(date::parse_canonical)
}

fn texts(value: Option<&Json>) -> Vec<String> {
    match value {
        Some(Json::String(text)) => vec![text.clone()],
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// 2026-04-01 as 20260401.
fn number(date: Date) -> i64 {
    i64::from(date.year()) * 10_000 + i64::from(date.month()) * 100 + i64::from(date.day())
}

fn days_between(from: Date, to: Date) -> i64 {
    to.duration_since(from).as_hours() / 24
}
