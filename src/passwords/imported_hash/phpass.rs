//! Hashes of phpass: those of WordPress before 6.8 and phpBB with MD5, and Drupal's with SHA-512.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::HashError;
use super::digests::Function;
use super::text::{crypt_base64, crypt_value};

/// The maximum binary logarithm of the number of digests: about a second of work for a password of 1 KiB.
const MAX_COST: u32 = 18;

/// The minimum binary logarithm of the number of digests that any implementation accepts.
const MIN_COST: u32 = 7;

/// The length of a salt.
const SALT: usize = 8;

const MALFORMED: HashError = HashError::Malformed("phpass");

/// A hash of phpass.
#[derive(Clone)]
pub(in crate::passwords) struct PhpassHash {
    function: Function,
    cost: u32,
    salt: String,
    output: String,
}

impl PhpassHash {
    /// Parses the part behind `$P$` or `$H$`.
    pub(super) fn parse(body: &str) -> Result<Self, HashError> {
        Self::with(Function::Md5, body, 22)
    }

    /// Parses the part behind Drupal's `$S$`. Drupal keeps only a part of the output: 258 bits.
    pub(super) fn parse_drupal(body: &str) -> Result<Self, HashError> {
        Self::with(Function::SHA512, body, 43)
    }

    fn with(function: Function, body: &str, output_length: usize) -> Result<Self, HashError> {
        let mut characters = body.chars();
        let cost = characters.next().and_then(crypt_value).ok_or(MALFORMED)?;
        let (salt, output) = characters.as_str().split_at_checked(SALT).ok_or(MALFORMED)?;
        if output.len() != output_length || output.chars().any(|digit| crypt_value(digit).is_none()) {
            return Err(MALFORMED);
        }
        match cost {
            0..MIN_COST => Err(MALFORMED),
            MIN_COST..=MAX_COST => Ok(Self { function, cost, salt: salt.to_owned(), output: output.to_owned() }),
            _ => Err(HashError::TooCostly("there may be at most 2^18 digests")),
        }
    }

    /// Returns whether this is the hash of `password`, compared in constant time.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut output = self.function.digest(&[self.salt.as_bytes(), password]);
        for _ in 0..1_u32 << self.cost {
            output = self.function.digest(&[&output, password]);
        }
        let text = Zeroizing::new(crypt_base64(&output));
        text.as_bytes().get(..self.output.len()).is_some_and(|text| text.ct_eq(self.output.as_bytes()).into())
    }
}
