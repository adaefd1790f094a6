//! Forms of this server's own pages, which no other page may send.

use actix_web::HttpRequest;
use actix_web::http::header::{HeaderName, HeaderValue, ORIGIN};

use super::context::HttpContext;
use super::problem::Problem;

/// The header by which browsers say from where a request comes (Fetch Metadata).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl HttpContext {
    /// Refuses a form unless a page of this server's own origin has sent it. Browsers name the origin of every form
    /// that is sent with POST, or say that it is the same (Fetch §3.2, Fetch Metadata §2.3). The form of a login is
    /// refused likewise: another page could log its visitor in to an account of its owner's.
    ///
    /// # Errors
    /// The form came, or may have come, from another page.
    pub(crate) fn require_own_page(&self, request: &HttpRequest) -> Result<(), Problem> {
        let is_own_origin = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| self.is_own_origin(origin));
        let mut origins = request.headers().get_all(ORIGIN).peekable();
        let is_own = if origins.peek().is_some() {
            origins.all(is_own_origin)
        } else {
            let mut sites = request.headers().get_all(SEC_FETCH_SITE).peekable();
            sites.peek().is_some() && sites.all(|site| site == "same-origin")
        };
        if is_own {
            return Ok(());
        }
        Err(Problem::forbidden("origin_not_allowed", "The form was sent by another page."))
    }
}
