//! The time of the database, by which rows are deleted or kept.

use std::time::Instant;

use diesel::RunQueryDsl as _;
use diesel::sql_types::BigInt;

use super::connection::Conn;
use super::error::DbResult;
use crate::clock::Clock;
use crate::types::Timestamp;

/// Returns the time of the database, and has `clock` take note of it. The database of SQLite has the clock of this
/// machine.
pub fn read(conn: &mut Conn, clock: &Clock) -> DbResult<Timestamp> {
    #[derive(diesel::QueryableByName)]
    struct Now {
        #[diesel(sql_type = BigInt)]
        millis: i64,
    }
    if let Conn::Postgres(_) = conn {
        let asked_at = Instant::now();
        let query = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis";
        let now: Now = diesel::sql_query(query).get_result(conn)?;
        clock.set_database_time(Timestamp::from_millis(now.millis), asked_at);
    }
    Ok(clock.database_now())
}
