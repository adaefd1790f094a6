//! Cookies for tokens. Scripts cannot read them.
//!
//! Names and attributes follow `PUBLIC_URL`, and are decided in [`Cookies::new`] alone.

use std::time::Duration;

use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie as SetCookie, SameSite};
use actix_web::http::header::COOKIE;
use actix_web::{HttpRequest, HttpResponseBuilder};
use url::Url;

/// The routes to which browsers send the refresh token.
const REFRESH_ROUTES: [&str; 2] = ["/api/v1/sessions/refresh", "/api/v1/auth/logout"];

/// The routes to which browsers send the token of a trusted device: of the API and of the page.
const LOGIN_ROUTES: [&str; 2] = ["/api/v1/auth/login", "/login"];

/// Why the cookies of a request are refused. It says nothing about the tokens in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieError {
    /// The request has two cookies of one name, and one of them may be planted by another server.
    Duplicate,
    /// The value is not one that a cookie can have (RFC 6265 §4.1.1).
    Malformed,
}

/// How long a browser keeps the cookie of a session in which an administrator acts for somebody.
const ACTING_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a browser keeps the cookie of a notice, which the page that a form leads to shows at once.
const NOTICE_KEPT: Duration = Duration::from_secs(60);

/// The cookies of a server.
pub(crate) struct Cookies {
    access: Cookie,
    refresh: Cookie,
    trusted_device: Cookie,
    session: Cookie,
    acting: Cookie,
    notice: Cookie,
}

/// A cookie's name and attributes.
struct Cookie {
    name: String,
    /// Browsers get one for each path.
    paths: Vec<String>,
    domain: Option<String>,
    is_secure: bool,
    same_site: SameSite,
}

impl Cookies {
    /// Decides the names and attributes of the cookies of the server at `public_url`.
    ///
    /// The access token is for every path: apps beside this server on its host, and the proxy in front of them, ask by
    /// it who calls. With a `domain`, it is for all of the domain's hosts. The refresh token and trusted devices are
    /// for routes of this server alone, whose paths begin with the URL's path: browsers see that one, also where a
    /// proxy strips it.
    ///
    /// With https, the prefixes of names prevent other servers from setting the cookies over http (`__Secure-`) or at
    /// all (`__Host-`, which requires the path `/` and no domain; RFC 6265bis §4.1.3).
    pub(crate) fn new(public_url: &Url, domain: Option<&str>) -> Self {
        let is_secure = public_url.scheme() == "https";
        let base = public_url.path().trim_end_matches('/');
        let cookie = |name: &str, paths: Vec<String>, domain: Option<&str>, same_site| {
            let prefix = match is_secure {
                true if paths == ["/"] && domain.is_none() => "__Host-",
                true => "__Secure-",
                false => "",
            };
            let name = format!("{prefix}keyturn_{name}");
            Cookie { name, paths, domain: domain.map(str::to_owned), is_secure, same_site }
        };
        let below = |route: &str| format!("{base}{route}");
        Self {
            access: cookie("access", vec!["/".to_owned()], domain, SameSite::Lax),
            refresh: cookie("refresh", REFRESH_ROUTES.map(below).to_vec(), None, SameSite::Strict),
            trusted_device: cookie("device", LOGIN_ROUTES.map(below).to_vec(), None, SameSite::Strict),
            // Not below the URL's path: only a cookie for every path can have the prefix `__Host-`.
            session: cookie("session", vec!["/".to_owned()], None, SameSite::Lax),
            acting: cookie("acting", vec!["/".to_owned()], None, SameSite::Lax),
            notice: cookie("notice", vec!["/".to_owned()], None, SameSite::Lax),
        }
    }

    /// Returns the name of the cookie of an access token.
    pub(crate) fn access_name(&self) -> &str {
        &self.access.name
    }

    /// Returns the access token of a request's cookie.
    ///
    /// # Errors
    /// There are two such cookies, or the cookie is malformed.
    pub(crate) fn access_token(&self, request: &HttpRequest) -> Result<Option<String>, CookieError> {
        self.access.find(request)
    }

    /// Returns the refresh token of a request's cookie.
    ///
    /// # Errors
    /// There are two such cookies, or the cookie is malformed.
    pub(crate) fn refresh_token(&self, request: &HttpRequest) -> Result<Option<String>, CookieError> {
        self.refresh.find(request)
    }

    /// Returns the token of a trusted device of a request's cookie.
    ///
    /// # Errors
    /// There are two such cookies, or the cookie is malformed.
    pub(crate) fn trusted_device(&self, request: &HttpRequest) -> Result<Option<String>, CookieError> {
        self.trusted_device.find(request)
    }

    /// Returns the secret of a browser session of a request's cookie.
    ///
    /// # Errors
    /// There are two such cookies, or the cookie is malformed.
    pub(crate) fn session(&self, request: &HttpRequest) -> Result<Option<String>, CookieError> {
        self.session.find(request)
    }

    /// Returns the secret of a browser session in which an administrator acts for somebody.
    ///
    /// # Errors
    /// There are two such cookies, or the cookie is malformed.
    pub(crate) fn acting(&self, request: &HttpRequest) -> Result<Option<String>, CookieError> {
        self.acting.find(request)
    }

    /// Sets the cookie of a browser session in which an administrator acts for somebody. It outlives the session: so
    /// the end of that is told, and not taken for a page of their own.
    pub(crate) fn set_acting(&self, response: &mut HttpResponseBuilder, secret: &str) {
        self.acting.set(response, secret, ACTING_KEPT);
    }

    /// Deletes that cookie.
    pub(crate) fn clear_acting(&self, response: &mut HttpResponseBuilder) {
        self.acting.set(response, "", Duration::ZERO);
    }

    /// Returns the notice that the answer to a form has left for the page that it leads to. One that cannot be read is
    /// none.
    pub(crate) fn notice(&self, request: &HttpRequest) -> Option<String> {
        self.notice.find(request).ok().flatten()
    }

    /// Leaves a notice for the next page, or deletes it if it is empty.
    pub(crate) fn set_notice(&self, response: &mut HttpResponseBuilder, notice: &str) {
        let kept = if notice.is_empty() { Duration::ZERO } else { NOTICE_KEPT };
        self.notice.set(response, notice, kept);
    }

    /// Sets the cookie of a browser session for as long as it can live.
    pub(crate) fn set_session(&self, response: &mut HttpResponseBuilder, secret: &str, max_age: Duration) {
        self.session.set(response, secret, max_age);
    }

    /// Deletes the cookie of a browser session.
    pub(crate) fn clear_session(&self, response: &mut HttpResponseBuilder) {
        self.session.set(response, "", Duration::ZERO);
    }

    /// Sets the cookie of a trusted device for as long as it is trusted.
    pub(crate) fn set_trusted_device(&self, response: &mut HttpResponseBuilder, token: &str, max_age: Duration) {
        self.trusted_device.set(response, token, max_age);
    }

    /// Sets the cookie of an access token for as long as the token is valid.
    pub(crate) fn set_access(&self, response: &mut HttpResponseBuilder, token: &str, max_age: Duration) {
        self.access.set(response, token, max_age);
    }

    /// Sets the cookies of a refresh token for as long as the token is valid.
    pub(crate) fn set_refresh(&self, response: &mut HttpResponseBuilder, token: &str, max_age: Duration) {
        self.refresh.set(response, token, max_age);
    }

    /// Deletes the cookies of both tokens. A device stays trusted after a logout.
    pub(crate) fn clear(&self, response: &mut HttpResponseBuilder) {
        self.set_access(response, "", Duration::ZERO);
        self.set_refresh(response, "", Duration::ZERO);
    }
}

impl Cookie {
    fn set(&self, response: &mut HttpResponseBuilder, token: &str, max_age: Duration) {
        for path in &self.paths {
            let cookie = SetCookie::build(&*self.name, token)
                .path(&**path)
                .http_only(true)
                .secure(self.is_secure)
                .same_site(self.same_site)
                .max_age(CookieDuration::seconds(i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX)));
            let cookie = match &self.domain {
                Some(domain) => cookie.domain(&**domain),
                None => cookie,
            };
            response.cookie(cookie.finish());
        }
    }

    /// Finds the value in the request's headers. Whatever other cookies there are, in whatever encoding, is passed
    /// over. An empty value is none.
    fn find(&self, request: &HttpRequest) -> Result<Option<String>, CookieError> {
        let lines = request.headers().get_all(COOKIE).map(|line| line.as_bytes());
        find(lines, self.name.as_bytes())
    }
}

/// Finds the value of the cookie `name` in the lines of `Cookie` headers (RFC 6265 §4.2.1).
fn find<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &[u8]) -> Result<Option<String>, CookieError> {
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(|pair| {
        let end = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair.get(..end)?.trim_ascii(), pair.get(end.saturating_add(1)..)?.trim_ascii()))
    });
    let mut values = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(CookieError::Duplicate);
    }
    let value = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    let value = std::str::from_utf8(value).map_err(|_| CookieError::Malformed)?;
    if !value.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')) {
        return Err(CookieError::Malformed);
    }
    Ok(Some(value.to_owned()).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(public_url: &str) -> Cookies {
        Cookies::new(&Url::parse(public_url).unwrap(), None)
    }

    #[test]
    fn names_and_paths_follow_the_public_url() {
        let with_https = ["__Host-keyturn_access", "__Secure-keyturn_refresh", "__Secure-keyturn_device"];
        let with_http = ["keyturn_access", "keyturn_refresh", "keyturn_device"];
        for (url, names, base) in [
            ("https://a.example", with_https, ""),
            ("https://a.example/auth/", with_https, "/auth"),
            ("http://localhost:8080", with_http, ""),
            ("http://localhost/a/b", with_http, "/a/b"),
        ] {
            let cookies = cookies(url);
            let all = [&cookies.access, &cookies.refresh, &cookies.trusted_device];
            assert_eq!(all.map(|cookie| &*cookie.name), names, "{url}");
            assert!(all.iter().all(|cookie| cookie.is_secure == url.starts_with("https")), "{url}");
            assert_eq!(cookies.access.paths, ["/"], "{url}");
            let expected = REFRESH_ROUTES.map(|route| format!("{base}{route}"));
            assert_eq!(cookies.refresh.paths, expected, "{url}");
            assert_eq!(cookies.trusted_device.paths, LOGIN_ROUTES.map(|route| format!("{base}{route}")), "{url}");
        }
    }

    #[test]
    fn a_domain_is_for_the_access_token_alone() {
        for (url, prefix) in [("https://example.com/auth", "__Secure-"), ("http://auth.example.com", "")] {
            let cookies = Cookies::new(&Url::parse(url).unwrap(), Some("example.com"));
            assert_eq!(cookies.access.name, format!("{prefix}keyturn_access"));
            assert_eq!(
                (cookies.access.domain.as_deref(), &*cookies.access.paths),
                (Some("example.com"), &["/".to_owned()][..])
            );
            assert_eq!((&cookies.refresh.domain, &cookies.trusted_device.domain), (&None, &None));
        }
    }

    #[test]
    fn a_cookie_is_found_among_others_of_any_form() {
        let find = |lines: &[&[u8]]| find(lines.iter().copied(), b"own");
        let found = |value: &str| Ok(Some(value.to_owned()));
        for line in [
            &b"own=a.b"[..],
            b"town=K\xf6ln; own=a.b",
            b"own=a.b;town=\xff\xfe",
            b"; =; x; own=a.b ;;",
            b"OWN=x; own =a.b; other=own=c",
            b"own=\"a.b\"",
        ] {
            assert_eq!(find(&[line]), found("a.b"), "{}", String::from_utf8_lossy(line));
        }
        assert_eq!(find(&[b"a=1", b"own=a=="]), found("a=="));
        assert_eq!(find(&[b"own="]), Ok(None));
        assert_eq!(find(&[b"ownx=1; xown=2"]), Ok(None));
        assert_eq!(find(&[]), Ok(None));
    }

    #[test]
    fn two_of_one_name_and_unreadable_values_are_refused() {
        for lines in [&[&b"own=a; own=b"[..]][..], &[b"own=a", b"own=a"], &[b"own=; own=a"], &[b"own=\xff; own=a"]] {
            assert_eq!(find(lines.iter().copied(), b"own"), Err(CookieError::Duplicate));
        }
        for line in [&b"own=K\xf6ln"[..], "own=Köln".as_bytes(), b"own=a b", b"own=a,b", b"own=\"a", b"own=a\x7f"] {
            assert_eq!(find([line].into_iter(), b"own"), Err(CookieError::Malformed), "{line:?}");
        }
    }
}
