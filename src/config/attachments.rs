//! The section `[attachments]`: files beside applications for a repair at another city's window.

use serde::Deserialize;

use crate::store::attachment::Room;

/// What a sealed file is longer than the file itself: base64url, and some members around it.
const AROUND: u64 = 4096;

/// How many and how long files may be, and for how long they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attachments {
    /// Bytes of one file, before it is sealed.
    pub file_bytes: u64,
    /// Files of one application.
    pub files: usize,
    /// Bytes of sealed files that one peer has filed here.
    pub peer_bytes: u64,
    /// Bytes of all sealed files.
    pub total_bytes: u64,
    /// Days after the end of an application after which its files are erased.
    pub keep_days: u32,
}

impl Default for Attachments {
    fn default() -> Self {
        Self {
            file_bytes: 20_000_000,
            files: 10,
            peer_bytes: 2_000_000_000,
            total_bytes: 20_000_000_000,
            keep_days: 365,
        }
    }
}

impl Attachments {
    /// Bytes that a sealed file may have.
    pub fn sealed_bytes(&self) -> u64 {
        self.file_bytes.saturating_add(self.file_bytes / 3).saturating_add(AROUND)
    }

    /// How much may be here.
    pub fn room(&self) -> Room {
        Room { peer: self.peer_bytes, total: self.total_bytes }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        // a file is sealed and opened as a whole, in memory
        if !(1..=200_000_000).contains(&self.file_bytes) {
            return Err(("attachments.file_bytes", "1 to 200000000 bytes are expected"));
        }
        if !(1..=50).contains(&self.files) {
            return Err(("attachments.files", "1 to 50 are expected"));
        }
        Ok(())
    }
}
