//! The forms of `SMTP_URL`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::{Host, Url, form_urlencoded};
use zeroize::Zeroizing;

use super::parse::Parsed;
use super::{Encryption, Relay};

/// Parses `SMTP_URL`. Errors describe the form of the URL and never show the URL, which can contain a password.
pub(super) fn parse(text: &str, public_url: &Url) -> Parsed<Relay> {
    const FORM: &str = "must be smtps://USER:PASSWORD@HOST:PORT or smtp://USER:PASSWORD@HOST:PORT?tls=required, \
                        with special characters of the password percent-encoded";
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(scheme, Some("smtp" | "smtps")) {
        return Err("must begin with smtps:// or smtp://".to_owned());
    }
    let url = Url::parse(text).ok().filter(|url| url.has_host() && url.fragment().is_none()).ok_or(FORM)?;
    let (encryption, is_explicit) = encryption(&url)?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(FORM)?.trim_matches(['[', ']']).to_owned();
    let credentials = credentials(&url).map_err(|()| FORM)?;
    if credentials.is_some() && encryption == Encryption::None && !is_explicit {
        return Err("would send the password unencrypted: add ?tls=required, or ?tls=none to allow it".to_owned());
    }
    let default_port = match encryption {
        Encryption::None => 25,
        Encryption::Opportunistic | Encryption::Required => 587,
        Encryption::Implicit => 465,
    };
    let hello = match url.path().trim_matches('/') {
        "" => default_hello(public_url),
        name if name.chars().all(|c| c.is_ascii_alphanumeric() || "-.:[]".contains(c)) => name.to_owned(),
        _ => return Err("must have only a host name for EHLO after the slash".to_owned()),
    };
    Ok(Relay { host, port: url.port().unwrap_or(default_port), encryption, credentials, hello, ca_file: None })
}

/// Returns the encryption, and whether the URL states it explicitly.
fn encryption(url: &Url) -> Parsed<(Encryption, bool)> {
    const FORM: &str =
        "must have at most the parameter tls=required, tls=opportunistic or tls=none, and none with smtps";
    let parameters: Vec<_> = form_urlencoded::parse(url.query().unwrap_or_default().as_bytes()).collect();
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
    match (url.scheme(), parameters.as_slice()) {
        ("smtps", []) => Ok((Encryption::Implicit, true)),
        ("smtp", []) => Ok((Encryption::None, false)),
        ("smtp", [("tls", "none")]) => Ok((Encryption::None, true)),
        ("smtp", [("tls", "opportunistic")]) => Ok((Encryption::Opportunistic, true)),
        ("smtp", [("tls", "required")]) => Ok((Encryption::Required, true)),
        _ => Err(FORM.to_owned()),
    }
}

fn credentials(url: &Url) -> Result<Option<(String, Zeroizing<String>)>, ()> {
    let decoded = |text| percent_decode_str(text).decode_utf8().map(Cow::into_owned).map_err(|_| ());
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(()),
        (user, Some(password)) => Ok(Some((decoded(user)?, Zeroizing::new(decoded(password)?)))),
    }
}

/// Returns the host of `PUBLIC_URL`, with an IP address as an address literal (RFC 5321 §4.1.3).
fn default_hello(public_url: &Url) -> String {
    match public_url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(ip)) => format!("[{ip}]"),
        Some(Host::Ipv6(ip)) => format!("[IPv6:{ip}]"),
        None => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parsed<Relay> {
        parse(text, &Url::parse("https://auth.example/base").unwrap())
    }

    #[test]
    fn each_form_has_its_port_and_encryption() {
        for (text, port, encryption) in [
            ("smtp://mail.example", 25, Encryption::None),
            ("smtp://mail.example:2525", 2525, Encryption::None),
            ("smtp://mail.example?tls=none", 25, Encryption::None),
            ("smtp://mail.example?tls=opportunistic", 587, Encryption::Opportunistic),
            ("smtp://mail.example?tls=required", 587, Encryption::Required),
            ("smtps://mail.example", 465, Encryption::Implicit),
        ] {
            let relay = read(text).unwrap();
            assert_eq!((&*relay.host, relay.port, relay.encryption), ("mail.example", port, encryption), "{text}");
            assert!(relay.credentials.is_none() && relay.hello == "auth.example", "{text}");
        }
        assert_eq!(read("smtp://[::1]:2525").unwrap().host, "::1");
        assert_eq!(read("smtps://mail.example/host.example").unwrap().hello, "host.example");
    }

    #[test]
    fn credentials_are_decoded_and_sent_unencrypted_only_if_the_url_says_so() {
        let relay = read("smtps://me%40example.com:p%2Fs+s%26=@mail.example").unwrap();
        let (user, password) = relay.credentials.unwrap();
        assert_eq!((&*user, password.as_str()), ("me@example.com", "p/s+s&="));
        for host in ["mail.example", "localhost", "127.0.0.1", "[::1]"] {
            assert!(read(&format!("smtp://me:hidden@{host}")).err().unwrap().contains("unencrypted"), "{host}");
            for url in [format!("smtp://me:pass@{host}?tls=none"), format!("smtp://me:pass@{host}?tls=opportunistic")] {
                assert!(read(&url).unwrap().credentials.is_some(), "{url}");
            }
        }
    }

    #[test]
    fn an_error_does_not_show_the_password() {
        for wrong in [
            "mail.example:hidden",
            "http://me:hidden@mail.example",
            "smtp://",
            "smtp://me:hid#den@mail.example",
            "smtps://hidden@mail.example",
            "smtps://:hidden@mail.example",
            "smtps://me:hid/den@mail.example",
            "smtps://me:%ff@mail.example",
            "smtps://mail.example?tls=required",
            "smtp://mail.example?tls=maybe",
            "smtp://mail.example?tls=required&hidden=1",
            "smtps://mail.example/two words",
        ] {
            let error = read(wrong).err().unwrap_or_else(|| panic!("{wrong} was accepted"));
            assert!(error.starts_with("must ") && !error.contains("hid"), "{wrong}: {error}");
        }
    }
}
