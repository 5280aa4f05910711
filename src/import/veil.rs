//! What would tell who a natural person is, hidden where it stands inside of other text.

use crate::record::identifier::{is_resident_id, reads_like_an_old_resident_id};
use crate::record::name::half_width;

use super::person::is_dot;

/// Digits of a resident id before its check character.
const BODY: usize = 17;
/// Behind an owner's resident id a tax number has so many more digits.
const MORE_DIGITS: usize = 2;
/// Digits of a resident id as they were given until 1999.
const OLD: usize = 15;
/// What stands so many characters before a number says what it is.
const SAYS_WHAT: usize = 8;

/// The text with a `*` for each character of a resident id in it; None where there is none.
pub fn resident_ids(text: &str) -> Option<String> {
    masked(text, BODY, |_, narrow, run| resident_id(narrow, run))
}

/// The same for text in which old numbers, of 15 digits and without a check digit, are hidden as well. One that is said to
/// be a registration number is none.
pub fn resident_ids_old_ones_too(text: &str) -> Option<String> {
    masked(text, OLD, |before, narrow, run| resident_id(narrow, run).or_else(|| old_resident_id(before, narrow, run)))
}

/// How long the resident id is that begins where so many digits do, with the rest of a tax number behind it.
fn resident_id(narrow: &[char], run: usize) -> Option<usize> {
    let number: String = narrow.iter().take(BODY + 1).collect();
    let is_one = (BODY..=BODY + 1 + MORE_DIGITS).contains(&run) && is_resident_id(&number);
    is_one.then(|| run.max(BODY + 1))
}

fn old_resident_id(before: &[char], narrow: &[char], run: usize) -> Option<usize> {
    let is_one = run == OLD && reads_like_an_old_resident_id(&narrow[..OLD].iter().collect::<String>());
    let words: String = before[before.len().saturating_sub(SAYS_WHAT)..].iter().collect();
    (is_one && !words.contains("注册号")).then_some(OLD)
}

/// Masks what `length` finds where a run of digits begins: it is given what stands before, the digits in half width and
/// what follows them, and how many there are. Text of fewer digits than `least` is passed over.
fn masked(text: &str, least: usize, length: impl Fn(&[char], &[char], usize) -> Option<usize>) -> Option<String> {
    let has_enough = || text.chars().filter(|c| half_width(*c).is_ascii_digit()).nth(least - 1).is_some();
    if text.len() < least || !has_enough() {
        return None;
    }
    let mut chars: Vec<char> = text.chars().collect();
    let narrow: Vec<char> = chars.iter().map(|c| half_width(*c).to_ascii_uppercase()).collect();
    let (mut at, mut found) = (0, false);
    while at < narrow.len() {
        let run = narrow[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if run > 0
            && let Some(length) = length(&narrow[..at], &narrow[at..], run)
        {
            chars[at..at + length].fill('*');
            found = true;
        }
        at += run.max(1);
    }
    found.then(|| chars.into_iter().collect())
}

/// The text with a `*` for each character of what is hidden but the first few, however it is spaced, in either width and
/// case.
pub fn over(text: &str, hidden: &str, kept: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    let hidden: Vec<char> = hidden.chars().filter(|c| !c.is_whitespace()).map(alike).collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let Some(length) = length_of(&hidden, &chars[at..]) else {
            out.push(chars[at]);
            at += 1;
            continue;
        };
        let shown = chars[at..at + length].iter().enumerate().map(|(n, c)| if n < kept { *c } else { '*' });
        out.extend(shown);
        at += length;
    }
    out
}

/// How much of a text's beginning is the hidden, with white space inside of it.
fn length_of(hidden: &[char], text: &[char]) -> Option<usize> {
    let mut at = 0;
    for (n, wanted) in hidden.iter().enumerate() {
        if n > 0 {
            at += text.get(at..)?.iter().take_while(|c| c.is_whitespace()).count();
        }
        if alike(*text.get(at)?) != *wanted {
            return None;
        }
        at += 1;
    }
    (at > 0).then_some(at)
}

fn alike(c: char) -> char {
    if is_dot(c) { '·' } else { half_width(c).to_ascii_uppercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resident_id_is_hidden_wherever_it_stands() {
        for (text, hidden) in [
            ("当事人（身份证11010519491231002x）", "当事人（身份证******************）"),
            ("１１０１０５１９４９１２３１００２Ｘ", "******************"),
            ("44052418800101001400", "44052418800101001400"),
            ("11010519491231002X", "******************"),
        ] {
            assert_eq!(resident_ids(text).unwrap_or_else(|| text.to_owned()), hidden);
        }
        for plain in ["统一社会信用代码91350100M000100Y43", "账号6222021001012345678", "2024年3月5日", ""]
        {
            assert_eq!(resident_ids(plain), None, "{plain}");
        }
    }

    #[test]
    fn an_old_resident_id_is_hidden_in_text_that_does_not_say_what_else_it_is() {
        for (text, hidden) in [
            ("身份证号340503600123456，住示例路", "身份证号***************，住示例路"),
            ("３４０５０３６００１２３４５６", "***************"),
            ("原340503600123456新11010519491231002X", "原***************新******************"),
        ] {
            assert_eq!(resident_ids_old_ones_too(text).as_deref(), Some(hidden));
        }
        for plain in ["工商注册号：340503600123456", "3405036001234567", "340503601323456", "电话0555-1234567", ""]
        {
            assert_eq!(resident_ids_old_ones_too(plain), None, "{plain}");
        }
        assert_eq!(resident_ids("340503600123456"), None);
    }

    #[test]
    fn a_name_and_a_number_are_hidden_however_they_are_written() {
        assert_eq!(over("示某某与示 某 某", "示某某", 1), "示**与示****");
        assert_eq!(over("护照ｅ12345678号", "E12345678", 0), "护照*********号");
        assert_eq!(over("阿不都•示例来", "阿不都·示例", 1), "阿*****来");
        assert_eq!(over("无关", "示某某", 1), "无关");
        assert_eq!(over("无关", "", 1), "无关");
    }
}
