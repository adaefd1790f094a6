//! One login on one device and its chain of refresh tokens: opened, refreshed, checked at each request, seen, ended.

pub mod check;
pub mod familiar;
pub mod http;
pub mod impersonate;
mod limit;
pub mod list;
pub mod open;
pub mod reauthenticate;
pub mod refresh;
pub mod revoke;
mod rotation;
mod store;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::Audit;
use crate::cache::{Cache, Superseded, Version};
use crate::clock::{Clock, Timestamp, as_millis};
use crate::config::Config;
use crate::db::types::{Names, SessionId, TokenId, UserId};
use crate::db::{Db, DbError};
use crate::devices::Devices;
use crate::keys::Ring;
use crate::mail::Mail;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::revocations;
use crate::secret::MacKey;
use crate::tokens::access::{self, Act, Claims, Parties, SigningFailed};
use crate::tokens::refresh::RefreshToken;
use crate::tokens::verified::VerifiedTokens;

pub use rotation::Rotator;

/// The client that keyturn's own API logs in (RFC 9068 §2.2 wants one named).
pub const OWN_CLIENT: &str = "keyturn";

/// The role that may administer. Whoever acts for somebody else does not have it.
pub const ADMIN: &str = "admin";

/// All that concerns sessions. Clones share it.
#[derive(Clone)]
pub struct Sessions(Arc<Parts>);

/// What sessions are made of and with.
pub struct Parts {
    pub db: Db,
    pub mail: Mail,
    pub audit: Audit,
    pub cache: Cache,
    pub log: revocations::Log,
    pub rotator: Rotator,
    pub ring: Ring,
    pub verified: VerifiedTokens,
    pub devices: Devices,
    pub refresh_key: MacKey,
    pub policy: Policy,
    pub issuer: String,
    pub audience: String,
    pub clock: Clock,
    pub random: Random,
    pub metrics: Metrics,
}

impl Sessions {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    pub fn policy(&self) -> &Policy {
        &self.0.policy
    }
}

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub access_token_ttl: Duration,
    pub refresh_token_ttl: Duration,
    pub session_max_lifetime: Duration,
    pub replay_window: Duration,
    /// Recoveries that a session has in reserve.
    pub recoveries: u32,
    /// Live sessions of one account, at most.
    pub max_sessions: Option<NonZeroU32>,
    /// Whether refreshes that succeed are audited.
    pub audit_refreshes: bool,
}

impl Policy {
    pub fn of(config: &Config) -> Self {
        Self {
            access_token_ttl: config.access_token_ttl,
            refresh_token_ttl: config.refresh_token_ttl,
            session_max_lifetime: config.session_max_lifetime,
            replay_window: config.replay_window,
            recoveries: config.recoveries,
            max_sessions: config.max_sessions_per_user,
            audit_refreshes: config.audit_refreshes,
        }
    }

    /// When no access token that is issued at `now` or before is good any more, on a clock up to a minute behind.
    fn revocation_expires_at(&self, now: Timestamp) -> Timestamp {
        now.plus(self.access_token_ttl).plus(Duration::from_secs(60))
    }
}

/// The account that a session belongs to, as far as its tokens and answers tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Subject {
    pub id: UserId,
    pub email: String,
    pub name: Option<String>,
    pub roles: Names,
    /// Whether the address is known to be the account's owner's. Not told by a refresh, which does not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub email_verified: Option<bool>,
}

/// The part of a session that answers a check, as the database says it and the cache holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub session: SessionId,
    pub subject: Subject,
    pub generation: i64,
    pub revision: i64,
    pub access_token: TokenId,
    pub former_access_token: Option<TokenId>,
    /// When the current access token was issued.
    #[serde(with = "as_millis")]
    pub issued_at: Timestamp,
    #[serde(with = "as_millis")]
    pub expires_at: Timestamp,
    #[serde(with = "as_millis")]
    pub ends_at: Timestamp,
    #[serde(with = "as_millis")]
    pub authenticated_at: Timestamp,
    pub amr: Names,
    pub client_id: String,
    /// The operator who acts for the account in this session.
    #[serde(default)]
    pub actor: Option<UserId>,
}

impl Standing {
    const fn version(&self) -> Version {
        Version { generation: self.generation, revision: self.revision }
    }

    /// When the session is over unless it is refreshed.
    fn deadline(&self) -> Timestamp {
        self.expires_at.min(self.ends_at)
    }

    fn access_token_expires_at(&self, policy: &Policy) -> Timestamp {
        self.issued_at.plus(policy.access_token_ttl).min(self.ends_at)
    }
}

/// Tokens for a session, to be handed to its owner.
pub struct Grant {
    pub access_token: String,
    pub access_token_expires_in: Duration,
    /// None where the one in hand stays good.
    pub refresh_token: Option<RefreshToken>,
    pub refresh_token_expires_in: Duration,
    /// When a client should refresh; spread so that clients do not come in step.
    pub refresh_after: Duration,
    pub session: SessionId,
    pub subject: Subject,
    pub server_time: Timestamp,
}

/// Tokens could not be issued, for no fault of the client's.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Signing(#[from] SigningFailed),
}

impl Parts {
    fn grant(&self, standing: &Standing, refresh_token: RefreshToken, now: Timestamp) -> Result<Grant, SigningFailed> {
        self.grant_with(&self.claims(standing), standing, Some(refresh_token), now)
    }

    /// What the current access token of a session says.
    fn claims(&self, standing: &Standing) -> Claims {
        Claims {
            iss: self.issuer.clone(),
            sub: standing.subject.id,
            aud: self.audience.clone(),
            exp: standing.access_token_expires_at(&self.policy).as_secs(),
            // One that is made anew after a reauthentication is not older than that.
            iat: standing.issued_at.max(standing.authenticated_at).as_secs(),
            nbf: standing.issued_at.as_secs(),
            jti: standing.access_token,
            sid: standing.session,
            client_id: standing.client_id.clone(),
            scope: String::new(),
            roles: standing.subject.roles.clone(),
            auth_time: standing.authenticated_at.as_secs(),
            amr: standing.amr.clone(),
            act: standing.actor.map(|sub| Act { sub }),
        }
    }

    fn grant_with(
        &self,
        claims: &Claims,
        standing: &Standing,
        refresh_token: Option<RefreshToken>,
        now: Timestamp,
    ) -> Result<Grant, SigningFailed> {
        // In whole seconds, as the token says it.
        let access_token_expires_in = Timestamp::from_secs(claims.exp).since(Timestamp::from_secs(now.as_secs()));
        let spread = 0.63 + 0.07 * self.random.fraction();
        Ok(Grant {
            access_token: access::sign(claims, &self.ring)?,
            access_token_expires_in,
            refresh_token,
            refresh_token_expires_in: standing.deadline().since(now),
            refresh_after: access_token_expires_in.mul_f64(spread),
            session: standing.session,
            subject: standing.subject.clone(),
            server_time: now,
        })
    }

    /// Tells the cache of a session's standing. A fault costs nothing: the database is asked instead.
    async fn remember(&self, standing: &Standing, now: Timestamp) {
        let Ok(entry) = serde_json::to_vec(standing) else { return };
        let superseded = standing
            .former_access_token
            .map(|token| Superseded { token, from: standing.issued_at.plus(self.policy.replay_window) });
        let ttl = standing.access_token_expires_at(&self.policy).since(now).max(Duration::from_secs(1));
        let _ = self.cache.put(standing.session, standing.version(), entry, superseded, ttl).await;
    }

    fn parties(&self) -> Parties<'_> {
        Parties { issuer: &self.issuer, audience: &self.audience }
    }
}
