//! The first page and the API explorer, as a browser shows them.

use serde_json::json;

use crate::openapi::routes;
use crate::pages::{Shown, between, policy};
use crate::support::clients::{node, own_address};
use crate::support::{Backend, PASSWORD, Response, Server, variable};

both_backends! {
    the_first_page_says_what_this_is_and_where_to_go_on,
    the_first_page_of_a_public_server_sends_people_to_their_app,
    the_explorer_has_every_operation_of_the_document,
    the_explorer_loads_its_own_files_and_calls_this_server_alone,
    the_explorer_can_be_disabled,
    a_visitor_registers_and_looks_around_in_the_explorer,
}

/// Where the links of a page lead.
fn links(page: &Response) -> Vec<String> {
    page.text().split("<a href=\"").skip(1).map(|rest| rest.split_once('"').unwrap().0.replace("&#x2f;", "/")).collect()
}

async fn the_first_page_says_what_this_is_and_where_to_go_on(backend: Backend) {
    let (address, url) = own_address();
    let settings: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::with(backend, &settings).await;
    crate::audit::administrator(&server).await;
    let page = server.get("/").send().await;
    page.assert_status(200);
    let html = page.text().replace("&#x2f;", "/");
    for said in [">keyturn works</h1>", "an auth server", "log of the server", "docs/guides", &url, "keyturn</code>"] {
        assert!(html.contains(said), "{said}: {html}");
    }
    for link in links(&page) {
        let status = if link == "/account/sessions" { 303 } else { 200 };
        server.get(&link).send().await.assert_status(status);
    }
    assert!(["/docs", "/openapi.json"].iter().all(|path| links(&page).contains(&(*path).to_owned())), "{html}");
    let head = server.request("HEAD", "/").send().await;
    assert_eq!((head.status, head.text()), (200, String::new()));
}

async fn the_first_page_of_a_public_server_sends_people_to_their_app(backend: Backend) {
    let server = Server::with(backend, &[("PUBLIC_URL", "https://keyturn.example/auth")]).await;
    crate::audit::administrator(&server).await;
    let page = server.get("/").send().await;
    let html = page.assert_status(200).text();
    assert!(html.contains("To log in to an app or a website, open it."), "{html}");
    for said in ["<script>", "<form", "audience", "log of the server", "docs/guides"] {
        assert!(!html.contains(said), "{said}: {html}");
    }
    // Behind a proxy that strips the path of `PUBLIC_URL`.
    let style = between(&html, "<link rel=\"stylesheet\" href=\"", "\"").replace("&#x2f;", "/");
    for link in links(&page).into_iter().chain([style]) {
        let status = if link.ends_with("/account/sessions") { 303 } else { 200 };
        server.get(link.strip_prefix("/auth").unwrap()).send().await.assert_status(status);
    }
}

async fn the_explorer_has_every_operation_of_the_document(server: Server) {
    let html = Shown::of(server.get("/docs").send().await, 200).0.text().replace("&#x2f;", "/");
    for (method, path) in routes(&server).await {
        assert!(
            html.contains(&format!("<span class=\"method\">{method}</span> <code>{path}</code>")),
            "{method} {path}"
        );
        let is_page = path.starts_with("/account/")
            || path.starts_with("/admin/")
            || ["/", "/login", "/register", "/forgot"].contains(&&*path);
        let is_form = (is_page || path.starts_with("/oauth/")) && method == "POST" && path != "/account/acting/end";
        let form = format!("<form data-method=\"{method}\" data-path=\"{path}\"");
        assert_eq!(html.contains(&form), !is_form, "{method} {path}");
    }
    let login = between(&html, "<details id=\"log_in\">", "</details>");
    for shown in [
        "<code>email</code>",
        "required",
        "idn-email",
        "&quot;refresh_token&quot;: &quot;ktr_",
        "<code>invalid_credentials</code>: The email address or the password is wrong.",
        "ada@example.com",
    ] {
        assert!(login.contains(shown), "{shown}: {login}");
    }
    // Of a field that may be null the description stands beside the reference to its type.
    let me = between(&html, "<details id=\"update_me\">", "</details>");
    assert!(me.contains("<code>null</code> removes the name; without this field it stays."), "{me}");
    // What is code is shown as such.
    let text = html.replace("<code>", "").replace("</code>", "");
    let texts = text.split("<script>").next().unwrap();
    assert!(!texts.contains('`'), "{}", texts.split('`').nth(1).unwrap_or_default());
    // No value of a schema is without a kind.
    assert!(!html.contains("$ref") && !html.contains("<td></td><td></td>"), "{html}");
    assert_eq!(
        html,
        server.get("/docs").send().await.text().replace("&#x2f;", "/"),
        "the second time, as it was rendered"
    );
}

async fn the_explorer_loads_its_own_files_and_calls_this_server_alone(server: Server) {
    let page = server.get("/docs").send().await;
    let html = page.text();
    assert_eq!(page.all_headers("content-security-policy"), [policy("'none'")]);
    let head = between(&html, "<head>", "</head>").replace("&#x2f;", "/");
    let files: Vec<&str> = head.split("\"/assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        let content = server.get(&format!("/assets/{file}")).send().await.assert_status(200).text();
        for loading in ["url(", "http://", "https://", "@import", "import ", "innerHTML", "eval("] {
            assert!(!content.contains(loading), "{file}: {loading}");
        }
    }
    for loading in ["<style", "<img", "url(", "http://", "https://", "@import", "style=", " onclick="] {
        let found = html.find(loading).map(|at| html[at..].chars().take(60).collect::<String>());
        assert!(found.is_none(), "{loading}: {found:?}");
    }
    assert!(html.len() < 450_000, "{} bytes", html.len());
}

async fn the_explorer_can_be_disabled(backend: Backend) {
    let server = Server::with(backend, &[("API_DOCS", "false"), ("PUBLIC_URL", "http://localhost:8080")]).await;
    server.get("/docs").send().await.assert_problem(404, "not_found");
    crate::audit::administrator(&server).await;
    let page = Shown(server.get("/").send().await);
    assert_eq!(page.title(), "keyturn works");
    assert!(!links(&page.0).contains(&"/docs".to_owned()) && !page.0.text().contains("explorer"), "{}", page.0.text());
    server.get("/openapi.json").send().await.assert_status(200);
}

async fn a_visitor_registers_and_looks_around_in_the_explorer(backend: Backend) {
    let (address, url) = own_address();
    let settings: Vec<(&str, &str)> = address.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let server = Server::with(backend, &settings).await;
    let given = json!({"chromium": variable("KEYTURN_TEST_CHROMIUM"), "url": url, "password": PASSWORD});
    let seen = node("explorer.mjs", given).await;
    let registered = &seen["registered"];
    assert!(registered.as_str().unwrap().starts_with("201 Created"), "{seen}");
    assert!(seen["me"].as_str().unwrap().contains("\"email\": \"visitor@example.com\""), "{seen}");
    assert!(seen["renamed"].as_str().unwrap().contains("\"name\": \"in the explorer\""), "{seen}");
    assert!(seen["limited"].as_str().unwrap().contains("\"limit\": 1"), "{seen}");
    assert!(seen["refused"].as_str().unwrap().starts_with("422 "), "{seen}");
    // Nothing went elsewhere, nothing was refused by the policy, and a link to an operation opens it.
    assert_eq!((&seen["hosts"], &seen["errors"]), (&json!([url.trim_start_matches("http://")]), &json!([])), "{seen}");
    assert_eq!(seen["open"], json!(["list_sessions"]), "{seen}");
    assert_eq!(server.count("users"), 1);
}
