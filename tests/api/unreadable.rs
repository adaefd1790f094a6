//! What can be read is read, in whatever form clients send it; what cannot be read never says that a session has ended.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::deployment::PUBLIC_URL;
use crate::support::http::Pending;
use crate::support::{PASSWORD, Request, Response, Server, Tokens};

const LOGIN: &str = "/api/v1/auth/login";
const LOGOUT: &str = "/api/v1/auth/logout";
const ME: &str = "/api/v1/auth/me";
const VERIFY: &str = "/api/v1/auth/verify";
const REFRESH: &str = "/api/v1/sessions/refresh";

const ACCESS_COOKIE: &str = "__Host-keyturn_access";
const REFRESH_COOKIE: &str = "__Secure-keyturn_refresh";

/// The mark that some programs put before a text in UTF-8.
const MARK: &str = "\u{feff}";

both_backends! {
    a_refresh_by_cookie_takes_every_form_of_no_body,
    a_refresh_token_in_the_body_comes_before_the_cookie,
    a_byte_order_mark_before_json_is_read_on_every_route,
    a_malformed_authorization_is_no_refused_token,
    two_authorizations_are_refused,
    a_malformed_refresh_is_no_end_of_the_session,
    a_header_that_decides_is_not_sent_twice_with_different_values,
    a_compressed_body_is_refused_as_such,
}

/// The cookies of a new session.
async fn cookies(server: &Server) -> (String, String) {
    let tokens = server.register().await;
    let body = json!({"email": tokens.email, "password": PASSWORD, "transport": "cookie"});
    let answer = server.post(LOGIN).json(&body).send().await;
    let cookie = |name: &str| format!("{name}={}", answer.set_cookies(name)[0].0);
    (cookie(ACCESS_COOKIE), cookie(REFRESH_COOKIE))
}

fn by_cookie(server: &Server, cookie: &str) -> Request {
    server.post(REFRESH).header("cookie", cookie).header("origin", PUBLIC_URL)
}

/// The forms in which clients send a refresh that has nothing to say.
fn without_content(request: &Request) -> Vec<Request> {
    let json = |request: Request| request.header("content-type", "application/json");
    let chunked = |request: Request, body: &str| request.header("transfer-encoding", "chunked").body(body);
    let request = || request.clone();
    vec![
        request(),
        json(request()),
        json(request()).body("{}"),
        json(request()).body(" {\n} "),
        json(request()).body("{\"refresh_token\": null}"),
        json(request()).body(MARK),
        json(request()).body(format!("{MARK}{{}}")),
        chunked(json(request()), "0\r\n\r\n"),
        chunked(request(), "0\r\n\r\n"),
        chunked(json(request()), "2\r\n{}\r\n0\r\n\r\n"),
        request().header("content-type", "text/plain"),
        request().header("content-type", "application/x-www-form-urlencoded"),
    ]
}

async fn a_refresh_by_cookie_takes_every_form_of_no_body(server: Server) {
    let (_, mut refresh) = cookies(&server).await;
    let forms = without_content(&by_cookie(&server, "")).len();
    for form in 0..forms {
        let answer = without_content(&by_cookie(&server, &refresh)).swap_remove(form).send().await;
        answer.assert_status(200);
        refresh = format!("{REFRESH_COOKIE}={}", answer.set_cookies(REFRESH_COOKIE)[0].0);
        server.advance(60);
    }
    for request in without_content(&server.post(REFRESH).header("origin", PUBLIC_URL)) {
        request.send().await.assert_problem(401, "invalid_refresh_token");
    }
    // None of them does without the origin.
    for request in without_content(&server.post(REFRESH).header("cookie", &refresh)) {
        request.send().await.assert_problem(403, "origin_not_allowed");
    }
}

async fn a_refresh_token_in_the_body_comes_before_the_cookie(server: Server) {
    let (_, refresh) = cookies(&server).await;
    let tokens = server.register().await;
    let body = json!({"refresh_token": tokens.refresh});
    let answer = by_cookie(&server, &refresh).json(&body).send().await;
    assert_eq!(Tokens::of(answer.assert_status(200)).session, tokens.session);
    assert_eq!(answer.header("set-cookie"), None);
    by_cookie(&server, &refresh).json(&json!({})).send().await.assert_status(200);
}

async fn a_byte_order_mark_before_json_is_read_on_every_route(server: Server) {
    let tokens = server.register().await;
    let marked = |request: Request, body: &Value| {
        request.header("content-type", "application/json").body(format!("{MARK}{body}")).send()
    };
    marked(server.post(LOGIN), &json!({"email": tokens.email, "password": PASSWORD})).await.assert_status(200);
    marked(server.post(REFRESH), &json!({"refresh_token": tokens.refresh})).await.assert_status(200);
    let tokens = server.login(&tokens.email).await;
    marked(server.patch(ME).bearer(&tokens.access), &json!({"name": "Ada"})).await.assert_status(200);
    let session = format!("/api/v1/sessions/{}", tokens.session);
    marked(server.patch(&session).bearer(&tokens.access), &json!({"name": "Laptop"})).await.assert_status(200);
    let forgot = server.post("/api/v1/auth/password/forgot");
    marked(forgot, &json!({"email": tokens.email})).await.assert_status(202);
    // One is read, more are no JSON, and other encodings are none.
    for body in [format!("{MARK}{MARK}{{}}").into_bytes(), b"\xff\xfe{\0}\0".to_vec(), b"\xfe\xff\0{\0}".to_vec()] {
        let request = server.post(LOGIN).header("content-type", "application/json").body(body);
        request.send().await.assert_problem(400, "malformed_json");
    }
}

/// Sends a request in which `~` stands for a byte that is no UTF-8.
async fn with_latin_1(request: Request, server: &Server) -> Response {
    let bytes: Vec<u8> = request.bytes().into_iter().map(|byte| if byte == b'~' { 0xf6 } else { byte }).collect();
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    Pending { stream }.answer().await.unwrap()
}

#[track_caller]
fn assert_malformed(answer: &Response) {
    answer.assert_problem(400, "malformed_authorization");
    let challenge = answer.header("www-authenticate").unwrap();
    assert!(challenge.starts_with("Bearer error=\"invalid_request\""), "{challenge}");
}

async fn a_malformed_authorization_is_no_refused_token(server: Server) {
    let tokens = server.register().await;
    let token = &tokens.access;
    let (access, refresh) = cookies(&server).await;
    for wrong in [
        "Bearer",
        "Bearer ",
        &format!("Bearer{token}"),
        &format!("Bearer\t{token}"),
        &format!("Bearer {token} {token}"),
        &format!("Bearer \"{token}\""),
        &format!("Bearer {token},"),
        // What some proxies make of two headers.
        &format!("Bearer {token}, Bearer {token}"),
        &format!("Basic YTpi, Bearer {token}"),
        &format!("Basic YTpi,bearer {token}"),
        "Bearer =",
        "Bearer {{token}}",
        "Bearer [object Object]",
        &format!("Token {token}"),
        "Bearer K~ln",
        "~",
        token,
    ] {
        // A cookie does not make it good, and a logout ends nothing.
        for request in [server.get(ME), server.get(VERIFY), server.patch(ME).json(&json!({"name": "x"}))] {
            for request in [request.clone(), request.header("cookie", &access).header("origin", PUBLIC_URL)] {
                assert_malformed(&with_latin_1(request.header("authorization", wrong), &server).await);
            }
        }
        let logout = server.post(LOGOUT).header("authorization", wrong);
        let logout = logout.header("cookie", &format!("{access}; {refresh}")).header("origin", PUBLIC_URL);
        assert_malformed(&with_latin_1(logout, &server).await);
    }
    // One whose form is right may be refused.
    for wrong in ["null", "undefined", "a", "a+/-._~==", "e30.e30.e30"] {
        server.me(wrong).await.assert_problem(401, "invalid_token");
    }
    server.get(ME).header("authorization", "").send().await.assert_problem(401, "missing_token");
    server.get(ME).header("authorization", "").header("cookie", &access).send().await.assert_status(200);
    server.me(token).await.assert_status(200);
}

async fn two_authorizations_are_refused(server: Server) {
    let tokens = server.register().await;
    let (access, _) = cookies(&server).await;
    let valid = format!("Bearer {}", tokens.access);
    for (first, second) in
        [(&*valid, &*valid), (&valid, "Basic dXNlcjpwYXNz"), ("Basic dXNlcjpwYXNz", &valid), ("", &valid)]
    {
        for request in [server.get(ME), server.get(VERIFY), server.post(LOGOUT), server.get("/api/v1/sessions")] {
            let request = request.header("authorization", first).header("Authorization", second);
            assert_malformed(&request.clone().send().await);
            assert_malformed(&request.header("cookie", &access).header("origin", PUBLIC_URL).send().await);
        }
    }
    server.me(&tokens.access).await.assert_status(200);
}

async fn a_malformed_refresh_is_no_end_of_the_session(server: Server) {
    let tokens = server.register().await;
    let body = json!({"refresh_token": tokens.refresh}).to_string();
    let request = || server.post(REFRESH).header("content-type", "application/json");
    for wrong in [&body[..body.len() - 1], "\"", "{\"refresh_token\": ktr_x}", &tokens.refresh] {
        request().body(wrong).send().await.assert_problem(400, "malformed_json");
    }
    server.post(REFRESH).body(&*body).send().await.assert_problem(415, "unsupported_media_type");
    server.post(REFRESH).header("content-type", "text/plain").body("{}").send().await.assert_status(415);
    for (body, field) in
        [(json!({"refreshToken": tokens.refresh}), "refreshToken"), (json!({"refresh_token": 7}), "refresh_token")]
    {
        request().body(body.to_string()).send().await.assert_invalid(field);
    }
    let cut = request().header("content-length", "1000").body(&*body).begin().await.unwrap();
    drop(cut);
    server.refreshed(&tokens).await;
}

/// Which of two a browser has sent is not known, so neither is taken.
async fn a_header_that_decides_is_not_sent_twice_with_different_values(server: Server) {
    let (access, refresh) = cookies(&server).await;
    let own = ("origin", PUBLIC_URL);
    let foreign = ("origin", "https://evil.example");
    let (site, cross) = (("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site"));
    for pair in [[own, foreign], [foreign, own], [site, cross], [cross, site]] {
        for (method, path, cookie) in
            [("PATCH", "/api/v1/auth/me", &access), ("POST", "/api/v1/sessions/refresh", &refresh)]
        {
            let mut request = server.request(method, path).header("cookie", cookie).json(&json!({}));
            for (name, value) in pair {
                request = request.header(name, value);
            }
            request.send().await.assert_problem(400, "duplicate_header");
        }
    }
    let twice = server.patch("/api/v1/auth/me").header("cookie", &access).json(&json!({"name": "Ada"}));
    twice.header(own.0, own.1).header(own.0, own.1).send().await.assert_status(200);
    assert_eq!(server.count("sessions WHERE generation > 0"), 0);
}

async fn a_compressed_body_is_refused_as_such(server: Server) {
    let body = json!({"email": "a@example.com", "password": PASSWORD});
    let gzip = server.post("/api/v1/auth/register").header("content-encoding", "gzip").json(&body).send().await;
    gzip.assert_problem(415, "unsupported_media_type");
    let form = server.post("/account/verify-email").header("content-encoding", "br");
    form.header("content-type", "application/x-www-form-urlencoded").body("token=x").send().await.assert_status(415);
    let plain = server.post("/api/v1/auth/register").header("content-encoding", "identity").json(&body).send().await;
    plain.assert_status(201);
}
