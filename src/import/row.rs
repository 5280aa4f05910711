//! A row judged: a body and its subject, or the faults of it.
//!
//! One fault is reported for each row and column, the first in the order of the receipt's table. What a layout has no
//! column for is not required of its rows, and a value is not compared with one that is itself at fault.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::form::{self, Reading};
use super::party::{self, Number};
use super::person::PersonKey;
use super::{Cell, Columns, SourceRow, mend};
use crate::record::{FaultCode, date};
use crate::statement::kind::{Form, Layout, Member};
use crate::statement::{Kind, Subject};
use crate::store::upload::FaultRow;

/// Judges the rows of one sheet.
pub struct Judge<'a> {
    kind: &'a Kind,
    layout: &'a Layout,
    headers: &'a [String],
    /// Members that the file has columns for, in the order of the schema, each with its columns.
    present: Vec<(&'a Member, Vec<usize>)>,
    /// Columns that the layout does not know, in which a number tells that a row is about a natural person.
    hints: Vec<usize>,
    today: Date,
    persons: &'a PersonKey,
}

/// What came of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// What may be published; None for a row that is refused.
    pub good: Option<Good>,
    /// Errors and warnings, in the order of the columns.
    pub faults: Vec<FaultRow>,
    /// What the figures of data quality are made of.
    pub measures: Measures,
}

/// What a row gives, good or not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measures {
    /// The office that it says it comes from: its source, else the authority.
    pub source: Option<String>,
    /// The day of the decision.
    pub decided: Option<Date>,
    /// How many values it had to give in its layout.
    pub required: u32,
    /// How many of them it gave, right or wrong.
    pub given: u32,
}

/// A row that may be published.
#[derive(Clone, Debug, PartialEq)]
pub struct Good {
    /// The body, valid against its schema, with no personal member in it.
    pub body: Map<String, Value>,
    /// Whom it is about.
    pub subject: Option<Subject>,
    /// Of an event, what was only uploaded: by that its record is found.
    pub aside: Map<String, Value>,
}

/// A fault at a column: None where the file lacks it, or where the fault is the row's own.
struct Found {
    column: Option<usize>,
    header: Option<String>,
    code: FaultCode,
    message: String,
}

impl<'a> Judge<'a> {
    /// For the rows of a sheet of these columns, by the day after which nothing can have been decided.
    pub fn new(kind: &'a Kind, columns: &'a Columns, today: Date, persons: &'a PersonKey) -> Self {
        let columns_of = |member: usize| -> Vec<usize> {
            (0..columns.members.len()).filter(|column| columns.members[*column] == Some(member)).collect()
        };
        let present = kind.members.iter().enumerate().map(|(at, member)| (member, columns_of(at)));
        Self {
            kind,
            layout: &kind.layouts[columns.layout],
            headers: &columns.headers,
            present: present.filter(|(_, columns)| !columns.is_empty()).collect(),
            hints: kind.subject.as_ref().map_or_else(Vec::new, |s| columns.unknown_under(&s.person_hints)),
            today,
            persons,
        }
    }

    /// The day by which it judges.
    pub fn day(&self) -> Date {
        self.today
    }

    /// Mends and judges a row.
    pub fn row(&self, row: &SourceRow) -> Judged {
        let (mut body, mut faults) = (Map::new(), Vec::new());
        let mut at_fault: Vec<&str> = Vec::new();
        let mut came_from: Vec<(&str, usize)> = Vec::with_capacity(self.present.len());
        for (member, columns) in &self.present {
            let column = first_given(columns, row);
            came_from.push((&member.name, column));
            let reading = self.read(member, column, row);
            let is_given = |other: &&usize| **other != column && is_given(**other, row);
            let contradicts = |other: &&usize| self.read(member, **other, row) != reading;
            if let Some(other) = columns.iter().filter(is_given).find(contradicts) {
                faults.push(self.contradiction(column, *other));
            }
            match reading {
                Reading::Nothing => {}
                Reading::Value(value) => {
                    if let Some(value) = party::without_resident_ids(member, value) {
                        body.insert(member.name.clone(), value);
                    }
                }
                Reading::Fault(code, message) => {
                    at_fault.push(&member.name);
                    let message = message.unwrap_or_else(|| member.fault(code).message);
                    faults.push(self.found(&came_from, member, code, message));
                }
            }
        }
        self.add_up(&mut body, &at_fault);
        let (found, required) = self.kind.faults_of_row(&body, &at_fault, self.layout, self.today);
        for fault in found {
            if let Some(member) = self.kind.member(&fault.member) {
                faults.push(self.found(&came_from, member, fault.code, fault.message));
            }
        }
        if !row.surplus.is_empty() {
            let message = "该行的单元格多于表头的列，请检查是否有多余的分隔符".to_owned();
            faults.push(Found { column: None, header: None, code: FaultCode::E102, message });
        }
        let measures = Measures::of(&body, required, &faults);
        let is_good = faults.iter().all(|fault| fault.code.is_warning());
        Judged { good: is_good.then(|| self.good(body, row)), faults: in_order(faults, row.number), measures }
    }

    /// What a member's column says in a row.
    fn read(&self, member: &Member, column: usize, row: &SourceRow) -> Reading {
        form::read(member, &self.layout.name, row.cells.get(column).unwrap_or(&Cell::Blank))
    }

    /// Two columns of one member that say different things: which is meant is not for us to choose.
    fn contradiction(&self, column: usize, other: usize) -> Found {
        let header = |at: usize| self.headers.get(at).cloned();
        let named = [column, other].map(|at| header(at).unwrap_or_default());
        let message = format!(
            "第 {} 列“{}”与第 {} 列“{}”填写不一致，请只填一列",
            column + 1,
            named[0].trim(),
            other + 1,
            named[1].trim()
        );
        Found { column: Some(other), header: header(other), code: FaultCode::E102, message }
    }

    /// A fault at the column that a member's value came from; where the file has none, under the header that is missing.
    fn found(&self, came_from: &[(&str, usize)], member: &Member, code: FaultCode, message: String) -> Found {
        let column = came_from.iter().find(|(name, _)| *name == member.name).map(|(_, column)| *column);
        let header = match column {
            Some(column) => self.headers.get(column).cloned(),
            None => {
                let printed = self.layout.columns.iter().find(|(name, _)| *name == member.name);
                printed.and_then(|(_, headers)| headers.first().cloned())
            }
        };
        Found { column, header, code, message }
    }

    /// Codes of columns that add to another one's list, which stays in the order of its codes.
    fn add_up(&self, body: &mut Map<String, Value>, at_fault: &[&str]) {
        for (member, _) in &self.present {
            let Some(target) = member.adds_to.as_deref().filter(|target| !at_fault.contains(target)) else { continue };
            let Some(Value::Array(more)) = body.get(&member.name).cloned() else { continue };
            if let Value::Array(list) = body.entry(target).or_insert_with(|| Value::Array(Vec::new())) {
                list.extend(more);
                if let Form::Codes(codes) = &member.form {
                    list.sort_by_key(|value| codes.iter().position(|code| value == code.value.as_str()));
                }
                list.dedup();
            }
        }
    }

    /// What is left to publish: without the members that are only uploaded, and a person's name masked.
    fn good(&self, mut body: Map<String, Value>, row: &SourceRow) -> Good {
        let members = self.kind.subject.as_ref();
        let number = members.and_then(|members| Number::of(members, &body, &self.hints, row));
        let mut aside = Map::new();
        for member in self.kind.members.iter().filter(|m| m.upload_only) {
            // the order of the others stays
            if let Some(value) = body.shift_remove(&member.name).filter(|_| self.kind.about.is_some()) {
                aside.insert(member.name.clone(), value);
            }
        }
        let person = members.filter(|_| party::make_person(self.kind, self.layout, &mut body, number.is_some()));
        let subject = match person {
            None => self.kind.subject_of(&body),
            Some(_) => {
                let known_by = number.as_ref().and_then(Number::known_by);
                party::hide(self.kind, number.as_ref(), &mut body, |name| self.persons.subject(name, known_by))
            }
        };
        Good { body, subject, aside }
    }
}

impl Measures {
    fn of(body: &Map<String, Value>, required: usize, faults: &[Found]) -> Self {
        let text = |member: &str| body.get(member).and_then(Value::as_str);
        let missing = faults.iter().filter(|fault| fault.code == FaultCode::E101).count();
        let count = |values: usize| u32::try_from(values).unwrap_or(u32::MAX);
        Self {
            source: text("source").or_else(|| text("authority")).map(str::to_owned),
            decided: text("decided").and_then(date::parse_canonical),
            required: count(required),
            given: count(required.saturating_sub(missing)),
        }
    }
}

/// Of several columns of a member the first in which something stands.
fn first_given(columns: &[usize], row: &SourceRow) -> usize {
    let given = columns.iter().find(|column| columns.len() == 1 || is_given(**column, row));
    given.or(columns.first()).copied().unwrap_or(0)
}

/// Whether something stands in a column, and no `--` either.
fn is_given(column: usize, row: &SourceRow) -> bool {
    row.cells.get(column).is_some_and(|cell| mend::text(cell.text()).is_some())
}

/// In the order of the columns, one for each; what has no column of the file last.
fn in_order(mut faults: Vec<Found>, row: u64) -> Vec<FaultRow> {
    faults.sort_by_key(|fault| (fault.column.unwrap_or(usize::MAX), fault.code));
    faults.dedup_by(|later, first| first.column.is_some() && later.column == first.column);
    let row_of = |fault: Found| FaultRow {
        row,
        column: fault.header,
        code: fault.code.as_str().to_owned(),
        message: fault.message,
    };
    faults.into_iter().map(row_of).collect()
}

#[cfg(test)]
mod tests;
