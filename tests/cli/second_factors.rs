//! Second factors in `keyturn user import` and `keyturn user export`: who had one is never let in by the password
//! alone.

use keyturn::types::Timestamp;
use serde_json::{Value, json};

use crate::hashes::{HASHES, SHORT};
use crate::support::process::Process;
use crate::support::smtp::SmtpServer;
use crate::support::totp::Authenticator;
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Response};
use crate::transfer::{import, lines, reset_by_email};
use crate::{run, run_with_input};

both_backends! {
    an_app_and_recovery_codes_of_another_system_go_on_working,
    a_second_factor_that_cannot_be_imported_leaves_only_a_reset_by_email,
    an_export_takes_the_secrets_of_apps_along,
}

/// A secret of 80 bits, as apps have long shown them, and one of 160.
const SECRETS: [&str; 2] = ["JBSWY3DPEHPK3PXP", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"];

fn now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap())
}

/// Logs in with the password of an imported hash, and gives the token of the challenge.
async fn challenge(server: &Endpoint, email: &str) -> String {
    let answer = server.try_login(email, SHORT).await.assert_status(200).json();
    assert!(answer.get("access_token").is_none(), "{answer}");
    answer["mfa_token"].as_str().unwrap_or_else(|| panic!("no second factor is asked for: {answer}")).to_owned()
}

async fn complete(server: &Endpoint, email: &str, method: &str, code: &str) -> Response {
    let token = challenge(server, email).await;
    let body = json!({"mfa_token": token, "method": method, "code": code});
    server.post("/api/v1/auth/mfa").json(&body).send().await
}

async fn an_app_and_recovery_codes_of_another_system_go_on_working(process: Process) {
    let hash = HASHES[2].1;
    let spaced = "jbsw y3dp ehpk 3pxp jbsw y3dp ehpk 3pxp";
    let uri = format!("otpauth://totp/Old:ada?secret={}&issuer=Old&algorithm=SHA1&digits=6&period=30", SECRETS[1]);
    let people = [
        json!({"email": "short@example.com", "password_hash": hash, "totp_secret": SECRETS[0]}),
        json!({"email": "spaced@example.com", "password_hash": hash, "totp_secret": spaced}),
        json!({"email": "uri@example.com", "password_hash": hash, "totp_secret": uri,
            "recovery_codes": ["abcd-efgh", "ABCD EFGH", "12345-67890"]}),
    ];
    let text = lines(people);
    for imported in [3, 0] {
        let ran = import(&process, &text);
        assert_eq!(ran.printed(), format!("Imported: {imported}\nAlready there: {}\nRejected: 0\n", 3 - imported));
    }
    assert_eq!(process.count("totp_secrets WHERE confirmed_at IS NOT NULL"), 3);
    let everything = format!("{:?}{:?}", process.rows("totp_secrets"), process.rows("recovery_codes"));
    assert!(!everything.contains("JBSWY3DP") && !everything.contains("efgh"), "{everything}");

    for (email, secret) in [("short", SECRETS[0]), ("spaced", SECRETS[1]), ("uri", SECRETS[1])] {
        let email = format!("{email}@example.com");
        let code = Authenticator::new(secret).code(now(), 0);
        complete(&process, &email, "totp", "000000").await.assert_problem(401, "invalid_code");
        complete(&process, &email, "totp", &code).await.assert_status(200);
        complete(&process, &email, "totp", &code).await.assert_problem(401, "invalid_code");
    }
    let recover = async |code: &str| complete(&process, "uri@example.com", "recovery_code", code).await;
    recover("abcdefgi").await.assert_problem(401, "invalid_code");
    recover("ABCDEFGH").await.assert_status(200);
    recover("ABCDEFGH").await.assert_problem(401, "invalid_code");
}

async fn a_second_factor_that_cannot_be_imported_leaves_only_a_reset_by_email(backend: Backend) {
    let smtp = SmtpServer::start();
    let process = Process::with(backend, &[("SMTP_URL", &smtp.url())]);
    let hash = HASHES[2].1;
    let uri = format!("otpauth://totp/ada?secret={}&digits=8", SECRETS[1]);
    let people = [
        json!({"email": "sms@example.com", "password_hash": hash, "second_factor": "other", "email_verified": true}),
        json!({"email": "eight@example.com", "password_hash": hash, "totp_secret": uri,
            "recovery_codes": ["abcd-efgh"]}),
        json!({"email": "none@example.com", "password_hash": hash, "second_factor": "none"}),
    ];
    let ran = import(&process, &lines(people));
    let summary = "Imported: 3\nAlready there: 0\n\
        Without password: 2, listed in people.ndjson.without-password.ndjson\nRejected: 0\n";
    assert_eq!((ran.code, &*ran.stdout), (Some(0), summary), "{ran:?}");
    assert!(ran.stderr.lines().all(|line| line.contains("the second factor cannot be imported")), "{ran:?}");
    for email in ["sms@example.com", "eight@example.com"] {
        process.try_login(email, SHORT).await.assert_problem(401, "invalid_credentials");
        reset_by_email(&process, &smtp, email).await;
        process.try_login(email, PASSWORD).await.assert_status(200);
        process.try_login(email, SHORT).await.assert_problem(401, "invalid_credentials");
    }
    process.try_login("none@example.com", SHORT).await.assert_status(200);

    let wrong = json!({"email": "wrong@example.com", "password_hash": hash, "totp_secret": "sesame!"});
    let ran = import(&process, &lines([wrong]));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("totp_secret is neither Base32") && !ran.stderr.contains("sesame"), "{ran:?}");
    process.try_login("wrong@example.com", SHORT).await.assert_problem(401, "invalid_credentials");
}

async fn an_export_takes_the_secrets_of_apps_along(backend: Backend) {
    let deployment = Deployment::new(backend);
    run(&deployment, &["migrate"]).printed();
    let email = "two@example.com";
    let person = json!({"email": email, "password_hash": HASHES[2].1, "totp_secret": SECRETS[1],
        "recovery_codes": ["abcd-efgh"]});
    import(&deployment, &lines([person, json!({"email": "one@example.com"})])).printed();
    let exported = run(&deployment, &["user", "export"]).printed();
    let accounts: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let account = |email: &str| accounts.iter().find(|account| account["email"] == email).unwrap();
    assert_eq!(account(email)["totp_secret"], SECRETS[1]);
    assert!(account("one@example.com").get("totp_secret").is_none() && !exported.contains("second_factor"));

    let other = Process::with(backend, &[]);
    import(&other, &exported).printed();
    let code = Authenticator::new(SECRETS[1]).code(now(), 0);
    complete(&other, email, "totp", &code).await.assert_status(200);

    // Where the secret cannot be read, the export says that there is one.
    deployment.sql("UPDATE totp_secrets SET sealed_secret = substr(sealed_secret, 2)");
    let exported = run_with_input(&deployment, &[], &["user", "export"], "").printed();
    let line = exported.lines().find(|line| line.contains(email)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()["second_factor"], "other", "{line}");
}
