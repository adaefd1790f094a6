//! Cookies for tokens. Scripts cannot read them.

use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponseBuilder};

/// The paths to which browsers send the refresh token.
const REFRESH_PATHS: [&str; 2] = ["/api/v1/sessions/refresh", "/api/v1/auth/logout"];

/// The path to which browsers send the token of a trusted device.
const LOGIN_PATH: &str = "/api/v1/auth/login";

/// The names of cookies. With https they have prefixes that prevent other servers from setting them (RFC 6265bis
/// §4.1.3).
pub(crate) struct CookieNames {
    access: &'static str,
    refresh: &'static str,
    trusted_device: &'static str,
}

impl CookieNames {
    /// Returns the names for a server with or without https.
    pub(crate) const fn new(is_https: bool) -> Self {
        if is_https {
            Self {
                access: "__Host-keyturn_access",
                refresh: "__Secure-keyturn_refresh",
                trusted_device: "__Secure-keyturn_device",
            }
        } else {
            Self { access: "keyturn_access", refresh: "keyturn_refresh", trusted_device: "keyturn_device" }
        }
    }

    /// Returns the name of the cookie of an access token.
    pub(crate) const fn access_name(&self) -> &'static str {
        self.access
    }

    /// Returns the access token of a request's cookie.
    pub(crate) fn access_token(&self, request: &HttpRequest) -> Option<String> {
        request.cookie(self.access).map(|cookie| cookie.value().to_owned())
    }

    /// Returns the refresh token of a request's cookie.
    pub(crate) fn refresh_token(&self, request: &HttpRequest) -> Option<String> {
        request.cookie(self.refresh).map(|cookie| cookie.value().to_owned())
    }

    /// Returns the token of a trusted device of a request's cookie.
    pub(crate) fn trusted_device(&self, request: &HttpRequest) -> Option<String> {
        request.cookie(self.trusted_device).map(|cookie| cookie.value().to_owned())
    }

    /// Sets the cookie of a trusted device for as long as it is trusted.
    pub(crate) fn set_trusted_device(&self, response: &mut HttpResponseBuilder, token: &str, max_age: Duration) {
        response.cookie(cookie(self.trusted_device, token, LOGIN_PATH, SameSite::Strict, max_age));
    }

    /// Sets the cookie of an access token for as long as the token is valid.
    pub(crate) fn set_access(&self, response: &mut HttpResponseBuilder, token: &str, max_age: Duration) {
        response.cookie(cookie(self.access, token, "/", SameSite::Lax, max_age));
    }

    /// Sets the cookies of a refresh token for as long as the token is valid.
    pub(crate) fn set_refresh(&self, response: &mut HttpResponseBuilder, token: &str, max_age: Duration) {
        for path in REFRESH_PATHS {
            response.cookie(cookie(self.refresh, token, path, SameSite::Strict, max_age));
        }
    }

    /// Deletes the cookies of both tokens. A device stays trusted after a logout.
    pub(crate) fn clear(&self, response: &mut HttpResponseBuilder) {
        self.set_access(response, "", Duration::ZERO);
        self.set_refresh(response, "", Duration::ZERO);
    }
}

fn cookie<'a>(name: &'a str, value: &'a str, path: &'a str, same_site: SameSite, max_age: Duration) -> Cookie<'a> {
    Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .secure(true)
        .same_site(same_site)
        .max_age(CookieDuration::seconds(i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX)))
        .finish()
}
