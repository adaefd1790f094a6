//! The log of revocations and its readers.
//!
//! A revocation is appended in the transaction that makes it true. Every server keeps the live part of the log in
//! memory and asks it at each check, before any cache: a cache that lost a mark while an old entry survived cannot
//! bring a session back. The log is read again twice a second, and what is new is also marked in the cache, so a
//! server that died between its commit and the cache is made good by the next reader.

mod store;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::cache::{Cache, CacheError, Superseded};
use crate::clock::{Clock, Timestamp};
use crate::db::types::{SessionId, TokenId, UserId};
use crate::db::{Conn, Db, DbResult};

use store::Cursor;

/// How often a server reads the log.
const READ_INTERVAL: Duration = Duration::from_millis(500);

/// How often entries that no longer concern any token are dropped, from memory and from the table.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its owner logged out.
    Logout,
    /// Its owner ended it from another session.
    EndedByOwner,
    /// An operator ended it.
    EndedByOperator,
    /// A refresh token was presented that had been replaced and could not be a repetition.
    RefreshTokenReused,
    PasswordChanged,
    /// Its owner said, by a link in a mail, that it was somebody else's.
    ReportedByOwner,
    AccountDisabled,
    /// A login opened one more session than an account may have; this one had been idle the longest.
    SessionLimit,
    /// What access tokens say of the account is no longer so. Ends access tokens, never a session.
    AccountChanged,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::EndedByOwner => "ended_by_owner",
            Self::EndedByOperator => "ended_by_operator",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::PasswordChanged => "password_changed",
            Self::ReportedByOwner => "reported_by_owner",
            Self::AccountDisabled => "account_disabled",
            Self::SessionLimit => "session_limit",
            Self::AccountChanged => "account_changed",
        }
    }
}

/// One entry of the log: a session that ended, or one access token of a session that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub session: SessionId,
    pub token: Option<TokenId>,
    /// When the last access token that it concerns will have expired.
    pub expires_at: Timestamp,
}

/// Appends entries that concern `user` to the log. To be called in the transaction that revokes.
pub fn append(conn: &mut Conn, entries: &[Revocation], user: UserId, reason: Reason, now: Timestamp) -> DbResult<()> {
    store::append(conn, entries, user, reason, now)
}

/// Marks what was revoked in the cache that servers share.
pub async fn mark(cache: &Cache, entries: &[Revocation], now: Timestamp) -> Result<(), CacheError> {
    let sessions = entries.iter().filter(|entry| entry.token.is_none());
    let sessions: Vec<_> = sessions.map(|entry| (entry.session, entry.expires_at)).collect();
    cache.mark_revoked(&sessions, now).await?;
    for entry in entries {
        if let Some(token) = entry.token {
            cache.supersede(entry.session, Superseded { token, from: now }, entry.expires_at.since(now)).await?;
        }
    }
    Ok(())
}

/// What the log says of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Nothing,
    /// The session has ended.
    SessionRevoked,
    /// The token has ended, and its session goes on.
    TokenRevoked,
}

/// The live part of the log in memory. Clones share it.
#[derive(Clone, Default)]
pub struct Log {
    live: Arc<RwLock<Live>>,
}

#[derive(Default)]
struct Live {
    sessions: HashMap<SessionId, Revocation>,
    tokens: HashMap<TokenId, Revocation>,
}

impl Live {
    fn holds(&self, entry: &Revocation) -> bool {
        match entry.token {
            Some(token) => self.tokens.contains_key(&token),
            None => self.sessions.contains_key(&entry.session),
        }
    }
}

impl Log {
    /// What the log says of an access token of `session`.
    pub fn says(&self, session: SessionId, token: TokenId) -> Said {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        if live.sessions.contains_key(&session) {
            Said::SessionRevoked
        } else if live.tokens.contains_key(&token) {
            Said::TokenRevoked
        } else {
            Said::Nothing
        }
    }

    pub fn add(&self, revocations: &[Revocation]) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        for entry in revocations {
            match entry.token {
                Some(token) => live.tokens.insert(token, *entry),
                None => live.sessions.insert(entry.session, *entry),
            };
        }
    }

    fn missing_from(&self, revocations: Vec<Revocation>) -> Vec<Revocation> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        revocations.into_iter().filter(|entry| !live.holds(entry)).collect()
    }

    fn sweep(&self, now: Timestamp) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.sessions.retain(|_, entry| entry.expires_at > now);
        live.tokens.retain(|_, entry| entry.expires_at > now);
    }

    fn all(&self) -> Vec<Revocation> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.sessions.values().chain(live.tokens.values()).copied().collect()
    }
}

/// Reads the log for one server.
pub struct Reader {
    db: Db,
    cache: Cache,
    clock: Clock,
    log: Log,
    cursor: Cursor,
    cache_restarts: u64,
}

impl Reader {
    pub fn new(db: Db, cache: Cache, clock: Clock, log: Log) -> Self {
        let cache_restarts = cache.recoveries();
        Self { db, cache, clock, log, cursor: Cursor::default(), cache_restarts }
    }

    /// Reads what was appended since the last call, everything that is live at the first, and marks it in the cache.
    /// A cache that was away is told the whole live log again.
    pub async fn read(&mut self) -> DbResult<()> {
        let (cursor, now) = (self.cursor, self.clock.now());
        let (revocations, next) = self.db.read(move |conn| store::since(conn, cursor, now)).await?;
        let fresh = self.log.missing_from(revocations);
        self.log.add(&fresh);
        self.cursor = next;
        let cache_restarts = self.cache.recoveries();
        let unmarked = if cache_restarts == self.cache_restarts { fresh } else { self.log.all() };
        self.cache_restarts = cache_restarts;
        // A fault of the cache costs nothing: this log is asked before it. With nothing to mark the cache is asked whether it
        // is there, so that a server without requests knows too, and the next request need not find out.
        let _ = match unmarked.as_slice() {
            [] => self.cache.ping().await,
            unmarked => mark(&self.cache, unmarked, now).await,
        };
        Ok(())
    }

    /// Reads for ever.
    pub async fn run(mut self) {
        let mut swept_at = self.clock.now();
        let mut failing = false;
        loop {
            tokio::time::sleep(READ_INTERVAL).await;
            let outcome = self.read().await;
            match &outcome {
                Err(error) if !failing => tracing::warn!(%error, "the log of revocations cannot be read"),
                Ok(()) if failing => tracing::info!("the log of revocations can be read again"),
                Ok(()) | Err(_) => {}
            }
            failing = outcome.is_err();
            let now = self.clock.now();
            if now.since(swept_at) >= SWEEP_INTERVAL {
                swept_at = now;
                self.log.sweep(now);
                if let Err(error) = self.db.write(move |conn| store::purge(conn, now)).await {
                    tracing::warn!(%error, "old revocations were not removed");
                }
            }
        }
    }
}
