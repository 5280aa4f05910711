//! XML: any root, a child a row, an element of it a cell, named by its column.
//!
//! Nothing is expanded: a document type is refused, and of references only the five of XML itself and characters by
//! number are known, so a small file cannot grow into a large one.

use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::decode::{AllowanceUsedUp, Encoding, Text};
use super::{Cell, MAX_COLUMNS, MAX_ROW, NotAnUpload};

const BUFFER: usize = 64 * 1024;
/// Root, row, cell, and whatever marks up a cell's text.
const MAX_DEPTH: usize = 16;

/// Calls back with the cells of each row.
pub(super) fn rows(
    path: &Path,
    encoding: Encoding,
    each: &mut dyn FnMut(Vec<(String, Cell)>) -> Result<ControlFlow<()>, NotAnUpload>,
) -> Result<(), NotAnUpload> {
    let text = Text::open(path, encoding)?;
    let allowance = text.allowance();
    allowance.set(MAX_ROW + BUFFER);
    let mut reader = Reader::from_reader(BufReader::with_capacity(BUFFER, text));
    reader.config_mut().expand_empty_elements = true;
    let damaged = |offset: u64, reason: String| {
        NotAnUpload::damaged("XML", &format!("near offset {offset} of its text: {reason}"))
    };
    let (mut depth, mut number, mut root_closed) = (0, 0u64, false);
    let (mut buffer, mut row, mut cell, mut bytes) = (Vec::new(), Vec::new(), String::new(), 0);
    loop {
        buffer.clear();
        let event = match reader.read_event_into(&mut buffer) {
            Ok(event) => event,
            Err(quick_xml::Error::Io(e)) if e.get_ref().is_some_and(|e| e.is::<AllowanceUsedUp>()) => {
                return Err(NotAnUpload::RowTooLong { line: number + 1 });
            }
            Err(e) => return Err(damaged(reader.error_position(), e.to_string())),
        };
        match event {
            Event::Start(_) if root_closed => {
                return Err(damaged(reader.buffer_position(), "a second root".into()));
            }
            Event::Start(element) => {
                depth += 1;
                match depth {
                    2 => {
                        number += 1;
                        bytes = 0;
                        allowance.set(MAX_ROW + BUFFER);
                    }
                    3 if row.len() == MAX_COLUMNS => return Err(NotAnUpload::TooManyColumns { line: number }),
                    3 => {
                        let name: String = element.local_name().as_ref().to_owned();
                        if row.iter().any(|(other, _)| *other == name) {
                            return Err(damaged(reader.buffer_position(), format!("<{name}> stands twice in a row")));
                        }
                        row.push((name, Cell::Blank));
                    }
                    MAX_DEPTH.. => return Err(damaged(reader.buffer_position(), "nested too deep".into())),
                    _ => {}
                }
            }
            Event::End(_) => {
                match depth {
                    3 => {
                        if let Some((_, value)) = row.last_mut() {
                            *value = Cell::from(cell.as_str());
                        }
                        cell.clear();
                    }
                    2 if each(std::mem::take(&mut row))?.is_break() => return Ok(()),
                    1 => root_closed = true,
                    _ => {}
                }
                depth -= 1;
            }
            Event::Text(text) if depth >= 3 => cell.push_str(&text.xml10_content()),
            Event::CData(text) if depth >= 3 => cell.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) if depth >= 3 => match resolve(&reference) {
                Some(c) => cell.push(c),
                None => return Err(damaged(reader.buffer_position(), "an unknown reference".into())),
            },
            Event::DocType(_) => return Err(damaged(reader.buffer_position(), "a document type is not taken".into())),
            Event::Eof if depth > 0 || !root_closed => {
                return Err(damaged(reader.buffer_position(), "it ends before its root does".into()));
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
        bytes += buffer.len();
        if depth >= 2 && bytes > MAX_ROW {
            return Err(NotAnUpload::RowTooLong { line: number });
        }
    }
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    match reference.as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> Result<Vec<Vec<(String, String)>>, NotAnUpload> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        rows(file.path(), Encoding::Utf8, &mut |cells| {
            out.push(cells.into_iter().map(|(name, cell)| (name, cell.text().to_owned())).collect());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(out)
    }

    #[test]
    fn an_element_that_stands_twice_in_a_row_is_refused() {
        assert!(read("<d><r><a>1</a></r><r><a>2</a></r></d>").is_ok());
        for row in ["<a>1</a><a>2</a>", "<a/><b/><x:a xmlns:x='x'/>"] {
            let refused = read(&format!("<d><r>{row}</r></d>"));
            assert!(matches!(refused, Err(NotAnUpload::Damaged { .. })), "{row}");
        }
    }

    #[test]
    fn children_of_the_root_are_rows() {
        let rows = read(
            "<?xml version='1.0' encoding='GBK'?><!-- 示例 --><d:data xmlns:d='x'>\n<row><CF_WSH>a&lt;b&#x4e2d;</CF_WSH><BZ/></row>\
             <item><CF_WSH><![CDATA[<1>]]></CF_WSH></item><row/></d:data>\n",
        )
        .unwrap();
        assert_eq!(rows[0], [("CF_WSH".to_owned(), "a<b中".to_owned()), ("BZ".to_owned(), String::new())]);
        assert_eq!(rows[1], [("CF_WSH".to_owned(), "<1>".to_owned())]);
        assert!(rows[2].is_empty());
    }

    #[test]
    fn what_expands_or_breaks_off_is_refused() {
        for bad in [
            "<!DOCTYPE x [<!ENTITY a 'aaaa'>]><x><r><c>&a;</c></r></x>",
            "<x><r><c>&a;</c></r></x>",
            "<x><r><c>1</c></r>",
            "<x><r><c>1</r></c></x>",
            "<x/><y/>",
            "<x><r",
            "",
        ] {
            assert!(matches!(read(bad), Err(NotAnUpload::Damaged { .. })), "{bad}");
        }
        let deep = format!("<x>{}{}</x>", "<r>".repeat(20), "</r>".repeat(20));
        assert!(matches!(read(&deep), Err(NotAnUpload::Damaged { .. })));
    }

    #[test]
    fn a_row_that_never_ends_is_refused() {
        let cell = "y".repeat(1000);
        let cells: String = (0..400).map(|n| format!("<c{n}>{cell}</c{n}>")).collect();
        let long = format!("<x><r>{cells}</r></x>");
        assert!(matches!(read(&long), Err(NotAnUpload::RowTooLong { line: 1 })));
        let long = format!("<x><r><c>{}", "y".repeat(4 * MAX_ROW));
        assert!(matches!(read(&long), Err(NotAnUpload::RowTooLong { .. })));
        let many = format!("<x>{}</x>", format!("<r><c>{cell}</c></r>").repeat(1000));
        assert_eq!(read(&many).unwrap().len(), 1000);
    }
}
