//! `keyturn serve`

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use socket2::{Domain, Socket, Type};

use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::db::DbResult;
use crate::random::Random;

use super::launch::own_command;
use super::log::Log;
use super::output::say;
use super::reload::Reloader;
use super::signals::{ServerSignals, Signal};
use super::{Outcome, loaded, service};

/// Connections that may wait to be accepted, as in the standard library.
const BACKLOG: i32 = 4096;

/// Runs the server until it is told to stop.
pub(super) fn run(file: Option<PathBuf>) -> Outcome {
    let signals = ServerSignals::handle()?;
    let loaded = loaded(file.clone())?;
    let settings = loaded.settings.clone();
    let config = &loaded.into_config(&Random)?;
    let log = Log::start(&config.log);
    // Each connection is an open file. Shells and service managers allow few unless a program asks for more.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    // Before anything else, so that a port in use is reported at once.
    let listener = listen(config.bind).map_err(|error| cannot_listen(config.bind, "BIND or PORT", &error))?;
    let metrics = config
        .metrics_bind
        .map(|address| listen(address).map_err(|error| cannot_listen(address, "METRICS_BIND", &error)));
    let metrics = metrics.transpose()?;
    // Held until the process ends, however it does.
    let _lock = lock_database(config)?;
    actix_web::rt::System::new().block_on(async {
        let (app, background) = App::build(config, Clock::default()).await?;
        offer_setup(&app, config).await?;
        if app::shares_no_cache(config) {
            tracing::warn!(
                "without REDIS_URL this server shares no cache with others: run only one, or sessions that another \
                 server revokes stay valid here for up to half a second, and access tokens that it replaces until they \
                 expire"
            );
        }
        let devices = app.devices.clone();
        let watched = app.clone();
        let is_new = app.accounts.page(None, 1).await?.is_empty();
        let command = own_command(file.as_deref());
        let mut reloader = Reloader { file, settings, app: app.clone(), log };
        let (server, address) = app.serve(listener, metrics)?;
        let handle = server.handle();
        let mut is_stopping = false;
        signals.forward(move |signal| match signal {
            Signal::Reload => service::tell_reload(|| reloader.reload()),
            Signal::Stop if !std::mem::replace(&mut is_stopping, true) => {
                service::tell_stopping();
                // The call itself tells the server, whose end is awaited below.
                drop(handle.stop(true));
            }
            Signal::Stop | Signal::Quit => drop(handle.stop(false)),
        });
        service::tell_ready(address);
        service::start_watchdog(watched);
        // The server runs even if nobody reads its greeting.
        drop(greet(config, address, is_new.then_some(&*command)));
        // After the greeting and on a thread of its own, so that neither it nor a request waits.
        std::thread::spawn(move || devices.warm_up());
        tracing::info!(%address, version = super::VERSION, database = %config.database, "listening");
        server.await?;
        background.finish().await;
        tracing::info!("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

/// Logs the code with which the first administrator is created, while there is none. Whoever reads the log runs the
/// server; the code is valid once, and for an hour.
async fn offer_setup(app: &App, config: &Config) -> DbResult<()> {
    if let Some(code) = app.accounts.issue_setup_code().await? {
        let url = config.public_url.as_str();
        let code = code.expose();
        tracing::info!(url, code, "there is no administrator yet: the page at this URL creates one with this code");
    }
    Ok(())
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

/// Tells why an address cannot be listened on, and the setting that says it.
fn cannot_listen(address: SocketAddr, setting: &str, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => format!("end the program that listens there, or choose another port by {setting}"),
        io::ErrorKind::PermissionDenied => format!("choose a port from 1024 on by {setting}, or allow this one"),
        _ => format!("{setting} must name an address of this machine"),
    };
    format!("cannot listen on {address}: {error}; {advice}")
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Takes an address, without listening yet. That of all addresses is the IPv6 one, for IPv4 as well, unless this
/// machine has no IPv6.
pub(super) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let is_all = address.is_ipv6() && address.ip().is_unspecified();
    let open = |address: SocketAddr| -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        if is_all && address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    match open(address) {
        Err(error) if is_all && !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
            open((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        opened => opened,
    }
}

/// Prints what this server uses and, if it is new, what to do next with `command`, which runs the program with its
/// settings.
fn greet(config: &Config, address: SocketAddr, command: Option<&str>) -> io::Result<()> {
    say!("keyturn {} listens on http://{address}", super::VERSION)?;
    let is_embedded = matches!(config.database, Database::Sqlite { .. });
    say!("It keeps its accounts in {}.", config.database)?;
    let Some(command) = command else { return Ok(()) };
    let folder = if is_embedded && config.data_dir.is_relative() { ", in this folder" } else { "" };
    say!("\nCreate the first administrator, with the settings of this server{folder}:\n")?;
    say!("    {command} user create you@example.com --admin\n")?;
    // On a public server the lines would make an account of a stranger.
    if address.ip().is_loopback() && config.public_url.scheme() == "http" && config.registration {
        say_what_to_try(config.public_url.as_str().trim_end_matches('/'))?;
    }
    Ok(())
}

/// Prints lines that register an account, refresh its session and ask who it is.
fn say_what_to_try(url: &str) -> io::Result<()> {
    let json = "-H 'Content-Type: application/json'";
    let account = r#"{"email":"guest-'$RANDOM$$'@example.com","password":"seven ravens over the harbour"}"#;
    let refresh = r#"{\"refresh_token\":\"$(expr "$T" : '.*"refresh_token":"\([^"]*\)')\"}"#;
    say!(
        r#"Open {url} in a browser, or try it here:

    T=$(curl -sS {url}/api/v1/auth/register {json} -d '{account}'); echo "$T"
    T=$(curl -sS {url}/api/v1/sessions/refresh {json} -d "{refresh}"); echo "$T"
    curl -sS {url}/api/v1/auth/me -H "Authorization: Bearer $(expr "$T" : '.*"access_token":"\([^"]*\)')"; echo
"#
    )
}
