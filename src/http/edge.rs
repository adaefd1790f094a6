//! What the edge of the server knows: which proxies and origins to believe, how to count attempts, and what to tell
//! operators.

use std::sync::Arc;

use actix_web::HttpRequest;
use ipnet::IpNet;

use super::client_address::{client_address, limit_key};
use super::cookies::CookieNames;
use super::problem::Problem;
use super::request::request_id;
use crate::audit::{Actor, Audit, Event, Record};
use crate::cache::Cache;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Config;
use crate::limits::{Kind, Limits};
use crate::metrics::Metrics;
use crate::random::Random;

pub struct Edge {
    pub clock: Clock,
    pub random: Random,
    pub metrics: Metrics,
    pub cache: Cache,
    pub limits: Arc<Limits>,
    pub audit: Audit,
    pub issuer: String,
    pub algorithm: crate::config::Algorithm,
    pub is_https: bool,
    /// Without a trailing slash.
    pub public_url: String,
    pub cookies: CookieNames,
    own_origin: String,
    allowed_origins: Vec<String>,
    trusted_proxies: Vec<IpNet>,
}

impl Edge {
    pub fn new(
        config: &Config,
        limits: Arc<Limits>,
        audit: Audit,
        cache: Cache,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        let is_https = config.public_url.scheme() == "https";
        Self {
            clock,
            random: Random,
            audit,
            metrics,
            cache,
            limits,
            issuer: config.issuer.clone(),
            algorithm: config.algorithm,
            is_https,
            public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            cookies: CookieNames::new(is_https),
            own_origin: config.public_url.origin().ascii_serialization(),
            allowed_origins: config.allowed_origins.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
        }
    }

    /// The client at the other end, behind the proxies that are trusted.
    pub fn client(&self, request: &HttpRequest) -> Client {
        // A line that is not text is kept: what it hides would otherwise be taken for the proxy's own words.
        let lines = request.headers().get_all("x-forwarded-for").map(|line| String::from_utf8_lossy(line.as_bytes()));
        let lines: Vec<_> = lines.collect();
        let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
        let address = request.peer_addr().map(|peer| client_address(peer.ip(), &lines, &self.trusted_proxies));
        let user_agent = request.headers().get("user-agent").and_then(|value| value.to_str().ok());
        Client::new(address, user_agent, request_id())
    }

    /// Whether pages of `origin` may act with the cookies of this server.
    pub fn is_own_origin(&self, origin: &str) -> bool {
        origin.eq_ignore_ascii_case(&self.own_origin) || self.is_allowed_origin(origin)
    }

    pub fn has_allowed_origins(&self) -> bool {
        !self.allowed_origins.is_empty()
    }

    pub fn is_allowed_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
    }

    /// Counts an attempt of `actor`; refuses it when there were too many, of which the audit log tells.
    pub async fn limit(&self, kind: Kind, subject: &[u8], actor: &Actor) -> Result<(), Problem> {
        let Err(limited) = self.limits.check(&self.cache, kind, subject).await else { return Ok(()) };
        self.metrics.limited(kind.name());
        if self.limits.is_news(kind.name(), subject) {
            let record = Record::new(Event::LimitHit, actor).with("limit", kind.name());
            if let Err(error) = self.audit.append_alone(record).await {
                tracing::warn!(%error, "a limit that was hit is missing in the audit log");
            }
        }
        Err(limited.into())
    }

    /// [`Self::limit`] by the client's address; one that is not known is not counted.
    pub async fn limit_address(&self, kind: Kind, client: &Client) -> Result<(), Problem> {
        match client.address {
            Some(address) => self.limit(kind, &limit_key(address), &Actor::stranger(client)).await,
            None => Ok(()),
        }
    }
}
