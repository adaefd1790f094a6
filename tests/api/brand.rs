//! The look of pages and emails, as operators set it.

use serde_json::json;

use crate::pages::between;
use crate::recovery::{Post, VERIFICATION};
use crate::support::clients::{node, own_address};
use crate::support::folder::Folder;
use crate::support::process::{command, try_serve};
use crate::support::{Backend, Deployment, Process, Server, until, variable};

embedded_only! {
    name_and_colour_are_those_of_the_brand,
    pages_have_the_brand_from_the_first_paint_on,
    the_logo_is_a_file_that_runs_nothing,
    what_cannot_be_read_or_shown_stops_the_start,
    templates_of_pages_take_the_places_of_those_of_their_names,
    templates_of_pages_are_reloaded,
}

const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 8 8\"><script>alert(1)</script>\
                   <rect width=\"8\" height=\"8\" fill=\"#5b21b6\"/></svg>";

async fn name_and_colour_are_those_of_the_brand(backend: Backend) {
    let settings = [("BRAND_NAME", "Ann's <Shop>"), ("BRAND_COLOR", "#5b21b6 #c4b5fd")];
    let post = Post::with(backend, &settings).await;
    let page = post.server.get("/login").send().await.assert_status(200).text();
    assert!(page.contains("translate=\"no\">Ann&#x27;s &lt;Shop&gt;</p>"), "{page}");
    assert!(!page.contains("style=") && !page.contains("<style"), "{page}");
    let style = between(&page, "<link rel=\"stylesheet\" href=\"", "\"").replace("&#x2f;", "/");
    let style = post.server.get(&style).send().await;
    assert_eq!(style.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let style = style.text();
    assert!(style.contains("\n:root { --accent: #5b21b6; --accent-strong: "), "{style}");
    assert!(style.contains("@media (prefers-color-scheme: dark) { :root { --accent: #c4b5fd; "), "{style}");
    let other = Server::with(backend, &[]).await;
    assert!(other.get("/login").send().await.text().contains("translate=\"no\">keyturn.example</p>"));
    let person = post.server.register().await;
    let email = post.email(&person.email, VERIFICATION, 1).await;
    assert_eq!(email.subject(), "Confirm your email address for Ann's <Shop>");
    assert!(
        email.html().contains("background:#5b21b6;color:#ffffff") && email.html().contains("Ann&#x27;s &lt;Shop&gt;")
    );
}

async fn pages_have_the_brand_from_the_first_paint_on(backend: Backend) {
    let folder = Folder::new();
    let logo = folder.path().join("logo.svg");
    std::fs::write(&logo, SVG).unwrap();
    let (own, url) = own_address();
    let own: Vec<(&str, &str)> = own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let brand = [("BRAND_NAME", "Shop"), ("BRAND_COLOR", "#5b21b6"), ("BRAND_LOGO", logo.to_str().unwrap())];
    let _server = Server::with(backend, &[&own[..], &brand].concat()).await;
    let paths = ["/login", "/register", "/forgot"];
    let given = json!({"chromium": variable("KEYTURN_TEST_CHROMIUM"), "url": url, "paths": paths});
    let report = node("first_paint.mjs", given).await;
    assert_eq!(report, json!({"/login": true, "/register": true, "/forgot": true}));
}

async fn the_logo_is_a_file_that_runs_nothing(backend: Backend) {
    let folder = Folder::new();
    let png = [&b"\x89PNG\r\n\x1a\n"[..], &[0; 64]].concat();
    for (name, content, kind) in [("a.svg", SVG.as_bytes(), "image/svg+xml"), ("a.png", &png, "image/png")] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let server = Server::with(backend, &[("BRAND_LOGO", path.to_str().unwrap())]).await;
        let page = server.get("/login").send().await.assert_status(200).text();
        let logo = between(&page, "<img class=\"logo\" src=\"", "\" alt=\"\">").replace("&#x2f;", "/");
        let answer = server.get(&logo).send().await;
        assert_eq!(answer.assert_status(200).header("content-type"), Some(kind));
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert_eq!(policy.contains("sandbox"), kind == "image/svg+xml", "{policy}");
        assert_eq!(answer.body, content);
    }
    let server = Server::with(backend, &[]).await;
    assert!(!server.get("/login").send().await.text().contains("<img"));
    server.get("/assets/logo.0123456789abcdef.svg").send().await.assert_problem(404, "not_found");
}

async fn what_cannot_be_read_or_shown_stops_the_start(backend: Backend) {
    let deployment = Deployment::new(backend);
    let folder = Folder::new();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (large, other) = (write("large.svg", &[b'<'; 65_537]), write("logo.gif", b"GIF89a"));
    for (name, value, told) in [
        ("BRAND_COLOR", "#fde047", "4.5:1 to the page background #f5f4f1 of the light theme, #fde047 has 1.19:1"),
        ("BRAND_COLOR", "blue", "must be a colour such as #2250b5"),
        ("BRAND_NAME", "a\u{7}b", "contains a control character"),
        ("BRAND_LOGO", &large, "must have 65536 bytes at the most, has 65537"),
        ("BRAND_LOGO", &other, "must be the path of an image"),
        ("BRAND_LOGO", "/nonexistent.svg", "cannot be read"),
        ("PAGE_TEMPLATES", "/nonexistent", "cannot be read"),
    ] {
        let (code, said) = try_serve(&deployment, &[(name, value)]);
        assert!(code.is_some_and(|code| code != 0) && said.contains(told), "{name}: {said}");
    }
    for (name, source, told) in [
        ("logn.html", "", "logn.html is not one of the templates base.html"),
        ("login.fr.html", "", "login.fr.html is not one of the templates base.html"),
        ("login.html", "{% if", "PAGE_TEMPLATES: login.html: syntax error"),
        ("login.html", "{% extends \"bas.html\" %}", "PAGE_TEMPLATES: login.html: template not found"),
        (
            "login.de.html",
            "{{ t(\"login-titel\") }}",
            "PAGE_TEMPLATES: login.de.html: invalid operation: there is no text",
        ),
        ("base.html", "{{ asset(\"own.css\") }}", "no asset own.css"),
    ] {
        let folder = Folder::new();
        std::fs::write(folder.path().join(name), source).unwrap();
        let settings = [("PAGE_TEMPLATES", folder.path().to_str().unwrap())];
        for arguments in [&["serve"][..], &["config", "check"]] {
            let output = command(&deployment, &settings).args(arguments).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert!(!output.status.success() && said.contains(told), "{arguments:?} {name}: {said}");
        }
    }
}

async fn templates_of_pages_take_the_places_of_those_of_their_names(backend: Backend) {
    let folder = Folder::new();
    let write = |name: &str, source: &str| std::fs::write(folder.path().join(name), source).unwrap();
    write("login.html", "<p lang=\"{{ lang }}\">{{ t(\"login-title\") }} {{ site }}</p>");
    write("login.de.html", "<b>{{ email.never.there }}</b>");
    let server = Server::with(backend, &[("PAGE_TEMPLATES", folder.path().to_str().unwrap())]).await;
    let own = server.get("/login").send().await;
    assert_eq!(own.assert_status(200).text(), "<p lang=\"en\">Log in keyturn.example</p>");
    // One that fails leaves the page to the built-in one.
    let built_in = server.get("/login").header("accept-language", "de").send().await.assert_status(200).text();
    assert!(built_in.contains("<html lang=\"de\"") && built_in.contains("name=\"password\""), "{built_in}");
    assert!(server.get("/").send().await.text().contains("<html lang=\"en\""));
}

async fn templates_of_pages_are_reloaded(backend: Backend) {
    let folder = Folder::new();
    let write = |source: &str| std::fs::write(folder.path().join("login.html"), source).unwrap();
    write("first");
    let process = Process::with(backend, &[("PAGE_TEMPLATES", folder.path().to_str().unwrap())]);
    let shown = async || process.get("/login").send().await.text();
    assert_eq!(shown().await, "first");
    write("second");
    process.signal("HUP");
    until("the second", async || (shown().await == "second").then_some(())).await;
    write("{% if");
    process.signal("HUP");
    until("the refusal", async || process.log().contains("nothing was reloaded").then_some(())).await;
    assert_eq!(shown().await, "second");
}
