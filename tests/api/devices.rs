//! What a session shows of its device and its place, and when it was last active.

use keyturn::db::types::IpColumn;
use keyturn::types::Timestamp;
use serde_json::{Value, json};

use crate::support::geoip::{cities, database};
use crate::support::{Backend, Endpoint, PASSWORD, Request, Server, Servers, Tokens, until};

const FIREFOX: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0";
const IPAD: &str = "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                    Version/16.6 Mobile/15E148 Safari/604.1";

const CAMBRIDGE: &str = "131.111.8.1";
const BERLIN: &str = "141.20.1.1";

both_backends! {
    sessions_are_listed_by_what_they_run_on,
    the_name_that_a_client_gives_goes_before_the_label,
    no_name_that_a_client_gives_is_refused,
    one_odd_byte_in_a_user_agent_hides_no_device,
    a_device_without_a_name_is_renamed,
    a_refresh_leaves_the_device_as_it_was,
    a_long_user_agent_is_cut,
    sessions_show_where_their_address_is,
    the_place_follows_the_address_and_the_login_keeps_its_own,
    an_address_that_a_stranger_claims_is_no_place,
    without_a_database_there_are_no_places,
    a_database_of_countries_is_enough,
    activity_is_current_to_the_minute_without_a_write_for_each_request,
}

fn login(server: &Endpoint, email: &str) -> Request {
    server.post("/api/v1/auth/login").json(&json!({"email": email, "password": PASSWORD}))
}

async fn tokens(request: Request) -> Tokens {
    Tokens::of(request.send().await.assert_status(200))
}

/// A session as its owner's list shows it.
async fn shown(server: &Endpoint, owner: &Tokens, session: &Tokens) -> Value {
    let list = server.sessions(&owner.access).await;
    let found = list["sessions"].as_array().unwrap().iter().find(|shown| shown["id"] == json!(session.session));
    found.expect("is listed").clone()
}

/// A server behind a proxy of its own machine, with these settings too.
async fn behind_proxy(backend: Backend, settings: &[(&str, &str)]) -> Server {
    let own = [("TRUSTED_PROXIES", "127.0.0.1"), ("LIMIT_LOGIN_ACCOUNT", "off")];
    Server::with(backend, &[settings, &own].concat()).await
}

async fn sessions_are_listed_by_what_they_run_on(servers: Servers) {
    let own = servers.register().await;
    for (user_agent, device) in [
        (FIREFOX, json!({"type": "desktop", "os": "Windows", "browser": "Firefox", "label": "Firefox on Windows"})),
        (IPAD, json!({"type": "tablet", "os": "iOS", "browser": "Safari", "label": "Safari on iPad"})),
        ("curl/8.5.0", json!({"type": "program", "os": null, "browser": "curl", "label": "curl"})),
        ("", json!({"type": "unknown", "os": null, "browser": null, "label": "Unknown device"})),
    ] {
        let session = tokens(login(&servers, &own.email).header("user-agent", user_agent)).await;
        for server in servers.all() {
            assert_eq!(shown(server, &own, &session).await["device"], device);
            let one = server.get(&format!("/api/v1/sessions/{}", session.session)).bearer(&own.access).send().await;
            assert_eq!(one.assert_status(200).json()["device"], device);
        }
    }
    // Registering opens a session too.
    let body = json!({"email": "person@example.com", "password": PASSWORD});
    let registered = servers.post("/api/v1/auth/register").json(&body).header("user-agent", IPAD).send().await;
    let registered = Tokens::of(registered.assert_status(201));
    assert_eq!(shown(&servers, &registered, &registered).await["device"]["label"], "Safari on iPad");
    assert_eq!(shown(&servers, &own, &own).await["device"]["label"], "Unknown device");
}

async fn the_name_that_a_client_gives_goes_before_the_label(server: Server) {
    let own = server.register().await;
    let body = json!({"email": own.email, "password": PASSWORD, "device_name": "  Ada's laptop "});
    let named = server.post("/api/v1/auth/login").json(&body).header("user-agent", FIREFOX);
    let named = shown(&server, &own, &tokens(named).await).await;
    assert_eq!((&named["name"], &named["device"]["label"]), (&json!("Ada's laptop"), &json!("Firefox on Windows")));
}

async fn no_name_that_a_client_gives_is_refused(server: Server) {
    let own = server.register().await;
    let long = format!("{}👩\u{200d}💻", "n".repeat(98));
    for (given, kept) in [
        ("n".repeat(300), json!("n".repeat(100))),
        (long, json!("n".repeat(98))),
        ("Ada's\tpho\u{ad}ne\u{200b}\u{202e}".to_owned(), json!("Ada's phone")),
        ("👩\u{200d}💻".to_owned(), json!("👩\u{200d}💻")),
        ("\u{3164}\u{200b}".to_owned(), Value::Null),
        (String::new(), Value::Null),
    ] {
        let body = json!({"email": own.email, "password": PASSWORD, "device_name": given});
        let named = tokens(server.post("/api/v1/auth/login").json(&body)).await;
        assert_eq!(shown(&server, &own, &named).await["name"], kept, "{given:?}");
    }
    let body = json!({"email": "b@example.com", "password": PASSWORD, "device_name": "n".repeat(300)});
    server.post("/api/v1/auth/register").json(&body).send().await.assert_status(201);
}

async fn one_odd_byte_in_a_user_agent_hides_no_device(server: Server) {
    let own = server.register().await;
    for odd in [&b"\xe9"[..], "é".as_bytes(), b"\xff\xfe"] {
        let body = json!({"email": own.email, "password": PASSWORD}).to_string();
        let length = body.len();
        let head = format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\nuser-agent: {FIREFOX} "
        );
        let request = [head.as_bytes(), odd, b"\r\n\r\n", body.as_bytes()].concat();
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, &request).await.unwrap();
        let answer = crate::support::http::Pending { stream }.answer().await.unwrap();
        let session = Tokens::of(answer.assert_status(200));
        assert_eq!(shown(&server, &own, &session).await["device"]["label"], "Firefox on Windows", "{odd:?}");
    }
}

async fn a_device_without_a_name_is_renamed(server: Server) {
    let own = server.register().await;
    let session = tokens(login(&server, &own.email).header("user-agent", FIREFOX)).await;
    let path = format!("/api/v1/sessions/{}", session.session);
    assert_eq!(shown(&server, &own, &session).await["name"], Value::Null);
    let long = "n".repeat(101);
    for wrong in [json!({"name": long}), json!({"name": " "}), json!({"name": 7}), json!({"device": "mine"}), json!({})]
    {
        server.patch(&path).bearer(&own.access).json(&wrong).send().await.assert_problem(422, "invalid_input");
    }
    let renamed = server.patch(&path).bearer(&own.access).json(&json!({"name": "desk"})).send().await;
    let renamed = renamed.assert_status(200).json();
    assert_eq!((&renamed["name"], &renamed["device"]["label"]), (&json!("desk"), &json!("Firefox on Windows")));
    assert_eq!(shown(&server, &own, &session).await["name"], "desk");
}

async fn a_refresh_leaves_the_device_as_it_was(server: Server) {
    let own = server.register().await;
    let session = tokens(login(&server, &own.email).header("user-agent", FIREFOX)).await;
    tokens(server.refreshing(&session.refresh).header("user-agent", "curl/8.5.0")).await;
    assert_eq!(shown(&server, &own, &session).await["device"]["label"], "Firefox on Windows");
}

async fn a_long_user_agent_is_cut(server: Server) {
    let own = server.register().await;
    for (user_agent, label) in [
        (format!("{FIREFOX}{}", "; x".repeat(5_000)), "Firefox on Windows"),
        (format!("curl/{}", "8.".repeat(5_000)), "curl"),
        ("(".repeat(10_000), "Unknown device"),
    ] {
        let session = tokens(login(&server, &own.email).header("user-agent", &user_agent)).await;
        assert_eq!(shown(&server, &own, &session).await["device"]["label"], label);
        assert_eq!(server.session(session.session).user_agent.unwrap(), user_agent[..512]);
    }
}

async fn sessions_show_where_their_address_is(backend: Backend) {
    let server = behind_proxy(backend, &[("GEOIP_DATABASE", &cities())]).await;
    let own = server.register().await;
    let place =
        |country: &str, name: &str, city: Value| json!({"country": country, "country_name": name, "city": city});
    for (address, location) in [
        (CAMBRIDGE, place("GB", "United Kingdom", json!("Cambridge"))),
        (BERLIN, place("DE", "Germany", json!("Berlin"))),
        ("200.160.2.3", place("BR", "Brazil", json!("São Paulo"))),
        ("2001:630:212::1", place("GB", "United Kingdom", json!("Cranfield"))),
        ("2001:200::1", place("JP", "Japan", Value::Null)),
        ("::ffff:131.111.8.1", place("GB", "United Kingdom", json!("Cambridge"))),
        // Of nobody, of everybody, of this machine.
        ("203.0.113.7", Value::Null),
        ("10.1.2.3", Value::Null),
        ("192.168.1.1", Value::Null),
        ("fd00::1", Value::Null),
        ("127.0.0.1", Value::Null),
    ] {
        let session = tokens(login(&server, &own.email).header("x-forwarded-for", address)).await;
        assert_eq!(shown(&server, &own, &session).await["location"], location, "{address}");
    }
}

/// The place that is kept of a login.
fn place_of_login(server: &Server, session: &Tokens) -> Value {
    let id = server.literal(session.session.0);
    let query = format!("SELECT coalesce(CAST(location AS text), 'null') AS text FROM sessions WHERE id = {id}");
    serde_json::from_str(&server.texts(&query)[0]).unwrap()
}

async fn the_place_follows_the_address_and_the_login_keeps_its_own(backend: Backend) {
    let server = behind_proxy(backend, &[("GEOIP_DATABASE", &cities())]).await;
    let own = server.register().await;
    assert_eq!(place_of_login(&server, &own), Value::Null);
    let session = tokens(login(&server, &own.email).header("x-forwarded-for", CAMBRIDGE)).await;
    let at_login = place_of_login(&server, &session);
    assert_eq!((&at_login["city"], &at_login["country"]), (&json!("Cambridge"), &json!("GB")));
    for degrees in ["latitude", "longitude"] {
        assert!(at_login[degrees].is_f64(), "{at_login}");
    }
    for (address, city) in [(BERLIN, json!("Berlin")), ("10.0.0.1", Value::Null), (CAMBRIDGE, json!("Cambridge"))] {
        // A session that is refreshed alone, and from another place each time.
        let fresh = tokens(login(&server, &own.email).header("x-forwarded-for", CAMBRIDGE)).await;
        tokens(server.refreshing(&fresh.refresh).header("x-forwarded-for", address)).await;
        let now = shown(&server, &own, &fresh).await;
        assert_eq!((&now["ip_address"], &now["location"]["city"]), (&json!(address), &city));
        assert_eq!(server.session(fresh.session).ip, Some(IpColumn(address.parse().unwrap())));
        assert_eq!(place_of_login(&server, &fresh), at_login);
    }
}

async fn an_address_that_a_stranger_claims_is_no_place(backend: Backend) {
    let server = Server::with(backend, &[("GEOIP_DATABASE", &cities())]).await;
    let own = server.register().await;
    let session = tokens(login(&server, &own.email).header("x-forwarded-for", CAMBRIDGE)).await;
    let shown = shown(&server, &own, &session).await;
    assert_eq!((&shown["ip_address"], &shown["location"]), (&json!("127.0.0.1"), &Value::Null));
}

async fn without_a_database_there_are_no_places(backend: Backend) {
    let server = behind_proxy(backend, &[]).await;
    let own = server.register().await;
    let session = tokens(login(&server, &own.email).header("x-forwarded-for", CAMBRIDGE)).await;
    let shown = shown(&server, &own, &session).await;
    assert_eq!((&shown["ip_address"], &shown["location"]), (&json!(CAMBRIDGE), &Value::Null));
    assert_eq!(place_of_login(&server, &session), Value::Null);
}

async fn a_database_of_countries_is_enough(backend: Backend) {
    let folder = crate::support::folder::Folder::new();
    let path = folder.path().join("countries.mmdb");
    let bhutan = json!({"country": {"iso_code": "BT", "names": {"en": "Bhutan", "de": "Bhutan"}}});
    std::fs::write(&path, database("Example-Country", &bhutan)).unwrap();
    let server = behind_proxy(backend, &[("GEOIP_DATABASE", path.to_str().unwrap())]).await;
    // What the server has read, nobody takes away.
    std::fs::write(&path, "overwritten").unwrap();
    let own = server.register().await;
    let session = tokens(login(&server, &own.email).header("x-forwarded-for", "203.0.113.7")).await;
    let expected = json!({"country": "BT", "country_name": "Bhutan", "city": null});
    assert_eq!(shown(&server, &own, &session).await["location"], expected);
    // It has no IPv6 addresses at all.
    let v6 = tokens(login(&server, &own.email).header("x-forwarded-for", "2001:630:212::1")).await;
    assert_eq!(shown(&server, &own, &v6).await["location"], Value::Null);
}

/// Waits until the use of an access token never used before is noted: all notes from before it are written then.
async fn until_notes_are_written(server: &Server) {
    let fence = server.register().await;
    server.advance(1);
    server.verify(&fence.access).await.assert_status(200);
    let before = server.session(fence.session).created_at;
    until("a note", async || (server.session(fence.session).last_active_at > before).then_some(())).await;
}

async fn activity_is_current_to_the_minute_without_a_write_for_each_request(server: Server) {
    let tokens = server.register().await;
    let use_it = async |times: usize| {
        for _ in 0..times {
            server.verify(&tokens.access).await.assert_status(200);
        }
        until_notes_are_written(&server).await;
        server.session(tokens.session)
    };
    server.advance(2);
    let first = use_it(1).await;
    assert!(first.last_active_at > first.created_at);
    // Within the minute the row is left alone, however often the token is used.
    server.advance(30);
    assert_eq!(use_it(20).await, first);
    // After it the next use is noted, and no other.
    for _ in 0..3 {
        let before = server.session(tokens.session).last_active_at;
        server.advance(60);
        let noted = use_it(1).await.last_active_at;
        assert!(noted >= before.plus(std::time::Duration::from_secs(60)), "{noted:?}");
        assert_eq!(use_it(20).await.last_active_at, noted);
        let now: Timestamp = server.clock.now();
        let list = shown(&server, &tokens, &tokens).await;
        let listed: Timestamp = serde_json::from_value(list["last_active_at"].clone()).unwrap();
        assert!(now.since(listed) < std::time::Duration::from_secs(60), "{list}");
    }
}
