//! What would tell who a natural person is, hidden where it stands inside of other text.

use crate::record::identifier::is_resident_id;
use crate::record::name::half_width;

use super::person::is_dot;

/// Digits of a resident id before its check character.
const BODY: usize = 17;
/// Behind an owner's resident id a tax number has so many more digits.
const MORE_DIGITS: usize = 2;

/// The text with a `*` for each character of a resident id in it; None where there is none.
pub fn resident_ids(text: &str) -> Option<String> {
    let has_so_many_digits =
        |least: usize| text.chars().filter(|c| half_width(*c).is_ascii_digit()).nth(least - 1).is_some();
    if text.len() < BODY + 1 || !has_so_many_digits(BODY) {
        return None;
    }
    let mut chars: Vec<char> = text.chars().collect();
    let narrow: Vec<char> = chars.iter().map(|c| half_width(*c).to_ascii_uppercase()).collect();
    let (mut at, mut found) = (0, false);
    while at < narrow.len() {
        let run = narrow[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        let is_so_long = (BODY..=BODY + 1 + MORE_DIGITS).contains(&run);
        let number: String = narrow[at..].iter().take(BODY + 1).collect();
        if is_so_long && is_resident_id(&number) {
            let end = (at + run).max(at + BODY + 1);
            chars[at..end].fill('*');
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
    fn a_name_and_a_number_are_hidden_however_they_are_written() {
        assert_eq!(over("示某某与示 某 某", "示某某", 1), "示**与示****");
        assert_eq!(over("护照ｅ12345678号", "E12345678", 0), "护照*********号");
        assert_eq!(over("阿不都•示例来", "阿不都·示例", 1), "阿*****来");
        assert_eq!(over("无关", "示某某", 1), "无关");
        assert_eq!(over("无关", "", 1), "无关");
    }
}
