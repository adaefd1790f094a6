//! What those who run a server are told and can set: findings of the doctor, the greeting, connections, metrics.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;

use crate::support::authority::Authority;
use crate::support::process::command;
use crate::support::servers::{Redis, free_port};
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Process, SmtpServer, until};
use crate::{Ran, run, run_with_input};

both_backends! {
    the_doctor_writes_a_row_and_leaves_none,
    the_doctor_warns_of_what_may_be_meant,
    the_doctor_finds_what_stops_the_start,
    the_doctor_knows_a_port_that_another_program_has,
    the_doctor_knows_a_folder_that_cannot_be_written_to,
    the_doctor_warns_of_a_mail_server_without_smtputf8,
    a_greeting_fits_the_state,
    a_proxy_that_is_not_trusted_is_told_of_once,
    metrics_have_an_address_of_their_own,
    a_session_that_is_not_there_cannot_be_revoked,
}

embedded_only! {
    the_doctor_knows_files_of_the_database_that_cannot_be_used,
    a_greeting_names_the_file_of_settings,
}

scaled_only! {
    the_doctor_tells_what_redis_says,
    a_pool_has_the_size_that_is_set,
}

async fn the_doctor_writes_a_row_and_leaves_none(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let healthy = run(&deployment, &["doctor"]).printed();
    assert!(healthy.contains("ok     writing: a test row was written and deleted\n"), "{healthy}");
    assert_eq!(deployment.count("write_probes"), 0);

    let output = match deployment.backend {
        Backend::Scaled => {
            let read_only = "target_session_attrs=any&options=-c%20default_transaction_read_only%3Don";
            let url = format!("{}?{read_only}", deployment.database_url());
            command(&deployment, &[("DATABASE_URL", &url)]).arg("doctor").output().unwrap()
        }
        Backend::Embedded => {
            // As on a full disk.
            let mut limited = Command::new("/usr/bin/env");
            let program = env!("CARGO_BIN_EXE_keyturn");
            limited.args(["--ignore-signal=XFSZ", "prlimit", "--fsize=65536", program, "doctor"]).env_clear();
            limited.env("PATH", "/usr/bin:/bin").envs(deployment.settings(&[])).current_dir(deployment.folder.path());
            limited.output().unwrap()
        }
    };
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("WRONG  writing: ") && told.contains("check the disk of the database"), "{told}");
    assert!(told.contains("ok     schema: "), "{told}");
}

async fn the_doctor_warns_of_what_may_be_meant(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    std::fs::create_dir_all(deployment.data_dir()).unwrap();
    std::fs::set_permissions(deployment.data_dir(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let warned = run(&deployment, &["doctor"]).printed();
    for (about, advice) in [("mail", "set SMTP_URL"), ("proxy", "TRUSTED_PROXIES"), ("files", "chmod go-rwx")] {
        let lines: Vec<&str> =
            warned.lines().skip_while(|line| !line.starts_with(&format!("WARN   {about}: "))).collect();
        assert!(lines.len() > 1 && lines[..2].join(" ").contains(advice), "{about}: {warned}");
    }
    assert!(warned.contains(&deployment.data_dir().display().to_string()), "{warned}");

    std::fs::set_permissions(deployment.data_dir(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let settings = [("PUBLIC_URL", "http://auth.internal:8080")];
    let settled = run_with_input(&deployment, &settings, &["doctor"], "").printed();
    assert!(!settled.contains("WARN"), "{settled}");
    let trusting = run_with_input(&deployment, &[("TRUSTED_PROXIES", "10.0.0.0/8")], &["doctor"], "").printed();
    assert!(trusting.contains("ok     proxy: X-Forwarded-For is trusted from 1 "), "{trusting}");
}

async fn the_doctor_finds_what_stops_the_start(deployment: Arc<Deployment>) {
    let nothing = deployment.folder.path().join("empty.pem").display().to_string();
    std::fs::write(&nothing, "nothing").unwrap();
    let templates = deployment.folder.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    std::fs::write(templates.join("welcome.txt"), "Subject: x\n\ny").unwrap();
    let templates = templates.display().to_string();
    for (settings, told, is_setting) in [
        (&[("MAIL_TEMPLATES", &*templates)][..], "welcome.txt is not one of the templates", true),
        (&[("SMTP_URL", "smtps://127.0.0.1:9"), ("SMTP_CA_FILE", &nothing)], "SMTP_CA_FILE contains no", true),
        (&[("BIND", "127.0.0.1:8080"), ("METRICS_BIND", "0.0.0.0:8080")], "METRICS_BIND: must have", true),
        (&[("BIND", "192.0.2.1:8080")], "cannot listen on 192.0.2.1:8080", false),
        (&[("METRICS_BIND", "192.0.2.1:8080")], "cannot listen on 192.0.2.1:8080", false),
    ] {
        let asked = |arguments: &[&str]| run_with_input(&deployment, settings, arguments, "");
        let (start, doctor) = (asked(&["serve"]), asked(&["doctor"]));
        assert!(start.code == Some(1) && start.stderr.contains(told), "{start:?}");
        assert!(doctor.code == Some(1) && doctor.stdout.contains("WRONG  "), "{doctor:?}");
        assert!(doctor.stdout.contains(told), "{doctor:?}");
        let checked = asked(&["config", "check"]);
        assert_eq!(checked.code == Some(1) && checked.stderr.contains(told), is_setting, "{checked:?}");
    }
}

/// Answers every connection like another program does, until the test ends.
fn another_program(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[track_caller]
fn assert_wrong(ran: &Ran, subject: &str, parts: &[&str]) {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let lines = ran.stdout.lines().skip_while(|line| !line.starts_with(&format!("WRONG  {subject}: ")));
    let told: Vec<&str> = lines.take(2).collect();
    let told = told.join(" ");
    assert!(!told.is_empty() && parts.iter().all(|part| told.contains(part)), "{parts:?}: {ran:?}");
}

async fn the_doctor_knows_a_port_that_another_program_has(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    for answer in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>It works!</h1>",
        "HTTP/1.1 200 OK\r\n\r\n{\"status\":\"UP\"}",
        "HTTP/1.1 404 Not Found\r\n\r\n{\"status\":\"alive\"}",
    ] {
        let address = another_program(answer);
        for setting in ["BIND", "METRICS_BIND"] {
            let ran = run_with_input(&deployment, &[(setting, &address)], &["doctor"], "");
            assert_wrong(&ran, "listening", &[&address, "another program", "BIND, PORT or METRICS_BIND"]);
        }
    }
    // Servers of keyturn are no obstacle, at either address.
    let metrics = format!("127.0.0.1:{}", free_port());
    let process = Process::start(&deployment, &[("METRICS_BIND", &metrics)]);
    let own = process.address.to_string();
    let beside = run_with_input(&deployment, &[("BIND", &own), ("METRICS_BIND", &metrics)], &["doctor"], "");
    assert!(beside.stdout.contains(&format!("ok     listening: a keyturn server listens on {own}\n")), "{beside:?}");
}

async fn the_doctor_knows_a_folder_that_cannot_be_written_to(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let file = deployment.folder.path().join("file");
    std::fs::write(&file, "no folder").unwrap();
    // Not even root creates anything in there.
    for folder in [&*file.display().to_string(), &*file.join("data").display().to_string(), "/proc/keyturn/data"] {
        let settings = [("DATA_DIR", folder)];
        let ran = run_with_input(&deployment, &settings, &["doctor"], "");
        assert_wrong(&ran, "configuration", &["DATA_DIR: ", folder, "chown", "set DATA_DIR"]);
        // What cannot be looked for may be there.
        let is_hidden = folder.starts_with(&*file.display().to_string());
        assert!(!(is_hidden && ran.stdout.contains("there is none in")), "{ran:?}");
        let checked = run_with_input(&deployment, &settings, &["config", "check"], "").refused();
        assert!(checked.contains(&format!("DATA_DIR: {folder} cannot be ")), "{checked}");
    }
    // Nobody needs a folder in which nothing is kept.
    if deployment.backend == Backend::Scaled {
        let settings = [("DATA_DIR", "/proc/keyturn"), ("SMTP_URL", "smtp://127.0.0.1:9")];
        run_with_input(&deployment, &settings, &["config", "check"], "").printed();
    }
    // A check leaves nothing behind, and creates no folder.
    let absent = deployment.folder.path().join("absent");
    let before = std::fs::read_dir(deployment.folder.path()).unwrap().count();
    let settings = [("DATA_DIR", absent.to_str().unwrap())];
    run_with_input(&deployment, &settings, &["config", "check"], "").printed();
    run_with_input(&deployment, &settings, &["doctor"], "");
    assert_eq!(std::fs::read_dir(deployment.folder.path()).unwrap().count(), before);
}

async fn the_doctor_knows_files_of_the_database_that_cannot_be_used(deployment: Arc<Deployment>) {
    let authority = Authority::new();
    let own = |name: &str| deployment.folder.path().join(name).display().to_string();
    let (root, [certificate, key]) = (authority.certificate(), authority.issue_to("keyturn"));
    let (nothing, missing, passwords) = (own("nothing.pem"), own("missing.pem"), own("passwords"));
    for (path, text) in [(&nothing, "nothing"), (&passwords, "*:*:*:*:secret")] {
        std::fs::write(path, text).unwrap();
    }
    let set_mode = |path: &str, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    set_mode(&key, 0o600);
    set_mode(&passwords, 0o644);
    let url = |rest: &str| format!("postgres://keyturn@127.0.0.1:9/keyturn?connect_timeout=1&{rest}");
    let verified = format!("sslmode=verify-full&sslrootcert={root}");
    for (rest, wrong) in [
        (format!("sslmode=verify-full&sslrootcert={missing}"), Some(&missing)),
        (format!("sslmode=verify-full&sslrootcert={nothing}"), Some(&nothing)),
        (format!("{verified}&sslcert={missing}&sslkey={key}"), Some(&missing)),
        (format!("{verified}&sslcert={certificate}&sslkey={missing}"), Some(&missing)),
        (format!("{verified}&sslcert={certificate}&sslkey={nothing}"), Some(&nothing)),
        (format!("{verified}&sslcrl={missing}"), Some(&missing)),
        (format!("passfile={missing}"), Some(&missing)),
        (format!("passfile={passwords}"), Some(&passwords)),
        (format!("{verified}&sslcert={certificate}&sslkey={key}"), None),
        (format!("sslmode=disable&sslrootcert={missing}"), None),
    ] {
        let settings = [("DATABASE_URL", &*url(&rest))];
        let ran = run_with_input(&deployment, &settings, &["doctor"], "");
        let checked = run_with_input(&deployment, &settings, &["config", "check"], "");
        match wrong {
            Some(path) => {
                assert_wrong(&ran, "configuration", &["DATABASE_URL: ", path, "the parameter of DATABASE_URL"]);
                assert!(checked.refused().contains(path.as_str()), "{rest}");
            }
            None => {
                assert!(ran.stdout.contains("ok     configuration: "), "{rest}: {ran:?}");
                checked.printed();
            }
        }
    }
}

async fn a_greeting_names_the_file_of_settings(deployment: Arc<Deployment>) {
    let file = deployment.folder.path().join("keyturn.toml");
    std::fs::write(&file, "registration = \"closed\"\n").unwrap();
    let mut child = command(&deployment, &[]);
    let mut child =
        child.args(["serve", "--config"]).arg(&file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("user create"));
    child.kill().unwrap();
    child.wait().unwrap();
    let expected = format!("keyturn --config {} user create you@example.com --admin", file.display());
    assert!(line.as_ref().is_some_and(|line| line.ends_with(&expected)), "{line:?}");
}

async fn the_doctor_warns_of_a_mail_server_without_smtputf8(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    for (arguments, warns) in [(&[][..], false), (&["--ascii"], true)] {
        let smtp = SmtpServer::start_with(arguments);
        let settings = [("SMTP_URL", smtp.url())];
        let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
        let told = run_with_input(&deployment, &settings, &["doctor"], "").printed();
        assert_eq!(told.contains("WARN   mail: the mail server does not support SMTPUTF8"), warns, "{told}");
    }
}

async fn the_doctor_tells_what_redis_says(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let guarded = Redis::start_with(&["--requirepass", "sesame"]);
    let replica = Redis::start_with(&["--replicaof", "127.0.0.1 9"]);
    for (url, said) in [
        (format!("redis://127.0.0.1:{}", free_port()), "refused"),
        (format!("redis://:open@127.0.0.1:{}", guarded.port()), "authentication failed"),
        (guarded.url(), "NOAUTH"),
        (replica.url(), "READONLY"),
        (format!("unix://{}/nothing.sock", deployment.folder.path().display()), "No such file"),
    ] {
        let ran = run_with_input(&deployment, &[("REDIS_URL", &url)], &["doctor"], "");
        let line =
            ran.stdout.lines().find(|line| line.starts_with("WRONG  cache: Redis cannot be ")).unwrap_or_default();
        assert!(ran.code == Some(1) && line.to_lowercase().contains(&said.to_lowercase()), "{said}: {ran:?}");
    }
}

/// Returns what a server prints until it is asked to end.
async fn greeting(deployment: &Arc<Deployment>, settings: &[(&str, &str)]) -> String {
    let mut child =
        command(deployment, settings).arg("serve").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    printed.read_line(&mut first).unwrap();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let rest = std::io::read_to_string(printed).unwrap();
    child.wait().unwrap();
    first + &rest
}

async fn a_greeting_fits_the_state(deployment: Arc<Deployment>) {
    let local = [("PUBLIC_URL", "http://127.0.0.1:8080")];
    let named = match deployment.backend {
        Backend::Embedded => deployment.sqlite_file().display().to_string(),
        Backend::Scaled => ", schema keyturn".to_owned(),
    };
    let new = greeting(&deployment, &local).await;
    assert!(new.contains("keyturn user create you@example.com --admin") && new.contains("curl"), "{new}");
    assert!(new.contains(&named), "{new}");
    // What is public gets no lines that register a stranger.
    let public = greeting(&deployment, &[]).await;
    assert!(public.contains("keyturn user create") && !public.contains("curl"), "{public}");
    let closed = greeting(&deployment, &[local[0], ("REGISTRATION", "closed")]).await;
    assert!(closed.contains("keyturn user create") && !closed.contains("curl"), "{closed}");

    run_with_input(&deployment, &[], &["user", "create", "admin@example.com", "--admin"], PASSWORD).printed();
    let later = greeting(&deployment, &local).await;
    assert_eq!(later.lines().count(), 2, "{later}");
    assert!(later.contains(" listens on http://127.0.0.1:") && later.contains(&named), "{later}");
}

async fn a_proxy_that_is_not_trusted_is_told_of_once(deployment: Arc<Deployment>) {
    let warnings = |process: &Process| process.log().matches("a request has X-Forwarded-For").count();
    let ask = async |process: &Process| {
        let request = process.get("/api/v1/auth/me").header("x-forwarded-for", "81.2.69.142");
        request.send().await.assert_status(401);
    };
    for (trusted, expected) in [("", 1), ("10.0.0.0/8", 1), ("127.0.0.1", 0)] {
        let mut process = Process::start(&deployment, &[("TRUSTED_PROXIES", trusted)]);
        process.get("/api/v1/auth/me").send().await.assert_status(401);
        for number in 0..3 {
            ask(&process).await;
            let body = json!({"email": format!("nobody-{number}@example.com"), "password": PASSWORD});
            let login = process.post("/api/v1/auth/login").json(&body).header("x-forwarded-for", "81.2.69.142");
            login.send().await.assert_status(401);
        }
        process.terminate();
        until("the server to end", async || process.ended()).await;
        until("the whole log", async || process.log().contains("\"stopped\"").then_some(())).await;
        assert_eq!(warnings(&process), expected, "{trusted}: {}", process.log());
        assert_eq!(process.log().contains("\"peer\":\"127.0.0.1\""), expected > 0);
    }
}

async fn metrics_have_an_address_of_their_own(deployment: Arc<Deployment>) {
    let metrics = format!("127.0.0.1:{}", free_port());
    let process = Process::start(&deployment, &[("METRICS_BIND", &metrics)]);
    process.register().await;
    process.get("/metrics").send().await.assert_problem(404, "not_found");
    let own = Endpoint { address: metrics.parse().unwrap(), deployment: Arc::clone(&deployment) };
    let text = own.get("/metrics").send().await.assert_status(200).text();
    assert!(text.contains("keyturn_http_requests_total"), "{text}");
    for path in ["/health/live", "/health/ready"] {
        own.get(path).send().await.assert_status(200);
        process.get(path).send().await.assert_status(200);
    }
    for path in ["/api/v1/auth/me", "/.well-known/jwks.json", "/openapi.json", "/"] {
        own.get(path).send().await.assert_problem(404, "not_found");
    }
    drop(process);
    Process::start(&deployment, &[]).get("/metrics").send().await.assert_status(200);
}

async fn a_session_that_is_not_there_cannot_be_revoked(process: Process) {
    let tokens = process.register().await;
    let unknown = "0190b3c0-0000-7000-8000-000000000000";
    let refused = run(&process, &["session", "revoke", unknown]).refused();
    assert!(refused.contains(&format!("there is no session {unknown}")), "{refused}");
    process.me(&tokens.access).await.assert_status(200);
}

async fn a_pool_has_the_size_that_is_set(deployment: Arc<Deployment>) {
    let process = Process::start(&deployment, &[("DATABASE_POOL_SIZE", "2"), ("LIMIT_REGISTER_ADDRESS", "off")]);
    let requests = (0..24).map(|index| {
        let body = json!({"email": format!("person-{index}@example.com"), "password": PASSWORD});
        process.post("/api/v1/auth/register").json(&body)
    });
    for answer in crate::support::http::at_once(requests).await {
        answer.assert_status(201);
    }
    let own = "pg_stat_activity WHERE application_name = 'keyturn' AND datname = current_database() \
               AND pid <> pg_backend_pid()";
    // With the one that refreshes.
    let count = deployment.count(own);
    assert!((2..=3).contains(&count), "{count}");
    let refused = run_with_input(&deployment, &[("DATABASE_POOL_SIZE", "0")], &["serve"], "").refused();
    assert!(refused.contains("DATABASE_POOL_SIZE: must be a whole number from 1 to 1000"), "{refused}");
}
