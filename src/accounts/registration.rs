//! Registration: creates accounts.

use super::store::{AccountRow, LockedAccount};
use super::{Accounts, notices};
use crate::audit::{Actor, Event, Record};
use crate::db::DbError;
use crate::passwords::{HasherError, NewPassword, NewPasswordError, WeakPassword};
use crate::sessions::{IssueError, IssuedTokens};
use crate::types::{Amr, EmailAddress, Label, Requester, Roles, UserId};

/// A new account.
pub(crate) struct NewAccount {
    /// The email address.
    pub email: EmailAddress,
    /// The password, which is judged when the account is created.
    pub password: NewPassword,
    /// The name.
    pub name: Option<Label>,
    /// The roles.
    pub roles: Roles,
}

/// The result of a registration.
pub(crate) enum Registered {
    /// The owner is logged in.
    LoggedIn(Box<IssuedTokens>),
    /// The owner can log in once the email address is verified.
    Unverified,
}

/// Why an account was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegisterError {
    /// Registration is closed.
    #[error("registration is closed")]
    Closed,
    /// The email address has an account.
    #[error("the email address has an account")]
    EmailTaken,
    /// The password is easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The tokens were not issued, or the database failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<NewPasswordError> for RegisterError {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Weak(weak) => weak.into(),
            NewPasswordError::Hasher(error) => error.into(),
        }
    }
}

impl From<DbError> for RegisterError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Taken { .. } => Self::EmailTaken,
            DbError::Unavailable(_) | DbError::ClockSkew(_) | DbError::Unexpected(_) => Self::Issue(error.into()),
        }
    }
}

impl Accounts {
    /// Creates an account, queues the email that verifies its address, and opens a session unless only verified
    /// addresses may log in, in one transaction.
    ///
    /// # Errors
    /// Registration is closed, the password is easy to guess, or the email address has an account.
    pub(crate) async fn register(
        &self,
        new: NewAccount,
        device_name: Option<Label>,
        requester: &Requester,
    ) -> Result<Registered, RegisterError> {
        if !self.registration {
            return Err(RegisterError::Closed);
        }
        let row = self.new_row(new).await?;
        let prepared = self.sessions.prepare(Amr::password(), requester, device_name.map(Label::into_string));
        let mut record = Record::new(Event::AccountRegistered, &Actor::anonymous(requester)).on(row.id);
        if !self.require_verified_email {
            record = record.session(prepared.session());
        }
        let accounts = self.clone();
        let opened = self.db.write(move |conn| {
            let account = LockedAccount::insert(conn, row)?;
            notices::verify_email(conn, &account, &accounts.mail, account.created_at)?;
            accounts.audit.append(conn, &record)?;
            if accounts.require_verified_email {
                return Ok(None);
            }
            prepared.insert(conn, &account).map(Some)
        });
        let opened = opened.await?;
        self.mail.wake();
        Ok(match opened {
            Some(opened) => Registered::LoggedIn(Box::new(self.sessions.issue_opened(opened).await?)),
            None => Registered::Unverified,
        })
    }

    /// Creates an account without a session.
    ///
    /// # Errors
    /// The password is easy to guess, or the email address has an account.
    pub(crate) async fn create(&self, new: NewAccount, by: &Actor) -> Result<UserId, RegisterError> {
        let row = self.new_row(new).await?;
        let id = row.id;
        let audit = self.audit.clone();
        let record = Record::new(Event::AccountRegistered, by).on(id);
        let created = self.db.write(move |conn| {
            LockedAccount::insert(conn, row)?;
            audit.append(conn, &record)
        });
        created.await?;
        Ok(id)
    }

    async fn new_row(&self, new: NewAccount) -> Result<AccountRow, NewPasswordError> {
        let name = new.name.map(Label::into_string);
        let personal = [new.email.as_str().to_owned()].into_iter().chain(name.clone()).collect();
        let password_hash = self.hasher.hash_new(new.password, personal).await?;
        let now = self.clock.now();
        let id = UserId(self.random.id(now));
        Ok(AccountRow { name, password_hash, roles: new.roles, ..AccountRow::new(id, &new.email, now) })
    }
}
