//! From what was given to a configuration, with the rules that bind settings to each other.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use lettre::Address;
use lettre::message::Mailbox;
use url::Url;

use super::source::{ConfigError, Environment, Reader, Shown, problem};
use super::{
    CacheKind, Config, Database, Encryption, GeoDatabase, Limits, Mail, Redis, Relay, Retention, parse, redis_url,
    secret_file, smtp_url, source,
};
use crate::random::Random;
use crate::secret::MasterSecret;

/// A configuration that was found right. Nothing has been created for it yet.
pub struct Loaded {
    /// Every setting in effect and where it came from, in the order of the documentation.
    pub shown: Vec<Shown>,
    complete: Box<dyn FnOnce(MasterSecret) -> Config>,
    secret: Option<MasterSecret>,
    data_dir: PathBuf,
}

impl Loaded {
    /// The configuration. An embedded server without a secret gets one here, in a file in `DATA_DIR`.
    ///
    /// # Errors
    /// That file cannot be written.
    pub fn into_config(self, random: &Random) -> Result<Config, ConfigError> {
        let secret = self.secret.map_or_else(|| secret_file::create(&self.data_dir, random), Ok);
        let secret = secret.map_err(|error| {
            let wrong = format!("cannot take the generated secret, is {:?}: {error}", self.data_dir);
            ConfigError(vec![problem("DATA_DIR", &wrong, "/var/lib/keyturn")])
        })?;
        Ok((self.complete)(secret))
    }
}

impl Config {
    /// Reads the configuration from `environment`, then `file`, then the defaults. Creates nothing.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn load(file: Option<&Path>, environment: Environment) -> Result<Loaded, ConfigError> {
        let mut read = Reader::new(file, environment);
        let data_dir = read.get("DATA_DIR", |path| Ok(PathBuf::from(path)));
        let database = database(&mut read, &data_dir);
        let cache = cache(&mut read);
        let secret = secret(&mut read, &database, &data_dir);
        let algorithm = read.get("JWT_ALGORITHM", parse::algorithm);
        let bind = read.get("BIND", parse::bind);
        let public_url = public_url(&mut read, bind);
        let issuer = public_url.as_str().trim_end_matches('/');
        read.show_default("ISSUER", issuer);
        let issuer = read.given("ISSUER", parse::claim).unwrap_or_else(|| issuer.to_owned());
        let audience = read.get("AUDIENCE", parse::claim);
        let access_token_ttl = read.get("ACCESS_TOKEN_TTL", parse::seconds(1..=86_400));
        let refresh_token_ttl = read.get("REFRESH_TOKEN_TTL", parse::seconds(1..=31_536_000));
        let session_max_lifetime = read.get("SESSION_MAX_LIFETIME", parse::seconds(1..=315_360_000));
        let replay_window = read.get("REFRESH_REPLAY_WINDOW", parse::seconds(0..=60));
        let mut require = |name, holds, wrong| read.require(name, "ACCESS_TOKEN_TTL", holds, wrong);
        require("REFRESH_TOKEN_TTL", refresh_token_ttl >= access_token_ttl, "must not be below ACCESS_TOKEN_TTL");
        require("SESSION_MAX_LIFETIME", session_max_lifetime >= access_token_ttl, "must not be below ACCESS_TOKEN_TTL");
        require("REFRESH_REPLAY_WINDOW", replay_window < access_token_ttl, "must be below ACCESS_TOKEN_TTL");
        let recoveries = read.get("REFRESH_RECOVERIES", parse::number(0..=10));
        let max_sessions_per_user = read.get("MAX_SESSIONS_PER_USER", parse::number(0..=100_000)).try_into().ok();
        let retention = retention(&mut read);
        let audit_refreshes = read.get("AUDIT_REFRESH", parse::switch);
        let registration = read.get("REGISTRATION", parse::registration);
        let argon2 = read.get("ARGON2", parse::argon2);
        let cores = available_parallelism().map_or(1, usize::from);
        read.show_default("WORKERS", cores);
        let workers = read.given("WORKERS", parse::number(1..=1024)).unwrap_or(cores);
        let allowed_origins = read.given("ALLOWED_ORIGINS", parse::origins).unwrap_or_default();
        let trusted_proxies = read.given("TRUSTED_PROXIES", parse::networks).unwrap_or_default();
        let mail = mail(&mut read, &public_url);
        let geoip_database = read.given("GEOIP_DATABASE", GeoDatabase::open);
        let limits = limits(&mut read);
        let log = read.get("LOG", parse::log);
        let dir = data_dir.clone();
        #[rustfmt::skip]
        let complete = move |secret| Config {
            data_dir: dir, database, cache, secret, algorithm, issuer, audience, access_token_ttl, refresh_token_ttl,
            session_max_lifetime, replay_window, recoveries, max_sessions_per_user, retention, audit_refreshes,
            registration, argon2, bind, workers, public_url, allowed_origins, trusted_proxies,
            geoip_database, mail, limits, log,
        };
        Ok(Loaded { shown: read.finish()?, complete: Box::new(complete), secret, data_dir })
    }

    /// A configuration of these settings (by their names in the environment) and defaults alone, whatever the
    /// environment holds.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn from_settings(settings: &[(&str, &str)], random: &Random) -> Result<Self, ConfigError> {
        let unknown: Vec<String> =
            settings.iter().filter_map(|(name, _)| source::unknown(&name.to_ascii_lowercase())).collect();
        if !unknown.is_empty() {
            return Err(ConfigError(unknown));
        }
        let find = |name: &str| settings.iter().find(|(known, _)| *known == name);
        Self::load(None, &|name| find(name).map(|(_, value)| OsString::from(value)))?.into_config(random)
    }
}

fn database(read: &mut Reader, data_dir: &Path) -> Database {
    let path = data_dir.join("keyturn.db");
    read.show_default("DATABASE_URL", format_args!("sqlite:{}", path.display()));
    read.given("DATABASE_URL", parse::database).unwrap_or(Database::Sqlite { path })
}

fn cache(read: &mut Reader) -> CacheKind {
    let prefix = read.get("REDIS_PREFIX", parse::redis_prefix);
    let ca_file = read.given("REDIS_CA_FILE", parse::readable_file);
    let tls = read.given("REDIS_URL", |url| Ok(url.starts_with("rediss"))).unwrap_or_default();
    let layout = read.given("REDIS_URL", redis_url::parse);
    let idle = "is of use only with a REDIS_URL that begins with rediss";
    read.require("REDIS_CA_FILE", "REDIS_URL", tls || ca_file.is_none(), idle);
    layout.map_or(CacheKind::Memory, |layout| CacheKind::Redis(Redis { layout, ca_file, prefix }))
}

/// `None` when the secret has yet to be generated.
fn secret(read: &mut Reader, database: &Database, data_dir: &Path) -> Option<MasterSecret> {
    let given = read.given("JWT_SECRET", parse::secret);
    if let Database::Postgres { .. } = database {
        let shared = "is required with Postgres, and must be the same on all servers";
        read.require("JWT_SECRET", "DATABASE_URL", given.is_some(), shared);
        return given;
    }
    let path = secret_file::path(data_dir);
    given.or_else(|| match secret_file::read(data_dir) {
        Ok(kept) => {
            let state = if kept.is_some() { "kept in" } else { "generated at the first start, into" };
            read.show_default("JWT_SECRET", format_args!("{state} {}", path.display()));
            kept
        }
        Err(error) => {
            read.report("JWT_SECRET", &format!("cannot be taken from {}: {error}", path.display()));
            None
        }
    })
}

/// By default the address that the server listens on; when that is every address, this machine's name for itself.
fn public_url(read: &mut Reader, bind: SocketAddr) -> Url {
    let host = if bind.ip().is_unspecified() {
        format!("localhost:{}", bind.port())
    } else {
        // Anew, without the scope that an IPv6 address may have: a URL has no room for it.
        SocketAddr::new(bind.ip(), bind.port()).to_string()
    };
    let text = format!("http://{host}");
    read.show_default("PUBLIC_URL", &text);
    #[expect(clippy::expect_used, reason = "an address and a port are all that a URL needs")]
    read.given("PUBLIC_URL", parse::public_url).unwrap_or_else(|| Url::parse(&text).expect("is a URL"))
}

fn retention(read: &mut Reader) -> Retention {
    let audit = read.get("AUDIT_RETENTION", parse::seconds(0..=3_153_600_000));
    Retention {
        sessions: read.get("SESSION_RETENTION", parse::seconds(0..=315_360_000)),
        audit: (!audit.is_zero()).then_some(audit),
        sweep_interval: read.get("SWEEP_INTERVAL", parse::seconds(0..=86_400)),
    }
}

fn mail(read: &mut Reader, public_url: &Url) -> Mail {
    let ca_file = read.given("SMTP_CA_FILE", parse::readable_file);
    let relay = read.given("SMTP_URL", |url| smtp_url::parse(url, public_url));
    let encrypts = relay.as_ref().is_some_and(|relay| relay.encryption != Encryption::None);
    let idle = "is of use only with an SMTP_URL that encrypts";
    read.require("SMTP_CA_FILE", "SMTP_URL", encrypts || ca_file.is_none(), idle);
    let from = Mailbox::new(Some("keyturn".to_owned()), no_reply(public_url));
    read.show_default("MAIL_FROM", &from);
    Mail {
        relay: relay.map(|relay| Relay { ca_file, ..relay }),
        from: read.given("MAIL_FROM", parse::mailbox).unwrap_or(from),
        templates: read.given("MAIL_TEMPLATES", parse::folder),
    }
}

fn no_reply(public_url: &Url) -> Address {
    let host = public_url.domain().unwrap_or("localhost");
    Address::new("no-reply", host).unwrap_or_else(|_| Address::new_dangerous("no-reply", "localhost"))
}

fn limits(read: &mut Reader) -> Limits {
    Limits {
        login_account: read.get("LIMIT_LOGIN_ACCOUNT", parse::rate),
        login_address: read.get("LIMIT_LOGIN_ADDRESS", parse::rate),
        register_address: read.get("LIMIT_REGISTER_ADDRESS", parse::rate),
        refresh_session: read.get("LIMIT_REFRESH_SESSION", parse::rate),
        refresh_address: read.get("LIMIT_REFRESH_ADDRESS", parse::rate),
        forgot_account: read.get("LIMIT_FORGOT_ACCOUNT", parse::rate),
        mfa_account: read.get("LIMIT_MFA_ACCOUNT", parse::rate),
    }
}
