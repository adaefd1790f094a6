//! The rows of failed attempts at passwords and codes.

use diesel::prelude::*;

use crate::db::schema::login_failures;
use crate::db::{Conn, DbResult};
use crate::types::Timestamp;

/// The consecutive failures of one source.
#[derive(Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = login_failures)]
pub(super) struct Failures {
    /// The failures, with the attempts that are not judged yet.
    pub failures: i32,
    /// The attempts that are not judged yet.
    pub pending: i32,
    pub last_failed_at: Timestamp,
}

/// Finds the failures of these sources, if the last failure was after `since`.
pub(super) fn failures(conn: &mut Conn, sources: &[Vec<u8>], since: Timestamp) -> DbResult<Vec<Failures>> {
    let recent = login_failures::table
        .filter(login_failures::source.eq_any(sources))
        .filter(login_failures::last_failed_at.gt(since));
    Ok(recent.select(Failures::as_select()).load(conn)?)
}

/// Locks the count of a source until the transaction ends, also if there is none yet, and returns it. The count is zero
/// if the last failure was at `until` or earlier.
pub(super) fn lock(conn: &mut Conn, source: &[u8], now: Timestamp, until: Timestamp) -> DbResult<Failures> {
    let none =
        (login_failures::source.eq(source), login_failures::failures.eq(0), login_failures::last_failed_at.eq(now));
    macro_rules! lock {
        ($conn:expr) => {
            diesel::insert_into(login_failures::table)
                .values(none)
                .on_conflict(login_failures::source)
                .do_update()
                .set(login_failures::failures.eq(login_failures::failures))
                .returning(Failures::as_select())
                .get_result($conn)?
        };
    }
    let locked: Failures = match conn {
        Conn::Postgres(conn) => lock!(conn),
        Conn::Sqlite(conn) => lock!(conn),
    };
    let is_recent = locked.last_failed_at > until;
    Ok(if is_recent { locked } else { Failures { failures: 0, pending: 0, last_failed_at: now } })
}

/// Moves the count of a source to another MAC of it, unless that has one.
pub(super) fn adopt(conn: &mut Conn, from: &[u8], to: &[u8]) -> DbResult<()> {
    let present = login_failures::table.filter(login_failures::source.eq(to)).count().get_result::<i64>(conn)?;
    if present == 0 {
        let count = login_failures::table.filter(login_failures::source.eq(from));
        diesel::update(count).set(login_failures::source.eq(to)).execute(conn)?;
    }
    Ok(())
}

/// Sets the count of a source.
pub(super) fn set(conn: &mut Conn, source: &[u8], count: Failures) -> DbResult<()> {
    let change = (
        login_failures::failures.eq(count.failures),
        login_failures::pending.eq(count.pending),
        login_failures::last_failed_at.eq(count.last_failed_at),
    );
    diesel::update(login_failures::table.find(source)).set(change).execute(conn)?;
    Ok(())
}

/// Resets the count of a source.
pub(super) fn reset(conn: &mut Conn, source: &[u8]) -> DbResult<()> {
    diesel::delete(login_failures::table.filter(login_failures::source.eq(source))).execute(conn)?;
    Ok(())
}

/// Deletes up to `limit` counts whose last failure was at `before` or earlier. Returns how many.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let old = login_failures::table.filter(login_failures::last_failed_at.le(before));
    let sources: Vec<Vec<u8>> = old.select(login_failures::source).limit(limit).load(conn)?;
    Ok(diesel::delete(login_failures::table.filter(login_failures::source.eq_any(sources))).execute(conn)?)
}
