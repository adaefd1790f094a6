//! `keyturn doctor`: everything that the server stands on, one line each.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use keyturn::cache::Cache;
use keyturn::clock::Clock;
use keyturn::config::{CacheKind, Config, Database};
use keyturn::db::{Conn, DbError, migrate};
use keyturn::keys::{Ring, ring};
use keyturn::mail;

use super::output::say;
use super::{Outcome, block_on, load};

/// How far the database's clock may be from ours before tokens suffer.
const TOLERABLE_SKEW: Duration = Duration::from_secs(5);

/// How long a mail may wait before something is wrong with all of them.
const TOLERABLE_WAIT: Duration = Duration::from_secs(3600);

/// What was found: good news, or what is wrong and what to do.
type Finding = Result<String, (String, &'static str)>;

pub fn run(file: Option<PathBuf>) -> Outcome {
    let config = match load(file) {
        Ok(config) => config,
        Err(error) => {
            report(
                "configuration",
                Err((error.to_string(), "set what is named above; `keyturn config docs` lists all settings")),
            )?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let mut healthy = report("configuration", Ok("every setting is right".to_owned()))?;
    match Conn::open(&config.database) {
        Err(error) => healthy &= report("database", Err(unreachable_database(&config, &error)))?,
        Ok(mut conn) => {
            healthy &= report("database", Ok(engine(&config).to_owned()))?;
            healthy &= report("schema", schema(&mut conn))?;
            healthy &= report("clock", clock(&mut conn))?;
            healthy &= report("keys", keys(&config, &mut conn))?;
            healthy &= report("outbox", outbox(&mut conn))?;
        }
    }
    healthy &= report("cache", cache(&config)?)?;
    healthy &= report("mail", mail(&config)?)?;
    healthy &= report("places", Ok(places(&config)))?;
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(what: &str, finding: Finding) -> io::Result<bool> {
    match &finding {
        Ok(news) => say!("ok     {what}: {news}")?,
        Err((wrong, advice)) => say!("WRONG  {what}: {wrong}\n       {advice}")?,
    }
    Ok(finding.is_ok())
}

const fn engine(config: &Config) -> &'static str {
    match config.database {
        Database::Sqlite { .. } => "SQLite answers",
        Database::Postgres { .. } => "Postgres answers",
    }
}

fn unreachable_database(config: &Config, error: &DbError) -> (String, &'static str) {
    let advice = match config.database {
        Database::Sqlite { .. } => "start the server once, which creates it, and check who may write in DATA_DIR",
        Database::Postgres { .. } => "check DATABASE_URL, that Postgres runs, and that this machine may reach it",
    };
    (error.to_string(), advice)
}

fn schema(conn: &mut Conn) -> Finding {
    let advice = "run `keyturn migrate`, or start the server, which does the same";
    match migrate::pending(conn) {
        Ok(pending) if pending.is_empty() => Ok("up to date".to_owned()),
        Ok(pending) => Err((format!("lacks {}", pending.join(", ")), advice)),
        Err(error) => Err((error.to_string(), advice)),
    }
}

fn clock(conn: &mut Conn) -> Finding {
    let advice = "let NTP keep the clocks of all servers";
    let ours = Clock::default().now();
    let theirs = migrate::database_time(conn).map_err(|error| (error.to_string(), advice))?;
    let apart = ours.since(theirs).max(theirs.since(ours));
    if apart <= TOLERABLE_SKEW {
        return Ok("agrees with the database's".to_owned());
    }
    Err((format!("is {} s from the database's", apart.as_secs()), advice))
}

fn keys(config: &Config, conn: &mut Conn) -> Finding {
    let rows = ring::load(conn).map_err(|error| (error.to_string(), "run `keyturn migrate` first"))?;
    let opened = Ring::open(&rows, config.algorithm, &config.secret.signing_key_seal());
    match opened {
        Ok(ring) => Ok(format!("{} signs with {}", ring.signing().id, config.algorithm.name())),
        Err(error) => Err((error.to_string(), "start the server with the JWT_SECRET that the keys were made with")),
    }
}

/// A database that is wrong is found with the configuration.
fn places(config: &Config) -> String {
    config.geoip_database.as_ref().map_or_else(
        || "not told, since GEOIP_DATABASE is not set".to_owned(),
        |database| format!("told by a {}", database.kind()),
    )
}

fn cache(config: &Config) -> Result<Finding, Box<dyn std::error::Error>> {
    let advice = "check REDIS_URL and that Redis runs; until then the database is asked at every request";
    if let CacheKind::Memory = config.cache {
        return Ok(Ok("in the process".to_owned()));
    }
    let cache = match Cache::new(&config.cache, Clock::default()) {
        Ok(cache) => cache,
        Err(error) => return Ok(Err((error, advice))),
    };
    let mut answered = false;
    block_on(async {
        answered = cache.ping().await.is_ok();
        Ok(ExitCode::SUCCESS)
    })?;
    Ok(if answered { Ok("Redis answers".to_owned()) } else { Err(("Redis does not answer".to_owned(), advice)) })
}

fn outbox(conn: &mut Conn) -> Finding {
    let contents = mail::contents(conn).map_err(|error| (error.to_string(), "run `keyturn migrate` first"))?;
    let reason = contents.last_error.map_or_else(String::new, |error| format!("; the latest failure: {error}"));
    let found = format!("{} waiting, {} not delivered within two weeks{reason}", contents.waiting, contents.failed);
    match contents.oldest {
        Some(oldest) if Clock::default().now().since(oldest) > TOLERABLE_WAIT => {
            Err((found, "let a server run, and let it reach the mail server of SMTP_URL"))
        }
        _ => Ok(found),
    }
}

fn mail(config: &Config) -> Result<Finding, Box<dyn std::error::Error>> {
    if config.mail.relay.is_none() {
        return Ok(Ok(format!("written to files in {}, for want of SMTP_URL", mail::folder(config).display())));
    }
    let mut answer = Ok(());
    block_on(async {
        answer = mail::is_reachable(config).await;
        Ok(ExitCode::SUCCESS)
    })?;
    let advice =
        "check SMTP_URL, that the mail server runs, and that this machine may reach it; mails wait in the outbox";
    Ok(answer.map(|()| "the mail server answers".to_owned()).map_err(|error| (error, advice)))
}
