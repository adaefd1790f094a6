//! `keyturn client …`

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Deployment, Process, until};
use crate::{Ran, run};

both_backends! {
    a_client_registered_on_the_command_line_is_taken_by_the_server,
    a_secret_is_rotated_and_a_client_deleted_while_the_server_runs,
    what_cannot_be_registered_is_refused_with_the_reason,
}

fn json_of(deployment: &Deployment, arguments: &[&str]) -> Value {
    let ran: Ran = run(deployment, &[arguments, &["--json"]].concat());
    let text = ran.printed();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn status(process: &Process, client: &Value) -> u16 {
    let text = |name: &str| client[name].as_str().unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret"))));
    let asked = process.post("/oauth/introspect").header("authorization", &basic);
    asked.header("content-type", "application/x-www-form-urlencoded").body("token=x").send().await.status
}

async fn a_client_registered_on_the_command_line_is_taken_by_the_server(process: Process) {
    let created = json_of(
        &process,
        &["client", "create", "--name", "gateway", "--scope", "introspect", "orders:read", "--audience", "a", "b"],
    );
    assert_eq!(status(&process, &created).await, 200);
    let id = created["client_id"].as_str().unwrap();
    let shown = json_of(&process, &["client", "show", id]);
    assert_eq!((&shown["scopes"], &shown["audiences"]), (&json!(["introspect", "orders:read"]), &json!(["a", "b"])));
    assert!(shown.get("client_secret").is_none());
    let listed = json_of(&process, &["client", "list"]);
    assert_eq!(listed["clients"].as_array().unwrap().len(), 1);

    let text = run(&process, &["client", "create", "--name", "x", "--scope", "a", "--scope", "b"]).printed();
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert!(line("client_secret:").starts_with("ktc_"), "{text}");
    let text = run(&process, &["client", "show", &line("client_id:")]).printed();
    assert!(text.lines().any(|line| line == "scopes:           a b"), "{text}");
    let lines = run(&process, &["client", "list"]).printed();
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().next().unwrap().starts_with(&format!("{id}\tenabled\t")), "{lines}");
    assert_eq!(process.audited("event = 'client.created' AND user_id IS NULL").len(), 2);
}

async fn a_secret_is_rotated_and_a_client_deleted_while_the_server_runs(process: Process) {
    let first = json_of(&process, &["client", "create", "--name", "gateway", "--scope", "introspect"]);
    let id = first["client_id"].as_str().unwrap();
    let second = json_of(&process, &["client", "rotate-secret", id]);
    assert_eq!((status(&process, &first).await, status(&process, &second).await), (200, 200));
    let third = json_of(&process, &["client", "rotate-secret", id]);
    until("the end of the first secret", async || (status(&process, &first).await == 401).then_some(())).await;
    assert_eq!((status(&process, &second).await, status(&process, &third).await), (200, 200));
    let last = json_of(&process, &["client", "rotate-secret", id, "--at-once"]);
    for former in [&second, &third] {
        until("the end of the others", async || (status(&process, former).await == 401).then_some(())).await;
    }
    assert_eq!(status(&process, &last).await, 200);
    assert_eq!(json_of(&process, &["client", "delete", id]), json!({"client_id": id}));
    until("the end of the client", async || (status(&process, &last).await == 401).then_some(())).await;
    let unknown = run(&process, &["client", "show", id]).refused();
    assert!(unknown.contains(id), "{unknown}");
    for arguments in [["client", "delete", id], ["client", "rotate-secret", id]] {
        assert!(run(&process, &arguments).refused().contains("does not exist"));
    }
}

async fn what_cannot_be_registered_is_refused_with_the_reason(process: Process) {
    for (arguments, reason) in [
        (&["--name", " "][..], "the name must not be empty"),
        (&["--name", "x", "--scope", "two words"], "the list of scopes has a scope"),
        (&["--name", "x", "--audience", "é"], "the list of audiences has an audience"),
        (&["--name", "x", "--access-token-ttl", "901"], "from 1 to 900 seconds"),
    ] {
        let said = run(&process, &[&["client", "create"], arguments].concat()).refused();
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(process.count("clients"), 0);
}
