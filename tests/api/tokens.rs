//! Access tokens: what they say, how others verify them, and what is not taken for one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use keyturn::clock::Clock;
use keyturn::keys::{KeyRing, lifecycle};
use keyturn::secret::MasterSecret;
use keyturn::types::Algorithm;
use serde_json::{Value, json};

use crate::support::deployment::PUBLIC_URL;
use crate::support::tokens::jwt_part;
use crate::support::{Backend, Deployment, Endpoint, Process, Server, Tokens, process};

const JWKS: &str = "/.well-known/jwks.json";
const METADATA: &str = "/.well-known/oauth-authorization-server";

both_backends! {
    an_access_token_says_who_where_and_how_long,
    a_token_that_the_server_signs_is_good_only_as_it_stands,
    a_token_under_another_header_is_refused,
    a_token_with_other_claims_is_refused,
    a_token_in_another_form_is_refused,
    a_token_that_repeats_a_member_is_refused,
    a_signature_has_one_form,
    a_token_is_good_until_its_last_second,
    each_algorithm_signs_what_the_published_keys_verify,
    a_shared_key_is_not_published,
    the_keys_are_sent_once_to_those_who_keep_them,
    the_server_describes_itself,
    issuer_and_audience_are_as_set,
    an_issuer_with_a_path_is_found_where_clients_look,
    tokens_outlive_a_restart,
    a_token_signed_before_a_change_of_algorithm_stays_good,
    another_secret_does_not_start,
    another_secret_leaves_the_keys_as_they_are,
}

scaled_only! {
    servers_started_at_once_make_one_key,
}

/// The deployment's keys, opened as the server does.
fn keys(server: &Endpoint, algorithm: Algorithm) -> KeyRing {
    keys_at(server, algorithm, &Clock::default())
}

fn keys_at(server: &Endpoint, algorithm: Algorithm, clock: &Clock) -> KeyRing {
    let rows = lifecycle::load(&mut server.conn()).unwrap();
    let secret = MasterSecret::parse(&server.secret).unwrap();
    KeyRing::open(&rows, &[algorithm], &secret.signing_key_seal(), clock).unwrap()
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// A token of this header and these claims, signed with the server's own key.
fn signed(key_ring: &KeyRing, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = key_ring.signing().sign(message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn hs256(key: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encode(header), encode(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    let signature = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// `object` with a member set, or without it for `null`.
fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    let members = object.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(member),
        value => members.insert(member.to_owned(), value),
    };
    object
}

async fn assert_refused(server: &Endpoint, token: &str, what: &str) {
    let answer = server.me(token).await;
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    answer.assert_problem(401, "invalid_token");
    let challenge = "Bearer error=\"invalid_token\", error_description=\"The access token is not valid.\"";
    assert_eq!(answer.header("www-authenticate"), Some(challenge), "{what}");
}

async fn an_access_token_says_who_where_and_how_long(server: Server) {
    let tokens = server.register().await;
    let header = jwt_part(&tokens.access, 0);
    let kid = keys(&server, Algorithm::Es256).signing().id;
    assert_eq!(header, json!({"alg": "ES256", "typ": "at+jwt", "kid": kid}));

    let claims = tokens.claims();
    let mut names: Vec<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = "amr aud auth_time client_id exp iat iss jti nbf rev roles sid sub";
    assert_eq!(names.join(" "), expected);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(PUBLIC_URL), &json!("keyturn")));
    assert_eq!((&claims["sub"], &claims["sid"]), (&json!(tokens.user), &json!(tokens.session)));
    assert_eq!((&claims["roles"], &claims["amr"]), (&json!(["user"]), &json!(["pwd"])));
    let iat = claims["iat"].as_i64().unwrap();
    assert!((server.clock.now().as_secs() - iat).abs() <= 30);
    assert_eq!(
        (claims["exp"].as_i64(), claims["nbf"].as_i64(), claims["auth_time"].as_i64()),
        (Some(iat + 900), Some(iat), Some(iat))
    );

    server.advance(60);
    let later = server.refreshed(&tokens).await.claims();
    assert!(later["iat"].as_i64().unwrap() >= iat + 60);
    assert_eq!((&later["auth_time"], &later["sid"]), (&claims["auth_time"], &claims["sid"]));
    assert_ne!(later["jti"], claims["jti"]);
}

async fn a_token_that_the_server_signs_is_good_only_as_it_stands(server: Server) {
    let tokens = server.register().await;
    let key_ring = keys(&server, Algorithm::Es256);
    let (header, claims) = (jwt_part(&tokens.access, 0), tokens.claims());
    // What the tests below change one thing of.
    server.me(&signed(&key_ring, &header, &claims)).await.assert_status(200);

    let parts: Vec<&str> = tokens.access.split('.').collect();
    let [head, payload, signature] = parts[..] else { panic!("{parts:?}") };
    let admin = encode(&with(&claims, "roles", json!(["admin"])));
    let other = server.register().await;
    let (_, foreign) = other.access.rsplit_once('.').unwrap();
    let last = if signature.ends_with('A') { 'B' } else { 'A' };
    for (what, token) in [
        ("another payload", format!("{head}.{admin}.{signature}")),
        ("another token's signature", format!("{head}.{payload}.{foreign}")),
        ("no signature", format!("{head}.{payload}.")),
        ("a signature cut short", tokens.access[..tokens.access.len() - 1].to_owned()),
        ("another last character", format!("{}{last}", &tokens.access[..tokens.access.len() - 1])),
        ("a signature of zeros", format!("{head}.{payload}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
    ] {
        assert_refused(&server, &token, what).await;
    }
    server.me(&tokens.access).await.assert_status(200);
}

async fn a_token_under_another_header_is_refused(server: Server) {
    let tokens = server.register().await;
    let key_ring = keys(&server, Algorithm::Es256);
    let (header, claims) = (jwt_part(&tokens.access, 0), tokens.claims());
    for (what, header) in [
        ("none", with(&header, "alg", json!("none"))),
        ("None", with(&header, "alg", json!("None"))),
        ("another algorithm", with(&header, "alg", json!("RS256"))),
        ("the algorithm in lower case", with(&header, "alg", json!("es256"))),
        ("no algorithm", with(&header, "alg", Value::Null)),
        ("another key", with(&header, "kid", json!(uuid::Uuid::from_u128(7)))),
        ("no id of a key", with(&header, "kid", json!("../../dev/null"))),
        ("no key", with(&header, "kid", Value::Null)),
        ("an ordinary JWT", with(&header, "typ", json!("JWT"))),
        ("an ID token", with(&header, "typ", json!("id_token+jwt"))),
        ("no type", with(&header, "typ", Value::Null)),
        ("an unknown extension", with(&header, "crit", json!(["exp"]))),
        ("an empty list of extensions", with(&header, "crit", json!([]))),
        ("a header that is an array", json!(["ES256", "at+jwt"])),
    ] {
        assert_refused(&server, &signed(&key_ring, &header, &claims), what).await;
    }
    let unsigned = format!("{}.{}.", encode(&with(&header, "alg", json!("none"))), encode(&claims));
    assert_refused(&server, &unsigned, "none, unsigned").await;

    // The public key, in all the forms in which somebody may hold it, is no shared key.
    let jwks: JwkSet = serde_json::from_slice(&server.get(JWKS).send().await.body).unwrap();
    let jwk = serde_json::to_value(&jwks.keys[0]).unwrap();
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let public = server.rows("signing_keys")[0]["public_key"].as_str().unwrap().as_bytes().to_vec();
    for key in [point, coordinate("x"), public, jwk.to_string().into_bytes(), Vec::new()] {
        let swapped = with(&header, "alg", json!("HS256"));
        assert_refused(&server, &hs256(&key, &swapped, &claims), "HS256 under the public key").await;
        assert_refused(&server, &hs256(&key, &header, &claims), "HS256 that says ES256").await;
    }
    // RFC 7515 §4.1.9 lets "application/" be left out, and types are compared without case.
    let long = with(&header, "typ", json!("application/AT+JWT"));
    server.me(&signed(&key_ring, &long, &claims)).await.assert_status(200);
}

async fn a_token_with_other_claims_is_refused(server: Server) {
    let (tokens, stranger) = (server.register().await, server.register().await);
    let key_ring = keys(&server, Algorithm::Es256);
    let (header, claims) = (jwt_part(&tokens.access, 0), tokens.claims());
    let now = server.clock.now().as_secs();
    for (what, claims) in [
        ("another issuer", with(&claims, "iss", json!("https://evil.example"))),
        ("an issuer with a slash more", with(&claims, "iss", json!(format!("{PUBLIC_URL}/")))),
        ("no issuer", with(&claims, "iss", Value::Null)),
        ("another audience", with(&claims, "aud", json!("https://api.example"))),
        ("no audience", with(&claims, "aud", Value::Null)),
        ("expired", with(&claims, "exp", json!(now - 1))),
        ("no expiry", with(&claims, "exp", Value::Null)),
        ("an expiry in words", with(&claims, "exp", json!("tomorrow"))),
        ("not yet valid", with(&claims, "nbf", json!(now + 60))),
        ("no id", with(&claims, "jti", Value::Null)),
        ("another id", with(&claims, "jti", json!(uuid::Uuid::from_u128(7)))),
        ("no session", with(&claims, "sid", Value::Null)),
        ("an unknown session", with(&claims, "sid", json!(uuid::Uuid::from_u128(7)))),
        ("another's session", with(&claims, "sid", json!(stranger.session))),
        ("another's account", with(&claims, "sub", json!(stranger.user))),
        ("an unknown account", with(&claims, "sub", json!(uuid::Uuid::from_u128(7)))),
        ("an empty set", json!({})),
    ] {
        assert_refused(&server, &signed(&key_ring, &header, &claims), what).await;
    }
    for (what, claims) in [
        ("a clock that is a little ahead", with(&claims, "nbf", json!(now + 2))),
        ("an empty scope, as another version writes it", with(&claims, "scope", json!(""))),
        ("a claim of another version", with(&claims, "tenant", json!({"id": "x"}))),
    ] {
        let answer = server.me(&signed(&key_ring, &header, &claims)).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    }
}

async fn a_token_that_repeats_a_member_is_refused(server: Server) {
    let tokens = server.register().await;
    let key_ring = keys(&server, Algorithm::Es256);
    let (header, claims) = (jwt_part(&tokens.access, 0).to_string(), tokens.claims().to_string());
    let sign = |header: &str, claims: &str| {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = key_ring.signing().sign(message.as_bytes()).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    let more = |object: &str, members: &str| format!("{},{members}}}", object.strip_suffix('}').unwrap());
    server.me(&sign(&header, &claims)).await.assert_status(200);
    server
        .me(&sign(&more(&header, r#""x5t":"a""#), &more(&claims, r#""more":[{"a":1},{"a":1}]"#)))
        .await
        .assert_status(200);
    for (what, header, claims) in [
        ("alg", more(&header, r#""alg":"ES256""#), claims.clone()),
        ("alg, escaped", more(&header, r#""\u0061lg":"none""#), claims.clone()),
        ("an unknown parameter", more(&header, r#""b64":false,"b64":true"#), claims.clone()),
        ("crit that is null", more(&header, r#""crit":null"#), claims.clone()),
        ("exp", header.clone(), more(&claims, r#""exp":9999999999"#)),
        ("an unknown claim", header.clone(), more(&claims, r#""more":1,"more":2"#)),
        ("an unknown claim, deep down", header.clone(), more(&claims, r#""more":[{"a":1,"b":{},"a":1}]"#)),
    ] {
        assert_refused(&server, &sign(&header, &claims), what).await;
    }
}

async fn a_signature_has_one_form(server: Server) {
    // Of the curve P-256.
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&order[at..at + 2], 16).unwrap()).collect();
    for _ in 0..8 {
        let tokens = server.register().await;
        server.me(&tokens.access).await.assert_status(200);
        let (message, signature) = tokens.access.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let (r, s) = signature.split_at(32);
        assert!(s[0] < 0x80, "s is the lower one");
        // n - s: as valid as s to a verifier that knows no better.
        let mut borrow = 0;
        let mut other = [0; 32];
        for at in (0..32).rev() {
            let difference = i16::from(order[at]) - i16::from(s[at]) - borrow;
            borrow = i16::from(difference < 0);
            other[at] = u8::try_from(difference + 256 * borrow).unwrap();
        }
        let rewritten = format!("{message}.{}", URL_SAFE_NO_PAD.encode([r, &other].concat()));
        let jwks: JwkSet = serde_json::from_slice(&server.get(JWKS).send().await.body).unwrap();
        let mut validation = Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.set_audience(&["keyturn"]);
        let key = DecodingKey::from_jwk(&jwks.keys[0]).unwrap();
        jsonwebtoken::decode::<Value>(&rewritten, &key, &validation).unwrap();
        assert_refused(&server, &rewritten, "the signature in its other form").await;
    }
}

async fn a_token_in_another_form_is_refused(server: Server) {
    let tokens = server.register().await;
    let key_ring = keys(&server, Algorithm::Es256);
    let token = &tokens.access;
    let [head, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let huge = with(&tokens.claims(), "scope", json!("x".repeat(10 * 1024)));
    for (what, token) in [
        ("dots", "..".to_owned()),
        ("padding", format!("{token}=")),
        ("a character more", format!("{token}A")),
        ("a part more", format!("{token}.{signature}")),
        ("a part less", format!("{payload}.{signature}")),
        ("a plus", format!("{head}.{payload}+.{signature}")),
        ("a slash", format!("{head}.{payload}/.{signature}")),
        ("upper case", token.to_uppercase()),
        ("truncated", token[..token.len() / 2].to_owned()),
        ("10 KiB of signed token", signed(&key_ring, &jwt_part(token, 0), &huge)),
        ("10 KiB of letters", "a".repeat(10 * 1024)),
        ("10 KiB of dots", ".".repeat(10 * 1024)),
        ("a refresh token", tokens.refresh.clone()),
        ("the session's id", tokens.session.to_string()),
    ] {
        assert_refused(&server, &token, what).await;
    }
    // These are no tokens (RFC 6750 §2.1), so nothing is said about one.
    for (what, text) in [
        ("nothing", String::new()),
        ("padding within", format!("{head}=.{payload}.{signature}")),
        ("a space within", format!("{head}. {payload}.{signature}")),
        ("a tab within", format!("{head}.\t{payload}.{signature}")),
        ("percent-encoded", token.replace('.', "%2E")),
        ("quoted", format!("\"{token}\"")),
    ] {
        let answer = server.me(&text).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        answer.assert_problem(400, "malformed_authorization");
    }
    server.me(token).await.assert_status(200);
}

async fn a_token_is_good_until_its_last_second(server: Server) {
    server.clock.hold();
    let tokens = server.register().await;
    server.advance(890);
    server.me(&tokens.access).await.assert_status(200);
    server.advance(10);
    assert_refused(&server, &tokens.access, "after 900 seconds").await;
    let next = server.refreshed(&tokens).await;
    server.me(&next.access).await.assert_status(200);
}

/// What a backend does that has only the published keys.
async fn verify_as_others_do(server: &Endpoint, tokens: &Tokens, name: &str) {
    let answer = server.get(JWKS).send().await;
    answer.assert_status(200);
    let jwks: JwkSet = serde_json::from_slice(&answer.body).unwrap();
    let header = jsonwebtoken::decode_header(&tokens.access).unwrap();
    let jwk = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let member = |member: &str| serde_json::to_value(jwk).unwrap()[member].clone();
    assert_eq!((member("alg"), member("use")), (json!(name), json!("sig")));
    assert_eq!(jwt_part(&tokens.access, 0)["alg"], name);
    let mut validation = Validation::new(header.alg);
    validation.set_audience(&["keyturn"]);
    validation.set_issuer(&[PUBLIC_URL]);
    validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let verified = jsonwebtoken::decode::<Value>(&tokens.access, &key, &validation).unwrap();
    assert_eq!(verified.claims, tokens.claims());

    let body = answer.json();
    let [key] = &body["keys"].as_array().unwrap()[..] else { panic!("{body}") };
    for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
        assert_eq!(key.get(private), None, "{name}");
    }
}

async fn each_algorithm_signs_what_the_published_keys_verify(backend: Backend) {
    for name in ["ES256", "EdDSA", "RS256"] {
        let server = Server::with(backend, &[("JWT_ALGORITHM", name)]).await;
        let tokens = server.register().await;
        server.me(&tokens.access).await.assert_status(200);
        verify_as_others_do(&server, &tokens, name).await;
        let metadata = server.get(METADATA).send().await.json();
        assert_eq!(metadata["access_token_signing_alg_values_supported"], json!([name]));
    }
}

async fn a_shared_key_is_not_published(backend: Backend) {
    let server = Server::with(backend, &[("JWT_ALGORITHM", "HS256")]).await;
    let tokens = server.register().await;
    server.me(&tokens.access).await.assert_status(200);
    assert_eq!(jwt_part(&tokens.access, 0)["alg"], "HS256");
    assert_eq!(server.get(JWKS).send().await.assert_status(200).json(), json!({"keys": []}));
    let (header, claims) = (jwt_part(&tokens.access, 0), tokens.claims());
    for key in [server.secret.as_bytes(), b"", b"secret"] {
        assert_refused(&server, &hs256(key, &header, &claims), "HS256 under another key").await;
    }
    assert_refused(&server, &hs256(b"", &with(&header, "alg", json!("none")), &claims), "none").await;
}

async fn the_keys_are_sent_once_to_those_who_keep_them(server: Server) {
    let first = server.get(JWKS).send().await;
    assert_eq!(first.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
    let etag = first.header("etag").unwrap();
    for known in [etag.to_owned(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
        let again = server.get(JWKS).header("if-none-match", &known).send().await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
        assert_eq!((again.header("etag"), again.header("cache-control")), (Some(etag), first.header("cache-control")));
    }
    let other = server.get(JWKS).header("if-none-match", "\"other\"").send().await;
    assert_eq!((other.status, &other.body), (200, &first.body));
}

async fn the_server_describes_itself(server: Server) {
    let answer = server.get(METADATA).send().await;
    answer.assert_status(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    assert_eq!((&body["issuer"], &body["jwks_uri"]), (&json!(PUBLIC_URL), &json!(format!("{PUBLIC_URL}{JWKS}"))));
    assert!(body["response_types_supported"].is_array(), "RFC 8414 §2 requires it");
}

async fn issuer_and_audience_are_as_set(backend: Backend) {
    let settings = [
        ("ISSUER", "https://id.example"),
        ("AUDIENCE", "https://api.example"),
        ("PUBLIC_URL", "https://auth.example/sso/"),
    ];
    let server = Server::with(backend, &settings).await;
    let tokens = server.register().await;
    let claims = tokens.claims();
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("https://id.example"), &json!("https://api.example")));
    server.me(&tokens.access).await.assert_status(200);
    let metadata = server.get(METADATA).send().await.json();
    assert_eq!(metadata["issuer"], "https://id.example");
    assert_eq!(metadata["jwks_uri"], format!("https://auth.example/sso{JWKS}"));
}

async fn an_issuer_with_a_path_is_found_where_clients_look(backend: Backend) {
    const OPENID: &str = "/.well-known/openid-configuration";
    let server = Server::with(backend, &[("PUBLIC_URL", "https://example.com/auth/v1")]).await;
    let metadata = server.get(METADATA).send().await.assert_status(200).json();
    assert_eq!(metadata["issuer"], "https://example.com/auth/v1");
    for place in
        [OPENID.to_owned(), format!("{METADATA}/auth/v1"), format!("{OPENID}/auth/v1"), format!("{METADATA}/auth/v1/")]
    {
        let answer = server.get(&place).send().await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=300")), "{place}");
        assert_eq!(answer.json(), metadata, "{place}");
    }
    for another in ["/auth", "/auth/v2", "/auth/v1/x", "/%2e%2e", "/"] {
        server.get(&format!("{METADATA}{another}")).send().await.assert_problem(404, "not_found");
    }
    let refused = server.post(&format!("{METADATA}/auth/v1")).send().await;
    refused.assert_problem(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET, HEAD"));
    // An issuer without a path has no such place.
    let plain = Server::with(backend, &[]).await;
    plain.get(&format!("{METADATA}/auth/v1")).send().await.assert_problem(404, "not_found");
}

async fn servers_started_at_once_make_one_key(backend: Backend) {
    let deployment = Deployment::new(backend);
    let starting: Vec<_> = (0..4)
        .map(|_| {
            let deployment = deployment.clone();
            std::thread::spawn(move || Process::start(&deployment, &[]))
        })
        .collect();
    let servers: Vec<Process> = starting.into_iter().map(|server| server.join().unwrap()).collect();
    assert_eq!(deployment.count("signing_keys"), 1);
    let tokens = servers[0].register().await;
    for server in &servers {
        server.me(&tokens.access).await.assert_status(200);
        server.me(&server.login(&tokens.email).await.access).await.assert_status(200);
    }
}

async fn tokens_outlive_a_restart(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    let server = Server::start(&deployment, &[], clock.clone()).await;
    let (tokens, revoked) = (server.register().await, server.register().await);
    server.logout(&revoked.access).await.assert_status(204);
    let jwks = server.get(JWKS).send().await.body;
    drop(server);

    let server = Server::start(&deployment, &[], clock).await;
    assert_eq!(server.get(JWKS).send().await.body, jwks);
    server.me(&tokens.access).await.assert_status(200);
    assert_refused(&server, &revoked.access, "revoked before the restart").await;
    server.refreshed(&tokens).await;
}

async fn a_token_signed_before_a_change_of_algorithm_stays_good(backend: Backend) {
    let deployment = Deployment::new(backend);
    let clock = Clock::default();
    let server = Server::start(&deployment, &[], clock.clone()).await;
    let before = server.register().await;
    drop(server);
    let server = Server::start(&deployment, &[("JWT_ALGORITHM", "EdDSA")], clock).await;
    // The new key is published first.
    server.advance(600);
    let after = server.login(&before.email).await;
    assert_eq!(jwt_part(&after.access, 0)["alg"], "EdDSA");
    for tokens in [&before, &after] {
        server.me(&tokens.access).await.assert_status(200);
    }
    // Each key is good for its own algorithm alone.
    let key_ring = keys_at(&server, Algorithm::EdDsa, &server.clock);
    let old = jwt_part(&before.access, 0);
    for header in [old.clone(), with(&old, "alg", json!("EdDSA"))] {
        assert_refused(&server, &signed(&key_ring, &header, &after.claims()), "one key's signature under another's id")
            .await;
    }
}

/// What the program says when it does not start.
fn refusal(deployment: &Deployment, settings: &[(&str, &str)]) -> String {
    let output = process::command(deployment, settings).arg("serve").output().unwrap();
    assert!(!output.status.success());
    assert!(output.stdout.is_empty(), "it does not say that it listens");
    String::from_utf8(output.stderr).unwrap()
}

async fn another_secret_does_not_start(backend: Backend) {
    let deployment = Deployment::new(backend);
    let server = Server::start(&deployment, &[], Clock::default()).await;
    let tokens = server.register().await;
    let other = crate::support::random_hex::<32>();
    let said = refusal(&deployment, &[("JWT_SECRET", &other)]);
    assert!(said.contains("JWT_SECRET"), "{said}");
    assert!(!said.contains(&other) && !said.contains(&deployment.secret));
    server.me(&tokens.access).await.assert_status(200);
}

async fn another_secret_leaves_the_keys_as_they_are(backend: Backend) {
    let deployment = Deployment::new(backend);
    drop(Server::start(&deployment, &[], Clock::default()).await);
    let other = crate::support::random_hex::<32>();
    let said = refusal(&deployment, &[("JWT_SECRET", &other), ("JWT_ALGORITHM", "EdDSA")]);
    assert!(said.contains("JWT_SECRET"), "{said}");
    assert_eq!(deployment.count("signing_keys"), 1);
    let server = Server::start(&deployment, &[], Clock::default()).await;
    server.me(&server.register().await.access).await.assert_status(200);
}
