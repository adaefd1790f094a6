//! Every route of the server. The list below registers each handler with the method and path of its OpenAPI attribute,
//! and describes it in `/openapi.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue, LOCATION};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, Route, guard, web};
use utoipa::OpenApi;
use utoipa::openapi::path::PathItem;

use super::oauth_error::OAuthError;
use super::openapi::{Conventions, OAUTH, of_server};
use super::strictness::Strictness;
use super::{
    accounts, admin, audit, clients, deletion, docs, email, export, invitations, keys, login, mfa, oauth, oauth_token,
    operations, recovery, refresh, revocations, routes, sessions, verify,
};
use crate::http::accept::prefers_page;
use crate::http::{HttpContext, Problem};
use crate::pages::admin::{
    acting as acting_console, audit as audit_console, changes as change_console, clients as client_console,
    dashboard as dashboard_console, invitations as invitation_console, keys as key_console, outbox as outbox_console,
    sessions as session_console, users as user_console,
};
use crate::pages::response::refuse_stray;
use crate::pages::{
    account as account_pages, activity as activity_pages, assets, handlers as pages, live as live_pages,
    login as login_pages, registration as registration_pages, security as security_pages, sessions as session_pages,
    setup as setup_pages, two_step as two_step_pages,
};

/// Declares the routes by their handlers: the document that describes them, and the function that registers them.
macro_rules! routes {
    ($($module:ident::$handler:ident),+ $(,)?) => {
        #[derive(OpenApi)]
        #[openapi(
            info(
                title = "keyturn",
                description = "Access and refresh tokens, with sessions that can be seen and ended at once."
            ),
            paths($($module::$handler),+),
            components(schemas(crate::http::problem::ProblemDetails, super::oauth_error::OAuthErrorBody)),
            security(("bearer" = []), ("cookie" = [])),
            modifiers(&Conventions)
        )]
        struct Document;

        /// Returns the handlers by the ids of their operations.
        fn handlers() -> BTreeMap<&'static str, Register> {
            let mut handlers: BTreeMap<&'static str, Register> = BTreeMap::new();
            $(handlers.insert(stringify!($handler), |route| route.to($module::$handler));)+
            handlers
        }
    };
}

routes! {
    refresh::refresh_session,
    accounts::register_account,
    login::log_in,
    mfa::complete_login,
    login::reauthenticate,
    sessions::log_out,
    sessions::log_out_everywhere,
    accounts::get_me,
    accounts::update_me,
    deletion::delete_me,
    deletion::cancel_deletion,
    export::export_me,
    accounts::change_password,
    recovery::forgot_password,
    recovery::reset_password,
    recovery::report_login,
    email::verify_email,
    email::resend_verification,
    email::change_email,
    email::cancel_email_change,
    email::confirm_email_change,
    mfa::enrol_totp,
    mfa::confirm_totp,
    mfa::disable_totp,
    mfa::replace_recovery_codes,
    mfa::list_trusted_devices,
    mfa::delete_trusted_devices,
    sessions::list_sessions,
    sessions::get_session,
    sessions::rename_session,
    sessions::revoke_session,
    sessions::revoke_other_sessions,
    sessions::revoke_sessions,
    sessions::get_session_summary,
    audit::list_own_audit_log,
    admin::list_users,
    admin::get_user,
    admin::update_user,
    invitations::create_user,
    invitations::invite_user,
    invitations::send_password_reset,
    invitations::reset_user_mfa,
    deletion::delete_user,
    deletion::cancel_user_deletion,
    admin::list_user_sessions,
    admin::revoke_user_sessions,
    admin::revoke_any_session,
    admin::impersonate_user,
    admin::get_statistics,
    admin::clean_up_sessions,
    audit::list_audit_log,
    clients::list_clients,
    clients::create_client,
    clients::get_client,
    clients::update_client,
    clients::delete_client,
    clients::add_client_secret,
    clients::delete_client_secret,
    keys::list_keys,
    keys::rotate_keys,
    keys::revoke_key,
    keys::get_jwks,
    keys::get_server_metadata,
    keys::get_openid_configuration,
    oauth_token::issue_token,
    oauth::introspect_token,
    oauth::revoke_token,
    verify::verify_request,
    revocations::follow_revocations,
    setup_pages::show_welcome,
    setup_pages::submit_setup,
    docs::show_docs,
    assets::get_asset,
    pages::show_verify_email,
    pages::submit_verify_email,
    pages::show_reset_password,
    pages::submit_reset_password,
    pages::show_confirm_email_change,
    pages::submit_confirm_email_change,
    pages::show_report_login,
    pages::submit_report_login,
    pages::show_cancel_deletion,
    pages::submit_cancel_deletion,
    login_pages::show_login,
    login_pages::submit_login,
    login_pages::submit_logout,
    registration_pages::show_register,
    registration_pages::submit_register,
    registration_pages::show_forgot,
    registration_pages::submit_forgot,
    account_pages::show_account,
    account_pages::submit_name,
    account_pages::submit_language,
    account_pages::submit_resend_verification,
    account_pages::submit_new_email,
    account_pages::submit_cancel_email,
    account_pages::show_delete_account,
    account_pages::submit_delete_account,
    export::submit_export,
    security_pages::show_security,
    security_pages::submit_password,
    security_pages::submit_alerts,
    security_pages::submit_trusted_devices,
    two_step_pages::submit_two_step_begin,
    two_step_pages::submit_two_step_confirm,
    two_step_pages::submit_recovery_codes,
    two_step_pages::submit_two_step_off,
    activity_pages::show_activity,
    audit::export_activity,
    audit::export_console_audit,
    session_pages::show_sessions,
    session_pages::show_end_session,
    session_pages::submit_end_session,
    session_pages::submit_session_name,
    session_pages::show_report_session,
    session_pages::submit_report_session,
    live_pages::get_live_sessions,
    live_pages::judge_new_password,
    security_pages::find_change_password,
    dashboard_console::show_admin_dashboard,
    user_console::show_admin_users,
    user_console::show_admin_user,
    acting_console::show_acting,
    acting_console::submit_acting,
    acting_console::submit_acting_end,
    change_console::show_admin_change,
    change_console::submit_admin_change,
    invitation_console::show_admin_invitation,
    invitation_console::submit_admin_invitation,
    session_console::show_admin_sessions,
    audit_console::show_admin_audit,
    audit_console::show_admin_entry,
    client_console::show_admin_clients,
    client_console::show_admin_new_client,
    client_console::submit_admin_new_client,
    client_console::show_admin_client,
    client_console::show_admin_client_change,
    client_console::submit_admin_client_change,
    key_console::show_admin_keys,
    key_console::show_admin_key_change,
    key_console::submit_admin_key_change,
    outbox_console::show_admin_outbox,
    outbox_console::show_admin_retry,
    outbox_console::submit_admin_retry,
    operations::get_liveness,
    operations::get_readiness,
    operations::get_metrics,
    routes::get_openapi,
}

/// Adds a handler to a route.
type Register = fn(Route) -> Route;

/// The description of the API.
pub(super) static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Document::openapi);

/// Returns the description of the API as JSON for people, without the address of a server.
///
/// # Errors
/// It cannot be written as JSON, which is a defect.
pub(crate) fn openapi_document() -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(&*DOCUMENT)? + "\n")
}

/// The path that is asked for the most, and so is tried first.
const REFRESH: &str = "/api/v1/sessions/refresh";

/// Paths that answer to any method.
pub(super) const VERIFY: &str = "/api/v1/auth/verify";
const VERIFY_WITH_PATH: &str = "/api/v1/auth/verify/{original:.*}";

/// The places of the metadata of an issuer with a path.
const METADATA_OF_PATH: [&str; 2] =
    ["/.well-known/oauth-authorization-server/{path:.+}", "/.well-known/openid-configuration/{path:.+}"];

/// A path that is also reached with a slash at its end.
const SESSIONS: &str = "/api/v1/sessions";

/// Paths of an address of its own for the metrics.
const METRICS: &str = "/metrics";
const HEALTH: [&str; 2] = ["/health/live", "/health/ready"];

/// Registers the routes of an address for the metrics alone.
pub(crate) fn configure_metrics(config: &mut web::ServiceConfig) {
    let handlers = handlers();
    for (path, item) in &DOCUMENT.paths.paths {
        if path == METRICS || HEALTH.contains(&path.as_str()) {
            config.service(resource(path, item, &handlers));
        }
    }
    config.default_service(web::to(not_found));
}

/// Registers every route.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    register(config, true);
}

/// Registers every route but that of the metrics, which have an address of their own.
pub(crate) fn configure_without_metrics(config: &mut web::ServiceConfig) {
    register(config, false);
}

/// Registers the routes. They are tried in the order of registration.
fn register(config: &mut web::ServiceConfig, with_metrics: bool) {
    let handlers = handlers();
    let paths = &DOCUMENT.paths.paths;
    if let Some(item) = paths.get(REFRESH) {
        config.service(resource(REFRESH, item, &handlers));
    }
    config.service(web::resource(VERIFY).default_service(web::to(verify::verify_request)));
    // Fixed segments sort before parameters.
    let others = paths.iter().filter(|(path, _)| ![REFRESH, VERIFY].contains(&path.as_str()));
    for (path, item) in others.filter(|(path, _)| with_metrics || *path != METRICS) {
        config.service(resource(path, item, &handlers));
    }
    config
        .service(
            web::resource(METADATA_OF_PATH)
                .route(web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(keys::get_metadata_of_path))
                .default_service(web::to(method_not_allowed)),
        )
        .service(web::resource(VERIFY_WITH_PATH).default_service(web::to(verify::verify_request)))
        .default_service(web::to(not_found));
}

/// Returns the resource of a path with a route for each of its methods.
fn resource(
    path: &str,
    item: &PathItem,
    handlers: &BTreeMap<&'static str, Register>,
) -> Resource<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<BoxBody>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let resource = if path == SESSIONS { web::resource([SESSIONS, "/api/v1/sessions/"]) } else { web::resource(path) };
    let resource = resource.default_service(web::to(method_not_allowed));
    // HEAD asks for the same as GET without its body (RFC 9110 §9.3.2).
    let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let methods =
        [(&item.get, get()), (&item.post, web::post()), (&item.patch, web::patch()), (&item.delete, web::delete())];
    let resource = methods.into_iter().fold(resource, |resource, (operation, route)| {
        let id = operation.as_ref().and_then(|operation| operation.operation_id.as_deref());
        match id.and_then(|id| handlers.get(id)) {
            Some(register) => resource.route(register(route)),
            None => resource,
        }
    });
    let strictness = Strictness::new(path, item);
    resource.wrap(from_fn(move |request: ServiceRequest, next: Next<BoxBody>| strictness.clone().serve(request, next)))
}

async fn not_found(request: HttpRequest) -> HttpResponse {
    refuse(&request, StatusCode::NOT_FOUND, "not_found", "Not found.".to_owned()).await
}

/// Returns the page whose form is sent to a path: somebody has loaded the path itself.
fn page_of_form(path: &str) -> Option<&'static str> {
    const PAGES: [(&str, &str); 6] = [
        ("/account/security/", "/account/security"),
        ("/account/two-step/", "/account/security"),
        ("/account/sessions/", "/account/sessions"),
        ("/account/", "/account"),
        ("/admin/", "/admin"),
        ("/logout", "/login"),
    ];
    PAGES.iter().find(|(form, _)| path.starts_with(form)).map(|(_, page)| *page)
}

async fn method_not_allowed(request: HttpRequest, context: web::Data<HttpContext>) -> HttpResponse {
    let is_opened = prefers_page(request.headers()) && request.method().is_safe();
    if let Some(page) = page_of_form(request.path()).filter(|_| is_opened) {
        let to = format!("{}{page}", context.public_url);
        return HttpResponse::SeeOther().insert_header((LOCATION, to)).finish();
    }
    let detail = format!("{} is not possible here.", request.method());
    let mut response = refuse(&request, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).await;
    if let Ok(allowed) = HeaderValue::from_str(&allowed_methods(&request.match_pattern().unwrap_or_default())) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// Refuses a request that no handler serves: among the standard endpoints in their form, and outside of the API with a
/// page for those who open one.
async fn refuse(request: &HttpRequest, status: StatusCode, code: &'static str, detail: String) -> HttpResponse {
    if request.path().starts_with(OAUTH) {
        return OAuthError::of_status(status, detail).error_response();
    }
    let problem = Problem::new(status, code, detail);
    if prefers_page(request.headers()) && !is_of_api(request.path()) {
        return refuse_stray(request, problem).await;
    }
    problem.error_response()
}

/// Returns whether a path is for programs alone.
fn is_of_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/")
}

/// Returns the methods of a path as `Allow` lists them (RFC 9110 §10.2.1).
fn allowed_methods(path: &str) -> String {
    if METADATA_OF_PATH.contains(&path) {
        return "GET, HEAD".to_owned();
    }
    let without_slash = path.trim_end_matches('/');
    let Some(item) = DOCUMENT.paths.paths.get(if without_slash.is_empty() { path } else { without_slash }) else {
        return String::new();
    };
    let methods = [("GET, HEAD", &item.get), ("POST", &item.post), ("PATCH", &item.patch), ("DELETE", &item.delete)];
    let allowed = methods.iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| *name);
    allowed.collect::<Vec<_>>().join(", ")
}

/// Returns the description of the API as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "Operations", security(()),
    responses((status = 200, description = "This document", body = Object)))]
async fn get_openapi(context: web::Data<HttpContext>) -> HttpResponse {
    HttpResponse::Ok().json(of_server(&DOCUMENT, &context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_registered_and_every_handler_is_described() {
        let items = DOCUMENT.paths.paths.values();
        let operations = items.flat_map(|item| [&item.get, &item.post, &item.patch, &item.delete]).flatten();
        let described: Vec<&str> = operations.filter_map(|operation| operation.operation_id.as_deref()).collect();
        let handlers = handlers();
        assert_eq!(described.len(), handlers.len());
        assert!(described.iter().all(|id| handlers.contains_key(id)), "{described:?}");
    }
}
