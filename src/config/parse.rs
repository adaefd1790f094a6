//! Parses the values of settings. An error completes the sentence that begins with the name of the setting, such as
//! "must be true or false", and never shows a text that can contain a password.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use lettre::Address;
use lettre::message::Mailbox;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;

use super::{AllowedOrigin, Argon2Cost, ProfileClaims};
use crate::secret::MasterSecret;
use crate::types::text::is_invisible;
use crate::types::{Algorithm, Rate, ascii_domain};

/// A parsed value, or what is wrong with the text.
pub(super) type Parsed<T> = Result<T, String>;

/// Returns a parser of whole numbers within `range`.
pub(super) fn number<T: FromStr + PartialOrd + Display>(range: RangeInclusive<T>) -> impl Fn(&str) -> Parsed<T> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// Returns a parser of whole seconds within `range`.
pub(super) fn seconds(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Duration> {
    let number = number(range);
    move |text| number(text).map(Duration::from_secs).map_err(|error| format!("{error}, in seconds"))
}

/// Returns a parser of whole milliseconds within `range`.
pub(super) fn milliseconds(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Duration> {
    let number = number(range);
    move |text| number(text).map(Duration::from_millis).map_err(|error| format!("{error}, in milliseconds"))
}

/// Returns a parser of whole seconds within `range`, or `off`.
pub(super) fn seconds_or_off(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Option<Duration>> {
    let seconds = seconds(range);
    move |text| match text {
        "off" => Ok(None),
        text => seconds(text).map(Some).map_err(|error| format!("{error}, or off")),
    }
}

/// Parses the path of a file that can be opened.
pub(super) fn readable_file(text: &str) -> Parsed<PathBuf> {
    std::fs::File::open(text).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(PathBuf::from(text))
}

/// Parses the path of a directory that can be listed.
pub(super) fn folder(text: &str) -> Parsed<PathBuf> {
    std::fs::read_dir(text).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(PathBuf::from(text))
}

/// Parses an email address with or without a display name, which may have quotes. The domain becomes that of the DNS.
pub(super) fn mailbox(text: &str) -> Parsed<Mailbox> {
    let malformed = || {
        "must be an email address, or a name and an email address in angle brackets; a name with quotation marks, @ or \
         angle brackets needs quotes around it: \"Us @ Example\" <us@example.com>"
            .to_owned()
    };
    let text = text.trim();
    let bracketed = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
    let (name, address) = bracketed.unwrap_or(("", text));
    let name = display_name(name.trim()).ok_or_else(malformed)?;
    let (user, domain) = address.rsplit_once('@').ok_or_else(malformed)?;
    if !user.is_ascii() {
        return Err(
            "must have an address with nothing outside ASCII before the @, because few mail servers take it from \
                    a sender"
                .to_owned(),
        );
    }
    let is_literal = domain.starts_with('[');
    let domain = if is_literal { domain.to_owned() } else { ascii_domain(domain).ok_or_else(malformed)? };
    let address = Address::new(user, domain).map_err(|_| malformed())?;
    Ok(Mailbox::new(Some(name).filter(|name| !name.is_empty()), address))
}

/// Returns the text of a display name (RFC 5322 §3.4), with or without quotes around it; `None` if it is malformed.
fn display_name(text: &str) -> Option<String> {
    if text.chars().any(|c| c.is_control() || is_invisible(c)) {
        return None;
    }
    let Some(quoted) = text.strip_prefix('"') else {
        return (!text.contains(['"', '<', '>', '@'])).then(|| text.to_owned());
    };
    let mut name = String::new();
    let mut characters = quoted.strip_suffix('"')?.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => return None,
            '\\' => name.push(characters.next()?),
            c => name.push(c),
        }
    }
    Some(name)
}

/// Parses the value of a claim.
pub(super) fn claim(text: &str) -> Parsed<String> {
    let is_valid = text.len() <= 255 && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    is_valid.then(|| text.to_owned()).ok_or_else(|| "must be at most 255 bytes without spaces".to_owned())
}

/// Parses the master secret.
pub(super) fn secret(text: &str) -> Parsed<MasterSecret> {
    MasterSecret::parse(text).map_err(|error| error.to_string())
}

/// Parses a signature algorithm.
pub(super) fn algorithm(text: &str) -> Parsed<Algorithm> {
    Algorithm::parse(text).ok_or_else(|| format!("must be one of {}", Algorithm::ALL.map(Algorithm::name).join(", ")))
}

/// Parses a list of different algorithms whose keys can be published.
pub(super) fn public_algorithms(text: &str) -> Parsed<Vec<Algorithm>> {
    let algorithms = list(text, |name| {
        let parsed = Algorithm::parse(name).filter(|algorithm| *algorithm != Algorithm::Hs256);
        parsed.ok_or_else(|| format!("must be algorithms with public keys, ES256, EdDSA or RS256; {name:?} is not"))
    })?;
    let is_repeated = |algorithm| algorithms.iter().filter(|other| **other == algorithm).count() > 1;
    if algorithms.iter().copied().any(is_repeated) {
        return Err("must not name an algorithm twice".to_owned());
    }
    Ok(algorithms)
}

/// Parses `true` or `false`.
pub(super) fn boolean(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

/// Parses `required` or `off`.
pub(super) fn required_or_off(text: &str) -> Parsed<bool> {
    match text {
        "required" => Ok(true),
        "off" => Ok(false),
        _ => Err("must be off or required".to_owned()),
    }
}

/// Parses `open` or `closed`.
pub(super) fn registration(text: &str) -> Parsed<bool> {
    match text {
        "open" | "true" => Ok(true),
        "closed" | "false" => Ok(false),
        _ => Err("must be open or closed".to_owned()),
    }
}

/// Parses a list of claims of an account's profile.
pub(super) fn profile_claims(text: &str) -> Parsed<ProfileClaims> {
    let mut claims = ProfileClaims::default();
    for name in text.split(',').map(str::trim) {
        match name {
            "email" => claims.email = true,
            "name" => claims.name = true,
            _ => return Err("must be a list of email and name".to_owned()),
        }
    }
    Ok(claims)
}

/// Parses an IP address and a port.
pub(super) fn bind(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "must be an IP address and a port".to_owned())
}

/// Parses the name of a schema. It needs no quotes in SQL and is not one of Postgres' own.
pub(super) fn schema(text: &str) -> Parsed<String> {
    let is_name = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let is_valid = is_name && text.len() <= 63 && !text.starts_with(|c: char| c.is_ascii_digit());
    if text == "information_schema" || text.starts_with("pg_") {
        return Err("must not be a schema of Postgres' own: information_schema, or one that begins with pg_".to_owned());
    }
    if !is_valid {
        return Err("must be up to 63 lower-case letters, digits and underscores, beginning with no digit".to_owned());
    }
    Ok(text.to_owned())
}

/// Parses the prefix of keys in Redis. Braces are not allowed, because they would determine the hash slot of a Redis
/// Cluster, which the ids of sessions must determine.
pub(super) fn redis_prefix(text: &str) -> Parsed<String> {
    let is_valid = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    is_valid.then(|| text.to_owned()).ok_or_else(|| "must be at most 64 letters, digits, or -_.:".to_owned())
}

/// Parses the cost of a password hash.
pub(super) fn argon2(text: &str) -> Parsed<Argon2Cost> {
    const FORM: &str = "must be m=KIB,t=PASSES,p=LANES with m from 7168 to 262144, t from 1 to 8 and p from 1 to 16";
    let field = |name: &str, range: RangeInclusive<u32>| {
        let mut values = text.split(',').filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        number(range)(values.next().unwrap_or_default()).map_err(|_| FORM.to_owned())
    };
    if text.split(',').count() != 3 {
        return Err(FORM.to_owned());
    }
    Ok(Argon2Cost { memory_kib: field("m", 7168..=262_144)?, passes: field("t", 1..=8)?, lanes: field("p", 1..=16)? })
}

/// Parses a rate, `COUNT/SECONDS`, or `off` for no limit.
pub(super) fn rate(text: &str) -> Parsed<Option<Rate>> {
    if matches!(text, "off" | "false") {
        return Ok(None);
    }
    let rate = text.split_once('/').and_then(|(count, period)| {
        let burst = NonZeroU32::new(number(1..=1_000_000)(count.trim()).ok()?)?;
        Some(Rate { burst, period: seconds(1..=86_400)(period.trim()).ok()? })
    });
    rate.map(Some).ok_or_else(|| "must be COUNT/SECONDS, at most 1000000/86400, or off".to_owned())
}

/// Parses the URL at which users reach the server.
pub(super) fn public_url(text: &str) -> Parsed<Url> {
    let url = web_url(text).ok_or("must be an http or https URL without credentials, query or fragment")?;
    // It would end the attribute `Path` of a cookie.
    if url.path().contains(';') { Err("must not contain a semicolon".to_owned()) } else { Ok(url) }
}

/// Parses the URL of a page of a login, which may have a query.
pub(super) fn login_url(text: &str) -> Parsed<Url> {
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let plain = parsed.filter(|url| url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    plain.ok_or("must be an http or https URL without credentials or fragment".to_owned())
}

/// Parses an http or https URL without credentials, query and fragment.
pub(super) fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().or(url.fragment()).is_none();
    (plain && matches!(url.scheme(), "http" | "https")).then_some(url)
}

/// Parses a list of origins.
pub(super) fn origins(text: &str) -> Parsed<Vec<AllowedOrigin>> {
    list(text, AllowedOrigin::parse)
}

/// Parses a list of IP addresses and networks.
pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    list(text, |network| {
        let parsed = network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
        let parsed = parsed.map_err(|_| format!("must be IP addresses or networks; {network:?} is neither"))?;
        if parsed.prefix_len() == 0 {
            return Err(format!("must not contain {network}: every client could claim any IP address"));
        }
        Ok(parsed.trunc())
    })
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(parse).collect()
}

/// Parses a filter of the crate tracing. A single word must be a level: tracing would accept `inof` as the name of a
/// module, and the server would log nothing.
pub(super) fn log(text: &str) -> Parsed<String> {
    let is_level = |word: &str| word.contains(['=', '[']) || word.trim().parse::<LevelFilter>().is_ok();
    if EnvFilter::try_new(text).is_err() || !text.split(',').all(is_level) {
        return Err("must be a level (off, error, warn, info, debug, trace) or a list of module=level".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_any_name_and_a_domain_of_the_dns() {
        for (given, name, address) in [
            ("Acme, Inc. <us@acme.example>", "Acme, Inc.", "us@acme.example"),
            ("\"Acme, \\\"Inc.\\\"\" <us@acme.example>", "Acme, \"Inc.\"", "us@acme.example"),
            ("ACME (Support): Größe <us@MÜLLER.de>", "ACME (Support): Größe", "us@xn--mller-kva.de"),
            ("\"Us @ Acme\" <us@acme.example>", "Us @ Acme", "us@acme.example"),
            ("<us@acme.example>", "", "us@acme.example"),
            ("us@[192.0.2.1]", "", "us@[192.0.2.1]"),
        ] {
            let mailbox = mailbox(given).unwrap();
            assert_eq!((mailbox.name.as_deref().unwrap_or_default(), mailbox.email.as_ref()), (name, address));
        }
    }

    #[test]
    fn a_sender_that_is_not_clear_is_refused_and_told_of_quotes() {
        for wrong in [
            "Us @ Acme <us@acme.example>",
            "A <a@x.example>, B <b@x.example>",
            "\"Acme <us@acme.example>",
            "A\u{200b}cme <us@acme.example>",
            "Us <us@ex ample.de>",
        ] {
            assert!(mailbox(wrong).unwrap_err().contains("quotes"), "{wrong}");
        }
        assert!(mailbox("größe@acme.example").unwrap_err().contains("outside ASCII"));
    }
}
