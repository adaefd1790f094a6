//! Brings the mails in the outbox on their way, together with all other servers on the same database.
//!
//! A mail is claimed by one server, for as long as a lease lasts, delivered outside of any transaction, and removed. A
//! server that dies in between lets the lease run out, and another one tries again: each mail is delivered at least
//! once, and twice only where a server died, or lost its database, in the moment after the mail server had taken it.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lettre::message::Mailbox;
use tokio::task::JoinSet;

use super::smtp::{Failure, Relay};
use super::store::{self, MailRow};
use super::templates::Rendered;
use super::{Mail, SetupError, context, files, message};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Encryption};
use crate::db::{Db, DbResult};
use crate::metrics::{MailOutcome, Metrics};

/// How often the outbox is looked into without having been told of a new mail.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How often the mails in it are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);

/// How often old failures are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(3600);

/// Mails that one server delivers at the same time.
const LANES: usize = 4;

/// How long a mail is a server's own. Longer than delivery can take ([`super::smtp::PATIENCE`]) together with the database, and
/// clocks that differ by a minute.
const LEASE: Duration = Duration::from_secs(300);

/// The wait after the first attempt; it doubles with each.
const FIRST_DELAY: Duration = Duration::from_secs(60);

/// The longest wait between two attempts.
const LONGEST_DELAY: Duration = Duration::from_secs(6 * 3600);

/// How long a mail is tried.
const TRIED_FOR: Duration = Duration::from_secs(3 * 86_400);

/// How long a mail that was not delivered is remembered, from when it was posted.
const REMEMBERED_FOR: Duration = Duration::from_secs(14 * 86_400);

/// Delivers for one server.
pub struct Deliverer(Arc<Parts>);

struct Parts {
    mail: Mail,
    db: Db,
    clock: Clock,
    metrics: Metrics,
    from: Mailbox,
    carrier: Carrier,
}

enum Carrier {
    Server(Box<Relay>),
    Folder(PathBuf),
}

impl Deliverer {
    /// # Errors
    /// The file of authorities for the mail server is of no use.
    pub fn new(mail: Mail, config: &Config, db: Db, clock: Clock, metrics: Metrics) -> Result<Self, SetupError> {
        let carrier = match &config.mail.relay {
            Some(relay) => {
                if relay.encryption == Encryption::None {
                    tracing::warn!(host = relay.host, "mails go to the mail server without encryption");
                }
                Carrier::Server(Box::new(Relay::new(relay)?))
            }
            None => {
                let folder = super::folder(config);
                tracing::info!(folder = %folder.display(), "without SMTP_URL mails are written to files");
                Carrier::Folder(folder)
            }
        };
        let from = config.mail.from.clone();
        Ok(Self(Arc::new(Parts { mail, db, clock, metrics, from, carrier })))
    }

    /// Delivers for ever. What is under way when this is dropped is tried again when its lease ends.
    pub async fn run(self) {
        let mut lanes = JoinSet::new();
        let (mut counting, mut forgetting) = (Every(COUNT_INTERVAL, None), Every(FORGET_INTERVAL, None));
        let mut failing = false;
        loop {
            let now = self.0.clock.now();
            let mut outcome = self.fill(&mut lanes).await;
            if forgetting.is_due(now) {
                outcome = outcome.and(self.0.forget(now).await);
            }
            if counting.is_due(now) {
                outcome = outcome.and(self.0.count().await);
            }
            match &outcome {
                Err(error) if !failing => tracing::warn!(%error, "the outbox cannot be read"),
                Ok(()) if failing => tracing::info!("the outbox can be read again"),
                Ok(()) | Err(_) => {}
            }
            failing = outcome.is_err();
            tokio::select! {
                Some(_) = lanes.join_next() => {}
                () = self.0.mail.0.posted.notified() => {}
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    /// Puts a mail that is due into each lane that is free.
    async fn fill(&self, lanes: &mut JoinSet<()>) -> DbResult<()> {
        while let Some(free) = NonZeroUsize::new(LANES.saturating_sub(lanes.len())) {
            let now = self.0.clock.now();
            let due = self.0.db.read(move |conn| store::due(conn, now, free)).await?;
            if due.is_empty() {
                break;
            }
            for row in due {
                let (id, attempts, lease_ends) = (row.id, row.attempts, now.plus(LEASE));
                if self.0.db.write(move |conn| store::claim(conn, id, attempts, lease_ends)).await? {
                    let parts = Arc::clone(&self.0);
                    lanes.spawn(async move { parts.attempt(row).await });
                }
            }
        }
        Ok(())
    }
}

impl Parts {
    /// One attempt at a mail that this server has claimed.
    async fn attempt(&self, row: MailRow) {
        let (id, kind, attempts) = (row.id, row.kind.clone(), row.attempts.saturating_add(1));
        let now = self.clock.now();
        let expired = row.expires_at.is_some_and(|expires_at| expires_at <= now);
        let outcome = if expired { Ok(MailOutcome::Expired) } else { self.carry(&row).await };
        let too_late = now.since(row.created_at) >= TRIED_FOR;
        let (outcome, kept) = match outcome {
            Ok(outcome) => (outcome, self.db.write(move |conn| store::remove(conn, id)).await),
            Err(Failure::Passing(error)) if !too_late => {
                let until = self.clock.now().plus(delay(attempts, self.mail.0.random.fraction()));
                tracing::warn!(mail = %id, kind, attempts, error, next_attempt_at = %until, "a mail was not delivered");
                let put_off = move |conn: &mut _| store::put_off(conn, id, attempts, until, &error);
                (MailOutcome::Deferred, self.db.write(put_off).await)
            }
            Err(failure) => {
                let outcome = match failure {
                    Failure::Passing(_) => MailOutcome::GivenUp,
                    Failure::Final(_) => MailOutcome::Refused,
                };
                let error = failure.to_string();
                tracing::error!(mail = %id, kind, attempts, error, "a mail was given up");
                (outcome, self.db.write(move |conn| store::give_up(conn, id, &error)).await)
            }
        };
        if outcome == MailOutcome::Expired {
            tracing::warn!(mail = %id, kind, attempts, "a mail was not delivered before its link expired");
        }
        self.metrics.mailed(outcome);
        if let Err(error) = kept {
            tracing::warn!(mail = %id, kind, %error, "what became of a mail could not be kept: it will be tried again");
        }
    }

    async fn carry(&self, row: &MailRow) -> Result<MailOutcome, Failure> {
        let unusable = |what: &str| Failure::Final(what.to_owned());
        let opened = self.mail.0.seal.open(&row.sealed_message, &context(row.id, &row.recipient));
        // With the right secret it would be opened: another server may have it.
        let opened = opened.ok_or_else(|| Failure::Passing("it was sealed under another JWT_SECRET".to_owned()))?;
        let rendered: Rendered = serde_json::from_slice(&opened).map_err(|_| unusable("it is of another version"))?;
        let to = message::recipient(&row.recipient).ok_or_else(|| unusable("its recipient is no mail address"))?;
        let bytes = message::write(row.id, &self.from, to.clone(), rendered, row.created_at)
            .map_err(|error| Failure::Final(error.to_string()))?;
        match &self.carrier {
            Carrier::Server(relay) => {
                relay.deliver(&self.from.email, &to, &bytes).await?;
                tracing::info!(mail = %row.id, kind = row.kind, "a mail was delivered");
            }
            Carrier::Folder(folder) => self.file(folder.clone(), row, bytes).await?,
        }
        Ok(MailOutcome::Delivered)
    }

    async fn file(&self, folder: PathBuf, row: &MailRow, bytes: Vec<u8>) -> Result<(), Failure> {
        let (id, kind, created_at) = (row.id, row.kind.clone(), row.created_at);
        let write = move || files::write(&folder, id, &kind, created_at, &bytes);
        let written = tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other).flatten();
        let path = written.map_err(|error| Failure::Passing(format!("the file cannot be written: {error}")))?;
        tracing::info!(mail = %id, kind = row.kind, file = %path.display(), "a mail was written");
        Ok(())
    }

    async fn forget(&self, now: Timestamp) -> DbResult<()> {
        let before = now.minus(REMEMBERED_FOR);
        self.db.write(move |conn| store::forget(conn, before)).await
    }

    async fn count(&self) -> DbResult<()> {
        let contents = self.db.read(store::contents).await?;
        self.metrics.outbox(contents.waiting, contents.failed);
        Ok(())
    }
}

/// What is done at an interval, and when it was done last.
struct Every(Duration, Option<Timestamp>);

impl Every {
    /// Whether it is time; if so, it counts as done.
    fn is_due(&mut self, now: Timestamp) -> bool {
        let due = self.1.is_none_or(|last| now.since(last) >= self.0);
        if due {
            self.1 = Some(now);
        }
        due
    }
}

/// The wait after so many attempts: twice the former, up to a quarter more or less, so that mails that failed together do
/// not come back together.
fn delay(attempts: i32, fraction: f64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_DELAY);
    delay.mul_f64(0.75 + fraction / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::smtp;

    #[test]
    fn each_wait_is_longer_than_the_one_before_up_to_six_hours() {
        let waits: Vec<u64> = (1..=11).map(|attempts| delay(attempts, 0.5).as_secs()).collect();
        assert_eq!(waits, [60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 21_600, 21_600]);
        assert_eq!(delay(1, 0.0).as_secs(), 45);
        assert_eq!(delay(1, 1.0).as_secs(), 75);
        assert_eq!(delay(i32::MAX, 1.0).as_secs(), 27_000);
    }

    #[test]
    fn a_lease_outlasts_a_delivery() {
        assert!(LEASE >= smtp::PATIENCE * 2 + Duration::from_secs(60));
    }
}
