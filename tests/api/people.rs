//! A person's whole way: from registering to three devices, a lost password and a login that was not theirs.

use serde_json::{Value, json};

use crate::support::geoip::cities;
use crate::support::smtp::Received;
use crate::support::{Backend, PASSWORD, Servers, SmtpServer, Tokens, random_hex, until};

both_backends! {
    a_person_sees_and_ends_devices_and_comes_back_by_mail,
}

const LAPTOP: (&str, &str) = ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "131.111.8.1");
const PHONE: (&str, &str) = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 \
     Mobile/15E148 Safari/604.1",
    "131.111.8.2",
);
const DESK: (&str, &str) =
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "131.111.8.3");
const STRANGER: (&str, &str) = ("curl/8.5.0", "200.160.2.3");

/// Waits for an email to `address` whose link leads to `page`, other than those in `seen`.
async fn mail(mails: &SmtpServer, address: &str, page: &str, seen: &mut Vec<String>) -> Received {
    let leads_there =
        |mail: &Received| mail.text().contains(&format!("/account/{page}?token=")) && !seen.contains(&mail.token());
    let found = until(page, async || mails.mails_to(address).into_iter().find(leads_there)).await;
    seen.push(found.token());
    found
}

async fn login(servers: &Servers, email: &str, password: &str, (user_agent, address): (&str, &str)) -> Tokens {
    let body = json!({"email": email, "password": password});
    let request = servers.post("/api/v1/auth/login").json(&body).header("user-agent", user_agent);
    Tokens::of(request.header("x-forwarded-for", address).send().await.assert_status(200))
}

/// Each server must say the same of an access token at once.
async fn assert_good(servers: &Servers, tokens: &Tokens, good: bool) {
    for server in servers.all() {
        server.me(&tokens.access).await.assert_status(if good { 200 } else { 401 });
    }
}

async fn a_person_sees_and_ends_devices_and_comes_back_by_mail(backend: Backend) {
    let mails = SmtpServer::start();
    let geoip = cities();
    let settings = [("SMTP_URL", &*mails.url()), ("GEOIP_DATABASE", &*geoip), ("TRUSTED_PROXIES", "127.0.0.1")];
    let servers = Servers::with(backend, &settings).await;
    let email = format!("person-{}@example.com", random_hex::<6>());
    let mut seen = Vec::new();

    // The address is verified by an email.
    let body = json!({"email": email, "password": PASSWORD, "device_name": "first"});
    let registered = servers.post("/api/v1/auth/register").json(&body).header("user-agent", LAPTOP.0);
    let first = Tokens::of(registered.header("x-forwarded-for", LAPTOP.1).send().await.assert_status(201));
    let token = mail(&mails, &email, "verify-email", &mut seen).await.token();
    servers.post("/api/v1/auth/email/verify").json(&json!({"token": token})).send().await.assert_status(204);
    assert_eq!(servers.me(&first.access).await.json()["user"]["email_verified"], json!(true));

    // Three devices, seen with what they are and where.
    let laptop = login(&servers, &email, PASSWORD, LAPTOP).await;
    let phone = login(&servers, &email, PASSWORD, PHONE).await;
    let desk = login(&servers, &email, PASSWORD, DESK).await;
    let list = servers.sessions(&laptop.access).await;
    assert_eq!((&list["count"], &list["active_count"]), (&json!(4), &json!(4)));
    let shown: Vec<(&Value, &Value)> = list["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|session| (&session["device"]["label"], &session["location"]["city"]))
        .collect();
    for label in ["Firefox on Linux", "Safari on iPhone", "Firefox on Windows"] {
        assert!(shown.contains(&(&json!(label), &json!("Cambridge"))), "{shown:?}");
    }

    // One is named, one ended.
    let path = format!("/api/v1/sessions/{}", phone.session);
    let renamed = servers.patch(&path).bearer(&laptop.access).json(&json!({"name": "my phone"})).send().await;
    assert_eq!(renamed.assert_status(200).json()["name"], "my phone");
    servers.delete(&path).bearer(&laptop.access).send().await.assert_status(204);
    assert_good(&servers, &phone, false).await;
    assert_good(&servers, &desk, true).await;

    // A new password ends the rest.
    let changed = format!("{PASSWORD} {}", random_hex::<6>());
    let body = json!({"current_password": PASSWORD, "new_password": changed});
    let answer = servers.post("/api/v1/auth/password/change").bearer(&laptop.access).json(&body).send().await;
    assert_eq!(answer.assert_status(200).json()["sessions_revoked"], 2);
    for (tokens, good) in [(&first, false), (&desk, false), (&laptop, true)] {
        assert_good(&servers, tokens, good).await;
    }

    // A forgotten one is replaced by email, which ends all.
    servers.post("/api/v1/auth/password/forgot").json(&json!({"email": email})).send().await.assert_status(202);
    let token = mail(&mails, &email, "reset-password", &mut seen).await.token();
    let reset = format!("{PASSWORD} {}", random_hex::<6>());
    let body = json!({"token": token, "new_password": reset});
    servers.post("/api/v1/auth/password/reset").json(&body).send().await.assert_status(204);
    assert_good(&servers, &laptop, false).await;
    servers.post("/api/v1/auth/password/reset").json(&body).send().await.assert_status(400);
    servers.try_login(&email, &changed).await.assert_problem(401, "invalid_credentials");

    // Who has the password too is told of, and thrown out with one click.
    let own = login(&servers, &email, &reset, LAPTOP).await;
    let theirs = login(&servers, &email, &reset, STRANGER).await;
    let alert = until("the alert", async || {
        let alerts = mails.mails_to(&email);
        alerts.into_iter().find(|mail| mail.text().contains("/account/not-me?") && mail.text().contains("São Paulo"))
    })
    .await;
    let body = json!({"token": alert.token()});
    servers.post("/api/v1/auth/not-me").json(&body).send().await.assert_status(204);
    assert_good(&servers, &theirs, false).await;
    assert_good(&servers, &own, true).await;
    servers.refresh(&theirs.refresh).await.assert_problem(401, "session_revoked");
    let token = mail(&mails, &email, "reset-password", &mut seen).await.token();
    let body = json!({"token": token, "new_password": format!("{PASSWORD} {}", random_hex::<6>())});
    servers.post("/api/v1/auth/password/reset").json(&body).send().await.assert_status(204);
    assert_good(&servers, &own, false).await;
}
