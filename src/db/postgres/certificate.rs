//! What has to be read of a server's certificate and rustls does not tell (RFC 5280).

use aws_lc_rs::digest;
use rustls::pki_types::UnixTime;

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const INTEGER: u8 = 0x02;
/// From this value on, a length is the number of bytes that hold the length.
const LONG_FORM: u8 = 0x80;
/// The tag of the version, and of the digest among the parameters of RSA-PSS.
const CONTEXT_0: u8 = 0xa0;

/// `1.2.840.113549.1.1`, without the last number.
const RSA: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
/// `1.2.840.10045.4`, without the last numbers.
const ECDSA: [u8; 6] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
/// `2.16.840.1.101.3.4.2`, without the last number.
const SHA_2: [u8; 8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];

/// Returns the digest of a certificate to which a login is bound (`tls-server-end-point`, RFC 5929 section 4.1): by the
/// algorithm of its signature, and SHA-256 instead of MD5 and SHA-1. `None` if that algorithm uses no known digest.
pub(super) fn digest(certificate: &[u8]) -> Option<Vec<u8>> {
    let (parts, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(parts, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    let (id, parameters) = element(algorithm, OBJECT_ID)?;
    let chosen = match (id.strip_prefix(&RSA), id.strip_prefix(&ECDSA)) {
        (Some([4 | 5 | 11]), _) | (_, Some([1] | [3, 2])) => &digest::SHA256,
        (Some([12]), _) | (_, Some([3, 3])) => &digest::SHA384,
        (Some([13]), _) | (_, Some([3, 4])) => &digest::SHA512,
        (Some([10]), _) => of_rsa_pss(parameters)?,
        _ => return None,
    };
    Some(digest::digest(chosen, certificate).as_ref().to_vec())
}

/// Returns the digest among the parameters of RSA-PSS (RFC 4055 section 3.1), which is SHA-1 unless it is named.
fn of_rsa_pss(parameters: &[u8]) -> Option<&'static digest::Algorithm> {
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let Some((algorithm, _)) = element(parameters, CONTEXT_0) else { return Some(&digest::SHA256) };
    let (algorithm, _) = element(algorithm, SEQUENCE)?;
    let (id, _) = element(algorithm, OBJECT_ID)?;
    match id.strip_prefix(&SHA_2)? {
        [1] => Some(&digest::SHA256),
        [2] => Some(&digest::SHA384),
        [3] => Some(&digest::SHA512),
        _ => None,
    }
}

/// Returns whether a certificate is valid at a time, by its dates alone.
pub(super) fn is_current(certificate: &[u8], now: UnixTime) -> bool {
    let bounds = validity(certificate);
    bounds.is_some_and(|[from, to]| i64::try_from(now.as_secs()).is_ok_and(|now| from <= now && now <= to))
}

/// Returns the public key of a certificate with its algorithm (`SubjectPublicKeyInfo`), of any version of X.509.
pub(super) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (_, rest) = element(from_validity(certificate)?, SEQUENCE)?;
    let (_, key) = element(rest, SEQUENCE)?;
    let (_, after) = element(key, SEQUENCE)?;
    key.get(..key.len().checked_sub(after.len())?)
}

/// Returns the part of a certificate that begins with the dates.
fn from_validity(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (parts, _) = element(certificate, SEQUENCE)?;
    let after_version = element(parts, CONTEXT_0).map_or(parts, |(_, rest)| rest);
    let (_, rest) = element(after_version, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    Some(rest)
}

/// Returns the seconds since 1970 from and until which a certificate is valid.
fn validity(certificate: &[u8]) -> Option<[i64; 2]> {
    let (validity, _) = element(from_validity(certificate)?, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (to, _) = time(rest)?;
    Some([from, to])
}

/// Reads a time, in seconds since 1970, and returns what follows it (RFC 5280 section 4.1.2.5).
fn time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let ((text, rest), has_century) = match element(bytes, UTC_TIME) {
        Some(found) => (found, false),
        None => (element(bytes, GENERALIZED_TIME)?, true),
    };
    let mut text = std::str::from_utf8(text).ok()?.to_owned();
    if !has_century {
        text.insert_str(0, if text.as_str() < "50" { "20" } else { "19" });
    }
    let time = jiff::fmt::strtime::parse("%Y%m%d%H%M%SZ", &text).ok()?.to_datetime().ok()?;
    Some((time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second(), rest))
}

/// Splits off a DER element with this tag. Returns its content and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = if *length < LONG_FORM {
        (usize::from(*length), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(length - LONG_FORM))?;
        let length = digits.iter().try_fold(0_usize, |length, digit| {
            length.checked_mul(256).and_then(|length| length.checked_add(usize::from(*digit)))
        });
        (length?, rest)
    };
    (*first == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DER with this content.
    fn der(tag: u8, content: &[&[u8]]) -> Vec<u8> {
        let content = content.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, LONG_FORM | 2][..], &length, &content].concat()
    }

    fn signed_by(id: &[u8], parameters: &[u8]) -> Vec<u8> {
        let algorithm = der(SEQUENCE, &[&der(OBJECT_ID, &[id]), parameters]);
        der(SEQUENCE, &[&der(SEQUENCE, &[]), &algorithm])
    }

    #[test]
    fn a_login_is_bound_by_the_digest_of_the_signature() {
        let pss =
            |hash: u8| der(SEQUENCE, &[&der(CONTEXT_0, &[&der(SEQUENCE, &[&der(OBJECT_ID, &[&SHA_2, &[hash]])])])]);
        for (id, parameters, expected) in [
            ([&RSA[..], &[4]].concat(), vec![], Some(32)),
            ([&RSA[..], &[5]].concat(), vec![], Some(32)),
            ([&RSA[..], &[11]].concat(), vec![5, 0], Some(32)),
            ([&RSA[..], &[12]].concat(), vec![5, 0], Some(48)),
            ([&RSA[..], &[13]].concat(), vec![5, 0], Some(64)),
            ([&RSA[..], &[10]].concat(), der(SEQUENCE, &[]), Some(32)),
            ([&RSA[..], &[10]].concat(), pss(2), Some(48)),
            ([&RSA[..], &[10]].concat(), pss(9), None),
            ([&ECDSA[..], &[1]].concat(), vec![], Some(32)),
            ([&ECDSA[..], &[3, 2]].concat(), vec![], Some(32)),
            ([&ECDSA[..], &[3, 4]].concat(), vec![], Some(64)),
            // Ed25519, which signs without a digest.
            (vec![0x2b, 0x65, 0x70], vec![], None),
        ] {
            let found = digest(&signed_by(&id, &parameters));
            assert_eq!(found.map(|digest| digest.len()), expected, "{id:?}");
        }
        assert_eq!(digest(b"no certificate"), None);
    }

    #[test]
    fn dates_are_read_of_either_form() {
        let certificate = |from: Vec<u8>, to: Vec<u8>| {
            let empty = der(SEQUENCE, &[]);
            let version = der(CONTEXT_0, &[]);
            let parts = der(SEQUENCE, &[&version, &der(INTEGER, &[]), &empty, &empty, &der(SEQUENCE, &[&from, &to])]);
            der(SEQUENCE, &[&parts])
        };
        let certificate = certificate(der(UTC_TIME, &[b"260101000000Z"]), der(GENERALIZED_TIME, &[b"20500101000000Z"]));
        assert_eq!(validity(&certificate), Some([1_767_225_600, 2_524_608_000]));
        let is_current_at =
            |second| is_current(&certificate, UnixTime::since_unix_epoch(std::time::Duration::from_secs(second)));
        assert!(is_current_at(1_767_225_600) && !is_current_at(1_767_225_599) && !is_current_at(2_524_608_001));
        assert!(!is_current(b"no certificate", UnixTime::now()));
    }
}
