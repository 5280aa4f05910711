//! A whole wrong upload taken back: one person proposes it, another approves, and each record that it published and that
//! is still its version is withdrawn.
//!
//! What is withdrawn is told by the log itself, so a run that was cut off is simply run again: it finds the records that are
//! withdrawn already, and goes on with the others.

use std::collections::HashSet;

use serde::Serialize;

use super::Node;
use super::accounts::Person;
use super::peers::Peers;
use crate::about::may::may_be_said;
use crate::about::{MayNot, Office, SayError};
use crate::config::ConfigError;
use crate::log::event::{Target, place_of};
use crate::statement::{Digest, Kind, NotAbout, Statement, Unverified};
use crate::store::StoreError;
use crate::store::pending::Change;
use crate::store::statement::{Body, StatementRow};
use crate::store::take_back::WithdrawalRow;

/// Entries looked at together.
const AT_ONCE: u64 = 512;

/// What became of an upload's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TakenBack {
    /// Withdrawn now.
    pub withdrawn: u64,
    /// Withdrawn before.
    pub before: u64,
    /// A later version stands in their place: they are left alone.
    pub replaced: u64,
}

/// Why an upload is not taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TakeBackError {
    /// There is none of this number, or it is not finished.
    #[error("there is no finished upload {0}; `kaopu upload list` shows those that are there 没有该批次，或尚未完成")]
    NoUpload(i64),
    /// It was of events.
    #[error("upload {0} was a list of {1}: only uploads of records are taken back 只能整批撤回信息记录")]
    NotOfRecords(i64, String),
    /// It was proposed before.
    #[error("{} proposed already to take upload {} back: another person approves it with --approve 已提出，请由另一人批准", .0.proposed_by, .0.upload)]
    Proposed(Box<WithdrawalRow>),
    /// Nobody proposed it.
    #[error("nobody proposed to take upload {0} back: that is done with --reason TEXT 尚未提出整批撤回")]
    NotProposed(i64),
    /// The same person.
    #[error("{0} proposed it: another person approves 须由另一人批准")]
    SamePerson(String),
    /// The account was disabled meanwhile.
    #[error("{0} has no active account any more")]
    NoAccount(String),
    /// A record.
    #[error("{0}; run the same command again to go on")]
    Say(#[from] SayError),
    /// The rules.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Node {
    /// Proposes to take an upload back.
    pub async fn propose_taking_back(&self, upload: i64, reason: &str, by: &Person) -> Result<(), TakeBackError> {
        self.upload_of_records(upload).await?;
        let subject = upload.to_string();
        let change = self.change_of(&subject, "propose withdrawal", by, Some(reason));
        if !self.db.propose_upload_withdrawal(upload, &change).await? {
            return Err(match self.db.upload_withdrawal(upload).await? {
                Some(row) => TakeBackError::Proposed(Box::new(row)),
                None => TakeBackError::NoAccount(by.name().to_owned()),
            });
        }
        Peers::of(self).log_changes().await;
        Ok(())
    }

    /// Approves that, and withdraws the records; or goes on where it is approved.
    pub async fn take_back(
        &self,
        upload: i64,
        by: &Person,
        progress: impl FnMut(TakenBack),
    ) -> Result<TakenBack, TakeBackError> {
        self.upload_of_records(upload).await?;
        let proposed = self.db.upload_withdrawal(upload).await?.ok_or(TakeBackError::NotProposed(upload))?;
        if proposed.approved_by.is_none() {
            if proposed.proposed_by == by.name() {
                return Err(TakeBackError::SamePerson(proposed.proposed_by));
            }
            let subject = upload.to_string();
            let change = self.change_of(&subject, "approve withdrawal", by, None);
            let approved = self.db.approve_upload_withdrawal(upload, &change).await?;
            let stands = self.db.upload_withdrawal(upload).await?.is_some_and(|row| row.approved_by.is_some());
            if !approved && !stands {
                return Err(TakeBackError::NoAccount(by.name().to_owned()));
            }
            Peers::of(self).log_changes().await;
        }
        let taken_back = Box::pin(self.withdraw_all(upload, &proposed.reason, by, progress)).await?;
        self.db.finish_upload_withdrawal(upload, self.clock.now_ms()).await?;
        Ok(taken_back)
    }

    async fn upload_of_records(&self, upload: i64) -> Result<(), TakeBackError> {
        let row = self.db.upload(upload).await?.filter(|row| row.finished_ms.is_some());
        let row = row.ok_or(TakeBackError::NoUpload(upload))?;
        match self.kinds.newest(&row.kind).is_some_and(|kind| kind.is_record) {
            true => Ok(()),
            false => Err(TakeBackError::NotOfRecords(upload, row.kind)),
        }
    }

    fn change_of<'a>(
        &self,
        upload: &'a str,
        action: &'static str,
        by: &'a Person,
        reason: Option<&'a str>,
    ) -> Change<'a> {
        Change {
            about: "upload",
            subject: upload,
            action,
            by: by.name(),
            reason,
            digest: None,
            at_ms: self.clock.now_ms(),
        }
    }

    async fn withdraw_all(
        &self,
        upload: i64,
        reason: &str,
        by: &Person,
        mut progress: impl FnMut(TakenBack),
    ) -> Result<TakenBack, TakeBackError> {
        let (office, mut so_far) = (self.office_of(by.name()), TakenBack::default());
        let Some(kind) = self.kinds.newest("withdrawal") else { return Ok(so_far) };
        let logs = self.db.logs().await?;
        for span in self.db.spans(upload).await? {
            let generation = logs.iter().find(|log| log.id == span.log).map_or(1, |log| log.origin.generation);
            let mut from = span.first;
            while from < span.next {
                let rows = self.db.statements(span.log, from, AT_ONCE.min(span.next - from)).await?;
                from += AT_ONCE;
                let events = self.withdrawals(&office, kind, generation, reason, &rows, &mut so_far).await?;
                so_far.withdrawn += office.say_all(events).await?;
                progress(so_far);
            }
        }
        Ok(so_far)
    }

    /// What is to be said of the records among some entries.
    async fn withdrawals(
        &self,
        office: &Office,
        kind: &Kind,
        generation: u32,
        reason: &str,
        rows: &[StatementRow],
        so_far: &mut TakenBack,
    ) -> Result<Vec<Statement>, TakeBackError> {
        let digests: Vec<Digest> = rows.iter().map(|row| row.entry.digest).collect();
        let lives = self.db.lives(&digests, &HashSet::new()).await?;
        let Some(about) = &kind.about else { return Ok(Vec::new()) };
        let (rules, mut events) = (office.rules.now(), Vec::new());
        for row in rows.iter().filter(|row| row.verdict == "accepted") {
            let Body::Here(jws) = &row.body else { continue };
            let read = Unverified::parse(jws)
                .map_err(|error| StoreError::Corrupt(format!("{}: {error}", row.entry.digest)))?;
            let record = read.statement();
            let place = self.kinds.find(&record.typ).and_then(|kind| place_of(kind, record));
            let Some(place) = place.filter(|_| matches!(lives.targets.get(&row.entry.digest), Some(Target::Here(..))))
            else {
                continue;
            };
            if lives.lives.get(&place).and_then(|life| life.version) != Some((generation, row.index)) {
                so_far.replaced += 1;
                continue;
            }
            let mut body = serde_json::Map::new();
            body.insert("reason".to_owned(), reason.into());
            body.insert("decided".to_owned(), self.clock.today().to_string().into());
            let event = office.draft(kind, row.entry.digest, record, body);
            match may_be_said(about, &event, &lives, &rules) {
                Ok(_) => events.push(event),
                Err(MayNot::Event(NotAbout::Withdrawn)) => so_far.before += 1,
                Err(why) => return Err(SayError::MayNot(why).into()),
            }
        }
        Ok(events)
    }
}
