//! The leases in the database.

use diesel::prelude::*;

use crate::db::schema::leases;
use crate::db::{Conn, DbResult};
use crate::types::Timestamp;

/// Takes or renews a lease. Returns whether `holder` has it until `until`.
pub(super) fn lease(conn: &mut Conn, name: &str, holder: &[u8], now: Timestamp, until: Timestamp) -> DbResult<bool> {
    let available = leases::holder.eq(holder).or(leases::until.le(now));
    let lease = leases::table.filter(leases::name.eq(name)).filter(available);
    Ok(diesel::update(lease).set((leases::holder.eq(holder), leases::until.eq(until))).execute(conn)? == 1)
}

/// Locks the row of a lease until the transaction ends.
pub(super) fn lock(conn: &mut Conn, name: &str) -> DbResult<()> {
    let lease = leases::table.filter(leases::name.eq(name));
    diesel::update(lease).set(leases::until.eq(leases::until)).execute(conn)?;
    Ok(())
}
