//! Acting for a person: a session of theirs that an operator holds, for a short time and in their sight.

use super::{Admin, Stop, hold};
use crate::audit::{Actor, Event, Record};
use crate::db::DbError;
use crate::db::types::UserId;
use crate::sessions::impersonate::{Impersonated, Impersonation};
use crate::sessions::{IssueError, Standing};

/// Why an operator acts for a person: 3 to 200 characters on one line, shown to that person.
#[derive(Clone, Debug)]
pub struct Cause(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCause {
    #[error("must have at least {} characters", Cause::MIN)]
    TooShort,
    #[error("has more than {} characters", Cause::MAX)]
    TooLong,
    #[error("holds a control character")]
    ControlCharacter,
}

impl InvalidCause {
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
        }
    }
}

impl Cause {
    const MIN: usize = 3;
    const MAX: usize = 200;

    pub fn parse(text: &str) -> Result<Self, InvalidCause> {
        let text = text.trim();
        match text.chars().count() {
            ..Self::MIN => Err(InvalidCause::TooShort),
            count if count > Self::MAX => Err(InvalidCause::TooLong),
            _ if text.chars().any(char::is_control) => Err(InvalidCause::ControlCharacter),
            _ => Ok(Self(text.to_owned())),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ImpersonateError {
    #[error(transparent)]
    Stop(#[from] Stop),
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for ImpersonateError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl Admin {
    /// Opens a session of `user` for the operator who calls from `own`, and writes the cause into the person's audit log.
    /// There is no refresh token: it ends with its access token.
    pub async fn impersonate(
        &self,
        user: UserId,
        cause: Cause,
        own: &Standing,
        by: &Actor,
    ) -> Result<Impersonated, ImpersonateError> {
        let (audit, sessions, by) = (self.0.audit.clone(), self.0.sessions.clone(), by.clone());
        let (operator, amr, authenticated_at) = (own.subject.id, own.amr.clone(), own.authenticated_at);
        let opened = self.0.db.write(move |conn| {
            let account = match hold(conn, operator, user)? {
                Ok(_) if user == operator => return Ok(Err(Stop::OwnAccount)),
                Ok(account) if account.disabled_at.is_some() => return Ok(Err(Stop::Disabled)),
                Ok(account) => account,
                Err(stop) => return Ok(Err(stop)),
            };
            let subject = crate::sessions::Subject {
                id: account.id,
                email: account.email,
                name: account.name,
                roles: account.roles,
                email_verified: None,
            };
            let opening =
                sessions.impersonation(Impersonation { subject, operator, amr, authenticated_at }, &by.client);
            let record = Record::new(Event::ImpersonationStarted, &by).on(user).session(opening.session());
            audit.append(conn, &record.with("reason", cause.0))?;
            opening.insert(conn).map(Ok)
        });
        let opened = opened.await??;
        Ok(self.0.sessions.impersonated(opened).await?)
    }
}
