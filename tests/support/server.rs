//! A server within the test's process, whose clock the test can set.

use std::net::TcpListener;
use std::ops::Deref;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use keyturn::app::App;
use keyturn::clock::Clock;
use keyturn::config::Config;
use keyturn::random::Random;

use super::{Backend, Deployment, Endpoint, OnBackend};

/// A server on a port of its own; it ends when dropped. Dereferences to its [`Endpoint`].
pub struct Server {
    endpoint: Endpoint,
    pub clock: Clock,
    settings: Vec<(String, String)>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Deref for Server {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl OnBackend for Server {
    async fn on(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }
}

impl Server {
    /// A server with these settings in the place of defaults, alone on a deployment of its own.
    pub async fn with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        Self::start(&Deployment::new(backend), settings, Clock::default()).await
    }

    /// A server on a deployment that others may use too.
    pub async fn start(deployment: &Arc<Deployment>, settings: &[(&str, &str)], clock: Clock) -> Self {
        Self::spawn(deployment, deployment.settings(settings), clock).await
    }

    /// A further server with the same settings over the same database, Redis and clock.
    pub async fn another(&self) -> Self {
        Self::spawn(&self.deployment, self.settings.clone(), self.clock.clone()).await
    }

    async fn spawn(deployment: &Arc<Deployment>, settings: Vec<(String, String)>, clock: Clock) -> Self {
        let pairs: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
        let config = Config::from_settings(&pairs, &Random).unwrap();
        let (started, starts) = tokio::sync::oneshot::channel();
        let own = clock.clone();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let listener = TcpListener::bind(config.bind).unwrap();
                let (app, background) = App::build(&config, own).await.unwrap();
                let (server, address) = app.serve(listener, None).unwrap();
                let _ = started.send((address, server.handle()));
                server.await.unwrap();
                background.finish().await;
            });
        });
        let (address, handle) = starts.await.expect("the server starts");
        let endpoint = Endpoint { address, deployment: Arc::clone(deployment) };
        Self { endpoint, clock, settings, handle, thread: Some(thread) }
    }

    /// Sets the clock ahead, for this server and those that share it.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Presents a replaced refresh token twice: the first time it may be an echo, the second time it is theft.
    pub async fn assert_reused(&self, refresh_token: &str) {
        self.refresh(refresh_token).await.assert_problem(503, "refresh_token_replaced");
        self.advance(1);
        self.refresh(refresh_token).await.assert_problem(401, "refresh_token_reused");
    }
}

/// As many servers on one deployment and clock as the backend is made for: one that is embedded, or two. Dereferences
/// to the first.
pub struct Servers(Vec<Server>);

impl Deref for Servers {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0[0]
    }
}

impl OnBackend for Servers {
    async fn on(backend: Backend) -> Self {
        Self::with(backend, &[]).await
    }
}

impl Servers {
    pub async fn with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let mut servers = vec![Server::with(backend, settings).await];
        if backend == Backend::Scaled {
            servers.push(servers[0].another().await);
        }
        Self(servers)
    }

    pub fn all(&self) -> &[Server] {
        &self.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The command is sent at once; what is not awaited is its end, which the thread's is.
        drop(self.handle.stop(false));
        // A test that has failed may have left the server waiting for what the test holds back.
        if let Some(thread) = self.thread.take().filter(|_| !std::thread::panicking()) {
            let _ = thread.join();
        }
    }
}
