//! The keys are fetched: one request at a time, and few because of unknown ids.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::http::jitter;
use super::{Connection, Ready, RequestError};
use crate::{Keys, Verifier, token};

/// The least time between two requests that unknown ids cause.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// How long an id that was not found is not asked for again.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);

/// The most ids that were not found.
const MAX_UNKNOWN: usize = 1024;

/// How long keys are kept if the response does not say it.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(300);

/// The bounds of what the response says.
const MAX_AGES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(3600));

/// The keys of keyturn.
pub(crate) struct KeySource {
    connection: Arc<Connection>,
    verifier: Verifier,
    ready: Arc<watch::Sender<Ready>>,
    wanted: Notify,
    state: Mutex<State>,
    /// Held during a request.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// The time of the last request that an unknown id caused.
    asked_at: Option<Instant>,
    unknown: HashMap<String, Instant>,
}

impl KeySource {
    pub(crate) fn new(connection: Arc<Connection>, verifier: Verifier, ready: Arc<watch::Sender<Ready>>) -> Self {
        let fetching = tokio::sync::Mutex::default();
        Self { connection, verifier, ready, wanted: Notify::new(), state: Mutex::default(), fetching }
    }

    /// Fetches the keys at once, before they expire, and when they are wanted, until the future is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut pause = Duration::from_millis(100);
        loop {
            let wait = match self.fetch().await {
                Ok(max_age) => {
                    pause = Duration::from_millis(100);
                    max_age
                }
                Err(error) => {
                    self.connection.note(&error);
                    pause = (pause * 2).min(Duration::from_secs(5));
                    jitter(pause)
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    async fn fetch(&self) -> Result<Duration, RequestError> {
        let _one_at_a_time = self.fetching.lock().await;
        self.fetch_alone().await
    }

    /// Fetches the keys. The caller holds the lock.
    async fn fetch_alone(&self) -> Result<Duration, RequestError> {
        let (body, max_age) = self.connection.http.keys().await?;
        let keys = Keys::parse(&body).map_err(|_| RequestError::Malformed)?;
        self.state().unknown.retain(|kid, _| keys.ids().all(|id| id != kid));
        self.verifier.set_keys(keys);
        self.ready.send_if_modified(|ready| !std::mem::replace(&mut ready.keys, true));
        Ok(max_age.map_or(DEFAULT_MAX_AGE, Duration::from_secs).clamp(MAX_AGES.0, MAX_AGES.1))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches the keys in the background.
    pub(crate) fn want_all(&self) {
        self.wanted.notify_one();
    }

    /// Fetches the keys in the background if they may have the key of a token.
    pub(crate) fn want(&self, token: &str) {
        if token::kid(token).is_some_and(|kid| self.may_ask(kid)) {
            self.wanted.notify_one();
        }
    }

    /// Fetches the keys if they may have the key of a token, after waiting for whoever does so already. Returns whether
    /// the key is there now.
    pub(crate) async fn fetch_for(&self, token: &str) -> bool {
        let Some(kid) = token::kid(token) else { return false };
        let _one_at_a_time = self.fetching.lock().await;
        if !self.verifier.has_key(&kid)
            && self.may_ask(kid.clone())
            && let Err(error) = self.fetch_alone().await
        {
            self.connection.note(&error);
        }
        self.verifier.has_key(&kid)
    }

    /// Returns whether to ask for this id now. Notes it as unknown, until the keys have it.
    fn may_ask(&self, kid: String) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        if state.asked_at.is_some_and(|at| now.duration_since(at) < MIN_INTERVAL)
            || state.unknown.get(&kid).is_some_and(|at| now.duration_since(*at) < UNKNOWN_FOR)
        {
            return false;
        }
        if state.unknown.len() >= MAX_UNKNOWN {
            state.unknown.clear();
        }
        state.asked_at = Some(now);
        state.unknown.insert(kid, now);
        true
    }
}
