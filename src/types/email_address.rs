//! Email addresses, which identify accounts.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use url::Host;

/// An email address such as `name@example.com`: at most 254 bytes (RFC 5321 §4.5.3.1.3), without a display name, a
/// comment, a quoted name or an IP address for a domain.
#[derive(Clone)]
pub struct EmailAddress {
    given: String,
    normalized: String,
}

/// The reason why a text is not accepted as an email address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailAddressError {
    /// The text is not an email address, or not in the form that is accepted.
    #[error("is not an email address such as name@example.com")]
    Invalid,
    /// The address is longer than [`EmailAddress::MAX_BYTES`].
    #[error("is longer than {} bytes", EmailAddress::MAX_BYTES)]
    TooLong,
}

impl EmailAddressError {
    /// Returns the stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_email",
            Self::TooLong => "email_too_long",
        }
    }
}

impl EmailAddress {
    /// The longest address, in bytes.
    pub const MAX_BYTES: usize = 254;

    /// Parses an email address and removes the white space around it.
    ///
    /// # Errors
    /// The text is not an email address, or it is too long.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let text = text.trim();
        if text.len() > Self::MAX_BYTES {
            return Err(EmailAddressError::TooLong);
        }
        let given: String = text.nfc().collect();
        let (name, domain) = given.rsplit_once('@').ok_or(EmailAddressError::Invalid)?;
        if !is_dot_atom(name) {
            return Err(EmailAddressError::Invalid);
        }
        let domain = dns_name(domain).ok_or(EmailAddressError::Invalid)?;
        // Lower case can decompose a character again, such as "İ".
        let normalized: String = format!("{}@{domain}", name.to_lowercase()).nfc().collect();
        if normalized.len() > Self::MAX_BYTES {
            return Err(EmailAddressError::TooLong);
        }
        Ok(Self { given, normalized })
    }

    /// Returns the address as its owner writes it, for people and for delivery.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// Returns the form that is compared and unique: composed (NFC), in lower case, with the domain in ASCII (IDNA).
    /// Hardly any mail server distinguishes upper and lower case, and accounts whose addresses differ only in case
    /// would help impostors.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

/// Returns whether `name` is a `dot-atom` of at most 64 bytes (RFC 5322 §3.2.3, in all scripts by RFC 6531 §3.3).
fn is_dot_atom(name: &str) -> bool {
    let is_atext = |c: char| c.is_alphanumeric() || is_combining_mark(c) || "!#$%&'*+-/=?^_`{|}~".contains(c);
    name.len() <= 64 && name.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Returns the domain in ASCII and lower case (IDNA, UTS #46), or `None` if it is an IP address, a single label, or not
/// the name of a host (RFC 1123 §2.1).
fn dns_name(domain: &str) -> Option<String> {
    // The parser decodes percent-encoding, which is not allowed in the domain of an email address.
    if domain.contains('%') {
        return None;
    }
    let Host::Domain(domain) = Host::parse(domain).ok()? else { return None };
    let is_label = |label: &str| {
        let letters = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        letters && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    (domain.contains('.') && domain.split('.').all(is_label)).then_some(domain)
}

/// Hides the address, because logs must not contain email addresses.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(text: &str) -> String {
        EmailAddress::parse(text).unwrap().normalized().to_owned()
    }

    fn refusal(text: &str) -> EmailAddressError {
        EmailAddress::parse(text).expect_err(text)
    }

    #[test]
    fn an_address_keeps_its_spelling_and_is_compared_without_case() {
        let email = EmailAddress::parse(" Ada.Lovelace+tag@Example.COM\n").unwrap();
        assert_eq!(email.as_str(), "Ada.Lovelace+tag@Example.COM");
        assert_eq!(email.normalized(), "ada.lovelace+tag@example.com");
    }

    #[test]
    fn spellings_of_one_unicode_address_are_one() {
        assert_eq!(normalized("Rene\u{301}@example.com"), normalized("ren\u{e9}@EXAMPLE.com"));
        assert_eq!(normalized("a@BÜCHER.example"), "a@xn--bcher-kva.example");
        assert_eq!(normalized("a@xn--bcher-kva.example"), "a@xn--bcher-kva.example");
        assert_eq!(normalized("दीप्ति@उदाहरण.भारत"), "दीप्ति@xn--p1b6ci4b4b3a.xn--h2brj9c");
    }

    #[test]
    fn a_normalized_address_is_its_own_normal_form() {
        for text in ["İ@example.com", "ΟΔΟΣ@example.com", "\u{212a}@example.com", "a@BÜCHER.example"] {
            assert_eq!(normalized(&normalized(text)), normalized(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_plain_address_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "ada@example",
            "ada@example.com.",
            "ada@.example.com",
            "ada@example..com",
            "ada@-example.com",
            "ada@example-.com",
            "ada@example.com/path",
            "ada@example.com:25",
            "\u{301}\u{200d}@example.com",
            "ada@exa_mple.com",
            "ada@ex%61mple.com",
            "ada..l@example.com",
            ".ada@example.com",
            "ada lovelace@example.com",
            "ada@exam ple.com",
            "ada@lovelace@example.com",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada\0@example.com",
            "Ada <ada@example.com>",
            "<ada@example.com>",
            "(comment)ada@example.com",
            "ada@example.com(comment)",
            "\"ada\"@example.com",
            "\"ada l\"@example.com",
            "ada@[192.0.2.1]",
            "ada@[IPv6:2001:db8::1]",
            "ada@192.0.2.1",
            "ada@0x7f.1",
            "ada\u{200b}@example.com",
        ] {
            assert_eq!(refusal(text), EmailAddressError::Invalid, "{text:?}");
        }
    }

    #[test]
    fn an_address_has_at_most_254_bytes() {
        let name = "n".repeat(64);
        let domain = |length: usize| format!("{}.{}.{}.com", "a".repeat(63), "b".repeat(63), "c".repeat(length));
        let longest = format!("{name}@{}", domain(254 - 64 - 1 - 63 - 1 - 63 - 1 - 4));
        assert_eq!(longest.len(), EmailAddress::MAX_BYTES);
        assert_eq!(normalized(&longest), longest);
        assert_eq!(refusal(&format!("{longest}m")), EmailAddressError::TooLong);
        assert_eq!(refusal(&format!("{}@example.com", "n".repeat(65))), EmailAddressError::Invalid);
        assert_eq!(refusal(&format!("n@{}.com", "a".repeat(64))), EmailAddressError::Invalid);
    }

    #[test]
    fn debug_output_shows_nothing_of_the_address() {
        assert_eq!(format!("{:?}", EmailAddress::parse("ada@example.com").unwrap()), "EmailAddress(…)");
    }
}
