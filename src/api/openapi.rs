//! What all routes have in common in their description as OpenAPI.

use actix_web::http::Method;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, RefOr};

use super::access::limit_of;
use super::refusals::problem;

/// Adds to each operation the security scheme and the refusals that follow from what it takes.
pub(super) struct Conventions;

impl utoipa::Modify for Conventions {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                declare_refusals(&method, path, operation);
            }
        }
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
    let is_administration = operation.tags.iter().flatten().any(|tag| tag == "Administration");
    let takes = |place: ParameterIn| operation.parameters.iter().flatten().any(|parameter| is_in(parameter, &place));
    let follows = [
        ("400", "The body is not JSON", has_body),
        ("401", "There is no valid access token", has_caller),
        ("403", "The caller is no administrator", is_administration),
        ("404", "There is no such thing, or it belongs to another account", takes(ParameterIn::Path)),
        ("413", "The body is too large", has_body),
        ("415", "The body has another content type", has_body),
        ("422", "A value is not valid", has_body || takes(ParameterIn::Query)),
        ("429", "Too many requests", has_caller && limit_of(method, path).is_some()),
        ("503", "The database does not answer: to be retried", has_body || has_caller),
    ];
    for (status, description, _) in follows.into_iter().filter(|(_, _, applies)| *applies) {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(description));
    }
}
