//! What a run would do, chunk by chunk: said by a rehearsal, which writes nothing, and kept where an upload is held for a second
//! person. The same for records and for lists of events.

use super::{Progress, UploadError};
use crate::import::fault_file::{FaultFile, FaultWriter};
use crate::import::kept::KeptRow;
use crate::store::upload::{Counts, UploadStep};

/// What a run would do.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The counts.
    pub counts: Counts,
    /// The faults.
    pub faults: FaultFile,
}

/// What a run would do with some rows.
pub(super) struct WouldBe {
    /// As it would be taken.
    pub step: UploadStep,
    /// The rows, where they are kept.
    pub rows: Vec<KeptRow>,
}

/// A run that only says what it would do.
pub(super) trait Rehearsed {
    /// What it would do next; None behind the last row.
    async fn next(&mut self) -> Result<Option<WouldBe>, UploadError>;
}

/// Says what a run would do with all its rows.
pub(super) async fn rehearse(
    mut run: impl Rehearsed,
    of: u64,
    mut progress: impl FnMut(Progress),
) -> Result<Rehearsal, UploadError> {
    let folder = std::env::temp_dir();
    let cannot = |error| UploadError::Aside { folder: folder.clone(), error };
    let mut faults = FaultWriter::new(&folder).map_err(cannot)?;
    let mut counts = Counts::default();
    while let Some(WouldBe { step, .. }) = run.next().await? {
        counts = sum(counts, step.counts);
        // some hundred kilobytes at most: that does not hold up a thread of the runtime
        step.faults.iter().try_for_each(|fault| faults.push(fault)).map_err(cannot)?;
        progress(Progress { done: counts.read, of });
    }
    Ok(Rehearsal { counts, faults: faults.finish().map_err(cannot)? })
}

fn sum(a: Counts, b: Counts) -> Counts {
    Counts {
        read: a.read + b.read,
        published: a.published + b.published,
        skipped: a.skipped + b.skipped,
        warned: a.warned + b.warned,
        refused: a.refused + b.refused,
    }
}
