//! `/openapi.json` describes the routes that are served.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::clients::assert_error;
use crate::support::declared::resolved;
use crate::support::{PASSWORD, Server};

both_backends! {
    the_document_is_openapi_3_1,
    every_path_is_served_with_the_methods_of_the_document_and_no_others,
    every_answer_that_the_contract_names_is_declared,
    whoever_needs_a_token_says_so,
    a_query_has_the_limits_that_the_document_names,
    a_body_has_the_limits_that_the_document_names,
    a_body_that_may_be_missing_is_never_null,
    every_reference_leads_somewhere,
    no_answer_is_stored_unless_its_handler_says_otherwise,
}

/// The cookie of an access token, with https.
const ACCESS_COOKIE: &str = "__Host-keyturn_access";

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
        let target = path.replace("{name}", "style.0123456789abcdef.css");
        for method in METHODS {
            let answer = server.request(method, &target).send().await;
            if has(method) {
                assert!(![404, 405].contains(&answer.status), "{method} {path}: {answer:?}");
            } else {
                match path.starts_with("/oauth/") {
                    true => assert_error(&answer, 405, "invalid_request"),
                    false => drop(answer.assert_problem(405, "method_not_allowed")),
                }
                let allow = answer.header("allow").unwrap().replace("GET, HEAD", "GET");
                assert_eq!(allow, allowed.join(", "), "{method} {path}");
            }
        }
    }
}

async fn every_answer_that_the_contract_names_is_declared(server: Server) {
    let document = document(&server).await;
    let operations = operations(&document);
    for (method, path, statuses) in [
        ("POST", "/api/v1/auth/register", "201 403 409 422 429 503"),
        ("POST", "/api/v1/auth/login", "200 401 403 422 429 503"),
        ("POST", "/api/v1/auth/logout", "204 401 503"),
        ("POST", "/api/v1/auth/logout-all", "200 401 503"),
        ("GET", "/api/v1/auth/me", "200 401 503"),
        ("PATCH", "/api/v1/auth/me", "200 401 422 503"),
        ("DELETE", "/api/v1/auth/me", "202 401 409 429 503"),
        ("GET", "/api/v1/auth/me/export", "200 401 429 503"),
        ("POST", "/api/v1/auth/deletion/cancel", "204 400 422 429 503"),
        ("DELETE", "/api/v1/admin/users/{id}", "202 401 403 404 409 422 429 503"),
        ("DELETE", "/api/v1/admin/users/{id}/deletion", "204 401 403 404 409 429 503"),
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
        ("POST", "/api/v1/admin/users", "201 400 401 403 409 413 415 422 429 503"),
        ("POST", "/api/v1/admin/users/{id}/invitation", "202 401 403 404 409 429 503"),
        ("POST", "/api/v1/admin/users/{id}/password-reset", "202 401 403 404 409 429 503"),
        ("DELETE", "/api/v1/admin/users/{id}/mfa", "204 401 403 404 409 429 503"),
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
            let response = resolved(&document, response);
            if status >= "400" && !path.starts_with("/health") {
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/ProblemDetails", "{method} {path} {status}");
            }
        }
        assert!(operation.get("requestBody").is_none() || declared.contains_key("415"), "{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let place = match parameter["name"].as_str().unwrap() {
                "Idempotency-Key" | "DPoP" => "header",
                name if path.contains(&format!("{{{name}}}")) => "path",
                _ => "query",
            };
            assert_eq!(parameter["in"], place, "{method} {path} {parameter}");
        }
    }
}

async fn whoever_needs_a_token_says_so(server: Server) {
    let document = document(&server).await;
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    assert_eq!((&schemes["cookie"]["in"], &schemes["cookie"]["name"]), (&json!("cookie"), &json!(ACCESS_COOKIE)));
    assert_eq!(document["security"], json!([{"bearer": []}, {"cookie": []}]));
    for (route, operation) in operations(&document) {
        let (method, path) = (route.0.as_str(), route.1.as_str());
        let is_open = crate::strangers::OPEN.contains(&(method, path)) || crate::strangers::is_page(method, path);
        let declared = operation.get("security");
        assert_eq!(declared.is_some(), is_open, "{route:?}: {declared:?}");
        // A page of another origin, or an administrator who acts for the account.
        let may_be_forbidden = !is_open && method != "GET";
        assert!(!may_be_forbidden || operation["responses"].get("403").is_some(), "{route:?}");
    }
}

/// The values that a schema allows, as far as it names limits, and such as it does not.
fn samples(schema: &Value) -> (Vec<String>, Vec<String>) {
    if let Some(choices) = schema["enum"].as_array() {
        let allowed = choices.iter().map(|choice| choice.as_str().unwrap().to_owned()).collect();
        return (allowed, vec!["something".to_owned(), String::new()]);
    }
    if let (Some(least), Some(most)) = (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        return (
            [least, most].map(|number| number.to_string()).into(),
            [least - 1, most + 1].map(|n| n.to_string()).into(),
        );
    }
    match schema["format"].as_str() {
        Some("uuid") => (vec!["01a2003e-d8aa-7ec7-a93b-e076a8923cfc".to_owned()], vec!["1".to_owned()]),
        Some("date-time") => (vec!["2026-11-21T22:34:08.514Z".to_owned()], vec!["yesterday".to_owned()]),
        _ => (Vec::new(), schema["maxLength"].as_u64().map(|most| "a".repeat(most as usize + 1)).into_iter().collect()),
    }
}

async fn a_query_has_the_limits_that_the_document_names(server: Server) {
    let admin = crate::audit::administrator(&server).await;
    let client = server.reader().await;
    let document = document(&server).await;
    let mut tried = BTreeSet::new();
    for ((method, path), operation) in operations(&document) {
        if method != "GET" || path.contains('{') || path == "/api/v1/auth/verify" {
            continue;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let schema = &parameter["schema"];
            let schema = schema["$ref"].as_str().map_or(schema, |place| document.pointer(&place[1..]).unwrap());
            let (allowed, refused) = samples(schema);
            let name = parameter["name"].as_str().unwrap();
            for (values, expected) in [(allowed, 200), (refused, 422)] {
                for value in values {
                    tried.insert(name.to_owned());
                    let target = format!("{path}?{name}={}", value.replace('+', "%2B"));
                    let is_for_clients = operation["security"][0]["client"].is_array();
                    let caller = if is_for_clients { client.clone() } else { format!("Bearer {}", admin.access) };
                    let answer = server.get(&target).header("authorization", &caller).send().await;
                    // A page sends a stranger to the login.
                    let is_page = path.starts_with("/account/") || path.starts_with("/admin");
                    let is_expected = answer.status == expected || (is_page && answer.status == 303);
                    assert!(is_expected, "{target}: {} {}", answer.status, answer.text());
                }
            }
        }
    }
    let expected = [
        "cursor",
        "event_type",
        "format",
        "from",
        "hours",
        "limit",
        "q",
        "role",
        "session_id",
        "state",
        "status",
        "to",
        "wait",
        "user_id",
    ];
    assert!(expected.iter().all(|name| tried.contains(*name)), "{tried:?}");
}

async fn a_body_has_the_limits_that_the_document_names(server: Server) {
    let document = document(&server).await;
    let schema = |name: &str| document["components"]["schemas"][name].clone();
    let length = |name: &str, limit: &str| usize::try_from(schema(name)[limit].as_u64().unwrap()).unwrap();
    let email = length("EmailAddress", "maxLength");
    let longest = format!("{}@{}.{}.{}.com", "n".repeat(64), "a".repeat(63), "b".repeat(63), "c".repeat(email - 197));
    assert_eq!((longest.len(), schema("EmailAddress")["format"].as_str()), (email, Some("idn-email")));
    let account = json!({"email": longest, "password": PASSWORD, "name": "n".repeat(length("Label", "maxLength"))});
    for (field, value) in [
        ("email", json!(longest.replace("@a", "@aa").replace("cc.com", "ccc.com"))),
        ("password", json!("p".repeat(length("NewPassword", "maxLength") + 1))),
        ("password", json!("p".repeat(length("NewPassword", "minLength") - 1))),
        ("name", json!("n".repeat(length("Label", "maxLength") + 1))),
        ("name", json!("")),
        ("transport", json!("pigeon")),
        ("more", json!(1)),
    ] {
        let mut wrong = account.clone();
        wrong[field] = value;
        let answer = server.post("/api/v1/auth/register").json(&wrong).send().await;
        assert_eq!(answer.assert_problem(422, "invalid_input").json()["errors"][0]["field"], field, "{wrong}");
    }
    server.post("/api/v1/auth/register").json(&account).send().await.assert_status(201);

    let user = server.register().await;
    let roles = schema("Roles");
    let most = usize::try_from(roles["maxItems"].as_u64().unwrap()).unwrap();
    assert_eq!(roles["items"]["pattern"], "^[A-Za-z0-9][A-Za-z0-9._:-]*$");
    let admin = crate::audit::administrator(&server).await;
    let path = format!("/api/v1/admin/users/{}", user.user);
    let (allowed, refused) = (["editor", "org:billing.read", "A-1_b", "9"], ["-a", ".", "a b", "ä", "a/b"]);
    for (name, status) in allowed.map(|name| (name, 200)).into_iter().chain(refused.map(|name| (name, 422))) {
        let answer = server.patch(&path).bearer(&admin.access).json(&json!({"roles": [name]})).send().await;
        assert_eq!(answer.status, status, "{name}");
    }
    for (count, status) in [(most - 1, 200), (most + 1, 422)] {
        let roles: Vec<String> = (0..count).map(|number| format!("role{number}")).collect();
        let answer = server.patch(&path).bearer(&admin.access).json(&json!({"roles": roles})).send().await;
        assert_eq!(answer.status, status, "{count} roles");
    }
}

async fn a_body_that_may_be_missing_is_never_null(server: Server) {
    let document = document(&server).await;
    let body = &document["paths"]["/api/v1/sessions/refresh"]["post"]["requestBody"];
    assert_eq!(body["required"], false);
    let reference = body["content"]["application/json"]["schema"]["$ref"].as_str();
    assert_eq!(reference, Some("#/components/schemas/RefreshRequest"));
    let refused = server.post("/api/v1/sessions/refresh").json(&Value::Null).send().await;
    refused.assert_problem(422, "invalid_input");
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
    let public = |path: &str| path.starts_with("/.well-known/") && path != "/.well-known/change-password";
    let admin = crate::audit::administrator(&server).await;
    let session = server.register().await.session.to_string();
    for (method, path) in routes(&server).await {
        let expected = if public(&path) { "public, max-age=300" } else { "no-store" };
        let target = path.replace("{id}", &session);
        let request = server.request(&method, &target);
        for request in [request.clone(), request.bearer(&admin.access).json(&json!({}))] {
            let answer = request.send().await;
            assert_eq!(answer.all_headers("cache-control"), [expected], "{method} {path}: {answer:?}");
        }
    }
    for (method, path) in [("GET", "/nowhere"), ("PUT", "/api/v1/auth/me"), ("OPTIONS", "/api/v1/auth/me")] {
        let answer = server.request(method, path).send().await;
        assert_eq!(answer.all_headers("cache-control"), ["no-store"], "{method} {path}: {answer:?}");
    }
}
