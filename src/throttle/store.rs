//! The rows of failed password attempts.

use diesel::prelude::*;

use crate::db::schema::login_failures;
use crate::db::{Conn, DbResult};
use crate::types::Timestamp;

/// The consecutive failures of one source.
#[derive(Queryable, Selectable)]
#[diesel(table_name = login_failures)]
pub(super) struct Failures {
    pub failures: i32,
    pub last_failed_at: Timestamp,
}

/// Finds the failures of these sources, if the last failure was after `since`.
pub(super) fn failures(conn: &mut Conn, sources: &[Vec<u8>], since: Timestamp) -> DbResult<Vec<Failures>> {
    let recent = login_failures::table
        .filter(login_failures::source.eq_any(sources))
        .filter(login_failures::last_failed_at.gt(since));
    Ok(recent.select(Failures::as_select()).load(conn)?)
}

/// Counts one failure of a source. The count restarts at one if the last failure was at `until` or earlier.
pub(super) fn count(conn: &mut Conn, source: &[u8], now: Timestamp, until: Timestamp) -> DbResult<()> {
    let current = login_failures::table.filter(login_failures::source.eq(source));
    diesel::delete(current.filter(login_failures::last_failed_at.le(until))).execute(conn)?;
    let first =
        (login_failures::source.eq(source), login_failures::failures.eq(1), login_failures::last_failed_at.eq(now));
    macro_rules! count {
        ($conn:expr) => {
            diesel::insert_into(login_failures::table)
                .values(first)
                .on_conflict(login_failures::source)
                .do_update()
                .set((
                    login_failures::failures.eq(login_failures::failures + 1),
                    login_failures::last_failed_at.eq(now),
                ))
                .execute($conn)?
        };
    }
    match conn {
        Conn::Postgres(conn) => count!(conn),
        Conn::Sqlite(conn) => count!(conn),
    };
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
