//! Where forward authentication sends a browser that has to log in.

use actix_web::http::Method;
use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse};
use url::Url;

use super::accept::prefers_page;
use super::context::HttpContext;
use super::original_url::original_url;

impl HttpContext {
    /// Returns the redirect of a browser to `VERIFY_LOGIN_URL`, if that is set and the request that the proxy holds
    /// opens a page. The page of the login learns where to return to only for the own origin and `ALLOWED_ORIGINS`.
    pub(crate) fn login_redirect(&self, request: &HttpRequest, method: &Method) -> Option<HttpResponse> {
        let mut login = self.verify_login_url.clone()?;
        if !matches!(*method, Method::GET | Method::HEAD) || !prefers_page(request.headers()) {
            return None;
        }
        let is_trusted = |url: &Url| self.is_trusted_origin(&url.origin().ascii_serialization());
        if let Some(original) = original_url(request.headers()).filter(is_trusted) {
            login.query_pairs_mut().append_pair("return_to", original.as_str());
        }
        Some(HttpResponse::Found().insert_header((LOCATION, login.as_str())).finish())
    }
}
