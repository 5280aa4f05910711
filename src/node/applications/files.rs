//! Attachments: sealed for the city that decides when they are filed, and opened there. What is stored, at both ends, is the
//! sealed file alone: the window itself cannot open it again.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{ApplicationError, Applications};
use crate::log::origin::LogName;
use crate::node::own_log;
use crate::statement::sealed::{self, Between, SealError};
use crate::statement::{Digest, NodeId};
use crate::store::attachment::AttachmentKey;
use crate::store::pending::Change;
use crate::trust::descriptor::Purpose;

/// Characters of a name in the exchange log.
const MOST_NAME: usize = 200;

/// A file to be filed.
#[derive(Clone)]
pub struct NewFile {
    /// How it is spoken of to whoever files it.
    pub name: String,
    /// What it is called, for everybody; None: nothing.
    pub title: Option<String>,
    /// What stands in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Applications {
    /// Whether so many files, as long as these, may be filed beside those that were before.
    pub(super) fn check_files(&self, files: &[NewFile], filed: usize) -> Result<(), ApplicationError> {
        if filed + files.len() > self.files.files {
            return Err(ApplicationError::TooMany(self.files.files));
        }
        for file in files {
            let (bytes, most) = (file.bytes.len() as u64, self.files.file_bytes);
            if bytes > most {
                return Err(ApplicationError::TooLarge { name: file.name.clone(), bytes, most });
            }
            if bytes == 0 {
                return Err(ApplicationError::Empty(file.name.clone()));
            }
        }
        Ok(())
    }

    /// Seals files and stores them for the node that decides; how each is named in the application.
    pub(super) async fn seal_files(
        &self,
        files: Vec<NewFile>,
        decider: &NodeId,
    ) -> Result<Vec<(AttachmentKey, Value)>, ApplicationError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let peer = self.registry.peer(decider).ok_or_else(|| ApplicationError::NotAPeer(decider.clone()))?;
        let key = peer.descriptor.active(&[Purpose::Seal]).last().cloned();
        let key = key.ok_or_else(|| ApplicationError::NoSealKey(decider.clone()))?;
        let mut stored: Vec<(AttachmentKey, Value)> = Vec::with_capacity(files.len());
        for file in files {
            let between = Between { sender: &self.office.node, receiver: decider };
            let jwe = sealed::seal(&file.bytes, &key, between)?;
            let of = AttachmentKey { digest: Digest::of(jwe.as_bytes()), peer: decider.clone(), own: true };
            let now_ms = self.office.clock.now_ms();
            if !self.office.db.file_attachment(&of, jwe.as_bytes(), now_ms, self.files.room()).await? {
                for (key, _) in &stored {
                    self.office.db.forget_attachment(key).await?;
                }
                return Err(ApplicationError::NoRoom);
            }
            let mut named = json!({"digest": of.digest.to_string(), "size": jwe.len()});
            if let Some(title) = file.title {
                named["name"] = title.into();
            }
            stored.push((of, named));
        }
        Ok(stored)
    }

    /// What stands in a file that was filed for this node. Who opened it is written down, for the exchange log, before it is
    /// handed out.
    pub async fn open(&self, digest: &Digest, by: &str) -> Result<Zeroizing<Vec<u8>>, ApplicationError> {
        let rows = self.office.db.attachments_of(digest).await?;
        let theirs = rows.iter().find(|row| !row.key.own);
        let row = match (theirs, rows.first()) {
            (Some(row), _) => row,
            (None, Some(own)) => return Err(ApplicationError::ForAnother(own.key.peer.clone())),
            (None, None) => return Err(ApplicationError::NoFile(*digest)),
        };
        if row.erased_ms.is_some() {
            return Err(ApplicationError::Erased);
        }
        if row.complete_ms.is_none() {
            let why = row.error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            return Err(ApplicationError::NotYet(why));
        }
        let mut jwe = Vec::with_capacity(usize::try_from(row.size).unwrap_or(0));
        while (jwe.len() as u64) < row.size {
            let part = self.office.db.attachment_part(&row.key, jwe.len() as u64).await?;
            let part = part.filter(|part| !part.is_empty()).ok_or(ApplicationError::Erased)?;
            jwe.extend_from_slice(&part);
        }
        let jwe = String::from_utf8(jwe).map_err(|_| SealError::Form("not text"))?;
        let (_, descriptor) = own_log(&self.office.db, &self.office.node, LogName::Records).await?;
        let kid = sealed::sealed_for(&jwe)?;
        let keys = self.keys.seal(&descriptor)?;
        let key = keys.iter().find(|key| key.public().kid() == kid).ok_or(SealError::NoKey)?;
        let bytes = sealed::open(&jwe, key, Between { sender: &row.key.peer, receiver: &self.office.node })?;
        let (subject, reason) = (digest.to_string(), format!("filed by {}", row.key.peer));
        // what the log would not take would stay before all that comes behind it
        let by: String = by.chars().filter(|c| !c.is_control()).take(MOST_NAME).collect();
        let change = Change {
            about: "attachment",
            subject: &subject,
            action: "opened",
            by: if by.is_empty() { "unknown" } else { &by },
            reason: Some(&reason),
            digest: Some(&subject),
            at_ms: self.office.clock.now_ms(),
        };
        self.office.db.note_change(&change).await?;
        Ok(bytes)
    }
}
