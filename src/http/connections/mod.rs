//! Connections: how many an address may open, how long one may stay without a request or with an answer that nobody
//! reads, and how much of both is buffered.
//!
//! actix limits the time for the head of a connection's first request only, reads on while answers wait, and begins
//! requests whose forerunners' answers nobody has taken. So each connection is wrapped in a [`Stream`], and every
//! request goes through [`Connection::begin`].

mod answer;
mod bad_head;
mod places;
mod state;
mod stream;

use std::fmt::Debug;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_service::{IntoServiceFactory, ServiceFactoryExt as _, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Extensions, Service, ServiceFactory, fn_service};
use tokio::net::TcpStream;

use crate::clock::Clock;
use crate::config::Config;
use crate::metrics::Metrics;

pub(super) use answer::Answer;
use places::Places;
pub(super) use state::Connection;
use stream::Stream;

/// How long a client may take to send the head of its first request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a client may take nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client that is still sending is listened to after an early answer, so that it can read that answer.
const LINGER: Duration = Duration::from_secs(1);

/// The times that a connection may take.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    /// From the start to the complete head of the first request.
    head: Duration,
    /// From an answer to the complete head of the next request.
    keep_alive: Duration,
    /// Without any progress of an answer.
    write: Duration,
}

/// The connections of a server. Clones share the counts.
#[derive(Clone)]
pub(crate) struct Connections {
    timeouts: Timeouts,
    places: Places,
    metrics: Metrics,
    clock: Clock,
}

impl Connections {
    /// Creates the connections of a server that has none yet.
    pub(crate) fn new(config: &Config, metrics: Metrics, clock: Clock) -> Self {
        let keep_alive = config.keep_alive;
        let timeouts =
            Timeouts { head: HEAD_TIMEOUT.min(keep_alive), keep_alive, write: WRITE_TIMEOUT.min(keep_alive) };
        let places = Places::new(config.max_connections_per_address, config.trusted_proxies.clone());
        Self { timeouts, places, metrics, clock }
    }

    /// Returns the service that speaks HTTP/1.1 for `app` on every connection. Once `shutdown` is ready, connections
    /// end with the answer to their current request.
    pub(crate) fn serve<S, B, F>(
        self,
        app: impl IntoServiceFactory<S, Request>,
        shutdown: impl Fn() -> F + 'static,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
    where
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: Debug,
        S::Response: Into<Response<B>> + 'static,
        S::Service: 'static,
        <S::Service as Service<Request>>::Future: 'static,
        B: MessageBody + 'static,
        F: Future<Output = ()> + 'static,
    {
        let app = app.into_factory().map_err(|error| error.into().error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(shutdown)
            // The stream keeps these times.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER)
            // A client that has closed its side is gone: its request is dropped, and a refresh of it is no evidence.
            .h1_allow_half_closed(false)
            .on_connect_ext(|stream: &Stream, data: &mut Extensions| {
                data.insert(stream.connection());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |socket: TcpStream| std::future::ready(self.accept(socket))).and_then(http)
    }

    /// Takes a connection in.
    ///
    /// # Errors
    /// It is gone already, or its address has as many as it may have.
    fn accept(&self, socket: TcpStream) -> Result<(Stream, Protocol, Option<std::net::SocketAddr>), DispatchError> {
        let peer = socket.peer_addr()?;
        let Some(place) = self.places.take(peer.ip()) else {
            self.metrics.connection_refused();
            return Err(Error::from(ErrorKind::QuotaExceeded).into());
        };
        Ok((Stream::new(socket, self.timeouts, place, self.clock.clone())?, Protocol::Http1, Some(peer)))
    }
}
