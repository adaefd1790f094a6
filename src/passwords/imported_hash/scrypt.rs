//! Hashes of scrypt, as many systems write them.

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use scrypt::Params;
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::HashError;
use super::text::{base64, checked_output, checked_salt, hex, number, numeric_params, params};

/// The maximum memory: 128 × N × r.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The maximum memory that may be written: 128 × N × r × p, about a second of work.
const MAX_WORK_BYTES: u64 = 2 * MAX_BYTES;

const MALFORMED: HashError = HashError::Malformed("scrypt");

/// How a password becomes the output.
#[derive(Clone)]
enum Variant {
    /// By scrypt alone.
    Plain,
    /// By scrypt alone, from the password in compatibility composition (NFKC): better-auth.
    Compatible,
    /// scrypt derives a key for AES-256-CTR, and the output is the project's `signer_key` encrypted with that key:
    /// Firebase.
    Firebase { signer_key: Vec<u8> },
}

/// A hash of scrypt.
#[derive(Clone)]
pub(in crate::passwords) struct ScryptHash {
    params: Params,
    salt: Vec<u8>,
    output: Vec<u8>,
    variant: Variant,
}

impl ScryptHash {
    fn new(
        params: Params,
        salt: Option<Vec<u8>>,
        output: Option<Vec<u8>>,
        variant: Variant,
    ) -> Result<Self, HashError> {
        let (salt, output) = checked_salt(salt).zip(checked_output(output)).ok_or(MALFORMED)?;
        Ok(Self { params, salt, output, variant })
    }

    /// Parses the parts of `$scrypt$ln=16,r=8,p=1$SALT$OUTPUT`.
    pub(super) fn parse(text: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        Self::new(named_params(text)?, base64(salt), base64(output), Variant::Plain)
    }

    /// Parses the parts of a hash whose salt is the text itself, as Django and Werkzeug write it.
    pub(super) fn parse_with_text_salt(
        cost: [&str; 3],
        salt: &str,
        output: Option<Vec<u8>>,
    ) -> Result<Self, HashError> {
        let [Some(n), Some(r), Some(p)] = cost.map(number) else { return Err(MALFORMED) };
        let params = bounded(log2(n)?, r, p)?;
        Self::new(params, Some(salt.as_bytes().to_vec()), output, Variant::Plain)
    }

    /// Parses Spring Security's `$e0801$SALT$OUTPUT`: hexadecimal digits of log2(N), and two of r and of p each.
    pub(super) fn parse_spring(text: &str) -> Result<Self, HashError> {
        let parts: Vec<&str> = text.split('$').collect();
        let ["", cost, salt, output] = parts[..] else { return Err(MALFORMED) };
        let cost = u32::from_str_radix(cost, 16).ok().filter(|_| !cost.starts_with('+')).ok_or(MALFORMED)?;
        let params = bounded(cost >> 16, cost >> 8 & 0xff, cost & 0xff)?;
        Self::new(params, base64(salt), base64(output), Variant::Plain)
    }

    /// Parses better-auth's `SALT:OUTPUT`, both in hexadecimal digits. The salt is used as this text.
    pub(super) fn parse_better_auth(text: &str) -> Result<Self, HashError> {
        let (salt, output) = text.split_once(':').ok_or(HashError::Unknown)?;
        // Others write an MD5 and its salt like this.
        hex(salt).filter(|_| salt.len() == 32).ok_or(HashError::Unknown)?;
        let output = hex(output).filter(|output| output.len() == 64).ok_or(HashError::Unknown)?;
        Self::new(bounded(14, 16, 1)?, Some(salt.as_bytes().to_vec()), Some(output), Variant::Compatible)
    }

    /// Parses the parts of `$firescrypt$ln=14,r=8,p=1$SALT$OUTPUT$SALT_SEPARATOR$SIGNER_KEY`.
    pub(super) fn parse_firebase(
        text: &str,
        salt: [&str; 2],
        output: &str,
        signer_key: &str,
    ) -> Result<Self, HashError> {
        Self::firebase(named_params(text)?, salt, output, signer_key)
    }

    /// Parses the parts of Supabase's `$fbscrypt$v=1,n=14,r=8,p=1,ss=SALT_SEPARATOR,sk=SIGNER_KEY$SALT$OUTPUT`.
    pub(super) fn parse_gotrue(text: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        let Some([Some("1"), Some(n), Some(r), Some(p), separator, Some(key)]) =
            params(text, ["v", "n", "r", "p", "ss", "sk"])
        else {
            return Err(MALFORMED);
        };
        let [Some(n), Some(r), Some(p)] = [n, r, p].map(number) else { return Err(MALFORMED) };
        Self::firebase(bounded(n, r, p)?, [salt, separator.unwrap_or_default()], output, key)
    }

    fn firebase(
        params: Params,
        [salt, separator]: [&str; 2],
        output: &str,
        signer_key: &str,
    ) -> Result<Self, HashError> {
        let salt = base64(salt).zip(base64(separator)).map(|(salt, separator)| [salt, separator].concat());
        let output = base64(output);
        let length = output.as_ref().map(Vec::len);
        let signer_key = base64(signer_key).filter(|key| Some(key.len()) == length).ok_or(MALFORMED)?;
        Self::new(params, salt, output, Variant::Firebase { signer_key })
    }

    /// Returns whether this is the hash of `password`, compared in constant time. Returns `None` if it cannot be
    /// computed.
    pub(super) fn matches(&self, password: &[u8]) -> Option<bool> {
        let derive = |password: &[u8], length: usize| {
            let mut derived = Zeroizing::new(vec![0; length]);
            scrypt::scrypt(password, &self.salt, &self.params, &mut derived).ok().map(|()| derived)
        };
        match &self.variant {
            Variant::Plain => Some(derive(password, self.output.len())?.ct_eq(&self.output).into()),
            Variant::Compatible => {
                let composed: Zeroizing<String> = Zeroizing::new(std::str::from_utf8(password).ok()?.nfkc().collect());
                Some(derive(composed.as_bytes(), self.output.len())?.ct_eq(&self.output).into())
            }
            Variant::Firebase { signer_key } => {
                let derived = derive(password, 64)?;
                let (key, _) = derived.split_first_chunk::<32>()?;
                let cipher = EncryptingKey::ctr(UnboundCipherKey::new(&AES_256, key).ok()?).ok()?;
                let mut encrypted = signer_key.clone();
                let start = EncryptionContext::Iv128(FixedLength::from([0; 16]));
                cipher.less_safe_encrypt(&mut encrypted, start).ok()?;
                Some(encrypted.ct_eq(&self.output).into())
            }
        }
    }
}

/// Parses `ln=16,r=8,p=1`. Ory Kratos writes N itself as `ln`, which is larger than any possible logarithm.
fn named_params(text: &str) -> Result<Params, HashError> {
    match numeric_params(text, ["ln", "r", "p"]) {
        Some([Some(n), Some(r), Some(p)]) if n >= 64 && n.is_power_of_two() => bounded(log2(n)?, r, p),
        Some([Some(ln), Some(r), Some(p)]) => bounded(ln, r, p),
        _ => Err(MALFORMED),
    }
}

fn log2(n: u32) -> Result<u32, HashError> {
    if n.is_power_of_two() { Ok(n.ilog2()) } else { Err(MALFORMED) }
}

fn bounded(ln: u32, r: u32, p: u32) -> Result<Params, HashError> {
    const BOUNDS: &str = "128 × N × r may be at most 256 MiB, and 128 × N × r × p at most 512 MiB";
    if ln == 0 || r == 0 || p == 0 {
        return Err(MALFORMED);
    }
    // `Params::new` multiplies r and p without checking for an overflow, so the bounds are checked first.
    let memory = 1_u64.checked_shl(ln).and_then(|n| n.checked_mul(128)?.checked_mul(r.into()));
    let work = memory.and_then(|memory| memory.checked_mul(p.into()));
    let within = |bytes: Option<u64>, max: u64| bytes.is_some_and(|bytes| bytes <= max);
    if !within(memory, MAX_BYTES) || !within(work, MAX_WORK_BYTES) {
        return Err(HashError::TooCostly(BOUNDS));
    }
    u8::try_from(ln).ok().and_then(|ln| Params::new(ln, r, p).ok()).ok_or(MALFORMED)
}
