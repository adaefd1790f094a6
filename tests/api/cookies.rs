//! The cookies of tokens: their names and attributes by `PUBLIC_URL`, and how they are found in requests.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::support::deployment::PUBLIC_URL;
use crate::support::http::Pending;
use crate::support::{Backend, PASSWORD, Request, Response, Server};

const REGISTER: &str = "/api/v1/auth/register";
const LOGIN: &str = "/api/v1/auth/login";
const LOGOUT: &str = "/api/v1/auth/logout";
const ME: &str = "/api/v1/auth/me";
const VERIFY: &str = "/api/v1/auth/verify";
const REFRESH: &str = "/api/v1/sessions/refresh";

const ACCESS: &str = "__Host-keyturn_access";
const REFRESH_COOKIE: &str = "__Secure-keyturn_refresh";
const DEVICE: &str = "__Secure-keyturn_device";

both_backends! {
    below_a_path_cookies_carry_a_whole_session,
    cookies_are_marked_as_secure_with_https_alone,
    a_foreign_cookie_of_any_form_hides_none_of_ours,
    two_cookies_of_one_name_are_refused,
    hosts_of_one_site_share_the_access_token,
    an_unreadable_cookie_is_no_end_of_a_session,
}

/// A browser's cookies of one host.
#[derive(Default)]
struct Jar {
    cookies: Vec<(String, String, String)>,
}

impl Jar {
    /// Takes over what an answer sets and deletes.
    fn take(&mut self, answer: &Response) {
        for line in answer.all_headers("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let path = attributes.split(';').find_map(|attribute| attribute.trim().strip_prefix("Path=")).unwrap();
            self.cookies.retain(|(own, _, at)| (own.as_str(), at.as_str()) != (name, path));
            if !attributes.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned(), path.to_owned()));
            }
        }
    }

    /// What goes to `path` (RFC 6265 §5.1.4).
    fn header(&self, path: &str) -> String {
        let matches = |at: &str| {
            path.strip_prefix(at).is_some_and(|rest| rest.is_empty() || at.ends_with('/') || rest.starts_with('/'))
        };
        let own = self.cookies.iter().filter(|(_, _, at)| matches(at));
        own.map(|(name, value, _)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn names(&self) -> Vec<&str> {
        self.cookies.iter().map(|(name, _, _)| name.as_str()).collect()
    }
}

async fn below_a_path_cookies_carry_a_whole_session(backend: Backend) {
    for (public_url, access, refresh) in [
        ("https://keyturn.example/auth", ACCESS, REFRESH_COOKIE),
        ("https://keyturn.example/a/b/", ACCESS, REFRESH_COOKIE),
        ("http://localhost:8080/auth", "keyturn_access", "keyturn_refresh"),
    ] {
        let server = Server::with(backend, &[("PUBLIC_URL", public_url)]).await;
        let url = url::Url::parse(public_url).unwrap();
        let (origin, base) = (url.origin().ascii_serialization(), url.path().trim_end_matches('/').to_owned());
        let mut jar = Jar::default();
        // The proxy in front strips the path, of which the browser knows.
        let call = async |jar: &mut Jar, request: Request, path: &str| {
            let cookies = jar.header(&format!("{base}{path}"));
            let answer = request.header("cookie", &cookies).header("origin", &origin).send().await;
            jar.take(&answer);
            answer
        };
        let account = json!({"email": "ada@example.com", "password": PASSWORD, "transport": "cookie"});
        call(&mut jar, server.post(REGISTER).json(&account), REGISTER).await.assert_status(201);
        assert_eq!(jar.names(), [access, refresh, refresh]);
        let elsewhere = jar.header("/elsewhere");
        assert!(elsewhere.starts_with(&format!("{access}=")) && !elsewhere.contains(refresh), "{elsewhere}");
        // So the proxy of another app of the host can ask who calls.
        server.get(VERIFY).header("cookie", &elsewhere).send().await.assert_status(200);
        call(&mut jar, server.get(ME), ME).await.assert_status(200);
        for _ in 0..2 {
            call(&mut jar, server.post(REFRESH), REFRESH).await.assert_status(200);
        }
        call(&mut jar, server.get(VERIFY), VERIFY).await.assert_status(200);
        call(&mut jar, server.post(LOGOUT), LOGOUT).await.assert_status(204);
        assert!(jar.cookies.is_empty(), "{:?}", jar.cookies);
    }
}

async fn cookies_are_marked_as_secure_with_https_alone(backend: Backend) {
    for (public_url, is_secure) in [(PUBLIC_URL, true), ("http://localhost:8080", false), ("http://10.0.0.7", false)] {
        let server = Server::with(backend, &[("PUBLIC_URL", public_url)]).await;
        let account = json!({"email": "ada@example.com", "password": PASSWORD, "transport": "cookie"});
        let registered = server.post(REGISTER).json(&account).send().await;
        let set = registered.all_headers("set-cookie");
        assert_eq!(set.len(), 3, "{set:?}");
        for line in set {
            assert!(line.contains("; HttpOnly"), "{line}");
            assert_eq!(line.contains("; Secure"), is_secure, "{line}");
            assert_eq!(line.starts_with("__"), is_secure, "{line}");
        }
    }
}

/// A session's cookies, as they are sent to the routes that take both.
async fn session(server: &Server) -> (String, String) {
    let tokens = server.register().await;
    let body = json!({"email": tokens.email, "password": PASSWORD, "transport": "cookie"});
    let answer = server.post(LOGIN).json(&body).header("origin", PUBLIC_URL).send().await;
    let value = |name: &str| format!("{name}={}", answer.set_cookies(name)[0].0);
    (value(ACCESS), value(REFRESH_COOKIE))
}

/// Sends a request in whose cookies `~` stands for the byte that is an ö in Latin-1, and no UTF-8.
async fn with_latin_1(request: Request, server: &Server) -> Response {
    let bytes: Vec<u8> = request.bytes().into_iter().map(|byte| if byte == b'~' { 0xf6 } else { byte }).collect();
    let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    Pending { stream }.answer().await.unwrap()
}

async fn a_foreign_cookie_of_any_form_hides_none_of_ours(server: Server) {
    for foreign in
        ["town=K~ln", "~=1", "town=\u{4eac}\u{90fd}", "=", "no-value", "a=b=c; ; ;", "q=\"x, y\"", "x=%ff%00"]
    {
        let (access, refresh) = session(&server).await;
        let all = [format!("{foreign}; {access}; {refresh}"), format!("{access};{foreign};{refresh};{foreign}")];
        for cookies in &all {
            let with = |request: Request| request.header("cookie", cookies).header("origin", PUBLIC_URL);
            with_latin_1(with(server.get(ME)), &server).await.assert_status(200);
            with_latin_1(with(server.get(VERIFY)), &server).await.assert_status(200);
        }
        // Of the several lines that proxies may make of one.
        let lines =
            server.post(REFRESH).header("cookie", foreign).header("cookie", &refresh).header("origin", PUBLIC_URL);
        with_latin_1(lines, &server).await.assert_status(200);
        let logout = server.post(LOGOUT).header("cookie", &all[0]).header("origin", PUBLIC_URL);
        with_latin_1(logout, &server).await.assert_status(204);
    }
}

async fn two_cookies_of_one_name_are_refused(server: Server) {
    let (access, refresh) = session(&server).await;
    let (other_access, other_refresh) = session(&server).await;
    let two = format!("{other_access}; {access}; {refresh}; {other_refresh}");
    let one_line = |request: Request| request.header("cookie", &two).header("origin", PUBLIC_URL);
    let two_lines = |request: Request| {
        let request = request.header("cookie", &format!("{access}; {refresh}"));
        request.header("cookie", &format!("x=1; {other_access}; {other_refresh}")).header("origin", PUBLIC_URL)
    };
    let empty = format!("{ACCESS}=; {access}; {REFRESH_COOKIE}=; {refresh}");
    let beside_empty = |request: Request| request.header("cookie", &empty).header("origin", PUBLIC_URL);
    let requests = || [server.get(ME), server.get(VERIFY), server.post(REFRESH), server.post(LOGOUT)];
    for request in
        requests().map(one_line).into_iter().chain(requests().map(two_lines)).chain(requests().map(beside_empty))
    {
        let answer = request.send().await;
        answer.assert_problem(400, "duplicate_cookie");
        assert_eq!((answer.header("set-cookie"), answer.header("www-authenticate")), (None, None));
    }
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "transport": "cookie"});
    let devices = server.post(LOGIN).json(&body).header("cookie", &format!("{DEVICE}=a; {DEVICE}=b"));
    devices.send().await.assert_problem(400, "duplicate_cookie");
    let link = server.post("/api/v1/auth/email/verify").json(&json!({"token": "kto_x"}));
    one_line(link).send().await.assert_problem(400, "duplicate_cookie");

    // Nobody's session has ended, and who sends the token otherwise is not asked for cookies.
    let token = access.split_once('=').unwrap().1;
    one_line(server.get(ME).bearer(token)).send().await.assert_status(200);
    for (access, refresh) in [(&access, &refresh), (&other_access, &other_refresh)] {
        server.get(ME).header("cookie", access).send().await.assert_status(200);
        server.post(REFRESH).header("cookie", refresh).header("origin", PUBLIC_URL).send().await.assert_status(200);
    }
}

/// The attributes of a cookie that an answer sets, sorted.
#[track_caller]
fn attributes(answer: &Response, name: &str) -> Vec<String> {
    let set = answer.set_cookies(name);
    let mut all: Vec<String> = set[0].1.split(';').map(|attribute| attribute.trim().to_owned()).collect();
    all.retain(|attribute| !attribute.starts_with("Max-Age"));
    all.sort();
    all
}

async fn hosts_of_one_site_share_the_access_token(backend: Backend) {
    for (public_url, base) in [("https://auth.example.com", ""), ("https://example.com/auth", "/auth")] {
        let settings = [
            ("PUBLIC_URL", public_url),
            ("COOKIE_DOMAIN", ".example.com"),
            ("ALLOWED_ORIGINS", "https://app.example.com"),
        ];
        let server = Server::with(backend, &settings).await;
        let account = json!({"email": "ada@example.com", "password": PASSWORD, "transport": "cookie"});
        let page = |request: Request| request.header("origin", "https://app.example.com");
        let answer = page(server.post(REGISTER).json(&account)).send().await;
        assert_eq!(answer.assert_status(201).all_headers("set-cookie").len(), 3);
        let access = "__Secure-keyturn_access";
        assert_eq!(attributes(&answer, access), ["Domain=example.com", "HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
        for (_, text) in answer.set_cookies(REFRESH_COOKIE) {
            assert!(!text.contains("Domain") && text.contains(&format!("Path={base}/api/v1/")), "{text}");
        }
        let mut jar = Jar::default();
        jar.take(&answer);
        // A proxy in front of an app on another host asks with the cookies of that host.
        let verified = server.get(VERIFY).header("cookie", &jar.header("/orders")).send().await;
        assert!(verified.assert_status(200).header("x-auth-user").is_some());
        for path in [REFRESH, LOGOUT] {
            let cookies = jar.header(&format!("{base}{path}"));
            let answer = page(server.post(path).header("cookie", &cookies)).send().await;
            assert!(answer.status < 300, "{answer:?}");
            assert!(attributes(&answer, access).contains(&"Domain=example.com".to_owned()), "{answer:?}");
            jar.take(&answer);
        }
        assert!(jar.cookies.is_empty());
        // A cookie of the name that a server without a domain has is somebody else's.
        let foreign = server.get(ME).header("cookie", &format!("{ACCESS}=x")).send().await;
        foreign.assert_problem(401, "missing_token");
    }
}

async fn an_unreadable_cookie_is_no_end_of_a_session(server: Server) {
    for value in ["K~ln", "\u{4eac}", "a b", "a,b", "\"a"] {
        let cookies = format!("{ACCESS}={value}; {REFRESH_COOKIE}={value}; {DEVICE}={value}");
        for request in [server.get(ME), server.get(VERIFY), server.post(REFRESH), server.post(LOGOUT)] {
            let request = request.header("cookie", &cookies).header("origin", PUBLIC_URL);
            with_latin_1(request, &server).await.assert_problem(400, "malformed_cookie");
        }
    }
    // One that is deleted is none.
    let cookies = format!("{ACCESS}=; {REFRESH_COOKIE}=");
    server.get(ME).header("cookie", &cookies).send().await.assert_problem(401, "missing_token");
}
