//! The server's interface as an OpenAPI document.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Description, Ref, RefOr, Response, ResponseBuilder};

static DESCRIPTION: LazyLock<Description> = LazyLock::new(Document::openapi);

/// The document.
#[utoipa::path(get, path = "/openapi.json", tag = "Operations", security(()),
    responses((status = 200, description = "This document")))]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().json(&*DESCRIPTION)
}

/// The methods that the route `path` has, as `Allow` names them (RFC 9110 §10.2.1).
pub fn methods(path: &str) -> String {
    let Some(item) = DESCRIPTION.paths.paths.get(path.trim_end_matches('/')) else { return String::new() };
    let methods = [("GET, HEAD", &item.get), ("POST", &item.post), ("PATCH", &item.patch), ("DELETE", &item.delete)];
    methods.iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

#[derive(OpenApi)]
#[openapi(
    info(title = "keyturn", description = "Access and refresh tokens, with sessions that can be seen and ended at once."),
    paths(
        crate::accounts::http::register,
        crate::accounts::http::login,
        crate::accounts::http::logout,
        crate::accounts::http::logout_all,
        crate::accounts::http::me,
        crate::accounts::http::update_me,
        crate::accounts::http::change_password,
        crate::accounts::http::reauthenticate,
        crate::accounts::mfa::http::complete_login,
        crate::accounts::mfa::http::enrol_totp,
        crate::accounts::mfa::http::confirm_totp,
        crate::accounts::mfa::http::disable_totp,
        crate::accounts::mfa::http::replace_recovery_codes,
        crate::accounts::mfa::http::trusted_devices,
        crate::accounts::mfa::http::forget_trusted_devices,
        crate::accounts::http::verify,
        crate::accounts::recovery::http::forgot_password,
        crate::accounts::recovery::http::reset_password,
        crate::accounts::recovery::http::not_me,
        crate::accounts::address::http::verify_email,
        crate::accounts::address::http::resend_verification,
        crate::accounts::address::http::change_email,
        crate::accounts::address::http::cancel_email_change,
        crate::accounts::address::http::confirm_email_change,
        crate::pages::http::ask_verify_email,
        crate::pages::http::submit_verify_email,
        crate::pages::http::ask_reset_password,
        crate::pages::http::submit_reset_password,
        crate::pages::http::ask_confirm_email_change,
        crate::pages::http::submit_confirm_email_change,
        crate::pages::http::ask_not_me,
        crate::pages::http::submit_not_me,
        crate::sessions::http::refresh,
        crate::sessions::http::list,
        crate::sessions::http::get,
        crate::sessions::http::rename,
        crate::sessions::http::delete,
        crate::sessions::http::delete_others,
        crate::sessions::http::revoke,
        crate::sessions::http::summary,
        crate::sweep::http::cleanup,
        crate::audit::http::own_audit,
        crate::admin::http::list_users,
        crate::admin::http::get_user,
        crate::admin::http::change_user,
        crate::admin::http::list_user_sessions,
        crate::admin::http::end_user_sessions,
        crate::admin::http::impersonate,
        crate::admin::http::end_session,
        crate::audit::http::all_audit,
        crate::admin::http::stats,
        crate::keys::http::jwks,
        crate::keys::http::metadata,
        super::health::live,
        super::health::ready,
        super::health::metrics,
        document,
    ),
    security(("bearer" = [])),
    modifiers(&Conventions)
)]
pub struct Document;

/// What holds for all routes alike, so that none has to say it.
struct Conventions;

impl utoipa::Modify for Conventions {
    fn modify(&self, document: &mut Description) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        for item in document.paths.paths.values_mut() {
            for operation in [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten() {
                declare_refusals(operation);
            }
        }
    }
}

/// Adds the refusals that follow from what an operation takes.
fn declare_refusals(operation: &mut Operation) {
    // An operation that is open to strangers has an empty requirement in the place of the document's.
    let (has_body, needs_caller) = (operation.request_body.is_some(), operation.security.is_none());
    let of_body = [("400", "No JSON"), ("413", "Too large"), ("415", "Another content type"), ("422", "Invalid input")];
    let of_caller = [("401", "No access token that is good")];
    let of_both = [("503", "To be tried again: the database does not answer")];
    let follows = of_body.into_iter().filter(|_| has_body).chain(of_caller.into_iter().filter(|_| needs_caller));
    for (status, description) in follows.chain(of_both.into_iter().filter(|_| has_body || needs_caller)) {
        let responses = &mut operation.responses.responses;
        responses.entry(status.to_owned()).or_insert_with(|| problem(description));
    }
}

fn problem(description: &str) -> RefOr<Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ProblemDetails"))).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build().into()
}
