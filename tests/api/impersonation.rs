//! Acting for a person: what an administrator may do so, and what the person sees of it.

use serde_json::{Value, json};

use crate::audit::administrator;
use crate::support::http::at_once;
use crate::support::tokens::jwt_part;
use crate::support::{Backend, Endpoint, PASSWORD, Request, Response, Server, Servers, Tokens};

both_backends! {
    an_operator_acts_for_a_person_by_an_access_token_alone,
    the_role_that_administers_is_withheld,
    an_operator_who_acts_for_a_person_changes_nothing,
    whoever_acts_for_a_person_may_use_apps_and_log_out,
    the_person_sees_who_acted_and_why,
    the_person_ends_it,
    it_ends_by_itself,
    it_ends_with_the_operators_role_or_account,
    it_ends_when_the_operators_sessions_do,
    it_ends_with_the_operators_own_session,
    none_outlives_a_logout_of_the_operator_at_the_same_time,
    a_proxy_learns_who_acts_and_may_refuse_it,
    it_leaves_the_persons_own_sessions_alone,
    nobody_acts_for_themselves_or_for_the_disabled,
    a_cookie_of_the_operator_stays_as_it_is,
}

/// An administrator's session of somebody else.
struct Acting {
    access: String,
    session: String,
    answer: Value,
}

fn request(server: &Endpoint, by: &Tokens, person: &Tokens) -> Request {
    let target = format!("/api/v1/admin/users/{}/impersonate", person.user);
    server.post(&target).bearer(&by.access).json(&json!({"reason": "the question of last week"}))
}

async fn impersonate(server: &Endpoint, by: &Tokens, person: &Tokens) -> Acting {
    let answer = request(server, by, person).send().await;
    assert_eq!(answer.assert_status(200).header("cache-control"), Some("no-store"));
    let answer = answer.json();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    Acting { access: text("access_token"), session: text("session_id"), answer }
}

async fn change(server: &Endpoint, by: &Tokens, of: &Tokens, body: Value) -> Response {
    server.patch(&format!("/api/v1/admin/users/{}", of.user)).bearer(&by.access).json(&body).send().await
}

async fn an_operator_acts_for_a_person_by_an_access_token_alone(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    let acting = impersonate(&servers, &admin, &person).await;
    let mut members: Vec<&str> = acting.answer.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["access_token", "act", "expires_in", "server_time", "session_id", "token_type", "user"]);
    assert_eq!(acting.answer["act"], json!({"sub": admin.user}));
    let expires_in = acting.answer["expires_in"].as_u64().unwrap();
    assert!((890..=900).contains(&expires_in), "{expires_in}");

    let claims = jwt_part(&acting.access, 1);
    assert_eq!((&claims["sub"], &claims["act"]), (&json!(person.user), &json!({"sub": admin.user})));
    assert_eq!((&claims["sid"], &claims["roles"]), (&json!(acting.session), &json!(["user"])));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(claims["auth_time"], admin.claims()["auth_time"], "the administrator's, not the person's");
    assert!(person.claims().get("act").is_none());
    for server in servers.all() {
        let me = server.me(&acting.access).await.assert_status(200).json();
        assert_eq!((&me["user"]["id"], &me["session_id"]), (&json!(person.user), &json!(acting.session)));
    }
}

async fn the_role_that_administers_is_withheld(servers: Servers) {
    let (admin, other) = (administrator(&servers).await, administrator(&servers).await);
    let acting = impersonate(&servers, &admin, &other).await;
    assert_eq!(jwt_part(&acting.access, 1)["roles"], json!(["user"]));
    assert_eq!(acting.answer["user"]["roles"], json!(["user"]));
    for server in servers.all() {
        // Once by the cache, once by the database.
        assert_eq!(server.verify(&acting.access).await.header("x-auth-roles"), Some("user"));
        if server.backend == crate::support::Backend::Scaled {
            server.redis::<()>(&["FLUSHDB"]);
        }
        assert_eq!(server.another().await.verify(&acting.access).await.header("x-auth-roles"), Some("user"));
        for path in ["/api/v1/admin/users", "/api/v1/admin/audit", "/api/v1/admin/stats"] {
            server.get(path).bearer(&acting.access).send().await.assert_problem(403, "impersonated");
        }
        request(server, &Tokens { access: acting.access.clone(), ..admin.clone() }, &other)
            .send()
            .await
            .assert_problem(403, "impersonated");
    }
}

async fn an_operator_who_acts_for_a_person_changes_nothing(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let other = server.login(&person.email).await;
    let acting = impersonate(&server, &admin, &person).await;
    let state = |server: &Server| (server.rows("users"), server.count("revocations"), server.count("audit_log"));
    let before = state(&server);
    let document = crate::openapi::document(&server).await;
    let mut refused = 0;
    for ((method, path), _) in crate::openapi::operations(&document) {
        let is_open = crate::strangers::OPEN.contains(&(method.as_str(), path.as_str()))
            || crate::strangers::is_page(&method, &path);
        if is_open || method == "GET" || path == "/api/v1/auth/logout" {
            continue;
        }
        let target = path.replace("{id}", &other.session.to_string());
        let body = json!({"current_password": PASSWORD, "new_password": "nine herons under the bridge", "all": true});
        for request in [server.request(&method, &target), server.request(&method, &target).json(&body)] {
            let answer = request.bearer(&acting.access).send().await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
            answer.assert_problem(403, "impersonated");
        }
        refused += 1;
    }
    assert!(refused >= 12, "{refused}");
    assert_eq!(state(&server), before);
    for tokens in [&person, &other] {
        server.me(&tokens.access).await.assert_status(200);
    }
}

async fn whoever_acts_for_a_person_may_use_apps_and_log_out(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let acting = impersonate(&server, &admin, &person).await;
    // What an app lets its users do is the app's business, which the token tells that somebody acts.
    let posted = server.get("/api/v1/auth/verify").bearer(&acting.access).header("x-forwarded-method", "POST");
    assert_eq!(posted.send().await.assert_status(200).header("x-auth-user"), Some(&*person.user.to_string()));
    server.sessions(&acting.access).await;
    server.logout(&acting.access).await.assert_status(204);
    server.me(&acting.access).await.assert_problem(401, "invalid_token");
    server.me(&person.access).await.assert_status(200);
    server.me(&admin.access).await.assert_status(200);
}

async fn the_person_sees_who_acted_and_why(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let acting = impersonate(&server, &admin, &person).await;
    server.logout(&acting.access).await.assert_status(204);
    let log = server.get("/api/v1/sessions/audit").bearer(&person.access).send().await.assert_status(200).json();
    let told = |index: usize| {
        let entry = &log["logs"][index];
        (entry["event_type"].clone(), entry["actor_id"].clone(), entry["session_id"].clone())
    };
    assert_eq!(told(0), (json!("session.logged_out"), json!(admin.user), json!(acting.session)));
    assert_eq!(told(1), (json!("impersonation.started"), json!(admin.user), json!(acting.session)));
    assert_eq!(log["logs"][1]["metadata"], json!({"reason": "the question of last week"}));
    assert_eq!(log["logs"][1]["user_id"], json!(person.user));
    // It is in the person's log, not in the administrator's.
    let own = server.get("/api/v1/sessions/audit").bearer(&admin.access).send().await.assert_status(200).json();
    assert_eq!(own["logs"].as_array().unwrap().len(), 1);
}

async fn the_person_ends_it(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    let acting = impersonate(&servers, &admin, &person).await;
    let list = servers.sessions(&person.access).await;
    assert_eq!(list["active_count"], 2);
    let shown = list["sessions"].as_array().unwrap().iter().find(|session| session["id"] == acting.session).unwrap();
    assert_eq!(shown["impersonated_by"], json!(admin.user));
    let own = list["sessions"].as_array().unwrap().iter().find(|session| session["is_current"] == true).unwrap();
    assert_eq!(own["impersonated_by"], Value::Null);
    let ended = servers.delete(&format!("/api/v1/sessions/{}", acting.session)).bearer(&person.access).send().await;
    ended.assert_status(204);
    for server in servers.all() {
        server.me(&acting.access).await.assert_problem(401, "invalid_token");
    }
    servers.me(&admin.access).await.assert_status(200);
}

async fn it_ends_by_itself(server: Server) {
    server.clock.hold();
    let (admin, person) = (administrator(&server).await, server.register().await);
    let acting = impersonate(&server, &admin, &person).await;
    server.advance(895);
    server.me(&acting.access).await.assert_status(200);
    server.advance(6);
    server.me(&acting.access).await.assert_problem(401, "invalid_token");
    let person = server.refreshed(&person).await;
    assert_eq!(server.sessions(&person.access).await["count"], 1);
    // With longer access tokens it lasts no longer.
    let longer = Server::start(&server.deployment, &[("ACCESS_TOKEN_TTL", "7200")], server.clock.clone()).await;
    let admin = longer.login(&admin.email).await;
    let acting = impersonate(&longer, &admin, &person).await;
    let claims = jwt_part(&acting.access, 1);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
}

async fn it_ends_with_the_operators_role_or_account(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    for body in [json!({"roles": []}), json!({"disabled": true})] {
        let other = administrator(&servers).await;
        let acting = impersonate(&servers, &other, &person).await;
        for server in servers.all() {
            server.me(&acting.access).await.assert_status(200);
        }
        change(&servers, &admin, &other, body).await.assert_status(200);
        for server in servers.all() {
            server.me(&acting.access).await.assert_problem(401, "invalid_token");
        }
    }
    servers.me(&person.access).await.assert_status(200);
}

async fn it_ends_when_the_operators_sessions_do(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    let acting = impersonate(&servers, &admin, &person).await;
    let answer = servers.post("/api/v1/auth/logout-all").bearer(&admin.access).send().await;
    assert_eq!(answer.assert_status(200).json(), json!({"sessions_revoked": 2}));
    for server in servers.all() {
        server.me(&acting.access).await.assert_problem(401, "invalid_token");
        server.me(&person.access).await.assert_status(200);
    }
}

async fn it_leaves_the_persons_own_sessions_alone(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let acting = impersonate(&server, &admin, &person).await;
    server.refreshed(&person).await;
    server.delete(&format!("/api/v1/admin/sessions/{}", acting.session)).bearer(&admin.access).send().await;
    let row = server.session(person.session);
    assert_eq!((row.revoked_at, row.generation), (None, 1));
}

async fn nobody_acts_for_themselves_or_for_the_disabled(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    request(&server, &admin, &admin).send().await.assert_problem(409, "own_account");
    change(&server, &admin, &person, json!({"disabled": true})).await.assert_status(200);
    request(&server, &admin, &person).send().await.assert_problem(409, "account_disabled");
    assert_eq!(server.count("sessions WHERE actor_id IS NOT NULL"), 0);
    assert_eq!(server.count("audit_log WHERE event = 'impersonation.started'"), 0);
}

async fn a_cookie_of_the_operator_stays_as_it_is(server: Server) {
    let (admin, person) = (administrator(&server).await, server.register().await);
    let cookie = format!("__Host-keyturn_access={}", admin.access);
    let target = format!("/api/v1/admin/users/{}/impersonate", person.user);
    let request = server.post(&target).json(&json!({"reason": "the question of last week"}));
    let origin = crate::support::deployment::PUBLIC_URL;
    let answer = request.header("cookie", &cookie).header("origin", origin).send().await;
    answer.assert_status(200);
    assert!(answer.all_headers("set-cookie").is_empty());
    assert!(answer.json()["access_token"].is_string());
}

async fn it_ends_with_the_operators_own_session(servers: Servers) {
    let person = servers.register().await;
    let admin = administrator(&servers).await;
    type Way = fn(&Endpoint, &Tokens, &Tokens) -> Request;
    let ways: [Way; 3] = [
        |server, own, _| server.post("/api/v1/auth/logout").bearer(&own.access),
        |server, own, admin| server.delete(&format!("/api/v1/sessions/{}", own.session)).bearer(&admin.access),
        |server, own, admin| server.delete(&format!("/api/v1/admin/sessions/{}", own.session)).bearer(&admin.access),
    ];
    for way in ways {
        let own = servers.login(&admin.email).await;
        let acting = impersonate(&servers, &own, &person).await;
        let other = impersonate(&servers, &admin, &person).await;
        for server in servers.all() {
            server.me(&acting.access).await.assert_status(200);
        }
        way(&servers, &own, &admin).send().await.assert_status(204);
        for server in servers.all() {
            server.me(&acting.access).await.assert_problem(401, "invalid_token");
            server.me(&other.access).await.assert_status(200);
            server.me(&person.access).await.assert_status(200);
        }
    }
    // A stolen session of the operator's, too.
    let own = servers.login(&admin.email).await;
    let acting = impersonate(&servers, &own, &person).await;
    let next = servers.refreshed(&own).await;
    servers.refreshed(&next).await;
    servers.advance(60);
    servers.assert_reused(&own.refresh).await;
    servers.me(&acting.access).await.assert_problem(401, "invalid_token");
}

async fn none_outlives_a_logout_of_the_operator_at_the_same_time(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ACCOUNT", "off")]).await;
    let person = server.register().await;
    let admin = administrator(&server).await;
    for _ in 0..12 {
        let own = server.login(&admin.email).await;
        let logout = server.post("/api/v1/auth/logout").bearer(&own.access);
        let answers = at_once([request(&server, &own, &person), logout, request(&server, &own, &person)]).await;
        for answer in answers.iter().filter(|answer| answer.status == 200) {
            let access = answer.json()["access_token"].as_str().unwrap().to_owned();
            server.me(&access).await.assert_problem(401, "invalid_token");
        }
        answers[1].assert_status(204);
    }
}

async fn a_proxy_learns_who_acts_and_may_refuse_it(servers: Servers) {
    let (admin, person) = (administrator(&servers).await, servers.register().await);
    let acting = impersonate(&servers, &admin, &person).await;
    let ask = async |server: &Server, rule: &str, method: &str, access: &str| {
        let target = format!("/api/v1/auth/verify{rule}");
        server.get(&target).bearer(access).header("x-forwarded-method", method).send().await
    };
    for server in servers.all() {
        let allowed = ask(server, "", "DELETE", &acting.access).await;
        assert_eq!(allowed.assert_status(200).header("x-auth-actor"), Some(&*admin.user.to_string()));
        let own = ask(server, "?impersonation=deny", "DELETE", &person.access).await;
        assert_eq!(own.assert_status(200).header("x-auth-actor"), None);
        for (rule, method, status) in [
            ("?impersonation=allow", "POST", 200),
            ("?impersonation=read_only", "GET", 200),
            ("?impersonation=read_only", "HEAD", 200),
            ("?impersonation=read_only", "POST", 403),
            ("?impersonation=read_only", "FROBNICATE", 403),
            ("?impersonation=deny", "GET", 403),
            ("?impersonation=maybe", "GET", 422),
        ] {
            ask(server, rule, method, &acting.access).await.assert_status(status);
        }
        ask(server, "?impersonation=deny", "GET", &acting.access).await.assert_problem(403, "impersonated");
        // The client's header beside the proxy's, in either order.
        let read_only = || server.get("/api/v1/auth/verify?impersonation=read_only").bearer(&acting.access);
        for (forwarded, original) in [("GET", "POST"), ("POST", "GET"), ("", "GET"), ("GET, POST", "GET")] {
            let both = read_only().header("x-forwarded-method", forwarded).header("x-original-method", original);
            both.send().await.assert_problem(403, "impersonated");
        }
    }
}
