//! `/api/v1/auth`: registering, logging in and out, the account and its password, and what proxies ask.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::deployment::PUBLIC_URL;
use crate::support::http::at_once;
use crate::support::{Backend, PASSWORD, Request, Response, Server, Servers, Tokens};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const LOGOUT: &str = "/api/v1/auth/logout";
const LOGOUT_ALL: &str = "/api/v1/auth/logout-all";
const ME: &str = "/api/v1/auth/me";
const CHANGE: &str = "/api/v1/auth/password/change";
const VERIFY: &str = "/api/v1/auth/verify";

const ACCESS_COOKIE: &str = "__Host-keyturn_access";
const REFRESH_COOKIE: &str = "__Secure-keyturn_refresh";

const NEW_PASSWORD: &str = "copper lantern beneath willows";

both_backends! {
    registering_opens_an_account_and_a_session,
    an_address_has_one_account_in_whatever_spelling,
    a_wrong_registration_is_told_field_by_field,
    a_password_that_is_easy_to_guess_is_refused_with_advice,
    while_registration_is_closed_strangers_are_refused,
    of_registrations_of_one_address_at_once_one_wins,
    logging_in_opens_a_further_session,
    a_wrong_password_and_an_unknown_account_get_the_same_answer,
    that_an_account_is_disabled_is_told_to_its_owner_alone,
    an_account_is_found_by_any_spelling_of_its_address,
    a_password_is_the_same_from_every_keyboard,
    a_password_may_be_long_and_in_any_script,
    a_hash_of_another_cost_is_replaced_at_the_next_login,
    logins_at_once_after_a_change_of_cost_all_succeed,
    a_logout_ends_the_session_at_once_on_every_server,
    a_browser_whose_access_token_is_gone_logs_out_by_its_refresh_token,
    a_foreign_page_cannot_log_a_browser_out,
    logging_out_everywhere_ends_all_sessions_of_the_account_and_no_others,
    an_account_is_shown_to_its_owner,
    an_account_can_be_named_and_lose_its_name,
    a_change_of_password_ends_the_other_sessions,
    a_password_is_not_changed_without_the_current_one,
    a_password_is_not_changed_to_a_weak_one,
    guesses_at_the_current_password_are_limited_like_logins,
    of_changes_of_one_password_at_once_one_wins,
    a_proxy_is_told_who_calls,
    a_proxy_may_ask_with_any_method_and_path,
    a_proxy_asks_for_a_page_with_the_method_that_it_forwards,
    a_proxy_is_told_to_ask_for_credentials,
}

fn post(server: &Server, target: &str, body: &Value) -> Request {
    server.post(target).json(body)
}

async fn login_with_cookies(server: &Server, email: &str) -> (String, String) {
    let body = json!({"email": email, "password": PASSWORD, "transport": "cookie"});
    let answer = post(server, LOGIN, &body).send().await;
    answer.assert_status(200);
    (cookie(&answer, ACCESS_COOKIE), cookie(&answer, REFRESH_COOKIE))
}

fn cookie(answer: &Response, name: &str) -> String {
    answer.set_cookies(name).first().unwrap_or_else(|| panic!("no cookie {name}: {answer:?}")).0.clone()
}

/// The password hash that the database holds of the only account.
fn stored_hash(server: &Server) -> String {
    server.rows("users")[0]["password_hash"].as_str().unwrap().to_owned()
}

/// The fields that a 422 names, sorted.
#[track_caller]
fn wrong_fields(answer: &Response) -> Vec<String> {
    answer.assert_problem(422, "invalid_input");
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap();
    let mut fields: Vec<String> = errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect();
    for error in errors {
        assert!(!error["code"].as_str().unwrap().is_empty() && !error["message"].as_str().unwrap().is_empty());
    }
    fields.sort();
    fields
}

async fn registering_opens_an_account_and_a_session(server: Server) {
    let body = json!({
        "email": "Ada.Lovelace@example.com", "password": PASSWORD, "name": "Ada", "device_name": "Kitchen phone",
    });
    let answer = post(&server, REGISTER, &body).header("user-agent", "Test/1.0").send().await;
    answer.assert_status(201);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = answer.json();
    assert_eq!(told["token_type"], "Bearer");
    assert_eq!((&told["expires_in"], &told["refresh_token_expires_in"]), (&json!(900), &json!(604_800)));
    assert!((500..=700).contains(&told["refresh_after"].as_u64().unwrap()), "{told}");
    let user = &told["user"];
    assert_eq!((&user["email"], &user["name"]), (&json!("Ada.Lovelace@example.com"), &json!("Ada")));
    assert_eq!(user["roles"], json!(["user"]));
    let time = told["server_time"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.', "{time}");
    for id in [&told["session_id"], &user["id"]] {
        let id: uuid::Uuid = id.as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
    }

    let tokens = Tokens::of(&answer);
    server.me(&tokens.access).await.assert_status(200);
    let sessions = server.sessions(&tokens.access).await;
    let session = &sessions["sessions"][0];
    assert_eq!((&session["name"], &session["device"]["label"]), (&json!("Kitchen phone"), &json!("Test")));
    assert_eq!((&session["ip_address"], &session["amr"]), (&json!("127.0.0.1"), &json!(["pwd"])));
    assert_eq!((server.count("users"), server.count("sessions")), (1, 1));
}

async fn an_address_has_one_account_in_whatever_spelling(server: Server) {
    for (first, others) in [
        ("Ada.L@Example.com", ["ada.l@example.com", "ADA.L@EXAMPLE.COM", " ada.l@example.com\n"]),
        (
            "ren\u{e9}@b\u{fc}cher.example",
            ["REN\u{c9}@B\u{dc}CHER.example", "rene\u{301}@bu\u{308}cher.example", "ren\u{e9}@xn--bcher-kva.example"],
        ),
    ] {
        server.register_as(first).await;
        for other in others {
            let body = json!({"email": other, "password": PASSWORD});
            post(&server, REGISTER, &body).send().await.assert_problem(409, "email_taken");
        }
    }
    assert_eq!((server.count("users"), server.count("sessions")), (2, 2));
}

async fn a_wrong_registration_is_told_field_by_field(server: Server) {
    let all = json!({"email": "nobody", "password": "short", "name": " ", "device_name": ""});
    let answer = post(&server, REGISTER, &all).send().await;
    assert_eq!(wrong_fields(&answer), ["email", "name", "password"]);
    for (body, field) in [
        (json!({"email": "ada@example.com", "password": PASSWORD, "name": "n".repeat(101)}), "name"),
        (json!({"email": "ada@example.com", "password": PASSWORD, "device_name": 7}), "device_name"),
        (json!({"email": format!("{}@example.com", "n".repeat(300)), "password": PASSWORD}), "email"),
        (json!({"email": "ada@example.com", "password": "x".repeat(1025)}), "password"),
        (json!({"email": "ada@example.com", "password": PASSWORD, "transport": "pigeon"}), "transport"),
        (json!({"email": "ada@example.com", "password": PASSWORD, "role": "admin"}), "role"),
        (json!({"email": "ada@example.com"}), "password"),
    ] {
        assert_eq!(wrong_fields(&post(&server, REGISTER, &body).send().await), [field]);
    }
    assert_eq!(server.count("users"), 0);
}

async fn a_password_that_is_easy_to_guess_is_refused_with_advice(server: Server) {
    for password in ["password1234", "quellorinZorvane", "aaaaaaaaaaaaaaaaaaaa"] {
        let body = json!({"email": "zorvane@quellorin.example", "password": password, "name": "Zorvane Quellorin"});
        let answer = post(&server, REGISTER, &body).send().await;
        assert_eq!(wrong_fields(&answer), ["password"]);
        let error = &answer.json()["errors"][0];
        assert_eq!(error["code"], "password_guessable");
        assert!(error["message"].as_str().unwrap().contains("word"), "{error}");
        assert!(!answer.text().contains(password));
    }
}

async fn while_registration_is_closed_strangers_are_refused(backend: Backend) {
    let server = Server::with(backend, &[("REGISTRATION", "closed")]).await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    post(&server, REGISTER, &body).send().await.assert_problem(403, "registration_closed");
    assert_eq!(server.count("users"), 0);
}

async fn of_registrations_of_one_address_at_once_one_wins(servers: Servers) {
    let spellings = ["ada@example.com", "ADA@example.com", "Ada@EXAMPLE.com"];
    let requests = (0..12).map(|n| {
        let server = &servers.all()[n % servers.all().len()];
        post(server, REGISTER, &json!({"email": spellings[n % spellings.len()], "password": PASSWORD}))
    });
    let answers = at_once(requests.collect::<Vec<_>>()).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_problem(409, "email_taken");
    }
    assert_eq!((servers.count("users"), servers.count("sessions")), (1, 1));
}

async fn logging_in_opens_a_further_session(server: Server) {
    let first = server.register().await;
    let body = json!({"email": first.email, "password": PASSWORD, "device_name": "Laptop", "transport": "bearer"});
    let answer = post(&server, LOGIN, &body).send().await;
    answer.assert_status(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let second = Tokens::of(&answer);
    assert_eq!(first.user, second.user);
    assert_ne!(first.session, second.session);
    for tokens in [&first, &second] {
        server.me(&tokens.access).await.assert_status(200);
    }
    assert_eq!(server.session(second.session).name.as_deref(), Some("Laptop"));
    assert_eq!(server.metric("keyturn_logins_total{outcome=\"succeeded\"}").await, 1);
    assert!(!server.rows("users")[0]["last_login_at"].is_null());
}

async fn a_wrong_password_and_an_unknown_account_get_the_same_answer(server: Server) {
    let tokens = server.register().await;
    let wrong = server.try_login(&tokens.email, NEW_PASSWORD).await;
    wrong.assert_problem(401, "invalid_credentials");
    let comparable = |answer: &Response| {
        let mut body = answer.json();
        body["request_id"].take();
        let differing = ["x-request-id", "date"];
        let mut headers = answer.headers.clone();
        headers.retain(|(name, _)| !differing.contains(&name.as_str()));
        headers.sort();
        (answer.status, body, headers)
    };
    let (too_short, too_long) = ("seven", "x".repeat(2000));
    for (email, password) in [
        ("nobody@example.com", PASSWORD),
        ("nobody@example.com", too_short),
        (&tokens.email, too_short),
        (&tokens.email, ""),
        (&tokens.email, &too_long),
        (&tokens.email, &PASSWORD.to_uppercase()),
        (&tokens.email, &format!("{PASSWORD} ")),
    ] {
        assert_eq!(comparable(&server.try_login(email, password).await), comparable(&wrong), "{email}");
    }
    assert_eq!(server.metric("keyturn_logins_total{outcome=\"refused\"}").await, 8);
    assert_eq!(server.count("sessions"), 1);

    let body = json!({"email": "nobody", "password": PASSWORD, "device_name": ""});
    assert_eq!(wrong_fields(&post(&server, LOGIN, &body).send().await), ["email"]);
}

async fn that_an_account_is_disabled_is_told_to_its_owner_alone(server: Server) {
    let tokens = server.register().await;
    server.sql("UPDATE users SET disabled_at = created_at");
    server.try_login(&tokens.email, PASSWORD).await.assert_problem(403, "account_disabled");
    server.try_login(&tokens.email, NEW_PASSWORD).await.assert_problem(401, "invalid_credentials");
    assert_eq!(server.count("sessions"), 1);
}

async fn an_account_is_found_by_any_spelling_of_its_address(server: Server) {
    let tokens = server.register_as("Ren\u{e9}@B\u{fc}cher.example").await;
    for spelling in
        ["ren\u{e9}@b\u{fc}cher.example", "RENE\u{301}@xn--bcher-kva.EXAMPLE", " ren\u{e9}@bu\u{308}cher.example "]
    {
        let again = server.login(spelling).await;
        assert_eq!((again.user, again.email.as_str()), (tokens.user, "Ren\u{e9}@B\u{fc}cher.example"));
    }
}

async fn a_password_is_the_same_from_every_keyboard(server: Server) {
    let (composed, decomposed) =
        ("cr\u{e8}me br\u{fb}l\u{e9}e sous la pluie", "cre\u{300}me bru\u{302}le\u{301}e sous la pluie");
    let body = json!({"email": "ada@example.com", "password": decomposed});
    post(&server, REGISTER, &body).send().await.assert_status(201);
    server.try_login("ada@example.com", composed).await.assert_status(200);
    server.try_login("ada@example.com", decomposed).await.assert_status(200);
}

async fn a_password_may_be_long_and_in_any_script(server: Server) {
    let long = format!("{} \u{1f5dd}\u{fe0f}", "драконья чешуя и мёд ".repeat(20));
    assert!(long.len() > 700 && long.len() <= 1024);
    let body = json!({"email": "ada@example.com", "password": long});
    post(&server, REGISTER, &body).send().await.assert_status(201);
    server.try_login("ada@example.com", &long).await.assert_status(200);
    let shortened: String = long.chars().take(long.chars().count() - 1).collect();
    server.try_login("ada@example.com", &shortened).await.assert_problem(401, "invalid_credentials");
}

async fn a_hash_of_another_cost_is_replaced_at_the_next_login(server: Server) {
    let tokens = server.register().await;
    let former = stored_hash(&server);
    assert!(former.starts_with("$argon2id$v=19$m=7168,t=1,p=1$"));
    server.login(&tokens.email).await;
    assert_eq!(stored_hash(&server), former, "of the same cost it stays");

    let dearer = Server::start(&server.deployment, &[("ARGON2", "m=8192,t=1,p=1")], server.clock.clone()).await;
    dearer.try_login(&tokens.email, NEW_PASSWORD).await.assert_problem(401, "invalid_credentials");
    assert_eq!(stored_hash(&server), former, "only the right password is hashed anew");
    dearer.login(&tokens.email).await;
    assert!(stored_hash(&server).starts_with("$argon2id$v=19$m=8192,t=1,p=1$"));
    dearer.login(&tokens.email).await;
}

async fn logins_at_once_after_a_change_of_cost_all_succeed(server: Server) {
    let tokens = server.register().await;
    let dearer = Server::start(&server.deployment, &[("ARGON2", "m=8192,t=1,p=1")], server.clock.clone()).await;
    let body = json!({"email": tokens.email, "password": PASSWORD});
    let answers = at_once((0..8).map(|_| post(&dearer, LOGIN, &body)).collect::<Vec<_>>()).await;
    answers.iter().for_each(|answer| {
        answer.assert_status(200);
    });
    assert!(stored_hash(&server).starts_with("$argon2id$v=19$m=8192,t=1,p=1$"));
    assert_eq!(server.count("sessions"), 9);
}

async fn a_logout_ends_the_session_at_once_on_every_server(servers: Servers) {
    let tokens = servers.register().await;
    let other = servers.login(&tokens.email).await;
    for server in servers.all() {
        server.me(&tokens.access).await.assert_status(200);
    }
    let answer = servers.logout(&tokens.access).await;
    answer.assert_status(204);
    assert!(answer.body.is_empty());
    for server in servers.all() {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
        server.me(&other.access).await.assert_status(200);
    }
    let row = servers.session(tokens.session);
    assert_eq!(row.revoked_reason.as_deref(), Some("logout"));
    servers.logout(&tokens.access).await.assert_problem(401, "invalid_token");
}

async fn a_browser_whose_access_token_is_gone_logs_out_by_its_refresh_token(server: Server) {
    let tokens = server.register().await;
    let with_cookies = |cookies: String| server.post(LOGOUT).header("cookie", &cookies).header("origin", PUBLIC_URL);

    let (_, refresh) = login_with_cookies(&server, &tokens.email).await;
    let answer = with_cookies(format!("{REFRESH_COOKIE}={refresh}")).send().await;
    answer.assert_status(204);
    for name in [ACCESS_COOKIE, REFRESH_COOKIE] {
        for (value, attributes) in answer.set_cookies(name) {
            assert!(value.is_empty() && attributes.contains("Max-Age=0"), "{name}: {attributes}");
        }
        assert!(!answer.set_cookies(name).is_empty());
    }
    server.refresh(&refresh).await.assert_problem(401, "session_revoked");

    let (access, refresh) = login_with_cookies(&server, &tokens.email).await;
    server.advance(901);
    with_cookies(format!("{ACCESS_COOKIE}={access}; {REFRESH_COOKIE}={refresh}")).send().await.assert_status(204);
    server.refresh(&refresh).await.assert_problem(401, "session_revoked");
    server.refresh(&tokens.refresh).await.assert_status(200);

    with_cookies(format!("{REFRESH_COOKIE}=ktr_nonsense")).send().await.assert_problem(401, "missing_token");
}

async fn a_foreign_page_cannot_log_a_browser_out(server: Server) {
    let tokens = server.register().await;
    let (access, refresh) = login_with_cookies(&server, &tokens.email).await;
    for cookies in
        [format!("{REFRESH_COOKIE}={refresh}"), format!("{ACCESS_COOKIE}={access}; {REFRESH_COOKIE}={refresh}")]
    {
        for target in [LOGOUT, LOGOUT_ALL] {
            let request = server.post(target).header("cookie", &cookies);
            for request in [request.clone(), request.header("origin", "https://evil.example")] {
                let status = request.send().await.status;
                assert!(matches!(status, 401 | 403), "{status}");
            }
        }
    }
    server.me(&tokens.access).await.assert_status(200);
    server.me(&access).await.assert_status(200);
    server.refresh(&refresh).await.assert_status(200);
}

async fn logging_out_everywhere_ends_all_sessions_of_the_account_and_no_others(servers: Servers) {
    let stranger = servers.register().await;
    let first = servers.register().await;
    let (second, third) = (servers.login(&first.email).await, servers.login(&first.email).await);
    servers.logout(&third.access).await.assert_status(204);
    let answer = servers.post(LOGOUT_ALL).bearer(&second.access).send().await;
    assert_eq!(answer.assert_status(200).json(), json!({"sessions_revoked": 2}));
    for server in servers.all() {
        for tokens in [&first, &second, &third] {
            server.me(&tokens.access).await.assert_problem(401, "invalid_token");
            server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
        }
        server.me(&stranger.access).await.assert_status(200);
    }
    servers.refresh(&stranger.refresh).await.assert_status(200);
    servers.login(&first.email).await;
}

async fn an_account_is_shown_to_its_owner(server: Server) {
    let tokens = server.register().await;
    let body = server.me(&tokens.access).await.assert_status(200).json();
    let user =
        json!({"id": tokens.user, "email": tokens.email, "name": null, "roles": ["user"], "email_verified": false});
    assert_eq!((&body["user"], &body["session_id"]), (&user, &json!(tokens.session)));
    let expires_at: keyturn::types::Timestamp =
        serde_json::from_value(body["access_token_expires_at"].clone()).unwrap();
    assert_eq!(json!(expires_at.as_secs()), tokens.claims()["exp"]);
    let left = expires_at.since(serde_json::from_value(body["server_time"].clone()).unwrap());
    assert!(left > Duration::from_secs(800) && left <= Duration::from_secs(900), "{left:?}");
}

async fn an_account_can_be_named_and_lose_its_name(servers: Servers) {
    let tokens = servers.register().await;
    let patch = |body: Value| servers.patch(ME).bearer(&tokens.access).json(&body).send();
    let name = "Ada \u{1f98b} d'Arc";
    assert_eq!(patch(json!({"name": format!(" {name} ")})).await.assert_status(200).json()["user"]["name"], name);
    assert_eq!(patch(json!({})).await.assert_status(200).json()["user"]["name"], name);
    for server in servers.all() {
        assert_eq!(server.me(&tokens.access).await.json()["user"]["name"], name);
    }
    let refreshed = servers.refresh(&tokens.refresh).await;
    assert_eq!(refreshed.assert_status(200).json()["user"]["name"], name);
    for wrong in [json!({"name": ""}), json!({"name": 7}), json!({"name": "a\nb"}), json!({"name": "n".repeat(101)})] {
        assert_eq!(wrong_fields(&patch(wrong).await), ["name"]);
    }
    assert_eq!(wrong_fields(&patch(json!({"email": "eve@example.com"})).await), ["email"]);
    assert_eq!(patch(json!({"name": null})).await.assert_status(200).json()["user"]["name"], Value::Null);
    assert_eq!(servers.me(&tokens.access).await.json()["user"]["name"], Value::Null);
}

async fn change_password(server: &Server, access: &str, current: &str, new: &str) -> Response {
    let body = json!({"current_password": current, "new_password": new});
    post(server, CHANGE, &body).bearer(access).send().await
}

async fn a_change_of_password_ends_the_other_sessions(servers: Servers) {
    let stranger = servers.register().await;
    let own = servers.register().await;
    let others = [servers.login(&own.email).await, servers.login(&own.email).await];
    let answer = change_password(&servers, &own.access, PASSWORD, NEW_PASSWORD).await;
    assert_eq!(answer.assert_status(200).json(), json!({"sessions_revoked": 2}));
    for server in servers.all() {
        for other in &others {
            server.me(&other.access).await.assert_problem(401, "invalid_token");
            server.refresh(&other.refresh).await.assert_problem(401, "session_revoked");
        }
        server.me(&own.access).await.assert_status(200);
        server.me(&stranger.access).await.assert_status(200);
        server.try_login(&own.email, PASSWORD).await.assert_problem(401, "invalid_credentials");
        server.try_login(&own.email, NEW_PASSWORD).await.assert_status(200);
    }
    servers.refresh(&own.refresh).await.assert_status(200);
    assert_eq!(servers.session(others[0].session).revoked_reason.as_deref(), Some("password_changed"));
}

async fn a_password_is_not_changed_without_the_current_one(server: Server) {
    let own = server.register().await;
    let other = server.login(&own.email).await;
    let before = stored_hash(&server);
    for wrong in [NEW_PASSWORD, "short", ""] {
        let answer = change_password(&server, &own.access, wrong, NEW_PASSWORD).await;
        answer.assert_problem(401, "invalid_credentials");
        assert_eq!(answer.header("www-authenticate"), None, "the access token is good");
    }
    assert_eq!(stored_hash(&server), before);
    for tokens in [&own, &other] {
        server.me(&tokens.access).await.assert_status(200);
    }
}

async fn a_password_is_not_changed_to_a_weak_one(server: Server) {
    let body = json!({"email": "zorvane@quellorin.example", "password": PASSWORD});
    let own = Tokens::of(&post(&server, REGISTER, &body).send().await);
    let before = stored_hash(&server);
    for weak in ["password1234", "short", "zorvanequellorin", &"x".repeat(1025)] {
        let answer = change_password(&server, &own.access, PASSWORD, weak).await;
        assert_eq!(wrong_fields(&answer), ["new_password"]);
    }
    let missing = post(&server, CHANGE, &json!({"new_password": NEW_PASSWORD})).bearer(&own.access).send().await;
    assert_eq!(wrong_fields(&missing), ["current_password"]);
    assert_eq!(stored_hash(&server), before);
}

async fn guesses_at_the_current_password_are_limited_like_logins(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "3/3600")]).await;
    let own = server.register().await;
    for _ in 0..3 {
        let answer = change_password(&server, &own.access, NEW_PASSWORD, NEW_PASSWORD).await;
        answer.assert_problem(401, "invalid_credentials");
    }
    let answer = change_password(&server, &own.access, PASSWORD, NEW_PASSWORD).await;
    answer.assert_problem(429, "too_many_requests");
    server.try_login(&own.email, PASSWORD).await.assert_problem(429, "too_many_requests");
    server.me(&own.access).await.assert_status(200);
}

async fn of_changes_of_one_password_at_once_one_wins(servers: Servers) {
    let own = servers.register().await;
    let other = servers.login(&own.email).await;
    let passwords: Vec<String> = (0..4).map(|n| format!("{NEW_PASSWORD} number {n}")).collect();
    let requests = passwords.iter().enumerate().map(|(n, new)| {
        let server = &servers.all()[n % servers.all().len()];
        let body = json!({"current_password": PASSWORD, "new_password": new});
        post(server, CHANGE, &body).bearer(&own.access)
    });
    let answers = at_once(requests.collect::<Vec<_>>()).await;
    let winners: Vec<usize> = (0..4).filter(|n| answers[*n].status == 200).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    for (n, password) in passwords.iter().enumerate() {
        if !winners.contains(&n) {
            answers[n].assert_problem(401, "invalid_credentials");
        }
        let expected = if winners.contains(&n) { 200 } else { 401 };
        servers.try_login(&own.email, password).await.assert_status(expected);
    }
    servers.me(&other.access).await.assert_problem(401, "invalid_token");
    servers.me(&own.access).await.assert_status(200);
}

async fn a_proxy_is_told_who_calls(servers: Servers) {
    let tokens = servers.register_as("ren\u{e9}@b\u{fc}cher.example").await;
    servers.verify_email(&tokens.email);
    let tokens = servers.login(&tokens.email).await;
    let (access, _) = login_with_cookies(&servers, &tokens.email).await;
    let own = servers.verify(&tokens.access).await;
    for server in servers.all() {
        let by_cookie = server.get(VERIFY).header("cookie", &format!("{ACCESS_COOKIE}={access}")).send().await;
        for (answer, session) in [(server.verify(&tokens.access).await, true), (by_cookie, false)] {
            answer.assert_status(200);
            assert!(answer.body.is_empty());
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("x-auth-user"), Some(tokens.user.to_string().as_str()));
            assert_eq!(answer.header("x-auth-session") == own.header("x-auth-session"), session);
            assert_eq!(answer.header("x-auth-email"), Some("ren%C3%A9@xn--bcher-kva.example"));
            assert_eq!(answer.header("x-auth-roles"), Some("user"));
        }
    }
    assert_eq!(own.header("x-auth-session"), Some(tokens.session.to_string().as_str()));
    servers.logout(&tokens.access).await.assert_status(204);
    for server in servers.all() {
        server.verify(&tokens.access).await.assert_problem(401, "invalid_token");
    }
}

async fn a_proxy_may_ask_with_any_method_and_path(server: Server) {
    let tokens = server.register().await;
    for path in ["", "/", "/orders/7?paid=true", "/a/b/../c%2Fd", "/.well-known/jwks.json"] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"] {
            let request = server.request(method, &format!("{VERIFY}{path}"));
            let answer = request.clone().bearer(&tokens.access).send().await;
            assert_eq!((answer.status, answer.header("x-auth-roles")), (200, Some("user")), "{method} {path}");
            assert_eq!(request.send().await.status, 401, "{method} {path}");
        }
    }
}

async fn a_proxy_asks_for_a_page_with_the_method_that_it_forwards(backend: Backend) {
    let server = Server::with(backend, &[("ALLOWED_ORIGINS", "https://app.example")]).await;
    let tokens = server.register().await;
    let (access, _) = login_with_cookies(&server, &tokens.email).await;
    let cookie = format!("{ACCESS_COOKIE}={access}");
    for header in ["x-forwarded-method", "x-original-method"] {
        for (method, origin, status) in [
            ("GET", None, 200),
            ("GET", Some("https://evil.example"), 200),
            ("POST", None, 403),
            ("post", None, 403),
            ("DELETE", Some("https://evil.example"), 403),
            ("DELETE", Some(PUBLIC_URL), 200),
            ("POST", Some("https://app.example"), 200),
        ] {
            let mut request = server.get(VERIFY).header("cookie", &cookie).header(header, method);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = request.clone().send().await;
            assert_eq!(answer.status, status, "{header}: {method} from {origin:?}");
            if status == 403 {
                answer.assert_problem(403, "origin_not_allowed");
                // Browsers never send a bearer token by themselves.
                let bearer = server.get(VERIFY).bearer(&tokens.access).header(header, method);
                bearer.send().await.assert_status(200);
            }
        }
    }
    // Envoy asks with the method itself.
    let envoy = |method| server.request(method, &format!("{VERIFY}/orders")).header("cookie", &cookie);
    envoy("POST").send().await.assert_problem(403, "origin_not_allowed");
    envoy("POST").header("origin", PUBLIC_URL).send().await.assert_status(200);
    envoy("GET").send().await.assert_status(200);
}

async fn a_proxy_is_told_to_ask_for_credentials(server: Server) {
    let tokens = server.register().await;
    let answer = server.get(VERIFY).send().await;
    answer.assert_problem(401, "missing_token");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    for wrong in ["nonsense", &tokens.refresh] {
        let answer = server.verify(wrong).await;
        answer.assert_problem(401, "invalid_token");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer error=\"invalid_token\""));
        assert_eq!(answer.header("x-auth-user"), None);
    }
}
