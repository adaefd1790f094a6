//! What is removed, as rows: at most a batch at a time.

use diesel::prelude::*;

use super::ROWS;
use crate::clock::Timestamp;
use crate::db::schema::{
    email_changes, hourly_counts, leases, login_failures, mfa_challenges, sessions, trusted_devices,
};
use crate::db::types::{SessionId, UserId};
use crate::db::{Conn, DbResult};

/// The name of the lease by which one server at a time sweeps.
const LEASE: &str = "sweep";

/// Takes or prolongs the lease; answers whether it is `holder`'s until then.
pub fn lease(conn: &mut Conn, holder: &[u8], now: Timestamp, until: Timestamp) -> DbResult<bool> {
    let own = leases::holder.eq(holder).or(leases::until.le(now));
    let lease = leases::table.filter(leases::name.eq(LEASE)).filter(own);
    Ok(diesel::update(lease).set((leases::holder.eq(holder), leases::until.eq(until))).execute(conn)? == 1)
}

/// The id to which the next batch of sessions after `after` reach; `None` where there are fewer before `end`.
pub fn upto(conn: &mut Conn, after: SessionId, end: SessionId) -> DbResult<Option<SessionId>> {
    let next = sessions::table.filter(sessions::id.gt(after)).filter(sessions::id.lt(end)).order(sessions::id);
    Ok(next.select(sessions::id).offset(ROWS - 1).limit(1).first(conn).optional()?)
}

/// Removes the sessions of a range of ids, its end included, that had ended by `before`.
pub fn sessions(conn: &mut Conn, (after, upto): (SessionId, SessionId), before: Timestamp) -> DbResult<usize> {
    let over = sessions::expires_at.le(before).or(sessions::ends_at.le(before));
    let ended = sessions::revoked_at.is_not_null().and(sessions::revoked_at.le(before)).or(over.nullable());
    let range = sessions::table.filter(sessions::id.gt(after)).filter(sessions::id.le(upto));
    Ok(diesel::delete(range.filter(ended)).execute(conn)?)
}

/// How many sessions have ended.
pub fn ended(conn: &mut Conn, now: Timestamp) -> DbResult<i64> {
    let over = sessions::expires_at.le(now).or(sessions::ends_at.le(now));
    Ok(sessions::table.filter(sessions::revoked_at.is_not_null().or(over)).count().get_result(conn)?)
}

/// Removes up to a batch of rows whose time has come.
macro_rules! remove {
    ($name:ident, $key:ident: $type:ty, $time:ident) => {
        pub fn $name(conn: &mut Conn, before: Timestamp) -> DbResult<usize> {
            let old = $name::table.filter($name::$time.le(before)).select($name::$key).limit(ROWS);
            let old: Vec<$type> = old.load(conn)?;
            Ok(diesel::delete($name::table.filter($name::$key.eq_any(old))).execute(conn)?)
        }
    };
}
remove!(email_changes, user_id: UserId, expires_at);
remove!(mfa_challenges, digest: Vec<u8>, expires_at);
remove!(trusted_devices, digest: Vec<u8>, expires_at);
remove!(login_failures, source: Vec<u8>, last_failed_at);

/// Some ten rows an hour: they need no batches.
pub fn hourly_counts(conn: &mut Conn, before: Timestamp) -> DbResult<usize> {
    Ok(diesel::delete(hourly_counts::table.filter(hourly_counts::hour.le(before))).execute(conn)?)
}
