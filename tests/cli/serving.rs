//! `keyturn serve`: what it says at its start, writes to disk and log, and how it ends.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::support::http::Request;
use crate::support::process::command;
use crate::support::servers::free_port;
use crate::support::{Backend, Deployment, PASSWORD, Process, SmtpServer, Tokens, random_hex, until};
use crate::{run, run_with_input};

both_backends! {
    a_request_under_way_is_answered_before_the_server_ends,
    a_connection_without_a_request_does_not_hold_up_the_end,
    the_log_holds_no_token_no_password_and_no_address,
    links_of_emails_are_logged_where_they_lead_to_this_computer_and_emails_to_files,
}

embedded_only! {
    a_wrong_configuration_is_told_whole,
    a_port_that_is_taken_is_told,
    a_platform_names_the_port,
    what_is_generated_is_for_its_owner_alone,
    the_lines_that_a_newcomer_is_shown_work,
    the_log_is_json_for_machines,
    the_log_is_for_people_on_a_terminal,
    as_many_files_are_open_as_the_system_allows,
}

async fn a_wrong_configuration_is_told_whole(deployment: Arc<Deployment>) {
    let settings =
        [("BIND", "everywhere"), ("ACCESS_TOKEN_TTL", "0"), ("JWT_ALGORITHM", "none"), ("JWT_SECRET", "short")];
    let refused = run_with_input(&deployment, &settings, &["serve"], "").refused();
    for (name, _) in settings {
        assert!(refused.contains(&format!("{name}: ")), "{name}: {refused}");
    }
    assert_eq!(refused.lines().count(), settings.len());
    assert_eq!(refused.matches("example: ").count(), settings.len());
    assert!(!deployment.data_dir().exists());
}

async fn a_port_that_is_taken_is_told(deployment: Arc<Deployment>) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run_with_input(&deployment, &[("BIND", &address)], &["serve"], "");
    assert_eq!((refused.code, &*refused.stdout), (Some(1), ""), "{refused:?}");
    let expected = format!("keyturn: cannot listen on {address}: Address already in use");
    assert!(refused.stderr.contains(&expected) && refused.stderr.contains("by BIND or PORT"), "{refused:?}");
    let refused = run_with_input(&deployment, &[("METRICS_BIND", &address)], &["serve"], "");
    assert!(refused.code == Some(1) && refused.stderr.contains("by METRICS_BIND"), "{refused:?}");
}

pub fn assert_private(path: &Path) {
    let metadata = std::fs::metadata(path).unwrap();
    let (mode, expected) = (metadata.permissions().mode() & 0o7777, if metadata.is_dir() { 0o700 } else { 0o600 });
    assert_eq!(mode, expected, "{} has mode {mode:o}", path.display());
}

async fn what_is_generated_is_for_its_owner_alone(_: Backend) {
    // Without a secret, and with one given.
    for settings in [&[("JWT_SECRET", "")][..], &[]] {
        let process = Process::with(Backend::Embedded, settings);
        let tokens = process.register().await;
        process.refreshed(&tokens).await;
        assert_private(&process.data_dir());
        let files: Vec<_> = std::fs::read_dir(process.data_dir()).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(files.contains(&process.sqlite_file()), "{files:?}");
        assert_eq!(files.contains(&process.data_dir().join("jwt_secret")), !settings.is_empty(), "{files:?}");
        files.iter().for_each(|file| assert_private(file));
    }
}

/// A program that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn the_lines_that_a_newcomer_is_shown_work(deployment: Arc<Deployment>) {
    let bind = format!("127.0.0.1:{}", free_port());
    let mut serve = command(&deployment, &[("BIND", &bind), ("PUBLIC_URL", ""), ("JWT_SECRET", "")]);
    let child = serve.arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut server = Killed(child);
    let mut lines = BufReader::new(server.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap().rsplit(' ').next().unwrap(), format!("http://{bind}"));
    let mut pasted = Vec::new();
    let mut first_admin = String::new();
    while pasted.len() < 3 {
        let line = lines.next().expect("three lines with curl");
        if line.contains("curl") {
            pasted.push(line);
        } else if line.contains("keyturn user create") {
            first_admin = line.trim().to_owned();
        }
    }
    let output = Command::new("bash").arg("-c").arg(pasted.join("\n")).output().unwrap();
    let (printed, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*errors), (Some(0), ""));
    let answers: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [registered, refreshed, me] = answers.as_slice() else { panic!("{printed}") };
    assert_eq!(registered["session_id"], refreshed["session_id"]);
    assert_ne!(registered["refresh_token"], refreshed["refresh_token"]);
    assert_eq!(registered["user"], me["user"]);

    let arguments: Vec<&str> = first_admin.split(' ').skip(1).collect();
    let settings = [("BIND", &*bind), ("PUBLIC_URL", ""), ("JWT_SECRET", "")];
    run_with_input(&deployment, &settings, &arguments, PASSWORD).printed();
    assert_eq!(deployment.count("users WHERE roles LIKE '%admin%'"), 1);
}

async fn the_log_is_json_for_machines(deployment: Arc<Deployment>) {
    let mut process = Process::start(&deployment, &[]);
    process.register().await;
    process.terminate();
    let status = until("the server to end", async || process.ended()).await;
    assert_eq!(status.code(), Some(0));
    let log = until("the whole log", async || Some(process.log()).filter(|log| log.contains("stopped"))).await;
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(entry["timestamp"].is_string() && entry["level"].is_string() && entry["target"].is_string(), "{line}");
    }
    assert!(log.lines().any(|line| line.contains("listening")), "{log}");
}

async fn the_log_is_for_people_on_a_terminal(deployment: Arc<Deployment>) {
    let mut on_terminal = Command::new("script");
    // A terminal that goes away does not end the server: it takes SIGHUP for an order to reload.
    let serve = concat!("exec setpriv --pdeathsig KILL ", env!("CARGO_BIN_EXE_keyturn"), " serve");
    on_terminal.args(["-qefc", serve, "/dev/null"]);
    on_terminal.env_clear().envs(deployment.settings(&[])).env("SHELL", "/bin/sh").env("PATH", "/usr/bin:/bin");
    on_terminal.current_dir(deployment.folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut script = Killed(on_terminal.spawn().unwrap());
    let mut lines = BufReader::new(script.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("listening")).expect("a line in the log");
    assert!(line.contains("INFO") && line.contains("127.0.0.1:") && !line.contains("{\""), "{line}");
}

async fn links_of_emails_are_logged_where_they_lead_to_this_computer_and_emails_to_files(deployment: Arc<Deployment>) {
    let smtp = SmtpServer::start();
    let relay = smtp.url();
    for (url, relay, is_logged) in [
        ("http://localhost:8080", "", true),
        ("http://127.0.0.1:8080/auth", "", true),
        ("http://[::1]:8080", "", true),
        ("http://keyturn.localhost", "", true),
        ("http://10.0.0.1:8080", "", false),
        ("https://localhost.example", "", false),
        ("https://127.0.0.1.example", "", false),
        ("http://localhost:8080", &*relay, false),
    ] {
        let process = Process::start(&deployment, &[("PUBLIC_URL", url), ("SMTP_URL", relay)]);
        process.register().await;
        let done = if relay.is_empty() { "an email was written to a file" } else { "an email was delivered" };
        let line = async || process.log().lines().find(|line| line.contains(done)).map(str::to_owned);
        let line: Value = serde_json::from_str(&until("the email", line).await).unwrap();
        let link = line["fields"]["link"].as_str().or(line["link"].as_str());
        assert_eq!(link.is_some(), is_logged, "{url}: {line}");
        assert_eq!(process.log().contains("kto_"), is_logged, "{url}");
        let Some(link) = link else { continue };
        assert!(link.starts_with(&format!("{url}/account/verify-email?token=kto_")), "{link}");
        let path = link.strip_prefix("http://").unwrap().find("/account").map(|at| &link["http://".len() + at..]);
        process.get(path.unwrap()).send().await.assert_status(200);
    }
}

async fn as_many_files_are_open_as_the_system_allows(deployment: Arc<Deployment>) {
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", "ulimit -Sn 64 && exec \"$0\" serve", env!("CARGO_BIN_EXE_keyturn")]);
    limited.env_clear().envs(deployment.settings(&[])).current_dir(deployment.folder.path());
    let mut server = Killed(limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut greeting = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
    assert!(greeting.contains("listens on"), "{greeting}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.0.id())).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let [soft, hard] = files.split_whitespace().take(2).collect::<Vec<_>>()[..] else { panic!("{files}") };
    assert_eq!(soft, hard);
}

/// Clock ticks that a process has been at work.
fn work(process: &Process) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1.split(' ');
    // Fields 14 and 15 of proc(5); the first here is the third there.
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

async fn a_request_under_way_is_answered_before_the_server_ends(deployment: Arc<Deployment>) {
    let email = "slow@example.com";
    run(&deployment, &["migrate"]).printed();
    run_with_input(&deployment, &[], &["user", "create", email], PASSWORD).printed();
    // The password is hashed anew at this cost, about a second, and at the usual one after that.
    for (signal, cost) in [("TERM", "m=262144,t=8,p=1"), ("INT", "m=262143,t=8,p=1")] {
        let mut process = Process::start(&deployment, &[("ARGON2", cost)]);
        let before = work(&process);
        let login = process.post("/api/v1/auth/login").json(&json!({"email": email, "password": PASSWORD}));
        let pending = login.begin().await.unwrap();
        until("the hasher to be at work", async || (work(&process) > before + 20).then_some(())).await;
        process.signal(signal);
        until("new connections to be refused", async || {
            process.get("/health/live").try_send().await.is_err().then_some(())
        })
        .await;
        let tokens = Tokens::of(&pending.answer().await.unwrap());
        let status = until("the server to end", async || process.ended()).await;
        assert_eq!(status.code(), Some(0), "{signal}");
        let next = Process::start(&deployment, &[]);
        next.me(&tokens.access).await.assert_status(200);
        next.refreshed(&tokens).await;
    }
}

async fn a_platform_names_the_port(deployment: Arc<Deployment>) {
    // A link of Kubernetes is no port, and what is bound to by name is not taken from the platform.
    let link = ("KEYTURN_PORT", "tcp://10.0.0.1:8080");
    for (name, bind, reached) in [
        ("PORT", "", &["127.0.0.1", "[::1]"][..]),
        ("KEYTURN_PORT", "", &["127.0.0.1"]),
        ("BIND", "127.0.0.1", &["127.0.0.1"]),
    ] {
        let port = free_port().to_string();
        let bind = if bind.is_empty() { String::new() } else { format!("{bind}:{port}") };
        let other = free_port().to_string();
        let mut settings = vec![("BIND", &*bind), ("PUBLIC_URL", "")];
        match name {
            "BIND" => settings.push(("PORT", &other)),
            name => settings.push((name, &port)),
        }
        if name != "KEYTURN_PORT" {
            settings.push(link);
        }
        let process = Process::start(&deployment, &settings);
        for host in reached {
            let stream = std::net::TcpStream::connect(format!("{host}:{port}"));
            assert!(stream.is_ok() || host.starts_with('['), "{name}: {host} {stream:?}");
        }
        assert!(std::net::TcpStream::connect(format!("127.0.0.1:{other}")).is_err());
        drop(process);
    }
    let refused = run_with_input(&deployment, &[("BIND", ""), ("PORT", "http")], &["serve"], "").refused();
    assert!(refused.contains("PORT: must be a whole number from 1 to 65535"), "{refused}");
}

async fn a_connection_without_a_request_does_not_hold_up_the_end(mut process: Process) {
    let request = process.get("/health/live").header("connection", "keep-alive");
    let mut pending = request.begin().await.unwrap();
    let mut piece = [0; 4096];
    assert_ne!(pending.stream.read(&mut piece).await.unwrap(), 0);
    process.terminate();
    let begun = std::time::Instant::now();
    let status = until("the server to end", async || process.ended()).await;
    assert_eq!(status.code(), Some(0));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it waited for the connection");
}

async fn the_log_holds_no_token_no_password_and_no_address(deployment: Arc<Deployment>) {
    let password = format!("{PASSWORD} {}", random_hex::<4>());
    let wrong = format!("wrong {}", random_hex::<8>());
    let settings = [("LOG", "trace"), ("REFRESH_REPLAY_WINDOW", "0"), ("LIMIT_REFRESH_SESSION", "off")];
    let mut process = Process::start(&deployment, &settings);
    let mut busy = vec![process.register().await];
    let email = busy[0].email.clone();
    for _ in 0..3 {
        busy.push(process.login(&email).await);
    }
    process.try_login(&email, &wrong).await.assert_status(401);
    process.try_login("stranger@example.com", &wrong).await.assert_status(401);
    let second = process.refreshed(&busy[0]).await;
    let third = process.refreshed(&second).await;
    process.refresh(&busy[0].refresh).await.assert_problem(503, "refresh_token_replaced");
    let again = until("the doubt to count", async || {
        Some(process.refresh(&busy[0].refresh).await).filter(|answer| answer.status != 503)
    });
    again.await.assert_status(401);
    process.refresh(&format!("{}x", third.refresh)).await.assert_status(401);
    process.get("/api/v1/auth/me").bearer(&third.access).send().await.assert_status(401);
    process.get("/api/v1/auth/me").bearer(&format!("{}x", third.access)).send().await.assert_status(401);
    busy.extend([second, third]);
    let cookies = process
        .post("/api/v1/auth/login")
        .json(&json!({"email": email, "password": PASSWORD, "transport": "cookie"}))
        .send()
        .await;
    let mut jar: Vec<String> =
        cookies.all_headers("set-cookie").iter().map(|line| line.split(';').next().unwrap().to_owned()).collect();
    jar.dedup();
    assert_eq!(jar.len(), 2, "{cookies:?}");
    let with_cookies =
        |request: Request| request.header("cookie", &jar.join("; ")).header("origin", "https://keyturn.example");
    with_cookies(process.get("/api/v1/auth/me")).send().await.assert_status(200);
    let by_cookie = with_cookies(process.post("/api/v1/sessions/refresh")).send().await;
    by_cookie.assert_status(200);
    let change = json!({"current_password": PASSWORD, "new_password": password});
    process.post("/api/v1/auth/password/change").bearer(&busy[1].access).json(&change).send().await.assert_status(200);
    process.sessions(&busy[1].access).await;
    process
        .post("/api/v1/auth/login")
        .body("{\"password\": \"")
        .header("content-type", "application/json")
        .send()
        .await;
    process.logout(&busy[1].access).await.assert_status(204);
    assert_eq!(run(&deployment, &["user", "list"]).printed().lines().count(), 1);

    process.terminate();
    until("the server to end", async || process.ended()).await;
    let log = until("the whole log", async || Some(process.log()).filter(|log| log.contains("\"stopped\""))).await;
    assert!(log.contains("\"TRACE\"") && log.contains("/api/v1/sessions/refresh"));
    let mut secrets = vec![
        ("secret", deployment.secret.clone()),
        ("password", PASSWORD.to_owned()),
        ("password", password),
        ("password", wrong),
        ("address", email),
        ("address", "stranger@example.com".to_owned()),
    ];
    for tokens in &busy {
        secrets.push(("refresh token", tokens.refresh[40..].to_owned()));
        secrets.push(("access token", tokens.access.rsplit_once('.').unwrap().1.to_owned()));
    }
    let set = by_cookie.all_headers("set-cookie").into_iter().map(|line| line.split(';').next().unwrap().to_owned());
    for pair in jar.iter().cloned().chain(set) {
        secrets.push(("cookie", pair[pair.len() - 30..].to_owned()));
    }
    for (kind, secret) in secrets {
        let line = log.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "a {kind} is in the log");
    }
}
