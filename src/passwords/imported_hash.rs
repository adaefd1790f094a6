//! Password hashes imported from other systems. At the owner's next login each is replaced by a hash of Argon2id.

use std::num::NonZeroU32;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::pbkdf2;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The maximum cost of bcrypt: about a second of work. Each step doubles it.
const MAX_BCRYPT_COST: u32 = 14;

/// The maximum memory of scrypt: 128 × N × r.
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;

/// The maximum memory that scrypt may write: 128 × N × r × p, about a second of work.
const MAX_SCRYPT_WORK_BYTES: u64 = 2 * MAX_SCRYPT_BYTES;

/// The maximum number of PBKDF2 iterations for all blocks of the output together: about a second of work.
const MAX_PBKDF2_ITERATIONS: u64 = 4_000_000;

/// The maximum length of a hash, in bytes of text.
const MAX_TEXT: usize = 1024;

/// The maximum length of a salt, in bytes.
const MAX_SALT: usize = 256;

/// The length of an output of scrypt or PBKDF2, in bytes. A short output would match many passwords, and an empty one
/// all of them.
const OUTPUT_LENGTH: std::ops::RangeInclusive<usize> = 16..=64;

/// Why a text is not accepted as an account's password hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashError {
    /// The form is unknown.
    #[error("has no known form")]
    Unknown,
    /// The hash of the named algorithm is malformed.
    #[error("is not a well-formed hash of {0}")]
    Malformed(&'static str),
    /// Verifying a password would cost too much. The text states the bounds.
    #[error("costs too much to verify: {0}")]
    TooCostly(&'static str),
}

/// A hash of another algorithm than Argon2.
#[derive(Clone)]
pub(super) enum ImportedHash {
    /// A hash of bcrypt.
    Bcrypt {
        /// The hash as `$2b$…`, in canonical Base64.
        text: String,
        /// Whether the password was hashed with SHA-256 first, as Django does.
        digested: bool,
    },
    /// A hash of scrypt.
    Scrypt { params: scrypt::Params, salt: Vec<u8>, output: Vec<u8> },
    /// A hash of PBKDF2.
    Pbkdf2 { algorithm: pbkdf2::Algorithm, iterations: NonZeroU32, salt: Vec<u8>, output: Vec<u8> },
    /// A hash of Firebase: scrypt derives a key for AES-256-CTR, and the output is the project's `signer_key` encrypted
    /// with that key.
    Firebase { params: scrypt::Params, salt: Vec<u8>, output: Vec<u8>, signer_key: Vec<u8> },
}

impl ImportedHash {
    /// Parses a hash in one of these forms, with Base64 in any alphabet, padded or not:
    ///
    /// - bcrypt: `$2a$…`, `$2b$…`, `$2y$…`, and Django's `bcrypt$$2b$…` and `bcrypt_sha256$$2b$…`
    /// - scrypt: `$scrypt$ln=16,r=8,p=1$SALT$HASH`, and Django's `scrypt$N$salt$r$p$HASH`
    /// - PBKDF2: `$pbkdf2-sha256$i=600000,l=32$SALT$HASH` with `sha1`, `sha256` or `sha512`; passlib's, with the bare
    ///   number of iterations and `$pbkdf2$` for SHA-1; and Django's `pbkdf2_sha256$600000$salt$HASH`
    /// - Firebase: `$firescrypt$ln=14,r=8,p=1$SALT$HASH$SALT_SEPARATOR$SIGNER_KEY`
    ///
    /// # Errors
    /// The form is unknown, the hash is malformed, or verifying would cost too much.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() > MAX_TEXT {
            return Err(HashError::Unknown);
        }
        let parts: Vec<&str> = text.split('$').collect();
        match parts[..] {
            ["", "2a" | "2b" | "2y", cost, body] => bcrypt_hash(cost, body, false),
            ["bcrypt", "", "2a" | "2b" | "2y", cost, body] => bcrypt_hash(cost, body, false),
            ["bcrypt_sha256", "", "2a" | "2b" | "2y", cost, body] => bcrypt_hash(cost, body, true),
            ["", "scrypt", params, salt, output] => scrypt_hash(params, salt, output),
            ["scrypt", n, salt, r, p, output] => django_scrypt_hash([n, r, p], salt, output),
            ["", name, params, salt, output] if name.starts_with("pbkdf2") => {
                pbkdf2_hash(name, params, decode_base64(salt), output)
            }
            [name, iterations, salt, output] if name.starts_with("pbkdf2_") => {
                pbkdf2_hash(name, iterations, Some(salt.as_bytes().to_vec()), output)
            }
            ["", "firescrypt", params, salt, output, separator, key] => {
                firebase_hash(params, [salt, separator], output, key)
            }
            _ => Err(HashError::Unknown),
        }
    }

    /// Returns whether this is the hash of `password`, compared in constant time. Returns `None` if the hash cannot be
    /// computed. May take a second.
    pub(super) fn matches(&self, password: &[u8]) -> Option<bool> {
        match self {
            Self::Bcrypt { text, digested: false } => bcrypt::verify(password, text).ok(),
            Self::Bcrypt { text, digested: true } => {
                let digest = Sha256::digest(password);
                let hex: Zeroizing<String> = Zeroizing::new(digest.iter().map(|byte| format!("{byte:02x}")).collect());
                bcrypt::verify(hex.as_bytes(), text).ok()
            }
            Self::Scrypt { params, salt, output } => {
                let mut derived = Zeroizing::new(vec![0; output.len()]);
                scrypt::scrypt(password, salt, params, &mut derived).ok()?;
                Some(derived.ct_eq(output).into())
            }
            Self::Pbkdf2 { algorithm, iterations, salt, output } => {
                let mut derived = Zeroizing::new(vec![0; output.len()]);
                pbkdf2::derive(*algorithm, *iterations, salt, password, &mut derived);
                Some(derived.ct_eq(output).into())
            }
            Self::Firebase { params, salt, output, signer_key } => {
                let mut derived = Zeroizing::new([0; 64]);
                scrypt::scrypt(password, salt, params, &mut *derived).ok()?;
                let (key, _) = derived.split_first_chunk::<32>()?;
                let cipher = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
                let mut encrypted = signer_key.clone();
                let start = EncryptionContext::Iv128(FixedLength::from([0; 16]));
                cipher.less_safe_encrypt(&mut encrypted, start).ok()?;
                Some(encrypted.ct_eq(output).into())
            }
        }
    }
}

fn bcrypt_hash(cost: &str, body: &str, digested: bool) -> Result<ImportedHash, HashError> {
    /// Accepts unused bits in the last character, which some implementations do not set to zero.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::BCRYPT,
        GeneralPurposeConfig::new()
            .with_encode_padding(false)
            .with_decode_padding_mode(DecodePaddingMode::RequireNone)
            .with_decode_allow_trailing_bits(true),
    );
    const MALFORMED: HashError = HashError::Malformed("bcrypt");
    let number = number(cost).filter(|_| cost.len() == 2).ok_or(MALFORMED)?;
    let (salt, output) = body.split_at_checked(22).ok_or(MALFORMED)?;
    let decode =
        |text: &str, length: usize| LENIENT.decode(text).ok().filter(|bytes| bytes.len() == length).ok_or(MALFORMED);
    let salt = decode(salt, 16)?;
    let output = decode(output, 23)?;
    match number {
        0..4 | 32.. => return Err(MALFORMED),
        4..=MAX_BCRYPT_COST => {}
        _ => return Err(HashError::TooCostly("the cost may be at most 14")),
    }
    let text = format!("$2b${cost}${}{}", LENIENT.encode(salt), LENIENT.encode(output));
    Ok(ImportedHash::Bcrypt { text, digested })
}

fn scrypt_hash(params: &str, salt: &str, output: &str) -> Result<ImportedHash, HashError> {
    const MALFORMED: HashError = HashError::Malformed("scrypt");
    let params = scrypt_params(params, MALFORMED)?;
    let salt = checked_salt(decode_base64(salt)).ok_or(MALFORMED)?;
    let output = parse_output(output).ok_or(MALFORMED)?;
    Ok(ImportedHash::Scrypt { params, salt, output })
}

fn django_scrypt_hash(cost: [&str; 3], salt: &str, output: &str) -> Result<ImportedHash, HashError> {
    const MALFORMED: HashError = HashError::Malformed("scrypt");
    let [Some(n), Some(r), Some(p)] = cost.map(number) else { return Err(MALFORMED) };
    if !n.is_power_of_two() {
        return Err(MALFORMED);
    }
    let params = bounded_scrypt(n.ilog2(), r, p, MALFORMED)?;
    let salt = checked_salt(Some(salt.as_bytes().to_vec())).ok_or(MALFORMED)?;
    Ok(ImportedHash::Scrypt { params, salt, output: parse_output(output).ok_or(MALFORMED)? })
}

fn pbkdf2_hash(name: &str, params: &str, salt: Option<Vec<u8>>, output: &str) -> Result<ImportedHash, HashError> {
    const MALFORMED: HashError = HashError::Malformed("PBKDF2");
    let (algorithm, block) = match name {
        "pbkdf2" | "pbkdf2-sha1" | "pbkdf2_sha1" => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
        "pbkdf2-sha256" | "pbkdf2_sha256" => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
        "pbkdf2-sha512" | "pbkdf2_sha512" => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
        _ => return Err(HashError::Unknown),
    };
    let salt = checked_salt(salt).ok_or(MALFORMED)?;
    let output = parse_output(output).ok_or(MALFORMED)?;
    let (iterations, length) = match number(params) {
        Some(iterations) => (iterations, None),
        None => {
            let [iterations, length] = parse_params(params, ["i", "l"]).ok_or(MALFORMED)?;
            (iterations.ok_or(MALFORMED)?, length)
        }
    };
    if length.is_some_and(|length| usize::try_from(length) != Ok(output.len())) {
        return Err(MALFORMED);
    }
    let iterations = NonZeroU32::new(iterations).ok_or(MALFORMED)?;
    let blocks = u64::try_from(output.len().div_ceil(block)).unwrap_or(u64::MAX);
    if blocks.saturating_mul(u64::from(iterations.get())) > MAX_PBKDF2_ITERATIONS {
        return Err(HashError::TooCostly(
            "there may be at most 4000000 iterations for all blocks of the output together",
        ));
    }
    Ok(ImportedHash::Pbkdf2 { algorithm, iterations, salt, output })
}

fn firebase_hash(
    params: &str,
    [salt, separator]: [&str; 2],
    output: &str,
    signer_key: &str,
) -> Result<ImportedHash, HashError> {
    const MALFORMED: HashError = HashError::Malformed("Firebase's scrypt");
    let params = scrypt_params(params, MALFORMED)?;
    let salt = decode_base64(salt).zip(decode_base64(separator)).map(|(salt, separator)| [salt, separator].concat());
    let salt = checked_salt(salt).ok_or(MALFORMED)?;
    let output = parse_output(output).ok_or(MALFORMED)?;
    let signer_key = decode_base64(signer_key).filter(|key| key.len() == output.len()).ok_or(MALFORMED)?;
    Ok(ImportedHash::Firebase { params, salt, output, signer_key })
}

fn scrypt_params(text: &str, malformed: HashError) -> Result<scrypt::Params, HashError> {
    match parse_params(text, ["ln", "r", "p"]) {
        Some([Some(ln), Some(r), Some(p)]) => bounded_scrypt(ln, r, p, malformed),
        _ => Err(malformed),
    }
}

fn bounded_scrypt(ln: u32, r: u32, p: u32, malformed: HashError) -> Result<scrypt::Params, HashError> {
    const BOUNDS: &str = "128 × N × r may be at most 256 MiB, and 128 × N × r × p at most 512 MiB";
    if ln == 0 || r == 0 || p == 0 {
        return Err(malformed);
    }
    // `scrypt::Params::new` multiplies r and p without checking for an overflow, so the bounds are checked first.
    let memory = 1_u64.checked_shl(ln).and_then(|n| n.checked_mul(128)?.checked_mul(r.into()));
    let work = memory.and_then(|memory| memory.checked_mul(p.into()));
    let within = |bytes: Option<u64>, max: u64| bytes.is_some_and(|bytes| bytes <= max);
    if !within(memory, MAX_SCRYPT_BYTES) || !within(work, MAX_SCRYPT_WORK_BYTES) {
        return Err(HashError::TooCostly(BOUNDS));
    }
    u8::try_from(ln).ok().and_then(|ln| scrypt::Params::new(ln, r, p).ok()).ok_or(malformed)
}

/// Parses a number that consists of decimal digits only.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Parses `name=value,…`, in which each name may stand once and no other may stand.
fn parse_params<const N: usize>(text: &str, names: [&str; N]) -> Option<[Option<u32>; N]> {
    let mut values = [None; N];
    for pair in text.split(',') {
        let (name, value) = pair.split_once('=')?;
        let slot = names.iter().zip(&mut values).find_map(|(known, slot)| (*known == name).then_some(slot))?;
        if slot.replace(number(value)?).is_some() {
            return None;
        }
    }
    Some(values)
}

fn checked_salt(salt: Option<Vec<u8>>) -> Option<Vec<u8>> {
    salt.filter(|salt| (1..=MAX_SALT).contains(&salt.len()))
}

fn parse_output(text: &str) -> Option<Vec<u8>> {
    decode_base64(text).filter(|output| OUTPUT_LENGTH.contains(&output.len()))
}

/// Decodes Base64 with `+/` or `-_`, or passlib's `.` for `+`, padded or not.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(hash: &str, password: &str) -> bool {
        let hash = ImportedHash::parse(hash).unwrap_or_else(|refusal| panic!("{hash} {refusal}"));
        hash.matches(password.as_bytes()).unwrap()
    }

    fn refusal(hash: &str) -> HashError {
        ImportedHash::parse(hash).err().unwrap_or_else(|| panic!("{hash} was accepted"))
    }

    #[track_caller]
    fn assert_knows(password: &str, hash: &str) {
        assert!(matches(hash, password), "{hash}");
        let wrong =
            [&format!("{password} "), &password[1..], &password.to_uppercase(), ""].map(|wrong| matches(hash, wrong));
        assert_eq!(wrong, [false; 4], "{hash}");
    }

    #[test]
    fn the_published_test_vectors_are_right() {
        // RFC 7914 §12.
        assert_knows(
            "pleaseletmein",
            "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$\
             cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw",
        );
        // RFC 7914 §11.
        assert_knows(
            "Password",
            "$pbkdf2-sha256$i=80000,l=64$TmFDbA$\
             TdzY9guYviGDDO5e8icB+WQaRBjQTAQUrv8Ih2s0q1ah1CWhIlgzVJrbhBtRybMXaicr3ruh0HhHj2Kzl/M8jQ",
        );
        // RFC 6070 §2.
        assert_knows(
            "passwordPASSWORDpassword",
            "$pbkdf2-sha1$i=4096,l=25$c2FsdFNBTFRzYWx0U0FMVHNhbHRTQUxUc2FsdFNBTFRzYWx0$\
             PS7sT+QchJuAyNg2YsDkSospGpZM8vBwOA==",
        );
        // The example of https://github.com/firebase/scrypt.
        assert_knows(
            "user1password",
            "$firescrypt$ln=14,r=8,p=1$42xEC+ixf3L2lw==$\
             lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==$Bw==$\
             jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==",
        );
    }

    #[test]
    fn hashes_of_python_s_libraries_know_their_password() {
        // By bcrypt 5.0, passlib 1.7.4 and Django 5.2, with little cost.
        for hash in [
            "$2a$04$O6hlT1KkG5jIr6cDtJi1Ce/gLEjK2j/3V2h5fFgci9wrXNc4k29ca",
            "$2b$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS",
            "$2y$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS",
            "$pbkdf2$1000$vHfOWUsJQUhprfWecy5lTA$ufRtHHGsIHqNAdTnyGqDwRm9TuA",
            "$pbkdf2-sha256$1000$ZKy1llJKCUFo7R1DKAXA2A$KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I",
            "$pbkdf2-sha512$1000$IOScMwaA0Hrvfa8VolQKQQ$\
             VMDX9Q0CGjkYF0LeVIImV7M/uay28CnI2UjljIW5wKB5Hv/q6RHqb6KfgFiHtt.ZfjTaaDceE09FQ9kTfG/v.A",
            "$scrypt$ln=10,r=8,p=1$de49R2gtZSwlxJhzDgEgJA$VlRnMkyq3NPe/V4Lz41cwmtqG9JwvXG/sTs6bmwnQRw",
            "pbkdf2_sha256$10000$NdJ3kRq0WmZ1$XWgj+QIyMRHerT/A3RybI3kELp4uGryqDirKovqbp30=",
            "pbkdf2_sha1$10000$NdJ3kRq0WmZ1$fFii8gjHGPl5vWwOCHJcb4Uetsk=",
            "bcrypt_sha256$$2b$05$0CD9zhSMRWa6zL5JYtItxus9AZp41k8bySug.jgI3DqkeKT4I3s2u",
            "bcrypt$$2b$05$lEt.92CaNVtYonDn/CJWceis8nWPkHuzRH/tQRDvTVSRcurUcx/fW",
            "scrypt$1024$NdJ3kRq0WmZ1$8$5$\
             C0HQ5S7ptg516vTyWIyP+aGpbEAfMhDy9sN0VK004XsW9e5jeHJUuf+Dly5opmzHXMTlixzEWVYLuVT5VJjL/g==",
        ] {
            assert_knows("anvil thimble", hash);
        }
    }

    #[test]
    fn hashes_put_together_from_an_export_know_their_password() {
        // Made with Python's hashlib and cryptography: Keycloak's 64 bytes of PBKDF2, and Firebase's scrypt in the
        // alphabet of its command line and in that of its SDK.
        let firebase = "$firescrypt$ln=10,r=8,p=1$KCkqKywtLi8wMQ==$\
            mrl0c5H2Av11Db7zHlcXu7HxLy+H+B4hfTf3jE6uNKHii6870GpdbaOWgNxN+GtJUhM70FS5qsJiYunQiGgLYA==$Bw==$\
            AwoRGB8mLTQ7QklQV15lbHN6gYiPlp2kq7K5wMfO1dzj6vH4/wYNFBsiKTA3PkVMU1phaG92fYSLkpmgp661vA==";
        for hash in [
            "$pbkdf2-sha256$i=27500,l=64$AAECAwQFBgcICQoLDA0ODw==$\
             zwf9KirkOhLuFI7L0iXmdEiGu35Kv26jVRo0m8t7lSm6PET6WUfL2INYjkwlN7cGtG+O2Q5VMbIcP5hOUGZTRA==",
            "$pbkdf2-sha512$i=2100$AAECAwQFBgcICQoLDA0ODw==$\
             PfWJyjl1GghAONqfr55Z3i0XNuf11dnH18UAn4csq3Uf9eBwqDySatMUdZra076EUb42B/rI0d15IQBs/+fk7w==",
            firebase,
            &firebase.replace('+', "-").replace('/', "_"),
        ] {
            assert_knows("anvil thimble", hash);
        }
    }

    #[test]
    fn bcrypt_reads_72_bytes_and_no_more() {
        let hash = "$2b$04$mns6RRjWeOdpbMbof7ZtceEDR1aeiwxCaMqBtcZOkouxCT6VgpdAe";
        let digits = "0123456789".repeat(8);
        assert!(matches(hash, &digits[..72]) && matches(hash, &digits));
        assert!(!matches(hash, &digits[..71]));
    }

    #[test]
    fn bits_that_bcrypt_s_last_characters_have_too_many_are_ignored() {
        let hash = "$2b$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS";
        assert!(matches(&hash.replace("LlOE3Z", "LlPE3Z"), "anvil thimble"));
        assert!(!matches(&hash.replace("LlOE3Z", "LluE3Z"), "anvil thimble"));
    }

    #[test]
    fn what_costs_too_much_is_refused_and_what_others_recommend_is_not() {
        let bcrypt = |cost: &str| format!("$2b${cost}$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS");
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I";
        let scrypt = |params: &str| format!("$scrypt${params}${salt}${output}");
        let firebase = |params: &str| format!("$firescrypt${params}${salt}${output}$Bw==${output}");
        let pbkdf2 = |params: &str| format!("$pbkdf2-sha256${params}${salt}${output}");
        let django = |cost: &str| format!("scrypt${cost}$8$1${output}");
        for hash in [
            bcrypt("15"),
            bcrypt("31"),
            scrypt("ln=19,r=8,p=1"),
            scrypt("ln=18,r=8,p=3"),
            scrypt("ln=1,r=1048576,p=1048576"),
            scrypt("ln=1,r=4294967295,p=4294967295"),
            scrypt("ln=63,r=8,p=1"),
            scrypt("ln=4294967295,r=8,p=1"),
            firebase("ln=31,r=8,p=1"),
            firebase("ln=14,r=1024,p=1"),
            django("1048576$salt"),
            pbkdf2("4000001"),
            pbkdf2("i=4294967295"),
            format!("pbkdf2_sha256$4294967295$salt${output}"),
            // Four blocks of SHA-1.
            format!("$pbkdf2-sha1$i=1000001${salt}${}", "A".repeat(86)),
        ] {
            assert!(matches!(refusal(&hash), HashError::TooCostly(_)), "{hash}");
        }
        for hash in [
            bcrypt("14"),
            scrypt("ln=17,r=8,p=1"),
            scrypt("ln=18,r=8,p=2"),
            firebase("ln=14,r=8,p=1"),
            django("16384$salt"),
            pbkdf2("1200000"),
            pbkdf2("i=4000000,l=32"),
        ] {
            assert!(ImportedHash::parse(&hash).is_ok(), "{hash}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        let bcrypt = "tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS";
        let salt = "AAECAwQFBgcICQoLDA0ODw";
        let output = "KnIuzCM3X1n.rdsJ/qlhHmK.h8UBoMrHtMe5aaLbt/I";
        for hash in [
            format!("$2b$4${bcrypt}"),
            format!("$2b$004${bcrypt}"),
            format!("$2b$+4${bcrypt}"),
            format!("$2b$03${bcrypt}"),
            format!("$2b$32${bcrypt}"),
            format!("$2b$04${}", &bcrypt[1..]),
            format!("$2b$04${bcrypt}."),
            format!("$2b$04${}é", &bcrypt[2..]),
            format!("$2b$04${}é{}", &bcrypt[..21], &bcrypt[23..]),
            format!("$2b$04${}=", &bcrypt[1..]),
            format!("$scrypt$ln=10,r=8${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=1,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=1,x=1${salt}${output}"),
            format!("$scrypt$ln=,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=-1,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=0,r=8,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=0,p=1${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=0${salt}${output}"),
            format!("$scrypt$ln=10,r=8,p=1$${output}"),
            format!("$scrypt$ln=10,r=8,p=1${salt}$"),
            format!("$scrypt$ln=10,r=8,p=1${salt}$AAAA"),
            format!("$scrypt$ln=10,r=8,p=1${salt}${}", "A".repeat(88)),
            format!("$scrypt$ln=10,r=8,p=1${salt}$!{}", &output[1..]),
            format!("scrypt$1000$salt$8$1${output}"),
            format!("scrypt$0$salt$8$1${output}"),
            format!("pbkdf2_sha256$0$salt${output}"),
            format!("pbkdf2_sha256$$salt${output}"),
            "pbkdf2_sha256$1000$salt$".to_owned(),
            format!("$pbkdf2-sha256$i=0${salt}${output}"),
            format!("$pbkdf2-sha256$l=32${salt}${output}"),
            format!("$pbkdf2-sha256$i=1000,l=31${salt}${output}"),
            format!("$pbkdf2-sha256$i=4294967296${salt}${output}"),
            format!("$pbkdf2-sha256$1000${}${output}", "A".repeat(400)),
            format!("$firescrypt$ln=10,r=8,p=1${salt}${output}$Bw==$AAAA"),
            format!("$firescrypt$ln=10,r=8,p=1${salt}${output}$?$${output}").replace("$$", "$"),
        ] {
            assert!(matches!(refusal(&hash), HashError::Malformed(_)), "{hash}: {:?}", refusal(&hash));
        }
        for hash in [
            String::new(),
            "!".to_owned(),
            "anvil thimble".to_owned(),
            "5f4dcc3b5aa765d61d8327deb882cf99".to_owned(),
            "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/".to_owned(),
            format!("$2x$04${bcrypt}"),
            format!("$2$04${bcrypt}"),
            format!("$pbkdf2-md5$1000${salt}${output}"),
            format!("pbkdf2_md5$1000$salt${output}"),
            format!("$pbkdf2-sha256$1000${}${output}", "A".repeat(1024)),
        ] {
            assert_eq!(refusal(&hash), HashError::Unknown, "{hash}");
        }
    }
}
