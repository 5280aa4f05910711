//! Codes of subjects that do not exist.

/// A code of which there is one record.
pub fn uscc(n: u64) -> String {
    const CHARACTERS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    const WEIGHTS: [usize; 17] = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
    let body = format!("91340500M{n:08}");
    let value = |c: u8| CHARACTERS.iter().position(|known| *known == c).expect("a character of codes");
    let sum: usize = body.bytes().zip(WEIGHTS).map(|(c, weight)| value(c) * weight).sum();
    format!("{body}{}", char::from(CHARACTERS[(31 - sum % 31) % 31]))
}
