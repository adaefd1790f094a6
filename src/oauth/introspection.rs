//! Introspection (RFC 7662): whether a token is valid at this moment, and what it says.

use keyturn_verify::Refusal;

use super::{OAuth, target};
use crate::clients::Client;
use crate::db::{DbError, DbResult};
use crate::sessions::SessionSnapshot;
use crate::sessions::check::{CheckError, CheckedToken};
use crate::tokens::client::ClientClaims;
use crate::types::ClientId;

/// A token that is valid at this moment.
pub(crate) enum ActiveToken {
    /// An access token of a session.
    Access(CheckedToken),
    /// The current refresh token of a session.
    Refresh(SessionSnapshot),
    /// An access token of a client itself.
    Client(ClientClaims),
}

impl ActiveToken {
    /// Returns whether the client may know of the token: unless it names audiences, of all, and otherwise of those for
    /// its audiences and for this server (RFC 7662 §2.2).
    fn is_for(&self, client: &Client, own: &str) -> bool {
        let audience = match self {
            Self::Access(checked) => checked.claims().aud.as_str(),
            Self::Client(claims) => claims.aud.as_str(),
            Self::Refresh(_) => own,
        };
        client.audiences.names().is_empty() || target::may_target(client, audience, own)
    }
}

impl OAuth {
    /// Returns whether the client that got a token in exchange is enabled; true if none did.
    pub(crate) async fn is_enabled(&self, client: Option<ClientId>) -> DbResult<bool> {
        match client {
            Some(client) => Ok(self.clients.find_enabled(client).await?.is_some()),
            None => Ok(true),
        }
    }

    /// Finds out whether a token is valid, of whatever type it is: an access token by the same check as at every other
    /// request, a refresh token by the row of its session. Returns `None` if it is not valid, or if the client `by` may
    /// not know of it.
    ///
    /// # Errors
    /// The database fails, so it is not known whether the token is valid.
    pub(crate) async fn introspect(&self, token: &str, by: &Client) -> Result<Option<ActiveToken>, DbError> {
        if let Some(refresh_token) = self.sessions.recognize_refresh_token(token) {
            return Ok(self.sessions.find_current(&refresh_token).await?.map(ActiveToken::Refresh));
        }
        let active = match self.sessions.check_of_any_audience(token).await {
            // What a client got in exchange is of no use to it while it is disabled.
            Ok(checked) if !self.is_enabled(checked.claims().exchanging_client()).await? => None,
            Ok(checked) => Some(ActiveToken::Access(checked)),
            Err(CheckError::Database(error)) => return Err(error),
            Err(CheckError::Invalid(Refusal::Claims)) => {
                self.check_client_token(token).await?.map(|(_, claims)| ActiveToken::Client(claims))
            }
            Err(CheckError::Invalid(_) | CheckError::Ended | CheckError::Superseded) => None,
        };
        Ok(active.filter(|active| active.is_for(by, &self.sessions.audience)))
    }
}
