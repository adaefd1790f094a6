//! Secrets of clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::random::Random;

/// The prefix of every secret, by which scanners find leaked ones. Changing it invalidates all secrets.
const PREFIX: &str = "ktc_";

/// The number of characters that encode 256 bits.
const LENGTH: usize = 43;

/// The SHA-256 of a secret, which is stored instead of the secret.
#[derive(Clone)]
pub(crate) struct SecretDigest {
    bytes: Vec<u8>,
}

impl SecretDigest {
    /// Returns the digest of a stored row.
    pub(super) fn of_row(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// Returns the digest.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Compares two digests in constant time.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
    }
}

/// A secret as text. It is zeroized when dropped and cannot be printed.
pub(crate) struct ClientSecret {
    text: Zeroizing<String>,
}

impl ClientSecret {
    /// Generates a secret of 256 bits.
    pub(crate) fn generate(random: &Random) -> Self {
        let secret: Zeroizing<[u8; 32]> = Zeroizing::new(random.bytes());
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + LENGTH));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Self { text }
    }

    /// Returns the digest that is stored.
    pub(crate) fn digest(&self) -> SecretDigest {
        digest(&self.text)
    }

    /// Returns the text of the secret, which only the client may receive.
    pub(crate) fn expose(&self) -> &str {
        &self.text
    }
}

/// Returns the digest of a presented text. Returns `None` if it does not have the form of a secret.
pub(super) fn digest_of(text: &str) -> Option<SecretDigest> {
    let secret = text.strip_prefix(PREFIX)?;
    let is_secret = secret.len() == LENGTH
        && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_secret.then(|| digest(text))
}

fn digest(text: &str) -> SecretDigest {
    SecretDigest { bytes: Sha256::digest(text.as_bytes()).to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_256_random_bits_and_a_prefix() {
        let one = ClientSecret::generate(&Random);
        assert_ne!(one.expose(), ClientSecret::generate(&Random).expose());
        let secret = one.expose().strip_prefix("ktc_").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(secret).unwrap().len(), 32);
        assert!(digest_of(one.expose()).unwrap().matches(&one.digest()));
        assert!(!one.digest().matches(&ClientSecret::generate(&Random).digest()));
    }

    #[test]
    fn what_is_no_secret_is_not_looked_up() {
        let secret = ClientSecret::generate(&Random);
        let text = secret.expose();
        for wrong in ["", "ktc_", &text[..46], &format!("{text}A"), &text.replace("ktc_", "ktr_"), &text.to_uppercase()]
        {
            assert!(digest_of(wrong).is_none(), "{wrong}");
        }
    }
}
