//! A cell as it came.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

/// A cell as it came, before anything is mended.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Cell {
    /// Nothing.
    #[default]
    Blank,
    /// Text.
    Text(String),
    /// A number, of a spreadsheet or of JSON.
    Number {
        /// As it is written out; a date where the cell is formatted as one.
        text: String,
        /// The number of a spreadsheet's cell, days where it means a date (1900 system); None in JSON.
        serial: Option<f64>,
    },
}

impl Cell {
    /// A number of this size has lost digits on its way through a spreadsheet.
    pub(super) const EXACT: f64 = 1e15;

    /// The text, empty for a blank cell.
    pub fn text(&self) -> &str {
        match self {
            Self::Blank => "",
            Self::Text(text) | Self::Number { text, .. } => text,
        }
    }

    /// Nothing, or white space.
    pub fn is_blank(&self) -> bool {
        self.text().chars().all(char::is_whitespace)
    }

    /// A number of a spreadsheet.
    pub(super) fn number(value: f64) -> Self {
        Self::Number { text: value.to_string(), serial: Some(value) }
    }

    /// A number of JSON. One of more digits than a machine's number carries is written so that nobody takes it for exact.
    pub(super) fn of_json(value: f64) -> Self {
        let text = value.to_string();
        let digits = text.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
        let text = if digits > 15 { scientific(value) } else { text };
        Self::Number { text, serial: None }
    }

    /// A number formatted as a date.
    pub(super) fn dated(serial: f64) -> Self {
        let text = date_of_serial(serial).map_or_else(|| serial.to_string(), |date| date.to_string());
        Self::Number { text, serial: Some(serial) }
    }
}

/// A number as Excel writes it where it has not room for all digits, `9.13E+17`: fifteen digits count.
pub(super) fn scientific(value: f64) -> String {
    let text = format!("{value:.14E}");
    let Some((mantissa, exponent)) = text.split_once('E') else { return text };
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}E{sign}{exponent}")
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self::Blank } else { Self::Text(text.to_owned()) }
    }
}

/// The date of a spreadsheet's serial number in the 1900 system. There, serial 60 is a 29 February 1900 that never was
/// (ECMA-376 part 1, 18.17.4.1), so the days before it count from one day later.
pub fn date_of_serial(serial: f64) -> Option<Date> {
    if !(1.0..2_958_466.0).contains(&serial) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above, and the time of day is meant to fall away")]
    let days = serial.floor() as i64;
    let epoch = match days {
        ..60 => date(1899, 12, 31),
        60 => return None,
        _ => date(1899, 12, 30),
    };
    epoch.checked_add(days.days()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_the_dates_that_a_spreadsheet_shows() {
        for (serial, expected) in [
            (1.0, Some(date(1900, 1, 1))),
            (59.0, Some(date(1900, 2, 28))),
            (60.0, None),
            (61.0, Some(date(1900, 3, 1))),
            (45356.0, Some(date(2024, 3, 5))),
            (45356.75, Some(date(2024, 3, 5))),
            (2_958_465.0, Some(date(9999, 12, 31))),
            (0.0, None),
            (-1.0, None),
            (2_958_466.0, None),
            (f64::NAN, None),
        ] {
            assert_eq!(date_of_serial(serial), expected, "{serial}");
        }
    }

    #[test]
    fn a_number_is_written_as_excel_does() {
        for (value, expected) in
            [(913101071323334300.0, "9.13101071323334E+17"), (9e17, "9E+17"), (-1.5e-7, "-1.5E-7"), (f64::NAN, "NaN")]
        {
            assert_eq!(scientific(value), expected);
        }
    }

    #[test]
    fn white_space_is_blank() {
        assert!(Cell::Blank.is_blank());
        assert!(Cell::from(" \u{3000}\t").is_blank());
        assert!(!Cell::from("--").is_blank());
        assert!(!Cell::number(0.0).is_blank());
    }
}
