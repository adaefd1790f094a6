//! `/openapi.json` as the tools of others read it: validators, and generators whose clients are compiled and used.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::clients::{node, node_folder, own_address, python, python_command};
use crate::support::{Backend, PASSWORD, Server, variable};

/// The document as it is committed, which names no server.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");

both_backends! {
    validators_have_nothing_to_say,
    generated_clients_log_in_refresh_list_revoke_and_page,
}

async fn validators_have_nothing_to_say(backend: Backend) {
    // The linter takes an address of this computer, or of an example, for a slip.
    let server = Server::with(backend, &[("PUBLIC_URL", "https://login.keyturn.test/auth")]).await;
    let document = server.get("/openapi.json").send().await.assert_status(200).json();
    assert_eq!(document["servers"], json!([{"url": "https://login.keyturn.test/auth"}]));
    let folder = node_folder();
    std::fs::write(folder.path().join("openapi.json"), document.to_string()).unwrap();

    let mut validator = python_command();
    validator.args(["-m", "openapi_spec_validator", "--errors=all", "openapi.json"]);
    assert_eq!(said(validator.current_dir(folder.path())), "openapi.json: OK\n");

    let mut linter = Command::new(variable("KEYTURN_TEST_NODE"));
    linter.args(["node_modules/@redocly/cli/bin/cli.js", "lint", "--format=json", "openapi.json"]);
    // It asks for its newest version otherwise, and sends what it is used for.
    linter.env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true").env("REDOCLY_TELEMETRY", "off");
    let report: Value = serde_json::from_str(&said(linter.current_dir(folder.path()))).unwrap();
    assert_eq!(report["problems"], json!([]), "{report:#}");
}

/// What a command prints that succeeds.
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

async fn generated_clients_log_in_refresh_list_revoke_and_page(backend: Backend) {
    let (address, url) = own_address();
    let settings: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::with(backend, &settings).await;
    for program in ["generated_client.mjs", "generated_client.py"] {
        let email = server.register().await.email;
        let given = json!({"url": url, "email": email, "password": PASSWORD, "document": COMMITTED});
        let run = if program.ends_with(".py") { python(program, given).await } else { node(program, given).await };
        assert_eq!(run["current"], true, "{program}: {run}");
        assert_eq!((&run["revoked"], &run["refused"]), (&json!(204), &json!("session_revoked")), "{program}");
        // The first login is from a device that is new to the account.
        let events = ["session.revoked", "login.succeeded", "login.unusual", "login.succeeded", "account.registered"];
        assert_eq!((&run["events"], &run["pages"]), (&json!(events), &json!(2)), "{program}");
    }
}
