//! Loads a configuration and checks the rules between settings.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use lettre::Address;
use lettre::message::Mailbox;
use url::Url;

use super::brand::{self, Accent, Brand, Logo};
use super::names::{Environment, unknown};
use super::settings::EMBEDDED;
use super::source::{ConfigError, EffectiveSetting, Reader, problem};
use super::{
    BearerOrigins, BrowserSessionConfig, CacheKind, Config, Database, Encryption, GeoDatabase, Limits,
    MAX_ACCESS_TOKEN_TTL, Mail, Origins, Pages, PreflightOrigins, Redis, Relay, Retention, SigningKeys, database_url,
    origins, parse, redis_url, secret_file, smtp_url,
};
use crate::random::Random;
use crate::secret::{MasterSecret, WeakSecret};
use crate::texts::Languages;
use crate::types::Algorithm;

/// A valid configuration, for which nothing has been created yet.
pub struct Loaded {
    /// Every setting in effect, in the order of the documentation.
    pub settings: Vec<EffectiveSetting>,
    /// The database in effect.
    pub database: Database,
    complete: Box<dyn FnOnce(MasterSecret) -> Config>,
    secret: Option<MasterSecret>,
    data_dir: PathBuf,
}

impl Loaded {
    /// Returns the configuration. Generates the secret of an embedded server if there is none, and writes it to
    /// `DATA_DIR`.
    ///
    /// # Errors
    /// The secret cannot be written.
    pub fn into_config(self, random: &Random) -> Result<Config, ConfigError> {
        let secret = self.secret.map_or_else(|| secret_file::create(&self.data_dir, random), Ok);
        let secret = secret.map_err(|error| {
            let error = format!("must be writable for the generated secret, is {:?}: {error}", self.data_dir);
            ConfigError { problems: vec![problem("DATA_DIR", &error, "/var/lib/keyturn")] }
        })?;
        Ok((self.complete)(secret))
    }

    /// Returns the configuration of an installation that exists, or `None` if the secret of an embedded server has not
    /// been generated yet. Creates nothing.
    pub fn into_existing(self) -> Option<Config> {
        self.secret.map(self.complete)
    }

    /// Returns whether the secret is there: configured, or generated before.
    pub fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// Returns the configuration for checks, with a secret of its own if there is none yet. Creates nothing.
    ///
    /// # Errors
    /// The random secret is too weak, which is hardly possible.
    pub fn into_preview(self, random: &Random) -> Result<Config, WeakSecret> {
        let secret = self.secret.map_or_else(|| secret_file::generate(random), Ok)?;
        Ok((self.complete)(secret))
    }
}

impl Config {
    /// Reads the configuration from `environment`, then `file`, then the defaults. Creates nothing.
    ///
    /// # Errors
    /// The configuration is wrong. The error describes all problems.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
        let mut reader = Reader::new(file, environment);
        let data_dir = reader.get_or_default("DATA_DIR", |path| Ok(PathBuf::from(path)));
        let database = database(&mut reader, &data_dir);
        let database_pool_size = reader.get_or_default("DATABASE_POOL_SIZE", parse::number(1..=1000));
        let cache = cache(&mut reader);
        let secret = secret(&mut reader, &database, &data_dir);
        let algorithm = reader.get_or_default("JWT_ALGORITHM", parse::algorithm);
        let keys = signing_keys(&mut reader, algorithm);
        let bind = bind(&mut reader);
        let metrics_bind = metrics_bind(&mut reader, bind);
        let public_url = public_url(&mut reader, bind);
        require_stated_database(&mut reader, &data_dir, &public_url);
        let issuer = issuer(&mut reader, &public_url);
        let audience = reader.get_or_default("AUDIENCE", parse::claim);
        let profile_claims = reader.get("ACCESS_TOKEN_CLAIMS", parse::profile_claims).unwrap_or_default();
        let access_token_ttl =
            reader.get_or_default("ACCESS_TOKEN_TTL", parse::seconds(1..=MAX_ACCESS_TOKEN_TTL.as_secs()));
        let refresh_token_ttl = reader.get_or_default("REFRESH_TOKEN_TTL", parse::seconds(1..=31_536_000));
        let session_max_lifetime = reader.get_or_default("SESSION_MAX_LIFETIME", parse::seconds(1..=315_360_000));
        let browser_sessions = browser_sessions(&mut reader);
        let replay_window = reader.get_or_default("REFRESH_REPLAY_WINDOW", parse::seconds(0..=60));
        let mut require = |name, holds, error| reader.require(name, "ACCESS_TOKEN_TTL", holds, error);
        require("REFRESH_TOKEN_TTL", refresh_token_ttl >= access_token_ttl, "must not be below ACCESS_TOKEN_TTL");
        require("SESSION_MAX_LIFETIME", session_max_lifetime >= access_token_ttl, "must not be below ACCESS_TOKEN_TTL");
        require("REFRESH_REPLAY_WINDOW", replay_window < access_token_ttl, "must be below ACCESS_TOKEN_TTL");
        let recoveries = reader.get_or_default("REFRESH_RECOVERIES", parse::number(0..=10));
        let max_sessions_per_user = limit(&mut reader, "MAX_SESSIONS_PER_USER", 100_000);
        let retention = retention(&mut reader);
        let audit_refreshes = reader.get_or_default("AUDIT_REFRESH", parse::boolean);
        let registration = reader.get_or_default("REGISTRATION", parse::registration);
        let requires_dpop_nonce = reader.get_or_default("DPOP_NONCE", parse::required_or_off);
        let require_verified_email = reader.get_or_default("REQUIRE_VERIFIED_EMAIL", parse::boolean);
        let account_deletion_grace = reader.get_or_default("ACCOUNT_DELETION_GRACE", parse::seconds(0..=2_592_000));
        let argon2 = reader.get_or_default("ARGON2", parse::argon2);
        let workers = workers(&mut reader);
        let keep_alive = reader.get_or_default("KEEP_ALIVE", parse::seconds(1..=3600));
        let max_connections_per_address = limit(&mut reader, "MAX_CONNECTIONS_PER_ADDRESS", 1_000_000);
        let origins = origins(&mut reader, &public_url);
        let trusted_proxies = reader.get("TRUSTED_PROXIES", parse::networks).unwrap_or_default();
        let pages = pages(&mut reader, &public_url);
        let mail = mail(&mut reader, &public_url);
        let verify_login_url = reader.get("VERIFY_LOGIN_URL", parse::login_url);
        let geoip_database = reader.get("GEOIP_DATABASE", GeoDatabase::open);
        let limits = limits(&mut reader);
        let log = reader.get_or_default("LOG", parse::log);
        let dir = data_dir.clone();
        let in_effect = database.clone();
        #[rustfmt::skip]
        let complete = move |secret| Config {
            data_dir: dir, database, database_pool_size, cache, secret, algorithm, keys, requires_dpop_nonce, issuer,
            audience, profile_claims, access_token_ttl, refresh_token_ttl, session_max_lifetime, browser_sessions,
            replay_window, recoveries, max_sessions_per_user, retention, audit_refreshes, registration, argon2,
            require_verified_email, account_deletion_grace, bind, metrics_bind, workers, keep_alive,
            max_connections_per_address, public_url, origins, verify_login_url, trusted_proxies, pages, geoip_database,
            mail, limits, log,
        };
        Ok(Loaded { settings: reader.finish()?, database: in_effect, complete: Box::new(complete), secret, data_dir })
    }

    /// Reads the address that a server listens on, from `environment`, then `file`, then the defaults. No other setting
    /// is looked at.
    ///
    /// # Errors
    /// The address is wrong, or a setting cannot be read. The error describes all problems.
    pub fn load_bind(file: Option<&Path>, environment: &Environment) -> Result<SocketAddr, ConfigError> {
        let mut reader = Reader::new(file, environment);
        let bind = bind(&mut reader);
        reader.finish().map(|_| bind)
    }

    /// Creates a configuration from settings, by their names in the environment, and from defaults. Ignores the
    /// environment.
    ///
    /// # Errors
    /// The configuration is wrong. The error describes all problems.
    pub fn from_settings(settings: &[(&str, &str)], random: &Random) -> Result<Self, ConfigError> {
        let unknown: Vec<String> =
            settings.iter().filter_map(|(name, _)| unknown(&name.to_ascii_lowercase())).collect();
        if !unknown.is_empty() {
            return Err(ConfigError { problems: unknown });
        }
        Self::load(None, &settings.iter().copied().collect())?.into_config(random)
    }
}

fn database(reader: &mut Reader, data_dir: &Path) -> Database {
    let embedded = database_url::embedded(data_dir);
    reader.show_default("DATABASE_URL", format_args!("sqlite:{}", data_dir.join("keyturn.db").display()));
    let schema = reader.get("DATABASE_SCHEMA", parse::schema);
    let own = schema.clone().unwrap_or_else(|| "keyturn".to_owned());
    let database = reader.get("DATABASE_URL", |url| database_url::parse(url, data_dir, &own)).unwrap_or(embedded);
    let unused = schema.is_some() && matches!(database, Database::Sqlite { .. });
    reader.require("DATABASE_SCHEMA", "DATABASE_URL", !unused, "has an effect only with Postgres");
    database
}

/// Reports a `DATABASE_URL` that is not set beside settings of a server that is usually on Postgres. It would be an
/// empty embedded database if the name was forgotten.
fn require_stated_database(reader: &mut Reader, data_dir: &Path, public_url: &Url) {
    let is_stated = reader.get("DATABASE_URL", |_| Ok(())).is_some();
    let path = std::path::absolute(data_dir.join("keyturn.db")).unwrap_or_default();
    let error = |other| {
        format!(
            "is not set, which means the embedded database {}, though {other}: set it to the URL of Postgres, or to \
             {EMBEDDED} if that is what you want",
            path.display()
        )
    };
    let has_redis = reader.get("REDIS_URL", |_| Ok(())).is_some();
    reader.require("DATABASE_URL", "REDIS_URL", is_stated || !has_redis, &error("REDIS_URL is set"));
    let is_public = public_url.scheme() == "https";
    reader.require("DATABASE_URL", "PUBLIC_URL", is_stated || !is_public, &error("PUBLIC_URL begins with https"));
}

fn cache(reader: &mut Reader) -> CacheKind {
    let prefix = reader.get_or_default("REDIS_PREFIX", parse::redis_prefix);
    let ca_file = reader.get("REDIS_CA_FILE", parse::readable_file);
    let timeout = reader.get_or_default("REDIS_TIMEOUT", parse::milliseconds(10..=10_000));
    let tls = reader.get("REDIS_URL", |url| Ok(url.starts_with("rediss"))).unwrap_or_default();
    let layout = reader.get("REDIS_URL", redis_url::parse);
    let unused = "has an effect only with a REDIS_URL that begins with rediss";
    reader.require("REDIS_CA_FILE", "REDIS_URL", tls || ca_file.is_none(), unused);
    layout.map_or(CacheKind::Memory, |layout| CacheKind::Redis(Redis { layout, ca_file, prefix, timeout }))
}

/// Returns the secret with the one that it replaces, or `None` if it has not been generated yet.
fn secret(reader: &mut Reader, database: &Database, data_dir: &Path) -> Option<MasterSecret> {
    let secret = own_secret(reader, database, data_dir);
    let Some(previous) = reader.get("JWT_SECRET_PREVIOUS", parse::secret) else { return secret };
    let differs = secret.as_ref().is_some_and(|secret| !secret.is_same(&previous));
    let error = "must be the former secret, beside another one in JWT_SECRET";
    reader.require("JWT_SECRET_PREVIOUS", "JWT_SECRET", differs, error);
    secret.map(|secret| secret.with_previous(previous))
}

fn own_secret(reader: &mut Reader, database: &Database, data_dir: &Path) -> Option<MasterSecret> {
    let configured = reader.get("JWT_SECRET", parse::secret);
    if let Database::Postgres { .. } = database {
        let required = "is required with Postgres, and must be the same on all servers";
        reader.require("JWT_SECRET", "DATABASE_URL", configured.is_some(), required);
        return configured;
    }
    let path = secret_file::path(data_dir);
    configured.or_else(|| match secret_file::read(data_dir) {
        Ok(stored) => {
            // The same before and after the first start, because nothing changes then that needs another one.
            reader.show_default("JWT_SECRET", format_args!("generated at the first start, in {}", path.display()));
            stored
        }
        Err(error) => {
            reader.report("JWT_SECRET", &format!("cannot be read from {}: {error}", path.display()));
            None
        }
    })
}

/// Reads a limit, of which 0 means that there is none.
fn limit(reader: &mut Reader, name: &'static str, max: u32) -> Option<NonZeroU32> {
    reader.get_or_default(name, parse::number(0..=max)).try_into().ok()
}

fn browser_sessions(reader: &mut Reader) -> BrowserSessionConfig {
    let idle = reader.get_or_default("BROWSER_SESSION_IDLE", parse::seconds(60..=31_536_000));
    let max_lifetime = reader.get_or_default("BROWSER_SESSION_MAX_LIFETIME", parse::seconds(60..=315_360_000));
    let error = "must not be above BROWSER_SESSION_MAX_LIFETIME";
    reader.require("BROWSER_SESSION_IDLE", "BROWSER_SESSION_MAX_LIFETIME", idle <= max_lifetime, error);
    BrowserSessionConfig { idle, max_lifetime }
}

/// Returns the lives of signing keys. Further algorithms must be others than that of `JWT_ALGORITHM`.
fn signing_keys(reader: &mut Reader, algorithm: Algorithm) -> SigningKeys {
    let additional = reader.get("JWT_ADDITIONAL_ALGORITHMS", parse::public_algorithms).unwrap_or_default();
    let error = "must not contain that of JWT_ALGORITHM";
    reader.require("JWT_ADDITIONAL_ALGORITHMS", "JWT_ALGORITHM", !additional.contains(&algorithm), error);
    SigningKeys {
        additional_algorithms: additional,
        jwks_max_age: reader.get_or_default("JWKS_MAX_AGE", parse::seconds(10..=86_400)),
        rotation_interval: reader.get_or_default("KEY_ROTATION_INTERVAL", parse::seconds_or_off(3_600..=315_360_000)),
    }
}

fn issuer(reader: &mut Reader, public_url: &Url) -> String {
    let default = public_url.as_str().trim_end_matches('/');
    reader.show_default("ISSUER", default);
    reader.get("ISSUER", parse::claim).unwrap_or_else(|| default.to_owned())
}

/// Returns the address to listen on: `BIND`, or all addresses with the port `PORT`, or the default of `BIND`.
fn bind(reader: &mut Reader) -> SocketAddr {
    let port = reader.get("PORT", parse::number(1..=65_535));
    let all = port.map(|port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    if let Some(all) = all {
        reader.show_default("BIND", all);
    }
    let is_set = reader.get("BIND", |_| Ok(())).is_some();
    let bind = reader.get_or_default("BIND", parse::bind);
    if is_set { bind } else { all.unwrap_or(bind) }
}

/// Returns the address of the metrics, which must leave room for the one that the server listens on.
fn metrics_bind(reader: &mut Reader, bind: SocketAddr) -> Option<SocketAddr> {
    let metrics = reader.get("METRICS_BIND", parse::bind)?;
    let own = metrics.ip().to_canonical();
    let other = bind.ip().to_canonical();
    let is_all = |ip: IpAddr| ip.is_unspecified();
    // All addresses of IPv6 are those of IPv4 as well.
    let overlaps = own == other
        || (is_all(own) && (own.is_ipv6() || other.is_ipv4()))
        || (is_all(other) && (other.is_ipv6() || own.is_ipv4()));
    let collides = metrics.port() == bind.port() && bind.port() != 0 && overlaps;
    reader.require("METRICS_BIND", "BIND", !collides, "must have another port than BIND, or another IP address");
    Some(metrics)
}

/// Returns `PUBLIC_URL`. The default is the address that the server listens on, or `localhost` if it listens on every
/// address.
fn public_url(reader: &mut Reader, bind: SocketAddr) -> Url {
    let host = if bind.ip().is_unspecified() {
        format!("localhost:{}", bind.port())
    } else {
        // Without the scope id that an IPv6 address can have, because a URL cannot contain one.
        SocketAddr::new(bind.ip(), bind.port()).to_string()
    };
    let text = format!("http://{host}");
    reader.show_default("PUBLIC_URL", &text);
    #[expect(clippy::expect_used, reason = "an IP address and a port make a valid URL")]
    reader.get("PUBLIC_URL", parse::public_url).unwrap_or_else(|| Url::parse(&text).expect("the default is a URL"))
}

/// Returns the number of threads that serve HTTP: one for each core, unless set otherwise.
fn workers(reader: &mut Reader) -> usize {
    let cores = available_parallelism().map_or(1, usize::from);
    reader.show_default("WORKERS", cores);
    reader.get("WORKERS", parse::number(1..=1024)).unwrap_or(cores)
}

fn origins(reader: &mut Reader, public_url: &Url) -> Origins {
    let cookie_domain = reader.get("COOKIE_DOMAIN", origins::cookie_domain);
    let fits = cookie_domain.as_ref().is_none_or(|domain| origins::is_within(public_url, domain));
    reader.require("COOKIE_DOMAIN", "PUBLIC_URL", fits, "must be the host of PUBLIC_URL or a domain above it");
    Origins {
        allowed: reader.get("ALLOWED_ORIGINS", parse::origins).unwrap_or_default(),
        bearer: reader.get_or_default("CORS_BEARER", BearerOrigins::parse),
        preflight: reader.get_or_default("VERIFY_PREFLIGHT", PreflightOrigins::parse),
        cookie_domain,
    }
}

fn retention(reader: &mut Reader) -> Retention {
    let audit = reader.get_or_default("AUDIT_RETENTION", parse::seconds(0..=3_153_600_000));
    Retention {
        sessions: reader.get_or_default("SESSION_RETENTION", parse::seconds(0..=315_360_000)),
        audit: (!audit.is_zero()).then_some(audit),
        sweep_interval: reader.get_or_default("SWEEP_INTERVAL", parse::seconds(0..=86_400)),
    }
}

fn pages(reader: &mut Reader, public_url: &Url) -> Pages {
    let host = public_url.host_str().unwrap_or("keyturn");
    reader.show_default("BRAND_NAME", host);
    let brand = Brand {
        name: reader.get("BRAND_NAME", brand::name).unwrap_or_else(|| host.to_owned()),
        logo: reader.get("BRAND_LOGO", Logo::open),
        accent: reader.get("BRAND_COLOR", Accent::parse),
    };
    Pages {
        languages: reader.get_or_default("UI_LANGUAGES", Languages::parse),
        api_docs: reader.get_or_default("API_DOCS", parse::boolean),
        brand,
        templates: reader.get("PAGE_TEMPLATES", parse::folder),
    }
}

fn mail(reader: &mut Reader, public_url: &Url) -> Mail {
    let ca_file = reader.get("SMTP_CA_FILE", parse::readable_file);
    let relay = reader.get("SMTP_URL", |url| smtp_url::parse(url, public_url));
    let encrypts = relay.as_ref().is_some_and(|relay| relay.encryption != Encryption::None);
    let unused = "has an effect only with an SMTP_URL that encrypts";
    reader.require("SMTP_CA_FILE", "SMTP_URL", encrypts || ca_file.is_none(), unused);
    let from = Mailbox::new(Some("keyturn".to_owned()), no_reply(public_url));
    reader.show_default("MAIL_FROM", &from);
    Mail {
        relay: relay.map(|relay| Relay { ca_file, ..relay }),
        from: reader.get("MAIL_FROM", parse::mailbox).unwrap_or(from),
        templates: reader.get("MAIL_TEMPLATES", parse::folder),
    }
}

fn no_reply(public_url: &Url) -> Address {
    let host = public_url.domain().unwrap_or("localhost");
    Address::new("no-reply", host).unwrap_or_else(|_| Address::new_dangerous("no-reply", "localhost"))
}

fn limits(reader: &mut Reader) -> Limits {
    Limits {
        login_account: reader.get_or_default("LIMIT_LOGIN_ACCOUNT", parse::rate),
        login_address: reader.get_or_default("LIMIT_LOGIN_ADDRESS", parse::rate),
        register_address: reader.get_or_default("LIMIT_REGISTER_ADDRESS", parse::rate),
        refresh_session: reader.get_or_default("LIMIT_REFRESH_SESSION", parse::rate),
        refresh_address: reader.get_or_default("LIMIT_REFRESH_ADDRESS", parse::rate),
        forgot_account: reader.get_or_default("LIMIT_FORGOT_ACCOUNT", parse::rate),
        email_verified: reader.get_or_default("LIMIT_EMAIL_VERIFIED", parse::rate),
        email_unverified: reader.get_or_default("LIMIT_EMAIL_UNVERIFIED", parse::rate),
        mfa_account: reader.get_or_default("LIMIT_MFA_ACCOUNT", parse::rate),
        write_account: reader.get_or_default("LIMIT_WRITE_ACCOUNT", parse::rate),
        search_account: reader.get_or_default("LIMIT_SEARCH_ACCOUNT", parse::rate),
    }
}
