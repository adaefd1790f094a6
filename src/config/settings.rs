//! The table of settings: what an operator may set, and the page that says so.

use std::fmt::Write as _;

/// One setting. Parsing, `keyturn config check` and `docs/configuration.md` follow from it.
pub struct Setting {
    /// The name in the environment; in a file it is the same in lower case.
    pub name: &'static str,
    pub default: Preset,
    /// A value that is right, other than the default.
    pub example: &'static str,
    /// What it does, in one sentence.
    pub about: &'static str,
    pub shows: Shows,
}

/// What holds while a setting is unset.
#[derive(Clone, Copy)]
pub enum Preset {
    Value(&'static str),
    /// It depends on the machine or on other settings; said in words.
    Derived(&'static str),
}

impl Preset {
    pub(super) const fn words(self) -> &'static str {
        let (Value(words) | Derived(words)) = self;
        words
    }
}

/// How much of a value may be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    All,
    /// A URL, without what may hold a password.
    UrlWithoutCredentials,
    Nothing,
}

use Preset::{Derived, Value};

impl Setting {
    const fn new(name: &'static str, default: Preset, example: &'static str, about: &'static str) -> Self {
        Self { name, default, example, about, shows: Shows::All }
    }

    const fn showing(mut self, shows: Shows) -> Self {
        self.shows = shows;
        self
    }

    /// The form of `value` that may be shown.
    pub fn shown(&self, value: &str) -> String {
        match (self.shows, value.split_once("://")) {
            (Shows::All, _) => value.to_owned(),
            (Shows::UrlWithoutCredentials, Some((scheme, rest))) => format!("{scheme}://{}", without_credentials(rest)),
            (Shows::UrlWithoutCredentials, None) if value.starts_with("sqlite:") => value.to_owned(),
            (Shows::UrlWithoutCredentials | Shows::Nothing, _) => "(hidden)".to_owned(),
        }
    }
}

/// Hides all before the last `@` and all parameters: whichever way a password was misquoted, it lies in there.
fn without_credentials(rest: &str) -> String {
    let (hidden, visible) = rest.rsplit_once('@').map_or(("", rest), |(_, visible)| ("(hidden)@", visible));
    match visible.split_once(['?', '#']) {
        Some((address, _)) => format!("{hidden}{address}?(hidden)"),
        None => format!("{hidden}{visible}"),
    }
}

#[rustfmt::skip]
static SETTINGS: [Setting; 39] = [
    Setting::new("DATA_DIR", Value("./data"), "/var/lib/keyturn",
        "Directory of what the server generates and of its embedded database."),
    Setting::new("DATABASE_URL", Derived("`sqlite:DATA_DIR/keyturn.db`"), "postgres://keyturn@db.example/keyturn",
        "Postgres, or the embedded database in a file of your choice, `sqlite:PATH`.").showing(Shows::UrlWithoutCredentials),
    Setting::new("REDIS_URL", Derived("a cache in the process"), "rediss://cache.example:6379/0",
        "Redis, the cache that several servers share; its forms are below.").showing(Shows::UrlWithoutCredentials),
    Setting::new("REDIS_CA_FILE", Derived("the system's authorities"), "/etc/keyturn/redis-ca.pem",
        "PEM file of the authority that signed the certificate of a `rediss` server."),
    Setting::new("REDIS_PREFIX", Value("keyturn"), "keyturn-staging", "What every key in Redis begins with."),
    Setting::new("JWT_SECRET", Derived("generated; required with Postgres"), "$(openssl rand -hex 32)",
        "At least 64 characters that all keys are derived from, the same on all servers.").showing(Shows::Nothing),
    Setting::new("JWT_ALGORITHM", Value("ES256"), "EdDSA",
        "How new access tokens are signed: ES256, EdDSA, RS256 or HS256."),
    Setting::new("ISSUER", Derived("`PUBLIC_URL` without a trailing slash"), "https://auth.example",
        "`iss` of every token."),
    Setting::new("AUDIENCE", Value("keyturn"), "https://api.example", "`aud` of every token."),
    Setting::new("ACCESS_TOKEN_TTL", Value("900"), "600", "Seconds that an access token is good for, 1 to 86400."),
    Setting::new("REFRESH_TOKEN_TTL", Value("604800"), "1209600",
        "Seconds unused after which a session ends, `ACCESS_TOKEN_TTL` to 31536000."),
    Setting::new("SESSION_MAX_LIFETIME", Value("2592000"), "7776000",
        "Seconds after which a session ends in any case, `ACCESS_TOKEN_TTL` to 315360000."),
    Setting::new("REFRESH_REPLAY_WINDOW", Value("10"), "0",
        "Seconds that a refresh may be repeated and its old access token used, 0 to 60, below `ACCESS_TOKEN_TTL`."),
    Setting::new("REFRESH_RECOVERIES", Value("2"), "1",
        "Later repetitions of a refresh that a session has in reserve, 0 to 10."),
    Setting::new("MAX_SESSIONS_PER_USER", Value("0"), "10",
        "Live sessions of one account, 0 to 100000; beyond it the least recently used one ends. 0 is no limit."),
    Setting::new("SESSION_RETENTION", Value("2592000"), "7776000",
        "Seconds that a session which has ended is kept for the history, 0 to 315360000."),
    Setting::new("AUDIT_RETENTION", Value("31536000"), "0",
        "Seconds that an audited event is kept, 0 to 3153600000. 0 is for ever."),
    Setting::new("SWEEP_INTERVAL", Value("300"), "0",
        "Seconds between removals of what was kept for long enough, 0 to 86400. 0 leaves them to `keyturn session sweep`."),
    Setting::new("AUDIT_REFRESH", Value("false"), "true",
        "Whether refreshes that succeed are audited too, at the cost of a row each: true or false."),
    Setting::new("REGISTRATION", Value("open"), "closed", "Whether strangers may register: open or closed."),
    Setting::new("ARGON2", Value("m=19456,t=2,p=1"), "m=47104,t=1,p=1",
        "Cost of a password hash: KiB of memory (7168 to 262144), passes (1 to 8), lanes (1 to 16)."),
    Setting::new("BIND", Value("127.0.0.1:8080"), "0.0.0.0:8080", "Address and port that the server listens on."),
    Setting::new("WORKERS", Derived("the number of cores"), "4", "Threads that serve HTTP, 1 to 1024."),
    Setting::new("PUBLIC_URL", Derived("`http://BIND`"), "https://auth.example",
        "Where people reach the server; links and the issuer are made from it."),
    Setting::new("ALLOWED_ORIGINS", Derived("none"), "https://app.example,https://admin.example",
        "Origins whose pages may call the server with its cookies."),
    Setting::new("TRUSTED_PROXIES", Derived("none"), "10.0.0.0/8,::1",
        "Addresses and networks of proxies whose `X-Forwarded-For` is believed."),
    Setting::new("GEOIP_DATABASE", Derived("no places"), "/var/lib/GeoIP/GeoLite2-City.mmdb",
        "Database in MaxMind's format that tells in which country and city an address is."),
    Setting::new("SMTP_URL", Derived("mails are files in `DATA_DIR/outbox`"), "smtps://keyturn:PASSWORD@mail.example",
        "The mail server that takes mails; its forms are below.").showing(Shows::UrlWithoutCredentials),
    Setting::new("SMTP_CA_FILE", Derived("the system's authorities"), "/etc/keyturn/smtp-ca.pem",
        "PEM file of the authority that signed the mail server's certificate."),
    Setting::new("MAIL_FROM", Derived("`keyturn <no-reply@HOST>` with the host of `PUBLIC_URL`"), "Example <no-reply@example.com>",
        "Whom mails come from."),
    Setting::new("MAIL_TEMPLATES", Derived("built in"), "/etc/keyturn/mail",
        "Folder of templates that take the places of those of their names."),
    Setting::new("LIMIT_LOGIN_ACCOUNT", Value("10/600"), "20/600", "Attempts to log in to one account."),
    Setting::new("LIMIT_LOGIN_ADDRESS", Value("100/300"), "1000/300", "Attempts to log in from one address."),
    Setting::new("LIMIT_REGISTER_ADDRESS", Value("50/3600"), "off", "Registrations from one address."),
    Setting::new("LIMIT_REFRESH_SESSION", Value("120/60"), "60/60", "Refreshes of one session."),
    Setting::new("LIMIT_REFRESH_ADDRESS", Value("1000/60"), "off", "Refreshes from one address."),
    Setting::new("LIMIT_FORGOT_ACCOUNT", Value("5/3600"), "off", "Mails to one account that somebody asked for."),
    Setting::new("LIMIT_MFA_ACCOUNT", Value("10/600"), "20/600", "Second factors tried for one account."),
    Setting::new("LOG", Value("info"), "info,keyturn=debug",
        "What is logged: off, error, warn, info, debug, trace, or a list of `module=level`."),
];

/// All settings, in the order of the documentation.
pub fn settings() -> &'static [Setting] {
    &SETTINGS
}

pub(super) fn setting(name: &str) -> &'static Setting {
    #[expect(clippy::expect_used, reason = "names are constants, and a test looks them all up")]
    settings().iter().find(|setting| setting.name == name).expect("is in the table")
}

/// `docs/configuration.md`.
pub fn documentation() -> String {
    let mut page = INTRODUCTION.to_owned();
    for setting in settings() {
        let default = match setting.default {
            Value(text) => format!("`{text}`"),
            Derived(words) => words.to_owned(),
        };
        let _ = writeln!(page, "| `{}` | {default} | `{}` | {} |", setting.name, setting.example, setting.about);
    }
    page + NOTES
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated: keyturn config docs > docs/configuration.md -->

keyturn runs without any configuration. A setting is looked up once, at the start, in this order:

1. in the environment: `NAME`, or `NAME_FILE` with the path of a file that holds the value;
2. in the TOML file that `--config PATH` names: `name` or `name_file`, in lower case; a list may be an array;
3. in the table below.

White space around a value is dropped, and an empty one counts as unset. Wrong values, unknown keys in the file and a setting
given both as `NAME` and as `NAME_FILE` stop the start, and are reported all at once. `keyturn config check` shows what is in
effect and where it came from, with secrets hidden.

| Name | Default | Example | What it does |
| --- | --- | --- | --- |
";

const NOTES: &str = "
`REDIS_URL` is `redis://HOST:PORT/DB`, `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB` or `redis+cluster://HOST:PORT,HOST:PORT`,
with `rediss` in the place of `redis` for TLS. Credentials stand before the hosts as `:PASSWORD@` or `USER:PASSWORD@`, special
characters percent-encoded; sentinels that ask for a password get it by `?sentinel_password=PASSWORD` at the end.

`SMTP_URL` is `smtps://HOST:PORT` for TLS from the first byte on (port 465 unless given), `smtp://HOST:PORT?tls=required` for
STARTTLS or nothing (587), `smtp://HOST:PORT?tls=opportunistic` for STARTTLS where the server offers it (587), or
`smtp://HOST:PORT` without encryption (25). Credentials stand before the host as `USER:PASSWORD@`, percent-encoded; without
encryption they go to this machine only, unless `?tls=none` says that this is meant. `smtp://HOST/NAME` gives the name that
keyturn greets with, the host of `PUBLIC_URL` otherwise.

A limit is `COUNT/SECONDS` or `off`: COUNT attempts at once, then COUNT more spread evenly over SECONDS. The defaults leave
room for an office behind one address. Lists have commas between their elements.
";
