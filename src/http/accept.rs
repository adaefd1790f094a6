//! What a client accepts.

use actix_web::http::header::{ACCEPT, HeaderMap, HeaderValue};

/// Returns whether a header such as `Accept` names a media type, or another thing of its kind, with a weight above 0
/// (RFC 9110 §12.4.2). Ranges such as `*/*` do not count: who sends them takes whatever comes.
pub(crate) fn accepts(accept: Option<&HeaderValue>, media_type: &str) -> bool {
    weight(accept, media_type).is_some()
}

/// Returns whether a request asks for a page, as browsers do when they open one: it names HTML, and JSON neither with a
/// higher weight nor before it.
pub(crate) fn prefers_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT);
    let Some((html, place)) = weight(accept, "text/html") else { return false };
    ["application/json", "application/problem+json"].iter().all(|json| {
        weight(accept, json).is_none_or(|(other, before)| other < html || (other <= html && place < before))
    })
}

/// Returns the weight above 0 with which a header names a thing, and its place among the others.
fn weight(accept: Option<&HeaderValue>, name: &str) -> Option<(f32, usize)> {
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').enumerate().find_map(|(place, range)| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().filter(|named| named.eq_ignore_ascii_case(name))?;
        let weight = parts.find_map(|parameter| {
            let (_, weight) = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"))?;
            weight.trim().parse::<f32>().ok()
        });
        let weight = weight.unwrap_or(1.0);
        (weight > 0.0).then_some((weight, place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_accepted_if_it_is_named_and_not_refused() {
        for (accept, is_accepted) in [
            ("text/html", true),
            ("application/json, Text/HTML;level=1;q=0.5", true),
            ("text/html ; q=1.0", true),
            ("text/html;q=0, application/json", false),
            ("text/html; Q=0.000", false),
            ("*/*", false),
            ("text/htmlx", false),
            ("", false),
        ] {
            assert_eq!(accepts(Some(&HeaderValue::from_static(accept)), "text/html"), is_accepted, "{accept}");
        }
        assert!(!accepts(None, "text/html"));
    }

    #[test]
    fn a_page_is_for_those_who_name_html_first() {
        for (accept, is_page) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html, application/json", true),
            ("application/json;q=0.9, text/html", true),
            ("application/json, text/html", false),
            ("text/html;q=0.5, application/problem+json", false),
            ("application/json", false),
            ("*/*", false),
            ("text/html;q=0", false),
        ] {
            let headers = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            assert_eq!(prefers_page(&headers), is_page, "{accept}");
        }
    }
}
