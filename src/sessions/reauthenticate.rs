//! Authenticating again within a session.

use super::store;
use super::{Grant, Sessions, Standing};
use crate::clock::Timestamp;
use crate::db::types::{Names, SessionId};
use crate::db::{Conn, DbResult};
use crate::tokens::access::{Claims, SigningFailed};

/// A session whose owner has authenticated again, within a transaction that is not committed yet.
pub struct Reauthenticated {
    standing: Standing,
    at: Timestamp,
}

impl Sessions {
    /// Notes within the caller's transaction that a session's owner has just shown `amr` (RFC 8176). `None` when the
    /// session has ended.
    pub fn reauthenticate_in(
        &self,
        conn: &mut Conn,
        session: SessionId,
        amr: &Names,
    ) -> DbResult<Option<Reauthenticated>> {
        let at = self.0.clock.now();
        if !store::reauthenticate(conn, session, amr, at)? {
            return Ok(None);
        }
        Ok(store::chain(conn, session)?.map(|chain| Reauthenticated { standing: chain.standing, at }))
    }

    /// The access token that follows, once that is committed. It stands for the one that was presented: same id, same
    /// end, so that whatever ends one ends the other. Were it the session's newest instead, its use would say that the
    /// answer to the last refresh has arrived, which may have been lost.
    pub async fn reauthenticated(&self, done: Reauthenticated, presented: &Claims) -> Result<Grant, SigningFailed> {
        let Reauthenticated { standing, at } = done;
        self.0.remember(&standing, at).await;
        let Claims { jti, exp, nbf, .. } = *presented;
        let claims = Claims { jti, exp, nbf, iat: at.as_secs(), ..self.0.claims(&standing) };
        self.0.grant_with(&claims, &standing, None, at)
    }
}
