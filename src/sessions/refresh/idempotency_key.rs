//! The key by which a client marks all requests of one refresh.

use sha2::{Digest as _, Sha256};

/// The lengths of a key, in characters. A shorter one could be guessed.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=255;

/// The digest of an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): new for each refresh, and the same
/// when that refresh is repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    /// The SHA-256 of the key, truncated to 128 bits.
    digest: [u8; 16],
}

/// The error of a key that proves nothing.
#[derive(Debug, thiserror::Error)]
#[error("an Idempotency-Key has 16 to 255 visible ASCII characters, such as a random UUID, new for each refresh")]
pub(crate) struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Parses the value of the header: a string in quotes (RFC 9651 §3.3.3) or without.
    ///
    /// # Errors
    /// The key is too short or too long, or has other characters.
    pub(crate) fn parse(value: &str) -> Result<Self, InvalidIdempotencyKey> {
        let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let key = quoted.unwrap_or(value);
        let is_plain = key.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'));
        if !is_plain || !LENGTHS.contains(&key.len()) {
            return Err(InvalidIdempotencyKey);
        }
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let (digest, _) = hash.split_first_chunk().ok_or(InvalidIdempotencyKey)?;
        Ok(Self { digest: *digest })
    }

    /// Returns the digest.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digest
    }

    /// Returns whether the digest is the stored one.
    pub(super) fn matches(&self, stored: Option<&[u8]>) -> bool {
        stored == Some(self.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_with_quotes_and_without() {
        let plain = IdempotencyKey::parse("8e03978e-40d5-43e8-bc93-6894a57f9324").unwrap();
        let quoted = IdempotencyKey::parse("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"").unwrap();
        assert!(plain == quoted && plain.matches(Some(quoted.as_bytes())));
        assert!(!plain.matches(None));
        assert!(
            !IdempotencyKey::parse("8e03978e-40d5-43e8-bc93-6894a57f9325").unwrap().matches(Some(plain.as_bytes()))
        );
    }

    #[test]
    fn a_key_that_can_be_guessed_or_is_damaged_is_refused() {
        let too_long = "k".repeat(256);
        for key in ["", "\"\"", "1", "fifteen-letters", "\"fifteen-letters\"", "with a space in it", &too_long] {
            assert!(IdempotencyKey::parse(key).is_err(), "{key}");
        }
        for key in ["\"8e03978e-40d5-43e8", "8e03978e\\40d5-43e8", "8e03978e-40d5-43\u{e9}8"] {
            assert!(IdempotencyKey::parse(key).is_err(), "{key}");
        }
        assert!(IdempotencyKey::parse(&"k".repeat(16)).is_ok() && IdempotencyKey::parse(&"k".repeat(255)).is_ok());
    }
}
