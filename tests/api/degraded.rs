//! Redis or the database gone, slow, empty or out of date: nobody is logged out, nothing revoked is accepted, and all
//! is well again without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use keyturn::clock::Clock;
use keyturn::db::DbError;
use keyturn::db::schema::{revocations, sessions};
use keyturn::types::SessionId;
use serde_json::{Value, json};

use crate::support::proxy::Wire;
use crate::support::servers::{Postgres, Redis};
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Proxy, Response, Server, Tokens, until, variable};

both_backends! {
    a_revocation_whose_server_died_before_it_told_anybody_is_made_good_by_the_next_reader,
}

scaled_only! {
    redis_down_at_the_start_is_picked_up_when_it_comes,
    redis_killed_under_traffic_logs_nobody_out_and_lets_nothing_revoked_pass,
    redis_flushed_changes_nothing,
    marks_lost_while_entries_stay_bring_nothing_back,
    a_stale_entry_after_a_failover_brings_nothing_back,
    redis_that_does_not_answer_is_not_waited_for,
    a_revocation_without_redis_counts_on_every_server_at_once_and_is_marked_afterwards,
    a_revocation_of_a_server_that_is_cut_off_from_redis_reaches_the_others_within_about_a_second,
    two_servers_that_refresh_one_session_leave_its_newest_entry,
}

/// Limits that no amount of traffic meets.
const UNLIMITED: [(&str, &str); 5] = [
    ("LIMIT_LOGIN_ACCOUNT", "off"),
    ("LIMIT_LOGIN_ADDRESS", "off"),
    ("LIMIT_REGISTER_ADDRESS", "off"),
    ("LIMIT_REFRESH_SESSION", "off"),
    ("LIMIT_REFRESH_ADDRESS", "off"),
];

/// What a test breaks, and what it keeps its eyes on: a session that is live and one that was ended.
pub struct World {
    // Before the deployment, which would otherwise ask it while it is frozen.
    pub redis: Redis,
    pub deployment: Arc<Deployment>,
    pub postgres: Option<Postgres>,
}

impl World {
    /// Redis is the test's own.
    pub fn with_redis() -> Self {
        let redis = Redis::start();
        let deployment = Deployment::on(&variable("KEYTURN_TEST_POSTGRES_URL"), &redis.url());
        Self { redis, deployment, postgres: None }
    }

    /// Postgres is the test's own too.
    pub fn with_both() -> Self {
        let (redis, postgres) = (Redis::start(), Postgres::start(&[]));
        let deployment = Deployment::on(&postgres.url(), &redis.url());
        Self { redis, deployment, postgres: Some(postgres) }
    }

    pub async fn server(&self) -> Server {
        // A busy machine takes longer now and then.
        let settings = [&UNLIMITED[..], &[("REDIS_TIMEOUT", "500")]].concat();
        Server::start(&self.deployment, &settings, Clock::default()).await
    }

    pub fn postgres(&mut self) -> &mut Postgres {
        self.postgres.as_mut().unwrap()
    }
}

/// A session that was used and logged out.
pub async fn ended(server: &Endpoint) -> Tokens {
    let tokens = server.register().await;
    server.verify(&tokens.access).await.assert_status(200);
    server.logout(&tokens.access).await.assert_status(204);
    tokens
}

/// Asserts, by every way there is, that `live` is live and `ended` has ended, and refreshes the former.
pub async fn assert_as_it_was(server: &Endpoint, live: &mut Tokens, ended: &Tokens) {
    server.verify(&live.access).await.assert_status(200);
    server.me(&live.access).await.assert_status(200);
    server.verify(&ended.access).await.assert_problem(401, "invalid_token");
    server.me(&ended.access).await.assert_problem(401, "invalid_token");
    server.refresh(&ended.refresh).await.assert_problem(401, "session_revoked");
    *live = server.refreshed(live).await;
    server.verify(&live.access).await.assert_status(200);
}

/// The same on a server that was started just now and remembers nothing.
pub async fn assert_as_it_was_after_a_restart(world: &World, live: &mut Tokens, ended: &Tokens) {
    let server = world.server().await;
    until_cache_is(&server, "redis").await;
    assert_as_it_was(&server, live, ended).await;
}

/// Waits until a server, of which nothing else is asked, tells that its cache is in this mode; then until it tells so
/// wherever it tells it.
pub async fn until_cache_is(server: &Endpoint, mode: &str) {
    let ready = async || server.get("/health/ready").send().await.assert_status(200).json();
    until(&format!("the cache to be {mode}"), async || (ready().await["cache"] == mode).then_some(())).await;
    let tokens = server.register().await;
    let is_there = mode == "redis";
    if mode == "redis" {
        // Each thread finds out by itself that its connection is gone, and three such failures open the breaker.
        until("the cache to stay", async || {
            for _ in 0..40 {
                assert_eq!(server.verify(&tokens.access).await.status, 200);
                if ready().await["cache"] != mode {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
    let told = |answer: &Value| answer["cache"] == mode && answer["redis_available"] == is_there;
    until(&format!("the cache to be {mode} everywhere"), async || {
        let ready = ready().await;
        assert_eq!(ready["database"], "postgres", "{ready}");
        assert_eq!(ready["status"] == "ready", ready["cache"] == "redis", "{ready}");
        assert_eq!(ready["status"] == "degraded", ready["cache"] == "unavailable", "{ready}");
        let metric = server.metric("keyturn_cache_available").await;
        let summary = server.get("/api/v1/sessions/summary").bearer(&tokens.access).send().await;
        let summary = summary.assert_status(200).json();
        (told(&ready) && told(&summary) && metric == u64::from(is_there)).then_some(())
    })
    .await;
}

/// Waits until a server refuses the session without asking the cache.
async fn until_log_is_read(server: &Endpoint, ended: &Tokens) {
    until("the log of revocations to be read", async || {
        let before = checks(server, "log").await;
        server.verify(&ended.access).await.assert_problem(401, "invalid_token");
        (checks(server, "log").await > before).then_some(())
    })
    .await;
}

/// A check that the cache answers.
async fn until_cache_answers(server: &Endpoint, live: &Tokens) {
    until("the cache to answer", async || {
        let before = checks(server, "cache").await;
        server.verify(&live.access).await.assert_status(200);
        (checks(server, "cache").await > before).then_some(())
    })
    .await;
}

async fn checks(server: &Endpoint, source: &str) -> u64 {
    server.metric(&format!("keyturn_checks_total{{source=\"{source}\"}}")).await
}

#[track_caller]
pub fn assert_retryable(answer: &Response, code: &str) {
    answer.assert_problem(503, code);
    assert_eq!(answer.json()["retryable"], json!(true));
    let seconds: u64 = answer.header("retry-after").expect("a Retry-After").parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

fn entry(deployment: &Deployment, session: SessionId) -> Vec<u8> {
    deployment.redis(&["GET", &entry_key(session)])
}

fn set_entry(deployment: &Deployment, session: SessionId, entry: &[u8]) {
    deployment.redis::<()>(&[b"SET", entry_key(session).as_bytes(), entry, b"EX", b"900"]);
}

pub fn entry_key(session: SessionId) -> String {
    format!("keyturn:{{{session}}}:entry")
}

fn mark_key(session: SessionId) -> String {
    format!("keyturn:{{{session}}}:revoked")
}

async fn redis_down_at_the_start_is_picked_up_when_it_comes(_: Backend) {
    let mut world = World::with_redis();
    world.redis.stop();
    let server = world.server().await;
    until_cache_is(&server, "unavailable").await;
    let mut live = server.register().await;
    let ended = ended(&server).await;
    assert_as_it_was(&server, &mut live, &ended).await;
    assert_eq!(checks(&server, "cache").await, 0);

    world.redis.start_again();
    until_cache_is(&server, "redis").await;
    assert_as_it_was(&server, &mut live, &ended).await;
    until_cache_answers(&server, &live).await;
    assert_as_it_was_after_a_restart(&world, &mut live, &ended).await;
}

async fn redis_killed_under_traffic_logs_nobody_out_and_lets_nothing_revoked_pass(_: Backend) {
    const CLIENTS: usize = 4;
    let mut world = World::with_redis();
    let servers = [world.server().await, world.server().await];
    let gone = ended(&servers[0]).await;
    let traffic = Arc::new(Traffic::default());
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let endpoints = servers.each_ref().map(|server| Endpoint::clone(server));
        let tokens = endpoints[number % 2].register().await;
        clients.push(tokio::spawn(Arc::clone(&traffic).client(endpoints, tokens, gone.clone())));
    }
    for _ in 0..3 {
        traffic.flow().await;
        world.redis.stop();
        traffic.flow().await;
        for server in &servers {
            until_cache_is(server, "unavailable").await;
        }
        traffic.flow().await;
        world.redis.start_again();
        traffic.flow().await;
        for server in &servers {
            until_cache_is(server, "redis").await;
        }
    }
    traffic.flow().await;
    traffic.over.store(true, Ordering::Relaxed);
    for client in clients {
        let mut live = client.await.unwrap();
        for server in &servers {
            assert_as_it_was(server, &mut live, &gone).await;
        }
        assert_as_it_was_after_a_restart(&world, &mut live, &gone).await;
    }
}

/// Clients that check, refresh and log in without a pause, and panic at an answer that no fault excuses.
#[derive(Default)]
struct Traffic {
    rounds: AtomicU64,
    over: AtomicBool,
}

impl Traffic {
    /// Lets some rounds pass.
    async fn flow(&self) {
        let target = self.rounds.load(Ordering::Relaxed) + 20;
        until("traffic to flow", async || (self.rounds.load(Ordering::Relaxed) >= target).then_some(())).await;
    }

    async fn client(self: Arc<Self>, servers: [Endpoint; 2], mut live: Tokens, ended: Tokens) -> Tokens {
        let mut round = 0;
        while !self.over.load(Ordering::Relaxed) {
            round += 1;
            for server in &servers {
                let verify = |tokens: &Tokens| server.get("/api/v1/auth/verify").bearer(&tokens.access);
                verify(&live).persist().await.0.assert_status(200);
                verify(&ended).persist().await.0.assert_problem(401, "invalid_token");
                live = Tokens::of(&server.refreshing(&live.refresh).persist().await.0);
            }
            if round % 5 == 0 {
                let login = json!({"email": live.email, "password": PASSWORD});
                Tokens::of(&servers[0].post("/api/v1/auth/login").json(&login).persist().await.0);
            }
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
        live
    }
}

async fn redis_flushed_changes_nothing(_: Backend) {
    let world = World::with_redis();
    let servers = [world.server().await, world.server().await];
    let mut live = servers[0].register().await;
    let ended = ended(&servers[0]).await;
    for server in &servers {
        until_log_is_read(server, &ended).await;
        world.deployment.redis::<()>(&["FLUSHALL"]);
        assert_as_it_was(server, &mut live, &ended).await;
    }
    world.deployment.redis::<()>(&["FLUSHALL"]);
    drop(servers);
    assert_as_it_was_after_a_restart(&world, &mut live, &ended).await;
}

async fn marks_lost_while_entries_stay_bring_nothing_back(_: Backend) {
    let world = World::with_redis();
    let servers = [world.server().await, world.server().await];
    let mut live = servers[0].register().await;
    let ended = servers[0].register().await;
    let stale = entry(&world.deployment, ended.session);
    servers[0].logout(&ended.access).await.assert_status(204);
    // As if a slow reader had written the entry after the end.
    let lose_marks = || {
        let marks = world.deployment.redis_keys("*:revoked");
        assert!(marks.contains(&mark_key(ended.session)), "{marks:?}");
        let deleted: usize = world.deployment.redis(&[&["DEL"][..], &strs(&marks)].concat());
        assert_eq!(deleted, marks.len());
        set_entry(&world.deployment, ended.session, &stale);
    };
    for server in &servers {
        until_log_is_read(server, &ended).await;
    }
    lose_marks();
    for server in &servers {
        assert_as_it_was(server, &mut live, &ended).await;
    }
    drop(servers);
    // The first thing that a server does is to read the log, and to mark what it finds there.
    let server = world.server().await;
    assert_as_it_was(&server, &mut live, &ended).await;
    lose_marks();
    assert_as_it_was(&server, &mut live, &ended).await;
}

fn strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

async fn a_stale_entry_after_a_failover_brings_nothing_back(_: Backend) {
    let world = World::with_redis();
    let servers = [world.server().await, world.server().await];
    let live = servers[0].register().await;
    let gone = servers[0].register().await;
    let deployment = &world.deployment;
    let stale = [live.session, gone.session].map(|session| entry(deployment, session));
    let mut next = servers[1].refreshed(&live).await;
    servers[0].logout(&gone.access).await.assert_status(204);
    for server in &servers {
        until_log_is_read(server, &gone).await;
    }

    // A replica that had fallen behind takes over: the entries are as they were before refresh and logout.
    let fail_over = || {
        deployment.redis::<()>(&["FLUSHALL"]);
        for (session, entry) in [live.session, gone.session].iter().zip(&stale) {
            set_entry(deployment, *session, entry);
        }
    };
    for server in &servers {
        fail_over();
        server.verify(&gone.access).await.assert_problem(401, "invalid_token");
        server.me(&gone.access).await.assert_problem(401, "invalid_token");
        until("the entry to be brought forward", async || {
            server.verify(&next.access).await.assert_status(200);
            (entry(deployment, live.session) != stale[0]).then_some(())
        })
        .await;
    }
    fail_over();
    for server in &servers {
        assert_as_it_was(server, &mut next, &gone).await;
    }
    drop(servers);
    fail_over();
    assert_as_it_was_after_a_restart(&world, &mut next, &gone).await;
}

async fn redis_that_does_not_answer_is_not_waited_for(_: Backend) {
    const CHECKS: u32 = 50;
    let world = World::with_redis();
    let server = world.server().await;
    let mut live = server.register().await;
    let ended = ended(&server).await;
    world.redis.freeze(true);
    let before = checks(&server, "database").await;
    for _ in 0..CHECKS {
        server.verify(&live.access).await.assert_status(200);
    }
    // The first calls have waited and opened the breaker. It is the database that answered.
    assert!(checks(&server, "database").await >= before + u64::from(CHECKS));
    until_cache_is(&server, "unavailable").await;
    assert_as_it_was(&server, &mut live, &ended).await;
    server.login(&live.email).await;

    world.redis.freeze(false);
    until_cache_is(&server, "redis").await;
    assert_as_it_was(&server, &mut live, &ended).await;
    until_cache_answers(&server, &live).await;
    assert_as_it_was_after_a_restart(&world, &mut live, &ended).await;
}

async fn a_revocation_without_redis_counts_on_every_server_at_once_and_is_marked_afterwards(_: Backend) {
    let mut world = World::with_redis();
    let servers = [world.server().await, world.server().await];
    let mut live = servers[0].register().await;
    let gone = servers[0].register().await;
    for server in &servers {
        server.verify(&gone.access).await.assert_status(200);
    }
    world.redis.stop();
    servers[0].logout(&gone.access).await.assert_status(204);
    servers[1].verify(&gone.access).await.assert_problem(401, "invalid_token");
    world.redis.start_again();
    for server in &servers {
        until_cache_is(server, "redis").await;
        assert_as_it_was(server, &mut live, &gone).await;
    }
    until("the mark", async || (world.deployment.redis::<u8>(&["EXISTS", &mark_key(gone.session)]) == 1).then_some(()))
        .await;
    drop(servers);
    assert_as_it_was_after_a_restart(&world, &mut live, &gone).await;
}

async fn a_revocation_of_a_server_that_is_cut_off_from_redis_reaches_the_others_within_about_a_second(_: Backend) {
    let world = World::with_redis();
    let (wire, url) = Proxy::before(&world.deployment.redis_url()).await;
    let cut_off = Server::start(&world.deployment, &[("REDIS_URL", &url)], Clock::default()).await;
    let other = world.server().await;
    let tokens = cut_off.register().await;
    other.verify(&tokens.access).await.assert_status(200);
    wire.set(Wire::Cut);
    cut_off.logout(&tokens.access).await.assert_status(204);
    cut_off.verify(&tokens.access).await.assert_problem(401, "invalid_token");
    until_refused(&other, &tokens).await;
    // The other server refuses the token by what it has read, and marks it in Redis after that.
    let mark = mark_key(tokens.session);
    until("the mark", async || (world.deployment.redis::<u8>(&["EXISTS", &mark]) == 1).then_some(())).await;
    wire.set(Wire::Open);
    until_cache_is(&cut_off, "redis").await;
    cut_off.verify(&tokens.access).await.assert_problem(401, "invalid_token");
}

async fn until_refused(server: &Endpoint, tokens: &Tokens) {
    until("the revocation to be read", async || {
        let answer = server.verify(&tokens.access).await;
        (answer.status != 200).then(|| answer.assert_problem(401, "invalid_token").status)
    })
    .await;
}

async fn a_revocation_whose_server_died_before_it_told_anybody_is_made_good_by_the_next_reader(backend: Backend) {
    let server = Server::with(backend, &[]).await;
    let tokens = server.register().await;
    let live = server.register().await;
    server.verify(&tokens.access).await.assert_status(200);

    // What a revocation's transaction writes, and nothing after it.
    let (session, user, now) = (tokens.session, tokens.user, server.clock.now());
    let committed = server.conn().write(|conn| {
        diesel::update(sessions::table.find(session))
            .set((
                sessions::revoked_at.eq(now),
                sessions::revoked_reason.eq("logout"),
                sessions::revision.eq(sessions::revision + 1),
            ))
            .execute(conn)?;
        diesel::insert_into(revocations::table)
            .values((
                revocations::session_id.eq(session),
                revocations::user_id.eq(user),
                revocations::reason.eq("logout"),
                revocations::revoked_at.eq(now),
                revocations::expires_at.eq(now.plus(Duration::from_secs(960))),
            ))
            .execute(conn)?;
        Ok::<_, DbError>(())
    });
    committed.unwrap();
    until_refused(&server, &tokens).await;
    if backend == Backend::Scaled {
        until("the mark", async || (server.redis::<u8>(&["EXISTS", &mark_key(session)]) == 1).then_some(())).await;
    }
    server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
    server.verify(&live.access).await.assert_status(200);
}

async fn two_servers_that_refresh_one_session_leave_its_newest_entry(_: Backend) {
    let server = Server::with(Backend::Scaled, &UNLIMITED).await;
    let servers = [server.another().await, server];
    let mut tokens = servers[0].register().await;
    let over = Arc::new(AtomicBool::new(false));
    // Readers that find no entry write what they read of the row, which may be old by then.
    let readers: Vec<_> = (0..4)
        .map(|number| {
            let (server, over, first) = (Endpoint::clone(&servers[number % 2]), Arc::clone(&over), tokens.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    server.redis::<()>(&["DEL", &entry_key(first.session)]);
                    // Replaced more than once, it is refused after the row was read.
                    assert_ne!(server.verify(&first.access).await.status, 503);
                }
            })
        })
        .collect();
    for round in 0..30 {
        tokens = servers[round % 2].refreshed(&tokens).await;
        servers[(round + 1) % 2].verify(&tokens.access).await.assert_status(200);
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    servers[0].verify(&tokens.access).await.assert_status(200);
    let row = servers[0].session(tokens.session);
    until("the newest entry", async || {
        let entry = entry(&servers[0], tokens.session);
        let is_newest = entry.starts_with(format!("{:016x}", row.generation).as_bytes());
        (is_newest && entry.windows(16).any(|bytes| bytes == row.access_jti.0.as_bytes())).then_some(())
    })
    .await;
}
