//! Ready means able to write: a database that answers and cannot be written is told.

use diesel::Connection as _;
use diesel::connection::SimpleConnection as _;
use keyturn::clock::Clock;
use keyturn::db::PgConnection;

use crate::support::servers::Postgres;
use crate::support::{Backend, Deployment, Endpoint, Process, Server, until, variable};

both_backends! {
    a_server_that_can_write_is_ready,
}

embedded_only! {
    a_full_disk_under_sqlite_is_told,
}

scaled_only! {
    a_read_only_postgres_is_told,
    rights_taken_away_are_told,
}

async fn a_server_that_can_write_is_ready(server: Server) {
    for _ in 0..3 {
        let ready = server.get("/health/ready").send().await.assert_status(200).json();
        assert_eq!((&ready["status"], &ready["writable"]), (&"ready".into(), &true.into()), "{ready}");
    }
    assert!(server.count("write_probes") >= 1);
}

/// Waits until readiness tells whether the database, which answers, can be written.
async fn until_writable_is(server: &Endpoint, writable: bool) {
    until(&format!("the database to be writable: {writable}"), async || {
        let answer = server.get("/health/ready").send().await;
        let ready = answer.json();
        assert_eq!(answer.status == 200, ready["writable"] == true, "{ready}");
        assert_eq!(ready["status"] == "unavailable", ready["writable"] == false, "{ready}");
        assert_ne!(ready["database"], "unavailable", "{ready}");
        (ready["writable"] == writable).then_some(())
    })
    .await;
}

async fn a_full_disk_under_sqlite_is_told(backend: Backend) {
    let deployment = Deployment::new(backend);
    let server = Process::with_limited_files(&deployment, &[]);
    let tokens = server.register().await;
    until_writable_is(&server, true).await;
    server.limit_files(Some(1));
    until_writable_is(&server, false).await;
    server.verify(&tokens.access).await.assert_status(200);
    server.refresh(&tokens.refresh).await.assert_problem(503, "database_unavailable");
    server.limit_files(None);
    until_writable_is(&server, true).await;
    server.refreshed(&tokens).await;
}

async fn a_read_only_postgres_is_told(_: Backend) {
    let postgres = Postgres::start(&[]);
    let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
    let server = Server::start(&deployment, &[], Clock::default()).await;
    let tokens = server.register().await;
    until_writable_is(&server, true).await;
    let mut operator = PgConnection::establish(&postgres.url()).unwrap();
    operator.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").unwrap();
    operator.batch_execute("SELECT pg_reload_conf()").unwrap();
    // New connections are refused then; the one that is there goes on.
    until("readiness to fail", async || (server.get("/health/ready").send().await.status == 503).then_some(())).await;
    server.refresh(&tokens.refresh).await.assert_problem(503, "database_unavailable");
    operator.batch_execute("SET default_transaction_read_only = off").unwrap();
    operator.batch_execute("ALTER SYSTEM RESET default_transaction_read_only").unwrap();
    operator.batch_execute("SELECT pg_reload_conf()").unwrap();
    until("readiness to come back", async || (server.get("/health/ready").send().await.status == 200).then_some(()))
        .await;
    let (answer, _) = server.refreshing(&tokens.refresh).persist().await;
    answer.assert_status(200);
}

async fn rights_taken_away_are_told(_: Backend) {
    let postgres = Postgres::start(&[]);
    let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
    let database = deployment.texts("SELECT current_database()::text AS text").remove(0);
    deployment.sql(&format!("CREATE ROLE app LOGIN; ALTER DATABASE {database} OWNER TO app"));
    let url = deployment.database_url().replace("//keyturn@", "//app@");
    let server = Server::start(&deployment, &[("DATABASE_URL", url.as_str())], Clock::default()).await;
    server.register().await;
    until_writable_is(&server, true).await;
    deployment.sql("REVOKE INSERT, UPDATE ON ALL TABLES IN SCHEMA keyturn FROM app");
    until_writable_is(&server, false).await;
    deployment.sql("GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA keyturn TO app");
    until_writable_is(&server, true).await;
    server.register().await;
}
