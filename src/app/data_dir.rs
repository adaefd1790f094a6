//! The folder of the data, as far as a server needs it.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::config::{Config, Database};
use crate::random::Random;

/// Checks that the server can write to `DATA_DIR`, or create it, if it writes anything there: the embedded database, or
/// emails where there is no mail server.
///
/// # Errors
/// It cannot. The text names the folder.
pub(super) fn check(config: &Config) -> Result<(), String> {
    let is_used = matches!(config.database, Database::Sqlite { .. }) || config.mail.relay.is_none();
    if !is_used {
        return Ok(());
    }
    let folder = &config.data_dir;
    let verb = if folder.exists() { "written to" } else { "created" };
    probe(nearest(folder)).map_err(|error| format!("{} cannot be {verb}: {error}", folder.display()))
}

/// Returns the folder itself, or the nearest one above it that exists.
fn nearest(folder: &Path) -> &Path {
    let found = folder.ancestors().find(|path| !path.as_os_str().is_empty() && is_there(path));
    // A relative path is below the folder in which the program runs.
    found.unwrap_or_else(|| Path::new("."))
}

/// Returns whether something is there, be it no folder or one that cannot be looked into.
fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Creates a file in a folder and deletes it.
fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".keyturn-{:016x}", u64::from_be_bytes(Random.bytes())));
    OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(path)
}
