//! The pages of people in Chromium.

use serde_json::json;

use crate::mfa::NO_LIMITS;
use crate::recovery::Post;
use crate::support::clients::{node, own_address};
use crate::support::{Backend, variable};

both_backends! {
    people_walk_through_all_pages,
    people_walk_through_all_pages_without_script,
}

embedded_only! {
    people_walk_through_all_pages_by_keyboard,
    scripts_of_pages_have_sound_types,
}

/// Walks from the registration to a forgotten password.
async fn walk(backend: Backend, way: &str) {
    let (own, url) = own_address();
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let unlimited = [("LIMIT_REGISTER_ADDRESS", "off"), ("LIMIT_EMAIL_UNVERIFIED", "off")];
    let post = Post::with(backend, &[&own[..], &NO_LIMITS, &unlimited].concat()).await;
    let outbox = post.smtp.folder();
    let chromium = variable("KEYTURN_TEST_CHROMIUM");
    // Pictures for the documentation: see scripts/screenshots.
    let pictures = std::env::var("KEYTURN_TEST_PICTURES").ok().filter(|_| way == "mouse");
    let administrator = crate::audit::administrator(&post.server).await.email;
    let administrator = Some(administrator).filter(|_| way == "mouse");
    let given = json!({
        "chromium": chromium, "url": url, "outbox": outbox, "way": way, "pictures": pictures,
        "administrator": administrator,
    });
    let report = node("people.mjs", given).await;
    assert_eq!(report["wrong"], json!([]), "{report:#}");
    assert!(report["pages"].as_u64().unwrap() > 40, "{report}");
}

async fn people_walk_through_all_pages(backend: Backend) {
    walk(backend, "mouse").await;
}

async fn people_walk_through_all_pages_without_script(backend: Backend) {
    walk(backend, "no script").await;
}

async fn people_walk_through_all_pages_by_keyboard(backend: Backend) {
    walk(backend, "keyboard").await;
}

async fn scripts_of_pages_have_sound_types(_: Backend) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages/assets/account.js");
    assert_eq!(node("types.mjs", json!({"files": [script]})).await, json!([]));
}
