//! The origins of pages and apps that may call the server, and the domain that their hosts share.

use std::fmt;

use url::{Host, Url};

use super::parse::{Parsed, web_url};

/// The origins whose pages may call the server.
#[derive(Clone, Debug)]
pub struct Origins {
    /// The origins whose pages may call the server with cookies.
    pub allowed: Vec<AllowedOrigin>,
    /// The origins whose pages may call the server without cookies, with an access token.
    pub bearer: BearerOrigins,
    /// The origins whose preflights pass through forward authentication.
    pub preflight: PreflightOrigins,
    /// The domain whose hosts all get the cookie of the access token, or `None` for the host of the server alone.
    pub cookie_domain: Option<String>,
}

impl Origins {
    /// Returns whether pages of `origin` may call the server with cookies.
    pub fn allows(&self, origin: &str) -> bool {
        self.allowed.iter().any(|allowed| allowed.matches(origin))
    }
}

/// The origins whose pages may call the server without cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BearerOrigins {
    /// All.
    Any,
    /// Those that may call it with cookies, and no others.
    Allowed,
}

impl BearerOrigins {
    /// Parses `any` or `allowed_origins`.
    pub(super) fn parse(text: &str) -> Parsed<Self> {
        match text {
            "any" => Ok(Self::Any),
            "allowed_origins" => Ok(Self::Allowed),
            _ => Err("must be any or allowed_origins".to_owned()),
        }
    }
}

/// The origins whose preflights pass through forward authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreflightOrigins {
    /// All.
    Any,
    /// Those that may call the server with cookies, and no others.
    Allowed,
    /// None.
    Nobody,
}

impl PreflightOrigins {
    /// Parses `any`, `allowed_origins` or `refuse`.
    pub(super) fn parse(text: &str) -> Parsed<Self> {
        match text {
            "any" => Ok(Self::Any),
            "allowed_origins" => Ok(Self::Allowed),
            "refuse" => Ok(Self::Nobody),
            _ => Err("must be allowed_origins, any or refuse".to_owned()),
        }
    }
}

/// An element of `ALLOWED_ORIGINS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// One origin, as browsers write it.
    Exact(String),
    /// The origins of all hosts that have one label more than a domain.
    Subdomains {
        /// The scheme with `://`.
        scheme: String,
        /// What follows the label: the domain with a dot before it, and the port if it is not the scheme's own.
        rest: String,
    },
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(origin) => f.write_str(origin),
            Self::Subdomains { scheme, rest } => write!(f, "{scheme}*{rest}"),
        }
    }
}

impl AllowedOrigin {
    /// Returns whether `origin`, as a browser sends it, is this origin or one of these.
    fn matches(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        match self {
            Self::Exact(own) => *own == origin,
            Self::Subdomains { scheme, rest } => {
                let label = origin.strip_prefix(scheme.as_str()).and_then(|host| host.strip_suffix(rest.as_str()));
                label.is_some_and(|label| {
                    let is_of_label = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                    !label.is_empty() && label.bytes().all(is_of_label)
                })
            }
        }
    }

    /// Parses an origin of a website (`https://app.example`) or an app (`capacitor://localhost`), or the origins of all
    /// hosts of a domain (`https://*.example.com`).
    pub(super) fn parse(text: &str) -> Parsed<Self> {
        if text == "null" {
            return Err("must not contain null, the origin of every page in a sandbox or a local file".to_owned());
        }
        let form = || match text.contains('@') {
            true => "must be origins such as https://app.example, without credentials".to_owned(),
            false => format!("must be origins such as https://app.example; {text:?} is not an origin"),
        };
        if text == "*" {
            return Err(would_allow_everybody("*"));
        }
        let (scheme, host) = text.split_once("://").ok_or_else(form)?;
        let scheme = scheme.to_ascii_lowercase();
        match (scheme.as_str(), host.strip_prefix("*.")) {
            ("http" | "https", Some(domain)) if !domain.contains('*') => {
                subdomains(&scheme, domain).ok_or_else(|| would_allow_everybody(text))
            }
            _ if host.contains('*') && host.trim_matches(['*', '.', ':']).contains('.') => Err(format!(
                "can have * only in the place of the whole first label, as in https://*.example.com; {text} has it \
                 elsewhere"
            )),
            _ if host.contains('*') => Err(would_allow_everybody(text)),
            ("http" | "https", _) => {
                let url = web_url(text).filter(|url| url.path() == "/").ok_or_else(form)?;
                Ok(Self::Exact(url.origin().ascii_serialization()))
            }
            _ => app(&scheme, host).ok_or_else(form),
        }
    }
}

fn would_allow_everybody(text: &str) -> String {
    format!(
        "must name each origin, or the hosts of a domain of your own as https://*.example.com: {text} would allow every \
         website to use its visitors' cookies"
    )
}

/// Returns the origins of all hosts below `domain`, with or without a port, unless anybody can have such a host.
fn subdomains(scheme: &str, domain: &str) -> Option<AllowedOrigin> {
    let url = web_url(&format!("{scheme}://{domain}")).filter(|url| url.path() == "/")?;
    let Some(Host::Domain(host)) = url.host() else { return None };
    // All hosts of `localhost` are this machine (RFC 6761 §6.3).
    if !is_of_one_owner(host) && host != "localhost" {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(AllowedOrigin::Subdomains { scheme: format!("{scheme}://"), rest: format!(".{host}{port}") })
}

/// Returns the origin of pages that an app brings along. A scheme that looks like a misspelled `https` is none.
fn app(scheme: &str, host: &str) -> Option<AllowedOrigin> {
    const OF_OTHERS: [&str; 8] = ["about", "blob", "data", "file", "filesystem", "ftp", "ws", "wss"];
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && !scheme.starts_with("ht")
        && !OF_OTHERS.contains(&scheme);
    let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte));
    (is_scheme && is_host).then(|| AllowedOrigin::Exact(format!("{scheme}://{}", host.to_ascii_lowercase())))
}

/// Parses a domain whose hosts share cookies.
pub(super) fn cookie_domain(text: &str) -> Parsed<String> {
    // A leading dot has no meaning any more (RFC 6265 §5.2.3).
    let name = text.strip_prefix('.').unwrap_or(text);
    let url = web_url(&format!("https://{name}")).filter(|url| url.path() == "/" && !name.contains([':', '/', '*']));
    match url.as_ref().and_then(Url::host) {
        // URLs allow more in a host, such as the semicolon that would end the attribute of the cookie.
        Some(Host::Domain(domain)) if !is_host_name(domain) => Err("must be a domain".to_owned()),
        Some(Host::Domain(domain)) if domain.ends_with('.') => Err("must not end with a dot".to_owned()),
        Some(Host::Domain(domain)) if is_of_one_owner(domain) => Ok(domain.to_owned()),
        Some(Host::Domain(_)) => Err("must not be a domain under which anybody can have one".to_owned()),
        _ => Err("must be a domain".to_owned()),
    }
}

fn is_host_name(domain: &str) -> bool {
    !domain.starts_with('.') && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Returns whether the host of `url` is `domain` or below it: browsers take no cookie for other domains.
pub(super) fn is_within(url: &Url, domain: &str) -> bool {
    let Some(Host::Domain(host)) = url.host() else { return false };
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns whether all hosts below a domain belong to its owner: it is no public suffix such as `com`, `co.uk` or
/// `github.io`, under which anybody can have a domain (publicsuffix.org).
fn is_of_one_owner(domain: &str) -> bool {
    psl::domain_str(domain).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> AllowedOrigin {
        AllowedOrigin::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn origins_of_websites_and_apps_are_written_as_browsers_write_them() {
        for (text, origin) in [
            ("https://App.example:443/", "https://app.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("ionic://localhost", "ionic://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("http://tauri.localhost", "http://tauri.localhost"),
            (
                "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
                "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            ),
            (
                "moz-extension://0A1b2c3d-0000-4000-8000-000000000000",
                "moz-extension://0a1b2c3d-0000-4000-8000-000000000000",
            ),
            ("com.example.app://localhost:1234", "com.example.app://localhost:1234"),
        ] {
            assert_eq!(parse(text), AllowedOrigin::Exact(origin.to_owned()));
            assert!(parse(text).matches(origin) && parse(text).matches(&origin.to_ascii_uppercase()), "{text}");
            assert!(!parse(text).matches(&format!("{origin}.evil.example")) && !parse(text).matches("null"), "{text}");
        }
    }

    #[test]
    fn a_pattern_stands_for_one_label() {
        for (pattern, matching, other) in [
            (
                "https://*.example.com",
                &["https://app.example.com", "https://pr-7.example.com", "https://A_b.Example.com"][..],
                &[
                    "https://example.com",
                    "https://.example.com",
                    "https://a.b.example.com",
                    "http://app.example.com",
                    "https://app.example.com:8443",
                    "https://appexample.com",
                    "https://app.example.com.evil.example",
                    "https://evil.example/.example.com",
                    "https://evil.example?.example.com",
                    "https://evil@app.example.com",
                    "null",
                ][..],
            ),
            (
                "http://*.example.com:8080/",
                &["http://app.example.com:8080"],
                &["http://app.example.com", "http://app.example.com:80801"],
            ),
            ("https://*.shop.example.co.uk:443", &["https://a.shop.example.co.uk"], &["https://a.example.co.uk"]),
            ("http://*.localhost:3000", &["http://app.localhost:3000"], &["http://localhost:3000"]),
            ("https://*.team.github.io", &["https://a.team.github.io"], &["https://team.github.io"]),
        ] {
            let pattern = parse(pattern);
            assert!(matching.iter().all(|origin| pattern.matches(origin)), "{pattern}");
            assert!(!other.iter().any(|origin| pattern.matches(origin)), "{pattern}");
        }
    }

    #[test]
    fn a_cookie_domain_is_that_of_the_server_or_above_it_and_of_one_owner() {
        for (text, domain) in [
            ("example.com", "example.com"),
            (".Example.COM", "example.com"),
            ("kt.localhost", "kt.localhost"),
            ("team.github.io", "team.github.io"),
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(cookie_domain(text).as_deref(), Ok(domain));
        }
        for text in [
            "com",
            "co.uk",
            "github.io",
            "localhost",
            ".",
            "",
            "example.com.",
            "10.0.0.7",
            "[::1]",
            "a.example:443",
            "https://a.example",
            "a.example/",
            "*.a.example",
            "a.example;",
            "a b",
            "u@a.example",
            "..a.example",
        ] {
            cookie_domain(text).expect_err(text);
        }
        let is_within = |url: &str, domain| is_within(&Url::parse(url).unwrap(), domain);
        for url in ["https://example.com/auth", "https://auth.example.com:8443", "http://a.b.example.com"] {
            assert!(is_within(url, "example.com"), "{url}");
        }
        for url in ["https://badexample.com", "https://example.org", "https://com", "http://10.0.0.7"] {
            assert!(!is_within(url, "example.com"), "{url}");
        }
    }

    #[test]
    fn a_pattern_of_another_form_is_refused_for_its_form() {
        for text in
            ["https://a*.example.com", "https://app-*.example.com", "https://*.*.example.com", "https://app.*.com"]
        {
            let error = AllowedOrigin::parse(text).err().unwrap();
            assert!(error.contains("only in the place of the whole first label"), "{text}: {error}");
        }
        for text in ["*", "https://*", "https://*.com"] {
            let error = AllowedOrigin::parse(text).err().unwrap();
            assert!(error.contains("every website"), "{text}: {error}");
        }
    }

    #[test]
    fn what_anybody_could_use_is_refused() {
        for text in [
            "*",
            "https://*",
            "http://*:80",
            "https://*.com",
            "https://*.co.uk",
            "https://*.github.io",
            "https://*.vercel.app:8443",
            "https://*.internal",
            "https://*.xn--p1ai",
            "https://*.10.0.0.7",
            "https://*.example.com/path",
            "capacitor://*",
            "*.example.com://x",
        ] {
            let error = AllowedOrigin::parse(text).expect_err(text);
            assert!(
                error.contains("would allow every website") || error.contains("is not an origin"),
                "{text}: {error}"
            );
        }
        assert!(AllowedOrigin::parse("null").is_err_and(|error| error.contains("sandbox")));
        for text in [
            "https://a.example/path",
            "a.example",
            "//a.example",
            "ftp://a",
            "https://a?x",
            "file:///",
            "file://",
            "data://x",
            "htps://a.example",
            "capacitor://",
            "capacitor://localhost/",
            "capacitor://user@localhost",
            "1app://localhost",
            "://localhost",
        ] {
            AllowedOrigin::parse(text).expect_err(text);
        }
    }
}
