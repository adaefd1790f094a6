//! Second factors that accounts bring from another system, or take along to one.

use totp_rs::Secret;
use url::Url;
use zeroize::Zeroizing;

use super::recovery_codes::normalize;
use super::recovery_codes::recovery_digest;
use super::{Mfa, store};
use crate::db::{Conn, DbResult};
use crate::types::UserId;

/// The length of a secret, in bytes. Apps have shown secrets of 80 bits for a long time.
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 10..=64;

/// The maximum number of recovery codes.
const MAX_CODES: usize = 32;

/// The length of a recovery code, without separators.
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 8..=64;

/// Why a second factor cannot be imported. The text repeats no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FactorError {
    /// The secret is malformed.
    #[error("totp_secret is neither Base32 of 10 to 64 bytes nor an otpauth URI with such a secret")]
    Secret,
    /// The app makes other codes than those that are accepted here.
    #[error("totp_secret is not for codes of SHA-1 with 6 digits every 30 seconds")]
    Unsupported,
    /// A recovery code is malformed, or there are too many.
    #[error("recovery_codes has more than 32 codes, or one that has not 8 to 64 letters and digits")]
    RecoveryCodes,
}

/// A second factor of another system.
pub(crate) struct ImportedFactor {
    secret: Zeroizing<Vec<u8>>,
    recovery_codes: Vec<Zeroizing<String>>,
}

impl ImportedFactor {
    /// Parses the secret of an authenticator app, as Base32 or as an otpauth URI, and recovery codes in plain text.
    ///
    /// # Errors
    /// A value is malformed, or the app makes other codes than those that are accepted here.
    pub(crate) fn parse(secret: &str, recovery_codes: Vec<Zeroizing<String>>) -> Result<Self, FactorError> {
        let secret = match Url::parse(secret.trim()) {
            Ok(uri) => parse_uri(&uri)?,
            Err(_) => parse_secret(secret)?,
        };
        let is_valid = |code: &Zeroizing<String>| CODE_LENGTH.contains(&normalize(code).len());
        if recovery_codes.len() > MAX_CODES || !recovery_codes.iter().all(is_valid) {
            return Err(FactorError::RecoveryCodes);
        }
        Ok(Self { secret, recovery_codes })
    }
}

/// Parses Base32 in either case, with or without padding and separators.
fn parse_secret(text: &str) -> Result<Zeroizing<Vec<u8>>, FactorError> {
    let digits = text.chars().filter(|c| !matches!(c, ' ' | '-' | '=')).map(|c| c.to_ascii_uppercase());
    let digits: Zeroizing<String> = Zeroizing::new(digits.collect());
    let secret = Secret::try_from_base32(digits.as_str()).map_err(|_| FactorError::Secret)?;
    let bytes = Some(secret.as_bytes()).filter(|bytes| SECRET_LENGTH.contains(&bytes.len()));
    bytes.map(|bytes| Zeroizing::new(bytes.to_vec())).ok_or(FactorError::Secret)
}

/// Parses an otpauth URI. What it leaves out is as here.
fn parse_uri(uri: &Url) -> Result<Zeroizing<Vec<u8>>, FactorError> {
    if uri.scheme() != "otpauth" {
        return Err(FactorError::Secret);
    }
    if uri.host_str() != Some("totp") {
        return Err(FactorError::Unsupported);
    }
    let mut secret = None;
    for (name, value) in uri.query_pairs() {
        let is_usual = match &*name {
            "secret" => {
                secret = Some(Zeroizing::new(value.into_owned()));
                true
            }
            "algorithm" => matches!(value.to_ascii_uppercase().as_str(), "SHA1" | "SHA-1" | "HMACSHA1"),
            "digits" => value == "6",
            "period" => value == "30",
            _ => true,
        };
        if !is_usual {
            return Err(FactorError::Unsupported);
        }
    }
    secret.map_or(Err(FactorError::Secret), |secret| parse_secret(&secret))
}

impl Mfa {
    /// Enables two-step login for an account that was just imported, without a notice.
    pub(crate) fn import(&self, conn: &mut Conn, user: UserId, factor: &ImportedFactor) -> DbResult<()> {
        let now = self.clock.now();
        let sealed = self.keys.seal.seal(&factor.secret, user.0.as_bytes(), &self.random);
        store::replace_totp_secret(conn, user, &sealed, now)?;
        store::confirm_totp_secret(conn, user, 0, now)?;
        let mut digests: Vec<_> =
            factor.recovery_codes.iter().map(|code| recovery_digest(&factor.secret, user, code)).collect();
        digests.sort_unstable();
        digests.dedup();
        store::replace_recovery_codes(conn, user, &digests, now)
    }

    /// Returns the accounts from `first` to `last` that have a second factor, each with its secret in Base32; `None` if
    /// that was encrypted under another key.
    pub(crate) fn export(
        &self,
        conn: &mut Conn,
        first: UserId,
        last: UserId,
    ) -> DbResult<Vec<(UserId, Option<Zeroizing<String>>)>> {
        let rows = store::confirmed_secrets(conn, first, last)?;
        let opened = rows.into_iter().map(|(user, sealed)| {
            let secret = self.keys.seal.open(&sealed, user.0.as_bytes());
            (user, secret.map(|secret| Zeroizing::new(Secret::from(secret.to_vec()).to_base32())))
        });
        Ok(opened.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mfa::Method;

    const SECRET: &[u8] = b"12345678901234567890";

    fn parse(secret: &str) -> Result<Vec<u8>, FactorError> {
        ImportedFactor::parse(secret, Vec::new()).map(|factor| factor.secret.to_vec())
    }

    #[test]
    fn a_secret_is_read_as_systems_write_it() {
        for text in [
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
            " gezd gnbv gy3t qojq gezd gnbv gy3t qojq ",
            "GEZD-GNBV-GY3T-QOJQ-GEZD-GNBV-GY3T-QOJQ====",
            "otpauth://totp/Site:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Site",
            "otpauth://totp/ada?algorithm=sha1&digits=6&period=30&secret=gezdgnbvgy3tqojqgezdgnbvgy3tqojq&image=x",
        ] {
            assert_eq!(parse(text).unwrap(), SECRET, "{text}");
        }
        assert_eq!(parse("JBSWY3DPEHPK3PXP").unwrap().len(), 10);
    }

    #[test]
    fn a_secret_that_is_none_is_refused_and_one_for_other_codes_told_apart() {
        let long = "A".repeat(105);
        let uris = ["https://example.com/", "otpauth://totp/a", "otpauth://totp/a?secret=!"];
        for text in ["", "JBSWY3DP", "JBSWY3DPEHPK3PX!", "01890189018901890189", &long].into_iter().chain(uris) {
            assert_eq!(parse(text).unwrap_err(), FactorError::Secret, "{text}");
        }
        for query in ["algorithm=SHA256", "digits=8", "period=60"] {
            let uri = format!("otpauth://totp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&{query}");
            assert_eq!(parse(&uri).unwrap_err(), FactorError::Unsupported, "{uri}");
        }
        let counted = "otpauth://hotp/a?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=0";
        assert_eq!(parse(counted).unwrap_err(), FactorError::Unsupported);
    }

    #[test]
    fn recovery_codes_are_bounded_and_never_taken_for_those_of_an_app() {
        let with = |codes: &[&str]| {
            let codes = codes.iter().map(|code| Zeroizing::new((*code).to_owned())).collect();
            ImportedFactor::parse("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", codes)
        };
        for code in ["ABCD-EFGH", "12345678", "5f4dc c3b5a"] {
            assert!(with(&[code]).is_ok(), "{code}");
            assert_eq!(Method::from_code(code), Method::RecoveryCode, "{code}");
        }
        let long = "A".repeat(65);
        for code in ["", "123456", "ABC-DEF", &long] {
            assert_eq!(with(&[code]).err(), Some(FactorError::RecoveryCodes), "{code}");
        }
        assert_eq!(with(&["ABCDEFGH"; 33]).err(), Some(FactorError::RecoveryCodes));
    }
}
