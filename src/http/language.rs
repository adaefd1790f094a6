//! The language that a request asks for.

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT_LANGUAGE;
use zeroize::Zeroizing;

use super::query;
use crate::texts::{Language, Languages};

/// The parameter of a query that names languages, as in OpenID Connect.
pub(crate) const UI_LOCALES: &str = "ui_locales";

/// Returns the language for a request: of its query, else the one that the account has `chosen`, else of its headers.
pub(crate) fn of_request(request: &HttpRequest, offered: &Languages, chosen: Option<Language>) -> Language {
    let ui_locales = in_url(request);
    offered.choose(ui_locales.as_ref().map(|text| text.as_str()), chosen, accepted(request))
}

/// Returns the language that a request names, of those that are `offered`.
pub(super) fn named(request: &HttpRequest, offered: &Languages) -> Option<Language> {
    let ui_locales = in_url(request);
    offered.named(ui_locales.as_ref().map(|text| text.as_str()), accepted(request))
}

fn accepted(request: &HttpRequest) -> Option<&str> {
    request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())
}

/// Returns the languages that the URL of a request names.
pub(crate) fn in_url(request: &HttpRequest) -> Option<Zeroizing<String>> {
    query::parameter(request, UI_LOCALES).ok().flatten()
}
