//! Group commit: rotations that arrive while a statement is in flight are batched in the next statement.
//!
//! One thread with one connection takes up to [`BATCH`] waiting rotations and executes them: on Postgres as one
//! statement, on SQLite as one transaction. There is no timer: under load the batches grow by themselves, and without
//! load a rotation does not wait. The same thread writes notes on sessions (activity, replays) after the waiting
//! rotations and before it answers the rotations whose tokens were not current, so that the judgement of such a token
//! sees every earlier note of this server.

#![expect(clippy::vec_box, reason = "rotations are large, and are sorted and moved from list to list")]

mod notes;
mod progress;
mod store;
mod writers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::Policy;
use super::SessionSnapshot;
use super::cache_entry;
use super::refresh::IdempotencyKey;
use crate::audit::{Actor, Audit, Event, Record};
use crate::cache::Cache;
use crate::clock::Clock;
use crate::db::types::IpColumn;
use crate::db::{Channel, Conn, Db, DbError, DbResult, Purpose, WriteQueue, with_timeout};
use crate::metrics::Metrics;
use crate::tokens::refresh::{RotationSalt, TokenDigest};
use crate::types::{Jti, KeyThumbprint, Requester, SessionId, Timestamp};
use notes::{first_of_each_session, write_all};
use writers::Writers;

pub(crate) use notes::{Note, Replay};

/// The maximum number of rotations in one batch.
const BATCH: usize = 256;

/// The maximum number of waiting rotations and notes. Beyond it, rotations are refused as retryable and notes are
/// dropped.
const QUEUE: usize = 8 * 1024;

/// How long a batch waits for a locked row before its rotations are executed one by one.
const LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// How long rotations fail immediately after the database could not be reached.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(250);

/// How often a rotation that waits looks whether the batch before it takes too long.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// A rotation, to be executed if the presented token is current.
#[derive(Clone, Copy)]
pub(crate) struct Rotation {
    pub session: SessionId,
    pub presented: TokenDigest,
    pub successor: TokenDigest,
    pub salt: RotationSalt,
    pub access_jti: Jti,
    pub ip: Option<IpColumn>,
    pub key: Option<IdempotencyKey>,
    /// The time since which a rotation with the same key is this one, so that nothing is to be done; `None` without a
    /// replay window.
    pub repeats_since: Option<Timestamp>,
    /// The key whose possession the client has proven. A session that is bound to another one is not rotated.
    pub proven: Option<KeyThumbprint>,
}

/// The time of a rotation, and the expiry of its refresh token.
#[derive(Clone, Copy)]
pub(super) struct RotationTimes {
    pub now: Timestamp,
    pub expires_at: Timestamp,
    /// The time at which the new access token has expired.
    pub access_expires_at: Timestamp,
}

impl RotationTimes {
    /// Returns the times of a rotation at `now`.
    pub(super) fn new(now: Timestamp, policy: &Policy) -> Self {
        let expires_at = now.plus(policy.refresh_token_ttl);
        Self { now, expires_at, access_expires_at: now.plus(policy.access_token_ttl) }
    }
}

/// A session that was rotated.
pub(crate) struct Rotated {
    pub snapshot: SessionSnapshot,
}

impl Rotated {
    /// Returns the audit record of the refresh, for servers that audit successful refreshes.
    pub(crate) fn record(&self, requester: &Requester) -> Record {
        let event = Record::new(Event::RefreshRotated, &Actor::anonymous(requester));
        event.on(self.snapshot.subject.id).session(self.snapshot.session)
    }
}

/// The outcome of a rotation.
pub(crate) enum Outcome {
    Rotated(Box<Rotated>),
    /// The token is not current, the refresh was done before, the session has ended, or its account is disabled.
    NotCurrent,
    /// The batch failed although the database answers: the rotation has to be retried alone.
    RetryAlone,
}

/// A rotation that waits for the writer.
struct Waiting {
    rotation: Rotation,
    /// The requester, if successful refreshes are audited.
    audited: Option<Requester>,
    answer: oneshot::Sender<DbResult<Outcome>>,
}

/// A job in the queue of the writer.
enum Job {
    Rotate(Box<Waiting>),
    Note(Note),
    /// A question whether the thread makes progress.
    Probe(oneshot::Sender<()>),
}

/// The queue of rotations and notes. Clones share it. The writer's thread ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Rotator {
    jobs: mpsc::Sender<Job>,
    writers: Arc<Writers>,
}

impl Rotator {
    /// Starts the writer's thread, which connects to the database when the first job arrives.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(parts: Parts) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writers = Arc::new(Writers::new(queue, parts));
        Writer::start(&writers, 0)?;
        Ok(Self { jobs, writers })
    }

    /// Executes `rotation` in a batch with all others that wait, and audits it if there is an `audited` requester.
    ///
    /// # Errors
    /// The outcome is not known: the client may repeat the request, which is a replay if the rotation took place.
    pub(crate) async fn rotate(&self, rotation: Rotation, audited: Option<Requester>) -> DbResult<Outcome> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Job::Rotate(Box::new(Waiting { rotation, audited, answer }));
        self.jobs.try_send(waiting).map_err(|_| unavailable("too many rotations are waiting"))?;
        with_timeout(self.wait(outcome)).await
    }

    /// Waits for the outcome of a rotation, and replaces the writer if it is stuck.
    async fn wait(&self, mut outcome: oneshot::Receiver<DbResult<Outcome>>) -> DbResult<Outcome> {
        loop {
            self.writers.replace_stuck();
            if let Ok(outcome) = tokio::time::timeout(CHECK_INTERVAL, &mut outcome).await {
                return outcome.unwrap_or_else(|_| Err(unavailable("the rotation was dropped")));
            }
        }
    }

    /// Queues a note for a session's row. The note is lost if the queue is full or the database is unavailable.
    pub(crate) fn note(&self, note: Note) {
        let _ = self.jobs.try_send(Job::Note(note));
    }
}

fn unavailable(reason: &str) -> DbError {
    DbError::Unavailable(reason.to_owned())
}

/// The parts of a server that rotations need.
pub(crate) struct Parts {
    /// The database.
    pub db: Db,
    /// The audit log.
    pub audit: Audit,
    /// The cache of snapshots.
    pub cache: Cache,
    /// The clock.
    pub clock: Clock,
    /// The lifetimes.
    pub policy: Policy,
    /// The metrics.
    pub metrics: Metrics,
}

/// The thread that executes the jobs.
struct Writer {
    writers: Arc<Writers>,
    number: u64,
    conn: Option<Channel>,
    down_since: Option<Instant>,
}

impl Writer {
    fn execute(&mut self, jobs: &mut Vec<Job>) {
        let mut waiting = Vec::new();
        let mut notes = Vec::new();
        let mut probes = Vec::new();
        for job in jobs.drain(..) {
            match job {
                // The client is gone: without the rotation its token stays current for the next attempt.
                Job::Rotate(job) if job.answer.is_closed() => {}
                Job::Rotate(job) => waiting.push(job),
                Job::Note(note) => notes.push(note),
                Job::Probe(answer) => probes.push(answer),
            }
        }
        let not_current = self.rotate(waiting);
        self.write_notes(notes);
        for job in not_current {
            let _ = job.answer.send(Ok(Outcome::NotCurrent));
        }
        for probe in probes {
            let _ = probe.send(());
        }
    }

    /// Executes a batch and answers it. Returns the rotations whose tokens were not current, still unanswered.
    fn rotate(&mut self, mut waiting: Vec<Box<Waiting>>) -> Vec<Box<Waiting>> {
        if waiting.is_empty() {
            return waiting;
        }
        waiting.sort_unstable_by_key(|job| (job.rotation.session, job.rotation.presented));
        self.writers.parts.metrics.rotation_batch(waiting.len());
        let audit = self.writers.parts.audit.clone();
        match self.with_connection(|conn, times, write_queue| {
            let _writing = write_queue.wait();
            rotate_all(conn, &waiting, times, &audit)
        }) {
            Ok(rotated) => {
                self.queue_cache_entries(&rotated);
                answer(waiting, rotated)
            }
            Err(error) => {
                let has_connection = self.conn.is_some();
                for job in waiting {
                    let _ = job.answer.send(if has_connection { Ok(Outcome::RetryAlone) } else { Err(error.clone()) });
                }
                Vec::new()
            }
        }
    }

    /// Queues the cache's entries of rotated sessions, unless their former access tokens are invalid at once: then the
    /// answers wait for these.
    fn queue_cache_entries(&self, rotated: &[Box<Rotated>]) {
        let Parts { cache, policy, .. } = &self.writers.parts;
        if !policy.waits_for_cache() {
            let entries = rotated
                .iter()
                .filter_map(|session| cache_entry::new_entry(&session.snapshot, policy, session.snapshot.issued_at));
            cache.queue(entries.collect());
        }
    }

    fn write_notes(&mut self, mut notes: Vec<Note>) {
        while !notes.is_empty() {
            let (batch, rest) = first_of_each_session(notes);
            let audit = self.writers.parts.audit.clone();
            let written = self.with_connection(|conn, _, write_queue| {
                let _writing = write_queue.wait();
                write_all(conn, &batch, &audit)
            });
            if let Err(error) = written {
                tracing::warn!(%error, lost = batch.len() + rest.len(), "activity of sessions was not recorded");
                return;
            }
            notes = rest;
        }
    }

    /// Runs `work` on this thread's connection, which is opened if there is none. After an error the connection is kept
    /// only if it still answers.
    fn with_connection<T>(
        &mut self,
        work: impl FnOnce(&mut Channel, RotationTimes, WriteQueue) -> DbResult<T>,
    ) -> DbResult<T> {
        if self.down_since.is_some_and(|since| since.elapsed() < RECONNECT_INTERVAL) {
            return Err(unavailable("the database could not be reached a moment ago"));
        }
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => open(&self.writers.parts.db).inspect_err(|_| self.down_since = Some(Instant::now()))?,
        };
        self.down_since = None;
        let now = self.writers.parts.clock.now();
        let times = RotationTimes::new(now, &self.writers.parts.policy);
        let result = work(&mut conn, times, self.writers.parts.db.write_queue());
        if result.is_ok() || conn.ping().is_ok() {
            self.conn = Some(conn);
        }
        result
    }
}

/// Opens the writer's connection.
fn open(db: &Db) -> DbResult<Channel> {
    db.open(Purpose::Batches(LOCK_TIMEOUT))
}

/// Rotates one session in the caller's transaction, if its token is current.
pub(super) fn rotate_alone(
    conn: &mut Conn,
    rotation: &Rotation,
    times: RotationTimes,
    audit: &Audit,
    audited: Option<&Requester>,
) -> DbResult<Option<Rotated>> {
    let rotated = store::rotate(conn, rotation, times)?;
    if let (Some(rotated), Some(requester)) = (&rotated, audited) {
        audit.append(conn, &rotated.record(requester))?;
    }
    Ok(rotated)
}

/// Executes all waiting rotations in one statement (Postgres), or in one transaction (SQLite, or if refreshes are
/// audited). Of several rotations of the same token, only one is executed.
fn rotate_all(
    channel: &mut Channel,
    waiting: &[Box<Waiting>],
    times: RotationTimes,
    audit: &Audit,
) -> DbResult<Vec<Box<Rotated>>> {
    let mut rotations: Vec<&Rotation> = waiting.iter().map(|job| &job.rotation).collect();
    rotations.dedup_by(|a, b| a.session == b.session && a.presented == b.presented);
    let audited = waiting.iter().any(|job| job.audited.is_some());
    if matches!(**channel, Conn::Postgres(_)) && !audited {
        return channel.run(|conn| rotate_each(conn, &rotations, times));
    }
    channel.write(|conn| {
        let rotated = rotate_each(conn, &rotations, times)?;
        for session in &rotated {
            let job = waiting.iter().find(|job| job.rotation.access_jti == session.snapshot.access_jti);
            if let Some(requester) = job.and_then(|job| job.audited.as_ref()) {
                audit.append(conn, &session.record(requester))?;
            }
        }
        Ok(rotated)
    })
}

fn rotate_each(conn: &mut Conn, rotations: &[&Rotation], times: RotationTimes) -> DbResult<Vec<Box<Rotated>>> {
    match (rotations, &mut *conn) {
        ([one], conn) => Ok(store::rotate(conn, one, times)?.into_iter().map(Box::new).collect()),
        (many, Conn::Postgres(postgres)) => store::rotate_batch(postgres, many, times),
        (many, Conn::Sqlite(_)) => {
            let mut rotated = Vec::with_capacity(many.len());
            for rotation in many {
                rotated.extend(store::rotate(conn, rotation, times)?.map(Box::new));
            }
            Ok(rotated)
        }
    }
}

/// Answers the rotations that succeeded and returns the others. Results are matched by the id of the new access token,
/// so that among several rotations of the same token the one that was executed gets the answer.
fn answer(waiting: Vec<Box<Waiting>>, rotated: Vec<Box<Rotated>>) -> Vec<Box<Waiting>> {
    let mut by_jti: HashMap<_, _> = rotated.into_iter().map(|rotated| (rotated.snapshot.access_jti, rotated)).collect();
    let mut not_current = Vec::new();
    for job in waiting {
        match by_jti.remove(&job.rotation.access_jti) {
            Some(rotated) => {
                let _ = job.answer.send(Ok(Outcome::Rotated(rotated)));
            }
            None => not_current.push(job),
        }
    }
    not_current
}
