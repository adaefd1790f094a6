//! What all routes have in common in their description as OpenAPI.

use std::collections::BTreeMap;

use actix_web::http::{Method, StatusCode};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr, Required, Response, ResponseBuilder, Schema, Server};

use super::access::limit_of;
use super::refusals::problem;
use super::strictness::is_strict;
use crate::http::HttpContext;

/// The beginning of the paths of the standard endpoints, whose refusals have a form of their own.
const OAUTH: &str = "/oauth/";

/// Adds to each operation the security scheme and the refusals that follow from what it takes.
pub(super) struct Conventions;

impl utoipa::Modify for Conventions {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        let client = HttpBuilder::new().scheme(HttpAuthScheme::Basic);
        let client =
            client.description(Some("The id and secret of a registered client. Both may be in the form instead."));
        components.add_security_scheme("client", SecurityScheme::Http(client.build()));
        let schemas = components.schemas.clone();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                if !path.starts_with(OAUTH) {
                    declare_refusals(&method, path, operation);
                }
                make_optional(operation);
                for (status, response) in &mut operation.responses.responses {
                    if let RefOr::T(response) = response {
                        describe(status, response, &schemas);
                    }
                }
            }
        }
    }
}

/// Returns the document of a server: with its address and the name of its cookie.
pub(super) fn of_server(document: &OpenApi, context: &HttpContext) -> OpenApi {
    let mut document = document.clone();
    document.servers = Some(vec![Server::new(&context.public_url)]);
    let cookie = ApiKeyValue::with_description(
        context.cookies.access_name(),
        "Set by a login with `\"transport\": \"cookie\"`. Unsafe methods also need an `Origin` that is allowed.",
    );
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("cookie", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    document
}

/// Describes an optional body as one that may be missing. As generated, it may be `null`, which the server refuses.
fn make_optional(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        let Some(RefOr::T(Schema::OneOf(one_of))) = &content.schema else { continue };
        if let [value @ RefOr::Ref(_), RefOr::T(_)] | [RefOr::T(_), value @ RefOr::Ref(_)] = one_of.items.as_slice() {
            content.schema = Some(value.clone());
            body.required = Some(Required::False);
        }
    }
}

/// Describes a response that its handler does not: by the schema of its body, or by its status.
fn describe(status: &str, response: &mut Response, schemas: &BTreeMap<String, RefOr<Schema>>) {
    if !response.description.is_empty() {
        return;
    }
    let body = response.content.values().find_map(|content| match content {
        RefOr::T(content) => content.schema.as_ref(),
        RefOr::Ref(_) => None,
    });
    let of_schema = body.and_then(|body| match body {
        RefOr::Ref(reference) => schemas.get(reference.ref_location.rsplit('/').next()?).and_then(description),
        RefOr::T(_) => None,
    });
    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
    let of_status = status.and_then(|status| status.canonical_reason()).unwrap_or_default();
    response.description = of_schema.unwrap_or(of_status).to_owned();
}

fn description(schema: &RefOr<Schema>) -> Option<&str> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.description.as_deref(),
        RefOr::T(Schema::OneOf(one_of)) => one_of.description.as_deref(),
        RefOr::T(_) | RefOr::Ref(_) => None,
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let operations = [
        (Method::GET, &mut item.get),
        (Method::POST, &mut item.post),
        (Method::PATCH, &mut item.patch),
        (Method::DELETE, &mut item.delete),
    ];
    operations.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn is_in(parameter: &RefOr<Parameter>, place: &ParameterIn) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == *place)
}

/// Adds the refusals that follow from what an operation takes.
fn declare_refusals(method: &Method, path: &str, operation: &mut Operation) {
    let has_body = operation.request_body.is_some();
    // An operation that anybody may call has an empty requirement in the place of the document's.
    let has_caller = operation.security.is_none();
    let is_unsafe = has_caller && !method.is_safe();
    let is_administration = operation.tags.iter().flatten().any(|tag| tag == "Administration");
    let takes = |place: ParameterIn| operation.parameters.iter().flatten().any(|parameter| is_in(parameter, &place));
    let has_query = takes(ParameterIn::Query);
    let is_strict = is_strict(path);
    let follows = [
        ("400", "The body is not JSON", has_body),
        ("400", "The request cannot be read", has_caller),
        ("401", "There is no valid access token", has_caller),
        ("403", "The caller is no administrator, or another administrator acts for them", is_administration),
        ("403", "An administrator acts for the caller, or a page of another origin calls with cookies", is_unsafe),
        ("404", "There is no such thing, or it belongs to another account", takes(ParameterIn::Path)),
        ("413", "The body is too large", has_body || is_strict),
        ("415", "The body has another content type", has_body || is_strict),
        ("422", "A value is not valid, or there is none of that name", has_body || has_query || is_strict),
        ("429", "Too many requests", has_caller && limit_of(method, path).is_some()),
        ("503", "The database does not answer: to be retried", has_body || has_caller),
    ];
    for (status, description, _) in follows.into_iter().filter(|(_, _, applies)| *applies) {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(description));
    }
    if !operation.responses.responses.keys().any(|status| status.starts_with('4')) {
        let malformed = ResponseBuilder::new().description("The request is not HTTP").build();
        operation.responses.responses.insert("400".to_owned(), malformed.into());
    }
}
