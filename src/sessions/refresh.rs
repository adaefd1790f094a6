//! A refresh: one token for its successor. It can be repeated, and never forks.
//!
//! | presented | what follows |
//! | --- | --- |
//! | the current token | rotation: a new generation |
//! | its parent, within the replay window | the same successor and the same access token's id again |
//! | its parent, later, while nobody has used the successor or its access token | recovery: the same successor, a fresh access token; a session has few of these in reserve |
//! | its parent otherwise, or any older token | theft: the session ends |
//! | the same, on its way since before the last rotation | to be tried again: it may have been a repetition when it was sent |
//! | a token of a later generation than the row's | we issued it and the database lost it: the row follows |

use std::sync::Arc;

use super::revoke::Which;
use super::rotation::{self, Note, Outcome, Replay, Rotated, Rotation, RotationTimes};
use super::store::{self, Chain};
use super::{Grant, IssueError, Parts, Policy, Sessions};
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::db::types::{Address, SessionId, TokenId, UserId};
use crate::db::{Conn, DbResult};
use crate::devices::{Device, Place};
use crate::mail::{Letter, Occasion};
use crate::metrics::RefreshOutcome;
use crate::revocations::Reason;
use crate::tokens::one_time::{self, Bearer, Purpose};
use crate::tokens::refresh::{RefreshToken, RotationSalt};

/// What one recovery adds to a session's debt; each rotation pays back one.
const RECOVERY_COST: i32 = 8;

/// How often a refresh is judged anew because the row changed while it was judged.
const ATTEMPTS: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Not a token of ours: forged, damaged or of another server.
    #[error("the refresh token is not valid")]
    Invalid,
    /// Authentic, but replaced, and no repetition: the session has ended.
    #[error("the refresh token had been replaced")]
    Reused,
    #[error("the session was ended")]
    Revoked,
    #[error("the session has expired")]
    Expired,
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<crate::db::DbError> for RefreshError {
    fn from(error: crate::db::DbError) -> Self {
        Self::Issue(error.into())
    }
}

impl From<crate::tokens::access::SigningFailed> for RefreshError {
    fn from(error: crate::tokens::access::SigningFailed) -> Self {
        Self::Issue(error.into())
    }
}

/// What a row says of a token that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    Current,
    Replay,
    /// To be handed out again, with the debt that the session has then.
    Recover {
        debt: i32,
    },
    Follow,
    /// Theft of a live session.
    Reused,
    /// The same of one that has ended already: nothing changes.
    ReusedAfterEnd,
    Revoked,
    Expired,
}

/// Judges the token of `generation` by the row. `is_current` and `is_parent` say which of the row's digests is its.
fn judge(chain: &Chain, token: &RefreshToken, policy: &Policy, now: Timestamp) -> Judgement {
    let (presented, current) = (i64::from(token.generation), chain.standing.generation);
    let digest = token.digest();
    let is_parent = presented.saturating_add(1) == current
        && chain.parent_digest.as_deref().is_some_and(|parent| digest.matches(parent));
    let is_current = presented == current && digest.matches(&chain.token_digest);
    let revoked = chain.revoked_at.is_some() || chain.disabled_at.is_some();
    let expired = now >= chain.standing.deadline();
    if !(is_current || is_parent || presented > current) {
        return if revoked || expired { Judgement::ReusedAfterEnd } else { Judgement::Reused };
    }
    if revoked {
        return Judgement::Revoked;
    }
    if expired {
        return Judgement::Expired;
    }
    if is_current {
        return Judgement::Current;
    }
    if !is_parent {
        return Judgement::Follow;
    }
    if now.since(chain.standing.issued_at) < policy.replay_window {
        return Judgement::Replay;
    }
    let debt = if chain.recovered { chain.recovery_debt } else { chain.recovery_debt.saturating_add(RECOVERY_COST) };
    let limit = i64::from(policy.recoveries).saturating_mul(i64::from(RECOVERY_COST));
    if chain.access_seen || i64::from(debt) > limit { Judgement::Reused } else { Judgement::Recover { debt } }
}

impl Sessions {
    /// Refreshes with `token`. Durable before it is answered; on [`IssueError`] the outcome is not known
    /// and the same call may be made again.
    pub async fn refresh(&self, token: &RefreshToken, client: &Client) -> Result<Grant, RefreshError> {
        let parts = &self.0;
        let outcome = parts.refresh(token, client).await;
        parts.metrics.refreshed(match &outcome {
            Ok((_, outcome)) => *outcome,
            Err(RefreshError::Invalid) => RefreshOutcome::Invalid,
            Err(RefreshError::Reused) => RefreshOutcome::Reused,
            Err(RefreshError::Revoked) => RefreshOutcome::Revoked,
            Err(RefreshError::Expired) => RefreshOutcome::Expired,
            Err(RefreshError::Issue(_)) => RefreshOutcome::Unavailable,
        });
        outcome.map(|(grant, _)| grant)
    }

    /// Reads a refresh token without any I/O.
    pub fn parse_refresh_token(&self, text: &str) -> Result<RefreshToken, RefreshError> {
        let token = RefreshToken::parse(text, &self.0.refresh_key);
        token.ok_or_else(|| {
            self.0.metrics.refreshed(RefreshOutcome::Invalid);
            RefreshError::Invalid
        })
    }
}

impl Parts {
    async fn refresh(
        self: &Arc<Self>,
        token: &RefreshToken,
        client: &Client,
    ) -> Result<(Grant, RefreshOutcome), RefreshError> {
        let arrived = self.clock.now();
        let salt = RotationSalt(self.random.bytes());
        let successor = token.successor(&salt, &self.refresh_key);
        let rotation = Rotation {
            session: token.session,
            presented: token.digest(),
            successor: successor.digest(),
            salt,
            access_token: TokenId(self.random.id(arrived)),
            address: client.address.map(Address),
        };
        for _ in 0..ATTEMPTS {
            if let Some(rotated) = self.rotate(&rotation, client).await? {
                return Ok((self.rotated(rotated, successor).await?, RefreshOutcome::Rotated));
            }
            let attempt = Attempt { token, rotation: &rotation, client, arrived };
            if let Some(granted) = self.repeat(attempt).await? {
                return Ok(granted);
            }
        }
        Err(crate::db::DbError::Unavailable("the session changes too fast".to_owned()).into())
    }

    async fn rotate(self: &Arc<Self>, rotation: &Rotation, client: &Client) -> DbResult<Option<Rotated>> {
        let audited = self.policy.audit_refreshes.then(|| client.clone());
        match self.rotator.rotate(*rotation, audited.clone()).await? {
            Outcome::Rotated(rotated) => Ok(Some(*rotated)),
            Outcome::NotCurrent => Ok(None),
            Outcome::Alone => {
                let (parts, rotation, times) = (Arc::clone(self), *rotation, self.rotation_times());
                self.db
                    .write(move |conn| rotation::rotate_alone(conn, &rotation, times, &parts.audit, audited.as_ref()))
                    .await
            }
        }
    }

    fn rotation_times(&self) -> RotationTimes {
        let now = self.clock.now();
        RotationTimes { now, expires_at: now.plus(self.policy.refresh_token_ttl) }
    }

    async fn rotated(&self, rotated: Rotated, successor: RefreshToken) -> Result<Grant, RefreshError> {
        let now = rotated.standing.issued_at;
        self.remember(&rotated.standing, now).await;
        Ok(self.grant(&rotated.standing, successor, now)?)
    }

    /// What a refresh is that was not a rotation. `None` when the row changed meanwhile: to be tried from the start.
    async fn repeat(self: &Arc<Self>, attempt: Attempt<'_>) -> Result<Option<(Grant, RefreshOutcome)>, RefreshError> {
        let Attempt { token, client, arrived, .. } = attempt;
        let session = token.session;
        // A row that is gone was removed long after the session's end.
        let chain = self.db.read(move |conn| store::chain(conn, session)).await?.ok_or(RefreshError::Expired)?;
        let now = self.clock.now();
        match judge(&chain, token, &self.policy, now) {
            Judgement::Current => Ok(None),
            Judgement::Replay => {
                let replay = Replay { user: chain.standing.subject.id, client: client.clone() };
                self.rotator.note(Note { session, seen: None, replay: Some(replay), at: now });
                let grant = self.grant(&chain.standing, self.same_successor(&chain, token)?, now)?;
                Ok(Some((grant, RefreshOutcome::Replayed)))
            }
            Judgement::Recover { debt } => self.recover(chain, attempt, debt, now).await,
            Judgement::Follow => self.follow(attempt).await,
            // The client went on while the request was on its way: it may have been a repetition when it was sent.
            // A thief who asks again is caught.
            Judgement::Reused if chain.standing.issued_at > arrived => {
                Err(crate::db::DbError::Unavailable("the session was refreshed meanwhile".to_owned()).into())
            }
            Judgement::Reused => {
                self.end_for_reuse(session, client).await?;
                Err(RefreshError::Reused)
            }
            Judgement::ReusedAfterEnd => Err(RefreshError::Reused),
            Judgement::Revoked => Err(RefreshError::Revoked),
            Judgement::Expired => Err(RefreshError::Expired),
        }
    }

    fn same_successor(&self, chain: &Chain, token: &RefreshToken) -> DbResult<RefreshToken> {
        let salt = chain.rotation_salt.as_deref().and_then(|salt| salt.try_into().ok());
        let salt =
            salt.ok_or_else(|| crate::db::DbError::Unexpected("a session with a parent but no salt".to_owned()))?;
        Ok(token.successor(&RotationSalt(salt), &self.refresh_key))
    }

    async fn recover(
        self: &Arc<Self>,
        mut chain: Chain,
        Attempt { token, client, .. }: Attempt<'_>,
        debt: i32,
        now: Timestamp,
    ) -> Result<Option<(Grant, RefreshOutcome)>, RefreshError> {
        let successor = self.same_successor(&chain, token)?;
        let access_token = TokenId(self.random.id(now));
        let (parts, before, record) = (Arc::clone(self), chain.clone(), about(Event::RefreshRecovered, &chain, client));
        let recovered = self.db.write(move |conn| {
            let recovered = store::recover(conn, &before, access_token, debt, now)?;
            if recovered && !before.recovered {
                parts.audit.append(conn, &record)?;
            }
            Ok(recovered)
        });
        if !recovered.await? {
            return Ok(None);
        }
        chain.standing.revision += 1;
        chain.standing.former_access_token = Some(chain.standing.access_token);
        chain.standing.access_token = access_token;
        chain.standing.issued_at = now;
        self.remember(&chain.standing, now).await;
        Ok(Some((self.grant(&chain.standing, successor, now)?, RefreshOutcome::Recovered)))
    }

    async fn follow(
        self: &Arc<Self>,
        Attempt { token, rotation, client, .. }: Attempt<'_>,
    ) -> Result<Option<(Grant, RefreshOutcome)>, RefreshError> {
        let (rotation, times, generation) = (*rotation, self.rotation_times(), i64::from(token.generation));
        let (parts, client, session) = (Arc::clone(self), client.clone(), token.session);
        let followed = self
            .db
            .write(move |conn| {
                if !store::follow(conn, &rotation, generation, times)? {
                    return Ok(None);
                }
                let chain = store::chain(conn, session)?;
                if let Some(chain) = &chain {
                    parts.audit.append(conn, &about(Event::RefreshFollowed, chain, &client))?;
                }
                Ok(chain)
            })
            .await?;
        let Some(chain) = followed else { return Ok(None) };
        tracing::warn!(%session, generation, "a refresh token is newer than the database: commits were lost, the session follows");
        let now = chain.standing.issued_at;
        self.remember(&chain.standing, now).await;
        let grant = self.grant(&chain.standing, self.same_successor(&chain, token)?, now)?;
        Ok(Some((grant, RefreshOutcome::Followed)))
    }

    async fn end_for_reuse(self: &Arc<Self>, session: SessionId, client: &Client) -> DbResult<()> {
        let (parts, actor) = (Arc::clone(self), Actor::stranger(client));
        let ended = self.db.write(move |conn| {
            let ended = parts.end_in(conn, Which::One(session), Reason::RefreshTokenReused, &actor)?;
            for (session, user) in ended.sessions() {
                let record = Record::new(Event::RefreshReused, &actor).on(*user).session(*session);
                parts.audit.append(conn, &record)?;
                parts.tell_of_reuse(conn, *session, *user)?;
            }
            Ok(ended)
        });
        self.announce(&ended.await?).await;
        self.mail.wake();
        Ok(())
    }

    /// Tells a session's owner that somebody else had its refresh token too, which is never left out. The link ends all
    /// sessions of the account: this one has ended already.
    fn tell_of_reuse(&self, conn: &mut Conn, session: SessionId, user: UserId) -> DbResult<()> {
        let Some(told) = store::told(conn, session)? else { return Ok(()) };
        let now = self.clock.now();
        let bearer = Bearer { user, purpose: Purpose::NotMe, session: None };
        let link = one_time::issue(conn, &self.mail, bearer, &self.random, now)?;
        let occasion = Occasion {
            device: told.name.unwrap_or_else(|| Device::of(&told.device).label),
            place: told.location.as_ref().and_then(Place::of).map(|place| place.label()),
            ip: told.ip.map(|address| address.0.to_string()),
            at: now,
        };
        self.mail.post(conn, &told.email, &Letter::RefreshReused { occasion, link }, now)
    }
}

/// A refresh that is being judged.
#[derive(Clone, Copy)]
struct Attempt<'a> {
    token: &'a RefreshToken,
    rotation: &'a Rotation,
    client: &'a Client,
    arrived: Timestamp,
}

/// An event of a session's chain of refresh tokens, brought about by whoever holds one.
fn about(event: Event, chain: &Chain, client: &Client) -> Record {
    let standing = &chain.standing;
    Record::new(event, &Actor::stranger(client)).on(standing.subject.id).session(standing.session)
}
