//! Access tokens of clients themselves (RFC 6749 §4.4): issued, and presented in the place of a secret.

use std::sync::Arc;
use std::time::Duration;

use super::OAuth;
use super::target::{self, TargetError, Wanted};
use crate::clients::Client;
use crate::db::{DbError, DbResult};
use crate::keys::Key;
use crate::sessions::IssueError;
use crate::tokens::access::{self, Confirmation};
use crate::tokens::client::ClientClaims;
use crate::types::{Jti, KeyThumbprint, Scopes, Timestamp};

/// An access token for a client.
pub(crate) struct ClientToken {
    /// The access token.
    pub access_token: String,
    /// The lifetime of the token.
    pub expires_in: Duration,
    /// The scopes of the token.
    pub scopes: Scopes,
    /// Whether the token is bound to a key.
    pub is_bound: bool,
}

/// A client that presents its access token in the place of a secret.
pub(crate) struct AuthenticatedByToken {
    /// The client.
    pub client: Arc<Client>,
    /// What the client may do.
    pub scopes: Scopes,
    /// The key that the token is bound to.
    pub bound_to: Option<KeyThumbprint>,
}

/// Why a client gets no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// The client may not have what it asks for.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The token to be exchanged is not valid, or not for this client.
    #[error("the subject token is not valid, or not for this client")]
    Subject,
    /// No key of the client's algorithm signs: it was not published for long enough, or the algorithm was removed from
    /// `JWT_ADDITIONAL_ALGORITHMS`.
    #[error("no key of the client's algorithm, {0}, signs at the moment")]
    NoKey(&'static str),
    /// The token could not be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for GrantError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl OAuth {
    /// Returns the lifetime of access tokens that a client asks for.
    pub(super) fn lifetime(&self, client: &Client) -> Duration {
        let longest = self.sessions.policy.access_token_ttl;
        client.access_token_ttl.map_or(longest, |ttl| ttl.min(longest))
    }

    /// Returns the key that signs the access tokens that a client asks for.
    ///
    /// # Errors
    /// No key of the client's algorithm is published for long enough.
    pub(super) fn signing_key(&self, client: &Client) -> Result<Arc<Key>, GrantError> {
        let key_ring = &self.sessions.key_ring;
        match client.signing_algorithm {
            Some(algorithm) => key_ring.signing_for(algorithm).ok_or(GrantError::NoKey(algorithm.name())),
            None => Ok(key_ring.signing()),
        }
    }

    /// Issues an access token for a client itself, bound to the key that was `proven`, if any. There is no refresh
    /// token: the client has its secret.
    ///
    /// # Errors
    /// The client may not have what it asks for, or the token cannot be signed.
    pub(crate) fn grant_to_client(
        &self,
        client: &Client,
        wanted: Wanted,
        proven: Option<KeyThumbprint>,
    ) -> Result<ClientToken, GrantError> {
        let target = target::of_client(client, wanted, &self.sessions.audience)?;
        let key = self.signing_key(client)?;
        self.sessions.clock.check().map_err(DbError::from)?;
        let now = self.sessions.clock.now();
        let expires_in = self.lifetime(client);
        let claims = ClientClaims {
            iss: self.sessions.issuer.clone(),
            sub: ClientClaims::subject(client.id),
            aud: target.audience,
            exp: now.plus(expires_in).as_secs(),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            jti: Jti(self.sessions.random.id(now)),
            client_id: client.id,
            scope: target.scopes.to_string(),
            cnf: proven.map(|jkt| Confirmation { jkt }),
        };
        let access_token = access::sign(&claims, &key).map_err(IssueError::from)?;
        Ok(ClientToken { access_token, expires_in, scopes: target.scopes, is_bound: proven.is_some() })
    }

    /// Verifies the access token of a client, for whatever audience, and that it was not revoked by itself. Returns
    /// `None` if it is another text.
    pub(super) fn verify_client_token(&self, token: &str) -> Option<ClientClaims> {
        let sessions = &self.sessions;
        let find_key = |id| sessions.key_ring.verifying(id);
        let verified = access::verify(token, find_key, &sessions.rules_for_any_audience, sessions.clock.now());
        let claims = ClientClaims::try_from(verified.ok()?.0).ok()?;
        let is_revoked = sessions.log.is_token_revoked(claims.jti) || sessions.log.is_client_revoked(claims.client_id);
        (!is_revoked).then_some(claims)
    }

    /// Finds the client of a valid access token for whatever audience, with what the client may still do of what the
    /// token says. Returns `None` if the token is not valid, or the client is disabled or deleted.
    ///
    /// # Errors
    /// The database fails.
    pub(super) async fn check_client_token(&self, token: &str) -> DbResult<Option<(Arc<Client>, ClientClaims)>> {
        let Some(claims) = self.verify_client_token(token) else { return Ok(None) };
        let client = self.clients.find_enabled(claims.client_id).await?;
        Ok(client.map(|client| (client, claims)))
    }

    /// Finds the client that presents its access token in the place of a secret, and what it may do: that is for this
    /// server's own audience. Returns `None` if the token is not valid.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn authenticate_by_token(&self, token: &str) -> DbResult<Option<AuthenticatedByToken>> {
        let found = self.check_client_token(token).await?;
        Ok(found.filter(|(_, claims)| claims.aud == self.sessions.audience).map(|(client, claims)| {
            let scopes = scopes_of(&claims.scope).filter(|scope| client.has_scope(scope));
            AuthenticatedByToken { client, scopes, bound_to: claims.cnf.map(|cnf| cnf.jkt) }
        }))
    }
}

/// Returns the scopes that a token says.
pub(super) fn scopes_of(scope: &str) -> Scopes {
    Scopes::parse_text(scope).unwrap_or_default()
}

/// Returns the time that is left until `expires_at`, in whole seconds.
pub(super) fn left(expires_at: i64, now: Timestamp) -> Duration {
    Timestamp::from_secs(expires_at).since(Timestamp::from_secs(now.as_secs()))
}
