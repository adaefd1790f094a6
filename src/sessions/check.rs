//! The check on each request: is this access token good now?

use std::sync::Arc;
use std::time::Duration;

use super::rotation::Note;
use super::store;
use super::{Parts, Sessions, Standing};
use crate::cache::Lookup;
use crate::clock::Timestamp;
use crate::db::DbError;
use crate::db::types::{SessionId, TokenId};
use crate::metrics::CheckSource;
use crate::revocations::Said;
use crate::tokens::access::{Claims, InvalidToken};
use crate::tokens::verified::VerifiedToken;

/// How often the activity of a session is written down.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(60);

/// Why a check did not say yes.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    #[error("the access token is not valid: {0}")]
    Invalid(#[from] InvalidToken),
    /// The session has ended, or its account was disabled.
    #[error("the session was ended")]
    Ended,
    /// A refresh replaced the token longer than the replay window ago, or a second one has followed.
    #[error("the access token was replaced")]
    Superseded,
    /// It cannot be said whether the token is good.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// A token that is good, and what its session's account is at this moment.
pub struct Checked {
    token: Arc<VerifiedToken>,
    pub standing: Standing,
}

impl Checked {
    pub fn claims(&self) -> &Claims {
        &self.token.claims
    }
}

/// What a source says of a token.
enum Answer {
    Good(Box<Standing>),
    Ended,
    Superseded,
    /// The source does not know, or knows less than the token shows.
    AskDatabase,
}

impl Sessions {
    /// Checks an access token: its form, signature and claims, the log of revocations in memory, one round trip to
    /// the cache, and where that does not answer, the database.
    pub async fn check(&self, token: &str) -> Result<Checked, CheckError> {
        let parts = &*self.0;
        let now = parts.clock.now();
        let token = parts.verified.verify(token, &parts.ring, &parts.parties(), now)?;
        let (session, access_token) = (token.claims.sid, token.claims.jti);
        match parts.standing_of(session, access_token, now).await? {
            Answer::Good(standing) => {
                if token.should_note_activity(now, ACTIVITY_INTERVAL) {
                    parts.rotator.note(Note { session, seen: Some(access_token), replay: None, at: now });
                }
                Ok(Checked { token, standing: *standing })
            }
            Answer::Superseded => Err(CheckError::Superseded),
            Answer::Ended | Answer::AskDatabase => Err(CheckError::Ended),
        }
    }
}

impl Parts {
    async fn standing_of(&self, session: SessionId, token: TokenId, now: Timestamp) -> Result<Answer, CheckError> {
        let said = match self.log.says(session, token) {
            Said::Nothing => None,
            Said::SessionRevoked => Some(Answer::Ended),
            Said::TokenRevoked => Some(Answer::Superseded),
        };
        if let Some(answer) = said {
            self.metrics.checked(CheckSource::Log);
            return Ok(answer);
        }
        if let Ok(found) = self.cache.lookup(session, token).await {
            match by_cache(found, token, self.policy.replay_window, now) {
                Answer::AskDatabase => {}
                answer => {
                    self.metrics.checked(CheckSource::Cache);
                    return Ok(answer);
                }
            }
        }
        self.metrics.checked(CheckSource::Database);
        self.by_database(session, token, now).await
    }

    async fn by_database(&self, session: SessionId, token: TokenId, now: Timestamp) -> Result<Answer, CheckError> {
        let Some(chain) = self.db.read(move |conn| store::chain(conn, session)).await? else {
            return Ok(Answer::Ended);
        };
        if chain.revoked_at.is_some() || chain.disabled_at.is_some() {
            return Ok(Answer::Ended);
        }
        self.remember(&chain.standing, now).await;
        Ok(match by_standing(chain.standing, token, self.policy.replay_window, now) {
            // The row knows neither the token nor its successor: it is older than both.
            Answer::AskDatabase => Answer::Superseded,
            answer => answer,
        })
    }
}

/// What the cache says. A mark beats the entry.
fn by_cache(found: Lookup, token: TokenId, replay_window: Duration, now: Timestamp) -> Answer {
    if found.revoked {
        return Answer::Ended;
    }
    if found.superseded_from.is_some_and(|from| now >= from) {
        return Answer::Superseded;
    }
    match found.entry.and_then(|entry| serde_json::from_slice::<Standing>(&entry).ok()) {
        // Its mark is not in force yet, though more than one refresh may have followed.
        Some(standing) if found.superseded_from.is_some() && now < standing.deadline() => {
            Answer::Good(Box::new(standing))
        }
        Some(standing) => by_standing(standing, token, replay_window, now),
        None => Answer::AskDatabase,
    }
}

/// What a session's standing says of a token: its own is good, the one before for the length of the replay window.
fn by_standing(standing: Standing, token: TokenId, replay_window: Duration, now: Timestamp) -> Answer {
    if now >= standing.deadline() {
        return Answer::Ended;
    }
    if standing.access_token == token {
        return Answer::Good(Box::new(standing));
    }
    if standing.former_access_token != Some(token) {
        return Answer::AskDatabase;
    }
    if now < standing.issued_at.plus(replay_window) { Answer::Good(Box::new(standing)) } else { Answer::Superseded }
}
