//! `/openapi.json` describes the routes that are served.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::support::Server;

both_backends! {
    the_document_is_openapi_3_1,
    every_path_is_served_with_the_methods_of_the_document_and_no_others,
    every_answer_that_the_contract_names_is_declared,
    whoever_needs_a_token_says_so,
    every_reference_leads_somewhere,
    no_answer_is_stored_unless_its_handler_says_otherwise,
}

/// A route: method and path.
pub type Route = (String, String);

/// The methods that a route may have.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// The routes that the document describes.
pub async fn routes(server: &Server) -> BTreeSet<Route> {
    operations(&document(server).await).into_keys().collect()
}

pub async fn document(server: &Server) -> Value {
    let answer = server.get("/openapi.json").send().await;
    answer.assert_status(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    answer.json()
}

/// The operations of a document by their routes.
pub fn operations(document: &Value) -> BTreeMap<Route, Value> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let of_method =
            |(method, operation): (&String, &Value)| ((method.to_ascii_uppercase(), path.clone()), operation.clone());
        item.as_object().unwrap().iter().map(of_method).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

async fn the_document_is_openapi_3_1(server: Server) {
    let document = document(&server).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(document["info"]["title"], "keyturn");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut ids = BTreeSet::new();
    for (route, operation) in operations(&document) {
        assert!(operation["summary"].is_string() || operation["description"].is_string(), "{route:?}");
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{route:?}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{route:?}");
    }
}

async fn every_path_is_served_with_the_methods_of_the_document_and_no_others(server: Server) {
    let routes = routes(&server).await;
    assert!(routes.len() >= 57, "{routes:?}");
    // Any method is the one that a proxy was asked with.
    for (_, path) in routes.iter().filter(|(_, path)| path != "/api/v1/auth/verify") {
        let has = |method: &str| routes.contains(&(method.to_owned(), path.clone()));
        let allowed: Vec<&str> = METHODS.into_iter().filter(|method| has(method)).collect();
        for method in METHODS {
            let answer = server.request(method, path).send().await;
            if has(method) {
                assert!(![404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
            } else {
                answer.assert_problem(405, "method_not_allowed");
                let allow = answer.header("allow").unwrap().replace("GET, HEAD", "GET");
                assert_eq!(allow, allowed.join(", "), "{method} {path}");
            }
        }
    }
}

async fn every_answer_that_the_contract_names_is_declared(server: Server) {
    let operations = operations(&document(&server).await);
    for (method, path, statuses) in [
        ("POST", "/api/v1/auth/register", "201 403 409 422 429 503"),
        ("POST", "/api/v1/auth/login", "200 401 403 422 429 503"),
        ("POST", "/api/v1/auth/logout", "204 401 503"),
        ("POST", "/api/v1/auth/logout-all", "200 401 503"),
        ("GET", "/api/v1/auth/me", "200 401 503"),
        ("PATCH", "/api/v1/auth/me", "200 401 422 503"),
        ("POST", "/api/v1/auth/password/change", "200 401 422 429 503"),
        ("POST", "/api/v1/auth/reauthenticate", "200 401 422 429 503"),
        ("POST", "/api/v1/auth/mfa", "200 401 422 429 503"),
        ("POST", "/api/v1/auth/mfa/totp", "201 401 409 503"),
        ("DELETE", "/api/v1/auth/mfa/totp", "204 401 409 503"),
        ("POST", "/api/v1/auth/mfa/totp/confirm", "200 401 409 422 429 503"),
        ("POST", "/api/v1/auth/mfa/recovery-codes", "200 401 409 503"),
        ("GET", "/api/v1/auth/trusted-devices", "200 401 503"),
        ("DELETE", "/api/v1/auth/trusted-devices", "200 401 404 422 503"),
        ("GET", "/api/v1/auth/verify", "200 401 503"),
        ("POST", "/api/v1/auth/password/forgot", "202 422 429 503"),
        ("POST", "/api/v1/auth/password/reset", "204 400 422 429 503"),
        ("POST", "/api/v1/auth/not-me", "204 400 422 429 503"),
        ("POST", "/api/v1/auth/email/verify", "204 400 422 429 503"),
        ("POST", "/api/v1/auth/email/verify/resend", "202 401 429 503"),
        ("POST", "/api/v1/auth/email/change", "202 401 422 429 503"),
        ("DELETE", "/api/v1/auth/email/change", "204 401 503"),
        ("POST", "/api/v1/auth/email/change/confirm", "200 400 409 422 429 503"),
        ("POST", "/api/v1/sessions/refresh", "200 400 401 409 422 429 503"),
        ("GET", "/api/v1/sessions", "200 401 422 503"),
        ("GET", "/api/v1/sessions/{id}", "200 401 404 503"),
        ("PATCH", "/api/v1/sessions/{id}", "200 401 404 422 503"),
        ("DELETE", "/api/v1/sessions/{id}", "204 400 401 404 503"),
        ("DELETE", "/api/v1/sessions", "200 400 401 404 422 503"),
        ("POST", "/api/v1/sessions/revoke", "200 400 401 404 422 503"),
        ("GET", "/api/v1/sessions/summary", "200 401 503"),
        ("GET", "/api/v1/sessions/audit", "200 401 422 503"),
        ("GET", "/api/v1/admin/users", "200 401 403 422 503"),
        ("GET", "/api/v1/admin/users/{id}", "200 401 403 404 503"),
        ("PATCH", "/api/v1/admin/users/{id}", "200 401 403 404 409 422 503"),
        ("GET", "/api/v1/admin/users/{id}/sessions", "200 401 403 404 422 503"),
        ("DELETE", "/api/v1/admin/users/{id}/sessions", "200 401 403 404 503"),
        ("POST", "/api/v1/admin/users/{id}/impersonate", "200 401 403 404 409 422 503"),
        ("DELETE", "/api/v1/admin/sessions/{id}", "204 401 403 404 503"),
        ("GET", "/api/v1/admin/audit", "200 401 403 422 503"),
        ("GET", "/api/v1/admin/stats", "200 401 403 422 503"),
        ("GET", "/.well-known/jwks.json", "200 304"),
        ("GET", "/.well-known/oauth-authorization-server", "200"),
        ("GET", "/.well-known/openid-configuration", "200"),
        ("GET", "/health/live", "200"),
        ("GET", "/health/ready", "200 503"),
        ("GET", "/metrics", "200"),
        ("GET", "/openapi.json", "200"),
    ] {
        let operation = &operations[&(method.to_owned(), path.to_owned())];
        let declared = operation["responses"].as_object().unwrap();
        for status in statuses.split(' ') {
            let response = declared.get(status).unwrap_or_else(|| panic!("{method} {path} declares no {status}"));
            if status >= "400" && !path.starts_with("/health") {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ProblemDetails", "{method} {path} {status}");
            }
        }
        assert!(operation.get("requestBody").is_none() || declared.contains_key("415"), "{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let place = match parameter["name"].as_str().unwrap() {
                "Idempotency-Key" => "header",
                name if path.contains(&format!("{{{name}}}")) => "path",
                _ => "query",
            };
            assert_eq!(parameter["in"], place, "{method} {path} {parameter}");
        }
    }
}

async fn whoever_needs_a_token_says_so(server: Server) {
    let document = document(&server).await;
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    assert_eq!(document["security"], serde_json::json!([{"bearer": []}]));
    for (route, operation) in operations(&document) {
        let (method, path) = (route.0.as_str(), route.1.as_str());
        let is_open = crate::strangers::OPEN.contains(&(method, path));
        let declared = operation.get("security");
        assert_eq!(declared.is_some(), is_open, "{route:?}: {declared:?}");
    }
}

async fn every_reference_leads_somewhere(server: Server) {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.insert(reference.clone());
                }
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(elements) => elements.iter().for_each(|element| references(element, found)),
            _ => {}
        }
    }
    let document = document(&server).await;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 5);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

async fn no_answer_is_stored_unless_its_handler_says_otherwise(server: Server) {
    let public = |path: &str| path.starts_with("/.well-known/");
    let admin = crate::audit::administrator(&server).await;
    let session = server.register().await.session.to_string();
    for (method, path) in routes(&server).await {
        let expected = if public(&path) { "public, max-age=300" } else { "no-store" };
        let target = path.replace("{id}", &session);
        let request = server.request(&method, &target);
        for request in [request.clone(), request.bearer(&admin.access).json(&serde_json::json!({}))] {
            let answer = request.send().await;
            assert_eq!(answer.all_headers("cache-control"), [expected], "{method} {path}: {answer:?}");
        }
    }
    for (method, path) in [("GET", "/nowhere"), ("PUT", "/api/v1/auth/me"), ("OPTIONS", "/api/v1/auth/me")] {
        let answer = server.request(method, path).send().await;
        assert_eq!(answer.all_headers("cache-control"), ["no-store"], "{method} {path}: {answer:?}");
    }
}
