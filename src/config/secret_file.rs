//! The master secret of an embedded server: generated once and stored in a file that only its owner can read.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::random::Random;
use crate::secret::{MasterSecret, WeakSecret};

/// Returns the path of the file.
pub(super) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("jwt_secret")
}

/// Reads the secret. Returns `None` if there is no file.
///
/// # Errors
/// The file cannot be read, or it does not contain a secret. A new secret could not decrypt what was encrypted with the
/// old one.
pub(super) fn read(data_dir: &Path) -> io::Result<Option<MasterSecret>> {
    let text = match fs::read_to_string(path(data_dir)) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let damaged =
        || io::Error::new(io::ErrorKind::InvalidData, "it does not contain a secret: restore it from a backup");
    MasterSecret::parse(&text).map(Some).map_err(|_| damaged())
}

/// Generates the secret, or reads the one that another server has generated first. All servers that start at the same
/// time get the same secret.
///
/// # Errors
/// The file cannot be written or read.
pub(super) fn create(data_dir: &Path, random: &Random) -> io::Result<MasterSecret> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let draft = data_dir.join(format!("jwt_secret.{}", *hex(&random.bytes::<8>())));
    write_new(&draft, &random_text(random))?;
    // A link appears atomically and never replaces a file. A rename would replace the secret of another server.
    let linked = fs::hard_link(&draft, path(data_dir));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => File::open(data_dir)?.sync_all()?,
    }
    read(data_dir)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Generates a secret that is kept nowhere.
///
/// # Errors
/// The secret is too weak, which is hardly possible.
pub(super) fn generate(random: &Random) -> Result<MasterSecret, WeakSecret> {
    MasterSecret::parse(&random_text(random))
}

fn random_text(random: &Random) -> Zeroizing<String> {
    hex(&random.bytes::<32>())
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    // Without the capacity the string would grow and leave copies of the secret in memory.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
