//! A sealed file, fetched part by part from whoever filed it, until all of it is here and is what the application names.
//!
//! Each part is stored as it comes: what breaks off goes on where it was, in whichever process. Nothing of it counts before
//! the whole has the digest that the application names.

use sha2::{Digest as _, Sha256};

use super::{Fault, PeerClient};
use crate::statement::Digest;
use crate::store::attachment::{AttachmentRow, PART};
use crate::store::{Db, StoreError};

/// Why a file is not here.
#[derive(Debug, thiserror::Error)]
pub enum NotFetched {
    /// Who filed it does not hold it, or not for this node.
    #[error("{}", not_served(.0))]
    Peer(#[from] Fault),
    /// It is another file.
    #[error("what came is not what the application names: its digest is {0} 附件与申请所载摘要不符")]
    Other(Digest),
    /// Its application has ended meanwhile.
    #[error("it is not wanted any more: the application has ended 申请已办结，不再收取")]
    Unwanted,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn not_served(fault: &Fault) -> String {
    match fault {
        Fault::NotHeld => "whoever filed it does not hold it 受理方没有该附件".to_owned(),
        Fault::Http(410, _) => "whoever filed it has erased it 受理方已清除该附件".to_owned(),
        other => other.to_string(),
    }
}

/// Fetches what is missing of a file; the caller has taken it, and reserved its room.
pub async fn fetch(db: &Db, client: &PeerClient, row: &AttachmentRow, now_ms: i64) -> Result<(), NotFetched> {
    let key = &row.key;
    let mut hash = Sha256::new();
    let mut first = 0;
    while first < row.size {
        // at most a part
        let length = usize::try_from(row.size - first).unwrap_or(PART).min(PART);
        let bytes = match db.attachment_part(key, first).await? {
            Some(bytes) => bytes,
            None => {
                let bytes = client.attachment(&key.digest, first, length, row.size).await?;
                match db.put_attachment_part(key, first, &bytes).await? {
                    true => bytes,
                    // what counts is what is stored, also where another process stored it
                    false => db.attachment_part(key, first).await?.ok_or(NotFetched::Unwanted)?,
                }
            }
        };
        hash.update(&bytes);
        first += length as u64;
    }
    let digest = Digest(hash.finalize().into());
    if digest != key.digest {
        db.drop_attachment_parts(key).await?;
        return Err(NotFetched::Other(digest));
    }
    if db.complete_attachment(key, now_ms).await? { Ok(()) } else { Err(NotFetched::Unwanted) }
}
