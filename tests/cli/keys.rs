//! `keyturn key …`

use std::sync::Arc;

use jsonwebtoken::decode_header;
use serde_json::{Value, json};

use crate::support::clients::python_command;
use crate::support::{Deployment, Process, Tokens, until};
use crate::{run, run_with_input};

both_backends! {
    keys_are_listed_and_replaced_while_the_server_runs,
    the_public_half_of_a_key_verifies_its_tokens,
    a_key_is_revoked_with_its_tokens_and_nobody_is_logged_out,
    what_is_no_key_is_refused_with_the_reason,
    a_shared_key_has_no_public_half,
}

/// Prints the claims of a token that the public key verifies.
const VERIFY: &str = "import json, jwt, sys
print(json.dumps(jwt.decode(sys.argv[1], sys.argv[2], algorithms=['ES256'], audience='keyturn')))";

fn json_of(deployment: &Deployment, arguments: &[&str]) -> Value {
    let text = run(deployment, &[arguments, &["--json"]].concat()).printed();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn keys(list: &Value) -> &[Value] {
    list["keys"].as_array().unwrap()
}

fn kid(tokens: &Tokens) -> String {
    decode_header(&tokens.access).unwrap().kid.unwrap()
}

async fn published(process: &Process) -> Vec<Value> {
    process.get("/.well-known/jwks.json").send().await.assert_status(200).json()["keys"].as_array().unwrap().clone()
}

async fn keys_are_listed_and_replaced_while_the_server_runs(process: Process) {
    let tokens = process.register().await;
    let first = json_of(&process, &["key", "list"]);
    assert_eq!(keys(&first).len(), 1);
    assert_eq!((&keys(&first)[0]["kid"], &keys(&first)[0]["state"]), (&json!(kid(&tokens)), &json!("active")));
    let rotated = json_of(&process, &["key", "rotate"]);
    assert_eq!(keys(&rotated)[1]["state"], "next");
    // Who repeats it gets no third key.
    let text = run(&process, &["key", "rotate"]).printed();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, key) in lines.iter().zip(keys(&rotated)) {
        let shown = ["kid", "use", "algorithm", "state", "created_at", "active_from"].map(|name| key[name].as_str());
        assert_eq!(line[..6], shown.map(Option::unwrap), "{text}");
    }
    assert_eq!(lines[1][6], "-");
    assert_eq!(run(&process, &["key", "list"]).printed(), text);
    let next = keys(&rotated)[1]["kid"].clone();
    until("the new key", async || published(&process).await.iter().any(|key| key["kid"] == next).then_some(())).await;
    assert_eq!(kid(&process.refreshed(&tokens).await), kid(&tokens), "it does not sign yet");
    assert_eq!(process.audited("event = 'key.rotated' AND user_id IS NULL").len(), 1);
}

async fn the_public_half_of_a_key_verifies_its_tokens(process: Process) {
    let tokens = process.register().await;
    let id = kid(&tokens);
    let pem = run(&process, &["key", "export", &id, "--pem"]).printed();
    assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
    // By a library that reads PEM.
    let mut verify = python_command();
    verify.args(["-c", VERIFY, &tokens.access, &pem]);
    let verified = verify.output().unwrap();
    let claims: Value = serde_json::from_slice(&verified.stdout).unwrap_or_else(|_| panic!("{verified:?}"));
    assert_eq!(claims["sub"], tokens.user.to_string());
    let jwk: Value = serde_json::from_str(&run(&process, &["key", "export", &id]).printed()).unwrap();
    assert_eq!(published(&process).await, std::slice::from_ref(&jwk));
    assert_eq!(json_of(&process, &["key", "export", &id]), jwk);
    assert!(jwk.get("d").is_none(), "{jwk}");
}

async fn a_key_is_revoked_with_its_tokens_and_nobody_is_logged_out(process: Process) {
    let tokens = process.register().await;
    let id = kid(&tokens);
    assert_eq!(run(&process, &["key", "revoke", &id]).printed(), "The key is revoked.\n");
    until("the end of its tokens", async || (process.me(&tokens.access).await.status == 401).then_some(())).await;
    let others = published(&process).await;
    assert!(!others.is_empty() && others.iter().all(|key| key["kid"] != id), "{others:?}");
    let fresh = process.refreshed(&tokens).await;
    assert_ne!(kid(&fresh), id);
    process.me(&fresh.access).await.assert_status(200);
    let listed = json_of(&process, &["key", "list"]);
    let states: Vec<&str> = keys(&listed).iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["revoked", "active"]);
    assert_eq!(run(&process, &["key", "revoke", &id]).printed(), "The key has ended already.\n");
    assert_eq!(json_of(&process, &["key", "revoke", &id]), json!({"revoked": false}));
    assert_eq!(process.audited("event = 'key.revoked' AND user_id IS NULL").len(), 1);
}

async fn what_is_no_key_is_refused_with_the_reason(process: Process) {
    let unknown = "01a2003e-d8aa-7ec7-a93b-e076a8923cfc";
    let refused = run(&process, &["key", "revoke", unknown]).refused();
    assert_eq!(refused, format!("keyturn: there is no key {unknown}\n"));
    let refused = run(&process, &["key", "export", unknown, "--pem"]).refused();
    assert_eq!(refused, format!("keyturn: no key {unknown} is published\n"));
    for arguments in [&["key", "revoke", "the-first"][..], &["key", "export", "1"], &["key", "export"], &["key"]] {
        let wrong = run(&process, arguments);
        assert_eq!((wrong.code, &*wrong.stdout), (Some(2), ""), "{arguments:?}: {wrong:?}");
    }
    // A key that was revoked is published no more.
    let id = kid(&process.register().await);
    run(&process, &["key", "revoke", &id]).printed();
    run(&process, &["key", "export", &id]).refused();
}

async fn a_shared_key_has_no_public_half(deployment: Arc<Deployment>) {
    let settings = [("JWT_ALGORITHM", "HS256")];
    let process = Process::start(&deployment, &settings);
    let id = kid(&process.register().await);
    for arguments in [&["key", "export", &id][..], &["key", "export", &id, "--pem"]] {
        let refused = run_with_input(&process, &settings, arguments, "").refused();
        assert!(refused.contains("is a shared key (HS256), which has no public half"), "{refused}");
    }
}
