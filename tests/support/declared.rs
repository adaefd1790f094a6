//! Holds every answer that a test gets against `docs/openapi.json`: what the server answers has to be declared there.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::Response;

static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap());

/// Codes that answer any request, or none: they belong to no operation.
const OF_NO_OPERATION: [&str; 3] = ["head_too_large", "malformed_request", "method_not_allowed"];

/// Follows the references of a document.
pub fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(place) => resolved(document, document.pointer(&place[1..]).unwrap_or_else(|| panic!("{place}"))),
        None => value,
    }
}

/// The operation that serves a request.
fn operation(method: &str, target: &str) -> Option<&'static Value> {
    let path = target.split('?').next().unwrap();
    // Any method and further path is that of the request that a proxy holds.
    if path == "/api/v1/auth/verify" || path.starts_with("/api/v1/auth/verify/") {
        return Some(&DOCUMENT["paths"]["/api/v1/auth/verify"]["get"]);
    }
    let path = if path == "/api/v1/sessions/" { "/api/v1/sessions" } else { path };
    let is_path = |pattern: &str| {
        let (own, asked): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
        own.len() == asked.len() && own.iter().zip(asked).all(|(own, asked)| own.starts_with('{') || *own == asked)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let item = paths.get(path).or_else(|| paths.iter().find(|(pattern, _)| is_path(pattern)).map(|(_, item)| item));
    item?.get(method.replace("HEAD", "GET").to_lowercase())
}

/// Asserts that an answer of the server is declared with its status, and a refusal with its code.
pub fn assert_declared(method: &str, target: &str, answer: &Response) {
    let Some(operation) = operation(method, target) else { return };
    let is_oauth = target.starts_with("/oauth/");
    let kind = answer.header("content-type").unwrap_or_default();
    let code = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(body) if kind == "application/problem+json" => body["code"].as_str().map(str::to_owned),
        Ok(body) if is_oauth && answer.status >= 400 => body["error"].as_str().map(str::to_owned),
        _ => None,
    };
    // What is no refusal of keyturn's may be that of a proxy.
    if answer.status >= 300 && code.is_none() || code.as_deref().is_some_and(|code| OF_NO_OPERATION.contains(&code)) {
        return;
    }
    if answer.status == 405 {
        return;
    }
    // The address for the metrics has no other routes.
    let is_missing = operation["responses"]["404"].is_null() && code.as_deref() == Some("not_found");
    if is_missing {
        return;
    }
    let declared = &operation["responses"][answer.status.to_string()];
    assert!(!declared.is_null(), "{method} {target} declares no {}: {answer:?}", answer.status);
    let Some(code) = code else { return };
    let contents = resolved(&DOCUMENT, declared)["content"].as_object().unwrap();
    let examples = contents.values().filter_map(|content| content["examples"].as_object());
    let codes: BTreeSet<&str> = examples.flat_map(|examples| examples.keys().map(String::as_str)).collect();
    assert!(codes.contains(&*code), "{method} {target} declares {codes:?} for {}, not {code}", answer.status);
}
