//! Signing keys and secrets.

use super::*;

#[test]
fn further_algorithms_are_others_with_public_keys() {
    let further = |text: &str| config(&[("JWT_ADDITIONAL_ALGORITHMS", text)]).keys.additional_algorithms;
    assert_eq!(further("rs256, EdDSA"), [Algorithm::Rs256, Algorithm::EdDsa]);
    assert_eq!(config(&[]).keys.additional_algorithms, []);
    refuses("JWT_ADDITIONAL_ALGORITHMS", &["HS256", "none", "RS256,RS256", "ES256"]);
}

#[test]
fn keys_are_replaced_after_a_month_unless_set() {
    let interval = |settings: &[(&str, &str)]| config(settings).keys.rotation_interval;
    assert_eq!(interval(&[]), Some(Duration::from_secs(2_592_000)));
    assert_eq!(interval(&[("KEY_ROTATION_INTERVAL", "off")]), None);
    refuses("KEY_ROTATION_INTERVAL", &["0", "never", "60"]);
    refuses("JWKS_MAX_AGE", &["0", "off", "86401"]);
}

#[test]
fn a_former_secret_is_another_one() {
    let secret = long_secret();
    let former = long_secret().replace("long enough", "quite another one");
    let loaded = config(&[("JWT_SECRET", &secret), ("JWT_SECRET_PREVIOUS", &former)]);
    assert!(loaded.secret.has_previous() && !config(&[]).secret.has_previous());
    let same = refusal(&[("JWT_SECRET", &secret), ("JWT_SECRET_PREVIOUS", &secret)]);
    assert!(same.starts_with("JWT_SECRET_PREVIOUS: must be the former secret"), "{same}");
    let weak = refusal(&[("JWT_SECRET", &secret), ("JWT_SECRET_PREVIOUS", "hunter2")]);
    assert!(weak.contains("JWT_SECRET_PREVIOUS") && !weak.contains("hunter2"), "{weak}");
}
