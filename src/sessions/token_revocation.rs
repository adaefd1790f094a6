//! Revokes single access tokens (RFC 7009): the session goes on, and so do its other tokens. Revokes those of a client.

use super::revoke::{RevokedSessions, revocation};
use super::{Sessions, cache_entry, store};
use crate::audit::{Actor, Event, Record};
use crate::cache::Superseded;
use crate::config::MAX_ACCESS_TOKEN_TTL;
use crate::db::{Conn, DbResult};
use crate::revocations::{self, Reason, Revoked};
use crate::tokens::access::Claims;
use crate::tokens::client::ClientClaims;
use crate::types::{ClientId, Jti, Timestamp};

impl Sessions {
    /// Revokes one access token of a session, whether or not it is still the current one, and forgets its id in the
    /// session's row and entry. A refresh that is repeated then gets another access token.
    pub(crate) async fn revoke_access_token(&self, claims: &Claims, by: &Actor) -> DbResult<()> {
        let now = self.clock.database_now();
        let session = claims.sid;
        let jti = claims.jti;
        let user = claims.sub;
        let other = Jti(self.random.id(now));
        let audit = self.audit.clone();
        let record = Record::new(Event::AccessTokenRevoked, by).on(user).session(session);
        let revoked = Revoked::Token { session: Some(session), jti };
        let entry = revocation(revoked, Timestamp::from_secs(claims.exp), Reason::TokenRevoked, now);
        let snapshot = self.db.write(move |conn| {
            store::forget_access_token(conn, session, jti, other)?;
            revocations::append(conn, &[entry], Some(user))?;
            audit.append(conn, &record)?;
            Ok(store::token_family(conn, session)?.map(|family| family.snapshot))
        });
        let snapshot = snapshot.await?;
        self.publish(&RevokedSessions::of_token(entry, now)).await;
        // The servers that share the cache refuse the token from now on, before they have read the log.
        if let Some(mut entry) = snapshot.and_then(|snapshot| cache_entry::new_entry(&snapshot, &self.policy, now)) {
            entry.superseded = Some(Superseded { jti, from: now });
            let _ = self.cache.put(entry).await;
        }
        Ok(())
    }

    /// Revokes an access token of a client itself, which belongs to no session.
    pub(crate) async fn revoke_client_token(&self, claims: &ClientClaims) -> DbResult<()> {
        let now = self.clock.database_now();
        let revoked = Revoked::Token { session: None, jti: claims.jti };
        let entry = revocation(revoked, Timestamp::from_secs(claims.exp), Reason::TokenRevoked, now);
        self.db.write(move |conn| revocations::append(conn, &[entry], None)).await?;
        self.publish(&RevokedSessions::of_token(entry, now)).await;
        Ok(())
    }

    /// Revokes all access tokens that were issued to a client that is deleted, by itself or in an exchange, in the
    /// caller's transaction. Call [`Self::publish`] after the commit.
    pub(crate) fn revoke_tokens_of_client(&self, conn: &mut Conn, client: ClientId) -> DbResult<RevokedSessions> {
        let now = self.clock.database_now();
        // Nothing records when the last of them expires, and another server may issue longer ones than this.
        let expires_at = now.plus(MAX_ACCESS_TOKEN_TTL);
        let entry = revocation(Revoked::Client(client), expires_at, Reason::ClientDeleted, now);
        revocations::append(conn, &[entry], None)?;
        Ok(RevokedSessions::of_token(entry, now))
    }
}
