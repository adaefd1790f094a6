//! What a client accepts.

use actix_web::http::header::HeaderValue;

/// Returns whether a header such as `Accept` names a media type, or another thing of its kind, with a weight above 0
/// (RFC 9110 §12.4.2). Ranges such as `*/*` do not count: who sends them takes whatever comes.
pub(crate) fn accepts(accept: Option<&HeaderValue>, media_type: &str) -> bool {
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|media| media.eq_ignore_ascii_case(media_type));
        let is_refused = |parameter: &str| {
            let weight = parameter.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
            weight.is_some_and(|(_, weight)| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        };
        is_named && !parts.any(is_refused)
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
}
