//! Who may call a route: extractors that find the caller, decide, and only then read the rest of the request, so that
//! nobody without access learns anything from it.

use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::{FromRequest, HttpRequest, ResponseError};

use super::caller::{AccessError, Caller, authenticate, state};
use super::strictness::require_known;
use crate::accounts::{RECENT_LOGIN, TwoStep};
use crate::admin::Admin;
use crate::http::{HttpContext, Problem};
use crate::throttle::{Limit, Throttle};
use crate::types::Amr;

/// The routes of callers that are not counted: what an app asks at each of its pages, and what ends sessions, so that a
/// thief with one session cannot use up the owner's requests to end it.
const UNCOUNTED: [(&str, &str); 7] = [
    ("GET", "/api/v1/auth/me"),
    ("GET", "/api/v1/auth/verify"),
    ("POST", "/api/v1/auth/logout"),
    ("POST", "/api/v1/auth/logout-all"),
    ("DELETE", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions/{id}"),
    ("POST", "/api/v1/sessions/revoke"),
];

/// A rule that decides who may call a route.
pub(super) trait Access: 'static {
    /// Returns the caller of `request`, if they may call.
    ///
    /// # Errors
    /// There is no caller, or they may not.
    fn admit(request: &HttpRequest) -> impl Future<Output = Result<Caller, AccessError>>;
}

/// Admits the owner of an account. An administrator who acts for the owner may look, but change nothing: what there is
/// to change is the account's credentials and sessions. Only logging out is possible, by a handler without this rule.
pub(super) struct User;

/// Admits the owner of an account who has authenticated within the last ten minutes, with the second factor if the
/// account has one. An administrator who acts for the owner may not even look.
pub(super) struct RecentUser;

/// Admits an account that the database calls an administrator's at this moment, whatever the access token says.
pub(super) struct Administrator;

/// Admits an administrator who has authenticated within the last ten minutes, with the second factor if their account
/// has one.
pub(super) struct RecentAdministrator;

/// Returns the limit by which requests of a caller are counted.
pub(super) fn limit_of(method: &Method, route: &str) -> Option<Limit> {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let is_uncounted = UNCOUNTED.contains(&(method.as_str(), route.trim_end_matches('/')));
    let limit = if method.is_safe() { Limit::SearchAccount } else { Limit::WriteAccount };
    (!is_uncounted).then_some(limit)
}

/// Finds the caller and counts the request by the account that calls: each costs queries, and a write a row.
async fn counted(request: &HttpRequest) -> Result<Caller, AccessError> {
    let caller = authenticate(request, request.method()).await?;
    if let Some(limit) = limit_of(request.method(), &request.match_pattern().unwrap_or_default()) {
        let (throttle, context): (&Throttle, &HttpContext) = (state(request)?, state(request)?);
        let account = caller.impersonator().unwrap_or(caller.user());
        throttle.count(limit, account.0.as_bytes(), &caller.actor(context)).await?;
    }
    Ok(caller)
}

impl Access for User {
    async fn admit(request: &HttpRequest) -> Result<Caller, AccessError> {
        let caller = counted(request).await?;
        if !request.method().is_safe() {
            require_owner(&caller)?;
        }
        Ok(caller)
    }
}

impl Access for RecentUser {
    async fn admit(request: &HttpRequest) -> Result<Caller, AccessError> {
        let caller = counted(request).await?;
        require_owner(&caller)?;
        require_recent(&caller).await?;
        Ok(caller)
    }
}

impl Access for Administrator {
    async fn admit(request: &HttpRequest) -> Result<Caller, AccessError> {
        let caller = counted(request).await?;
        require_owner(&caller)?;
        let admin: &Admin = state(request)?;
        if admin.is_administrator(caller.user()).await? { Ok(caller) } else { Err(AccessError::NotAdministrator) }
    }
}

impl Access for RecentAdministrator {
    async fn admit(request: &HttpRequest) -> Result<Caller, AccessError> {
        let caller = Administrator::admit(request).await?;
        require_recent(&caller).await?;
        Ok(caller)
    }
}

fn require_owner(caller: &Caller) -> Result<(), AccessError> {
    if caller.impersonator().is_some() { Err(AccessError::Impersonated) } else { Ok(()) }
}

/// Requires that the caller has authenticated within the last ten minutes, with the second factor if the account has
/// one.
///
/// # Errors
/// The caller has to authenticate again, or the database fails.
pub(super) async fn require_recent(caller: &Caller) -> Result<(), AccessError> {
    let request = caller.request();
    let shown = recent_methods(caller, state(request)?).ok_or(AccessError::AuthenticationTooOld)?;
    let two_step: &TwoStep = state(request)?;
    // A device that is trusted, or a session from before two-step login was enabled, has not shown the second factor.
    if !shown.has_second_factor() && two_step.is_enabled(caller.user()).await? {
        return Err(AccessError::SecondFactorRequired);
    }
    Ok(())
}

/// Returns the methods by which the caller has authenticated within the last ten minutes.
fn recent_methods<'a>(caller: &'a Caller, context: &HttpContext) -> Option<&'a Amr> {
    caller.authenticated_since(context.clock.now().minus(RECENT_LOGIN))
}

/// Returns the methods by which an admitted caller has recently authenticated, for operations that look again under the
/// lock of the account.
pub(super) fn shown_methods(caller: &Caller, context: &HttpContext) -> Amr {
    recent_methods(caller, context).cloned().unwrap_or_else(Amr::password)
}

/// A caller whom the rule `A` admits, and what was read of the request after that. `E` is the response to others.
pub(super) struct By<A, T = (), E = Problem> {
    pub caller: Caller,
    pub input: T,
    rule: PhantomData<(A, E)>,
}

/// See [`User`].
pub(super) type ByUser<T = ()> = By<User, T>;

/// See [`RecentUser`].
pub(super) type ByRecentUser<T = ()> = By<RecentUser, T>;

/// See [`Administrator`].
pub(super) type ByAdministrator<T = ()> = By<Administrator, T>;

/// See [`RecentAdministrator`].
pub(super) type ByRecentAdministrator<T = ()> = By<RecentAdministrator, T>;

impl<A, T, E> FromRequest for By<A, T, E>
where
    A: Access,
    T: FromRequest + 'static,
    E: From<AccessError> + ResponseError + 'static,
{
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let caller = A::admit(&request).await.map_err(E::from)?;
            require_known(&request, &mut payload).await?;
            let input = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self { caller, input, rule: PhantomData })
        })
    }
}
