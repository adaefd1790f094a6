//! Delivers the emails in the outbox, together with all other servers that share the database.
//!
//! A server claims an email with a lease, delivers it outside of any transaction, and deletes it. If the server crashes
//! in between, the lease expires and another server tries again. So each email is delivered at least once, and twice
//! only if a server crashes, or loses its database, just after the mail server has accepted the email.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lettre::message::Mailbox;
use tokio::task::{self, JoinSet};

use super::smtp::{Failure, Relay};
use super::store::{self, MailRow};
use super::templates::Rendered;
use super::{Mail, SetupError, files, message, seal_context};
use crate::clock::Clock;
use crate::config::{Config, Encryption};
use crate::db::{Db, DbResult};
use crate::metrics::{EmailOutcome, Metrics};
use crate::tokens::opaque::Purpose;
use crate::types::{EmailId, Timestamp};

/// How often the outbox is polled without a wake-up.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How often the emails in the outbox are counted for the metrics.
const COUNT_INTERVAL: Duration = Duration::from_secs(15);

/// The maximum number of emails that one server delivers concurrently.
const CONCURRENCY: usize = 4;

/// The time for which a claim of an email is valid: longer than a delivery can take ([`super::smtp::TIMEOUT`]), plus
/// the access to the database and a difference of a minute between clocks.
pub(super) const LEASE: Duration = Duration::from_secs(300);

/// The delay after the first attempt. It doubles with each attempt.
const FIRST_DELAY: Duration = Duration::from_secs(60);

/// The maximum delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(6 * 3600);

/// How long the delivery of an email is retried that does not expire before: as long as the links of notices are valid.
const MAX_RETRY_AGE: Duration = Purpose::ReportLogin.lifetime();

/// Delivers emails for one server.
pub struct Delivery {
    inner: Arc<Inner>,
}

/// The parts of [`Delivery`].
struct Inner {
    mail: Mail,
    db: Db,
    clock: Clock,
    metrics: Metrics,
    from: Mailbox,
    destination: Destination,
    /// Whether the last email that was tried could not be delivered because of the mail server or the sender.
    unusable: AtomicBool,
    /// Whether it was logged that the mail server takes no recipients outside ASCII.
    lacks_utf8: AtomicBool,
}

/// The destination of emails.
enum Destination {
    /// The configured mail server.
    Relay(Box<Relay>),
    /// Files in a folder.
    Folder {
        folder: PathBuf,
        /// The beginning of the links that are logged, for a newcomer who has no mail server: `None` unless links lead
        /// to this computer alone.
        logged: Option<String>,
    },
}

impl Delivery {
    /// Prepares delivery by SMTP or to files.
    ///
    /// # Errors
    /// The file of certificate authorities for the mail server cannot be used.
    pub fn new(mail: Mail, config: &Config, db: Db, clock: Clock, metrics: Metrics) -> Result<Self, SetupError> {
        let destination = match &config.mail.relay {
            Some(relay) => {
                if relay.encryption == Encryption::None {
                    tracing::warn!(host = relay.host, "emails are sent to the mail server without encryption");
                }
                Destination::Relay(Box::new(Relay::new(relay)?))
            }
            None => {
                let folder = super::folder(config);
                tracing::info!(folder = %folder.display(), "SMTP_URL is not set: emails are written to files");
                let logged = config.is_local().then(|| config.public_url.as_str().to_owned());
                Destination::Folder { folder, logged }
            }
        };
        let from = config.mail.from.clone();
        let unusable = AtomicBool::new(false);
        let lacks_utf8 = AtomicBool::new(false);
        Ok(Self { inner: Arc::new(Inner { mail, db, clock, metrics, from, destination, unusable, lacks_utf8 }) })
    }

    /// Delivers emails until the future is dropped. A delivery that is interrupted is retried when its lease expires.
    pub async fn run(self) {
        let mut deliveries = Deliveries::default();
        let mut count_due = Interval::new(COUNT_INTERVAL);
        let mut failing = false;
        loop {
            let mut outcome = self.inner.start_due(&mut deliveries).await;
            if count_due.elapsed(self.inner.clock.now()) {
                outcome = outcome.and(self.inner.count().await);
            }
            match &outcome {
                Err(error) if !failing => tracing::warn!(%error, "the outbox cannot be read"),
                Ok(()) if failing => tracing::info!("the outbox can be read again"),
                Ok(()) | Err(_) => {}
            }
            failing = outcome.is_err();
            tokio::select! {
                () = deliveries.finish() => {}
                () = self.inner.mail.inner.queued.notified() => {}
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }
}

impl Inner {
    /// Claims emails that are due and starts to deliver them, up to [`CONCURRENCY`] at a time.
    async fn start_due(self: &Arc<Self>, deliveries: &mut Deliveries) -> DbResult<()> {
        while let Some(free) = NonZeroUsize::new(CONCURRENCY.saturating_sub(deliveries.emails.len())) {
            let now = self.clock.database_now();
            // If the clock jumps, the lease of an email seems to end while this server delivers it.
            let started: Vec<EmailId> = deliveries.emails.values().copied().collect();
            let due = self.db.read(move |conn| store::due(conn, now, &started, free)).await?;
            if due.is_empty() {
                break;
            }
            for row in due {
                let id = row.id;
                let attempts = row.attempts;
                let lease_ends = now.plus(LEASE);
                if self.db.write(move |conn| store::claim(conn, id, attempts, lease_ends)).await? {
                    let inner = Arc::clone(self);
                    deliveries.start(id, async move { inner.attempt(row).await });
                }
            }
        }
        Ok(())
    }

    /// Attempts to deliver an email that this server has claimed, and records the outcome.
    async fn attempt(&self, row: MailRow) {
        let id = row.id;
        let kind = row.kind.clone();
        let attempts = row.attempts.saturating_add(1);
        let now = self.clock.database_now();
        let expired = row.expires_at.is_some_and(|expires_at| expires_at <= now);
        let delivered = if expired { Ok(EmailOutcome::Expired) } else { self.deliver(&row).await };
        let too_late = row.expires_at.is_none() && now.since(row.created_at) >= MAX_RETRY_AGE;
        self.report_usability(&delivered);
        let (outcome, recorded) = match delivered {
            Ok(outcome) => (outcome, self.db.write(move |conn| store::delete(conn, id)).await),
            Err(failure) if !too_late && !matches!(failure, Failure::Permanent(_)) => {
                let error = failure.to_string();
                let until = self.clock.database_now().plus(delay(attempts, self.mail.inner.random.fraction()));
                tracing::info!(
                    mail = %id, kind, attempts, error, next_attempt_at = %until, "an email was not delivered yet"
                );
                let defer = move |conn: &mut _| store::defer(conn, id, attempts, until, &error);
                (EmailOutcome::Deferred, self.db.write(defer).await)
            }
            Err(failure) => {
                let outcome = match failure {
                    Failure::Temporary(_) | Failure::Unusable(_) | Failure::NoUtf8 => EmailOutcome::GivenUp,
                    Failure::Permanent(_) => EmailOutcome::Refused,
                };
                let error = failure.to_string();
                tracing::error!(mail = %id, kind, attempts, error, "an email was given up");
                (outcome, self.db.write(move |conn| store::give_up(conn, id, &error)).await)
            }
        };
        if outcome == EmailOutcome::Expired {
            tracing::warn!(mail = %id, kind, attempts, "an email was not delivered before its link expired");
        }
        self.metrics.email_attempted(outcome);
        if let Err(error) = recorded {
            tracing::warn!(mail = %id, kind, %error, "the outcome of an email was not recorded: it will be retried");
        }
    }

    /// Logs that the mail server or the sender cannot be used, and that emails are delivered again: once each, not for
    /// each email.
    fn report_usability(&self, delivered: &Result<EmailOutcome, Failure>) {
        let is_unusable = match delivered {
            Err(Failure::NoUtf8) => {
                if !self.lacks_utf8.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the mail server does not support SMTPUTF8: emails to addresses outside ASCII wait until their \
                         links expire"
                    );
                }
                return;
            }
            Err(Failure::Unusable(_)) => true,
            Ok(EmailOutcome::Delivered) => false,
            Ok(_) | Err(Failure::Temporary(_) | Failure::Permanent(_)) => return,
        };
        let was_unusable = self.unusable.swap(is_unusable, Ordering::Relaxed);
        match delivered {
            Err(error) if !was_unusable => tracing::error!(
                %error,
                "emails cannot be delivered for another reason than their recipients: correct SMTP_URL, MAIL_FROM or \
                 the mail server; they wait until their links expire"
            ),
            Ok(_) if was_unusable => tracing::info!("emails are delivered again"),
            Ok(_) | Err(_) => {}
        }
    }

    async fn deliver(&self, row: &MailRow) -> Result<EmailOutcome, Failure> {
        let impossible = |what: &str| Failure::Permanent(what.to_owned());
        let opened = self.mail.inner.seal.open(&row.sealed_message, &seal_context(row.id, &row.recipient));
        // A server with the right secret can open the message, so the failure is temporary.
        let opened = opened
            .ok_or_else(|| Failure::Temporary("the message was encrypted under another JWT_SECRET".to_owned()))?;
        let rendered: Rendered =
            serde_json::from_slice(&opened).map_err(|_| impossible("the message is from another version"))?;
        let to =
            message::recipient(&row.recipient).ok_or_else(|| impossible("the recipient is not an email address"))?;
        let link = match &self.destination {
            Destination::Folder { logged: Some(url), .. } => link_in(&rendered.text, url).map(str::to_owned),
            Destination::Folder { logged: None, .. } | Destination::Relay(_) => None,
        };
        let bytes = message::write(row.id, &self.from, to.clone(), rendered, row.created_at)
            .map_err(|error| Failure::Unusable(error.to_string()))?;
        match &self.destination {
            Destination::Relay(relay) => {
                relay.deliver(&self.from.email, &to, &bytes).await?;
                tracing::info!(mail = %row.id, kind = row.kind, "an email was delivered");
            }
            Destination::Folder { folder, .. } => self.write_file(folder.clone(), row, bytes, link).await?,
        }
        Ok(EmailOutcome::Delivered)
    }

    async fn write_file(
        &self,
        folder: PathBuf,
        row: &MailRow,
        bytes: Vec<u8>,
        link: Option<String>,
    ) -> Result<(), Failure> {
        let id = row.id;
        let kind = row.kind.clone();
        let created_at = row.created_at;
        let write = move || files::write(&folder, id, &kind, created_at, &bytes);
        let written = tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other).flatten();
        let path = written.map_err(|error| Failure::Unusable(format!("the file cannot be written: {error}")))?;
        tracing::info!(mail = %id, kind = row.kind, file = %path.display(), link, "an email was written to a file");
        Ok(())
    }

    async fn count(&self) -> DbResult<()> {
        let status = self.db.read(store::status).await?;
        let oldest = status.oldest.map_or(Duration::ZERO, |oldest| self.clock.now().since(oldest));
        self.metrics.set_outbox(status.waiting, oldest, status.failed);
        Ok(())
    }
}

/// The deliveries that this server has started and not finished.
#[derive(Default)]
struct Deliveries {
    tasks: JoinSet<()>,
    emails: HashMap<task::Id, EmailId>,
}

impl Deliveries {
    fn start(&mut self, email: EmailId, delivery: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(delivery);
        self.emails.insert(task.id(), email);
    }

    /// Waits until one has finished, or forever if there is none.
    async fn finish(&mut self) {
        match self.tasks.join_next_with_id().await {
            Some(finished) => {
                let task = finished.map_or_else(|error| error.id(), |(task, ())| task);
                self.emails.remove(&task);
            }
            None => std::future::pending().await,
        }
    }
}

/// A timer that reports when an interval has passed.
struct Interval {
    length: Duration,
    last: Option<Timestamp>,
}

impl Interval {
    fn new(length: Duration) -> Self {
        Self { length, last: None }
    }

    /// Returns whether the interval has passed since this last returned `true`.
    fn elapsed(&mut self, now: Timestamp) -> bool {
        let elapsed = self.last.is_none_or(|last| now.since(last) >= self.length);
        if elapsed {
            self.last = Some(now);
        }
        elapsed
    }
}

/// Returns the first link with a token in a text that begins with `url`.
fn link_in<'a>(text: &'a str, url: &str) -> Option<&'a str> {
    let words = text.split_whitespace().map(|word| word.trim_matches(['<', '>', '(', ')', '"']));
    words.into_iter().find(|word| word.starts_with(url) && word.contains("?token="))
}

/// Returns the delay after this number of attempts: twice the previous delay, with a random deviation of up to a
/// quarter, so that emails that failed together are not all retried together.
fn delay(attempts: i32, fraction: f64) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0);
    let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(doublings)).min(MAX_DELAY);
    delay.mul_f64(0.75 + fraction / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::smtp;

    #[test]
    fn each_delay_is_longer_than_the_one_before_up_to_six_hours() {
        let delays: Vec<u64> = (1..=11).map(|attempts| delay(attempts, 0.5).as_secs()).collect();
        assert_eq!(delays, [60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 21_600, 21_600]);
        assert_eq!(delay(1, 0.0).as_secs(), 45);
        assert_eq!(delay(1, 1.0).as_secs(), 75);
        assert_eq!(delay(i32::MAX, 1.0).as_secs(), 27_000);
    }

    #[test]
    fn a_link_is_found_in_a_text() {
        let url = "http://127.0.0.1:8080/";
        let link = "http://127.0.0.1:8080/account/verify-email?token=kto_a";
        for text in
            [format!("a\n\n{link}\n\nb"), format!("See http://127.0.0.1:8080/ or <{link}>.").replace(">.", "> .")]
        {
            assert_eq!(link_in(&text, url), Some(link));
        }
        assert_eq!(link_in("https://keyturn.example/account/verify-email?token=kto_a", url), None);
        assert_eq!(link_in("http://127.0.0.1:8080/account", url), None);
    }

    #[test]
    fn a_lease_outlasts_a_delivery() {
        assert!(LEASE >= smtp::TIMEOUT * 2 + Duration::from_secs(60));
    }
}
