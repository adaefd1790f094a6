//! The registered client that calls: by its id and secret in an `Authorization` header (`client_secret_basic`) or in
//! the form (`client_secret_post`).

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use super::caller::{AccessError, state};
use crate::clients::{AuthenticationError, Client, Clients};
use crate::db::DbError;
use crate::http::Problem;
use crate::http::basic::ClientCredentials;

/// The credentials in the form of a request.
pub(super) struct FormCredentials {
    /// The field `client_id`.
    pub id: Option<Zeroizing<String>>,
    /// The field `client_secret`.
    pub secret: Option<Zeroizing<String>>,
}

/// Why a client is refused.
#[derive(Debug)]
pub(super) enum ClientRefusal {
    /// The request has no credentials of a client.
    Missing,
    /// The `Authorization` header cannot be read, or there are two.
    Malformed,
    /// The request has credentials at two places.
    Several,
    /// The client or its secret is not valid.
    Invalid,
    /// The client lacks this scope.
    Scope(&'static str),
    /// The database failed, so it is not known whether the client is valid.
    Database(DbError),
    /// The server lacks what the handler needs, which is a defect.
    Internal(&'static str),
}

impl From<AuthenticationError> for ClientRefusal {
    fn from(error: AuthenticationError) -> Self {
        match error {
            AuthenticationError::Invalid => Self::Invalid,
            AuthenticationError::Database(error) => Self::Database(error),
        }
    }
}

/// The challenge of a client that is to authenticate.
pub(super) const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"keyturn\", charset=\"UTF-8\"");

impl From<ClientRefusal> for Problem {
    fn from(refusal: ClientRefusal) -> Self {
        match refusal {
            ClientRefusal::Missing => {
                Self::unauthorized("invalid_client", "A client has to authenticate.").with(WWW_AUTHENTICATE, CHALLENGE)
            }
            ClientRefusal::Malformed => Self::malformed_authorization(),
            ClientRefusal::Several => Self::bad_request("malformed_authorization", "Credentials were sent twice."),
            ClientRefusal::Invalid => Self::unauthorized("invalid_client", "The client or its secret is not valid.")
                .with(WWW_AUTHENTICATE, CHALLENGE),
            ClientRefusal::Scope(scope) => {
                let detail = format!("The client lacks the scope {scope}.");
                Self::new(StatusCode::FORBIDDEN, "insufficient_scope", detail)
            }
            ClientRefusal::Database(error) => error.into(),
            ClientRefusal::Internal(what) => Self::internal(&format_args!("a handler lacks {what}")),
        }
    }
}

/// Authenticates the client that calls, and checks that it has a scope.
///
/// # Errors
/// No client calls, it is not valid, or it lacks the scope.
pub(super) async fn admit_client(
    request: &HttpRequest,
    form: Option<FormCredentials>,
    scope: &'static str,
) -> Result<Arc<Client>, ClientRefusal> {
    let calling = authenticate_client(request, form).await?.ok_or(ClientRefusal::Missing)?;
    if calling.has_scope(scope) { Ok(calling) } else { Err(ClientRefusal::Scope(scope)) }
}

/// A client that was admitted to a response that goes on for long.
pub(super) struct Admission {
    clients: Clients,
    credentials: ClientCredentials,
    scope: &'static str,
}

impl Admission {
    /// Admits the client that calls by its `Authorization` header, as [`admit_client`] does.
    ///
    /// # Errors
    /// No client calls, it is not valid, or it lacks the scope.
    pub(super) async fn of(request: &HttpRequest, scope: &'static str) -> Result<Self, ClientRefusal> {
        let credentials = basic(request.headers())?.ok_or(ClientRefusal::Missing)?;
        let clients: &Clients = state(request).map_err(internal)?;
        let client = clients.authenticate(&credentials.id, &credentials.secret).await?;
        if !client.has_scope(scope) {
            return Err(ClientRefusal::Scope(scope));
        }
        Ok(Self { clients: clients.clone(), credentials, scope })
    }

    /// Returns whether the client would still be admitted, and if that cannot be found out that it is.
    pub(super) async fn holds(&self) -> bool {
        match self.clients.authenticate(&self.credentials.id, &self.credentials.secret).await {
            Ok(client) => client.has_scope(self.scope),
            Err(AuthenticationError::Invalid) => false,
            Err(AuthenticationError::Database(_)) => true,
        }
    }
}

/// Authenticates the client that calls. Returns `None` if the request has no secret.
///
/// # Errors
/// The client is not valid, the credentials cannot be read, or the database fails.
pub(super) async fn authenticate_client(
    request: &HttpRequest,
    form: Option<FormCredentials>,
) -> Result<Option<Arc<Client>>, ClientRefusal> {
    let (form_id, form_secret) = form.map_or((None, None), |form| (form.id, form.secret));
    let credentials = match (basic(request.headers())?, form_secret) {
        (Some(_), Some(_)) => return Err(ClientRefusal::Several),
        // The id may be repeated in the form (RFC 6749 §3.2.1).
        (Some(basic), None) if form_id.as_ref().is_some_and(|id| **id != basic.id) => {
            return Err(ClientRefusal::Several);
        }
        (Some(basic), None) => basic,
        (None, Some(secret)) => {
            let id = form_id.ok_or(ClientRefusal::Invalid)?;
            ClientCredentials { id: id.to_string(), secret }
        }
        (None, None) => return Ok(None),
    };
    let clients: &Clients = state(request).map_err(internal)?;
    Ok(Some(clients.authenticate(&credentials.id, &credentials.secret).await?))
}

fn internal(error: AccessError) -> ClientRefusal {
    match error {
        AccessError::Missing(what) => ClientRefusal::Internal(what),
        _ => ClientRefusal::Internal("state"),
    }
}

/// Returns the credentials of an `Authorization` header with the scheme `Basic`, if the request has one.
fn basic(headers: &HeaderMap) -> Result<Option<ClientCredentials>, ClientRefusal> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(ClientRefusal::Malformed);
    }
    let line = line.to_str().map_err(|_| ClientRefusal::Malformed)?.trim();
    let (scheme, encoded) = line.split_once(' ').unwrap_or((line, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(ClientRefusal::Malformed);
    }
    ClientCredentials::parse(encoded).map(Some).ok_or(ClientRefusal::Invalid)
}
