//! Ending sessions: one, all, or all but one. What is answered is durable. It counts from the next request on, here and
//! on every server that shares the cache or cannot reach it either; elsewhere once the log is read again.

use super::store::{self, Which};
use super::{Parts, Sessions};
use crate::clock::Timestamp;
use crate::db::types::{SessionId, UserId};
use crate::db::{Conn, DbResult};
use crate::revocations::{self, Reason};

/// Sessions that a transaction ended, to be announced once it has committed.
#[must_use = "a revocation that is not announced counts on this server only when the log is read again"]
pub struct Ended {
    sessions: Vec<(SessionId, UserId)>,
    at: Timestamp,
}

impl Ended {
    pub fn sessions(&self) -> &[(SessionId, UserId)] {
        &self.sessions
    }

    pub fn count(&self) -> usize {
        self.sessions.len()
    }
}

impl Sessions {
    /// Ends one session, whoever owns it. Answers whether it was live.
    pub async fn revoke(&self, session: SessionId, reason: Reason, by: Option<UserId>) -> DbResult<bool> {
        Ok(self.0.end(Which::One(session), reason, by).await?.count() == 1)
    }

    /// Ends one session of `user`. `None` when the account has no such session, else how many were live: none or one.
    pub async fn revoke_own(&self, session: SessionId, user: UserId) -> DbResult<Option<usize>> {
        let ended = self.0.end(Which::OneOf(session, user), Reason::EndedByOwner, Some(user)).await?.count();
        if ended == 0 && self.0.db.read(move |conn| store::one_of_user(conn, session, user)).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(ended))
    }

    /// Ends every live session of `user`, but for `except`. Answers how many.
    pub async fn revoke_all(
        &self,
        user: UserId,
        except: Option<SessionId>,
        reason: Reason,
        by: Option<UserId>,
    ) -> DbResult<usize> {
        let which = except.map_or(Which::AllOf(user), |session| Which::AllOfExcept(user, session));
        Ok(self.0.end(which, reason, by).await?.count())
    }

    /// Ends sessions of `user` within the caller's transaction, to be [announced](Self::announce) after its commit.
    pub fn revoke_all_in(
        &self,
        conn: &mut Conn,
        user: UserId,
        except: Option<SessionId>,
        reason: Reason,
    ) -> DbResult<Ended> {
        let which = except.map_or(Which::AllOf(user), |session| Which::AllOfExcept(user, session));
        // Owners act from a session, which they keep; operators act from none.
        let by = except.map(|_| user);
        self.0.end_in(conn, which, reason, by, self.0.clock.now())
    }

    /// Tells this server and the cache of sessions that ended: the first thing after the commit.
    pub async fn announce(&self, ended: &Ended) {
        self.0.announce(ended).await;
    }
}

impl Parts {
    pub(super) async fn end(&self, which: Which, reason: Reason, by: Option<UserId>) -> DbResult<Ended> {
        let now = self.clock.now();
        let expires_at = self.policy.revocation_expires_at(now);
        let ended = self.db.write(move |conn| end_in(conn, which, reason, by, now, expires_at)).await?;
        self.announce(&ended).await;
        Ok(ended)
    }

    fn end_in(
        &self,
        conn: &mut Conn,
        which: Which,
        reason: Reason,
        by: Option<UserId>,
        now: Timestamp,
    ) -> DbResult<Ended> {
        end_in(conn, which, reason, by, now, self.policy.revocation_expires_at(now))
    }

    async fn announce(&self, ended: &Ended) {
        let expires_at = self.policy.revocation_expires_at(ended.at);
        let revocations: Vec<_> = ended.sessions.iter().map(|(session, _)| (*session, expires_at)).collect();
        self.log.add(&revocations);
        self.metrics.revoked(revocations.len());
        // A fault of the cache is made good by the log's next reader.
        let _ = self.cache.mark_revoked(&revocations, ended.at).await;
    }
}

fn end_in(
    conn: &mut Conn,
    which: Which,
    reason: Reason,
    by: Option<UserId>,
    now: Timestamp,
    expires_at: Timestamp,
) -> DbResult<Ended> {
    let sessions = store::revoke(conn, which, reason, by, now)?;
    revocations::append(conn, &sessions, reason, now, expires_at)?;
    Ok(Ended { sessions, at: now })
}
