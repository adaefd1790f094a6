//! A verifier that follows the feed of a server.

#![allow(
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use keyturn_verify::client::{LiveVerifier, Settings};
use keyturn_verify::{Moment, Refusal, WhenStale};
use serde_json::json;
use support::{AUDIENCE, Fake, ISSUER, NOW, event, revoked, sync, token};

const SECRET: &str = "a secret: of a client";
const USUAL: &str = "a token as the server issues it";
const AT_ANY_TIME: &str = "time: valid at any time";

fn settings(fake: &Fake) -> Settings {
    let mut settings = Settings::new(ISSUER, AUDIENCE, "a client", SECRET);
    settings.url.clone_from(&fake.url);
    settings
}

fn moment() -> Moment {
    Moment { unix_millis: NOW * 1000, ..Moment::now() }
}

/// The session of the usual token.
fn session() -> String {
    let token = token(USUAL);
    let verifier = keyturn_verify::Verifier::without_feed(keyturn_verify::Rules::new(ISSUER, AUDIENCE));
    let keys = support::corpus()["keys"]["usual"].to_string();
    verifier.set_keys(keyturn_verify::Keys::parse(keys.as_bytes()).unwrap());
    verifier.verify(&token, moment()).unwrap().claims.sid.unwrap().to_string()
}

/// Waits until something is so.
async fn until(what: &str, mut is: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_revocation_reaches_a_verifier_that_never_asks() {
    let fake = Fake::start().await;
    let verifier = LiveVerifier::start(settings(&fake)).unwrap();
    verifier.ready().await;
    let token = token(USUAL);
    verifier.verify(&token, moment()).unwrap();
    fake.say(&revoked(&session()));
    until("refused", || verifier.verify(&token, moment()).err() == Some(Refusal::SessionRevoked)).await;
    let request = fake.script.feed_requests.lock().unwrap()[0].to_ascii_lowercase();
    // The form of id and secret in RFC 6749 §2.3.1.
    let basic = "authorization: basic ysuymgnsawvuddphjtiwc2vjcmv0jtnbjtiwb2ylmjbhjtiwy2xpzw50";
    assert!(request.contains(basic), "{request}");
    assert!(request.contains("accept: text/event-stream") && !request.contains("last-event-id"), "{request}");
    assert_eq!(fake.key_requests(), 1);
}

#[tokio::test]
async fn nothing_is_ready_before_the_snapshot_is_whole() {
    let fake = Fake::start().await;
    *fake.script.greeting.lock().unwrap() = event("reset", &json!({})) + &revoked(&session());
    let verifier = LiveVerifier::start(settings(&fake)).unwrap();
    let token = token("signed with the other key EdDSA");
    until("revoked", || verifier.verify(&token, moment()).err() == Some(Refusal::SessionRevoked)).await;
    assert!(tokio::time::timeout(Duration::from_millis(50), verifier.ready()).await.is_err());
    assert_eq!(verifier.age(), None);
    let client = self::token("client: its own token");
    assert_eq!(verifier.verify(&client, moment()).err(), Some(Refusal::Stale));
    fake.say(&sync("2"));
    verifier.ready().await;
    verifier.verify(&client, moment()).unwrap();
}

#[tokio::test]
async fn a_broken_connection_goes_on_from_its_cursor() {
    let fake = Fake::start().await;
    let verifier = LiveVerifier::start(settings(&fake)).unwrap();
    verifier.ready().await;
    fake.say(&sync("cursor 7"));
    let requests = || fake.script.feed_requests.lock().unwrap().clone();
    *fake.script.greeting.lock().unwrap() = sync("cursor 8");
    // The sync and what follows are read in order, so that the connection ends after it.
    fake.say(&revoked("00000000-0000-4000-8000-000000000001"));
    until("read", || verifier.verifier().revocations() == 1).await;
    fake.hang_up();
    until("back", || requests().len() == 2).await;
    assert!(requests()[1].to_ascii_lowercase().contains("last-event-id: cursor 7"), "{}", requests()[1]);
    assert_eq!(verifier.verifier().revocations(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_leads_to_a_new_snapshot() {
    for wrong in
        ["event: revoked\ndata: {\"sid\":\"x\"}\n\n", "event: sync\ndata: {\n\n", "data: \u{fffd}\nevent: key\n\n"]
    {
        let fake = Fake::start().await;
        let verifier = LiveVerifier::start(settings(&fake)).unwrap();
        verifier.ready().await;
        fake.say(wrong);
        let requests = || fake.script.feed_requests.lock().unwrap().clone();
        until("back", || requests().len() == 2).await;
        assert!(!requests()[1].to_ascii_lowercase().contains("last-event-id"), "{wrong}");
        assert!(verifier.last_error().is_some());
    }
}

#[tokio::test]
async fn a_server_that_goes_is_left_and_found_again() {
    let fake = Fake::start().await;
    let verifier = LiveVerifier::start(settings(&fake)).unwrap();
    verifier.ready().await;
    fake.say(&event("bye", &json!({"retry_ms": 1})));
    until("back", || fake.script.feed_requests.lock().unwrap().len() == 2).await;
    // One that refuses its reader is asked again, and does not make what is known forgotten.
    fake.script.feed_status.store(401, Ordering::SeqCst);
    fake.hang_up();
    until("refused", || verifier.last_error().is_some_and(|error| error.contains("401"))).await;
    fake.script.feed_status.store(200, Ordering::SeqCst);
    fake.say(&revoked(&session()));
    let before = fake.script.feed_requests.lock().unwrap().len();
    until("back", || fake.script.feed_requests.lock().unwrap().len() > before).await;
}

#[tokio::test]
async fn unknown_keys_cause_one_request() {
    let fake = Fake::start().await;
    *fake.script.keys.lock().unwrap() = json!({"keys": []});
    let verifier = LiveVerifier::start(settings(&fake)).unwrap();
    verifier.ready().await;
    assert_eq!(fake.key_requests(), 1);
    // Malformed tokens cause none at all.
    for name in ["header: without kid", "header: typ \"JWT\"", "form: one part"] {
        assert!(verifier.check(&token(name)).await.is_err());
    }
    assert_eq!(fake.key_requests(), 1);
    *fake.script.keys.lock().unwrap() = support::corpus()["keys"]["usual"].clone();
    let token = token(AT_ANY_TIME);
    let checks: Vec<_> = (0..50)
        .map(|_| {
            let (verifier, token) = (verifier.clone(), token.clone());
            tokio::spawn(async move { verifier.check(&token).await.err() })
        })
        .collect();
    for check in checks {
        assert_eq!(check.await.unwrap(), None);
    }
    assert_eq!(fake.key_requests(), 2);
    for name in ["header: kid of a stranger", "header: kid a path", "header: kid very long", "header: kid SQL"] {
        let token = support::token(name);
        for _ in 0..100 {
            assert_eq!(verifier.check(&token).await.err(), Some(Refusal::UnknownKey));
            assert_eq!(verifier.verify(&token, moment()).err(), Some(Refusal::UnknownKey));
        }
    }
    assert_eq!(fake.key_requests(), 2);
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once_and_the_keys_are_fetched() {
    let fake = Fake::start().await;
    let verifier = LiveVerifier::start(settings(&fake)).unwrap();
    verifier.ready().await;
    let token = token(USUAL);
    let kid = verifier.verify(&token, moment()).unwrap().kid.clone();
    fake.say(&event("key", &json!({"kid": kid, "revoked_at": "2027-01-15T08:00:00.000Z"})));
    until("refused", || verifier.verify(&token, moment()).err() == Some(Refusal::KeyRevoked)).await;
    until("fetched", || fake.key_requests() == 2).await;
}

#[tokio::test]
async fn a_stale_verifier_does_as_its_policy_says() {
    for (when_stale, active, verdict) in [
        (WhenStale::Refuse, Some(true), Some(Refusal::Stale)),
        (WhenStale::Accept, Some(false), None),
        (WhenStale::Introspect, Some(true), None),
        (WhenStale::Introspect, Some(false), Some(Refusal::TokenRevoked)),
        (WhenStale::Introspect, None, Some(Refusal::Introspect)),
    ] {
        let fake = Fake::start().await;
        fake.script.feed_status.store(503, Ordering::SeqCst);
        *fake.script.active.lock().unwrap() = active;
        let mut settings = settings(&fake);
        settings.when_stale = when_stale;
        let verifier = LiveVerifier::start(settings).unwrap();
        let token = token(AT_ANY_TIME);
        until("known", || verifier.verify(&token, moment()).err() != Some(Refusal::NotReady)).await;
        assert_eq!(verifier.check(&token).await.err(), verdict, "{when_stale:?} {active:?}");
    }
}

#[test]
fn an_address_that_cannot_be_called_is_refused() {
    for url in ["", "auth.example", "ftp://auth.example", "https://", "https://a:b@auth.example", "http://a b"] {
        let mut settings = Settings::new(ISSUER, AUDIENCE, "a", "b");
        settings.url = url.to_owned();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        assert!(runtime.block_on(async { LiveVerifier::start(settings) }).is_err(), "{url}");
    }
}
