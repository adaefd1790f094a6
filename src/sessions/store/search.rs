//! Reads the rows of sessions of all accounts, newest first. Ids of version 7 begin with the time, so the newest have
//! the greatest.

use diesel::prelude::*;

use super::queries::SessionRow;
use crate::db::connection::MultiBackend;
use crate::db::schema::{sessions, users};
use crate::db::{Conn, DbResult};
use crate::sessions::search::{SessionQuery, SessionState};
use crate::types::{SessionId, Timestamp, UserId};

/// A row of a list of sessions, with its owner.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub(crate) struct OwnedRow {
    #[diesel(embed)]
    pub session: SessionRow,
    pub user_id: UserId,
    #[diesel(select_expression = users::email)]
    pub email: String,
}

/// Returns when a session was opened, which its id says: the index of an account has the time in place of the id.
fn opened_at(session: SessionId) -> Timestamp {
    Timestamp::from_millis(i64::try_from(session.0.as_u128() >> 80).unwrap_or(i64::MAX))
}

/// Returns the id of the last session of the window of `rows` sessions that begins after `after`; `None` if no session
/// is left behind it.
pub(crate) fn window_end(
    conn: &mut Conn,
    query: &SessionQuery,
    after: Option<SessionId>,
    rows: i64,
) -> DbResult<Option<SessionId>> {
    let mut window = sessions::table.into_boxed::<MultiBackend>();
    if let Some(after) = after {
        window = window.filter(sessions::id.lt(after)).filter(sessions::created_at.le(opened_at(after)));
    }
    window = match query.user {
        Some(user) => window.filter(sessions::user_id.eq(user)).order((
            sessions::user_id,
            sessions::created_at.desc(),
            sessions::id.desc(),
        )),
        None => window.order(sessions::id.desc()),
    };
    Ok(window.select(sessions::id).offset(rows.saturating_sub(1)).limit(1).first(conn).optional()?)
}

/// Finds up to `limit` sessions after the first of two ids, up to the second.
pub(crate) fn search(
    conn: &mut Conn,
    query: &SessionQuery,
    (after, end): (Option<SessionId>, Option<SessionId>),
    now: Timestamp,
    limit: i64,
) -> DbResult<Vec<OwnedRow>> {
    let mut rows = sessions::table.inner_join(users::table).into_boxed::<MultiBackend>();
    if let Some(after) = after {
        rows = rows.filter(sessions::id.lt(after)).filter(sessions::created_at.le(opened_at(after)));
    }
    if let Some(end) = end {
        rows = rows.filter(sessions::id.ge(end)).filter(sessions::created_at.ge(opened_at(end)));
    }
    if let Some(kind) = query.kind {
        rows = rows.filter(sessions::kind.eq(kind.name()));
    }
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    rows = match query.state {
        Some(SessionState::Live) => rows.filter(live),
        Some(SessionState::Ended) => rows.filter(diesel::dsl::not(live)),
        None => rows,
    };
    // With the account, its own index gives the order, which the planner is told by its columns.
    rows = match query.user {
        Some(user) => rows.filter(sessions::user_id.eq(user)).order((
            sessions::user_id,
            sessions::created_at.desc(),
            sessions::id.desc(),
        )),
        None => rows.order(sessions::id.desc()),
    };
    Ok(rows.select(OwnedRow::as_select()).limit(limit).load(conn)?)
}

/// Finds a session with its owner.
pub(crate) fn find_owned(conn: &mut Conn, session: SessionId) -> DbResult<Option<OwnedRow>> {
    let found = sessions::table.inner_join(users::table).filter(sessions::id.eq(session));
    Ok(found.select(OwnedRow::as_select()).first(conn).optional()?)
}
