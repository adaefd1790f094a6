//! Signals: from the first instruction on, at the end of requests, and to reload.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use diesel::connection::SimpleConnection as _;
use keyturn::db::Conn;
use serde_json::{Value, json};

use crate::run;
use crate::support::process::command;
use crate::support::{Backend, Deployment, PASSWORD, Process, Tokens, geoip, until};

both_backends! {
    a_server_that_waits_for_a_migration_ends_at_once,
    the_first_process_of_a_container_ends_at_once,
}

embedded_only! {
    a_command_that_is_the_first_process_of_a_container_can_be_interrupted,
    a_second_signal_ends_a_server_that_waits_for_requests,
    what_can_be_is_reloaded,
    a_reload_after_the_first_start_asks_for_no_other,
    a_configuration_that_is_wrong_leaves_everything_as_it_is,
}

/// Holds the lock that migrations take.
fn hold_migrations(deployment: &Deployment) -> Conn {
    std::fs::create_dir_all(deployment.data_dir()).unwrap();
    let mut holder = deployment.conn();
    let hold = match deployment.backend {
        Backend::Embedded => "BEGIN IMMEDIATE".to_owned(),
        Backend::Scaled => format!("SELECT pg_advisory_lock({})", 0x006b_6579_7475_726e_u64),
    };
    holder.batch_execute(&hold).unwrap();
    holder
}

/// How many sessions of Postgres wait for the lock of this database. That of a process that has ended goes on until it
/// gets the lock.
fn waiting(deployment: &Deployment) -> i64 {
    match deployment.backend {
        Backend::Scaled => deployment.count(
            "pg_locks JOIN pg_database ON pg_database.oid = database \
             WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted",
        ),
        Backend::Embedded => 0,
    }
}

/// Waits until a process asks for the lock, for which others `waited` before.
async fn until_it_waits(deployment: &Deployment, waited: i64, process: u32) {
    until("the server to wait for the lock", async || {
        let waits = match deployment.backend {
            Backend::Scaled => waiting(deployment) > waited,
            Backend::Embedded => {
                let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
                let opened = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
                opened.into_iter().any(|path| path == deployment.sqlite_file())
            }
        };
        waits.then_some(())
    })
    .await;
}

fn send(name: &str, process: u32) {
    assert!(Command::new("kill").arg("-s").arg(name).arg(process.to_string()).status().unwrap().success());
}

async fn until_it_ends(child: &mut Child) -> Option<i32> {
    until("the process to end", async || child.try_wait().unwrap()).await.code()
}

async fn a_server_that_waits_for_a_migration_ends_at_once(deployment: Arc<Deployment>) {
    let holder = hold_migrations(&deployment);
    for signal in ["TERM", "INT", "QUIT"] {
        let waited = waiting(&deployment);
        let mut serve = command(&deployment, &[]);
        let mut child = serve.arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until_it_waits(&deployment, waited, child.id()).await;
        // It reads its configuration by itself.
        send("HUP", child.id());
        send(signal, child.id());
        assert_eq!(until_it_ends(&mut child).await, Some(0), "{signal}");
    }
    drop(holder);
    Process::start(&deployment, &[]).register().await;
}

/// The same program as the first process of a namespace, and that one's id.
async fn in_container(mut program: Command) -> (Child, u32) {
    let mut container = Command::new("unshare");
    container.args(["--user", "--map-root-user", "--fork", "--pid", "--kill-child"]).arg(program.get_program());
    container.args(program.get_args()).env_clear();
    container.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    container.current_dir(program.get_current_dir().unwrap());
    program.stdin(Stdio::null());
    let child = container.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn();
    let child = child.unwrap();
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let first = until("the first process", async || {
        let id = std::fs::read_to_string(&children).ok()?.trim().parse::<u32>().ok()?;
        let program = std::fs::read_link(format!("/proc/{id}/exe")).ok()?;
        program.ends_with("keyturn").then_some(id)
    });
    let first = first.await;
    (child, first)
}

async fn the_first_process_of_a_container_ends_at_once(deployment: Arc<Deployment>) {
    let holder = hold_migrations(&deployment);
    for signal in ["TERM", "INT"] {
        let waited = waiting(&deployment);
        let mut serve = command(&deployment, &[]);
        serve.arg("serve");
        let (mut child, first) = in_container(serve).await;
        until_it_waits(&deployment, waited, first).await;
        send(signal, first);
        assert_eq!(until_it_ends(&mut child).await, Some(0), "{signal}");
    }
    drop(holder);
}

async fn a_command_that_is_the_first_process_of_a_container_can_be_interrupted(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let mut create = command(&deployment, &[]);
        create.args(["user", "create", "person@example.com"]);
        let (mut child, first) = in_container(create).await;
        // Then it waits for a password, which does not come.
        until("it to handle signals", async || {
            let status = std::fs::read_to_string(format!("/proc/{first}/status")).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
            (u64::from_str_radix(&caught, 16).unwrap() & (1 << 14 | 1 << 1 | 1) == 1 << 14 | 1 << 1 | 1).then_some(())
        })
        .await;
        send(signal, first);
        assert_eq!(until_it_ends(&mut child).await, Some(code), "{signal}");
    }
}

async fn a_second_signal_ends_a_server_that_waits_for_requests(deployment: Arc<Deployment>) {
    let mut process = Process::start(&deployment, &[("ARGON2", "m=262144,t=8,p=1")]);
    let body = json!({"email": "slow@example.com", "password": PASSWORD});
    let pending = process.post("/api/v1/auth/register").json(&body).begin().await.unwrap();
    process.signal("INT");
    until("new connections to be refused", async || {
        process.get("/health/live").try_send().await.is_err().then_some(())
    })
    .await;
    process.signal("INT");
    let status = until("the server to end", async || process.ended()).await;
    assert_eq!(status.code(), Some(0));
    drop(pending);
}

/// The entries of a log at these levels.
fn entries(process: &Process, levels: &[&str]) -> Vec<Value> {
    let log = process.log();
    let entries = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| levels.iter().any(|level| entry["level"] == *level)).collect()
}

/// A server with a file of settings, templates and a database of places, and somebody who logged in from afar.
struct Reloading {
    process: Process,
    tokens: Tokens,
}

const FROM_AFAR: (&str, &str) = ("x-forwarded-for", "81.2.69.142");

impl Reloading {
    async fn start(deployment: &Arc<Deployment>) -> Self {
        let folder = deployment.folder.path();
        std::fs::create_dir(folder.join("templates")).unwrap();
        Self::set_places(deployment, "Bhutan");
        Self::set_template(deployment, "First: {{ link }}");
        Self::set_file(deployment, "keyturn", "warn,keyturn=info");
        let file = folder.join("keyturn.toml").display().to_string();
        let places = folder.join("places.mmdb").display().to_string();
        let templates = folder.join("templates").display().to_string();
        let process = Process::start(
            deployment,
            &[
                ("KEYTURN_CONFIG", &file),
                ("GEOIP_DATABASE", &places),
                ("MAIL_TEMPLATES", &templates),
                ("TRUSTED_PROXIES", "127.0.0.1"),
            ],
        );
        let body = json!({"email": "person@example.com", "password": PASSWORD});
        let registered = process.post("/api/v1/auth/register").json(&body).header(FROM_AFAR.0, FROM_AFAR.1);
        let tokens = Tokens::of(&registered.send().await);
        Self { process, tokens }
    }

    fn set_file(deployment: &Deployment, audience: &str, log: &str) {
        let text = format!("audience = \"{audience}\"\nlog = \"{log}\"\n");
        std::fs::write(deployment.folder.path().join("keyturn.toml"), text).unwrap();
    }

    fn set_places(deployment: &Deployment, country: &str) {
        let place = json!({"country": {"iso_code": "BT", "names": {"en": country}}});
        let database = geoip::database("Example-Country", &place);
        std::fs::write(deployment.folder.path().join("places.mmdb"), database).unwrap();
    }

    fn set_template(deployment: &Deployment, text: &str) {
        let template = format!("Subject: A new password\n\n{text}\n");
        std::fs::write(deployment.folder.path().join("templates/reset_password.txt"), template).unwrap();
    }

    /// Asks for a reload, and waits until the log tells of one more.
    async fn reload(&self) -> Value {
        let told = |entry: &Value| {
            entry["message"].as_str().is_some_and(|text| text.contains("reloaded")) && entry["level"] != "TRACE"
        };
        let all = || entries(&self.process, &["INFO", "WARN", "ERROR"]).into_iter().filter(told).collect::<Vec<_>>();
        let before = all().len();
        self.process.signal("HUP");
        until("the reload to be told of", async || all().get(before).cloned()).await
    }

    async fn country(&self) -> String {
        let sessions = self.process.sessions(&self.tokens.access).await;
        let text = serde_json::to_string(&sessions).unwrap();
        ["Bhutan", "Atlantis"].iter().find(|name| text.contains(**name)).copied().unwrap_or_default().to_owned()
    }

    /// Returns the emails for new passwords so far, after one more.
    async fn emails(&self) -> Vec<String> {
        let folder = self.process.data_dir().join("outbox");
        let all = || {
            let files = std::fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().path());
            let emails = files.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
            let texts = emails.map(|path| std::fs::read_to_string(path).unwrap());
            texts.filter(|text| text.contains("Subject: A new password")).collect::<Vec<_>>()
        };
        let before = all().len();
        let body = json!({"email": "person@example.com"});
        self.process.post("/api/v1/auth/password/forgot").json(&body).send().await.assert_status(202);
        until("an email", async || Some(all()).filter(|emails| emails.len() > before)).await
    }
}

/// A secret that the start has generated is no change.
async fn a_reload_after_the_first_start_asks_for_no_other(_: Backend) {
    let process = Process::with(Backend::Embedded, &[("JWT_SECRET", "")]);
    process.signal("HUP");
    let reloaded = |entry: &Value| entry["message"].as_str().is_some_and(|text| text.contains("was reloaded"));
    let told = until("the reload", async || entries(&process, &["INFO", "WARN"]).into_iter().find(reloaded)).await;
    assert_eq!((&told["level"], &told["needs_restart"]), (&json!("INFO"), &Value::Null), "{told}");
}

async fn what_can_be_is_reloaded(deployment: Arc<Deployment>) {
    let running = Reloading::start(&deployment).await;
    assert_eq!(running.country().await, "Bhutan");
    assert!(running.emails().await.iter().any(|email| email.contains("First: ")));
    assert_eq!(entries(&running.process, &["DEBUG"]).len(), 0);

    Reloading::set_places(&deployment, "Atlantis");
    Reloading::set_template(&deployment, "Second: {{ link }}");
    Reloading::set_file(&deployment, "keyturn", "warn,keyturn=debug");
    let told = running.reload().await;
    assert_eq!(told["reloaded"], "GEOIP_DATABASE, MAIL_TEMPLATES, PAGE_TEMPLATES, LOG", "{told}");
    assert_eq!((&told["level"], &told["needs_restart"]), (&json!("INFO"), &Value::Null), "{told}");
    assert_eq!(running.country().await, "Atlantis");
    assert!(running.emails().await.iter().any(|email| email.contains("Second: ")));
    until("what is logged at the level debug", async || {
        (!entries(&running.process, &["DEBUG"]).is_empty()).then_some(())
    })
    .await;

    Reloading::set_file(&deployment, "other", "warn,keyturn=info");
    let told = running.reload().await;
    assert_eq!((&told["level"], &told["needs_restart"]), (&json!("WARN"), &json!("AUDIENCE")), "{told}");
    running.process.me(&running.tokens.access).await.assert_status(200);
}

async fn a_configuration_that_is_wrong_leaves_everything_as_it_is(deployment: Arc<Deployment>) {
    let running = Reloading::start(&deployment).await;
    let folder = deployment.folder.path();
    let whole = std::fs::read(folder.join("places.mmdb")).unwrap();
    for (wrong, named) in [("places", "GEOIP_DATABASE"), ("template", "reset_password.txt"), ("file", "keyturn.toml")] {
        // All that is right is new, so that it would be seen.
        Reloading::set_places(&deployment, "Atlantis");
        Reloading::set_template(&deployment, "Second: {{ link }}");
        match wrong {
            "places" => std::fs::write(folder.join("places.mmdb"), &whole[..whole.len() / 2]).unwrap(),
            "template" => Reloading::set_template(&deployment, "{{ link"),
            _ => std::fs::write(folder.join("keyturn.toml"), "log = ").unwrap(),
        }
        let told = running.reload().await;
        assert_eq!((&told["level"], &told["message"]), (&json!("ERROR"), &json!("nothing was reloaded")), "{told}");
        assert!(told["error"].as_str().unwrap().contains(named), "{told}");
        assert_eq!(running.country().await, "Bhutan");
        assert!(running.emails().await.iter().all(|email| !email.contains("Second: ")));
        Reloading::set_file(&deployment, "keyturn", "warn,keyturn=info");
    }
}
