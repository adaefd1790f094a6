//! What an operator sets: read once at the start, from the environment, then a TOML file, then defaults, into types
//! that cannot be wrong.

mod geoip;
mod load;
mod parse;
mod redis_url;
mod secret_file;
mod settings;
mod smtp_url;
mod source;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use lettre::message::Mailbox;
use url::Url;
use zeroize::Zeroizing;

use crate::secret::MasterSecret;

pub use geoip::GeoDatabase;
pub use load::Loaded;
pub use settings::{Preset, Setting, Shows, documentation, settings};
pub use source::{ConfigError, Environment, Shown};

/// The whole configuration of a server, checked.
#[derive(Clone)]
pub struct Config {
    /// Where what is generated or embedded lies.
    pub data_dir: PathBuf,
    pub database: Database,
    pub cache: CacheKind,
    pub secret: MasterSecret,
    /// The algorithm that new access tokens are signed with.
    pub algorithm: Algorithm,
    /// `iss` of every token: `ISSUER`, else `public_url` without a trailing slash.
    pub issuer: String,
    /// `aud` of every token.
    pub audience: String,
    pub access_token_ttl: Duration,
    pub refresh_token_ttl: Duration,
    /// The longest that a session lives, however often it is refreshed.
    pub session_max_lifetime: Duration,
    /// How long a refresh may be repeated freely, and how long the access token it superseded stays good.
    pub replay_window: Duration,
    /// How many late repetitions a session has in reserve.
    pub recoveries: u32,
    /// Live sessions of one account; `None` is no limit.
    pub max_sessions_per_user: Option<std::num::NonZeroU32>,
    pub retention: Retention,
    /// Whether refreshes that succeed are audited.
    pub audit_refreshes: bool,
    /// Whether strangers may register.
    pub registration: bool,
    pub argon2: Argon2Cost,
    pub bind: SocketAddr,
    /// Threads that serve HTTP.
    pub workers: usize,
    /// Where people reach the server; links and the issuer are made from it.
    pub public_url: Url,
    /// Origins (scheme, host, port; no path) whose pages may call the server with its cookies.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    pub mail: Mail,
    /// Tells where addresses are.
    pub geoip_database: Option<GeoDatabase>,
    pub limits: Limits,
    /// A filter of the tracing crate, such as `info` or `keyturn=debug`.
    pub log: String,
}

/// How long the past is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Of sessions that have ended.
    pub sessions: Duration,
    /// Of audited events; `None` is for ever.
    pub audit: Option<Duration>,
    /// How often what was kept for long enough is removed; zero leaves it to operators.
    pub sweep_interval: Duration,
}

/// Where accounts and sessions are kept.
#[derive(Clone)]
pub enum Database {
    /// Embedded, in this file.
    Sqlite { path: PathBuf },
    /// A libpq connection URL. May hold a password.
    Postgres { url: Zeroizing<String> },
}

/// What makes the database faster.
#[derive(Clone)]
pub enum CacheKind {
    /// In the process, for one server.
    Memory,
    Redis(Redis),
}

/// A Redis to share the cache with other servers. URLs may hold passwords.
#[derive(Clone)]
pub struct Redis {
    pub layout: RedisLayout,
    /// A PEM file with the authority that signed the server's certificate, for `rediss`; without it the system's.
    pub ca_file: Option<PathBuf>,
    /// What every key begins with: `keyturn` unless set.
    pub prefix: String,
}

#[derive(Clone)]
pub enum RedisLayout {
    /// `redis://…` or `rediss://…`
    Single { url: Zeroizing<String> },
    /// `redis+sentinel://[[user]:password@]host:port,host:port/service[/db][?sentinel_password=…]`. The sentinels are
    /// URLs of the schemes `redis` or `rediss`, with ports and their own password; user, password and `db` are those of
    /// the servers that they watch.
    Sentinel {
        sentinels: Vec<Zeroizing<String>>,
        service: String,
        username: Option<String>,
        password: Option<Zeroizing<String>>,
        db: i64,
        tls: bool,
    },
    /// `redis+cluster://[[user]:password@]host:port,host:port`; the nodes are URLs of the schemes `redis` or `rediss`.
    Cluster { nodes: Vec<Zeroizing<String>> },
}

/// How mails leave.
#[derive(Clone)]
pub struct Mail {
    /// The server that takes them; without it they are files in `DATA_DIR/outbox`.
    pub relay: Option<Relay>,
    pub from: Mailbox,
    /// A folder of templates in the place of those that are built in.
    pub templates: Option<PathBuf>,
}

/// A mail server and how to speak to it.
#[derive(Clone)]
pub struct Relay {
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// What keyturn calls itself (EHLO, RFC 5321 §4.1.1.1): a name, or an address as an address literal.
    pub hello: String,
    /// A PEM file with the authority that signed the server's certificate; without it the system's.
    pub ca_file: Option<PathBuf>,
}

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    None,
    /// By STARTTLS (RFC 3207) where the server offers it: no protection from somebody on the way.
    Opportunistic,
    /// By STARTTLS or not at all.
    Required,
    /// From the first byte on (RFC 8314 §3.3).
    Implicit,
}

/// How access tokens are signed (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Es256,
    EdDsa,
    Rs256,
    Hs256,
}

impl Algorithm {
    /// Every algorithm, the default first.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Rs256, Self::Hs256];

    /// The value of the `alg` header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm of that name, in any case of letters.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

/// The parameters of Argon2id (RFC 9106 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

/// How often something may be tried: `burst` at once, then spread evenly over `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub burst: std::num::NonZeroU32,
    pub period: Duration,
}

/// One rate per kind of attempt; `None` is no limit.
#[derive(Clone, Debug)]
pub struct Limits {
    pub login_account: Option<Rate>,
    pub login_address: Option<Rate>,
    pub register_address: Option<Rate>,
    pub refresh_session: Option<Rate>,
    pub refresh_address: Option<Rate>,
    pub forgot_account: Option<Rate>,
    pub mfa_account: Option<Rate>,
}
