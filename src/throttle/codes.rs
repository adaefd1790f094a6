//! Attempts at codes of the second factor: failures in a row delay the next attempt as they do for passwords, and the
//! owner is told when somebody who knows the password tries many.

use super::lockout::{AttemptError, AttemptSource, Claim, FailureKey, claim, limited_subject};
use super::store::{self, Failures};
use super::{Limit, Throttle};
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbResult};
use crate::types::{Requester, Timestamp, UserId};

/// The number of wrong codes, from all sources together, of which the owner is told.
const NOTICED_CODES: i32 = 10;

/// The name for codes in metrics and the audit log.
const CODES: &str = "mfa-failures";

/// An attempt at a code of the second factor that was admitted by the rate limit. The transaction that compares the
/// code has to claim it first.
#[derive(Clone)]
pub(crate) struct CodeAttempt {
    keys: Vec<FailureKey>,
    /// The count of all sources together.
    total: FailureKey,
    user: UserId,
    requester: Requester,
    now: Timestamp,
}

/// An attempt at a code that is counted as a failure in a transaction.
#[must_use = "a right code has to be taken back"]
pub(crate) struct ClaimedCode<'a> {
    attempt: &'a CodeAttempt,
    claims: Vec<Claim>,
}

impl Throttle {
    /// Counts an attempt of `actor` at a code of the account's second factor by the rate limit.
    ///
    /// # Errors
    /// There were too many attempts, which is audited.
    pub(crate) async fn admit_code(
        &self,
        user: UserId,
        source: &AttemptSource,
        actor: &Actor,
    ) -> Result<CodeAttempt, AttemptError> {
        let account = format!("code {user}");
        let keys = self.failure_keys(&account, source, &actor.requester);
        let subject = limited_subject(source, &keys, user.0.as_bytes());
        self.count(Limit::MfaAccount, subject, actor).await.map_err(AttemptError::RateLimited)?;
        let total = self.failure_key(&account, "everywhere");
        Ok(CodeAttempt { keys, total, user, requester: actor.requester.clone(), now: self.clock.now() })
    }

    /// Audits that an attempt at a code was refused because of failures, after its transaction.
    pub(crate) async fn record_code_refused(&self, attempt: &CodeAttempt) {
        let record = Record::new(Event::LimitExceeded, &Actor::anonymous(&attempt.requester)).on(attempt.user);
        self.record_refused(CODES, &attempt.keys, record).await;
    }
}

impl CodeAttempt {
    /// Counts the attempt as a failure, in the caller's transaction, which has locked the account and compares the code
    /// after this.
    ///
    /// # Errors
    /// There were too many consecutive failures. Nothing was counted then.
    pub(crate) fn claim_in(&self, conn: &mut Conn) -> Result<ClaimedCode<'_>, AttemptError> {
        Ok(ClaimedCode { claims: claim(conn, &self.keys, self.now, 0)?, attempt: self })
    }
}

impl ClaimedCode<'_> {
    /// Resets the counts of failures after a right code. Whoever has shown one made the earlier mistakes in this
    /// network, too; those of other networks stay in the count of all.
    pub(crate) fn record_success_in(self, conn: &mut Conn) -> DbResult<()> {
        self.claims.iter().try_for_each(|claim| store::reset(conn, &claim.key))?;
        let mistakes = self.claims.first().map_or(0, |claim| claim.former.failures);
        if mistakes > 0 {
            self.count_in_total(conn, -mistakes)?;
        }
        Ok(())
    }

    /// Counts a wrong code that followed a right password. Returns whether it is the one at which the owner is told
    /// that somebody knows the password.
    pub(crate) fn record_failure_in(self, conn: &mut Conn) -> DbResult<bool> {
        Ok(self.count_in_total(conn, 1)? == NOTICED_CODES)
    }

    /// Changes the count of all sources together and returns it.
    fn count_in_total(&self, conn: &mut Conn, change: i32) -> DbResult<i32> {
        let CodeAttempt { total, now, .. } = self.attempt;
        let former = total.lock(conn, *now)?;
        let failures = former.failures.saturating_add(change).max(0);
        let last_failed_at = if change > 0 { *now } else { former.last_failed_at };
        store::set(conn, total, Failures { failures, pending: 0, last_failed_at })?;
        Ok(failures)
    }
}
