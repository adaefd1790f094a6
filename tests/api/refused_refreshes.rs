//! Refreshes that are refused: forged tokens, ended sessions, disabled and deleted accounts, a database that is down.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use keyturn::clock::Clock;
use keyturn::db::Conn;
use keyturn::db::schema::users;
use keyturn::secret::MasterSecret;
use serde_json::json;

use crate::refresh::settled;
use crate::support::http::at_once;
use crate::support::proxy::Wire;
use crate::support::{Backend, Deployment, Proxy, Server, Tokens, until};

both_backends! {
    what_no_server_issued_is_refused,
    what_no_server_issued_is_refused_without_asking_the_database,
    the_tokens_of_a_revoked_session_are_refused,
    a_session_that_nobody_refreshed_expires,
    a_session_expires_however_often_it_was_refreshed,
    the_tokens_of_a_disabled_account_are_refused,
    the_tokens_of_a_deleted_account_are_refused,
    an_access_token_is_no_refresh_token_and_a_refresh_token_no_bearer_token,
    while_the_database_is_down_a_refresh_is_to_be_tried_again,
}

async fn what_no_server_issued_is_refused(server: Server) {
    let tokens = server.register().await;
    let stranger = Server::with(server.backend, &[]).await.register().await;
    let row = settled(&server, tokens.session).await;
    let forgeries = forgeries(&server, &tokens, &stranger);
    for token in &forgeries {
        server.refresh(token).await.assert_problem(401, "invalid_refresh_token");
    }
    server.post("/api/v1/sessions/refresh").send().await.assert_problem(401, "invalid_refresh_token");
    assert_eq!(server.session(tokens.session), row);
    assert_eq!(server.count("revocations"), 0);
    assert_eq!(server.refreshes("invalid").await, u64::try_from(forgeries.len()).unwrap());
    server.refreshed(&tokens).await;
}

async fn what_no_server_issued_is_refused_without_asking_the_database(backend: Backend) {
    let mut wires = Wires::new(backend).await;
    let server = wires.server().await;
    let tokens = server.register().await;
    let stranger = Server::with(backend, &[]).await.register().await;
    wires.cut_database();
    wires.cut_redis();
    for token in forgeries(&server, &tokens, &stranger) {
        server.refresh(&token).await.assert_problem(401, "invalid_refresh_token");
    }
    server.refresh(&tokens.refresh).await.assert_status(503);
}

async fn the_tokens_of_a_revoked_session_are_refused(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    server.logout(&second.access).await.assert_status(204);
    let row = settled(&server, first.session).await;
    // The parent too: whoever holds it is told that the session has ended, not that there was a thief.
    for token in [&second, &first] {
        server.refresh(&token.refresh).await.assert_problem(401, "session_revoked");
    }
    assert_eq!(server.session(first.session), row);
    assert_eq!(server.count("revocations"), 1);
    assert_eq!(server.refreshes("revoked").await, 2);
}

async fn a_session_that_nobody_refreshed_expires(server: Server) {
    server.clock.hold();
    let tokens = server.register().await;
    server.advance(604_790);
    let tokens = server.refreshed(&tokens).await;
    server.advance(604_801);
    let row = server.session(tokens.session);
    server.refresh(&tokens.refresh).await.assert_problem(401, "session_expired");
    assert_eq!(server.session(tokens.session), row);
    assert_eq!((server.count("revocations"), server.refreshes("expired").await), (0, 1));
}

async fn a_session_expires_however_often_it_was_refreshed(server: Server) {
    const DAY: u64 = 86_400;
    let mut tokens = server.register().await;
    let mut answer = None;
    for _ in 0..5 {
        server.advance(6 * DAY - 60);
        let refreshed = server.refresh(&tokens.refresh).await;
        tokens = Tokens::of(&refreshed);
        answer = Some(refreshed.json());
    }
    // What remains of the thirty days, less than the tokens' own lifetimes.
    let answer = answer.unwrap();
    for lifetime in ["expires_in", "refresh_token_expires_in"] {
        let seconds = answer[lifetime].as_u64().unwrap();
        assert!((200..=300).contains(&seconds), "{lifetime}: {seconds}");
    }
    server.me(&tokens.access).await.assert_status(200);
    let row = settled(&server, tokens.session).await;
    server.advance(301);
    server.refresh(&tokens.refresh).await.assert_problem(401, "session_expired");
    server.me(&tokens.access).await.assert_problem(401, "invalid_token");
    assert_eq!(server.session(tokens.session), row);
}

async fn the_tokens_of_a_disabled_account_are_refused(server: Server) {
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    let row = server.session(first.session);
    let disable = diesel::update(users::table.find(first.user)).set(users::disabled_at.eq(server.clock.now()));
    disable.execute(&mut server.conn()).unwrap();
    for token in [&second, &first] {
        server.refresh(&token.refresh).await.assert_problem(401, "session_revoked");
    }
    assert_eq!(server.session(first.session), row);
    assert_eq!(server.count("revocations"), 0);
}

async fn the_tokens_of_a_deleted_account_are_refused(server: Server) {
    let tokens = server.register().await;
    diesel::delete(users::table.find(tokens.user)).execute(&mut server.conn()).unwrap();
    assert_eq!(server.count("sessions"), 0);
    server.refresh(&tokens.refresh).await.assert_problem(401, "session_expired");
}

async fn an_access_token_is_no_refresh_token_and_a_refresh_token_no_bearer_token(server: Server) {
    let tokens = server.register().await;
    server.refresh(&tokens.access).await.assert_problem(401, "invalid_refresh_token");
    let answer = server.me(&tokens.refresh).await;
    answer.assert_problem(401, "invalid_token");
    assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer error=\"invalid_token\""));
    let row = server.session(tokens.session);
    assert_eq!((row.generation, row.access_seen, row.revoked_at), (0, false, None));
}

async fn while_the_database_is_down_a_refresh_is_to_be_tried_again(backend: Backend) {
    let mut wires = Wires::new(backend).await;
    let server = wires.server().await;
    let first = server.register().await;
    let second = server.refreshed(&first).await;
    let row = settled(&server, first.session).await;
    wires.cut_database();
    for answer in at_once([&second, &first].into_iter().map(|tokens| server.refreshing(&tokens.refresh))).await {
        answer.assert_problem(503, "database_unavailable");
        assert_eq!(answer.json()["retryable"], json!(true));
        assert!(answer.header("retry-after").is_some());
    }
    wires.mend();
    assert_eq!(server.session(first.session), row);
    let third = until("the database to be found again", async || {
        let answer = server.refresh(&second.refresh).await;
        (answer.status != 503).then(|| Tokens::of(&answer))
    })
    .await;
    assert_eq!(server.session(first.session).generation, 2);
    until("the access token to be checked", async || {
        let answer = server.me(&third.access).await;
        (answer.status != 503).then_some(answer)
    })
    .await
    .assert_status(200);
    assert!(server.refreshes("unavailable").await >= 2);
}

/// Texts that resemble `tokens`' refresh token and that no server with its secret issued.
fn forgeries(server: &Server, tokens: &Tokens, stranger: &Tokens) -> Vec<String> {
    let token = &tokens.refresh;
    let key = MasterSecret::parse(&server.secret).unwrap().refresh_token_key();
    let mut other_version = tokens.refresh_bytes();
    other_version[0] += 1;
    let signed = other_version.len() - 16;
    let tag = key.tag(&other_version[..signed]);
    other_version[signed..].copy_from_slice(&tag);
    let mut later_generation = tokens.refresh_bytes();
    later_generation[20] += 1;
    let text = |bytes: &[u8]| format!("ktr_{}", URL_SAFE_NO_PAD.encode(bytes));
    assert_eq!(text(&tokens.refresh_bytes()), *token);
    vec![
        String::new(),
        "ktr_".to_owned(),
        "x".repeat(5000),
        token[4..].to_owned(),
        token[..token.len() - 1].to_owned(),
        token[..token.len() - 4].to_owned(),
        format!("{token}A"),
        format!("{token} "),
        token.to_ascii_uppercase(),
        stranger.refresh.clone(),
        text(&other_version),
        text(&later_generation),
    ]
}

/// What a server and its database speak over, to be cut.
struct Wires {
    deployment: Arc<Deployment>,
    /// On the way to Postgres and to Redis, with the URLs that lead there.
    proxies: Option<[(Proxy, String); 2]>,
    /// Held in the place of a wire to SQLite: no statement that writes gets through.
    lock: Option<Conn>,
}

impl Wires {
    async fn new(backend: Backend) -> Self {
        let deployment = Deployment::new(backend);
        let proxies = match backend {
            Backend::Embedded => None,
            Backend::Scaled => {
                Some([Proxy::before(&deployment.database_url()).await, Proxy::before(&deployment.redis_url()).await])
            }
        };
        Self { deployment, proxies, lock: None }
    }

    async fn server(&self) -> Server {
        let urls = self.proxies.iter().flat_map(|[(_, postgres), (_, redis)]| {
            [("DATABASE_URL", postgres.as_str()), ("REDIS_URL", redis.as_str())]
        });
        Server::start(&self.deployment, &urls.collect::<Vec<_>>(), Clock::default()).await
    }

    fn cut_database(&mut self) {
        match &self.proxies {
            Some([(postgres, _), _]) => postgres.set(Wire::Cut),
            None => {
                let mut conn = self.deployment.conn();
                conn.batch_execute("BEGIN IMMEDIATE").unwrap();
                self.lock = Some(conn);
            }
        }
    }

    fn cut_redis(&self) {
        if let Some([_, (redis, _)]) = &self.proxies {
            redis.set(Wire::Cut);
        }
    }

    fn mend(&mut self) {
        self.lock = None;
        for (proxy, _) in self.proxies.iter().flatten() {
            proxy.set(Wire::Open);
        }
    }
}
