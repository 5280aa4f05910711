//! What of a record's body its status depends on, by the names of members: a further kind that uses them needs no code.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::rules::Severity;
use super::{Amount, Place, date};
use crate::statement::NodeId;

/// Members whose values the rules may speak of.
pub(super) const VALUE_MEMBERS: &[&str] = &["category", "list", "state", "performed"];
/// Members that say when a record's clock starts; the first that is there.
const CLOCK: &[&str] = &["decided", "listed", "awarded", "made", "signed", "provided", "registered"];
/// Members that tell of a summary procedure, and of a field with rules of its own.
const SUMMARY_TEXTS: &[&str] = &["number", "content", "remark"];
const SPECIAL_TEXTS: &[&str] = &["violation", "basis", "domain", "reason"];

/// One version of a record, reduced to what its status depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its kind.
    pub kind: String,
    /// Who states it.
    pub issuer: NodeId,
    /// Where this version stands in its issuer's log. What was repaired stays repaired in the versions behind; a withdrawal or
    /// a dispute is about the versions before it.
    pub place: Place,
    /// No later version stands in its place.
    pub current: bool,
    /// The day on which its clock starts: decided, listed, awarded …
    pub decided: Option<Date>,
    /// Values of `category`, `list`, `state` and `performed`, by member.
    pub values: Vec<(&'static str, String)>,
    /// The fine, 万元.
    pub fine: Option<Amount>,
    /// The severity that the authority gives.
    pub severity: Option<Severity>,
    /// The last day on which it is valid.
    pub valid_until: Option<Date>,
    /// The last day on which the authority wants it shown.
    pub publicity_until: Option<Date>,
    /// The first day on which the authority wants it shown.
    pub published_from: Option<Date>,
    /// The day on which the subject was taken off the list.
    pub removed: Option<Date>,
    /// It is no longer valid, whatever its dates say (a licence's state 0).
    pub invalid: bool,
    /// The subject has not done all that it must: publicity does not end by itself.
    pub unperformed: bool,
    /// Where words that tell of a summary procedure are looked for.
    pub summary_texts: Vec<String>,
    /// Where words that tell of a field with rules of its own are looked for.
    pub special_texts: Vec<String>,
}

impl Facts {
    /// What the body of a record says. Takes any body: a member that is missing or of another form says nothing.
    pub fn of(kind: &str, issuer: &NodeId, place: Place, body: &Map<String, Value>, current: bool) -> Self {
        let text = |member: &str| body.get(member).and_then(Value::as_str);
        let day = |member: &str| text(member).and_then(date::parse_canonical);
        let texts = |members: &[&str]| members.iter().filter_map(|m| text(m)).map(str::to_owned).collect();
        // a commitment's clock starts on the day on which it was broken
        let broken = (text("state") == Some("未履行")).then(|| day("due")).flatten();
        Self {
            kind: kind.to_owned(),
            issuer: issuer.clone(),
            place,
            current,
            decided: broken.or_else(|| CLOCK.iter().find_map(|member| day(member))),
            values: VALUE_MEMBERS.iter().flat_map(|member| values(member, body.get(*member))).collect(),
            fine: text("fine").and_then(|fine| Amount::parse(fine, 18, 6).ok()),
            severity: text("severity").and_then(Severity::parse),
            valid_until: day("valid_until"),
            publicity_until: day("publicity_until"),
            published_from: day("published_from"),
            removed: day("removed"),
            invalid: text("state") == Some("0"),
            unperformed: matches!(text("performed"), Some("部分履行" | "全部未履行" | "未履行")),
            summary_texts: texts(SUMMARY_TEXTS),
            special_texts: texts(SPECIAL_TEXTS),
        }
    }
}

fn values(member: &'static str, value: Option<&Value>) -> Vec<(&'static str, String)> {
    let texts = match value {
        Some(Value::String(text)) => vec![text.as_str()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().map(|text| (member, text.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::statement::Kinds;

    #[test]
    fn members_are_read_under_names_that_kinds_have() {
        let kinds = Kinds::builtin().unwrap();
        let records: Vec<_> = kinds.all().filter(|kind| kind.is_record).collect();
        let dates = ["valid_until", "publicity_until", "published_from", "removed", "due"];
        let others = ["fine", "severity"];
        let read = [VALUE_MEMBERS, CLOCK, SUMMARY_TEXTS, SPECIAL_TEXTS, &dates, &others].concat();
        for name in read {
            assert!(records.iter().any(|kind| kind.members.iter().any(|m| m.name == name)), "no kind has {name}");
        }
    }

    #[test]
    fn any_body_has_facts() {
        let of = |body: Value| {
            let place = Place { generation: 1, index: 1 };
            Facts::of("commitment", &"340500".parse().unwrap(), place, body.as_object().unwrap(), true)
        };
        let strange =
            of(json!({"decided": 7, "category": {"a": 1}, "fine": "much", "severity": "grave", "state": ["0"]}));
        assert_eq!(strange, Facts { values: strange.values.clone(), ..of(json!({})) });
        let kept = of(json!({"made": "2025-01-01", "due": "2025-06-01", "state": "已履行"}));
        let broken = of(json!({"made": "2025-01-01", "due": "2025-06-01", "state": "未履行"}));
        let days = [kept.decided, broken.decided].map(|day| day.unwrap().to_string());
        assert_eq!(days, ["2025-01-01", "2025-06-01"], "what is broken counts from the day it was due");
    }
}
