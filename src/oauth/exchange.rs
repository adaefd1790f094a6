//! Token exchange (RFC 8693): a client that was given a person's access token gets one that opens less, for another
//! audience, with fewer scopes and a shorter life.

use super::OAuth;
use super::client_credentials::{ClientToken, GrantError, left, scopes_of};
use super::target::{self, Wanted};
use crate::clients::Client;
use crate::db::DbError;
use crate::sessions::IssueError;
use crate::sessions::check::CheckError;
use crate::tokens::access::{self, Claims, Confirmation};
use crate::types::{Jti, KeyThumbprint};

impl OAuth {
    /// Exchanges a person's access token for another one. That ends with the session and when the account changes, and
    /// no later than the token that it is made of, so that the log of revocations covers it. An administrator who acts
    /// for the person stays in the claim `act`. The token is bound to the key that the client has `proven`, if any, and
    /// never to the key of the person's client, which the client does not hold.
    ///
    /// # Errors
    /// The token is not valid or not for this client, the client may not have what it asks for, or the database fails.
    pub(crate) async fn exchange(
        &self,
        client: &Client,
        subject_token: &str,
        wanted: Wanted,
        proven: Option<KeyThumbprint>,
    ) -> Result<ClientToken, GrantError> {
        let own = &self.sessions.audience;
        let subject = self.sessions.check_of_any_audience(subject_token).await.map_err(|error| match error {
            CheckError::Database(error) => error.into(),
            CheckError::Invalid(_) | CheckError::Ended | CheckError::Superseded => GrantError::Subject,
        })?;
        let held = subject.claims();
        if !target::may_target(client, &held.aud, own) {
            return Err(GrantError::Subject);
        }
        let target = target::of_exchange(client, wanted, &scopes_of(&held.scope), own)?;
        let key = self.signing_key(client)?;
        self.sessions.clock.check().map_err(DbError::from)?;
        let now = self.sessions.clock.now();
        let claims = Claims {
            aud: target.audience,
            exp: now.plus(self.lifetime(client)).as_secs().min(held.exp),
            iat: now.as_secs(),
            nbf: now.as_secs(),
            jti: Jti(self.sessions.random.id(now)),
            rev: subject.snapshot.revision,
            client_id: client.id.to_string(),
            scope: target.scopes.to_string(),
            roles: subject.snapshot.subject.roles.clone(),
            cnf: proven.map(|jkt| Confirmation { jkt }),
            ..held.clone()
        };
        let access_token = access::sign(&claims, &key).map_err(IssueError::from)?;
        let expires_in = left(claims.exp, now);
        Ok(ClientToken { access_token, expires_in, scopes: target.scopes, is_bound: proven.is_some() })
    }
}
