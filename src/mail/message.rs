//! Internet messages (RFC 5322) with a text and an HTML part.

use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};

use super::templates::Rendered;
use crate::types::{EmailAddress, EmailId, Timestamp};

/// Returns the recipient in the form that mail servers take: with the domain in ASCII (IDNA), and with the quotes that
/// the name needs. Returns `None` if the text is not an address of an account.
pub(super) fn recipient(text: &str) -> Option<Address> {
    let address = EmailAddress::parse(text).ok()?;
    // The checked constructor refuses names with marks, as most scripts of India and Southeast Asia have them. What is
    // an address is decided once for all: by `EmailAddress`.
    Some(Address::new_dangerous(address.mailbox_name(), address.domain()))
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
            ("हिन्दी@उदाहरण.भारत", "हिन्दी@xn--p1b6ci4b4b3a.xn--h2brj9c"),
            ("x\u{300}@b.example", "x\u{300}@b.example"),
        ] {
            assert_eq!(recipient(given).unwrap().to_string(), written);
        }
        let longest = "n".repeat(61);
        assert!(recipient(&format!("{longest}.@example.com")).is_some());
        for wrong in
            ["\"a\" b.@example.com", "nobody", "a@b.example\r\nRCPT TO:<c@d.example>", "a>@b.example", "a@[::1]"]
        {
            assert!(recipient(wrong).is_none(), "{wrong}");
        }
    }
}
