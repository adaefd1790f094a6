//! Mails as files, for a server that has no mail server.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;
use crate::db::types::MailId;

/// Writes a message into `folder` and answers the file's path. Nobody sees half of it, and nobody but the owner any of
/// it: it may hold a one-time token. Written twice, it is one file. Blocks.
pub fn write(folder: &Path, id: MailId, kind: &str, written_at: Timestamp, message: &[u8]) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Names sort by time; a colon is not for every file system.
    let name = format!("{}-{kind}-{id}.eml", written_at.to_string().replace(':', "-"));
    let (path, unfinished) = (folder.join(&name), folder.join(format!(".{name}")));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(message)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, &path)?;
    Ok(path)
}
