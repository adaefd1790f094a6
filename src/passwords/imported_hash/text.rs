//! The texts that hashes are written in: numbers, parameters, Base64 and hexadecimal digits.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The maximum length of a salt, in bytes.
const MAX_SALT: usize = 256;

/// The length of an output, in bytes. A short output would match many passwords, and an empty one all of them.
const OUTPUT_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// Splits `{scheme}rest`.
pub(super) fn in_braces(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('{')?.split_once('}')
}

/// Returns what follows `prefix`, whatever its case.
pub(super) fn strip_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Parses a number that consists of decimal digits only.
pub(super) fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Parses `name=value,…`, in which each name may stand once and no other may stand.
pub(super) fn params<'a, const N: usize>(text: &'a str, names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    let mut values = [None; N];
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=')?;
        let slot = names.iter().zip(&mut values).find_map(|(known, slot)| (*known == name).then_some(slot))?;
        if slot.replace(value).is_some() {
            return None;
        }
    }
    Some(values)
}

/// Parses parameters that are all numbers.
pub(super) fn numeric_params<const N: usize>(text: &str, names: [&str; N]) -> Option<[Option<u32>; N]> {
    let mut numbers = [None; N];
    for (slot, value) in numbers.iter_mut().zip(params(text, names)?) {
        *slot = value.map(|value| number(value).ok_or(())).transpose().ok()?;
    }
    Some(numbers)
}

/// Returns a salt if it is neither empty nor too long.
pub(super) fn checked_salt(salt: Option<Vec<u8>>) -> Option<Vec<u8>> {
    salt.filter(|salt| (1..=MAX_SALT).contains(&salt.len()))
}

/// Returns an output if its length is within bounds.
pub(super) fn checked_output(output: Option<Vec<u8>>) -> Option<Vec<u8>> {
    output.filter(|output| OUTPUT_LENGTH.contains(&output.len()))
}

/// Decodes Base64 with `+/` or `-_`, or passlib's `.` for `+`, padded or not.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let standard: String = text
        .chars()
        .map(|c| match c {
            '-' | '.' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    ANY_PADDING.decode(standard).ok()
}

/// Decodes hexadecimal digits.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits.chunks_exact(2).map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).ok()).collect()
}

/// Decodes hexadecimal digits if the text consists of such, or else Base64.
pub(super) fn hex_or_base64(text: &str) -> Option<Vec<u8>> {
    hex(text).or_else(|| base64(text))
}

/// The digits of crypt(3)'s Base64, by value.
const CRYPT_DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Returns the value of a digit of crypt(3)'s Base64.
pub(super) fn crypt_value(digit: char) -> Option<u32> {
    CRYPT_DIGITS.iter().position(|known| char::from(*known) == digit).and_then(|value| u32::try_from(value).ok())
}

/// Encodes bytes in crypt(3)'s Base64: groups of three, lowest byte and lowest bits first.
pub(super) fn crypt_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 1);
    for group in bytes.chunks(3) {
        let mut bits = group.iter().rev().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for _ in 0..=group.len() {
            text.push(char::from(CRYPT_DIGITS.get(bits & 63).copied().unwrap_or(b'.')));
            bits >>= 6;
        }
    }
    text
}
