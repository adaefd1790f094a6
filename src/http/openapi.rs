//! The server's interface as an OpenAPI document.

use actix_web::HttpResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

/// The document.
#[utoipa::path(get, path = "/openapi.json", tag = "Operations", responses((status = 200, description = "This document")))]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok().json(Document::openapi())
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
        crate::accounts::http::verify,
        crate::sessions::http::refresh,
        crate::sessions::http::list,
        crate::sessions::http::get,
        crate::sessions::http::rename,
        crate::sessions::http::delete,
        crate::sessions::http::delete_others,
        crate::sessions::http::revoke,
        crate::sessions::http::summary,
        crate::keys::http::jwks,
        crate::keys::http::metadata,
        super::health::live,
        super::health::ready,
        super::health::metrics,
        document,
    ),
    modifiers(&Bearer)
)]
pub struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}
