//! Checks at each request whether an access token is valid at this moment.

use std::sync::Arc;
use std::time::Duration;

use keyturn_verify::Refusal;

use super::rotation::Note;
use super::store;
use super::{SessionSnapshot, Sessions, cache_entry};
use crate::cache::Lookup;
use crate::db::DbError;
use crate::metrics::CheckSource;
use crate::revocations::LogStatus;
use crate::tokens::access::Claims;
use crate::tokens::verified::VerifiedToken;
use crate::types::{KeyThumbprint, Timestamp, UserId};

/// How often the activity of a session is recorded.
const ACTIVITY_INTERVAL: Duration = Duration::from_secs(60);

/// Why an access token is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    /// The form, signature or claims of the token are not valid.
    #[error("the access token is not valid: {0}")]
    Invalid(#[from] Refusal),
    /// The session has ended or its account is disabled.
    #[error("the session has ended")]
    Ended,
    /// The token was revoked, or was replaced by a refresh longer ago than the replay window, or by two refreshes.
    #[error("the access token was replaced")]
    Superseded,
    /// The database failed, so it is not known whether the token is valid.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// A valid access token with the current state of its session and account.
pub(crate) struct CheckedToken {
    token: Arc<VerifiedToken>,
    /// The current state of the session and its account.
    pub snapshot: SessionSnapshot,
}

impl CheckedToken {
    /// Returns the claims of the token.
    pub(crate) fn claims(&self) -> &Claims {
        &self.token.claims
    }

    /// Returns the key that the token is bound to.
    pub(crate) fn bound_to(&self) -> Option<KeyThumbprint> {
        self.claims().cnf.map(|cnf| cnf.jkt)
    }

    /// Returns the administrator who acts for the account.
    pub(crate) fn impersonator(&self) -> Option<UserId> {
        self.snapshot.actor.or(self.claims().act.map(|act| act.sub))
    }

    /// Returns the account, unless an administrator acts for it.
    pub(crate) fn owner(&self) -> Option<UserId> {
        self.impersonator().is_none().then_some(self.claims().sub)
    }
}

/// The answer of the log, the cache or the database about a token.
enum Answer {
    Valid(Box<SessionSnapshot>),
    Ended,
    Superseded,
    /// The source does not know the token.
    AskDatabase,
}

impl Sessions {
    /// Checks an access token: its form, signature and claims, then the revocation log in memory, then the cache with
    /// one round trip, and the database only if the cache does not know the token.
    ///
    /// # Errors
    /// The token is not valid, its session has ended, or the database fails.
    pub(crate) async fn check(&self, token: &str) -> Result<CheckedToken, CheckError> {
        let now = self.clock.now();
        let token = self.verified.verify(token, &self.key_ring, &self.rules, now)?;
        // One that a client got in exchange opens what the client is for, and nothing of the account itself.
        if token.claims.is_exchanged() {
            return Err(Refusal::Claims.into());
        }
        self.check_verified(token, now).await
    }

    /// Checks an access token as [`Self::check`] does, also one for another audience, and one that a client got in
    /// exchange. It says what its holder may do elsewhere, and must open no route of this server.
    ///
    /// # Errors
    /// The token is not valid, its session has ended, or the database fails.
    pub(crate) async fn check_of_any_audience(&self, token: &str) -> Result<CheckedToken, CheckError> {
        let verified = self.verify_of_any_audience(token)?;
        self.check_verified(verified, self.clock.now()).await
    }

    /// Verifies form, signature and claims of an access token for whatever audience, and not whether it was revoked.
    ///
    /// # Errors
    /// The token is not valid.
    pub(crate) fn verify_of_any_audience(&self, token: &str) -> Result<Arc<VerifiedToken>, Refusal> {
        self.verified.verify(token, &self.key_ring, &self.rules_for_any_audience, self.clock.now())
    }

    async fn check_verified(&self, token: Arc<VerifiedToken>, now: Timestamp) -> Result<CheckedToken, CheckError> {
        let session = token.claims.sid;
        // The use of an exchanged token does not tell that the client has its current one.
        let seen = (!token.claims.is_exchanged()).then_some(token.claims.jti);
        match self.look_up(&token.claims, now).await? {
            Answer::Valid(snapshot) if snapshot.subject.id != token.claims.sub => Err(Refusal::Claims.into()),
            Answer::Valid(snapshot) => {
                if token.should_record_activity(now, ACTIVITY_INTERVAL) {
                    self.rotator.note(Note { session, seen, replay: None, at: now });
                }
                Ok(CheckedToken { token, snapshot: *snapshot })
            }
            Answer::Superseded => Err(CheckError::Superseded),
            Answer::Ended | Answer::AskDatabase => Err(CheckError::Ended),
        }
    }

    /// Looks the token up in the log in memory, the cache and the database, in this order, until one knows it.
    async fn look_up(&self, claims: &Claims, now: Timestamp) -> Result<Answer, CheckError> {
        let is_token_revoked = self.log.is_token_revoked(claims.jti)
            || claims.exchanging_client().is_some_and(|client| self.log.is_client_revoked(client));
        let valid_from = match self.log.status(claims.sid) {
            LogStatus::ValidFrom(revision) if claims.rev >= revision && !is_token_revoked => revision,
            status => {
                self.metrics.checked(CheckSource::Log);
                return Ok(if status == LogStatus::Revoked { Answer::Ended } else { Answer::Superseded });
            }
        };
        if let Ok(found) = self.cache.lookup(claims.sid, claims.jti).await {
            match judge_lookup(found, claims, valid_from, self.policy.replay_window, now) {
                Answer::AskDatabase => {}
                answer => {
                    self.metrics.checked(CheckSource::Cache);
                    return Ok(answer);
                }
            }
        }
        self.metrics.checked(CheckSource::Database);
        self.look_up_in_database(claims, now).await
    }

    async fn look_up_in_database(&self, claims: &Claims, now: Timestamp) -> Result<Answer, CheckError> {
        let session = claims.sid;
        let Some(family) = self.db.read(move |conn| store::token_family(conn, session)).await? else {
            return Ok(Answer::Ended);
        };
        if family.revoked_at.is_some() || family.disabled_at.is_some() {
            self.publish_found(&family).await;
            return Ok(Answer::Ended);
        }
        self.put_in_cache(&family.snapshot, now).await;
        Ok(match judge_snapshot(family.snapshot, claims, self.policy.replay_window, now) {
            // The token is neither the current nor the previous one of the row, so it is older than both.
            Answer::AskDatabase => Answer::Superseded,
            answer => answer,
        })
    }
}

/// Judges a token by what the cache holds. A mark of a revocation takes precedence over the entry, and an entry of a
/// revision before `valid_from` counts as missing.
fn judge_lookup(found: Lookup, claims: &Claims, valid_from: i64, replay_window: Duration, now: Timestamp) -> Answer {
    let valid_from = valid_from.max(found.valid_from);
    if found.revoked {
        return Answer::Ended;
    }
    if claims.rev < valid_from || found.superseded_from.is_some_and(|from| now >= from) {
        return Answer::Superseded;
    }
    match found.entry.and_then(|entry| cache_entry::decode(&entry)) {
        None => Answer::AskDatabase,
        Some(snapshot) if snapshot.revision < valid_from => Answer::AskDatabase,
        // The token is valid until its mark takes effect, even if more than one refresh followed.
        Some(snapshot)
            if found.superseded_from.is_some()
                && now < snapshot.deadline()
                && claims.rev >= snapshot.valid_from_revision =>
        {
            Answer::Valid(Box::new(snapshot))
        }
        Some(snapshot) => judge_snapshot(snapshot, claims, replay_window, now),
    }
}

/// Judges a token by its session's snapshot: the current token is valid, and the previous one during the replay window.
fn judge_snapshot(snapshot: SessionSnapshot, claims: &Claims, replay_window: Duration, now: Timestamp) -> Answer {
    if now >= snapshot.deadline() {
        return Answer::Ended;
    }
    if claims.rev < snapshot.valid_from_revision {
        return Answer::Superseded;
    }
    // A session does not know the tokens that were exchanged for its own. They end when it does, or in the log.
    if snapshot.access_jti == claims.jti || claims.is_exchanged() {
        return Answer::Valid(Box::new(snapshot));
    }
    if snapshot.former_access_jti != Some(claims.jti) {
        return Answer::AskDatabase;
    }
    if now < snapshot.issued_at.plus(replay_window) { Answer::Valid(Box::new(snapshot)) } else { Answer::Superseded }
}
