//! The set-up of the first administrator, on a page, with a one-time code from the log.
//!
//! Whoever reads the log of a server runs it. Each server writes a code of its own when it starts without an
//! administrator; each is valid on all servers for an hour, and the first that is used ends all of them.

mod store;

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::registration::NewAccount;
use super::{Accounts, store as accounts};
use crate::audit::Actor;
use crate::db::{Conn, DbError, DbResult};
use crate::passwords::{HasherError, NewPassword, NewPasswordError, WeakPassword};
use crate::sessions::{IssueError, LoggedIn, SessionOptions};
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::types::{ADMIN, Amr, EmailAddress, Requester, Roles, SessionKind, Timestamp};

/// How long a code is valid.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Why the first administrator was not created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    /// There is an administrator.
    #[error("there is an administrator")]
    Closed,
    /// The code is wrong, was used, or has expired.
    #[error("the code is not valid")]
    InvalidCode,
    /// The email address has an account.
    #[error("the email address has an account")]
    EmailTaken,
    /// The password is easy to guess.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
    /// The session was not opened, or the database failed.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<NewPasswordError> for SetupError {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Weak(weak) => weak.into(),
            NewPasswordError::Hasher(error) => error.into(),
        }
    }
}

impl From<DbError> for SetupError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Taken { .. } => Self::EmailTaken,
            DbError::Unavailable(_) | DbError::ClockSkew(_) | DbError::Unexpected(_) => Self::Issue(error.into()),
        }
    }
}

/// Deletes up to `limit` codes that expired at `before` or earlier. Returns how many.
pub(crate) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}

impl Accounts {
    /// Returns whether no account has the role of an administrator, in whatever state.
    pub(crate) async fn needs_set_up(&self) -> DbResult<bool> {
        if self.is_set_up.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let is_set_up = self.db.read(accounts::has_administrator).await?;
        if is_set_up {
            self.is_set_up.store(true, Ordering::Relaxed);
        }
        Ok(!is_set_up)
    }

    /// Issues a code with which the first administrator is created. Returns `None` if there is one already.
    pub(crate) async fn issue_setup_code(&self) -> DbResult<Option<OpaqueToken>> {
        let code = OpaqueToken::generate(Kind::SetUp, &self.random);
        let digest = code.digest();
        let expires_at = self.clock.now().plus(LIFETIME);
        let issued = self.db.write(move |conn| {
            if accounts::has_administrator(conn)? {
                return Ok(false);
            }
            store::insert(conn, &digest, expires_at)?;
            Ok(true)
        });
        Ok(issued.await?.then_some(code))
    }

    /// Creates the first administrator, whose address counts as verified, and opens a browser session, in one
    /// transaction. Of several at once, one succeeds.
    ///
    /// # Errors
    /// There is an administrator, the code is not valid, the password is easy to guess, or the email address has an
    /// account. The code stays valid then.
    pub(crate) async fn set_up(
        &self,
        code: &OpaqueToken,
        email: EmailAddress,
        password: NewPassword,
        requester: &Requester,
    ) -> Result<LoggedIn, SetupError> {
        let digest = code.digest();
        let now = self.clock.now();
        let presented = digest.clone();
        // Before the password is hashed, which is work.
        if !self.db.read(move |conn| store::is_valid(conn, &presented, now)).await? {
            return Err(SetupError::InvalidCode);
        }
        let roles = Roles::parse(vec![ADMIN.to_owned()]).map_err(|error| DbError::Unexpected(error.to_string()))?;
        let new =
            self.new_row(NewAccount { email, name: None, roles }, Some(password)).await?.speaking(requester.language);
        let options = SessionOptions { kind: SessionKind::Browser, device_name: None, bound_to: None, parent: None };
        let prepared = self.sessions.prepare(Amr::password(), requester, options);
        let by = Actor::anonymous(requester);
        let accounts = self.clone();
        let opened = self.db.transact(move |conn| {
            store::lock(conn)?;
            if !store::is_valid(conn, &digest, now)? {
                return Err(SetupError::InvalidCode);
            }
            if accounts::has_administrator(conn)? {
                return Err(SetupError::Closed);
            }
            store::delete_all(conn)?;
            let account = accounts.create_in(conn, new, true, &by)?;
            Ok(prepared.insert(conn, &account)?)
        });
        let opened = opened.await?;
        self.is_set_up.store(true, Ordering::Relaxed);
        Ok(self.sessions.finish_login(opened).await?)
    }
}
