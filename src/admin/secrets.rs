//! A change of `JWT_SECRET`: puts the new one in force when all servers can know it, encrypts under it what is
//! encrypted under the former one, and tells operators when that may go.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::{Clock, MAX_SKEW_TO_ISSUE};
use crate::db::{Conn, Db, DbResult};
use crate::keys::KeyKeeper;
use crate::keys::secrets::{self, KnownSecret};
use crate::mail::Mail;
use crate::mfa::Mfa;
use crate::retention::{self, Lease};
use crate::secret::{MasterSecret, SealedRows};
use crate::sessions;
use crate::types::Timestamp;

/// The time between two looks at what is to be done.
const INTERVAL: Duration = Duration::from_secs(1);

/// The most rows that one transaction examines.
const BATCH_SIZE: i64 = 500;

/// The time after which another server takes over from one that encrypts and has died. A batch takes less.
const LEASE: Duration = Duration::from_secs(30);

/// The time for which counters of attempts and emails are kept.
const COUNTERS_KEPT: Duration = Duration::from_secs(86_400);

/// The change of a server's secret. Clones share everything.
#[derive(Clone)]
pub(crate) struct SecretChange {
    inner: Arc<Inner>,
}

/// The parts of [`SecretChange`].
pub(crate) struct Inner {
    /// The database.
    pub db: Db,
    /// The clock.
    pub clock: Clock,
    /// The secret.
    pub secret: MasterSecret,
    /// The signing keys.
    pub keys: KeyKeeper,
    /// The second factors.
    pub mfa: Mfa,
    /// The outbox.
    pub mail: Mail,
    /// The id of the server in the lease.
    pub server: [u8; 16],
}

/// The state of a change of the secret, with everything that still needs the former one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecretStatus {
    /// Whether `JWT_SECRET_PREVIOUS` is set.
    pub has_previous: bool,
    /// The time from which on `JWT_SECRET` is in force.
    pub in_force_from: Timestamp,
    /// Whether it is in force now.
    pub is_in_force: bool,
    /// The numbers of rows that are not encrypted under `JWT_SECRET`.
    pub sealed: SealedCounts,
    /// The number of live sessions whose refresh token was made with another secret.
    pub sessions: i64,
    /// The time until which something needs the former secret, as far as it is known.
    pub needed_until: Option<Timestamp>,
}

/// Numbers of rows that are not encrypted under `JWT_SECRET`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SealedCounts {
    /// Private keys.
    pub signing_keys: usize,
    /// Secrets of second factors.
    pub totp_secrets: usize,
    /// Emails that wait.
    pub emails: usize,
}

impl SecretStatus {
    /// Returns whether nothing needs the former secret at `now`.
    pub(crate) fn is_removable(&self, now: Timestamp) -> bool {
        self.is_in_force
            && self.sealed == SealedCounts::default()
            && self.sessions == 0
            && self.needed_until.is_none_or(|until| until <= now)
    }
}

/// A table with something encrypted.
#[derive(Clone, Copy)]
enum Sealed {
    SigningKeys,
    TotpSecrets,
    Emails,
}

impl SecretChange {
    /// Creates the change of a server's secret.
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Puts the secret in force in time, and encrypts under it what is encrypted under the former one, unless another
    /// server does. Returns when that is done, at once if there is no former one.
    pub(crate) async fn run(self) {
        let mut is_failing = false;
        while self.inner.secret.has_previous() {
            match self.advance().await {
                Ok(true) => return,
                Ok(false) => is_failing = false,
                Err(error) => {
                    if !is_failing {
                        tracing::warn!(%error, "the change of JWT_SECRET does not go on");
                    }
                    is_failing = true;
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    /// Does what is due. Returns whether nothing is left to do.
    async fn advance(&self) -> DbResult<bool> {
        let inner = &*self.inner;
        let Some(known) = self.known().await? else { return Ok(false) };
        let now = inner.clock.database_now();
        if now < known.in_force_from {
            return Ok(false);
        }
        inner.secret.put_in_force();
        if known.resealed_at.is_some() {
            return Ok(true);
        }
        // The other servers put it in force at about the same time.
        if now < known.in_force_from.plus(MAX_SKEW_TO_ISSUE) || !inner.clock.is_right() || !self.take_lease().await? {
            return Ok(false);
        }
        let mut resealed = 0_usize;
        for table in [Sealed::SigningKeys, Sealed::TotpSecrets, Sealed::Emails] {
            resealed = resealed.saturating_add(self.pass(table, false).await?);
        }
        let secret = inner.secret.clone();
        inner.db.write(move |conn| secrets::note_resealed(conn, &secret, now)).await?;
        tracing::info!(rows = resealed, "what was encrypted under JWT_SECRET_PREVIOUS is encrypted under JWT_SECRET");
        Ok(true)
    }

    async fn known(&self) -> DbResult<Option<KnownSecret>> {
        let secret = self.inner.secret.clone();
        self.inner.db.read(move |conn| secrets::find(conn, &secret)).await
    }

    async fn take_lease(&self) -> DbResult<bool> {
        let inner = Arc::clone(&self.inner);
        let now = inner.clock.database_now();
        let take = move |conn: &mut Conn| retention::take(conn, Lease::Secrets, &inner.server, now, now.plus(LEASE));
        self.inner.db.write(take).await
    }

    /// Goes through a table and encrypts its rows under the new secret, or counts those that are not. Returns how many.
    async fn pass(&self, table: Sealed, is_counting: bool) -> DbResult<usize> {
        let mut outdated = 0_usize;
        let mut after = Uuid::nil();
        loop {
            let inner = Arc::clone(&self.inner);
            let batch = move |conn: &mut Conn| inner.batch(conn, table, after, is_counting);
            let found = if is_counting { self.inner.db.read(batch).await? } else { self.inner.db.write(batch).await? };
            outdated = outdated.saturating_add(found.outdated);
            let Some(last) = found.last else { return Ok(outdated) };
            after = last;
            if !is_counting {
                self.take_lease().await?;
            }
        }
    }

    /// Tells what still needs the former secret. Reads every row that holds something encrypted, and the sessions if
    /// the secret was ever changed.
    pub(crate) async fn status(&self) -> DbResult<SecretStatus> {
        let inner = &*self.inner;
        let now = inner.clock.database_now();
        let known = self.known().await?;
        let in_force_from = known.map_or(now, |known| known.in_force_from);
        let sealed = SealedCounts {
            signing_keys: self.pass(Sealed::SigningKeys, true).await?,
            totp_secrets: self.pass(Sealed::TotpSecrets, true).await?,
            emails: self.pass(Sealed::Emails, true).await?,
        };
        let is_change = inner.secret.has_previous() || known.is_some_and(|known| known.replaces);
        let before = in_force_from.plus(MAX_SKEW_TO_ISSUE);
        let (sessions, last) = match is_change {
            true => inner.db.read(move |conn| sessions::issued_before(conn, before, now)).await?,
            false => (0, None),
        };
        let counters = is_change.then(|| before.plus(COUNTERS_KEPT));
        Ok(SecretStatus {
            has_previous: inner.secret.has_previous(),
            in_force_from,
            is_in_force: now >= in_force_from,
            sealed,
            sessions,
            needed_until: last.max(counters),
        })
    }

    /// Warns if something needs a former secret that this server was not given.
    ///
    /// # Errors
    /// The database fails.
    pub(crate) async fn warn_if_missing(&self) -> DbResult<()> {
        let is_replacement = self.known().await?.is_some_and(|known| known.replaces);
        if self.inner.secret.has_previous() || !is_replacement {
            return Ok(());
        }
        let SecretStatus { sealed, sessions, .. } = self.status().await?;
        if sealed != SealedCounts::default() || sessions > 0 {
            tracing::warn!(
                signing_keys = sealed.signing_keys,
                totp_secrets = sealed.totp_secrets,
                emails = sealed.emails,
                sessions,
                "the former JWT_SECRET is still needed: set JWT_SECRET_PREVIOUS to it, or these cannot be used"
            );
        }
        Ok(())
    }
}

impl Inner {
    fn batch(&self, conn: &mut Conn, table: Sealed, after: Uuid, is_counting: bool) -> DbResult<SealedRows> {
        match table {
            Sealed::SigningKeys => self.keys.reseal(conn, is_counting),
            Sealed::TotpSecrets => self.mfa.reseal(conn, after, BATCH_SIZE, is_counting),
            Sealed::Emails => self.mail.reseal(conn, after, BATCH_SIZE, is_counting),
        }
    }
}
