//! What tests stand on: real servers on databases of their own, and a client to speak to them.

#![allow(dead_code, unused_imports, unused_macros, reason = "each test program uses a part of it")]

pub mod authority;
pub mod clients;
pub mod declared;
pub mod deployment;
pub mod dpop;
pub mod endpoint;
pub mod feed;
pub mod folder;
pub mod front;
pub mod geoip;
pub mod http;
pub mod pooler;
pub mod process;
pub mod proxy;
pub mod server;
pub mod servers;
pub mod smtp;
pub mod tokens;
pub mod totp;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use deployment::Deployment;
pub use dpop::ProofKey;
pub use endpoint::{Endpoint, PASSWORD};
pub use folder::Folder;
pub use http::{Request, Response};
pub use process::Process;
pub use proxy::Proxy;
pub use server::{Server, Servers};
pub use smtp::SmtpServer;
pub use tokens::Tokens;
pub use totp::Authenticator;

/// The longest that a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What servers keep their data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// SQLite, and a cache in the process.
    Embedded,
    /// Postgres and Redis.
    Scaled,
}

/// What a test may ask for as its argument.
pub trait OnBackend {
    async fn on(backend: Backend) -> Self;
}

impl OnBackend for Backend {
    async fn on(backend: Backend) -> Self {
        backend
    }
}

impl OnBackend for Arc<Deployment> {
    async fn on(backend: Backend) -> Self {
        Deployment::new(backend)
    }
}

/// Runs one test. Tasks that it spawns go on while it blocks.
pub fn run<A: OnBackend, F: Future<Output = ()>>(backend: Backend, test: impl FnOnce(A) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async { test(A::on(backend).await).await });
}

/// Runs each of these `async fn name(argument)` as a test on either backend. The argument is a [`Server`], [`Servers`],
/// a [`Process`], an `Arc<Deployment>` or the [`Backend`] itself. A function that is not named here is dead code.
macro_rules! both_backends {
    ($($name:ident),+ $(,)?) => {
        tests_on!(embedded, Embedded, $($name),+);
        tests_on!(scaled, Scaled, $($name),+);
    };
}

/// [`both_backends`] for what only SQLite has.
macro_rules! embedded_only {
    ($($name:ident),+ $(,)?) => { tests_on!(embedded_only, Embedded, $($name),+); };
}

/// [`both_backends`] for what only Postgres or Redis has.
macro_rules! scaled_only {
    ($($name:ident),+ $(,)?) => { tests_on!(scaled_only, Scaled, $($name),+); };
}

macro_rules! tests_on {
    ($module:ident, $backend:ident, $($name:ident),+) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    crate::support::run(crate::support::Backend::$backend, super::$name);
                }
            )+
        }
    };
}

/// Waits until `condition` gives a value. Panics, naming `what`, after [`PATIENCE`].
#[track_caller]
pub fn until<T>(what: &str, condition: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    wait_until(what.to_owned(), place, condition)
}

async fn wait_until<T>(
    what: String,
    place: &std::panic::Location<'_>,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "{place}: waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Random hexadecimal digits, two for each of `N` bytes.
pub fn random_hex<const N: usize>() -> String {
    hex(&keyturn::random::Random.bytes::<N>())
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `scripts/test` and `scripts/servers` put into the environment.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run scripts/test, or this by scripts/servers"))
}
