//! Limits the number of sessions of an account: a login beyond the limit revokes the least recently used session.

use super::Sessions;
use super::open::LoginDetails;
use super::revoke::{RevokedSessions, SessionSelector};
use super::store::{self, ExcessSession};
use crate::db::{Conn, DbResult};
use crate::devices::Device;
use crate::mail::{DeviceName, Email};
use crate::revocations::Reason;
use crate::tokens::opaque::{Purpose, TokenRecord};

impl Sessions {
    /// Revokes the sessions of an account beyond its limit after a new login, and queues an email to the owner. Runs in
    /// the transaction that inserted the session and locked the account: concurrent logins wait for that lock, so each
    /// sees the sessions of the earlier ones.
    pub(super) fn enforce_limit(&self, conn: &mut Conn, login: LoginDetails<'_>) -> DbResult<RevokedSessions> {
        let now = login.snapshot.issued_at;
        let mut revoked = RevokedSessions::none(now);
        let Some(limit) = self.policy.max_sessions else { return Ok(revoked) };
        let excess = store::excess_sessions(conn, login.snapshot, i64::from(limit.get()).saturating_sub(1))?;
        let Some(last_used) = excess.first() else { return Ok(revoked) };
        let actor = login.actor();
        // Every transaction that locks several sessions locks them in the order of their ids, to avoid deadlocks.
        let mut sessions: Vec<_> = excess.iter().map(|session| session.id).collect();
        sessions.sort_unstable();
        for session in sessions {
            revoked.add(self.revoke_in(conn, SessionSelector::One(session), Reason::SessionLimit, &actor)?);
        }
        if login.wants_alerts {
            // A limit that was lowered may revoke several sessions: one email reports the most recently used.
            self.queue_session_limit(conn, login, last_used)?;
        }
        Ok(revoked)
    }

    fn queue_session_limit(&self, conn: &mut Conn, login: LoginDetails<'_>, session: &ExcessSession) -> DbResult<()> {
        let subject = &login.snapshot.subject;
        let now = login.snapshot.issued_at;
        let record =
            TokenRecord { purpose: Purpose::ReportLogin, user: subject.id, session: Some(login.snapshot.session) };
        let link = self.mail.issue_link(conn, record, now)?;
        let email = Email::SessionLimit {
            revoked_device: match &session.name {
                Some(name) => DeviceName::chosen(name),
                None => Device::from_column(&session.device).into(),
            },
            revoked_active_at: session.last_active_at,
            activity: login.activity(),
            link,
        };
        self.mail.queue(conn, &subject.email, login.language(), &email, now)
    }
}
