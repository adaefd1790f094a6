//! What a connection may cost: its time without a request, its number for each address, and the memory of answers that
//! nobody reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::support::{Backend, Endpoint, PASSWORD, PATIENCE, Process, Request, Server, until};

both_backends! {
    a_head_that_does_not_end_is_given_up_on_every_request,
    a_connection_without_a_request_is_closed,
    a_connection_in_use_is_kept,
    a_request_that_arrived_while_the_server_stood_still_is_answered,
    requests_in_a_row_are_all_answered_in_order,
    a_client_that_hangs_up_is_noticed_behind_requests_in_a_row,
    an_address_may_open_so_many_connections,
    answers_that_nobody_reads_cost_little_memory,
    answers_that_nobody_reads_end_the_connection,
    an_answer_that_is_read_slowly_arrives,
}

const OPENAPI: &str = "/openapi.json";
const LIVE: &str = "/health/live";
const LOGIN: &str = "/api/v1/auth/login";

/// Three seconds, so that a test sees the end of it, and a busy machine does not.
const BRIEFLY: [(&str, &str); 1] = [("KEEP_ALIVE", "3")];

/// The bytes of a request on a connection that is to stay open.
fn kept(request: Request) -> Vec<u8> {
    request.header("connection", "keep-alive").bytes()
}

async fn connect(server: &Endpoint) -> TcpStream {
    let stream = TcpStream::connect(server.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends a request without a body and reads its answer, which has a short body.
async fn answered(stream: &mut TcpStream, request: Request) -> String {
    stream.write_all(&kept(request)).await.unwrap();
    read_answer(stream).await
}

async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    loop {
        let mut piece = [0; 1024];
        let length = timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer").unwrap();
        answer.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&answer);
        assert_ne!(length, 0, "{text}");
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let announced = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if announced.parse() == Ok(body.len()) {
            return text.into_owned();
        }
    }
}

/// What arrives until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A connection that ends with bytes unread by the server is reset.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes the connection");
    String::from_utf8(bytes).unwrap()
}

async fn a_head_that_does_not_end_is_given_up_on_every_request(backend: Backend) {
    let server = Server::with(backend, &BRIEFLY).await;
    let head = kept(server.get(LIVE));
    let half = &head[..head.len() - 10];
    for answers in 0..3 {
        let mut stream = connect(&server).await;
        for _ in 0..answers {
            assert!(answered(&mut stream, server.get(LIVE)).await.starts_with("HTTP/1.1 200 "));
        }
        stream.write_all(half).await.unwrap();
        let end = rest(&mut stream).await;
        assert!(end.starts_with("HTTP/1.1 408 ") && end.contains("connection: close"), "{answers}: {end}");
    }
    // Nor does it help to send on.
    let mut stream = connect(&server).await;
    answered(&mut stream, server.get(LIVE)).await;
    stream.write_all(half).await.unwrap();
    until("the connection to end", async || {
        sleep(Duration::from_millis(50)).await;
        stream.write_all(b"x").await.is_err().then_some(())
    })
    .await;
}

async fn a_connection_without_a_request_is_closed(backend: Backend) {
    let server = Server::with(backend, &BRIEFLY).await;
    let (mut new, mut used) = (connect(&server).await, connect(&server).await);
    answered(&mut used, server.get(LIVE)).await;
    assert_eq!((rest(&mut new).await, rest(&mut used).await), (String::new(), String::new()));
}

async fn a_connection_in_use_is_kept(backend: Backend) {
    let server = Server::with(backend, &BRIEFLY).await;
    let mut stream = connect(&server).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        assert!(answered(&mut stream, server.get(LIVE)).await.starts_with("HTTP/1.1 200 "));
    }
    // A request that takes longer than a connection may be idle, because its body does.
    let slow = kept(server.post(LOGIN).json(&json!({"email": "nobody@example.com", "password": PASSWORD})));
    let (first, last) = slow.split_at(slow.len() - 5);
    stream.write_all(first).await.unwrap();
    sleep(Duration::from_secs(4)).await;
    stream.write_all(last).await.unwrap();
    let refused = read_answer(&mut stream).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert!(answered(&mut stream, server.get(LIVE)).await.starts_with("HTTP/1.1 200 "));
}

async fn a_request_that_arrived_while_the_server_stood_still_is_answered(backend: Backend) {
    let process = Process::with(backend, &BRIEFLY);
    let mut stream = connect(&process).await;
    for _ in 0..2 {
        answered(&mut stream, process.get(LIVE)).await;
        process.freeze(true);
        stream.write_all(&kept(process.get(LIVE))).await.unwrap();
        sleep(Duration::from_secs(4)).await;
        process.freeze(false);
        assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    }
}

/// Sends all at once and reads the answers, each of which is to have the next id.
async fn assert_answered_in_order(server: &Endpoint, requests: Vec<Request>) {
    let count = requests.len();
    let numbered = requests.into_iter().enumerate();
    let numbered = numbered.map(|(n, request)| request.header("x-request-id", &format!("request-{n}")));
    let mut bytes: Vec<u8> = numbered.flat_map(kept).collect();
    bytes.extend(server.get(LIVE).header("x-request-id", "last").bytes());
    let (mut reads, mut writes) = connect(server).await.into_split();
    let writing = tokio::spawn(async move {
        writes.write_all(&bytes).await.unwrap();
        writes
    });
    let mut answers = Vec::new();
    timeout(PATIENCE, reads.read_to_end(&mut answers)).await.expect("all answers").unwrap();
    drop(writing.await.unwrap());
    let answers = String::from_utf8(answers).unwrap();
    let ids: Vec<&str> = answers.lines().filter_map(|line| line.strip_prefix("x-request-id: ")).collect();
    let mut expected: Vec<String> = (0..count).map(|n| format!("request-{n}")).collect();
    expected.push("last".to_owned());
    assert_eq!(ids, expected);
}

async fn requests_in_a_row_are_all_answered_in_order(server: Server) {
    assert_answered_in_order(&server, vec![server.get(LIVE); 3000]).await;
    assert_answered_in_order(&server, vec![server.get(OPENAPI); 60]).await;
    let form = server.post(LOGIN).header("content-type", "application/json");
    let long = format!("{{\"email\": \"{}\"}}", "x".repeat(60_000));
    let chunked = form.clone().header("transfer-encoding", "chunked");
    let mixed = [
        server.get(LIVE),
        // It waits for a hash while those behind it arrive.
        form.clone().body(format!("{{\"email\": \"nobody@example.com\", \"password\": \"{PASSWORD}\"}}")),
        form.clone().body(long),
        chunked.body("5\r\n{\"ema\r\n5\r\nil\": \r\n0\r\n\r\n"),
        server.get("/api/v1/auth/me"),
        server.get("/nowhere"),
        form.body("{}"),
        server.request("OPTIONS", LIVE),
    ];
    assert_answered_in_order(&server, mixed.iter().cycle().take(64).cloned().collect()).await;
}

async fn a_client_that_hangs_up_is_noticed_behind_requests_in_a_row(backend: Backend) {
    let server = Server::with(backend, &[("MAX_CONNECTIONS_PER_ADDRESS", "1")]).await;
    // Its body never comes.
    let waits = server.post(LOGIN).header("content-type", "application/json").header("content-length", "100");
    let mut stream = connect(&server).await;
    answered(&mut stream, server.get(LIVE)).await;
    stream.write_all(&[kept(server.get(LIVE)), kept(waits)].concat()).await.unwrap();
    read_answer(&mut stream).await;
    let begun = Instant::now();
    drop(stream);
    until("the connection to end", async || server.get(LIVE).try_send().await.ok()).await;
    assert!(begun.elapsed() < Duration::from_secs(8), "it had to wait for the body");
}

async fn an_address_may_open_so_many_connections(backend: Backend) {
    let most = [("MAX_CONNECTIONS_PER_ADDRESS", "3")];
    let server = Server::with(backend, &most).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(&server).await;
        answered(&mut stream, server.get(LIVE)).await;
        open.push(stream);
    }
    for _ in 0..3 {
        server.get(LIVE).try_send().await.unwrap_err();
    }
    let metrics = answered(&mut open[0], server.get("/metrics")).await;
    assert!(metrics.contains("\nkeyturn_connections_refused_total 3\n"), "{metrics}");
    open.pop();
    until("the place to be free", async || server.get(LIVE).try_send().await.ok()).await.assert_status(200);

    let proxied = Server::with(backend, &[&most[..], &[("TRUSTED_PROXIES", "127.0.0.1")]].concat()).await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut stream = connect(&proxied).await;
        answered(&mut stream, proxied.get(LIVE)).await;
        open.push(stream);
    }
}

/// The resident memory of a process in MiB.
fn memory(process: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

/// Writes `bytes` and reads nothing. Counts in `written` what the server has taken.
fn flood(mut stream: TcpStream, bytes: Arc<Vec<u8>>, written: Arc<AtomicUsize>) -> JoinHandle<TcpStream> {
    tokio::spawn(async move {
        let mut rest = bytes.as_slice();
        while let Ok(length) = stream.write(rest).await
            && length > 0
        {
            written.fetch_add(length, Ordering::Relaxed);
            rest = &rest[length..];
        }
        stream
    })
}

async fn answers_that_nobody_reads_cost_little_memory(process: Process) {
    process.get(OPENAPI).send().await.assert_status(200);
    let before = memory(&process);
    let requests = Arc::new(kept(process.get(OPENAPI)).repeat(50_000));
    let written = Arc::<AtomicUsize>::default();
    let mut floods = Vec::new();
    for _ in 0..100 {
        floods.push(flood(connect(&process).await, Arc::clone(&requests), Arc::clone(&written)));
    }
    let mut last = (0, Instant::now());
    until("the server to take no more", async || {
        let now = written.load(Ordering::Relaxed);
        if now != last.0 {
            last = (now, Instant::now());
        }
        (last.1.elapsed() > Duration::from_secs(1)).then_some(())
    })
    .await;
    let after = memory(&process);
    println!("{before} MiB, then {after} MiB");
    // Others are served.
    process.register().await;
    assert!(after < before + 60, "{before} MiB, then {after} MiB");
    floods.iter().for_each(JoinHandle::abort);
}

async fn answers_that_nobody_reads_end_the_connection(backend: Backend) {
    let server = Server::with(backend, &[("KEEP_ALIVE", "3"), ("MAX_CONNECTIONS_PER_ADDRESS", "1")]).await;
    let mut stream = connect(&server).await;
    answered(&mut stream, server.get(LIVE)).await;
    server.get(LIVE).try_send().await.unwrap_err();
    let requests = Arc::new(kept(server.get(OPENAPI)).repeat(1000));
    let flood = flood(stream, requests, Arc::default());
    until("the place to be free", async || server.get(LIVE).try_send().await.ok()).await;
    flood.abort();
}

async fn an_answer_that_is_read_slowly_arrives(backend: Backend) {
    let server = Server::with(backend, &BRIEFLY).await;
    let whole = server.get(OPENAPI).send().await.body.len();
    let mut stream = connect(&server).await;
    let count = 120;
    stream.write_all(&kept(server.get(OPENAPI)).repeat(count - 1)).await.unwrap();
    stream.write_all(&server.get(OPENAPI).bytes()).await.unwrap();
    let (mut received, mut piece) = (0, vec![0; 256 * 1024]);
    loop {
        let length = timeout(PATIENCE, stream.read(&mut piece)).await.expect("an answer").unwrap();
        if length == 0 {
            break;
        }
        received += length;
        sleep(Duration::from_millis(100)).await;
    }
    assert!(received > whole * count, "{received} bytes of {count} times {whole}");
}
