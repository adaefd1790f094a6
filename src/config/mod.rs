//! The configuration. It is read once at the start, from the environment, a TOML file and defaults, in this order, and
//! validated.

mod brand;
mod database_url;
mod geoip;
mod load;
mod names;
mod origins;
mod parse;
pub mod postgres_url;
mod redis_url;
mod secret_file;
mod settings;
mod smtp_url;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use lettre::message::Mailbox;
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::secret::MasterSecret;
use crate::texts::Languages;
use crate::types::{Algorithm, Rate};

pub use brand::{Accent, Brand, Color, Logo, LogoKind, Shades};
pub use geoip::GeoDatabase;
pub use load::Loaded;
pub use names::Environment;
pub use origins::{AllowedOrigin, BearerOrigins, Origins, PreflightOrigins};
pub use settings::{DefaultValue, RELOADED, Setting, Visibility, documentation, settings};
pub use source::{ConfigError, EffectiveSetting};

/// The longest lifetime of access tokens that can be set.
pub const MAX_ACCESS_TOKEN_TTL: Duration = Duration::from_secs(86_400);

/// The lifetimes of logins on this server's pages.
#[derive(Clone, Copy, Debug)]
pub struct BrowserSessionConfig {
    /// The time after its last use at which a browser session ends.
    pub idle: Duration,
    /// The longest lifetime of a browser session, however often it is used.
    pub max_lifetime: Duration,
}

/// The configuration of a server.
#[derive(Clone)]
pub struct Config {
    /// The directory of generated files and of the embedded database.
    pub data_dir: PathBuf,
    /// The database of accounts and sessions.
    pub database: Database,
    /// The number of connections to the database, besides the one that rotates refresh tokens.
    pub database_pool_size: usize,
    /// The cache of checks.
    pub cache: CacheKind,
    /// The secret from which all keys are derived.
    pub secret: MasterSecret,
    /// The algorithm that signs new access tokens.
    pub algorithm: Algorithm,
    /// The lives of signing keys.
    pub keys: SigningKeys,
    /// The claim `iss` of every access token: `ISSUER`, or `public_url` without a trailing slash.
    pub issuer: String,
    /// The claim `aud` of every access token.
    pub audience: String,
    /// The lifetime of an access token.
    pub access_token_ttl: Duration,
    /// The claims of the account's profile that access tokens have.
    pub profile_claims: ProfileClaims,
    /// The time without a refresh after which a session expires.
    pub refresh_token_ttl: Duration,
    /// The longest lifetime of a session, however often it is refreshed.
    pub session_max_lifetime: Duration,
    /// The lifetimes of browser sessions.
    pub browser_sessions: BrowserSessionConfig,
    /// The time in which a refresh can be replayed, and in which the superseded access token stays valid.
    pub replay_window: Duration,
    /// The number of recoveries that a session has: replays after the replay window.
    pub recoveries: u32,
    /// The most live sessions of an account, or `None` for no limit.
    pub max_sessions_per_user: Option<std::num::NonZeroU32>,
    /// The retention of old rows.
    pub retention: Retention,
    /// Whether successful refreshes are audited.
    pub audit_refreshes: bool,
    /// Whether anybody can register.
    pub registration: bool,
    /// Whether every proof of DPoP needs a nonce.
    pub requires_dpop_nonce: bool,
    /// Whether only an account with a verified email address may log in.
    pub require_verified_email: bool,
    /// The time from a request to delete an account to its deletion. Zero deletes at once.
    pub account_deletion_grace: Duration,
    /// The cost of a password hash.
    pub argon2: Argon2Cost,
    /// The IP address and port that the server listens on.
    pub bind: SocketAddr,
    /// The IP address and port of the metrics, if they have one of their own.
    pub metrics_bind: Option<SocketAddr>,
    /// The number of threads that serve HTTP.
    pub workers: usize,
    /// The time that a connection may stay without a complete head of a request.
    pub keep_alive: Duration,
    /// The most connections from one address, or `None` for no limit.
    pub max_connections_per_address: Option<std::num::NonZeroU32>,
    /// The URL at which users reach the server. Links in emails begin with it.
    pub public_url: Url,
    /// The origins whose pages may call the server.
    pub origins: Origins,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The pages for people.
    pub pages: Pages,
    /// The delivery of emails.
    pub mail: Mail,
    /// The database of the places of IP addresses.
    pub geoip_database: Option<GeoDatabase>,
    /// The page where forward authentication sends browsers that have to log in.
    pub verify_login_url: Option<Url>,
    /// The rate limits.
    pub limits: Limits,
    /// A filter of the crate tracing, such as `info` or `keyturn=debug`.
    pub log: String,
}

impl Config {
    /// Returns whether `PUBLIC_URL` leads to the computer that the server runs on, and so to nobody else.
    pub fn is_local(&self) -> bool {
        match self.public_url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        }
    }
}

/// The claims of an account's profile that access tokens have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProfileClaims {
    /// `email` and `email_verified`.
    pub email: bool,
    /// `name`.
    pub name: bool,
}

/// The lives of signing keys.
#[derive(Clone, Debug)]
pub struct SigningKeys {
    /// Further algorithms, each with a key of its own, for verifiers that do not know `JWT_ALGORITHM`.
    pub additional_algorithms: Vec<Algorithm>,
    /// The time that verifiers may keep the published keys.
    pub jwks_max_age: Duration,
    /// The time after which a signing key is replaced, or `None` to leave that to operators.
    pub rotation_interval: Option<Duration>,
}

/// The retention of old rows.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// The time that ended sessions are kept.
    pub sessions: Duration,
    /// The time that audited events are kept, or `None` to keep them forever.
    pub audit: Option<Duration>,
    /// The time between two deletions of old rows. Zero leaves them to operators.
    pub sweep_interval: Duration,
}

/// The database of accounts and sessions.
#[derive(Clone)]
pub enum Database {
    /// The embedded database.
    Sqlite {
        /// The database file.
        path: PathBuf,
    },
    /// A Postgres server.
    Postgres {
        /// A connection URL, which can contain a password.
        url: Zeroizing<String>,
        /// The schema of all tables: a name that needs no quotes.
        schema: String,
    },
}

impl fmt::Display for Database {
    /// Writes the place of the database, without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => {
                write!(f, "sqlite:{}", std::path::absolute(path).as_ref().unwrap_or(path).display())
            }
            Self::Postgres { url, schema } => write!(f, "{}, schema {schema}", settings::without_credentials(url)),
        }
    }
}

/// The cache of checks.
#[derive(Clone)]
pub enum CacheKind {
    /// A cache in the process, for a single server.
    Memory,
    /// A cache that servers share.
    Redis(Redis),
}

/// A Redis cache that servers share.
#[derive(Clone)]
pub struct Redis {
    /// The servers to connect to.
    pub layout: RedisLayout,
    /// A PEM file with the certificate authority for `rediss`. The default is the certificate authorities of the
    /// system.
    pub ca_file: Option<PathBuf>,
    /// The prefix of every key.
    pub prefix: String,
    /// The timeout of a call, including the time that it waits for a connection.
    pub timeout: Duration,
}

/// The servers of a Redis cache. Their URLs can contain passwords.
#[derive(Clone)]
pub enum RedisLayout {
    /// A single server.
    Single {
        /// `redis://…` or `rediss://…`.
        url: Zeroizing<String>,
    },
    /// Servers that Sentinel monitors.
    Sentinel {
        /// The URLs of the sentinels, with the scheme `redis` or `rediss`, the port and the sentinels' own password.
        sentinels: Vec<Zeroizing<String>>,
        /// The name of the monitored primary.
        service: String,
        /// The user name for the monitored servers.
        username: Option<String>,
        /// The password for the monitored servers.
        password: Option<Zeroizing<String>>,
        /// The number of the database on the monitored servers.
        db: i64,
        /// Whether connections use TLS.
        tls: bool,
    },
    /// A Redis Cluster.
    Cluster {
        /// The URLs of some nodes, with the scheme `redis` or `rediss`.
        nodes: Vec<Zeroizing<String>>,
    },
}

/// The pages for people.
#[derive(Clone, Debug)]
pub struct Pages {
    /// The languages that they are offered in.
    pub languages: Languages,
    /// Whether `/docs` shows the API explorer.
    pub api_docs: bool,
    /// Their look, and that of emails.
    pub brand: Brand,
    /// A directory of templates that replace the built-in ones.
    pub templates: Option<PathBuf>,
}

/// The delivery of emails.
#[derive(Clone)]
pub struct Mail {
    /// The mail server. Without one, emails are written to `DATA_DIR/outbox`.
    pub relay: Option<Relay>,
    /// The sender of all emails.
    pub from: Mailbox,
    /// A directory of templates that replace the built-in ones.
    pub templates: Option<PathBuf>,
}

/// A mail server that accepts emails by SMTP.
#[derive(Clone)]
pub struct Relay {
    /// A host name, or an IP address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The encryption of the connection.
    pub encryption: Encryption,
    /// The user name and the password.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// The name that keyturn sends in EHLO (RFC 5321 §4.1.1.1): a host name or an address literal.
    pub hello: String,
    /// A PEM file with the certificate authority. The default is the certificate authorities of the system.
    pub ca_file: Option<PathBuf>,
}

/// The encryption of a connection to a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// No encryption.
    None,
    /// STARTTLS (RFC 3207) if the server offers it, which does not protect against an active attacker.
    Opportunistic,
    /// STARTTLS, without which the delivery fails.
    Required,
    /// TLS from the start of the connection (RFC 8314 §3.3).
    Implicit,
}

/// The parameters of Argon2id (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    /// The memory in KiB.
    pub memory_kib: u32,
    /// The number of passes over the memory.
    pub passes: u32,
    /// The degree of parallelism.
    pub lanes: u32,
}

/// The rate limits. `None` means no limit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Logins to one account.
    pub login_account: Option<Rate>,
    /// Logins from one IP address.
    pub login_address: Option<Rate>,
    /// Registrations from one IP address.
    pub register_address: Option<Rate>,
    /// Refreshes of one session.
    pub refresh_session: Option<Rate>,
    /// Refreshes from one IP address.
    pub refresh_address: Option<Rate>,
    /// Requested emails to one account.
    pub forgot_account: Option<Rate>,
    /// Emails of one class to one verified address.
    pub email_verified: Option<Rate>,
    /// Emails to one address that no account has verified.
    pub email_unverified: Option<Rate>,
    /// Attempts at the second factor of one account.
    pub mfa_account: Option<Rate>,
    /// Requests of one account that change something.
    pub write_account: Option<Rate>,
    /// Requests of one account that look something up.
    pub search_account: Option<Rate>,
}
