//! The password file (`~/.pgpass`), and who and where the user of this process is.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::postgres_url::Host;

/// The name of a local server in the file.
const LOCAL: &str = "localhost";

/// Bits of a mode by which others than the owner can read or write a file.
const OTHERS: u32 = 0o077;

/// Returns the password for a server and database, from the file at `path` or in the home directory. A file that others
/// can read is ignored, as by PostgreSQL's own programs, and a warning says so.
pub(super) fn find(path: Option<&Path>, host: &Host, database: &str, user: &str) -> Option<Zeroizing<String>> {
    let path = path.map_or_else(|| home().map(|home| home.join(".pgpass")), |path| Some(path.to_owned()))?;
    let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
    if metadata.mode() & OTHERS != 0 {
        tracing::warn!("the password file {} is ignored: others than its owner can read it", path.display());
        return None;
    }
    let file = Zeroizing::new(std::fs::read_to_string(path).ok()?);
    password_in(&file, host, database, user)
}

/// Checks that a password file can be used.
///
/// # Errors
/// It cannot be read, or others can read it.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let unusable = |reason: String| format!("password file \"{}\" cannot be used: {reason}", path.display());
    let metadata = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    if metadata.mode() & OTHERS != 0 {
        return Err(unusable("others than its owner can read it: chmod 0600".to_owned()));
    }
    std::fs::read_to_string(path).map(Zeroizing::new).map(drop).map_err(|error| unusable(error.to_string()))
}

fn password_in(file: &str, host: &Host, database: &str, user: &str) -> Option<Zeroizing<String>> {
    let address = host.address.map(|address| address.to_string()).unwrap_or_default();
    let name = match &*host.name {
        "" if host.address.is_some() => &address,
        "" => LOCAL,
        name => name,
    };
    let wanted = [name, &host.port.to_string(), database, user];
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.map(fields).find_map(|fields| match fields.as_slice() {
        [parts @ .., password] if parts.len() == wanted.len() => {
            let is_right =
                parts.iter().zip(wanted).all(|(part, wanted)| part.as_str() == "*" || part.as_str() == wanted);
            is_right.then(|| password.clone())
        }
        _ => None,
    })
}

/// Splits a line at its first four colons. A backslash takes the next character as it is.
fn fields(line: &str) -> Vec<Zeroizing<String>> {
    let mut fields = vec![Zeroizing::new(String::new())];
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let count = fields.len();
        match (c, fields.last_mut()) {
            (':', _) if count < 5 => fields.push(Zeroizing::default()),
            ('\\', Some(field)) => field.extend(characters.next()),
            (c, Some(field)) => field.push(c),
            (_, None) => {}
        }
    }
    fields
}

/// Returns the home directory of the user of this process.
pub(super) fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Returns the name of the user of this process.
pub(super) fn system_user() -> Option<String> {
    let of_id = || {
        let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == id).then(|| name.to_owned())
        })
    };
    of_id().or_else(|| ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_has_the_password() {
        let file =
            "# a comment\nother:*:*:*:wrong\ndb.example:5433:*:*:wrong\n*:5432:keyturn:kt:a\\:b\\\\c:d\n*:*:*:*:last";
        let find = |name: &str, port, database| {
            let host = Host { name: name.to_owned(), address: None, port };
            password_in(file, &host, database, "kt").map(|password| password.to_string())
        };
        assert_eq!(find("db.example", 5432, "keyturn").as_deref(), Some("a:b\\c:d"));
        assert_eq!(find("db.example", 5432, "other").as_deref(), Some("last"));
        let local = Host { name: String::new(), address: None, port: 1 };
        assert_eq!(
            password_in("localhost:1:*:*:p", &local, "d", "u").map(|password| password.to_string()).as_deref(),
            Some("p")
        );
        let numbered = Host { address: Some([10, 0, 0, 1].into()), ..local };
        assert!(password_in("10.0.0.1:1:*:*:p", &numbered, "d", "u").is_some());
        assert!(password_in("localhost:1:*:*:p", &numbered, "d", "u").is_none());
    }
}
