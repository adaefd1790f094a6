//! Basic authentication of clients (RFC 6749 §2.3.1, RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// The id and secret of a client.
pub(crate) struct ClientCredentials {
    /// The id.
    pub id: String,
    /// The secret.
    pub secret: Zeroizing<String>,
}

impl ClientCredentials {
    /// Parses what follows the scheme of an `Authorization` header: base64 of id and secret, each encoded as in a form.
    /// Returns `None` if it is anything else.
    pub(crate) fn parse(encoded: &str) -> Option<Self> {
        let bytes = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
        let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
        Some(Self { id: form_decoded(id)?, secret: Zeroizing::new(form_decoded(secret)?) })
    }
}

/// Decodes one value of a form. Returns `None` if it is not UTF-8 or has a control character.
fn form_decoded(text: &str) -> Option<String> {
    let with_spaces = text.replace('+', " ");
    let decoded = percent_decode_str(&with_spaces).decode_utf8().ok()?;
    (!decoded.chars().any(char::is_control)).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, String)> {
        let credentials = ClientCredentials::parse(&STANDARD.encode(text))?;
        Some((credentials.id, credentials.secret.to_string()))
    }

    #[test]
    fn id_and_secret_are_encoded_as_in_a_form() {
        for (text, id, secret) in [
            ("a-b:c_d", "a-b", "c_d"),
            ("a%2Db:c%5Fd", "a-b", "c_d"),
            ("a+b:c%2Bd", "a b", "c+d"),
            ("a%3Ab:c:d", "a:b", "c:d"),
            ("a:", "a", ""),
            ("%C3%A9:x", "é", "x"),
        ] {
            assert_eq!(parsed(text), Some((id.to_owned(), secret.to_owned())), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_credential() {
        for text in ["", "a", "a%00:b", "a:b\n", "%FF:b"] {
            assert_eq!(parsed(text), None, "{text}");
        }
        for encoded in ["", "!", "YTpi=YQ", "a:b"] {
            assert!(ClientCredentials::parse(encoded).is_none(), "{encoded}");
        }
    }
}
