//! Lists the sessions of all accounts, page by page, for operators.

use super::store::{self, OwnedRow};
use super::{Session, Sessions};
use crate::db::DbResult;
use crate::types::{SessionId, SessionKind, Timestamp, UserId};

/// Rows that one page looks through.
const WINDOW: i64 = 5_000;

/// The sessions that a list contains.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SessionQuery {
    /// The account that the sessions belong to.
    pub user: Option<UserId>,
    /// The kind of the sessions.
    pub kind: Option<SessionKind>,
    /// Whether the sessions are live or have ended.
    pub state: Option<SessionState>,
}

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionState {
    /// It can be used.
    Live,
    /// It has expired or was revoked.
    Ended,
}

impl SessionState {
    /// Both states.
    pub(crate) const ALL: [Self; 2] = [Self::Live, Self::Ended];

    /// Returns the name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ended => "ended",
        }
    }

    /// Finds the state with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A session with its owner.
pub(crate) struct OwnedSession {
    /// The session.
    pub session: Session,
    /// The account that it belongs to.
    pub user: UserId,
    /// The email address of that account.
    pub email: String,
}

/// A page of sessions, newest first. It can have fewer sessions than were asked for, even none, although others follow.
pub(crate) struct SessionPage {
    /// The sessions.
    pub sessions: Vec<OwnedSession>,
    /// The session after which the next page begins; `None` on the last page.
    pub next: Option<SessionId>,
}

impl SessionQuery {
    /// Returns whether rows that a page reads may not belong to it, so that it must not go on until it is full.
    const fn is_sparse(&self) -> bool {
        self.kind.is_some() || self.state.is_some()
    }
}

impl Sessions {
    /// Finds up to `limit` sessions of all accounts that follow the session `after`, newest first.
    pub(crate) async fn search(
        &self,
        query: SessionQuery,
        after: Option<SessionId>,
        limit: usize,
    ) -> DbResult<SessionPage> {
        let now = self.clock.now();
        let wanted = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
        let read = self.db.read(move |conn| {
            let end = if query.is_sparse() { store::window_end(conn, &query, after, WINDOW)? } else { None };
            Ok((store::search(conn, &query, (after, end), now, wanted)?, end))
        });
        let (mut rows, end) = read.await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more).map(|row| row.session.id);
        let sessions = rows.into_iter().map(|row| self.owned(row, now)).collect();
        Ok(SessionPage { sessions, next: last.or(end) })
    }

    /// Finds a session with its owner, whatever account it belongs to.
    pub(crate) async fn find_owned(&self, session: SessionId) -> DbResult<Option<OwnedSession>> {
        let now = self.clock.now();
        let row = self.db.read(move |conn| store::find_owned(conn, session)).await?;
        Ok(row.map(|row| self.owned(row, now)))
    }

    fn owned(&self, row: OwnedRow, now: Timestamp) -> OwnedSession {
        OwnedSession { session: Session::new(row.session, &self.devices, now), user: row.user_id, email: row.email }
    }
}
