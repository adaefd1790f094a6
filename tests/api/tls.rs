//! TLS to Postgres and Redis: verified against the operator's own authority, refused with a reason otherwise.
//!
//! What the system trusts is where its distribution keeps it, or where `SSL_CERT_FILE` and `SSL_CERT_DIR` say.

use std::process::Output;
use std::sync::Arc;

use url::Url;

use crate::support::authority::Authority;
use crate::support::process::{Process, command};
use crate::support::servers::{Postgres, Redis, free_port};
use crate::support::{Backend, Deployment, Endpoint, until, variable};

scaled_only! {
    postgres_is_reached_over_tls_and_verified_in_full,
    a_postgres_of_another_authority_or_name_or_without_tls_is_refused_with_the_reason,
    authorities_of_the_system_are_taken_for_postgres,
    redis_is_reached_over_tls_and_verified_in_full,
    a_redis_of_another_authority_or_name_is_refused_and_the_reason_logged,
    authorities_of_the_system_are_taken_for_redis,
}

/// A Postgres that speaks TLS as a server with these names, and a deployment on it.
struct SecurePostgres {
    authority: Authority,
    deployment: Arc<Deployment>,
    _server: Postgres,
}

impl SecurePostgres {
    fn start(names: &str) -> Self {
        let authority = Authority::new();
        let [certificate, key] = authority.issue(names);
        let settings = ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
        let server = Postgres::start(&settings.each_ref().map(String::as_str));
        let deployment = Deployment::on(&server.url(), &variable("KEYTURN_TEST_REDIS_URL"));
        Self { authority, deployment, _server: server }
    }

    /// `DATABASE_URL` with these parameters.
    fn url(&self, parameters: &str) -> String {
        format!("{}?{parameters}", self.deployment.database_url())
    }
}

/// Whether each connection of servers to `deployment`'s database is encrypted.
fn encrypted(deployment: &Deployment) -> Vec<String> {
    deployment.texts(
        "SELECT ssl::text AS text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
         WHERE datname = current_database() AND application_name = 'keyturn'",
    )
}

fn serve(deployment: &Deployment, settings: &[(&str, &str)]) -> Output {
    command(deployment, settings).arg("serve").output().unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, reason: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(output.stdout.is_empty());
    assert!(error.contains("keyturn: the database cannot be used: ") && error.contains(reason), "{error}");
}

async fn postgres_is_reached_over_tls_and_verified_in_full(_: Backend) {
    let postgres = SecurePostgres::start("DNS:localhost, IP:127.0.0.1");
    let url = postgres.url(&format!("sslmode=verify-full&sslrootcert={}", postgres.authority.certificate()));
    let process = Process::start(&postgres.deployment, &[("DATABASE_URL", &url)]);
    let tokens = process.register().await;
    process.me(&process.refreshed(&tokens).await.access).await.assert_status(200);
    let encrypted = encrypted(&postgres.deployment);
    assert!(encrypted.len() >= 2 && encrypted.iter().all(|state| state == "true"), "{encrypted:?}");
}

async fn a_postgres_of_another_authority_or_name_or_without_tls_is_refused_with_the_reason(_: Backend) {
    let postgres = SecurePostgres::start("DNS:other.example");
    let stranger = Authority::new();
    let verify = |mode: &str, authority: &Authority| {
        postgres.url(&format!("sslmode={mode}&sslrootcert={}", authority.certificate()))
    };
    let refused = |url: &str| serve(&postgres.deployment, &[("DATABASE_URL", url)]);
    assert_refused(&refused(&verify("verify-ca", &stranger)), "invalid peer certificate: UnknownIssuer");
    let wrong_name = refused(&verify("verify-full", &postgres.authority));
    assert_refused(&wrong_name, "other.example");
    assert_refused(&wrong_name, "not valid for name \"127.0.0.1\"");
    // The same authority without a look at the name is good, so it was the name.
    let process = Process::start(&postgres.deployment, &[("DATABASE_URL", &verify("verify-ca", &postgres.authority))]);
    process.register().await;

    let deployment = Deployment::new(Backend::Scaled);
    let url = format!("{}?sslmode=verify-full&sslrootcert={}", deployment.database_url(), stranger.certificate());
    assert_refused(&serve(&deployment, &[("DATABASE_URL", &url)]), "does not support TLS");
}

async fn authorities_of_the_system_are_taken_for_postgres(_: Backend) {
    let postgres = SecurePostgres::start("IP:127.0.0.1");
    let system = postgres.url("sslmode=verify-full&sslrootcert=system");
    let settings = [("DATABASE_URL", &*system)];
    assert_refused(&serve(&postgres.deployment, &settings), "invalid peer certificate: UnknownIssuer");
    let mut told = command(&postgres.deployment, &settings);
    told.env("SSL_CERT_FILE", postgres.authority.certificate());
    let migrated = told.arg("migrate").output().unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));

    // Without any, it is looked for in the home of whoever runs the server, and the reason says what else there is.
    let mut nowhere = command(&postgres.deployment, &[("DATABASE_URL", &postgres.url("sslmode=verify-full"))]);
    let nowhere = nowhere.env("HOME", postgres.deployment.folder.path()).arg("serve").output().unwrap();
    assert_refused(&nowhere, "root.crt\" does not exist");
    assert_refused(&nowhere, "sslrootcert=system");
}

/// A Redis that speaks TLS as a server with these names, and a deployment on it.
struct SecureRedis {
    _server: Redis,
    authority: Authority,
    deployment: Arc<Deployment>,
    /// `REDIS_URL` over TLS.
    url: String,
}

impl SecureRedis {
    fn start(names: &str) -> Self {
        let authority = Authority::new();
        let [certificate, key] = authority.issue(names);
        let (port, authorities) = (free_port(), authority.certificate());
        let server = Redis::start_with(&[
            "--databases",
            "4096",
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &authorities,
            "--tls-auth-clients",
            "no",
        ]);
        let deployment = Deployment::on(&variable("KEYTURN_TEST_POSTGRES_URL"), &server.url());
        let mut url = Url::parse(&deployment.redis_url()).unwrap();
        url.set_scheme("rediss").unwrap();
        url.set_port(Some(port)).unwrap();
        Self { _server: server, authority, deployment, url: url.into() }
    }
}

async fn cache(server: &Endpoint) -> String {
    let ready = server.get("/health/ready").send().await.assert_status(200).json();
    ready["cache"].as_str().unwrap().to_owned()
}

async fn redis_is_reached_over_tls_and_verified_in_full(_: Backend) {
    let redis = SecureRedis::start("IP:127.0.0.1");
    let settings =
        [("REDIS_URL", &*redis.url), ("REDIS_CA_FILE", &redis.authority.certificate()), ("REDIS_TIMEOUT", "5000")];
    let process = Process::start(&redis.deployment, &settings);
    until("the cache", async || (cache(&process).await == "redis").then_some(())).await;
    let tokens = process.register().await;
    // A thread's first connection may take longer than the server waits for the cache.
    until("the cache to answer", async || {
        process.verify(&tokens.access).await.assert_status(200);
        (process.metric("keyturn_checks_total{source=\"cache\"}").await > 0).then_some(())
    })
    .await;
    assert_eq!(process.redis_keys("*:entry").len(), 1);
    assert!(!process.log().contains("Redis is unavailable"), "{}", process.log());
}

async fn a_redis_of_another_authority_or_name_is_refused_and_the_reason_logged(_: Backend) {
    let (named_otherwise, stranger) = (SecureRedis::start("DNS:other.example"), Authority::new());
    for (authority, reason) in [(&stranger, "UnknownIssuer"), (&named_otherwise.authority, "other.example")] {
        let settings = [
            ("REDIS_URL", &*named_otherwise.url),
            ("REDIS_CA_FILE", &authority.certificate()),
            ("REDIS_TIMEOUT", "5000"),
        ];
        let process = Process::start(&named_otherwise.deployment, &settings);
        until("the refusal", async || (cache(&process).await == "unavailable").then_some(())).await;
        until(reason, async || {
            let log = process.log();
            let line = log.lines().find(|line| line.contains("Redis is unavailable"))?;
            assert!(line.contains("certificate") && line.contains(reason), "{line}");
            Some(())
        })
        .await;
        let tokens = process.register().await;
        process.me(&process.refreshed(&tokens).await.access).await.assert_status(200);
    }
    assert_eq!(named_otherwise.deployment.redis_keys("*"), Vec::<String>::new());
}

async fn authorities_of_the_system_are_taken_for_redis(_: Backend) {
    let redis = SecureRedis::start("IP:127.0.0.1");
    let doctor = |authorities: Option<String>| {
        let mut doctor = command(&redis.deployment, &[("REDIS_URL", &*redis.url)]);
        doctor.envs(authorities.map(|path| ("SSL_CERT_FILE", path)));
        let output = doctor.arg("doctor").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = doctor(None);
    assert!(refused.contains("WRONG  cache: Redis cannot be read: invalid peer certificate"), "{refused}");
    let taken = doctor(Some(redis.authority.certificate()));
    assert!(taken.contains("ok     cache: Redis answers"), "{taken}");
}
