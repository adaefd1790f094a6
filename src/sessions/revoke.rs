//! Ending sessions: one, all, or all but one. What is answered is durable. It counts from the next request on, here and
//! on every server that shares the cache or cannot reach it either; elsewhere once the log is read again.

use std::sync::Arc;

use super::store;
use super::{Parts, Sessions};
use crate::audit::{Actor, Event, Record};
use crate::clock::Timestamp;
use crate::db::types::{SessionId, UserId};
use crate::db::{Conn, DbResult};
use crate::revocations::{self, Reason, Revocation};

pub use store::Which;

/// Sessions or access tokens that a transaction ended, to be announced once it has committed.
#[must_use = "a revocation that is not announced counts on this server only when the log is read again"]
pub struct Ended {
    sessions: Vec<(SessionId, UserId)>,
    entries: Vec<Revocation>,
    at: Timestamp,
}

impl Ended {
    pub(super) fn nothing(at: Timestamp) -> Self {
        Self { sessions: Vec::new(), entries: Vec::new(), at }
    }

    /// Takes in what the same transaction has ended besides.
    pub(super) fn add(&mut self, other: Self) {
        self.sessions.extend(other.sessions);
        self.entries.extend(other.entries);
    }

    pub fn sessions(&self) -> &[(SessionId, UserId)] {
        &self.sessions
    }

    pub fn count(&self) -> usize {
        self.sessions.len()
    }
}

impl Sessions {
    /// Ends one session, whoever owns it. Answers whether it was live.
    pub async fn revoke(&self, session: SessionId, reason: Reason, by: &Actor) -> DbResult<bool> {
        Ok(self.0.end(Which::One(session), reason, by).await?.count() == 1)
    }

    /// Ends one session of `user`. `None` when the account has no such session, else how many were live: none or one.
    pub async fn revoke_own(&self, session: SessionId, user: UserId, by: &Actor) -> DbResult<Option<usize>> {
        let ended = self.0.end(Which::OneOf(session, user), Reason::EndedByOwner, by).await?.count();
        if ended == 0 && self.0.db.read(move |conn| store::one_of_user(conn, session, user)).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(ended))
    }

    /// Ends live sessions. Answers how many.
    pub async fn revoke_all(&self, which: Which, reason: Reason, by: &Actor) -> DbResult<usize> {
        Ok(self.0.end(which, reason, by).await?.count())
    }

    /// Ends live sessions within the caller's transaction, to be [announced](Self::announce) after its commit.
    pub fn revoke_in(&self, conn: &mut Conn, which: Which, reason: Reason, by: &Actor) -> DbResult<Ended> {
        self.0.end_in(conn, which, reason, by)
    }

    /// Ends the access tokens of an account, but none of its sessions, within the caller's transaction: what they say of
    /// it is no longer so, and clients get new ones by a refresh. To be [announced](Self::announce) after the commit.
    pub fn supersede_access_tokens_in(&self, conn: &mut Conn, user: UserId) -> DbResult<Ended> {
        let now = self.0.clock.now();
        let expires_at = self.0.policy.revocation_expires_at(now);
        let tokens = store::access_tokens(conn, user, now)?;
        let entry = |(session, token)| Revocation { session, token: Some(token), expires_at };
        let entries: Vec<Revocation> = tokens.into_iter().map(entry).collect();
        revocations::append(conn, &entries, user, Reason::AccountChanged, now)?;
        Ok(Ended { sessions: Vec::new(), entries, at: now })
    }

    /// Tells this server and the cache of what ended: the first thing after the commit.
    pub async fn announce(&self, ended: &Ended) {
        self.0.announce(ended).await;
    }
}

impl Parts {
    pub(super) async fn end(self: &Arc<Self>, which: Which, reason: Reason, by: &Actor) -> DbResult<Ended> {
        let (parts, by) = (Arc::clone(self), by.clone());
        let ended = self.db.write(move |conn| parts.end_in(conn, which, reason, &by)).await?;
        self.announce(&ended).await;
        Ok(ended)
    }

    pub(super) fn end_in(&self, conn: &mut Conn, which: Which, reason: Reason, by: &Actor) -> DbResult<Ended> {
        let now = self.clock.now();
        let expires_at = self.policy.revocation_expires_at(now);
        let sessions = store::revoke(conn, which, reason, by.user, now)?;
        let event = if reason == Reason::Logout { Event::Logout } else { Event::SessionRevoked };
        let mut entries = Vec::with_capacity(sessions.len());
        for (session, user) in &sessions {
            let entry = Revocation { session: *session, token: None, expires_at };
            revocations::append(conn, &[entry], *user, reason, now)?;
            entries.push(entry);
            let record = Record::new(event, by).on(*user).session(*session).with("reason", reason.name());
            self.audit.append(conn, &record)?;
        }
        Ok(Ended { sessions, entries, at: now })
    }

    pub(super) async fn announce(&self, ended: &Ended) {
        self.log.add(&ended.entries);
        self.metrics.revoked(ended.count());
        // A fault of the cache is made good by the log's next reader.
        let _ = revocations::mark(&self.cache, &ended.entries, ended.at).await;
    }
}
