//! Internet messages (RFC 5322) with a text and an HTML part.

use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use url::Host;

use super::templates::Rendered;
use crate::types::{EmailId, Timestamp, needs_quotes};

/// Parses the recipient's address and converts its domain to the ASCII form of IDNA, which every mail server accepts. A
/// name before the `@` with dots that are not between others is quoted (RFC 5321 §4.1.2). Returns `None` if the text is
/// not an address.
pub(super) fn recipient(text: &str) -> Option<Address> {
    let (name, domain) = text.rsplit_once('@')?;
    let domain = Host::parse(domain).ok()?.to_string();
    if needs_quotes(name) {
        // No name of an account has a character that would have to be escaped.
        return Address::new(format!("\"{name}\""), domain).ok();
    }
    Address::new(name, domain).ok()
}

/// Writes a message. The email's id becomes the `Message-ID`, by which mail programs recognise duplicates.
///
/// # Errors
/// The message cannot be built from these parts.
pub(super) fn write(
    id: EmailId,
    from: &Mailbox,
    to: Address,
    rendered: Rendered,
    written_at: Timestamp,
) -> Result<Vec<u8>, lettre::error::Error> {
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(written_at.as_millis()).unwrap_or(0));
    // Otherwise the builder would read the addresses from the headers, where it takes no quoted names.
    let envelope = Envelope::new(Some(from.email.clone()), vec![to.clone()])?;
    let mut message = Message::builder()
        .envelope(envelope)
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(rendered.subject)
        .date(date)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .multipart(MultiPart::alternative_plain_html(rendered.text, rendered.html))?;
    // Prevents automatic replies (RFC 3834 §5).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    Ok(message.formatted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_dot_atom_is_quoted() {
        for (given, written) in [
            ("taro.@docomo.ne.jp", "\"taro.\"@docomo.ne.jp"),
            ("ta..ro@docomo.ne.jp", "\"ta..ro\"@docomo.ne.jp"),
            (".taro@docomo.ne.jp", "\".taro\"@docomo.ne.jp"),
            ("...@docomo.ne.jp", "\"...\"@docomo.ne.jp"),
            ("ta.ro@BÜCHER.example", "ta.ro@xn--bcher-kva.example"),
            ("!#$%&'*+/=?^_`{|}~-@example.com", "!#$%&'*+/=?^_`{|}~-@example.com"),
        ] {
            assert_eq!(recipient(given).unwrap().to_string(), written);
        }
        let longest = "n".repeat(61);
        assert!(recipient(&format!("{longest}.@example.com")).is_some());
        assert!(recipient("\"a\" b.@example.com").is_none() && recipient("nobody").is_none());
    }
}
