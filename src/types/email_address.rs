//! Email addresses, which identify accounts.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use url::Host;

use super::text;

/// An email address such as `name@example.com`, as browsers take it in `<input type=email>` (WHATWG HTML §4.10.5.1.5),
/// so also `name.@example.com`, and in all scripts: at most 254 bytes (RFC 5321 §4.5.3.1.3), without a display name, a
/// comment, a quoted name, a domain of one label or an IP address for a domain.
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
    /// The text has a character within it that cannot be seen.
    #[error("contains an invisible character")]
    InvisibleCharacter,
    /// The address is longer than [`EmailAddress::MAX_BYTES`].
    #[error("is longer than {} bytes", EmailAddress::MAX_BYTES)]
    TooLong,
}

impl EmailAddressError {
    /// Returns the stable code of the error.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_email",
            Self::InvisibleCharacter => "invisible_character",
            Self::TooLong => "email_too_long",
        }
    }
}

impl EmailAddress {
    /// The longest address, in bytes.
    pub const MAX_BYTES: usize = 254;

    /// Parses an email address and removes the white space and invisible characters around it.
    ///
    /// # Errors
    /// The text is not an email address, contains an invisible character, or is too long.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let text = text::trim(text);
        if text.contains(text::is_invisible) {
            return Err(EmailAddressError::InvisibleCharacter);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(EmailAddressError::TooLong);
        }
        let given: String = text.nfc().collect();
        // Composing makes some characters longer.
        if given.len() > Self::MAX_BYTES {
            return Err(EmailAddressError::TooLong);
        }
        let (name, domain) = given.rsplit_once('@').ok_or(EmailAddressError::Invalid)?;
        if !is_name(name) {
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

    /// Returns the name before the `@` as mail servers take it: with the quotes that it needs (RFC 5321 §4.1.2). It has
    /// no character that would have to be escaped.
    pub fn mailbox_name(&self) -> Cow<'_, str> {
        let (name, _) = self.given.rsplit_once('@').unwrap_or_default();
        if needs_quotes(name) { Cow::Owned(format!("\"{name}\"")) } else { Cow::Borrowed(name) }
    }

    /// Returns the domain in the ASCII form of IDNA, which every mail server takes.
    pub fn domain(&self) -> &str {
        self.normalized.rsplit_once('@').unwrap_or_default().1
    }
}

/// The characters in ASCII that [`in_ascii`] encodes. No name has a control character or a space.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// Returns an address in ASCII, for headers of HTTP: its domain as in the DNS, and bytes outside ASCII before the `@`
/// percent-encoded in UTF-8, as is `%` itself, so that no two addresses have the same form.
pub fn in_ascii(address: &str) -> String {
    let (name, domain) = address.rsplit_once('@').unwrap_or((address, ""));
    let domain = if domain.is_ascii() { domain.to_owned() } else { ascii_domain(domain).unwrap_or_default() };
    format!("{}@{domain}", utf8_percent_encode(name, ESCAPED))
}

/// Returns a domain as in the DNS, in ASCII and lower case (IDNA, UTS #46), or `None` if it cannot be one.
pub fn ascii_domain(domain: &str) -> Option<String> {
    match Host::parse(domain).ok()? {
        Host::Domain(domain) => Some(domain),
        Host::Ipv4(_) | Host::Ipv6(_) => None,
    }
}

/// Returns the beginning of an address in the form in which addresses are compared, for a search. A domain that is not
/// in ASCII has to be complete up to a dot or its end.
pub fn normalized_prefix(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((name, domain)) if !domain.is_ascii() => {
            format!("{}@{}", text::folded(name), ascii_domain(domain).unwrap_or_else(|| text::folded(domain)))
        }
        _ => text::folded(text),
    }
}

/// Returns whether the name before the `@` has a dot that is not between other characters, for which it is written in
/// quotes (RFC 5321 §4.1.2).
fn needs_quotes(name: &str) -> bool {
    name.split('.').any(str::is_empty)
}

/// Returns whether `name` is of the characters of a `dot-atom` and of dots, and has at most 64 bytes (RFC 5322 §3.2.3,
/// in all scripts by RFC 6531 §3.3), with the quotes that it may need. Dots stand anywhere: Japanese carriers gave out
/// such addresses, and browsers take them.
fn is_name(name: &str) -> bool {
    let is_atext = |c: char| c.is_alphanumeric() || is_combining_mark(c) || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let limit = if needs_quotes(name) { 62 } else { 64 };
    (1..=limit).contains(&name.len()) && name.chars().all(|c| c == '.' || is_atext(c))
}

/// Returns the domain in ASCII and lower case (IDNA, UTS #46), or `None` if it is an IP address, a single label, or not
/// the name of a host (RFC 1123 §2.1).
fn dns_name(domain: &str) -> Option<String> {
    // The parser decodes percent-encoding, which is not allowed in the domain of an email address.
    if domain.contains('%') {
        return None;
    }
    let domain = ascii_domain(domain)?;
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
            "ada@exa_mple.com",
            "ada@ex%61mple.com",
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
        ] {
            assert_eq!(refusal(text), EmailAddressError::Invalid, "{text:?}");
        }
    }

    #[test]
    fn what_browsers_take_is_taken() {
        for text in
            ["taro.@docomo.ne.jp", "ta..ro@docomo.ne.jp", ".taro@docomo.ne.jp", "...@x.jp", "a!#$%&'*+/=?^_`{|}~-@x.jp"]
        {
            assert_eq!(normalized(text), text);
        }
    }

    #[test]
    fn what_cannot_be_seen_is_left_off_at_the_ends_and_refused_within() {
        for text in ["ada@example.com\u{200b}", "\u{feff} ada@example.com", "\u{202a}ada@example.com\u{202c}\u{2060}"] {
            assert_eq!(EmailAddress::parse(text).unwrap().as_str(), "ada@example.com");
        }
        for text in
            ["ada\u{200b}@example.com", "ada@exam\u{ad}ple.com", "a\u{200d}da@example.com", "ada@\u{feff}example.com"]
        {
            assert_eq!(refusal(text), EmailAddressError::InvisibleCharacter, "{text:?}");
        }
    }

    #[test]
    fn what_is_kept_of_an_address_is_an_address() {
        // U+0958 is composed of two characters, which are twice as long.
        let grown = "a@".to_owned() + &"\u{958}".repeat(84);
        for text in ["x\u{300}@b.example", "I\u{307}@b.example", " \u{200b}a@BÜCHER.example", "ta..ro@x.jp", &grown] {
            if let Ok(address) = EmailAddress::parse(text) {
                let again = EmailAddress::parse(address.as_str()).unwrap();
                assert_eq!((again.as_str(), again.normalized()), (address.as_str(), address.normalized()));
                assert_eq!(normalized(address.normalized()), address.normalized());
            }
        }
        let name = "\u{958}".repeat(10);
        let domain = format!("{}.{}.{}.example", "a".repeat(63), "b".repeat(63), "c".repeat(63));
        assert!(EmailAddress::parse(&format!("{name}@{domain}")).is_err(), "is longer than 254 bytes once composed");
    }

    #[test]
    fn an_address_in_ascii_is_no_other_address() {
        assert_eq!(in_ascii("Ada+x@Example.com"), "Ada+x@Example.com");
        assert_eq!(in_ascii("дима@example.com"), "%D0%B4%D0%B8%D0%BC%D0%B0@example.com");
        assert_eq!(in_ascii("%D0%B4@example.com"), "%25D0%25B4@example.com");
        assert_eq!(in_ascii("a@BÜCHER.example"), "a@xn--bcher-kva.example");
    }

    #[test]
    fn a_search_begins_as_addresses_are_compared() {
        for (text, prefix) in [
            ("Ada@Exa", "ada@exa"),
            ("Rene\u{301}", "ren\u{e9}"),
            ("a@müller.de", "a@xn--mller-kva.de"),
            ("a@MÜLLER.d", "a@xn--mller-kva.d"),
            ("a@xn--mller-kva.de", "a@xn--mller-kva.de"),
            ("a@", "a@"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(normalized_prefix(text), prefix, "{text}");
        }
    }

    #[test]
    fn a_name_is_no_longer_than_servers_take_it_with_its_quotes() {
        assert!(EmailAddress::parse(&format!("{}@example.com", "n".repeat(64))).is_ok());
        assert_eq!(refusal(&format!("{}@example.com", "n".repeat(65))), EmailAddressError::Invalid);
        assert!(EmailAddress::parse(&format!("{}.@example.com", "n".repeat(61))).is_ok());
        assert_eq!(refusal(&format!("{}.@example.com", "n".repeat(62))), EmailAddressError::Invalid);
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
