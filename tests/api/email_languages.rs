//! The languages of emails: of the account, or else of the request that causes them.

use serde_json::json;

use crate::recovery::{CHANGE, FORGOT, NEW_PASSWORD, Post, TO_NEW, VERIFICATION, address};
use crate::support::folder::Folder;
use crate::support::{Backend, PASSWORD, Process, SmtpServer};

both_backends! {
    an_email_is_in_the_language_of_the_request_that_causes_it,
    the_language_of_the_account_goes_before_that_of_a_request,
    an_address_without_account_is_written_to_in_the_language_of_who_gave_it,
}

embedded_only! {
    a_device_and_a_time_are_named_in_the_language_of_the_email,
    a_template_can_be_of_one_language_and_call_the_same_texts,
    a_template_with_a_text_that_is_not_there_stops_the_start,
}

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0";

async fn an_email_is_in_the_language_of_the_request_that_causes_it(backend: Backend) {
    let post = Post::with(backend, &[("UI_LANGUAGES", "en,de")]).await;
    let person = post.server.register().await;
    post.email(&person.email, VERIFICATION, 1).await;
    let body = json!({"email": person.email});
    post.server.post(FORGOT).header("accept-language", "de").json(&body).send().await.assert_status(202);
    let email = post.email(&person.email, "Wählen Sie ein neues Passwort für keyturn.example", 1).await;
    assert!(email.text().starts_with("Guten Tag,\n\nJemand möchte das Passwort Ihres Kontos bei keyturn.example"));
    assert!(email.html().contains("<html lang=\"de\" dir=\"ltr\">"), "{}", email.html());
    assert!(email.html().contains(">Neues Passwort wählen</a>"), "{}", email.html());
    for accepted in ["fr", "*"] {
        post.server.post(FORGOT).header("accept-language", accepted).json(&body).send().await.assert_status(202);
    }
    post.email(&person.email, "Choose a new password for keyturn.example", 2).await;
}

async fn the_language_of_the_account_goes_before_that_of_a_request(backend: Backend) {
    let post = Post::with(backend, &[("UI_LANGUAGES", "de,en")]).await;
    let person = post.server.register().await;
    let body = json!({"email": person.email});
    // None was asked for: that of those who ask for none.
    post.email(&person.email, "Bestätigen Sie Ihre E-Mail-Adresse", 1).await;
    let chosen = json!({"language": "en"});
    post.server.patch("/api/v1/auth/me").bearer(&person.access).json(&chosen).send().await.assert_status(200);
    post.server.post(FORGOT).header("accept-language", "de").json(&body).send().await.assert_status(202);
    post.email(&person.email, "Choose a new password", 1).await;
    // One that is not offered here is as if none were chosen.
    post.server.sql("UPDATE users SET language = 'fr'");
    post.server.post(FORGOT).header("accept-language", "en").json(&body).send().await.assert_status(202);
    post.email(&person.email, "Choose a new password", 2).await;
}

async fn an_address_without_account_is_written_to_in_the_language_of_who_gave_it(backend: Backend) {
    let post = Post::on(backend).await;
    let person = post.server.register().await;
    let (first, second) = (address(), address());
    let ask = |new: &str| post.server.post(CHANGE).bearer(&person.access).json(&json!({"new_email": new}));
    ask(&first).header("accept-language", "de").send().await.assert_status(202);
    post.email(&first, "Bestätigen Sie Ihre neue E-Mail-Adresse", 1).await;
    let chosen = json!({"language": "en"});
    post.server.patch("/api/v1/auth/me").bearer(&person.access).json(&chosen).send().await.assert_status(200);
    ask(&second).header("accept-language", "de").send().await.assert_status(202);
    post.email(&second, TO_NEW, 1).await;
}

async fn a_device_and_a_time_are_named_in_the_language_of_the_email(backend: Backend) {
    let post = Post::on(backend).await;
    let person = post.server.register().await;
    post.server.verify_email(&person.email);
    let chosen = json!({"language": "de"});
    post.server.patch("/api/v1/auth/me").bearer(&person.access).json(&chosen).send().await.assert_status(200);
    let change = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let request = post.server.post("/api/v1/auth/password/change").bearer(&person.access).json(&change);
    request.header("user-agent", FIREFOX).send().await.assert_status(200);
    let email = post.email(&person.email, "Das Passwort Ihres Kontos bei keyturn.example wurde geändert", 1).await;
    assert!(email.text().contains("\nGerät: Firefox unter Windows\n"), "{}", email.text());
    assert!(email.text().contains(" Uhr (UTC)\n"), "{}", email.text());
    assert!(email.html().contains("<li>Gerät: Firefox unter Windows</li>"), "{}", email.html());
    assert!(!email.text().contains(['\u{2068}', '\u{2069}']), "{}", email.text());
}

async fn a_template_can_be_of_one_language_and_call_the_same_texts(backend: Backend) {
    let folder = Folder::new();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("verify_email.txt", "Subject: {{ language }} of {{ site }}\n\n{{ t(\"email-hello\") }} {{ link }}\n");
    write("verify_email.de.txt", "Subject: Nur für {{ language }}\n\n{{ t(\"email-hello\") }} {{ link }}\n");
    write("layout.de.html", "<b lang=\"{{ lang }}\">{% block content %}{% endblock %}</b>");
    let post = Post::with(backend, &[("MAIL_TEMPLATES", folder.path().to_str().unwrap())]).await;
    for (language, subject, hello, html) in [
        ("de", "Nur für de", "Guten Tag, http", "<b lang=\"de\">"),
        ("en", "en of keyturn", "Hello, http", "<!doctype"),
    ] {
        let to = address();
        let body = json!({"email": to, "password": PASSWORD});
        let request = post.server.post("/api/v1/auth/register").header("accept-language", language).json(&body);
        request.send().await.assert_status(201);
        let email = post.email(&to, subject, 1).await;
        assert!(email.text().starts_with(hello) && email.html().starts_with(html), "{}", email.html());
    }
}

async fn a_template_with_a_text_that_is_not_there_stops_the_start(backend: Backend) {
    let deployment = crate::support::Deployment::new(backend);
    for (name, text, told) in [
        ("new_login.de.txt", "Subject: x\n\n{{ t('email-helo') }} {{ link }}", "new_login.de.txt: "),
        ("new_login.txt", "Subject: x\n\n{{ t('email-helo') }} {{ link }}", "there is no text `email-helo`"),
        ("new_login.fr.txt", "Subject: x\n\n{{ link }}", "new_login.fr.txt is not one of the templates layout.html"),
        ("new_login.en-XA.txt", "Subject: x\n\n{{ link }}", "with a language of UI_LANGUAGES before the extension"),
    ] {
        let folder = Folder::new();
        std::fs::write(folder.path().join(name), text).unwrap();
        let settings = [("MAIL_TEMPLATES", folder.path().to_str().unwrap())];
        let (code, said) = crate::support::process::try_serve(&deployment, &settings);
        assert!(code.is_some_and(|code| code != 0) && said.contains(told), "{name}: {said}");
    }
    let (smtp, folder) = (SmtpServer::start(), Folder::new());
    let settings = [("SMTP_URL", &*smtp.url()), ("MAIL_TEMPLATES", folder.path().to_str().unwrap())];
    drop(Process::start(&deployment, &settings));
}
