//! Lists and revokes sessions for operators.

use super::{Admin, Operator};
use crate::db::DbResult;
use crate::revocations::Reason;
use crate::sessions::{OwnedSession, Session, SessionPage, SessionQuery, SessionSelector};
use crate::types::{SessionId, UserId};

/// The result of a cleanup.
pub(crate) struct Cleanup {
    /// The number of ended sessions that are kept for the history.
    pub sessions_kept: i64,
    /// The number of sessions that were deleted.
    pub sessions_deleted: usize,
    /// The number of rows of other tables that were deleted.
    pub other_rows_deleted: usize,
}

impl Admin {
    /// Lists the sessions of an account, newest first. Returns `None` if the account does not exist.
    pub(crate) async fn list_sessions(&self, user: UserId, include_ended: bool) -> DbResult<Option<Vec<Session>>> {
        if self.user(user).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.sessions.list(user, include_ended).await?))
    }

    /// Finds up to `limit` sessions of all accounts that follow the session `after`, newest first.
    pub(crate) async fn search_sessions(
        &self,
        query: SessionQuery,
        after: Option<SessionId>,
        limit: usize,
    ) -> DbResult<SessionPage> {
        self.sessions.search(query, after, limit).await
    }

    /// Finds a session with its owner, whatever account it belongs to.
    pub(crate) async fn find_session(&self, session: SessionId) -> DbResult<Option<OwnedSession>> {
        self.sessions.find_owned(session).await
    }

    /// Revokes all sessions of an account. Returns how many; `None` if the account does not exist.
    pub(crate) async fn revoke_sessions(&self, user: UserId, by: &Operator) -> DbResult<Option<usize>> {
        if self.user(user).await?.is_none() {
            return Ok(None);
        }
        let all = SessionSelector::AllOf(user);
        Ok(Some(self.sessions.revoke(all, Reason::EndedByOperator, &by.actor()).await?))
    }

    /// Revokes one session, whatever account it belongs to. Returns whether it was live; `None` if it does not exist.
    pub(crate) async fn revoke_session(&self, session: SessionId, by: &Operator) -> DbResult<Option<bool>> {
        let one = SessionSelector::One(session);
        let revoked = self.sessions.revoke(one, Reason::EndedByOperator, &by.actor()).await?;
        if revoked == 0 && !self.sessions.exists(session).await? {
            return Ok(None);
        }
        Ok(Some(revoked > 0))
    }

    /// Deletes immediately what the retention in the background would delete later.
    pub(crate) async fn clean_up(&self) -> DbResult<Cleanup> {
        let deleted = self.retention.run_once().await?;
        Ok(Cleanup {
            sessions_kept: self.sessions.count_ended().await?,
            sessions_deleted: deleted.sessions,
            other_rows_deleted: deleted.others,
        })
    }
}
