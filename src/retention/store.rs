//! The lease in the database.

use diesel::prelude::*;

use crate::db::schema::leases;
use crate::db::{Conn, DbResult};
use crate::types::Timestamp;

/// The name of the lease by which one server at a time deletes old rows.
const LEASE: &str = "retention";

/// Takes or renews the lease. Returns whether `holder` has it until `until`.
pub(super) fn lease(conn: &mut Conn, holder: &[u8], now: Timestamp, until: Timestamp) -> DbResult<bool> {
    let available = leases::holder.eq(holder).or(leases::until.le(now));
    let lease = leases::table.filter(leases::name.eq(LEASE)).filter(available);
    Ok(diesel::update(lease).set((leases::holder.eq(holder), leases::until.eq(until))).execute(conn)? == 1)
}
