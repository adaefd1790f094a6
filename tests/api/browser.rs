//! Pages in Chromium: calls from other origins, cookies across the hosts of a site, and preflights through proxies.

use serde_json::json;

use crate::support::clients::node;
use crate::support::front::{Behind, Front, Program};
use crate::support::servers::free_port;
use crate::support::{Backend, PASSWORD, Process, variable};

both_backends! {
    pages_call_across_origins_and_through_nginx,
    pages_call_across_origins_and_through_caddy,
}

async fn pages_call_across_origins_and_through_nginx(backend: Backend) {
    pages_call(backend, Program::Nginx).await;
}

async fn pages_call_across_origins_and_through_caddy(backend: Backend) {
    pages_call(backend, Program::Caddy).await;
}

async fn pages_call(backend: Backend, program: Program) {
    let (port, app_port) = (free_port(), free_port());
    let page = format!("https://app.kt.localhost:{port}");
    let process = Process::with(
        backend,
        &[
            ("PUBLIC_URL", &format!("https://api.kt.localhost:{port}")),
            ("COOKIE_DOMAIN", "kt.localhost"),
            ("ALLOWED_ORIGINS", &page),
            ("VERIFY_PREFLIGHT", "allowed_origins"),
        ],
    );
    let behind = Behind { keyturn: process.address, app: ([127, 0, 0, 1], app_port).into() };
    let _front = Front::start(program, port, &behind);
    let email = "ada@example.com";
    let person = process.register_as(email).await;
    let given = json!({
        "chromium": variable("KEYTURN_TEST_CHROMIUM"),
        "port": port,
        "app_port": app_port,
        "email": email,
        "password": PASSWORD,
    });
    let seen = node("pages.mjs", given).await;
    for answer in seen["answers"].as_array().unwrap() {
        assert_eq!(answer["user"], json!(person.user), "{seen}");
        let mut names: Vec<&str> =
            answer["names"].as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
        names.sort_unstable();
        // Nobody acts for her, and her address is not verified.
        assert_eq!(names, ["x-auth-roles", "x-auth-session", "x-auth-user"], "{seen}");
    }
    let [preflight, request] =
        [("OPTIONS", false), ("PUT", true)].map(|(method, named)| format!("{method} {page} {named}"));
    // The third preflight passes, and its request does not.
    assert_eq!(seen["reached"], json!([preflight, request, preflight, request, preflight]), "{seen}");
}
