//! The log of revocations and its readers.
//!
//! A revocation is appended to the log in the transaction that revokes. Every server keeps the unexpired part of the
//! log in memory and checks it before any cache, so a cache that has lost a mark cannot make a revoked session valid
//! again. The servers read the log twice a second and mark new entries in the cache. If a server crashes between its
//! commit and the mark in the cache, the next reader adds the mark.

mod cursor;
mod feed;
mod log;
mod progress;
mod reader;
mod reason;
mod store;

use crate::db::{Conn, DbResult};
use crate::types::{ClientId, Jti, KeyId, SessionId, Timestamp, UserId};

pub(crate) use cursor::FeedCursor;
pub(crate) use feed::{Batch, Feed, Page, Sync};
pub(crate) use log::{LogStatus, RevocationLog};
pub(crate) use progress::ReaderProgress;
pub(crate) use reader::LogReader;
pub(crate) use reason::Reason;

/// The subject of an entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// A session with all its tokens.
    Session(SessionId),
    /// The access tokens of a session that carry an earlier revision. The session stays valid.
    TokensBefore {
        /// The session of the tokens.
        session: SessionId,
        /// The first revision whose tokens are valid.
        revision: i64,
        /// The latest of the tokens, for readers that know no revisions.
        latest: Option<Jti>,
    },
    /// One access token. Its session, if it has one, stays valid.
    Token {
        /// The session of the token; that of a client itself belongs to none.
        session: Option<SessionId>,
        /// The id of the token.
        jti: Jti,
    },
    /// All access tokens that a key has signed. Their sessions stay valid.
    Key(KeyId),
    /// All access tokens that were issued to a registered client, by itself or in an exchange. The sessions of those
    /// that it got in exchange stay valid.
    Client(ClientId),
}

/// An entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Revocation {
    /// What is revoked.
    pub revoked: Revoked,
    /// The reason.
    pub reason: Reason,
    /// The time of the revocation.
    pub revoked_at: Timestamp,
    /// The time at which the last access token that it revokes has expired.
    pub expires_at: Timestamp,
}

/// Appends entries to the log in the caller's transaction: about the account `user`, or about keys.
pub(crate) fn append(conn: &mut Conn, entries: &[Revocation], user: Option<UserId>) -> DbResult<()> {
    store::append(conn, entries, user)
}

/// Deletes up to `limit` entries that expired at `before` or earlier. Returns their number.
pub(crate) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}
