//! `keyturn health`, by which an image without shell and curl is checked.

use std::net::TcpListener;
use std::sync::Arc;

use crate::support::servers::{Postgres, free_port};
use crate::support::{Backend, Deployment, Process, until, variable};
use crate::{Ran, run_with_input};

both_backends! {
    a_server_that_can_serve_is_healthy,
}

embedded_only! {
    a_server_on_all_addresses_is_asked_on_this_machine,
    a_port_of_a_platform_is_asked,
    a_server_that_does_not_run_is_not_healthy,
    something_else_on_the_port_is_not_healthy,
    a_server_that_does_not_answer_is_given_up,
    an_address_that_is_wrong_is_told,
}

scaled_only! {
    a_server_without_its_database_is_alive_and_not_ready,
}

fn health(deployment: &Deployment, settings: &[(&str, &str)], arguments: &[&str]) -> Ran {
    run_with_input(deployment, settings, &[&["health"], arguments].concat(), "")
}

async fn a_server_that_can_serve_is_healthy(deployment: Arc<Deployment>) {
    let server = Process::start(&deployment, &[]);
    let bind = server.address.to_string();
    assert_eq!(health(&deployment, &[("BIND", &bind)], &[]).printed(), "ready\n");
    assert_eq!(health(&deployment, &[("BIND", &bind)], &["--live"]).printed(), "alive\n");
    // Settings that the server has read already are nothing to the check.
    assert_eq!(health(&deployment, &[("BIND", &bind), ("ACCESS_TOKEN_TTL", "0")], &[]).printed(), "ready\n");
}

async fn a_server_on_all_addresses_is_asked_on_this_machine(deployment: Arc<Deployment>) {
    for all in ["0.0.0.0", "[::]"] {
        let bind = format!("{all}:{}", free_port());
        let _server = Process::start(&deployment, &[("BIND", &bind)]);
        assert_eq!(health(&deployment, &[("BIND", &bind)], &[]).printed(), "ready\n");
    }
}

async fn a_port_of_a_platform_is_asked(deployment: Arc<Deployment>) {
    let settings = [("BIND", ""), ("PORT", &*free_port().to_string())];
    let _server = Process::start(&deployment, &settings);
    assert_eq!(health(&deployment, &settings, &[]).printed(), "ready\n");
}

async fn a_server_that_does_not_run_is_not_healthy(deployment: Arc<Deployment>) {
    let bind = format!("127.0.0.1:{}", free_port());
    let refused = health(&deployment, &[("BIND", &bind)], &[]).refused();
    assert!(refused.contains(&format!("no answer from http://{bind}/health/ready")), "{refused}");
    assert!(!deployment.data_dir().exists(), "a check has made something");
}

async fn something_else_on_the_port_is_not_healthy(deployment: Arc<Deployment>) {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = other.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || drop(other.accept().unwrap()));
    let refused = health(&deployment, &[("BIND", &bind)], &[]).refused();
    assert!(refused.contains(&bind), "{refused}");
    answering.join().unwrap();
}

async fn a_server_that_does_not_answer_is_given_up(deployment: Arc<Deployment>) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = silent.local_addr().unwrap().to_string();
    let refused = health(&deployment, &[("BIND", &bind)], &["--timeout", "1"]).refused();
    assert!(refused.contains("timed out"), "{refused}");
}

async fn an_address_that_is_wrong_is_told(deployment: Arc<Deployment>) {
    let refused = health(&deployment, &[("BIND", "everywhere")], &[]).refused();
    assert!(refused.contains("BIND: "), "{refused}");
}

async fn a_server_without_its_database_is_alive_and_not_ready(_: Backend) {
    let mut postgres = Postgres::start(&[]);
    let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
    let server = Process::start(&deployment, &[]);
    let bind = server.address.to_string();
    let settings = [("BIND", &*bind)];
    assert_eq!(health(&deployment, &settings, &[]).printed(), "ready\n");
    postgres.stop();
    let refused = until("the check to fail", async || {
        let ran = health(&deployment, &settings, &[]);
        (ran.code != Some(0)).then(|| ran.refused())
    });
    let refused = refused.await;
    assert!(refused.contains("answers 503") && refused.contains(r#""database":"unavailable""#), "{refused}");
    assert_eq!(health(&deployment, &settings, &["--live"]).printed(), "alive\n");
}
