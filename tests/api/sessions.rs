//! `/api/v1/sessions`: seeing, naming and ending one's sessions, and nobody else's.

use keyturn::types::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Backend, Request, Server, Servers, Tokens, hex};

const SESSIONS: &str = "/api/v1/sessions";

both_backends! {
    an_account_sees_its_live_sessions_newest_first,
    a_session_is_shown_with_all_that_the_contract_names,
    sessions_that_have_ended_are_listed_when_asked_for,
    the_list_takes_no_other_parameters,
    a_session_is_shown_to_its_owner_alone,
    the_hint_and_the_activity_of_a_session_follow_its_refreshes,
    a_session_can_be_named_and_lose_its_name,
    only_its_owner_names_a_session,
    another_session_can_be_ended_at_once_on_every_server,
    the_session_that_calls_is_not_ended_by_its_id,
    only_its_owner_ends_a_session,
    all_other_sessions_can_be_ended_at_once,
    one_session_can_be_ended_by_a_parameter,
    sessions_are_revoked_by_id_or_all_but_the_caller,
    a_revocation_names_one_session_or_all,
    the_summary_counts_live_sessions_and_names_the_cache,
    the_collection_has_the_same_answer_with_a_slash,
}

fn path(id: impl std::fmt::Display) -> String {
    format!("{SESSIONS}/{id}")
}

fn ids(list: &Value) -> Vec<String> {
    list["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

/// Asserts that a session has ended on every server.
async fn assert_ended(servers: &Servers, tokens: &Tokens, reason: &str) {
    for server in servers.all() {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
        server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
    }
    assert_eq!(servers.session(tokens.session).revoked_reason.as_deref(), Some(reason));
}

async fn assert_live(servers: &Servers, tokens: &Tokens) {
    for server in servers.all() {
        server.me(&tokens.access).await.assert_status(200);
    }
    assert_eq!(servers.session(tokens.session).revoked_at, None);
}

async fn an_account_sees_its_live_sessions_newest_first(servers: Servers) {
    let stranger = servers.register().await;
    let first = servers.register().await;
    servers.advance(1);
    let second = servers.login(&first.email).await;
    servers.advance(1);
    let third = servers.login(&first.email).await;
    for server in servers.all() {
        let list = server.sessions(&second.access).await;
        assert_eq!((&list["count"], &list["active_count"]), (&json!(3), &json!(3)));
        assert_eq!(ids(&list), [&third, &second, &first].map(|tokens| tokens.session.to_string()));
        for session in list["sessions"].as_array().unwrap() {
            assert_eq!(session["is_current"], json!(session["id"] == json!(second.session)));
        }
    }
    assert_eq!(ids(&servers.sessions(&stranger.access).await), [stranger.session.to_string()]);
}

async fn a_session_is_shown_with_all_that_the_contract_names(server: Server) {
    let tokens = server.register().await;
    let list = server.sessions(&tokens.access).await;
    let row = server.session(tokens.session);
    // The call itself is noted as activity, soon.
    let last_active_at = list["sessions"][0]["last_active_at"].clone();
    let noted: Timestamp = serde_json::from_value(last_active_at.clone()).unwrap();
    assert!(row.created_at <= noted && noted <= server.clock.now());
    assert_eq!(
        list["sessions"],
        json!([{
            "id": tokens.session, "name": null,
            "device": {"type": "unknown", "os": null, "browser": null, "label": "Unknown device"},
            "ip_address": "127.0.0.1", "location": null,
            "created_at": row.created_at, "last_active_at": last_active_at, "expires_at": row.expires_at,
            "is_current": true, "is_expired": false, "revoked_at": null, "revoked_reason": null, "amr": ["pwd"],
            "impersonated_by": null, "kind": "app", "parent_id": null, "dpop": false, "token_hint": hex(&tokens.digest()[..4]),
        }])
    );
}

async fn sessions_that_have_ended_are_listed_when_asked_for(server: Server) {
    let oldest = server.register().await;
    server.advance(6 * 86_400);
    let (revoked, own) = (server.login(&oldest.email).await, server.login(&oldest.email).await);
    server.logout(&revoked.access).await.assert_status(204);
    // Past the oldest's seven days.
    server.advance(86_400 + 1);
    let own = server.refreshed(&own).await;

    assert_eq!(ids(&server.sessions(&own.access).await), [own.session.to_string()]);
    let all = server.get(&format!("{SESSIONS}?include_expired=true")).bearer(&own.access).send().await;
    let all = all.assert_status(200).json();
    assert_eq!((&all["count"], &all["active_count"]), (&json!(3), &json!(1)));
    let of = |tokens: &Tokens| {
        let sessions = all["sessions"].as_array().unwrap();
        sessions.iter().find(|session| session["id"] == json!(tokens.session)).unwrap().clone()
    };
    let shown = |tokens: &Tokens| (of(tokens)["is_expired"].clone(), of(tokens)["revoked_reason"].clone());
    assert_eq!(shown(&own), (json!(false), json!(null)));
    assert_eq!(shown(&oldest), (json!(true), json!(null)));
    assert_eq!(shown(&revoked), (json!(true), json!("logout")));
    assert!(of(&revoked)["revoked_at"].is_string() && of(&oldest)["revoked_at"].is_null());

    let live = server.get(&format!("{SESSIONS}?include_expired=false")).bearer(&own.access).send().await;
    assert_eq!(live.assert_status(200).json()["count"], 1);
    // One that has ended is still its owner's.
    server.get(&path(oldest.session)).bearer(&own.access).send().await.assert_status(200);
}

async fn the_list_takes_no_other_parameters(server: Server) {
    let tokens = server.register().await;
    for query in ["include_expired=maybe", "include_expired=", "include_expired", "limit=5", "include_expired=true&x=1"]
    {
        let answer = server.get(&format!("{SESSIONS}?{query}")).bearer(&tokens.access).send().await;
        answer.assert_problem(422, "invalid_input");
    }
}

async fn a_session_is_shown_to_its_owner_alone(server: Server) {
    let (own, stranger) = (server.register().await, server.register().await);
    let other = server.login(&own.email).await;
    let get = |id: String| server.get(&path(id)).bearer(&own.access).send();
    for tokens in [&own, &other] {
        let shown = get(tokens.session.to_string()).await.assert_status(200).json();
        assert_eq!(shown["id"], json!(tokens.session));
        assert_eq!(shown["is_current"], json!(tokens.session == own.session));
        assert_eq!(shown["token_hint"], hex(&tokens.digest()[..4]));
    }
    let foreign = get(stranger.session.to_string()).await;
    foreign.assert_problem(404, "not_found");
    for id in [Uuid::nil().to_string(), "not-a-uuid".to_owned(), "%00".to_owned(), "1'OR'1".to_owned()] {
        let unknown = get(id).await;
        unknown.assert_problem(404, "not_found");
        assert_eq!(unknown.json()["detail"], foreign.json()["detail"], "whose it is, is not told");
    }
}

async fn the_hint_and_the_activity_of_a_session_follow_its_refreshes(server: Server) {
    let first = server.register().await;
    let before = server.sessions(&first.access).await;
    server.advance(300);
    let second = server.refreshed(&first).await;
    let after = server.sessions(&second.access).await;
    assert_eq!(after["sessions"][0]["token_hint"], hex(&second.digest()[..4]));
    for time in ["last_active_at", "expires_at"] {
        assert!(after["sessions"][0][time].as_str() > before["sessions"][0][time].as_str(), "{time}");
    }
    assert_eq!(after["sessions"][0]["created_at"], before["sessions"][0]["created_at"]);
    assert_eq!(after["count"], 1);
}

async fn a_session_can_be_named_and_lose_its_name(server: Server) {
    let own = server.register().await;
    let other = server.login(&own.email).await;
    for tokens in [&own, &other] {
        let patch = |body: Value| server.patch(&path(tokens.session)).bearer(&own.access).json(&body).send();
        let named = patch(json!({"name": "  Ada's \u{1f4bb}  "})).await.assert_status(200).json();
        assert_eq!((&named["name"], &named["id"]), (&json!("Ada's \u{1f4bb}"), &json!(tokens.session)));
        for wrong in [
            json!({}),
            json!({"name": ""}),
            json!({"name": 1}),
            json!({"name": "a\u{7}"}),
            json!({"name": "n".repeat(101)}),
        ] {
            patch(wrong).await.assert_invalid("name");
        }
        patch(json!({"name": "x", "ip_address": "::1"})).await.assert_invalid("ip_address");
        let shown = server.get(&path(tokens.session)).bearer(&own.access).send().await.json();
        assert_eq!(shown["name"], "Ada's \u{1f4bb}");
        assert_eq!(patch(json!({"name": null})).await.assert_status(200).json()["name"], Value::Null);
    }
    server.refresh(&other.refresh).await.assert_status(200);
}

async fn only_its_owner_names_a_session(server: Server) {
    let (own, stranger) = (server.register().await, server.register().await);
    for id in [stranger.session.to_string(), Uuid::nil().to_string(), "not-a-uuid".to_owned()] {
        let request = server.patch(&path(id)).bearer(&own.access).json(&json!({"name": "mine"}));
        request.send().await.assert_problem(404, "not_found");
    }
    assert_eq!(server.session(stranger.session).name, None);
}

async fn another_session_can_be_ended_at_once_on_every_server(servers: Servers) {
    let own = servers.register().await;
    let (other, third) = (servers.login(&own.email).await, servers.login(&own.email).await);
    assert_live(&servers, &other).await;
    let delete = || servers.delete(&path(other.session)).bearer(&own.access).send();
    let answer = delete().await;
    answer.assert_status(204);
    assert!(answer.body.is_empty());
    assert_ended(&servers, &other, "ended_by_owner").await;
    assert_live(&servers, &own).await;
    assert_live(&servers, &third).await;

    let ended = servers.session(other.session);
    delete().await.assert_status(204);
    assert_eq!(servers.session(other.session), ended, "it has ended once");
    assert_eq!(servers.count("revocations"), 1);
}

async fn the_session_that_calls_is_not_ended_by_its_id(servers: Servers) {
    let own = servers.register().await;
    let id = own.session.to_string();
    let requests = [
        servers.delete(&path(&id)),
        servers.delete(&format!("{SESSIONS}?session_id={id}")),
        servers.post(&format!("{SESSIONS}/revoke")).json(&json!({"session_id": id})),
    ];
    for request in requests {
        request.bearer(&own.access).send().await.assert_problem(400, "current_session");
    }
    assert_live(&servers, &own).await;
}

async fn only_its_owner_ends_a_session(servers: Servers) {
    let (own, stranger) = (servers.register().await, servers.register().await);
    let requests = |id: &str| {
        [
            servers.delete(&path(id)),
            servers.delete(&format!("{SESSIONS}?session_id={id}")),
            servers.post(&format!("{SESSIONS}/revoke")).json(&json!({"session_id": id})),
        ]
    };
    for id in [stranger.session.to_string(), Uuid::nil().to_string()] {
        for request in requests(&id) {
            request.bearer(&own.access).send().await.assert_problem(404, "not_found");
        }
    }
    servers.delete(&path("not-a-uuid")).bearer(&own.access).send().await.assert_problem(404, "not_found");
    assert_live(&servers, &stranger).await;
    assert_eq!(servers.count("revocations"), 0);
}

async fn all_other_sessions_can_be_ended_at_once(servers: Servers) {
    let (own, stranger) = (servers.register().await, servers.register().await);
    let others = [servers.login(&own.email).await, servers.login(&own.email).await];
    let end = || servers.delete(SESSIONS).bearer(&own.access).send();
    assert_eq!(end().await.assert_status(200).json(), json!({"sessions_revoked": 2}));
    for other in &others {
        assert_ended(&servers, other, "ended_by_owner").await;
    }
    assert_live(&servers, &own).await;
    assert_live(&servers, &stranger).await;
    assert_eq!(end().await.assert_status(200).json(), json!({"sessions_revoked": 0}));
}

async fn one_session_can_be_ended_by_a_parameter(servers: Servers) {
    let own = servers.register().await;
    let (other, third) = (servers.login(&own.email).await, servers.login(&own.email).await);
    let end = |query: String| servers.delete(&format!("{SESSIONS}?{query}")).bearer(&own.access).send();
    for wrong in ["session_id=not-a-uuid".to_owned(), "session_id=".to_owned(), format!("sesion_id={}", other.session)]
    {
        end(wrong).await.assert_problem(422, "invalid_input");
    }
    assert_live(&servers, &other).await;
    let answer = end(format!("session_id={}", other.session)).await;
    assert_eq!(answer.assert_status(200).json(), json!({"sessions_revoked": 1}));
    assert_ended(&servers, &other, "ended_by_owner").await;
    assert_live(&servers, &third).await;
    assert_eq!(
        end(format!("session_id={}", other.session)).await.assert_status(200).json(),
        json!({"sessions_revoked": 0})
    );
}

fn revoke(server: &Server, access: &str, body: &Value) -> Request {
    server.post(&format!("{SESSIONS}/revoke")).bearer(access).json(body)
}

async fn sessions_are_revoked_by_id_or_all_but_the_caller(servers: Servers) {
    let (own, stranger) = (servers.register().await, servers.register().await);
    let others = [servers.login(&own.email).await, servers.login(&own.email).await, servers.login(&own.email).await];
    let one = revoke(&servers, &own.access, &json!({"session_id": others[0].session})).send().await;
    let one = one.assert_status(200).json();
    assert_eq!((&one["success"], &one["sessions_revoked"]), (&json!(true), &json!(1)));
    assert!(one["message"].is_string());
    assert_ended(&servers, &others[0], "ended_by_owner").await;
    assert_live(&servers, &others[1]).await;

    let all = revoke(&servers, &own.access, &json!({"all": true})).send().await;
    assert_eq!(all.assert_status(200).json()["sessions_revoked"], 2);
    for other in &others[1..] {
        assert_ended(&servers, other, "ended_by_owner").await;
    }
    assert_live(&servers, &own).await;
    assert_live(&servers, &stranger).await;
    let none = revoke(&servers, &own.access, &json!({"all": true})).send().await.assert_status(200).json();
    assert_eq!((&none["success"], &none["sessions_revoked"]), (&json!(true), &json!(0)));
}

async fn a_revocation_names_one_session_or_all(server: Server) {
    let own = server.register().await;
    let other = server.login(&own.email).await;
    for (wrong, field) in [
        (json!({}), "session_id"),
        (json!({"all": false}), "session_id"),
        (json!({"session_id": other.session, "all": true}), "session_id"),
        (json!({"session_id": "not-a-uuid"}), "session_id"),
        (json!({"session_id": 7}), "session_id"),
        (json!({"all": "yes"}), "all"),
        (json!({"everything": true}), "everything"),
    ] {
        revoke(&server, &own.access, &wrong).send().await.assert_invalid(field);
    }
    server.me(&other.access).await.assert_status(200);
    assert_eq!(server.count("revocations"), 0);
}

async fn the_summary_counts_live_sessions_and_names_the_cache(server: Server) {
    server.clock.hold();
    let own = server.register().await;
    let other = server.login(&own.email).await;
    server.register().await;
    let summary = || async {
        let request = server.get(&format!("{SESSIONS}/summary")).bearer(&own.access);
        request.send().await.assert_status(200).json()
    };
    let redis = server.backend == Backend::Scaled;
    let cache = if redis { "redis" } else { "memory" };
    assert_eq!(summary().await, json!({"active_sessions": 3, "redis_available": redis, "cache": cache}));
    server.logout(&other.access).await.assert_status(204);
    assert_eq!(summary().await["active_sessions"], 3, "counted a moment ago");
    server.advance(5);
    assert_eq!(summary().await["active_sessions"], 2);
}

async fn the_collection_has_the_same_answer_with_a_slash(server: Server) {
    let own = server.register().await;
    server.login(&own.email).await;
    let list = server.get("/api/v1/sessions/").bearer(&own.access).send().await;
    assert_eq!(list.assert_status(200).json()["count"], 2);
    let ended = server.delete("/api/v1/sessions/").bearer(&own.access).send().await;
    assert_eq!(ended.assert_status(200).json(), json!({"sessions_revoked": 1}));
}
