//! What is mended silently: white space, width, brackets around a year, the ways to write a date. Everything here is
//! idempotent, and none of it guesses.

/// The text without white space around it and without control characters and noncharacters, which no statement may hold: a
/// line break or tab inside becomes a space, others fall away. None for the ways in which nothing is written.
pub fn text(came: &str) -> Option<String> {
    let trimmed = came.trim_matches(is_space);
    if is_null(trimmed) {
        return None;
    }
    if !trimmed.contains(has_no_place) {
        return Some(trimmed.to_owned());
    }
    let one_line = trimmed.replace("\r\n", " ");
    let plain: String = one_line
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t' | '\u{0B}' | '\u{0C}' | '\u{85}') { ' ' } else { c })
        .filter(|c| !has_no_place(*c))
        .collect();
    // what stood around a control character may be white space or null once that is gone
    if plain == trimmed { Some(plain) } else { text(&plain) }
}

/// Control characters, and the code points that Unicode will never assign.
fn has_no_place(c: char) -> bool {
    c.is_control() || matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE
}

/// What codes, numbers and dates are read from: the text in half width and upper case.
pub fn narrow(text: &str) -> String {
    let folded: String = text
        .chars()
        .map(|c| match c {
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
            '\u{3000}' => ' ',
            _ => c,
        })
        .map(|c| c.to_ascii_uppercase())
        .collect();
    folded.trim_matches(is_space).to_owned()
}

/// A 文号 with the brackets around its year made 〔 〕, and nothing else of it touched.
pub fn document_number(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        if let Some(window) = chars.get(at..at + 6)
            && matches!(window[0], '[' | '(' | '（' | '【' | '〔')
            && matches!(window[5], ']' | ')' | '）' | '】' | '〕')
            && is_year(&window[1..5])
        {
            out.push('〔');
            out.extend(&window[1..5]);
            out.push('〕');
            at += 6;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Whether this is how Excel writes out a code that it took for a number: `9.13E+17`.
pub fn is_spoiled_by_excel(narrow: &str) -> bool {
    let Some((mantissa, exponent)) = narrow.split_once("E+") else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    digits(whole) && digits(fraction) && digits(exponent)
}

/// Whether this is what a spreadsheet shows where a formula failed.
pub fn is_failed_formula(text: &str) -> bool {
    matches!(
        text,
        "#REF!" | "#N/A" | "#VALUE!" | "#DIV/0!" | "#NAME?" | "#NUM!" | "#NULL!" | "#DATA!" | "#GETTING_DATA"
    )
}

/// White space, and the marks of no width that come along with copied text.
fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{FEFF}' | '\u{200B}'..='\u{200D}' | '\u{2060}')
}

/// Empty, `— —`, `--`, `N/A`, `无`, `NULL`; with or without the space between the dashes, in either case and width.
fn is_null(trimmed: &str) -> bool {
    match trimmed {
        "" | "— —" | "——" | "--" | "无" => true,
        _ if trimmed.chars().count() <= 4 => {
            matches!(narrow(trimmed).as_str(), "N/A" | "NULL" | "--" | "")
        }
        _ => false,
    }
}

/// 1900 to 2099, in digits: `(1234)` in a number is no year.
fn is_year(window: &[char]) -> bool {
    window.iter().all(char::is_ascii_digit) && matches!(window[..2], ['1', '9'] | ['2', '0'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn white_space_of_either_width_falls_away_around_a_text() {
        assert_eq!(text("  示例 公司\u{3000}").as_deref(), Some("示例 公司"));
        assert_eq!(text("\u{feff}示例\u{200b}\n").as_deref(), Some("示例"));
    }

    #[test]
    fn nothing_is_written_in_many_ways() {
        for null in ["", " ", "\u{3000}", "— —", " —— ", "--", "N/A", "n/a", "Ｎ／Ａ", "无", "NULL", "null", "\u{1}"]
        {
            assert_eq!(text(null), None, "{null:?}");
        }
        for value in ["无锡", "-", "0", "NULLA", "无 无"] {
            assert!(text(value).is_some(), "{value:?}");
        }
    }

    #[test]
    fn a_text_keeps_its_brackets_and_loses_its_line_breaks() {
        assert_eq!(text("示例(上海)有限公司（分）").as_deref(), Some("示例(上海)有限公司（分）"));
        assert_eq!(text("一、罚款\r\n二、没收\t无\u{7}").as_deref(), Some("一、罚款 二、没收 无"));
    }

    #[test]
    fn only_the_brackets_around_a_year_are_mended() {
        for (came, mended) in [
            ("普市监罚决[2024]1号", "普市监罚决〔2024〕1号"),
            ("普市监罚决（2024）第(3)号", "普市监罚决〔2024〕第(3)号"),
            ("普市监罚决【2024]1号", "普市监罚决〔2024〕1号"),
            ("普(示例)罚决(2024)1号", "普(示例)罚决〔2024〕1号"),
            ("普罚决〔2024〕1号", "普罚决〔2024〕1号"),
            ("普罚决[1234]1号", "普罚决[1234]1号"),
            ("普罚决[ 2024 ]1号", "普罚决[ 2024 ]1号"),
            ("(2024", "(2024"),
        ] {
            assert_eq!(document_number(came), mended);
        }
    }

    #[test]
    fn excels_way_to_write_a_code_is_known() {
        for spoiled in ["9.13E+17", "9E+17", "3.20404E+14"] {
            assert!(is_spoiled_by_excel(spoiled), "{spoiled}");
        }
        for code in ["91340500MA2N6MUW74", "E+17", "9.E+17", "9.13E+", "1.5"] {
            assert!(!is_spoiled_by_excel(code), "{code}");
        }
    }

    proptest! {
        #[test]
        fn mending_is_idempotent(came in "(.|[\\u{0}-\\u{20}\\u{7f}-\\u{a0}\\u{fdc8}-\\u{fdf7}\\u{fff8}-\\u{ffff}]){0,40}") {
            if let Some(once) = text(&came) {
                prop_assert_eq!(text(&once), Some(once.clone()));
                prop_assert_eq!(crate::statement::json::check_text(&once), Ok(()), "a statement may hold it");
            }
            let once = narrow(&came);
            prop_assert_eq!(narrow(&once), once);
        }

        #[test]
        fn mending_a_number_is_idempotent(came in "[\\[(（【〔\\])）】〕0-9号]{0,30}") {
            let once = document_number(&came);
            prop_assert_eq!(document_number(&once), once);
        }
    }
}
