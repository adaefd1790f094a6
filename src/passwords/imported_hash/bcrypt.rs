//! Hashes of bcrypt, and of systems that hash the password before, since bcrypt reads only 72 bytes.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::HashError;
use super::text::{number, params};

/// The maximum cost: about a second of work. Each step doubles it.
const MAX_COST: u32 = 14;

const MALFORMED: HashError = HashError::Malformed("bcrypt");

/// What is hashed with bcrypt.
#[derive(Clone)]
enum Preparation {
    /// The password.
    None,
    /// Its SHA-256 in hexadecimal digits: Django.
    Sha256Hex,
    /// Its SHA-256 in Base64: the first version of passlib's `bcrypt_sha256`.
    Sha256,
    /// Its HMAC-SHA-256 under the salt's text, in Base64: the second version of passlib's `bcrypt_sha256`.
    HmacSha256(String),
    /// Its HMAC-SHA-384 under a fixed key, in Base64: WordPress since 6.8.
    WordPress,
}

/// A hash of bcrypt.
#[derive(Clone)]
pub(in crate::passwords) struct BcryptHash {
    /// The hash as `$2b$…`, in canonical Base64.
    text: String,
    preparation: Preparation,
}

impl BcryptHash {
    /// Parses the cost and the body of `$2b$10$BODY`.
    pub(super) fn parse(cost: &str, body: &str) -> Result<Self, HashError> {
        Self::prepared(cost, body, Preparation::None)
    }

    /// Parses those of Django's `bcrypt_sha256$$2b$10$BODY`.
    pub(super) fn parse_django(cost: &str, body: &str) -> Result<Self, HashError> {
        Self::prepared(cost, body, Preparation::Sha256Hex)
    }

    /// Parses those of WordPress' `$wp$2y$10$BODY`.
    pub(super) fn parse_wordpress(cost: &str, body: &str) -> Result<Self, HashError> {
        Self::prepared(cost, body, Preparation::WordPress)
    }

    /// Parses passlib's `$bcrypt-sha256$v=2,t=2b,r=12$SALT$OUTPUT`, or `$bcrypt-sha256$2b,12$SALT$OUTPUT` of the first
    /// version.
    pub(super) fn parse_passlib(text: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        let (kind, cost, preparation) = match text.split_once(',') {
            Some((kind @ ("2a" | "2b"), cost)) => (kind, cost, Preparation::Sha256),
            _ => match params(text, ["v", "t", "r"]) {
                Some([Some("2"), Some(kind), Some(cost)]) => (kind, cost, Preparation::HmacSha256(salt.to_owned())),
                _ => return Err(MALFORMED),
            },
        };
        // bcrypt writes costs with two digits, this form without a leading zero.
        let cost = number(cost).filter(|_| matches!(kind, "2a" | "2b") && salt.len() == 22).ok_or(MALFORMED)?;
        Self::prepared(&format!("{cost:02}"), &format!("{salt}{output}"), preparation)
    }

    fn prepared(cost: &str, body: &str, preparation: Preparation) -> Result<Self, HashError> {
        /// Accepts unused bits in the last character, which some implementations do not set to zero.
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &alphabet::BCRYPT,
            GeneralPurposeConfig::new()
                .with_encode_padding(false)
                .with_decode_padding_mode(DecodePaddingMode::RequireNone)
                .with_decode_allow_trailing_bits(true),
        );
        let number = number(cost).filter(|_| cost.len() == 2).ok_or(MALFORMED)?;
        let (salt, output) = body.split_at_checked(22).ok_or(MALFORMED)?;
        let decode = |text: &str, length: usize| {
            LENIENT.decode(text).ok().filter(|bytes| bytes.len() == length).ok_or(MALFORMED)
        };
        let salt = decode(salt, 16)?;
        let output = decode(output, 23)?;
        match number {
            0..4 | 32.. => return Err(MALFORMED),
            4..=MAX_COST => {}
            _ => return Err(HashError::TooCostly("the cost may be at most 14")),
        }
        let text = format!("$2b${cost}${}{}", LENIENT.encode(salt), LENIENT.encode(output));
        Ok(Self { text, preparation })
    }

    /// Returns whether this is the hash of `password`, compared in constant time. Returns `None` if it cannot be
    /// computed.
    pub(super) fn matches(&self, password: &[u8]) -> Option<bool> {
        let prepared = match &self.preparation {
            Preparation::None => return bcrypt::verify(password, &self.text).ok(),
            Preparation::Sha256Hex => Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect(),
            Preparation::Sha256 => BASE64_STANDARD.encode(Sha256::digest(password)),
            Preparation::HmacSha256(salt) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
                BASE64_STANDARD.encode(hmac::sign(&key, password))
            }
            Preparation::WordPress => {
                let key = hmac::Key::new(hmac::HMAC_SHA384, b"wp-sha384");
                BASE64_STANDARD.encode(hmac::sign(&key, trim_as_php(password)))
            }
        };
        bcrypt::verify(Zeroizing::new(prepared).as_bytes(), &self.text).ok()
    }
}

/// Returns a text without the characters that PHP's `trim` takes off both ends, as WordPress does.
fn trim_as_php(text: &[u8]) -> &[u8] {
    const SPACES: &[u8] = b" \t\n\r\0\x0b";
    let mut trimmed = text;
    while let [first, rest @ ..] = trimmed
        && SPACES.contains(first)
    {
        trimmed = rest;
    }
    while let [rest @ .., last] = trimmed
        && SPACES.contains(last)
    {
        trimmed = rest;
    }
    trimmed
}
