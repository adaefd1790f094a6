//! Measures on one core how many tokens a second are verified, fresh and remembered, and what a million revoked sessions
//! take.
//!
//! `cargo bench -p keyturn-verify --bench verify`

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark ends by panicking, and nothing here is a library"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyturn_verify::{Event, Id, Keys, Moment, Rules, Verifier, WhenStale};
use serde_json::{Value, json};

const TOKENS: usize = 4096;
const SESSIONS: u64 = 1_000_000;
const TIME: Duration = Duration::from_secs(3);

fn id(number: u64) -> Id {
    let mut bytes = [0; 16];
    // Random bytes behind, as ids have them.
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes[8..].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes());
    Id::from_bytes(bytes)
}

fn sign(pair: &EcdsaKeyPair, number: u64, now: Moment) -> String {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = now.unix_secs();
    let claims = json!({
        "iss": "https://auth.example", "sub": id(number).to_string(), "aud": "keyturn", "exp": now + 900, "iat": now,
        "nbf": now, "jti": id(number).to_string(), "sid": id(number + SESSIONS).to_string(), "rev": 3,
        "client_id": "keyturn", "roles": ["user"], "auth_time": now, "amr": ["pwd"],
    });
    let message = format!("{}.{}", part(json!({"alg": "ES256", "typ": "at+jwt", "kid": "main"})), part(claims));
    loop {
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        // Only the lower of the two forms of a signature is accepted.
        if signature.as_ref()[32] < 0x7f {
            return format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        }
    }
}

fn verifier(pair: &EcdsaKeyPair, remembered: usize) -> Verifier {
    let point = pair.public_key().as_ref();
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "main", "x": text(&point[1..33]), "y": text(&point[33..])});
    let rules = Rules::new("https://auth.example", "keyturn");
    let verifier = Verifier::new(rules, Duration::from_secs(3600), WhenStale::Refuse).remembering(remembered);
    verifier.set_keys(Keys::parse(json!({"keys": [jwk]}).to_string().as_bytes()).unwrap());
    verifier
}

/// Returns how often a second `each` can be done.
fn rate(mut each: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < TIME {
        for _ in 0..256 {
            each(count);
            count += 1;
        }
    }
    f64::from(u32::try_from(count).unwrap()) / start.elapsed().as_secs_f64()
}

/// Returns the memory of this process in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn main() {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
    let now = Moment::now();
    let forgetful = verifier(&pair, 0);
    let verifier = verifier(&pair, 2 * TOKENS);
    let sync = Event::Sync { age_millis: 0, server_time_millis: now.unix_millis };
    let before = memory();
    verifier.apply(&Event::Reset, now);
    for number in 0..SESSIONS {
        let expires_at_millis = now.unix_millis + 960_000;
        let revoked = Event::Revoked { sid: Some(id(number)), jti: None, before_rev: None, expires_at_millis };
        verifier.apply(&revoked, now);
    }
    verifier.apply(&sync, now);
    let taken = memory() - before;
    println!("{} revoked sessions: {} kB", verifier.revocations(), taken / 1000);
    let tokens: Vec<String> = (0..TOKENS).map(|number| sign(&pair, u64::try_from(number).unwrap(), now)).collect();
    println!("a token has {} bytes", tokens[0].len());
    for known in &tokens {
        verifier.verify(known, now).unwrap();
    }
    let remembered = rate(|count| {
        black_box(verifier.verify(&tokens[count % TOKENS], Moment::now()).unwrap());
    });
    println!("remembered: {remembered:.0} a second");
    let one = rate(|_| {
        black_box(verifier.verify(&tokens[0], Moment::now()).unwrap());
    });
    println!("remembered, always the same: {one:.0} a second");
    forgetful.apply(&Event::Reset, now);
    forgetful.apply(&sync, now);
    let fresh = rate(|count| {
        black_box(forgetful.verify(&tokens[count % TOKENS], Moment::now()).unwrap());
    });
    println!("fresh: {fresh:.0} a second");
}
