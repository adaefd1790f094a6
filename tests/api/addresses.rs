//! Email addresses as people have them: which are taken, which are one, and how they are passed on and found.

use serde_json::json;

use crate::audit::administrator;
use crate::support::{Backend, PASSWORD, Response, Server, SmtpServer, Tokens};

both_backends! {
    what_browsers_take_registers_and_logs_in_and_gets_its_emails,
    whatever_registers_gets_its_emails_in_every_script,
    what_cannot_be_seen_is_left_off_or_refused_wherever_it_comes_in,
    an_address_outside_ascii_is_passed_on_in_ascii,
    a_search_finds_what_is_shown,
}

async fn register(server: &Server, email: &str) -> Response {
    server.post("/api/v1/auth/register").json(&json!({"email": email, "password": PASSWORD})).send().await
}

/// Returns the code of the only field that was refused.
#[track_caller]
fn code(answer: &Response, field: &str) -> String {
    answer.assert_invalid(field);
    answer.json()["errors"][0]["code"].as_str().unwrap().to_owned()
}

async fn what_browsers_take_registers_and_logs_in_and_gets_its_emails(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url())]).await;
    for (email, written) in [
        ("taro.@docomo.ne.jp", "\"taro.\"@docomo.ne.jp"),
        ("ta..ro@docomo.ne.jp", "\"ta..ro\"@docomo.ne.jp"),
        (".taro@docomo.ne.jp", "\".taro\"@docomo.ne.jp"),
        ("ta.ro@docomo.ne.jp", "ta.ro@docomo.ne.jp"),
        ("a!#$%&'*+/=?^_`{|}~-b@example.com", "a!#$%&'*+/=?^_`{|}~-b@example.com"),
    ] {
        register(&server, email).await.assert_status(201);
        assert_eq!(server.login(email).await.email, email);
        // The server takes the quotes off.
        let mail = smtp.mail_to(email).await;
        assert!(mail.raw.contains(&format!("\nTo: {written}\r\n")), "{}", mail.raw);
        let body = json!({"token": mail.token()});
        server.post("/api/v1/auth/email/verify").json(&body).send().await.assert_status(204);
        let tokens = server.login(email).await;
        let told = server.verify(&tokens.access).await.header("x-auth-email").unwrap().to_owned();
        assert_eq!(told, email.replace('%', "%25"));
    }
}

/// Names in scripts of which many write marks, vowels or tones as characters of their own, and what is no letter.
const NAMES: [&str; 34] = [
    "हिन्दी",
    "বাংলা",
    "ਪੰਜਾਬੀ",
    "ગુજરાતી",
    "ଓଡ଼ିଆ",
    "தமிழ்",
    "ம்",
    "తెలుగు",
    "ಕನ್ನಡ",
    "മലയാളം",
    "සිංහල",
    "สวัสดีก็",
    "ລາວ",
    "မြန်မာ",
    "ខ្មែរ",
    "བོད་ཡིག",
    "ދިވެހި",
    "עִבְרִית",
    "العَرَبِيَّة",
    "اردو",
    "ܣܘܪܝܬ",
    "አማርኛ",
    "ქართული",
    "հայերեն",
    "ελληνικά",
    "дима",
    "й\u{301}",
    "日本語",
    "한국어",
    "tiếng",
    "x\u{300}",
    "i\u{307}",
    "ⵜⴰⵎⴰⵣⵉⵖⵜ",
    "\u{1e900}\u{1e922}\u{1e944}",
];

async fn whatever_registers_gets_its_emails_in_every_script(backend: Backend) {
    let smtp = SmtpServer::start();
    let server = Server::with(backend, &[("SMTP_URL", &smtp.url()), ("LIMIT_REGISTER_ADDRESS", "off")]).await;
    let mut registered = 0;
    for name in NAMES {
        for email in [format!("{name}1@b.example"), format!("{name}.{name}@b.example")] {
            let answer = register(&server, &email).await;
            if answer.status == 422 {
                // The mark between syllables of Tibetan is punctuation, which no name has.
                assert!(email.contains('་'), "{email}: {}", answer.text());
                continue;
            }
            registered += 1;
            let email = Tokens::of(answer.assert_status(201)).email;
            let mail = smtp.mail_to(&email).await;
            assert_eq!(mail.to, [email.as_str()]);
            let body = json!({"token": mail.token()});
            server.post("/api/v1/auth/email/verify").json(&body).send().await.assert_status(204);
        }
    }
    assert!(registered >= 2 * (NAMES.len() - 1), "{registered}");
    assert_eq!(server.metric("keyturn_emails_total{outcome=\"refused\"}").await, 0);
}

async fn what_cannot_be_seen_is_left_off_or_refused_wherever_it_comes_in(server: Server) {
    let pasted = "\u{feff}\u{202a}ada@example.com\u{202c}\u{200b}";
    register(&server, pasted).await.assert_status(201);
    register(&server, "ada@example.com").await.assert_problem(409, "email_taken");
    let own = server.login(pasted).await;
    assert_eq!(own.email, "ada@example.com");
    for wrong in ["a\u{200b}da@example.com", "ada@exam\u{ad}ple.com", "ada@example\u{2060}.com", "a\u{3164}@x.example"]
    {
        assert_eq!(code(&register(&server, wrong).await, "email"), "invisible_character");
        let login = server.try_login(wrong, PASSWORD).await;
        assert_eq!(code(&login, "email"), "invisible_character");
        let forgot = server.post("/api/v1/auth/password/forgot").json(&json!({"email": wrong})).send().await;
        assert_eq!(code(&forgot, "email"), "invisible_character");
        let change = server.post("/api/v1/auth/email/change").bearer(&own.access).json(&json!({"new_email": wrong}));
        assert_eq!(code(&change.send().await, "new_email"), "invisible_character");
    }
    let name = json!({"name": "\u{202e}A\u{200b}da\u{e0041} "});
    let named = server.patch("/api/v1/auth/me").bearer(&own.access).json(&name).send().await;
    assert_eq!(named.assert_status(200).json()["user"]["name"], "Ada");
    let nothing = json!({"name": "\u{3164}\u{200b}"});
    let nothing = server.patch("/api/v1/auth/me").bearer(&own.access).json(&nothing).send().await;
    assert_eq!(code(&nothing, "name"), "empty");
    let admin = administrator(&server).await;
    let target = crate::admin::user(own.user);
    let roles = server.patch(&target).bearer(&admin.access).json(&json!({"roles": ["admin\u{200b}"]})).send().await;
    assert_eq!(code(&roles, "roles"), "invisible_character");
    assert_eq!(server.texts("SELECT name AS text FROM users WHERE name IS NOT NULL"), ["Ada"]);
}

async fn an_address_outside_ascii_is_passed_on_in_ascii(server: Server) {
    for (email, told) in [
        ("дима@example.com", "%D0%B4%D0%B8%D0%BC%D0%B0@example.com"),
        ("%d0%b4@example.com", "%25d0%25b4@example.com"),
        ("Ada@BÜCHER.example", "Ada@xn--bcher-kva.example"),
    ] {
        let tokens = Tokens::of(register(&server, email).await.assert_status(201));
        let id = server.literal(tokens.user.0);
        server.sql(&format!("UPDATE users SET email_verified_at = created_at WHERE id = {id}"));
        let tokens = server.login(email).await;
        let answer = server.verify(&tokens.access).await;
        assert_eq!(answer.header("x-auth-email"), Some(told));
        // JSON has the address as it is.
        assert_eq!(server.me(&tokens.access).await.json()["user"]["email"], email);
    }
}

async fn a_search_finds_what_is_shown(server: Server) {
    let admin = administrator(&server).await;
    let found = async |q: &str| {
        let q: String = url::form_urlencoded::byte_serialize(q.as_bytes()).collect();
        let answer = server.get(&format!("/api/v1/admin/users?q={q}")).bearer(&admin.access).send().await;
        let json = answer.assert_status(200).json();
        let users = json["users"].as_array().unwrap();
        users.iter().map(|user| user["email"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for email in ["zoe@MÜLLER.example", "rene\u{301}@example.com"] {
        register(&server, email).await.assert_status(201);
    }
    let named = json!({"email": "c@example.com", "password": PASSWORD, "name": "Ame\u{301}lie"});
    server.post("/api/v1/auth/register").json(&named).send().await.assert_status(201);
    for q in [
        "zoe@müller.example",
        "ZOE@MÜLLER.EXAMPLE",
        "zoe@mu\u{308}ller.exa",
        "zoe@müller",
        "zoe@xn--mller-kva.example",
        "zoe@xn--m",
        "zoe@",
        " \u{200b}zoe@müller.example\u{feff}",
        "z\u{ad}oe",
    ] {
        assert_eq!(found(q).await, ["zoe@MÜLLER.example"], "{q:?}");
    }
    for q in ["ren\u{e9}", "RENE\u{301}@"] {
        assert_eq!(found(q).await, ["ren\u{e9}@example.com"], "{q:?}");
    }
    for q in ["am\u{e9}l", "Ame\u{301}l", "A\u{200b}me\u{301}lie"] {
        assert_eq!(found(q).await, ["c@example.com"], "{q:?}");
    }
}
