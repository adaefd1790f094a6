//! `keyturn user import` and `keyturn user export`: accounts that move in and out.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::hashes::{HASHES, SHORT};
use crate::serving::assert_private;
use crate::support::process::command;
use crate::support::smtp::SmtpServer;
use crate::support::{Backend, Deployment, PASSWORD, Process, until};
use crate::{Ran, run, run_with_input};

both_backends! {
    people_from_every_system_log_in_with_the_password_they_have,
    every_bad_line_is_reported_and_every_good_one_imported,
    what_is_there_is_never_overwritten,
    an_import_that_is_killed_goes_on_without_a_duplicate,
    an_account_without_password_waits_for_a_new_one,
    a_hash_of_unknown_form_brings_its_owner_along_who_sets_a_new_password_by_email,
    a_role_has_one_grammar_on_every_way_in,
    an_export_makes_the_same_accounts_in_an_empty_database,
    a_running_server_goes_on_while_accounts_are_imported,
    nobody_needs_to_read_the_output_to_its_end,
}

embedded_only! {
    a_file_in_another_format_is_refused_with_the_way_to_convert_it,
    times_of_other_systems_are_taken,
    a_check_imports_nothing_and_needs_no_database,
    an_export_is_for_its_owner_alone_and_replaces_no_file,
    a_terminal_shows_a_bar,
}

/// The text of a file with these accounts.
pub fn lines(accounts: impl IntoIterator<Item = Value>) -> String {
    accounts.into_iter().map(|account| format!("{account}\n")).collect()
}

/// Accounts without a password, by their numbers.
fn crowd(numbers: std::ops::Range<usize>) -> String {
    lines(numbers.map(|number| json!({"email": format!("person-{number}@example.com")})))
}

pub fn import(deployment: &Deployment, text: &str) -> Ran {
    std::fs::write(deployment.folder.path().join("people.ndjson"), text).unwrap();
    run(deployment, &["user", "import", "people.ndjson"])
}

/// What an import says at its end.
fn summary(imported: usize, already_there: usize) -> String {
    format!("Imported: {imported}\nAlready there: {already_there}\nRejected: 0\n")
}

/// The row of an account.
fn row(deployment: &Deployment, email: &str) -> Value {
    let rows = deployment.rows("users");
    rows.into_iter().find(|row| row["email_normalized"] == email).unwrap_or_else(|| panic!("{email} has no account"))
}

/// Sets [`PASSWORD`] with the link of an email, as the owner of an account does.
pub async fn reset_by_email(process: &Process, smtp: &SmtpServer, email: &str) {
    let forgot = process.post("/api/v1/auth/password/forgot").json(&json!({"email": email}));
    forgot.send().await.assert_status(202);
    let received = until("the link", async || smtp.mails_to(email).pop()).await;
    let reset = json!({"token": received.token(), "new_password": PASSWORD});
    process.post("/api/v1/auth/password/reset").json(&reset).send().await.assert_status(204);
}

async fn people_from_every_system_log_in_with_the_password_they_have(backend: Backend) {
    let process = Process::with(backend, &[("LIMIT_LOGIN_ADDRESS", "off")]);
    let email = |system: &str| format!("{system}@example.com");
    let people = HASHES.map(|(system, hash)| json!({"email": email(system), "password_hash": hash}));
    assert_eq!(import(&process, &lines(people)).printed(), summary(HASHES.len(), 0));
    for (system, hash) in HASHES {
        let email = email(system);
        assert_eq!(row(&process, &email)["password_hash"], hash);
        for wrong in ["Thimble", "thimbles", "", hash] {
            process.try_login(&email, wrong).await.assert_problem(401, "invalid_credentials");
        }
        assert_eq!(row(&process, &email)["password_hash"], hash, "{system}: a wrong password changes nothing");
        process.try_login(&email, SHORT).await.assert_status(200);
        let own = row(&process, &email)["password_hash"].as_str().unwrap().to_owned();
        assert!(own.starts_with("$argon2id$v=19$m=7168,t=1,p=1$"), "{system}: {own}");
        process.try_login(&email, SHORT).await.assert_status(200);
        process.try_login(&email, "Thimble").await.assert_problem(401, "invalid_credentials");
        assert_eq!(row(&process, &email)["password_hash"], own, "{system}: it is hashed anew once");
    }
}

async fn every_bad_line_is_reported_and_every_good_one_imported(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let bomb = |hash: &str| json!({"email": "bomb@example.com", "password_hash": hash}).to_string();
    let salted = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    let wrong = [
        ("{\"email\": \"half", "is not JSON, from column"),
        ("{\"email\":\"sesame\"}", "email is not an email address"),
        ("{\"email\":\"extra@example.com\",\"passwordHash\":\"sesame\"}", "has an unknown field, passwordHash"),
        (
            "{\"email\":\"md5@example.com\",\"password_hash\":\"$2b$04$sesame\"}",
            "password_hash is not a well-formed hash of bcrypt",
        ),
        ("{\"email\":\"FIRST@example.com\"}", "has the same email address as line 1"),
        (&bomb(&format!("$argon2id$v=19$m=4194304,t=1,p=1{salted}")), "password_hash costs too much"),
        (&bomb(&format!("$argon2id$v=19$m=65536,t=4294967295,p=1{salted}")), "password_hash costs too much"),
        (&bomb("$P$Z12345678abcdefghijklmnopqrstuv"), "password_hash costs too much"),
        (&bomb("{noop}sesame"), "password_hash is a password in plain text: hash it first"),
        (&bomb("$2b$31$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS"), "password_hash costs too much"),
        (&bomb(&format!("$scrypt$ln=30,r=8,p=1{salted}")), "password_hash costs too much"),
        (&bomb(&format!("$firescrypt$ln=31,r=8,p=1{salted}$Bw==$c29tZXNhbHQ")), "password_hash costs too much"),
        (&bomb(&format!("$pbkdf2-sha256$4294967295{salted}")), "password_hash costs too much"),
    ];
    let mut text = "{\"email\":\"first@example.com\"}\n\n".to_owned();
    for (line, _) in wrong {
        text += &format!("{line}\n");
    }
    text += "{\"email\":\"last@example.com\"}";
    let ran = import(&deployment, &text);
    let expected =
        format!("Imported: 2\nAlready there: 0\nRejected: {}, listed in people.ndjson.rejected.ndjson\n", wrong.len());
    assert_eq!((ran.code, &*ran.stdout), (Some(1), &*expected), "{ran:?}");
    assert_eq!(deployment.count("users"), 2);

    let list = deployment.folder.path().join("people.ndjson.rejected.ndjson");
    assert_private(&list);
    let listed = std::fs::read_to_string(&list).unwrap();
    let rejections: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!((rejections.len(), told.len()), (wrong.len(), wrong.len()), "{ran:?}");
    for (index, (line, reason)) in wrong.iter().enumerate() {
        assert_eq!(rejections[index]["line"], json!(index + 3), "{listed}");
        assert!(rejections[index]["reason"].as_str().unwrap().starts_with(reason), "{line}: {listed}");
        let reason = rejections[index]["reason"].as_str().unwrap();
        assert_eq!(told[index], format!("line {}: {reason}", index + 3));
    }
    assert_eq!(rejections[4]["email"], "FIRST@example.com");
    // Standard error goes into logs; and no list repeats a hash.
    assert!(!ran.stderr.contains("sesame") && !ran.stderr.contains("FIRST"), "{ran:?}");
    assert!(!listed.contains("c29tZXNhbHQ") && !listed.contains("GrYULSfOCS"), "{listed}");

    // Many are told by the list alone; from standard input, where there is no list, all are told.
    let many = "?\n".repeat(30);
    let ran = import(&deployment, &many);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 21), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&list).unwrap().lines().count(), 30);
    let ran = run_with_input(&deployment, &[], &["user", "import", "-"], &many);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(1), 30), "{ran:?}");

    // Once every line is good, there is no list.
    assert_eq!(import(&deployment, "{\"email\":\"first@example.com\"}").printed(), summary(0, 1));
    assert!(!list.exists());
    assert!(run(&deployment, &["user", "import", "nowhere.ndjson"]).refused().contains("cannot read nowhere.ndjson"));
}

async fn what_is_there_is_never_overwritten(process: Process) {
    let tokens = process.register_as("Ada@example.com").await;
    let before = process.rows("users");
    let text = lines([
        json!({"email": "ada@EXAMPLE.com", "name": "Impostor", "password_hash": HASHES[2].1, "roles": ["admin"]}),
        json!({"email": "other@example.com", "id": tokens.user, "name": "Impostor", "disabled": true}),
    ]);
    for _ in 0..2 {
        assert_eq!(import(&process, &text).printed(), summary(0, 2));
        assert_eq!(process.rows("users"), before);
    }
    process.try_login("ada@example.com", PASSWORD).await.assert_status(200);
    process.try_login("ada@example.com", SHORT).await.assert_problem(401, "invalid_credentials");
}

async fn an_import_that_is_killed_goes_on_without_a_duplicate(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    const ALL: usize = 5_500;
    run(&deployment, &["migrate"]).printed();
    let mut there = 0;
    // Killed while it waits for more lines, and while it is at work.
    for (fed, killed_at) in [(1_500, 1_000), (ALL - 1, 2_000), (ALL - 1, 4_000)] {
        let mut import = command(&deployment, &[]);
        import.args(["user", "import", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = import.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(crowd(0..fed).as_bytes()).unwrap();
        stdin.flush().unwrap();
        until("some batches", async || (deployment.count("users") >= killed_at).then_some(())).await;
        child.kill().unwrap();
        child.wait().unwrap();
        there = usize::try_from(deployment.count("users")).unwrap();
        assert_eq!(there % 1000, 0, "a batch is added whole or not at all");
    }
    assert_eq!(import(&deployment, &crowd(0..ALL)).printed(), summary(ALL - there, there));
    assert_eq!(import(&deployment, &crowd(0..ALL)).printed(), summary(0, ALL));
    let count =
        |what: &str| deployment.texts(&format!("SELECT CAST(count(DISTINCT {what}) AS text) AS text FROM users"));
    assert_eq!((count("email_normalized"), count("id")), (vec![ALL.to_string()], vec![ALL.to_string()]));
    assert_eq!(deployment.count("users"), i64::try_from(ALL).unwrap());
    let audited = deployment.rows("audit_log").into_iter().filter(|row| row["event"] == "accounts.imported");
    let accounts = |row: Value| match &row["metadata"] {
        Value::String(text) => serde_json::from_str::<Value>(text).unwrap()["accounts"].as_u64().unwrap(),
        metadata => metadata["accounts"].as_u64().unwrap(),
    };
    assert_eq!(audited.map(accounts).sum::<u64>(), u64::try_from(ALL).unwrap());
}

async fn a_role_has_one_grammar_on_every_way_in(process: Process) {
    let admin = process.register().await;
    let roles = format!("UPDATE users SET roles = '[\"user\",\"admin\"]' WHERE id = {}", process.literal(admin.user.0));
    process.sql(&roles);
    let person = process.register().await;
    let patch = async |roles: &[&str]| {
        let user = process.patch(&format!("/api/v1/admin/users/{}", person.user)).bearer(&admin.access);
        user.json(&json!({"roles": roles})).send().await
    };
    let set = |roles: &[&str]| run(&process, &[&["user", "set-roles", &person.email], roles].concat());
    let import = |name: &str, roles: &[&str]| {
        let email = format!("{name}@example.com");
        import(&process, &lines([json!({"email": email, "roles": roles})]))
    };
    let long = "r".repeat(65);
    for (index, right) in [&["editor:news", "Editor"][..], &["org:billing.read", "a-1_b"]].into_iter().enumerate() {
        assert_eq!(import(&format!("right-{index}"), right).code, Some(0), "{right:?}");
        assert_eq!(patch(right).await.assert_status(200).json()["roles"], json!([&["user"], right].concat()));
        set(&[right, &["viewer"]].concat()).printed();
    }
    for (index, wrong) in ["", "two words", "a,b", "-a", &long].into_iter().enumerate() {
        assert_eq!(import(&format!("wrong-{index}"), &[wrong]).code, Some(1), "{wrong}");
        patch(&[wrong]).await.assert_problem(422, "invalid_input");
        assert_eq!(run(&process, &["user", "set-roles", &person.email, "--", wrong]).code, Some(1), "{wrong}");
    }
}

async fn an_account_without_password_waits_for_a_new_one(process: Process) {
    let person = json!({"email": "new@example.com", "name": "Ada", "roles": ["editor"], "email_verified": true});
    assert_eq!(import(&process, &lines([person])).printed(), summary(1, 0));
    for password in ["!", "", PASSWORD] {
        process.try_login("new@example.com", password).await.assert_problem(401, "invalid_credentials");
    }
    run_with_input(&process, &[], &["user", "set-password", "new@example.com"], PASSWORD).printed();
    let tokens = process.login("new@example.com").await;
    let me = process.me(&tokens.access).await.assert_status(200).json();
    assert_eq!((&me["user"]["name"], &me["user"]["roles"]), (&json!("Ada"), &json!(["user", "editor"])));
}

async fn a_hash_of_unknown_form_brings_its_owner_along_who_sets_a_new_password_by_email(backend: Backend) {
    let smtp = SmtpServer::start();
    let process = Process::with(backend, &[("SMTP_URL", &smtp.url())]);
    const MD5: &str = "5f4dcc3b5aa765d61d8327deb882cf99";
    let unknown = [MD5, "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "!", "plain password"];
    let email = |index: usize| format!("person-{index}@example.com");
    let people = unknown.iter().enumerate().map(|(index, hash)| json!({"email": email(index), "password_hash": hash}));
    let text = lines(people.chain([json!({"email": "known@example.com", "password_hash": HASHES[2].1})]));
    let summary = "Without password: 4, listed in people.ndjson.without-password.ndjson\nRejected: 0\n";
    let told: Vec<String> = (1..=unknown.len())
        .map(|line| {
            format!(
                "line {line}: password_hash has no known form: imported without a password, which its owner can set by email"
            )
        })
        .collect();

    std::fs::write(process.folder.path().join("people.ndjson"), &text).unwrap();
    let checked = run(&process, &["user", "import", "--check", "people.ndjson"]);
    assert_eq!((checked.code, checked.stdout), (Some(0), format!("Valid: 5\n{summary}")));
    assert_eq!(checked.stderr.lines().collect::<Vec<_>>(), told);
    let ran = import(&process, &text);
    assert_eq!((ran.code, ran.stdout), (Some(0), format!("Imported: 5\nAlready there: 0\n{summary}")));
    assert_eq!(ran.stderr.lines().collect::<Vec<_>>(), told);
    let list = process.folder.path().join("people.ndjson.without-password.ndjson");
    assert_private(&list);
    let listed = std::fs::read_to_string(&list).unwrap();
    assert_eq!(listed.lines().count(), unknown.len());
    assert!(listed.contains("person-0@example.com") && !listed.contains(MD5) && !listed.contains("plain"), "{listed}");

    for (index, hash) in unknown.iter().enumerate() {
        assert_eq!(row(&process, &email(index))["password_hash"], "!");
        for password in ["password", hash, "!"] {
            process.try_login(&email(index), password).await.assert_problem(401, "invalid_credentials");
        }
    }
    reset_by_email(&process, &smtp, &email(0)).await;
    process.try_login(&email(0), PASSWORD).await.assert_status(200);
    process.try_login("known@example.com", SHORT).await.assert_status(200);

    // From standard input there is no list.
    let ran = run_with_input(&process, &[], &["user", "import", "-"], &text.replace("person", "other"));
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains("Without password: 4\n"), "{ran:?}");
}

async fn an_export_makes_the_same_accounts_in_an_empty_database(process: Process) {
    process.register_as("Ada.Lovelace@Example.com").await;
    let full = json!({
        "id": "0190b5a0-0000-7000-8000-000000000001", "email": "Full@example.com", "password_hash": HASHES[8].1,
        "name": "Zorvane Ó Thrumbeck", "roles": ["user", "admin", "editor:news"], "alerts": false,
        "language": "de",
        "created_at": "2019-01-02T03:04:05.006Z", "password_changed_at": "2019-02-02T03:04:05.006Z",
        "last_login_at": "2022-01-02T03:04:05.006Z", "email_verified_at": "2020-01-02T03:04:05.006Z",
        "disabled_at": "2023-01-02T03:04:05.006Z", "deletes_at": "2093-01-02T03:04:05.006Z",
    });
    assert_eq!(import(&process, &(lines([full.clone()]) + &crowd(0..2_500))).printed(), summary(2_501, 0));

    let exported = run(&process, &["user", "export"]).printed();
    assert_eq!(exported.lines().count(), 2_502);
    assert_eq!(process.count("audit_log WHERE event = 'accounts.exported'"), 1);
    let line = exported.lines().find(|line| line.contains("Full@")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap(), full);

    let other = Deployment::new(process.backend);
    run(&other, &["migrate"]).printed();
    assert_eq!(import(&other, &exported).printed(), summary(2_502, 0));
    assert_eq!(run(&other, &["user", "export"]).printed(), exported);
    let sorted = |deployment: &Deployment| {
        let mut rows: Vec<String> = deployment.rows("users").iter().map(Value::to_string).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&other), sorted(&process));

    let server = Process::start(&other, &[]);
    server.login("ada.lovelace@example.com").await;
    server.try_login("full@example.com", SHORT).await.assert_problem(403, "account_disabled");
    server.try_login("full@example.com", PASSWORD).await.assert_problem(401, "invalid_credentials");
}

async fn a_running_server_goes_on_while_accounts_are_imported(backend: Backend) {
    let process = Process::with(backend, &[("LIMIT_REGISTER_ADDRESS", "off")]);
    let mut import = command(&process, &[]);
    import.args(["user", "import", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = import.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || stdin.write_all(crowd(0..8_000).as_bytes()).unwrap());
    let mut registered = 0_i64;
    // 503, or an answer that does not come, fails the registration.
    while child.try_wait().unwrap().is_none() {
        process.register().await;
        registered += 1;
    }
    feeder.join().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), summary(8_000, 0));
    assert!(registered > 0);
    assert_eq!(process.count("users"), 8_000 + registered);
}

async fn a_file_in_another_format_is_refused_with_the_way_to_convert_it(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let utf16: Vec<u8> = "\u{feff}{\"email\":\"a@example.com\"}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, told) in [
        (&b"[\n  {\"email\":\"a@example.com\"}\n]\n"[..], "the file is a JSON array"),
        (b"\n{\n  \"users\": [\n", "jq -c '.users[]'"),
        (b"email,name\na@example.com,Ada\n", "the file is CSV"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "gunzip"),
        (&utf16, "iconv -f UTF-16 -t UTF-8"),
    ] {
        std::fs::write(deployment.folder.path().join("people.ndjson"), content).unwrap();
        for arguments in [&["user", "import", "people.ndjson"][..], &["user", "import", "--check", "people.ndjson"]] {
            let refused = run(&deployment, arguments).refused();
            assert!(refused.contains(told), "{refused}");
        }
    }
}

async fn times_of_other_systems_are_taken(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    let people = [
        json!({"email": "naive@example.com", "created_at": "2021-03-04T05:06:07.123456"}),
        json!({"email": "mysql@example.com", "created_at": "2021-03-04 05:06:07",
            "last_login_at": "0000-00-00 00:00:00"}),
        json!({"email": "dotnet@example.com", "created_at": "2021-03-04T05:06:07.1230000+00:00",
            "last_login_at": "0001-01-01T00:00:00Z", "disabled_at": "0001-01-01T00:00:00+00:00"}),
        json!({"email": "millis@example.com", "created_at": 1_614_834_367_123_u64, "email_verified_at": 0}),
        json!({"email": "seconds@example.com", "created_at": 1_614_834_367, "email_verified_at": ""}),
    ];
    assert_eq!(import(&deployment, &lines(people)).printed(), summary(5, 0));
    for line in run(&deployment, &["user", "export"]).printed().lines() {
        let account: Value = serde_json::from_str(line).unwrap();
        assert!(account["created_at"].as_str().unwrap().starts_with("2021-03-04T05:06:07."), "{account}");
        for never in ["last_login_at", "disabled_at", "email_verified_at"] {
            assert!(account[never].is_null(), "{account}");
        }
    }
}

async fn a_check_imports_nothing_and_needs_no_database(deployment: Arc<Deployment>) {
    let text = crowd(0..20_500) + "{\"email\":\"nobody\"}\n";
    std::fs::write(deployment.folder.path().join("people.ndjson"), text).unwrap();
    let ran = run(&deployment, &["user", "import", "--check", "people.ndjson"]);
    let expected = "Valid: 20500\nRejected: 1, listed in people.ndjson.rejected.ndjson\n";
    assert_eq!((ran.code, &*ran.stdout), (Some(1), expected), "{ran:?}");
    let told: Vec<&str> = ran.stderr.lines().collect();
    assert!(told[0].starts_with("10000 lines, ") && told[0].ends_with(" a second, 0 rejected"), "{ran:?}");
    assert!(told[1].starts_with("20000 lines, "), "{ran:?}");
    assert_eq!(told[2..], ["line 20501: email is not an email address such as name@example.com"]);
    assert!(!deployment.data_dir().exists());
}

async fn an_export_is_for_its_owner_alone_and_replaces_no_file(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    import(&deployment, &crowd(0..3)).printed();
    let export = |name: &str| run(&deployment, &["user", "export", name]);
    assert_eq!(export("out.ndjson").printed(), "Exported: 3\n");
    let file = deployment.folder.path().join("out.ndjson");
    assert_private(&file);
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, export("-").printed());
    assert!(export("out.ndjson").refused().contains("out.ndjson exists already"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    // What an export that was killed left behind is in nobody's way.
    std::fs::write(deployment.folder.path().join("again.ndjson.partial"), "half a li").unwrap();
    assert_eq!(export("again.ndjson").printed(), "Exported: 3\n");
    assert!(!deployment.folder.path().join("again.ndjson.partial").exists());
    assert_eq!(std::fs::read_to_string(deployment.folder.path().join("again.ndjson")).unwrap(), text);
}

async fn a_terminal_shows_a_bar(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    std::fs::write(deployment.folder.path().join("people.ndjson"), crowd(0..1_500) + "?\n").unwrap();
    let mut script = Command::new("script");
    let import = concat!(env!("CARGO_BIN_EXE_keyturn"), " user import people.ndjson");
    script.args(["-qefc", import, "/dev/null"]).env_clear().envs(deployment.settings(&[]));
    script.env("SHELL", "/bin/sh").env("PATH", "/usr/bin:/bin").env("TERM", "xterm");
    let output = script.current_dir(deployment.folder.path()).stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("100 %  1501 lines, ") && shown.contains(" a second, 1 rejected"), "{shown:?}");
    assert!(shown.contains("line 1501: is not JSON") && shown.contains("Imported: 1500"), "{shown:?}");
    assert_eq!(output.status.code(), Some(1));
}

async fn nobody_needs_to_read_the_output_to_its_end(deployment: Arc<Deployment>) {
    run(&deployment, &["migrate"]).printed();
    import(&deployment, &crowd(0..2_000)).printed();
    for arguments in [
        &["user", "list"][..],
        &["user", "export"],
        &["user", "disable", "person-1@example.com"],
        &["session", "list", "person-1@example.com"],
        &["config", "docs"],
        &["config", "check"],
        &["completions", "bash"],
        &["doctor"],
        &["migrate"],
        &["--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(&deployment, &[]);
        command.args(arguments).stdout(writer).stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let others = errors.lines().filter(|line| !line.starts_with("keyturn uses the database "));
        assert_eq!((output.status.code(), others.count()), (Some(0), 0), "{arguments:?}: {errors}");
    }
    // Nor is what goes wrong worth a panic when nobody hears of it.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&deployment, &[]);
    command.args(["user", "disable", "nobody@example.com"]).stderr(writer);
    assert_eq!(command.status().unwrap().code(), Some(1));
}
