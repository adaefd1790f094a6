//! Who administers: a caller whom the database names an administrator at this request, whatever the access token says.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use super::caller::{Caller, edge_of, identify, not_configured};
use super::problem::Problem;
use crate::admin::Admin;

/// An operator, and what is read of the request only once it is known who calls.
pub struct Operator<T = ()>(pub Caller, pub T);

/// [`Operator`] for what changes anything: whoever has not authenticated within the last ten minutes is refused.
pub struct RecentOperator<T = ()>(pub Caller, pub T);

impl<T: FromRequest + 'static> FromRequest for Operator<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = operator(&request).await?;
            let rest = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self(caller, rest))
        })
    }
}

impl<T: FromRequest + 'static> FromRequest for RecentOperator<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, mut payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let caller = operator(&request).await?;
            caller.require_recent(edge_of(&request)?)?;
            let rest = T::from_request(&request, &mut payload).await.map_err(Into::into)?;
            Ok(Self(caller, rest))
        })
    }
}

async fn operator(request: &HttpRequest) -> Result<Caller, Problem> {
    let admin = request.app_data::<web::Data<Admin>>().ok_or_else(|| not_configured("administration"))?;
    let caller = identify(request, request.method()).await?;
    caller.require_own()?;
    if admin.is_operator(caller.user()).await? {
        return Ok(caller);
    }
    Err(Problem::forbidden("forbidden", "This is for administrators."))
}
