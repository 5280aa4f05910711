//! Where the judged rows of an upload come from: a file, judged as it is read, or what was kept when it was held.

use std::ops::ControlFlow;
use std::sync::Arc;

use jiff::civil::Date;
use tokio::runtime::Handle;

use super::{Import, UploadError};
use crate::import::kept::{self, KeptRow};
use crate::import::row::{Judge, Judged};
use crate::import::{Columns, NotAnUpload, Sheet, SourceRow};

/// Where judged rows come from. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A file.
    Sheet(Arc<Sheet>),
    /// What is kept of an upload.
    Kept {
        /// Its number.
        upload: i64,
        /// How many rows it had.
        rows: u64,
        /// The columns of its file.
        columns: Arc<Columns>,
    },
}

/// A judged row.
pub(super) struct Row {
    pub number: u64,
    /// Of its text, about.
    pub bytes: usize,
    pub judged: Judged,
}

impl Source {
    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        match self {
            Self::Sheet(sheet) => sheet.rows,
            Self::Kept { rows, .. } => *rows,
        }
    }

    /// The columns that they came in.
    pub fn columns(&self) -> &Columns {
        match self {
            Self::Sheet(sheet) => &sheet.columns,
            Self::Kept { columns, .. } => columns,
        }
    }

    /// Calls back with each row, judged by a day, until it breaks off; says whether it came to the end. For a thread of the
    /// runtime that may block.
    pub fn each(
        &self,
        import: &Import,
        day: Date,
        mut each: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<bool, UploadError> {
        let (mut count, mut is_whole) = (0, true);
        let mut take = |row: Row| {
            count = row.number;
            let flow = each(row);
            is_whole = flow.is_continue();
            flow
        };
        match self {
            Self::Sheet(sheet) => {
                let judge = Judge::new(&import.kind, &sheet.columns, day, &import.persons);
                sheet.each(|row: SourceRow| {
                    let bytes = row.cells.iter().map(|cell| cell.text().len()).sum();
                    Ok::<_, NotAnUpload>(take(Row { number: row.number, bytes, judged: judge.row(&row) }))
                })?;
            }
            Self::Kept { upload, .. } => each_kept(import, *upload, &mut take)?,
        }
        match self {
            _ if !is_whole => Ok(false),
            _ if count == self.rows() => Ok(true),
            // what was read through before is no longer there: the cursor stays behind it
            Self::Sheet(_) => Err(NotAnUpload::Changed.into()),
            Self::Kept { upload, .. } => Err(kept::Unreadable(*upload).into()),
        }
    }
}

fn each_kept(import: &Import, upload: i64, each: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), UploadError> {
    let runtime = Handle::current();
    let mut next = 0;
    while let Some((from, sealed)) = runtime.block_on(import.db.held_rows(upload, next))? {
        next = from + 1;
        let bytes = sealed.len();
        let rows = kept::open(&import.persons, upload, from, sealed)?;
        let bytes = bytes / rows.len().max(1);
        for row in rows {
            if each(Row { number: row.row, bytes, judged: row.judged() }).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// All rows that are kept of an upload, for whoever looks at them before approving: in the order of the file, page by page.
pub async fn kept_rows(
    import: &Import,
    upload: i64,
    mut each: impl FnMut(&KeptRow) -> Result<(), std::io::Error>,
) -> Result<std::io::Result<()>, UploadError> {
    let mut next = 0;
    while let Some((from, sealed)) = import.db.held_rows(upload, next).await? {
        next = from + 1;
        for row in kept::open(&import.persons, upload, from, sealed)? {
            if let Err(error) = each(&row) {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}

impl From<kept::Unreadable> for UploadError {
    fn from(error: kept::Unreadable) -> Self {
        Self::Kept(error)
    }
}
