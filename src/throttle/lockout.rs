//! Delays after failed attempts at passwords and at codes of the second factor: after consecutive failures the next
//! attempt has to wait, longer each time, but nobody can lock the owner of an account out.
//!
//! An attempt from a trusted device is delayed by the failures of that device only, and an attempt from a network in
//! which the account has or had a session by the failures of that network only. Any other attempt is delayed by the
//! failures of its network and by those of all unknown networks together. Accounts that do not exist are treated the
//! same.
//!
//! Every attempt is counted as a failure before anything is compared, and taken back if it was none. So of attempts at
//! once no more are compared than of attempts one after another.

use std::ops::Deref;
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

/// The time after which an attempt that was never judged counts as one that was: its server has ended.
const LONGEST_JUDGEMENT: Duration = Duration::from_secs(30);

/// The first pause of an attempt that waits until others are judged. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest such pause: an attempt waits for two and a half seconds altogether.
const LONGEST_PAUSE: Duration = Duration::from_millis(1280);

/// The name for passwords in metrics and the audit log, next to the names of the limits.
const PASSWORDS: &str = "login-failures";

/// Why an attempt is refused before anything is compared.
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

/// The source of an attempt, as far as the account knows it.
#[derive(Clone, Debug)]
pub(crate) enum AttemptSource {
    /// A device that the account trusts, with the digest of its token.
    TrustedDevice(Vec<u8>),
    /// A network in which the account has, or recently had, a session.
    KnownNetwork,
    /// Any other network.
    UnknownNetwork,
}

impl AttemptSource {
    const fn is_known(&self) -> bool {
        matches!(self, Self::TrustedDevice(_) | Self::KnownNetwork)
    }
}

/// The key of a count of failures: a MAC of the account and the source of the attempts.
#[derive(Clone, Debug)]
pub(super) struct FailureKey {
    key: Vec<u8>,
    /// The MAC under the other secret, while `JWT_SECRET` is changed.
    other: Option<Vec<u8>>,
}

impl Deref for FailureKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.key
    }
}

impl FailureKey {
    /// Locks the count until the transaction ends, as [`store::lock`] does, also if it was counted under the other
    /// secret.
    pub(super) fn lock(&self, conn: &mut Conn, now: Timestamp) -> DbResult<Failures> {
        if let Some(other) = &self.other {
            store::adopt(conn, other, &self.key)?;
        }
        store::lock(conn, &self.key, now, now.minus(FAILURES_KEPT))
    }
}

/// Why an attempt cannot be counted at present.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClaimError {
    /// There were too many consecutive failures.
    #[error("too many failures in a row")]
    Delayed {
        /// The time until the next attempt is allowed, if all that are not judged yet fail.
        retry_after: Duration,
        /// Whether some are not judged yet.
        is_pending: bool,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl From<ClaimError> for AttemptError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Delayed { retry_after, .. } => Self::TooManyFailures { retry_after },
            ClaimError::Database(error) => error.into(),
        }
    }
}

/// An attempt that is counted as a failure with one source.
#[derive(Clone)]
pub(super) struct Claim {
    pub key: FailureKey,
    /// The count before the attempt.
    pub former: Failures,
    /// The count with the attempt.
    claimed: Failures,
}

/// A password attempt that was admitted. It is counted as a failure until the caller says that it was none.
#[derive(Clone)]
pub(crate) struct PasswordAttempt {
    claims: Vec<Claim>,
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

/// Checks that an attempt at `now` need not wait.
///
/// # Errors
/// It has to wait.
fn check_delay(counts: &[Failures], now: Timestamp) -> Result<(), ClaimError> {
    // Where there is no delay, an attempt may have come before the last one that failed, and be counted after it.
    let remaining = |count: &Failures| match delay(count.failures) {
        Duration::ZERO => Duration::ZERO,
        delay => count.last_failed_at.plus(delay).since(now),
    };
    let retry_after = counts.iter().map(remaining).max().unwrap_or_default();
    if retry_after.is_zero() {
        return Ok(());
    }
    let mut delayed = counts.iter().filter(|count| !remaining(count).is_zero());
    let is_pending = delayed.all(|count| count.pending > 0 && now.since(count.last_failed_at) < LONGEST_JUDGEMENT);
    Err(ClaimError::Delayed { retry_after, is_pending })
}

/// Counts an attempt as a failure with each of `keys`, unless it has to wait for one of them. `pending` is 1 if it is
/// judged after the transaction.
///
/// # Errors
/// There were too many consecutive failures. Nothing was counted then.
pub(super) fn claim(
    conn: &mut Conn,
    keys: &[FailureKey],
    now: Timestamp,
    pending: i32,
) -> Result<Vec<Claim>, ClaimError> {
    let mut claims = Vec::new();
    // Every transaction locks the counts in the same order, so that concurrent ones cannot deadlock.
    for key in keys {
        let mut former = key.lock(conn, now)?;
        if now.since(former.last_failed_at) >= LONGEST_JUDGEMENT {
            former.pending = 0;
        }
        let failures = former.failures.saturating_add(1);
        let pending = former.pending.saturating_add(pending);
        let claimed = Failures { failures, pending, last_failed_at: now };
        claims.push(Claim { key: key.clone(), former, claimed });
    }
    let former: Vec<Failures> = claims.iter().map(|claim| claim.former).collect();
    check_delay(&former, now)?;
    for claim in &claims {
        store::set(conn, &claim.key, claim.claimed)?;
    }
    Ok(claims)
}

impl Throttle {
    /// Decides whether a password attempt for `email` is admitted, before the password is hashed, and counts it as a
    /// failure. `user` is the account, if there is one.
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
        let keys = self.failure_keys(email.normalized(), source, requester);
        let anonymous = Actor::anonymous(requester);
        let record = || Record::new(Event::LimitExceeded, &anonymous).on(user);
        let looked_up: Vec<Vec<u8>> =
            keys.iter().flat_map(|key| [Some(key.key.clone()), key.other.clone()]).flatten().collect();
        let since = now.minus(FAILURES_KEPT);
        // Whoever has to wait anyway costs no write, and uses up no attempt of the rate limit.
        let failures = self.db.read(move |conn| store::failures(conn, &looked_up, since)).await?;
        if let Err(error @ ClaimError::Delayed { is_pending: false, .. }) = check_delay(&failures, now) {
            self.record_refused(PASSWORDS, &keys, record()).await;
            return Err(error.into());
        }
        let subject = limited_subject(source, &keys, email.normalized().as_bytes());
        if let Err(limited) = self.limits.check(&self.cache, Limit::LoginAccount, subject).await {
            self.record_refused(Limit::LoginAccount.name(), &keys, record()).await;
            return Err(AttemptError::RateLimited(limited));
        }
        match self.claim(&keys).await {
            Ok(claims) => Ok(PasswordAttempt { claims, requester: requester.clone() }),
            Err(error) => {
                if let ClaimError::Delayed { .. } = error {
                    self.record_refused(PASSWORDS, &keys, record()).await;
                }
                Err(error.into())
            }
        }
    }

    /// Counts a password attempt as a failure. While attempts that are not judged yet could delay it, it waits for
    /// them: if one of them is right, they were no failures.
    async fn claim(&self, keys: &[FailureKey]) -> Result<Vec<Claim>, ClaimError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let keys = keys.to_vec();
            let now = self.clock.now();
            match self.db.transact(move |conn| claim(conn, &keys, now, 1)).await {
                Err(ClaimError::Delayed { is_pending: true, .. }) if pause <= LONGEST_PAUSE => {
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2);
                }
                claimed => return claimed,
            }
        }
    }

    pub(super) async fn record_refused(&self, limit: &'static str, keys: &[FailureKey], record: Record) {
        let Some(key) = keys.first() else { return };
        self.record_exceeded(limit, key, record).await;
    }

    pub(super) fn failure_keys(&self, account: &str, source: &AttemptSource, requester: &Requester) -> Vec<FailureKey> {
        let network = requester.ip.map_or_else(|| "nowhere".to_owned(), |ip| Network::from_ip(ip).to_string());
        match source {
            AttemptSource::TrustedDevice(digest) => {
                let device: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                vec![self.failure_key(account, &device)]
            }
            AttemptSource::KnownNetwork => vec![self.failure_key(account, &network)],
            AttemptSource::UnknownNetwork => {
                vec![self.failure_key(account, &network), self.failure_key(account, "elsewhere")]
            }
        }
    }

    /// Returns the key of a count. It is a MAC, so that the database contains no email or IP addresses of failed
    /// attempts.
    pub(super) fn failure_key(&self, account: &str, source: &str) -> FailureKey {
        let subject = format!("{source} {account}");
        let other = self.failure_key.other_tag(subject.as_bytes()).map(|tag| tag.to_vec());
        FailureKey { key: self.failure_key.tag(subject.as_bytes()).to_vec(), other }
    }

    /// Keeps an attempt counted as a failure, and audits it with `record`.
    pub(crate) async fn record_failure(&self, attempt: &PasswordAttempt, record: Record) -> DbResult<()> {
        let audit = self.audit.clone();
        let attempt = attempt.clone();
        let now = self.clock.now();
        let recorded = self.db.write(move |conn| {
            for claim in &attempt.claims {
                let mut count = claim.key.lock(conn, now)?;
                if count.pending > 0 {
                    count.pending -= 1;
                } else {
                    // A success in the meantime has reset the count, and this attempt with it.
                    count = Failures { failures: count.failures.saturating_add(1), last_failed_at: now, ..count };
                }
                store::set(conn, &claim.key, count)?;
            }
            audit.append(conn, &record)
        });
        recorded.await
    }

    /// Resets the counts of failures after a success.
    pub(crate) async fn record_success(&self, attempt: &PasswordAttempt) -> DbResult<()> {
        let attempt = attempt.clone();
        self.db.write(move |conn| attempt.record_success_in(conn)).await
    }

    /// Takes back an attempt whose password was not judged, or was right and let nobody in.
    pub(crate) async fn take_back(&self, attempt: &PasswordAttempt) {
        let claims = attempt.claims.clone();
        let now = self.clock.now();
        let taken_back = self.db.write(move |conn| {
            for claim in &claims {
                let count = claim.key.lock(conn, now)?;
                store::set(conn, &claim.key, claim.taken_back_from(count))?;
            }
            Ok(())
        });
        if let Err(error) = taken_back.await {
            tracing::warn!(%error, "a password attempt that was not judged stays counted as a failure");
        }
    }
}

impl Claim {
    /// Returns the count without the attempt. The time of the last failure is the former one only if no other attempt
    /// was counted meanwhile.
    fn taken_back_from(&self, count: Failures) -> Failures {
        let is_last = count.failures == self.claimed.failures && count.last_failed_at == self.claimed.last_failed_at;
        Failures {
            failures: count.failures.saturating_sub(1).max(0),
            pending: count.pending.saturating_sub(1).max(0),
            last_failed_at: if is_last { self.former.last_failed_at } else { count.last_failed_at },
        }
    }
}

/// Returns the subject of a rate limit. A known source has its own count, which attempts from elsewhere cannot use up.
pub(super) fn limited_subject<'a>(source: &AttemptSource, keys: &'a [FailureKey], account: &'a [u8]) -> &'a [u8] {
    match keys.first() {
        Some(key) if source.is_known() => key,
        _ => account,
    }
}

impl PasswordAttempt {
    /// Resets the counts of failures after a success, in the caller's transaction.
    pub(crate) fn record_success_in(&self, conn: &mut Conn) -> DbResult<()> {
        // Failures are counted in the same order, so that concurrent transactions cannot deadlock.
        self.claims.iter().try_for_each(|claim| store::reset(conn, &claim.key))
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

    fn wait(counts: &[Failures], second: i64) -> Option<(u64, bool)> {
        match check_delay(counts, Timestamp::from_secs(second)) {
            Err(ClaimError::Delayed { retry_after, is_pending }) => Some((retry_after.as_secs(), is_pending)),
            _ => None,
        }
    }

    #[test]
    fn a_delay_counts_from_the_last_failure() {
        let last_failed_at = Timestamp::from_secs(1000);
        let failures = [Failures { failures: 7, pending: 0, last_failed_at }];
        assert_eq!([1000, 1001].map(|second| wait(&failures, second)), [Some((4, false)), Some((3, false))]);
        assert_eq!([1004, 2000].map(|second| wait(&failures, second)), [None; 2]);
    }

    #[test]
    fn an_attempt_before_a_failure_that_delays_nobody_does_not_wait_for_it() {
        let last_failed_at = Timestamp::from_secs(1000);
        let count = |failures| [Failures { failures, pending: 0, last_failed_at }];
        assert_eq!([0, 1, 4].map(|failures| wait(&count(failures), 990)), [None; 3]);
        assert_eq!(wait(&count(5), 999), Some((2, false)));
    }

    #[test]
    fn a_delay_may_end_sooner_only_while_attempts_of_every_count_that_delays_are_not_judged() {
        let last_failed_at = Timestamp::from_secs(1000);
        let count = |failures, pending| Failures { failures, pending, last_failed_at };
        assert_eq!(wait(&[count(6, 1), count(2, 0)], 1000), Some((2, true)));
        assert_eq!(wait(&[count(6, 1), count(5, 0)], 1000), Some((2, false)));
        assert_eq!(wait(&[count(12, 1)], 1029), Some((99, true)));
        assert_eq!(wait(&[count(12, 1)], 1030), Some((98, false)), "nobody is left to judge it");
    }

    #[test]
    fn an_attempt_that_is_taken_back_leaves_the_count_as_if_it_had_not_been() {
        let at = Timestamp::from_secs;
        let former = Failures { failures: 6, pending: 0, last_failed_at: at(1000) };
        let claimed = Failures { failures: 7, pending: 1, last_failed_at: at(1002) };
        let claim = Claim { key: FailureKey { key: Vec::new(), other: None }, former, claimed };
        let left = |count| {
            let Failures { failures, pending, last_failed_at } = claim.taken_back_from(count);
            (failures, pending, last_failed_at)
        };
        assert_eq!(left(claimed), (6, 0, at(1000)));
        assert_eq!(left(Failures { failures: 8, pending: 2, last_failed_at: at(1006) }), (7, 1, at(1006)));
        assert_eq!(left(Failures { failures: 0, pending: 0, last_failed_at: at(1007) }), (0, 0, at(1007)));
    }
}
