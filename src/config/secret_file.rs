//! The secret of an embedded server: generated once, kept in a file that only its owner reads.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::random::Random;
use crate::secret::MasterSecret;

pub fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("jwt_secret")
}

/// The secret kept in `data_dir`; `None` when there is none yet. A file that holds no secret is an error, since a new
/// one would open nothing that was sealed under the old.
pub fn read(data_dir: &Path) -> io::Result<Option<MasterSecret>> {
    let text = match fs::read_to_string(path(data_dir)) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "it holds no secret: restore it from a backup");
    MasterSecret::parse(&text).map(Some).ok_or_else(damaged)
}

/// Generates the secret, or takes the one of a server that was quicker: all that start at once end with the same.
pub fn create(data_dir: &Path, random: &Random) -> io::Result<MasterSecret> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let draft = data_dir.join(format!("jwt_secret.{}", *hex(&random.bytes::<8>())));
    write_new(&draft, &hex(&random.bytes::<32>()))?;
    // A link appears whole, and never in the place of another: a rename would replace what another server took.
    let linked = fs::hard_link(&draft, path(data_dir));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => File::open(data_dir)?.sync_all()?,
    }
    read(data_dir)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    // Room for all of it: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
