//! How many sessions an account may have: a login beyond that ends the one that was used the longest ago.

use super::Parts;
use super::open::Login;
use super::revoke::{Ended, Which};
use super::store::{self, Beyond};
use crate::db::{Conn, DbResult};
use crate::devices::Device;
use crate::mail::Letter;
use crate::revocations::Reason;

impl Parts {
    /// Ends what an account has beyond its limit with a new session, and tells its owner. Part of the transaction that
    /// inserted the session and wrote the account's row before: logins at the same time wait for that row, and so each
    /// sees the sessions of those before it.
    pub(super) fn keep_to_limit(&self, conn: &mut Conn, login: Login<'_>) -> DbResult<Ended> {
        let (subject, now) = (&login.standing.subject, login.standing.issued_at);
        let mut ended = Ended::nothing(now);
        let Some(limit) = self.policy.max_sessions else { return Ok(ended) };
        let beyond = store::beyond(conn, login.standing, i64::from(limit.get()).saturating_sub(1))?;
        let Some(Beyond { name, device, last_active_at, .. }) = beyond.first() else { return Ok(ended) };
        let actor = login.actor();
        // One letter, of the one that was used last, if a lower limit ends many.
        let letter = Letter::SessionLimit {
            ended_device: name.clone().unwrap_or_else(|| Device::of(device).label),
            ended_active_at: *last_active_at,
            occasion: login.occasion(),
        };
        // In the order in which whoever locks several sessions locks them.
        let mut sessions: Vec<_> = beyond.iter().map(|beyond| beyond.id).collect();
        sessions.sort_unstable();
        for session in sessions {
            ended.add(self.end_in(conn, Which::One(session), Reason::SessionLimit, &actor)?);
        }
        if store::wants_alerts(conn, subject.id)? {
            self.mail.post(conn, &subject.email, &letter, now)?;
        }
        Ok(ended)
    }
}
