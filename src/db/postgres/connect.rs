//! Servers are tried until one is connected to.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::time::{Duration, Instant};

use postgres_protocol::message::frontend;
use socket2::{Domain, SockAddr, SockRef, TcpKeepalive, Type};

use super::startup::{self, Login, StartError};
use super::stream::{Messages, Socket, Stream, or_timeout, remaining};
use super::tls::{self, Tls};
use crate::config::postgres_url::{Host, KeepAlive, PostgresUrl, TargetSession, TlsMode};
use crate::random::Random;

/// The folders in which a server's socket is searched for, if the URL names no host.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The reason why a server is not used.
enum Failure {
    /// The next address or server is tried.
    GoOn(String),
    /// No other is tried.
    GiveUp(String),
}

/// Connects to the first server that is there and as `url` wants it. The error names each server and shows no password.
pub(super) fn connect(url: &PostgresUrl) -> Result<Messages, String> {
    let mut hosts: Vec<&Host> = url.hosts.iter().collect();
    if url.is_random_order {
        hosts.sort_by_cached_key(|_| Random.bytes::<8>());
    }
    let targets: &[TargetSession] = match url.target {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        _ => std::slice::from_ref(&url.target),
    };
    let mut failures = Vec::new();
    for target in targets {
        for host in &hosts {
            match connect_to(host, *target, url) {
                Ok(messages) => return Ok(messages),
                Err(Failure::GoOn(text)) => failures.push(text),
                Err(Failure::GiveUp(text)) => {
                    failures.push(text);
                    return Err(failures.join("; "));
                }
            }
        }
    }
    Err(failures.join("; "))
}

/// Connects to one server, by each of its addresses until one is there.
fn connect_to(host: &Host, target: TargetSession, url: &PostgresUrl) -> Result<Messages, Failure> {
    let login = Login::new(host, url).map_err(Failure::GiveUp)?;
    let mut failures = Vec::new();
    for place in places(host).map_err(Failure::GoOn)? {
        match connect_at(&place, host, target, url, &login) {
            Err(Failure::GoOn(text)) => failures.push(format!("{} failed: {text}", place.describe(host))),
            Err(Failure::GiveUp(text)) => {
                return Err(Failure::GiveUp(format!("{} failed: {text}", place.describe(host))));
            }
            connected => return connected,
        }
    }
    Err(Failure::GoOn(failures.join("; ")))
}

/// Where a server listens.
enum Place {
    Tcp(SocketAddr),
    Unix { socket: String },
}

impl Place {
    fn describe(&self, host: &Host) -> String {
        match self {
            Self::Unix { socket } => format!("connection to server on socket \"{socket}\""),
            Self::Tcp(address) if host.name.is_empty() || host.name == address.ip().to_string() => {
                format!("connection to server at \"{}\", port {}", address.ip(), host.port)
            }
            Self::Tcp(address) => {
                format!("connection to server at \"{}\" ({}), port {}", host.name, address.ip(), host.port)
            }
        }
    }

    fn connect(&self, timeout: Option<Duration>) -> io::Result<Socket> {
        let (domain, address) = match self {
            Self::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
            // A name that begins with NUL is in Linux' abstract namespace.
            Self::Unix { socket } => (Domain::UNIX, SockAddr::unix(socket.replacen('@', "\0", 1))?),
        };
        let socket = socket2::Socket::new(domain, Type::STREAM, None)?;
        match timeout {
            Some(timeout) => socket.connect_timeout(&address, timeout)?,
            None => socket.connect(&address)?,
        }
        Ok(match self {
            Self::Tcp(_) => Socket::Tcp(socket.into()),
            Self::Unix { .. } => Socket::Unix(socket.into()),
        })
    }
}

fn places(host: &Host) -> Result<Vec<Place>, String> {
    if let Some(address) = host.address {
        return Ok(vec![Place::Tcp(SocketAddr::new(address, host.port))]);
    }
    let socket_in = |folder: &str| format!("{folder}/.s.PGSQL.{}", host.port);
    if host.name.is_empty() {
        let [usual, other] = SOCKET_FOLDERS.map(socket_in);
        return Ok(vec![Place::Unix { socket: if Path::new(&usual).exists() { usual } else { other } }]);
    }
    if host.name.starts_with(['/', '@']) {
        return Ok(vec![Place::Unix { socket: socket_in(&host.name) }]);
    }
    let found = (&*host.name, host.port).to_socket_addrs();
    let found =
        found.map_err(|error| format!("could not translate host name \"{}\" to address: {error}", host.name))?;
    Ok(found.map(Place::Tcp).collect())
}

/// Checks the files that `url` names: certificates, keys, revocation lists and the password file.
///
/// # Errors
/// A file cannot be used. The text names it.
pub(super) fn check_files(url: &PostgresUrl) -> Result<(), String> {
    let is_remote =
        |host: &&Host| host.address.is_some() || !(host.name.is_empty() || host.name.starts_with(['/', '@']));
    if let Some(host) = url.hosts.iter().find(is_remote)
        && url.tls.mode > TlsMode::Disable
    {
        Tls::new(host, &url.tls)?;
    }
    match &url.password_file {
        Some(path) if url.password.is_none() => super::password_file::check(path),
        _ => Ok(()),
    }
}

/// Connects with and without encryption, as far as `url` allows either.
fn connect_at(
    place: &Place,
    host: &Host,
    target: TargetSession,
    url: &PostgresUrl,
    login: &Login<'_>,
) -> Result<Messages, Failure> {
    let tls = match place {
        Place::Tcp(_) if url.tls.mode > TlsMode::Disable => Some(Tls::new(host, &url.tls).map_err(Failure::GiveUp)?),
        _ => None,
    };
    let attempts: &[Option<&Tls>] = match (&tls, url.tls.mode) {
        (None, _) => &[None],
        (Some(tls), TlsMode::Allow) => &[None, Some(tls)],
        (Some(tls), TlsMode::Prefer) => &[Some(tls), None],
        (Some(tls), _) => &[Some(tls)],
    };
    let mut refused = None;
    for (index, tls) in attempts.iter().enumerate() {
        match try_once(place, *tls, target, url, login) {
            Ok(messages) => return Ok(messages),
            Err(StartError::Encryption(text)) => refused = Some(Failure::GoOn(text)),
            Err(StartError::Io(error)) => return Err(Failure::GoOn(error.to_string())),
            Err(StartError::OtherServer(text)) => return Err(Failure::GoOn(text)),
            Err(StartError::Refused(text)) => return Err(Failure::GiveUp(text)),
            Err(StartError::Server(error)) if error.is_of_this_server() => {
                return Err(Failure::GoOn(error.describe()));
            }
            Err(StartError::Server(error)) => {
                let is_last = index.saturating_add(1) == attempts.len();
                refused = Some(Failure::GiveUp(error.describe()));
                if is_last || !error.depends_on_encryption() {
                    break;
                }
            }
        }
    }
    Err(refused.unwrap_or_else(|| Failure::GoOn("nothing was tried".to_owned())))
}

fn try_once(
    place: &Place,
    tls: Option<&Tls>,
    target: TargetSession,
    url: &PostgresUrl,
    login: &Login<'_>,
) -> Result<Messages, StartError> {
    let deadline = url.connect_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let socket = place.connect(url.connect_timeout).map_err(or_timeout)?;
    if let Socket::Tcp(tcp) = &socket {
        tune(&SockRef::from(tcp), url)?;
    }
    let stream = match tls {
        None => Stream::Plain(socket),
        Some(tls) => {
            socket.set_timeout(deadline.map(remaining).transpose()?)?;
            encrypt(socket, tls, url)?
        }
    };
    let mut messages = Messages::new(stream, deadline);
    let server = startup::log_in(&mut messages, login, url)?;
    startup::check_target(&mut messages, target, server)?;
    messages.set_timeout(None)?;
    Ok(messages)
}

fn tune(socket: &SockRef<'_>, url: &PostgresUrl) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(url.user_timeout)?;
    let Some(KeepAlive { idle, interval, count }) = url.keep_alive else { return Ok(()) };
    let mut keep_alive = TcpKeepalive::new();
    if let Some(idle) = idle {
        keep_alive = keep_alive.with_time(idle);
    }
    if let Some(interval) = interval {
        keep_alive = keep_alive.with_interval(interval);
    }
    if let Some(count) = count {
        keep_alive = keep_alive.with_retries(count);
    }
    socket.set_tcp_keepalive(&keep_alive)
}

/// Encrypts a connection, after the server has agreed unless it need not be asked.
fn encrypt(mut socket: Socket, tls: &Tls, url: &PostgresUrl) -> Result<Stream, StartError> {
    use std::io::{Read as _, Write as _};

    if !url.tls.is_direct {
        let mut request = bytes::BytesMut::new();
        frontend::ssl_request(&mut request);
        socket.write_all(&request).map_err(or_timeout)?;
        let mut answer = [0];
        socket.read_exact(&mut answer).map_err(or_timeout)?;
        match answer {
            [b'S'] => {}
            [b'N'] if url.tls.mode < TlsMode::Require => return Ok(Stream::Plain(socket)),
            [b'N'] => return Err(StartError::Encryption("the server does not support TLS".to_owned())),
            _ => return Err(StartError::Encryption("the server did not answer whether it supports TLS".to_owned())),
        }
    }
    tls::handshake(socket, tls).map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => StartError::Io(error),
        _ => StartError::Encryption(describe(&error.to_string())),
    })
}

/// Returns the text of an error of TLS, with what to do where the server's certificate is as old ones are made.
fn describe(error: &str) -> String {
    let hint = if error.contains("UnsupportedCertVersion") {
        ": the server's certificate is of X.509 version 1, and has to be of version 3"
    } else if error.contains("not valid for any names") {
        ": the server's certificate has to have its names as subjectAltName"
    } else {
        ""
    };
    format!("{error}{hint}")
}
