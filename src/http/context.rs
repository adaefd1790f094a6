//! The HTTP context of a server: its public URL and its trusted proxies and origins.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::HttpRequest;
use ipnet::IpNet;
use url::Url;

use super::client_address::client_address;
use super::cookies::Cookies;
use super::language;
use super::request::request_id;
use crate::clock::Clock;
use crate::config::{BearerOrigins, Config, Origins, PreflightOrigins};
use crate::metrics::Metrics;
use crate::random::Random;
use crate::texts::Languages;
use crate::types::Requester;

/// The settings that apply to all requests of a server.
pub(crate) struct HttpContext {
    /// The clock.
    pub clock: Clock,
    /// The source of random bytes.
    pub random: Random,
    /// The metrics.
    pub metrics: Metrics,
    /// Whether the public URL has the scheme `https`.
    pub is_https: bool,
    /// The public URL without a trailing slash.
    pub public_url: String,
    /// The time that verifiers may keep the published keys.
    pub jwks_max_age: Duration,
    /// The cookies.
    pub cookies: Cookies,
    /// The languages that the server offers.
    pub languages: Languages,
    /// Where forward authentication sends browsers that have to log in.
    pub(super) verify_login_url: Option<Url>,
    public_origin: String,
    origins: Origins,
    trusted_proxies: Vec<IpNet>,
    /// Whether it was logged that a proxy is not trusted.
    has_warned: AtomicBool,
}

impl HttpContext {
    /// Creates the context from the configuration.
    pub(crate) fn new(config: &Config, clock: Clock, metrics: Metrics) -> Self {
        let is_https = config.public_url.scheme() == "https";
        Self {
            clock,
            random: Random,
            metrics,
            is_https,
            public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            jwks_max_age: config.keys.jwks_max_age,
            cookies: Cookies::new(&config.public_url, config.origins.cookie_domain.as_deref()),
            languages: config.pages.languages.clone(),
            verify_login_url: config.verify_login_url.clone(),
            public_origin: config.public_url.origin().ascii_serialization(),
            origins: config.origins.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            has_warned: AtomicBool::new(false),
        }
    }

    /// Returns the requester of a request, with the IP address behind the trusted proxies.
    pub(crate) fn requester(&self, request: &HttpRequest) -> Requester {
        // A line that is not UTF-8 is not skipped: otherwise the line before it would be taken for the proxy's.
        let lines = request.headers().get_all("x-forwarded-for").map(|line| String::from_utf8_lossy(line.as_bytes()));
        let lines: Vec<_> = lines.collect();
        let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        if let (Some(peer), false) = (peer, lines.is_empty()) {
            self.warn_of_proxy(peer);
        }
        let ip = peer.map(|peer| client_address(peer, &lines, &self.trusted_proxies));
        let user_agent = request.headers().get("user-agent").map(|value| text_of(value.as_bytes()));
        let language = language::named(request, &self.languages);
        Requester { language, ..Requester::new(ip, user_agent.as_deref(), request_id()) }
    }

    /// Warns once of a peer that is not trusted and sends `X-Forwarded-For`: most likely a proxy, for which all clients
    /// would be one.
    fn warn_of_proxy(&self, peer: IpAddr) {
        let is_trusted = self.trusted_proxies.iter().any(|network| network.contains(&peer));
        if !is_trusted && !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                %peer,
                "a request has X-Forwarded-For and does not come from TRUSTED_PROXIES: if this is a proxy, all of its \
                 clients share its address and its limits until it is listed there"
            );
        }
    }

    /// Returns whether `origin` is that of `PUBLIC_URL`.
    pub(super) fn is_own_origin(&self, origin: &str) -> bool {
        origin.eq_ignore_ascii_case(&self.public_origin)
    }

    /// Returns whether pages of `origin` may use the cookies of this server.
    pub(crate) fn is_trusted_origin(&self, origin: &str) -> bool {
        self.is_own_origin(origin) || self.is_allowed_origin(origin)
    }

    /// Returns whether `origin` is one of `ALLOWED_ORIGINS`.
    pub(crate) fn is_allowed_origin(&self, origin: &str) -> bool {
        self.origins.allows(origin)
    }

    /// Returns whether preflights of `origin` pass through forward authentication.
    pub(crate) fn passes_preflights_of(&self, origin: &str) -> bool {
        match self.origins.preflight {
            PreflightOrigins::Any => true,
            PreflightOrigins::Allowed => self.is_trusted_origin(origin),
            PreflightOrigins::Nobody => false,
        }
    }

    /// Returns whether pages of every origin may call the API without cookies.
    pub(crate) fn is_open_to_bearers(&self) -> bool {
        self.origins.bearer == BearerOrigins::Any
    }
}

/// Returns the text of a header: UTF-8, or else ISO 8859-1 (RFC 9110 §5.5), so that one odd letter hides nothing.
fn text_of(value: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(value) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(value.iter().map(|byte| char::from(*byte)).collect()),
    }
}
