//! What is told of an email address that nobody has verified, and what requires a verified one.

use serde_json::json;

use crate::support::smtp::SmtpServer;
use crate::support::{Backend, PASSWORD, Server, Servers, Tokens, until};

both_backends! {
    a_proxy_is_told_no_address_that_nobody_has_verified,
    an_access_token_has_the_claims_that_are_asked_for,
    where_it_is_required_only_a_verified_address_lets_its_owner_in,
    a_new_password_by_a_link_verifies_the_address_too,
}

async fn a_proxy_is_told_no_address_that_nobody_has_verified(servers: Servers) {
    let person = servers.register().await;
    for server in servers.all() {
        assert_eq!(server.verify(&person.access).await.assert_status(200).header("x-auth-email"), None);
    }
    let next = servers.refreshed(&person).await;
    for server in servers.all() {
        assert_eq!(server.verify(&next.access).await.header("x-auth-email"), None);
    }
    servers.verify_email(&person.email);
    let next = servers.refreshed(&next).await;
    for server in servers.all() {
        assert_eq!(server.verify(&next.access).await.header("x-auth-email"), Some(&*person.email));
    }
    let login = servers.login(&person.email).await;
    assert_eq!(servers.verify(&login.access).await.header("x-auth-email"), Some(&*person.email));
}

async fn an_access_token_has_the_claims_that_are_asked_for(backend: Backend) {
    for (setting, email, name) in [("", false, false), ("email", true, false), ("email, name", true, true)] {
        let server = Server::with(backend, &[("ACCESS_TOKEN_CLAIMS", setting)]).await;
        let address = "ada@example.com";
        let body = json!({"email": address, "password": PASSWORD, "name": "Ada"});
        let answer = server.post("/api/v1/auth/register").json(&body).send().await;
        let first = Tokens::of(&answer);
        let second = server.refreshed(&first).await;
        server.verify_email(address);
        let third = server.refreshed(&second).await;
        for (tokens, verified) in [(&first, false), (&second, false), (&third, true)] {
            let claims = tokens.claims();
            assert_eq!(claims.get("email"), email.then(|| json!(address)).as_ref());
            assert_eq!(claims.get("email_verified"), email.then(|| json!(verified)).as_ref());
            assert_eq!(claims.get("name"), name.then(|| json!("Ada")).as_ref());
            server.me(&tokens.access).await;
        }
    }
}

const REQUIRED: (&str, &str) = ("REQUIRE_VERIFIED_EMAIL", "true");

async fn where_it_is_required_only_a_verified_address_lets_its_owner_in(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = Server::with(backend, &[REQUIRED, ("SMTP_URL", &smtp.url())]).await;
    let email = "ada@example.com";
    let body = json!({"email": email, "password": PASSWORD});
    let answer = server.post("/api/v1/auth/register").json(&body).send().await;
    assert_eq!(answer.assert_status(201).json(), json!({"email_verification_required": true}));
    assert_eq!(server.count("sessions"), 0);
    smtp.mail_to(email).await;

    server.try_login(email, "not the password").await.assert_problem(401, "invalid_credentials");
    server.try_login(email, PASSWORD).await.assert_problem(403, "email_not_verified");
    assert_eq!(server.count("sessions"), 0);
    // The login has sent another link, for those who have lost the first.
    let mails = until("both emails", async || Some(smtp.mails_to(email)).filter(|mails| mails.len() == 2)).await;
    let token = mails[1].token();
    server.post("/api/v1/auth/email/verify").json(&json!({"token": token})).send().await.assert_status(204);
    let tokens = server.login(email).await;
    assert_eq!(server.verify(&tokens.access).await.header("x-auth-email"), Some(email));
}

async fn a_new_password_by_a_link_verifies_the_address_too(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = Server::with(backend, &[REQUIRED, ("SMTP_URL", &smtp.url())]).await;
    let email = "ada@example.com";
    let body = json!({"email": email, "password": PASSWORD});
    server.post("/api/v1/auth/register").json(&body).send().await.assert_status(201);
    server.post("/api/v1/auth/password/forgot").json(&json!({"email": email})).send().await.assert_status(202);
    let mails = until("both emails", async || Some(smtp.mails_to(email)).filter(|mails| mails.len() == 2)).await;
    let reset = mails.iter().find(|mail| mail.link().path().contains("reset")).unwrap();
    let new = "another long Passphrase 7";
    let body = json!({"token": reset.token(), "new_password": new});
    server.post("/api/v1/auth/password/reset").json(&body).send().await.assert_status(204);
    server.try_login(email, new).await.assert_status(200);
}
