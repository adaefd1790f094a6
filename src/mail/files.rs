//! Writes emails to files, for servers without a mail server.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::types::{EmailId, Timestamp};

/// Writes a message to a file in `folder` and returns its path. The file is created atomically and readable by its
/// owner only, because it may contain a one-time token. A message that is written again replaces the file. Blocks.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write(
    folder: &Path,
    id: EmailId,
    kind: &str,
    written_at: Timestamp,
    message: &[u8],
) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Names sort by time. Some file systems do not allow colons.
    let name = format!("{}-{kind}-{id}.eml", written_at.to_string().replace(':', "-"));
    let path = folder.join(&name);
    let unfinished = folder.join(format!(".{name}"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(message)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, &path)?;
    Ok(path)
}
