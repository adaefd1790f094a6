//! The server, assembled: opens database, cache and keys, starts background tasks, and serves.

mod base;
mod check;
mod data_dir;
mod progress;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::web;
use tokio::task::JoinHandle;

use crate::accounts::links::Links;
use crate::accounts::{self, Accounts, Deletions, EmailChanges, Logins, PasswordAttempts, Recovery, Transfer, TwoStep};
use crate::admin::secrets::SecretChange;
use crate::admin::stats::{self, StatsRecorder};
use crate::admin::{self, Admin};
use crate::api;
use crate::audit::{self, Audit};
use crate::cache::Cache;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{self, CacheKind, Config, Database};
use crate::db::{Conn, Db, DbError, DbResult};
use crate::devices::Devices;
use crate::dpop::{self, Proofs};
use crate::http::cors::share_with_pages;
use crate::http::request::serve_request;
use crate::http::{Connections, HttpContext};
use crate::keys::Keys;
use crate::keys::key_ring::KeyRingError;
use crate::mail::{self, Delivery, Mail};
use crate::oauth::OAuth;
use crate::pages::{Pages, TemplateError};
use crate::passwords::RequestLoad;
use crate::retention::{Expire, Retention, Rule, Rules};
use crate::revocations::{self, Feed, LogReader};
use crate::sessions::{self, Sessions};
use crate::throttle::{self, Throttle};
use crate::tokens::opaque;
use crate::types::Timestamp;

pub use base::no_installation;
use base::{Base, hasher};
pub use check::check;
pub use progress::Stall;

/// Seconds that requests have to end after the server was told to stop.
const SHUTDOWN_TIMEOUT: u64 = 30;

/// A server that is ready to serve. Clones share everything.
#[derive(Clone)]
pub struct App {
    pub(crate) accounts: Accounts,
    pub(crate) logins: Logins,
    pub(crate) two_step: TwoStep,
    pub(crate) deletions: Deletions,
    pub(crate) recovery: Recovery,
    pub(crate) email_changes: EmailChanges,
    pub(crate) links: Links,
    pub(crate) transfer: Transfer,
    pub(crate) admin: Admin,
    pub(crate) audit: Audit,
    pub(crate) sessions: Sessions,
    pub(crate) clients: Clients,
    keys: Keys,
    oauth: OAuth,
    proofs: Proofs,
    pub(crate) retention: Retention,
    pub(crate) secret_change: SecretChange,
    pub(crate) throttle: Throttle,
    pub(crate) devices: Devices,
    mail: Mail,
    pub(crate) cache: Cache,
    pub(crate) db: Db,
    context: web::Data<HttpContext>,
    pages: web::Data<Pages>,
    connections: Connections,
    feed: Feed,
    request_load: RequestLoad,
    workers: usize,
}

/// What to do about the tables of the database.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tables {
    /// Create and migrate them.
    Migrated,
    /// Refuse a database that lacks some, and create nothing.
    Required,
}

/// Why a server does not start; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database does not answer, or cannot be migrated.
    #[error("the database cannot be used: {0}")]
    Database(#[from] DbError),
    /// The database has no tables of keyturn.
    #[error("{0}")]
    NoInstallation(String),
    /// The database has the tables of an earlier version.
    #[error("the database is of an earlier version and lacks {lacks}: run `keyturn migrate`, or start the server")]
    Outdated {
        /// The names of the migrations that are missing.
        lacks: String,
    },
    /// A file that the settings of the database name cannot be used.
    #[error("DATABASE_URL: {0}")]
    DatabaseFiles(String),
    /// The folder of the data cannot be written to.
    #[error("DATA_DIR: {0}")]
    DataDir(String),
    /// A signing key cannot be opened.
    #[error(transparent)]
    Keys(#[from] KeyRingError),
    /// A template or the mail server's certificate cannot be used.
    #[error(transparent)]
    Mail(#[from] mail::SetupError),
    /// A template of a page cannot be used.
    #[error(transparent)]
    Pages(#[from] TemplateError),
    /// The settings of Redis cannot be used.
    #[error("the cache cannot be used: {0}")]
    Cache(String),
    /// A thread, a folder or the network cannot be used.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// The background tasks of a server, which end when this is dropped.
pub struct Background {
    tasks: Vec<JoinHandle<()>>,
    recorder: StatsRecorder,
    cache: Cache,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Background {
    /// Ends the tasks once no request is served any more, after the last entries of the cache were written, and records
    /// what was counted since the last minute.
    pub async fn finish(self) {
        self.cache.flush().await;
        if let Err(error) = self.recorder.record().await {
            tracing::warn!(%error, "the last statistics were not recorded");
        }
    }
}

impl App {
    /// Opens everything: applies migrations, creates the first signing key, reads the keys and the live revocations.
    /// The database must answer; Redis need not.
    ///
    /// # Errors
    /// The database does not answer, or a setting cannot be used.
    pub async fn build(config: &Config, clock: Clock) -> Result<(Self, Background), StartError> {
        let (app, base, reader) = Self::on(config, clock, Tables::Migrated).await?;
        let delivery =
            Delivery::new(base.mail.clone(), config, base.db.clone(), base.clock.clone(), base.metrics.clone())?;
        let recorder = StatsRecorder::new(base.db, base.clock, base.metrics, app.sessions.clone());
        let tasks = vec![
            tokio::spawn(base.cache.clone().run()),
            tokio::spawn(recorder.clone().run()),
            tokio::spawn(reader.run()),
            tokio::spawn(app.feed.clone().run()),
            tokio::spawn(delivery.run()),
            tokio::spawn(app.throttle.clone().run()),
            tokio::spawn(app.retention.clone().run()),
            tokio::spawn(base.keys.clone().run()),
            tokio::spawn(app.secret_change.clone().run()),
        ];
        Ok((app, Background { tasks, recorder, cache: base.cache }))
    }

    /// Opens everything of an installation that exists, for a command: creates nothing, and starts no background task,
    /// since a command ends in the middle of whatever a task has begun. Emails are left to the servers.
    ///
    /// # Errors
    /// The database does not answer or has not all tables, or a setting cannot be used.
    pub async fn open(config: &Config, clock: Clock) -> Result<Self, StartError> {
        let (app, ..) = Self::on(config, clock, Tables::Required).await?;
        Ok(app)
    }

    /// Applies migrations and creates the first signing key, as the start of a server does.
    ///
    /// # Errors
    /// The database does not answer, or a setting cannot be used.
    pub async fn migrate(config: &Config, clock: Clock) -> Result<(), StartError> {
        Self::on(config, clock, Tables::Migrated).await.map(drop)
    }

    async fn on(config: &Config, clock: Clock, tables: Tables) -> Result<(Self, Base, LogReader), StartError> {
        let base = Base::open(config, clock, tables).await?;
        let log = base.log.clone();
        let rewrite = sessions::rewrite_revocations;
        let mut reader = LogReader::new(base.db.clone(), base.cache.clone(), base.clock.clone(), log, rewrite);
        reader.read().await?;
        let app = Self::assemble(config, &base)?;
        app.secret_change.warn_if_missing().await?;
        Ok((app, base, reader))
    }

    fn assemble(config: &Config, base: &Base) -> Result<Self, StartError> {
        let sessions = base.sessions(config)?;
        let mfa = base.mfa(config);
        let throttle = base.throttle(config);
        let hasher = Arc::new(hasher(config, base.random)?);
        let request_load = hasher.request_load().clone();
        let rotator = sessions.rotator.clone();
        request_load.add(move || rotator.busy());
        let attempts =
            PasswordAttempts::new(base.db.clone(), sessions.clone(), mfa.clone(), throttle.clone(), hasher.clone());
        let deletions = base.deletions(config, &sessions, &mfa);
        let rules = rules(&config.retention, &deletions);
        let retention = Retention::new(rules, base.db.clone(), base.clock.clone(), base.random);
        let two_step = TwoStep {
            db: base.db.clone(),
            mail: base.mail.clone(),
            mfa: mfa.clone(),
            attempts: attempts.clone(),
            sessions: sessions.clone(),
        };
        let accounts = base.accounts(config, &sessions, &attempts, hasher.clone());
        let email_changes = base.email_changes(&sessions, &mfa);
        let context = HttpContext::new(config, base.clock.clone(), base.metrics.clone());
        Ok(Self {
            admin: base.admin(&accounts, &email_changes, &deletions, &two_step, &sessions, &retention),
            secret_change: base.secret_change(config, &mfa),
            deletions,
            logins: base.logins(&sessions, &mfa, attempts, config.require_verified_email),
            recovery: base.recovery(&sessions, &mfa, hasher),
            email_changes,
            links: base.links(&sessions),
            transfer: Transfer::new(base.db.clone(), base.audit.clone(), mfa.clone()),
            accounts,
            two_step,
            audit: base.audit.clone(),
            clients: base.clients.clone(),
            keys: base.keys.clone(),
            oauth: OAuth::new(sessions.clone(), base.clients.clone()),
            proofs: base.proofs(config),
            sessions,
            retention,
            throttle,
            devices: base.devices.clone(),
            mail: base.mail.clone(),
            cache: base.cache.clone(),
            db: base.db.clone(),
            context: web::Data::new(context),
            connections: Connections::new(config, base.metrics.clone(), base.clock.clone()),
            pages: web::Data::new(Pages::new(config)?),
            feed: Feed::new(base.log.clone()),
            request_load,
            workers: config.workers,
        })
    }

    /// Replaces the templates of pages and emails and the database of places by those of `config`. Blocks.
    ///
    /// # Errors
    /// A template cannot be used. Nothing is replaced then.
    pub fn reload(&self, config: &Config) -> Result<(), StartError> {
        let pages = self.pages.load(config)?;
        self.mail.reload(config)?;
        self.pages.replace(pages);
        self.devices.reload(config);
        Ok(())
    }

    /// Starts to serve on `listener`, and the metrics on `metrics` if they have an address of their own. The server
    /// ends, after its requests, when its handle is told to stop. Signals are the caller's.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub fn serve(self, listener: TcpListener, metrics: Option<TcpListener>) -> io::Result<(Server, SocketAddr)> {
        let address = listener.local_addr()?;
        let configure = if metrics.is_none() { api::configure } else { api::configure_without_metrics };
        let builder = Server::build().workers(self.workers).shutdown_timeout(SHUTDOWN_TIMEOUT).disable_signals();
        let shutdown = builder.graceful_shutdown_signal();
        let ending = shutdown.clone();
        self.feed.close_after(async move { ending.notified().await });
        let app = self.clone();
        let http = move || {
            // This is called on each thread that serves requests.
            self.request_load.add_this_thread();
            let shutdown = shutdown.clone();
            self.connections.clone().serve(self.service(configure), move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
        };
        let mut builder = builder.listen("http", listener, http)?;
        if let Some(metrics) = metrics {
            builder = builder.listen("metrics", metrics, move || {
                app.connections.clone().serve(app.service(api::configure_metrics), std::future::pending)
            })?;
        }
        Ok((builder.run(), address))
    }

    /// Returns the routes that `configure` registers, with what belongs to every request.
    fn service(
        &self,
        configure: fn(&mut web::ServiceConfig),
    ) -> actix_web::App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<impl MessageBody + use<>>,
            Error = actix_web::Error,
            InitError = (),
        > + use<>,
    > {
        actix_web::App::new()
            .configure(|config| self.share(config))
            .wrap(from_fn(share_with_pages))
            .wrap(from_fn(serve_request))
            .configure(configure)
    }

    /// Shares everything with the handlers.
    fn share(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(self.context.clone())
            .app_data(self.pages.clone())
            .app_data(web::Data::new(self.accounts.clone()))
            .app_data(web::Data::new(self.logins.clone()))
            .app_data(web::Data::new(self.two_step.clone()))
            .app_data(web::Data::new(self.deletions.clone()))
            .app_data(web::Data::new(self.recovery.clone()))
            .app_data(web::Data::new(self.email_changes.clone()))
            .app_data(web::Data::new(self.links.clone()))
            .app_data(web::Data::new(self.admin.clone()))
            .app_data(web::Data::new(self.audit.clone()))
            .app_data(web::Data::new(self.sessions.clone()))
            .app_data(web::Data::new(self.clients.clone()))
            .app_data(web::Data::new(self.keys.clone()))
            .app_data(web::Data::new(self.oauth.clone()))
            .app_data(web::Data::new(self.proofs.clone()))
            .app_data(web::Data::new(self.throttle.clone()))
            .app_data(web::Data::new(self.feed.clone()))
            .app_data(web::Data::new(self.cache.clone()))
            .app_data(web::Data::new(self.db.clone()));
    }
}

/// Returns how long the rows of each table are kept, and who deletes them.
fn rules(config: &config::Retention, deletions: &Deletions) -> Rules {
    // These rows have a time at which they end themselves.
    let ended = Duration::ZERO;
    let deletions = deletions.clone();
    let mut others: Vec<Rule<Expire>> = vec![
        Rule { kept: ended, expire: Arc::new(move |conn, before, limit| deletions.expire(conn, before, limit)) },
        rule(ended, opaque::expire),
        rule(ended, accounts::expire_email_changes),
        rule(ended, accounts::setup::expire),
        rule(throttle::FAILURES_KEPT, throttle::expire),
        rule(stats::KEPT, admin::expire_stats),
        rule(mail::FAILURES_KEPT, mail::expire),
        rule(ended, mail::expire_counts),
        rule(ended, revocations::expire),
        rule(ended, dpop::expire),
    ];
    if let Some(kept) = config.audit {
        others.push(rule(kept, audit::expire));
    }
    Rules {
        sessions: Rule { kept: config.sessions, expire: sessions::expire },
        others,
        interval: config.sweep_interval,
    }
}

/// Returns the rule for rows of a table that a plain function deletes.
fn rule(kept: Duration, expire: fn(&mut Conn, Timestamp, i64) -> DbResult<usize>) -> Rule<Expire> {
    Rule { kept, expire: Arc::new(expire) }
}

/// Returns whether servers on `config`'s database would share no cache: each learns of what another has revoked only
/// when it reads the log again.
pub fn shares_no_cache(config: &Config) -> bool {
    matches!((&config.database, &config.cache), (Database::Postgres { .. }, CacheKind::Memory))
}
