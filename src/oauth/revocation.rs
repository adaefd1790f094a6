//! Revocation (RFC 7009) by whoever holds a token: a refresh token ends its session, an access token dies alone.

use super::OAuth;
use crate::audit::Actor;
use crate::clients::Client;
use crate::db::DbError;
use crate::revocations::Reason;
use crate::sessions::{CLIENT_ID, SessionSelector};
use crate::types::{ClientId, KeyThumbprint, Requester};

/// Why a token is not revoked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RevokeError {
    /// The token was issued to another client than the one that calls (RFC 7009 §2.1).
    #[error("the token was issued to another client")]
    OtherClient,
    /// The token was issued to a client, which has to authenticate.
    #[error("the client has to authenticate")]
    ClientRequired,
    /// The token is bound to a key whose possession was not proven (RFC 9449).
    #[error("the token needs a proof of its key")]
    KeyRequired,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl OAuth {
    /// Revokes a token, of whatever type it is. What is no valid token is ignored. A token of a person may be revoked
    /// by its holder, one that was issued to a client by that client only. One that is bound to a key needs the proof
    /// of it, so that a copy ends nothing.
    ///
    /// # Errors
    /// The token belongs to another client, or is bound to another key than `proven`, or the database fails.
    pub(crate) async fn revoke(
        &self,
        token: &str,
        by: Option<&Client>,
        proven: Option<KeyThumbprint>,
        requester: &Requester,
    ) -> Result<(), RevokeError> {
        let actor = Actor::anonymous(requester);
        if let Some(refresh_token) = self.sessions.recognize_refresh_token(token) {
            require_key(self.sessions.bound_key(refresh_token.session).await?, proven)?;
            let session = SessionSelector::One(refresh_token.session);
            self.sessions.revoke(session, Reason::Logout, &actor).await?;
            return Ok(());
        }
        if let Ok(verified) = self.sessions.verify_of_any_audience(token) {
            let claims = &verified.claims;
            if claims.client_id != CLIENT_ID {
                check_owner(uuid::Uuid::try_parse(&claims.client_id).ok().map(ClientId), by)?;
            }
            require_key(claims.cnf.map(|cnf| cnf.jkt), proven)?;
            self.sessions.revoke_access_token(claims, &actor).await?;
            return Ok(());
        }
        if let Some(claims) = self.verify_client_token(token) {
            check_owner(Some(claims.client_id), by)?;
            require_key(claims.cnf.map(|cnf| cnf.jkt), proven)?;
            self.sessions.revoke_client_token(&claims).await?;
        }
        Ok(())
    }
}

/// Checks that the key of a token was proven, if it is bound to one.
fn require_key(bound_to: Option<KeyThumbprint>, proven: Option<KeyThumbprint>) -> Result<(), RevokeError> {
    if bound_to.is_none() || bound_to == proven { Ok(()) } else { Err(RevokeError::KeyRequired) }
}

/// Checks that the client that calls is the one that a token was issued to.
fn check_owner(owner: Option<ClientId>, by: Option<&Client>) -> Result<(), RevokeError> {
    match by {
        None => Err(RevokeError::ClientRequired),
        Some(client) if Some(client.id) == owner => Ok(()),
        Some(_) => Err(RevokeError::OtherClient),
    }
}
