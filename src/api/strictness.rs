//! Refuses what a route does not take: unknown parameters of a query, and a body where there is none. Otherwise a
//! client that is wrong about a route would be answered as if it were right: `DELETE /api/v1/auth/me?dry_run=true` would
//! delete.
//!
//! What a route takes is public, in `/openapi.json`. So it is checked before the caller is, and for all routes at once.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::middleware::Next;
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
    operations: Arc<HashMap<Method, Takes>>,
}

/// What an operation takes.
struct Takes {
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
        let operations = strict.filter_map(|(method, operation)| Some((method, Takes::of(operation.as_ref()?))));
        Self { operations: Arc::new(operations.collect()) }
    }

    /// Serves a request, unless it has what its operation does not take.
    ///
    /// # Errors
    /// The next service fails.
    pub(super) async fn serve(
        self,
        mut request: ServiceRequest,
        next: Next<BoxBody>,
    ) -> Result<ServiceResponse<BoxBody>, Error> {
        if let Some(takes) = self.operations.get(request.method())
            && let Err(problem) = takes.check(&mut request).await
        {
            return Ok(request.error_response(problem));
        }
        next.call(request).await
    }
}

impl Takes {
    fn of(operation: &Operation) -> Self {
        let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
            RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => Some(parameter.name.clone()),
            RefOr::T(_) | RefOr::Ref(_) => None,
        });
        Self { parameters: parameters.collect(), body: operation.request_body.is_some() }
    }

    async fn check(&self, request: &mut ServiceRequest) -> Result<(), Problem> {
        query::require_known(request.request(), &self.parameters)?;
        let has_body = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| request.headers().contains_key(name));
        if !self.body && has_body {
            request.extract::<OptionalBody<NoFields>>().await?;
        }
        Ok(())
    }
}
