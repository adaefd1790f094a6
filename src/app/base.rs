//! The parts of a server, each made of those before it.

use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::available_parallelism;

use keyturn_verify::Rules;
use tokio::sync::Mutex;

use super::{StartError, Tables};
use crate::accounts::links::Links;
use crate::accounts::{self, Accounts, Deletions, EmailChanges, Logins, PasswordAttempts, Recovery, TwoStep};
use crate::admin::secrets::SecretChange;
use crate::admin::stats::StatsCache;
use crate::admin::{self, Admin};
use crate::audit::Audit;
use crate::cache::Cache;
use crate::cache::latest::Latest;
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{Config, Database};
use crate::db::migrate::{self, State};
use crate::db::{Conn, Db, DbResult, Purpose, time};
use crate::devices::Devices;
use crate::dpop::Proofs;
use crate::keys::{KeyKeeper, KeyPolicy, KeyRing, Keys, lifecycle, secrets};
use crate::mail::Mail;
use crate::metrics::Metrics;
use crate::mfa::{self, Mfa, MfaKeys};
use crate::passwords::Hasher;
use crate::random::Random;
use crate::retention::Retention;
use crate::revocations::RevocationLog;
use crate::sessions::{self, Policy, Rotator, RotatorParts, Sessions};
use crate::throttle::Throttle;
use crate::tokens::verified::VerifiedTokens;

/// Passwords that may wait for each thread that hashes: some ten seconds' work.
const WAITING_PER_HASHER: usize = 512;

/// The parts that all others are made of.
pub(super) struct Base {
    pub db: Db,
    pub cache: Cache,
    pub log: RevocationLog,
    pub keys: Keys,
    pub clock: Clock,
    pub random: Random,
    pub metrics: Metrics,
    pub devices: Devices,
    pub audit: Audit,
    pub mail: Mail,
    pub clients: Clients,
}

impl Base {
    /// Opens the database, the cache and the keys.
    pub(super) async fn open(config: &Config, clock: Clock, tables: Tables) -> Result<Self, StartError> {
        let random = Random;
        let db = Db::new(&config.database, config.database_pool_size);
        let devices = Devices::new(config);
        let metrics = Metrics::new();
        let audit = Audit::new(db.clone(), clock.clone(), random, devices.clone());
        let policy = KeyPolicy::new(config);
        let seal = Arc::new(config.secret.signing_key_seal());
        let keeper = KeyKeeper { policy, seal, audit: audit.clone(), random };
        if tables == Tables::Migrated {
            migrate(&db, config, &clock, keeper.clone()).await?;
        }
        let log = RevocationLog::new(&random);
        let key_ring = open_keys(&db, config, &clock, &log).await?;
        register(&db, config, &clock).await?;
        let keys = Keys::new(lifecycle::Inner {
            db: db.clone(),
            clock: clock.clone(),
            keeper,
            log: log.clone(),
            key_ring,
            known: Mutex::default(),
        });
        Ok(Self {
            cache: Cache::new(&config.cache, clock.clone(), &metrics).map_err(StartError::Cache)?,
            mail: Mail::new(config, random, audit.clone(), metrics.clone())?,
            clients: Clients::new(db.clone(), clock.clone()),
            audit,
            metrics,
            db,
            log,
            keys,
            clock,
            random,
            devices,
        })
    }

    /// Creates the sessions, and starts the thread that rotates them.
    pub(super) fn sessions(&self, config: &Config) -> io::Result<Sessions> {
        let rotator = Rotator::start(RotatorParts {
            db: self.db.clone(),
            audit: self.audit.clone(),
            cache: self.cache.clone(),
            clock: self.clock.clone(),
            policy: Policy::new(config),
            metrics: self.metrics.clone(),
        })?;
        Ok(Sessions::new(sessions::Inner {
            db: self.db.clone(),
            mail: self.mail.clone(),
            audit: self.audit.clone(),
            cache: self.cache.clone(),
            log: self.log.clone(),
            rotator,
            key_ring: self.keys.key_ring().clone(),
            verified: VerifiedTokens::default(),
            devices: self.devices.clone(),
            refresh_key: config.secret.refresh_token_key(),
            policy: Policy::new(config),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            rules: Rules::new(&config.issuer, &config.audience),
            rules_for_any_audience: Rules::for_any_audience(&config.issuer),
            live_count: Latest::default(),
            clock: self.clock.clone(),
            random: self.random,
            metrics: self.metrics.clone(),
        }))
    }

    /// Creates the check of proofs.
    pub(super) fn proofs(&self, config: &Config) -> Proofs {
        Proofs::new(config, self.db.clone(), self.cache.clone(), self.clock.clone())
    }

    /// Creates the second factors.
    pub(super) fn mfa(&self, config: &Config) -> Mfa {
        Mfa::new(mfa::Inner {
            db: self.db.clone(),
            audit: self.audit.clone(),
            mail: self.mail.clone(),
            devices: self.devices.clone(),
            clock: self.clock.clone(),
            random: self.random,
            keys: MfaKeys::new(config),
        })
    }

    /// Creates the limits.
    pub(super) fn throttle(&self, config: &Config) -> Throttle {
        let cache = self.cache.clone();
        let db = self.db.clone();
        let audit = self.audit.clone();
        Throttle::new(config, cache, db, audit, self.metrics.clone(), self.clock.clone())
    }

    /// Creates the accounts.
    pub(super) fn accounts(
        &self,
        config: &Config,
        sessions: &Sessions,
        attempts: &PasswordAttempts,
        hasher: Arc<Hasher>,
    ) -> Accounts {
        Accounts::new(accounts::Inner {
            db: self.db.clone(),
            audit: self.audit.clone(),
            sessions: sessions.clone(),
            hasher,
            attempts: attempts.clone(),
            devices: self.devices.clone(),
            mail: self.mail.clone(),
            require_verified_email: config.require_verified_email,
            registration: config.registration,
            is_set_up: AtomicBool::new(false),
            clock: self.clock.clone(),
            random: self.random,
        })
    }

    /// Creates the logins.
    pub(super) fn logins(
        &self,
        sessions: &Sessions,
        mfa: &Mfa,
        attempts: PasswordAttempts,
        require_verified_email: bool,
    ) -> Logins {
        Logins {
            db: self.db.clone(),
            audit: self.audit.clone(),
            mail: self.mail.clone(),
            sessions: sessions.clone(),
            mfa: mfa.clone(),
            attempts,
            metrics: self.metrics.clone(),
            clock: self.clock.clone(),
            require_verified_email,
        }
    }

    /// Creates the recovery of accounts.
    pub(super) fn recovery(&self, sessions: &Sessions, mfa: &Mfa, hasher: Arc<Hasher>) -> Recovery {
        Recovery {
            db: self.db.clone(),
            audit: self.audit.clone(),
            mail: self.mail.clone(),
            sessions: sessions.clone(),
            mfa: mfa.clone(),
            devices: self.devices.clone(),
            hasher,
            links: self.links(sessions),
            clock: self.clock.clone(),
        }
    }

    /// Creates the deletion of accounts.
    pub(super) fn deletions(&self, config: &Config, sessions: &Sessions, mfa: &Mfa) -> Deletions {
        Deletions {
            db: self.db.clone(),
            audit: self.audit.clone(),
            mail: self.mail.clone(),
            sessions: sessions.clone(),
            mfa: mfa.clone(),
            devices: self.devices.clone(),
            links: self.links(sessions),
            grace: config.account_deletion_grace,
            clock: self.clock.clone(),
        }
    }

    /// Creates the changes of email address.
    pub(super) fn email_changes(&self, sessions: &Sessions, mfa: &Mfa) -> EmailChanges {
        EmailChanges {
            db: self.db.clone(),
            audit: self.audit.clone(),
            mail: self.mail.clone(),
            sessions: sessions.clone(),
            mfa: mfa.clone(),
            links: self.links(sessions),
            clock: self.clock.clone(),
        }
    }

    /// Creates the links of emails.
    pub(super) fn links(&self, sessions: &Sessions) -> Links {
        Links { db: self.db.clone(), sessions: sessions.clone(), clock: self.clock.clone() }
    }

    /// Creates the change of the secret.
    pub(super) fn secret_change(&self, config: &Config, mfa: &Mfa) -> SecretChange {
        SecretChange::new(admin::secrets::Inner {
            db: self.db.clone(),
            clock: self.clock.clone(),
            secret: config.secret.clone(),
            keys: self.keys.keeper().clone(),
            mfa: mfa.clone(),
            mail: self.mail.clone(),
            server: self.random.bytes(),
        })
    }

    /// Creates the operations of operators.
    pub(super) fn admin(
        &self,
        accounts: &Accounts,
        email_changes: &EmailChanges,
        deletions: &Deletions,
        two_step: &TwoStep,
        sessions: &Sessions,
        retention: &Retention,
    ) -> Admin {
        Admin::new(admin::Inner {
            db: self.db.clone(),
            audit: self.audit.clone(),
            accounts: accounts.clone(),
            email_changes: email_changes.clone(),
            deletions: deletions.clone(),
            two_step: two_step.clone(),
            sessions: sessions.clone(),
            clients: self.clients.clone(),
            keys: self.keys.clone(),
            retention: retention.clone(),
            clock: self.clock.clone(),
            random: self.random,
            stats: StatsCache::default(),
        })
    }
}

/// Brings the database to this build's schema, and creates the first signing key.
async fn migrate(db: &Db, config: &Config, clock: &Clock, keeper: KeyKeeper) -> Result<(), StartError> {
    if let Database::Sqlite { path } = &config.database
        && let Some(parent) = path.parent()
    {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let own = db.clone();
    let clock = clock.clone();
    let applied = tokio::task::spawn_blocking(move || -> DbResult<_> {
        let mut conn = own.open(Purpose::Setup)?;
        let maintain = |conn: &mut Conn| {
            keeper.lock(conn)?;
            let now = time::read(conn, &clock)?;
            keeper.maintain(conn, now)
        };
        Ok(migrate::apply(&mut conn, maintain)?.0)
    });
    let applied = applied.await.map_err(io::Error::other)??;
    if !applied.is_empty() {
        tracing::info!(migrations = applied.join(", "), "the database was migrated");
    }
    Ok(())
}

/// Notes the secret in a database that has this build's schema, and puts it in force if it is.
async fn register(db: &Db, config: &Config, clock: &Clock) -> DbResult<()> {
    let secret = config.secret.clone();
    let own = clock.clone();
    let known = db.read(move |conn| secrets::find(conn, &secret)).await?;
    let known = match known {
        Some(known) => known,
        None => {
            let secret = config.secret.clone();
            db.write(move |conn| secrets::register(conn, &secret, own.database_now())).await?
        }
    };
    if clock.database_now() >= known.in_force_from {
        config.secret.put_in_force();
    }
    Ok(())
}

/// Opens the keys of a database that has this build's schema.
async fn open_keys(db: &Db, config: &Config, clock: &Clock, log: &RevocationLog) -> Result<KeyRing, StartError> {
    let database = config.database.clone();
    let own = db.clone();
    let opened = tokio::task::spawn_blocking(move || -> DbResult<_> {
        let state = migrate::state(&database)?;
        let rows = if state == State::UpToDate { own.open(Purpose::Setup)?.run(lifecycle::load)? } else { Vec::new() };
        Ok((state, rows))
    });
    match opened.await.map_err(io::Error::other)?? {
        (State::UpToDate, rows) => {
            let algorithms = KeyPolicy::new(config).algorithms;
            Ok(KeyRing::open_with(&rows, &algorithms, &config.secret.signing_key_seal(), clock, log)?)
        }
        (State::Empty, _) => Err(StartError::NoInstallation(no_installation(&config.database))),
        (State::Outdated(pending), _) => Err(StartError::Outdated { lacks: pending.join(", ") }),
    }
}

/// Starts the threads that hash passwords.
pub(super) fn hasher(config: &Config, random: Random) -> io::Result<Hasher> {
    let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
    Hasher::new(config.argon2, cores, WAITING_PER_HASHER, random)
}

/// Says that there is no installation in `database`, and how to get to one.
pub fn no_installation(database: &Database) -> String {
    format!(
        "there is no installation of keyturn in {database}, where this command looked: give it the server's settings, and \
         run it in the server's folder if DATA_DIR is relative; or create one by `keyturn serve` or `keyturn migrate`"
    )
}
