//! XLS through calamine, which holds a workbook in memory; so its size is limited before.

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use calamine::{Data, DataRef, Reader as _, SheetType, Xls};

use super::xlsx::{cell_of, guarded};
use super::{Cell, MAX_COLUMNS, MAX_ROW, NotAnUpload};

/// The largest file.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// Refuses what is too large to be held.
pub(super) fn check(path: &Path) -> Result<(), NotAnUpload> {
    let size = std::fs::metadata(path).map_err(|e| NotAnUpload::unreadable(path, &e))?.len();
    if size > MAX_FILE { Err(NotAnUpload::TooLarge { limit: MAX_FILE }) } else { Ok(()) }
}

/// The names of the worksheets.
pub(super) fn sheets(path: &Path) -> Result<Vec<String>, NotAnUpload> {
    guarded(|| {
        let workbook = open(path)?;
        let sheets = workbook.sheets_metadata().iter();
        Ok(sheets.filter(|s| s.typ == SheetType::WorkSheet).map(|s| s.name.clone()).collect())
    })
}

/// Calls back with each row of a worksheet, blank ones too.
pub(super) fn rows(
    path: &Path,
    sheet: &str,
    each: &mut dyn FnMut(Vec<Cell>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    guarded(|| {
        let mut workbook = open(path)?;
        let is_1904 = workbook.has_1904_epoch();
        let range = workbook.worksheet_range(sheet).map_err(damaged)?;
        drop(workbook);
        for (line, row) in (1u64..).zip(range.rows()) {
            if row.len() > MAX_COLUMNS {
                return Err(NotAnUpload::TooManyColumns { line });
            }
            let cells: Vec<Cell> = row.iter().map(|value| cell_of(&borrowed(value), is_1904)).collect();
            if cells.iter().map(|c| c.text().len()).sum::<usize>() > MAX_ROW {
                return Err(NotAnUpload::RowTooLong { line });
            }
            if each(cells)?.is_break() {
                break;
            }
        }
        Ok(())
    })
}

fn open(path: &Path) -> Result<Xls<BufReader<File>>, NotAnUpload> {
    let file = File::open(path).map_err(|e| NotAnUpload::unreadable(path, &e))?;
    Xls::new(BufReader::new(file)).map_err(damaged)
}

fn damaged(reason: impl ToString) -> NotAnUpload {
    NotAnUpload::damaged("XLS", reason)
}

fn borrowed(value: &Data) -> DataRef<'_> {
    match value {
        Data::Int(number) => DataRef::Int(*number),
        Data::Float(number) => DataRef::Float(*number),
        Data::String(text) => DataRef::SharedString(text),
        Data::Bool(truth) => DataRef::Bool(*truth),
        Data::DateTime(date) => DataRef::DateTime(*date),
        Data::DateTimeIso(text) | Data::DurationIso(text) => DataRef::SharedString(text),
        Data::Error(error) => DataRef::Error(error.clone()),
        Data::Empty => DataRef::Empty,
    }
}
