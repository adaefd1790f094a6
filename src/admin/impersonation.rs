//! Impersonation: an administrator acts for a user in a short session that the user can see.

use super::{Admin, AdminError, Operator, lock};
use crate::audit::{Actor, Event, Record};
use crate::db::DbError;
use crate::sessions::{BrowserCookie, Impersonation, Impersonator, LoggedIn, OpenedSession, SessionSnapshot};
use crate::types::{SessionKind, UserId, text};

/// The reason for an impersonation: 3 to 200 characters on one line. The user can read it in the audit log.
#[derive(Clone, Debug)]
pub(crate) struct ImpersonationReason(String);

/// Why a text is not accepted as a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ImpersonationReasonError {
    /// The reason is too short.
    #[error("must have at least {} characters", ImpersonationReason::MIN)]
    TooShort,
    /// The reason is too long.
    #[error("has more than {} characters", ImpersonationReason::MAX)]
    TooLong,
    /// The reason contains a control character.
    #[error("contains a control character")]
    ControlCharacter,
}

impl ImpersonationReasonError {
    /// Returns the stable code of the error.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::ControlCharacter => "control_character",
        }
    }
}

impl ImpersonationReason {
    /// The shortest reason, in characters.
    pub(crate) const MIN: usize = 3;
    /// The longest reason, in characters.
    pub(crate) const MAX: usize = 200;

    /// Parses a reason, and removes the white space around it and what cannot be seen.
    ///
    /// # Errors
    /// The reason is too short, too long, or contains a control character.
    pub(crate) fn parse(text: &str) -> Result<Self, ImpersonationReasonError> {
        let text = text::visible(text);
        match text.chars().count() {
            ..Self::MIN => Err(ImpersonationReasonError::TooShort),
            count if count > Self::MAX => Err(ImpersonationReasonError::TooLong),
            _ if text.chars().any(char::is_control) => Err(ImpersonationReasonError::ControlCharacter),
            _ => Ok(Self(text)),
        }
    }
}

impl Admin {
    /// Opens an impersonation session of `user` for the administrator who calls from the session `caller`, and audits
    /// it with the reason. There is no refresh token: the session ends when its access token expires, or with the
    /// session of the caller.
    ///
    /// # Errors
    /// The account does not exist, is disabled or to be deleted, or is the administrator's own, or the caller is no
    /// administrator.
    pub(crate) async fn impersonate(
        &self,
        user: UserId,
        reason: ImpersonationReason,
        caller: &SessionSnapshot,
        by: &Actor,
    ) -> Result<Impersonation, AdminError> {
        let opened = self.open_impersonation(user, reason, caller, SessionKind::App, by).await?;
        Ok(self.sessions.issue_impersonation(opened).await?)
    }

    /// Opens an impersonation session as [`Self::impersonate`] does, in the browser of the administrator, and returns
    /// its cookie.
    ///
    /// # Errors
    /// Those of [`Self::impersonate`].
    pub(crate) async fn impersonate_in_browser(
        &self,
        user: UserId,
        reason: ImpersonationReason,
        caller: &SessionSnapshot,
        by: &Actor,
    ) -> Result<BrowserCookie, AdminError> {
        let opened = self.open_impersonation(user, reason, caller, SessionKind::Browser, by).await?;
        match self.sessions.finish_login(opened).await? {
            LoggedIn::Browser(cookie) => Ok(cookie),
            LoggedIn::App(_) => Err(DbError::Unexpected("an app's session was opened in a browser".to_owned()).into()),
        }
    }

    async fn open_impersonation(
        &self,
        user: UserId,
        reason: ImpersonationReason,
        caller: &SessionSnapshot,
        kind: SessionKind,
        by: &Actor,
    ) -> Result<OpenedSession, AdminError> {
        let audit = self.audit.clone();
        let by = by.clone();
        let administrator = caller.subject.id;
        let impersonator = Impersonator {
            user: administrator,
            session: caller.session,
            amr: caller.amr.clone(),
            authenticated_at: caller.authenticated_at,
            bound_to: caller.bound_to,
            kind,
        };
        let prepared = self.sessions.prepare_impersonation(impersonator, &by.requester);
        let opened = self.db.transact(move |conn| {
            let account = lock(conn, user, &Operator::Administrator(by.clone()))?;
            if user == administrator {
                return Err(AdminError::OwnAccount);
            }
            if account.disabled_at.is_some() {
                return Err(AdminError::Disabled);
            }
            if account.deletes_at.is_some() {
                return Err(AdminError::DeletionPending);
            }
            let prepared = prepared.within_parent(conn)?.ok_or(AdminError::CallerEnded)?;
            let record = Record::new(Event::ImpersonationStarted, &by).on(user).session(prepared.session());
            audit.append(conn, &record.with("reason", reason.0))?;
            Ok(prepared.insert(conn, &account)?)
        });
        opened.await
    }
}
