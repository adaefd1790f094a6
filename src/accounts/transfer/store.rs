//! Accounts as rows, whole.

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::users;
use crate::db::types::{Names, UserId};
use crate::db::{Conn, DbResult};

/// Every column that an account has.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub struct AccountRow {
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

/// Inserts the rows whose id and address no row has, and answers how many they were.
pub fn insert_new<'a>(conn: &mut Conn, rows: impl Iterator<Item = &'a AccountRow>) -> DbResult<usize> {
    match conn {
        Conn::Postgres(conn) => {
            // In one order, so that two imports at the same time cannot each wait for a row of the other's.
            let mut rows: Vec<&AccountRow> = rows.collect();
            rows.sort_unstable_by(|a, b| a.email_normalized.cmp(&b.email_normalized));
            Ok(diesel::insert_into(users::table).values(rows).on_conflict_do_nothing().execute(conn)?)
        }
        Conn::Sqlite(conn) => {
            let mut inserted = 0_usize;
            for row in rows {
                let insertion = diesel::insert_into(users::table).values(row).on_conflict_do_nothing();
                inserted = inserted.saturating_add(insertion.execute(conn)?);
            }
            Ok(inserted)
        }
    }
}

/// The first `count` rows after `after` in the order of ids.
pub fn page(conn: &mut Conn, after: Option<UserId>, count: usize) -> DbResult<Vec<AccountRow>> {
    let first = i64::try_from(count).unwrap_or(i64::MAX);
    let page = users::table.order(users::id).limit(first).select(AccountRow::as_select());
    Ok(match after {
        Some(after) => page.filter(users::id.gt(after)).load(conn)?,
        None => page.load(conn)?,
    })
}
