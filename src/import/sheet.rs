//! An upload's file: what it is, where its header stands, and its rows one by one.

use std::fs::File;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::decode::{self, Encoding};
use super::{Cell, Columns, HEADER_ROWS, MAX_COLUMNS, NotAnUpload, csv, jsonl, mend, xls, xlsx, xml};
use crate::statement::{Digest, Kind};

/// A file that was read through once and is an upload of a kind.
#[derive(Clone, Debug)]
pub struct Sheet {
    path: PathBuf,
    format: Format,
    /// Rows of the file before the first one below the header.
    above: usize,
    /// Its columns.
    pub columns: Columns,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// How many data rows it holds.
    pub rows: u64,
}

/// What a file is, by what stands in it and never by its name.
#[derive(Clone, Debug)]
enum Format {
    Csv(Encoding),
    JsonLines(Encoding),
    Xml(Encoding),
    Xlsx { sheet: String },
    Xls { sheet: String },
}

/// A data row as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRow {
    /// Counted from 1 over the data rows: blank rows and explanations have no number.
    pub number: u64,
    /// A cell for each column of the header.
    pub cells: Vec<Cell>,
    /// Cells beyond the last column that are not blank.
    pub surplus: Vec<Cell>,
}

/// Reads a file through: format, encoding, header, layout, number of rows; everything that makes it no upload at all.
pub fn open(path: &Path, kind: &Kind) -> Result<Sheet, NotAnUpload> {
    if kind.layouts.is_empty() {
        return Err(NotAnUpload::NoLayout(kind.typ.kind.clone()));
    }
    match format_of(path)? {
        Format::Csv(encoding) => {
            open_table(path, kind, &Format::Csv(encoding))?.map_err(|seen| headers_unknown(kind, &seen))
        }
        format @ (Format::JsonLines(_) | Format::Xml(_)) => open_named(path, kind, &format),
        Format::Xlsx { .. } => {
            xlsx::check(path)?;
            open_workbook(path, kind, xlsx::sheets(path)?, |sheet| Format::Xlsx { sheet })
        }
        Format::Xls { .. } => {
            xls::check(path)?;
            open_workbook(path, kind, xls::sheets(path)?, |sheet| Format::Xls { sheet })
        }
    }
}

impl Sheet {
    /// The encoding of a text, the format of a workbook; as receipts name it.
    pub fn encoding(&self) -> &'static str {
        match &self.format {
            Format::Csv(encoding) | Format::JsonLines(encoding) | Format::Xml(encoding) => encoding.name(),
            Format::Xlsx { .. } => "xlsx",
            Format::Xls { .. } => "xls",
        }
    }

    /// Calls back with each data row until it breaks off. An error of the callback's own ends the reading and comes back.
    pub fn each<E: From<NotAnUpload>>(
        &self,
        mut each: impl FnMut(SourceRow) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut stopped = None;
        let mut number = 0;
        let mut call = |mut cells: Vec<Cell>| {
            number += 1;
            let width = self.columns.headers.len();
            let mut surplus = if cells.len() > width { cells.split_off(width) } else { Vec::new() };
            surplus.retain(|cell| !cell.is_blank());
            cells.resize(width, Cell::Blank);
            Ok(each(SourceRow { number, cells, surplus }).unwrap_or_else(|error| {
                stopped = Some(error);
                ControlFlow::Break(())
            }))
        };
        match &self.format {
            Format::JsonLines(_) | Format::Xml(_) => each_named(&self.path, &self.format, &mut |members| {
                let mut cells = vec![Cell::Blank; self.columns.headers.len()];
                for (name, cell) in members {
                    if let Some(at) = self.columns.headers.iter().position(|h| *h == name) {
                        cells[at] = cell;
                    }
                }
                if cells.iter().any(says_something) { call(cells) } else { Ok(ControlFlow::Continue(())) }
            }),
            format => {
                let mut above = self.above;
                each_line(&self.path, format, &mut |cells| {
                    if above > 0 {
                        above -= 1;
                        return Ok(ControlFlow::Continue(()));
                    }
                    if is_data(&cells) { call(cells) } else { Ok(ControlFlow::Continue(())) }
                })
            }
        }?;
        stopped.map_or(Ok(()), Err)
    }
}

/// By the first bytes: an archive, a compound file, or a text that begins with `<`, `{` or anything else.
fn format_of(path: &Path) -> Result<Format, NotAnUpload> {
    let unreadable = |e: std::io::Error| NotAnUpload::unreadable(&e);
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(NotAnUpload::NotAFile);
    }
    let mut start = Vec::new();
    File::open(path).map_err(unreadable)?.take(4096).read_to_end(&mut start).map_err(unreadable)?;
    if start.starts_with(b"PK\x03\x04") {
        return Ok(Format::Xlsx { sheet: String::new() });
    }
    if start.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") {
        return Ok(Format::Xls { sheet: String::new() });
    }
    let encoding = decode::encoding_of(path)?;
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&start);
    match start.trim_ascii_start().first() {
        None if metadata.len() <= 4096 => Err(NotAnUpload::Empty),
        Some(b'<') => Ok(Format::Xml(encoding)),
        Some(b'{') => Ok(Format::JsonLines(encoding)),
        _ => Ok(Format::Csv(encoding)),
    }
}

/// The worksheet that has rows below a header that a layout knows: there must be one, and one only, for the rows of
/// another would be lost.
fn open_workbook(
    path: &Path,
    kind: &Kind,
    sheets: Vec<String>,
    format: impl Fn(String) -> Format,
) -> Result<Sheet, NotAnUpload> {
    let (mut nearest, mut is_known) = (Vec::new(), false);
    let mut found: Option<(String, Sheet)> = None;
    for name in sheets {
        match (open_table(path, kind, &format(name.clone())), &found) {
            (Ok(Ok(_)), Some((first, _))) => {
                return Err(NotAnUpload::SeveralSheets { first: first.clone(), second: name });
            }
            (Ok(Ok(sheet)), None) => found = Some((name, sheet)),
            (Ok(Err(seen)), _) if nearest.is_empty() => nearest = seen,
            (Ok(Err(_)), _) => {}
            (Err(NotAnUpload::Empty), _) => is_known = true,
            (Err(error), _) => return Err(error),
        }
    }
    match found {
        Some((_, sheet)) => Ok(sheet),
        None if is_known || nearest.is_empty() => Err(NotAnUpload::Empty),
        None => Err(headers_unknown(kind, &nearest)),
    }
}

/// A table whose header stands in one of its first rows; else the row that comes nearest to one.
fn open_table(path: &Path, kind: &Kind, format: &Format) -> Result<Result<Sheet, Vec<Cell>>, NotAnUpload> {
    let (mut first, mut below, mut spanning) = (Vec::<Vec<Cell>>::new(), 0, csv::Spanning::default());
    let mut each = |cells: Vec<Cell>| {
        if first.len() < HEADER_ROWS {
            first.push(cells);
        } else {
            below += u64::from(is_data(&cells));
        }
        Ok(ControlFlow::Continue(()))
    };
    match format {
        Format::Csv(encoding) => csv::rows_and_spans(path, *encoding, &mut spanning, &mut each)?,
        format => each_line(path, format, &mut each)?,
    }
    let mut found: Option<(usize, Columns)> = None;
    for (at, cells) in first.iter().enumerate() {
        if let Some(columns) = Columns::recognise(kind, &header(cells))
            && found.as_ref().is_none_or(|(_, best)| columns.known() > best.known())
        {
            found = Some((at, columns));
        }
    }
    let Some((at, columns)) = found else {
        return Ok(Err(first
            .into_iter()
            .rev()
            .max_by_key(|row| row.iter().filter(|c| !c.is_blank()).count())
            .unwrap_or_default()));
    };
    spanning.check(at, first[at].len())?;
    let rows = below + first[at + 1..].iter().filter(|cells| is_data(cells)).count() as u64;
    sheet(path, format, at + 1, columns, rows).map(Ok)
}

/// Rows that name their cells: the header is every name that comes, in the order in which they come.
fn open_named(path: &Path, kind: &Kind, format: &Format) -> Result<Sheet, NotAnUpload> {
    let (mut headers, mut rows) = (Vec::<String>::new(), 0);
    each_named(path, format, &mut |members| {
        rows += u64::from(members.iter().any(|(_, cell)| says_something(cell)));
        for (name, _) in members {
            if !headers.contains(&name) {
                headers.push(name);
            }
        }
        if headers.len() > MAX_COLUMNS {
            return Err(NotAnUpload::TooManyColumns { line: rows });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    let seen: Vec<Cell> = headers.iter().map(|h| Cell::from(h.as_str())).collect();
    let columns = Columns::recognise(kind, &headers).ok_or_else(|| headers_unknown(kind, &seen))?;
    sheet(path, format, 0, columns, rows)
}

fn sheet(path: &Path, format: &Format, above: usize, columns: Columns, rows: u64) -> Result<Sheet, NotAnUpload> {
    if rows == 0 {
        return Err(NotAnUpload::Empty);
    }
    let digest = decode::digest_of(path)?;
    Ok(Sheet { path: path.to_owned(), format: format.clone(), above, columns, digest, rows })
}

fn each_line(
    path: &Path,
    format: &Format,
    each: &mut dyn FnMut(Vec<Cell>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    match format {
        Format::Xlsx { sheet } => xlsx::rows(path, sheet, each),
        Format::Xls { sheet } => xls::rows(path, sheet, each),
        Format::Csv(encoding) | Format::JsonLines(encoding) | Format::Xml(encoding) => csv::rows(path, *encoding, each),
    }
}

fn each_named(
    path: &Path,
    format: &Format,
    each: &mut dyn FnMut(Vec<(String, Cell)>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    match format {
        Format::Xml(encoding) => xml::rows(path, *encoding, each),
        Format::JsonLines(encoding) | Format::Csv(encoding) => jsonl::rows(path, *encoding, each),
        Format::Xlsx { .. } | Format::Xls { .. } => Ok(()),
    }
}

/// Not blank, and no formula that failed: a form's formulas fail in each row that nobody filled in.
fn says_something(cell: &Cell) -> bool {
    !cell.is_blank() && !mend::is_failed_formula(cell.text())
}

/// Something is said, and it is no explanation of the form.
fn is_data(cells: &[Cell]) -> bool {
    cells.iter().find(|cell| says_something(cell)).is_some_and(|first| {
        let text = first.text().trim_start_matches(|c: char| c.is_whitespace() || c == '*');
        !text.starts_with("填报说明") && !text.starts_with("表格说明")
    })
}

/// The texts of a header row without the blank cells at its end.
fn header(cells: &[Cell]) -> Vec<String> {
    let width = cells.iter().rposition(|c| !c.is_blank()).map_or(0, |last| last + 1);
    cells[..width].iter().map(|c| c.text().to_owned()).collect()
}

fn headers_unknown(kind: &Kind, seen: &[Cell]) -> NotAnUpload {
    let named: Vec<&str> = seen.iter().map(Cell::text).filter(|t| !t.trim().is_empty()).take(6).collect();
    let shown: String = named.join(" | ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(120).collect();
    let seen = if shown.is_empty() { "nothing".to_owned() } else { format!("“{shown}”") };
    NotAnUpload::HeadersUnknown { kind: kind.typ.kind.clone(), title: kind.title.clone(), seen }
}

#[cfg(test)]
mod tests;
