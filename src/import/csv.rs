//! CSV (RFC 4180, with either line end and rows of any number of cells).

use std::ops::ControlFlow;
use std::path::Path;

use super::decode::{AllowanceUsedUp, Encoding, Text};
use super::{Cell, MAX_COLUMNS, MAX_ROW, NotAnUpload};

const BUFFER: usize = 64 * 1024;

/// Calls back with each row, blank ones too.
pub(super) fn rows(
    path: &Path,
    encoding: Encoding,
    each: &mut dyn FnMut(Vec<Cell>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    let text = Text::open(path, encoding)?;
    let allowance = text.allowance();
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(BUFFER).from_reader(text);
    let mut record = csv::StringRecord::new();
    loop {
        // what is buffered already was taken from an earlier allowance
        allowance.set(MAX_ROW + BUFFER);
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(explain(&error, line)),
        }
        if record.as_slice().len() > MAX_ROW {
            return Err(NotAnUpload::RowTooLong { line });
        }
        if record.len() > MAX_COLUMNS {
            return Err(NotAnUpload::TooManyColumns { line });
        }
        if each(record.iter().map(Cell::from).collect())?.is_break() {
            return Ok(());
        }
    }
}

fn explain(error: &csv::Error, line: u64) -> NotAnUpload {
    match error.kind() {
        csv::ErrorKind::Io(io) if io.get_ref().is_some_and(|e| e.is::<AllowanceUsedUp>()) => {
            NotAnUpload::RowTooLong { line }
        }
        _ => NotAnUpload::damaged("CSV", &error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Vec<String>>, NotAnUpload> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut out = Vec::new();
        rows(file.path(), Encoding::Utf8, &mut |cells| {
            out.push(cells.iter().map(|c| c.text().to_owned()).collect());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(out)
    }

    #[test]
    fn quotes_and_line_ends_of_every_system_are_read() {
        let rows = read(b"a,\"b,\"\"c\"\"\r\nd\"\r\n1\n\"\",2\r3").unwrap();
        assert_eq!(rows, [vec!["a", "b,\"c\"\r\nd"], vec!["1"], vec!["", "2"], vec!["3"]]);
    }

    #[test]
    fn a_row_that_never_ends_is_refused() {
        let mut bytes = b"a,b\n\"".to_vec();
        bytes.resize(3 * MAX_ROW, b'x');
        assert!(matches!(read(&bytes), Err(NotAnUpload::RowTooLong { line: 2 })));
    }

    #[test]
    fn a_row_of_just_256_kib_is_read() {
        assert_eq!(read(&vec![b'x'; MAX_ROW]).unwrap()[0][0].len(), MAX_ROW);
        assert!(matches!(read(&vec![b'x'; MAX_ROW + 1]), Err(NotAnUpload::RowTooLong { line: 1 })));
    }

    #[test]
    fn too_many_columns_are_refused() {
        assert!(matches!(read(&vec![b','; MAX_COLUMNS]), Err(NotAnUpload::TooManyColumns { .. })));
    }
}
