//! Emails: queued in the transaction of the change that they report, and delivered after its commit.
//!
//! An email is rendered and inserted into the table `outbox` in the caller's transaction, so that there is no change
//! without its email and no email without its change. A background task delivers it and retries after failures.

mod activity;
mod delivery;
mod email;
mod files;
mod limit;
mod message;
mod outbox;
mod samples;
mod smtp;
mod store;
mod templates;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::audit::{Actor, Audit, Event, Record};
use crate::config::{Brand, Config};
use crate::db::{Conn, DbError, DbResult};
use crate::metrics::{EmailOutcome, Metrics};
use crate::random::Random;
use crate::secret::{SealKey, SealedRows};
use crate::texts::{Language, Languages};
use crate::tokens::opaque::{self, IssuedToken, Purpose, TokenRecord};
use crate::types::{EmailId, Timestamp};

pub use activity::{Activity, DeviceName};
pub use delivery::Delivery;
pub use email::{Email, Link, LoginRisk, MfaChange, ResetCause};
pub use outbox::{QueuedEmail, list_outbox};
pub use templates::TemplateError;

use limit::{Admission, EmailClass, Limits};
use smtp::Relay;
use store::{NewMail, Recipient};
use templates::Templates;

/// A page of the server that links in emails lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The page that verifies an email address.
    VerifyEmail,
    /// The page that sets a new password.
    ResetPassword,
    /// The page that confirms a change of email address.
    ConfirmEmailChange,
    /// The page that reports a login as somebody else's.
    ReportLogin,
    /// The page that cancels the deletion of an account.
    CancelDeletion,
}

impl Page {
    /// Returns the path below `PUBLIC_URL`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::VerifyEmail => "/account/verify-email",
            Self::ResetPassword => "/account/reset-password",
            Self::ConfirmEmailChange => "/account/confirm-email-change",
            Self::ReportLogin => "/account/not-me",
            Self::CancelDeletion => "/account/cancel-deletion",
        }
    }

    /// Returns the page for tokens of `purpose`; `None` if no link carries such tokens.
    const fn from_purpose(purpose: Purpose) -> Option<Self> {
        match purpose {
            Purpose::VerifyEmail => Some(Self::VerifyEmail),
            Purpose::ResetPassword | Purpose::Invitation => Some(Self::ResetPassword),
            Purpose::ChangeEmailOld | Purpose::ChangeEmailNew => Some(Self::ConfirmEmailChange),
            Purpose::ReportLogin => Some(Self::ReportLogin),
            Purpose::CancelDeletion => Some(Self::CancelDeletion),
            Purpose::MfaChallenge | Purpose::TrustedDevice | Purpose::SentForm => None,
        }
    }
}

/// Why emails cannot be sent with this configuration. The text names the setting.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// TLS cannot be set up.
    #[error("TLS to the mail server of SMTP_URL is not possible: {0}")]
    Tls(String),
}

/// The result of queueing an email. Only operators may learn it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// The email waits for delivery.
    Waiting,
    /// The email was dropped, because its recipient was sent too many.
    Dropped {
        /// The time after which one is queued again.
        retry_after: Duration,
    },
}

/// The state of the outbox.
pub struct OutboxStatus {
    /// Emails that wait for delivery.
    pub waiting: i64,
    /// The time at which the oldest waiting email was queued.
    pub oldest: Option<Timestamp>,
    /// Emails that were given up within [`FAILURES_KEPT`].
    pub failed: i64,
    /// The error of the latest failed attempt.
    pub last_error: Option<String>,
}

/// The time that an email which was given up is kept after it was queued: 14 days.
pub const FAILURES_KEPT: Duration = Duration::from_secs(14 * 86_400);

/// Reads the state of the outbox.
pub fn outbox_status(conn: &mut Conn) -> DbResult<OutboxStatus> {
    store::status(conn)
}

/// Deletes up to `limit` counts of emails to recipients who can be sent as many as ever since `before`. Returns how
/// many.
pub fn expire_counts(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire_counts(conn, before, limit)
}

/// Deletes up to `limit` emails that were given up and queued before `before`. Returns how many.
pub fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    store::expire(conn, before, limit)
}

/// Deletes the emails to these addresses, waiting or given up, in the caller's transaction.
pub fn forget(conn: &mut Conn, addresses: &[String]) -> DbResult<()> {
    store::forget(conn, addresses)
}

/// Returns the folder for emails if no mail server is configured.
pub fn folder(config: &Config) -> PathBuf {
    config.data_dir.join("outbox")
}

/// Checks what emails need of the configuration, without the mail server.
///
/// # Errors
/// A custom template or the file of certificate authorities for the mail server cannot be used.
pub fn check(config: &Config) -> Result<(), SetupError> {
    templates(config)?;
    config.mail.relay.as_ref().map(Relay::new).transpose()?;
    Ok(())
}

/// Checks that the configured mail server answers and accepts the credentials and the sender. Returns whether it takes
/// recipients outside ASCII (SMTPUTF8), or `None` if none is configured.
///
/// # Errors
/// The mail server does not answer, or refuses the credentials or the sender. The text says why.
pub async fn check_relay(config: &Config) -> Result<Option<bool>, String> {
    let Some(relay) = &config.mail.relay else { return Ok(None) };
    let relay = Relay::new(relay).map_err(|error| error.to_string())?;
    relay.check(&config.mail.from.email).await.map(Some).map_err(|failure| failure.to_string())
}

/// The outbox of a server, in which emails are queued. Clones share everything.
#[derive(Clone)]
pub struct Mail {
    inner: Arc<Inner>,
}

/// The parts of [`Mail`].
struct Inner {
    templates: RwLock<Arc<Templates>>,
    limits: Limits,
    audit: Audit,
    metrics: Metrics,
    seal: SealKey,
    /// The URL of the server, without a trailing slash.
    public_url: String,
    brand: Brand,
    languages: Languages,
    random: Random,
    queued: Notify,
}

impl Mail {
    /// Loads the templates.
    ///
    /// # Errors
    /// A custom template cannot be used.
    pub fn new(config: &Config, random: Random, audit: Audit, metrics: Metrics) -> Result<Self, SetupError> {
        let templates = templates(config)?;
        let inner = Inner {
            templates: RwLock::new(Arc::new(templates)),
            limits: Limits::new(config),
            audit,
            metrics,
            seal: config.secret.email_seal(),
            public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            brand: config.pages.brand.clone(),
            languages: config.pages.languages.clone(),
            random,
            queued: Notify::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Loads the templates again, for emails that are queued from now on. Blocks.
    ///
    /// # Errors
    /// A custom template cannot be used. The former templates stay.
    pub fn reload(&self, config: &Config) -> Result<(), SetupError> {
        let templates = Templates::load(config.mail.templates.as_deref(), &self.inner.brand, &self.inner.languages)?;
        *self.inner.templates.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(templates);
        Ok(())
    }

    /// Returns a link to `page` with `token`. It is always built from `PUBLIC_URL`, because the `Host` header of a
    /// request is chosen by the client.
    pub fn link(&self, page: Page, token: &str, expires_at: Timestamp) -> Link {
        Link { url: format!("{}{}?token={token}", self.inner.public_url, page.path()), expires_at }
    }

    /// Issues a token in the caller's transaction and returns the link with it.
    ///
    /// # Errors
    /// The database fails, or there is no page for the token's purpose, which is a defect.
    pub fn issue_link(&self, conn: &mut Conn, record: TokenRecord, now: Timestamp) -> DbResult<Link> {
        self.issue_link_until(conn, record, now, now.plus(record.purpose.lifetime()))
    }

    /// Issues a token as [`Self::issue_link`] does, which is valid until `expires_at`.
    pub fn issue_link_until(
        &self,
        conn: &mut Conn,
        record: TokenRecord,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> DbResult<Link> {
        let no_page =
            || DbError::Unexpected(format!("there is no page for tokens of the purpose {:?}", record.purpose));
        let page = Page::from_purpose(record.purpose).ok_or_else(no_page)?;
        let IssuedToken { token, expires_at } = opaque::issue_until(conn, record, &self.inner.random, now, expires_at)?;
        Ok(self.link(page, token.expose(), expires_at))
    }

    /// Queues an email in the caller's transaction. It is delivered after the commit. Call [`Self::wake`] then,
    /// otherwise it waits until the outbox is next polled.
    ///
    /// An email that exceeds the limit on emails to its recipient is dropped, which the caller is not told, so that
    /// nobody learns of it. To an address that no account has verified, nothing is written that a stranger can have
    /// chosen.
    ///
    /// It is in the language that the account with the address has chosen, else in `asked`, that of the request which
    /// causes it.
    pub fn queue(
        &self,
        conn: &mut Conn,
        to: &str,
        asked: Option<Language>,
        email: &Email,
        now: Timestamp,
    ) -> DbResult<()> {
        match self.admit(conn, to, email.class(), now)? {
            Err(_) => Ok(()),
            Ok(recipient) if recipient.is_verified => {
                self.insert(conn, to, self.language(&recipient, asked), email, now)
            }
            Ok(recipient) => {
                self.insert(conn, to, self.language(&recipient, asked), &email.without_chosen_texts(), now)
            }
        }
    }

    /// Queues an email whose only purpose is a link, as [`Self::queue`] does. The link replaces earlier ones, so none
    /// is issued if the email is dropped: the last one that was delivered stays valid.
    pub fn queue_link(
        &self,
        conn: &mut Conn,
        to: &str,
        asked: Option<Language>,
        record: TokenRecord,
        email: impl FnOnce(Link) -> Email,
        now: Timestamp,
    ) -> DbResult<Queued> {
        let recipient = match self.admit(conn, to, EmailClass::Link, now)? {
            Ok(recipient) => recipient,
            Err(retry_after) => return Ok(Queued::Dropped { retry_after }),
        };
        let link = self.issue_link(conn, record, now)?;
        self.insert(conn, to, self.language(&recipient, asked), &email(link), now)?;
        Ok(Queued::Waiting)
    }

    fn language(&self, recipient: &Recipient, asked: Option<Language>) -> Option<Language> {
        recipient.language.filter(|chosen| self.inner.languages.offers(*chosen)).or(asked)
    }

    /// Counts an email to a recipient. If it exceeds the limit, which is audited once, returns the time after which one
    /// is admitted again.
    fn admit(
        &self,
        conn: &mut Conn,
        to: &str,
        class: EmailClass,
        now: Timestamp,
    ) -> DbResult<Result<Recipient, Duration>> {
        let inner = &self.inner;
        let recipient = store::recipient(conn, to)?;
        let admission = inner.limits.count(conn, &recipient, class, now)?;
        let Admission::Dropped { limit, is_first, retry_after } = admission else { return Ok(Ok(recipient)) };
        inner.metrics.email_attempted(EmailOutcome::Dropped);
        if is_first {
            let record = Record::new(Event::LimitExceeded, &Actor::default()).on(recipient.user);
            inner.audit.append(conn, &record.with("limit", limit))?;
        }
        Ok(Err(retry_after))
    }

    fn insert(
        &self,
        conn: &mut Conn,
        to: &str,
        language: Option<Language>,
        email: &Email,
        now: Timestamp,
    ) -> DbResult<()> {
        let inner = &self.inner;
        let unexpected = |error: &dyn std::error::Error| DbError::Unexpected(error.to_string());
        let templates = Arc::clone(&inner.templates.read().unwrap_or_else(PoisonError::into_inner));
        let rendered = templates.render(email, language).map_err(|error| unexpected(&error))?;
        let message = Zeroizing::new(serde_json::to_vec(&rendered).map_err(|error| unexpected(&error))?);
        let id = EmailId(inner.random.id(now));
        let mail = NewMail {
            id,
            kind: email.name(),
            recipient: to,
            sealed_message: inner.seal.seal(&message, &seal_context(id, to), &inner.random),
            created_at: now,
            next_attempt_at: now,
            expires_at: email.expires_at(),
        };
        store::insert(conn, &mail)
    }

    /// Encrypts those of the next `limit` waiting emails after `after` under the new secret of the server that are
    /// encrypted under the previous one; or counts them only.
    pub fn reseal(&self, conn: &mut Conn, after: Uuid, limit: i64, is_counting: bool) -> DbResult<SealedRows> {
        let inner = &self.inner;
        let rows = store::waiting_after(conn, EmailId(after), limit)?;
        let mut found = SealedRows { outdated: 0, last: rows.last().map(|(id, ..)| id.0) };
        for (id, recipient, sealed) in rows {
            let context = seal_context(id, &recipient);
            if inner.seal.is_current(&sealed, &context) {
                continue;
            }
            found.outdated = found.outdated.saturating_add(1);
            match inner.seal.reseal(&sealed, &context, &inner.random) {
                Some(resealed) if !is_counting => store::reseal(conn, id, &sealed, &resealed)?,
                Some(_) | None => {}
            }
        }
        Ok(found)
    }

    /// Wakes the delivery of emails. Call this after the commit.
    pub fn wake(&self) {
        self.inner.queued.notify_one();
    }
}

/// Returns the associated data with which a message is encrypted. It binds the message to its recipient, so that
/// somebody with write access to the database cannot redirect it to another address.
fn seal_context(id: EmailId, recipient: &str) -> Vec<u8> {
    [id.0.as_bytes(), recipient.as_bytes()].concat()
}

fn templates(config: &Config) -> Result<Templates, TemplateError> {
    Templates::load(config.mail.templates.as_deref(), &config.pages.brand, &config.pages.languages)
}
