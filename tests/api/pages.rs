//! The pages that links in emails lead to, as a browser without script uses them.

use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use crate::recovery::{
    CHANGE, NEW_PASSWORD, NOT_ME, Post, RESET_LINK, TO_NEW, TO_OLD, VERIFICATION, VERIFY, address, with_token,
};
use crate::support::{Backend, PASSWORD, Request, Response, Server, Tokens};

both_backends! {
    an_address_is_verified_on_its_page,
    a_password_is_reset_on_its_page,
    an_account_is_moved_on_the_page_of_either_address,
    who_was_not_it_says_so_on_a_page,
    a_link_that_is_followed_changes_nothing,
    a_link_that_is_not_good_leads_to_a_page_that_says_so,
    a_form_of_another_kind_gets_a_page_with_its_status,
    pages_are_limited_by_address,
    a_page_loads_its_style_alone_and_tells_nobody_of_its_token,
    the_style_of_a_page_may_be_kept_for_ever,
}

pub const PATHS: [&str; 5] = [
    "/account/verify-email",
    "/account/reset-password",
    "/account/confirm-email-change",
    "/account/not-me",
    "/account/cancel-deletion",
];

/// A page as it was answered.
pub struct Shown(pub Response);

impl Shown {
    #[track_caller]
    pub fn of(answer: Response, status: u16) -> Self {
        answer.assert_status(status);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let html = answer.text();
        assert!(
            html.starts_with("<!doctype html>\n<html lang=\"en\" dir=\"ltr\">") && html.ends_with("</html>"),
            "{html}"
        );
        assert!(html.contains("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"), "{html}");
        assert!(html.contains("<p class=\"site\" translate=\"no\">keyturn.example</p>"), "{html}");
        Self(answer)
    }

    pub fn title(&self) -> String {
        let html = self.text();
        let heading = between(&html, "<h1", "</h1>");
        heading.split_once('>').unwrap().1.to_owned()
    }

    /// The HTML without the marks that keep the direction of values from that of the text around them.
    pub fn text(&self) -> String {
        self.0.text().replace(['\u{2068}', '\u{2069}'], "")
    }

    /// Presses the button: sends the form's hidden field, and what was typed.
    pub fn press(&self, server: &Server, path: &str, typed: &[(&str, &str)]) -> Request {
        let html = self.0.text();
        assert_eq!(between(&html, "<form method=\"post\" action=\"", "\">"), path.rsplit_once('/').unwrap().1);
        let token = between(&html, "<input type=\"hidden\" name=\"token\" value=\"", "\">");
        let fields: Vec<(&str, &str)> = [("token", &*token)].into_iter().chain(typed.iter().copied()).collect();
        form(server, path, &fields)
    }
}

#[track_caller]
pub fn between(text: &str, from: &str, to: &str) -> String {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("no {from}: {text}"));
    rest.split_once(to).unwrap_or_else(|| panic!("no {to}: {text}")).0.to_owned()
}

fn form(server: &Server, path: &str, fields: &[(&str, &str)]) -> Request {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    server.post(path).header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// Follows a link of an email.
pub async fn follow(server: &Server, link: &url::Url) -> Response {
    server.get(&format!("{}?{}", link.path(), link.query().unwrap())).send().await
}

async fn an_address_is_verified_on_its_page(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let link = post.email(&tokens.email, VERIFICATION, 1).await.link();
    let page = Shown::of(follow(server, &link).await, 200);
    assert_eq!(page.title(), "Did you create this account?");
    assert!(page.0.text().contains(&tokens.email));
    let done = Shown::of(page.press(server, link.path(), &[]).send().await, 200);
    assert_eq!(done.title(), "Your email address is verified");
    assert_eq!(server.me(&tokens.access).await.json()["user"]["email_verified"], true);
    Shown::of(page.press(server, link.path(), &[]).send().await, 400);
}

async fn a_password_is_reset_on_its_page(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    post.reset_token(&tokens.email, 1).await;
    let link = post.email(&tokens.email, RESET_LINK, 1).await.link();
    let page = Shown::of(follow(server, &link).await, 200);
    assert!(page.0.text().contains("name=\"new_password\" type=\"password\" autocomplete=\"new-password\""));
    let weak = Shown::of(page.press(server, link.path(), &[("new_password", "password1234")]).send().await, 422);
    assert_eq!(weak.title(), page.title());
    let html = weak.0.text();
    assert!(
        html.contains("id=\"new_password-error\">This password is easy to guess.") && !html.contains("password1234"),
        "{html}"
    );
    Shown::of(page.press(server, link.path(), &[]).send().await, 422);
    server.me(&tokens.access).await.assert_status(200);

    let typed = [("username", &*tokens.email), ("new_password", NEW_PASSWORD)];
    let done = Shown::of(weak.press(server, link.path(), &typed).send().await, 200);
    assert_eq!(done.title(), "Your password is set");
    server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    server.try_login(&tokens.email, NEW_PASSWORD).await.assert_status(200);
    Shown::of(page.press(server, link.path(), &typed).send().await, 400);
}

async fn an_account_is_moved_on_the_page_of_either_address(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let (tokens, new) = (server.register().await, address());
    let ask = async |to: &str| {
        let body = serde_json::json!({"new_email": to});
        server.post(CHANGE).bearer(&tokens.access).json(&body).send().await.assert_status(202);
    };
    ask(&new).await;
    let old_link = post.email(&tokens.email, TO_OLD, 1).await.link();
    let new_link = post.email(&new, TO_NEW, 1).await.link();
    let (old_page, new_page) =
        (Shown::of(follow(server, &old_link).await, 200), Shown::of(follow(server, &new_link).await, 200));
    assert!(old_page.text().contains(&format!("from {} to {new}", tokens.email)));
    assert!(new_page.0.text().contains(&new) && !new_page.0.text().contains(&tokens.email));
    let half = Shown::of(old_page.press(server, old_link.path(), &[]).send().await, 200);
    assert_eq!(half.title(), "One more address to confirm");
    let whole = Shown::of(new_page.press(server, new_link.path(), &[]).send().await, 200);
    assert_eq!(whole.title(), "Your email address is changed");
    server.login(&new).await;
}

async fn who_was_not_it_says_so_on_a_page(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let token = post.reset_token(&tokens.email, 1).await;
    crate::recovery::reset(server, &token, NEW_PASSWORD).send().await.assert_status(204);
    let again = Tokens::of(&server.try_login(&tokens.email, NEW_PASSWORD).await);
    let link = post.email(&tokens.email, crate::recovery::CHANGED, 1).await.link();
    let page = Shown::of(follow(server, &link).await, 200);
    let done = Shown::of(page.press(server, link.path(), &[]).send().await, 200);
    assert_eq!(done.title(), "We have logged them out");
    server.me(&again.access).await.assert_problem(401, "invalid_token");
    post.email(&tokens.email, RESET_LINK, 2).await;
}

async fn a_link_that_is_followed_changes_nothing(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let link = post.email(&tokens.email, VERIFICATION, 1).await.link();
    let state = || (server.rows("users"), server.rows("opaque_tokens"));
    let before = state();
    for method in ["GET", "HEAD", "GET"] {
        let target = format!("{}?{}&utm_source=mail", link.path(), link.query().unwrap());
        server.request(method, &target).send().await.assert_status(200);
    }
    // A scanner may even send the link's query, but not the form.
    let target = format!("{}?{}", link.path(), link.query().unwrap());
    assert_eq!(server.post(&target).send().await.status, 415);
    assert_eq!(form(server, &target, &[]).send().await.status, 400);
    assert_eq!(state(), before);
}

async fn a_link_that_is_not_good_leads_to_a_page_that_says_so(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let token = post.email(&tokens.email, VERIFICATION, 1).await.token();
    let unknown = format!("kto_{}", "A".repeat(43));
    for path in PATHS {
        let mut titles = Vec::new();
        for query in [String::new(), "?token=".to_owned(), "?token=%22%3E".to_owned(), format!("?token={unknown}")] {
            titles.push(Shown::of(server.get(&format!("{path}{query}")).send().await, 400).title());
        }
        let fields = [("token", &*unknown), ("new_password", NEW_PASSWORD)];
        titles.push(Shown::of(form(server, path, &fields).send().await, 400).title());
        if path != "/account/verify-email" {
            // Good, but for something else.
            titles.push(Shown::of(server.get(&format!("{path}?token={token}")).send().await, 400).title());
            let fields = [("token", &*token), ("new_password", NEW_PASSWORD)];
            titles.push(Shown::of(form(server, path, &fields).send().await, 400).title());
        }
        assert!(titles.iter().all(|title| title == "This link does not work"), "{titles:?}");
    }
    with_token(server, NOT_ME, &token).send().await.assert_status(400);
    with_token(server, VERIFY, &token).send().await.assert_status(204);
    server.try_login(&tokens.email, PASSWORD).await.assert_status(200);
}

async fn a_form_of_another_kind_gets_a_page_with_its_status(server: Server) {
    for path in PATHS {
        Shown::of(server.post(path).json(&serde_json::json!({"token": "x"})).send().await, 415);
        let large = "x".repeat(64 * 1024 + 1);
        Shown::of(form(&server, path, &[("token", &large)]).send().await, 413);
        server.request("PUT", path).send().await.assert_problem(405, "method_not_allowed");
    }
}

async fn pages_are_limited_by_address(backend: Backend) {
    let server = Server::with(backend, &[("LIMIT_LOGIN_ADDRESS", "2/3600")]).await;
    Shown::of(server.get(PATHS[0]).send().await, 400);
    Shown::of(form(&server, PATHS[1], &[]).send().await, 400);
    let limited = Shown::of(server.get(PATHS[2]).send().await, 429);
    assert!(limited.0.header("retry-after").is_some() && limited.0.header("ratelimit-reset").is_some());
    Shown::of(form(&server, PATHS[3], &[]).send().await, 429);
}

async fn a_page_loads_its_style_alone_and_tells_nobody_of_its_token(backend: Backend) {
    let post = Post::on(backend).await;
    let server = &post.server;
    let tokens = server.register().await;
    let link = post.email(&tokens.email, VERIFICATION, 1).await.link();
    for page in [follow(server, &link).await, server.get(PATHS[0]).send().await] {
        let html = page.text();
        assert_eq!(page.all_headers("content-security-policy"), [policy("'self'")]);
        assert_eq!(page.all_headers("referrer-policy"), ["no-referrer"]);
        assert_eq!(page.all_headers("x-frame-options"), ["DENY"]);
        let links: Vec<&str> = html.matches("<link").collect();
        assert_eq!(links.len(), 2, "an empty icon, and the style: {html}");
        assert!(html.contains("<link rel=\"icon\" href=\"data:,\">"), "{html}");
        for loading in ["<script", "<style", "<img", "src=", "url(", "http://", "https://", "@import", "style="] {
            assert!(!html.contains(loading), "{loading}: {html}");
        }
    }
    // Every other answer keeps the policy under which nothing is shown at all.
    let other = server.get("/health/live").send().await;
    assert_eq!(other.all_headers("content-security-policy"), ["default-src 'none'; frame-ancestors 'none'"]);
}

/// The content security policy of a page whose forms go to `form_action`.
pub fn policy(form_action: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         form-action {form_action}; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
}

async fn the_style_of_a_page_may_be_kept_for_ever(server: Server) {
    let html = server.get("/").send().await.text().replace("&#x2f;", "/");
    let path = between(&html, "<link rel=\"stylesheet\" href=\"", "\"");
    let style = server.get(&path).send().await;
    style.assert_status(200);
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(style.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let digest: String = Sha256::digest(style.text()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(path, format!("/assets/style.{digest}.css"));
    for seen in ["prefers-color-scheme: dark", "forced-colors: active", "prefers-reduced-motion"] {
        assert!(style.text().contains(seen), "{seen}");
    }
    for loading in ["url(", "@import", "http:", "https:"] {
        assert!(!style.text().contains(loading), "{loading}");
    }
    // A page of another version, behind the same proxy, has style too; nobody keeps it under that name.
    let other = server.get(&path.replace(&digest, "0123456789abcdef")).send().await;
    assert_eq!((other.status, other.header("cache-control")), (200, Some("no-store")));
    assert_eq!(other.text(), style.text());
    for unknown in ["style.css", "style..css", "style.0123.css", "style.0123456789abcdef.js", "..%2fsecret", "x"] {
        server.get(&format!("/assets/{unknown}")).send().await.assert_problem(404, "not_found");
    }
    server.post(&path).send().await.assert_problem(405, "method_not_allowed");
}
