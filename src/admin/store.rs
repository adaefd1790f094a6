//! Accounts and figures as operators ask for them, as rows.

use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::clock::Timestamp;
use crate::db::connection::MultiBackend;
use crate::db::schema::{hourly_counts, users};
use crate::db::types::{Names, SqlTime, UserId};
use crate::db::{Conn, DbResult};

diesel::define_sql_function! {
    /// Lower case, of the letters A to Z alone.
    fn lower(text: diesel::sql_types::Nullable<Text>) -> diesel::sql_types::Nullable<Text>;
}

/// Greater than every text that begins with what it is appended to.
const LAST: char = char::MAX;

/// An account without its password.
#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct Account {
    pub id: UserId,
    pub email: String,
    pub email_normalized: String,
    pub name: Option<String>,
    pub roles: Names,
    pub created_at: Timestamp,
    pub password_changed_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    pub email_verified_at: Option<Timestamp>,
}

pub fn by_id(conn: &mut Conn, id: UserId) -> DbResult<Option<Account>> {
    Ok(users::table.filter(users::id.eq(id)).select(Account::as_select()).first(conn).optional()?)
}

/// The account, held against every other change until the transaction ends.
pub fn hold(conn: &mut Conn, id: UserId) -> DbResult<Option<Account>> {
    let held =
        diesel::update(users::table.filter(users::id.eq(id))).set(users::alerts.eq(users::alerts)).execute(conn)?;
    if held == 0 { Ok(None) } else { by_id(conn, id) }
}

/// Up to `limit` accounts after `after`, the newest first.
pub fn newest(conn: &mut Conn, after: Option<UserId>, limit: i64) -> DbResult<Vec<Account>> {
    let mut rows = users::table.order(users::id.desc()).into_boxed::<MultiBackend>();
    if let Some(after) = after {
        rows = rows.filter(users::id.lt(after));
    }
    Ok(rows.limit(limit).select(Account::as_select()).load(conn)?)
}

/// Up to `limit` accounts whose address begins with `prefix`, by their addresses, after this one and id.
pub fn by_address(
    conn: &mut Conn,
    prefix: &str,
    (after, after_id): (&str, UserId),
    limit: i64,
) -> DbResult<Vec<Account>> {
    let further = users::email_normalized.gt(after).or(users::email_normalized.eq(after).and(users::id.gt(after_id)));
    let rows = users::table
        .filter(users::email_normalized.ge(prefix.max(after)))
        .filter(users::email_normalized.lt(format!("{prefix}{LAST}")))
        .filter(further)
        .order((users::email_normalized, users::id))
        .limit(limit);
    Ok(rows.select(Account::as_select()).load(conn)?)
}

/// Up to `limit` accounts whose name begins with `prefix`, in lower case, and whose address does not begin with
/// `address`, by their names and ids, after these; each with its name in lower case.
pub fn by_name(
    conn: &mut Conn,
    (prefix, address): (&str, &str),
    (after, after_id): (&str, UserId),
    limit: i64,
) -> DbResult<Vec<(Account, String)>> {
    let name = || lower(users::name);
    let further = name().gt(after).or(name().eq(after).and(users::id.gt(after_id)));
    let elsewhere = users::email_normalized.lt(address).or(users::email_normalized.ge(format!("{address}{LAST}")));
    let rows = users::table
        .filter(name().ge(prefix.max(after)))
        .filter(name().lt(format!("{prefix}{LAST}")))
        .filter(further)
        .filter(elsewhere)
        .order((name(), users::id))
        .limit(limit);
    let rows: Vec<(Account, Option<String>)> = rows.select((Account::as_select(), name())).load(conn)?;
    Ok(rows.into_iter().map(|(account, name)| (account, name.unwrap_or_default())).collect())
}

pub fn set_disabled(conn: &mut Conn, id: UserId, disabled_at: Option<Timestamp>) -> DbResult<()> {
    diesel::update(users::table.filter(users::id.eq(id))).set(users::disabled_at.eq(disabled_at)).execute(conn)?;
    Ok(())
}

pub fn set_roles(conn: &mut Conn, id: UserId, roles: &Names) -> DbResult<()> {
    diesel::update(users::table.filter(users::id.eq(id))).set(users::roles.eq(roles)).execute(conn)?;
    Ok(())
}

pub fn set_name(conn: &mut Conn, id: UserId, name: Option<&str>) -> DbResult<()> {
    diesel::update(users::table.filter(users::id.eq(id))).set(users::name.eq(name)).execute(conn)?;
    Ok(())
}

/// How many accounts there are.
pub fn count_users(conn: &mut Conn) -> DbResult<i64> {
    Ok(users::table.select(count_star()).first(conn)?)
}

#[derive(QueryableByName)]
pub struct OfKind {
    #[diesel(sql_type = Text)]
    pub kind: String,
    #[diesel(sql_type = BigInt)]
    pub count: i64,
}

/// How many sessions are live on each type of device.
pub fn sessions_by_device(conn: &mut Conn, now: Timestamp) -> DbResult<Vec<OfKind>> {
    let query = "SELECT coalesce(device ->> 'type', 'unknown') AS kind, count(*) AS count FROM sessions \
                 WHERE revoked_at IS NULL AND expires_at > $1 AND ends_at > $1 GROUP BY 1";
    Ok(diesel::sql_query(query).bind::<SqlTime, _>(now).load(conn)?)
}

/// Adds to what was counted in `hour`.
pub fn add_counts(conn: &mut Conn, hour: Timestamp, counts: &[(String, i64)]) -> DbResult<()> {
    let statement = "INSERT INTO hourly_counts (hour, name, count) VALUES ($1, $2, $3) \
                     ON CONFLICT (hour, name) DO UPDATE SET count = hourly_counts.count + excluded.count";
    for (name, count) in counts {
        diesel::sql_query(statement)
            .bind::<SqlTime, _>(hour)
            .bind::<Text, _>(name)
            .bind::<BigInt, _>(*count)
            .execute(conn)?;
    }
    Ok(())
}

/// What was counted from `from` on, hour by hour.
pub fn counts(conn: &mut Conn, from: Timestamp) -> DbResult<Vec<(Timestamp, String, i64)>> {
    let rows =
        hourly_counts::table.filter(hourly_counts::hour.ge(from)).order((hourly_counts::hour, hourly_counts::name));
    Ok(rows.load(conn)?)
}
