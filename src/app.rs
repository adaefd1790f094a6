//! The server, put together: opens database, cache and keys, and serves.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::Server;
use actix_web::middleware::{Condition, from_fn};
use actix_web::{HttpServer, web};
use tokio::task::JoinHandle;

use crate::accounts::hasher::Hasher;
use crate::accounts::mfa::Mfa;
use crate::accounts::{self, Accounts};
use crate::admin::stats::{Figures, Tally};
use crate::admin::{self, Admin};
use crate::audit::Audit;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{CacheKind, Config, Database};
use crate::db::{Db, DbError, DbResult, migrate};
use crate::devices::Devices;
use crate::http::Edge;
use crate::http::problem::Problem;
use crate::http::request::{REQUEST_ID, surround};
use crate::keys::Ring;
use crate::keys::ring::{self, RingError};
use crate::limits::Limits;
use crate::mail::{self, Deliverer, Mail};
use crate::metrics::Metrics;
use crate::pages::Pages;
use crate::random::Random;
use crate::revocations::{Log, Reader};
use crate::routes;
use crate::sessions::{self, Policy, Rotator, Sessions};
use crate::sweep::Sweeper;
use crate::tokens::verified::VerifiedTokens;

/// How long requests that are being served may take to end after the server was told to stop.
const SHUTDOWN_PATIENCE: u64 = 30;

/// How long a client may take to send a request's head.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// How long a connection is kept without a request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Passwords that may wait to be hashed, for each thread that hashes: some ten seconds' work.
const WAITING_PER_HASHER: usize = 512;

/// How often limits forget those who have all attempts again.
const LIMITS_SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// A server that is ready to serve. Clones share everything.
#[derive(Clone)]
pub struct App {
    pub accounts: Accounts,
    pub admin: Admin,
    pub audit: Audit,
    pub sessions: Sessions,
    pub mail: Mail,
    pub sweeper: Sweeper,
    pub devices: Devices,
    pub db: Db,
    edge: web::Data<Edge>,
    pages: web::Data<Pages>,
    ring: Ring,
    workers: usize,
}

/// Why a server does not start; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the database cannot be used: {0}")]
    Database(#[from] DbError),
    #[error(transparent)]
    Keys(#[from] RingError),
    #[error(transparent)]
    Mail(#[from] mail::SetupError),
    #[error("the cache cannot be used: {0}")]
    Cache(String),
    #[error("{0}")]
    System(#[from] io::Error),
}

/// What works on behind the requests, for as long as it is kept.
pub struct Background {
    tasks: Vec<JoinHandle<()>>,
    tally: Tally,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Background {
    /// Ends the work, once no request is served any more, and writes down what was counted since the last minute.
    pub async fn finish(self) {
        if let Err(error) = self.tally.add().await {
            tracing::warn!(%error, "what was counted last could not be written down");
        }
    }
}

impl App {
    /// Opens everything: applies migrations, makes the first signing key, reads the keys and the live log of
    /// revocations. The database must answer; Redis need not.
    pub async fn build(config: &Config, clock: Clock) -> Result<(Self, Background), StartError> {
        let (random, metrics) = (Random, Metrics::new());
        let db = Db::new(&config.database);
        let ring = prepare(&db, config, &clock, random).await?;
        let cache = Cache::new(&config.cache, clock.clone()).map_err(StartError::Cache)?;
        let devices = Devices::new(config);
        let log = Log::default();
        let mut reader = Reader::new(db.clone(), cache.clone(), clock.clone(), log.clone());
        reader.read().await?;
        let audit = Audit::new(db.clone(), clock.clone(), random, devices.clone());
        let mail = Mail::new(config, random)?;
        let sessions = Sessions::new(sessions::Parts {
            db: db.clone(),
            mail: mail.clone(),
            audit: audit.clone(),
            cache: cache.clone(),
            log,
            rotator: Rotator::start(
                db.clone(),
                audit.clone(),
                clock.clone(),
                config.refresh_token_ttl,
                metrics.clone(),
            )?,
            ring: ring.clone(),
            verified: VerifiedTokens::default(),
            devices: devices.clone(),
            refresh_key: config.secret.refresh_token_key(),
            policy: Policy::of(config),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            clock: clock.clone(),
            random,
            metrics: metrics.clone(),
        });
        let admin = Admin::new(admin::Parts {
            db: db.clone(),
            audit: audit.clone(),
            sessions: sessions.clone(),
            clock: clock.clone(),
            figures: Figures::default(),
        });
        let limits = Arc::new(Limits::new(&config.limits, &config.secret, &clock));
        let accounts = Accounts::new(accounts::Parts {
            db: db.clone(),
            audit: audit.clone(),
            sessions: sessions.clone(),
            hasher: hasher(config, random)?,
            mfa: Mfa::new(config),
            devices: devices.clone(),
            mail: mail.clone(),
            limits: Arc::clone(&limits),
            cache: cache.clone(),
            lockout_key: config.secret.login_failure_key(),
            registration: config.registration,
            clock: clock.clone(),
            random,
            metrics: metrics.clone(),
        });
        let deliverer = Deliverer::new(mail.clone(), config, db.clone(), clock.clone(), metrics.clone())?;
        let edge = web::Data::new(Edge::new(config, limits, audit.clone(), cache, clock.clone(), metrics.clone()));
        let sweeper = Sweeper::new(config, db.clone(), clock.clone(), random);
        let tally = Tally::new(db.clone(), clock, metrics);
        let tasks = vec![
            tokio::spawn(tally.clone().run()),
            tokio::spawn(reader.run()),
            tokio::spawn(deliverer.run()),
            tokio::spawn(sweep_limits(edge.clone())),
            tokio::spawn(sweeper.clone().run()),
        ];
        let background = Background { tasks, tally };
        let pages = web::Data::new(Pages::new(mail.site()));
        let workers = config.workers;
        let app = Self { accounts, admin, audit, sessions, mail, sweeper, devices, db, edge, pages, ring, workers };
        Ok((app, background))
    }

    /// Starts to serve on `listener`. The server ends, after its requests have, when its handle is told to stop or
    /// the process gets SIGTERM or SIGINT.
    pub fn serve(self, listener: TcpListener) -> io::Result<(Server, SocketAddr)> {
        let address = listener.local_addr()?;
        let workers = self.workers;
        let server = HttpServer::new(move || {
            actix_web::App::new()
                .app_data(self.edge.clone())
                .app_data(web::Data::new(self.accounts.clone()))
                .app_data(web::Data::new(self.admin.clone()))
                .app_data(web::Data::new(self.audit.clone()))
                .app_data(web::Data::new(self.sessions.clone()))
                .app_data(web::Data::new(self.sweeper.clone()))
                .app_data(web::Data::new(self.db.clone()))
                .app_data(self.pages.clone())
                .app_data(web::Data::new(self.ring.clone()))
                .app_data(web::QueryConfig::default().error_handler(|error, _| invalid_query(&error).into()))
                .wrap(Condition::new(self.edge.has_allowed_origins(), cors(self.edge.clone())))
                .wrap(from_fn(surround))
                .configure(routes::configure)
        })
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_PATIENCE)
        .shutdown_timeout(SHUTDOWN_PATIENCE)
        .listen(listener)?
        .run();
        Ok((server, address))
    }
}

/// Brings the database to this build's schema and opens the keys.
async fn prepare(db: &Db, config: &Config, clock: &Clock, random: Random) -> Result<Ring, StartError> {
    if let Database::Sqlite { path } = &config.database
        && let Some(parent) = path.parent()
    {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let (own, algorithm, secret, now) = (db.clone(), config.algorithm, config.secret.clone(), clock.now());
    let prepared = tokio::task::spawn_blocking(move || -> DbResult<_> {
        let mut conn = own.open()?;
        let seal = secret.signing_key_seal();
        let (applied, ()) = migrate::apply(&mut conn, |conn| ring::ensure(conn, algorithm, &seal, &random, now))?;
        Ok((applied, ring::load(&mut conn)?))
    });
    let (applied, rows) = prepared.await.map_err(io::Error::other)??;
    if !applied.is_empty() {
        tracing::info!(migrations = applied.join(", "), "the database was migrated");
    }
    Ok(Ring::open(&rows, config.algorithm, &config.secret.signing_key_seal())?)
}

/// One core is left to everything else.
fn hasher(config: &Config, random: Random) -> io::Result<Hasher> {
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = NonZeroUsize::new(cores.saturating_sub(1)).unwrap_or(NonZeroUsize::MIN);
    Hasher::new(config.argon2, threads, threads.get().saturating_mul(WAITING_PER_HASHER), random)
}

async fn sweep_limits(edge: web::Data<Edge>) {
    loop {
        tokio::time::sleep(LIMITS_SWEEP_INTERVAL).await;
        edge.limits.sweep();
    }
}

/// Every server does this; what one has removed, the next does not find.
/// Pages of the allowed origins may call with their cookies, and no others.
fn cors(edge: web::Data<Edge>) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, _| origin.to_str().is_ok_and(|origin| edge.is_allowed_origin(origin)))
        .allowed_methods(["GET", "POST", "PATCH", "DELETE"])
        .allowed_headers(["authorization", "content-type", "x-request-id"])
        .expose_headers([
            REQUEST_ID.as_str(),
            "retry-after",
            "ratelimit-limit",
            "ratelimit-remaining",
            "ratelimit-reset",
        ])
        .block_on_origin_mismatch(false)
        .supports_credentials()
        .max_age(3600)
}

fn invalid_query(error: &actix_web::error::QueryPayloadError) -> Problem {
    let mut fields = crate::http::problem::Fields::default();
    fields.check::<(), _>("query", Err(error), |_| "invalid");
    fields.into_problem()
}

/// Whether servers that share `config`'s database would not share its cache: what one ends, another learns of only
/// when it next reads the log.
pub fn is_alone(config: &Config) -> bool {
    matches!((&config.database, &config.cache), (Database::Postgres { .. }, CacheKind::Memory))
}
