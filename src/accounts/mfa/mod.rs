//! The second factor: codes of an app (TOTP), recovery codes for when the app is gone, logins that wait for either, and
//! devices that are trusted to need neither.

pub mod challenge;
pub mod http;
pub mod recovery_codes;
mod store;
pub mod token;
pub mod totp;
pub mod trusted_devices;

use crate::accounts::Accounts;
use crate::audit::{Actor, Event, Record};
use crate::config::Config;
use crate::db::types::{Names, UserId};
use crate::db::{Conn, DbError, DbResult};
use crate::mail::{Letter, MfaChange};
use crate::secret::{MacKey, SealKey};
use crate::tokens::one_time::{self, Bearer, Purpose};

/// What second factors are made with.
pub struct Mfa {
    /// Secrets of apps lie in the database under this key.
    seal: SealKey,
    /// Recovery codes lie there as MACs under this one: who steals the database cannot try codes on it.
    codes: MacKey,
    /// What apps show beside the account.
    issuer: String,
}

impl Mfa {
    pub fn new(config: &Config) -> Self {
        let site = config.public_url.host_str().unwrap_or("keyturn");
        Self {
            seal: config.secret.totp_seal(),
            codes: config.secret.recovery_code_key(),
            issuer: totp::without_colons(site),
        }
    }
}

/// How a second factor is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Totp,
    RecoveryCode,
}

impl Method {
    pub const ALL: [Self; 2] = [Self::Totp, Self::RecoveryCode];

    /// What `code` is by its form: an app's codes are the shorter ones.
    pub fn of(code: &str) -> Self {
        let digits = code.chars().filter(char::is_ascii_digit).count();
        let is_short = code.chars().filter(|c| c.is_alphanumeric()).count() == totp::DIGITS;
        if is_short && digits == totp::DIGITS { Self::Totp } else { Self::RecoveryCode }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
        }
    }

    /// How somebody has authenticated who has shown this after the password (RFC 8176 §2). A recovery code is none of
    /// the methods that it names.
    pub fn amr(self) -> Names {
        match self {
            Self::Totp => Names::of(&["pwd", "otp", "mfa"]),
            Self::RecoveryCode => Names::of(&["pwd", "mfa"]),
        }
    }
}

/// Why nothing was done to a second factor.
#[derive(Debug, thiserror::Error)]
pub enum MfaError {
    #[error("two-step login is switched on already")]
    AlreadyEnabled,
    #[error("two-step login is not switched on")]
    NotEnabled,
    #[error("no secret waits for its confirmation")]
    NotStarted,
    #[error("the code is not right, or was used before")]
    InvalidCode,
    #[error("the account is gone or disabled")]
    Gone,
    #[error(transparent)]
    Database(#[from] DbError),
}

impl Accounts {
    /// Whether logins of the account need a second factor.
    pub(super) fn has_mfa_in(conn: &mut Conn, user: UserId) -> DbResult<bool> {
        store::is_active(conn, user)
    }

    /// Uses `code` up, if the account has it. Part of the caller's transaction.
    pub(super) fn accept_code_in(&self, conn: &mut Conn, user: UserId, method: Method, code: &str) -> DbResult<bool> {
        match method {
            Method::Totp => self.accept_totp_in(conn, user, code),
            Method::RecoveryCode => self.accept_recovery_code_in(conn, user, code),
        }
    }

    /// Notes what became of an account's second factor and posts the letter that tells its owner. Part of the caller's
    /// transaction; the outbox is to be woken after it.
    pub(super) fn tell_of_mfa_in(&self, conn: &mut Conn, user: UserId, what: MfaChange, by: &Actor) -> DbResult<()> {
        let parts = &*self.0;
        let event = match what {
            MfaChange::Enabled => Event::MfaEnabled,
            MfaChange::Disabled => Event::MfaDisabled,
            MfaChange::RecoveryCodesReplaced => Event::RecoveryCodesReplaced,
            MfaChange::RecoveryCodeUsed => Event::RecoveryCodeUsed,
        };
        let left = store::count_codes(conn, user)?;
        parts.audit.append(conn, &Record::new(event, by).on(user).with("recovery_codes_left", left))?;
        let Some(email) = store::address(conn, user)? else { return Ok(()) };
        let now = parts.clock.now();
        let bearer = Bearer { user, purpose: Purpose::NotMe, session: None };
        let link = one_time::issue(conn, &parts.mail, bearer, &parts.random, now)?;
        let occasion = parts.sessions.occasion(&by.client);
        parts.mail.post(conn, &email, &Letter::MfaChanged { what, occasion, link }, now)
    }

    /// Takes an account's second factor away, with all that belongs to it: for operators, when somebody has lost it.
    /// Answers whether there was one.
    pub async fn reset_mfa(&self, user: UserId) -> DbResult<bool> {
        match self.disable_mfa(user, &Actor::default()).await {
            Ok(()) => Ok(true),
            Err(MfaError::Database(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_known_by_its_form() {
        for totp in ["123456", "123 456", "000-000"] {
            assert_eq!(Method::of(totp), Method::Totp, "{totp}");
        }
        for other in ["", "12345", "1234567", "ABCD-EFGH-JKMN-PQRS", "12345a"] {
            assert_eq!(Method::of(other), Method::RecoveryCode, "{other}");
        }
    }
}
