//! From a rendered letter to the bytes of a message (RFC 5322, MIME).

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use url::Host;

use super::templates::Rendered;
use crate::clock::Timestamp;
use crate::db::types::MailId;

/// The recipient's address with its domain as in the DNS, which every mail server takes. `None` for what is none.
pub fn recipient(text: &str) -> Option<Address> {
    let (name, domain) = text.rsplit_once('@')?;
    let domain = Host::parse(domain).ok()?.to_string();
    Address::new(name, domain).ok()
}

/// The message, with text and HTML to choose from. Its id is the mail's, so that who gets it twice can tell.
pub fn write(
    id: MailId,
    from: &Mailbox,
    to: Address,
    rendered: Rendered,
    written_at: Timestamp,
) -> Result<Vec<u8>, lettre::error::Error> {
    let date = UNIX_EPOCH + Duration::from_millis(u64::try_from(written_at.as_millis()).unwrap_or(0));
    let mut message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(rendered.subject)
        .date(date)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .multipart(MultiPart::alternative_plain_html(rendered.text, rendered.html))?;
    // So that nobody's "out of office" answers (RFC 3834 §5).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    Ok(message.formatted())
}
