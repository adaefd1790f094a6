//! The queries of lists and searches. Each looks through a window of rows that an index gives in their order.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};

use super::{AccountQuery, AccountState, Part, Position, SearchText, WINDOW};
use crate::accounts::store::AccountRow;
use crate::db::connection::MultiBackend;
use crate::db::schema::users;
use crate::db::{Conn, DbResult};
use crate::types::USER;

/// A query that can get further conditions.
type Rows<'a> = users::BoxedQuery<'a, MultiBackend>;

/// The highest character. A prefix with it appended is greater than every text that begins with the prefix.
const MAX_CHAR: char = char::MAX;

/// Returns the position of the last row of the window that begins after `after`; `None` if no row is left behind it.
pub(super) fn end(conn: &mut Conn, query: &AccountQuery, after: &Position) -> DbResult<Option<Position>> {
    let rows = window(query, after).offset(WINDOW - 1).limit(1);
    let last: Option<AccountRow> = rows.select(AccountRow::as_select()).first(conn).optional()?;
    Ok(last.map(|row| Position::after(after.part, &row)))
}

/// Finds up to `limit` accounts of the list after `after`, up to `end`.
pub(super) fn find(
    conn: &mut Conn,
    query: &AccountQuery,
    after: &Position,
    end: Option<&Position>,
    limit: i64,
) -> DbResult<Vec<AccountRow>> {
    let contains = match conn {
        Conn::Postgres(_) => "strpos",
        Conn::Sqlite(_) => "instr",
    };
    let mut rows = window(query, after).limit(limit);
    if let Some(end) = end {
        rows = up_to(rows, end);
    }
    if let Some(text) = &query.text {
        rows = match after.part {
            Part::Emails => rows,
            Part::Names => without_emails(rows, &text.email),
            Part::Others => containing(without_names(without_emails(rows, &text.email), &text.name), text, contains),
        };
    }
    if let Some(role) = &query.role {
        let quoted = format!("\"{}\"", role.as_str());
        let condition = sql::<Bool>(&format!("{contains}(CAST(users.roles AS text), "));
        rows = rows.filter(condition.bind::<Text, _>(quoted).sql(") > 0"));
    }
    if let Some(state) = query.state {
        rows = rows.filter(sql::<Bool>(condition(state)));
    }
    Ok(rows.select(AccountRow::as_select()).load(conn)?)
}

/// Returns the condition of a state, in a form that no index serves: it might not have the order of the window.
const fn condition(state: AccountState) -> &'static str {
    match state {
        AccountState::Active => "(users.disabled_at IS NULL AND users.deletes_at IS NULL) IS TRUE",
        AccountState::Disabled => "(users.disabled_at IS NOT NULL) IS TRUE",
        AccountState::DeletionPending => "(users.deletes_at IS NOT NULL) IS TRUE",
        AccountState::Unverified => "(users.email_verified_at IS NULL) IS TRUE",
        AccountState::WithoutPassword => "(users.password_hash = '!') IS TRUE",
    }
}

/// Restricts a window to the rows up to a position.
fn up_to<'a>(rows: Rows<'a>, end: &Position) -> Rows<'a> {
    let key = end.key.clone();
    // The first condition bounds what an index reads, which no planner derives from the second.
    match end.part {
        Part::Emails => {
            let column = users::email_normalized;
            rows.filter(column.le(key.clone()))
                .filter(column.lt(key.clone()).or(column.eq(key).and(users::id.le(end.id))))
        }
        Part::Names => {
            let column = users::name_normalized;
            rows.filter(column.le(key.clone()))
                .filter(column.lt(key.clone()).or(column.eq(key).and(users::id.le(end.id))))
        }
        Part::Others => rows.filter(users::id.ge(end.id)),
    }
}

/// Returns the rows of a part after a position, in the order of an index.
fn window<'a>(query: &AccountQuery, after: &Position) -> Rows<'a> {
    let rows = users::table.into_boxed::<MultiBackend>();
    let key = after.key.clone();
    let id = after.id;
    let prefix = |text: fn(&SearchText) -> &String| query.text.as_ref().map(text).cloned().unwrap_or_default();
    match after.part {
        Part::Emails => {
            let prefix = prefix(|text| &text.email);
            let column = users::email_normalized;
            rows.filter(column.ge(prefix.clone().max(key.clone())))
                .filter(column.lt(format!("{prefix}{MAX_CHAR}")))
                .filter(column.gt(key.clone()).or(column.eq(key).and(users::id.gt(id))))
                .order((column, users::id))
        }
        Part::Names => {
            let prefix = prefix(|text| &text.name);
            let column = users::name_normalized;
            rows.filter(column.ge(prefix.clone().max(key.clone())))
                .filter(column.lt(format!("{prefix}{MAX_CHAR}")))
                .filter(column.gt(key.clone()).or(column.eq(key).and(users::id.gt(id))))
                .order((column, users::id))
        }
        Part::Others => narrow(rows.filter(users::id.lt(id)).order(users::id.desc()), query),
    }
}

/// Restricts the newest accounts to those of a partial index, if there is one for the query. One condition at the most:
/// no two indexes can be used together in their order.
fn narrow<'a>(rows: Rows<'a>, query: &AccountQuery) -> Rows<'a> {
    // The conditions are those of the indexes, to the letter.
    match (&query.role, query.state) {
        (Some(role), _) if role.as_str() != USER => rows.filter(sql::<Bool>("users.roles <> '[\"user\"]'")),
        (_, Some(AccountState::Disabled)) => rows.filter(users::disabled_at.is_not_null()),
        (_, Some(AccountState::DeletionPending)) => rows.filter(users::deletes_at.is_not_null()),
        (_, Some(AccountState::Unverified)) => rows.filter(users::email_verified_at.is_null()),
        (_, Some(AccountState::WithoutPassword)) => rows.filter(sql::<Bool>("users.password_hash = '!'")),
        (_, Some(AccountState::Active) | None) => rows,
    }
}

/// Skips the accounts whose email address begins with `prefix`.
fn without_emails<'a>(rows: Rows<'a>, prefix: &str) -> Rows<'a> {
    let end = format!("{prefix}{MAX_CHAR}");
    rows.filter(users::email_normalized.lt(prefix.to_owned()).or(users::email_normalized.ge(end)))
}

/// Skips the accounts whose name begins with `prefix`.
fn without_names<'a>(rows: Rows<'a>, prefix: &str) -> Rows<'a> {
    let end = format!("{prefix}{MAX_CHAR}");
    let other = users::name_normalized.lt(prefix.to_owned()).or(users::name_normalized.ge(end));
    rows.filter(users::name_normalized.is_null().or(other.assume_not_null()))
}

/// Restricts rows to those that have a text anywhere in the email address or the name.
fn containing<'a>(rows: Rows<'a>, text: &SearchText, contains: &str) -> Rows<'a> {
    let has = |column: &str, part: &str| {
        sql::<Bool>(&format!("{contains}({column}, ")).bind::<Text, _>(part.to_owned()).sql(") > 0")
    };
    let domain = text.domain.as_ref().unwrap_or(&text.email);
    let in_email = has("users.email_normalized", &text.email).or(has("users.email_normalized", domain));
    rows.filter(in_email.or(has("coalesce(users.name_normalized, '')", &text.name)))
}
