//! Refreshes: exchange a refresh token for its successor. A refresh can be repeated, and a token family never forks.
//!
//! | presented | result |
//! | --- | --- |
//! | the current token | rotation: a new generation of tokens |
//! | the current token with the key of its rotation, within the replay window | replay: itself |
//! | its parent, within the replay window | replay: the same successor, and an access token with the same `jti` |
//! | its parent, later, while its successors are unused | recovery: the same successor and a new access token |
//! | its parent otherwise, or an older token (a replaced token), with the key of its rotation | echo: refused |
//! | a replaced token, by a request that arrived before the last rotation | refused as retryable |
//! | a replaced token for the first time, within the echo horizon | doubt: recorded, and refused as retryable |
//! | a replaced token otherwise | reuse: the session is revoked |
//! | a token of a later generation than the row's | catch-up: the database has lost commits, and the row follows |
//!
//! A session that is bound to a key (RFC 9449) is refreshed with a proof of that key only. Without it, nothing is
//! judged.
//!
//! The successors are the refresh token that the last rotation issued and its access token. A session has a limited
//! number of recoveries, which rotations restore, unless it is bound to a key. A request whose client has closed the
//! connection is never judged, because its handler is dropped.

mod idempotency_key;
mod judgement;

use super::revoke::SessionSelector;
use super::rotation::{self, Note, Outcome, Replay, Rotated, Rotation, RotationTimes};
use super::store::{self, TokenFamily};
use super::{IssueError, IssuedTokens, Policy, Sessions};
use crate::audit::{Actor, Event, Record};
use crate::db::types::IpColumn;
use crate::db::{Conn, DbError, DbResult};
use crate::devices::{Device, Place};
use crate::mail::{Activity, DeviceName, Email};
use crate::metrics::RefreshOutcome;
use crate::revocations::Reason;
use crate::tokens::access::SigningError;
use crate::tokens::opaque::{Purpose, TokenRecord};
use crate::tokens::refresh::{RefreshToken, RotationSalt};
use crate::types::{Jti, Language, Requester, SessionId, Timestamp, UserId};

pub(crate) use idempotency_key::{IdempotencyKey, InvalidIdempotencyKey};
pub(crate) use judgement::Presented;
pub(super) use judgement::{Judgement, judge};

/// The number of attempts at a refresh while concurrent requests change the row.
const ATTEMPTS: usize = 8;

/// Why a refresh is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefreshError {
    /// The token is forged, damaged or from another server.
    #[error("the refresh token is not valid")]
    Invalid,
    /// The token is authentic but was replaced, and this is not a replay. The session is revoked.
    #[error("the refresh token was used before")]
    Reused,
    /// The session was revoked, or its account is disabled.
    #[error("the session was revoked")]
    Revoked,
    /// The session has expired or was deleted.
    #[error("the session has expired")]
    Expired,
    /// The request is a copy of an earlier one, whose answer the client has used. The session stays valid.
    #[error("this refresh was answered before, and the answer was used: read the tokens from your store again")]
    AlreadyRefreshed,
    /// The token was replaced a moment ago, and the request may be a copy of an earlier one. The session stays valid.
    #[error("the refresh token was replaced a moment ago: read the tokens from your store again and go on with those")]
    Replaced,
    /// The session is bound to a key, and the request has no proof of its possession. The session stays valid.
    #[error("the session is bound to a key, and the request has no DPoP proof")]
    ProofMissing,
    /// The session is bound to another key than that of the proof. The session stays valid.
    #[error("the session is bound to another key than that of the DPoP proof")]
    OtherKey,
    /// The outcome is not known. The client may repeat the request.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<DbError> for RefreshError {
    fn from(error: DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<SigningError> for RefreshError {
    fn from(error: SigningError) -> Self {
        Self::Issue(error.into())
    }
}

impl Sessions {
    /// Refreshes with the token that is `presented`. The rotation is durable when this returns.
    ///
    /// # Errors
    /// The token is refused. After [`RefreshError::Issue`] the outcome is not known, and the same call may be repeated.
    pub(crate) async fn refresh(
        &self,
        presented: Presented<'_>,
        requester: &Requester,
    ) -> Result<IssuedTokens, RefreshError> {
        let outcome = self.try_refresh(presented, requester).await;
        self.metrics.refreshed(match &outcome {
            Ok((_, outcome)) => *outcome,
            Err(RefreshError::Invalid) => RefreshOutcome::Invalid,
            Err(RefreshError::Reused) => RefreshOutcome::Reused,
            Err(RefreshError::Revoked) => RefreshOutcome::Revoked,
            Err(RefreshError::Expired) => RefreshOutcome::Expired,
            Err(RefreshError::AlreadyRefreshed) => RefreshOutcome::AlreadyRefreshed,
            Err(RefreshError::Replaced) => RefreshOutcome::Doubted,
            Err(RefreshError::ProofMissing | RefreshError::OtherKey) => RefreshOutcome::Unproven,
            Err(RefreshError::Issue(_)) => RefreshOutcome::Unavailable,
        });
        outcome.map(|(tokens, _)| tokens)
    }

    /// Parses a refresh token and checks its MAC, without I/O.
    ///
    /// # Errors
    /// The token is forged, damaged or from another server.
    pub(crate) fn parse_refresh_token(&self, text: &str) -> Result<RefreshToken, RefreshError> {
        let token = RefreshToken::parse(text, &self.refresh_key);
        token.ok_or_else(|| {
            self.metrics.refreshed(RefreshOutcome::Invalid);
            RefreshError::Invalid
        })
    }

    async fn try_refresh(
        &self,
        presented: Presented<'_>,
        requester: &Requester,
    ) -> Result<(IssuedTokens, RefreshOutcome), RefreshError> {
        self.clock.check().map_err(DbError::from)?;
        let token = presented.token;
        let salt = RotationSalt(self.random.bytes());
        let successor = token.successor(&salt, &self.refresh_key);
        let rotation = Rotation {
            session: token.session,
            presented: token.digest(),
            successor: successor.digest(),
            salt,
            access_jti: Jti(self.random.id(presented.arrived)),
            ip: requester.ip.map(IpColumn),
            key: presented.key,
            repeats_since: presented.repeats_since(&self.policy),
            proven: presented.proven,
        };
        for _ in 0..ATTEMPTS {
            if let Some(rotated) = self.rotate(&rotation, requester).await? {
                let snapshot = &rotated.snapshot;
                return Ok((self.issue(snapshot, successor, snapshot.issued_at)?, RefreshOutcome::Rotated));
            }
            let attempt = Attempt { presented, rotation: &rotation, requester };
            if let Some(issued) = self.judge_attempt(attempt).await? {
                return Ok(issued);
            }
        }
        Err(DbError::Unavailable("the session is changed by too many concurrent requests".to_owned()).into())
    }

    async fn rotate(&self, rotation: &Rotation, requester: &Requester) -> DbResult<Option<Rotated>> {
        let audited = self.policy.audit_refreshes.then(|| requester.clone());
        let rotated = match self.rotator.rotate(*rotation, audited.clone()).await? {
            // The rotator has queued the entry. A check of the new access token that comes first reads the database.
            Outcome::Rotated(rotated) if !self.policy.waits_for_cache() => return Ok(Some(*rotated)),
            Outcome::Rotated(rotated) => Some(*rotated),
            Outcome::NotCurrent => None,
            Outcome::RetryAlone => {
                let rotation = *rotation;
                let times = self.rotation_times();
                let audit = self.audit.clone();
                self.db
                    .write(move |conn| rotation::rotate_alone(conn, &rotation, times, &audit, audited.as_ref()))
                    .await?
            }
        };
        if let Some(rotated) = &rotated {
            self.put_in_cache(&rotated.snapshot, rotated.snapshot.issued_at).await;
        }
        Ok(rotated)
    }

    fn rotation_times(&self) -> RotationTimes {
        RotationTimes::new(self.clock.now(), &self.policy)
    }

    /// Judges a refresh whose token was not current. Returns `None` if the row has changed, so that the refresh is
    /// tried again.
    async fn judge_attempt(
        &self,
        attempt: Attempt<'_>,
    ) -> Result<Option<(IssuedTokens, RefreshOutcome)>, RefreshError> {
        let Attempt { presented, requester, .. } = attempt;
        let token = presented.token;
        let session = token.session;
        // A missing row was deleted long after the session had ended.
        let found = self.db.read(move |conn| store::token_family(conn, session)).await?;
        let family = found.ok_or(RefreshError::Expired)?;
        // Before anything is judged: a token without its key is no evidence of anything.
        require_key(&family, presented)?;
        let now = self.clock.now();
        match judge(&family, presented, &self.policy, now) {
            Judgement::Current => Ok(None),
            judgement @ (Judgement::Replay | Judgement::Repeated) => {
                let replay = Replay { user: family.snapshot.subject.id, requester: requester.clone() };
                self.rotator.note(Note { session, seen: None, replay: Some(replay), at: now });
                let is_parent = judgement == Judgement::Replay;
                let successor = if is_parent { self.same_successor(&family, token)? } else { token.clone() };
                Ok(Some((self.issue(&family.snapshot, successor, now)?, RefreshOutcome::Replayed)))
            }
            Judgement::Recover { debt } => self.recover(family, attempt, debt, now).await,
            Judgement::CatchUp => self.catch_up(attempt).await,
            Judgement::Echo => Err(RefreshError::AlreadyRefreshed),
            Judgement::Overtaken | Judgement::DoubtedBefore => Err(RefreshError::Replaced),
            Judgement::Doubt => self.doubt(family, attempt).await,
            Judgement::Reused => {
                self.revoke_reused(session, requester).await?;
                Err(RefreshError::Reused)
            }
            Judgement::ReusedAfterEnd => {
                self.publish_found(&family).await;
                Err(RefreshError::Reused)
            }
            Judgement::Revoked => {
                self.publish_found(&family).await;
                Err(RefreshError::Revoked)
            }
            Judgement::Expired => Err(RefreshError::Expired),
        }
    }

    /// Derives the same successor as the last rotation.
    fn same_successor(&self, family: &TokenFamily, token: &RefreshToken) -> DbResult<RefreshToken> {
        let salt = family.rotation_salt.as_deref().and_then(|salt| salt.try_into().ok());
        let salt = salt.ok_or_else(|| DbError::Unexpected("a session has a parent token but no salt".to_owned()))?;
        Ok(token.stored_successor(&RotationSalt(salt), &self.refresh_key, &family.token_digest))
    }

    async fn recover(
        &self,
        mut family: TokenFamily,
        Attempt { presented, requester, .. }: Attempt<'_>,
        debt: i32,
        now: Timestamp,
    ) -> Result<Option<(IssuedTokens, RefreshOutcome)>, RefreshError> {
        let successor = self.same_successor(&family, presented.token)?;
        let access_jti = Jti(self.random.id(now));
        let audit = self.audit.clone();
        let expected = family.clone();
        let record = refresh_record(Event::RefreshRecovered, &family, requester);
        let times = RotationTimes::new(now, &self.policy);
        let recovered = self.db.write(move |conn| {
            let recovered = store::recover(conn, &expected, access_jti, debt, times)?;
            if recovered && !expected.recovered {
                audit.append(conn, &record)?;
            }
            Ok(recovered)
        });
        if !recovered.await? {
            return Ok(None);
        }
        family.snapshot.revision += 1;
        family.snapshot.former_access_jti = Some(family.snapshot.access_jti);
        family.snapshot.access_jti = access_jti;
        family.snapshot.issued_at = now;
        family.snapshot.access_expires_at = family.snapshot.access_expires_at.max(times.access_expires_at);
        self.put_in_cache(&family.snapshot, now).await;
        Ok(Some((self.issue(&family.snapshot, successor, now)?, RefreshOutcome::Recovered)))
    }

    async fn catch_up(
        &self,
        Attempt { presented, rotation, requester }: Attempt<'_>,
    ) -> Result<Option<(IssuedTokens, RefreshOutcome)>, RefreshError> {
        let token = presented.token;
        let rotation = *rotation;
        let times = self.rotation_times();
        let generation = i64::from(token.generation);
        let session = token.session;
        let audit = self.audit.clone();
        let requester = requester.clone();
        let caught_up = self.db.write(move |conn| {
            if !store::catch_up(conn, &rotation, generation, times)? {
                return Ok(None);
            }
            let family = store::token_family(conn, session)?;
            if let Some(family) = &family {
                audit.append(conn, &refresh_record(Event::RefreshCaughtUp, family, &requester))?;
            }
            Ok(family)
        });
        let Some(family) = caught_up.await? else { return Ok(None) };
        tracing::warn!(%session, generation, "a refresh token is newer than the database, which has lost commits");
        let now = family.snapshot.issued_at;
        self.put_in_cache(&family.snapshot, now).await;
        let successor = self.same_successor(&family, token)?;
        Ok(Some((self.issue(&family.snapshot, successor, now)?, RefreshOutcome::CaughtUp)))
    }

    /// Records that a replaced token was presented for the first time. Returns `None` if the row has changed.
    async fn doubt(
        &self,
        family: TokenFamily,
        Attempt { presented, requester, .. }: Attempt<'_>,
    ) -> Result<Option<(IssuedTokens, RefreshOutcome)>, RefreshError> {
        let generation = i64::from(presented.token.generation);
        let arrived = presented.arrived;
        let audit = self.audit.clone();
        let record = refresh_record(Event::RefreshDoubted, &family, requester);
        let doubted = self.db.write(move |conn| {
            let doubted = store::doubt(conn, &family, generation, arrived)?;
            if doubted {
                audit.append(conn, &record)?;
            }
            Ok(doubted)
        });
        if doubted.await? { Err(RefreshError::Replaced) } else { Ok(None) }
    }

    async fn revoke_reused(&self, session: SessionId, requester: &Requester) -> DbResult<()> {
        let sessions = self.clone();
        let actor = Actor::anonymous(requester);
        let revoked = self.db.write(move |conn| {
            let selector = SessionSelector::One(session);
            let revoked = sessions.revoke_in(conn, selector, Reason::RefreshTokenReused, &actor)?;
            for (session, user) in revoked.sessions() {
                let record = Record::new(Event::RefreshTokenReused, &actor).on(*user).session(*session);
                sessions.audit.append(conn, &record)?;
                sessions.queue_reuse_alert(conn, *session, *user, actor.requester.language)?;
            }
            Ok(revoked)
        });
        self.publish(&revoked.await?).await;
        self.mail.wake();
        Ok(())
    }

    /// Queues the email about a reused refresh token, even if the owner has disabled alerts. Its link revokes all
    /// sessions of the account, because this one is already revoked.
    fn queue_reuse_alert(
        &self,
        conn: &mut Conn,
        session: SessionId,
        user: UserId,
        asked: Option<Language>,
    ) -> DbResult<()> {
        let Some(summary) = store::summary(conn, session)? else { return Ok(()) };
        let now = self.clock.now();
        let record = TokenRecord { purpose: Purpose::ReportLogin, user, session: None };
        let link = self.mail.issue_link(conn, record, now)?;
        let activity = Activity {
            device: match summary.name {
                Some(name) => DeviceName::chosen(name),
                None => Device::from_column(&summary.device).into(),
            },
            place: summary.location.as_ref().and_then(Place::from_column).map(|place| place.label()),
            ip: summary.ip.map(|ip| ip.to_string()),
            at: now,
            by_operator: false,
        };
        self.mail.queue(conn, &summary.email, asked, &Email::RefreshReused { activity, link }, now)
    }
}

/// Checks that the client has proven the possession of the key that a session is bound to.
fn require_key(family: &TokenFamily, presented: Presented<'_>) -> Result<(), RefreshError> {
    match (family.snapshot.bound_to, presented.proven) {
        (Some(_), None) => Err(RefreshError::ProofMissing),
        (Some(bound_to), Some(proven)) if bound_to != proven => Err(RefreshError::OtherKey),
        (Some(_) | None, _) => Ok(()),
    }
}

/// A refresh that is being judged.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    presented: Presented<'a>,
    rotation: &'a Rotation,
    requester: &'a Requester,
}

/// Returns the audit record of an event that the holder of a refresh token caused.
fn refresh_record(event: Event, family: &TokenFamily, requester: &Requester) -> Record {
    let snapshot = &family.snapshot;
    Record::new(event, &Actor::anonymous(requester)).on(snapshot.subject.id).session(snapshot.session)
}
