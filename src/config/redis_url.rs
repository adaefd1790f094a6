//! The forms of `REDIS_URL`.

use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::RedisLayout;
use super::parse::Parsed;

/// Errors show the form of a URL, never the URL: it may hold a password.
pub fn parse(text: &str) -> Parsed<RedisLayout> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let (layout, form) = match scheme {
        "redis" | "rediss" => (single(text, rest), "HOST:PORT/DB"),
        "redis+sentinel" => (sentinel("redis", rest), "HOST:PORT,HOST:PORT/SERVICE/DB"),
        "rediss+sentinel" => (sentinel("rediss", rest), "HOST:PORT,HOST:PORT/SERVICE/DB"),
        "redis+cluster" => (cluster("redis", rest), "HOST:PORT,HOST:PORT"),
        "rediss+cluster" => (cluster("rediss", rest), "HOST:PORT,HOST:PORT"),
        _ => {
            return Err("must begin with redis://, redis+sentinel:// or redis+cluster://, or rediss for TLS".to_owned());
        }
    };
    layout.ok_or_else(|| {
        format!("must be {scheme}://USER:PASSWORD@{form}, with special characters of the password percent-encoded")
    })
}

/// What follows the scheme, nothing of it decoded.
struct Parts<'a> {
    /// `user:password`, or empty.
    credentials: &'a str,
    nodes: Vec<&'a str>,
    path: &'a str,
    query: &'a str,
}

/// `None` also where a character of the password seems to have ended it early.
fn split(rest: &str) -> Option<Parts<'_>> {
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = address.split_once('/').unwrap_or((address, ""));
    let (credentials, nodes) = authority.rsplit_once('@').unwrap_or(("", authority));
    let nodes: Vec<&str> = nodes.split(',').collect();
    let quoted = !rest.contains('#') && ![path, query].concat().contains('@') && !credentials.contains(['@', ',']);
    let sound =
        quoted && (credentials.is_empty() || credentials.contains(':')) && nodes.iter().all(|node| is_node(node));
    sound.then_some(Parts { credentials, nodes, path, query })
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

fn database_number(path: &str) -> Option<i64> {
    if path.is_empty() { Some(0) } else { path.parse().ok().filter(|number| *number >= 0) }
}

/// The credentials are those of the data servers; sentinels that ask for a password get it by `?sentinel_password=…`.
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

/// A cluster has no databases.
fn cluster(scheme: &str, rest: &str) -> Option<RedisLayout> {
    let parts = split(rest)?;
    let nodes = parts.nodes.iter().map(|node| node_url(scheme, parts.credentials, node, 6379)).collect();
    (parts.path.is_empty() && parts.query.is_empty()).then_some(RedisLayout::Cluster { nodes })
}

/// `None` for an empty text. A form decodes `+` to a space and ends a name at `&` and `=`, so these are encoded first.
fn percent_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned())
}
