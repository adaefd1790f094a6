//! Heads that are no HTTP: strangers send them to every server, and they are no fault of this one.

use tokio::io::AsyncWriteExt as _;

use crate::support::http::Pending;
use crate::support::{Process, Request, Response, until};

both_backends! {
    a_head_that_cannot_be_read_is_refused_with_a_problem_and_no_error_in_the_log,
}

embedded_only! {
    a_head_that_cannot_be_read_is_refused_after_good_ones,
}

async fn send(process: &Process, bytes: &[u8]) -> Response {
    let mut stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    // The server may have answered before it has read all.
    let _ = stream.write_all(bytes).await;
    Pending { stream }.answer().await.unwrap_or_else(|error| panic!("{}: {error}", String::from_utf8_lossy(bytes)))
}

fn assert_refused(answer: &Response, status: u16, code: &str) {
    answer.assert_problem(status, code);
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(answer.json()["request_id"], id);
    assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    for (name, value) in [
        ("connection", "close"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(answer.all_headers(name), [value], "{answer:?}");
    }
}

async fn a_head_that_cannot_be_read_is_refused_with_a_problem_and_no_error_in_the_log(process: Process) {
    let heads: [&[u8]; 12] = [
        b"GET\r\n\r\n",
        b"GET /\xff HTTP/9.9\r\n\r\n",
        b"nonsense nonsense nonsense\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        // The beginning of TLS, and of protocols that scanners try.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"\x03\x00\x00\x13\x0e\xe0\x00\x00\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: a\0b\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\n\r\n",
    ];
    for head in heads {
        assert_refused(&send(&process, head).await, 400, "malformed_request");
    }
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    assert_refused(&send(&process, many.as_bytes()).await, 431, "head_too_large");
    // One whose body breaks off in its frame has a handler to answer it.
    let broken = b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\nnonsense\r\n";
    send(&process, broken).await.assert_problem(400, "incomplete_body");

    process.get("/health/live").send().await.assert_status(200);
    let log = process.log();
    assert!(!log.contains("ERROR") && !log.contains("stream error"), "{log}");
}

async fn a_head_that_cannot_be_read_is_refused_after_good_ones(process: Process) {
    let good = Request::new(process.address, "GET", "/health/live").header("connection", "keep-alive").bytes();
    let mut stream = tokio::net::TcpStream::connect(process.address).await.unwrap();
    stream.write_all(&[&good[..], b"nonsense\r\n\r\n"].concat()).await.unwrap();
    let mut pending = Some(Pending { stream });
    let answer = until("both answers", async || {
        use tokio::io::AsyncReadExt as _;
        let mut all = Vec::new();
        pending.take()?.stream.read_to_end(&mut all).await.ok()?;
        Some(String::from_utf8(all).unwrap())
    });
    let answers = answer.await;
    assert!(answers.starts_with("HTTP/1.1 200 OK") && answers.contains("HTTP/1.1 400 Bad Request"), "{answers}");
    assert!(!process.log().contains("ERROR"), "{}", process.log());
}
