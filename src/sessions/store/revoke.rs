//! Revokes sessions and access tokens in the rows of sessions.

use diesel::prelude::*;

use crate::db::schema::sessions;
use crate::db::{Conn, DbResult};
use crate::revocations::Reason;
use crate::sessions::SessionSelector;
use crate::types::{Jti, SessionId, Timestamp, UserId};

/// A session that was revoked, and the time at which every access token of it has expired.
pub(crate) type RevokedSession = (SessionId, UserId, Timestamp);

/// Evaluates an expression with the condition of a selector, which is of another type for each.
macro_rules! matching {
    ($selector:expr, $matches:ident => $query:block) => {
        match $selector {
            SessionSelector::One(session) => {
                let $matches = sessions::id.eq(session).or(sessions::parent_id.eq(session).assume_not_null());
                $query
            }
            SessionSelector::OneOf(session, user) => {
                let own = sessions::id.eq(session).and(sessions::user_id.eq(user));
                let by_user =
                    sessions::actor_id.eq(user).or(sessions::actor_id.is_null().and(sessions::user_id.eq(user)));
                let child = sessions::parent_id.eq(session).and(by_user);
                let $matches = own.or(child.assume_not_null());
                $query
            }
            SessionSelector::AllOf(user) => {
                let $matches = sessions::user_id.eq(user).or(sessions::actor_id.eq(user).assume_not_null());
                $query
            }
            SessionSelector::AllOfExcept(user, session) => {
                let all = sessions::user_id.eq(user).or(sessions::actor_id.eq(user).assume_not_null());
                let $matches = all.and(sessions::id.ne(session));
                $query
            }
            SessionSelector::ImpersonatedBy(user) => {
                let $matches = sessions::actor_id.eq(user).assume_not_null();
                $query
            }
        }
    };
}

/// Revokes the live sessions that match `selector`, with the sessions that end with them.
pub(crate) fn revoke(
    conn: &mut Conn,
    selector: SessionSelector,
    reason: Reason,
    by: Option<UserId>,
    now: Timestamp,
) -> DbResult<Vec<RevokedSession>> {
    let mut all = Vec::new();
    // Once more after each statement that found some: while it waited for a row, a transaction that held the row may
    // have opened a child of the session, which that statement does not see.
    loop {
        let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
        let change = (
            sessions::revoked_at.eq(now),
            sessions::revoked_reason.eq(reason.name()),
            sessions::revoked_by.eq(by),
            sessions::revision.eq(sessions::revision + 1),
        );
        let columns = (sessions::id, sessions::user_id, sessions::access_expires_at);
        let revoked: Vec<RevokedSession> = matching!(selector, matches => {
            let target = sessions::table.filter(live).filter(matches);
            diesel::update(target).set(change).returning(columns).get_results(conn)?
        });
        if revoked.is_empty() {
            return Ok(all);
        }
        all.extend(revoked);
    }
}

/// A revocation that a session's row records: the session, the reason if it was revoked itself, the revision from which
/// on its access tokens are valid, and the time at which every access token of it has expired.
pub(crate) type RecordedRevocation = (SessionId, Option<String>, i64, Timestamp);

/// Finds the revocations that the rows of the sessions that match `selector` record, unless all access tokens have
/// expired at `expired`.
pub(crate) fn recorded_revocations(
    conn: &mut Conn,
    selector: SessionSelector,
    expired: Timestamp,
) -> DbResult<Vec<RecordedRevocation>> {
    let in_force = sessions::access_expires_at
        .gt(expired)
        .and(sessions::revoked_at.is_not_null().or(sessions::valid_from_revision.gt(0)));
    let columns = (sessions::id, sessions::revoked_reason, sessions::valid_from_revision, sessions::access_expires_at);
    Ok(matching!(selector, matches => {
        sessions::table.filter(in_force).filter(matches).select(columns).load(conn)?
    }))
}

/// Revokes a session again, whose revocation the database has lost.
pub(crate) fn rewrite_revoked(conn: &mut Conn, session: SessionId, reason: Reason, now: Timestamp) -> DbResult<()> {
    let live = sessions::table.filter(sessions::id.eq(session).and(sessions::revoked_at.is_null()));
    let change = (
        sessions::revoked_at.eq(now),
        sessions::revoked_reason.eq(reason.name()),
        sessions::revision.eq(sessions::revision + 1),
    );
    diesel::update(live).set(change).execute(conn)?;
    Ok(())
}

/// Revokes the access tokens of a session of revisions before this one again, whose revocation the database has lost.
pub(crate) fn rewrite_revision(conn: &mut Conn, session: SessionId, revision: i64) -> DbResult<()> {
    let session = sessions::table.filter(sessions::id.eq(session));
    let earlier = session.filter(sessions::valid_from_revision.lt(revision));
    diesel::update(earlier).set(sessions::valid_from_revision.eq(revision)).execute(conn)?;
    let behind = session.filter(sessions::revision.lt(revision));
    diesel::update(behind).set(sessions::revision.eq(revision)).execute(conn)?;
    Ok(())
}

/// Finds the account of a session.
pub(crate) fn owner(conn: &mut Conn, session: SessionId) -> DbResult<Option<UserId>> {
    Ok(sessions::table.filter(sessions::id.eq(session)).select(sessions::user_id).first(conn).optional()?)
}

/// A session whose access tokens were revoked: its id, the revision from which on they are valid, the latest that was
/// revoked, and the time at which every earlier one has expired.
pub(crate) type RevokedAccessTokens = (SessionId, i64, Jti, Timestamp);

/// Has the live sessions of an account take over its revision, and revokes the access tokens that they have issued.
pub(crate) fn revoke_access_tokens(
    conn: &mut Conn,
    user: UserId,
    account_revision: i64,
    now: Timestamp,
) -> DbResult<Vec<RevokedAccessTokens>> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let owned = sessions::table.filter(sessions::user_id.eq(user)).filter(live);
    let change = (
        sessions::revision.eq(sessions::revision + 1),
        sessions::valid_from_revision.eq(sessions::revision + 1),
        sessions::account_revision.eq(account_revision),
    );
    // An update instead of a query, so that a concurrent refresh comes entirely before or after this transaction.
    let revoked = (sessions::id, sessions::valid_from_revision, sessions::access_jti, sessions::access_expires_at);
    Ok(diesel::update(owned).set(change).returning(revoked).get_results(conn)?)
}
