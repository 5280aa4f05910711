//! Uploads that wait for a second person (复核): whoever held one and whoever approves it are two persons of this node, and what
//! nobody decides on in time is dropped.

mod waiting;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

pub use self::waiting::{HeldOne, HeldUploads, NAMED};
use super::Node;
use super::accounts::Person;
use super::peers::Peers;
use super::settings::Settings;
use super::status::time;
use crate::clock::Clock;
use crate::import::PersonKey;
use crate::import::upload::acts::Acts;
use crate::import::upload::hold::{Terms, change};
use crate::import::upload::{Import, Intake};
use crate::import::weigh::Punctuality;
use crate::record::Calendar;
use crate::statement::Kind;
use crate::store::hold::HoldRow;
use crate::store::upload::UploadRow;
use crate::store::{Db, StoreError};
use crate::trust::keys::{KeyFileError, Passphrases, file::read_sealed};

const DAY_MS: i64 = 86_400_000;
/// How often a running node looks for what nobody decided on.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Why no files are taken in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntakeError {
    /// The secret under which natural persons are known cannot be read. A new one would know nobody again, so none is made.
    #[error(
        "{0}; `kaopu init` made it; restore it from the backup of the keys (where this node never had one, see \
         docs/OPERATIONS.md, Back up)"
    )]
    Unreadable(KeyFileError),
    /// It is none.
    #[error("{path}: {why}; restore it from the backup of the keys", path = .0.display(), why = .1)]
    Malformed(PathBuf, crate::import::NotAPersonKey),
}

/// Why a held upload is not decided on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeldError {
    /// There is none of this number.
    #[error("there is no upload {0} that was held; `kaopu upload list` shows those that are there 没有该待复核批次")]
    NoUpload(i64),
    /// It is still being held.
    #[error(
        "upload {0} is not held yet: {1} goes on with the same command, or `kaopu upload refuse {0}` drops it 尚未完成"
    )]
    Unfinished(i64, String),
    /// The same person.
    #[error("{0} held it: another person approves 须由另一人复核")]
    SamePerson(String),
    /// Somebody has decided, or its time is over.
    #[error("upload {0} is {state}{by}: nobody is waited for 已处理", state = .1.state, by = by(.1))]
    Decided(i64, Box<HoldRow>),
    /// The account was disabled meanwhile.
    #[error("{0} has no active account any more")]
    NoAccount(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn by(hold: &HoldRow) -> String {
    let by = hold.decided_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = hold.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    by + &why
}

impl Node {
    /// Takes files of a kind in: records, or what is said about them.
    pub fn intake(&self, kind: &Arc<Kind>) -> Result<Intake, IntakeError> {
        Ok(match kind.about {
            Some(_) => Intake::Acts(self.acts(kind)?),
            None => Intake::Records(self.import(kind)?),
        })
    }

    /// Takes in what is said about records, of a kind of event.
    pub fn acts(&self, kind: &Arc<Kind>) -> Result<Acts, IntakeError> {
        Ok(Acts { import: self.import(kind)?, kinds: self.kinds.clone(), office: self.office() })
    }

    fn import(&self, kind: &Arc<Kind>) -> Result<Import, IntakeError> {
        Ok(Import {
            db: self.db.clone(),
            node: self.id.clone(),
            kind: Arc::clone(kind),
            persons: Arc::new(person_key(&self.config.files.keys, &self.passphrases)?),
            records: self.records.clone(),
            clock: self.clock.clone(),
            punctuality: Punctuality::new(Calendar::clone(&self.settings.calendar.now()), &self.settings.rules.now()),
        })
    }

    /// How this node holds what a person holds.
    pub fn terms(&self, by: &Person) -> Terms {
        let settings = &self.config.import;
        Terms { by: by.name().to_owned(), for_ms: i64::from(settings.hold_days) * DAY_MS, limits: settings.limits() }
    }

    /// Approves a held upload, by another person than held it; it is then to be published. One that was approved before
    /// only comes back.
    pub async fn approve_held(&self, upload: i64, by: &Person) -> Result<UploadRow, HeldError> {
        let (row, hold) = self.held(upload).await?;
        match hold.state.as_str() {
            "approved" => return Ok(row),
            "held" if hold.held_by == by.name() => return Err(HeldError::SamePerson(hold.held_by)),
            "held" => {}
            "holding" => return Err(HeldError::Unfinished(upload, hold.held_by)),
            _ => return Err(HeldError::Decided(upload, Box::new(hold))),
        }
        let subject = upload.to_string();
        let change = change(&subject, "approve held", by.name(), None, self.clock.now_ms());
        let approved = self.db.approve_hold(upload, &change).await?;
        let (row, hold) = self.held(upload).await?;
        if !approved && hold.state != "approved" {
            return Err(refused(upload, hold, by));
        }
        Peers::of(self).log_changes().await;
        Ok(row)
    }

    /// Refuses a held upload: its rows are dropped. Whoever held it may do that too.
    pub async fn refuse_held(&self, upload: i64, reason: &str, by: &Person) -> Result<UploadRow, HeldError> {
        self.held(upload).await?;
        let subject = upload.to_string();
        let change = change(&subject, "refuse held", by.name(), Some(reason), self.clock.now_ms());
        let done = self.db.refuse_hold(upload, &change).await?;
        let (row, hold) = self.held(upload).await?;
        if !done {
            return Err(refused(upload, hold, by));
        }
        Peers::of(self).log_changes().await;
        Ok(row)
    }

    async fn held(&self, upload: i64) -> Result<(UploadRow, HoldRow), HeldError> {
        let row = self.db.upload(upload).await?.ok_or(HeldError::NoUpload(upload))?;
        let hold = row.hold.clone().ok_or(HeldError::NoUpload(upload))?;
        Ok((row, hold))
    }
}

fn refused(upload: i64, hold: HoldRow, by: &Person) -> HeldError {
    if hold.waits() { HeldError::NoAccount(by.name().to_owned()) } else { HeldError::Decided(upload, Box::new(hold)) }
}

/// Drops what nobody has decided on in time, with a line in the journal for each.
pub async fn expire_held(db: &Db, clock: &Clock) -> Result<(), StoreError> {
    for upload in db.expire_holds(clock.now_ms()).await? {
        let by = upload.hold.as_ref().map(|hold| hold.held_by.as_str());
        let until = upload.hold.as_ref().and_then(|hold| time(hold.until_ms));
        tracing::warn!(
            upload = upload.id,
            kind = upload.kind,
            held_by = by,
            until,
            "a held upload was dropped: nobody decided on it in time 待复核批次已过期"
        );
    }
    Ok(())
}

/// Does that again and again, and tells each day which of the others somebody should look at.
pub async fn keep_expiring(db: Db, settings: Settings, clock: Clock) {
    let mut told = None;
    loop {
        let today = clock.today();
        if told != Some(today) {
            told = Some(today);
            tell_due(&db, &settings, &clock).await;
        }
        if let Err(error) = expire_held(&db, &clock).await {
            tracing::warn!(%error, "could not look for held uploads that are over");
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn tell_due(db: &Db, settings: &Settings, clock: &Clock) {
    match HeldUploads::of(db, settings, clock, NAMED).await {
        Ok(held) => {
            if let Some(words) = &held.words {
                tracing::warn!(waiting = held.waiting, due = held.due, "{words}");
            }
        }
        Err(error) => tracing::warn!(%error, "could not look for held uploads that wait"),
    }
}

fn person_key(keys: &Path, passphrases: &Passphrases) -> Result<PersonKey, IntakeError> {
    let path = keys.join("person.key");
    let text = read_sealed(&path, passphrases).map_err(IntakeError::Unreadable)?;
    PersonKey::from_text(&text).map_err(|error| IntakeError::Malformed(path, error))
}
