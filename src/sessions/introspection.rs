//! Tells whether a refresh token could be exchanged at this moment, without doing so.

use super::refresh::{Judgement, Presented, judge};
use super::store;
use super::{SessionSnapshot, Sessions};
use crate::db::DbResult;
use crate::tokens::refresh::RefreshToken;
use crate::types::{KeyThumbprint, SessionId, Timestamp};

impl SessionSnapshot {
    /// Returns when the refresh token expires.
    pub(crate) fn refresh_token_expires_at(&self) -> Timestamp {
        self.deadline()
    }
}

impl Sessions {
    /// Returns the refresh token that a text is, if any server with the same secret has issued it. Unlike
    /// [`Self::parse_refresh_token`], this counts nothing: the text may be another token.
    pub(crate) fn recognize_refresh_token(&self, text: &str) -> Option<RefreshToken> {
        RefreshToken::parse(text, &self.refresh_key)
    }

    /// Returns the session of a refresh token that is current; `None` if the token was replaced or its session has
    /// ended. Nothing is recorded: asking is no use of the token.
    pub(crate) async fn find_current(&self, token: &RefreshToken) -> DbResult<Option<SessionSnapshot>> {
        let session = token.session;
        let Some(family) = self.db.read(move |conn| store::token_family(conn, session)).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        let judgement = judge(&family, Presented { token, key: None, proven: None, arrived: now }, &self.policy, now);
        Ok(matches!(judgement, Judgement::Current | Judgement::CatchUp).then_some(family.snapshot))
    }

    /// Finds the key that the tokens of a session are bound to, whether it is live or has ended.
    pub(crate) async fn bound_key(&self, session: SessionId) -> DbResult<Option<KeyThumbprint>> {
        let family = self.db.read(move |conn| store::token_family(conn, session)).await?;
        Ok(family.and_then(|family| family.snapshot.bound_to))
    }
}
