//! The sheet that a batch check writes: CSV or XLSX, complete or not there at all.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use kaopu::import::Cell;
use rust_xlsxwriter::{Workbook, Worksheet};

/// Longer texts no spreadsheet takes into a cell.
const MOST: usize = 32_767;

/// A cell to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, codes among them: nothing is made of it.
    Text(String),
    /// A number.
    Number(f64),
}

/// The sheet.
pub enum Out {
    /// CSV in UTF-8 behind a byte order mark, without which Excel would not read it as such.
    Csv(Box<csv::Writer<File>>),
    /// XLSX.
    Xlsx(Box<Worksheet>, u32),
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A cell as it came. A code stays text, whatever it looks like.
    pub fn of(cell: &Cell, is_code: bool) -> Self {
        match cell {
            Cell::Number { text, serial: Some(value) } if !is_code && text.parse() == Ok(*value) => {
                Self::Number(*value)
            }
            cell => Self::text(cell.text()),
        }
    }

    /// As CSV has it. A text that a spreadsheet would take for a formula gets an apostrophe before it.
    fn of_csv(&self) -> String {
        match self {
            Self::Number(value) => value.to_string(),
            Self::Text(text) if text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']) => {
                format!("'{text}")
            }
            Self::Text(text) => text.clone(),
        }
    }
}

impl Out {
    /// Begins it with its header.
    pub fn new(path: &Path, headers: &[&str]) -> anyhow::Result<Self> {
        let is_xlsx = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xlsx"));
        let mut out = if is_xlsx {
            Self::Xlsx(Box::new(Worksheet::new()), 0)
        } else {
            let part = part(path);
            let mut file = File::create(&part).with_context(|| format!("{} cannot be written", part.display()))?;
            file.write_all(b"\xEF\xBB\xBF")?;
            let writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
            Self::Csv(Box::new(writer))
        };
        out.row(headers.iter().map(|header| Value::text(header)))?;
        Ok(out)
    }

    /// Adds a row.
    pub fn row(&mut self, values: impl Iterator<Item = Value>) -> anyhow::Result<()> {
        match self {
            Self::Csv(writer) => writer.write_record(values.map(|value| value.of_csv()))?,
            Self::Xlsx(sheet, row) => {
                for (column, value) in (0_u16..).zip(values) {
                    match value {
                        Value::Number(number) => sheet.write_number(*row, column, number)?,
                        Value::Text(text) if text.is_empty() => continue,
                        Value::Text(text) => {
                            let text: String = text.chars().take(MOST).collect();
                            sheet.write_string(*row, column, text)?
                        }
                    };
                }
                *row += 1;
            }
        }
        Ok(())
    }

    /// That was all: only now a file of this name is there.
    pub fn finish(self, path: &Path) -> anyhow::Result<()> {
        let part = part(path);
        match self {
            Self::Csv(mut writer) => writer.flush()?,
            Self::Xlsx(sheet, _) => {
                let mut workbook = Workbook::new();
                workbook.push_worksheet(*sheet);
                workbook.save(&part).with_context(|| format!("{} cannot be written", part.display()))?;
            }
        }
        std::fs::rename(&part, path).with_context(|| format!("{} cannot be written", path.display()))
    }
}

fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"] {
            assert_eq!(Value::text(text).of_csv(), format!("'{text}"));
        }
        assert_eq!(Value::text("示例=1").of_csv(), "示例=1");
        assert_eq!(Value::Number(-1.0).of_csv(), "-1");
        let number = Cell::Number { text: "913405".to_owned(), serial: Some(913_405.0) };
        assert_eq!(
            (Value::of(&number, true), Value::of(&number, false)),
            (Value::text("913405"), Value::Number(913_405.0))
        );
    }
}
