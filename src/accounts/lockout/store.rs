//! Failures in a row as rows.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::login_failures;
use crate::db::{Conn, DbResult};

/// Guesses that failed in a row, from one source.
#[derive(Queryable, Selectable)]
#[diesel(table_name = login_failures)]
pub struct Failures {
    pub failures: i32,
    pub last_failed_at: Timestamp,
}

/// What is remembered of these sources since `since`.
pub fn failures(conn: &mut Conn, sources: &[Vec<u8>], since: Timestamp) -> DbResult<Vec<Failures>> {
    let known = login_failures::table
        .filter(login_failures::source.eq_any(sources))
        .filter(login_failures::last_failed_at.gt(since));
    Ok(known.select(Failures::as_select()).load(conn)?)
}

/// Counts one failure; what happened until `until` is forgotten.
pub fn count(conn: &mut Conn, source: &[u8], now: Timestamp, until: Timestamp) -> DbResult<()> {
    let own = login_failures::table.filter(login_failures::source.eq(source));
    diesel::delete(own.filter(login_failures::last_failed_at.le(until))).execute(conn)?;
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

/// Forgets the failures of a source.
pub fn forget(conn: &mut Conn, source: &[u8]) -> DbResult<()> {
    diesel::delete(login_failures::table.filter(login_failures::source.eq(source))).execute(conn)?;
    Ok(())
}
