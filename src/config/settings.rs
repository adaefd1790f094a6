//! The table of settings and the page that documents them.

use std::fmt::Write as _;

/// A setting. It determines what is read, what `keyturn config check` displays and what `docs/configuration.md` says.
pub struct Setting {
    /// The name in the environment. In a file it is in lower case.
    pub name: &'static str,
    /// The value if it is unset.
    pub default: DefaultValue,
    /// A valid value other than the default.
    pub example: &'static str,
    /// The effect of the setting, in one sentence.
    pub description: &'static str,
    /// How much of the value may be displayed.
    pub visibility: Visibility,
}

/// The value of a setting that is unset.
#[derive(Clone, Copy)]
pub enum DefaultValue {
    /// A constant, as it would be set.
    Value(&'static str),
    /// A value that depends on the machine or on other settings, as a description.
    Derived(&'static str),
}

impl DefaultValue {
    /// Returns the value or its description.
    pub(super) const fn text(self) -> &'static str {
        let (Value(text) | Derived(text)) = self;
        text
    }
}

/// The part of a value that may be displayed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The whole value.
    Full,
    /// A URL without the parts that can contain a password.
    UrlWithoutCredentials,
    /// Nothing.
    Hidden,
}

use DefaultValue::{Derived, Value};

/// The value of `DATABASE_URL` that asks for the embedded database in `DATA_DIR`.
pub(super) const EMBEDDED: &str = "embedded";

impl Setting {
    const fn new(name: &'static str, default: DefaultValue, example: &'static str, description: &'static str) -> Self {
        Self { name, default, example, description, visibility: Visibility::Full }
    }

    const fn with_visibility(mut self, visibility: Visibility) -> Self {
        self.visibility = visibility;
        self
    }

    /// Returns whether all of `value` may be displayed: it is no secret, and no URL with credentials.
    pub(super) fn shows(&self, value: &str) -> bool {
        self.visibility == Visibility::Full && !value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
    }

    /// Returns the part of `value` that may be displayed.
    pub fn redact(&self, value: &str) -> String {
        match (self.visibility, value.split_once("://")) {
            (Visibility::Full, _) if self.shows(value) => value.to_owned(),
            (Visibility::Full | Visibility::UrlWithoutCredentials, Some(_)) => without_credentials(value),
            (Visibility::UrlWithoutCredentials, None) if value.starts_with("sqlite:") || value == EMBEDDED => {
                value.to_owned()
            }
            (Visibility::Full | Visibility::UrlWithoutCredentials | Visibility::Hidden, _) => "(hidden)".to_owned(),
        }
    }
}

/// Returns a URL that hides everything before the last `@` and all parameters, so that a password with characters that
/// are not percent-encoded is hidden too.
pub(super) fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (hidden, visible) = rest.rsplit_once('@').map_or(("", rest), |(_, visible)| ("(hidden)@", visible));
    match visible.split_once(['?', '#']) {
        Some((location, _)) => format!("{scheme}://{hidden}{location}?(hidden)"),
        None => format!("{scheme}://{hidden}{visible}"),
    }
}

#[rustfmt::skip]
static SETTINGS: [Setting; 70] = [
    Setting::new("DATA_DIR", Value("./data"), "/var/lib/keyturn",
        "Directory of the generated secret and of the embedded database."),
    Setting::new("DATABASE_URL", Derived("`sqlite:DATA_DIR/keyturn.db`"), "postgres://keyturn@db.example/keyturn",
        "Database: Postgres, or the embedded database in the file `sqlite:PATH`, or `embedded` for its default.")
        .with_visibility(Visibility::UrlWithoutCredentials),
    Setting::new("DATABASE_SCHEMA", Value("keyturn"), "auth",
        "Schema of all tables in Postgres, up to 63 lower-case letters, digits and underscores."),
    Setting::new("DATABASE_POOL_SIZE", Value("16"), "8",
        "Connections to the database, 1 to 1000, besides one that refreshes and one that waits for revocations. More than 16 seldom help."),
    Setting::new("REDIS_URL", Derived("a cache in the process"), "rediss://cache.example:6379/0",
        "Redis, the cache that several servers share. Its forms are described below.")
        .with_visibility(Visibility::UrlWithoutCredentials),
    Setting::new("REDIS_CA_FILE", Derived("the system's certificate authorities"), "/etc/keyturn/redis-ca.pem",
        "PEM file of the certificate authority of a `rediss` server."),
    Setting::new("REDIS_PREFIX", Value("keyturn"), "keyturn-staging", "Prefix of every key in Redis."),
    Setting::new("REDIS_TIMEOUT", Value("100"), "250",
        "Milliseconds that a call of Redis may take before the database is asked instead, 10 to 10000. Opening a \
         connection may take ten times as long."),
    Setting::new("JWT_SECRET", Derived("generated; required with Postgres"), "$(openssl rand -hex 32)",
        "Secret of at least 64 random characters from which all keys are derived. It must be the same on all servers. \
         Samples from examples are refused.")
        .with_visibility(Visibility::Hidden),
    Setting::new("JWT_SECRET_PREVIOUS", Derived("none"), "$(cat former_secret)",
        "Former `JWT_SECRET` while that is changed: what was made with it stays valid, until `keyturn secret status` says \
         that it may go.")
        .with_visibility(Visibility::Hidden),
    Setting::new("JWT_ALGORITHM", Value("ES256"), "EdDSA",
        "Algorithm that signs new access tokens: ES256, EdDSA, RS256 or HS256."),
    Setting::new("JWT_ADDITIONAL_ALGORITHMS", Derived("none"), "RS256",
        "Further algorithms with a key each, for clients whose audiences know no other (`signing_algorithm`): ES256, \
         EdDSA or RS256, not that of `JWT_ALGORITHM`."),
    Setting::new("JWKS_MAX_AGE", Value("300"), "3600",
        "Seconds that verifiers may keep the published keys, 10 to 86400. A key is published for twice as long before it \
         signs."),
    Setting::new("KEY_ROTATION_INTERVAL", Value("2592000"), "off",
        "Seconds after which a signing key is replaced, 3600 to 315360000, or `off`."),
    Setting::new("ISSUER", Derived("`PUBLIC_URL` without a trailing slash"), "https://auth.example",
        "Claim `iss` of every access token."),
    Setting::new("AUDIENCE", Value("keyturn"), "https://api.example", "Claim `aud` of every access token."),
    Setting::new("ACCESS_TOKEN_CLAIMS", Derived("none"), "email,name",
        "Claims of the account's profile in access tokens: email (with `email_verified`) and name."),
    Setting::new("ACCESS_TOKEN_TTL", Value("900"), "600", "Seconds that an access token is valid, 1 to 86400."),
    Setting::new("REFRESH_TOKEN_TTL", Value("604800"), "1209600",
        "Seconds without a refresh after which a session expires, `ACCESS_TOKEN_TTL` to 31536000."),
    Setting::new("SESSION_MAX_LIFETIME", Value("2592000"), "7776000",
        "Seconds after which a session expires in any case, `ACCESS_TOKEN_TTL` to 315360000."),
    Setting::new("BROWSER_SESSION_IDLE", Value("604800"), "86400",
        "Seconds without use after which a login on this server's pages ends, 60 to `BROWSER_SESSION_MAX_LIFETIME`."),
    Setting::new("BROWSER_SESSION_MAX_LIFETIME", Value("2592000"), "604800",
        "Seconds after which a login on this server's pages ends in any case, 60 to 315360000."),
    Setting::new("REFRESH_REPLAY_WINDOW", Value("10"), "0",
        "Seconds in which a refresh can be replayed and the superseded access token is valid, 0 to 60, \
         less than `ACCESS_TOKEN_TTL`."),
    Setting::new("REFRESH_RECOVERIES", Value("2"), "1",
        "Number of recoveries that a session has, which are replays after the window, 0 to 10."),
    Setting::new("MAX_SESSIONS_PER_USER", Value("0"), "10",
        "Live sessions of one account, 0 to 100000. A further login revokes the least recently used session. \
         0 means no limit."),
    Setting::new("SESSION_RETENTION", Value("2592000"), "7776000",
        "Seconds that an ended session is kept for the history, 0 to 315360000."),
    Setting::new("AUDIT_RETENTION", Value("31536000"), "0",
        "Seconds that an audited event is kept, 0 to 3153600000. 0 means forever."),
    Setting::new("SWEEP_INTERVAL", Value("300"), "0",
        "Seconds between deletions of rows whose retention is over, 0 to 86400. 0 leaves them to \
         `keyturn session cleanup`."),
    Setting::new("AUDIT_REFRESH", Value("false"), "true",
        "Whether successful refreshes are audited, which costs a row each: true or false."),
    Setting::new("REGISTRATION", Value("open"), "closed", "Whether anybody can register: open or closed."),
    Setting::new("REQUIRE_VERIFIED_EMAIL", Value("false"), "true",
        "Whether an account can be logged in to only once its email address is verified: true or false."),
    Setting::new("ACCOUNT_DELETION_GRACE", Value("604800"), "1209600",
        "Seconds from a request to delete an account to its deletion, 0 to 2592000, in which it can be cancelled. \
         0 deletes at once."),
    Setting::new("ARGON2", Value("m=19456,t=2,p=1"), "m=47104,t=1,p=1",
        "Cost of a password hash: KiB of memory (7168 to 262144), passes (1 to 8), lanes (1 to 16)."),
    Setting::new("BIND", Value("127.0.0.1:8080"), "0.0.0.0:8080", "IP address and port that the server listens on."),
    Setting::new("PORT", Derived("that of `BIND`"), "10000",
        "Port that the server listens on, on all IP addresses, if `BIND` is not set. Platforms such as Cloud Run set it."),
    Setting::new("METRICS_BIND", Derived("`/metrics` at `BIND`"), "127.0.0.1:9090",
        "IP address and port of `/metrics`, beside `/health/…`. It is not at `BIND` then."),
    Setting::new("WORKERS", Derived("the number of cores"), "4", "Threads that serve HTTP, 1 to 1024."),
    Setting::new("KEEP_ALIVE", Value("75"), "620",
        "Seconds from an answer to the next complete request head, after which a connection is closed, 1 to 3600. A \
         proxy in front should give up idle connections sooner."),
    Setting::new("MAX_CONNECTIONS_PER_ADDRESS", Value("512"), "2048",
        "Connections from one IP address, 0 to 1000000; further ones are closed. An IPv6 network of 64 bits counts as \
         one address, and `TRUSTED_PROXIES` are not counted. 0 means no limit."),
    Setting::new("PUBLIC_URL", Derived("`http://BIND`"), "https://auth.example",
        "URL at which users reach the server. Links in emails begin with it."),
    Setting::new("UI_LANGUAGES", Value("en,de"), "de,en",
        "Languages that pages are offered in (en, de; for tests also en-XA and ar-XB). Who asks for none of them gets the \
         first."),
    Setting::new("BRAND_NAME", Derived("the host of `PUBLIC_URL`"), "Example Shop",
        "Name of this server on pages, in emails and in authenticator apps, up to 100 characters."),
    Setting::new("BRAND_LOGO", Derived("none"), "/etc/keyturn/logo.svg",
        "Logo on pages: a file in SVG or PNG, up to 64 KiB."),
    Setting::new("BRAND_COLOR", Derived("blue"), "#5b21b6",
        "Colour of links and buttons on pages and in emails. It needs a contrast of 4.5:1 to the background. In the dark \
         theme it is made lighter, unless that has a colour of its own: `#5b21b6 #c4b5fd`."),
    Setting::new("PAGE_TEMPLATES", Derived("built in"), "/etc/keyturn/pages",
        "Directory of templates that replace those of pages of the same names."),
    Setting::new("API_DOCS", Value("true"), "false",
        "Whether `/docs` shows the API explorer: true or false."),
    Setting::new("ALLOWED_ORIGINS", Derived("none"), "https://app.example,https://admin.example",
        "Origins whose pages may call the server with cookies: websites, apps (`capacitor://localhost`), or all hosts \
         one label below a domain (`https://*.example.com`)."),
    Setting::new("COOKIE_DOMAIN", Derived("the host of `PUBLIC_URL` alone"), "example.com",
        "Domain whose hosts all get the access token in a cookie: the host of `PUBLIC_URL` or a domain above it."),
    Setting::new("CORS_BEARER", Value("any"), "allowed_origins",
        "Origins whose pages may call the API without cookies, with an access token: any or allowed_origins."),
    Setting::new("DPOP_NONCE", Value("off"), "required",
        "Whether proofs of DPoP need a nonce of the server's, which costs clients a second request now and then: off or \
         required."),
    Setting::new("VERIFY_PREFLIGHT", Value("refuse"), "allowed_origins",
        "Origins whose preflights pass through forward authentication: allowed_origins, any or refuse."),
    Setting::new("VERIFY_LOGIN_URL", Derived("401, as for programs"), "https://app.example/login",
        "Page where forward authentication sends browsers that have to log in, with `return_to`."),
    Setting::new("TRUSTED_PROXIES", Derived("none"), "10.0.0.0/8,::1",
        "IP addresses and networks of proxies whose `X-Forwarded-For` is trusted."),
    Setting::new("GEOIP_DATABASE", Derived("no places"), "/var/lib/GeoIP/GeoLite2-City.mmdb",
        "Database in MaxMind's format of the countries and cities of IP addresses."),
    Setting::new("SMTP_URL", Derived("emails are files in `DATA_DIR/outbox`"), "smtps://keyturn:PASSWORD@mail.example",
        "Mail server that delivers emails. Its forms are described below.")
        .with_visibility(Visibility::UrlWithoutCredentials),
    Setting::new("SMTP_CA_FILE", Derived("the system's certificate authorities"), "/etc/keyturn/smtp-ca.pem",
        "PEM file of the certificate authority of the mail server."),
    Setting::new("MAIL_FROM", Derived("`keyturn <no-reply@HOST>` with the host of `PUBLIC_URL`"),
        "Example <no-reply@example.com>", "Sender of all emails."),
    Setting::new("MAIL_TEMPLATES", Derived("built in"), "/etc/keyturn/mail",
        "Directory of templates that replace the built-in ones of the same names."),
    Setting::new("LIMIT_LOGIN_ACCOUNT", Value("10/600"), "20/600", "Limit on logins to one account."),
    Setting::new("LIMIT_LOGIN_ADDRESS", Value("100/300"), "1000/300", "Limit on logins from one IP address."),
    Setting::new("LIMIT_REGISTER_ADDRESS", Value("50/3600"), "off", "Limit on registrations from one IP address."),
    Setting::new("LIMIT_REFRESH_SESSION", Value("120/60"), "60/60", "Limit on refreshes of one session."),
    Setting::new("LIMIT_REFRESH_ADDRESS", Value("1000/60"), "off", "Limit on refreshes from one IP address."),
    Setting::new("LIMIT_FORGOT_ACCOUNT", Value("5/3600"), "off", "Limit on requested emails to one account."),
    Setting::new("LIMIT_EMAIL_VERIFIED", Value("10/3600"), "30/3600",
        "Limit on emails of one class to one verified address."),
    Setting::new("LIMIT_EMAIL_UNVERIFIED", Value("10/86400"), "5/86400",
        "Limit on all emails to one address that is not verified."),
    Setting::new("LIMIT_MFA_ACCOUNT", Value("10/600"), "20/600",
        "Limit on attempts at the second factor of one account."),
    Setting::new("LIMIT_WRITE_ACCOUNT", Value("120/60"), "600/60",
        "Limit on requests of one account that change something."),
    Setting::new("LIMIT_SEARCH_ACCOUNT", Value("300/60"), "off",
        "Limit on requests of one account that look something up."),
    Setting::new("LOG", Value("info"), "info,keyturn=debug",
        "Log level (off, error, warn, info, debug, trace), or a list of `module=level`."),
];

/// The settings that a running server reads again, with the files that they name.
pub const RELOADED: [&str; 4] = ["GEOIP_DATABASE", "MAIL_TEMPLATES", "PAGE_TEMPLATES", "LOG"];

/// Returns all settings, in the order of the documentation.
pub fn settings() -> &'static [Setting] {
    &SETTINGS
}

/// Returns the setting with this name.
pub(super) fn setting(name: &str) -> &'static Setting {
    #[expect(clippy::expect_used, reason = "names are constants, and a test looks them all up")]
    settings().iter().find(|setting| setting.name == name).expect("the setting is in the table")
}

/// Returns the content of `docs/configuration.md`.
pub fn documentation() -> String {
    let mut page = INTRODUCTION.to_owned();
    for setting in settings() {
        let default = match setting.default {
            Value(text) => format!("`{text}`"),
            Derived(text) => text.to_owned(),
        };
        let _ = writeln!(page, "| `{}` | {default} | `{}` | {} |", setting.name, setting.example, setting.description);
    }
    page + NOTES
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated: keyturn config docs > docs/configuration.md -->

keyturn runs without any configuration. Each setting is read once, at the start, from the first of:

1. the environment: `NAME`, or `NAME_FILE` with the path of a file that contains the value; or either with the prefix
   `KEYTURN_`;
2. the TOML file that `--config PATH` names: `name` or `name_file`, in lower case; a list can be an array;
3. the default in the table below.

White space around a value is removed, and an empty value counts as unset. No command runs, and all problems are
reported at once, if

- a value is wrong, or a key in the file is unknown;
- a setting is set both as `NAME` and as `NAME_FILE`, or as `NAME` and `KEYTURN_NAME` with different values;
- a name in the environment begins with `KEYTURN_` and is not a setting, or with nearly that before a setting, such as
  `KEYTRUN_BIND`, or is nearly that of a setting that is not set there, such as `DATBASE_URL` or `JWT_SECRET_FIEL`. The
  names that Kubernetes sets for a service named `keyturn` are ignored.

`keyturn config check` displays the settings in effect and their sources, without secrets. On SIGHUP a running server
reads `GEOIP_DATABASE`, `MAIL_TEMPLATES`, `PAGE_TEMPLATES` and `LOG` again, and the files that they name; all else needs
a restart.

| Name | Default | Example | What it does |
| --- | --- | --- | --- |
";

const NOTES: &str = "
`DATABASE_URL` is `sqlite:PATH`, `embedded`, which is `sqlite:DATA_DIR/keyturn.db`, or
`postgres://USER:PASSWORD@HOST:PORT/DATABASE?NAME=VALUE` with the parameters of PostgreSQL's own programs, and special
characters of the password percent-encoded ([TLS, several servers and password files](operations.md#postgres)).
It has to be set, be it to `embedded`, where `REDIS_URL` is set or `PUBLIC_URL` begins with https: what is usually
beside Postgres must not start an empty embedded database because a name was forgotten.

`REDIS_URL` is `redis://HOST:PORT/DB`, `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/DB` or
`redis+cluster://HOST:PORT,HOST:PORT`, with `rediss` instead of `redis` for TLS. Credentials are written before the
hosts as `:PASSWORD@` or `USER:PASSWORD@`, with special characters percent-encoded. The password for the sentinels
themselves is `?sentinel_password=PASSWORD` at the end. A Unix socket is
`unix:///PATH?db=DB&user=USER&pass=PASSWORD`, or with `redis+unix` before, each parameter only where it is needed.

`SMTP_URL` has one of these forms:

- `smtps://HOST:PORT` uses TLS from the start of the connection (default port 465);
- `smtp://HOST:PORT?tls=required` requires STARTTLS (587);
- `smtp://HOST:PORT?tls=opportunistic` uses STARTTLS if the server offers it (587);
- `smtp://HOST:PORT` does not encrypt (25).

Credentials are written before the host as `USER:PASSWORD@`, percent-encoded. They are never sent without encryption,
not even to localhost or where a server does not offer the STARTTLS of `tls=opportunistic`, unless the URL says
`?tls=none`. `smtp://HOST/NAME` sets the name that keyturn sends in EHLO, which is otherwise the host of `PUBLIC_URL`.

A limit is `COUNT/SECONDS` or `off`: COUNT attempts at once, then COUNT more spread evenly over SECONDS. The defaults
are sufficient for an office behind one IP address. The elements of a list are separated by commas.
";
