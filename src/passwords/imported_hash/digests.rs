//! Hashes made of plain digests: SHA-crypt, and digests of password and salt.

use aws_lc_rs::digest::{Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::HashError;
use super::text::{base64, checked_salt, crypt_base64, crypt_value, hex, hex_or_base64, number, strip_ignoring_case};

/// The maximum number of rounds of SHA-crypt: about a second of work.
const MAX_ROUNDS: u32 = 1_000_000;

/// The number of rounds where a hash names none.
const DEFAULT_ROUNDS: u32 = 5_000;

/// The longest password that SHA-crypt hashes, in bytes: its rounds cost in proportion to the password. No person has
/// a longer one.
const MAX_PASSWORD: usize = 256;

/// The length of SHA-crypt's salts, in characters.
const SALT_LENGTH: std::ops::RangeInclusive<usize> = 1..=16;

/// A hash of SHA-crypt (`crypt(3)`).
#[derive(Clone)]
pub(in crate::passwords) struct ShaCryptHash {
    /// Whether the digest is SHA-512, and not SHA-256.
    is_sha512: bool,
    params: sha_crypt::Params,
    salt: String,
    output: String,
}

impl ShaCryptHash {
    /// Parses the parts of `$6$SALT$OUTPUT` or `$6$rounds=10000$SALT$OUTPUT`, with `5` for SHA-256.
    pub(super) fn parse(parts: &[&str]) -> Result<Self, HashError> {
        const MALFORMED: HashError = HashError::Malformed("SHA-crypt");
        let (name, rounds, salt, output) = match parts {
            ["", name, salt, output] => (*name, DEFAULT_ROUNDS, *salt, *output),
            ["", name, rounds, salt, output] => {
                let rounds = rounds.strip_prefix("rounds=").and_then(number).ok_or(MALFORMED)?;
                (*name, rounds, *salt, *output)
            }
            _ => return Err(MALFORMED),
        };
        let is_sha512 = name == "6";
        let length = if is_sha512 { 86 } else { 43 };
        if output.len() != length || output.chars().any(|digit| crypt_value(digit).is_none()) {
            return Err(MALFORMED);
        }
        if !SALT_LENGTH.contains(&salt.len()) {
            return Err(MALFORMED);
        }
        if rounds > MAX_ROUNDS {
            return Err(HashError::TooCostly("there may be at most 1000000 rounds"));
        }
        let params = sha_crypt::Params::new(rounds).map_err(|_| MALFORMED)?;
        Ok(Self { is_sha512, params, salt: salt.to_owned(), output: output.to_owned() })
    }

    /// Returns whether this is the hash of `password`, compared in constant time.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        if password.len() > MAX_PASSWORD {
            return false;
        }
        let salt = self.salt.as_bytes();
        let text = if self.is_sha512 {
            let output = Zeroizing::new(sha_crypt::sha512_crypt(password, salt, self.params));
            written(output.as_slice(), |places, round| places.rotate_right(round % 3))
        } else {
            let output = Zeroizing::new(sha_crypt::sha256_crypt(password, salt, self.params));
            written(output.as_slice(), |places, round| places.rotate_left(round % 3))
        };
        text.as_bytes().ct_eq(self.output.as_bytes()).into()
    }
}

/// Writes an output of SHA-crypt: three bytes at a time, one of each third, whose order `rotate` changes from round to
/// round; then the bytes that are left over.
fn written(output: &[u8], rotate: impl Fn(&mut [usize; 3], usize)) -> Zeroizing<String> {
    let third = output.len() / 3;
    let thirds = (0..third).flat_map(|round| {
        let mut places = [round + 2 * third, round + third, round];
        rotate(&mut places, round);
        places
    });
    let bytes = thirds.chain(3 * third..output.len()).filter_map(|place| output.get(place).copied());
    let bytes: Zeroizing<Vec<u8>> = Zeroizing::new(bytes.collect());
    Zeroizing::new(crypt_base64(&bytes))
}

/// A digest function.
#[derive(Clone, Copy)]
pub(super) enum Function {
    Md5,
    Sha(&'static Algorithm),
}

impl Function {
    pub(super) const SHA512: Self = Self::Sha(&SHA512);

    /// Returns the function with this name, with or without a hyphen in it.
    fn named(name: &str) -> Result<Self, HashError> {
        match name.to_ascii_lowercase().as_str() {
            "md5" => Ok(Self::Md5),
            "sha" | "sha1" | "sha-1" => Ok(Self::Sha(&SHA1_FOR_LEGACY_USE_ONLY)),
            "sha256" | "sha-256" => Ok(Self::Sha(&SHA256)),
            "sha384" | "sha-384" => Ok(Self::Sha(&SHA384)),
            "sha512" | "sha-512" => Ok(Self::Sha(&SHA512)),
            _ => Err(HashError::Unknown),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha(algorithm) => algorithm.output_len(),
        }
    }

    /// Computes the digest of all parts in a row.
    pub(super) fn digest(self, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        match self {
            Self::Md5 => {
                let mut digest = Md5::new();
                parts.iter().for_each(|part| digest.update(part));
                Zeroizing::new(digest.finalize().to_vec())
            }
            Self::Sha(algorithm) => {
                let mut digest = Context::new(algorithm);
                parts.iter().for_each(|part| digest.update(part));
                Zeroizing::new(digest.finish().as_ref().to_vec())
            }
        }
    }
}

/// A digest of password and salt. One without salt is not accepted: tables on the internet have its password.
#[derive(Clone)]
pub(in crate::passwords) struct SaltedDigest {
    function: Function,
    /// How many times in a row.
    rounds: u32,
    /// The salt before the password, or empty.
    before: Vec<u8>,
    /// The salt behind the password, or empty.
    behind: Vec<u8>,
    output: Vec<u8>,
}

impl SaltedDigest {
    const MALFORMED: HashError = HashError::Malformed("a salted digest");

    /// Parses what stands behind `{SSHA}`, `{SSHA256}`, `{SSHA512}` or `{SMD5}` in a directory (RFC 2307): the Base64
    /// of digest and salt.
    pub(super) fn parse_directory(scheme: &str, text: &str) -> Result<Self, HashError> {
        let function = strip_ignoring_case(scheme, "s").map_or(Err(HashError::Unknown), Function::named)?;
        let bytes = base64(text).ok_or(Self::MALFORMED)?;
        let (output, salt) = bytes.split_at_checked(function.length()).ok_or(Self::MALFORMED)?;
        let behind = checked_salt(Some(salt.to_vec())).ok_or(Self::MALFORMED)?;
        Ok(Self { function, rounds: 1, before: Vec::new(), behind, output: output.to_vec() })
    }

    /// Parses the parts of Spring Security's `{SHA-256}{SALT}OUTPUT`. The braces belong to the salt.
    pub(super) fn parse_spring(scheme: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        let function = Function::named(scheme)?;
        let output = hex_or_base64(output).filter(|output| output.len() == function.length());
        let salt = checked_salt(Some(salt.as_bytes().to_vec()));
        let (output, salt) = output.zip(salt).ok_or(Self::MALFORMED)?;
        let behind = [b"{".as_slice(), &salt, b"}"].concat();
        Ok(Self { function, rounds: 1, before: Vec::new(), behind, output })
    }

    /// Parses what stands behind Spring Security's `{sha256}`: hexadecimal digits of a salt of 8 bytes and of 1,024
    /// rounds of SHA-256.
    pub(super) fn parse_spring_standard(text: &str) -> Result<Self, HashError> {
        let bytes = hex(text).filter(|bytes| bytes.len() == 8 + 32).ok_or(Self::MALFORMED)?;
        let (salt, output) = bytes.split_at_checked(8).ok_or(Self::MALFORMED)?;
        let before = salt.to_vec();
        let output = output.to_vec();
        Ok(Self { function: Function::Sha(&SHA256), rounds: 1024, before, behind: Vec::new(), output })
    }

    /// Returns whether this is the digest of `password`, compared in constant time.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut output = self.function.digest(&[&self.before, password, &self.behind]);
        for _ in 1..self.rounds {
            output = self.function.digest(&[&output]);
        }
        output.ct_eq(&self.output).into()
    }
}
