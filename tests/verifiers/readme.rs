//! The code of the verifiers' READMEs, beside a server.

use std::error::Error;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::live::{administrator, client, start};
use crate::support::clients::own_address;
use crate::support::http::Request;
use crate::support::servers::free_port;
use crate::support::{Backend, Deployment, Process, Tokens, until};
use crate::{ROOT, node_command, node_folder, verifying_python_command};

both_backends! {
    the_code_for_node_serves_whom_it_should,
    the_code_for_python_serves_whom_it_should,
    the_code_for_rust_finds_an_editor,
}

/// The only block of a README in a language.
fn block(path: &str, language: &str) -> String {
    let page = std::fs::read_to_string(format!("{ROOT}/{path}")).unwrap();
    let fence = format!("```{language}\n");
    let mut blocks = page.split(&fence).skip(1);
    let block = blocks.next().unwrap_or_else(|| panic!("{path} has no block in {language}"));
    assert!(blocks.next().is_none(), "{path}");
    block.split("```").next().unwrap().to_owned()
}

/// A server with an administrator and a person, and what an app beside it finds in its environment.
struct World {
    server: Process,
    admin: Tokens,
    person: Tokens,
    environment: [(&'static str, String); 4],
}

impl World {
    async fn new(backend: Backend) -> Self {
        let (address, url) = own_address();
        let server = start(&Deployment::new(backend), &address);
        let (id, secret) = client(&server).await;
        let environment =
            [("ISSUER", url), ("AUDIENCE", "keyturn".to_owned()), ("CLIENT_ID", id), ("CLIENT_SECRET", secret)];
        Self { admin: administrator(&server).await, person: server.register().await, server, environment }
    }

    /// Asserts that the app at this port knows people, administrators, and who has logged out.
    async fn assert_served(&self, port: u16) {
        let app = |method: &str, token: Option<&str>| {
            let request = Request::new(([127, 0, 0, 1], port).into(), method, "/orders");
            token.map_or(request.clone(), |token| request.bearer(token)).send()
        };
        let orders = app("GET", Some(&self.person.access)).await;
        assert_eq!(orders.assert_status(200).json(), json!({"of": self.person.user.to_string()}));
        for token in [None, Some("x"), Some(&*self.person.refresh)] {
            let refused = app("GET", token).await;
            assert!(refused.assert_status(401).header("www-authenticate").unwrap().starts_with("Bearer"), "{token:?}");
        }
        app("DELETE", Some(&self.person.access)).await.assert_status(403);
        app("DELETE", Some(&self.admin.access)).await.assert_status(204);
        self.server.logout(&self.person.access).await.assert_status(204);
        until("the refusal of a session that has ended", async || {
            (app("GET", Some(&self.person.access)).await.status == 401).then_some(())
        })
        .await;
        app("GET", Some(&self.admin.access)).await.assert_status(200);
    }
}

/// A program that ends with the test.
struct App(Child);

impl App {
    async fn start(mut command: Command, world: &World, port: u16) -> Self {
        command.envs(world.environment.iter().map(|(name, value)| (name, value))).env("PORT", port.to_string());
        let app = Self(command.stdin(Stdio::null()).spawn().unwrap());
        until("the app", async || TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(())).await;
        app
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn the_code_for_node_serves_whom_it_should(backend: Backend) {
    let world = World::new(backend).await;
    let folder = node_folder();
    std::fs::write(folder.path().join("app.mjs"), block("sdk/node/README.md", "js")).unwrap();
    let port = free_port();
    let _app = App::start(node_command(&folder, &["app.mjs"]), &world, port).await;
    world.assert_served(port).await;
}

async fn the_code_for_python_serves_whom_it_should(backend: Backend) {
    let world = World::new(backend).await;
    let folder = crate::support::Folder::new();
    std::fs::write(folder.path().join("app.py"), block("sdk/python/README.md", "python")).unwrap();
    let port = free_port();
    let server = format!("{ROOT}/tests/verifiers/serve.py");
    let mut command = verifying_python_command("sdk/python", &[&server]);
    command.current_dir(folder.path());
    let _app = App::start(command, &world, port).await;
    world.assert_served(port).await;
}

/// The code of the README, with what a test has in the place of samples.
async fn code_for_rust(url: &str, audience: &str, id: &str, secret: &str, text: &str) -> Result<(), Box<dyn Error>> {
    use keyturn_verify::client::{LiveVerifier, Settings};
    use keyturn_verify::{Demand, Moment};

    let settings = Settings::new(url, audience, id, secret);
    let verifier = LiveVerifier::start(settings)?;
    verifier.ready().await;
    let token = verifier.verify(text, Moment::now())?;
    Demand::default().role("editor").check(&token, Moment::now())?;
    println!("{}", token.claims.sub);
    Ok(())
}

async fn the_code_for_rust_finds_an_editor(backend: Backend) {
    let shown = block("crates/keyturn-verify/README.md", "rust,no_run");
    let samples = [
        ("\"https://auth.example\"", "url"),
        ("\"https://api.example\"", "audience"),
        ("\"CLIENT_ID\"", "id"),
        ("\"CLIENT_SECRET\"", "secret"),
        ("\"eyJ…\"", "text"),
    ];
    let shown = samples.into_iter().fold(shown, |shown, (sample, meant)| shown.replace(sample, meant));
    let lines = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let shown = lines(&shown.lines().filter(|line| !line.starts_with("# ")).collect::<Vec<_>>().join("\n"));
    assert!(lines(include_str!("readme.rs")).contains(&shown), "the README has\n{shown}");

    let world = World::new(backend).await;
    let [(_, url), (_, audience), (_, id), (_, secret)] = &world.environment;
    let plain = code_for_rust(url, audience, id, secret, &world.person.access).await;
    assert_eq!(plain.unwrap_err().to_string(), keyturn_verify::Refusal::MissingRole.to_string());
    let change = world.server.patch(&format!("/api/v1/admin/users/{}", world.person.user)).bearer(&world.admin.access);
    change.json(&json!({"roles": ["user", "editor"]})).send().await.assert_status(200);
    let editor = world.server.refreshed(&world.person).await;
    code_for_rust(url, audience, id, secret, &editor.access).await.unwrap();
}
