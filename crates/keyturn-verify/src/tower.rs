//! A layer for tower, and so for axum, tonic and others. It puts an `Arc<VerifiedToken>` into the extensions of each
//! request that it lets through.
//!
//! axum cuts the path of a router that is nested: a layer inside of one needs the prefix in its public URL.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

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
    /// Creates a layer that demands a valid token, and of it what `demand` says.
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

impl<S> Layer<S> for Authentication {
    type Service = Authenticated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticated { inner, layer: self.clone() }
    }
}

/// A service whose requests have a valid access token.
#[derive(Clone)]
pub struct Authenticated<S> {
    inner: S,
    layer: Authentication,
}

impl<S, B, R> Service<Request<B>> for Authenticated<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The service that is ready is this one, not its clone.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let layer = self.layer.clone();
        Box::pin(async move {
            let values: Vec<HeaderValue> = request.headers().get_all(AUTHORIZATION).iter().cloned().collect();
            let proofs: Vec<HeaderValue> = request.headers().get_all(DPOP).iter().cloned().collect();
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
                    inner.call(request).await
                }
                Err(denial) => Ok(response(&denial)),
            }
        })
    }
}

fn response<R: Default>(denial: &Denial) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = StatusCode::from_u16(denial.status).unwrap_or(StatusCode::UNAUTHORIZED);
    if let Some(challenge) = denial.challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}
