//! Delays after failed password attempts: after consecutive failures the next attempt has to wait, longer each time,
//! but nobody can lock the owner of an account out.
//!
//! An attempt from a trusted device is delayed by the failures of that device only, and an attempt from a network in
//! which the account has or had a session by the failures of that network only. Any other attempt is delayed by the
//! failures of its network and by those of all unknown networks together. Accounts that do not exist are treated the
//! same.

use std::time::Duration;

use super::store::{self, Failures};
use super::{Limit, RateLimited, Throttle};
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbError, DbResult};
use crate::devices::Network;
use crate::types::{EmailAddress, Requester, Timestamp, UserId};

/// The number of consecutive failures without a delay.
const FREE_FAILURES: u32 = 5;

/// The maximum delay after the last failure.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// The time that failures count after the last: a day.
pub(crate) const FAILURES_KEPT: Duration = Duration::from_secs(86_400);

/// The name in metrics and the audit log, next to the names of the limits.
const NAME: &str = "login-failures";

/// Why a password attempt is refused before the password is verified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    /// There were too many consecutive failures.
    #[error("too many failures in a row")]
    TooManyFailures {
        /// The time until the next attempt is allowed.
        retry_after: Duration,
    },
    /// There were too many attempts.
    #[error("too many attempts")]
    RateLimited(RateLimited),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// The source of a password attempt, as far as the account knows it.
#[derive(Clone, Debug)]
pub(crate) enum AttemptSource {
    /// A device that the account trusts, with the digest of its token.
    TrustedDevice(Vec<u8>),
    /// A network in which the account has, or recently had, a session.
    KnownNetwork,
    /// Any other network.
    UnknownNetwork,
}

/// The key of a count of failures: a MAC of the account's email address and the source of the attempts.
type FailureKey = Vec<u8>;

/// A password attempt that was admitted. The caller has to record whether it failed or succeeded.
#[derive(Clone)]
pub(crate) struct PasswordAttempt {
    /// The counts that a failure adds to and a success resets.
    keys: Vec<FailureKey>,
    /// Whether any failures are counted at present.
    has_failed: bool,
    /// The account, if there is one.
    pub user: Option<UserId>,
    /// Where the attempt comes from.
    pub requester: Requester,
}

/// Returns the delay after the last of `failures` consecutive failures.
fn delay(failures: i32) -> Duration {
    let failures = u32::try_from(failures).unwrap_or(0);
    match failures.checked_sub(FREE_FAILURES) {
        Some(doublings) => Duration::from_secs(1 << doublings.min(10)).min(MAX_DELAY),
        None => Duration::ZERO,
    }
}

/// Returns how long an attempt at `now` has to wait.
fn remaining_delay(failures: &Failures, now: Timestamp) -> Duration {
    failures.last_failed_at.plus(delay(failures.failures)).since(now)
}

impl Throttle {
    /// Decides whether a password attempt for `email` is admitted, before the password is hashed. `user` is the
    /// account, if there is one.
    ///
    /// # Errors
    /// There were too many failures or attempts, which is audited, or the database fails.
    pub(crate) async fn admit(
        &self,
        email: &EmailAddress,
        user: Option<UserId>,
        source: &AttemptSource,
        requester: &Requester,
    ) -> Result<PasswordAttempt, AttemptError> {
        let now = self.clock.now();
        let keys = self.failure_keys(email, source, requester);
        let looked_up = keys.clone();
        let since = now.minus(FAILURES_KEPT);
        let failures = self.db.read(move |conn| store::failures(conn, &looked_up, since)).await?;
        let retry_after = failures.iter().map(|failures| remaining_delay(failures, now)).max().unwrap_or_default();
        let attempt = PasswordAttempt { keys, has_failed: !failures.is_empty(), user, requester: requester.clone() };
        if !retry_after.is_zero() {
            self.record_refused(NAME, &attempt).await;
            return Err(AttemptError::TooManyFailures { retry_after });
        }
        // A known source has its own count, which attempts from elsewhere cannot use up.
        let subject = match (source, attempt.keys.first()) {
            (AttemptSource::TrustedDevice(_) | AttemptSource::KnownNetwork, Some(key)) => key.as_slice(),
            _ => email.normalized().as_bytes(),
        };
        match self.limits.check(&self.cache, Limit::LoginAccount, subject).await {
            Ok(_) => Ok(attempt),
            Err(limited) => {
                self.record_refused(Limit::LoginAccount.name(), &attempt).await;
                Err(AttemptError::RateLimited(limited))
            }
        }
    }

    async fn record_refused(&self, limit: &'static str, attempt: &PasswordAttempt) {
        let Some(key) = attempt.keys.first() else { return };
        let record = Record::new(Event::LimitExceeded, &Actor::anonymous(&attempt.requester)).on(attempt.user);
        self.record_exceeded(limit, key, record).await;
    }

    fn failure_keys(&self, email: &EmailAddress, source: &AttemptSource, requester: &Requester) -> Vec<FailureKey> {
        let network = requester.ip.map_or_else(|| "nowhere".to_owned(), |ip| Network::from_ip(ip).to_string());
        match source {
            AttemptSource::TrustedDevice(digest) => {
                let device: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                vec![self.failure_key(email, &device)]
            }
            AttemptSource::KnownNetwork => vec![self.failure_key(email, &network)],
            AttemptSource::UnknownNetwork => {
                vec![self.failure_key(email, &network), self.failure_key(email, "elsewhere")]
            }
        }
    }

    /// Returns the key of a count. It is a MAC, so that the database contains no email or IP addresses of failed
    /// attempts.
    fn failure_key(&self, email: &EmailAddress, source: &str) -> FailureKey {
        self.failure_key.tag(format!("{source} {}", email.normalized()).as_bytes()).to_vec()
    }

    /// Counts a failed attempt and audits it with `record`.
    pub(crate) async fn record_failure(&self, attempt: &PasswordAttempt, record: Record) -> DbResult<()> {
        let audit = self.audit.clone();
        let keys = attempt.keys.clone();
        let now = self.clock.now();
        let recorded = self.db.write(move |conn| {
            for key in &keys {
                store::count(conn, key, now, now.minus(FAILURES_KEPT))?;
            }
            audit.append(conn, &record)
        });
        recorded.await
    }

    /// Resets the counts of failures after a success.
    pub(crate) async fn record_success(&self, attempt: &PasswordAttempt) -> DbResult<()> {
        if !attempt.has_failed {
            return Ok(());
        }
        let attempt = attempt.clone();
        self.db.write(move |conn| attempt.record_success_in(conn)).await
    }
}

impl PasswordAttempt {
    /// Resets the counts of failures after a success, in the caller's transaction.
    pub(crate) fn record_success_in(&self, conn: &mut Conn) -> DbResult<()> {
        // Failures are counted in the same order, so that concurrent transactions cannot deadlock.
        self.keys.iter().try_for_each(|key| store::reset(conn, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_have_no_delay_and_then_each_doubles_it_up_to_a_quarter_of_an_hour() {
        let seconds = |failures| delay(failures).as_secs();
        assert_eq!([-1, 0, 1, 4].map(seconds), [0; 4]);
        assert_eq!([5, 6, 7, 8, 14].map(seconds), [1, 2, 4, 8, 512]);
        assert_eq!([15, 16, 100, i32::MAX].map(seconds), [900; 4]);
    }

    #[test]
    fn a_delay_counts_from_the_last_failure() {
        let last_failed_at = Timestamp::from_secs(1000);
        let failures = Failures { failures: 7, last_failed_at };
        let remaining_at = |second| remaining_delay(&failures, Timestamp::from_secs(second)).as_secs();
        assert_eq!([1000, 1001, 1004, 2000].map(remaining_at), [4, 3, 0, 0]);
    }
}
