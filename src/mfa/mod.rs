//! The second factor: codes of an authenticator app (TOTP), recovery codes for when the app is lost, challenges for
//! logins that wait for a code, and trusted devices that need none.
//!
//! Methods with a connection run in the caller's transaction, which has locked the account's row, so that operations on
//! the second factor of one account never run concurrently.

mod challenge;
mod import;
mod recovery_codes;
mod store;
mod totp;
mod trusted_devices;

use std::sync::Arc;

use uuid::Uuid;

use crate::audit::{Actor, Audit, Event, Record};
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::devices::Devices;
use crate::mail::{Activity, Email, Mail, MfaChange};
use crate::random::Random;
use crate::secret::{SealKey, SealedRows};
use crate::tokens::opaque::{Purpose, TokenRecord};
use crate::types::{Amr, UserId};

pub(crate) use challenge::Challenge;
pub(crate) use import::{FactorError, ImportedFactor};
pub(crate) use recovery_codes::RecoveryCodes;
pub(crate) use totp::TotpEnrolment;
pub(crate) use trusted_devices::TrustedDevice;

/// The second factors of all accounts. Clones share everything.
#[derive(Clone)]
pub(crate) struct Mfa {
    inner: Arc<Inner>,
}

/// The parts of [`Mfa`].
pub(crate) struct Inner {
    /// The database.
    pub db: Db,
    /// The audit log.
    pub audit: Audit,
    /// The outbox for emails to owners.
    pub mail: Mail,
    /// The databases of user agents and places.
    pub devices: Devices,
    /// The clock.
    pub clock: Clock,
    /// The source of random bytes.
    pub random: Random,
    /// The keys and names.
    pub keys: MfaKeys,
}

impl std::ops::Deref for Mfa {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// The keys and names for second factors.
pub(crate) struct MfaKeys {
    /// The key that encrypts TOTP secrets in the database.
    seal: SealKey,
    /// The name that apps show next to the account.
    issuer: String,
}

impl MfaKeys {
    /// Derives the keys from the configuration.
    pub(crate) fn new(config: &Config) -> Self {
        let issuer = totp::without_colons(&config.pages.brand.name);
        Self { seal: config.secret.totp_seal(), issuer }
    }
}

/// The owner of a second factor.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// The id of the account.
    pub id: UserId,
    /// The email address.
    pub email: &'a str,
}

/// A method of the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// A code of an authenticator app.
    Totp,
    /// A recovery code.
    RecoveryCode,
}

impl Method {
    /// Returns the method of `code`, by its form: a TOTP code is six digits, any other text is a recovery code.
    pub(crate) fn from_code(code: &str) -> Self {
        let digits = code.chars().filter(char::is_ascii_digit).count();
        let is_short = code.chars().filter(|c| c.is_alphanumeric()).count() == totp::DIGITS;
        if is_short && digits == totp::DIGITS { Self::Totp } else { Self::RecoveryCode }
    }

    /// Returns the name in the API and the audit log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::RecoveryCode => "recovery_code",
        }
    }

    /// Returns the `amr` of an authentication with a password and this method (RFC 8176 §2). The registry has no value
    /// for recovery codes.
    pub(crate) fn amr(self) -> Amr {
        match self {
            Self::Totp => Amr::new(&["pwd", "otp", "mfa"]),
            Self::RecoveryCode => Amr::new(&["pwd", "mfa"]),
        }
    }
}

/// Why an operation on a second factor is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MfaError {
    /// Two-step login is already enabled.
    #[error("two-step login is already enabled")]
    AlreadyEnabled,
    /// Two-step login is not enabled.
    #[error("two-step login is not enabled")]
    NotEnabled,
    /// The account has a second factor, which the caller has not shown.
    #[error("the caller has not shown a second factor")]
    FactorRequired,
    /// There is no secret to confirm.
    #[error("no secret waits for confirmation")]
    NotStarted,
    /// The code is wrong or was used before.
    #[error("the code is wrong or was used before")]
    InvalidCode,
    /// The account does not exist or is disabled.
    #[error("the account does not exist or is disabled")]
    NoAccount,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl Mfa {
    /// Creates the second factors from their parts.
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Returns whether logins of the account need a second factor.
    pub(crate) fn is_enabled(&self, conn: &mut Conn, user: UserId) -> DbResult<bool> {
        store::is_enabled(conn, user)
    }

    /// Checks that whoever has authenticated with the methods of `amr` has shown the account's second factor, if it has
    /// one.
    ///
    /// # Errors
    /// The second factor was not shown.
    pub(crate) fn require_factor(&self, conn: &mut Conn, user: UserId, amr: &Amr) -> Result<(), MfaError> {
        if !amr.has_second_factor() && store::is_enabled(conn, user)? {
            return Err(MfaError::FactorRequired);
        }
        Ok(())
    }

    /// Redeems `code`, which is accepted only once. Returns whether it is valid for the account.
    pub(crate) fn redeem_code(&self, conn: &mut Conn, user: UserId, method: Method, code: &str) -> DbResult<bool> {
        match method {
            Method::Totp => self.redeem_totp(conn, user, code),
            Method::RecoveryCode => self.redeem_recovery_code(conn, user, code),
        }
    }

    /// Audits a change of the second factor and queues an email to the owner. Call [`Mail::wake`] after the commit.
    pub(crate) fn notify(&self, conn: &mut Conn, owner: Owner<'_>, what: MfaChange, by: &Actor) -> DbResult<()> {
        let now = self.clock.now();
        let event = match what {
            MfaChange::Enabled => Event::MfaEnabled,
            MfaChange::Disabled => Event::MfaDisabled,
            MfaChange::RecoveryCodesReplaced => Event::RecoveryCodesReplaced,
            MfaChange::RecoveryCodeUsed => Event::RecoveryCodeUsed,
        };
        let remaining = store::count_recovery_codes(conn, owner.id)?;
        self.audit.append(conn, &Record::new(event, by).on(owner.id).with("recovery_codes_left", remaining))?;
        let record = TokenRecord { purpose: Purpose::ReportLogin, user: owner.id, session: None };
        let link = self.mail.issue_link(conn, record, now)?;
        let activity = Activity::new(&self.devices, by, owner.id, now);
        self.mail.queue(conn, owner.email, by.requester.language, &Email::MfaChanged { what, activity, link }, now)
    }
}

impl Mfa {
    /// Encrypts those of the next `limit` secrets after `after` under the new secret of the server that are encrypted
    /// under the previous one; or counts them only.
    pub(crate) fn reseal(&self, conn: &mut Conn, after: Uuid, limit: i64, is_counting: bool) -> DbResult<SealedRows> {
        let rows = store::secrets_after(conn, UserId(after), limit)?;
        let mut found = SealedRows { outdated: 0, last: rows.last().map(|(user, _)| user.0) };
        for (user, sealed) in rows {
            let context = user.0.as_bytes();
            if self.keys.seal.is_current(&sealed, context) {
                continue;
            }
            found.outdated = found.outdated.saturating_add(1);
            match self.keys.seal.reseal(&sealed, context, &self.random) {
                Some(resealed) if !is_counting => store::reseal_secret(conn, user, &sealed, &resealed)?,
                Some(_) | None => {}
            }
        }
        Ok(found)
    }

    /// Queues an email that tells the owner of wrong codes after the right password. Call [`Mail::wake`] after the
    /// commit.
    pub(crate) fn warn_of_wrong_codes(&self, conn: &mut Conn, owner: Owner<'_>, by: &Actor) -> DbResult<()> {
        let now = self.clock.now();
        let record = TokenRecord { purpose: Purpose::ReportLogin, user: owner.id, session: None };
        let link = self.mail.issue_link(conn, record, now)?;
        let activity = Activity::new(&self.devices, by, owner.id, now);
        self.mail.queue(conn, owner.email, by.requester.language, &Email::WrongCodes { activity, link }, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_recognised_by_its_form() {
        for totp in ["123456", "123 456", "000-000"] {
            assert_eq!(Method::from_code(totp), Method::Totp, "{totp}");
        }
        for other in ["", "12345", "1234567", "ABCD-EFGH-JKMN-PQRS", "12345a"] {
            assert_eq!(Method::from_code(other), Method::RecoveryCode, "{other}");
        }
    }
}
