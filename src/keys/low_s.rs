//! The one form of an ES256 signature: see [`has_lower_s`].

use keyturn_verify::has_lower_s;

/// The order `n` of the curve P-256 (FIPS 186-5, SP 800-186 §3.2.1.3), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// Replaces `s` with `n - s` where that is lower. The signature is as valid as before.
pub(super) fn lower(signature: &mut [u8]) {
    if has_lower_s(signature) {
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
