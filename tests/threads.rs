//! What a server starts ends with it. A program of its own: its threads are counted.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and nothing here is a library"
)]

#[macro_use]
#[path = "support/mod.rs"]
mod support;

use support::{Backend, OnBackend as _, Server, until};

/// Threads of this process that a server starts, by their names.
fn threads_of_servers() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    let of_server = |name: &String| ["rotation", "hasher", "database", "actix"].iter().any(|of| name.starts_with(of));
    names.filter(of_server).collect()
}

/// Open connections of this process.
fn sockets() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
    open.filter(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:")))
        .count()
}

async fn serve_and_end(backend: Backend) {
    let server = Server::on(backend).await;
    let tokens = server.register().await;
    let tokens = server.refreshed(&tokens).await;
    server.verify(&tokens.access).await.assert_status(200);
    for name in ["rotation", "hasher", "database"] {
        assert!(threads_of_servers().iter().any(|thread| thread.starts_with(name)), "{name}");
    }
    drop(server);
    until("all threads to end", async || threads_of_servers().is_empty().then_some(())).await;
}

#[test]
fn threads_and_connections_end_with_their_server() {
    for backend in [Backend::Embedded, Backend::Scaled] {
        support::run(backend, async |backend| {
            // What the first leaves is the runtime's.
            serve_and_end(backend).await;
            let before = sockets();
            for _ in 0..3 {
                serve_and_end(backend).await;
            }
            until("all connections to end", async || (sockets() <= before).then_some(())).await;
        });
    }
}
