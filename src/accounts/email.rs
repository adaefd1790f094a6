//! Mail addresses, which name accounts.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use url::Host;

/// An address as `name@example.com`, of at most 254 bytes (RFC 5321 §4.5.3.1.3), without a display name, a comment, a
/// quoted name or an IP address for a domain.
#[derive(Clone)]
pub struct Email {
    given: String,
    normalized: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    #[error("is not a mail address such as name@example.com")]
    Invalid,
    #[error("is longer than {} bytes", Email::MAX_BYTES)]
    TooLong,
}

impl EmailError {
    /// The stable name of the refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_email",
            Self::TooLong => "email_too_long",
        }
    }
}

impl Email {
    pub const MAX_BYTES: usize = 254;

    /// Reads an address, with or without white space around it.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        if text.len() > Self::MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        let given: String = text.nfc().collect();
        let (name, domain) = given.rsplit_once('@').ok_or(EmailError::Invalid)?;
        if !is_dot_atom(name) {
            return Err(EmailError::Invalid);
        }
        let domain = dns_name(domain).ok_or(EmailError::Invalid)?;
        // Lower case may come apart again ("İ"), hence the second composition.
        let normalized: String = format!("{}@{domain}", name.to_lowercase()).nfc().collect();
        if normalized.len() > Self::MAX_BYTES {
            return Err(EmailError::TooLong);
        }
        Ok(Self { given, normalized })
    }

    /// The address as its owner writes it, for people and for mail.
    pub fn as_str(&self) -> &str {
        &self.given
    }

    /// The form to compare and to keep unique: composed (NFC), in lower case, the domain as in the DNS (IDNA). Nearly
    /// no mail server tells names apart by case, and two accounts a capital apart would serve impostors alone.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }
}

/// Whether a name is a `dot-atom` of at most 64 bytes (RFC 5322 §3.2.3, letters of all scripts by RFC 6531 §3.3).
fn is_dot_atom(name: &str) -> bool {
    let is_atext = |c: char| c.is_alphanumeric() || is_combining_mark(c) || "!#$%&'*+-/=?^_`{|}~".contains(c);
    name.len() <= 64 && name.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// The domain in ASCII and lower case (IDNA, UTS #46), of at least two labels. `None` for an IP address and for what
/// names no host (RFC 1123 §2.1).
fn dns_name(domain: &str) -> Option<String> {
    // A host in a URL may be percent-encoded, the domain of an address may not.
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

/// Shows nothing of the address: logs hold none.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(text: &str) -> String {
        Email::parse(text).unwrap().normalized().to_owned()
    }

    fn refusal(text: &str) -> EmailError {
        Email::parse(text).expect_err(text)
    }

    #[test]
    fn an_address_keeps_its_spelling_and_is_compared_without_case() {
        let email = Email::parse(" Ada.Lovelace+tag@Example.COM\n").unwrap();
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
            assert_eq!(refusal(text), EmailError::Invalid, "{text:?}");
        }
    }

    #[test]
    fn an_address_has_at_most_254_bytes() {
        let name = "n".repeat(64);
        let domain = |length: usize| format!("{}.{}.{}.com", "a".repeat(63), "b".repeat(63), "c".repeat(length));
        let longest = format!("{name}@{}", domain(254 - 64 - 1 - 63 - 1 - 63 - 1 - 4));
        assert_eq!(longest.len(), Email::MAX_BYTES);
        assert_eq!(normalized(&longest), longest);
        assert_eq!(refusal(&format!("{longest}m")), EmailError::TooLong);
        assert_eq!(refusal(&format!("{}@example.com", "n".repeat(65))), EmailError::Invalid);
        assert_eq!(refusal(&format!("n@{}.com", "a".repeat(64))), EmailError::Invalid);
    }

    #[test]
    fn debug_output_shows_nothing_of_the_address() {
        assert_eq!(format!("{:?}", Email::parse("ada@example.com").unwrap()), "Email(…)");
    }
}
