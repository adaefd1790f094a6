//! Recovery codes, for those whose app is gone: each is good once.

use zeroize::Zeroizing;

use super::{MfaError, store};
use crate::accounts::Accounts;
use crate::audit::Actor;
use crate::db::types::UserId;
use crate::db::{Conn, DbResult};
use crate::mail::MfaChange;

/// How many an account gets at once.
const COUNT: usize = 10;

/// Random bytes of a code: 80 bits, in 16 characters.
const BYTES: usize = 10;

/// Characters between two hyphens.
const GROUP: usize = 4;

/// Crockford's Base32: no letter that could be taken for a digit or another letter.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code as people see it: `7K2M-4QXZ-9RTB-W3HV`.
fn written(bytes: &[u8; BYTES]) -> Zeroizing<String> {
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

/// A code as it is compared: in capitals, without what stands between its characters, and with the digits for which a
/// letter may have been read.
fn normalised(code: &str) -> Zeroizing<String> {
    let characters = code.chars().filter(|c| c.is_alphanumeric()).map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    Zeroizing::new(characters.collect())
}

impl Accounts {
    /// Voids the account's recovery codes and answers new ones, which are shown this once.
    pub async fn replace_recovery_codes(&self, user: UserId, by: &Actor) -> Result<Vec<Zeroizing<String>>, MfaError> {
        let (accounts, by) = (self.clone(), by.clone());
        let replaced = self.0.db.write(move |conn| {
            if store::lock(conn, user)?.is_none() {
                return Ok(Err(MfaError::Gone));
            }
            if !store::is_active(conn, user)? {
                return Ok(Err(MfaError::NotEnabled));
            }
            let codes = accounts.replace_recovery_codes_in(conn, user)?;
            accounts.tell_of_mfa_in(conn, user, MfaChange::RecoveryCodesReplaced, &by)?;
            Ok(Ok(codes))
        });
        let replaced = replaced.await?;
        self.0.mail.wake();
        replaced
    }

    pub(super) fn replace_recovery_codes_in(&self, conn: &mut Conn, user: UserId) -> DbResult<Vec<Zeroizing<String>>> {
        let codes: Vec<_> = (0..COUNT).map(|_| written(&self.0.random.bytes())).collect();
        let digests: Vec<_> = codes.iter().map(|code| self.recovery_digest(user, code)).collect();
        store::replace_codes(conn, user, &digests, self.0.clock.now())?;
        Ok(codes)
    }

    pub(super) fn accept_recovery_code_in(&self, conn: &mut Conn, user: UserId, code: &str) -> DbResult<bool> {
        store::use_code(conn, user, &self.recovery_digest(user, code))
    }

    fn recovery_digest(&self, user: UserId, code: &str) -> [u8; 16] {
        let message = Zeroizing::new([user.0.as_bytes().as_slice(), normalised(code).as_bytes()].concat());
        self.0.mfa.codes.tag(&message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_in_four_groups() {
        assert_eq!(written(&[0; BYTES]).as_str(), "0000-0000-0000-0000");
        assert_eq!(written(&[255; BYTES]).as_str(), "ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        assert_eq!(written(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 33]).as_str(), "0000-0000-0000-0011");
    }

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for typed in ["7K2M-4QXZ-9RTB-W301", "7k2m4qxz9rtbw3oi", " 7K2M 4QXZ 9RTB W3OL "] {
            assert_eq!(normalised(typed).as_str(), "7K2M4QXZ9RTBW301", "{typed}");
        }
    }
}
