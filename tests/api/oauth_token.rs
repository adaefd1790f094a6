//! `POST /oauth/token`: refreshes, tokens of clients, token exchange; and the metadata that lists them.

use serde_json::{Value, json};

use crate::audit::administrator;
use crate::clients::{CLIENTS, Client, assert_error, form, introspect, register};
use crate::strangers::{assert_refused, bearer, closed};
use crate::support::tokens::jwt_part;
use crate::support::{Backend, Endpoint, ProofKey, Request, Response, Server, Servers, Tokens};

both_backends! {
    a_refresh_is_the_same_as_at_the_other_route,
    a_session_is_called_ended_only_where_that_is_certain,
    a_refresh_needs_no_client_and_takes_no_other,
    what_a_refresh_cannot_have_costs_no_rotation,
    a_client_gets_a_token_of_its_own,
    a_token_of_a_client_opens_no_route_for_accounts,
    a_client_gets_no_more_than_it_may,
    a_token_of_a_client_stands_for_its_secret_at_this_server_alone,
    a_persons_token_is_exchanged_for_one_that_opens_less,
    an_exchanged_token_opens_no_route_for_accounts,
    a_proxy_takes_an_exchanged_token_for_its_audience_and_scope,
    what_a_disabled_client_got_in_exchange_is_of_no_use_meanwhile,
    a_token_of_a_client_reads_the_feed,
    an_exchanged_token_ends_with_its_session_and_when_the_account_changes,
    an_exchanged_token_outlives_no_token_that_it_is_made_of,
    an_administrator_who_acts_stays_visible_in_an_exchange,
    what_cannot_be_exchanged,
    requests_that_cannot_be_read_are_refused_in_the_form_of_oauth,
    pages_of_other_origins_may_refresh,
    the_metadata_lists_exactly_what_works,
}

pub const TOKEN: &str = "/oauth/token";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const VERIFY: &str = "/api/v1/auth/verify";
const API: &str = "https://api.example/orders";

fn refreshing(server: &Endpoint, refresh_token: &str, more: &[(&str, &str)]) -> Request {
    let fields = [&[("grant_type", "refresh_token"), ("refresh_token", refresh_token)], more].concat();
    form(server, TOKEN, &fields)
}

pub async fn own_token(server: &Endpoint, client: &Client, more: &[(&str, &str)]) -> Response {
    let fields = [&[("grant_type", "client_credentials")], more].concat();
    form(server, TOKEN, &fields).header("authorization", &client.basic()).send().await
}

pub async fn exchange(server: &Endpoint, client: &Client, subject: &str, more: &[(&str, &str)]) -> Response {
    let fields = [("grant_type", EXCHANGE), ("subject_token", subject), ("subject_token_type", ACCESS)];
    form(server, TOKEN, &[&fields, more].concat()).header("authorization", &client.basic()).send().await
}

pub fn access_token(answer: &Response) -> String {
    let body = answer.assert_status(200).json();
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), (Some("no-store"), Some("no-cache")));
    assert_eq!(body["token_type"], "Bearer");
    body["access_token"].as_str().unwrap().to_owned()
}

/// A client that may do everything, with an audience.
async fn able(server: &Endpoint) -> (Tokens, Client) {
    let admin = administrator(server).await;
    let scopes = json!(["introspect", "revocations", "token-exchange", "orders:read", "orders:write"]);
    let body = json!({"name": "orders", "scopes": scopes, "audiences": [API, "billing"]});
    let client = register(server, &admin, &body).await;
    (admin, client)
}

async fn a_refresh_is_the_same_as_at_the_other_route(server: Server) {
    let tokens = server.register().await;
    let answer = refreshing(&server, &tokens.refresh, &[]).send().await;
    access_token(&answer);
    let next = Tokens::of(&answer);
    assert_eq!(server.session(tokens.session).generation, 1);
    // A repetition gets the same successor, wherever it comes.
    for repeated in [refreshing(&server, &tokens.refresh, &[]), server.refreshing(&tokens.refresh)] {
        let repeated = Tokens::of(&repeated.send().await);
        assert_eq!((&repeated.refresh, repeated.jti()), (&next.refresh, next.jti()));
    }
    let last = server.refreshed(&next).await;
    let body = refreshing(&server, &last.refresh, &[("client_id", "keyturn"), ("unknown", "x")]).send().await.json();
    assert!(body["expires_in"].as_u64().unwrap() > 890 && body["refresh_after"].is_u64(), "{body}");
    assert!(body.get("scope").is_none(), "{body}");
}

async fn a_session_is_called_ended_only_where_that_is_certain(server: Server) {
    let tokens = server.register().await;
    let next = Tokens::of(&refreshing(&server, &tokens.refresh, &[]).send().await);
    server.me(&next.access).await.assert_status(200);
    server.advance(20);
    let doubted = refreshing(&server, &tokens.refresh, &[]).send().await;
    assert_error(&doubted, 503, "temporarily_unavailable");
    assert!(doubted.header("retry-after").is_some());
    server.advance(1);
    let reused = refreshing(&server, &tokens.refresh, &[]).send().await;
    assert_error(&reused, 400, "invalid_grant");
    assert!(reused.header("www-authenticate").is_none());
    assert_error(&refreshing(&server, &next.refresh, &[]).send().await, 400, "invalid_grant");
    for unknown in ["ktr_", "x", &next.access] {
        assert_error(&refreshing(&server, unknown, &[]).send().await, 400, "invalid_grant");
    }

    // The echo of a refresh whose answer was used.
    let tokens = server.register().await;
    let keyed = || refreshing(&server, &tokens.refresh, &[]).header("idempotency-key", "0123456789abcdef");
    let next = Tokens::of(&keyed().send().await);
    server.me(&next.access).await.assert_status(200);
    server.advance(20);
    let echo = keyed().send().await;
    assert_error(&echo, 503, "temporarily_unavailable");
    server.refreshed(&next).await;
    let wrong = refreshing(&server, &tokens.refresh, &[]).header("idempotency-key", "short").send().await;
    assert_error(&wrong, 400, "invalid_request");

    let expired = server.register().await;
    server.advance(604_801);
    assert_error(&refreshing(&server, &expired.refresh, &[]).send().await, 400, "invalid_grant");
}

async fn a_refresh_needs_no_client_and_takes_no_other(server: Server) {
    let (_, client) = able(&server).await;
    let tokens = server.register().await;
    let by_client = refreshing(&server, &tokens.refresh, &[]).header("authorization", &client.basic());
    assert_error(&by_client.send().await, 400, "unauthorized_client");
    for id in ["other", &client.id] {
        let by_other = refreshing(&server, &tokens.refresh, &[("client_id", id)]).send().await;
        assert_error(&by_other, 401, "invalid_client");
    }
    assert_eq!(server.session(tokens.session).generation, 0);
    // Apps send what they have with every request, also when it has expired.
    for access in [tokens.access.as_str(), "expired"] {
        let stray = refreshing(&server, &tokens.refresh, &[("client_id", "keyturn")]).bearer(access);
        Tokens::of(&stray.send().await);
    }
}

async fn what_a_refresh_cannot_have_costs_no_rotation(server: Server) {
    let tokens = server.register().await;
    for (name, value, error) in [
        ("scope", "orders:read", "invalid_scope"),
        ("scope", "\"", "invalid_scope"),
        ("resource", API, "invalid_target"),
        ("resource", "https://api.example/#part", "invalid_target"),
        ("resource", "orders", "invalid_target"),
        ("audience", "billing", "invalid_target"),
    ] {
        let answer = refreshing(&server, &tokens.refresh, &[(name, value)]).send().await;
        assert_error(&answer, 400, error);
    }
    assert_eq!(server.session(tokens.session).generation, 0);
    Tokens::of(&refreshing(&server, &tokens.refresh, &[("scope", " "), ("audience", "keyturn")]).send().await);
}

async fn a_client_gets_a_token_of_its_own(server: Server) {
    let (admin, client) = able(&server).await;
    let answer = own_token(&server, &client, &[]).await;
    let token = access_token(&answer);
    let body = answer.json();
    assert_eq!((&body["expires_in"], &body["scope"]), (&json!(900), &json!("orders:read orders:write")));
    assert!(body.get("refresh_token").is_none() && body.get("issued_token_type").is_none());
    let claims = jwt_part(&token, 1);
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(format!("client:{}", client.id)), &json!(client.id)));
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(API), &json!("orders:read orders:write")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(jwt_part(&token, 0)["typ"], "at+jwt");
    let told = introspect(&server, &client, &token).await.json();
    assert_eq!((&told["active"], &told["sub"]), (&json!(true), &claims["sub"]));

    for (fields, audience, scope) in [
        (vec![("audience", "billing"), ("scope", "orders:read")], "billing", "orders:read"),
        (vec![("resource", API), ("audience", API)], API, "orders:read orders:write"),
        (vec![("scope", "revocations introspect")], "keyturn", "revocations introspect"),
        (vec![("audience", "keyturn"), ("scope", "orders:read")], "keyturn", "orders:read"),
    ] {
        let claims = jwt_part(&access_token(&own_token(&server, &client, &fields).await), 1);
        assert_eq!((&claims["aud"], &claims["scope"]), (&json!(audience), &json!(scope)), "{fields:?}");
    }
    let change = server.patch(&client.path()).bearer(&admin.access).json(&json!({"access_token_ttl": 30}));
    change.send().await.assert_status(200);
    assert_eq!(own_token(&server, &client, &[]).await.json()["expires_in"], 30);
    let token = access_token(&own_token(&server, &client, &[]).await);
    server.advance(31);
    assert_eq!(introspect(&server, &client, &token).await.json(), json!({"active": false}));
}

async fn a_token_of_a_client_opens_no_route_for_accounts(server: Server) {
    let (admin, client) = able(&server).await;
    let change = json!({"scopes": ["introspect", "admin", "user"], "audiences": []});
    let change = server.patch(&client.path()).bearer(&admin.access).json(&change);
    change.send().await.assert_status(200);
    let token = access_token(&own_token(&server, &client, &[("audience", "keyturn")]).await);
    let victim = server.register().await;
    assert_refused(&server, &victim, "invalid_token", bearer(&token)).await;
    let cookie = format!("__Host-keyturn_access={token}");
    server.get("/api/v1/auth/me").header("cookie", &cookie).send().await.assert_problem(401, "invalid_token");
}

async fn a_client_gets_no_more_than_it_may(server: Server) {
    let (admin, client) = able(&server).await;
    for (fields, error) in [
        (vec![("scope", "orders:delete")], "invalid_scope"),
        (vec![("scope", "orders:read \"")], "invalid_scope"),
        (vec![("scope", "introspect"), ("resource", API)], "invalid_scope"),
        (vec![("resource", "https://other.example")], "invalid_target"),
        (vec![("resource", "billing")], "invalid_target"),
        (vec![("resource", "https://api.example/orders#a")], "invalid_target"),
        (vec![("audience", "other")], "invalid_target"),
        (vec![("audience", "billing"), ("resource", API)], "invalid_target"),
    ] {
        assert_error(&own_token(&server, &client, &fields).await, 400, error);
    }
    let nobody = form(&server, TOKEN, &[("grant_type", "client_credentials"), ("client_id", &client.id)]);
    assert_error(&nobody.send().await, 401, "invalid_client");
    let plain = register(&server, &admin, &json!({"name": "plain"})).await;
    let claims = jwt_part(&access_token(&own_token(&server, &plain, &[]).await), 1);
    assert_eq!((&claims["aud"], claims.get("scope")), (&json!("keyturn"), None));
    let body = own_token(&server, &plain, &[]).await.json();
    assert!(body.get("scope").is_none(), "{body}");
}

async fn a_token_of_a_client_stands_for_its_secret_at_this_server_alone(server: Server) {
    let (admin, client) = able(&server).await;
    let ask =
        async |token: &str| form(&server, "/oauth/introspect", &[("token", &admin.access)]).bearer(token).send().await;
    let right = access_token(&own_token(&server, &client, &[("scope", "introspect")]).await);
    assert_eq!(ask(&right).await.assert_status(200).json()["active"], true);
    // One for another audience could be used by that audience.
    let elsewhere = access_token(&own_token(&server, &client, &[]).await);
    let refused = ask(&elsewhere).await;
    assert_error(&refused, 401, "invalid_token");
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer "));
    let other = access_token(&own_token(&server, &client, &[("scope", "revocations")]).await);
    assert_error(&ask(&other).await, 403, "insufficient_scope");
    // It gets no other token, or it would never end.
    let more = form(&server, TOKEN, &[("grant_type", "client_credentials")]).bearer(&right).send().await;
    assert_error(&more, 401, "invalid_client");
    let change = |body: Value| server.patch(&client.path()).bearer(&admin.access).json(&body).send();
    change(json!({"scopes": ["orders:read"]})).await.assert_status(200);
    assert_error(&ask(&right).await, 403, "insufficient_scope");
    change(json!({"scopes": ["introspect"], "disabled": true})).await.assert_status(200);
    assert_error(&ask(&right).await, 401, "invalid_token");
}

async fn a_persons_token_is_exchanged_for_one_that_opens_less(servers: Servers) {
    let server: &Server = &servers;
    let (_, client) = able(server).await;
    let tokens = server.register().await;
    let answer = exchange(server, &client, &tokens.access, &[("resource", API), ("scope", "orders:read")]).await;
    let token = access_token(&answer);
    let body = answer.json();
    assert_eq!((&body["issued_token_type"], &body["scope"]), (&json!(ACCESS), &json!("orders:read")));
    assert!(body.get("refresh_token").is_none());
    let (claims, held) = (jwt_part(&token, 1), tokens.claims());
    for same in ["iss", "sub", "sid", "auth_time", "amr", "roles"] {
        assert_eq!(claims[same], held[same], "{same}");
    }
    assert_eq!((&claims["aud"], &claims["scope"]), (&json!(API), &json!("orders:read")));
    assert_eq!(claims["client_id"], client.id);
    assert_ne!(claims["jti"], held["jti"]);
    for server in servers.all() {
        assert_eq!(introspect(server, &client, &token).await.json()["active"], true);
    }
    // It goes on while the session is refreshed, however often.
    let mut last = tokens.clone();
    for _ in 0..3 {
        last = server.refreshed(&last).await;
        server.advance(20);
    }
    for server in servers.all() {
        assert_eq!(introspect(server, &client, &token).await.json()["active"], true);
        assert_eq!(introspect(server, &client, &tokens.access).await.json()["active"], false);
    }
    // And can be exchanged again, for no more than it opens.
    let again = access_token(&exchange(server, &client, &token, &[("audience", "billing")]).await);
    assert_eq!(jwt_part(&again, 1)["scope"], "orders:read");
    let more = exchange(server, &client, &token, &[("scope", "orders:write")]).await;
    assert_error(&more, 400, "invalid_scope");
}

async fn an_exchanged_token_opens_no_route_for_accounts(server: Server) {
    let (_, client) = able(&server).await;
    let victim = server.register().await;
    let token = access_token(&exchange(&server, &client, &victim.access, &[("audience", "billing")]).await);
    assert_refused(&server, &victim, "invalid_token", bearer(&token)).await;
    let own = access_token(&exchange(&server, &client, &victim.access, &[("audience", "keyturn")]).await);
    for (method, path) in closed(&server).await {
        // This one is for the apps behind a proxy.
        if path != VERIFY {
            let request = server.request(&method, &path.replace("{id}", &victim.session.to_string())).bearer(&own);
            request.send().await.assert_problem(401, "invalid_token");
        }
    }
    server.me(&victim.access).await.assert_status(200);
}

async fn a_proxy_takes_an_exchanged_token_for_its_audience_and_scope(server: Server) {
    let (_, client) = able(&server).await;
    let person = server.register().await;
    let fields = [("audience", "billing"), ("scope", "orders:read")];
    let elsewhere = access_token(&exchange(&server, &client, &person.access, &fields).await);
    let here = access_token(&exchange(&server, &client, &person.access, &[("audience", "keyturn")]).await);
    let own = access_token(&own_token(&server, &client, &[("audience", "billing")]).await);
    for (token, query, status) in [
        (&elsewhere, "?audience=billing&scope=orders:read", 200),
        (&elsewhere, "?audience=billing", 200),
        (&elsewhere, "?audience=billing&scope=orders:write", 403),
        (&elsewhere, "?audience=keyturn", 403),
        (&elsewhere, "", 401),
        (&elsewhere, "/orders?audience=billing", 401),
        (&here, "", 200),
        (&here, "?scope=orders:read", 403),
        (&here, "?audience=billing", 403),
        (&own, "?audience=billing", 401),
        (&person.access, "?audience=billing", 403),
    ] {
        let answer = server.get(&format!("{VERIFY}{query}")).bearer(token).send().await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
    }
}

async fn what_a_disabled_client_got_in_exchange_is_of_no_use_meanwhile(server: Server) {
    let (admin, client) = able(&server).await;
    let other = register(&server, &admin, &json!({"name": "other", "scopes": ["introspect"]})).await;
    let person = server.register().await;
    let token = access_token(&exchange(&server, &client, &person.access, &[("audience", API)]).await);
    let is_taken = async || {
        let told = introspect(&server, &other, &token).await.json()["active"] == true;
        let path = format!("{VERIFY}?audience={API}");
        let passed = server.get(&path).bearer(&token).send().await.status == 200;
        assert_eq!(told, passed);
        told
    };
    assert!(is_taken().await);
    for disabled in [true, false] {
        let change = server.patch(&client.path()).bearer(&admin.access).json(&json!({"disabled": disabled}));
        change.send().await.assert_status(200);
        assert_eq!(is_taken().await, !disabled);
    }
    server.me(&person.access).await.assert_status(200);
}

async fn a_token_of_a_client_reads_the_feed(server: Server) {
    let (_, client) = able(&server).await;
    let read = async |token: &str| server.get("/api/v1/revocations").bearer(token).send().await;
    let token = access_token(&own_token(&server, &client, &[("scope", "revocations")]).await);
    assert_eq!(read(&token).await.assert_status(200).json()["reset"], true);
    let other = access_token(&own_token(&server, &client, &[("scope", "introspect")]).await);
    read(&other).await.assert_problem(403, "insufficient_scope");
    let elsewhere = access_token(&own_token(&server, &client, &[]).await);
    for wrong in [elsewhere.as_str(), &server.register().await.access, "x"] {
        read(wrong).await.assert_problem(401, "invalid_token");
    }
}

async fn an_exchanged_token_ends_with_its_session_and_when_the_account_changes(servers: Servers) {
    let server: &Server = &servers;
    let (admin, client) = able(server).await;
    for end in ["logout", "roles"] {
        let tokens = server.register().await;
        let token = access_token(&exchange(server, &client, &tokens.access, &[]).await);
        for server in servers.all() {
            assert_eq!(introspect(server, &client, &token).await.json()["active"], true);
        }
        if end == "logout" {
            server.logout(&tokens.access).await.assert_status(204);
        } else {
            let path = format!("/api/v1/admin/users/{}", tokens.user);
            let change = server.patch(&path).bearer(&admin.access).json(&json!({"roles": ["editor"]}));
            change.send().await.assert_status(200);
        }
        for server in servers.all() {
            assert_eq!(introspect(server, &client, &token).await.json(), json!({"active": false}), "{end}");
        }
        assert_error(&exchange(server, &client, &tokens.access, &[]).await, 400, "invalid_request");
    }
}

async fn an_exchanged_token_outlives_no_token_that_it_is_made_of(server: Server) {
    let (_, client) = able(&server).await;
    let tokens = server.register().await;
    server.advance(600);
    let answer = exchange(&server, &client, &tokens.access, &[]).await;
    let token = access_token(&answer);
    assert_eq!(jwt_part(&token, 1)["exp"], tokens.claims()["exp"]);
    assert!(answer.json()["expires_in"].as_u64().unwrap() <= 300);
}

async fn an_administrator_who_acts_stays_visible_in_an_exchange(server: Server) {
    let (admin, client) = able(&server).await;
    let person = server.register().await;
    let path = format!("/api/v1/admin/users/{}/impersonate", person.user);
    let acting = server.post(&path).bearer(&admin.access).json(&json!({"reason": "a question"})).send().await;
    let acting = acting.assert_status(200).json()["access_token"].as_str().unwrap().to_owned();
    let token = access_token(&exchange(&server, &client, &acting, &[("scope", "orders:read")]).await);
    let claims = jwt_part(&token, 1);
    assert_eq!((&claims["sub"], &claims["act"]["sub"]), (&json!(person.user), &json!(admin.user)));
    assert_eq!(introspect(&server, &client, &token).await.json()["act"]["sub"], json!(admin.user));
    server.logout(&admin.access).await.assert_status(204);
    assert_eq!(introspect(&server, &client, &token).await.json(), json!({"active": false}));
}

async fn what_cannot_be_exchanged(server: Server) {
    let (admin, client) = able(&server).await;
    let tokens = server.register().await;
    let own = access_token(&own_token(&server, &client, &[]).await);
    for subject in [tokens.refresh.as_str(), "x", &own, &tokens.access[..tokens.access.len() - 2]] {
        assert_error(&exchange(&server, &client, subject, &[]).await, 400, "invalid_request");
    }
    for (fields, error) in [
        (vec![("scope", "introspect")], "invalid_scope"),
        (vec![("scope", "other")], "invalid_scope"),
        (vec![("audience", "other")], "invalid_target"),
        (vec![("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")], "invalid_request"),
        (vec![("actor_token", "x"), ("actor_token_type", ACCESS)], "invalid_request"),
    ] {
        assert_error(&exchange(&server, &client, &tokens.access, &fields).await, 400, error);
    }
    let typed = |kind: &str| {
        let fields = [("grant_type", EXCHANGE), ("subject_token", &tokens.access), ("subject_token_type", kind)];
        form(&server, TOKEN, &fields).header("authorization", &client.basic())
    };
    assert_error(&typed("").send().await, 400, "invalid_request");
    assert_error(&typed("urn:ietf:params:oauth:token-type:id_token").send().await, 400, "invalid_request");
    access_token(&typed("urn:ietf:params:oauth:token-type:jwt").send().await);
    let plain = register(&server, &admin, &json!({"name": "plain", "scopes": ["introspect"]})).await;
    assert_error(&exchange(&server, &plain, &tokens.access, &[]).await, 400, "unauthorized_client");
    // A client that is not among those a token is for gets nothing for it.
    let token = access_token(&exchange(&server, &client, &tokens.access, &[("audience", "billing")]).await);
    let other = json!({"name": "other", "scopes": ["token-exchange", "introspect"], "audiences": ["c"]});
    let other = register(&server, &admin, &other).await;
    assert_error(&exchange(&server, &other, &token, &[]).await, 400, "invalid_request");
    assert_eq!(introspect(&server, &other, &token).await.json(), json!({"active": false}));
    assert_eq!(introspect(&server, &other, &tokens.access).await.json()["active"], true);
}

async fn requests_that_cannot_be_read_are_refused_in_the_form_of_oauth(server: Server) {
    let tokens = server.register().await;
    let post = || server.post(TOKEN);
    let body = json!({"grant_type": "refresh_token", "refresh_token": tokens.refresh});
    assert_error(&post().json(&body).send().await, 415, "invalid_request");
    assert_error(&post().send().await, 415, "invalid_request");
    let typed = |body: String| post().header("content-type", "application/x-www-form-urlencoded").body(body);
    let twice = format!("grant_type=refresh_token&refresh_token={0}&refresh_token={0}", tokens.refresh);
    for body in [
        String::new(),
        "grant_type=".to_owned(),
        "grant_type=refresh_token".to_owned(),
        twice,
        format!("grant_type=refresh_token&refresh_token={}&x=%00", tokens.refresh),
        format!("grant_type=refresh_token&grant_type=refresh_token&refresh_token={}", tokens.refresh),
    ] {
        assert_error(&typed(body).send().await, 400, "invalid_request");
    }
    for grant in ["password", "authorization_code", "implicit", "Refresh_Token", "refresh_token "] {
        let answer = form(&server, TOKEN, &[("grant_type", grant), ("refresh_token", &tokens.refresh)]).send().await;
        assert_error(&answer, 400, "unsupported_grant_type");
    }
    let in_query = format!("{TOKEN}?grant_type=refresh_token&refresh_token={}", tokens.refresh);
    assert_error(&form(&server, &in_query, &[]).send().await, 400, "invalid_request");
    assert_eq!(server.session(tokens.session).generation, 0);
    server.get(TOKEN).send().await.assert_status(405);
}

async fn pages_of_other_origins_may_refresh(server: Server) {
    let tokens = server.register().await;
    let preflight = server.request("OPTIONS", TOKEN).header("origin", "https://app.example");
    let preflight = preflight.header("access-control-request-method", "POST").send().await;
    assert_eq!(preflight.assert_status(200).header("access-control-allow-origin"), Some("*"));
    let refreshed = refreshing(&server, &tokens.refresh, &[]).header("origin", "https://app.example").send().await;
    assert_eq!(refreshed.assert_status(200).header("access-control-allow-origin"), Some("*"));
    assert!(refreshed.set_cookies("__Host-keyturn_access").is_empty());
    let refused = refreshing(&server, "x", &[]).header("origin", "https://app.example").send().await;
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"), "a page has to read why");
}

/// Each value of the metadata is tried.
async fn the_metadata_lists_exactly_what_works(backend: Backend) {
    let server = Server::with(backend, &[]).await;
    let (admin, client) = able(&server).await;
    let metadata = server.get("/.well-known/oauth-authorization-server").send().await.json();
    assert_eq!(server.get("/.well-known/openid-configuration").send().await.json(), metadata);
    let path = |name: &str| {
        let url = metadata[name].as_str().unwrap();
        url.strip_prefix(crate::support::deployment::PUBLIC_URL).unwrap().to_owned()
    };
    assert_eq!(path("token_endpoint"), TOKEN);
    let list = |name: &str| -> Vec<String> { serde_json::from_value(metadata[name].clone()).unwrap() };

    for grant in list("grant_types_supported") {
        let tokens = server.register().await;
        let answer = match grant.as_str() {
            "refresh_token" => refreshing(&server, &tokens.refresh, &[]).send().await,
            "client_credentials" => own_token(&server, &client, &[]).await,
            EXCHANGE => exchange(&server, &client, &tokens.access, &[]).await,
            other => panic!("{other}"),
        };
        access_token(&answer);
    }
    let authenticated = |method: &str, path: &str, fields: &[(&str, &str)]| match method {
        "none" => form(&server, path, fields),
        "client_secret_basic" => form(&server, path, fields).header("authorization", &client.basic()),
        "client_secret_post" => {
            let secret = [("client_id", client.id.as_str()), ("client_secret", client.secret.as_str())];
            form(&server, path, &[fields, &secret].concat())
        }
        other => panic!("{other}"),
    };
    for method in list("token_endpoint_auth_methods_supported") {
        let tokens = server.register().await;
        let fields = match method.as_str() {
            "none" => vec![("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())],
            _ => vec![("grant_type", "client_credentials")],
        };
        access_token(&authenticated(&method, TOKEN, &fields).send().await);
    }
    for method in list("introspection_endpoint_auth_methods_supported") {
        let asked = authenticated(&method, &path("introspection_endpoint"), &[("token", &admin.access)]);
        assert_eq!(asked.send().await.assert_status(200).json()["active"], true);
    }
    for method in list("revocation_endpoint_auth_methods_supported") {
        let tokens = server.register().await;
        let revoke = authenticated(&method, &path("revocation_endpoint"), &[("token", &tokens.access)]);
        revoke.send().await.assert_status(200);
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(metadata["response_types_supported"], json!([]));
    let algorithms = list("access_token_signing_alg_values_supported");
    assert_eq!(algorithms, [jwt_part(&admin.access, 0)["alg"].as_str().unwrap()]);
    for algorithm in list("dpop_signing_alg_values_supported") {
        let key = ProofKey::of(&algorithm);
        let tokens = key.register(&server).await;
        let answer = key.sends(&server, refreshing(&server, &tokens.refresh, &[]), None).send().await;
        assert_eq!(answer.assert_status(200).json()["token_type"], "DPoP", "{algorithm}");
    }
    assert!(server.get(CLIENTS).bearer(&admin.access).send().await.status == 200);
}
