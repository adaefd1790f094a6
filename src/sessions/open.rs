//! Opens sessions.

use std::time::Duration;

use super::revoke::RevokedSessions;
use super::store::{self, NewSession};
use super::{CLIENT_ID, IssueError, IssuedTokens, LockedOwner, SessionSnapshot, Sessions};
use crate::audit::Actor;
use crate::db::types::Json;
use crate::db::{Conn, DbError, DbResult};
use crate::devices::{Device, Place};
use crate::mail::Activity;
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::tokens::refresh::RefreshToken;
use crate::types::{ADMIN, Amr, Jti, KeyThumbprint, Language, Requester, SessionId, SessionKind, Timestamp, UserId};

/// A session that is ready to be inserted in the transaction that logs its owner in.
pub(crate) struct PreparedSession {
    sessions: Sessions,
    session: SessionId,
    secret: Secret,
    amr: Amr,
    requester: Requester,
    device: Device,
    place: Option<Place>,
    device_name: Option<String>,
    pub(super) created_at: Timestamp,
    pub(super) authenticated_at: Timestamp,
    /// The time at which the session ends, however often it is refreshed.
    pub(super) ends_at: Timestamp,
    /// The administrator who acts for the owner.
    pub(super) actor: Option<UserId>,
    /// The session with which this one ends.
    pub(super) parent: Option<SessionId>,
    /// The key that the session's tokens are bound to.
    bound_to: Option<KeyThumbprint>,
}

/// The properties of a new session.
pub(crate) struct SessionOptions {
    /// The kind of the session.
    pub kind: SessionKind,
    /// The name of the device, chosen by its owner.
    pub device_name: Option<String>,
    /// The key whose possession the client has proven, to which the session's tokens are bound (RFC 9449).
    pub bound_to: Option<KeyThumbprint>,
    /// The session with which it ends.
    pub parent: Option<SessionId>,
}

/// The secret of a new session, whose digest its row has.
enum Secret {
    RefreshToken(RefreshToken),
    Cookie(OpaqueToken),
}

impl Secret {
    const fn kind(&self) -> SessionKind {
        match self {
            Self::RefreshToken(_) => SessionKind::App,
            Self::Cookie(_) => SessionKind::Browser,
        }
    }

    fn digest(&self) -> Vec<u8> {
        match self {
            Self::RefreshToken(token) => token.digest().as_bytes().to_vec(),
            Self::Cookie(token) => token.digest(),
        }
    }
}

/// A session that was inserted. Its tokens are issued after the commit.
#[must_use = "the tokens of the session have to be issued"]
pub(crate) struct OpenedSession {
    pub(super) snapshot: SessionSnapshot,
    secret: Secret,
    /// The sessions that were revoked because of the account's limit.
    revoked: RevokedSessions,
    /// Whether emails were queued.
    has_queued: bool,
}

impl OpenedSession {
    /// Returns the session's id.
    pub(crate) fn session(&self) -> SessionId {
        self.snapshot.session
    }
}

/// The tokens or the cookie of a session that a login has opened.
pub(crate) enum LoggedIn {
    /// The tokens of an app.
    App(Box<IssuedTokens>),
    /// The cookie of a browser session.
    Browser(BrowserCookie),
}

/// The cookie of a browser session.
pub(crate) struct BrowserCookie {
    /// The secret of the session.
    pub secret: OpaqueToken,
    /// The time for which the session can live, if it is used.
    pub max_age: Duration,
}

/// The details of a login, for the rules and emails about it.
#[derive(Clone, Copy)]
pub(super) struct LoginDetails<'a> {
    pub snapshot: &'a SessionSnapshot,
    pub device: &'a Device,
    pub place: Option<&'a Place>,
    pub requester: &'a Requester,
    /// Whether the owner wants emails about unusual logins.
    pub wants_alerts: bool,
}

impl LoggedIn {
    /// Returns the tokens of an app.
    ///
    /// # Errors
    /// The session is a browser's, which has no tokens: a defect of the caller.
    pub(crate) fn into_tokens(self) -> Result<Box<IssuedTokens>, IssueError> {
        match self {
            Self::App(tokens) => Ok(tokens),
            Self::Browser(_) => Err(DbError::Unexpected("a browser session has no tokens".to_owned()).into()),
        }
    }
}

impl LoginDetails<'_> {
    /// Describes the login for an email.
    pub(super) fn activity(&self) -> Activity {
        Activity {
            device: self.device.clone().into(),
            place: self.place.map(Place::label),
            ip: self.requester.ip.map(|ip| ip.to_string()),
            at: self.snapshot.issued_at,
            by_operator: false,
        }
    }

    /// Returns the language that the request names.
    pub(super) const fn language(&self) -> Option<Language> {
        self.requester.language
    }

    /// Returns the owner as an actor within the new session.
    pub(super) fn actor(&self) -> Actor {
        let SessionSnapshot { session, subject, .. } = self.snapshot;
        Actor { user: Some(subject.id), session: Some(*session), requester: self.requester.clone() }
    }
}

impl PreparedSession {
    /// Returns the session's id.
    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    /// Inserts the session in the caller's transaction, which has locked the owner's account. Revokes the sessions
    /// beyond the account's limit, and queues an email about an unusual login.
    ///
    /// # Errors
    /// The database fails, or this server's clock is too wrong to issue tokens.
    pub(crate) fn insert(self, conn: &mut Conn, owner: &impl LockedOwner) -> DbResult<OpenedSession> {
        self.sessions.clock.check()?;
        let snapshot = self.snapshot(owner);
        let new = NewSession {
            snapshot: &snapshot,
            kind: self.secret.kind(),
            token_digest: &self.secret.digest(),
            ip: self.requester.ip,
            user_agent: self.requester.user_agent.as_deref(),
            device: Json::from(&self.device),
            location: self.place.as_ref().map(Json::from),
            name: self.device_name.as_deref(),
            account_revision: owner.revision(),
            parent: self.parent,
        };
        store::insert(conn, &new)?;
        let Self { sessions, secret, requester, device, place, .. } = self;
        if snapshot.actor.is_some() {
            // This is not the owner's login: it counts towards no limit, and the owner sees it in the audit log.
            let revoked = RevokedSessions::none(snapshot.issued_at);
            return Ok(OpenedSession { snapshot, secret, revoked, has_queued: false });
        }
        let login = LoginDetails {
            snapshot: &snapshot,
            device: &device,
            place: place.as_ref(),
            requester: &requester,
            wants_alerts: owner.wants_alerts(),
        };
        let revoked = sessions.enforce_limit(conn, login)?;
        let has_queued = sessions.alert_if_unusual(conn, login)? || revoked.count() > 0;
        Ok(OpenedSession { snapshot, secret, revoked, has_queued })
    }

    fn snapshot(&self, owner: &impl LockedOwner) -> SessionSnapshot {
        let mut subject = owner.subject();
        if self.actor.is_some() {
            // An impersonation never has the rights of an administrator.
            subject.roles = subject.roles.without(ADMIN);
        }
        let sessions = &self.sessions;
        let policy = &sessions.policy;
        let (access_ttl, ttl) = match self.secret.kind() {
            SessionKind::App => (policy.access_token_ttl, policy.refresh_token_ttl),
            // It has no access tokens, and ends when it is not used.
            SessionKind::Browser => (Duration::ZERO, policy.browser_sessions.idle),
        };
        SessionSnapshot {
            session: self.session,
            subject,
            generation: 0,
            revision: 0,
            access_jti: Jti(sessions.random.id(self.created_at)),
            former_access_jti: None,
            issued_at: self.created_at,
            access_expires_at: self.created_at.plus(access_ttl).min(self.ends_at),
            expires_at: self.created_at.plus(ttl).min(self.ends_at),
            ends_at: self.ends_at,
            authenticated_at: self.authenticated_at,
            amr: self.amr.clone(),
            client_id: CLIENT_ID.to_owned(),
            actor: self.actor,
            valid_from_revision: 0,
            bound_to: self.bound_to,
        }
    }
}

impl Sessions {
    /// Prepares a session for a user who has just authenticated with the methods of `amr`.
    pub(crate) fn prepare(&self, amr: Amr, requester: &Requester, options: SessionOptions) -> PreparedSession {
        let SessionOptions { kind, device_name, bound_to, parent } = options;
        let now = self.clock.now();
        let session = SessionId(self.random.id(now));
        let (secret, lifetime) = match kind {
            SessionKind::App => {
                let token = RefreshToken::first(session, &self.refresh_key, &self.random);
                (Secret::RefreshToken(token), self.policy.session_max_lifetime)
            }
            SessionKind::Browser => {
                let cookie = OpaqueToken::generate(Kind::BrowserSession, &self.random);
                (Secret::Cookie(cookie), self.policy.browser_sessions.max_lifetime)
            }
        };
        PreparedSession {
            sessions: self.clone(),
            session,
            secret,
            amr,
            requester: requester.clone(),
            device: self.devices.device(requester.user_agent.as_deref()),
            place: requester.ip.and_then(|ip| self.devices.place(ip)),
            device_name,
            created_at: now,
            authenticated_at: now,
            ends_at: now.plus(lifetime),
            actor: None,
            parent,
            bound_to,
        }
    }

    /// Issues the tokens of an app's session after its insertion is committed, or the cookie of a browser session, and
    /// publishes the revocations that came with it.
    ///
    /// # Errors
    /// The access token cannot be signed.
    pub(crate) async fn finish_login(&self, opened: OpenedSession) -> Result<LoggedIn, IssueError> {
        let OpenedSession { snapshot, secret, revoked, has_queued } = opened;
        if revoked.count() > 0 {
            self.publish(&revoked).await;
        }
        if has_queued {
            self.mail.wake();
        }
        let now = snapshot.issued_at;
        Ok(match secret {
            Secret::RefreshToken(token) => {
                self.put_in_cache(&snapshot, now).await;
                LoggedIn::App(Box::new(self.issue(&snapshot, token, now)?))
            }
            // Its secret is looked up in the database each time.
            Secret::Cookie(secret) => LoggedIn::Browser(BrowserCookie { secret, max_age: snapshot.ends_at.since(now) }),
        })
    }
}
