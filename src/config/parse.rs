//! From a text to the type of its setting. An error says what the text must be, as the end of the sentence "NAME …",
//! and never repeats a text that may hold a password.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use lettre::message::Mailbox;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use url::Url;
use zeroize::Zeroizing;

use super::{Algorithm, Argon2Cost, Database, Rate};
use crate::secret::MasterSecret;

pub type Parsed<T> = Result<T, String>;

/// A parser of whole numbers within `range`.
pub fn number<T: FromStr + PartialOrd + Display>(range: RangeInclusive<T>) -> impl Fn(&str) -> Parsed<T> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A parser of whole seconds within `range`.
pub fn seconds(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Duration> {
    let number = number(range);
    move |text| number(text).map(Duration::from_secs).map_err(|wrong| format!("{wrong}, in seconds"))
}

pub fn readable_file(text: &str) -> Parsed<PathBuf> {
    std::fs::File::open(text).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(PathBuf::from(text))
}

pub fn folder(text: &str) -> Parsed<PathBuf> {
    std::fs::read_dir(text).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(PathBuf::from(text))
}

/// A sender of mails, with or without a name before the address.
pub fn mailbox(text: &str) -> Parsed<Mailbox> {
    let mailbox = text.parse::<Mailbox>().ok().filter(|_| !text.chars().any(char::is_control));
    mailbox.ok_or_else(|| "must be a mail address, or a name and an address in angle brackets".to_owned())
}

/// A name that stands in a claim of every token.
pub fn claim(text: &str) -> Parsed<String> {
    let sane = text.len() <= 255 && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    sane.then(|| text.to_owned()).ok_or_else(|| "must be at most 255 bytes without spaces".to_owned())
}

pub fn secret(text: &str) -> Parsed<MasterSecret> {
    MasterSecret::parse(text).ok_or_else(|| format!("must have at least {} characters", MasterSecret::MIN_LENGTH))
}

pub fn algorithm(text: &str) -> Parsed<Algorithm> {
    Algorithm::parse(text).ok_or_else(|| format!("must be one of {}", Algorithm::ALL.map(Algorithm::name).join(", ")))
}

pub fn switch(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| "must be true or false".to_owned())
}

pub fn registration(text: &str) -> Parsed<bool> {
    match text {
        "open" | "true" => Ok(true),
        "closed" | "false" => Ok(false),
        _ => Err("must be open or closed".to_owned()),
    }
}

pub fn bind(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "must be an IP address and a port".to_owned())
}

pub fn database(text: &str) -> Parsed<Database> {
    if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
        return sqlite(path);
    }
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => {
            Ok(Database::Postgres { url: Zeroizing::new(text.to_owned()) })
        }
        _ => Err("must begin with postgres://, postgresql:// or sqlite:".to_owned()),
    }
}

/// Only the path of a file: each connection to `:memory:` would see a database of its own, and SQLite would take the
/// parameters of a URL for a part of the file's name.
fn sqlite(path: &str) -> Parsed<Database> {
    if path.is_empty() || path.starts_with(':') || path.starts_with("file:") || path.contains('?') {
        return Err("must name a file after sqlite:, without parameters".to_owned());
    }
    Ok(Database::Sqlite { path: PathBuf::from(path) })
}

/// Braces would choose the hash slot of a Redis cluster, which the ids of sessions must choose.
pub fn redis_prefix(text: &str) -> Parsed<String> {
    let sane = text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
    sane.then(|| text.to_owned()).ok_or_else(|| "must be at most 64 letters, digits, or -_.:".to_owned())
}

pub fn argon2(text: &str) -> Parsed<Argon2Cost> {
    const WRONG: &str = "must be m=KIB,t=PASSES,p=LANES with m from 7168 to 262144, t from 1 to 8 and p from 1 to 16";
    let field = |name: &str, range: RangeInclusive<u32>| {
        let mut values = text.split(',').filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        number(range)(values.next().unwrap_or_default()).map_err(|_| WRONG.to_owned())
    };
    if text.split(',').count() != 3 {
        return Err(WRONG.to_owned());
    }
    Ok(Argon2Cost { memory_kib: field("m", 7168..=262_144)?, passes: field("t", 1..=8)?, lanes: field("p", 1..=16)? })
}

/// `COUNT/SECONDS`, or `off` for no limit.
pub fn rate(text: &str) -> Parsed<Option<Rate>> {
    if matches!(text, "off" | "false") {
        return Ok(None);
    }
    let rate = text.split_once('/').and_then(|(count, period)| {
        let burst = NonZeroU32::new(number(1..=1_000_000)(count.trim()).ok()?)?;
        Some(Rate { burst, period: seconds(1..=86_400)(period.trim()).ok()? })
    });
    rate.map(Some).ok_or_else(|| "must be COUNT/SECONDS, at most 1000000/86400, or off".to_owned())
}

pub fn public_url(text: &str) -> Parsed<Url> {
    web_url(text).ok_or_else(|| "must be an http or https URL without credentials, query or fragment".to_owned())
}

fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.query().or(url.fragment()).is_none();
    (plain && matches!(url.scheme(), "http" | "https")).then_some(url)
}

pub fn origins(text: &str) -> Parsed<Vec<String>> {
    list(text, |origin| {
        if origin.contains('*') {
            return Err("must name each origin: * would let every website act with its visitors' cookies".to_owned());
        }
        let url = web_url(origin).filter(|url| url.path() == "/");
        url.map(|url| url.origin().ascii_serialization())
            .ok_or_else(|| format!("must be origins such as https://app.example, and {origin:?} is none"))
    })
}

pub fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    list(text, |network| {
        let parsed = network.parse::<IpNet>().or_else(|_| network.parse::<IpAddr>().map(IpNet::from));
        let parsed = parsed.map_err(|_| format!("must be addresses or networks, and {network:?} is neither"))?;
        if parsed.prefix_len() == 0 {
            return Err(format!("must not hold {network}: every client could claim any address"));
        }
        Ok(parsed.trunc())
    })
}

fn list<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    text.split(',').map(str::trim).filter(|element| !element.is_empty()).map(parse).collect()
}

/// A filter of the tracing crate. A bare word must be a level: tracing would take `inof` for the name of a module,
/// and a server that logs nothing would be noticed late.
pub fn log(text: &str) -> Parsed<String> {
    let is_level = |word: &str| word.contains(['=', '[']) || word.trim().parse::<LevelFilter>().is_ok();
    if EnvFilter::try_new(text).is_err() || !text.split(',').all(is_level) {
        return Err("must be a level (off, error, warn, info, debug, trace) or a list of module=level".to_owned());
    }
    Ok(text.to_owned())
}
