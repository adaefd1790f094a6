//! What all routes have in common in their description as OpenAPI.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::{Method, StatusCode};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, OpenApi, RefOr, Required, Response, ResponseBuilder, Schema, Server};

use super::access::limit_of;
use super::examples::{Examples, Form};
use super::strictness::is_strict;
use crate::http::HttpContext;

/// The beginning of the paths of the standard endpoints, whose refusals have a form of their own.
pub(super) const OAUTH: &str = "/oauth/";

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
        let examples = Examples::read();
        examples.name_codes(components);
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                let form = if path.starts_with(OAUTH) { Form::OAuth } else { Form::Problem };
                let mut refusals = examples.refusals(operation);
                refusals.extend(following_refusals(&method, path, operation).into_iter().map(str::to_owned));
                declare(&examples, form, refusals, operation, components);
                make_optional(operation);
                for (status, response) in &mut operation.responses.responses {
                    if let RefOr::T(response) = response {
                        describe(status, response, &components.schemas);
                    }
                }
                examples.illustrate(operation, components);
            }
        }
    }
}

/// Adds a response to an operation for each status of its refusals.
fn declare(
    examples: &Examples,
    form: Form,
    refusals: BTreeSet<String>,
    operation: &mut Operation,
    components: &mut Components,
) {
    let mut by_status: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for refusal in refusals {
        let status = refusal.split(' ').next().unwrap_or_default().to_owned();
        by_status.entry(status).or_default().push(refusal);
    }
    let responses = &mut operation.responses.responses;
    for (status, refusals) in by_status {
        let response = examples.response(form, &status, &refusals, components);
        responses.insert(status, response);
    }
    if !responses.keys().any(|status| status.starts_with('4')) {
        let malformed = ResponseBuilder::new().description("The request is not HTTP").build();
        responses.insert("400".to_owned(), malformed.into());
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

/// Returns the refusals that follow from what an operation takes.
fn following_refusals(method: &Method, path: &str, operation: &Operation) -> Vec<&'static str> {
    if path.starts_with(OAUTH) {
        return FORM_OF_OAUTH.to_vec();
    }
    let has_tag = |name: &str| operation.tags.iter().flatten().any(|tag| tag == name);
    if has_tag("Pages") {
        // They answer with pages, and declare these themselves.
        return Vec::new();
    }
    let has_body = operation.request_body.is_some();
    // An operation that anybody may call has an empty requirement in the place of the document's.
    let has_caller = operation.security.is_none();
    let has_client = operation.security.iter().flatten().any(|scheme| *scheme == client_scheme());
    let takes = |place: ParameterIn| operation.parameters.iter().flatten().any(|parameter| is_in(parameter, &place));
    let reads_body = has_body || is_strict(path);
    let is_limited = has_caller && limit_of(method, path).is_some();
    let follows: [(bool, &[&str]); 10] = [
        (reads_body, &BODY),
        (takes(ParameterIn::Query), &["422 invalid_input"]),
        (has_caller, &CALLER),
        (has_caller && !method.is_safe(), &["400 duplicate_header", "403 impersonated", "403 origin_not_allowed"]),
        (has_client, &CLIENT),
        (has_tag("Administration"), &["403 forbidden", "403 impersonated"]),
        (takes(ParameterIn::Path), &["404 not_found"]),
        (is_limited, &["429 too_many_requests"]),
        (has_body || has_caller || has_client, &["503 database_unavailable"]),
        (reads_body || has_caller || has_client, &["500 internal_error"]),
    ];
    follows.into_iter().filter(|(applies, _)| *applies).flat_map(|(_, refusals)| refusals).copied().collect()
}

/// The refusals of an operation that reads a body, if only to see that there is none.
const BODY: [&str; 6] = [
    "400 incomplete_body",
    "400 malformed_json",
    "408 request_timeout",
    "413 body_too_large",
    "415 unsupported_media_type",
    "422 invalid_input",
];

/// The refusals of an operation that needs an access token.
const CALLER: [&str; 10] = [
    "400 duplicate_cookie",
    "400 malformed_authorization",
    "400 malformed_cookie",
    "401 dpop_key_mismatch",
    "401 dpop_not_bound",
    "401 dpop_required",
    "401 invalid_dpop_proof",
    "401 invalid_token",
    "401 missing_token",
    "401 use_dpop_nonce",
];

/// The refusals of an operation that needs a registered client.
const CLIENT: [&str; 4] =
    ["400 malformed_authorization", "401 invalid_client", "401 invalid_token", "403 insufficient_scope"];

/// The refusals of every standard endpoint, which read a form.
const FORM_OF_OAUTH: [&str; 6] = [
    "400 invalid_request",
    "408 invalid_request",
    "413 invalid_request",
    "415 invalid_request",
    "500 server_error",
    "503 temporarily_unavailable",
];

/// Returns the requirement of a registered client.
fn client_scheme() -> SecurityRequirement {
    SecurityRequirement::new("client", [""; 0])
}
