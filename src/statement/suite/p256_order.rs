//! The order n of P-256, and which of s and n − s is the lower. Both verify; a statement may have one form only.

const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// (n − 1) / 2, the largest low s.
const HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d,
    0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

pub(super) fn is_high(s: &[u8]) -> bool {
    s > &HALF[..]
}

/// Replaces a high s by n − s.
pub(super) fn lower_s(s: &mut [u8]) {
    if is_high(s) {
        negate(s);
    }
}

/// n − s, for an s below n.
pub(super) fn negate(s: &mut [u8]) {
    let mut borrow = 0;
    for (digit, order) in s.iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*digit) - borrow;
        borrow = i16::from(difference < 0);
        *digit = difference.rem_euclid(256) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_halves_where_it_should() {
        let mut s = [0; 32];
        s[31] = 1;
        assert!(!is_high(&s));
        negate(&mut s); // n − 1
        assert!(is_high(&s));
        lower_s(&mut s);
        assert_eq!(s, std::array::from_fn(|i| u8::from(i == 31)));
    }
}
