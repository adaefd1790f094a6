//! The rows of pending changes of email address.

use diesel::prelude::*;

use crate::db::schema::email_changes;
use crate::db::{Conn, DbResult};
use crate::types::{Timestamp, UserId};

/// The row of a pending change.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = email_changes)]
pub struct EmailChangeRow {
    pub user_id: UserId,
    pub email: String,
    pub email_normalized: String,
    pub confirmed_by_old_at: Option<Timestamp>,
    pub confirmed_by_new_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Inserts a change, which replaces the account's pending one.
pub(super) fn replace(conn: &mut Conn, pending: &EmailChangeRow) -> DbResult<()> {
    delete(conn, pending.user_id)?;
    diesel::insert_into(email_changes::table).values(pending).execute(conn)?;
    Ok(())
}

/// Deletes the pending change of an account. Returns whether there was one.
pub(super) fn delete(conn: &mut Conn, user: UserId) -> DbResult<bool> {
    Ok(diesel::delete(email_changes::table.find(user)).execute(conn)? == 1)
}

/// Finds the pending change of an account.
pub(super) fn find(conn: &mut Conn, user: UserId) -> DbResult<Option<EmailChangeRow>> {
    Ok(email_changes::table.find(user).select(EmailChangeRow::as_select()).first(conn).optional()?)
}

/// Records the confirmation by the new or the old address.
pub(super) fn confirm(conn: &mut Conn, user: UserId, by_new: bool, now: Timestamp) -> DbResult<()> {
    let pending = diesel::update(email_changes::table.find(user));
    if by_new {
        pending.set(email_changes::confirmed_by_new_at.eq(now)).execute(conn)?;
    } else {
        pending.set(email_changes::confirmed_by_old_at.eq(now)).execute(conn)?;
    }
    Ok(())
}

/// Deletes up to `limit` changes that expired at `before` or earlier. Returns how many.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = email_changes::table.filter(email_changes::expires_at.le(before));
    let users: Vec<UserId> = expired.select(email_changes::user_id).limit(limit).load(conn)?;
    Ok(diesel::delete(email_changes::table.filter(email_changes::user_id.eq_any(users))).execute(conn)?)
}
