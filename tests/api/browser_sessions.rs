//! Logins on this server's own pages, as a browser without script uses them.

use std::sync::Mutex;

use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::audit::administrator;
use crate::mfa::{Person, person};
use crate::support::{Backend, Endpoint, PASSWORD, Request, Response, Server, Servers, until};

both_backends! {
    a_stranger_is_asked_to_log_in_and_led_back,
    a_login_on_a_page_opens_a_browser_session,
    what_was_typed_wrong_is_told_and_kept,
    the_second_step_takes_a_code_of_the_app_or_a_recovery_code,
    a_login_is_completed_where_it_began,
    people_see_name_and_end_their_sessions,
    all_others_are_ended_at_once,
    a_session_that_was_ended_elsewhere_opens_no_page_on_any_server,
    the_sessions_of_others_are_nobody_elses_business,
    forms_of_other_pages_change_nothing,
    a_browser_session_ends_without_use_and_in_any_case,
    the_cookie_opens_pages_alone,
    an_app_logs_in_within_a_browser_session_and_ends_with_it,
    an_app_logs_in_within_no_other_session,
    no_app_is_left_behind_when_its_browser_session_ends_meanwhile,
    what_people_and_programs_choose_shows_as_text,
}

const ORIGIN: &str = "https://keyturn.example";
const SESSIONS: &str = "/account/sessions";
const COOKIE: &str = "__Host-keyturn_session";
const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0";

/// A browser with its cookies.
pub struct Browser {
    server: Endpoint,
    cookies: Mutex<Vec<(String, String)>>,
}

impl Clone for Browser {
    fn clone(&self) -> Self {
        Self { server: self.server.clone(), cookies: Mutex::new(self.cookies()) }
    }
}

impl Browser {
    pub fn new(server: &Endpoint) -> Self {
        Self { server: server.clone(), cookies: Mutex::default() }
    }

    /// A browser in which the owner of an account has logged in.
    pub async fn logged_in(server: &Endpoint, email: &str) -> Self {
        let mut browser = Self::new(server);
        let answer = browser.post("/login", &[("email", email), ("password", PASSWORD)]).await;
        assert_eq!((answer.status, answer.header("location")), (303, Some(SESSIONS)), "{}", answer.text());
        browser
    }

    fn cookies(&self) -> Vec<(String, String)> {
        self.cookies.lock().unwrap().clone()
    }

    /// Keeps the cookies of an answer.
    fn keep(&self, answer: &Response) {
        let mut cookies = self.cookies.lock().unwrap();
        for set in answer.all_headers("set-cookie") {
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            cookies.retain(|(own, _)| own != name);
            if !value.is_empty() {
                cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    /// The value of the header `Cookie`.
    pub fn cookie(&self) -> String {
        let cookies: Vec<String> = self.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        cookies.join("; ")
    }

    fn request(&self, request: Request) -> Request {
        let request = request.header("user-agent", FIREFOX);
        if self.cookies().is_empty() { request } else { request.header("cookie", &self.cookie()) }
    }

    pub async fn get(&self, path: &str) -> Response {
        let answer = self.request(self.server.get(path)).send().await;
        self.keep(&answer);
        answer
    }

    /// Sends a form of one of the pages.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Response {
        let answer = self.request(form(&self.server, path, fields).header("origin", ORIGIN)).send().await;
        self.keep(&answer);
        answer
    }

    /// Sends a form as a page of another origin does.
    pub async fn post_from(&self, path: &str, fields: &[(&str, &str)], origin: &str) -> Response {
        self.request(form(&self.server, path, fields).header("origin", origin)).send().await
    }

    /// Drops the cookie of a session in which an administrator acts for somebody.
    pub fn forget_acting(&mut self) {
        self.cookies.lock().unwrap().retain(|(name, _)| !name.ends_with("acting"));
    }

    fn secret(&self) -> String {
        self.cookies().into_iter().find(|(name, _)| name == COOKIE).unwrap().1
    }

    /// The list of sessions as text.
    pub async fn list(&self) -> String {
        self.get(SESSIONS).await.assert_status(200).text()
    }
}

fn form(server: &Endpoint, path: &str, fields: &[(&str, &str)]) -> Request {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    server.post(path).header("content-type", "application/x-www-form-urlencoded").body(body)
}

async fn a_stranger_is_asked_to_log_in_and_led_back(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::new(&server);
    let sent = browser.get("/account/sessions?x=1").await;
    assert_eq!(sent.status, 303);
    assert_eq!(sent.header("location"), Some("/login?return_to=%2Faccount%2Fsessions%3Fx%3D1"));
    let login = browser.get("/login?return_to=%2Faccount%2Fsessions%3Fx%3D1").await;
    assert!(login.assert_status(200).text().contains("name=\"return_to\" value=\"&#x2f;account&#x2f;sessions?x=1\""));
    assert_eq!(login.header("referrer-policy"), Some("same-origin"));
    let fields = [("email", &*owner.email), ("password", PASSWORD), ("return_to", "/account/sessions?x=1")];
    let answer = browser.post("/login", &fields).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/account/sessions?x=1")));
    // Who is logged in is not asked again.
    assert_eq!(browser.get("/login?return_to=%2Faccount%2Fsessions").await.header("location"), Some(SESSIONS));
    for elsewhere in ["https://evil.example/", "//evil.example", "javascript:alert(1)"] {
        let fields = [("email", &*owner.email), ("password", PASSWORD), ("return_to", elsewhere)];
        let answer = Browser::new(&server).post("/login", &fields).await;
        assert_eq!(answer.header("location"), Some(SESSIONS), "{elsewhere}");
    }
}

async fn a_login_on_a_page_opens_a_browser_session(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::new(&server);
    let answer = browser.post("/login", &[("email", &owner.email), ("password", PASSWORD)]).await;
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-keyturn_session=ktb_"), "{set}");
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=2592000"] {
        assert!(set.contains(attribute), "{attribute}: {set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let page = browser.list().await;
    assert!(page.contains("Firefox on Windows") && page.contains("This device"), "{page}");
    let sessions = server.sessions(&owner.access).await;
    let kinds: Vec<_> = sessions["sessions"].as_array().unwrap().iter().map(|session| &session["kind"]).collect();
    assert_eq!(kinds, [&json!("browser"), &json!("app")]);
    for table in ["sessions", "audit_log"] {
        assert!(!json!(server.rows(table)).to_string().contains(&browser.secret()[4..]), "{table}");
    }
    let before = browser.secret();
    let answer = browser.post("/logout", &[]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some("/login")));
    browser.cookies = Mutex::new(vec![(COOKIE.to_owned(), before)]);
    assert_eq!(browser.get(SESSIONS).await.status, 303);
}

async fn what_was_typed_wrong_is_told_and_kept(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::new(&server);
    for (email, password, status) in
        [(&*owner.email, "not the password", 401), ("nobody@example.com", PASSWORD, 401), ("no address", PASSWORD, 422)]
    {
        let answer = browser.post("/login", &[("email", email), ("password", password)]).await;
        let page = answer.assert_status(status).text();
        assert!(page.contains("role=\"alert\"") && page.contains(&format!("value=\"{email}\"")), "{page}");
        assert!(!page.contains(password) && answer.header("set-cookie").is_none(), "{page}");
    }
    let admin = administrator(&server).await;
    let path = format!("/api/v1/admin/users/{}", owner.user);
    server.patch(&path).bearer(&admin.access).json(&json!({"disabled": true})).send().await.assert_status(200);
    let answer = browser.post("/login", &[("email", &owner.email), ("password", PASSWORD)]).await;
    assert!(answer.assert_status(403).text().contains("This account is disabled."));
}

/// A login that waits for its second step: the page, and the token in its form.
async fn waiting(browser: &mut Browser, email: &str) -> String {
    let answer = browser.post("/login", &[("email", email), ("password", PASSWORD)]).await;
    let page = answer.assert_status(200).text();
    assert!(page.contains("autocomplete=\"one-time-code\"") && page.contains("inputmode=\"numeric\""), "{page}");
    let (_, rest) = page.split_once("name=\"mfa_token\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

async fn the_second_step_takes_a_code_of_the_app_or_a_recovery_code(server: Server) {
    let Person { tokens: owner, app, recovery_codes: codes } = person(&server, &server.clock).await;
    let mut browser = Browser::new(&server);
    let token = waiting(&mut browser, &owner.email).await;
    for (fields, status) in [(&[("code", "000000")][..], 401), (&[], 422)] {
        for (remember, is_checked) in [(&[][..], false), (&[("remember_device", "yes")], true)] {
            let fields = [&[("mfa_token", &*token)], fields, remember].concat();
            let wrong = browser.post("/login", &fields).await.assert_status(status).text();
            let chosen = wrong.contains("name=\"remember_device\" value=\"yes\" checked");
            assert!(wrong.contains(&token) && chosen == is_checked, "{wrong}");
        }
    }
    server.advance(60);
    let code = app.code(server.clock.now(), 0);
    let answer = browser.post("/login", &[("mfa_token", &token), ("code", &code), ("remember_device", "yes")]).await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(SESSIONS)), "{}", answer.text());
    assert!(browser.list().await.contains("in two steps"));
    // This browser is trusted from now on; another one is not, and takes a recovery code.
    assert!(!answer.set_cookies("__Secure-keyturn_device").is_empty());
    let again = browser.post("/login", &[("email", &owner.email), ("password", PASSWORD)]).await;
    assert_eq!(again.status, 303);
    let mut other = Browser::new(&server);
    let token = waiting(&mut other, &owner.email).await;
    let answer = other.post("/login", &[("mfa_token", &token), ("code", &codes[0])]).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let late = other.post("/login", &[("mfa_token", &token), ("code", &codes[1])]).await;
    assert!(late.assert_status(401).text().contains("That took too long."));
}

async fn a_login_is_completed_where_it_began(server: Server) {
    let Person { tokens: owner, recovery_codes: codes, .. } = person(&server, &server.clock).await;
    let mut browser = Browser::new(&server);
    let token = waiting(&mut browser, &owner.email).await;
    let body = json!({"mfa_token": token, "method": "recovery_code", "code": codes[0]});
    server.post("/api/v1/auth/mfa").json(&body).send().await.assert_problem(401, "invalid_mfa_token");
    let begun = server.try_login(&owner.email, PASSWORD).await.assert_status(200).json();
    let token = begun["mfa_token"].as_str().unwrap();
    browser.post("/login", &[("mfa_token", token), ("code", &codes[0])]).await.assert_status(401);
    let body = json!({"mfa_token": token, "method": "recovery_code", "code": codes[0]});
    server.post("/api/v1/auth/mfa").json(&body).send().await.assert_status(200);
}

async fn people_see_name_and_end_their_sessions(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let session = owner.session.0.to_string();
    let renamed = browser.post("/account/sessions/name", &[("session", &session), ("name", " My phone ")]).await;
    assert_eq!((renamed.status, renamed.header("location")), (303, Some(SESSIONS)));
    assert!(browser.list().await.contains("My phone"));
    let long = "x".repeat(101);
    let refused = browser.post("/account/sessions/name", &[("session", &session), ("name", &long)]).await;
    let page = refused.assert_status(422).text();
    assert!(page.contains(&long) && page.contains("aria-invalid=\"true\""), "{page}");
    browser.post("/account/sessions/name", &[("session", &session), ("name", "")]).await;
    assert!(!browser.list().await.contains("My phone"));

    let question = browser.get(&format!("/account/sessions/end?session={session}")).await;
    assert!(question.assert_status(200).text().contains("is logged out at once"));
    server.me(&owner.access).await.assert_status(200);
    let ended = browser.post("/account/sessions/end", &[("session", &session)]).await;
    assert_eq!((ended.status, ended.header("location")), (303, Some(SESSIONS)));
    server.me(&owner.access).await.assert_problem(401, "invalid_token");
    assert!(browser.list().await.contains("ended by you"));
}

async fn all_others_are_ended_at_once(server: Server) {
    let owner = server.register().await;
    let apps = [server.login(&owner.email).await, server.login(&owner.email).await];
    let elsewhere = Browser::logged_in(&server, &owner.email).await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    assert!(browser.get("/account/sessions/end").await.text().contains("\u{2068}4\u{2069} devices"));
    for incomplete in [&[][..], &[("session", "")]] {
        browser.post("/account/sessions/end", incomplete).await.assert_status(404);
    }
    server.me(&owner.access).await.assert_status(200);
    browser.post("/account/sessions/end", &[("all", "yes")]).await.assert_status(303);
    for tokens in apps.iter().chain([&owner]) {
        server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    }
    assert_eq!((elsewhere.get(SESSIONS).await.status, browser.get(SESSIONS).await.status), (303, 200));
}

async fn a_session_that_was_ended_elsewhere_opens_no_page_on_any_server(servers: Servers) {
    let other = servers.another().await;
    let owner = servers.register().await;
    let browser = Browser::logged_in(&servers, &owner.email).await;
    let there = Browser { cookies: Mutex::new(browser.cookies()), ..Browser::new(&other) };
    assert_eq!((browser.get(SESSIONS).await.status, there.get(SESSIONS).await.status), (200, 200));
    let sessions = servers.sessions(&owner.access).await;
    let session = sessions["sessions"].as_array().unwrap().iter().find(|session| session["kind"] == "browser").unwrap();
    let path = format!("/api/v1/sessions/{}", session["id"].as_str().unwrap());
    other.delete(&path).bearer(&owner.access).send().await.assert_status(204);
    assert_eq!((browser.get(SESSIONS).await.status, there.get(SESSIONS).await.status), (303, 303));
}

async fn the_sessions_of_others_are_nobody_elses_business(server: Server) {
    let (owner, stranger) = (server.register().await, server.register().await);
    let mut browser = Browser::logged_in(&server, &stranger.email).await;
    let session = owner.session.0.to_string();
    for id in [&*session, "x", "00000000-0000-0000-0000-000000000000"] {
        browser.get(&format!("/account/sessions/end?session={id}")).await.assert_status(404);
        browser.post("/account/sessions/name", &[("session", id), ("name", "mine")]).await.assert_status(404);
    }
    browser.post("/account/sessions/end", &[("session", &session)]).await;
    server.me(&owner.access).await.assert_status(200);
    assert!(!browser.list().await.contains(&session));
}

async fn forms_of_other_pages_change_nothing(server: Server) {
    let owner = server.register().await;
    let browser = Browser::logged_in(&server, &owner.email).await;
    let session = owner.session.0.to_string();
    let fields = [
        ("email", &*owner.email),
        ("password", PASSWORD),
        ("session", &*session),
        ("all", "yes"),
        ("name", "x"),
        ("new_email", "x@example.com"),
        ("current_password", PASSWORD),
        ("new_password", "copper lantern beneath willows"),
    ];
    let before = (server.rows("users"), server.count("audit_log"));
    let forms = crate::openapi::routes(&server).await.into_iter().filter(|(method, path)| {
        let is_page = ["/login", "/logout", "/register", "/forgot"].contains(&&**path);
        method == "POST" && (is_page || crate::strangers::is_page(method, path))
    });
    let forms: Vec<String> = forms.map(|(_, path)| path.replace("{id}", &owner.user.to_string())).collect();
    assert!(forms.len() >= 20, "{forms:?}");
    for path in &forms {
        let sent = || browser.request(form(&server, path, &fields));
        for request in [
            sent(),
            sent().header("origin", "null"),
            sent().header("origin", "https://evil.example"),
            sent().header("origin", "http://keyturn.example"),
            sent().header("origin", ORIGIN).header("origin", "https://evil.example"),
            sent().header("sec-fetch-site", "cross-site"),
            sent().header("sec-fetch-site", "same-site"),
            sent().header("sec-fetch-site", "none"),
        ] {
            let answer = request.send().await;
            assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{path}");
        }
    }
    assert_eq!((server.rows("users"), server.count("audit_log")), before);
    server.me(&owner.access).await.assert_status(200);
    assert!(browser.list().await.contains("This device"));
    // A browser that names no origin says that the page is of the same.
    let own = browser.request(form(&server, "/account/sessions/end", &[("session", &session)]));
    assert_eq!(own.header("sec-fetch-site", "same-origin").send().await.status, 303);
}

async fn a_browser_session_ends_without_use_and_in_any_case(backend: Backend) {
    let settings = [("BROWSER_SESSION_IDLE", "3600"), ("BROWSER_SESSION_MAX_LIFETIME", "7200")];
    let server = Server::with(backend, &settings).await;
    let owner = server.register().await;
    let idle = Browser::logged_in(&server, &owner.email).await;
    let used = Browser::logged_in(&server, &owner.email).await;
    for _ in 0..2 {
        server.advance(3500);
        used.list().await;
        // The use is recorded after the answer.
        let extended = "sessions WHERE kind = 'browser' AND last_active_at > created_at";
        until("the use to be recorded", async || (server.count(extended) == 1).then_some(())).await;
        server.sql("UPDATE sessions SET last_active_at = created_at WHERE kind = 'browser'");
    }
    assert_eq!((idle.get(SESSIONS).await.status, used.get(SESSIONS).await.status), (303, 200));
    server.advance(300);
    assert_eq!(used.get(SESSIONS).await.status, 303);
}

async fn the_cookie_opens_pages_alone(server: Server) {
    let owner = server.register().await;
    let browser = Browser::logged_in(&server, &owner.email).await;
    browser.get("/api/v1/auth/me").await.assert_problem(401, "missing_token");
    let secret = &*browser.secret();
    server.me(secret).await.assert_problem(401, "invalid_token");
    server.refreshing(secret).send().await.assert_problem(401, "invalid_refresh_token");
    // And no token opens a page.
    for text in [&*owner.access, &owner.refresh, &secret.replace("ktb_", "ktd_"), &format!("{secret}A"), ""] {
        let other =
            Browser { cookies: Mutex::new(vec![(COOKIE.to_owned(), text.to_owned())]), ..Browser::new(&server) };
        assert_eq!(other.get(SESSIONS).await.status, 303, "{text}");
    }
}

/// The id of the browser session of an account.
async fn browser_session(server: &Endpoint, access: &str) -> String {
    let sessions = server.sessions(access).await;
    let sessions = sessions["sessions"].as_array().unwrap();
    sessions.iter().find(|session| session["kind"] == "browser").unwrap()["id"].as_str().unwrap().to_owned()
}

fn within(server: &Endpoint, email: &str, parent: &str) -> Request {
    let body = json!({"email": email, "password": PASSWORD, "parent_id": parent, "device_name": "The app"});
    server.post("/api/v1/auth/login").json(&body)
}

async fn an_app_logs_in_within_a_browser_session_and_ends_with_it(server: Server) {
    let Person { tokens: owner, recovery_codes: codes, .. } = person(&server, &server.clock).await;
    let mut browser = Browser::new(&server);
    let token = waiting(&mut browser, &owner.email).await;
    browser.post("/login", &[("mfa_token", &token), ("code", &codes[0])]).await.assert_status(303);
    let parent = browser_session(&server, &owner.access).await;
    let begun = within(&server, &owner.email, &parent).send().await.assert_status(200).json();
    let body = json!({"mfa_token": begun["mfa_token"], "method": "recovery_code", "code": codes[1]});
    let app = server.post("/api/v1/auth/mfa").json(&body).send().await;
    let app = crate::support::Tokens::of(app.assert_status(200));
    let shown = server.get(&format!("/api/v1/sessions/{}", app.session)).bearer(&owner.access).send().await.json();
    assert_eq!(shown["parent_id"], json!(parent), "{shown}");
    let list = browser.list().await;
    assert!(list.contains("<h3>Apps</h3>") && list.contains("The app"), "{list}");
    let path = format!("/api/v1/sessions/{parent}");
    server.delete(&path).bearer(&owner.access).send().await.assert_status(204);
    server.me(&app.access).await.assert_problem(401, "invalid_token");
    server.refreshing(&app.refresh).send().await.assert_problem(401, "session_revoked");
    server.me(&owner.access).await.assert_status(200);
}

async fn an_app_logs_in_within_no_other_session(server: Server) {
    let (owner, stranger) = (server.register().await, server.register().await);
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let _theirs = Browser::logged_in(&server, &stranger.email).await;
    let own = browser_session(&server, &owner.access).await;
    let theirs = browser_session(&server, &stranger.access).await;
    let app = owner.session.0.to_string();
    let before = server.count("sessions");
    for parent in [&*theirs, &app, "00000000-0000-0000-0000-000000000000"] {
        within(&server, &owner.email, parent).send().await.assert_problem(422, "invalid_input");
    }
    within(&server, &owner.email, "x").send().await.assert_status(422);
    browser.post("/logout", &[]).await;
    within(&server, &owner.email, &own).send().await.assert_problem(422, "invalid_input");
    assert_eq!(server.count("sessions"), before);
}

async fn no_app_is_left_behind_when_its_browser_session_ends_meanwhile(backend: Backend) {
    let server = Server::with(backend, &crate::mfa::NO_LIMITS).await;
    let owner = server.register().await;
    for _ in 0..3 {
        let mut browser = Browser::logged_in(&server, &owner.email).await;
        let parent = browser_session(&server, &owner.access).await;
        let logins = (0..4).map(|_| within(&server, &owner.email, &parent));
        let (answers, ended) = tokio::join!(crate::support::http::at_once(logins), browser.post("/logout", &[]));
        assert_eq!(ended.status, 303);
        for answer in answers {
            assert!([200, 422].contains(&answer.status), "{answer:?}");
            if answer.status == 200 {
                let app = crate::support::Tokens::of(&answer);
                server.me(&app.access).await.assert_problem(401, "invalid_token");
            }
        }
    }
}

async fn what_people_and_programs_choose_shows_as_text(server: Server) {
    let owner = server.register().await;
    let mut browser = Browser::logged_in(&server, &owner.email).await;
    let session = owner.session.0.to_string();
    for text in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onfocus='alert(1)' autofocus='",
        "{{ 7 * 7 }} {% include 'docs.html' %}",
        "&lt;b&gt;",
        "javascript:alert(1)",
    ] {
        browser.post("/account/sessions/name", &[("session", &session), ("name", text)]).await.assert_status(303);
        let login = json!({"email": owner.email, "password": PASSWORD});
        server.post("/api/v1/auth/login").header("user-agent", text).json(&login).send().await.assert_status(200);
        let kept = browser.post("/login", &[("email", text), ("password", "x")]).await.assert_status(422).text();
        for page in [browser.list().await, kept] {
            for markup in ["<script>", "<img", " onfocus='", "<b>"] {
                assert!(!page.contains(markup), "{markup}: {page}");
            }
        }
    }
}
