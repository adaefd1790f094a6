//! Hashes of PBKDF2, as many systems write them.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, Algorithm, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::HashError;
use super::text::{base64, checked_output, checked_salt, hex_or_base64, number, numeric_params};

/// The maximum number of iterations for all blocks of the output together: about a second of work.
const MAX_ITERATIONS: u64 = 4_000_000;

const MALFORMED: HashError = HashError::Malformed("PBKDF2");

/// The length of the salt in ASP.NET Identity's second version, and of its output.
const ASPNET_V2_LENGTHS: (usize, usize) = (16, 32);

/// A hash of PBKDF2.
#[derive(Clone)]
pub(in crate::passwords) struct Pbkdf2Hash {
    algorithm: Algorithm,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Pbkdf2Hash {
    fn new(
        algorithm: Algorithm,
        iterations: u32,
        salt: Option<Vec<u8>>,
        output: Option<Vec<u8>>,
    ) -> Result<Self, HashError> {
        let (salt, output) = checked_salt(salt).zip(checked_output(output)).ok_or(MALFORMED)?;
        let iterations = NonZeroU32::new(iterations).ok_or(MALFORMED)?;
        let block = match algorithm {
            algorithm if algorithm == PBKDF2_HMAC_SHA1 => 20,
            algorithm if algorithm == PBKDF2_HMAC_SHA256 => 32,
            _ => 64,
        };
        let blocks = u64::try_from(output.len().div_ceil(block)).unwrap_or(u64::MAX);
        if blocks.saturating_mul(u64::from(iterations.get())) > MAX_ITERATIONS {
            return Err(HashError::TooCostly(
                "there may be at most 4000000 iterations for all blocks of the output together",
            ));
        }
        Ok(Self { algorithm, iterations, salt, output })
    }

    /// Parses the parts of `$pbkdf2-sha256$i=600000,l=32$SALT$OUTPUT`, or passlib's with the bare number of iterations
    /// and `$pbkdf2$` for SHA-1.
    pub(super) fn parse(name: &str, params: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        let algorithm = algorithm(name)?;
        let output = base64(output);
        let (iterations, length) = match number(params) {
            Some(iterations) => (iterations, None),
            None => {
                let [iterations, length] = numeric_params(params, ["i", "l"]).ok_or(MALFORMED)?;
                (iterations.ok_or(MALFORMED)?, length)
            }
        };
        if length.is_some_and(|length| usize::try_from(length).ok() != output.as_ref().map(Vec::len)) {
            return Err(MALFORMED);
        }
        Self::new(algorithm, iterations, base64(salt), output)
    }

    /// Parses the parts of a hash whose salt is the text itself, as Django and Werkzeug write it.
    pub(super) fn parse_with_text_salt(
        [name, iterations]: [&str; 2],
        salt: &str,
        output: Option<Vec<u8>>,
    ) -> Result<Self, HashError> {
        let iterations = number(iterations).ok_or(MALFORMED)?;
        Self::new(algorithm(name)?, iterations, Some(salt.as_bytes().to_vec()), output)
    }

    /// Parses `{PBKDF2-SHA256}600000$SALT$OUTPUT`, as passlib writes it for directories.
    pub(super) fn parse_directory(scheme: &str, text: &str) -> Result<Self, HashError> {
        let parts: Vec<&str> = text.split('$').collect();
        let [iterations, salt, output] = parts[..] else { return Err(MALFORMED) };
        Self::parse(&scheme.to_ascii_lowercase(), iterations, salt, output)
    }

    /// Parses Spring Security's hash: hexadecimal digits of salt and output, with fixed cost.
    pub(super) fn parse_spring(scheme: &str, text: &str) -> Result<Self, HashError> {
        let (algorithm, iterations, salt) = match scheme {
            "pbkdf2" => (PBKDF2_HMAC_SHA1, 185_000, 8),
            _ => (PBKDF2_HMAC_SHA256, 310_000, 16),
        };
        let bytes = hex_or_base64(text).filter(|bytes| bytes.len() == salt + 32).ok_or(MALFORMED)?;
        let (salt, output) = bytes.split_at_checked(salt).ok_or(MALFORMED)?;
        Self::new(algorithm, iterations, Some(salt.to_vec()), Some(output.to_vec()))
    }

    /// Parses the Base64 of ASP.NET Identity: a byte with the version, then for version 3 the digest, the number of
    /// iterations and the length of the salt as big-endian numbers, then salt and output. A text that does not begin
    /// so is none.
    pub(super) fn parse_aspnet(text: &str) -> Result<Self, HashError> {
        let bytes = base64(text).filter(|_| text.starts_with("AQAAAA") || text.starts_with('A') && text.len() == 68);
        let bytes = bytes.ok_or(HashError::Unknown)?;
        let (version, rest) = bytes.split_first().ok_or(HashError::Unknown)?;
        let (algorithm, iterations, salt, rest) = match version {
            0 if rest.len() == ASPNET_V2_LENGTHS.0 + ASPNET_V2_LENGTHS.1 => {
                (PBKDF2_HMAC_SHA1, 1_000, ASPNET_V2_LENGTHS.0, rest)
            }
            1 => {
                let (digest, rest) = rest.split_first_chunk().ok_or(MALFORMED)?;
                let (iterations, rest) = rest.split_first_chunk().ok_or(MALFORMED)?;
                let (salt, rest) = rest.split_first_chunk().ok_or(MALFORMED)?;
                let algorithm = match u32::from_be_bytes(*digest) {
                    0 => PBKDF2_HMAC_SHA1,
                    1 => PBKDF2_HMAC_SHA256,
                    2 => PBKDF2_HMAC_SHA512,
                    _ => return Err(MALFORMED),
                };
                let salt = usize::try_from(u32::from_be_bytes(*salt)).map_err(|_| MALFORMED)?;
                (algorithm, u32::from_be_bytes(*iterations), salt, rest)
            }
            _ => return Err(HashError::Unknown),
        };
        let (salt, output) = rest.split_at_checked(salt).ok_or(MALFORMED)?;
        Self::new(algorithm, iterations, Some(salt.to_vec()), Some(output.to_vec()))
    }

    /// Returns whether this is the hash of `password`, compared in constant time.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut derived = Zeroizing::new(vec![0; self.output.len()]);
        pbkdf2::derive(self.algorithm, self.iterations, &self.salt, password, &mut derived);
        derived.ct_eq(&self.output).into()
    }
}

/// Returns the algorithm with this name, with or without `pbkdf2` before it.
fn algorithm(name: &str) -> Result<Algorithm, HashError> {
    match name.strip_prefix("pbkdf2").map_or(name, |digest| digest.trim_start_matches(['-', '_'])) {
        "" | "sha1" => Ok(PBKDF2_HMAC_SHA1),
        "sha256" => Ok(PBKDF2_HMAC_SHA256),
        "sha512" => Ok(PBKDF2_HMAC_SHA512),
        _ => Err(HashError::Unknown),
    }
}
