//! The caller of a request: the holder of a valid access token.

use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use actix_web::{HttpRequest, web};

use super::dpop::{PresentedToken, ProofRefusal, Proven, require_key};
use crate::audit::Actor;
use crate::db::DbError;
use crate::http::HttpContext;
use crate::http::cookies::CookieError;
use crate::oauth::OAuth;
use crate::sessions::check::{CheckError, CheckedToken};
use crate::sessions::{SessionSnapshot, Sessions};
use crate::throttle::RateLimited;
use crate::tokens::access::Claims;
use crate::types::{Amr, SessionId, Timestamp, Transport, UserId};

/// The caller of a request, whose access token is valid at this moment.
pub(super) struct Caller {
    checked: CheckedToken,
    request: HttpRequest,
    pub transport: Transport,
}

/// Why a request is refused before its handler runs.
#[derive(Debug)]
pub(crate) enum AccessError {
    MissingToken,
    InvalidToken,
    /// The `Authorization` header cannot be read, or there are two.
    MalformedAuthorization,
    /// The cookie of the access token cannot be read, or there are two.
    Cookie(CookieError),
    /// A header that decides whether cookies count was sent twice, with different values.
    DifferentHeaders,
    /// The proof that the caller holds the key of its token is missing or not valid.
    Proof(ProofRefusal),
    /// The request came with cookies from a page of another origin.
    OriginNotAllowed,
    /// An administrator acts for the account, which only its owner may change.
    Impersonated,
    /// The caller's last authentication is too long ago.
    AuthenticationTooOld,
    /// The caller's last authentication lacks the second factor that the account has.
    SecondFactorRequired,
    NotAdministrator,
    /// The account has sent too many requests.
    RateLimited(RateLimited),
    Database(DbError),
    /// The server lacks what the handler needs, which is a defect.
    Missing(&'static str),
}

impl AccessError {
    /// Returns whether the request has no valid access token, so that a login would help.
    pub(super) fn is_without_login(&self) -> bool {
        matches!(self, Self::MissingToken | Self::InvalidToken)
    }

    /// Returns whether the request could not be read: then nothing is known about its caller.
    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self, Self::MalformedAuthorization | Self::Cookie(_) | Self::DifferentHeaders)
    }
}

impl From<RateLimited> for AccessError {
    fn from(limited: RateLimited) -> Self {
        Self::RateLimited(limited)
    }
}

impl From<ProofRefusal> for AccessError {
    fn from(refusal: ProofRefusal) -> Self {
        Self::Proof(refusal)
    }
}

impl From<CookieError> for AccessError {
    fn from(error: CookieError) -> Self {
        Self::Cookie(error)
    }
}

impl From<DbError> for AccessError {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// The header by which browsers say from where a request comes (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Schemes of credentials that a proxy may ask for on its own account: keyturn ignores them.
const SCHEMES_OF_PROXIES: [&str; 3] = ["basic", "digest", "negotiate"];

impl Caller {
    /// Returns the request.
    pub(super) fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// Returns the account that calls.
    pub(super) fn user(&self) -> UserId {
        self.claims().sub
    }

    /// Returns the session that calls.
    pub(super) fn session(&self) -> SessionId {
        self.claims().sid
    }

    /// Returns the session and its account as they are now, not as they were when the token was issued.
    pub(super) fn snapshot(&self) -> &SessionSnapshot {
        &self.checked.snapshot
    }

    /// Returns what the access token says.
    pub(super) fn claims(&self) -> &Claims {
        self.checked.claims()
    }

    /// Returns the methods by which the caller has authenticated since `since`, with the second factor if it was among
    /// them: by the session, so that a reauthentication counts for the token in hand, or by the token, because a cache
    /// may be behind.
    pub(super) fn authenticated_since(&self, since: Timestamp) -> Option<&Amr> {
        let by_session = (self.snapshot().authenticated_at, &self.snapshot().amr);
        let by_token = (Timestamp::from_secs(self.claims().auth_time), &self.claims().amr);
        let recent = [by_session, by_token].into_iter().filter(|(at, _)| *at >= since).map(|(_, amr)| amr);
        recent.max_by_key(|amr| amr.has_second_factor())
    }

    /// Returns the administrator who acts for the account.
    pub(super) fn impersonator(&self) -> Option<UserId> {
        self.checked.impersonator()
    }

    /// Returns the caller, or the administrator who acts for the account, as the actor of the audit log.
    pub(super) fn actor(&self, context: &HttpContext) -> Actor {
        let user = self.impersonator().unwrap_or(self.user());
        Actor { user: Some(user), session: Some(self.session()), requester: context.requester(&self.request) }
    }

    /// Returns when the access token expires.
    pub(super) fn access_token_expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.claims().exp)
    }
}

/// Finds the caller of a request that is to be judged as one of `method`.
///
/// # Errors
/// There is no valid access token, or it came with cookies from a page of another origin.
pub(super) async fn authenticate(request: &HttpRequest, method: &Method) -> Result<Caller, AccessError> {
    let sessions: &Sessions = state(request)?;
    let presented = presented_token(request, method)?;
    let checked = sessions.check(&presented.text).await.map_err(refuse)?;
    require_key(request, Proven::This, &presented, checked.bound_to()).await?;
    Ok(Caller { checked, request: request.clone(), transport: presented.transport })
}

/// Finds the caller of a request that a proxy holds, for which an access token counts that a client got in exchange,
/// too: for `audience`, which is this server's own unless the proxy names another one. `path` is that of the request
/// that the proxy holds, if it asks with that.
///
/// # Errors
/// There is no valid access token, it is for another audience and the proxy names none, or it came with cookies from a
/// page of another origin.
pub(super) async fn authenticate_for_proxy(
    request: &HttpRequest,
    method: &Method,
    path: Option<&str>,
    audience: Option<&str>,
) -> Result<Caller, AccessError> {
    let sessions: &Sessions = state(request)?;
    let presented = presented_token(request, method)?;
    let checked = sessions.check_of_any_audience(&presented.text).await.map_err(refuse)?;
    if audience.is_none() && checked.claims().aud != sessions.audience {
        return Err(AccessError::InvalidToken);
    }
    let oauth: &OAuth = state(request)?;
    if !oauth.is_enabled(checked.claims().exchanging_client()).await? {
        return Err(AccessError::InvalidToken);
    }
    require_key(request, Proven::AtProxy(method, path), &presented, checked.bound_to()).await?;
    Ok(Caller { checked, request: request.clone(), transport: presented.transport })
}

/// Returns the access token of a request, and how it came.
fn presented_token(request: &HttpRequest, method: &Method) -> Result<PresentedToken, AccessError> {
    let context: &HttpContext = state(request)?;
    Ok(match authorization(request.headers())? {
        Some((token, is_dpop)) => PresentedToken { text: token.to_owned(), transport: Transport::Bearer, is_dpop },
        None => {
            let text = context.cookies.access_token(request)?.ok_or(AccessError::MissingToken)?;
            require_own_origin(request, context, method)?;
            PresentedToken { text, transport: Transport::Cookie, is_dpop: false }
        }
    })
}

/// Finds the account whose owner makes a request that needs no access token. Whoever has none, an invalid one, or one
/// of an administrator who acts for the account is nobody.
///
/// # Errors
/// The request cannot be read, or the database fails.
pub(super) async fn optional_owner(request: &HttpRequest) -> Result<Option<UserId>, AccessError> {
    match authenticate(request, request.method()).await {
        Ok(caller) => Ok(caller.checked.owner()),
        Err(error @ (AccessError::Database(_) | AccessError::Missing(_))) => Err(error),
        Err(error @ AccessError::Proof(ProofRefusal::Database(_) | ProofRefusal::Missing(_))) => Err(error),
        Err(error) if error.is_unreadable() => Err(error),
        Err(_) => Ok(None),
    }
}

/// Returns what the server shares with its handlers.
pub(super) fn state<T: 'static>(request: &HttpRequest) -> Result<&T, AccessError> {
    let state = request.app_data::<web::Data<T>>().map(|state| &***state);
    state.ok_or(AccessError::Missing(std::any::type_name::<T>()))
}

fn refuse(error: CheckError) -> AccessError {
    match error {
        CheckError::Invalid(_) | CheckError::Ended | CheckError::Superseded => {
            tracing::debug!(%error, "an access token was refused");
            AccessError::InvalidToken
        }
        CheckError::Database(error) => error.into(),
    }
}

/// Returns the token of an `Authorization` header with the scheme `Bearer` (RFC 6750 §2.1) or `DPoP` (RFC 9449 §7.1),
/// and whether it is the latter. Returns `None` without such a header.
///
/// # Errors
/// The header has another form, or there are two: what was meant is not known, so no token is called invalid.
fn authorization(headers: &HeaderMap) -> Result<Option<(&str, bool)>, AccessError> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let Some(value) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(AccessError::MalformedAuthorization);
    }
    let value = value.to_str().map_err(|_| AccessError::MalformedAuthorization)?.trim();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let token = token.trim();
    let is_dpop = scheme.eq_ignore_ascii_case("dpop");
    let carries_token = |scheme: &str| ["bearer", "dpop"].iter().any(|own| scheme.eq_ignore_ascii_case(own));
    // Two headers that a proxy has joined into one.
    let mut joined = value.split(',').skip(1).filter_map(|part| part.split_whitespace().next());
    if joined.any(carries_token) {
        return Err(AccessError::MalformedAuthorization);
    }
    if value.is_empty() || SCHEMES_OF_PROXIES.iter().any(|other| scheme.eq_ignore_ascii_case(other)) {
        Ok(None)
    } else if carries_token(scheme) && is_token(token) {
        Ok(Some((token, is_dpop)))
    } else {
        Err(AccessError::MalformedAuthorization)
    }
}

/// Returns whether a text has the form of a bearer token (RFC 6750 §2.1, `b64token`).
fn is_token(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// Returns the value of a header that decides who may call, if the request has it.
///
/// # Errors
/// It was sent twice with different values: which one a browser has sent is not known.
fn sole<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, AccessError> {
    let mut values = headers.get_all(name);
    let first = values.next();
    if values.any(|other| Some(other) != first) { Err(AccessError::DifferentHeaders) } else { Ok(first) }
}

/// Refuses requests that a page of another origin may have made a browser send with its cookies. Browsers name the
/// origin of every request with an unsafe method; one without it did not come from a page.
///
/// # Errors
/// The request came, or may have come, from such a page.
pub(super) fn require_own_origin(
    request: &HttpRequest,
    context: &HttpContext,
    method: &Method,
) -> Result<(), AccessError> {
    if method.is_safe() {
        return Ok(());
    }
    let origin = sole(request.headers(), &ORIGIN)?.and_then(|origin| origin.to_str().ok());
    let same_origin = sole(request.headers(), &SEC_FETCH_SITE)?.is_some_and(|site| site == "same-origin");
    if origin.is_some_and(|origin| context.is_trusted_origin(origin)) || (origin.is_none() && same_origin) {
        return Ok(());
    }
    Err(AccessError::OriginNotAllowed)
}

/// Refuses to set cookies for a page of another origin, which could log its visitor in to an account of its owner's.
/// Programs send no origin, and browsers send one with every such request.
///
/// # Errors
/// The client would receive its tokens in cookies, and is such a page.
pub(super) fn require_origin_for(
    transport: Transport,
    request: &HttpRequest,
    context: &HttpContext,
) -> Result<(), AccessError> {
    let headers = request.headers();
    let is_from_page = headers.contains_key(ORIGIN)
        || headers.get_all(SEC_FETCH_SITE).any(|site| site == "cross-site" || site == "same-site");
    if transport == Transport::Cookie && is_from_page {
        return require_own_origin(request, context, &Method::POST);
    }
    Ok(())
}
