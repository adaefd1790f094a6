//! `keyturn doctor`: checks everything that the server needs, and prints a line for each.

use std::error::Error;
use std::fs;
use std::io;
use std::iter;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::{self, StartError};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{CacheKind, Config, Database};
use crate::db::{Channel, Conn, DbError, DbResult, Pooling, Purpose, migrate, time, write_test_row};
use crate::keys::{KeyPolicy, KeyRing, lifecycle, secrets};
use crate::mail;
use crate::metrics::Metrics;
use crate::random::Random;

use super::health;
use super::output::{Form, say};
use super::serve::bind;
use super::{Outcome, block_on, loaded};

/// The longest that an email waits unless something is wrong with all of them.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// What to do about a database that is not there.
const MISSING: &str = "use the server's settings, and its folder if DATA_DIR is relative; `keyturn serve` creates it";

/// What a check has found: that all is well, or what is wrong and how to fix it.
type Finding = Result<String, (String, &'static str)>;

/// The findings so far, each printed at once as text, or all at the end as JSON.
struct Findings {
    form: Form,
    list: Vec<Value>,
    is_healthy: bool,
}

impl Findings {
    /// Adds a finding. Something wrong makes the command fail.
    fn report(&mut self, subject: &str, finding: Finding) -> io::Result<()> {
        self.is_healthy &= finding.is_ok();
        self.add(subject, finding, "wrong")
    }

    /// Adds a finding about something that can be meant so, and does not make the command fail.
    fn advise(&mut self, subject: &str, finding: Finding) -> io::Result<()> {
        self.add(subject, finding, "warning")
    }

    fn add(&mut self, subject: &str, finding: Finding, otherwise: &str) -> io::Result<()> {
        let (state, text, advice) = match finding {
            Ok(text) => ("ok", text, None),
            Err((problem, advice)) => (otherwise, problem, Some(advice)),
        };
        if self.form == Form::Json {
            self.list.push(json!({"subject": subject, "state": state, "text": text, "advice": advice}));
            return Ok(());
        }
        match (state, advice) {
            ("wrong", Some(advice)) => say!("WRONG  {subject}: {text}\n       {advice}"),
            (_, Some(advice)) => say!("WARN   {subject}: {text}\n       {advice}"),
            (_, None) => say!("ok     {subject}: {text}"),
        }
    }

    /// Ends the command, with 1 if something is wrong.
    fn finish(self) -> Outcome {
        if self.form == Form::Json {
            say!("{}", json!({"healthy": self.is_healthy, "findings": self.list}))?;
        }
        Ok(if self.is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Checks everything. Exits with 1 if something is wrong.
pub(super) fn run(file: Option<PathBuf>, form: Form) -> Outcome {
    let mut findings = Findings { form, list: Vec::new(), is_healthy: true };
    let loaded = match loaded(file) {
        Ok(loaded) => loaded,
        Err(error) => {
            let advice = "correct the settings named above; `keyturn config docs` lists all";
            findings.report("configuration", Err((error.to_string(), advice)))?;
            return findings.finish();
        }
    };
    let exists = loaded.has_secret() && !is_missing(&loaded.database);
    let config = loaded.into_preview(&Random)?;
    findings.report("configuration", files(&config))?;
    findings.report("listening", listening(&config))?;
    if !exists {
        findings.report("database", Err((format!("there is none in {}", config.database), MISSING)))?;
        return findings.finish();
    }
    match open(&config.database) {
        Err(error) => findings.report("database", Err(unreachable_database(&config, &error)))?,
        Ok((mut channel, pooling)) => {
            findings.report("database", Ok(engine(&config, pooling)))?;
            let schema = schema(&mut channel);
            let has_tables = schema.is_ok();
            findings.report("schema", schema)?;
            findings.report("writing", if has_tables { writing(&mut channel) } else { Err(no_table()) })?;
            findings.report("clock", check(&mut channel, clock))?;
            findings.report("keys", check(&mut channel, |conn| keys(&config, conn)))?;
            findings.advise("secret", check(&mut channel, |conn| secret(&config, conn)))?;
            findings.report("outbox", check(&mut channel, outbox))?;
        }
    }
    findings.report("cache", cache(&config)?)?;
    if config.mail.relay.is_none() {
        findings.advise("mail", files_instead_of_emails(&config))?;
    } else {
        relay(&config, &mut findings)?;
    }
    findings.advise("proxy", proxy(&config))?;
    findings.advise("files", modes(&config))?;
    findings.report("places", Ok(places(&config)))?;
    findings.finish()
}

fn open(database: &Database) -> DbResult<(Channel, Pooling)> {
    let pooling = Pooling::of(database)?;
    Ok((Channel::open(database, pooling, Purpose::Setup)?, pooling))
}

/// Checks something with the settings that statements need.
fn check(channel: &mut Channel, work: impl FnOnce(&mut Conn) -> Finding) -> Finding {
    let checked: DbResult<Finding> = channel.run(|conn| Ok(work(conn)));
    checked.unwrap_or_else(|error| Err((error.to_string(), "check the database")))
}

fn engine(config: &Config, pooling: Pooling) -> String {
    let engine = match config.database {
        Database::Sqlite { .. } => "SQLite",
        Database::Postgres { .. } => "Postgres",
    };
    let pooler = match pooling {
        Pooling::None => "",
        Pooling::Transactions => ", through a pooler that shares connections between transactions, which is slower",
    };
    format!("{engine} answers, {}{pooler}", config.database)
}

/// Checks the files and the folder that the settings name.
fn files(config: &Config) -> Finding {
    app::check(config).map_err(|error| {
        let advice = match &error {
            StartError::DataDir(_) => "let the user that keyturn runs as own the folder (`chown`), or set DATA_DIR",
            StartError::DatabaseFiles(_) => "correct the file, or the parameter of DATABASE_URL that names it",
            _ => "correct the file named above: the server does not start with it",
        };
        (error.to_string(), advice)
    })?;
    Ok("all settings are valid, and so are the files and the folder that they name".to_owned())
}

/// Checks that the server can listen, unless a server does so already.
fn listening(config: &Config) -> Finding {
    let mut state = "the server can listen on";
    for address in iter::once(config.bind).chain(config.metrics_bind) {
        match bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                let advice =
                    "set BIND, PORT and METRICS_BIND to addresses of this machine, and ports that its user may use";
                return Err((format!("the server cannot listen on {address}: {error}"), advice));
            }
            Err(_) if health::is_alive(address) => state = "a keyturn server listens on",
            Err(_) => {
                let problem = format!("another program has {address}, or a server there does not answer /health/live");
                return Err((problem, "end that program, or choose another port by BIND, PORT or METRICS_BIND"));
            }
        }
    }
    Ok(format!("{state} {}", config.bind))
}

/// Returns whether the file of an embedded database does not exist.
fn is_missing(database: &Database) -> bool {
    // A file that cannot be looked for may be there.
    matches!(database, Database::Sqlite { path } if path.try_exists().is_ok_and(|exists| !exists))
}

fn unreachable_database(config: &Config, error: &DbError) -> (String, &'static str) {
    let advice = match config.database {
        Database::Sqlite { .. } => "check who may write in DATA_DIR",
        Database::Postgres { .. } => "check DATABASE_URL, that Postgres runs, and that this machine may connect to it",
    };
    (error.to_string(), advice)
}

fn schema(channel: &mut Channel) -> Finding {
    let advice = "run `keyturn migrate`, or start the server, which does the same";
    match migrate::pending(channel) {
        Ok(pending) if pending.is_empty() => Ok("up to date".to_owned()),
        Ok(pending) => Err((format!("lacks {}", pending.join(", ")), advice)),
        Err(error) => Err((error.to_string(), advice)),
    }
}

fn no_table() -> (String, &'static str) {
    ("no row can be written, because tables are missing".to_owned(), "run `keyturn migrate` first")
}

/// Writes a row and deletes it.
fn writing(channel: &mut Channel) -> Finding {
    let advice = "check the disk of the database, that it is no standby or read-only, and what its role may write";
    match write_test_row(channel) {
        Ok(()) => Ok("a test row was written and deleted".to_owned()),
        Err(error) => Err((error.to_string(), advice)),
    }
}

fn clock(conn: &mut Conn) -> Finding {
    let advice = "synchronize the clocks of all servers with NTP";
    let clock = Clock::default();
    time::read(conn, &clock).map_err(|error| (error.to_string(), advice))?;
    if clock.is_right() {
        return Ok("agrees with that of the database".to_owned());
    }
    Err((format!("differs from that of the database by {} s", clock.skew().as_secs()), advice))
}

fn keys(config: &Config, conn: &mut Conn) -> Finding {
    let rows = lifecycle::load(conn).map_err(|error| (error.to_string(), "run `keyturn migrate` first"))?;
    let algorithms = KeyPolicy::new(config).algorithms;
    let opened = KeyRing::open(&rows, &algorithms, &config.secret.signing_key_seal(), &Clock::default());
    match opened.map(|key_ring| key_ring.signing()) {
        Ok(key) => Ok(format!("{} signs with {}", key.id, key.algorithm().name())),
        Err(error) => Err((error.to_string(), "start the server with the JWT_SECRET that the keys were made with")),
    }
}

/// Tells whether `JWT_SECRET_PREVIOUS` is set where it is needed.
fn secret(config: &Config, conn: &mut Conn) -> Finding {
    let known =
        secrets::find(conn, &config.secret).map_err(|error| (error.to_string(), "run `keyturn migrate` first"))?;
    let is_resealed = known.is_none_or(|known| !known.replaces || known.resealed_at.is_some());
    match (config.secret.has_previous(), is_resealed) {
        (true, _) => Ok("is being changed; `keyturn secret status` tells when JWT_SECRET_PREVIOUS may go".to_owned()),
        (false, true) => Ok("nothing is encrypted under a former one".to_owned()),
        (false, false) => Err((
            "something may be encrypted under the former JWT_SECRET".to_owned(),
            "set JWT_SECRET_PREVIOUS to it until `keyturn secret status` says that it may go",
        )),
    }
}

fn outbox(conn: &mut Conn) -> Finding {
    let status = mail::outbox_status(conn).map_err(|error| (error.to_string(), "run `keyturn migrate` first"))?;
    let reason = status.last_error.map_or_else(String::new, |error| format!("; the latest failure: {error}"));
    let found = format!("{} waiting, {} not delivered within two weeks{reason}", status.waiting, status.failed);
    match status.oldest {
        Some(oldest) if Clock::default().now().since(oldest) > MAX_WAIT => {
            Err((found, "let a server run, and let it reach the mail server of SMTP_URL"))
        }
        _ => Ok(found),
    }
}

fn cache(config: &Config) -> Result<Finding, Box<dyn Error>> {
    let advice = "check REDIS_URL and that Redis runs; until then every request reads the database";
    if let CacheKind::Memory = config.cache {
        return Ok(Ok("in the process".to_owned()));
    }
    let cache = match Cache::new(&config.cache, Clock::default(), &Metrics::new()) {
        Ok(cache) => cache,
        Err(error) => return Ok(Err((error, advice))),
    };
    let answer = block_on(async { Ok::<_, io::Error>(cache.ping().await) })?;
    Ok(answer
        .map(|()| "Redis answers and takes writes".to_owned())
        .map_err(|reason| (format!("Redis {reason}"), advice)))
}

/// Checks the mail server.
fn relay(config: &Config, findings: &mut Findings) -> io::Result<()> {
    let checked = block_on(async { Ok::<_, io::Error>(mail::check_relay(config).await) })?;
    let advice =
        "check SMTP_URL and MAIL_FROM, that the mail server runs, and that this machine may connect to it; emails wait";
    match checked {
        Err(error) => findings.report("mail", Err((error, advice))),
        Ok(takes_utf8) => {
            findings.report("mail", Ok("the mail server answers and takes the sender".to_owned()))?;
            if takes_utf8 == Some(false) { findings.advise("mail", no_utf8()) } else { Ok(()) }
        }
    }
}

/// Tells who gets no emails from a server without SMTPUTF8.
fn no_utf8() -> Finding {
    Err((
        "the mail server does not support SMTPUTF8, so no email reaches addresses such as josé@example.com".to_owned(),
        "enable it there, or use another mail server: such emails wait until their links expire",
    ))
}

/// Tells where emails go without a mail server, which a public server needs.
fn files_instead_of_emails(config: &Config) -> Finding {
    let folder = mail::folder(config);
    let state = format!("emails are written to files in {}, because SMTP_URL is not set", folder.display());
    if config.public_url.scheme() != "https" {
        return Ok(state);
    }
    Err((state, "set SMTP_URL: nobody gets links to verify an address or to reset a password"))
}

/// Tells whether the proxy that terminates TLS is trusted.
fn proxy(config: &Config) -> Finding {
    match (config.public_url.scheme(), config.trusted_proxies.len()) {
        ("https", 0) => Err((
            "PUBLIC_URL begins with https, so a proxy terminates TLS, but TRUSTED_PROXIES is not set".to_owned(),
            "set it to the proxy's addresses: until then all clients share its address and its limits",
        )),
        (_, 0) => Ok("none is trusted".to_owned()),
        (_, 1) => Ok("X-Forwarded-For is trusted from 1 address or network".to_owned()),
        (_, count) => Ok(format!("X-Forwarded-For is trusted from {count} addresses or networks")),
    }
}

/// Tells whether others on this machine can read what is in `DATA_DIR`, or the embedded database.
fn modes(config: &Config) -> Finding {
    let mut paths = vec![config.data_dir.clone(), config.data_dir.join("jwt_secret"), mail::folder(config)];
    if let Database::Sqlite { path } = &config.database {
        paths.push(path.clone());
    }
    let is_open = |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0);
    let open: Vec<String> = paths.iter().filter(|path| is_open(path)).map(|path| path.display().to_string()).collect();
    if open.is_empty() {
        return Ok("only their owner can read them".to_owned());
    }
    let advice = "take the rights away with `chmod go-rwx`: secrets and password hashes are in there";
    Err((format!("others on this machine have rights on {}", open.join(", ")), advice))
}

/// Describes where places are looked up. A database that cannot be used is reported with the configuration.
fn places(config: &Config) -> String {
    config.geoip_database.as_ref().map_or_else(
        || "not looked up, because GEOIP_DATABASE is not set".to_owned(),
        |database| format!("looked up in a {}", database.kind()),
    )
}
