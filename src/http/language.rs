//! The language that a request asks for.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;

use super::query;
use crate::texts::{Language, Languages};

/// The parameter of a query that names languages, as in OpenID Connect.
const UI_LOCALES: &str = "ui_locales";

/// Returns the language for a request: of its query, else the one that the account has `chosen`, else of its headers.
pub(crate) fn of_request(request: &HttpRequest, offered: &Languages, chosen: Option<Language>) -> Language {
    let ui_locales = query::parameter(request, UI_LOCALES).ok().flatten();
    offered.choose(ui_locales.as_ref().map(|text| text.as_str()), chosen, accepted(request))
}

/// Returns the language that a request names, of those that are `offered`.
pub(super) fn named(request: &HttpRequest, offered: &Languages) -> Option<Language> {
    let ui_locales = query::parameter(request, UI_LOCALES).ok().flatten();
    offered.named(ui_locales.as_ref().map(|text| text.as_str()), accepted(request))
}

fn accepted(request: &HttpRequest) -> Option<&str> {
    request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())
}

/// Returns whether the URL of a request names languages.
pub(crate) fn is_in_url(request: &HttpRequest) -> bool {
    query::parameter(request, UI_LOCALES).is_ok_and(|languages| languages.is_some())
}
