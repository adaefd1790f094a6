//! A Redis that is slow, full or read-only: reads and writes are given up apart, once, and taken up again; what it
//! could not be told is made good, and no more than that.

use std::time::Duration;

use keyturn::clock::Clock;

use crate::degraded::{World, ended, until_cache_is};
use crate::redis_layouts::until_cache_answers;
use crate::support::proxy::Wire;
use crate::support::servers::free_port;
use crate::support::{Backend, Endpoint, Proxy, Server, Tokens, until};

scaled_only! {
    a_redis_that_takes_no_writes_is_read_and_is_not_asked_to_write_again_and_again,
    writes_that_redis_holds_back_hold_no_reads_back,
    a_slow_redis_is_given_up_once,
    the_log_is_marked_again_after_a_loss_and_not_after_a_fault,
}

/// How often the breaker of reads or writes has opened.
async fn faults(server: &Endpoint, access: &str) -> u64 {
    server.metric(&format!("keyturn_cache_faults_total{{access=\"{access}\"}}")).await
}

fn redis(world: &World, command: &[&str]) {
    world.deployment.redis::<deadpool_redis::redis::Value>(command);
}

/// A figure of `INFO commandstats`: how often a command was called, or refused.
fn commands(world: &World, command: &str, figure: &str) -> u64 {
    let stats: String = world.deployment.redis(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
    let figures = line.into_iter().flat_map(|line| line.split(','));
    let figure = figures.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == figure);
    figure.map_or(0, |(_, count)| count.parse().unwrap())
}

fn is_marked(world: &World, tokens: &Tokens) -> bool {
    world.deployment.redis::<u8>(&["EXISTS", &format!("keyturn:{{{}}}:revoked", tokens.session)]) == 1
}

async fn until_marked(world: &World, tokens: &Tokens) {
    until("the mark", async || is_marked(world, tokens).then_some(())).await;
}

async fn a_redis_that_takes_no_writes_is_read_and_is_not_asked_to_write_again_and_again(_: Backend) {
    const REFUSED_PROBES: u64 = 4;
    let world = World::with_redis();
    let server = world.server().await;
    let live = server.register().await;
    let nobody = free_port().to_string();
    let mut openings = 0;
    for (fault, repair) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..]),
        (&["CONFIG", "SET", "min-replicas-to-write", "1"], &["CONFIG", "SET", "min-replicas-to-write", "0"]),
        (&["REPLICAOF", "127.0.0.1", &nobody], &["REPLICAOF", "NO", "ONE"]),
    ] {
        server.verify(&live.access).await.assert_status(200);
        redis(&world, fault);
        redis(&world, &["CONFIG", "RESETSTAT"]);
        let mut clients = vec![server.register().await];
        until("some probes to be refused", async || {
            clients.push(server.refreshed(clients.last().unwrap()).await);
            until_cache_answers(&server, &live).await;
            (commands(&world, "set", "rejected_calls") >= REFUSED_PROBES).then_some(())
        })
        .await;
        openings += 1;
        assert_eq!((faults(&server, "read").await, faults(&server, "write").await), (0, openings), "{fault:?}");
        assert_eq!(server.get("/health/ready").send().await.json()["status"], "degraded");
        let gone = ended(&server).await;
        // What could not be written is known to whoever could not write it.
        server.advance(11);
        let former = &clients[clients.len() - 2];
        server.verify(&former.access).await.assert_problem(401, "invalid_token");

        redis(&world, repair);
        until_cache_is(&server, "redis").await;
        until_marked(&world, &gone).await;
        server.verify(&gone.access).await.assert_problem(401, "invalid_token");
        server.verify(&clients.last().unwrap().access).await.assert_status(200);
        assert_eq!(faults(&server, "write").await, openings, "{fault:?}");
    }
}

async fn writes_that_redis_holds_back_hold_no_reads_back(_: Backend) {
    let world = World::with_redis();
    let server = world.server().await;
    let live = server.register().await;
    server.verify(&live.access).await.assert_status(200);
    redis(&world, &["CLIENT", "PAUSE", "60000", "WRITE"]);
    until("the breaker of writes to open", async || {
        server.register().await;
        until_cache_answers(&server, &live).await;
        (faults(&server, "write").await == 1).then_some(())
    })
    .await;
    for _ in 0..20 {
        until_cache_answers(&server, &live).await;
    }
    assert_eq!(faults(&server, "read").await, 0);
    redis(&world, &["CLIENT", "UNPAUSE"]);
    until_cache_is(&server, "redis").await;
}

async fn a_slow_redis_is_given_up_once(_: Backend) {
    let world = World::with_redis();
    let (wire, url) = Proxy::before(&world.deployment.redis_url()).await;
    let settings = [("REDIS_URL", &*url), ("LIMIT_REGISTER_ADDRESS", "off")];
    let server = Server::start(&world.deployment, &settings, Clock::default()).await;
    let live = server.register().await;
    wire.set(Wire::Slow(Duration::from_millis(300)));
    until("both breakers to open", async || {
        server.register().await;
        server.verify(&live.access).await.assert_status(200);
        (faults(&server, "read").await == 1 && faults(&server, "write").await == 1).then_some(())
    })
    .await;
    redis(&world, &["CONFIG", "RESETSTAT"]);
    until("some probes to be given up", async || {
        server.register().await;
        server.verify(&live.access).await.assert_status(200);
        (commands(&world, "set", "calls") >= 3).then_some(())
    })
    .await;
    assert_eq!((faults(&server, "read").await, faults(&server, "write").await), (1, 1));
    assert_eq!((commands(&world, "mget", "calls"), commands(&world, "evalsha", "calls")), (0, 0), "only probes ask");
    wire.set(Wire::Open);
    until_cache_is(&server, "redis").await;
    assert_eq!((faults(&server, "read").await, faults(&server, "write").await), (1, 1));
}

async fn the_log_is_marked_again_after_a_loss_and_not_after_a_fault(_: Backend) {
    const REVOKED: usize = 30;
    let mut world = World::with_redis();
    let server = world.server().await;
    let mut gone = Vec::new();
    for _ in 0..REVOKED {
        gone.push(ended(&server).await);
    }
    // Only marks use this command.
    let marked = |world: &World| commands(world, "unlink", "calls");
    redis(&world, &["CONFIG", "RESETSTAT"]);
    for _ in 0..2 {
        world.redis.freeze(true);
        until_cache_is(&server, "unavailable").await;
        world.redis.freeze(false);
        until_cache_is(&server, "redis").await;
    }
    gone.push(ended(&server).await);
    // A mark whose answer came too late is made again.
    let before = marked(&world);
    assert!(before < REVOKED as u64, "nothing was lost: {before}");

    redis(&world, &["FLUSHALL"]);
    for tokens in &gone {
        until_marked(&world, tokens).await;
    }
    assert!(marked(&world) >= before + gone.len() as u64);
    world.redis.stop();
    until_cache_is(&server, "unavailable").await;
    world.redis.start_again();
    for tokens in &gone {
        until_marked(&world, tokens).await;
    }
    assert!(marked(&world) >= gone.len() as u64);
}
