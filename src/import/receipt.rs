//! The receipt (回执): how many rows came and what became of them; for each that was not clean its row, column, code and
//! a sentence. As a table, as JSON, and as CSV of the refused rows as they came, to be corrected and sent again.

use std::borrow::Cow;
use std::io::{self, Write};
use std::ops::ControlFlow;

use serde::Serialize;

use super::cell::scientific;
use super::form::day;
use super::{Cell, NotAnUpload, Sheet};
use crate::statement::Digest;
use crate::store::hold::HoldRow;
use crate::store::take_back::WithdrawalRow;
use crate::store::upload::{Counts, FaultRow, UploadRow};

/// The columns that the CSV of refused rows has beside those of the file; an importer overlooks them when it comes back.
pub const ADDED_COLUMNS: [&str; 3] = ["行号", "错误代码", "错误说明"];
/// A receipt but for its faults, which may be many and are written one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The file's name.
    pub file: String,
    /// The kind.
    pub kind: String,
    /// The layout.
    pub layout: String,
    /// Encoding or format.
    pub encoding: String,
    /// Rows read, published, skipped, warned, refused.
    #[serde(flatten)]
    pub counts: Counts,
    /// Columns that the layout does not know: read by nobody, published never.
    pub unknown_columns: Vec<String>,
    /// It is held for a second person, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Held>,
    /// It is to be taken back as a whole, or was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<WithdrawalRow>,
    /// What was said, of an event by command; whoever shows the receipt looks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Digest>,
}

/// What becomes of an upload that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// Its number.
    pub upload: i64,
    /// Who held it, until when, and what was decided.
    #[serde(flatten)]
    pub hold: HoldRow,
}

impl From<&UploadRow> for Receipt {
    fn from(upload: &UploadRow) -> Self {
        Self {
            file: upload.file.clone(),
            kind: upload.kind.clone(),
            layout: upload.layout.clone(),
            encoding: upload.encoding.clone(),
            counts: upload.counts,
            unknown_columns: upload.unknown_columns.clone(),
            hold: upload.hold.clone().map(|hold| Held { upload: upload.id, hold }),
            withdrawal: None,
            said: None,
        }
    }
}

impl Receipt {
    /// So many faults are shown on a terminal.
    pub const SHOWN: usize = 20;

    /// As a table for a terminal: the counts, the first faults, and how many more there are.
    pub fn table(&self, faults: &[FaultRow], more: u64, out: &mut impl Write) -> io::Result<()> {
        let counts = &self.counts;
        writeln!(out, "{} · {} · {} · {}", self.file, self.kind, self.layout, self.encoding)?;
        let published = match &self.hold {
            Some(held) if held.hold.waits() => "would be published 复核后共享",
            _ => "published 已共享",
        };
        writeln!(
            out,
            "read 共 {}   {published} {}   unchanged 未变更 {}   sent back 退回 {}   warned 提示 {}",
            counts.read, counts.published, counts.skipped, counts.refused, counts.warned
        )?;
        if !self.unknown_columns.is_empty() {
            writeln!(out, "columns not known, not published 未采用的列: {}", self.unknown_columns.join(", "))?;
        }
        if let Some(said) = &self.said {
            writeln!(out, "said 已发布: {said}")?;
        }
        let shown = &faults[..faults.len().min(Self::SHOWN)];
        if shown.is_empty() {
            return Ok(());
        }
        let column_width = shown.iter().filter_map(|f| f.column.as_deref()).map(width).max().unwrap_or(0).max(4);
        writeln!(out, "{:>9}  {:<4}  {}  错误说明", "行号", "代码", padded("列", column_width))?;
        for fault in shown {
            let column = padded(fault.column.as_deref().unwrap_or("—"), column_width);
            writeln!(out, "{:>11}  {:<4}  {column}  {}", fault.row, fault.code, fault.message)?;
        }
        let more = more + (faults.len() - shown.len()) as u64;
        if more > 0 {
            writeln!(out, "… {more} more 另有 {more} 条; --receipt FILE.csv or FILE.json has them all")?;
        }
        Ok(())
    }

    /// As one JSON object, its faults coming one by one.
    pub fn json<E: From<io::Error>>(
        &self,
        faults: impl IntoIterator<Item = Result<FaultRow, E>>,
        out: &mut impl Write,
    ) -> Result<(), E> {
        let head = serde_json::to_string(self).map_err(io::Error::from)?;
        // the object is left open for its last member
        write!(out, "{},\"faults\":[", &head[..head.len() - 1])?;
        for (n, fault) in faults.into_iter().enumerate() {
            let fault = serde_json::to_string(&fault?).map_err(io::Error::from)?;
            write!(out, "{}\n{fault}", if n == 0 { "" } else { "," })?;
        }
        writeln!(out, "]}}")?;
        Ok(())
    }
}

/// The refused rows of a sheet as they came, each with its number, codes and sentences: CSV in UTF-8 behind a byte order
/// mark, without which Excel would not read it as such. Cells beyond the header stand behind the added ones: a row that is
/// sent again as it is is refused again. The faults come in the order of their rows.
pub fn refused_rows<E: From<io::Error> + From<NotAnUpload>>(
    sheet: &Sheet,
    faults: impl IntoIterator<Item = Result<FaultRow, E>>,
    out: &mut impl Write,
) -> Result<(), E> {
    out.write_all("\u{feff}".as_bytes())?;
    let mut writer = csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::CRLF).from_writer(out);
    let kept: Vec<usize> = (0..sheet.columns.headers.len()).filter(|c| !is_added(&sheet.columns.headers[*c])).collect();
    let headers = kept.iter().map(|c| sheet.columns.headers[*c].as_str());
    writer.write_record(headers.chain(ADDED_COLUMNS)).map_err(io_error)?;
    let mut faults = faults.into_iter().peekable();
    let mut next = next_refused(&mut faults)?;
    sheet.each(|row| {
        let Some((number, codes, sentences)) = &next else { return Ok(ControlFlow::Break(())) };
        if row.number == *number {
            let number = number.to_string();
            let cells = kept
                .iter()
                .map(|c| row.cells.get(*c).map_or(Cow::Borrowed(""), |cell| spelled(cell, sheet.columns.dates[*c])));
            let added = [number.as_str(), codes, sentences];
            let surplus = row.surplus.iter().map(Cell::text);
            let beyond = added.into_iter().chain(surplus).map(Cow::Borrowed);
            writer.write_record(cells.chain(beyond).map(Cow::into_owned)).map_err(io_error)?;
            next = next_refused(&mut faults)?;
        }
        Ok::<_, E>(ControlFlow::Continue(()))
    })?;
    writer.flush()?;
    Ok(())
}

/// A cell as CSV can carry it: a number that has lost digits stays recognisable as one, and what a spreadsheet means as a
/// date is one.
fn spelled(cell: &Cell, is_date: bool) -> Cow<'_, str> {
    match cell {
        Cell::Number { text, serial: Some(number) } if is_date => {
            day(text, Some(*number)).map_or(Cow::Borrowed(text), |date| Cow::Owned(date.to_string()))
        }
        Cell::Number { serial: Some(number), .. } if number.abs() >= Cell::EXACT => Cow::Owned(scientific(*number)),
        _ => Cow::Borrowed(cell.text()),
    }
}

/// Whether a header is one of those that a CSV of refused rows brings back.
pub fn is_added(header: &str) -> bool {
    ADDED_COLUMNS.contains(&header.trim())
}

/// The next row that has an error, with all its codes and sentences; rows that have warnings only are passed over.
fn next_refused<E>(
    faults: &mut std::iter::Peekable<impl Iterator<Item = Result<FaultRow, E>>>,
) -> Result<Option<(u64, String, String)>, E> {
    while let Some(first) = faults.next() {
        let mut of_row = vec![first?];
        while let Some(next) = faults.next_if(|f| f.as_ref().is_ok_and(|f| f.row == of_row[0].row)) {
            of_row.push(next?);
        }
        if of_row.iter().any(|f| f.code.starts_with('E')) {
            let codes: Vec<&str> = of_row.iter().map(|f| f.code.as_str()).collect();
            let sentences: Vec<String> = of_row
                .iter()
                .map(|f| {
                    f.column.as_ref().map_or_else(|| f.message.clone(), |c| format!("{}：{}", c.trim(), f.message))
                })
                .collect();
            return Ok(Some((of_row[0].row, codes.join("；"), sentences.join("；"))));
        }
    }
    Ok(None)
}

fn io_error(error: csv::Error) -> io::Error {
    io::Error::other(error)
}

fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(width(text))))
}

/// Columns of a terminal that a text takes: two for each character of the wide scripts.
fn width(text: &str) -> usize {
    text.chars().map(|c| if ('\u{1100}'..='\u{115F}').contains(&c) || c >= '\u{2E80}' { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failed {
        #[error(transparent)]
        Io(#[from] io::Error),
        #[error(transparent)]
        File(#[from] NotAnUpload),
    }

    fn receipt() -> Receipt {
        Receipt {
            file: "示例.csv".into(),
            kind: "penalty".into(),
            layout: "code".into(),
            encoding: "gb18030".into(),
            counts: Counts { read: 3, published: 1, skipped: 0, warned: 0, refused: 2 },
            unknown_columns: vec!["DFBM".into()],
            hold: None,
            withdrawal: None,
            said: None,
        }
    }

    fn fault(row: u64, column: Option<&str>, code: &str) -> FaultRow {
        FaultRow { row, column: column.map(str::to_owned), code: code.into(), message: "示例".into() }
    }

    #[test]
    fn the_json_has_the_members_that_scripts_rely_on() {
        let mut out = Vec::new();
        let faults = [fault(1, Some("CF_WSH"), "E101"), fault(2, None, "E301")];
        receipt().json(faults.into_iter().map(Ok::<_, io::Error>), &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        for member in
            ["file", "kind", "layout", "encoding", "read", "published", "skipped", "warned", "refused", "faults"]
        {
            assert!(json.get(member).is_some(), "{member}");
        }
        assert_eq!(json["faults"][1], serde_json::json!({"row": 2, "column": null, "code": "E301", "message": "示例"}));
        let mut out = Vec::new();
        receipt().json([] as [Result<FaultRow, io::Error>; 0], &mut out).unwrap();
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap()["faults"], serde_json::json!([]));
    }

    #[test]
    fn refused_rows_come_back_as_they_came_and_may_be_sent_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "标题,,\n企业名称,统一社会信用代码,DFBM\n 示例一,x,\"a,b\"\n示例二,,\n示例三,z,\n";
        std::fs::write(file.path(), text).unwrap();
        let kinds = crate::statement::Kinds::builtin().unwrap();
        let kind = kinds.newest("registration").unwrap();
        let sheet = crate::import::open(file.path(), kind).unwrap();
        let code = Some("统一社会信用代码");
        let faults =
            || [fault(1, code, "E201"), fault(1, None, "E102"), fault(2, code, "W201"), fault(3, code, "E202")];
        let mut out = Vec::new();
        refused_rows::<Failed>(&sheet, faults().into_iter().map(Ok), &mut out).unwrap();
        let expected = "\u{feff}企业名称,统一社会信用代码,DFBM,行号,错误代码,错误说明\r\n\
                        \x20示例一,x,\"a,b\",1,E201；E102,统一社会信用代码：示例；示例\r\n\
                        示例三,z,,3,E202,统一社会信用代码：示例\r\n";
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
        std::fs::write(file.path(), out).unwrap();
        let again = crate::import::open(file.path(), kind).unwrap();
        assert_eq!((again.rows, again.columns.unknown()), (2, vec!["DFBM".to_owned()]));
        let mut out = Vec::new();
        refused_rows::<Failed>(&again, [fault(1, code, "E201")].into_iter().map(Ok), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap().lines().next(),
            expected.lines().next(),
            "the columns are not doubled"
        );
    }

    #[test]
    fn a_row_with_cells_beyond_the_header_comes_back_with_them() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "企业名称,统一社会信用代码\n示例,一,x\n").unwrap();
        let kinds = crate::statement::Kinds::builtin().unwrap();
        let kind = kinds.newest("registration").unwrap();
        for _ in 0..2 {
            let sheet = crate::import::open(file.path(), kind).unwrap();
            let mut out = Vec::new();
            refused_rows::<Failed>(&sheet, [Ok(fault(1, None, "E102"))], &mut out).unwrap();
            std::fs::write(file.path(), out).unwrap();
            let again = crate::import::open(file.path(), kind).unwrap();
            again
                .each(|row| {
                    assert_eq!((row.cells[1].text(), &row.surplus[..]), ("一", &[Cell::from("x")][..]));
                    Ok::<_, Failed>(ControlFlow::Continue(()))
                })
                .unwrap();
        }
    }

    #[test]
    fn a_spoiled_code_is_as_spoiled_when_it_is_sent_again() {
        let number = |number: f64| Cell::number(number);
        assert_eq!(spelled(&number(913101071323334300.0), false), "9.13101071323334E+17");
        assert_eq!(spelled(&number(45356.0), true), "2024-03-05");
        assert_eq!(spelled(&number(45356.0), false), "45356");
        assert_eq!(spelled(&number(20240305.0), true), "2024-03-05");
        assert_eq!(spelled(&Cell::from("45356"), true), "45356");
    }

    #[test]
    fn the_table_says_how_many_more_there_are() {
        let faults: Vec<FaultRow> = (1..=25).map(|n| fault(n, Some("处罚类别"), "E103")).collect();
        let mut out = Vec::new();
        receipt().table(&faults, 100, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("已共享 1") && text.contains("退回 2") && text.contains("DFBM"), "{text}");
        assert!(text.contains("另有 105 条"), "{text}");
    }
}
