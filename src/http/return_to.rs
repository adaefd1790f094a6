//! Where a page leads back to: `return_to`, which anybody can put into a link.

use actix_web::HttpRequest;
use actix_web::http::header::REFERER;
use url::{Position, Url};

use super::context::HttpContext;

/// The longest value that is followed, in bytes.
const MAX_LENGTH: usize = 2048;

/// An address that a page may lead back to: of this server, or of an origin in `ALLOWED_ORIGINS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReturnTo {
    url: Url,
    is_own: bool,
}

impl HttpContext {
    /// Returns the page of this server from which a request comes, as browsers say (`Referer`).
    pub(crate) fn former_page(&self, request: &HttpRequest) -> Option<ReturnTo> {
        let text = request.headers().get(REFERER)?.to_str().ok()?;
        ReturnTo::parse(text, self).filter(|page| page.is_own)
    }
}

impl ReturnTo {
    /// Parses `return_to`: a path of this server, which begins with a slash, or a whole URL of an allowed origin.
    /// Returns `None` for everything else that a browser could follow elsewhere.
    pub(crate) fn parse(text: &str, context: &HttpContext) -> Option<Self> {
        // Browsers drop tabs and line breaks, and take a backslash for a slash.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        if text.is_empty() || text.len() > MAX_LENGTH || !is_plain {
            return None;
        }
        let own = Url::parse(&context.public_url).ok()?;
        let url = match text.strip_prefix('/') {
            Some(rest) if rest.starts_with('/') => return None,
            Some(_) => own.join(text).ok()?,
            None => Url::parse(text).ok()?,
        };
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || has_user {
            return None;
        }
        let origin = url.origin();
        let is_own = origin == own.origin();
        // What is left of dots, such as `/.//evil.example`: without the origin it would lead elsewhere.
        if url.path().starts_with("//") {
            return None;
        }
        let is_allowed = is_own || context.is_allowed_origin(&origin.ascii_serialization());
        is_allowed.then_some(Self { url, is_own })
    }

    /// Returns the address as a link and a redirect have it: without the origin, if that is this server's.
    pub(crate) fn as_str(&self) -> &str {
        if self.is_own { &self.url[Position::BeforePath..] } else { self.url.as_str() }
    }

    /// Returns the origin for the policy of a page whose form leads there; `None` if it is this server's.
    pub(crate) fn foreign_origin(&self) -> Option<String> {
        (!self.is_own).then(|| self.url.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::Config;
    use crate::metrics::Metrics;
    use crate::random::Random;

    fn context() -> HttpContext {
        let settings = [
            ("PUBLIC_URL", "https://auth.example"),
            ("ALLOWED_ORIGINS", "https://app.example"),
            ("DATABASE_URL", "embedded"),
        ];
        let config = Config::from_settings(&settings, &Random).unwrap();
        HttpContext::new(&config, Clock::default(), Metrics::default())
    }

    #[test]
    fn own_pages_and_allowed_origins_are_followed() {
        let context = context();
        for (text, expected) in [
            ("/", "/"),
            ("/account/sessions", "/account/sessions"),
            ("/account/sessions?a=b#c", "/account/sessions?a=b#c"),
            ("/a/../account", "/account"),
            ("/%2f%2fevil.example", "/%2f%2fevil.example"),
            ("/.evil.example", "/.evil.example"),
            ("/@evil.example", "/@evil.example"),
            ("https://auth.example/account", "/account"),
            ("https://AUTH.example:443/account", "/account"),
            ("https://app.example/orders?id=1", "https://app.example/orders?id=1"),
            ("https://app.example", "https://app.example/"),
        ] {
            assert_eq!(ReturnTo::parse(text, &context).map(|to| to.as_str().to_owned()).as_deref(), Some(expected));
        }
        let to = |text| ReturnTo::parse(text, &context).unwrap().foreign_origin();
        assert_eq!((to("/"), to("https://app.example/a")), (None, Some("https://app.example".to_owned())));
    }

    #[rustfmt::skip]
    const ELSEWHERE: [&str; 75] = [
        "", " ", "account", "//evil.example", "///evil.example", "////evil.example", "/\\evil.example",
        "\\\\evil.example", "\\/evil.example", "/\t/evil.example", "/\n/evil.example", "\t//evil.example",
        "/\r\n//evil.example", "/ok\r\nSet-Cookie: a=b", " https://auth.example/", "https://auth.example /",
        "https://evil.example", "https://evil.example/https://auth.example", "https://auth.example.evil.example/",
        "https://auth.exampleevil/", "https://evil.example?https://auth.example",
        "https://evil.example#https://auth.example", "https://auth.example@evil.example/",
        "https://user@auth.example/", "https://user:pass@auth.example/", "https://:pass@auth.example/",
        "https:evil.example", "https:/evil.example", "https:///evil.example", "http://auth.example/",
        "https://auth.example:8443/", "http://auth.example:443/", "ftp://auth.example/", "javascript:alert(1)",
        "JavaScript:alert(1)", "javascript://auth.example/%0aalert(1)", "data:text/html,a", "vbscript:a",
        "file:///etc/passwd", "blob:https://auth.example/a", "about:blank", "mailto:a@b.example",
        "https://app.example.evil.example/", "https://evil.example/app.example", "http://app.example/",
        "https://app.example:444/", "https://xn--uth-5na.example/", "https://\u{430}uth.example/", "/\u{2f}\u{2215}",
        "/a\u{0}b", "/a b", "/\u{e9}", "\u{feff}/account", "/\u{202e}", "?a=b", "#a", ".", "..", "./account",
        "https://", "https:", ":", "://evil.example", "/.//evil.example", "/..//evil.example", "/../..//evil.example",
        "/x/..//evil.example", "/%2e//evil.example", "/%2E%2e//evil.example", "/.///evil.example",
        "/a/%2e%2e//evil.example:8080/p?x=1", "https://auth.example//evil.example",
        "https://auth.example/.//evil.example", "https://auth.example/a/..//evil.example", "https://app.example//evil",
    ];

    #[test]
    fn nothing_else_is_followed() {
        let context = context();
        let long = format!("/{}", "a".repeat(MAX_LENGTH));
        for text in ELSEWHERE.into_iter().chain([&*long]) {
            assert_eq!(ReturnTo::parse(text, &context), None, "{text:?}");
        }
    }
}
