//! Every route of the server.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Resource, Route, guard, web};

use crate::accounts::mfa;
use crate::http::problem::Problem;
use crate::http::{health, openapi};
use crate::{accounts, admin, audit, keys, pages, sessions, sweep};

/// One line per route: method, path, handler.
pub fn configure(config: &mut web::ServiceConfig) {
    use web::{delete, patch, post};
    config
        // Routes are tried in this order: those that are asked for all the time come first.
        .service(
            web::resource(["/api/v1/auth/verify", "/api/v1/auth/verify/{original:.*}"])
                .default_service(web::to(accounts::http::verify)),
        )
        .service(at("/api/v1/sessions/refresh").route(post().to(sessions::http::refresh)))
        // Accounts
        .service(at("/api/v1/auth/register").route(post().to(accounts::http::register)))
        .service(at("/api/v1/auth/login").route(post().to(accounts::http::login)))
        .service(at("/api/v1/auth/logout").route(post().to(accounts::http::logout)))
        .service(at("/api/v1/auth/logout-all").route(post().to(accounts::http::logout_all)))
        .service(at("/api/v1/auth/me").route(get().to(accounts::http::me)).route(patch().to(accounts::http::update_me)))
        .service(at("/api/v1/auth/password/change").route(post().to(accounts::http::change_password)))
        .service(at("/api/v1/auth/reauthenticate").route(post().to(accounts::http::reauthenticate)))
        .service(at("/api/v1/auth/password/forgot").route(post().to(accounts::recovery::http::forgot_password)))
        .service(at("/api/v1/auth/password/reset").route(post().to(accounts::recovery::http::reset_password)))
        .service(at("/api/v1/auth/not-me").route(post().to(accounts::recovery::http::not_me)))
        .service(at("/api/v1/auth/email/verify").route(post().to(accounts::address::http::verify_email)))
        .service(at("/api/v1/auth/email/verify/resend").route(post().to(accounts::address::http::resend_verification)))
        .service(
            at("/api/v1/auth/email/change")
                .route(post().to(accounts::address::http::change_email))
                .route(delete().to(accounts::address::http::cancel_email_change)),
        )
        .service(
            at("/api/v1/auth/email/change/confirm").route(post().to(accounts::address::http::confirm_email_change)),
        )
        // Pages that links in mails lead to
        .service(
            at("/account/verify-email")
                .route(get().to(pages::http::ask_verify_email))
                .route(post().to(pages::http::submit_verify_email)),
        )
        .service(
            at("/account/reset-password")
                .route(get().to(pages::http::ask_reset_password))
                .route(post().to(pages::http::submit_reset_password)),
        )
        .service(
            at("/account/confirm-email-change")
                .route(get().to(pages::http::ask_confirm_email_change))
                .route(post().to(pages::http::submit_confirm_email_change)),
        )
        .service(
            at("/account/not-me").route(get().to(pages::http::ask_not_me)).route(post().to(pages::http::submit_not_me)),
        )
        // Second factor
        .service(at("/api/v1/auth/mfa").route(post().to(mfa::http::complete_login)))
        .service(
            at("/api/v1/auth/mfa/totp")
                .route(post().to(mfa::http::enrol_totp))
                .route(delete().to(mfa::http::disable_totp)),
        )
        .service(at("/api/v1/auth/mfa/totp/confirm").route(post().to(mfa::http::confirm_totp)))
        .service(at("/api/v1/auth/mfa/recovery-codes").route(post().to(mfa::http::replace_recovery_codes)))
        .service(
            at("/api/v1/auth/trusted-devices")
                .route(get().to(mfa::http::trusted_devices))
                .route(delete().to(mfa::http::forget_trusted_devices)),
        )
        // Sessions
        .service(at("/api/v1/sessions/revoke").route(post().to(sessions::http::revoke)))
        .service(at("/api/v1/sessions/cleanup").route(post().to(sweep::http::cleanup)))
        .service(at("/api/v1/sessions/summary").route(get().to(sessions::http::summary)))
        .service(
            web::resource(["/api/v1/sessions", "/api/v1/sessions/"])
                .default_service(web::to(method_not_allowed))
                .route(get().to(sessions::http::list))
                .route(delete().to(sessions::http::delete_others)),
        )
        .service(at("/api/v1/sessions/audit").route(get().to(audit::http::own_audit)))
        .service(
            at("/api/v1/sessions/{id}")
                .route(get().to(sessions::http::get))
                .route(patch().to(sessions::http::rename))
                .route(delete().to(sessions::http::delete)),
        )
        // Administration
        .service(at("/api/v1/admin/users").route(get().to(admin::http::list_users)))
        .service(
            at("/api/v1/admin/users/{id}")
                .route(get().to(admin::http::get_user))
                .route(patch().to(admin::http::change_user)),
        )
        .service(
            at("/api/v1/admin/users/{id}/sessions")
                .route(get().to(admin::http::list_user_sessions))
                .route(delete().to(admin::http::end_user_sessions)),
        )
        .service(at("/api/v1/admin/users/{id}/impersonate").route(post().to(admin::http::impersonate)))
        .service(at("/api/v1/admin/sessions/{id}").route(delete().to(admin::http::end_session)))
        .service(at("/api/v1/admin/audit").route(get().to(audit::http::all_audit)))
        .service(at("/api/v1/admin/stats").route(get().to(admin::http::stats)))
        // For backends
        .service(at("/.well-known/jwks.json").route(get().to(keys::http::jwks)))
        .service(at("/.well-known/oauth-authorization-server").route(get().to(keys::http::metadata)))
        // Operations
        .service(at("/health/live").route(get().to(health::live)))
        .service(at("/health/ready").route(get().to(health::ready)))
        .service(at("/metrics").route(get().to(health::metrics)))
        .service(at("/openapi.json").route(get().to(openapi::document)))
        .default_service(web::to(not_found));
}

/// GET, and HEAD, which asks for the same without its body (RFC 9110 §9.3.2).
fn get() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn at(path: &str) -> Resource {
    web::resource(path).default_service(web::to(method_not_allowed))
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::not_found())
}

async fn method_not_allowed(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = format!("{} is not possible here.", request.method());
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
    let allowed = openapi::methods(&request.match_pattern().unwrap_or_default());
    Err(problem.with(ALLOW, HeaderValue::from_str(&allowed).map_err(|error| Problem::internal(&error))?))
}
