//! Tokens as cookies, for pages that should not be able to read them.

use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::{HttpRequest, HttpResponseBuilder};

/// Where the refresh token is sent, and nowhere else.
const REFRESH_PATHS: [&str; 2] = ["/api/v1/sessions/refresh", "/api/v1/auth/logout"];

/// Where the token of a trusted device is sent, and nowhere else.
const LOGIN_PATH: &str = "/api/v1/auth/login";

/// The names carry prefixes that make browsers refuse them from anybody else (RFC 6265bis §4.1.3); a server that is
/// reached without TLS, in development, goes without.
pub struct CookieNames {
    access: &'static str,
    refresh: &'static str,
    trusted_device: &'static str,
}

impl CookieNames {
    pub const fn new(is_https: bool) -> Self {
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

    pub fn access_token(&self, request: &HttpRequest) -> Option<String> {
        request.cookie(self.access).map(|cookie| cookie.value().to_owned())
    }

    pub fn refresh_token(&self, request: &HttpRequest) -> Option<String> {
        request.cookie(self.refresh).map(|cookie| cookie.value().to_owned())
    }

    pub fn trusted_device(&self, request: &HttpRequest) -> Option<String> {
        request.cookie(self.trusted_device).map(|cookie| cookie.value().to_owned())
    }

    /// Sets the cookie of a trusted device for as long as it is trusted.
    pub fn set_trusted_device(&self, response: &mut HttpResponseBuilder, token: &str, lives: Duration) {
        response.cookie(cookie(self.trusted_device, token, LOGIN_PATH, SameSite::Strict, lives));
    }

    /// Sets the access token's cookie for as long as the token is good.
    pub fn set_access(&self, response: &mut HttpResponseBuilder, token: &str, lives: Duration) {
        response.cookie(cookie(self.access, token, "/", SameSite::Lax, lives));
    }

    /// Sets the refresh token's cookies for as long as the token is good.
    pub fn set_refresh(&self, response: &mut HttpResponseBuilder, token: &str, lives: Duration) {
        for path in REFRESH_PATHS {
            response.cookie(cookie(self.refresh, token, path, SameSite::Strict, lives));
        }
    }

    /// Makes the browser forget both. A device stays trusted after a logout.
    pub fn clear(&self, response: &mut HttpResponseBuilder) {
        self.set_access(response, "", Duration::ZERO);
        self.set_refresh(response, "", Duration::ZERO);
    }
}

fn cookie<'a>(name: &'a str, value: &'a str, path: &'a str, same_site: SameSite, lives: Duration) -> Cookie<'a> {
    Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .secure(true)
        .same_site(same_site)
        .max_age(CookieDuration::seconds(i64::try_from(lives.as_secs()).unwrap_or(i64::MAX)))
        .finish()
}
