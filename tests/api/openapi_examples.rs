//! The examples of the OpenAPI document: every operation has them, they are valid, and the server takes them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::openapi::{document, operations};
use crate::support::clients::python;
use crate::support::declared::resolved;
use crate::support::deployment::PUBLIC_URL;
use crate::support::{Backend, PASSWORD, Request, Server, Tokens};

both_backends! {
    every_operation_is_complete,
    the_server_takes_every_example_of_a_request,
}

embedded_only! {
    every_example_is_valid_for_its_schema,
    the_codes_of_refusals_are_those_of_the_docs,
}

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");

/// The examples of a request or an answer.
fn examples(document: &Value, content: &Value) -> Vec<Value> {
    let named = content["examples"].as_object().into_iter().flat_map(|named| named.values());
    let named = named.map(|example| resolved(document, example)["value"].clone());
    named.chain(content.get("example").cloned()).collect()
}

/// What an operation lacks.
fn lacks(document: &Value, operation: &Value) -> Vec<String> {
    let mut lacks = Vec::new();
    for name in ["operationId", "summary"] {
        if operation[name].as_str().is_none_or(|text| text.trim().is_empty()) {
            lacks.push(name.to_owned());
        }
    }
    // Without its own it has that of the document; that nobody has to authenticate is said.
    if operation.get("security").unwrap_or(&document["security"]).as_array().is_none_or(Vec::is_empty) {
        lacks.push("security".to_owned());
    }
    let mut look = |place: String, content: &Value| {
        for (kind, content) in content.as_object().into_iter().flatten() {
            if content["schema"].is_null() || content["schema"] == json!({}) {
                lacks.push(format!("{place}: the schema of {kind}"));
            }
            if kind != "text/html" && !kind.starts_with("image/") && examples(document, content).is_empty() {
                lacks.push(format!("{place}: an example of {kind}"));
            }
        }
    };
    look("request".to_owned(), &operation["requestBody"]["content"]);
    let responses = operation["responses"].as_object().unwrap();
    for (status, response) in responses {
        look(status.clone(), &resolved(document, response)["content"]);
    }
    let described =
        |response: &Value| resolved(document, response)["description"].as_str().is_some_and(|d| !d.is_empty());
    lacks.extend(responses.iter().filter(|(_, response)| !described(response)).map(|(status, _)| status.clone()));
    for class in ['2', '4'] {
        if !responses.keys().any(|status| status.starts_with(class)) {
            lacks.push(format!("{class}xx"));
        }
    }
    lacks
}

async fn every_operation_is_complete(server: Server) {
    let document = document(&server).await;
    let mut incomplete = BTreeMap::new();
    for (route, operation) in operations(&document) {
        let lacks = lacks(&document, &operation);
        if !lacks.is_empty() {
            incomplete.insert(route, lacks);
        }
    }
    assert!(incomplete.is_empty(), "{incomplete:#?}");
}

async fn every_example_is_valid_for_its_schema(_: Backend) {
    let checked = python("openapi_examples.py", json!({"document": COMMITTED})).await;
    assert_eq!(checked["wrong"], json!([]), "{checked:#}");
    assert!(checked["count"].as_u64().unwrap() > 500, "{checked}");
}

/// docs/errors.md has every code with its statuses.
async fn the_codes_of_refusals_are_those_of_the_docs(_: Backend) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md")).unwrap();
    let table = page.split("| code | status | meaning |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| `"));
    let mut written = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        for status in cells[1].split(", ") {
            written.insert(format!("{status} {}", cells[0].trim_start_matches("| `").trim_end_matches('`')));
        }
    }
    let examples = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/examples.json")).unwrap();
    let examples: Value = serde_json::from_str(&examples).unwrap();
    let known: BTreeSet<String> = examples["problems"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, written, "left: src/api/examples.json; right: docs/errors.md");
    // An operation refuses with these only, and none is there for nothing.
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(COMMITTED).unwrap()).unwrap();
    let used: BTreeSet<String> = committed["components"]["examples"].as_object().unwrap().keys().cloned().collect();
    let of_no_operation =
        ["400-malformed_form", "400-malformed_request", "405-method_not_allowed", "431-head_too_large"];
    let unused = known.iter().map(|refusal| refusal.replace(' ', "-")).filter(|name| !used.contains(name));
    assert_eq!(unused.collect::<Vec<_>>(), of_no_operation);
    for (id, operation) in examples["operations"].as_object().unwrap() {
        let refusals = operation["refusals"].as_array().into_iter().flatten().map(|refusal| refusal.as_str().unwrap());
        let is_known = |refusal: &str| {
            known.contains(refusal) || id.ends_with("_token") && examples["oauth_errors"].get(refusal).is_some()
        };
        assert_eq!(refusals.filter(|refusal| !is_known(refusal)).collect::<Vec<_>>(), [""; 0], "{id}");
    }
}

/// Codes of refusals that are about the state of things, and say that the request was understood.
const UNDERSTOOD: [&str; 9] = [
    "email_taken",
    "invalid_code",
    "invalid_mfa_token",
    "invalid_one_time_token",
    "invalid_refresh_token",
    "mfa_not_started",
    "no_deletion",
    "not_found",
    "password_set",
];

/// A request with an example, by somebody who may send it. The values that only this account has are its own.
async fn request(server: &Server, route: &(String, String), operation: &Value, kind: &str, example: &Value) -> Request {
    let own: Tokens =
        if route.1.contains("/admin/") { crate::audit::administrator(server).await } else { server.register().await };
    let mut example = example.clone();
    for (name, value) in example.as_object_mut().unwrap() {
        match name.as_str() {
            "password" | "current_password" => *value = json!(PASSWORD),
            "email" if route.1.ends_with("/login") => *value = json!(own.email),
            _ => {}
        }
    }
    let other = server.register().await;
    let id = if route.1.contains("/users/") { other.user.to_string() } else { own.session.to_string() };
    let mut target = route.1.replace("{id}", &id);
    if route.1.contains("/clients/{id}") {
        let created = server.post("/api/v1/admin/clients").bearer(&own.access).json(&json!({"name": "a"})).send().await;
        target = route.1.replace("{id}", created.json()["client_id"].as_str().unwrap());
    }
    let mut request = server.request(&route.0, &target);
    if operation.get("security").is_none() {
        request = request.bearer(&own.access);
    } else if route.1.starts_with("/oauth/") {
        let admin = crate::audit::administrator(server).await;
        let body = json!({"name": "a", "scopes": ["introspect", "orders:read"]});
        let client = crate::clients::register(server, &admin, &body).await;
        request = request.header("authorization", &client.basic());
    }
    if kind == "application/json" {
        return request.json(&example);
    }
    let form: Vec<String> = example
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
        .collect();
    request.header("origin", PUBLIC_URL).header("content-type", kind).body(form.join("&"))
}

async fn the_server_takes_every_example_of_a_request(backend: Backend) {
    let settings = [("LIMIT_LOGIN_ADDRESS", "off"), ("LIMIT_REGISTER_ADDRESS", "off")];
    let server = Server::with(backend, &settings).await;
    let document = document(&server).await;
    let mut count = 0;
    for (route, operation) in operations(&document) {
        for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            for example in examples(&document, content) {
                let answer = request(&server, &route, &operation, kind, &example).await.send().await;
                let code = serde_json::from_slice(&answer.body).ok();
                let code = code.and_then(|body: Value| body["code"].as_str().map(str::to_owned));
                let is_understood = answer.status < 300
                    || code.as_deref().is_some_and(|code| UNDERSTOOD.contains(&code))
                    // The page of a link that does not work.
                    || answer.status == 400 && route.1.starts_with("/account/") && code.is_none()
                    // To the login, or the login of nobody.
                    || answer.status == 303
                    || answer.status == 401 && route.1 == "/login";
                assert!(is_understood, "{route:?} {example}: {answer:?}");
                count += 1;
            }
        }
    }
    assert!(count >= 30, "{count}");
}
