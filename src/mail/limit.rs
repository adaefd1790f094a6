//! The limit on emails to one recipient, whatever causes them. It is counted in the transaction that queues an email.

use std::time::Duration;

use super::email::{Email, MfaChange};
use super::store::{self, Recipient};
use crate::config::{self, Config};
use crate::db::{Conn, DbResult};
use crate::secret::MacKey;
use crate::types::{Rate, Timestamp};

/// The limits (GCRA) on emails to one recipient.
pub(super) struct Limits {
    key: MacKey,
    verified: Option<Rate>,
    unverified: Option<Rate>,
}

/// A class of emails. Those of one class to one verified address are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EmailClass {
    /// A link that somebody asked for.
    Link,
    /// A notice of a theft, or of what a thief would do to keep the account.
    Theft,
    /// A notice about the deletion of the account. Nothing else can use up what lets the owner cancel it.
    Deletion,
    /// Any other notice.
    Notice,
}

impl EmailClass {
    /// Returns the name in the key of the count.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Theft => "theft",
            Self::Deletion => "deletion",
            Self::Notice => "notice",
        }
    }
}

/// The decision on an email.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// The email can be queued.
    Admitted,
    /// The email exceeds the limit.
    Dropped {
        /// The name of the limit.
        limit: &'static str,
        /// Whether none was dropped lately.
        is_first: bool,
        /// The time after which an email is admitted again.
        retry_after: Duration,
    },
}

impl Limits {
    /// Creates the limits with the configured rates.
    pub(super) fn new(config: &Config) -> Self {
        let config::Limits { email_verified, email_unverified, .. } = config.limits;
        Self { key: config.secret.limit_key(), verified: email_verified, unverified: email_unverified }
    }

    /// Counts an email. A verified address has a count for each class of emails, so that nobody can use up what tells
    /// its owner of a theft. Any other address has one count, because all of them go to somebody who may be a stranger.
    pub(super) fn count(
        &self,
        conn: &mut Conn,
        recipient: &Recipient,
        class: EmailClass,
        now: Timestamp,
    ) -> DbResult<Admission> {
        let (limit, rate, class) = if recipient.is_verified {
            ("email_verified", self.verified, class.name())
        } else {
            ("email_unverified", self.unverified, "")
        };
        let Some(rate) = rate else { return Ok(Admission::Admitted) };
        let subject = format!("{limit} {class} {}", recipient.normalized);
        let key = self.key.tag(subject.as_bytes());
        if let Some(other) = self.key.other_tag(subject.as_bytes()) {
            store::adopt_count(conn, &other, &key)?;
        }
        let count = store::lock_count(conn, &key, now)?;
        let interval = rate.period.checked_div(rate.burst.get()).unwrap_or_default();
        let full_at = count.full_at.max(now).plus(interval);
        if full_at <= now.plus(rate.period) {
            store::set_count(conn, &key, full_at)?;
            return Ok(Admission::Admitted);
        }
        let is_first = count.dropped_at.is_none_or(|dropped_at| now.since(dropped_at) >= rate.period);
        if is_first {
            store::set_dropped(conn, &key, now)?;
        }
        let retry_after = full_at.since(now.plus(rate.period));
        Ok(Admission::Dropped { limit, is_first, retry_after })
    }
}

impl Email {
    /// Returns the class in which emails to one verified address are counted together.
    pub(super) const fn class(&self) -> EmailClass {
        match self {
            Self::VerifyEmail { .. }
            | Self::ResetPassword { .. }
            | Self::Invitation { .. }
            | Self::ChangeEmailOld { .. }
            | Self::ChangeEmailNew { .. } => EmailClass::Link,
            Self::RefreshReused { .. }
            | Self::PasswordChanged { .. }
            | Self::EmailChanged { .. }
            | Self::WrongCodes { .. }
            | Self::AlertsDisabled { .. }
            | Self::MfaChanged { what: MfaChange::Disabled | MfaChange::RecoveryCodeUsed, .. } => EmailClass::Theft,
            Self::AccountDeletion { .. } | Self::DeletionCancelled { .. } | Self::AccountDeleted => {
                EmailClass::Deletion
            }
            Self::NewLogin { .. }
            | Self::SessionLimit { .. }
            | Self::MfaChanged { what: MfaChange::Enabled | MfaChange::RecoveryCodesReplaced, .. } => {
                EmailClass::Notice
            }
        }
    }
}
