//! A PgBouncer between the servers and Postgres, as old as Debian's, which knows no prepared statements in its
//! transaction mode.

use std::process::Stdio;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::Text;
use keyturn::clock::Clock;
use keyturn::config::Database;
use keyturn::db::{PgConnection, Pooling};
use serde_json::json;
use zeroize::Zeroizing;

use crate::support::pooler::PgBouncer;
use crate::support::process::command;
use crate::support::{Deployment, PASSWORD, Server, http, variable};

scaled_only! {
    a_pooler_is_found_out_by_what_it_does,
    servers_work_behind_a_pooler_in_either_mode,
    programs_that_start_at_once_behind_a_pooler_take_turns,
    nothing_that_keyturn_sets_reaches_other_clients_of_the_pooler,
}

/// As few connections as a pooler is made for: fewer than one server opens.
const SIZE: usize = 4;

fn pooler(mode: &str, size: usize) -> PgBouncer {
    PgBouncer::start(&variable("KEYTURN_TEST_POSTGRES_URL"), mode, size)
}

fn run(deployment: &Deployment, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(deployment, &[("DATABASE_URL", url)]).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap())
}

async fn a_pooler_is_found_out_by_what_it_does(deployment: Arc<Deployment>) {
    let (sharing, keeping) = (pooler("transaction", SIZE), pooler("session", SIZE));
    let direct = deployment.database_url();
    for _ in 0..10 {
        for (url, expected) in [
            (direct.clone(), Pooling::None),
            (sharing.url(&direct), Pooling::Transactions),
            (keeping.url(&direct), Pooling::None),
        ] {
            let database = Database::Postgres { url: Zeroizing::new(url), schema: "keyturn".to_owned() };
            assert_eq!(Pooling::of(&database).unwrap(), expected, "{database}");
        }
    }
}

async fn servers_work_behind_a_pooler_in_either_mode(deployment: Arc<Deployment>) {
    for (mode, size, told) in [("transaction", SIZE, "shares connections between transactions"), ("session", 60, "")] {
        let pooler = pooler(mode, size);
        let url = pooler.url(&deployment.database_url());
        let server =
            Server::start(&deployment, &[("DATABASE_URL", &url), ("LIMIT_LOGIN_ACCOUNT", "off")], Clock::default())
                .await;
        let other = server.another().await;
        let mut people = Vec::new();
        for _ in 0..8 {
            people.push(server.register().await);
        }
        // Refreshes together, which are one statement, and one by one, on both servers.
        for _ in 0..4 {
            let requests = people.iter().map(|tokens| {
                let body = json!({"refresh_token": tokens.refresh});
                server.post("/api/v1/sessions/refresh").json(&body)
            });
            let answers = http::at_once(requests).await;
            people = answers.iter().map(|answer| crate::support::Tokens::of(answer)).collect();
        }
        for tokens in &people {
            let again = other.refreshed(tokens).await;
            server.me(&again.access).await.assert_status(200);
            other.logout(&again.access).await.assert_status(204);
            server.verify(&again.access).await.assert_problem(401, "invalid_token");
        }
        let logins = (0..20_usize).map(|index| {
            let body = json!({"email": people[index % people.len()].email, "password": PASSWORD});
            server.post("/api/v1/auth/login").json(&body)
        });
        for answer in http::at_once(logins).await {
            answer.assert_status(200);
        }
        let ready = server.get("/health/ready").send().await.assert_status(200).json();
        assert_eq!(ready["status"], "ready", "{ready}");

        let (code, doctor) = run(&deployment, &url, &["doctor"]);
        assert_eq!(code, Some(0), "{doctor}");
        assert_eq!(doctor.contains("shares connections between transactions"), !told.is_empty(), "{doctor}");
        let (code, listed) = run(&deployment, &url, &["user", "list"]);
        assert!(code == Some(0) && listed.contains(&people[0].email), "{listed}");
    }
}

async fn programs_that_start_at_once_behind_a_pooler_take_turns(deployment: Arc<Deployment>) {
    for mode in ["transaction", "session"] {
        deployment.sql("DROP SCHEMA IF EXISTS keyturn CASCADE");
        let pooler = pooler(mode, 40);
        let url = pooler.url(&deployment.database_url());
        let start = || {
            let mut command = command(&deployment, &[("DATABASE_URL", &url)]);
            command.arg("migrate").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let programs: Vec<_> = (0..6).map(|_| start()).collect();
        for program in programs {
            let output = program.wait_with_output().unwrap();
            assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
        }
        assert_eq!(deployment.count("signing_keys"), 1, "{mode}");
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

async fn nothing_that_keyturn_sets_reaches_other_clients_of_the_pooler(deployment: Arc<Deployment>) {
    let pooler = pooler("transaction", SIZE);
    let url = pooler.url(&deployment.database_url());
    let server =
        Server::start(&deployment, &[("DATABASE_URL", &url), ("LIMIT_LOGIN_ACCOUNT", "off")], Clock::default()).await;
    let tokens = server.register().await;
    let tokens = server.refreshed(&tokens).await;
    let logins =
        (0..20).map(|_| server.post("/api/v1/auth/login").json(&json!({"email": tokens.email, "password": PASSWORD})));
    for answer in http::at_once(logins).await {
        answer.assert_status(200);
    }
    drop(server);
    let (code, told) = run(&deployment, &url, &["session", "cleanup"]);
    assert_eq!(code, Some(0), "{told}");

    // A transaction on each of the pooler's connections at once.
    let mut clients: Vec<PgConnection> = (0..SIZE).map(|_| PgConnection::establish(&url).unwrap()).collect();
    for client in &mut clients {
        client.set_prepared_statement_cache_size(diesel::connection::CacheSize::Disabled);
        diesel::sql_query("BEGIN").execute(client).unwrap();
        let found = "SELECT concat_ws(' ', current_setting('search_path'), current_setting('lock_timeout'), \
                     current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout'), \
                     current_setting('plan_cache_mode'), current_setting('enable_seqscan'), current_setting('jit'), \
                     (SELECT count(*) FROM pg_prepared_statements), \
                     (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())) AS text";
        let found: Row = diesel::sql_query(found).get_result(client).unwrap();
        assert_eq!(found.text, "\"$user\", public 0 0 0 auto on on 0 0");
    }
}
