//! Changes of address that wait, as rows.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::email_changes;
use crate::db::types::UserId;
use crate::db::{Conn, DbResult};

/// A change of address that waits for a confirmation from each of the two addresses.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = email_changes)]
pub struct Pending {
    pub user_id: UserId,
    pub email: String,
    pub email_normalized: String,
    pub confirmed_by_old_at: Option<Timestamp>,
    pub confirmed_by_new_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Inserts a change in the place of the one that waits, if there is one.
pub fn replace(conn: &mut Conn, pending: &Pending) -> DbResult<()> {
    delete(conn, pending.user_id)?;
    diesel::insert_into(email_changes::table).values(pending).execute(conn)?;
    Ok(())
}

/// Answers whether there was one.
pub fn delete(conn: &mut Conn, user: UserId) -> DbResult<bool> {
    Ok(diesel::delete(email_changes::table.find(user)).execute(conn)? == 1)
}

pub fn find(conn: &mut Conn, user: UserId) -> DbResult<Option<Pending>> {
    Ok(email_changes::table.find(user).select(Pending::as_select()).first(conn).optional()?)
}

/// Notes that one of the addresses has agreed.
pub fn confirm(conn: &mut Conn, user: UserId, by_new: bool, now: Timestamp) -> DbResult<()> {
    let pending = diesel::update(email_changes::table.find(user));
    if by_new {
        pending.set(email_changes::confirmed_by_new_at.eq(now)).execute(conn)?;
    } else {
        pending.set(email_changes::confirmed_by_old_at.eq(now)).execute(conn)?;
    }
    Ok(())
}
