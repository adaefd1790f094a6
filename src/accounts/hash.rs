//! What is stored for an account's password: a hash of Argon2, one that another system made, or none.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use super::foreign::{Foreign, HashRefusal};
use crate::config::Argon2Cost;

/// The memory that one hash may take, set or stored, so that hashes from elsewhere cannot exhaust the server.
pub const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// The memory that one hash may write, all passes together: about a second's work.
pub const MAX_WORK_KIB: u64 = 2 * 1024 * 1024;

/// Stands for the hash of an account that has no password: it is the hash of none.
pub const NO_PASSWORD: &str = "!";

pub const COST_OUT_OF_BOUNDS: &str =
    "the cost of Argon2 is out of its bounds: m up to 262144 and at least 8 × p, m × t up to 2097152";

/// What is stored for an account's password, read.
pub enum Stored {
    /// The account has none.
    Nothing,
    Argon2(Scheme, Salt, Output),
    Foreign(Foreign),
}

impl Stored {
    /// Reads what stands in the database, or is to stand there.
    pub fn parse(text: &str) -> Result<Self, HashRefusal> {
        if text == NO_PASSWORD {
            return Ok(Self::Nothing);
        }
        // Django puts a name of its own before the string of Argon2, which begins with a `$`.
        let phc = text.strip_prefix("argon2").unwrap_or(text);
        if !phc.starts_with("$argon2") {
            return Foreign::parse(text).map(Self::Foreign);
        }
        Scheme::of_phc(phc).map(|(scheme, salt, output)| Self::Argon2(scheme, salt, output))
    }
}

/// Whether an account may have `text` as its password hash: whether a password can be compared with it at a cost that
/// the server can bear.
pub fn check(text: &str) -> Result<(), HashRefusal> {
    match Stored::parse(text)? {
        Stored::Argon2(..) | Stored::Foreign(_) => Ok(()),
        Stored::Nothing => Err(HashRefusal::Unknown),
    }
}

/// How a password becomes a hash: everything of a PHC string but its salt and output.
#[derive(Clone, PartialEq)]
pub struct Scheme {
    algorithm: Algorithm,
    version: Version,
    params: Params,
}

impl Scheme {
    const OUTPUT_BYTES: usize = 32;

    /// Argon2id of this cost; `None` for a cost that Argon2 does not know or that is over the bounds.
    pub fn new(cost: Argon2Cost) -> Option<Self> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(Self::OUTPUT_BYTES)).ok()?;
        Self { algorithm: Algorithm::Argon2id, version: Version::V0x13, params }.within_bounds()
    }

    /// The scheme, salt and output of a hash as a PHC string.
    fn of_phc(phc: &str) -> Result<(Self, Salt, Output), HashRefusal> {
        const MALFORMED: HashRefusal = HashRefusal::Malformed("Argon2");
        let hash = PasswordHash::new(phc).map_err(|_| MALFORMED)?;
        let algorithm = Algorithm::new(hash.algorithm.as_str()).map_err(|_| MALFORMED)?;
        // Strings without a version were written before there was a second one.
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(|_| MALFORMED)?;
        let params = Params::try_from(&hash).map_err(|_| MALFORMED)?;
        let (salt, output) = hash.salt.zip(hash.hash).ok_or(MALFORMED)?;
        let scheme = Self { algorithm, version, params }.within_bounds();
        Ok((scheme.ok_or(HashRefusal::TooCostly(COST_OUT_OF_BOUNDS))?, salt, output))
    }

    fn within_bounds(self) -> Option<Self> {
        let memory = self.params.m_cost();
        let work = u64::from(memory).saturating_mul(self.params.t_cost().into());
        (memory <= MAX_MEMORY_KIB && work <= MAX_WORK_KIB).then_some(self)
    }

    /// Blocks of memory that a hash takes.
    pub fn block_count(&self) -> usize {
        self.params.block_count()
    }

    /// The output for a password; `blocks` are at least [`Self::block_count`].
    pub fn digest(&self, password: &[u8], salt: &Salt, blocks: &mut [Block]) -> Option<Output> {
        let argon2 = Argon2::new(self.algorithm, self.version, self.params.clone());
        let mut output = [0; Output::MAX_LENGTH];
        let output = output.get_mut(..self.params.output_len()?)?;
        argon2.hash_password_into_with_memory(password, salt, output, blocks).ok()?;
        Output::new(output).ok()
    }

    /// The PHC string of a hash.
    pub fn phc(&self, salt: Salt, output: Output) -> Option<String> {
        let params = ParamsString::try_from(&self.params).ok()?;
        let (algorithm, version) = (self.algorithm.ident(), Some(self.version.into()));
        Some(PasswordHash { algorithm, version, params, salt: Some(salt), hash: Some(output) }.to_string())
    }
}
