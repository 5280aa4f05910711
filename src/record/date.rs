//! Dates as offices write them.

use jiff::civil::Date;

/// Reads `2024-3-5`, `2024/3/5`, `2024.03.05`, `20240305` and `2024年3月5日`, in half width; a time of day of 0 o'clock
/// behind it, as spreadsheets add it, falls away. None where the text is no such date, or there is no such day.
pub fn parse(text: &str) -> Option<Date> {
    let text = without_midnight(text);
    let parts: Vec<&str> = if let Some(rest) = text.strip_suffix('日') {
        let (year, rest) = rest.split_once('年')?;
        let (month, day) = rest.split_once('月')?;
        vec![year, month, day]
    } else if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        vec![&text[..4], &text[4..6], &text[6..]]
    } else {
        let separator = text.chars().find(|c| matches!(c, '-' | '/' | '.'))?;
        text.split(separator).collect()
    };
    let [year, month, day] = parts[..] else { return None };
    self::day(year, month, day)
}

/// The canonical form of a body: `YYYY-MM-DD` and nothing else.
pub fn parse_canonical(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    let in_form = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-' && text.is_ascii();
    if in_form { day(&text[..4], &text[5..7], &text[8..]) } else { None }
}

/// Four digits, one or two, one or two. A year with leading zeros is a slip of the pen.
fn day(year: &str, month: &str, day: &str) -> Option<Date> {
    let year = number(year, 4..=4).filter(|year| *year >= 1000)?;
    Date::new(year, number(month, 1..=2)?.try_into().ok()?, number(day, 1..=2)?.try_into().ok()?).ok()
}

fn without_midnight(text: &str) -> &str {
    match text.split_once([' ', 'T']) {
        Some((date, time)) if !time.is_empty() && time.bytes().all(|b| matches!(b, b'0' | b':' | b'.')) => date,
        _ => text,
    }
}

fn number(text: &str, lengths: std::ops::RangeInclusive<usize>) -> Option<i16> {
    (lengths.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_date_means_the_same_day() {
        for text in [
            "2024-03-05",
            "2024-3-5",
            "2024/3/5",
            "2024.03.05",
            "20240305",
            "2024年3月5日",
            "2024年03月05日",
            "2024-03-05 00:00:00",
            "2024/3/5 0:00",
        ] {
            assert_eq!(parse(text).map(|d| d.to_string()).as_deref(), Some("2024-03-05"), "{text}");
        }
    }

    #[test]
    fn what_is_no_day_is_no_date() {
        for text in [
            "",
            "2024-02-30",
            "2023-02-29",
            "去年三月",
            "2024-13-01",
            "24-3-5",
            "2024-3",
            "2024/3-5",
            "2024-03-05 08:30",
            "2024年3月5",
            "+024-3-5",
            "2024-003-5",
            "202403051",
            "2024--3",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse_canonical("2024-3-5"), None);
        assert!(parse_canonical("2024-02-29").is_some());
    }
}
