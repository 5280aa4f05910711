//! XLS through calamine, which holds a workbook in memory; so its size is limited before.

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use calamine::{Data, DataRef, Reader as _, Xls};

use super::xlsx::{cell_of, guarded, worksheets};
use super::{Cell, MAX_COLUMNS, MAX_ROW, NotAnUpload, xls_guard};

/// The largest file.
const MAX_FILE: u64 = 32 * 1024 * 1024;

/// Refuses what is too large to be held.
pub(super) fn check(path: &Path) -> Result<(), NotAnUpload> {
    let unreadable = |e: std::io::Error| NotAnUpload::unreadable(&e);
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
        return Err(NotAnUpload::TooLarge { limit: MAX_FILE });
    }
    xls_guard::check(&std::fs::read(path).map_err(unreadable)?)
}

/// The names of the worksheets.
pub(super) fn sheets(path: &Path) -> Result<Vec<String>, NotAnUpload> {
    guarded(|| Ok(worksheets(&open(path)?)))
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
    let file = File::open(path).map_err(|e| NotAnUpload::unreadable(&e))?;
    Xls::new(BufReader::new(file)).map_err(damaged)
}

fn damaged(reason: impl std::fmt::Display) -> NotAnUpload {
    NotAnUpload::damaged("XLS", &reason)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::xls_guard::tests::workbook;
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<Cell>>, NotAnUpload> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        check(file.path())?;
        let mut out = Vec::new();
        for sheet in sheets(file.path())? {
            rows(file.path(), &sheet, &mut |cells| {
                out.push(cells);
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(out)
    }

    #[test]
    fn rows_are_read_as_they_came() {
        let rows = read(&workbook(&[(0, 0, Err("企业名称")), (2, 0, Err("示例公司")), (2, 1, Ok(45356.0))])).unwrap();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[0], [Cell::from("企业名称"), Cell::Blank]);
        assert_eq!(rows[2], [Cell::from("示例公司"), Cell::number(45356.0)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_damaged_workbook_never_panics(at in 0usize..6000, byte: u8) {
            let mut bytes = workbook(&[(0, 0, Err("企业名称")), (2, 0, Err("示例公司")), (2, 1, Ok(45356.0))]);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = read(&bytes);
        }
    }
}
