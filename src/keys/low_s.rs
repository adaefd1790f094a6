//! The one form of an ES256 signature that is issued and accepted.
//!
//! If `(r, s)` is a valid ECDSA signature, so is `(r, n - s)`, where `n` is the order of the curve: anybody can write a
//! valid signature in a second way. Only the form with the lower `s` is issued and accepted.

/// The order `n` of the curve P-256 (FIPS 186-5, SP 800-186 §3.2.1.3), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Half of the order, rounded down.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d,
    0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Returns whether a signature, `r` and `s` of 32 bytes each (RFC 7518 §3.4), has the lower `s`.
pub fn is_low(signature: &[u8]) -> bool {
    signature.len() == 64 && signature.get(32..).is_some_and(|s| *s <= HALF_ORDER[..])
}

/// Replaces `s` with `n - s` where that is lower. The signature is as valid as before.
pub(super) fn lower(signature: &mut [u8]) {
    if is_low(signature) {
        return;
    }
    let mut borrowed = false;
    for (digit, of_order) in signature.iter_mut().rev().zip(ORDER.iter().rev()) {
        let (difference, first) = of_order.overflowing_sub(*digit);
        let (difference, second) = difference.overflowing_sub(u8::from(borrowed));
        *digit = difference;
        borrowed = first || second;
    }
}
