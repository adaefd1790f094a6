//! A verifier that fetches the keys and follows the feed of revocations, in tasks of tokio.

mod fetch;
mod follow;
mod http;
mod sse;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::verifier::Presented;
use crate::{Moment, Refusal, Rules, VerifiedToken, Verifier, WhenStale};

use fetch::KeySource;
use http::Http;

/// Where keyturn is, and who asks.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settings {
    /// What tokens must have.
    pub rules: Rules,
    /// The address of keyturn. By default the issuer.
    pub url: String,
    /// The id of the client, with scope `revocations`, and `introspect` for [`WhenStale::Introspect`].
    pub client_id: String,
    /// The secret of the client.
    pub client_secret: String,
    /// The age of the knowledge about revocations from which on it is stale: five seconds by default.
    pub max_age: Duration,
    /// What to do with a valid token when the knowledge is stale.
    pub when_stale: WhenStale,
    /// How many verified tokens are remembered at least.
    pub remembered: usize,
    /// How many proofs are accepted in 66 seconds: about a million by default. Further ones are refused with 503, since
    /// the verifier could not tell their replays.
    pub proofs: usize,
}

impl Settings {
    /// Creates settings for tokens of the keyturn at this address for this audience.
    pub fn new(
        issuer: impl Into<String>,
        audience: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: impl Into<String>,
    ) -> Self {
        let rules = Rules::new(issuer, audience);
        Self {
            url: rules.issuer.clone(),
            rules,
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            max_age: Duration::from_secs(5),
            when_stale: WhenStale::default(),
            remembered: 8 * 1024,
            proofs: 1024 * 1024,
        }
    }
}

/// The error for an address that is no `http://` or `https://` URL, or for a machine without certificate authorities.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSettings(pub(crate) String);

/// The error of a request to keyturn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("keyturn cannot be reached: {0}")]
    Connection(String),
    #[error("keyturn answered {0}")]
    Status(u16),
    #[error("keyturn's answer is malformed")]
    Malformed,
    #[error("keyturn does not answer")]
    Silence,
}

/// A verifier that keeps itself up to date. Clones share it; its tasks end with the last of them.
#[derive(Clone)]
pub struct LiveVerifier {
    verifier: Verifier,
    shared: Arc<Shared>,
}

/// What the tasks and the clones share.
pub(crate) struct Connection {
    http: Http,
    last_error: Mutex<Option<String>>,
}

struct Shared {
    connection: Arc<Connection>,
    keys: Arc<KeySource>,
    ready: watch::Receiver<Ready>,
    tasks: [JoinHandle<()>; 2],
}

/// What was received at least once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ready {
    keys: bool,
    snapshot: bool,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Connection {
    pub(crate) fn note(&self, error: &impl ToString) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

impl LiveVerifier {
    /// Starts a verifier, on the runtime of the caller.
    ///
    /// # Errors
    /// The address is not valid.
    pub fn start(settings: Settings) -> Result<Self, InvalidSettings> {
        let verifier = Verifier::new(settings.rules.clone(), settings.max_age, settings.when_stale);
        let verifier = verifier.remembering(settings.remembered).accepting_proofs(settings.proofs);
        let http = Http::new(&settings)?;
        let connection = Arc::new(Connection { http, last_error: Mutex::default() });
        let (sender, ready) = watch::channel(Ready::default());
        let sender = Arc::new(sender);
        let keys = Arc::new(KeySource::new(Arc::clone(&connection), verifier.clone(), Arc::clone(&sender)));
        let follow = follow::run(Arc::clone(&connection), verifier.clone(), Arc::clone(&keys), sender);
        let tasks = [tokio::spawn(Arc::clone(&keys).run()), tokio::spawn(follow)];
        Ok(Self { verifier, shared: Arc::new(Shared { connection, keys, ready, tasks }) })
    }

    /// Waits until the keys and a whole snapshot of the revocations are there. Until then, tokens are refused with 503,
    /// or by the policy.
    pub async fn ready(&self) {
        let mut ready = self.shared.ready.clone();
        // The sender lives as long as the tasks, and these as long as `self`.
        let _ = ready.wait_for(|ready| ready.keys && ready.snapshot).await;
    }

    /// Verifies a token without I/O. If its key is unknown, the keys are fetched in the background for the next one.
    ///
    /// # Errors
    /// The token is refused, or it is not known whether it was revoked and the policy is not to accept it.
    pub fn verify(&self, token: &str, now: Moment) -> Result<Arc<VerifiedToken>, Refusal> {
        self.verify_as(token, Presented::Bearer, now)
    }

    /// Verifies a token that came with a proof, as [`Verifier::verify_bound`] does, and else as
    /// [`verify`](Self::verify).
    ///
    /// # Errors
    /// The token or the proof is refused, or was used before with this verifier, or it is not known whether the token
    /// was revoked and the policy is not to accept it.
    pub fn verify_bound(
        &self,
        token: &str,
        proof: &str,
        method: &str,
        url: &str,
        now: Moment,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        self.verify_as(token, Presented::Bound { proof, method, url }, now)
    }

    fn verify_as(&self, token: &str, presented: Presented<'_>, now: Moment) -> Result<Arc<VerifiedToken>, Refusal> {
        let outcome = self.verifier.verify_as(token, presented, now);
        if outcome.as_ref().err() == Some(&Refusal::UnknownKey) {
            self.shared.keys.want(token);
        }
        outcome
    }

    /// Verifies a token. Waits for the keys if they may have the unknown one, and asks keyturn where the policy is to
    /// introspect and the knowledge is stale.
    ///
    /// # Errors
    /// The token is refused, or it is not known whether it was revoked and the policy is not to accept it.
    pub async fn check(&self, token: &str) -> Result<Arc<VerifiedToken>, Refusal> {
        self.check_as(token, Presented::Bearer).await
    }

    /// Verifies a token that came with a proof, as [`Verifier::verify_bound`] does, and else as [`check`](Self::check).
    ///
    /// # Errors
    /// The token or the proof is refused, or was used before with this verifier, or it is not known whether the token
    /// was revoked and the policy is not to accept it.
    pub async fn check_bound(
        &self,
        token: &str,
        proof: &str,
        method: &str,
        url: &str,
    ) -> Result<Arc<VerifiedToken>, Refusal> {
        self.check_as(token, Presented::Bound { proof, method, url }).await
    }

    async fn check_as(&self, token: &str, presented: Presented<'_>) -> Result<Arc<VerifiedToken>, Refusal> {
        let mut outcome = self.verifier.verify_as(token, presented, Moment::now());
        if outcome.as_ref().err() == Some(&Refusal::UnknownKey) && self.shared.keys.fetch_for(token).await {
            outcome = self.verifier.verify_as(token, presented, Moment::now());
        }
        if outcome.as_ref().err() != Some(&Refusal::Introspect) {
            return outcome;
        }
        let certain = self.verifier.verify_but_for_age(token, presented, Moment::now())?;
        match self.shared.connection.introspect(token).await {
            Ok(true) => self.verifier.use_up(certain, Moment::now()),
            Ok(false) => Err(Refusal::TokenRevoked),
            Err(error) => {
                self.shared.connection.note(&error);
                Err(Refusal::Introspect)
            }
        }
    }

    /// Returns how old the knowledge about revocations is; `None` if there is none yet.
    pub fn age(&self) -> Option<Duration> {
        self.verifier.age(Moment::now())
    }

    /// Returns the verifier.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Returns the last error of a request to keyturn.
    pub fn last_error(&self) -> Option<String> {
        self.shared.connection.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
