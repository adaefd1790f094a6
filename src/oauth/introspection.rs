//! Introspection (RFC 7662): whether a token is valid at this moment, and what it says.

use super::OAuth;
use crate::db::DbError;
use crate::sessions::SessionSnapshot;
use crate::sessions::check::{CheckError, CheckedToken};

/// A token that is valid at this moment.
pub(crate) enum ActiveToken {
    /// An access token of a session.
    Access(CheckedToken),
    /// The current refresh token of a session.
    Refresh(SessionSnapshot),
}

impl OAuth {
    /// Finds out whether a token is valid, of whatever type it is: an access token by the same check as at every other
    /// request, a refresh token by the row of its session. Returns `None` if it is not valid.
    ///
    /// # Errors
    /// The database fails, so it is not known whether the token is valid.
    pub(crate) async fn introspect(&self, token: &str) -> Result<Option<ActiveToken>, DbError> {
        if let Some(refresh_token) = self.sessions.recognize_refresh_token(token) {
            return Ok(self.sessions.find_current(&refresh_token).await?.map(ActiveToken::Refresh));
        }
        match self.sessions.check(token).await {
            Ok(checked) => Ok(Some(ActiveToken::Access(checked))),
            Err(CheckError::Database(error)) => Err(error),
            Err(CheckError::Invalid(_) | CheckError::Ended | CheckError::Superseded) => Ok(None),
        }
    }
}
