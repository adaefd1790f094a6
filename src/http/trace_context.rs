//! The trace that a request belongs to (W3C Trace Context, level 1), for the log.

use actix_web::http::header::{HeaderMap, HeaderName};

/// The header that names trace and span.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The ids of a trace and of the span in it that sent the request. Anybody can send them: nothing but the log may
/// depend on them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TraceContext<'a> {
    /// 32 hexadecimal digits.
    pub(super) trace_id: &'a str,
    /// 16 hexadecimal digits.
    pub(super) parent_id: &'a str,
}

impl<'a> TraceContext<'a> {
    /// Reads the one `traceparent` of a request; a second one, or one that is malformed, makes it none.
    pub(super) fn from_headers(headers: &'a HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT);
        let value = values.next()?.to_str().ok()?;
        if values.next().is_some() { None } else { Self::parse(value) }
    }

    /// Parses the form `VERSION-TRACE-PARENT-FLAGS` (§3.2); later versions may append fields.
    fn parse(value: &'a str) -> Option<Self> {
        let mut fields = value.split('-');
        let version = fields.next().filter(|version| is_hex(version, 2) && *version != "ff")?;
        let trace_id = fields.next().filter(|id| is_id(id, 32))?;
        let parent_id = fields.next().filter(|id| is_id(id, 16))?;
        fields.next().filter(|flags| is_hex(flags, 2))?;
        if version == "00" && fields.next().is_some() { None } else { Some(Self { trace_id, parent_id }) }
    }
}

/// Returns whether `text` has `length` lower-case hexadecimal digits, and not only zeros.
fn is_id(text: &str, length: usize) -> bool {
    is_hex(text, length) && text.bytes().any(|byte| byte != b'0')
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const PARENT: &str = "00f067aa0ba902b7";

    #[test]
    fn the_ids_of_this_and_of_later_versions_are_read() {
        for value in [format!("00-{TRACE}-{PARENT}-01"), format!("cc-{TRACE}-{PARENT}-00-what-comes-later")] {
            assert_eq!(
                TraceContext::parse(&value),
                Some(TraceContext { trace_id: TRACE, parent_id: PARENT }),
                "{value}"
            );
        }
    }

    #[test]
    fn malformed_values_are_none() {
        let upper = TRACE.to_uppercase();
        let zeros = "0".repeat(32);
        let malformed = [
            String::new(),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("0-{TRACE}-{PARENT}-01"),
            format!("00-{upper}-{PARENT}-01"),
            format!("00-{zeros}-{PARENT}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-{PARENT}"),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!(" 00-{TRACE}-{PARENT}-01"),
        ];
        for value in malformed {
            assert_eq!(TraceContext::parse(&value), None, "{value}");
        }
    }
}
