//! The rows of accounts. Only this file writes the table `users`.

use std::ops::Deref;

use diesel::prelude::*;

use super::Account;
use crate::db::schema::users;
use crate::db::types::SqlUuid;
use crate::db::{Conn, DbResult};
use crate::passwords::NO_PASSWORD;
use crate::sessions::{LockedOwner, Subject};
use crate::types::{EmailAddress, Label, Language, Roles, Timestamp, UserId, text};

/// The complete row of an account.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = users)]
pub struct AccountRow {
    pub id: UserId,
    pub email: String,
    pub email_normalized: String,
    pub name: Option<String>,
    pub password_hash: String,
    pub roles: Roles,
    pub created_at: Timestamp,
    pub password_changed_at: Timestamp,
    pub last_login_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
    pub email_verified_at: Option<Timestamp>,
    pub alerts: bool,
    /// Changes of what tokens tell of the account: email address and its verification, name, roles.
    pub revision: i64,
    /// The time at which the account is deleted. Until then nobody can log in.
    pub deletes_at: Option<Timestamp>,
    /// The name as searches compare it.
    pub name_normalized: Option<String>,
    /// The time at which an email address of the account was first verified. It stays when the address is no longer.
    pub first_verified_at: Option<Timestamp>,
    /// The tag of the language that was chosen (BCP 47). An import may bring one that there are no texts in.
    pub language: Option<String>,
}

impl AccountRow {
    /// Creates the row of a new account, without a password.
    pub fn new(id: UserId, email: &EmailAddress, now: Timestamp) -> Self {
        Self {
            id,
            email: email.as_str().to_owned(),
            email_normalized: email.normalized().to_owned(),
            name: None,
            password_hash: NO_PASSWORD.to_owned(),
            roles: Roles::default(),
            created_at: now,
            password_changed_at: now,
            last_login_at: None,
            disabled_at: None,
            email_verified_at: None,
            alerts: true,
            revision: 0,
            deletes_at: None,
            name_normalized: None,
            first_verified_at: None,
            language: None,
        }
    }

    /// Returns the row with this name.
    #[must_use]
    pub fn named(self, name: Option<Label>) -> Self {
        let name = name.map(Label::into_string);
        Self { name_normalized: name.as_deref().map(text::folded), name, ..self }
    }

    /// Returns the row with this language.
    #[must_use]
    pub fn speaking(self, language: Option<Language>) -> Self {
        Self { language: language.map(|language| language.tag().to_owned()), ..self }
    }

    /// Returns the row with an email address that was verified at this time.
    #[must_use]
    pub fn verified(self, at: Option<Timestamp>) -> Self {
        Self { email_verified_at: at, first_verified_at: at, ..self }
    }

    /// Returns whether nobody has proved yet that the account is theirs: what is set may be a stranger's, who has
    /// registered with somebody else's email address.
    pub fn is_unproved(&self) -> bool {
        self.email_verified_at.is_none() && self.first_verified_at.is_none()
    }

    /// Returns whether the account has a password.
    pub fn has_password(&self) -> bool {
        self.password_hash != NO_PASSWORD
    }
}

/// An account whose row is locked by the current transaction. Its values are current, and no other transaction changes
/// it until this one ends. Operations on one account are serialized by this lock.
pub(crate) struct LockedAccount {
    row: AccountRow,
}

impl Deref for LockedAccount {
    type Target = AccountRow;

    fn deref(&self) -> &AccountRow {
        &self.row
    }
}

impl LockedOwner for LockedAccount {
    fn subject(&self) -> Subject {
        Subject {
            id: self.row.id,
            email: self.row.email.clone(),
            name: self.row.name.clone(),
            roles: self.row.roles.clone(),
            email_verified: self.row.email_verified_at.is_some(),
        }
    }

    fn wants_alerts(&self) -> bool {
        self.row.alerts
    }

    fn revision(&self) -> i64 {
        self.row.revision
    }
}

/// Changes one row and returns it locked, with its new values; `None` if no row matches.
macro_rules! lock {
    ($conn:expr, $account:expr, $change:expr) => {{
        let rows: Vec<AccountRow> =
            diesel::update($account).set($change).returning(users::all_columns).get_results($conn)?;
        rows.into_iter().next().map(|row| LockedAccount { row })
    }};
}

impl LockedAccount {
    /// Inserts an account.
    ///
    /// # Errors
    /// The email address has an account ([`crate::db::DbError::Taken`]).
    pub(crate) fn insert(conn: &mut Conn, row: AccountRow) -> DbResult<Self> {
        diesel::insert_into(users::table).values(&row).execute(conn)?;
        Ok(Self { row })
    }

    /// Locks an account, in whatever state. Returns `None` if it does not exist.
    pub(crate) fn lock(conn: &mut Conn, id: UserId) -> DbResult<Option<Self>> {
        let account = users::table.filter(users::id.eq(id));
        Ok(lock!(conn, account, users::alerts.eq(users::alerts)))
    }

    /// Locks an account. Returns `None` if it does not exist, is disabled or waits for its deletion.
    pub(crate) fn lock_enabled(conn: &mut Conn, id: UserId) -> DbResult<Option<Self>> {
        let account = users::table.filter(users::id.eq(id)).filter(users::disabled_at.is_null());
        let account = account.filter(users::deletes_at.is_null());
        Ok(lock!(conn, account, users::alerts.eq(users::alerts)))
    }

    /// Locks an account whose password was verified against the hash `verified`, and stores `rehashed` if it is given.
    /// Returns `None` if the account has another hash in the meantime, is disabled or waits for its deletion.
    pub(crate) fn lock_verified(
        conn: &mut Conn,
        id: UserId,
        verified: &str,
        rehashed: Option<&str>,
    ) -> DbResult<Option<Self>> {
        let account = users::table
            .filter(users::id.eq(id))
            .filter(users::password_hash.eq(verified))
            .filter(users::disabled_at.is_null())
            .filter(users::deletes_at.is_null());
        Ok(lock!(conn, account, users::password_hash.eq(rehashed.unwrap_or(verified))))
    }

    /// Locks an account that is to be deleted at `before` or earlier. Returns `None` if there is none.
    pub(super) fn lock_due(conn: &mut Conn, before: Timestamp) -> DbResult<Option<Self>> {
        let due = users::table.filter(users::deletes_at.le(before)).order(users::deletes_at).select(users::id);
        let due: Option<UserId> = due.first(conn).optional()?;
        let Some(id) = due else { return Ok(None) };
        let account = users::table.filter(users::id.eq(id)).filter(users::deletes_at.le(before));
        Ok(lock!(conn, account, users::alerts.eq(users::alerts)))
    }

    /// Sets when the account is deleted, or that it is kept.
    pub(super) fn set_deletes_at(&mut self, conn: &mut Conn, deletes_at: Option<Timestamp>) -> DbResult<()> {
        self.row.deletes_at = deletes_at;
        diesel::update(self.record()).set(users::deletes_at.eq(deletes_at)).execute(conn)?;
        Ok(())
    }

    /// Deletes the account with all rows that belong to it by foreign keys.
    pub(super) fn delete(self, conn: &mut Conn) -> DbResult<()> {
        diesel::delete(self.record()).execute(conn)?;
        Ok(())
    }

    /// Returns the language that the account has chosen, if there are texts in it.
    pub(super) fn language(&self) -> Option<Language> {
        self.row.language.as_deref().and_then(Language::find)
    }

    /// Returns the account as shown to operators.
    pub(crate) fn account(&self) -> Account {
        Account::from(&self.row)
    }

    /// Records a login.
    pub(crate) fn record_login(&mut self, conn: &mut Conn, now: Timestamp) -> DbResult<()> {
        self.row.last_login_at = Some(now);
        diesel::update(self.record()).set(users::last_login_at.eq(now)).execute(conn)?;
        Ok(())
    }

    /// Stores the hash of a new password.
    pub(crate) fn set_password(&mut self, conn: &mut Conn, hash: &str, now: Timestamp) -> DbResult<()> {
        hash.clone_into(&mut self.row.password_hash);
        self.row.password_changed_at = now;
        let change = (users::password_hash.eq(hash), users::password_changed_at.eq(now));
        diesel::update(self.record()).set(change).execute(conn)?;
        Ok(())
    }

    /// Sets or deletes the name.
    pub(crate) fn set_name(&mut self, conn: &mut Conn, name: Option<&str>) -> DbResult<()> {
        self.row.name = name.map(str::to_owned);
        self.row.name_normalized = name.map(text::folded);
        self.row.revision += 1;
        let normalized = users::name_normalized.eq(&self.row.name_normalized);
        let change = (users::name.eq(name), normalized, users::revision.eq(self.row.revision));
        diesel::update(self.record()).set(change).execute(conn)?;
        Ok(())
    }

    /// Sets whether the owner wants emails about unusual logins.
    pub(crate) fn set_alerts(&mut self, conn: &mut Conn, alerts: bool) -> DbResult<()> {
        self.row.alerts = alerts;
        diesel::update(self.record()).set(users::alerts.eq(alerts)).execute(conn)?;
        Ok(())
    }

    /// Sets or deletes the language.
    pub(crate) fn set_language(&mut self, conn: &mut Conn, language: Option<Language>) -> DbResult<()> {
        self.row.language = language.map(|language| language.tag().to_owned());
        diesel::update(self.record()).set(users::language.eq(&self.row.language)).execute(conn)?;
        Ok(())
    }

    /// Replaces the roles.
    pub(crate) fn set_roles(&mut self, conn: &mut Conn, roles: &Roles) -> DbResult<()> {
        self.row.roles = roles.clone();
        self.row.revision += 1;
        let change = (users::roles.eq(roles), users::revision.eq(self.row.revision));
        diesel::update(self.record()).set(change).execute(conn)?;
        Ok(())
    }

    /// Disables the account at `disabled_at`, or enables it.
    pub(crate) fn set_disabled(&mut self, conn: &mut Conn, disabled_at: Option<Timestamp>) -> DbResult<()> {
        self.row.disabled_at = disabled_at;
        diesel::update(self.record()).set(users::disabled_at.eq(disabled_at)).execute(conn)?;
        Ok(())
    }

    /// Marks the email address as verified. Returns whether it was not yet: then the account's sessions have to take
    /// over its revision.
    pub(crate) fn verify_email(&mut self, conn: &mut Conn, now: Timestamp) -> DbResult<bool> {
        if self.row.email_verified_at.is_some() {
            return Ok(false);
        }
        self.set_verified_at(conn, Some(now))?;
        Ok(true)
    }

    /// Marks the email address as verified at this time, or as not verified.
    pub(super) fn set_verified_at(&mut self, conn: &mut Conn, at: Option<Timestamp>) -> DbResult<()> {
        self.row.first_verified_at = self.row.first_verified_at.or(self.row.email_verified_at).or(at);
        self.row.email_verified_at = at;
        self.row.revision += 1;
        let change = (
            users::email_verified_at.eq(at),
            users::first_verified_at.eq(self.row.first_verified_at),
            users::revision.eq(self.row.revision),
        );
        diesel::update(self.record()).set(change).execute(conn)?;
        Ok(())
    }

    /// Changes the email address to one that was verified at this time, or is not verified.
    ///
    /// # Errors
    /// The email address has an account ([`crate::db::DbError::Taken`]).
    pub(super) fn set_email(
        &mut self,
        conn: &mut Conn,
        email: &str,
        normalized: &str,
        verified_at: Option<Timestamp>,
    ) -> DbResult<()> {
        email.clone_into(&mut self.row.email);
        normalized.clone_into(&mut self.row.email_normalized);
        let change = (users::email.eq(email), users::email_normalized.eq(normalized));
        diesel::update(self.record()).set(change).execute(conn)?;
        self.set_verified_at(conn, verified_at)
    }

    fn record(&self) -> diesel::dsl::Find<users::table, UserId> {
        users::table.find(self.row.id)
    }
}

/// Finds the account with this normalized email address.
pub(super) fn find_by_email(conn: &mut Conn, normalized: &str) -> DbResult<Option<AccountRow>> {
    let found = users::table.filter(users::email_normalized.eq(normalized));
    Ok(found.select(AccountRow::as_select()).first(conn).optional()?)
}

/// Finds an account.
pub(super) fn find(conn: &mut Conn, id: UserId) -> DbResult<Option<AccountRow>> {
    Ok(users::table.filter(users::id.eq(id)).select(AccountRow::as_select()).first(conn).optional()?)
}

/// Finds the email addresses of accounts.
pub(super) fn emails(conn: &mut Conn, ids: &[UserId]) -> DbResult<Vec<(UserId, String)>> {
    Ok(users::table.filter(users::id.eq_any(ids)).select((users::id, users::email)).load(conn)?)
}

/// Locks the enabled accounts with the role of an administrator that are not to be deleted and have a password, in the
/// order of their ids, and returns these.
pub(super) fn lock_administrators(conn: &mut Conn) -> DbResult<Vec<UserId>> {
    #[derive(QueryableByName)]
    struct Id {
        #[diesel(sql_type = SqlUuid)]
        id: UserId,
    }
    const ADMINISTRATORS: &str = "SELECT id FROM users WHERE CAST(roles AS text) LIKE '%\"admin\"%' \
                                  AND disabled_at IS NULL AND deletes_at IS NULL AND password_hash <> '!' ORDER BY id";
    let rows: Vec<Id> = match conn {
        Conn::Postgres(conn) => diesel::sql_query(format!("{ADMINISTRATORS} FOR UPDATE")).load(conn)?,
        // A transaction of SQLite that writes is alone.
        Conn::Sqlite(conn) => diesel::sql_query(ADMINISTRATORS).load(conn)?,
    };
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Returns whether an account has the role of an administrator, in whatever state.
pub(super) fn has_administrator(conn: &mut Conn) -> DbResult<bool> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = SqlUuid)]
        _id: UserId,
    }
    let found: Vec<Found> = diesel::sql_query(
        "SELECT id AS _id FROM users WHERE roles <> '[\"user\"]' AND CAST(roles AS text) LIKE '%\"admin\"%' LIMIT 1",
    )
    .load(conn)?;
    Ok(!found.is_empty())
}

/// Counts all accounts.
pub(super) fn count(conn: &mut Conn) -> DbResult<i64> {
    Ok(users::table.count().get_result(conn)?)
}

/// Finds up to `limit` accounts after `after` in the order of ids, which is the order of creation except for imports.
pub(super) fn page(conn: &mut Conn, after: Option<UserId>, limit: i64) -> DbResult<Vec<AccountRow>> {
    let page = users::table.order(users::id).limit(limit).select(AccountRow::as_select());
    Ok(match after {
        Some(after) => page.filter(users::id.gt(after)).load(conn)?,
        None => page.load(conn)?,
    })
}

/// Inserts the rows whose id and email address are new. Returns how many were inserted.
pub(super) fn insert_new<'a>(conn: &mut Conn, rows: impl Iterator<Item = &'a AccountRow>) -> DbResult<Vec<UserId>> {
    match conn {
        Conn::Postgres(conn) => {
            // Sorted, so that two concurrent imports cannot deadlock.
            let mut rows: Vec<&AccountRow> = rows.collect();
            rows.sort_unstable_by(|a, b| a.email_normalized.cmp(&b.email_normalized));
            let insertion = diesel::insert_into(users::table).values(rows).on_conflict_do_nothing();
            Ok(insertion.returning(users::id).get_results(conn)?)
        }
        Conn::Sqlite(conn) => {
            let mut inserted = Vec::new();
            for row in rows {
                let insertion = diesel::insert_into(users::table).values(row).on_conflict_do_nothing();
                if insertion.execute(conn)? == 1 {
                    inserted.push(row.id);
                }
            }
            Ok(inserted)
        }
    }
}
