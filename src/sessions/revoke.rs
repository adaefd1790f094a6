//! Revokes sessions: one, all, or all but one. A revocation is durable when the call returns. It takes effect at the
//! next request on this server and on every server that shares the cache or cannot reach it, and on all others when
//! they next read the revocation log.

use std::time::Duration;

use super::store::{self, TokenFamily};
use super::{LockedOwner, Sessions};
use crate::audit::{Actor, Event, Record};
use crate::clients::LockedClient;
use crate::clock::MAX_SKEW_TO_ISSUE;
use crate::db::{Conn, DbResult};
use crate::keys::lifecycle;
use crate::revocations::{self, Reason, Revocation, Revoked};
use crate::types::{SessionId, Timestamp, UserId};

/// The time that a revocation outlives the access tokens that it revokes, for clocks that are behind.
const MARGIN: Duration = MAX_SKEW_TO_ISSUE;

/// A selection of sessions to revoke. The sessions of an account include those in which it impersonates others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SessionSelector {
    /// The session, whatever account it belongs to.
    One(SessionId),
    /// The session, if it belongs to the account.
    OneOf(SessionId, UserId),
    /// All sessions of the account.
    AllOf(UserId),
    /// All sessions of the account except this one.
    AllOfExcept(UserId, SessionId),
    /// The sessions in which the account impersonates others.
    ImpersonatedBy(UserId),
}

/// Sessions or access tokens that a transaction revoked, or found revoked, to be published after the commit.
#[must_use = "a revocation that is not published takes effect only when the log is read again"]
pub(crate) struct RevokedSessions {
    sessions: Vec<(SessionId, UserId)>,
    entries: Vec<Revocation>,
    at: Timestamp,
}

impl RevokedSessions {
    /// Creates an empty set of revocations.
    pub(super) fn none(at: Timestamp) -> Self {
        Self { sessions: Vec::new(), entries: Vec::new(), at }
    }

    /// Creates the revocation of one access token, or of those of a client.
    pub(super) fn of_token(entry: Revocation, at: Timestamp) -> Self {
        Self { sessions: Vec::new(), entries: vec![entry], at }
    }

    /// Adds other revocations of the same transaction.
    pub(crate) fn add(&mut self, other: Self) {
        self.sessions.extend(other.sessions);
        self.entries.extend(other.entries);
    }

    /// Returns the ids and accounts of the revoked sessions.
    pub(super) fn sessions(&self) -> &[(SessionId, UserId)] {
        &self.sessions
    }

    /// Returns how many sessions were revoked.
    pub(crate) fn count(&self) -> usize {
        self.sessions.len()
    }
}

impl Sessions {
    /// Revokes the live sessions that match `selector`. Returns how many.
    pub(crate) async fn revoke(&self, selector: SessionSelector, reason: Reason, by: &Actor) -> DbResult<usize> {
        let sessions = self.clone();
        let by = by.clone();
        let revoked = self.db.write(move |conn| sessions.revoke_in(conn, selector, reason, &by)).await?;
        self.publish(&revoked).await;
        Ok(revoked.count())
    }

    /// Revokes the live sessions that match `selector` in the caller's transaction. Call [`Self::publish`] after the
    /// commit.
    pub(crate) fn revoke_in(
        &self,
        conn: &mut Conn,
        selector: SessionSelector,
        reason: Reason,
        by: &Actor,
    ) -> DbResult<RevokedSessions> {
        let now = self.clock.database_now();
        let event = if reason == Reason::Logout { Event::SessionLoggedOut } else { Event::SessionRevoked };
        let mut sessions = Vec::new();
        for (session, user, expires_at) in store::revoke(conn, selector, reason, by.user, now)? {
            let entry = revocation(Revoked::Session(session), expires_at, reason, now);
            revocations::append(conn, &[entry], Some(user))?;
            sessions.push((session, user));
            let record = Record::new(event, by).on(user).session(session).with("reason", reason.name());
            self.audit.append(conn, &record)?;
        }
        Ok(RevokedSessions { sessions, ..self.recorded_revocations(conn, selector)? })
    }

    /// Returns the revocations that are in force of the sessions that match `selector` and of their access tokens, to
    /// be published once more: another server may have been unable to publish them, and whoever repeats a revocation
    /// relies on the server that answers.
    pub(crate) fn recorded_revocations(&self, conn: &mut Conn, selector: SessionSelector) -> DbResult<RevokedSessions> {
        let now = self.clock.database_now();
        let recorded = store::recorded_revocations(conn, selector, now.minus(MARGIN))?;
        let entry = |(session, reason, valid_from, expires_at): store::RecordedRevocation| match reason {
            Some(reason) => revocation(Revoked::Session(session), expires_at, Reason::parse(&reason), now),
            None => {
                let revoked = Revoked::TokensBefore { session, revision: valid_from, latest: None };
                revocation(revoked, expires_at, Reason::AccountChanged, now)
            }
        };
        Ok(RevokedSessions { sessions: Vec::new(), entries: recorded.into_iter().map(entry).collect(), at: now })
    }

    /// Has the live sessions of a changed account take over its revision, in the caller's transaction. A refresh that
    /// read the account before the change then finds another revision, and starts again.
    pub(crate) fn take_over(&self, conn: &mut Conn, changed: &impl LockedOwner) -> DbResult<()> {
        store::take_over(conn, changed.subject().id, changed.revision(), self.clock.database_now())
    }

    /// Revokes all access tokens of a changed account, but none of its sessions, in the caller's transaction. This is
    /// for changes of what its tokens contain: clients get new tokens by a refresh. Call [`Self::publish`] after the
    /// commit.
    pub(crate) fn revoke_access_tokens(
        &self,
        conn: &mut Conn,
        changed: &impl LockedOwner,
    ) -> DbResult<RevokedSessions> {
        let now = self.clock.database_now();
        let user = changed.subject().id;
        let tokens = store::revoke_access_tokens(conn, user, changed.revision(), now)?;
        let entry = |(session, revision, latest, expires_at): store::RevokedAccessTokens| {
            revocation(
                Revoked::TokensBefore { session, revision, latest: Some(latest) },
                expires_at,
                Reason::AccountChanged,
                now,
            )
        };
        let entries: Vec<Revocation> = tokens.into_iter().map(entry).collect();
        revocations::append(conn, &entries, Some(user))?;
        Ok(RevokedSessions { sessions: Vec::new(), entries, at: now })
    }

    /// Publishes committed revocations on this server and in the cache. Call this first after the commit.
    pub(crate) async fn publish(&self, revoked: &RevokedSessions) {
        self.log.add(&revoked.entries);
        self.metrics.revoked(revoked.count());
        // If the cache fails, the reader of the log adds the missing marks.
        self.log.mark(&self.cache, &revoked.entries, revoked.at).await;
    }

    /// Publishes a revocation that was found in the row of a session, before the session is refused: what this server
    /// has refused once, it never accepts again.
    pub(super) async fn publish_found(&self, family: &TokenFamily) {
        let Some(reason) = family.revoked_reason.as_deref().map(Reason::parse) else { return };
        let now = self.clock.database_now();
        let revoked = Revoked::Session(family.snapshot.session);
        let revoked_at = family.revoked_at.unwrap_or(now);
        let entry = revocation(revoked, family.snapshot.access_expires_at, reason, revoked_at);
        if entry.expires_at > now {
            self.publish(&RevokedSessions { sessions: Vec::new(), entries: vec![entry], at: now }).await;
        }
    }
}

/// Returns the entry for what was revoked, of which every access token has expired at `access_expires_at`.
pub(super) fn revocation(
    revoked: Revoked,
    access_expires_at: Timestamp,
    reason: Reason,
    revoked_at: Timestamp,
) -> Revocation {
    Revocation { revoked, reason, revoked_at, expires_at: access_expires_at.plus(MARGIN) }
}

/// Writes revocations again that the database has lost, in the caller's transaction: in the rows of the sessions that
/// it still has, and in the log.
pub(crate) fn rewrite_revocations(conn: &mut Conn, lost: &[Revocation], now: Timestamp) -> DbResult<()> {
    for entry in lost {
        match entry.revoked {
            Revoked::Session(session) => store::rewrite_revoked(conn, session, entry.reason, now)?,
            Revoked::TokensBefore { session, revision, .. } => store::rewrite_revision(conn, session, revision)?,
            Revoked::Key(key) => lifecycle::rewrite_revoked(conn, key, entry.revoked_at)?,
            Revoked::Client(client) => {
                if let Some(client) = LockedClient::lock(conn, client)? {
                    client.delete(conn)?;
                }
            }
            Revoked::Token { .. } => {}
        }
        let session = match entry.revoked {
            Revoked::Session(session) | Revoked::TokensBefore { session, .. } => Some(session),
            Revoked::Token { session, .. } => session,
            Revoked::Key(_) | Revoked::Client(_) => None,
        };
        let user = match session.map(|session| store::owner(conn, session)).transpose()? {
            // The database has lost the session too.
            Some(None) => continue,
            owner => owner.flatten(),
        };
        revocations::append(conn, &[*entry], user)?;
    }
    Ok(())
}
