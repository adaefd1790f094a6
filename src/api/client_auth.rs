//! The registered client that calls: by its id and secret in an `Authorization` header (`client_secret_basic`) or in
//! the form (`client_secret_post`), or by an access token of its own.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use zeroize::Zeroizing;

use super::caller::{AccessError, state};
use super::dpop::{PresentedToken, ProofRefusal, Proven, require_key};
use crate::clients::{AuthenticationError, Client, Clients};
use crate::db::DbError;
use crate::http::Problem;
use crate::http::basic::ClientCredentials;
use crate::oauth::{AuthenticatedByToken, OAuth};
use crate::types::{KeyThumbprint, Scopes, Transport};

/// A client that has authenticated.
pub(super) struct CallingClient {
    /// The client.
    pub client: Arc<Client>,
    /// The scopes of its access token; `None` if it has shown a secret.
    token_scopes: Option<Scopes>,
    /// The key that its access token is bound to.
    bound_to: Option<KeyThumbprint>,
}

impl CallingClient {
    /// Returns whether the client may do in this request what a scope allows.
    pub(super) fn has_scope(&self, scope: &str) -> bool {
        self.token_scopes.as_ref().unwrap_or(&self.client.scopes).contains(scope)
    }
}

/// The credentials in the form of a request.
#[derive(Default)]
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
    /// The access token is not valid, or not that of a client.
    InvalidToken,
    /// The proof that the client holds the key of its access token is missing or not valid.
    Proof(ProofRefusal),
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

/// The challenge to a client whose access token lacks a scope (RFC 6750 §3.1).
pub(super) const INSUFFICIENT_SCOPE: HeaderValue = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");

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
            ClientRefusal::InvalidToken => Self::invalid_token(),
            ClientRefusal::Proof(refusal) => refusal.into_unauthorized(),
            ClientRefusal::Scope(scope) => {
                let detail = format!("The client lacks the scope {scope}.");
                Self::new(StatusCode::FORBIDDEN, "insufficient_scope", detail)
                    .with(WWW_AUTHENTICATE, INSUFFICIENT_SCOPE)
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
) -> Result<CallingClient, ClientRefusal> {
    let shown = shown(request, form)?.ok_or(ClientRefusal::Missing)?;
    let clients: &Clients = state(request).map_err(internal)?;
    let oauth: &OAuth = state(request).map_err(internal)?;
    let calling = identify(clients, oauth, &shown).await?;
    check_proof(request, &shown, &calling).await?;
    if calling.has_scope(scope) { Ok(calling) } else { Err(ClientRefusal::Scope(scope)) }
}

/// A client that was admitted to a response that goes on for long.
pub(super) struct Admission {
    clients: Clients,
    oauth: OAuth,
    shown: Shown,
    scope: &'static str,
}

impl Admission {
    /// Admits the client that calls by its `Authorization` header, as [`admit_client`] does.
    ///
    /// # Errors
    /// No client calls, it is not valid, or it lacks the scope.
    pub(super) async fn of(request: &HttpRequest, scope: &'static str) -> Result<Self, ClientRefusal> {
        let shown = shown(request, None)?.ok_or(ClientRefusal::Missing)?;
        let clients: &Clients = state(request).map_err(internal)?;
        let oauth: &OAuth = state(request).map_err(internal)?;
        let calling = identify(clients, oauth, &shown).await?;
        check_proof(request, &shown, &calling).await?;
        if !calling.has_scope(scope) {
            return Err(ClientRefusal::Scope(scope));
        }
        Ok(Self { clients: clients.clone(), oauth: oauth.clone(), shown, scope })
    }

    /// Returns whether the client would still be admitted, and if that cannot be found out that it is.
    pub(super) async fn holds(&self) -> bool {
        match identify(&self.clients, &self.oauth, &self.shown).await {
            Ok(calling) => calling.has_scope(self.scope),
            Err(ClientRefusal::Database(_)) => true,
            Err(_) => false,
        }
    }
}

/// The credentials that a client has shown.
enum Shown {
    Secret(ClientCredentials),
    Token(PresentedToken),
}

/// Authenticates the client that calls by its id and secret. Returns `None` if the request has none. An access token in
/// the header does not count: it gets no other tokens, and apps send their own with every request.
///
/// # Errors
/// The client is not valid, the credentials cannot be read, or the database fails.
pub(super) async fn authenticate_by_secret(
    request: &HttpRequest,
    form: FormCredentials,
) -> Result<Option<Arc<Client>>, ClientRefusal> {
    let shown = match authorization(request.headers())? {
        Some(Shown::Token(_)) | None => in_form(form)?,
        Some(shown) => in_header(shown, form).map(Some)?,
    };
    let Some(Shown::Secret(credentials)) = shown else { return Ok(None) };
    let clients: &Clients = state(request).map_err(internal)?;
    Ok(Some(clients.authenticate(&credentials.id, &credentials.secret).await?))
}

async fn identify(clients: &Clients, oauth: &OAuth, shown: &Shown) -> Result<CallingClient, ClientRefusal> {
    match shown {
        Shown::Secret(credentials) => {
            let client = clients.authenticate(&credentials.id, &credentials.secret).await?;
            Ok(CallingClient { client, token_scopes: None, bound_to: None })
        }
        Shown::Token(token) => {
            let found = oauth.authenticate_by_token(&token.text).await.map_err(ClientRefusal::Database)?;
            let AuthenticatedByToken { client, scopes, bound_to } = found.ok_or(ClientRefusal::InvalidToken)?;
            Ok(CallingClient { client, token_scopes: Some(scopes), bound_to })
        }
    }
}

/// Checks that a client that calls by an access token holds the key that the token is bound to.
async fn check_proof(request: &HttpRequest, shown: &Shown, calling: &CallingClient) -> Result<(), ClientRefusal> {
    match shown {
        Shown::Secret(_) => Ok(()),
        Shown::Token(token) => {
            require_key(request, Proven::This, token, calling.bound_to).await.map_err(ClientRefusal::Proof)
        }
    }
}

/// Returns the credentials of a request: those of the header or those of the form.
fn shown(request: &HttpRequest, form: Option<FormCredentials>) -> Result<Option<Shown>, ClientRefusal> {
    let form = form.unwrap_or_default();
    match authorization(request.headers())? {
        Some(shown) => in_header(shown, form).map(Some),
        None => in_form(form),
    }
}

/// Checks that the form has no credentials beside those of the header. The id may be repeated there (RFC 6749 §3.2.1).
fn in_header(shown: Shown, form: FormCredentials) -> Result<Shown, ClientRefusal> {
    let is_another = |id: Zeroizing<String>| matches!(&shown, Shown::Secret(basic) if basic.id != *id);
    if form.secret.is_some() || form.id.is_some_and(is_another) {
        return Err(ClientRefusal::Several);
    }
    Ok(shown)
}

fn in_form(form: FormCredentials) -> Result<Option<Shown>, ClientRefusal> {
    let Some(secret) = form.secret else { return Ok(None) };
    let id = form.id.ok_or(ClientRefusal::Invalid)?;
    Ok(Some(Shown::Secret(ClientCredentials { id: id.to_string(), secret })))
}

fn internal(error: AccessError) -> ClientRefusal {
    match error {
        AccessError::Missing(what) => ClientRefusal::Internal(what),
        _ => ClientRefusal::Internal("state"),
    }
}

/// Returns the credentials of the `Authorization` header, if the request has one.
fn authorization(headers: &HeaderMap) -> Result<Option<Shown>, ClientRefusal> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(ClientRefusal::Malformed);
    }
    let line = line.to_str().map_err(|_| ClientRefusal::Malformed)?.trim();
    let (scheme, credentials) = line.split_once(' ').unwrap_or((line, ""));
    let is_dpop = scheme.eq_ignore_ascii_case("dpop");
    if is_dpop || scheme.eq_ignore_ascii_case("bearer") {
        let text = credentials.trim().to_owned();
        return Ok(Some(Shown::Token(PresentedToken { text, transport: Transport::Bearer, is_dpop })));
    }
    // Another scheme is a way to authenticate that is not taken (RFC 6749 §5.2). The challenge names one that is.
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(ClientRefusal::Invalid);
    }
    ClientCredentials::parse(credentials).map(|basic| Some(Shown::Secret(basic))).ok_or(ClientRefusal::Invalid)
}
