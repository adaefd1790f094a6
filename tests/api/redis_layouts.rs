//! Redis behind Sentinel, as a Cluster and behind a Unix socket, and connections that it closes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deadpool_redis::redis;
use keyturn::clock::Clock;

use crate::support::folder::Folder;
use crate::support::http::at_once;
use crate::support::servers::{Redis, free_port};
use crate::support::{Backend, Deployment, Endpoint, PASSWORD, Process, Server, Tokens, until, variable};

scaled_only! {
    behind_sentinel_a_server_follows_the_master,
    behind_sentinel_a_server_follows_a_master_that_steps_down,
    a_cluster_serves_sessions_marks_and_limits,
    all_sessions_of_an_account_end_at_once_in_a_cluster,
    a_cluster_that_lost_a_node_logs_nobody_out,
    a_redis_behind_a_unix_socket_is_shared,
    a_connection_that_redis_closed_is_no_fault,
}

fn ask<T: redis::FromRedisValue>(server: &Redis, command: &[&str]) -> T {
    try_ask(server, command).unwrap()
}

fn try_ask<T: redis::FromRedisValue>(server: &Redis, command: &[&str]) -> redis::RedisResult<T> {
    let mut conn = redis::Client::open(server.url())?.get_connection()?;
    redis::Cmd::new().arg(command).query(&mut conn)
}

/// Whether `server` has this role. One that is changing it hangs up on whoever asks: then it is not told.
fn has_role(server: &Redis, role: &str) -> Option<()> {
    let told: String = try_ask(server, &["INFO", "replication"]).ok()?;
    told.contains(&format!("role:{role}")).then_some(())
}

async fn until_cache_is(server: &Endpoint, mode: &str) {
    until(&format!("the cache to be {mode}"), async || {
        (server.get("/health/ready").send().await.assert_status(200).json()["cache"] == mode).then_some(())
    })
    .await;
}

async fn checks_by_cache(server: &Endpoint) -> u64 {
    server.metric("keyturn_checks_total{source=\"cache\"}").await
}

/// A check that the cache answers: it was told of the session, and it can be read.
pub async fn until_cache_answers(server: &Endpoint, tokens: &Tokens) {
    until("the cache to answer", async || {
        let before = checks_by_cache(server).await;
        server.verify(&tokens.access).await.assert_status(200);
        (checks_by_cache(server).await > before).then_some(())
    })
    .await;
}

/// A master, its replica and the sentinel that watches both.
struct Watched {
    master: Redis,
    replica: Redis,
    sentinel: Redis,
    _folder: Folder,
}

/// The name of the service that the sentinel watches.
const SERVICE: &str = "sessions";

impl Watched {
    async fn start() -> Self {
        let master = Redis::start();
        let port = master.port().to_string();
        let replica = Redis::start_with(&["--databases", "4096", "--replicaof", &format!("127.0.0.1 {port}")]);
        until("the replica to be in step", async || {
            ask::<String>(&master, &["INFO", "replication"]).contains("state=online").then_some(())
        })
        .await;
        let folder = Folder::new();
        let path = folder.path().join("sentinel.conf");
        let lines = [
            format!("sentinel monitor {SERVICE} 127.0.0.1 {port} 1"),
            format!("sentinel down-after-milliseconds {SERVICE} 3000"),
            format!("sentinel failover-timeout {SERVICE} 3000"),
        ];
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let sentinel = Redis::start_with(&[path.to_str().unwrap(), "--sentinel"]);
        until("the sentinel to know the replica", async || {
            let replicas: Vec<redis::Value> = ask(&sentinel, &["SENTINEL", "REPLICAS", SERVICE]);
            (replicas.len() == 1).then_some(())
        })
        .await;
        Self { master, replica, sentinel, _folder: folder }
    }

    fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{SERVICE}/7", self.sentinel.port())
    }

    /// Sends a command about one key to the database of the service on the replica. `None` if there is no such key.
    fn of_replica(&self, command: &[&str]) -> Option<()> {
        let database = format!("{}/7", self.replica.url());
        let mut conn = redis::Client::open(database).unwrap().get_connection().unwrap();
        (redis::Cmd::new().arg(command).query::<u8>(&mut conn).unwrap() == 1).then_some(())
    }

    async fn until_replica_leads(&self) {
        until("the replica to lead", async || has_role(&self.replica, "master")).await;
    }
}

async fn behind_sentinel_a_server_follows_the_master(deployment: Arc<Deployment>) {
    let mut redis = Watched::start().await;
    let settings = [("REDIS_URL", &*redis.url()), ("LIMIT_REGISTER_ADDRESS", "off")];
    let server = Server::start(&deployment, &settings, Clock::default()).await;
    until_cache_is(&server, "redis").await;
    let (live, gone) = (server.register().await, server.register().await);
    server.logout(&gone.access).await.assert_status(204);
    until_cache_answers(&server, &live).await;

    // The replica that takes over has all but the mark.
    let mark = format!("keyturn:{{{}}}:revoked", gone.session);
    ask::<()>(&redis.replica, &["CONFIG", "SET", "replica-read-only", "no"]);
    until("the replica to lose the mark", async || redis.of_replica(&["DEL", &mark])).await;
    redis.master.stop();
    // The sentinel may be faster than the breaker.
    server.verify(&live.access).await.assert_status(200);
    server.verify(&gone.access).await.assert_problem(401, "invalid_token");
    redis.until_replica_leads().await;
    until_cache_is(&server, "redis").await;
    until("the mark to be set again", async || redis.of_replica(&["EXISTS", &mark])).await;
    goes_on(&server, live, &gone).await;
}

async fn behind_sentinel_a_server_follows_a_master_that_steps_down(deployment: Arc<Deployment>) {
    let redis = Watched::start().await;
    let settings = [("REDIS_URL", &*redis.url()), ("LIMIT_REGISTER_ADDRESS", "off")];
    let server = Server::start(&deployment, &settings, Clock::default()).await;
    until_cache_is(&server, "redis").await;
    let (live, gone) = (server.register().await, server.register().await);
    server.logout(&gone.access).await.assert_status(204);
    until_cache_answers(&server, &live).await;

    // The former master stays, as a replica that answers and cannot be written to.
    ask::<()>(&redis.sentinel, &["SENTINEL", "FAILOVER", SERVICE]);
    redis.until_replica_leads().await;
    until("the master to have stepped down", async || has_role(&redis.master, "slave")).await;
    goes_on(&server, live, &gone).await;
}

/// Asserts that all is as it was, and that what is new is written to the cache too.
async fn goes_on(server: &Server, live: Tokens, gone: &Tokens) {
    server.verify(&gone.access).await.assert_problem(401, "invalid_token");
    let live = server.refreshed(&live).await;
    server.verify(&live.access).await.assert_status(200);
    until("a new session to be written and read", async || {
        let before = checks_by_cache(server).await;
        let new = server.register().await;
        server.verify(&new.access).await.assert_status(200);
        (checks_by_cache(server).await > before).then_some(())
    })
    .await;
    let last = server.register().await;
    server.logout(&last.access).await.assert_status(204);
    let other = server.another().await;
    for server in [server, &other] {
        server.verify(&last.access).await.assert_problem(401, "invalid_token");
        server.verify(&gone.access).await.assert_problem(401, "invalid_token");
        server.verify(&live.access).await.assert_status(200);
    }
}

/// Three masters that share all slots.
struct Cluster(Vec<Redis>);

const SLOTS: u32 = 16384;

impl Cluster {
    async fn start() -> Self {
        let mut nodes = Vec::new();
        for number in 0..3 {
            // The usual port of its bus, 10000 above its own, may not exist.
            let bus = free_port().to_string();
            let enabled = ["--cluster-enabled", "yes", "--cluster-node-timeout", "3000", "--cluster-port", &bus];
            let node = Redis::start_with(&enabled);
            let slots = [number * SLOTS / 3, (number + 1) * SLOTS / 3 - 1].map(|slot| slot.to_string());
            ask::<()>(&node, &["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]);
            ask::<()>(&node, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            if let Some(first) = nodes.first() {
                ask::<()>(first, &["CLUSTER", "MEET", "127.0.0.1", &node.port().to_string(), &bus]);
            }
            nodes.push(node);
        }
        until("the nodes to know each other", async || {
            let agrees = |node| {
                let info: String = ask(node, &["CLUSTER", "INFO"]);
                ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_size:3"].iter().all(|line| info.contains(line))
            };
            nodes.iter().all(agrees).then_some(())
        })
        .await;
        Self(nodes)
    }

    fn url(&self) -> String {
        let nodes: Vec<String> = self.0.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// Every key and the number of the node that holds it.
    fn keys(&self) -> BTreeMap<String, usize> {
        let of_node =
            |(number, node)| ask::<Vec<String>>(node, &["KEYS", "*"]).into_iter().map(move |key| (key, number));
        self.0.iter().enumerate().flat_map(of_node).collect()
    }
}

async fn a_cluster_serves_sessions_marks_and_limits(deployment: Arc<Deployment>) {
    let cluster = Cluster::start().await;
    let settings = [("REDIS_URL", &*cluster.url()), ("REDIS_TIMEOUT", "5000"), ("LIMIT_LOGIN_ACCOUNT", "4/600")];
    let server = Server::start(&deployment, &settings, Clock::default()).await;
    let other = server.another().await;
    for server in [&server, &other] {
        until_cache_is(server, "redis").await;
    }
    let mut live = Vec::new();
    for _ in 0..6 {
        let first = server.register().await;
        let second = server.refreshed(&first).await;
        for server in [&server, &other] {
            until_cache_answers(server, &second).await;
        }
        live.push(second);
    }
    let gone = live.pop().unwrap();
    server.logout(&gone.access).await.assert_status(204);
    other.verify(&gone.access).await.assert_problem(401, "invalid_token");

    let keys = cluster.keys();
    for tokens in live.iter().chain([&gone]) {
        let own: Vec<&str> =
            keys.keys().map(String::as_str).filter(|key| key.contains(&tokens.session.to_string())).collect();
        let slot = |key: &&str| ask::<i64>(&cluster.0[0], &["CLUSTER", "KEYSLOT", key]);
        assert_eq!(own.iter().map(slot).collect::<BTreeSet<_>>().len(), 1, "{own:?}");
        let mark = format!("keyturn:{{{}}}:revoked", tokens.session);
        // The mark of a revoked session takes the place of its entry.
        assert_eq!((own.len(), own.contains(&&*mark)), (1, tokens.session == gone.session));
    }
    // Where a session lies is chance, but not that many lie on every node.
    let mut nodes = BTreeSet::new();
    for _ in 0..40 {
        nodes.extend(cluster.keys().into_values());
        if nodes.len() == 3 {
            break;
        }
        server.register().await;
    }
    assert_eq!(nodes.len(), 3, "{nodes:?}");

    // Counted for both together.
    for attempt in 0..6 {
        let server = if attempt % 2 == 0 { &server } else { &other };
        let answer = server.try_login(&live[0].email, PASSWORD).await;
        answer.assert_status(if attempt < 4 { 200 } else { 429 });
    }
    for server in [&server, &other] {
        assert_eq!(server.metric("keyturn_cache_available").await, 1);
    }
}

async fn all_sessions_of_an_account_end_at_once_in_a_cluster(deployment: Arc<Deployment>) {
    let cluster = Cluster::start().await;
    let settings = [("REDIS_URL", &*cluster.url()), ("LIMIT_LOGIN_ACCOUNT", "off")];
    let server = Server::start(&deployment, &settings, Clock::default()).await;
    let other = server.another().await;
    let mut sessions = vec![server.register().await];
    for _ in 0..11 {
        sessions.push(server.login(&sessions[0].email).await);
    }
    until_cache_is(&server, "redis").await;
    server.post("/api/v1/auth/logout-all").bearer(&sessions[0].access).send().await.assert_status(200);
    for tokens in &sessions {
        other.verify(&tokens.access).await.assert_problem(401, "invalid_token");
    }
    // On whatever nodes they lie, marks are set by the one that ended them, and nothing was taken for a fault.
    let keys = cluster.keys();
    for tokens in &sessions {
        assert!(keys.contains_key(&format!("keyturn:{{{}}}:revoked", tokens.session)));
    }
    for server in [&server, &other] {
        assert_eq!(server.metric("keyturn_cache_available").await, 1);
    }
}

async fn a_cluster_that_lost_a_node_logs_nobody_out(deployment: Arc<Deployment>) {
    let mut cluster = Cluster::start().await;
    let settings = [("REDIS_URL", &*cluster.url())];
    let server = Server::start(&deployment, &settings, Clock::default()).await;
    until_cache_is(&server, "redis").await;
    let mut live = Vec::new();
    let mut gone = Vec::new();
    for _ in 0..6 {
        live.push(server.register().await);
        let tokens = server.register().await;
        server.logout(&tokens.access).await.assert_status(204);
        gone.push(tokens);
    }
    cluster.0[1].stop();
    for _ in 0..5 {
        for tokens in &mut live {
            server.verify(&tokens.access).await.assert_status(200);
            *tokens = server.refreshed(tokens).await;
        }
        for tokens in &gone {
            server.verify(&tokens.access).await.assert_problem(401, "invalid_token");
            server.refresh(&tokens.refresh).await.assert_problem(401, "session_revoked");
        }
    }
}

async fn a_redis_behind_a_unix_socket_is_shared(_: Backend) {
    let folder = Folder::new();
    let socket = folder.path().join("redis.sock").display().to_string();
    let redis = Redis::start_with(&["--databases", "4096", "--unixsocket", &socket]);
    let deployment = Deployment::on(&variable("KEYTURN_TEST_POSTGRES_URL"), &redis.url());
    for (scheme, query) in [("unix", "?db=1"), ("redis+unix", "")] {
        let url = format!("{scheme}://{socket}{query}");
        let server =
            Server::start(&deployment, &[("REDIS_URL", &url), ("REDIS_TIMEOUT", "5000")], Clock::default()).await;
        until_cache_is(&server, "redis").await;
        let tokens = server.register().await;
        until_cache_answers(&server, &tokens).await;
        let database = if query.is_empty() { "0" } else { "1" };
        let mut conn = redis::Client::open(format!("{}/{database}", redis.url())).unwrap().get_connection().unwrap();
        assert!(redis::cmd("DBSIZE").query::<i64>(&mut conn).unwrap() > 0, "{url}");
    }
}

async fn a_connection_that_redis_closed_is_no_fault(_: Backend) {
    let redis = Redis::start();
    let deployment = Deployment::on(&variable("KEYTURN_TEST_POSTGRES_URL"), &redis.url());
    let process = Process::start(&deployment, &[]);
    until_cache_is(&process, "redis").await;
    let tokens = process.register().await;
    until_cache_answers(&process, &tokens).await;
    for _ in 0..10 {
        // As after its setting `timeout`, without waiting for that.
        let closed: i64 = ask(&redis, &["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        assert!(closed > 0);
        let requests = (0..8).map(|_| process.get("/api/v1/auth/verify").bearer(&tokens.access));
        for answer in at_once(requests).await {
            answer.assert_status(200);
        }
        process.login(&tokens.email).await;
        let ready = process.get("/health/ready").send().await.assert_status(200).json();
        assert_eq!(ready["status"], "ready", "{ready}");
    }
    for access in ["read", "write"] {
        assert_eq!(process.metric(&format!("keyturn_cache_faults_total{{access=\"{access}\"}}")).await, 0);
    }
    assert!(!process.log().contains("Redis is unavailable"), "{}", process.log());
}
