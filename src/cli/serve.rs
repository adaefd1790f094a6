//! `keyturn serve`

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, IsTerminal as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::{Config, Database};

use super::Outcome;
use super::output::say;

/// Runs the server until it is told to stop.
pub(super) fn run(config: &Config) -> Outcome {
    start_log(config);
    // Each connection is an open file. Shells and service managers allow few unless a program asks for more.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    // Before anything else, so that a port in use is reported at once.
    let listener =
        TcpListener::bind(config.bind).map_err(|error| format!("cannot listen on {}: {error}", config.bind))?;
    // Held until the process ends, however it does.
    let _lock = lock_database(config)?;
    actix_web::rt::System::new().block_on(async {
        let (app, background) = App::build(config, Clock::default()).await?;
        if app::shares_no_cache(config) {
            tracing::warn!(
                "without REDIS_URL this server shares no cache with others: run only one, or sessions that another \
                 server revokes stay valid here for up to half a second, and access tokens that it replaces until they \
                 expire"
            );
        }
        let devices = app.devices.clone();
        let (server, address) = app.serve(listener)?;
        // The server runs even if nobody reads its greeting.
        drop(greet(config, address));
        // After the greeting and on a thread of its own, so that neither it nor a request waits.
        std::thread::spawn(move || devices.warm_up());
        tracing::info!(%address, version = super::VERSION, database = %config.database, "listening");
        server.await?;
        background.finish().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Takes the lock of an embedded database, which only one server may use. The system releases it when the process ends.
fn lock_database(config: &Config) -> Result<Option<File>, String> {
    let Database::Sqlite { path } = &config.database else { return Ok(None) };
    let mut name = path.clone().into_os_string();
    name.push(".lock");
    let name = Path::new(&name);
    let created = name.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o700).create(folder));
    let lock =
        created.and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(name));
    let lock = lock.map_err(|error| format!("cannot open {}: {error}", name.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Err(format!(
            "another server runs on {}: an embedded database has one server; several share Postgres and Redis",
            config.database
        )),
        Err(TryLockError::Error(error)) => Err(format!("cannot lock {}: {error}", name.display())),
    }
}

/// Starts the log: for people on a terminal, as JSON elsewhere.
fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        log.with_target(false).init();
    } else {
        log.json().flatten_event(true).init();
    }
}

/// Prints what to do next with a new server.
fn greet(config: &Config, address: SocketAddr) -> io::Result<()> {
    let url = config.public_url.as_str().trim_end_matches('/');
    say!("keyturn {} listens on http://{address}", super::VERSION)?;
    let json = "-H 'Content-Type: application/json'";
    let account = r#"{"email":"guest-'$RANDOM$$'@example.com","password":"seven ravens over the harbour"}"#;
    let refresh = r#"{\"refresh_token\":\"$(expr "$T" : '.*"refresh_token":"\([^"]*\)')\"}"#;
    say!(
        r#"
Create the first administrator:

    keyturn user create you@example.com --admin

Try it:

    T=$(curl -sS {url}/api/v1/auth/register {json} -d '{account}'); echo "$T"
    T=$(curl -sS {url}/api/v1/sessions/refresh {json} -d "{refresh}"); echo "$T"
    curl -sS {url}/api/v1/auth/me -H "Authorization: Bearer $(expr "$T" : '.*"access_token":"\([^"]*\)')"; echo
"#
    )
}
