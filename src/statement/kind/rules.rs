//! Rules over the members of a body: one set, for the rows of an upload and for the statements of a peer.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::laid_out::{LaidOut, Set};
use super::{Code, Form, Kind, Layout, Member};
use crate::record::identifier::UNKNOWN;
use crate::record::{Amount, Fault, FaultCode, date};

/// The rules of one member, each an `x-` keyword of its schema.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// `x-known`: the code that stands for unknown is no value here.
    pub known: bool,
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

impl Kind {
    /// The faults of a body, at most one a member, the first in the order of the receipt's table; in the order of the members.
    ///
    /// `at_fault` names members that already have a fault (their values could not be read): they are neither judged nor
    /// compared with, nor missing. `layout` is the upload's: what it has no column for is not required; None for a peer's
    /// statement, of which only the schema's `required` is demanded. `today` is the day after which nothing can have been
    /// decided.
    pub fn faults(
        &self,
        body: &Map<String, Value>,
        at_fault: &[&str],
        layout: Option<&Layout>,
        today: Date,
    ) -> Vec<Fault> {
        self.judged(body, at_fault, layout, today).0
    }

    /// The same of a row of an upload, and how many values it had to give in its layout: those that are required of every row,
    /// and those that are required of this one.
    pub fn faults_of_row(
        &self,
        body: &Map<String, Value>,
        at_fault: &[&str],
        layout: &Layout,
        today: Date,
    ) -> (Vec<Fault>, usize) {
        self.judged(body, at_fault, Some(layout), today)
    }

    fn judged(
        &self,
        body: &Map<String, Value>,
        at_fault: &[&str],
        layout: Option<&Layout>,
        today: Date,
    ) -> (Vec<Fault>, usize) {
        let at_fault = at_fault.iter().filter_map(|name| self.position(name)).collect();
        let laid_out = LaidOut::of(self, body);
        let mut judged = Judged { kind: self, body, laid_out: &laid_out, at_fault, required: 0, faults: Vec::new() };
        judged.by_the_rules(layout, today);
        if layout.is_some() {
            // a peer's statement has been held to its schema already; a row that its peers would refuse is sent back
            judged.schema();
        }
        let told = |fault: Broken| match fault.precedes {
            Some(other) => self.members[fault.member].too_early(&self.members[other]),
            None => self.members[fault.member].fault(fault.code),
        };
        let required = judged.required;
        (judged.in_order().into_iter().map(told).collect(), required)
    }

    /// The first error of a peer's body that was held to its schema already: the member, and what is wrong with it.
    pub(super) fn error_of(
        &self,
        body: &Map<String, Value>,
        laid_out: &LaidOut<'_>,
        today: Date,
    ) -> Option<(&str, FaultCode)> {
        let mut judged =
            Judged { kind: self, body, laid_out, at_fault: Set::default(), required: 0, faults: Vec::new() };
        judged.by_the_rules(None, today);
        let error = judged.in_order().into_iter().find(|fault| !fault.code.is_warning())?;
        Some((&self.members[error.member].name, error.code))
    }
}

/// A fault of the member at a position; of an early date also the position of the one that it precedes.
struct Broken {
    member: usize,
    code: FaultCode,
    precedes: Option<usize>,
}

/// A body while it is judged.
struct Judged<'a> {
    kind: &'a Kind,
    body: &'a Map<String, Value>,
    laid_out: &'a LaidOut<'a>,
    at_fault: Set,
    /// How many members are required of this body, where it is a row's.
    required: usize,
    faults: Vec<Broken>,
}

impl Judged<'_> {
    /// Each of these stages leaves alone what an earlier one found at fault.
    fn by_the_rules(&mut self, layout: Option<&Layout>, today: Date) {
        self.values();
        self.missing(layout);
        self.not_future(today);
        self.not_before();
    }

    fn in_order(mut self) -> Vec<Broken> {
        self.faults.sort_by_key(|fault| (fault.member, fault.code));
        self.faults
    }

    /// Each value by itself: too long, of another form, or suspicious. A member that the kind does not have is its schema's
    /// affair.
    fn values(&mut self) {
        for at in self.laid_out.present.without(self.at_fault).iter() {
            let value = self.laid_out.value(at);
            if let Some(code) = value.and_then(|value| self.kind.members[at].fault_of(value)) {
                self.add(at, code);
            }
        }
    }

    /// What the schema of a member refuses beyond its form. A schema that judges bodies as one is asked about rows that have
    /// no other fault.
    fn schema(&mut self) {
        for at in self.laid_out.present.without(self.at_fault).without(self.kind.demands.upload_only).iter() {
            if !self.laid_out.value(at).is_some_and(|value| self.kind.schema.takes_member(at, value)) {
                self.add(at, FaultCode::E103);
            }
        }
        if self.at_fault.is_empty()
            && let Some(name) = self.kind.schema.refused_member(|| self.shared())
        {
            self.add(self.kind.position(&name).unwrap_or(0), FaultCode::E103);
        }
    }

    /// The body without what is only uploaded.
    fn shared(&self) -> Map<String, Value> {
        let is_shared = |name: &&String| self.kind.member(name).is_none_or(|member| !member.upload_only);
        self.body
            .iter()
            .filter(|(name, _)| is_shared(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    fn missing(&mut self, layout: Option<&Layout>) {
        let of_layout = layout.map_or(&[][..], |layout| &layout.required);
        let required: Set = of_layout.iter().filter_map(|name| self.kind.position(name)).collect();
        let required = required.or(self.kind.demands.required);
        let absent = |set: Set| set.without(self.laid_out.present).without(self.at_fault);
        let by_condition = |at: &usize| self.is_required(&self.kind.members[*at], layout);
        let conditional = self.kind.demands.conditional.without(required);
        // of a row all are counted, of a peer's body only those that it lacks are of interest
        let asked = if layout.is_some() { conditional } else { absent(conditional) };
        let conditional: Set = asked.iter().filter(by_condition).collect();
        self.required = required.or(conditional).iter().count();
        // only now: that a member is missing is no reason not to hold a condition on it
        for at in absent(required.or(conditional)).iter() {
            self.add(at, FaultCode::E101);
        }
    }

    /// Whether a member that is not required of all bodies is required of this one.
    fn is_required(&self, member: &Member, layout: Option<&Layout>) -> bool {
        let has_column = |layout: &Layout| layout.columns.iter().any(|(column, _)| *column == member.name);
        layout.is_none_or(has_column) && member.rules.required_if.iter().any(|condition| self.holds(condition))
    }

    /// Whether a condition holds; of a member at fault nothing is known.
    fn holds(&self, condition: &Condition) -> bool {
        let is_known = |(name, _): &(String, _)| self.kind.position(name).is_some_and(|at| !self.at_fault.has(at));
        condition.0.iter().all(is_known) && condition.holds(self.body)
    }

    fn not_future(&mut self, today: Date) {
        for at in self.kind.demands.not_future.iter() {
            if self.day(at).is_some_and(|day| day > today) {
                self.add(at, FaultCode::E105);
            }
        }
    }

    /// No date lies before the first given of those that it must not precede. One that is at fault was given, but nothing
    /// is compared with it.
    fn not_before(&mut self) {
        let given = self.laid_out.present.or(self.at_fault);
        let mut early = Vec::new();
        for (at, others) in &self.kind.demands.not_before {
            let Some(day) = self.day(*at) else { continue };
            let first = others.iter().find(|other| given.has(**other));
            if let Some(other) = first.filter(|other| self.day(**other).is_some_and(|other| day < other)) {
                early.push(Broken { member: *at, code: FaultCode::E105, precedes: Some(*other) });
            }
        }
        self.faults.append(&mut early);
    }

    /// A date that is not at fault.
    fn day(&self, at: usize) -> Option<Date> {
        let value = self.laid_out.value(at).filter(|_| !self.at_fault.has(at))?;
        date::parse_canonical(value.as_str()?)
    }

    fn add(&mut self, at: usize, code: FaultCode) {
        if !code.is_warning() {
            self.at_fault.add(at);
        }
        self.faults.push(Broken { member: at, code, precedes: None });
    }
}

impl Condition {
    /// Whether every member has one of its values.
    pub fn holds(&self, body: &Map<String, Value>) -> bool {
        self.0.iter().all(|(member, values)| {
            let value = body.get(member).and_then(Value::as_str);
            values.iter().any(|wanted| wanted.as_deref() == value)
        })
    }
}

impl Member {
    /// A fault of this member, with a sentence that says what to do.
    pub fn fault(&self, code: FaultCode) -> Fault {
        let message = match (code, &self.form, self.max_length) {
            (FaultCode::E102, Form::Decimal { digits, fraction }, _) => {
                format!("数字过长：整数最多{}位，小数最多{fraction}位", digits.saturating_sub(*fraction))
            }
            (FaultCode::E102, _, Some(most)) => format!("内容超出规定长度，最多{most}个字符，请缩短"),
            (FaultCode::E103, Form::Code(codes) | Form::Codes(codes), _) => not_listed(codes, ""),
            (FaultCode::E103, Form::Boolean, _) => "应填“是”或“否”".to_owned(),
            (FaultCode::E103, _, _) => "内容不符合该栏的填写要求，请核对".to_owned(),
            (FaultCode::E105, _, _) => "日期不得晚于今天，请核对".to_owned(),
            (FaultCode::E203, Form::Registration, _) => "工商注册号校验位有误，请核对".to_owned(),
            (FaultCode::E203, _, _) => "证件号码校验位有误，请核对".to_owned(),
            _ => code.message().to_owned(),
        };
        Fault { member: self.name.clone(), code, message }
    }

    fn too_early(&self, other: &Self) -> Fault {
        let message = format!("日期不得早于“{}”，请核对", other.title);
        Fault { member: self.name.clone(), code: FaultCode::E105, message }
    }

    fn fault_of(&self, value: &Value) -> Option<FaultCode> {
        let text = value.as_str();
        // no text has more characters than bytes
        let is_longer = |most: usize| text.is_some_and(|t| t.len() > most && t.chars().count() > most);
        if self.max_length.is_some_and(is_longer) {
            return Some(FaultCode::E102);
        }
        if self.rules.known && text == Some(UNKNOWN) {
            return Some(FaultCode::E101);
        }
        self.form.fault_of(value).or_else(|| self.rules.suspects(value).then_some(FaultCode::W102))
    }
}

impl Rules {
    fn suspects(&self, value: &Value) -> bool {
        let Some(from) = &self.warn_from else { return false };
        value.as_str().and_then(|text| Amount::parse(text, 36, 12).ok()).is_some_and(|amount| amount >= *from)
    }
}

/// The sentence of E103 for a code list, as a layout words it.
pub fn not_listed(codes: &[Code], layout: &str) -> String {
    format!("取值不在代码表内，可填：{}", Form::listing(codes, layout))
}
