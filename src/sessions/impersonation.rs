//! Impersonation sessions, in which an administrator acts for the owner (RFC 8693 §4.1): short, without a refresh
//! token, and without the role `admin`.

use std::time::Duration;

use super::open::{OpenedSession, PreparedSession, SessionOptions};
use super::{IssueError, Sessions, Subject, store};
use crate::db::{Conn, DbResult};
use crate::types::{Amr, KeyThumbprint, Requester, SessionId, SessionKind, Timestamp, UserId};

/// The longest lifetime of an impersonation session.
const MAX_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// The administrator who impersonates, and how and when they authenticated.
pub(crate) struct Impersonator {
    /// The account of the administrator.
    pub user: UserId,
    /// The administrator's own session, with which the impersonation ends.
    pub session: SessionId,
    /// The authentication methods of the administrator's own session.
    pub amr: Amr,
    /// The time at which the administrator authenticated.
    pub authenticated_at: Timestamp,
    /// The key that the administrator's own session is bound to.
    pub bound_to: Option<KeyThumbprint>,
    /// The kind of the session: an app's has an access token, a browser's a cookie.
    pub kind: SessionKind,
}

/// An impersonation session with its access token.
pub(crate) struct Impersonation {
    /// The access token.
    pub access_token: String,
    /// The lifetime of the access token and the session.
    pub expires_in: Duration,
    /// The id of the session.
    pub session: SessionId,
    /// The account that is impersonated.
    pub subject: Subject,
    /// The administrator who impersonates.
    pub impersonator: UserId,
    /// The server's time.
    pub server_time: Timestamp,
    /// Whether the access token is bound to a key.
    pub is_bound: bool,
}

impl PreparedSession {
    /// Locks the administrator's own session in the caller's transaction, and lets this one end no later. Returns
    /// `None` if that session has ended.
    pub(crate) fn within_parent(mut self, conn: &mut Conn) -> DbResult<Option<Self>> {
        let Some(parent) = self.parent else { return Ok(Some(self)) };
        let Some(ends_at) = store::lock_live(conn, parent, self.created_at)? else { return Ok(None) };
        self.ends_at = self.ends_at.min(ends_at);
        Ok(Some(self))
    }
}

impl Sessions {
    /// Prepares an impersonation session in which `impersonator` acts for the owner.
    pub(crate) fn prepare_impersonation(&self, impersonator: Impersonator, requester: &Requester) -> PreparedSession {
        let Impersonator { user, session, amr, authenticated_at, bound_to, kind } = impersonator;
        let options = SessionOptions { kind, device_name: None, bound_to, parent: Some(session) };
        let mut prepared = self.prepare(amr, requester, options);
        prepared.ends_at = prepared.created_at.plus(self.policy.access_token_ttl.min(MAX_LIFETIME));
        prepared.authenticated_at = authenticated_at;
        prepared.actor = Some(user);
        prepared
    }

    /// Issues the access token of an impersonation session after its insertion is committed. The refresh token is
    /// discarded.
    ///
    /// # Errors
    /// The token cannot be signed.
    pub(crate) async fn issue_impersonation(&self, opened: OpenedSession) -> Result<Impersonation, IssueError> {
        let impersonator = opened.snapshot.actor.unwrap_or(opened.snapshot.subject.id);
        let tokens = self.finish_login(opened).await?.into_tokens()?;
        Ok(Impersonation {
            access_token: tokens.access_token,
            expires_in: tokens.access_token_expires_in,
            session: tokens.session,
            subject: tokens.subject,
            impersonator,
            server_time: tokens.server_time,
            is_bound: tokens.is_bound,
        })
    }
}
