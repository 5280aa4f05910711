//! How an application stands: what was said of it by whom and whether in time, who acts next and by which day, and where its
//! files are. Both ends work it out alike, from the same statements.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::Value;

use super::{ApplicationError, Applications};
use crate::about::application::{Application, Attachment, stage, step};
use crate::about::find::words;
use crate::clock::date_of;
use crate::log::event::{Lives, Target};
use crate::node::status::time;
use crate::record::application::{Course, Side, Step};
use crate::record::event::Stage;
use crate::statement::{Digest, NodeId, Statement};
use crate::store::attachment::AttachmentRow;

/// How an application stands.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// Its digest, as filed.
    pub digest: Digest,
    /// What this node is in it: `window`, `decider`; null: it only holds a copy.
    pub role: Option<Side>,
    /// The node at which it was filed.
    pub window: NodeId,
    /// The window, as people know it.
    pub window_name: Option<String>,
    /// The node whose record it is.
    pub decider: NodeId,
    /// Which repair is asked for.
    #[serde(rename = "type")]
    pub of: Option<String>,
    /// The record, in the version that was named.
    pub record: Option<Digest>,
    /// The Chinese title of the record's kind.
    pub record_title: String,
    /// What tells the record from others.
    pub words: String,
    /// The key of its subject.
    pub subject: Option<String>,
    /// The name of its subject.
    pub name: Option<String>,
    /// `filed`, `more`, `supplied`, `accepted`, `extended`, `rejected`, `decided` or `withdrawn`.
    pub stage: &'static str,
    /// The same in Chinese.
    pub title: &'static str,
    /// Who acts next.
    pub next: Option<NodeId>,
    /// By which day.
    pub deadline: Option<String>,
    /// That day rests on a year that the calendar does not have.
    pub uncertain: bool,
    /// That day is over.
    pub late: bool,
    /// The repair that was granted.
    pub repair: Option<String>,
    /// What was said of it.
    pub steps: Vec<ToldStep>,
    /// Its files.
    pub attachments: Vec<ToldFile>,
}

/// Something that was said of an application.
#[derive(Clone, Debug, Serialize)]
pub struct ToldStep {
    /// Its digest.
    pub digest: Digest,
    /// The stage.
    pub stage: &'static str,
    /// The same in Chinese.
    pub title: &'static str,
    /// Who said it.
    pub by: NodeId,
    /// When, RFC 3339.
    pub when: String,
    /// The day that the office gives.
    pub on: Option<String>,
    /// By which day it was due.
    pub due: Option<String>,
    /// It came later.
    pub late: bool,
    /// Why, or what is asked for.
    pub reason: Option<String>,
}

/// A file of an application.
#[derive(Clone, Debug, Serialize)]
pub struct ToldFile {
    /// SHA-256 of the sealed file.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// What it is called.
    pub title: Option<String>,
    /// `here`, `wanted`, `refused`, `erased`, `unwanted` where the application ended before it came, or `elsewhere` for a node
    /// that it is not for.
    pub state: &'static str,
    /// Why it is wanted still, or refused.
    pub reason: Option<String>,
}

impl Applications {
    /// How those stand that this node has filed or decides on, or all that are known here; the oldest first.
    pub async fn overviews(&self, all: bool) -> Result<Vec<Overview>, ApplicationError> {
        let all = if all { self.all().await? } else { self.own().await? };
        let records: HashSet<Digest> = all.iter().filter_map(Application::record).collect();
        let records: Vec<Digest> = records.into_iter().collect();
        let lives = Box::pin(self.office.db.lives(&records, &HashSet::new())).await?;
        let files = by_digest(self.office.db.attachments().await?);
        Ok(all.iter().filter_map(|application| self.told(application, &lives, &files)).collect())
    }

    /// How one stands.
    pub async fn overview(&self, digest: &Digest) -> Result<Overview, ApplicationError> {
        let application = self.one(digest).await?;
        let record: Vec<Digest> = application.record().into_iter().collect();
        let lives = Box::pin(self.office.db.lives(&record, &HashSet::new())).await?;
        let mut rows = Vec::new();
        for file in application.attachments() {
            rows.extend(self.office.db.attachments_of(&file.digest).await?);
        }
        let told = self.told(&application, &lives, &by_digest(rows));
        told.ok_or(ApplicationError::Unknown(*digest))
    }

    fn told(
        &self,
        application: &Application,
        lives: &Lives,
        files: &HashMap<Digest, Vec<AttachmentRow>>,
    ) -> Option<Overview> {
        let (calendar, rules) = (self.calendar.now(), self.office.rules.now());
        let course = |steps: &[Step]| Course::of(steps, &calendar, &rules.deadlines);
        let mut told: Vec<Step> = Vec::new();
        let mut steps = Vec::new();
        for (digest, statement) in &application.said {
            let Some(step) = step(statement) else { continue };
            // of what was due before it, if it is that side's to do; taking back is not due
            let does = |before: &Course| before.next == Some(step.side()) && step.stage != Stage::Withdrawn;
            let before = course(&told).filter(does);
            steps.push(told_step(*digest, statement, &step, before));
            told.push(step);
        }
        let course = course(&told)?;
        let node = &self.office.node;
        let roles = [Side::Window, Side::Decider];
        let role = roles.into_iter().find(|role| application.node(*role) == node);
        let record = application.record();
        let statement = record.and_then(|record| match lives.targets.get(&record) {
            Some(Target::Here(statement, _)) => Some(statement),
            _ => None,
        });
        let title = self.kinds.newest(&application.place.kind).map(|kind| kind.title.clone());
        let filed = |member: &str| application.filed.body.get(member).and_then(Value::as_str).map(str::to_owned);
        let repair = application.said.iter().filter(|(_, it)| stage(it) == Some(Stage::Decided));
        let repair = repair.filter_map(|(_, it)| it.body.get("repair")?.as_str()).next().map(str::to_owned);
        let subject = application.filed.sub.as_ref();
        let attachments = application.attachments();
        let file = |(place, file)| self.told_file(role, application, place, file, files);
        Some(Overview {
            digest: application.digest,
            role,
            window: application.window().clone(),
            window_name: filed("window"),
            decider: application.decider().clone(),
            of: filed("type"),
            record,
            record_title: title.unwrap_or_else(|| application.place.kind.clone()),
            words: statement.map(|statement| words(statement)).unwrap_or_default(),
            subject: subject.map(|subject| subject.key()),
            name: subject.map(|subject| subject.name().to_owned()),
            stage: course.stage.as_str(),
            title: course.stage.title(),
            next: course.next.map(|side| application.node(side).clone()),
            deadline: course.deadline.map(|deadline| deadline.date.to_string()),
            uncertain: course.deadline.is_some_and(|deadline| !deadline.certain),
            late: course.is_late(self.office.clock.today()),
            repair,
            steps,
            attachments: attachments.iter().enumerate().map(file).collect(),
        })
    }

    fn told_file(
        &self,
        role: Option<Side>,
        application: &Application,
        place: usize,
        file: &Attachment,
        rows: &HashMap<Digest, Vec<AttachmentRow>>,
    ) -> ToldFile {
        let other = role.map(|role| match role {
            Side::Window => (true, application.decider()),
            Side::Decider => (false, application.window()),
        });
        let rows = rows.get(&file.digest).into_iter().flatten();
        let row =
            other.and_then(|(own, peer)| rows.into_iter().find(|row| row.key.own == own && row.key.peer == *peer));
        let (state, reason) = match (role, row) {
            (None, _) => ("elsewhere", None),
            (_, Some(row)) if row.erased_ms.is_some() => ("erased", None),
            (_, Some(row)) if row.complete_ms.is_some() => ("here", None),
            (Some(Side::Decider), row) => match self.too_much(place, file) {
                Some(why) => ("refused", Some(why)),
                None if application.ended().is_some() => ("unwanted", None),
                None => ("wanted", row.and_then(|row| row.error.clone())),
            },
            // it was never filed, or stood in another database
            (Some(Side::Window), _) => ("refused", Some("the sealed file is not here 本地没有该附件".to_owned())),
        };
        ToldFile { digest: file.digest, size: file.size, title: file.title.clone(), state, reason }
    }

    /// Why a file that an application names is not fetched at all.
    pub(super) fn too_much(&self, place: usize, file: &Attachment) -> Option<String> {
        if file.size > self.files.sealed_bytes() {
            return Some(format!("it is too long: {} bytes may be 附件过大", self.files.sealed_bytes()));
        }
        (place >= self.files.files).then(|| format!("there are too many: {} may be 附件过多", self.files.files))
    }
}

fn told_step(digest: Digest, statement: &Statement, step: &Step, before: Option<Course>) -> ToldStep {
    let text = |member: &str| statement.body.get(member).and_then(Value::as_str).map(str::to_owned);
    ToldStep {
        digest,
        stage: step.stage.as_str(),
        title: step.stage.title(),
        by: statement.iss.clone(),
        when: statement.iat.checked_mul(1000).and_then(time).unwrap_or_default(),
        on: text("on"),
        due: before.and_then(|before| before.deadline).map(|deadline| deadline.date.to_string()),
        late: before.is_some_and(|before| before.is_late(date_of(statement.iat))),
        reason: text("reason"),
    }
}

fn by_digest(rows: Vec<AttachmentRow>) -> HashMap<Digest, Vec<AttachmentRow>> {
    let mut by: HashMap<Digest, Vec<AttachmentRow>> = HashMap::new();
    for row in rows {
        by.entry(row.key.digest).or_default().push(row);
    }
    by
}
