//! Accounts as operators see them.

use std::collections::HashMap;

use super::Accounts;
use super::store::{self, AccountRow};
use crate::db::DbResult;
use crate::types::{Roles, Timestamp, UserId};

/// An account as shown to operators.
#[derive(Clone)]
pub(crate) struct Account {
    /// The id.
    pub id: UserId,
    /// The email address.
    pub email: String,
    /// The name.
    pub name: Option<String>,
    /// The tag of the language that was chosen.
    pub language: Option<String>,
    /// The roles.
    pub roles: Roles,
    /// The time of the registration.
    pub created_at: Timestamp,
    /// The time of the last change of password, if the account has one.
    pub password_changed_at: Option<Timestamp>,
    /// Whether the account has a password.
    pub has_password: bool,
    /// The time of the last login.
    pub last_login_at: Option<Timestamp>,
    /// The time at which the email address was verified.
    pub email_verified_at: Option<Timestamp>,
    /// The time at which the account was disabled.
    pub disabled_at: Option<Timestamp>,
    /// The time at which the account is deleted.
    pub deletes_at: Option<Timestamp>,
}

impl From<&AccountRow> for Account {
    fn from(row: &AccountRow) -> Self {
        Self {
            id: row.id,
            email: row.email.clone(),
            name: row.name.clone(),
            language: row.language.clone(),
            roles: row.roles.clone(),
            created_at: row.created_at,
            password_changed_at: row.has_password().then_some(row.password_changed_at),
            has_password: row.has_password(),
            last_login_at: row.last_login_at,
            email_verified_at: row.email_verified_at,
            disabled_at: row.disabled_at,
            deletes_at: row.deletes_at,
        }
    }
}

impl Account {
    /// Returns whether the account is neither disabled nor waits for its deletion.
    pub(crate) const fn is_active(&self) -> bool {
        self.disabled_at.is_none() && self.deletes_at.is_none()
    }
}

impl Accounts {
    /// Finds an account.
    pub(crate) async fn find(&self, user: UserId) -> DbResult<Option<Account>> {
        Ok(self.db.read(move |conn| store::find(conn, user)).await?.as_ref().map(Account::from))
    }

    /// Finds up to `limit` accounts after `after` in the order of their ids.
    pub(crate) async fn page(&self, after: Option<UserId>, limit: i64) -> DbResult<Vec<Account>> {
        let rows = self.db.read(move |conn| store::page(conn, after, limit)).await?;
        Ok(rows.iter().map(Account::from).collect())
    }

    /// Finds the email addresses of accounts. Those that do not exist are left out.
    pub(crate) async fn emails(&self, users: Vec<UserId>) -> DbResult<HashMap<UserId, String>> {
        let found = self.db.read(move |conn| store::emails(conn, &users)).await?;
        Ok(found.into_iter().collect())
    }

    /// Counts all accounts.
    pub(crate) async fn count(&self) -> DbResult<i64> {
        self.db.read(store::count).await
    }
}
