//! What is stored about an account, as its owner takes it along.

use serde_json::{Value, json};

use crate::admin::user;
use crate::audit::administrator;
use crate::mfa::person;
use crate::support::{Endpoint, PASSWORD, Server};
use crate::trusted_devices::trust;

both_backends! {
    an_owner_takes_everything_along_but_secrets,
    a_file_has_the_rows_of_every_table_but_those_that_are_named,
    a_long_history_is_whole,
    only_the_owner_takes_it_after_a_recent_login,
}

const EXPORT: &str = "/api/v1/auth/me/export";

async fn export(server: &Endpoint, access: &str) -> Value {
    let answer = server.get(EXPORT).bearer(access).send().await;
    let disposition = answer.assert_status(200).header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment; filename=\"account-"), "{disposition}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

async fn an_owner_takes_everything_along_but_secrets(server: Server) {
    let own = person(&server, &server.clock).await;
    let stranger = server.register().await;
    trust(&server, &own).await;
    let exported = export(&server, &own.tokens.access).await;
    assert_eq!(exported["account"]["email"], json!(own.tokens.email));
    assert_eq!(exported["account"]["id"], json!(own.tokens.user));
    assert_eq!((&exported["alerts"], &exported["mfa_enabled"]), (&json!(true), &json!(true)));
    assert_eq!(exported["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(exported["trusted_devices"].as_array().unwrap().len(), 1);
    let events: Vec<&Value> =
        exported["audit_events"].as_array().unwrap().iter().map(|entry| &entry["event_type"]).collect();
    assert_eq!(events[0], "account.exported", "{events:?}");
    assert!(events.contains(&&json!("mfa.enabled")) && events.contains(&&json!("trusted_device.added")), "{events:?}");
    let text = exported.to_string();
    for secret in ["$argon2", "ktr_", "ktd_", "kto_", PASSWORD, &stranger.email, &stranger.user.to_string()] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

/// Tables without a row that belongs to a person, and those whose rows are left out of the file.
const OF_NOBODY: [&str; 10] = [
    "setup_codes",
    "clients",
    "client_secrets",
    "dpop_proofs",
    "hourly_counts",
    "leases",
    "secrets",
    "signing_keys",
    "write_probes",
    "__diesel_schema_migrations",
];
const LEFT_OUT: [&str; 8] = [
    "opaque_tokens",
    "mfa_challenges",
    "totp_secrets",
    "recovery_codes",
    "login_failures",
    "email_counts",
    "outbox",
    "revocations",
];

async fn a_file_has_the_rows_of_every_table_but_those_that_are_named(server: Server) {
    let own = person(&server, &server.clock).await;
    trust(&server, &own).await;
    let stranger = server.register().await;
    let body = json!({"new_email": "next@example.com"});
    let access = &own.tokens.access;
    server.post("/api/v1/auth/email/change").bearer(access).json(&body).send().await.assert_status(202);
    let exported = export(&server, access).await;
    let literal = server.literal(own.tokens.user.0);
    let listed = |name: &str| i64::try_from(exported[name].as_array().unwrap().len()).unwrap();
    let documentation = include_str!("../../docs/security.md");
    for table in server.tables() {
        let name = table.rsplit('.').next().unwrap();
        match name {
            "users" => {
                let rows = server.rows("users");
                let row = rows.iter().find(|row| row["email"] == json!(own.tokens.email)).unwrap();
                for column in ["email", "name", "language"] {
                    assert_eq!(exported["account"][column], row[column], "{column}");
                }
            }
            "sessions" => assert_eq!(listed("sessions"), server.count(&format!("sessions WHERE user_id = {literal}"))),
            "trusted_devices" => assert_eq!(listed("trusted_devices"), server.count("trusted_devices")),
            "audit_log" => {
                let about = server.count(&format!("audit_log WHERE user_id = {literal}"));
                assert_eq!(listed("audit_events"), about);
            }
            "email_changes" => assert_eq!(exported["pending_email"], server.rows("email_changes")[0]["email"]),
            // Whoever adds a table has to say what becomes of its rows.
            other => {
                let is_left_out = LEFT_OUT.contains(&other);
                assert!(is_left_out || OF_NOBODY.contains(&other) || other.starts_with("sqlite_"), "{other}");
                assert!(!is_left_out || documentation.contains(&format!("| `{other}` | ")), "{other}");
            }
        }
    }
    assert!(!exported.to_string().contains(&stranger.email));
}

async fn a_long_history_is_whole(server: Server) {
    let own = server.register().await;
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)";
    let id = match server.backend {
        crate::support::Backend::Embedded => "randomblob(16)",
        crate::support::Backend::Scaled => "gen_random_uuid()",
    };
    server.sql(&format!(
        "{numbers} INSERT INTO audit_log (id, at, event, outcome, user_id, metadata) \
         SELECT {id}, at, event, outcome, user_id, metadata FROM audit_log, n"
    ));
    let exported = export(&server, &own.access).await;
    assert_eq!(exported["audit_events"].as_array().unwrap().len(), 1_202);
}

async fn only_the_owner_takes_it_after_a_recent_login(server: Server) {
    let (admin, own) = (administrator(&server).await, server.register().await);
    let target = format!("{}/impersonate", user(own.user));
    let acting = server.post(&target).bearer(&admin.access).json(&json!({"reason": "why not"})).send().await.json();
    let access = acting["access_token"].as_str().unwrap();
    server.get(EXPORT).bearer(access).send().await.assert_problem(403, "impersonated");
    server.advance(601);
    server.get(EXPORT).bearer(&own.access).send().await.assert_problem(401, "insufficient_user_authentication");
    assert_eq!(server.count("audit_log WHERE event = 'account.exported'"), 0);
}
