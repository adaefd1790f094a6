//! A wire between a server and what it stands on, that a test can cut, hold, slow down or let swallow all bytes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

/// What becomes of bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Open,
    /// Requests arrive, their answers do not until the wire is open again.
    AnswersHeld,
    /// Each piece of an answer takes so long.
    Slow(Duration),
    /// Connections are closed, and new ones as soon as they are made.
    Cut,
}

/// A TCP proxy on a port of its own; it ends when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    wire: watch::Sender<Wire>,
    /// How often the connections that were there have become dead ends.
    dead_ends: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Stands in for the server at `upstream`.
    pub async fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, state) = watch::channel(Wire::Open);
        let (dead_ends, swallowed) = watch::channel(0);
        let task = tokio::spawn(serve(listener, upstream, state, swallowed));
        Self { address, wire, dead_ends, task }
    }

    /// Stands in for the server that `url` leads to, and gives the URL that leads here.
    pub async fn before(url: &str) -> (Self, String) {
        let mut url = Url::parse(url).unwrap();
        let port = url.port().expect("a URL with a port");
        let proxy = Self::to(SocketAddr::new(url.host_str().unwrap().parse().unwrap(), port)).await;
        url.set_port(Some(proxy.address.port())).unwrap();
        (proxy, url.into())
    }

    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// Turns the connections that are there into dead ends for ever: their bytes are acknowledged and go nowhere, and
    /// neither end learns that the other one is gone. New connections work.
    pub fn swallow(&self) {
        self.dead_ends.send_modify(|times| *times += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    listener: TcpListener,
    upstream: SocketAddr,
    wire: watch::Receiver<Wire>,
    dead_ends: watch::Receiver<u64>,
) {
    // Aborted with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { continue };
        let (state, mut cut) = (wire.clone(), wire.clone());
        let dead_end = DeadEnd { before: *dead_ends.borrow(), times: dead_ends.clone() };
        connections.spawn(async move {
            tokio::select! {
                () = join(client, upstream, state, dead_end) => {}
                _ = cut.wait_for(|wire| *wire == Wire::Cut) => {}
            }
        });
    }
}

/// Whether a connection has become a dead end since it was made.
#[derive(Clone)]
struct DeadEnd {
    before: u64,
    times: watch::Receiver<u64>,
}

impl DeadEnd {
    fn is_reached(&self) -> bool {
        *self.times.borrow() != self.before
    }
}

async fn join(client: TcpStream, upstream: SocketAddr, wire: watch::Receiver<Wire>, dead_end: DeadEnd) {
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, None, &dead_end) => {}
        () = copy(from_server, to_client, Some(wire), &dead_end) => {}
    }
    if dead_end.is_reached() {
        std::future::pending::<()>().await;
    }
}

/// Copies until either end is closed, at the wire's pace where there is one.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: Option<watch::Receiver<Wire>>,
    dead_end: &DeadEnd,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if dead_end.is_reached() {
            continue;
        }
        if let Some(wire) = &mut wire {
            let Ok(state) = wire.wait_for(|wire| *wire != Wire::AnswersHeld).await.map(|state| *state) else { return };
            match state {
                Wire::Open | Wire::AnswersHeld => {}
                Wire::Slow(delay) => tokio::time::sleep(delay).await,
                Wire::Cut => return,
            }
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
