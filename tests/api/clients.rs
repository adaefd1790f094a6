//! `/api/v1/admin/clients`: registered clients, and how they authenticate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::audit::administrator;
use crate::support::http::at_once;
use crate::support::{Endpoint, Request, Response, Server, Servers, Tokens, until};

pub const CLIENTS: &str = "/api/v1/admin/clients";
pub const INTROSPECT: &str = "/oauth/introspect";

both_backends! {
    a_client_is_registered_and_its_secret_shown_once,
    a_client_is_changed_whole_or_not_at_all,
    wrong_input_is_named,
    clients_are_listed_page_by_page,
    a_client_has_two_secrets_at_the_most,
    of_secrets_added_at_once_one_is,
    only_administrators_with_a_recent_login_register_clients,
    what_is_done_to_clients_is_audited,
    a_client_authenticates_in_the_header_or_in_the_form,
    credentials_that_cannot_be_read_are_refused,
    a_secret_that_is_deleted_is_refused_here_at_once_and_elsewhere_soon,
    a_new_secret_is_taken_at_once_by_every_server,
    a_client_that_is_disabled_or_deleted_is_refused,
    the_use_of_a_client_is_noted_once_a_minute,
    a_client_is_remembered_and_costs_no_query_each_time,
}

/// A client with its secret.
pub struct Client {
    pub id: String,
    pub secret: String,
}

impl Client {
    pub fn of(answer: &Value) -> Self {
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Self { id: text("client_id"), secret: text("client_secret") }
    }

    pub fn path(&self) -> String {
        format!("{CLIENTS}/{}", self.id)
    }

    /// The header by which the client authenticates.
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, self.secret)))
    }
}

/// A form for a standard endpoint.
pub fn form(server: &Endpoint, path: &str, fields: &[(&str, &str)]) -> Request {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    server.post(path).header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// Registers a client by the API.
pub async fn register(server: &Endpoint, admin: &Tokens, body: &Value) -> Client {
    Client::of(&creating(server, admin, body).send().await.assert_status(201).json())
}

/// A client that may introspect.
pub async fn introspecting(server: &Endpoint) -> (Tokens, Client) {
    let admin = administrator(server).await;
    let client = register(server, &admin, &json!({"name": "gateway", "scopes": ["introspect"]})).await;
    (admin, client)
}

fn creating(server: &Endpoint, admin: &Tokens, body: &Value) -> Request {
    server.post(CLIENTS).bearer(&admin.access).json(body)
}

/// The answer to a client that asks about a token.
pub async fn introspect(server: &Endpoint, client: &Client, token: &str) -> Response {
    form(server, INTROSPECT, &[("token", token)]).header("authorization", &client.basic()).send().await
}

async fn assert_taken(server: &Endpoint, client: &Client) {
    introspect(server, client, "x").await.assert_status(200);
}

/// Asserts an error of RFC 6749.
#[track_caller]
pub fn assert_error(answer: &Response, status: u16, error: &str) {
    answer.assert_status(status);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    let body = answer.json();
    assert_eq!(body["error"], error, "{body}");
    assert!(body["error_description"].is_string() && body.as_object().unwrap().len() == 2, "{body}");
}

async fn assert_refused(server: &Endpoint, client: &Client) {
    let answer = introspect(server, client, "x").await;
    assert_error(&answer, 401, "invalid_client");
    assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "));
}

async fn a_client_is_registered_and_its_secret_shown_once(server: Server) {
    let admin = administrator(&server).await;
    let body = json!({"name": " Orders ", "scopes": ["introspect", "orders:read", "introspect"],
        "audiences": ["https://api.example"], "access_token_ttl": 60});
    let answer = creating(&server, &admin, &body).send().await;
    let created = answer.assert_status(201).json();
    let client = Client::of(&created);
    assert_eq!(answer.header("location"), Some(&*client.path()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(client.secret.starts_with("ktc_") && client.secret.len() == 47);
    assert_eq!((&created["name"], &created["scopes"]), (&json!("Orders"), &json!(["introspect", "orders:read"])));
    assert_eq!((&created["audiences"], &created["access_token_ttl"]), (&json!(["https://api.example"]), &json!(60)));
    assert_eq!((&created["disabled"], &created["last_used_at"]), (&json!(false), &Value::Null));

    let shown = server.get(&client.path()).bearer(&admin.access).send().await.assert_status(200).json();
    let mut expected = created;
    for once in ["client_secret", "secret_number"] {
        expected.as_object_mut().unwrap().remove(once);
    }
    assert_eq!(shown, expected);
    for table in ["clients", "client_secrets", "audit_log"] {
        let kept = json!(server.rows(table)).to_string();
        assert!(!kept.contains(&client.secret[4..]), "{table}");
    }
    assert_taken(&server, &client).await;
}

async fn a_client_is_changed_whole_or_not_at_all(server: Server) {
    let (admin, client) = introspecting(&server).await;
    let change = async |body: Value| server.patch(&client.path()).bearer(&admin.access).json(&body).send().await;
    let shown = change(json!({"name": "Gate", "audiences": ["a"], "access_token_ttl": 900})).await;
    let shown = shown.assert_status(200).json();
    assert_eq!((&shown["name"], &shown["access_token_ttl"]), (&json!("Gate"), &json!(900)));
    assert_eq!((&shown["audiences"], &shown["scopes"]), (&json!(["a"]), &json!(["introspect"])));
    change(json!({"name": "", "scopes": []})).await.assert_invalid("name");
    change(json!({"name": "Gate 2", "access_token_ttl": 901})).await.assert_invalid("access_token_ttl");
    change(json!({"access_token_ttl": null})).await.assert_status(200);
    let shown = server.get(&client.path()).bearer(&admin.access).send().await.json();
    assert_eq!((&shown["name"], &shown["access_token_ttl"]), (&json!("Gate"), &Value::Null));
    for name in ["name", "scopes", "audiences", "disabled"] {
        change(json!({name: null})).await.assert_invalid(name);
    }
    change(json!({"scopes": []})).await.assert_status(200);
    assert_error(&introspect(&server, &client, "x").await, 403, "insufficient_scope");
}

async fn wrong_input_is_named(server: Server) {
    let admin = administrator(&server).await;
    let many: Vec<String> = (0..33).map(|number| number.to_string()).collect();
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": " "}), "name"),
        (json!({"name": "a", "scopes": ["two words"]}), "scopes"),
        (json!({"name": "a", "scopes": many}), "scopes"),
        (json!({"name": "a", "scopes": "introspect"}), "scopes"),
        (json!({"name": "a", "audiences": [""]}), "audiences"),
        (json!({"name": "a", "audiences": ["é"]}), "audiences"),
        (json!({"name": "a", "access_token_ttl": 0}), "access_token_ttl"),
        (json!({"name": "a", "access_token_ttl": 901}), "access_token_ttl"),
        (json!({"name": "a", "access_token_ttl": u64::MAX}), "access_token_ttl"),
        (json!({"name": "a", "secret": "b"}), "secret"),
    ] {
        creating(&server, &admin, &body).send().await.assert_invalid(field);
    }
    assert_eq!(server.count("clients"), 0);
    let nobody = format!("{CLIENTS}/00000000-0000-0000-0000-000000000000");
    for request in [
        server.get(&nobody),
        server.delete(&nobody),
        server.patch(&nobody).json(&json!({})),
        server.post(&format!("{nobody}/secret")),
        server.delete(&format!("{nobody}/secret/1")),
        server.get(&format!("{CLIENTS}/x")),
    ] {
        request.bearer(&admin.access).send().await.assert_problem(404, "not_found");
    }
    let client = register(&server, &admin, &json!({"name": "a"})).await;
    for number in ["2", "x", "0", "-1", "99999999999"] {
        let path = format!("{}/secret/{number}", client.path());
        server.delete(&path).bearer(&admin.access).send().await.assert_problem(404, "not_found");
    }
}

async fn clients_are_listed_page_by_page(server: Server) {
    let admin = administrator(&server).await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(register(&server, &admin, &json!({"name": format!("client {number}")})).await.id);
    }
    let (mut listed, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("{CLIENTS}?limit=2{cursor}")).bearer(&admin.access).send().await;
        let page = page.assert_status(200).json();
        let clients = page["clients"].as_array().unwrap();
        assert!(clients.iter().all(|client| client["secrets"].as_array().unwrap().len() == 1));
        listed.extend(clients.iter().map(|client| client["client_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["pagination"]["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    ids.sort();
    assert_eq!(listed, ids);
    for query in ["limit=0", "cursor=x", "cursor=AQ"] {
        let answer = server.get(&format!("{CLIENTS}?{query}")).bearer(&admin.access).send().await;
        answer.assert_invalid(query.split('=').next().unwrap());
    }
}

async fn add_secret(server: &Endpoint, admin: &Tokens, client: &Client) -> Response {
    server.post(&format!("{}/secret", client.path())).bearer(&admin.access).send().await
}

async fn delete_secret(server: &Endpoint, admin: &Tokens, client: &Client, number: i64) {
    let path = format!("{}/secret/{number}", client.path());
    server.delete(&path).bearer(&admin.access).send().await.assert_status(204);
}

async fn a_client_has_two_secrets_at_the_most(server: Server) {
    let (admin, first) = introspecting(&server).await;
    let second = add_secret(&server, &admin, &first).await.assert_status(201).json();
    assert_eq!(second["secrets"].as_array().unwrap().len(), 2);
    let second = Client::of(&second);
    assert_taken(&server, &first).await;
    assert_taken(&server, &second).await;
    add_secret(&server, &admin, &first).await.assert_problem(409, "too_many_secrets");
    delete_secret(&server, &admin, &first, 1).await;
    assert_refused(&server, &first).await;
    assert_taken(&server, &second).await;
    // A number is never used again, so that a deletion that is repeated ends no other secret.
    let third = add_secret(&server, &admin, &first).await.assert_status(201).json();
    assert_eq!(third["secret_number"], 3);
    let again = server.delete(&format!("{}/secret/1", first.path())).bearer(&admin.access).send().await;
    again.assert_problem(404, "not_found");
    assert_taken(&server, &Client::of(&third)).await;
}

async fn of_secrets_added_at_once_one_is(server: Server) {
    let (admin, client) = introspecting(&server).await;
    let add = server.post(&format!("{}/secret", client.path())).bearer(&admin.access);
    let answers = at_once(vec![add; 6]).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
    assert_eq!(server.count("client_secrets"), 2);
}

async fn only_administrators_with_a_recent_login_register_clients(server: Server) {
    let (admin, client) = introspecting(&server).await;
    let user = server.register().await;
    let requests = || {
        vec![
            server.post(CLIENTS).json(&json!({"name": "a"})),
            server.patch(&client.path()).json(&json!({"name": "b"})),
            server.post(&format!("{}/secret", client.path())),
            server.delete(&format!("{}/secret/1", client.path())),
            server.delete(&client.path()),
        ]
    };
    for request in requests().into_iter().chain([server.get(CLIENTS), server.get(&client.path())]) {
        request.bearer(&user.access).send().await.assert_problem(403, "forbidden");
    }
    server.advance(601);
    for request in requests() {
        request.bearer(&admin.access).send().await.assert_problem(401, "insufficient_user_authentication");
    }
    server.get(CLIENTS).bearer(&admin.access).send().await.assert_status(200);
    assert_taken(&server, &client).await;
}

async fn what_is_done_to_clients_is_audited(server: Server) {
    let (admin, client) = introspecting(&server).await;
    add_secret(&server, &admin, &client).await.assert_status(201);
    delete_secret(&server, &admin, &client, 2).await;
    server.patch(&client.path()).bearer(&admin.access).json(&json!({"disabled": true})).send().await.assert_status(200);
    server.delete(&client.path()).bearer(&admin.access).send().await.assert_status(204);
    let by = format!("event LIKE 'client%' AND user_id = {}", server.literal(admin.user.0));
    let expected =
        ["client.created", "client_secret.added", "client_secret.deleted", "client.changed", "client.deleted"];
    assert_eq!(server.audited(&by), expected);
    let entries = server.rows("audit_log");
    let named = entries.iter().filter(|entry| entry["metadata"].to_string().contains(&client.id));
    assert_eq!(named.count(), 5);
}

async fn a_client_authenticates_in_the_header_or_in_the_form(server: Server) {
    let (_, client) = introspecting(&server).await;
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let in_form = [("token", "x"), ("client_id", id), ("client_secret", secret)];
    form(&server, INTROSPECT, &in_form).send().await.assert_status(200);
    let encoded = |text: &str| text.replace('-', "%2D").replace('_', "%5F");
    for pair in [format!("{id}:{secret}"), format!("{}:{}", encoded(id), encoded(secret))] {
        for scheme in ["Basic", "basic", "BASIC"] {
            let header = format!("{scheme} {}", STANDARD.encode(&pair));
            let asked = form(&server, INTROSPECT, &[("token", "x")]).header("authorization", &header);
            asked.send().await.assert_status(200);
        }
    }
    // The id may be repeated, the secret may not.
    let repeated = form(&server, INTROSPECT, &[("token", "x"), ("client_id", id)]);
    repeated.header("authorization", &client.basic()).send().await.assert_status(200);
    let twice = form(&server, INTROSPECT, &in_form).header("authorization", &client.basic());
    assert_error(&twice.send().await, 400, "invalid_request");
    let other = form(&server, INTROSPECT, &[("token", "x"), ("client_id", "keyturn")]);
    let other = other.header("authorization", &client.basic()).send().await;
    assert_error(&other, 400, "invalid_request");
}

async fn credentials_that_cannot_be_read_are_refused(server: Server) {
    let (_, client) = introspecting(&server).await;
    let ask = || form(&server, INTROSPECT, &[("token", "x")]);
    for header in ["Basic", "Basic !", "Basic YQ==", &format!("Basic {}", STANDARD.encode("a%00:b"))] {
        let answer = ask().header("authorization", header).send().await;
        assert_error(&answer, 401, "invalid_client");
        assert!(answer.header("www-authenticate").is_some());
    }
    let two = ask().header("authorization", &client.basic()).header("authorization", &client.basic());
    assert_error(&two.send().await, 400, "invalid_request");
    for (id, secret) in [
        (client.id.as_str(), ""),
        (&client.id, "ktc_"),
        (&client.id, &client.secret[..46]),
        (&client.id, &format!("ktc_{}", "A".repeat(43))),
        ("00000000-0000-0000-0000-000000000000", &client.secret),
        ("keyturn", &client.secret),
        ("", &client.secret),
    ] {
        let wrong = Client { id: id.to_owned(), secret: secret.to_owned() };
        assert_refused(&server, &wrong).await;
        let fields = [("token", "x"), ("client_id", id), ("client_secret", secret)];
        assert_error(&form(&server, INTROSPECT, &fields).send().await, 401, "invalid_client");
    }
    assert_error(&ask().send().await, 401, "invalid_client");
    // A query is written to logs: what is there does not count.
    let query = format!("{INTROSPECT}?client_id={}&client_secret={}", client.id, client.secret);
    assert_error(&form(&server, &query, &[("token", "x")]).send().await, 401, "invalid_client");
}

async fn a_secret_that_is_deleted_is_refused_here_at_once_and_elsewhere_soon(servers: Servers) {
    let (admin, client) = introspecting(&servers).await;
    for server in servers.all() {
        assert_taken(server, &client).await;
    }
    delete_secret(&servers, &admin, &client, 1).await;
    assert_refused(&servers, &client).await;
    for server in servers.all() {
        until("the refusal", async || (introspect(server, &client, "x").await.status == 401).then_some(())).await;
        assert_refused(server, &client).await;
    }
}

async fn a_new_secret_is_taken_at_once_by_every_server(servers: Servers) {
    let (admin, client) = introspecting(&servers).await;
    for server in servers.all() {
        assert_taken(server, &client).await;
    }
    let second = Client::of(&add_secret(&servers, &admin, &client).await.assert_status(201).json());
    for server in servers.all() {
        assert_taken(server, &second).await;
        assert_taken(server, &client).await;
    }
}

async fn a_client_that_is_disabled_or_deleted_is_refused(server: Server) {
    let (admin, client) = introspecting(&server).await;
    let disable = async |disabled: bool| {
        let change = server.patch(&client.path()).bearer(&admin.access).json(&json!({"disabled": disabled}));
        assert_eq!(change.send().await.assert_status(200).json()["disabled"], disabled);
    };
    disable(true).await;
    assert_refused(&server, &client).await;
    disable(false).await;
    assert_taken(&server, &client).await;
    server.delete(&client.path()).bearer(&admin.access).send().await.assert_status(204);
    assert_refused(&server, &client).await;
    assert_eq!(server.count("client_secrets"), 0);
}

async fn the_use_of_a_client_is_noted_once_a_minute(server: Server) {
    let (admin, client) = introspecting(&server).await;
    let used = async || {
        let shown = server.get(&client.path()).bearer(&admin.access).send().await.assert_status(200).json();
        shown["last_used_at"].as_str().map(str::to_owned)
    };
    assert_eq!(used().await, None);
    assert_taken(&server, &client).await;
    let first = until("the note", async || used().await).await;
    server.advance(59);
    // Another server remembers nothing, so that it reads and may note.
    let other = server.another().await;
    assert_taken(&other, &client).await;
    assert_eq!(used().await.as_deref(), Some(&*first));
    server.advance(2);
    let other = server.another().await;
    assert_taken(&other, &client).await;
    until("the next note", async || used().await.filter(|used| *used != first)).await;
}

async fn a_client_is_remembered_and_costs_no_query_each_time(server: Server) {
    let (_, client) = introspecting(&server).await;
    let answered = async || introspect(&server, &client, "x").await.status == 200;
    until("an answer from memory", async || {
        server.sql("UPDATE clients SET disabled_at = NULL");
        until("the client to be known", async || answered().await.then_some(())).await;
        // Whatever asks the database now finds nobody.
        server.sql("UPDATE clients SET disabled_at = created_at");
        answered().await.then_some(())
    })
    .await;
    until("the end of the memory", async || (introspect(&server, &client, "x").await.status == 401).then_some(()))
        .await;
}
