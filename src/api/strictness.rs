//! Refuses what a route does not take: unknown parameters of a query, and a body where there is none. Otherwise a
//! client that is wrong about a route would be answered as if it were right, and `DELETE /api/v1/auth/me?dry_run=true`
//! would delete.
//!
//! It is done at one place for all routes, by what `/openapi.json` says of them. A route that is open to strangers is
//! checked before its handler runs; all others once the caller is admitted, as all else that a request says is read.

use std::collections::HashMap;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};

use super::routes::VERIFY;
use crate::http::body::OptionalBody;
use crate::http::{Problem, query};

/// The beginning of the paths that are for programs only. Links to pages get parameters from trackers, and documents
/// and health checks from those who want no cached answer.
const API: &str = "/api/";

/// Returns whether unknown parameters and bodies are refused. Proxies send the query and headers of the request that
/// they ask about to the route of forward authentication.
pub(super) fn is_strict(path: &str) -> bool {
    path.starts_with(API) && path != VERIFY
}

/// The parameters and bodies that the operations of a path take, by their methods. Clones share everything.
#[derive(Clone)]
pub(super) struct Strictness {
    operations: Arc<HashMap<Method, Arc<Takes>>>,
}

/// The parameters and the body that an operation takes.
struct Takes {
    is_open: bool,
    parameters: Vec<String>,
    body: bool,
}

/// A body without fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NoFields {}

impl Strictness {
    /// Reads what the operations of a path take from their description.
    pub(super) fn new(path: &str, item: &PathItem) -> Self {
        let operations = [
            (Method::GET, &item.get),
            (Method::HEAD, &item.get),
            (Method::POST, &item.post),
            (Method::PATCH, &item.patch),
            (Method::DELETE, &item.delete),
        ];
        let strict = operations.into_iter().filter(|_| is_strict(path));
        let operations =
            strict.filter_map(|(method, operation)| Some((method, Arc::new(Takes::of(operation.as_ref()?)))));
        Self { operations: Arc::new(operations.collect()) }
    }

    /// Serves a request. Refuses what an operation that is open to strangers does not take, and leaves it to
    /// [`require_known`] to do so with others.
    ///
    /// # Errors
    /// The next service fails.
    pub(super) async fn serve(
        self,
        mut request: ServiceRequest,
        next: Next<BoxBody>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        if let Some(takes) = self.operations.get(request.method()) {
            if takes.is_open {
                let (request_head, payload) = request.parts_mut();
                if let Err(problem) = takes.check(request_head, payload).await {
                    return Ok(request.error_response(problem));
                }
            } else {
                request.extensions_mut().insert(Arc::clone(takes));
            }
        }
        next.call(request).await
    }
}

/// Refuses what the operation does not take. To be called once the caller is admitted, before the rest is read.
///
/// # Errors
/// The request has an unknown parameter, or a body that the operation does not take.
pub(super) async fn require_known(request: &HttpRequest, payload: &mut Payload) -> Result<(), Problem> {
    let takes = request.extensions().get::<Arc<Takes>>().cloned();
    match takes {
        Some(takes) => takes.check(request, payload).await,
        None => Ok(()),
    }
}

/// The body of a request, not read yet, for a handler that admits its caller itself.
pub(super) struct Unread {
    request: HttpRequest,
    payload: Payload,
}

impl Unread {
    /// Calls [`require_known`].
    ///
    /// # Errors
    /// The request has an unknown parameter, or a body that the operation does not take.
    pub(super) async fn require_known(mut self) -> Result<(), Problem> {
        require_known(&self.request, &mut self.payload).await
    }
}

impl FromRequest for Unread {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self { request: request.clone(), payload: payload.take() }))
    }
}

impl Takes {
    fn of(operation: &Operation) -> Self {
        let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
            RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
            RefOr::T(_) | RefOr::Ref(_) => None,
        });
        Self {
            // An operation that anybody may call has an empty requirement in the place of the document's.
            is_open: operation.security.is_some(),
            parameters: parameters.collect(),
            body: operation.request_body.is_some(),
        }
    }

    async fn check(&self, request: &HttpRequest, payload: &mut Payload) -> Result<(), Problem> {
        query::require_known(request, &self.parameters)?;
        let has_body = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| request.headers().contains_key(name));
        if !self.body && has_body {
            OptionalBody::<NoFields>::from_request(request, payload).await?;
        }
        Ok(())
    }
}
