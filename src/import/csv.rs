//! CSV (RFC 4180, with either line end and rows of any number of cells).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

use super::decode::{AllowanceUsedUp, Encoding, Text};
use super::{Cell, HEADER_ROWS, MAX_COLUMNS, MAX_ROW, NotAnUpload};

const BUFFER: usize = 64 * 1024;
/// A last row that no file holds, for a zero byte is no text: it is read as such unless a quote is still open.
const END: &str = "\n\0";

/// The rows that go on over several lines: by how many cells they have, the line where the first of them begins. Each of
/// the first [`HEADER_ROWS`] counts for itself, all behind them together.
#[derive(Debug, Default)]
pub(super) struct Spanning(BTreeMap<(usize, usize), u64>);

impl Spanning {
    /// A quote that is not closed swallows rows up to the next one. What it makes of them has as many cells as the header
    /// by chance only.
    pub(super) fn check(&self, header: usize, width: usize) -> Result<(), NotAnUpload> {
        let below = self.0.iter().filter(|((row, cells), _)| *row > header && *cells != width);
        below.map(|(_, line)| *line).min().map_or(Ok(()), |line| Err(unclosed(line)))
    }
}

/// Calls back with each row, blank ones too.
pub(super) fn rows(
    path: &Path,
    encoding: Encoding,
    each: &mut dyn FnMut(Vec<Cell>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    rows_and_spans(path, encoding, &mut Spanning::default(), each)
}

/// Calls back with each row, and notes those that go on over several lines.
pub(super) fn rows_and_spans(
    path: &Path,
    encoding: Encoding,
    spanning: &mut Spanning,
    each: &mut dyn FnMut(Vec<Cell>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    let text = Text::open(path, encoding)?;
    let allowance = text.allowance();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .buffer_capacity(BUFFER)
        .from_reader(text.chain(END.as_bytes()));
    let mut record = csv::StringRecord::new();
    for row in 0.. {
        // what is buffered already was taken from an earlier allowance
        allowance.set(MAX_ROW + BUFFER);
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(explain(&error, line)),
        }
        if record.as_slice().ends_with('\0') {
            return if record.as_slice() == "\0" { Ok(()) } else { Err(unclosed(line)) };
        }
        if record.as_slice().len() > MAX_ROW {
            return Err(NotAnUpload::RowTooLong { line });
        }
        if record.len() > MAX_COLUMNS {
            return Err(NotAnUpload::TooManyColumns { line });
        }
        if record.as_slice().contains(['\n', '\r']) {
            spanning.0.entry((row.min(HEADER_ROWS), record.len())).or_insert(line);
        }
        if each(record.iter().map(Cell::from).collect())?.is_break() {
            break;
        }
    }
    Ok(())
}

fn unclosed(line: u64) -> NotAnUpload {
    NotAnUpload::damaged("CSV", &format!("an unclosed quote near line {line}"))
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
    fn a_file_that_ends_inside_quotes_is_refused() {
        for sound in ["a,b\n1,\"2\"", "a,b\n1,\"2\"\r\n", "a,b\r1,2\r", "a\n1\"", ""] {
            assert!(read(sound.as_bytes()).is_ok(), "{sound:?}");
        }
        for open in ["a,b\n1,\"2", "a,b\n1,\"2\n3,4\n", "a\n\"1\"\"\n", "\""] {
            let refused = read(open.as_bytes()).unwrap_err().to_string();
            assert!(refused.contains("an unclosed quote near line "), "{open:?}: {refused}");
        }
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
