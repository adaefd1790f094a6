//! The benchmark of the feed of revocations: how long it takes until every reader knows, while servers are killed and a
//! transaction holds the log back. See `benches/README.md`.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark ends by panicking, and nothing here is a library"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use support::feed::Reader;
use support::http::at_once;
use support::{Backend, Deployment, Process, Request, Tokens};

/// What is measured.
struct Options {
    readers: usize,
    /// Revocations a second.
    rate: usize,
    seconds: usize,
    /// Whether servers are killed and a transaction stays open.
    disturbed: bool,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self { readers: 1000, rate: 200, seconds: 30, disturbed: false };
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let mut number = || arguments.next().and_then(|value| value.parse().ok()).expect("a number");
            match name.as_str() {
                "--readers" => options.readers = number(),
                "--rate" => options.rate = number(),
                "--seconds" => options.seconds = number(),
                "--disturbed" => options.disturbed = true,
                other => panic!("unknown option {other}"),
            }
        }
        options
    }
}

fn main() {
    // Cargo runs this without `--bench` when it only tries everything (`test --all-targets`).
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = Options::parse(std::env::args().skip(1));
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(measure(&options));
}

async fn measure(options: &Options) {
    let deployment = Deployment::new(Backend::Scaled);
    let settings = [
        ("LIMIT_REGISTER_ADDRESS", "off"),
        ("LIMIT_LOGIN_ADDRESS", "off"),
        ("LIMIT_LOGIN_ACCOUNT", "off"),
        ("MAX_CONNECTIONS_PER_ADDRESS", "0"),
    ];
    let mut fleet = Process::fleet(&deployment, &settings);
    let addresses: Vec<SocketAddr> = fleet.iter().map(|process| process.address).collect();
    let sessions = log_in(&fleet[0], options.rate * options.seconds).await;
    println!("{} sessions", sessions.len());
    let authorization = fleet[0].reader().await;
    let follow = |n: usize| {
        let first = n % addresses.len();
        let order = [&addresses[first..], &addresses[..first]].concat();
        Reader::light(order, &authorization)
    };
    let readers: Vec<Reader> = (0..options.readers).map(follow).collect();
    while readers.iter().any(|reader| reader.told(|told| told.syncs == 0)) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("{} readers", readers.len());

    let mut blocker = deployment.conn();
    let begun = Instant::now();
    let mut answered = HashMap::new();
    let mut revoking = tokio::task::JoinSet::new();
    let mut kills = if options.disturbed { vec![2 * sessions.len() / 3, sessions.len() / 3] } else { Vec::new() };
    for (n, tokens) in sessions.iter().enumerate() {
        let due = begun + Duration::from_micros((n * 1_000_000 / options.rate) as u64);
        tokio::time::sleep_until(due.into()).await;
        if options.disturbed && n == sessions.len() / 6 {
            blocker
                .batch_execute("SET idle_in_transaction_session_timeout = 0; BEGIN; SELECT pg_current_xact_id()")
                .unwrap();
        }
        if options.disturbed && n == 5 * sessions.len() / 6 {
            blocker.batch_execute("COMMIT").unwrap();
        }
        if kills.last() == Some(&n) {
            kills.pop();
            let victim = kills.len() % fleet.len();
            fleet[victim].kill();
            let bind = addresses[victim].to_string();
            fleet[victim] = Process::start(&deployment, &[&settings[..], &[("BIND", &bind)]].concat());
        }
        revoking.spawn(log_out(addresses.clone(), n, tokens.access.clone(), tokens.session.0.to_string()));
    }
    while let Some(done) = revoking.join_next().await {
        let (session, at) = done.unwrap();
        answered.insert(session, at);
    }
    println!("revoked in {:.1} s", begun.elapsed().as_secs_f64());
    let mut missing = usize::MAX;
    let waited = Instant::now();
    while missing > 0 && waited.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        missing = readers.iter().map(|reader| reader.told(|told| answered.len() - told.arrivals.len())).sum();
    }
    let mut delays: Vec<Duration> = Vec::with_capacity(readers.len() * answered.len());
    for reader in &readers {
        reader.told(|told| {
            let known = answered.iter().filter_map(|(session, at)| Some((told.arrivals.get(session)?, at)));
            delays.extend(known.map(|(arrived, answered)| arrived.saturating_duration_since(*answered)));
        });
    }
    delays.sort_unstable();
    let quantile = |percent: usize| delays[(delays.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    println!(
        "{} readers, {} revocations a second: {missing} left out; from answer to reader, ms: p50 {:.1}, p99 {:.1}, max {:.1}",
        readers.len(),
        options.rate,
        quantile(50),
        quantile(99),
        quantile(100),
    );
    let connections: usize = readers.iter().map(|reader| reader.told(|told| told.connections)).sum();
    let resets: usize = readers.iter().map(|reader| reader.told(|told| told.resets)).sum();
    println!("{connections} connections, {resets} resets");
    assert_eq!(missing, 0, "every reader knows all");
}

/// Returns the tokens of so many sessions of one account.
async fn log_in(process: &Process, count: usize) -> Vec<Tokens> {
    let first = process.register().await;
    let body = serde_json::json!({"email": first.email, "password": support::PASSWORD});
    let mut sessions = Vec::with_capacity(count);
    while sessions.len() < count {
        let batch = (0..16.min(count - sessions.len())).map(|_| process.post("/api/v1/auth/login").json(&body));
        sessions.extend(at_once(batch).await.iter().map(|answer| Tokens::of(answer.assert_status(200))));
    }
    sessions
}

/// Ends a session at one of the servers, or at another one if that was killed. Returns when that was answered.
async fn log_out(addresses: Vec<SocketAddr>, n: usize, access: String, session: String) -> (String, Instant) {
    for address in addresses.iter().cycle().skip(n) {
        let request = Request::new(*address, "POST", "/api/v1/auth/logout").bearer(&access);
        match request.try_send().await {
            // Whoever repeats a logout that was carried out and not answered is refused.
            Ok(answer) if matches!(answer.status, 204 | 401) => return (session, Instant::now()),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    unreachable!("the addresses are tried in turn")
}
