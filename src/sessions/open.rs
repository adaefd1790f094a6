//! A session's beginning.

use super::store::{self, NewSession};
use super::{Grant, IssueError, OWN_CLIENT, Parts, Sessions, Standing, Subject};
use crate::client::Client;
use crate::db::types::{Address, Json, Names, SessionId, TokenId};
use crate::db::{Conn, DbResult};
use crate::devices::{Device, Place};
use crate::tokens::refresh::RefreshToken;

/// A session that is ready to be inserted by the transaction that logs its owner in.
pub struct Opening {
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

    /// Inserts the session. Part of the caller's transaction.
    pub fn insert(&self, conn: &mut Conn) -> DbResult<()> {
        let digest = self.refresh_token.digest();
        store::insert(
            conn,
            &NewSession {
                standing: &self.standing,
                token_digest: digest.as_bytes(),
                address: self.client.address.map(Address),
                user_agent: self.client.user_agent.as_deref(),
                device: Json::from(&self.device),
                location: self.place.as_ref().map(Json::from),
                name: self.device_name.as_deref(),
            },
        )
    }
}

impl Sessions {
    /// Prepares a session for `subject`, who has just shown `amr` (RFC 8176).
    pub fn opening(&self, subject: Subject, amr: Names, client: &Client, device_name: Option<String>) -> Opening {
        let parts: &Parts = &self.0;
        let now = parts.clock.now();
        let session = SessionId(parts.random.id(now));
        Opening {
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

    /// The tokens of a session that was inserted and committed.
    pub async fn opened(&self, opening: Opening) -> Result<Grant, IssueError> {
        let now = opening.standing.issued_at;
        self.0.remember(&opening.standing, now).await;
        Ok(self.0.grant(&opening.standing, opening.refresh_token, now)?)
    }
}
