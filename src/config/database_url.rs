//! The forms of `DATABASE_URL`.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Database;
use super::parse::Parsed;
use super::postgres_url::PostgresUrl;
use super::settings::EMBEDDED;

/// Parses `DATABASE_URL`. Errors describe the form of the URL and never show the URL, which can contain a password.
pub(super) fn parse(text: &str, data_dir: &Path, schema: &str) -> Parsed<Database> {
    if text == EMBEDDED {
        return Ok(embedded(data_dir));
    }
    if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
        return sqlite(path);
    }
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) if is_postgres(rest) => {
            PostgresUrl::parse(text, |_| None)?;
            Ok(Database::Postgres { url: Zeroizing::new(text.to_owned()), schema: schema.to_owned() })
        }
        Some(("postgres" | "postgresql", _)) => {
            Err("must be postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special \
                                                     characters of the password percent-encoded"
                .to_owned())
        }
        _ => Err("must begin with postgres://, postgresql:// or sqlite:, or be embedded".to_owned()),
    }
}

/// Returns the embedded database in `data_dir`.
pub(super) fn embedded(data_dir: &Path) -> Database {
    Database::Sqlite { path: data_dir.join("keyturn.db") }
}

/// Parses the path of a database file. Each connection to `:memory:` would have a database of its own, and SQLite would
/// treat the parameters of a URL as a part of the file name.
fn sqlite(path: &str) -> Parsed<Database> {
    if path.is_empty() || path.starts_with(':') || path.starts_with("file:") || path.contains('?') {
        return Err("must name a file after sqlite:, without parameters".to_owned());
    }
    Ok(Database::Sqlite { path: PathBuf::from(path) })
}

/// Returns whether the part of a URL after its scheme is well-formed. Otherwise a part of the password would be taken
/// for the host, if a character that is not percent-encoded seems to have ended the password.
fn is_postgres(rest: &str) -> bool {
    let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    let (credentials, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let is_delimited = !rest.contains('#') && ![hosts, path, query].concat().contains('@');
    let has_values = query.is_empty() || query.split('&').all(|parameter| parameter.contains('='));
    !rest.is_empty()
        && is_delimited
        && has_values
        && !credentials.starts_with(':')
        && hosts.split(',').all(is_host)
        && is_percent_encoded(rest)
}

/// Returns whether `text` is `HOST`, `HOST:PORT`, `[IPV6]:PORT` or nothing.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((v6, rest)) if !v6.is_empty() && (rest.is_empty() || rest.starts_with(':')) => ("", rest),
            _ => return false,
        },
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    !host.contains(['[', ']'])
        && port.chars().all(|c| c.is_ascii_digit())
        && (port.is_empty() || port.parse::<u16>().is_ok())
}

/// Returns whether every `%` begins the code of a byte other than NUL.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let code = after.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        code.is_some_and(|code| code != "00")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parsed<Database> {
        super::parse(text, Path::new("data"), "keyturn")
    }

    #[test]
    fn every_form_that_postgresql_knows_is_accepted() {
        for url in [
            "postgres://keyturn@db.example/keyturn",
            "postgres://keyturn:p%25ss%2Fw%40rd:more@db.example:5432/keyturn?sslmode=require&connect_timeout=5",
            "postgresql://%2Frun%2Fpg/k",
            "postgresql:///k?host=/run/postgresql&user=keyturn",
            "postgres://a:1,b:2,c/k",
            "postgres://u:p@[::1]:5432,[fe80::1]/k",
            "postgres://u:p@localhost:/k",
            "postgres://u:@localhost",
        ] {
            assert!(matches!(parse(url), Ok(Database::Postgres { .. })), "{url}");
        }
    }

    #[test]
    fn a_password_that_is_not_percent_encoded_is_refused_and_not_shown() {
        for password in ["hid%zden", "hid%zzden", "hid%", "hid%0", "hid%00", "hid/den", "hid?den", "hid#den", "hid@den"]
        {
            for rest in ["db.example:5432/keyturn", "[::1]/keyturn?sslmode=require", "db.example"] {
                let error = parse(&format!("postgres://keyturn:{password}@{rest}")).err();
                let error = error.unwrap_or_else(|| panic!("{password}@{rest} was accepted"));
                assert!(error.starts_with("must be postgres://USER:PASSWORD@") && !error.contains("hid"), "{error}");
            }
        }
        for wrong in [
            "postgres://hidden:x",
            "postgres://[hidden",
            "postgres://:hidden@db",
            "postgres://db/k?hidden",
            "postgres://a:99999",
        ] {
            assert!(parse(wrong).err().is_some_and(|error| !error.contains("hidden")), "{wrong}");
        }
    }
}
