//! Mails: letters that are posted in the transaction that they tell of, and delivered after it.
//!
//! A letter is rendered and put into the table `outbox` in the caller's own transaction: neither is a change without
//! its letter, nor a letter without its change. A task in the background delivers, and tries again until it has.

mod files;
pub mod letter;
mod message;
mod outbox;
mod smtp;
mod store;
mod templates;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Notify;
use url::Url;
use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::config::Config;
use crate::db::types::MailId;
use crate::db::{Conn, DbError, DbResult};
use crate::random::Random;
use crate::secret::SealKey;

pub use letter::{Letter, Link, MfaChange, Occasion, Unusual};
pub use outbox::Deliverer;
pub use templates::TemplateError;

use smtp::Relay;
use store::NewMail;
use templates::Templates;

/// The pages of the server that links lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    VerifyEmail,
    ResetPassword,
    ConfirmEmailChange,
    /// "This wasn't me".
    NotMe,
}

impl Page {
    /// The path below `PUBLIC_URL`.
    pub const fn path(self) -> &'static str {
        match self {
            Self::VerifyEmail => "/account/verify-email",
            Self::ResetPassword => "/account/reset-password",
            Self::ConfirmEmailChange => "/account/confirm-email-change",
            Self::NotMe => "/account/not-me",
        }
    }
}

/// Why mails cannot be sent as they are set up; names the setting.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("TLS to the mail server of SMTP_URL is not possible: {0}")]
    Tls(String),
}

/// What the outbox holds.
pub struct Contents {
    /// Mails on their way.
    pub waiting: i64,
    /// When the oldest of these was posted.
    pub oldest: Option<Timestamp>,
    /// Mails that were given up, within two weeks.
    pub failed: i64,
    /// Why the latest mail that failed did.
    pub last_error: Option<String>,
}

/// What the outbox holds.
pub fn contents(conn: &mut Conn) -> DbResult<Contents> {
    store::contents(conn)
}

/// Where mails go without a mail server.
pub fn folder(config: &Config) -> PathBuf {
    config.data_dir.join("outbox")
}

/// Whether the mail server, if there is one, answers and takes the credentials; why not otherwise.
pub async fn is_reachable(config: &Config) -> Result<(), String> {
    let Some(relay) = &config.mail.relay else { return Ok(()) };
    let relay = Relay::new(relay).map_err(|error| error.to_string())?;
    relay.answers().await.map_err(|failure| failure.to_string())
}

/// Where letters are posted. Clones share it.
#[derive(Clone)]
pub struct Mail(Arc<Parts>);

struct Parts {
    templates: Templates,
    seal: SealKey,
    public_url: String,
    site: String,
    random: Random,
    posted: Notify,
}

impl Mail {
    /// # Errors
    /// A template of the operator's is wrong.
    pub fn new(config: &Config, random: Random) -> Result<Self, SetupError> {
        let templates = Templates::load(config.mail.templates.as_deref(), site(&config.public_url))?;
        Ok(Self(Arc::new(Parts {
            templates,
            seal: config.secret.mail_seal(),
            site: site(&config.public_url).to_owned(),
            public_url: config.public_url.as_str().trim_end_matches('/').to_owned(),
            random,
            posted: Notify::new(),
        })))
    }

    /// What letters call the place that they come from: the host of `PUBLIC_URL`.
    pub fn site(&self) -> &str {
        &self.0.site
    }

    /// A link to `page` with a one-time token, good until `expires_at`. It is made of `PUBLIC_URL` alone: what a request
    /// says of its host is a stranger's choice.
    pub fn link(&self, page: Page, token: &str, expires_at: Timestamp) -> Link {
        Link { url: format!("{}{}?token={token}", self.0.public_url, page.path()), expires_at }
    }

    /// Posts a letter in the caller's transaction; it leaves once that is committed. [`Mail::wake`] afterwards, or it
    /// waits for the next look into the outbox.
    pub fn post(&self, conn: &mut Conn, to: &str, letter: &Letter, now: Timestamp) -> DbResult<()> {
        let unexpected = |error: &dyn std::error::Error| DbError::Unexpected(error.to_string());
        let rendered = self.0.templates.render(letter).map_err(|error| unexpected(&error))?;
        let message = Zeroizing::new(serde_json::to_vec(&rendered).map_err(|error| unexpected(&error))?);
        let id = MailId(self.0.random.id(now));
        let mail = NewMail {
            id,
            kind: letter.name(),
            recipient: to,
            sealed_message: self.0.seal.seal(&message, &context(id, to), &self.0.random),
            created_at: now,
            next_attempt_at: now,
            expires_at: letter.expires_at(),
        };
        store::insert(conn, &mail)
    }

    /// Has the outbox looked into at once. To be called after the commit.
    pub fn wake(&self) {
        self.0.posted.notify_one();
    }
}

/// A message opens for its own recipient only: who can write to the database cannot have it sent to himself.
fn context(id: MailId, recipient: &str) -> Vec<u8> {
    [id.0.as_bytes(), recipient.as_bytes()].concat()
}

/// What letters call the place that they come from.
fn site(public_url: &Url) -> &str {
    public_url.host_str().unwrap_or("keyturn")
}
