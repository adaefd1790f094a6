//! Registration: creates accounts.

use super::store::{AccountRow, LockedAccount};
use super::{Accounts, notices};
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbError, DbResult};
use crate::passwords::{HasherError, NO_PASSWORD, NewPassword, NewPasswordError, WeakPassword};
use crate::sessions::{IssueError, LoggedIn, SessionOptions};
use crate::types::{Amr, EmailAddress, Label, Language, Requester, Roles, UserId};

/// A new account.
pub(crate) struct NewAccount {
    /// The email address.
    pub email: EmailAddress,
    /// The name.
    pub name: Option<Label>,
    /// The roles.
    pub roles: Roles,
}

/// The row of a new account, to be inserted.
pub(crate) struct NewRow {
    row: AccountRow,
}

impl NewRow {
    /// Returns the row with this language.
    pub(super) fn speaking(self, language: Option<Language>) -> Self {
        Self { row: self.row.speaking(language) }
    }
}

/// The result of a registration.
pub(crate) enum Registered {
    /// The owner is logged in.
    LoggedIn(LoggedIn),
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
    /// addresses may log in, in one transaction. The account's language is the one that the request names.
    ///
    /// # Errors
    /// Registration is closed, the password is easy to guess, or the email address has an account.
    pub(crate) async fn register(
        &self,
        new: NewAccount,
        password: NewPassword,
        options: SessionOptions,
        requester: &Requester,
    ) -> Result<Registered, RegisterError> {
        if !self.registration {
            return Err(RegisterError::Closed);
        }
        let NewRow { row } = self.new_row(new, Some(password)).await?.speaking(requester.language);
        let is_bound = options.bound_to.is_some();
        let prepared = self.sessions.prepare(Amr::password(), requester, options);
        let mut record = Record::new(Event::AccountRegistered, &Actor::anonymous(requester)).on(row.id);
        if !self.require_verified_email {
            record = record.session(prepared.session());
            if is_bound {
                record = record.with("dpop", true);
            }
        }
        let accounts = self.clone();
        let opened = self.db.write(move |conn| {
            let account = LockedAccount::insert(conn, row)?;
            // The answer is the same if the email is dropped.
            let _ = notices::verify_email(conn, &account, None, &accounts.mail, account.created_at)?;
            accounts.audit.append(conn, &record)?;
            if accounts.require_verified_email {
                return Ok(None);
            }
            prepared.insert(conn, &account).map(Some)
        });
        let opened = opened.await?;
        self.mail.wake();
        Ok(match opened {
            Some(opened) => Registered::LoggedIn(self.sessions.finish_login(opened).await?),
            None => Registered::Unverified,
        })
    }

    /// Inserts an account that an operator creates, in the caller's transaction, without a session. No email is queued.
    ///
    /// # Errors
    /// The email address has an account ([`DbError::Taken`]).
    pub(crate) fn create_in(
        &self,
        conn: &mut Conn,
        new: NewRow,
        verified: bool,
        by: &Actor,
    ) -> DbResult<LockedAccount> {
        let verified_at = verified.then_some(new.row.created_at);
        let account = LockedAccount::insert(conn, new.row.verified(verified_at))?;
        let mut record = Record::new(Event::AccountRegistered, by).on(account.id);
        if account.roles != Roles::default() {
            record = record.with("roles", account.roles.names().to_vec());
        }
        self.audit.append(conn, &record)?;
        if verified {
            self.audit.append(conn, &Record::new(Event::EmailVerified, by).on(account.id))?;
        }
        Ok(account)
    }

    /// Prepares the row of a new account, without a password unless one is given.
    ///
    /// # Errors
    /// The password is easy to guess, or could not be hashed.
    pub(crate) async fn new_row(
        &self,
        new: NewAccount,
        password: Option<NewPassword>,
    ) -> Result<NewRow, NewPasswordError> {
        let name = new.name.as_ref().map(|name| name.as_str().to_owned());
        let hash = match password {
            Some(password) => {
                let personal = [new.email.as_str().to_owned()].into_iter().chain(name).collect();
                self.hasher.hash_new(password, personal).await?
            }
            None => NO_PASSWORD.to_owned(),
        };
        let now = self.clock.now();
        let row = AccountRow::new(UserId(self.random.id(now)), &new.email, now).named(new.name);
        Ok(NewRow { row: AccountRow { password_hash: hash, roles: new.roles, ..row } })
    }
}
