//! The rows of hourly statistics.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::db::schema::hourly_counts;
use crate::db::types::SqlTime;
use crate::db::{Conn, DbResult};
use crate::types::Timestamp;

/// Adds to the counts of `hour`.
pub(super) fn add_counts(conn: &mut Conn, hour: Timestamp, counts: &[(String, i64)]) -> DbResult<()> {
    let statement = "INSERT INTO hourly_counts (hour, name, count) VALUES ($1, $2, $3) \
                     ON CONFLICT (hour, name) DO UPDATE SET count = hourly_counts.count + excluded.count";
    insert(conn, statement, hour, counts)
}

/// Sets those counts of `hour` that are not there yet.
pub(super) fn set_counts(conn: &mut Conn, hour: Timestamp, counts: &[(String, i64)]) -> DbResult<()> {
    insert(
        conn,
        "INSERT INTO hourly_counts (hour, name, count) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        hour,
        counts,
    )
}

fn insert(conn: &mut Conn, statement: &str, hour: Timestamp, counts: &[(String, i64)]) -> DbResult<()> {
    for (name, count) in counts {
        diesel::sql_query(statement)
            .bind::<SqlTime, _>(hour)
            .bind::<Text, _>(name)
            .bind::<BigInt, _>(*count)
            .execute(conn)?;
    }
    Ok(())
}

/// Returns whether `hour` has counts of which the first part of the name is `kind`.
pub(super) fn has_counts(conn: &mut Conn, hour: Timestamp, kind: &str) -> DbResult<bool> {
    let counts = hourly_counts::table.filter(hourly_counts::hour.eq(hour));
    let counts = counts.filter(hourly_counts::name.like(format!("{kind}.%"))).select(hourly_counts::name);
    Ok(counts.first::<String>(conn).optional()?.is_some())
}

/// Finds the counts of the hours from `from` on, oldest first.
pub(super) fn hourly_counts(conn: &mut Conn, from: Timestamp) -> DbResult<Vec<(Timestamp, String, i64)>> {
    let rows =
        hourly_counts::table.filter(hourly_counts::hour.ge(from)).order((hourly_counts::hour, hourly_counts::name));
    Ok(rows.load(conn)?)
}

/// Deletes about `limit` rows of the hour `before` or earlier. Returns how many.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let old = hourly_counts::table.filter(hourly_counts::hour.le(before)).order(hourly_counts::hour.desc());
    // There are about ten rows per hour. All rows of an hour are deleted together.
    let hours: Vec<Timestamp> = old.select(hourly_counts::hour).limit(limit).load(conn)?;
    Ok(diesel::delete(hourly_counts::table.filter(hourly_counts::hour.eq_any(hours))).execute(conn)?)
}
