//! Names as they are looked up: brackets and width folded; and as they are shown.

use std::borrow::Cow;

/// The name as it is compared: half width, round brackets for every kind of bracket, lower case, no white space.
pub fn fold(name: &str) -> String {
    name.chars()
        .map(half_width)
        .filter(|c| !c.is_whitespace() && !matches!(c, '\u{FEFF}' | '\u{200B}'..='\u{200D}'))
        .flat_map(char::to_lowercase)
        .map(round_bracket)
        .collect()
}

/// The text with the characters spelt out that turn the direction of what follows or steer a terminal: a name that has one
/// could read like another's, in a report that somebody holds against their papers.
pub fn plain(text: &str) -> Cow<'_, str> {
    let steers = |c: char| match c {
        '\n' | '\t' => false,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control(),
    };
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let spelt = |c: char| if steers(c) { format!("〔U+{:04X}〕", u32::from(c)) } else { c.to_string() };
    Cow::Owned(text.chars().map(spelt).collect())
}

/// A character in half width, where it has one.
pub fn half_width(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        _ => c,
    }
}

fn round_bracket(c: char) -> char {
    match c {
        '[' | '{' | '【' | '〔' | '〖' | '〈' | '《' | '「' | '『' => '(',
        ']' | '}' | '】' | '〕' | '〗' | '〉' | '》' | '」' | '』' => ')',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_is_shown_turns_around_or_steers() {
        assert_eq!(plain("示例\u{202E}司公限有\u{1b}[2J\r"), "示例〔U+202E〕司公限有〔U+001B〕[2J〔U+000D〕");
        assert!(matches!(plain("示例\n\t有限公司"), Cow::Borrowed(_)));
    }

    #[test]
    fn names_that_differ_in_width_and_brackets_alone_are_found_together() {
        let plain = fold("示例(上海)ABC有限公司");
        for name in ["示例（上海）ABC有限公司", "示例【上海】ａｂｃ有限公司", " 示例 (上海) abc 有限公司\u{3000}"]
        {
            assert_eq!(fold(name), plain, "{name}");
        }
        assert_ne!(fold("示例上海ABC有限公司"), plain);
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(name in ".{0,60}") {
            let once = fold(&name);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
