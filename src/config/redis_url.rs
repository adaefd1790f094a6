//! The forms of `REDIS_URL`.

use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::RedisLayout;
use super::parse::Parsed;

/// Parses `REDIS_URL`. Errors describe the form of the URL and never show the URL, which can contain a password.
pub(super) fn parse(text: &str) -> Parsed<RedisLayout> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (layout, form) = match scheme {
        "redis" | "rediss" => (single(text, rest), "HOST:PORT/DB"),
        "unix" | "redis+unix" => (socket(rest), ""),
        "redis+sentinel" => (sentinel("redis", rest), "HOST:PORT,HOST:PORT/SERVICE/DB"),
        "rediss+sentinel" => (sentinel("rediss", rest), "HOST:PORT,HOST:PORT/SERVICE/DB"),
        "redis+cluster" => (cluster("redis", rest), "HOST:PORT,HOST:PORT"),
        "rediss+cluster" => (cluster("rediss", rest), "HOST:PORT,HOST:PORT"),
        _ => {
            return Err("must begin with redis://, unix://, redis+sentinel:// or redis+cluster://, or rediss for TLS"
                .to_owned());
        }
    };
    layout.ok_or_else(|| {
        if scheme.ends_with("unix") {
            return format!("must be {scheme}:///PATH, maybe with ?db=DB&user=USER&pass=PASSWORD, percent-encoded");
        }
        format!("must be {scheme}://USER:PASSWORD@{form}, with special characters of the password percent-encoded")
    })
}

/// The parts of a URL after its scheme, without percent-decoding.
struct UrlParts<'a> {
    /// `user:password`, or empty.
    credentials: &'a str,
    nodes: Vec<&'a str>,
    path: &'a str,
    query: &'a str,
}

/// Splits the part of a URL after its scheme. Returns `None` if it is malformed, or if a character of the password that
/// is not percent-encoded seems to have ended the password.
fn split(rest: &str) -> Option<UrlParts<'_>> {
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    let (credentials, nodes) = authority.rsplit_once('@').unwrap_or(("", authority));
    let nodes: Vec<&str> = nodes.split(',').collect();
    let is_encoded = !rest.contains('#') && ![path, query].concat().contains('@') && !credentials.contains(['@', ',']);
    let is_valid =
        is_encoded && (credentials.is_empty() || credentials.contains(':')) && nodes.iter().all(|node| is_node(node));
    is_valid.then_some(UrlParts { credentials, nodes, path, query })
}

fn is_node(node: &str) -> bool {
    Url::parse(&format!("redis://{node}")).is_ok_and(|url| url.has_host() && url.path().is_empty())
}

fn node_url(scheme: &str, credentials: &str, node: &str, default_port: u16) -> Zeroizing<String> {
    let at = if credentials.is_empty() { "" } else { "@" };
    let has_port = Url::parse(&format!("redis://{node}")).is_ok_and(|url| url.port().is_some());
    let port = if has_port { String::new() } else { format!(":{default_port}") };
    Zeroizing::new(format!("{scheme}://{credentials}{at}{node}{port}"))
}

fn single(text: &str, rest: &str) -> Option<RedisLayout> {
    let parts = split(rest)?;
    database_number(parts.path)?;
    (parts.nodes.len() == 1).then(|| RedisLayout::Single { url: Zeroizing::new(text.to_owned()) })
}

/// A Unix socket, with credentials in the query.
fn socket(rest: &str) -> Option<RedisLayout> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_known = |parameter: &str| match parameter.split_once('=') {
        Some(("db", number)) => database_number(number).is_some(),
        Some(("user" | "pass", value)) => !value.is_empty(),
        _ => false,
    };
    let is_valid = path.starts_with('/') && path.len() > 1 && !rest.contains('#');
    let is_valid = is_valid && (query.is_empty() || query.split('&').all(is_known));
    is_valid.then(|| RedisLayout::Single { url: Zeroizing::new(format!("redis+unix://{rest}")) })
}

fn database_number(path: &str) -> Option<i64> {
    if path.is_empty() { Some(0) } else { path.parse().ok().filter(|number| *number >= 0) }
}

/// The credentials are for the monitored servers. The password for the sentinels is in `?sentinel_password=…`.
fn sentinel(scheme: &str, rest: &str) -> Option<RedisLayout> {
    let parts = split(rest)?;
    let (service, database) = parts.path.split_once('/').unwrap_or((parts.path, ""));
    let (username, password) = parts.credentials.split_once(':').unwrap_or_default();
    let sentinel_password = match parts.query.strip_prefix("sentinel_password=") {
        Some(password) if !password.contains('&') => Zeroizing::new(format!(":{password}")),
        None if parts.query.is_empty() => Zeroizing::default(),
        _ => return None,
    };
    let layout = RedisLayout::Sentinel {
        sentinels: parts.nodes.iter().map(|node| node_url(scheme, &sentinel_password, node, 26379)).collect(),
        service: service.to_owned(),
        username: percent_decoded(username),
        password: percent_decoded(password).map(Zeroizing::new),
        db: database_number(database)?,
        tls: scheme == "rediss",
    };
    (!service.is_empty()).then_some(layout)
}

/// A cluster has no numbered databases, so the URL has no path.
fn cluster(scheme: &str, rest: &str) -> Option<RedisLayout> {
    let parts = split(rest)?;
    let nodes = parts.nodes.iter().map(|node| node_url(scheme, parts.credentials, node, 6379)).collect();
    (parts.path.is_empty() && parts.query.is_empty()).then_some(RedisLayout::Cluster { nodes })
}

/// Decodes percent-encoding. Returns `None` for an empty text. The form parser would decode `+` to a space and split at
/// `&` and `=`, so these are encoded first.
fn percent_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned())
}
