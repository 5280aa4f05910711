//! What a file is, where its header stands, which rows are data; and what is no upload at all.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::super::xls_guard;
use super::*;
use crate::statement::Kinds;

/// The built-in kinds, read once: schemas take their time.
static KINDS: LazyLock<Kinds> = LazyLock::new(|| Kinds::builtin().unwrap());

fn open_as(kind: &str, bytes: &[u8]) -> Result<(Sheet, tempfile::NamedTempFile), NotAnUpload> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    open(file.path(), KINDS.newest(kind).unwrap()).map(|sheet| (sheet, file))
}

fn rows(sheet: &Sheet) -> Vec<(u64, Vec<String>)> {
    let mut out = Vec::new();
    sheet
        .each(|row| {
            out.push((row.number, row.cells.iter().map(|c| c.text().to_owned()).collect()));
            Ok::<_, NotAnUpload>(ControlFlow::Continue(()))
        })
        .unwrap();
    out
}

fn layout(sheet: &Sheet, kind: &str) -> String {
    KINDS.newest(kind).unwrap().layouts[sheet.columns.layout].name.clone()
}

#[test]
fn the_header_stands_below_titles_and_rows_are_counted_without_blanks_and_explanations() {
    let text = "登记注册示例,,\n填报说明：示例,,\n,,\n*企业名称,统一社会信用代码（*）,DFBM\n表格说明,,\n\n示例一,x,1\n , ,\n填报说明 2,,\n示例二,y,2\n";
    let (sheet, _file) = open_as("registration", text.replace("（*）", "").as_bytes()).unwrap();
    assert_eq!(sheet.columns.headers, ["*企业名称", "统一社会信用代码", "DFBM"]);
    assert_eq!(sheet.columns.unknown(), ["DFBM"]);
    assert_eq!((sheet.rows, layout(&sheet, "registration").as_str()), (2, "chinese"));
    let expected = [(1, vec!["示例一", "x", "1"]), (2, vec!["示例二", "y", "2"])];
    assert_eq!(rows(&sheet), expected.map(|(n, row)| (n, row.into_iter().map(str::to_owned).collect())));
}

#[test]
fn the_layout_that_knows_most_is_taken() {
    for (headers, expected) in [
        ("CF_XDR_MC,CF_XDR_SHXYM,CF_WSH,CF_WFXW,CF_CFLB", "code"),
        ("CF_XDR_MC,CF_XDR_SHXYM,CF_WSH,CF_CFMC,CF_CFLB1", "older"),
        ("行政相对人名称,行政相对人代码_1（统一社会信用代码）,处罚类别", "chinese"),
        // as many in both: the one that demands more
        ("CF_XDR_MC,CF_XDR_SHXYM,CF_WSH", "code"),
    ] {
        let (sheet, _file) = open_as("penalty", format!("{headers}\n1,2,3\n").as_bytes()).unwrap();
        assert_eq!(layout(&sheet, "penalty"), expected, "{headers}");
    }
}

#[test]
fn every_format_gives_the_same_rows() {
    let csv = "企业名称,统一社会信用代码,备注\n示例一,x,\n示例二,,1\n".as_bytes().to_vec();
    let (gb18030, _, _) = encoding_rs::GB18030.encode("企业名称,统一社会信用代码,备注\n示例一,x,\n示例二,,1\n");
    let json = "{\"企业名称\":\"示例一\",\"统一社会信用代码\":\"x\"}\n{\"备注\":\"1\",\"企业名称\":\"示例二\"}\n";
    let xml = "<数据><行><企业名称>示例一</企业名称><统一社会信用代码>x</统一社会信用代码></行><行><备注>1</备注><企业名称>示例二</企业名称></行></数据>";
    let mut workbook = rust_xlsxwriter::Workbook::new();
    workbook.add_worksheet().write(0, 0, "说明").unwrap();
    let page = workbook.add_worksheet();
    for (row, cells) in
        [["企业名称", "统一社会信用代码", "备注"], ["示例一", "x", ""], ["示例二", "", "1"]].iter().enumerate()
    {
        for (column, cell) in cells.iter().enumerate() {
            page.write(row as u32, column as u16, *cell).unwrap();
        }
    }
    let xlsx = workbook.save_to_buffer().unwrap();
    let xls = xls_guard::tests::workbook(&[
        (0, 0, Err("企业名称")),
        (0, 1, Err("统一社会信用代码")),
        (0, 2, Err("备注")),
        (1, 0, Err("示例一")),
        (1, 1, Err("x")),
        (2, 0, Err("示例二")),
        (2, 2, Err("1")),
    ]);
    for (bytes, encoding) in [
        (csv.clone(), "utf-8"),
        ([b"\xEF\xBB\xBF".to_vec(), csv].concat(), "utf-8-sig"),
        (gb18030.into_owned(), "gb18030"),
        (json.into(), "utf-8"),
        (xml.into(), "utf-8"),
        (xlsx, "xlsx"),
        (xls, "xls"),
    ] {
        let (sheet, _file) = open_as("registration", &bytes).unwrap();
        assert_eq!(sheet.encoding(), encoding);
        assert_eq!(sheet.rows, 2);
        let expected = [(1, vec!["示例一", "x", ""]), (2, vec!["示例二", "", "1"])];
        assert_eq!(
            rows(&sheet),
            expected.map(|(n, row)| (n, row.into_iter().map(str::to_owned).collect())),
            "{encoding}"
        );
    }
}

#[test]
fn what_is_no_upload_gets_one_sentence_in_two_languages() {
    let header = "企业名称,统一社会信用代码\n";
    let long = format!("{header}\"{}", "x".repeat(600 * 1024));
    for bytes in [
        b"".to_vec(),
        b"\n\n".to_vec(),
        header.into(),
        "甲,乙\n1,2\n".into(),
        b"\x7FELF\x02\x01\x01\0\0\0".to_vec(),
        b"\xFF\xFEa\0,\0b\0".to_vec(),
        b"PK\x03\x04 truncated".to_vec(),
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec(),
        long.into(),
        b"<!DOCTYPE x><x/>".to_vec(),
        b"<html><body>x</body></html>".to_vec(),
        b"{\"a\":".to_vec(),
        b"a,b\n\xFF\xFF".to_vec(),
    ] {
        let sentence = open_as("registration", &bytes).map(|_| ()).unwrap_err().to_string();
        assert!(!sentence.contains('\n') && sentence.len() < 400, "{sentence}");
        assert!(sentence.contains('（') && !sentence.is_ascii(), "{sentence}");
    }
    let folder = tempfile::tempdir().unwrap();
    let kind = KINDS.newest("penalty").unwrap();
    assert!(matches!(open(folder.path(), kind), Err(NotAnUpload::NotAFile)));
    assert!(matches!(open(&folder.path().join("none.csv"), kind), Err(NotAnUpload::Unreadable(_))));
    assert!(matches!(open(folder.path(), KINDS.newest("descriptor").unwrap()), Err(NotAnUpload::NoLayout(_))));
}

#[test]
fn a_quote_that_swallows_rows_is_refused_with_its_line() {
    let header = "标题,,\n企业名称,统一社会信用代码,备注\n";
    let sound = format!("{header}示例一,x,\"一\n二\"\n示例二,y,\n");
    assert_eq!(open_as("registration", sound.as_bytes()).unwrap().0.rows, 2);
    let swallowed = format!("{header}示例一,\"x,\n示例二,y,\n示例三,z,\"\n示例四,w,\n");
    let sentence = open_as("registration", swallowed.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert!(sentence.contains("an unclosed quote near line 3"), "{sentence}");
}

#[test]
fn a_workbook_with_rows_on_two_sheets_is_refused_and_one_with_an_empty_form_is_not() {
    let workbook = |second_has_rows: bool| {
        let mut workbook = rust_xlsxwriter::Workbook::new();
        for (name, has_rows) in [("空表", false), ("一月", true), ("二月", second_has_rows)] {
            let page = workbook.add_worksheet().set_name(name).unwrap();
            page.write(0, 0, "企业名称").unwrap().write(0, 1, "统一社会信用代码").unwrap();
            if has_rows {
                page.write(1, 0, "示例").unwrap();
            }
        }
        workbook.save_to_buffer().unwrap()
    };
    assert_eq!(open_as("registration", &workbook(false)).unwrap().0.rows, 1);
    let sentence = open_as("registration", &workbook(true)).map(|_| ()).unwrap_err().to_string();
    assert!(sentence.contains("“一月” and “二月”"), "{sentence}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_bytes_make_a_reader_panic(
        start in prop::sample::select(vec![&b""[..], b"PK\x03\x04", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", b"<a><b>", b"{\"", b"\xEF\xBB\xBF",
            "企业名称,统一社会信用代码\n".as_bytes()]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        if let Ok((sheet, _file)) = open_as("registration", &[start, &rest[..]].concat()) {
            prop_assert_eq!(rows(&sheet).len() as u64, sheet.rows);
        }
    }
}
