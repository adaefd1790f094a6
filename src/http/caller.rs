//! Who calls: the bearer of an access token that is good.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use actix_web::{FromRequest, HttpRequest, web};

use super::edge::Edge;
use super::problem::Problem;
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::db::types::{SessionId, UserId};
use crate::sessions::check::{CheckError, Checked};
use crate::sessions::{Sessions, Standing};
use crate::tokens::access::Claims;

/// The caller of a request: extracting one proves that its access token is good now.
pub struct Caller {
    checked: Checked,
    request: HttpRequest,
    pub transport: Transport,
}

/// How long ago a caller may have authenticated for what is sensitive (RFC 9470).
pub const RECENT: Duration = Duration::from_secs(600);

/// Schemes of passwords that a proxy may ask for on its own account: what they carry is not for us.
const FOREIGN_SCHEMES: [&str; 3] = ["basic", "digest", "negotiate"];

/// How a client carries its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    #[default]
    Bearer,
    Cookie,
}

impl Transport {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
        }
    }

    /// The transport that [`Self::name`] has named.
    pub fn parse(name: &str) -> Self {
        if name == Self::Cookie.name() { Self::Cookie } else { Self::Bearer }
    }
}

impl Caller {
    pub fn user(&self) -> UserId {
        self.checked.claims().sub
    }

    pub fn session(&self) -> SessionId {
        self.checked.claims().sid
    }

    /// The session and its account as they are now, not as they were when the token was issued.
    pub fn standing(&self) -> &Standing {
        &self.checked.standing
    }

    /// What the access token says.
    pub fn claims(&self) -> &Claims {
        self.checked.claims()
    }

    /// When the caller last authenticated. What the session says counts, so that authenticating again counts for the
    /// token in hand; what the token says counts too, because a cache may be behind.
    pub fn authenticated_at(&self) -> Timestamp {
        self.standing().authenticated_at.max(Timestamp::from_secs(self.claims().auth_time))
    }

    /// Refuses a caller who has not authenticated within the last ten minutes.
    pub fn require_recent(&self, edge: &Edge) -> Result<(), Problem> {
        if edge.clock.now().since(self.authenticated_at()) <= RECENT {
            return Ok(());
        }
        Err(Problem::insufficient_user_authentication(RECENT))
    }

    /// The operator who acts for the account.
    pub fn impersonator(&self) -> Option<UserId> {
        self.standing().actor.or(self.claims().act.map(|act| act.sub))
    }

    /// Refuses an operator who acts for somebody else.
    pub fn require_own(&self) -> Result<(), Problem> {
        match self.impersonator() {
            None => Ok(()),
            Some(_) => Err(Problem::forbidden("impersonated", "Nobody but the account's owner may do this.")),
        }
    }

    /// Who does something: the caller, or the operator who acts for the account.
    pub fn actor(&self, edge: &Edge) -> Actor {
        let user = self.impersonator().unwrap_or(self.user());
        Actor { user: Some(user), session: Some(self.session()), client: edge.client(&self.request) }
    }

    pub fn access_token_expires_at(&self) -> Timestamp {
        Timestamp::from_secs(self.checked.claims().exp)
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { permitted(&request).await })
    }
}

/// A caller, and what is read of the request only once it is known who calls: strangers are told nothing of it.
pub struct By<T>(pub Caller, pub T);

impl<T: FromRequest + 'static> FromRequest for By<T> {
    type Error = actix_web::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = permitted(&request).await?;
            let rest = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self(caller, rest))
        })
    }
}

/// [`By`] for what is sensitive: whoever has not authenticated within the last ten minutes is refused, before anything
/// else is read of the request.
pub struct Recent<T = ()>(pub Caller, pub T);

impl<T: FromRequest + 'static> FromRequest for Recent<T> {
    type Error = actix_web::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = permitted(&request).await?;
            caller.require_recent(edge_of(&request)?)?;
            let rest = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self(caller, rest))
        })
    }
}

/// The caller of a request to this server. An operator who acts for somebody may look and change nothing, here: what
/// there is to change is the account's credentials and sessions. Only ending the operator's own session is let through,
/// by a handler that does not come here.
async fn permitted(request: &HttpRequest) -> Result<Caller, Problem> {
    let caller = identify(request, request.method()).await?;
    if !request.method().is_safe() {
        caller.require_own()?;
    }
    Ok(caller)
}

/// The caller of a request that is to be judged as one of `method`.
pub async fn identify(request: &HttpRequest, method: &Method) -> Result<Caller, Problem> {
    let edge = edge_of(request)?;
    let sessions = request.app_data::<web::Data<Sessions>>().ok_or_else(|| not_configured("sessions"))?;
    let (token, transport) = match bearer_token(request.headers())? {
        Some(token) => (token.to_owned(), Transport::Bearer),
        None => (edge.cookies.access_token(request).ok_or_else(Problem::missing_token)?, Transport::Cookie),
    };
    if transport == Transport::Cookie {
        require_own_origin(request, edge, method)?;
    }
    let checked = sessions.check(&token).await.map_err(refusal)?;
    Ok(Caller { checked, request: request.clone(), transport })
}

pub(super) fn edge_of(request: &HttpRequest) -> Result<&Edge, Problem> {
    request.app_data::<web::Data<Edge>>().map(|edge| &***edge).ok_or_else(|| not_configured("the edge"))
}

pub(super) fn not_configured(what: &str) -> Problem {
    Problem::internal(&format_args!("{what} is not configured"))
}

fn refusal(error: CheckError) -> Problem {
    match error {
        CheckError::Invalid(_) | CheckError::Ended | CheckError::Superseded => {
            tracing::debug!(%error, "an access token was refused");
            Problem::invalid_token()
        }
        CheckError::Database(error) => error.into(),
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750 §2.1); `None` without such a header.
fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| Problem::invalid_token())?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        Some((scheme, _)) if FOREIGN_SCHEMES.iter().any(|foreign| scheme.eq_ignore_ascii_case(foreign)) => Ok(None),
        _ => Err(Problem::invalid_token()),
    }
}

/// Refuses what a foreign page may have made a browser send with its cookies. Browsers name the origin of every
/// request with an unsafe method; one without it did not come from a page.
pub fn require_own_origin(request: &HttpRequest, edge: &Edge, method: &Method) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let origin = request.headers().get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let same_origin = request.headers().get("sec-fetch-site").is_some_and(|site| site == "same-origin");
    if origin.is_some_and(|origin| edge.is_own_origin(origin)) || (origin.is_none() && same_origin) {
        return Ok(());
    }
    Err(Problem::forbidden("origin_not_allowed", "Requests with cookies must come from a page of an allowed origin."))
}
