//! Recovery codes, for users who have lost their app. Each is valid once.

use zeroize::Zeroizing;

use super::{Mfa, MfaError, Owner, store};
use crate::audit::Actor;
use crate::db::{Conn, DbError, DbResult};
use crate::mail::MfaChange;
use crate::secret::MacKey;
use crate::types::UserId;

/// The number of codes that an account gets.
const COUNT: usize = 10;

/// The number of random bytes of a code: 80 bits, in 16 characters.
const BYTES: usize = 10;

/// The number of characters between two hyphens.
const GROUP: usize = 4;

/// The alphabet of Crockford's Base32, without letters that could be mistaken for a digit or another letter.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Formats a code for people: `7K2M-4QXZ-9RTB-W3HV`.
fn format_code(bytes: &[u8; BYTES]) -> Zeroizing<String> {
    let bits = bytes.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    let mut code = Zeroizing::new(String::with_capacity(BYTES * 2));
    for place in 0..BYTES * 8 / 5 {
        if place > 0 && place.is_multiple_of(GROUP) {
            code.push('-');
        }
        let index = usize::try_from((bits >> (75 - 5 * place)) & 31).unwrap_or(0);
        code.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'0')));
    }
    code
}

/// Normalizes a code for comparison: in upper case, without separators, and with letters replaced that may be misread
/// digits.
pub(super) fn normalize(code: &str) -> Zeroizing<String> {
    let characters = code.chars().filter(|c| c.is_alphanumeric()).map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    Zeroizing::new(characters.collect())
}

/// New recovery codes, which are shown only once.
pub(crate) type RecoveryCodes = Vec<Zeroizing<String>>;

impl Mfa {
    /// Replaces the account's recovery codes and notifies its owner.
    ///
    /// # Errors
    /// Two-step login is not enabled.
    pub(crate) fn replace_recovery_codes(
        &self,
        conn: &mut Conn,
        owner: Owner<'_>,
        by: &Actor,
    ) -> Result<RecoveryCodes, MfaError> {
        if !store::is_enabled(conn, owner.id)? {
            return Err(MfaError::NotEnabled);
        }
        let codes = self.generate_recovery_codes(conn, owner.id)?;
        self.notify(conn, owner, MfaChange::RecoveryCodesReplaced, by)?;
        Ok(codes)
    }

    /// Counts the unused recovery codes of an account.
    pub(crate) fn count_recovery_codes(&self, conn: &mut Conn, user: UserId) -> DbResult<i64> {
        store::count_recovery_codes(conn, user)
    }

    /// Generates new recovery codes, which replace the current ones.
    pub(super) fn generate_recovery_codes(&self, conn: &mut Conn, user: UserId) -> DbResult<RecoveryCodes> {
        let codes: RecoveryCodes = (0..COUNT).map(|_| format_code(&self.random.bytes())).collect();
        let secret = self.secret_of(conn, user)?;
        let secret = secret.ok_or_else(|| DbError::Unexpected("there is no secret for recovery codes".to_owned()))?;
        let digests: Vec<_> = codes.iter().map(|code| recovery_digest(&secret, user, code)).collect();
        store::replace_recovery_codes(conn, user, &digests, self.clock.now())?;
        Ok(codes)
    }

    /// Deletes a recovery code. Returns whether the account had it.
    pub(super) fn redeem_recovery_code(&self, conn: &mut Conn, user: UserId, code: &str) -> DbResult<bool> {
        match self.secret_of(conn, user)? {
            Some(secret) => store::redeem_recovery_code(conn, user, &recovery_digest(&secret, user, code)),
            None => Ok(false),
        }
    }
}

/// Returns the digest of a code of `user`, however it is typed: a MAC under a key that is derived from the secret of
/// the user's app, so that codes cannot be guessed from a stolen database, and outlive a change of `JWT_SECRET`.
pub(super) fn recovery_digest(secret: &[u8], user: UserId, code: &str) -> [u8; 16] {
    let message = Zeroizing::new([user.0.as_bytes().as_slice(), normalize(code).as_bytes()].concat());
    MacKey::from_secret(secret, "recovery code mac").tag(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_in_four_groups() {
        assert_eq!(format_code(&[0; BYTES]).as_str(), "0000-0000-0000-0000");
        assert_eq!(format_code(&[255; BYTES]).as_str(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        assert_eq!(format_code(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 33]).as_str(), "0000-0000-0000-0011");
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for typed in ["7K2M-4QXZ-9RTB-W301", "7k2m4qxz9rtbw3oi", " 7K2M 4QXZ 9RTB W3OL "] {
            assert_eq!(normalize(typed).as_str(), "7K2M4QXZ9RTBW301", "{typed}");
        }
    }
}
