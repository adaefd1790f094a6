//! Sessions: each is one login on one device with its family of refresh tokens. This module opens sessions, refreshes
//! them, checks access tokens at each request, and lists and revokes sessions.

pub(crate) mod browser;
mod cache_entry;
pub(crate) mod check;
mod impersonation;
mod introspection;
mod limit;
pub(crate) mod list;
mod login_risk;
mod open;
mod reauthentication;
pub(crate) mod refresh;
mod revoke;
mod rotation;
mod search;
mod store;
mod token_revocation;

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use keyturn_verify::Rules;

use crate::audit::Audit;
use crate::cache::latest::Latest;
use crate::cache::{Cache, EntryVersion};
use crate::clock::Clock;
use crate::config::{BrowserSessionConfig, Config, ProfileClaims};
use crate::db::{Conn, Db, DbError, DbResult};
use crate::devices::Devices;
use crate::keys::KeyRing;
use crate::mail::Mail;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::revocations::RevocationLog;
use crate::secret::MacKey;
use crate::tokens::access::{self, Act, Claims, Confirmation, SigningError};
use crate::tokens::refresh::RefreshToken;
use crate::tokens::verified::VerifiedTokens;
use crate::types::{Amr, Jti, KeyThumbprint, Roles, SessionId, Timestamp, UserId};

pub(crate) use impersonation::{Impersonation, Impersonator};
pub(crate) use list::Session;
pub(crate) use open::{BrowserCookie, LoggedIn, OpenedSession, SessionOptions};
pub(crate) use reauthentication::Reauthenticated;
pub(crate) use revoke::{RevokedSessions, SessionSelector, rewrite_revocations};
pub(crate) use rotation::{Parts as RotatorParts, Rotator};
pub(crate) use search::{OwnedSession, SessionPage, SessionQuery, SessionState};

/// The `client_id` claim of access tokens (RFC 9068 §2.2 requires one): the name of this API's only client.
pub(crate) const CLIENT_ID: &str = access::FIRST_PARTY;

/// All sessions of a server. Clones share everything.
#[derive(Clone)]
pub(crate) struct Sessions {
    inner: Arc<Inner>,
}

impl Deref for Sessions {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// The parts of [`Sessions`].
pub(crate) struct Inner {
    /// The database.
    pub db: Db,
    /// The outbox for emails to owners.
    pub mail: Mail,
    /// The audit log.
    pub audit: Audit,
    /// The cache of snapshots and revocations.
    pub cache: Cache,
    /// The revocation log in memory.
    pub log: RevocationLog,
    /// The queue of rotations.
    pub rotator: Rotator,
    /// The keys that sign and verify access tokens.
    pub key_ring: KeyRing,
    /// The access tokens whose signatures were verified before.
    pub verified: VerifiedTokens,
    /// The databases of user agents and places.
    pub devices: Devices,
    /// The key of the MACs of refresh tokens.
    pub refresh_key: MacKey,
    /// The lifetimes and limits.
    pub policy: Policy,
    /// The `iss` claim of every access token.
    pub issuer: String,
    /// The `aud` claim of every access token.
    pub audience: String,
    /// What access tokens must have that open this server.
    pub rules: Rules,
    /// What access tokens must have that are for any audience.
    pub rules_for_any_audience: Rules,
    /// The number of live sessions of all accounts.
    pub live_count: Latest<i64>,
    /// The clock.
    pub clock: Clock,
    /// The source of random bytes.
    pub random: Random,
    /// The metrics.
    pub metrics: Metrics,
}

/// The lifetimes and limits of sessions and their tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// The lifetime of an access token.
    pub access_token_ttl: Duration,
    /// The lifetime of a refresh token.
    pub refresh_token_ttl: Duration,
    /// The lifetime of a session, however often it is refreshed.
    pub session_max_lifetime: Duration,
    /// The lifetimes of browser sessions.
    pub browser_sessions: BrowserSessionConfig,
    /// The time after a rotation in which the same refresh may be repeated.
    pub replay_window: Duration,
    /// The number of recoveries that a session may use in a row.
    pub recoveries: u32,
    /// The maximum number of live sessions of one account; `None` for no limit.
    pub max_sessions: Option<NonZeroU32>,
    /// Whether successful refreshes are audited.
    pub audit_refreshes: bool,
    /// The claims of the account's profile that access tokens have.
    pub profile_claims: ProfileClaims,
}

impl Policy {
    /// Returns the policy that `config` sets.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            access_token_ttl: config.access_token_ttl,
            refresh_token_ttl: config.refresh_token_ttl,
            session_max_lifetime: config.session_max_lifetime,
            browser_sessions: config.browser_sessions,
            replay_window: config.replay_window,
            recoveries: config.recoveries,
            max_sessions: config.max_sessions_per_user,
            audit_refreshes: config.audit_refreshes,
            profile_claims: config.profile_claims,
        }
    }

    /// Returns whether the answer to a refresh waits for the cache, because the former access token is refused at once.
    /// Otherwise the cache has the replay window to learn of it.
    fn waits_for_cache(&self) -> bool {
        self.replay_window.is_zero()
    }
}

/// The account that a session belongs to, with the fields that tokens contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The id of the account.
    pub id: UserId,
    /// The email address.
    pub email: String,
    /// The name.
    pub name: Option<String>,
    /// The roles.
    pub roles: Roles,
    /// Whether the email address is verified.
    pub email_verified: bool,
}

/// The owner of a new session, locked by the caller's transaction, so that tokens are issued for the current state of
/// the account.
pub(crate) trait LockedOwner {
    /// Returns the account with the fields that tokens contain.
    fn subject(&self) -> Subject;

    /// Returns whether the owner wants emails about unusual logins.
    fn wants_alerts(&self) -> bool;

    /// Returns the revision of the account, which grows with each change of what tokens contain.
    fn revision(&self) -> i64;
}

/// The state of a session that a check needs, as stored in the database and the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionSnapshot {
    /// The id of the session.
    pub session: SessionId,
    /// The account that the session belongs to.
    pub subject: Subject,
    /// The number of rotations of the refresh token so far.
    pub generation: i64,
    /// The number of changes of this state; it only grows.
    pub revision: i64,
    /// The `jti` of the current access token.
    pub access_jti: Jti,
    /// The `jti` of the previous access token.
    pub former_access_jti: Option<Jti>,
    /// The time at which the current access token was issued.
    pub issued_at: Timestamp,
    /// The time at which every access token issued so far has expired.
    pub access_expires_at: Timestamp,
    /// The time at which the refresh token expires.
    pub expires_at: Timestamp,
    /// The time at which the session ends, however often it is refreshed.
    pub ends_at: Timestamp,
    /// The time of the last authentication.
    pub authenticated_at: Timestamp,
    /// The methods of the last authentication.
    pub amr: Amr,
    /// The client that the session was opened by.
    pub client_id: String,
    /// The administrator who acts for the owner in this session.
    pub actor: Option<UserId>,
    /// The revision from which on access tokens are valid; those of earlier revisions are revoked.
    pub valid_from_revision: i64,
    /// The key that the session's tokens are bound to, if any (RFC 9449). It never changes.
    pub bound_to: Option<KeyThumbprint>,
}

impl SessionSnapshot {
    const fn version(&self) -> EntryVersion {
        EntryVersion { generation: self.generation, revision: self.revision }
    }

    /// Returns when the session ends unless it is refreshed.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.expires_at.min(self.ends_at)
    }

    fn access_token_expires_at(&self, policy: &Policy) -> Timestamp {
        // Another server may have issued the session's tokens with a shorter lifetime.
        self.issued_at.plus(policy.access_token_ttl).min(self.ends_at).min(self.access_expires_at)
    }
}

/// The tokens of a session, for its owner.
pub(crate) struct IssuedTokens {
    /// The access token.
    pub access_token: String,
    /// The remaining lifetime of the access token.
    pub access_token_expires_in: Duration,
    /// The refresh token; `None` if the client keeps its current one.
    pub refresh_token: Option<RefreshToken>,
    /// The remaining lifetime of the refresh token.
    pub refresh_token_expires_in: Duration,
    /// The delay after which the client should refresh, with a random part so that clients spread out.
    pub refresh_after: Duration,
    /// The id of the session.
    pub session: SessionId,
    /// The account that the session belongs to.
    pub subject: Subject,
    /// The server's time.
    pub server_time: Timestamp,
    /// Whether the tokens are bound to a key.
    pub is_bound: bool,
}

/// Why tokens were not issued. The client is not at fault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssueError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The access token could not be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// Deletes the sessions that ended at `before` or earlier among the `limit` sessions after `after` in the order of ids.
/// Returns how many were deleted and the last id that was examined; `None` if no session that old is left.
pub(crate) fn expire(
    conn: &mut Conn,
    before: Timestamp,
    after: SessionId,
    limit: i64,
) -> DbResult<(usize, Option<SessionId>)> {
    store::expire(conn, before, after, limit)
}

/// Counts the live sessions whose refresh token was issued before a time, or was handed out again since. Returns the
/// time at which the last of them expires, too.
pub(crate) fn issued_before(conn: &mut Conn, before: Timestamp, now: Timestamp) -> DbResult<(i64, Option<Timestamp>)> {
    store::issued_before(conn, before, now)
}

/// Deletes up to `limit` sessions of an account that is deleted, and removes its IP address, user agent and place from
/// as many of those in which it acted for others. Returns how many there were.
pub(crate) fn erase(conn: &mut Conn, user: UserId, limit: i64) -> DbResult<usize> {
    store::erase(conn, user, limit)
}

impl Sessions {
    /// Creates the sessions of a server.
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Issues tokens for the session of `snapshot`.
    fn issue(
        &self,
        snapshot: &SessionSnapshot,
        refresh_token: RefreshToken,
        now: Timestamp,
    ) -> Result<IssuedTokens, SigningError> {
        self.issue_with(&self.claims(snapshot), snapshot, Some(refresh_token), now)
    }

    /// Returns the claims of a session's current access token.
    fn claims(&self, snapshot: &SessionSnapshot) -> Claims {
        let ProfileClaims { email, name } = self.policy.profile_claims;
        Claims {
            iss: self.issuer.clone(),
            sub: snapshot.subject.id,
            aud: self.audience.clone(),
            exp: snapshot.access_token_expires_at(&self.policy).as_secs(),
            // A reauthentication issues the token again, with the time of the reauthentication.
            iat: snapshot.issued_at.max(snapshot.authenticated_at).as_secs(),
            nbf: snapshot.issued_at.as_secs(),
            jti: snapshot.access_jti,
            sid: snapshot.session,
            rev: snapshot.revision,
            client_id: snapshot.client_id.clone(),
            scope: String::new(),
            roles: snapshot.subject.roles.clone(),
            auth_time: snapshot.authenticated_at.as_secs(),
            amr: snapshot.amr.clone(),
            email: email.then(|| snapshot.subject.email.clone()),
            email_verified: email.then_some(snapshot.subject.email_verified),
            name: snapshot.subject.name.clone().filter(|_| name),
            act: snapshot.actor.map(|sub| Act { sub }),
            cnf: snapshot.bound_to.map(|jkt| Confirmation { jkt }),
        }
    }

    fn issue_with(
        &self,
        claims: &Claims,
        snapshot: &SessionSnapshot,
        refresh_token: Option<RefreshToken>,
        now: Timestamp,
    ) -> Result<IssuedTokens, SigningError> {
        // The claim has whole seconds.
        let access_token_expires_in = Timestamp::from_secs(claims.exp).since(Timestamp::from_secs(now.as_secs()));
        let jitter = 0.63 + 0.07 * self.random.fraction();
        Ok(IssuedTokens {
            access_token: access::sign(claims, &self.key_ring.signing())?,
            access_token_expires_in,
            refresh_token,
            refresh_token_expires_in: snapshot.deadline().since(now),
            refresh_after: access_token_expires_in.mul_f64(jitter),
            session: snapshot.session,
            subject: snapshot.subject.clone(),
            server_time: now,
            is_bound: snapshot.bound_to.is_some(),
        })
    }
}
