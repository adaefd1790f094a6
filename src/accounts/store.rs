//! Accounts as rows.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::{mfa_challenges, trusted_devices, users};
use crate::db::types::{Names, UserId};
use crate::db::{Conn, DbResult};

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub struct UserRow {
    pub id: UserId,
    pub email: String,
    pub email_normalized: String,
    pub name: Option<String>,
    pub password_hash: String,
    pub roles: Names,
    pub created_at: Timestamp,
    pub password_changed_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    pub email_verified_at: Option<Timestamp>,
    pub alerts: bool,
}

/// Fails with [`crate::db::DbError::Taken`] when the address has an account.
pub fn insert(conn: &mut Conn, user: &UserRow) -> DbResult<()> {
    diesel::insert_into(users::table).values(user).execute(conn)?;
    Ok(())
}

pub fn by_email(conn: &mut Conn, normalized: &str) -> DbResult<Option<UserRow>> {
    let found = users::table.filter(users::email_normalized.eq(normalized));
    Ok(found.select(UserRow::as_select()).first(conn).optional()?)
}

pub fn by_id(conn: &mut Conn, id: UserId) -> DbResult<Option<UserRow>> {
    Ok(users::table.filter(users::id.eq(id)).select(UserRow::as_select()).first(conn).optional()?)
}

/// All accounts, oldest first.
pub fn all(conn: &mut Conn) -> DbResult<Vec<UserRow>> {
    Ok(users::table.order((users::created_at, users::id)).select(UserRow::as_select()).load(conn)?)
}

/// Notes a login.
pub fn note_login(conn: &mut Conn, id: UserId, now: Timestamp) -> DbResult<()> {
    diesel::update(users::table.filter(users::id.eq(id))).set(users::last_login_at.eq(now)).execute(conn)?;
    Ok(())
}

/// Answers whether the account still has the password whose hash was `verified` and is not disabled, and holds it so for
/// the rest of the transaction. Stores that password's newer hash if there is one.
pub fn confirm_password(conn: &mut Conn, id: UserId, verified: &str, rehashed: Option<&str>) -> DbResult<bool> {
    let same = users::table
        .filter(users::id.eq(id))
        .filter(users::password_hash.eq(verified))
        .filter(users::disabled_at.is_null());
    let hash = rehashed.unwrap_or(verified);
    Ok(diesel::update(same).set(users::password_hash.eq(hash)).execute(conn)? == 1)
}

/// Replaces the password whose hash is `former`, whatever it is if `None`. Answers whether it was. Logins that wait for
/// their second factor begin anew, and no device is trusted any more.
pub fn set_password(conn: &mut Conn, id: UserId, former: Option<&str>, hash: &str, now: Timestamp) -> DbResult<bool> {
    let change = (users::password_hash.eq(hash), users::password_changed_at.eq(now));
    let account = users::table.filter(users::id.eq(id));
    let changed = match former {
        Some(former) => diesel::update(account.filter(users::password_hash.eq(former))).set(change).execute(conn)?,
        None => diesel::update(account).set(change).execute(conn)?,
    };
    if changed == 1 {
        forget_challenges(conn, id)?;
        forget_trusted_devices(conn, id)?;
    }
    Ok(changed == 1)
}

/// Holds an account that is not disabled for the rest of the transaction, and answers it as it is: whoever changes it waits.
pub fn hold(conn: &mut Conn, id: UserId) -> DbResult<Option<UserRow>> {
    let account = users::table.filter(users::id.eq(id)).filter(users::disabled_at.is_null());
    let held = diesel::update(account).set(users::alerts.eq(users::alerts)).execute(conn)?;
    if held == 1 { by_id(conn, id) } else { Ok(None) }
}

/// Notes that the address is the owner's; one that was known to be stays so since then.
pub fn verify_email(conn: &mut Conn, id: UserId, now: Timestamp) -> DbResult<()> {
    let account = users::table.filter(users::id.eq(id)).filter(users::email_verified_at.is_null());
    diesel::update(account).set(users::email_verified_at.eq(now)).execute(conn)?;
    Ok(())
}

/// Gives an account another address, which is known to be the owner's. Fails with [`crate::db::DbError::Taken`] when it
/// has an account.
pub fn set_email(conn: &mut Conn, id: UserId, email: &str, normalized: &str, now: Timestamp) -> DbResult<()> {
    diesel::update(users::table.filter(users::id.eq(id)))
        .set((users::email.eq(email), users::email_normalized.eq(normalized), users::email_verified_at.eq(now)))
        .execute(conn)?;
    Ok(())
}

/// Forgets the logins that wait for a second factor.
pub fn forget_challenges(conn: &mut Conn, id: UserId) -> DbResult<()> {
    diesel::delete(mfa_challenges::table.filter(mfa_challenges::user_id.eq(id))).execute(conn)?;
    Ok(())
}

/// Forgets the devices that need no second factor.
pub fn forget_trusted_devices(conn: &mut Conn, id: UserId) -> DbResult<()> {
    diesel::delete(trusted_devices::table.filter(trusted_devices::user_id.eq(id))).execute(conn)?;
    Ok(())
}

/// Whether mails tell the owner of unusual logins. Answers whether there is such an account.
pub fn set_alerts(conn: &mut Conn, id: UserId, alerts: bool) -> DbResult<bool> {
    Ok(diesel::update(users::table.filter(users::id.eq(id))).set(users::alerts.eq(alerts)).execute(conn)? == 1)
}

/// Answers whether there is such an account.
pub fn set_name(conn: &mut Conn, id: UserId, name: Option<&str>) -> DbResult<bool> {
    Ok(diesel::update(users::table.filter(users::id.eq(id))).set(users::name.eq(name)).execute(conn)? == 1)
}

/// Disables an account; one that was disabled before stays so since then.
pub fn disable(conn: &mut Conn, id: UserId, now: Timestamp) -> DbResult<()> {
    let account = users::table.filter(users::id.eq(id)).filter(users::disabled_at.is_null());
    diesel::update(account).set(users::disabled_at.eq(now)).execute(conn)?;
    forget_challenges(conn, id)
}
