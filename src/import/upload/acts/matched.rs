//! Rows matched with records, and judged: what may be said, what was said before, and what is sent back.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Acts, Batch};
use crate::about::find::{Finder, Found};
use crate::about::may::{is_said, may_be_said};
use crate::about::{MayNot, NotFound, SayError, Sought, open_one};
use crate::import::person::Id;
use crate::import::row::Good;
use crate::import::upload::UploadError;
use crate::import::upload::chunk::not_for_the_log;
use crate::import::upload::source::{Row, Source};
use crate::import::veil;
use crate::log::event::{Lives, Target};
use crate::record::FaultCode;
use crate::record::identifier::UNKNOWN;
use crate::statement::kind::{About, Form, FoundBy};
use crate::statement::{Digest, NotAbout, Refused, Statement, Subject};
use crate::store::StoreError;
use crate::store::upload::{Counts, FaultRow, UploadStep};

/// Matches the rows of one list.
pub(super) struct Matcher<'a> {
    acts: &'a Acts,
    source: Source,
    /// The records that rows were about which were not sent back.
    seen: HashSet<Digest>,
    finder: Finder,
}

/// A row whose record is found.
struct Matched {
    row: u64,
    found: Found,
    body: Map<String, Value>,
}

/// Why a row is sent back: at which member, and why.
struct Fault {
    member: Option<String>,
    code: FaultCode,
    message: String,
}

/// What is to be done about a row.
enum Verdict {
    Say(Box<Statement>),
    /// It was said before, word for word.
    Said,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(acts: &'a Acts, source: Source) -> Self {
        Self { acts, source, seen: HashSet::new(), finder: Finder::default() }
    }

    /// A row that an earlier run has taken.
    pub(super) async fn see(&mut self, row: Row) -> Result<(), UploadError> {
        if let Some(good) = row.judged.good
            && let Ok(found) = self.find(&good).await?
        {
            self.seen.insert(found.digest);
        }
        Ok(())
    }

    /// Matches and judges rows behind row `from`.
    pub(super) async fn batch(&mut self, rows: Vec<Row>, from: u64) -> Result<Batch, UploadError> {
        let step = UploadStep { from_row: from, next_row: from, ..UploadStep::default() };
        let mut batch = Batch { events: Vec::new(), step, kept: Vec::new() };
        let mut matched = Vec::new();
        // what came since the rows before is seen
        self.finder.forget();
        for row in rows {
            batch.step.next_row = row.number;
            batch.step.counts.read += 1;
            let has_faults = !row.judged.faults.is_empty();
            batch.step.faults.extend(row.judged.faults);
            let Some(mut good) = row.judged.good else {
                batch.step.counts.refused += 1;
                continue;
            };
            match self.find(&good).await? {
                Ok(found) if self.seen.insert(found.digest) => {
                    self.hide(&mut good, &found.statement);
                    batch.step.counts.warned += u64::from(has_faults);
                    matched.push(Matched { row: row.number, found, body: good.body });
                }
                Ok(_) => {
                    let message = FaultCode::E301.message().to_owned();
                    self.send_back(&mut batch.step, row.number, Fault { member: None, code: FaultCode::E301, message });
                }
                Err(fault) => self.send_back(&mut batch.step, row.number, fault),
            }
        }
        let digests: Vec<Digest> = matched.iter().map(|row| row.found.digest).collect();
        let mut lives = self.acts.import.db.lives(&digests, &HashSet::new()).await?;
        for matched in matched {
            let row = matched.row;
            match self.judge(&matched, &mut lives) {
                Ok(Verdict::Say(event)) => {
                    batch.step.counts.published += 1;
                    batch.events.push((row, *event));
                }
                Ok(Verdict::Said) => batch.step.counts.skipped += 1,
                Err(fault) => {
                    batch.step.counts.warned -= u64::from(batch.step.faults.iter().any(|fault| fault.row == row));
                    self.send_back(&mut batch.step, row, fault);
                }
            }
        }
        Ok(batch)
    }

    /// The record that a row is about.
    async fn find(&mut self, good: &Good) -> Result<Result<Found, Fault>, StoreError> {
        let sought = match self.sought(&good.aside) {
            Ok(sought) => sought,
            Err(fault) => return Ok(Err(fault)),
        };
        let found = self.finder.find(&self.acts.import.db, &self.acts.import.node, &sought).await?;
        Ok(found.map_err(|why| {
            let code = if matches!(why, NotFound::None { .. }) { FaultCode::E401 } else { FaultCode::E402 };
            Fault { member: self.found_by().map(|by| by.number.clone()), code, message: why.title() }
        }))
    }

    fn found_by(&self) -> Option<&'a FoundBy> {
        self.acts.import.kind.about.as_ref().and_then(|about| about.found_by.as_ref())
    }

    /// What a row says of its record.
    fn sought(&self, aside: &Map<String, Value>) -> Result<Sought, Fault> {
        let Some(by) = self.found_by() else {
            return Err(Fault { member: None, code: FaultCode::E401, message: FaultCode::E401.message().to_owned() });
        };
        let member = |name: &str| aside.get(name).and_then(Value::as_str).filter(|text| *text != UNKNOWN);
        let text = |name: &str| member(name).map(str::to_owned);
        let fault = |member: &str, code, message: String| Fault { member: Some(member.to_owned()), code, message };
        let records = || self.acts.kinds.all().filter(|kind| kind.is_record);
        let named = member(&by.kind).unwrap_or(&by.default_kind);
        let Some(kind) = records().find(|kind| kind.typ.kind == named || kind.title == named) else {
            let titles: Vec<&str> = records().map(|kind| kind.title.as_str()).collect();
            let message = format!("取值不在代码表内，可填：{}", titles.join("；"));
            return Err(fault(&by.kind, FaultCode::E103, message));
        };
        let is_known_by_number = kind.identity.iter().flatten().any(|member| member == "number");
        if is_known_by_number && member(&by.number).is_none() {
            return Err(fault(&by.number, FaultCode::E101, FaultCode::E101.message().to_owned()));
        }
        let persons = &self.acts.import.persons;
        let person = |name: &str, id| persons.subject(name, id).key();
        let (subjects, name) = match (member(&by.uscc), member(&by.registration), member(&by.person_id), text(&by.name))
        {
            (Some(uscc), ..) => (vec![uscc.to_owned()], None),
            (None, Some(registration), ..) => (vec![format!("reg:{registration}")], None),
            (None, None, Some(number), name) => {
                (vec![person(name.as_deref().unwrap_or_default(), Some(Id { of: None, number }))], None)
            }
            (None, None, None, Some(name)) => (vec![person(&name, None)], Some(name)),
            _ => {
                let message = "请填写统一社会信用代码、工商注册号或名称".to_owned();
                return Err(fault(&by.uscc, FaultCode::E101, message));
            }
        };
        Ok(Sought {
            kind: kind.typ.kind.clone(),
            subjects,
            name,
            number: text(&by.number),
            authority: text(&by.authority),
            authority_uscc: text(&by.authority_uscc),
            list: text(&by.list),
        })
    }

    /// A person's name, and number, in the words of an event about a person's record.
    fn hide(&self, good: &mut Good, record: &Statement) {
        let (Some(by), Some(Subject::Person { .. })) = (self.found_by(), &record.sub) else { return };
        let came = |name: &str| good.aside.get(name).and_then(Value::as_str).map(str::to_owned);
        let (name, number) = (came(&by.name), came(&by.person_id));
        for (member, value) in good.body.iter_mut() {
            let is_text = self.acts.import.kind.member(member).is_some_and(|m| m.form == Form::Text);
            let Some(text) = value.as_str().filter(|_| is_text && !member.starts_with("authority")) else { continue };
            let mut hidden = number.as_ref().map_or_else(|| text.to_owned(), |number| veil::over(text, number, 0));
            if let Some(name) = name.as_ref().filter(|name| name.chars().count() > 1) {
                hidden = veil::over(&hidden, name, 1);
            }
            *value = hidden.into();
        }
    }

    fn judge(&self, matched: &Matched, lives: &mut Lives) -> Result<Verdict, Fault> {
        let Acts { import, office, .. } = self.acts;
        let may_not = |why: &str| Fault {
            member: None,
            code: FaultCode::E403,
            message: format!("{}：{why}", FaultCode::E403.message()),
        };
        let Some(about) = &import.kind.about else { return Err(may_not(NotAbout::Kind.title())) };
        let Some(Target::Here(_, place)) = lives.targets.get(&matched.found.digest) else {
            return Err(may_not(NotAbout::Nothing.title()));
        };
        let place = place.clone();
        let draft = |digest, statement: &Statement| office.draft(&import.kind, digest, statement, matched.body.clone());
        let event = draft(matched.found.digest, &matched.found.statement);
        if lives.lives.get(&place).is_some_and(|life| is_said(&event, life)) {
            return Ok(Verdict::Said);
        }
        let event = match self.open(about, lives, &matched.found.digest) {
            None => event,
            Some(Ok((digest, statement))) => {
                lives.targets.insert(digest, Target::Here(Box::new(statement.clone()), place));
                draft(digest, &statement)
            }
            Some(Err(SayError::SeveralOpen(_))) => return Err(may_not("有多项待处理，请逐项办理")),
            Some(Err(_)) => return Err(may_not("没有待处理的事项")),
        };
        let refused = |why: &Refused| {
            let FaultRow { code, message, .. } = not_for_the_log(matched.row, why);
            let code = if code == FaultCode::E102.as_str() { FaultCode::E102 } else { FaultCode::E103 };
            Fault { member: None, code, message }
        };
        import.kind.validate(&event, import.clock.today()).map_err(|why| refused(&why))?;
        match may_be_said(about, &event, lives, &office.rules.now()) {
            Ok(_) => Ok(Verdict::Say(Box::new(event))),
            Err(MayNot::Refused(why)) => Err(refused(&why)),
            Err(why) => Err(may_not(&why.title())),
        }
    }

    /// Of a kind that is about events: the one that waits at a record.
    fn open(&self, about: &About, lives: &Lives, record: &Digest) -> Option<Result<(Digest, Statement), SayError>> {
        let place = lives.place_of(record).filter(|_| !about.records)?;
        Some(open_one(&self.acts.import.node, &self.acts.import.kind, about, place, lives))
    }

    fn send_back(&self, step: &mut UploadStep, row: u64, fault: Fault) {
        let Counts { refused, .. } = &mut step.counts;
        *refused += 1;
        let column = fault.member.and_then(|member| self.header(&member));
        let fault = FaultRow { row, column, code: fault.code.to_string(), message: fault.message };
        let at = step.faults.partition_point(|fault| fault.row <= row);
        step.faults.insert(at, fault);
    }

    /// Under which header a member came, or should have.
    fn header(&self, member: &str) -> Option<String> {
        let (kind, columns) = (&self.acts.import.kind, self.source.columns());
        let position = kind.position(member);
        let came = columns.members.iter().position(|at| at.is_some() && *at == position);
        let printed = || {
            let layout = &kind.layouts[columns.layout];
            layout.columns.iter().find(|(name, _)| name == member)?.1.first().cloned()
        };
        came.and_then(|at| columns.headers.get(at).cloned()).or_else(printed)
    }
}
