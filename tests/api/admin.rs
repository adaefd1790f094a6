//! `/api/v1/admin`: accounts, roles, sessions and figures, for administrators alone.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::administrator;
use crate::support::deployment::PUBLIC_URL;
use crate::support::{Endpoint, PASSWORD, Request, Response, Server, Servers, Tokens, http::at_once, until};

pub const USERS: &str = "/api/v1/admin/users";

both_backends! {
    an_account_is_shown_without_its_password,
    only_administrators_administer,
    what_is_changed_needs_a_recent_login,
    what_is_unknown_is_not_found,
    wrong_input_is_named,
    a_disabled_account_is_out_at_once_on_every_server,
    an_enabled_account_may_log_in_again,
    a_role_counts_on_the_next_request_on_every_server,
    a_role_that_is_taken_away_counts_on_the_next_request,
    an_administrator_keeps_the_role_and_the_account,
    of_two_administrators_who_strip_each_other_one_is_left,
    a_name_is_set_and_taken_away,
    a_change_is_made_whole_or_not_at_all,
    sessions_of_others_are_listed_and_ended,
    one_session_of_anybody_is_ended,
    what_operators_do_is_audited_with_their_names,
    a_cookie_administers_from_its_own_origin_alone,
    figures_tell_of_users_sessions_and_devices,
    figures_tell_of_each_hour_after_a_restart_too,
    figures_tell_how_many_sessions_an_hour_began_with,
}

pub fn user(id: impl std::fmt::Display) -> String {
    format!("{USERS}/{id}")
}

async fn change(server: &Endpoint, by: &Tokens, id: impl std::fmt::Display, body: Value) -> Response {
    server.patch(&user(id)).bearer(&by.access).json(&body).send().await
}

/// Every request that administers an account and a session of it.
fn requests(server: &Endpoint, victim: &Tokens) -> Vec<Request> {
    [reading(server, victim), changing(server, victim)].concat()
}

fn reading(server: &Endpoint, victim: &Tokens) -> Vec<Request> {
    vec![
        server.get(USERS),
        server.get(&user(victim.user)),
        server.get(&format!("{}/sessions", user(victim.user))),
        server.get("/api/v1/admin/audit"),
        server.get("/api/v1/admin/stats"),
    ]
}

pub fn changing(server: &Endpoint, victim: &Tokens) -> Vec<Request> {
    vec![
        server.patch(&user(victim.user)).json(&json!({"disabled": true})),
        server.delete(&format!("{}/sessions", user(victim.user))),
        server.delete(&format!("/api/v1/admin/sessions/{}", victim.session)),
        server.post(&format!("{}/impersonate", user(victim.user))).json(&json!({"reason": "a question of theirs"})),
    ]
}

/// The rows of all accounts in the order of their ids.
fn accounts(server: &Endpoint) -> Vec<Value> {
    let mut rows = server.rows("users");
    rows.sort_by_key(|row| row["id"].to_string());
    rows
}

async fn an_account_is_shown_without_its_password(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let shown = server.get(&user(person.user)).bearer(&admin.access).send().await.assert_status(200).json();
    let members: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    let times = "created_at password_changed_at last_login_at email_verified_at disabled_at deletes_at";
    let mut expected =
        "id email name language roles has_password mfa_enabled".split(' ').chain(times.split(' ')).collect::<Vec<_>>();
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!((&shown["id"], &shown["email"]), (&json!(person.user), &json!(person.email)));
    assert_eq!((&shown["roles"], &shown["disabled_at"]), (&json!(["user"]), &Value::Null));
}

async fn only_administrators_administer(servers: Servers) {
    let (person, victim) = (servers.register().await, servers.register().await);
    let before = (accounts(&servers), servers.count("revocations"), servers.count("sessions"));
    for server in servers.all() {
        for request in requests(server, &victim) {
            request.clone().send().await.assert_problem(401, "missing_token");
            request.bearer(&person.access).send().await.assert_problem(403, "forbidden");
        }
    }
    // Not by what a token says either: this one was issued to an administrator who is none any more.
    let former = administrator(&servers).await;
    let claims = servers.login(&former.email).await;
    assert_eq!(claims.claims()["roles"], json!(["user", "admin"]));
    let condition = format!("id = {}", servers.literal(former.user.0));
    servers.sql(&format!("UPDATE users SET roles = '[\"user\"]' WHERE {condition}"));
    for server in servers.all() {
        for request in requests(server, &victim) {
            request.bearer(&claims.access).send().await.assert_problem(403, "forbidden");
        }
    }
    servers.sql(&format!("DELETE FROM users WHERE {condition}"));
    assert_eq!((accounts(&servers), servers.count("revocations"), servers.count("sessions")), before);
}

async fn what_is_changed_needs_a_recent_login(server: Server) {
    let (admin, victim) = (administrator(&server).await, server.register().await);
    server.advance(601);
    for request in reading(&server, &victim) {
        request.bearer(&admin.access).send().await.assert_status(200);
    }
    for request in changing(&server, &victim) {
        let refused = request.bearer(&admin.access).send().await;
        refused.assert_problem(401, "insufficient_user_authentication");
        assert!(refused.header("www-authenticate").unwrap().contains("max_age=600"));
    }
    server.me(&victim.access).await.assert_status(200);
    let body = json!({"password": PASSWORD});
    let again = server.post("/api/v1/auth/reauthenticate").bearer(&admin.access).json(&body).send().await;
    let access = again.assert_status(200).json()["access_token"].as_str().unwrap().to_owned();
    for request in changing(&server, &victim).into_iter().rev() {
        let answer = request.bearer(&access).send().await;
        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    }
}

async fn what_is_unknown_is_not_found(server: Server) {
    let admin = administrator(&server).await;
    for id in [Uuid::nil().to_string(), "not-a-uuid".to_owned(), admin.session.to_string()] {
        let requests = [
            server.get(&user(&id)),
            server.patch(&user(&id)).json(&json!({"disabled": true})),
            server.get(&format!("{}/sessions", user(&id))),
            server.delete(&format!("{}/sessions", user(&id))),
            server.post(&format!("{}/impersonate", user(&id))).json(&json!({"reason": "whoever it may be"})),
        ];
        for request in requests {
            request.bearer(&admin.access).send().await.assert_problem(404, "not_found");
        }
    }
    for id in [Uuid::nil().to_string(), "not-a-uuid".to_owned(), admin.user.to_string()] {
        let delete = server.delete(&format!("/api/v1/admin/sessions/{id}")).bearer(&admin.access);
        delete.send().await.assert_problem(404, "not_found");
    }
}

async fn wrong_input_is_named(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    for (query, field) in [
        ("limit=0".to_owned(), "limit"),
        ("limit=101".to_owned(), "limit"),
        ("cursor=nonsense".to_owned(), "cursor"),
        (format!("q={}", "x".repeat(255)), "q"),
        ("role=two%20words".to_owned(), "role"),
        ("role=".to_owned(), "role"),
        ("state=asleep".to_owned(), "state"),
        ("search=x".to_owned(), "query"),
    ] {
        server.get(&format!("{USERS}?{query}")).bearer(&admin.access).send().await.assert_invalid(field);
    }
    for (body, field) in [
        (json!({"roles": ["two words"]}), "roles"),
        (json!({"roles": ["a b"]}), "roles"),
        (json!({"roles": [""]}), "roles"),
        (json!({"roles": "admin"}), "roles"),
        (json!({"name": ""}), "name"),
        (json!({"name": "a\u{7}"}), "name"),
        (json!({"disabled": "yes"}), "disabled"),
        (json!({"email": "nobody"}), "email"),
        (json!({"verified": "yes"}), "verified"),
        (json!({"password": PASSWORD}), "password"),
    ] {
        change(&server, &admin, person.user, body).await.assert_invalid(field);
    }
    for (body, field) in [
        (json!({}), "reason"),
        (json!({"reason": "ab"}), "reason"),
        (json!({"reason": "   ab   "}), "reason"),
        (json!({"reason": "x".repeat(201)}), "reason"),
        (json!({"reason": "two\nlines"}), "reason"),
        (json!({"reason": "for a test", "minutes": 60}), "minutes"),
    ] {
        let request = server.post(&format!("{}/impersonate", user(person.user))).bearer(&admin.access).json(&body);
        request.send().await.assert_invalid(field);
    }
    for hours in ["0", "745", "all", ""] {
        let stats = server.get(&format!("/api/v1/admin/stats?hours={hours}")).bearer(&admin.access).send().await;
        stats.assert_invalid("hours");
    }
    server
        .get(&format!("{}/sessions?include=all", user(person.user)))
        .bearer(&admin.access)
        .send()
        .await
        .assert_invalid("query");
}

async fn a_disabled_account_is_out_at_once_on_every_server(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    let second = servers.login(&person.email).await;
    for server in servers.all() {
        server.me(&second.access).await.assert_status(200);
    }
    let answer = change(&servers, &admin, person.user, json!({"disabled": true})).await.assert_status(200).json();
    assert!(answer["disabled_at"].is_string());
    for server in servers.all() {
        for tokens in [&person, &second] {
            server.me(&tokens.access).await.assert_problem(401, "invalid_token");
            server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
        }
        server.try_login(&person.email, PASSWORD).await.assert_problem(403, "account_disabled");
    }
    assert_eq!(servers.session(second.session).revoked_reason.as_deref(), Some("account_disabled"));
    // A second time it changes nothing.
    let again = change(&servers, &admin, person.user, json!({"disabled": true})).await.assert_status(200).json();
    assert_eq!(again["disabled_at"], answer["disabled_at"]);
    assert_eq!(servers.count("audit_log WHERE event = 'account.disabled'"), 1);
}

async fn an_enabled_account_may_log_in_again(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    change(&servers, &admin, person.user, json!({"disabled": true})).await.assert_status(200);
    let enabled = change(&servers, &admin, person.user, json!({"disabled": false})).await.assert_status(200).json();
    assert_eq!(enabled["disabled_at"], Value::Null);
    for server in servers.all() {
        let tokens = server.login(&person.email).await;
        server.me(&tokens.access).await.assert_status(200);
        server.me(&person.access).await.assert_problem(401, "invalid_token");
    }
    assert_eq!(servers.count("audit_log WHERE event = 'account.enabled'"), 1);
}

async fn a_role_counts_on_the_next_request_on_every_server(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    for server in servers.all() {
        server.get(USERS).bearer(&person.access).send().await.assert_problem(403, "forbidden");
    }
    let answer = change(&servers, &admin, person.user, json!({"roles": ["editor", "admin", "editor"]})).await;
    assert_eq!(answer.assert_status(200).json()["roles"], json!(["user", "editor", "admin"]));
    // The access token says what is no longer so; a refresh brings another, and nobody is logged out.
    for server in servers.all() {
        server.me(&person.access).await.assert_problem(401, "invalid_token");
    }
    let refreshed = servers.refreshed(&person).await;
    assert_eq!(refreshed.claims()["roles"], json!(["user", "editor", "admin"]));
    for server in servers.all() {
        server.get(USERS).bearer(&refreshed.access).send().await.assert_status(200);
        assert_eq!(server.verify(&refreshed.access).await.header("x-auth-roles"), Some("user,editor,admin"));
    }
}

async fn a_role_that_is_taken_away_counts_on_the_next_request(servers: Servers) {
    let (admin, other) = (administrator(&servers).await, administrator(&servers).await);
    let other = servers.refreshed(&other).await;
    for server in servers.all() {
        server.get(USERS).bearer(&other.access).send().await.assert_status(200);
    }
    change(&servers, &admin, other.user, json!({"roles": []})).await.assert_status(200);
    for server in servers.all() {
        server.get(USERS).bearer(&other.access).send().await.assert_problem(401, "invalid_token");
    }
    let other = servers.refreshed(&other).await;
    assert_eq!(other.claims()["roles"], json!(["user"]));
    for server in servers.all() {
        server.get(USERS).bearer(&other.access).send().await.assert_problem(403, "forbidden");
    }
}

async fn an_administrator_keeps_the_role_and_the_account(server: Server) {
    let admin = administrator(&server).await;
    administrator(&server).await;
    for body in [
        json!({"disabled": true}),
        json!({"roles": []}),
        json!({"roles": ["user", "editor"]}),
        json!({"roles": ["admin"], "disabled": true}),
        json!({"email": "another@example.com"}),
        json!({"verified": true}),
        json!({"verified": false, "name": "Root"}),
    ] {
        change(&server, &admin, admin.user, body).await.assert_problem(409, "own_account");
    }
    server.get(USERS).bearer(&admin.access).send().await.assert_status(200);
    // What takes nothing away is possible.
    let answer = change(&server, &admin, admin.user, json!({"disabled": false, "name": "Root"})).await;
    assert_eq!(answer.assert_status(200).json()["name"], "Root");
}

async fn of_two_administrators_who_strip_each_other_one_is_left(servers: Servers) {
    for body in [json!({"roles": []}), json!({"disabled": true})] {
        let (one, other) = (administrator(&servers).await, administrator(&servers).await);
        let last = &servers.all()[servers.all().len() - 1];
        let answers = at_once([
            servers.patch(&user(other.user)).bearer(&one.access).json(&body),
            last.patch(&user(one.user)).bearer(&other.access).json(&body),
        ])
        .await;
        let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        // The other finds itself stripped, as its token or its role says.
        assert!(matches!(statuses[..], [200, 401 | 403]), "{statuses:?} {answers:?}");
        let admins = servers.count("users WHERE CAST(roles AS text) LIKE '%admin%' AND disabled_at IS NULL");
        assert!(admins >= 1);
        servers.sql("UPDATE users SET roles = '[\"user\"]'");
    }
}

async fn a_name_is_set_and_taken_away(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let named = change(&server, &admin, person.user, json!({"name": " Ada "})).await.assert_status(200).json();
    assert_eq!(named["name"], "Ada");
    let same = change(&server, &admin, person.user, json!({})).await.assert_status(200).json();
    assert_eq!(same, named);
    let unnamed = change(&server, &admin, person.user, json!({"name": null})).await.assert_status(200).json();
    assert_eq!(unnamed["name"], Value::Null);
    // The person stays logged in all the while.
    server.me(&person.access).await.assert_status(200);
}

async fn a_change_is_made_whole_or_not_at_all(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let before = accounts(&server);
    let body = json!({"name": "Ada", "roles": ["two words"], "disabled": true});
    change(&server, &admin, person.user, body).await.assert_invalid("roles");
    let body = json!({"name": "Ada", "roles": []});
    change(&server, &admin, admin.user, body).await.assert_problem(409, "own_account");
    assert_eq!(accounts(&server), before);
    let body = json!({"name": "Ada", "roles": ["editor"], "disabled": true});
    let answer = change(&server, &admin, person.user, body).await.assert_status(200).json();
    assert_eq!((&answer["name"], &answer["roles"]), (&json!("Ada"), &json!(["user", "editor"])));
    server.me(&person.access).await.assert_problem(401, "invalid_token");
}

async fn sessions_of_others_are_listed_and_ended(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    let second = servers.login(&person.email).await;
    let path = format!("{}/sessions", user(person.user));
    let of = async |query: &str| {
        servers.get(&format!("{path}{query}")).bearer(&admin.access).send().await.assert_status(200).json()
    };
    let found = of("").await;
    assert_eq!((&found["count"], &found["active_count"]), (&json!(2), &json!(2)));
    let mut expected = servers.sessions(&person.access).await["sessions"].clone();
    for session in expected.as_array_mut().unwrap() {
        session["is_current"] = json!(false);
    }
    let without_activity = |mut sessions: Value| {
        sessions.as_array_mut().unwrap().iter_mut().for_each(|session| drop(session["last_active_at"].take()));
        sessions
    };
    assert_eq!(without_activity(found["sessions"].clone()), without_activity(expected));
    let ended = servers.delete(&path).bearer(&admin.access).send().await;
    assert_eq!(ended.assert_status(200).json(), json!({"sessions_revoked": 2}));
    for server in servers.all() {
        for tokens in [&person, &second] {
            server.me(&tokens.access).await.assert_problem(401, "invalid_token");
            server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
        }
    }
    assert_eq!(of("").await["count"], 0);
    let ended = of("?include_expired=true").await;
    assert_eq!((&ended["count"], &ended["sessions"][0]["revoked_reason"]), (&json!(2), &json!("ended_by_operator")));
    servers.login(&person.email).await;
}

async fn one_session_of_anybody_is_ended(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    let second = servers.login(&person.email).await;
    let end = || servers.delete(&format!("/api/v1/admin/sessions/{}", second.session)).bearer(&admin.access).send();
    end().await.assert_status(204);
    for server in servers.all() {
        server.me(&second.access).await.assert_problem(401, "invalid_token");
        server.me(&person.access).await.assert_status(200);
    }
    end().await.assert_status(204);
    assert_eq!(servers.count("audit_log WHERE event = 'session.revoked'"), 1);
}

async fn what_operators_do_is_audited_with_their_names(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let body = json!({"name": "Ada", "roles": ["editor"]});
    change(&server, &admin, person.user, body).await.assert_status(200);
    server.delete(&format!("{}/sessions", user(person.user))).bearer(&admin.access).send().await.assert_status(200);
    change(&server, &admin, person.user, json!({"disabled": true})).await.assert_status(200);
    let query = format!("/api/v1/admin/audit?user_id={}", person.user);
    let log = server.get(&query).bearer(&admin.access).send().await.assert_status(200).json();
    let told: Vec<(&str, &Value)> = log["logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["event_type"].as_str().unwrap(), &entry["actor_id"]))
        .collect();
    let by = json!(admin.user);
    let expected = ["account.disabled", "session.revoked", "account.roles_changed", "account.profile_changed"]
        .map(|event| (event, &by));
    assert_eq!(told[..4], expected);
    assert_eq!(told[4], ("account.registered", &Value::Null));
    assert_eq!(log["logs"][2]["metadata"], json!({"from": ["user"], "to": ["user", "editor"]}));
}

async fn a_cookie_administers_from_its_own_origin_alone(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let cookie = format!("__Host-keyturn_access={}", admin.access);
    let request = || server.patch(&user(person.user)).header("cookie", &cookie).json(&json!({"name": "Ada"}));
    request().send().await.assert_problem(403, "origin_not_allowed");
    let foreign = request().header("origin", "https://elsewhere.example").send().await;
    foreign.assert_problem(403, "origin_not_allowed");
    request().header("origin", PUBLIC_URL).send().await.assert_status(200);
    server.get(USERS).header("cookie", &cookie).send().await.assert_status(200);
}

async fn stats(server: &Endpoint, by: &Tokens) -> Value {
    server.get("/api/v1/admin/stats").bearer(&by.access).send().await.assert_status(200).json()
}

async fn figures_tell_of_users_sessions_and_devices(server: Server) {
    let admin = administrator(&server).await;
    let agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0";
    let body = json!({"email": admin.email, "password": PASSWORD});
    let login = || server.post("/api/v1/auth/login").json(&body).header("user-agent", agent).send();
    let desktop = Tokens::of(&login().await);
    login().await.assert_status(200);
    let figures = stats(&server, &admin).await;
    assert_eq!((&figures["users"], &figures["active_sessions"]), (&json!(1), &json!(3)));
    assert_eq!(figures["sessions_by_device"], json!({"desktop": 2, "unknown": 1}));
    assert_eq!(figures["hours"], json!([]));
    // Counting takes time, so it is done once a minute at the most.
    server.logout(&desktop.access).await.assert_status(204);
    assert_eq!(stats(&server, &admin).await["counted_at"], figures["counted_at"]);
    server.advance(60);
    assert_eq!(stats(&server, &admin).await["active_sessions"], 2);
}

async fn figures_tell_how_many_sessions_an_hour_began_with(server: Server) {
    let admin = administrator(&server).await;
    server.advance(3600);
    let further = server.another().await;
    let admin = server.refreshed(&admin).await;
    let live = until("the sessions of the hour", async || {
        let figures = stats(&server, &admin).await;
        figures["hours"].as_array().unwrap().last().map(|hour| hour["live"].clone())
    });
    assert_eq!(live.await, json!({"unknown": 1}));
    drop(further);
    // Whoever logs in meanwhile is counted in the next hour.
    server.login(&admin.email).await;
    let _further = server.another().await;
    server.advance(3600);
    let _last = server.another().await;
    let admin = server.refreshed(&admin).await;
    let figures = until("the next hour", async || {
        let figures = stats(&server, &admin).await;
        (figures["hours"].as_array().unwrap().iter().filter(|hour| hour["live"] != json!({})).count() == 2)
            .then_some(figures)
    });
    let figures = figures.await;
    let live: Vec<_> = figures["hours"].as_array().unwrap().iter().map(|hour| hour["live"].clone()).collect();
    assert!(live.contains(&json!({"unknown": 1})) && live.contains(&json!({"unknown": 2})), "{figures}");
}

async fn figures_tell_of_each_hour_after_a_restart_too(server: Server) {
    let admin = administrator(&server).await;
    let further = server.another().await;
    let tokens = further.login(&admin.email).await;
    further.try_login(&admin.email, "not the password").await.assert_status(401);
    further.refreshed(&tokens).await;
    let hour = further.clock.now().as_secs() / 3600 * 3600;
    // A server that ends writes down what it has counted.
    drop(further);
    let figures = stats(&server, &admin).await;
    let hours = figures["hours"].as_array().unwrap();
    // The clock may have come to the next hour meanwhile.
    assert!(matches!(hours.len(), 1), "{figures}");
    let expected = json!({"logins": {"succeeded": 1, "refused": 1}, "refreshes": {"rotated": 1}});
    assert_eq!((&hours[0]["logins"], &hours[0]["refreshes"]), (&expected["logins"], &expected["refreshes"]));
    let told: keyturn::types::Timestamp = serde_json::from_value(hours[0]["hour"].clone()).unwrap();
    assert!(told.as_secs() == hour || told.as_secs() == hour + 3600);
    // Older hours are shown when asked for.
    server.advance(3 * 3600);
    let admin = server.refreshed(&admin).await;
    let of = async |hours: u32| {
        let request = server.get(&format!("/api/v1/admin/stats?hours={hours}")).bearer(&admin.access);
        request.send().await.assert_status(200).json()["hours"].as_array().unwrap().len()
    };
    assert_eq!((of(2).await, of(5).await), (0, 1));
}
