//! The stored form of a password: an Argon2 hash, a hash imported from another system, or none.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::imported_hash::{HashError, ImportedHash};
use crate::config::Argon2Cost;

/// The maximum memory of one hash, so that imported hashes cannot exhaust the server.
pub(super) const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// The maximum memory that one hash may write in all its passes: about a second of work.
pub(super) const MAX_WORK_KIB: u64 = 2 * 1024 * 1024;

/// The stored form of an account without a password. It is not the hash of any password.
pub(crate) const NO_PASSWORD: &str = "!";

/// The error text for a cost that is not accepted.
pub(super) const COST_OUT_OF_BOUNDS: &str =
    "the cost of Argon2 is out of bounds: m must be from 8 × p to 262144, and m × t at most 2097152";

/// A stored password, parsed.
pub(super) enum StoredHash {
    /// The account has no password.
    None,
    /// A hash of Argon2.
    Argon2(Scheme, Salt, Output),
    /// A hash imported from another system.
    Imported(ImportedHash),
}

impl StoredHash {
    /// Parses the text that is stored in the database.
    ///
    /// # Errors
    /// The form is unknown, the hash is malformed, or verifying would cost too much.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        if text == NO_PASSWORD {
            return Ok(Self::None);
        }
        let phc = without_prefix(text);
        if !phc.starts_with("$argon2") {
            return ImportedHash::parse(text).map(Self::Imported);
        }
        Scheme::parse_phc(phc).map(|(scheme, salt, output)| Self::Argon2(scheme, salt, output))
    }
}

/// Returns a PHC string without what Django, Spring Security (`{argon2}`, `{argon2@…}`) and directories (`{ARGON2}`,
/// `{CRYPT}`) put before it.
fn without_prefix(text: &str) -> &str {
    let behind_braces = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    behind_braces.map(|(_, rest)| rest).or_else(|| text.strip_prefix("argon2")).unwrap_or(text)
}

/// Checks whether `text` is accepted as an account's password hash: its form must be known, and the cost of verifying a
/// password against it must be bounded.
///
/// # Errors
/// The form is unknown, the hash is malformed, or verifying would cost too much.
pub(crate) fn check_hash(text: &str) -> Result<(), HashError> {
    match StoredHash::parse(text)? {
        StoredHash::Argon2(..) | StoredHash::Imported(_) => Ok(()),
        StoredHash::None => Err(HashError::Unknown),
    }
}

/// The variant and cost of Argon2: a PHC string without its salt and output.
#[derive(Clone, PartialEq)]
pub(super) struct Scheme {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Scheme {
    const OUTPUT_BYTES: usize = 32;

    /// Creates the scheme of Argon2id with this cost. Returns `None` if the cost is invalid or out of bounds.
    pub(super) fn new(cost: Argon2Cost) -> Option<Self> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(Self::OUTPUT_BYTES)).ok()?;
        Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params }.within_bounds()
    }

    /// Parses a PHC string into its scheme, salt and output.
    fn parse_phc(phc: &str) -> Result<(Self, Salt, Output), HashError> {
        const MALFORMED: HashError = HashError::Malformed("Argon2");
        let hash = PasswordHash::new(phc).map_err(|_| MALFORMED)?;
        let algorithm = Algorithm::new(hash.algorithm.as_str()).map_err(|_| MALFORMED)?;
        // PHC strings without a version have the first version, 0x10.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| MALFORMED)?;
        let params = Params::try_from(&hash).map_err(|_| MALFORMED)?;
        let (salt, output) = hash.salt.zip(hash.hash).ok_or(MALFORMED)?;
        let scheme = Self { algorithm, version, params }.within_bounds();
        Ok((scheme.ok_or(HashError::TooCostly(COST_OUT_OF_BOUNDS))?, salt, output))
    }

    fn within_bounds(self) -> Option<Self> {
        let memory = self.params.m_cost();
        let work = u64::from(memory).saturating_mul(self.params.t_cost().into());
        (memory <= MAX_MEMORY_KIB && work <= MAX_WORK_KIB).then_some(self)
    }

    /// Returns the number of memory blocks that a hash needs.
    pub(super) fn block_count(&self) -> usize {
        self.params.block_count()
    }

    /// Computes the output for a password. `blocks` must have at least [`Self::block_count`] elements.
    pub(super) fn digest(&self, password: &[u8], salt: &Salt, blocks: &mut [Block]) -> Option<Output> {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..self.params.output_len()?)?;
        argon2.hash_password_into_with_memory(password, salt, output, blocks).ok()?;
        Output::new(output).ok()
    }

    /// Formats a hash as a PHC string.
    pub(super) fn phc(&self, salt: Salt, output: Output) -> Option<String> {
        let params = ParamsString::try_from(&self.params).ok()?;
        let algorithm = self.algorithm.ident();
        let version = Some(self.version.into());
        Some(PasswordHash { algorithm, version, params, salt: Some(salt), hash: Some(output) }.to_string())
    }
}
