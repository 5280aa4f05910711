//! What a node remembers of its own log outside the database: the largest checkpoint that it has seen, in a file.
//!
//! A database that was set back, by a restored backup or a lost disk, no longer knows what peers were told; appending to it
//! would give the log a second history. The file notices: it lies outside database and backup, is written each second
//! while the log grows, and never goes back.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use super::AppendError;
use crate::log::tile::FULL;
use crate::log::{Checkpoint, Edge, Hash, Origin};
use crate::store::{Db, LogRow, StoreError};

/// Least time between two writes.
const EVERY: Duration = Duration::from_secs(1);
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Checks, without appending, that the store still has all of a log that the file remembers.
pub async fn still_has_what_was_remembered(db: &Db, origin: &Origin, file: &Path) -> Result<(), AppendError> {
    let Some(seen) = recall(file).await? else { return Ok(()) };
    match db.log(origin).await? {
        Some(log) => check(db, &log, &seen, file).await,
        None => Err(AppendError::Stopped(format!("{} remembers {origin}, which the store lacks", file.display()))),
    }
}

/// What the file remembers; a file that is not there remembers nothing. To be asked before the log is read, since other
/// processes append meanwhile.
pub(super) async fn recall(file: &Path) -> Result<Option<Checkpoint>, AppendError> {
    read(file).await.map_err(AppendError::Stopped)
}

/// Checks that a log as stored goes on from what the file remembers.
pub(super) async fn check(db: &Db, log: &LogRow, seen: &Checkpoint, file: &Path) -> Result<(), AppendError> {
    if seen.origin != log.origin {
        return Err(AppendError::Stopped(format!("{} remembers another log, {}", file.display(), seen.origin)));
    }
    if goes_on(db, log, seen.size, &seen.root).await? {
        return Ok(());
    }
    Err(AppendError::Stopped(format!(
        "{} remembers {} entries of {} that the store, with {}, no longer has: it was set back, and appending to it would \
         fork the log. Bring the newer database back; only if it is lost for good, and no peer holds more either, move \
         the file away",
        file.display(),
        seen.size,
        log.origin,
        log.size
    )))
}

/// Whether a log as stored has all entries of a tree of this size and root.
pub(super) async fn goes_on(db: &Db, log: &LogRow, size: u64, root: &Hash) -> Result<bool, StoreError> {
    Ok(size == 0 || (size <= log.size && root_at(db, log, size).await? == *root))
}

/// The root of the tree over the first `size` entries: of each level the tile in which it ends, cut off there.
async fn root_at(db: &Db, log: &LogRow, size: u64) -> Result<Hash, StoreError> {
    let mut levels = Vec::new();
    let (mut count, mut now) = (size, log.size);
    for level in 0_u8.. {
        if count == 0 {
            break;
        }
        let (n, width) = (count / FULL as u64, (count % FULL as u64) as usize);
        let missing = || StoreError::Corrupt(format!("{}: tile {level} {n} is not there", log.origin));
        let mut hashes = match width {
            0 => Vec::new(),
            _ if now / FULL as u64 == n => log.edge.level(level).to_vec(),
            _ => db.tile(log.id, level, n).await?.ok_or_else(missing)?,
        };
        hashes.truncate(width);
        levels.push(hashes);
        (count, now) = (n, now / FULL as u64);
    }
    let edge = Edge::new(size, levels).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(edge.root())
}

/// Writes the note, and those that come after it, to the file; the last one when there will be no more. A crash loses what
/// came within the last second. A write that fails, on a full disk, leaves what the file remembers, and is tried again
/// without news too.
pub(super) async fn keep(mut notes: watch::Receiver<String>, file: PathBuf) {
    let mut forgets = false;
    loop {
        let note = notes.borrow_and_update().clone();
        let kept = write(&file, &note).await;
        if let Err(why) = &kept
            && !forgets
        {
            tracing::warn!(%why, "the largest checkpoint is not remembered; this is tried again until it is");
        }
        forgets = kept.is_err();
        let news = tokio::select! {
            news = notes.changed() => news,
            () = tokio::time::sleep(AGAIN), if forgets => Ok(()),
        };
        if news.is_err() {
            return;
        }
        let no_more = async { while notes.changed().await.is_ok() {} };
        // either way what stands there by then is written next
        let _ = tokio::time::timeout(EVERY, no_more).await;
    }
}

async fn write(file: &Path, note: &str) -> Result<(), String> {
    let Some(new) = parse(note) else { return Ok(()) };
    // another process of this node may have written a larger one
    if read(file).await?.is_some_and(|seen| seen.size >= new.size) {
        return Ok(());
    }
    let beside = file.with_extension(format!("new-{}", std::process::id()));
    let replaced = replace(file, &beside, note).await;
    if replaced.is_err() {
        // what went wrong says more than that this went wrong as well
        let _ = tokio::fs::remove_file(&beside).await;
    }
    replaced.map_err(|error| format!("{}: {error}", file.display()))
}

async fn replace(file: &Path, beside: &Path, note: &str) -> std::io::Result<()> {
    // on the disk before it takes the old one's place: a power cut leaves one of the two, never an empty file
    let mut written = tokio::fs::File::create(beside).await?;
    written.write_all(note.as_bytes()).await?;
    // a write that failed for want of room says so here
    written.flush().await?;
    written.sync_all().await?;
    tokio::fs::rename(beside, file).await
}

async fn read(file: &Path) -> Result<Option<Checkpoint>, String> {
    match tokio::fs::read_to_string(file).await {
        Ok(note) => match parse(&note) {
            Some(seen) => Ok(Some(seen)),
            None => Err(format!(
                "{} holds no checkpoint; if the store is sure to be the newest, and no backup, delete the file",
                file.display()
            )),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// The node wrote the note itself, so its signature would prove nothing.
fn parse(note: &str) -> Option<Checkpoint> {
    let end = note.rfind("\n\n")?;
    Checkpoint::parse(&note[..=end]).ok()
}
