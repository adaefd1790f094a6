//! A middleware for actix-web. It puts an `Arc<VerifiedToken>` into the extensions of each request that it lets through.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{Error, HttpMessage as _, HttpResponse};

use crate::Demand;
use crate::client::LiveVerifier;
use crate::presentation::{DPOP, Denial, Presentation, authorize};

/// Lets only those requests through that have a valid access token.
#[derive(Clone)]
pub struct Authentication {
    verifier: LiveVerifier,
    demand: Demand,
    public_url: Option<Arc<str>>,
}

impl Authentication {
    /// Creates a middleware that demands a valid token, and of it what `demand` says.
    pub const fn new(verifier: LiveVerifier, demand: Demand) -> Self {
        Self { verifier, demand, public_url: None }
    }

    /// Takes tokens that are bound to a key, too, with the scheme `DPoP` and a proof. `url` is what clients write before
    /// the path that the request has here, such as `https://api.example`: a proof is for a URL, and the header `Host` is
    /// whatever the client says.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        self.public_url = Some(url.trim_end_matches('/').into());
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for Authentication
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Authenticated<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(Authenticated { inner: Rc::new(inner), layer: self.clone() }))
    }
}

/// A service whose requests have a valid access token.
pub struct Authenticated<S> {
    inner: Rc<S>,
    layer: Authentication,
}

impl<S, B> Service<ServiceRequest> for Authenticated<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let inner = Rc::clone(&self.inner);
        let layer = self.layer.clone();
        Box::pin(async move {
            let values: Vec<HeaderValue> = request.headers().get_all(AUTHORIZATION).cloned().collect();
            let proofs: Vec<HeaderValue> = request.headers().get_all(DPOP).cloned().collect();
            let url = layer.public_url.as_ref().map(|url| format!("{url}{}", request.uri().path()));
            let method = request.method().clone();
            let presented = Presentation {
                authorization: values.iter().map(HeaderValue::as_bytes).collect(),
                proofs: proofs.iter().map(HeaderValue::as_bytes).collect(),
                method: method.as_str(),
                url: url.as_deref(),
            };
            match authorize(&layer.verifier, &layer.demand, presented).await {
                Ok(token) => {
                    request.extensions_mut().insert(token);
                    inner.call(request).await.map(ServiceResponse::map_into_left_body)
                }
                Err(denial) => Ok(request.into_response(response(&denial)).map_into_right_body()),
            }
        })
    }
}

fn response(denial: &Denial) -> HttpResponse {
    let status = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = HttpResponse::build(status);
    if let Some(challenge) = denial.challenge {
        response.insert_header((WWW_AUTHENTICATE, challenge));
    }
    response.finish()
}
