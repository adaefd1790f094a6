//! A session's beginning.

use std::sync::Arc;

use super::revoke::Ended;
use super::store::{self, NewSession};
use super::{Grant, IssueError, OWN_CLIENT, Parts, Sessions, Standing, Subject};
use crate::audit::Actor;
use crate::client::Client;
use crate::db::types::{Address, Json, Names, SessionId, TokenId};
use crate::db::{Conn, DbResult};
use crate::devices::{Device, Place};
use crate::mail::Occasion;
use crate::tokens::refresh::RefreshToken;

/// A session that is ready to be inserted by the transaction that logs its owner in.
pub struct Opening {
    parts: Arc<Parts>,
    pub(super) standing: Standing,
    refresh_token: RefreshToken,
    client: Client,
    device: Device,
    place: Option<Place>,
    device_name: Option<String>,
}

impl Opening {
    /// The session's id.
    pub fn session(&self) -> SessionId {
        self.standing.session
    }

    /// Inserts the session, ends what the account has beyond its limit then, and tells the owner of a login that is
    /// unusual. Part of the caller's transaction, which
    /// has written the account's row before.
    pub fn insert(self, conn: &mut Conn) -> DbResult<Opened> {
        let Self { parts, standing, refresh_token, client, device, place, device_name } = self;
        let digest = refresh_token.digest();
        let new = NewSession {
            standing: &standing,
            token_digest: digest.as_bytes(),
            address: client.address.map(Address),
            user_agent: client.user_agent.as_deref(),
            device: Json::from(&device),
            location: place.as_ref().map(Json::from),
            name: device_name.as_deref(),
        };
        store::insert(conn, &new)?;
        if standing.actor.is_some() {
            // Not the owner's login: it counts for no limit, and the audit log tells the owner of it.
            return Ok(Opened { ended: Ended::nothing(standing.issued_at), standing, refresh_token, told: false });
        }
        let login = Login { standing: &standing, device: &device, place: place.as_ref(), client: &client };
        let ended = parts.keep_to_limit(conn, login)?;
        let told = parts.tell_if_unusual(conn, login)? || ended.count() > 0;
        Ok(Opened { standing, refresh_token, ended, told })
    }
}

/// A session that was inserted, to be handed out once that has committed.
#[must_use]
pub struct Opened {
    pub(super) standing: Standing,
    refresh_token: RefreshToken,
    /// What had to end for it.
    ended: Ended,
    /// Whether there may be letters to be sent.
    told: bool,
}

impl Opened {
    /// The session's id.
    pub fn session(&self) -> SessionId {
        self.standing.session
    }
}

/// A login as rules and letters look at it.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub standing: &'a Standing,
    pub device: &'a Device,
    pub place: Option<&'a Place>,
    pub client: &'a Client,
}

impl Login<'_> {
    pub fn occasion(&self) -> Occasion {
        Occasion {
            device: self.device.label.clone(),
            place: self.place.map(Place::label),
            ip: self.client.address.map(|address| address.to_string()),
            at: self.standing.issued_at,
        }
    }

    /// Who has logged in, from the new session.
    pub fn actor(&self) -> Actor {
        let standing = self.standing;
        Actor { user: Some(standing.subject.id), session: Some(standing.session), client: self.client.clone() }
    }
}

impl Sessions {
    /// Prepares a session for `subject`, who has just shown `amr` (RFC 8176).
    pub fn opening(&self, subject: Subject, amr: Names, client: &Client, device_name: Option<String>) -> Opening {
        let parts: &Parts = &self.0;
        let now = parts.clock.now();
        let session = SessionId(parts.random.id(now));
        Opening {
            parts: Arc::clone(&self.0),
            standing: Standing {
                session,
                subject,
                generation: 0,
                revision: 0,
                access_token: TokenId(parts.random.id(now)),
                former_access_token: None,
                issued_at: now,
                expires_at: now.plus(parts.policy.refresh_token_ttl),
                ends_at: now.plus(parts.policy.session_max_lifetime),
                authenticated_at: now,
                amr,
                client_id: OWN_CLIENT.to_owned(),
                actor: None,
            },
            refresh_token: RefreshToken::first(session, &parts.refresh_key, &parts.random),
            client: client.clone(),
            device: parts.devices.device(client.user_agent.as_deref()),
            place: client.address.and_then(|address| parts.devices.place(address)),
            device_name,
        }
    }

    /// The tokens of a session whose insertion has committed.
    pub async fn opened(&self, opened: Opened) -> Result<Grant, IssueError> {
        let Opened { standing, refresh_token, ended, told } = opened;
        if ended.count() > 0 {
            self.0.announce(&ended).await;
        }
        if told {
            self.0.mail.wake();
        }
        let now = standing.issued_at;
        self.0.remember(&standing, now).await;
        Ok(self.0.grant(&standing, refresh_token, now)?)
    }
}
