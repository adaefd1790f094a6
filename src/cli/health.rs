//! `keyturn health`: asks the server of this configuration how it is, for images that have neither shell nor curl.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::Value;

use crate::config::{Config, Environment};

use super::Outcome;
use super::output::{Form, say};

/// The most of an answer that is read.
const MAX_ANSWER: usize = 16 * 1024;

/// How long a server may take to tell that it is alive.
const ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(super) struct HealthArguments {
    /// Ask only whether the process runs, and not whether it can serve.
    #[arg(long)]
    live: bool,
    /// Give up after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    timeout: u64,
}

/// Asks the server. Exits with 1 unless it answers 200. JSON is what the server answers, whichever it is.
pub(super) fn run(file: Option<PathBuf>, arguments: &HealthArguments, form: Form) -> Outcome {
    let address = reachable(Config::load_bind(file.as_deref(), &Environment::of_process())?);
    let path = if arguments.live { "/health/live" } else { "/health/ready" };
    let answer = ask(address, path, Duration::from_secs(arguments.timeout));
    let answer = answer.map_err(|error| format!("no answer from http://{address}{path}: {error}"))?;
    let (status, body) = parse(&answer).ok_or_else(|| format!("http://{address}{path} is no keyturn server"))?;
    if form == Form::Json {
        say!("{body}")?;
        return Ok(if status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if status != 200 {
        return Err(format!("http://{address}{path} answers {status}: {body}").into());
    }
    say!("{}", body.get("status").and_then(Value::as_str).unwrap_or("ready"))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns whether a keyturn server answers at an address that one of this machine listens on.
pub(super) fn is_alive(bind: SocketAddr) -> bool {
    let answer = ask(reachable(bind), "/health/live", ALIVE_TIMEOUT).ok();
    answer
        .and_then(|answer| parse(&answer))
        .is_some_and(|(status, body)| status == 200 && body.get("status").is_some_and(|status| status == "alive"))
}

/// Returns where a server that listens on `bind` can be reached on this machine. One that listens on all addresses is
/// reached by IPv4, which it always listens on.
fn reachable(bind: SocketAddr) -> SocketAddr {
    if bind.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), bind.port()) } else { bind }
}

/// Returns the answer to a GET request, as text.
fn ask(address: SocketAddr, path: &str, timeout: Duration) -> io::Result<String> {
    let begun = Instant::now();
    let left = || Some(timeout.saturating_sub(begun.elapsed())).filter(|left| !left.is_zero());
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_write_timeout(Some(timeout))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while answer.len() < MAX_ANSWER {
        stream.set_read_timeout(Some(left().ok_or(io::ErrorKind::TimedOut)?))?;
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Returns the status and the JSON body of an answer.
fn parse(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    Some((status, serde_json::from_str(body).ok()?))
}
