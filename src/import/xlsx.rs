//! XLSX through calamine, row by row. What it unpacks to is counted before it is parsed.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

use calamine::{DataRef, Reader, SheetType, Xlsx};

use super::{Cell, MAX_COLUMNS, MAX_ROW, NotAnUpload};

/// The most that a workbook may unpack to. Its sheets are streamed.
pub(super) const MAX_UNPACKED: u64 = 512 * 1024 * 1024;
/// The most that its shared strings may: these are held in memory.
const MAX_STRINGS: u64 = 64 * 1024 * 1024;
const MAX_ENTRIES: usize = 10_000;

/// Unpacks everything once into nothing: a workbook that is truncated or grows too large is refused here. The directory
/// is asked first, and not believed.
pub(super) fn check(path: &Path) -> Result<(), NotAnUpload> {
    let file = File::open(path).map_err(|e| NotAnUpload::unreadable(&e))?;
    let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    if zip.len() > MAX_ENTRIES {
        return Err(damaged("too many parts"));
    }
    if zip.decompressed_size().is_some_and(|size| size > u128::from(MAX_UNPACKED)) {
        return Err(NotAnUpload::TooLarge { limit: MAX_UNPACKED });
    }
    let mut left = MAX_UNPACKED;
    for index in 0..zip.len() {
        let entry = zip.by_index(index).map_err(damaged)?;
        let is_strings = entry.name().is_ok_and(|name| name.to_ascii_lowercase().ends_with("sharedstrings.xml"));
        let limit = if is_strings { left.min(MAX_STRINGS) } else { left };
        let size = io::copy(&mut entry.take(limit + 1), &mut io::sink()).map_err(damaged)?;
        if size > limit {
            return Err(NotAnUpload::TooLarge { limit: if is_strings { MAX_STRINGS } else { MAX_UNPACKED } });
        }
        left -= size;
    }
    Ok(())
}

/// The names of the worksheets.
pub(super) fn sheets(path: &Path) -> Result<Vec<String>, NotAnUpload> {
    guarded(|| Ok(worksheets(&open(path)?)))
}

/// The worksheets of a workbook of either format: no charts and no macros.
pub(super) fn worksheets<F, W: Reader<F>>(workbook: &W) -> Vec<String>
where
    F: io::Read + io::Seek,
{
    let sheets = workbook.sheets_metadata().iter();
    sheets.filter(|s| s.typ == SheetType::WorkSheet).map(|s| s.name.clone()).collect()
}

/// Calls back with each row of a worksheet that has cells.
pub(super) fn rows(
    path: &Path,
    sheet: &str,
    each: &mut dyn FnMut(Vec<Cell>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    guarded(|| {
        let mut workbook = open(path)?;
        let is_1904 = workbook.has_1904_epoch();
        let mut cells = workbook.worksheet_cells_reader(sheet).map_err(damaged)?;
        let (mut row, mut at, mut bytes) = (Vec::new(), 0, 0);
        while let Some(cell) = cells.next_cell().map_err(damaged)? {
            let ((line, column), value) = (cell.get_position(), cell_of(cell.get_value(), is_1904));
            if line != at && !row.is_empty() {
                bytes = 0;
                if each(std::mem::take(&mut row))?.is_break() {
                    return Ok(());
                }
            }
            at = line;
            if value == Cell::Blank {
                continue;
            }
            bytes += value.text().len();
            let (line, column) = (u64::from(line) + 1, column as usize);
            if column >= MAX_COLUMNS {
                return Err(NotAnUpload::TooManyColumns { line });
            }
            if bytes > MAX_ROW {
                return Err(NotAnUpload::RowTooLong { line });
            }
            if column >= row.len() {
                row.resize(column + 1, Cell::Blank);
            }
            row[column] = value;
        }
        if !row.is_empty() {
            // the last row: stopping behind it is no different from its end
            let _ = each(row)?;
        }
        Ok(())
    })
}

/// A calamine that panics has met a damaged file.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T, NotAnUpload>) -> Result<T, NotAnUpload> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged("its parts contradict one another")))
}

fn open(path: &Path) -> Result<Xlsx<BufReader<File>>, NotAnUpload> {
    let file = File::open(path).map_err(|e| NotAnUpload::unreadable(&e))?;
    Xlsx::new(BufReader::new(file)).map_err(damaged)
}

fn damaged(reason: impl std::fmt::Display) -> NotAnUpload {
    NotAnUpload::damaged("XLSX", &reason)
}

pub(super) fn cell_of(value: &DataRef<'_>, is_1904: bool) -> Cell {
    match value {
        DataRef::Empty => Cell::Blank,
        DataRef::Error(error) => Cell::Text(error.to_string()),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => Cell::from(text.as_str()),
        DataRef::SharedString(text) => Cell::from(*text),
        DataRef::Bool(truth) => Cell::Text(if *truth { "TRUE".into() } else { "FALSE".into() }),
        #[expect(clippy::cast_precision_loss, reason = "the digits that count are kept by the text")]
        DataRef::Int(number) => Cell::Number { text: number.to_string(), serial: Some(*number as f64) },
        DataRef::Float(number) => Cell::number(*number),
        // 1904-01-01 is day 0 there and day 1462 here
        DataRef::DateTime(date) if date.is_datetime() => {
            Cell::dated(date.as_f64() + if is_1904 { 1462.0 } else { 0.0 })
        }
        DataRef::DateTime(duration) => Cell::number(duration.as_f64()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

    use super::*;

    fn workbook() -> Vec<u8> {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet().set_name("示例").unwrap();
        sheet.write(0, 0, "CF_WSH").unwrap();
        sheet.write(0, 2, "CF_JDRQ").unwrap();
        sheet.write(3, 0, 913101071323334300.0).unwrap();
        let date = ExcelDateTime::from_ymd(2024, 3, 5).unwrap();
        sheet.write_with_format(3, 2, &date, &Format::new().set_num_format("yyyy/m/d")).unwrap();
        workbook.add_worksheet().set_name("说明").unwrap();
        workbook.save_to_buffer().unwrap()
    }

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    #[test]
    fn rows_with_cells_are_read_where_they_stand() {
        let file = file(&workbook());
        check(file.path()).unwrap();
        assert_eq!(sheets(file.path()).unwrap(), ["示例", "说明"]);
        let mut out = Vec::new();
        rows(file.path(), "示例", &mut |cells| {
            out.push(cells);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        assert_eq!(out[0], [Cell::from("CF_WSH"), Cell::Blank, Cell::from("CF_JDRQ")]);
        assert_eq!(out[1][0].text(), "913101071323334300");
        assert_eq!(out[1][2], Cell::Number { text: "2024-03-05".into(), serial: Some(45356.0) });
        assert_eq!(out.len(), 2);
    }

    #[test]
    fn a_truncated_workbook_is_refused() {
        let bytes = workbook();
        for cut in [4, bytes.len() / 2, bytes.len() - 1] {
            assert!(matches!(check(file(&bytes[..cut]).path()), Err(NotAnUpload::Damaged { .. })), "{cut}");
        }
    }

    #[test]
    fn a_workbook_that_unpacks_too_large_is_refused() {
        let mut bytes = io::Cursor::new(Vec::new());
        let mut zip = zip::ZipWriter::new(&mut bytes);
        zip.start_file("xl/sharedStrings.xml", zip::write::SimpleFileOptions::default()).unwrap();
        io::copy(&mut io::repeat(b' ').take(MAX_STRINGS + 1), &mut zip).unwrap();
        zip.finish().unwrap();
        assert!(bytes.get_ref().len() < 1024 * 1024);
        let file = file(bytes.get_ref());
        assert!(matches!(check(file.path()), Err(NotAnUpload::TooLarge { limit: MAX_STRINGS })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_workbook_never_panics(at in 0usize..6000, byte: u8) {
            let mut bytes = workbook();
            let at = at % bytes.len();
            bytes[at] = byte;
            let file = file(&bytes);
            if check(file.path()).is_ok() {
                for sheet in sheets(file.path()).unwrap_or_default() {
                    let _ = rows(file.path(), &sheet, &mut |_| Ok(ControlFlow::Continue(())));
                }
            }
        }
    }
}
