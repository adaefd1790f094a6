//! The URL of a request that a proxy holds while it asks about it.

use actix_web::http::header::{HOST, HeaderMap};
use url::Url;

/// Returns the URL of the request that a proxy holds: in `X-Original-URL`, or in the parts that Traefik and Caddy send.
pub(super) fn original_url(headers: &HeaderMap) -> Option<Url> {
    let text = |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let whole = text("x-original-url").map(str::to_owned);
    let parts = || {
        let uri = text("x-forwarded-uri").filter(|uri| uri.starts_with('/'))?;
        Some(format!("{}://{}{uri}", text("x-forwarded-proto")?, text("x-forwarded-host")?))
    };
    let url = Url::parse(&whole.or_else(parts)?).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    is_plain.then_some(url)
}

/// Returns each URL that the headers give the request that a proxy holds, as they write it. `path` is its path where
/// the proxy asks with that, as Envoy does. A proxy names one URL; more than one means that a client has sent such
/// headers, too.
pub(crate) fn named_urls(headers: &HeaderMap, path: Option<&str>) -> Vec<String> {
    // All values of a header that is sent twice are named, so none of them can hide another.
    let all = |name: &str| -> Vec<String> {
        headers.get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    let protocols = all("x-forwarded-proto");
    let with = |hosts: Vec<String>, paths: Vec<String>| -> Vec<String> {
        let origins =
            protocols.iter().flat_map(|protocol| hosts.iter().map(move |host| format!("{protocol}://{host}")));
        origins.flat_map(|origin| paths.iter().map(move |path| format!("{origin}{path}"))).collect()
    };
    let mut urls = all("x-original-url");
    urls.extend(with(all("x-forwarded-host"), all("x-forwarded-uri")));
    if let Some(path) = path {
        urls.extend(with(all(HOST.as_str()), vec![path.to_owned()]));
    }
    urls
}
