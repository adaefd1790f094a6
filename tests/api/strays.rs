//! What is answered where nothing is: a page to browsers, problem details to programs.

use crate::console::console;
use crate::support::Server;

both_backends! {
    a_browser_gets_a_page_where_none_is,
    a_program_gets_problem_details_where_nothing_is,
}

/// What browsers accept when they open a page.
const PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn a_browser_gets_a_page_where_none_is(server: Server) {
    let (browser, _) = console(&server).await;
    for (language, title) in [("en", "Not found"), ("de", "Nicht gefunden")] {
        for path in ["/nope", "/account/nope", "/admin/nope", "/.well-known/nope", "/apis"] {
            let request = server.get(path).header("accept", PAGE).header("accept-language", language);
            let answer = request.send().await;
            let html = answer.assert_status(404).text().replace("&#x2f;", "/");
            assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
            assert!(html.contains(&format!("<html lang=\"{language}\"")) && html.contains(title), "{path}: {html}");
            assert!(html.contains("href=\"/login\"") && html.contains("href=\"/\""), "{path}: {html}");
        }
    }
    let own = server.get("/nope").header("accept", PAGE).header("cookie", &browser.cookie()).send().await;
    let html = own.assert_status(404).text().replace("&#x2f;", "/");
    assert!(html.contains("href=\"/account/sessions\"") && html.contains("action=\"/logout\""), "{html}");
    // A method that is not possible, too.
    let posted = server.post("/account/activity").header("accept", PAGE).send().await;
    assert!(posted.assert_status(405).text().contains("<main"), "{}", posted.text());
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
}

async fn a_program_gets_problem_details_where_nothing_is(server: Server) {
    server.get("/nope").send().await.assert_problem(404, "not_found");
    for (path, accept) in [
        ("/nope", "application/json"),
        ("/nope", "application/json, text/html"),
        ("/nope", "*/*"),
        ("/api", PAGE),
        ("/api/v1/nope", PAGE),
    ] {
        server.get(path).header("accept", accept).send().await.assert_problem(404, "not_found");
    }
    let posted = server.post("/api/v1/auth/me").header("accept", PAGE).send().await;
    posted.assert_problem(405, "method_not_allowed");
}
