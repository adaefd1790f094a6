//! A session begins: the login, and what kind of server it is.

use std::io;

use fallible_iterator::FallibleIterator as _;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, DataRowBody, Message, ParameterStatusBody};
use postgres_protocol::message::frontend;
use zeroize::Zeroizing;

use super::certificate;
use super::error::ServerError;
use super::password_file;
use super::stream::Messages;
use crate::config::postgres_url::{Auth, ChannelBinding, Host, PostgresUrl, TargetSession};

/// The reason why a session does not begin.
pub(super) enum StartError {
    /// The server cannot be reached, or the connection to it was lost.
    Io(io::Error),
    /// The connection cannot be encrypted as it has to be.
    Encryption(String),
    /// The server refuses the login.
    Server(Box<ServerError>),
    /// The server is not of the kind that is looked for.
    OtherServer(String),
    /// The server asks for what it does not get.
    Refused(String),
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The role that logs in, and where.
pub(super) struct Login<'a> {
    user: String,
    database: String,
    password: Option<Zeroizing<String>>,
    url: &'a PostgresUrl,
}

impl<'a> Login<'a> {
    /// Finds out who logs in to `host`.
    pub(super) fn new(host: &Host, url: &'a PostgresUrl) -> Result<Self, String> {
        let user = url.user.clone().or_else(password_file::system_user);
        let user = user.ok_or("the URL names no user, and the user of this process has no name")?;
        let database = url.database.clone().unwrap_or_else(|| user.clone());
        let password = match &url.password {
            Some(password) => Some(password.clone()),
            None => password_file::find(url.password_file.as_deref(), host, &database, &user),
        };
        Ok(Self { user, database, password, url })
    }

    fn password(&self) -> Result<&Zeroizing<String>, StartError> {
        self.password.as_ref().ok_or_else(|| refused("the server asks for a password, and there is none"))
    }

    /// Asserts that the server may ask for this.
    fn allow(&self, auth: Auth) -> Result<(), StartError> {
        let allowed = &self.url.allowed_auth;
        if !allowed.is_empty() && !allowed.contains(&auth) {
            return Err(refused("the server asks for a way to authenticate that require_auth does not name"));
        }
        if self.url.channel_binding == ChannelBinding::Require && auth != Auth::Scram {
            return Err(refused("the server asks for a login without the channel binding that the URL requires"));
        }
        Ok(())
    }
}

/// The traits that a server tells of itself. `None` is what it does not tell.
#[derive(Clone, Copy, Default)]
pub(super) struct ServerKind {
    is_standby: Option<bool>,
    is_read_only: Option<bool>,
}

impl ServerKind {
    fn note(&mut self, status: &ParameterStatusBody) -> io::Result<()> {
        match status.name()? {
            "in_hot_standby" => self.is_standby = Some(status.value()? == "on"),
            "default_transaction_read_only" => self.is_read_only = Some(status.value()? == "on"),
            _ => {}
        }
        Ok(())
    }
}

/// Logs in.
pub(super) fn log_in(messages: &mut Messages, login: &Login<'_>, url: &PostgresUrl) -> Result<ServerKind, StartError> {
    let mut parameters = vec![
        ("user", &*login.user),
        ("database", &*login.database),
        ("client_encoding", "UTF8"),
        ("TimeZone", "UTC"),
        ("application_name", &*url.application_name),
    ];
    parameters.extend(url.options.as_deref().map(|options| ("options", options)));
    frontend::startup_message(parameters, &mut messages.outgoing)?;
    messages.send()?;
    authenticate(messages, login)?;
    let mut kind = ServerKind::default();
    loop {
        match next(messages)? {
            Message::ParameterStatus(status) => kind.note(&status)?,
            Message::ReadyForQuery(_) => return Ok(kind),
            _ => {}
        }
    }
}

fn authenticate(messages: &mut Messages, login: &Login<'_>) -> Result<(), StartError> {
    let mut is_asked = false;
    loop {
        let answer = match next(messages)? {
            Message::AuthenticationOk => {
                return if is_asked { Ok(()) } else { login.allow(Auth::None) };
            }
            Message::AuthenticationCleartextPassword => {
                login.allow(Auth::Password)?;
                login.password()?.clone()
            }
            Message::AuthenticationMd5Password(body) => {
                login.allow(Auth::Md5)?;
                let password = login.password()?;
                Zeroizing::new(md5_hash(login.user.as_bytes(), password.as_bytes(), body.salt()))
            }
            Message::AuthenticationSasl(body) => {
                login.allow(Auth::Scram)?;
                scram(messages, login, &body)?;
                is_asked = true;
                continue;
            }
            Message::NoticeResponse(_) => continue,
            _ => return Err(refused("the server asks for a way to authenticate that keyturn does not speak")),
        };
        is_asked = true;
        frontend::password_message(answer.as_bytes(), &mut messages.outgoing)?;
        messages.send()?;
    }
}

/// Proves the password by SCRAM (RFC 5802, 7677), and has the server prove that it knows it too.
fn scram(messages: &mut Messages, login: &Login<'_>, body: &AuthenticationSaslBody) -> Result<(), StartError> {
    let offered: Vec<&str> = body.mechanisms().collect()?;
    let wanted = login.url.channel_binding;
    // The server's certificate, if the login can be bound to it.
    let binding = messages.certificate().and_then(certificate::digest).filter(|_| wanted != ChannelBinding::Disable);
    let (mechanism, binding) = match binding {
        Some(digest) if offered.contains(&sasl::SCRAM_SHA_256_PLUS) => {
            (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(digest))
        }
        _ if wanted == ChannelBinding::Require => {
            let reason = if messages.is_encrypted() { "by this server and certificate" } else { "without TLS" };
            return Err(refused(&format!("channel binding is required and not possible {reason}")));
        }
        Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
        None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
    };
    if !offered.contains(&mechanism) {
        return Err(refused("the server asks for a way to authenticate that keyturn does not speak"));
    }
    let mut scram = ScramSha256::new(login.password()?.as_bytes(), binding);
    frontend::sasl_initial_response(mechanism, scram.message(), &mut messages.outgoing)?;
    messages.send()?;
    let Message::AuthenticationSaslContinue(body) = next(messages)? else { return Err(unexpected()) };
    scram.update(body.data())?;
    frontend::sasl_response(scram.message(), &mut messages.outgoing)?;
    messages.send()?;
    let Message::AuthenticationSaslFinal(body) = next(messages)? else { return Err(unexpected()) };
    Ok(scram.finish(body.data())?)
}

/// Asserts that the server is one of those that are used, which is asked where it does not tell.
pub(super) fn check_target(
    messages: &mut Messages,
    target: TargetSession,
    server: ServerKind,
) -> Result<(), StartError> {
    let is_standby = |messages: &mut Messages| match server.is_standby {
        Some(is_standby) => Ok(is_standby),
        None => ask(messages, "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'on' ELSE 'off' END"),
    };
    let is_read_only = |messages: &mut Messages| match (server.is_standby, server.is_read_only) {
        (Some(true), _) | (_, Some(true)) => Ok(true),
        (Some(false), Some(false)) => Ok(false),
        _ => ask(messages, "SHOW transaction_read_only"),
    };
    let mismatch = match target {
        TargetSession::ReadWrite => is_read_only(messages)?.then_some("session is read-only"),
        TargetSession::ReadOnly => (!is_read_only(messages)?).then_some("session is not read-only"),
        TargetSession::Primary => is_standby(messages)?.then_some("server is in hot standby mode"),
        TargetSession::Standby => (!is_standby(messages)?).then_some("server is not in hot standby mode"),
        TargetSession::Any | TargetSession::PreferStandby => None,
    };
    mismatch.map_or(Ok(()), |mismatch| Err(StartError::OtherServer(mismatch.to_owned())))
}

/// Asks for one value, which is on or off.
fn ask(messages: &mut Messages, sql: &str) -> Result<bool, StartError> {
    frontend::query(sql, &mut messages.outgoing)?;
    messages.send()?;
    let mut is_on = None;
    loop {
        match next(messages)? {
            Message::DataRow(row) => is_on = Some(first_value(&row)? == Some(b"on")),
            Message::ReadyForQuery(_) => return is_on.ok_or_else(unexpected),
            _ => {}
        }
    }
}

fn first_value(row: &DataRowBody) -> io::Result<Option<&[u8]>> {
    let range = row.ranges().next()?.flatten();
    Ok(range.and_then(|range| row.buffer().get(range)))
}

/// Returns the next message, unless it is an error.
fn next(messages: &mut Messages) -> Result<Message, StartError> {
    match messages.receive()? {
        Message::ErrorResponse(body) => Err(StartError::Server(Box::new(ServerError::read(&body)?))),
        message => Ok(message),
    }
}

fn refused(reason: &str) -> StartError {
    StartError::Refused(reason.to_owned())
}

fn unexpected() -> StartError {
    refused("the server sent what was not expected")
}
