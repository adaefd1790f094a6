//! New accounts.

use super::email::Email;
use super::hasher::HasherError;
use super::password::Password;
use super::store::{self, UserRow};
use super::{Accounts, USER};
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::db::types::{Names, UserId};
use crate::db::{DbError, DbResult};
use crate::label::Label;
use crate::sessions::{Grant, IssueError, Subject};

/// What somebody registers with.
pub struct Registration {
    pub email: Email,
    pub password: Password,
    pub name: Option<Label>,
    pub device_name: Option<Label>,
}

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("strangers may not register here")]
    Closed,
    #[error("the address has an account")]
    EmailTaken,
    #[error(transparent)]
    Hasher(#[from] HasherError),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for RegisterError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Taken { .. } => Self::EmailTaken,
            DbError::Unavailable(_) | DbError::Unexpected(_) => Self::Issue(error.into()),
        }
    }
}

impl Accounts {
    /// Creates an account, mails a link to verify its address, and logs its owner in: all or nothing.
    pub async fn register(&self, registration: Registration, client: &Client) -> Result<Grant, RegisterError> {
        let parts = &*self.0;
        if !parts.registration {
            return Err(RegisterError::Closed);
        }
        let Registration { email, password, name, device_name } = registration;
        let user = self.new_account(&email, password, name, Names::of(&[USER])).await?;
        let opening =
            parts.sessions.opening(subject(&user), Names::of(&["pwd"]), client, device_name.map(Label::into_string));
        let record = Record::new(Event::Registered, &Actor::stranger(client)).on(user.id).session(opening.session());
        let accounts = self.clone();
        let opened = parts
            .db
            .write(move |conn| {
                store::insert(conn, &user)?;
                accounts.post_verification(conn, user.id, &user.email)?;
                accounts.0.audit.append(conn, &record)?;
                opening.insert(conn)
            })
            .await?;
        parts.mail.wake();
        Ok(parts.sessions.opened(opened).await?)
    }

    /// Creates an account that nobody is logged in to: for operators.
    pub async fn create(
        &self,
        email: &Email,
        password: Password,
        name: Option<Label>,
        roles: Names,
    ) -> Result<UserId, RegisterError> {
        let user = self.new_account(email, password, name, roles).await?;
        let (id, audit) = (user.id, self.0.audit.clone());
        let record = Record::new(Event::Registered, &Actor::default()).on(id);
        let created = self.0.db.write(move |conn| {
            store::insert(conn, &user)?;
            audit.append(conn, &record)
        });
        created.await?;
        Ok(id)
    }

    /// All accounts, oldest first: for operators.
    pub async fn list(&self) -> DbResult<Vec<Account>> {
        let rows = self.0.db.read(store::all).await?;
        Ok(rows.into_iter().map(Account::from).collect())
    }

    async fn new_account(
        &self,
        email: &Email,
        password: Password,
        name: Option<Label>,
        roles: Names,
    ) -> Result<UserRow, HasherError> {
        let parts = &*self.0;
        let password_hash = parts.hasher.hash(password).await?;
        let now = parts.clock.now();
        Ok(UserRow {
            id: UserId(parts.random.id(now)),
            email: email.as_str().to_owned(),
            email_normalized: email.normalized().to_owned(),
            name: name.map(Label::into_string),
            password_hash,
            roles,
            created_at: now,
            password_changed_at: now,
            last_login_at: None,
            disabled_at: None,
            email_verified_at: None,
            alerts: true,
        })
    }
}

/// An account as operators see it.
pub struct Account {
    pub id: UserId,
    pub email: String,
    pub roles: Names,
    pub created_at: crate::clock::Timestamp,
    pub is_disabled: bool,
}

impl From<UserRow> for Account {
    fn from(row: UserRow) -> Self {
        let UserRow { id, email, roles, created_at, disabled_at, .. } = row;
        Self { id, email, roles, created_at, is_disabled: disabled_at.is_some() }
    }
}

pub(super) fn subject(user: &UserRow) -> Subject {
    Subject {
        id: user.id,
        email: user.email.clone(),
        name: user.name.clone(),
        roles: user.roles.clone(),
        email_verified: Some(user.email_verified_at.is_some()),
    }
}
