//! docs/api.md: its table has the routes of the server, and each of its requests is one that the server takes.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::page::blocks;
use crate::support::{Backend, PASSWORD, Request, Response, Server, Tokens};

both_backends! {
    the_table_has_every_route_and_its_caller,
    every_route_has_a_request_that_the_server_takes,
}

const PAGE: &str = "docs/api.md";

/// A route: method and path.
type Route = (String, String);

/// The routes of the server, and whether each needs an access token.
async fn routes(server: &Server) -> BTreeMap<Route, bool> {
    let document = server.get("/openapi.json").send().await.json();
    let mut routes = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            routes.insert((method.to_uppercase(), path.clone()), operation.get("security").is_none());
        }
    }
    routes
}

async fn the_table_has_every_route_and_its_caller(server: Server) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    let table = page.split("| route | caller | what it does |\n| --- | --- | --- |\n").nth(1).unwrap();
    let mut found = BTreeMap::new();
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let [route, caller, what] = row.trim_matches('|').split(" | ").collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (method, rest) = route.trim().split_once(" [`").unwrap();
        let (path, section) = rest.split_once("`](#").unwrap();
        let section = section.trim_end_matches(')');
        let heads: Vec<String> = page.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
        assert!(heads.iter().any(|head| head == section), "{row}: no heading has the anchor {section}");
        assert!(!what.trim().is_empty(), "{row}");
        let is_new =
            found.insert((method.to_owned(), path.to_owned()), !["–", "refresh token", "client"].contains(&caller));
        assert!(is_new.is_none(), "{row} is there twice");
    }
    assert_eq!(found, routes(&server).await, "left: {PAGE}; right: the server");
}

/// The anchor that GitHub gives to a heading.
pub fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().replace(' ', "-")
}

/// A request of the page, as the HTTP files of editors write it.
struct Shown {
    place: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

fn shown() -> Vec<Shown> {
    let blocks = blocks(PAGE).into_iter().filter(|block| block.language == "http");
    let requests = blocks.flat_map(|block| {
        let read = |text: &str| {
            let (head, body) =
                text.trim().split_once("\n\n").map_or((text.trim(), None), |(head, body)| (head, Some(body)));
            let mut lines = head.lines();
            let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
            let headers =
                lines.map(|line| line.split_once(": ").unwrap()).map(|(name, value)| (name.into(), value.into()));
            Shown {
                place: block.place.clone(),
                method: method.to_owned(),
                target: target.to_owned(),
                headers: headers.collect(),
                body: body.map(str::to_owned),
            }
        };
        block.text.split("\n###\n").map(read).collect::<Vec<_>>()
    });
    requests.collect()
}

/// Codes of refusals that are about the sample values, and say that the request was understood.
const UNDERSTOOD: [&str; 8] = [
    "invalid_one_time_token",
    "invalid_mfa_token",
    "mfa_not_enabled",
    "mfa_not_started",
    "no_deletion",
    "last_administrator",
    "password_set",
    "invalid_code",
];

async fn send(server: &Server, shown: &Shown, admin: &Tokens) -> Response {
    // Somebody new for each request, since some end accounts. The session is another one than the caller's.
    let other = server.register().await;
    let caller = server.login(&other.email).await;
    let client = server.post("/api/v1/admin/clients").bearer(&admin.access);
    let sample = json!({"name": "sample", "scopes": ["introspect", "revocations", "token-exchange", "orders:read"]});
    let client = client.json(&sample).send().await.json();
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let keys = server.get("/api/v1/admin/keys").bearer(&admin.access).send().await.json();
    // The last one is published and does not sign yet, once a request has rotated the keys.
    let key = keys["keys"].as_array().unwrap().last().unwrap()["kid"].as_str().unwrap().to_owned();
    let meant = |text: &str| {
        text.replace("ACCESS_TOKEN", &caller.access)
            .replace("CLIENT_ID", id)
            .replace("CLIENT_CREDENTIALS", &STANDARD.encode(format!("{id}:{secret}")))
            .replace("ADMIN_TOKEN", &admin.access)
            .replace("REFRESH_TOKEN", &caller.refresh)
            .replace("SESSION_ID", &other.session.to_string())
            .replace("USER_ID", &caller.user.to_string())
            .replace("KEY_ID", &key)
            .replace("ada@example.com", &caller.email)
            .replace("seven ravens over the harbour", PASSWORD)
            .replace("FILE_NAME", "style.0123456789abcdef.css")
            .replace("LINK_TOKEN", &format!("kto_{}", "A".repeat(43)))
            .replace("MFA_TOKEN", &format!("ktm_{}", "A".repeat(43)))
    };
    let mut request: Request = server.request(&shown.method, &meant(&shown.target));
    for (name, value) in &shown.headers {
        request = request.header(name, &meant(value));
    }
    if let Some(body) = &shown.body {
        let body = meant(body);
        let is_form = shown.headers.iter().any(|(name, _)| name == "Content-Type");
        request =
            if is_form { request.body(body) } else { request.json(&serde_json::from_str::<Value>(&body).unwrap()) };
    }
    request.send().await
}

async fn every_route_has_a_request_that_the_server_takes(backend: Backend) {
    let server = Server::with(
        backend,
        &[("LIMIT_LOGIN_ADDRESS", "off"), ("LIMIT_REGISTER_ADDRESS", "off"), ("LIMIT_WRITE_ACCOUNT", "off")],
    )
    .await;
    let admin = server.register().await;
    let condition = format!("id = {}", server.literal(admin.user.0));
    server.sql(&format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE {condition}"));
    let mut missing: BTreeSet<Route> = routes(&server).await.into_keys().collect();
    for shown in shown() {
        let mut path =
            shown.target.split('?').next().unwrap().replace("/secret/1", "/secret/{n}").replace("FILE_NAME", "{name}");
        for id in ["SESSION_ID", "USER_ID", "CLIENT_ID", "KEY_ID"] {
            path = path.replace(id, "{id}");
        }
        let answer = send(&server, &shown, &admin).await;
        let place = format!("{}: {} {}", shown.place, shown.method, shown.target);
        let is_page = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        let is_understood = match answer.status {
            200..300 => true,
            // The link of a sample does not work.
            400 => is_page || UNDERSTOOD.contains(&answer.json()["code"].as_str().unwrap()),
            // To the login.
            303 => true,
            401 if is_page => true,
            401 if shown.target == "/account/sessions/live" => true,
            401 | 409 => UNDERSTOOD.contains(&answer.json()["code"].as_str().unwrap()),
            _ => false,
        };
        assert!(is_understood, "{place}: {answer:?}");
        missing.remove(&(shown.method, path));
    }
    assert!(missing.is_empty(), "{PAGE} shows no request for {missing:?}");
}
