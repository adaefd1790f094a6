//! Reauthentication within a session.

use super::store;
use super::{IssuedTokens, SessionSnapshot, Sessions};
use crate::db::{Conn, DbResult};
use crate::tokens::access::{Claims, SigningError};
use crate::types::{Amr, SessionId, Timestamp};

/// A session whose owner has authenticated again, in a transaction that is not committed yet.
#[must_use = "it has to be made known to all servers"]
pub(crate) struct Reauthenticated {
    pub(super) snapshot: SessionSnapshot,
    pub(super) at: Timestamp,
}

impl Sessions {
    /// Records in the caller's transaction that the owner of a session has just authenticated with the methods of
    /// `amr`. Returns `None` if the session has ended.
    ///
    /// # Errors
    /// The database fails, or this server's clock is too wrong to issue tokens.
    pub(crate) fn reauthenticate(
        &self,
        conn: &mut Conn,
        session: SessionId,
        amr: &Amr,
    ) -> DbResult<Option<Reauthenticated>> {
        self.clock.check()?;
        let at = self.clock.now();
        if !store::reauthenticate(conn, session, amr, at)? {
            return Ok(None);
        }
        Ok(store::token_family(conn, session)?.map(|family| Reauthenticated { snapshot: family.snapshot, at }))
    }

    /// Records in the caller's transaction that the owner of a session has shown a second factor, so that the methods
    /// of the last authentication are those of `amr`. Its time stays. Returns `None` if the session has ended.
    pub(crate) fn add_factor(
        &self,
        conn: &mut Conn,
        session: SessionId,
        amr: &Amr,
    ) -> DbResult<Option<Reauthenticated>> {
        let at = self.clock.now();
        if !store::set_amr(conn, session, amr, at)? {
            return Ok(None);
        }
        Ok(store::token_family(conn, session)?.map(|family| Reauthenticated { snapshot: family.snapshot, at }))
    }

    /// Makes a change of a session's methods known to all servers, after its commit.
    pub(crate) async fn publish_factor(&self, reauthenticated: Reauthenticated) {
        self.put_in_cache(&reauthenticated.snapshot, reauthenticated.at).await;
    }

    /// Issues a new access token after the reauthentication is committed. It has the id and expiry of the token that
    /// was presented, so that a revocation of one revokes both. With the id of the session's newest token its use would
    /// count as proof that the response of the last refresh arrived, although that response may have been lost.
    ///
    /// # Errors
    /// The token cannot be signed.
    pub(crate) async fn issue_reauthenticated(
        &self,
        reauthenticated: Reauthenticated,
        presented: &Claims,
    ) -> Result<IssuedTokens, SigningError> {
        let Reauthenticated { snapshot, at } = reauthenticated;
        self.put_in_cache(&snapshot, at).await;
        let Claims { jti, exp, nbf, .. } = *presented;
        let claims = Claims { jti, exp, nbf, iat: at.as_secs(), ..self.claims(&snapshot) };
        self.issue_with(&claims, &snapshot, None, at)
    }
}
