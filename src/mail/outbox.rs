//! The emails in the outbox as operators see them, and how they are tried again.

use super::store::{self, OutboxRow};
use super::{Mail, delivery};
use crate::db::{Conn, DbResult};
use crate::types::{EmailId, Timestamp};

/// An email of the outbox, without its message.
pub struct QueuedEmail {
    /// The id.
    pub id: EmailId,
    /// The kind of the email.
    pub kind: String,
    /// The address that it is for.
    pub recipient: String,
    /// The time at which it was queued.
    pub created_at: Timestamp,
    /// The time of the next attempt; `None` if it was given up.
    pub next_attempt_at: Option<Timestamp>,
    /// The time at which its link expires.
    pub expires_at: Option<Timestamp>,
    /// The number of attempts that were begun.
    pub attempts: i32,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

impl From<OutboxRow> for QueuedEmail {
    fn from(row: OutboxRow) -> Self {
        let OutboxRow { id, kind, recipient, created_at, next_attempt_at, expires_at, attempts, last_error } = row;
        Self { id, kind, recipient, created_at, next_attempt_at, expires_at, attempts, last_error }
    }
}

/// Lists up to `limit` emails that were queued before `after`, newest first: those that wait, or those that were given
/// up.
pub fn list_outbox(
    conn: &mut Conn,
    is_waiting: bool,
    after: Option<EmailId>,
    limit: usize,
) -> DbResult<Vec<QueuedEmail>> {
    let rows = store::list(conn, is_waiting, after, i64::try_from(limit).unwrap_or(i64::MAX))?;
    Ok(rows.into_iter().map(QueuedEmail::from).collect())
}

impl Mail {
    /// Lets the waiting email `id`, or all of them, be tried at once, in the caller's transaction. Those that would be
    /// tried within minutes anyway are left alone, because one of them may be on its way at this moment. Returns how
    /// many are tried. Call [`Self::wake`] after the commit.
    pub fn retry(&self, conn: &mut Conn, id: Option<EmailId>, now: Timestamp) -> DbResult<usize> {
        store::hasten(conn, id, now.plus(delivery::LEASE), now)
    }
}
