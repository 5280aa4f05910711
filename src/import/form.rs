//! From a cell to a value: mended as its form allows, or the fault that keeps it from being one. What is wrong with a
//! value once it is one (its length, its date, its check digit) is the kind's to say.

use jiff::civil::Date;
use serde_json::Value;

use super::cell::date_of_serial;
use super::{Cell, mend};
use crate::record::amount::NotAnAmount;
use crate::record::identifier::{NotAUscc, UNKNOWN};
use crate::record::{Amount, FaultCode, Uscc, date};
use crate::statement::Digest;
use crate::statement::kind::{self, Code, Form, Member};

/// The sentence for what is no digest.
const NO_DIGEST: &str = "应填材料的摘要（43 个字符的 SHA-256，base64url），多个摘要以分号分隔";
/// So many digests may stand in one cell.
const MOST_DIGESTS: usize = 50;
/// The sentence for a code that a spreadsheet took for a number.
const SPOILED: &str = "代码被 Excel 存成了数字，请设为文本后重填";

/// What a cell says.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Nothing.
    Nothing,
    /// A value of the body.
    Value(Value),
    /// No value: its code, and a sentence where there is more to say than the code's own.
    Fault(FaultCode, Option<String>),
}

/// Reads a cell of a member's column in a layout.
pub fn read(member: &Member, layout: &str, cell: &Cell) -> Reading {
    let Some(text) = mend::text(cell.text()) else { return blank(member, layout) };
    if mend::is_failed_formula(&text) {
        return Reading::Fault(FaultCode::E103, Some(format!("公式出错（{text}），请填入数值或文字")));
    }
    let (is_number, serial) = match cell {
        Cell::Number { serial, .. } => (true, *serial),
        _ => (false, None),
    };
    // no text is made of a number that has lost digits, nor of one that was written so by a spreadsheet
    let lost_digits = serial.is_some_and(|number| number.abs() >= Cell::EXACT)
        || (text.len() < 64 && mend::is_spoiled_by_excel(&mend::narrow(&text)));
    let spoiled = || Reading::Fault(FaultCode::E201, Some(SPOILED.to_owned()));
    match &member.form {
        Form::Text | Form::Digest | Form::Digests | Form::DocumentNumber if lost_digits => spoiled(),
        Form::Text | Form::Digest => Reading::Value(text.into()),
        Form::Digests => digests(&text),
        Form::DocumentNumber => Reading::Value(mend::document_number(&text).into()),
        Form::Date => or_fault(day(&text, serial).map(|day| day.to_string().into()), FaultCode::E104),
        Form::Decimal { digits, fraction } => amount(&mend::narrow(&significant(text, serial)), *digits, *fraction),
        Form::Integer => integer(&mend::narrow(&text)),
        Form::Uscc | Form::Registration | Form::PersonId | Form::Identifier if is_number || lost_digits => spoiled(),
        Form::Uscc => uscc(mend::narrow(&text)),
        // only a 统一社会信用代码 has to say that it is unknown
        Form::Registration | Form::PersonId | Form::Identifier => match mend::narrow(&text) {
            code if code == UNKNOWN => Reading::Nothing,
            code => Reading::Value(code.into()),
        },
        Form::Boolean => match mend::narrow(&text).as_str() {
            "是" | "1" | "TRUE" => Reading::Value(true.into()),
            "否" | "0" | "FALSE" => Reading::Value(false.into()),
            _ => Reading::Fault(FaultCode::E103, None),
        },
        Form::Code(codes) => {
            let code =
                Form::code_of(codes, &text, layout).or_else(|| Form::code_of(codes, &mend::narrow(&text), layout));
            code.map_or_else(|| not_listed(codes, layout), listed)
        }
        Form::Codes(codes) => {
            let found = Form::codes_of(codes, &text, layout);
            let found = found.or_else(|| Form::codes_of(codes, &mend::narrow(&text), layout)).unwrap_or_default();
            match found.iter().find(|code| code.advice.is_some()) {
                Some(code) => listed(code),
                None if found.is_empty() => not_listed(codes, layout),
                None => Reading::Value(found.iter().map(|code| Value::from(code.value.as_str())).collect()),
            }
        }
    }
}

/// In some layouts a blank cell of a code list means one of its values.
fn blank(member: &Member, layout: &str) -> Reading {
    match &member.form {
        Form::Code(codes) => Form::code_of(codes, "", layout).map_or(Reading::Nothing, listed),
        _ => Reading::Nothing,
    }
}

fn listed(code: &Code) -> Reading {
    match &code.advice {
        Some(advice) => Reading::Fault(FaultCode::E103, Some(advice.clone())),
        None => Reading::Value(code.value.as_str().into()),
    }
}

fn not_listed(codes: &[Code], layout: &str) -> Reading {
    Reading::Fault(FaultCode::E103, Some(kind::not_listed(codes, layout)))
}

/// Each digest once, in the order in which they came.
fn digests(text: &str) -> Reading {
    let separates = |c: char| c.is_whitespace() || matches!(c, ';' | '；' | ',' | '，' | '、');
    let mut listed: Vec<&str> = Vec::new();
    for digest in text.split(separates).filter(|part| !part.is_empty()) {
        if digest.parse::<Digest>().is_err() {
            return Reading::Fault(FaultCode::E103, Some(NO_DIGEST.to_owned()));
        }
        if !listed.contains(&digest) {
            listed.push(digest);
        }
    }
    match listed.len() {
        0 => Reading::Nothing,
        1..=MOST_DIGESTS => Reading::Value(listed.into()),
        more => Reading::Fault(FaultCode::E102, Some(format!("填写了 {more} 个摘要，最多 {MOST_DIGESTS} 个"))),
    }
}

fn or_fault(value: Option<Value>, code: FaultCode) -> Reading {
    value.map_or(Reading::Fault(code, None), Reading::Value)
}

/// The serial numbers that are read as dates: 1949-10-01 to 2099-12-31. 2024 is a year, and no day of 1905.
const SERIALS: std::ops::RangeInclusive<f64> = 18172.0..=73050.999;

/// A date as departments write it, or the serial number of a spreadsheet's cell that is not formatted as a date.
pub(super) fn day(text: &str, serial: Option<f64>) -> Option<Date> {
    let serial = serial.filter(|serial| SERIALS.contains(serial));
    date::parse(&mend::narrow(text)).or_else(|| serial.and_then(date_of_serial))
}

/// The fifteen digits of a spreadsheet's number that count: 0.1 + 0.2 is 0.3 there.
fn significant(text: String, serial: Option<f64>) -> String {
    match serial {
        Some(number) if number.is_finite() => {
            format!("{number:.14e}").parse::<f64>().map_or(text, |rounded| rounded.to_string())
        }
        _ => text,
    }
}

fn amount(text: &str, digits: u32, fraction: u32) -> Reading {
    match Amount::parse(text, digits, fraction) {
        Ok(amount) => Reading::Value(amount.to_string().into()),
        Err(NotAnAmount::Form) => Reading::Fault(FaultCode::E106, None),
        Err(NotAnAmount::Digits) => Reading::Fault(FaultCode::E102, None),
    }
}

/// An integer that JSON carries everywhere alike.
fn integer(text: &str) -> Reading {
    match text.parse::<i64>() {
        Ok(number) if number.unsigned_abs() < 1 << 53 => Reading::Value(number.into()),
        Ok(_) => Reading::Fault(FaultCode::E102, None),
        Err(_) => Reading::Fault(FaultCode::E106, None),
    }
}

/// A code of any other length is E201, not too long. Its check digits are the kind's to judge.
fn uscc(text: String) -> Reading {
    match Uscc::parse(&text) {
        Err(NotAUscc::Form) if text != UNKNOWN => Reading::Fault(FaultCode::E201, None),
        _ => Reading::Value(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_date_only_where_it_can_be_meant_as_one() {
        let read = |number: f64| day(&number.to_string(), Some(number)).map(|day| day.to_string());
        for (number, expected) in [
            (2024.0, None),
            (18171.0, None),
            (18172.0, Some("1949-10-01")),
            (45356.75, Some("2024-03-05")),
            (73050.0, Some("2099-12-31")),
            (73051.0, None),
            (202_403.0, None),
            (20_240_305.0, Some("2024-03-05")),
        ] {
            assert_eq!(read(number).as_deref(), expected, "{number}");
        }
        // a cell that is formatted as a date says which
        assert_eq!(day("1905-07-16", Some(2024.0)).map(|day| day.to_string()).as_deref(), Some("1905-07-16"));
    }

    #[test]
    fn digests_are_told_apart_each_once() {
        let [one, other] = [Digest::of(b"1").to_string(), Digest::of(b"2").to_string()];
        let value =
            |listed: &[&String]| Reading::Value(listed.iter().map(|digest| Value::from(digest.as_str())).collect());
        assert_eq!(digests(&one), value(&[&one]));
        assert_eq!(digests(&format!("{other}；{one}\n{other}、 ")), value(&[&other, &one]));
        assert_eq!(digests(" ; "), Reading::Nothing);
        for bad in ["承诺书.pdf".to_owned(), one[1..].to_owned(), format!("{one}{other}"), format!("{one};x")] {
            assert!(matches!(digests(&bad), Reading::Fault(FaultCode::E103, Some(_))), "{bad}");
        }
        let many: String = (0..51_u8).map(|n| format!("{};", Digest::of(&[n]))).collect();
        assert!(matches!(digests(&many), Reading::Fault(FaultCode::E102, Some(_))));
    }
}
