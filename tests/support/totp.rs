//! An app that makes codes, as a person would have it on a phone.

use std::time::Duration;

use aws_lc_rs::hmac;
use keyturn::clock::Clock;
use keyturn::types::Timestamp;

/// A secret as it was read from a QR code.
#[derive(Clone)]
pub struct Authenticator {
    secret: Vec<u8>,
}

impl Authenticator {
    /// From the secret in Base32 (RFC 4648 §6).
    pub fn new(secret: &str) -> Self {
        let (mut secret_bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
        for c in secret.bytes() {
            let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == c).expect("Base32");
            bits = bits << 5 | u32::try_from(value).unwrap();
            held += 5;
            if held >= 8 {
                held -= 8;
                secret_bytes.push((bits >> held & 0xff) as u8);
            }
        }
        assert!(secret_bytes.len() >= 10);
        Self { secret: secret_bytes }
    }

    pub fn secret_bytes(&self) -> &[u8] {
        &self.secret
    }

    /// The code of the step before `clock`'s, which stays valid for three seconds at least.
    pub async fn former_code(&self, clock: &Clock) -> String {
        while clock.now().as_secs() % 30 >= 27 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.code(clock.now(), -1)
    }

    /// The code at `time`, `steps` of 30 seconds later (RFC 6238 §4.2, RFC 4226 §5.3).
    pub fn code(&self, time: Timestamp, steps: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.secret);
        let tag = hmac::sign(&key, &(time.as_secs() / 30 + steps).to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes[19] & 0xf);
        let number = u32::from_be_bytes(bytes[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}
