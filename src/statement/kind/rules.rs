//! Rules over the members of a body: one set, for the rows of an upload and for the statements of a peer.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::{Kind, Layout, Member};
use crate::record::{Amount, Fault, FaultCode, date};

/// The rules of one member, each an `x-` keyword of its schema.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `x-not-before`: a date not before the first of these that is present.
    pub not_before: Vec<String>,
    /// `x-not-future`: a date not after the day of judging.
    pub not_future: bool,
    /// `x-required-if`: must be present where all of one of these hold.
    pub required_if: Vec<Condition>,
    /// `x-warn-from`: an amount of this much or more is probably in the wrong unit (W102).
    pub warn_from: Option<Amount>,
}

/// Members and the values that they must have; None stands for absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(pub Vec<(String, Vec<Option<String>>)>);

impl Condition {
    /// Whether every member has one of its values.
    pub fn holds(&self, body: &Map<String, Value>) -> bool {
        self.0.iter().all(|(member, values)| {
            let value = body.get(member).and_then(Value::as_str);
            values.iter().any(|wanted| wanted.as_deref() == value)
        })
    }
}

impl Kind {
    /// The faults of a body, at most one a member, the first in the order of the receipt's table; in the order of the members.
    ///
    /// `at_fault` names members that already have a fault (their values could not be read): they are neither judged nor
    /// compared with. `layout` is the upload's: what it has no column for is not required; None for a peer's statement, of
    /// which only the schema's `required` is demanded. `today` is the day after which nothing can have been decided.
    pub fn faults(
        &self,
        body: &Map<String, Value>,
        at_fault: &[&str],
        layout: Option<&Layout>,
        today: Date,
    ) -> Vec<Fault> {
        let sound: Vec<&Member> = self.members.iter().filter(|m| !at_fault.contains(&m.name.as_str())).collect();
        let mut faults: Vec<Fault> = Vec::new();
        // each of these stages leaves alone what an earlier one found at fault
        let stages: [&dyn Fn(&Member, &Spoilt<'_>) -> Option<FaultCode>; 3] = [
            &|member, _| self.own_fault(member, body, layout),
            &|member, _| member.is_future(body, today).then_some(FaultCode::E105),
            &|member, spoilt| member.is_too_early(body, spoilt).then_some(FaultCode::E105),
        ];
        for stage in stages {
            let spoilt = |name: &str| {
                at_fault.contains(&name) || faults.iter().any(|f| f.member == name && !f.code.is_warning())
            };
            let found = sound.iter().filter(|member| !spoilt(&member.name));
            let found: Vec<Fault> = found.filter_map(|m| stage(m, &spoilt).map(|code| m.fault(code))).collect();
            faults.extend(found);
        }
        faults.sort_by_key(|fault| self.members.iter().position(|m| m.name == fault.member));
        faults
    }

    /// The fault of a member by itself: missing, too long, of another form, or suspicious.
    fn own_fault(&self, member: &Member, body: &Map<String, Value>, layout: Option<&Layout>) -> Option<FaultCode> {
        let Some(value) = body.get(&member.name) else {
            return self.is_required(member, body, layout).then_some(FaultCode::E101);
        };
        if let (Some(most), Some(text)) = (member.max_length, value.as_str())
            && text.chars().count() > most
        {
            return Some(FaultCode::E102);
        }
        member.form.fault_of(value).or_else(|| member.rules.suspects(value).then_some(FaultCode::W102))
    }

    fn is_required(&self, member: &Member, body: &Map<String, Value>, layout: Option<&Layout>) -> bool {
        let name = &member.name;
        if self.required.contains(name) {
            return true;
        }
        let has_column = |layout: &Layout| layout.columns.iter().any(|(column, _)| column == name);
        match layout {
            Some(layout) if !has_column(layout) => false,
            Some(layout) if layout.required.contains(name) => true,
            _ => member.rules.required_if.iter().any(|condition| condition.holds(body)),
        }
    }
}

impl Member {
    /// The member's fault, in the code's words and, for a code list, with the advice of the value.
    pub fn fault(&self, code: FaultCode) -> Fault {
        Fault { member: self.name.clone(), code, message: format!("{}：{}", self.title, code.message()) }
    }

    fn is_future(&self, body: &Map<String, Value>, today: Date) -> bool {
        self.rules.not_future && day(body, &self.name).is_some_and(|day| day > today)
    }

    /// Whether the date lies before the first given of those that it must not precede. One that is at fault was given,
    /// but nothing is compared with it.
    fn is_too_early(&self, body: &Map<String, Value>, spoilt: &Spoilt<'_>) -> bool {
        let given = self.rules.not_before.iter().find(|name| body.contains_key(*name) || spoilt(name));
        let bound = given.filter(|name| !spoilt(name)).and_then(|name| day(body, name));
        matches!((day(body, &self.name), bound), (Some(own), Some(bound)) if own < bound)
    }
}

impl Rules {
    fn suspects(&self, value: &Value) -> bool {
        let amount = value.as_str().and_then(|text| Amount::parse(text, 36, 12).ok());
        matches!((&self.warn_from, amount), (Some(from), Some(amount)) if amount >= *from)
    }
}

/// Whether a member is at fault.
type Spoilt<'a> = dyn Fn(&str) -> bool + 'a;

fn day(body: &Map<String, Value>, name: &str) -> Option<Date> {
    body.get(name).and_then(Value::as_str).and_then(date::parse_canonical)
}
