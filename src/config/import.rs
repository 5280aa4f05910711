//! The section `[import]`: whether uploads wait for a second person, for how long, and how many of them.

use serde::Deserialize;

use crate::store::hold::HoldLimits;

/// How uploads are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// Whether every upload is held for a second person, as `kaopu import --hold` does, and every event said by command.
    pub hold: bool,
    /// Days after which a held upload on which nobody has decided is dropped.
    pub hold_days: u32,
    /// Uploads held at once.
    pub held_uploads: u64,
    /// Bytes kept of the rows of all of them together, packed.
    pub held_bytes: u64,
}

impl Default for Import {
    fn default() -> Self {
        Self { hold: false, hold_days: 30, held_uploads: 100, held_bytes: 1_000_000_000 }
    }
}

impl Import {
    /// How much may be held.
    pub fn limits(&self) -> HoldLimits {
        HoldLimits { uploads: self.held_uploads, bytes: self.held_bytes }
    }

    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !(1..=366).contains(&self.hold_days) {
            return Err(("import.hold_days", "1 to 366 days are expected"));
        }
        if self.held_uploads == 0 || self.held_bytes == 0 {
            return Err(("import.held_uploads", "held_uploads and held_bytes are at least 1"));
        }
        Ok(())
    }
}
