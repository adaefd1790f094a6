//! Group commit: rotations that arrive while a statement is in flight go together in the next one.
//!
//! One thread with one connection takes what is waiting, up to [`BATCH`], and carries it out: on Postgres as one
//! statement, on SQLite as one transaction. There is no timer: under load batches grow by themselves, and without
//! load a rotation waits for nothing. What was noticed of sessions (activity, repetitions) is written by the same
//! thread, after the rotations that were waiting and before those that were not current are told so: a judgement
//! about a token that follows sees every note that this server took before it.

mod store;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::Standing;
use crate::audit::{Actor, Audit, Event, Record};
use crate::client::Client;
use crate::clock::{Clock, Timestamp};
use crate::db::types::{Address, SessionId, TokenId, UserId};
use crate::db::{Conn, Db, DbError, DbResult, WriteTurn, in_time};
use crate::metrics::Metrics;
use crate::tokens::refresh::{RotationSalt, TokenDigest};

/// Rotations in one statement at the most.
const BATCH: usize = 256;

/// Rotations and notes that may wait. Beyond it a rotation is refused as retryable and a note is dropped.
const QUEUE: usize = 8 * 1024;

/// How long a statement may wait for a row that somebody else has locked before its members go singly.
const LOCK_PATIENCE: Duration = Duration::from_millis(100);

/// How long rotations fail at once after the database could not be reached.
const RECONNECT_INTERVAL: Duration = Duration::from_millis(250);

/// A rotation to be carried out if the token presented is current.
#[derive(Clone, Copy)]
pub struct Rotation {
    pub session: SessionId,
    pub presented: TokenDigest,
    pub successor: TokenDigest,
    pub salt: RotationSalt,
    pub access_token: TokenId,
    pub address: Option<Address>,
}

/// When a rotation takes place and how long its refresh token is good.
#[derive(Clone, Copy)]
pub struct RotationTimes {
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

/// A session that was rotated, and the digest of the token that is now its parent.
pub struct Rotated {
    pub standing: Standing,
    pub presented: Vec<u8>,
}

impl Rotated {
    /// What the audit log tells of the refresh, where it tells of such.
    pub fn record(&self, client: &Client) -> Record {
        let event = Record::new(Event::RefreshSucceeded, &Actor::stranger(client));
        event.on(self.standing.subject.id).session(self.standing.session)
    }
}

/// What was noticed of a session since the last time, to be added to its row.
#[derive(Clone)]
pub struct Note {
    pub session: SessionId,
    /// An access token that was presented.
    pub seen: Option<TokenId>,
    /// A refresh that was repeated within the replay window.
    pub replay: Option<Replay>,
    pub at: Timestamp,
}

impl Note {
    fn replays(&self) -> i32 {
        i32::from(self.replay.is_some())
    }
}

/// Whose refresh was repeated, and from where.
#[derive(Clone)]
pub struct Replay {
    pub user: UserId,
    pub client: Client,
}

/// What became of a rotation.
pub enum Outcome {
    Rotated(Box<Rotated>),
    /// The token is not current, or the session or its account has ended.
    NotCurrent,
    /// The batch could not be carried out as one, though the database answers: to be tried alone.
    Alone,
}

struct Waiting {
    rotation: Rotation,
    /// Who asks, where successful refreshes are audited.
    audited: Option<Client>,
    answer: oneshot::Sender<DbResult<Outcome>>,
}

enum Job {
    Rotate(Waiting),
    Note(Note),
}

/// The queue in front of the store. Clones share it; the thread ends when the last is dropped.
#[derive(Clone)]
pub struct Rotator {
    jobs: mpsc::Sender<Job>,
}

impl Rotator {
    /// Starts the thread. It connects when it has something to do.
    pub fn start(
        db: Db,
        audit: Audit,
        clock: Clock,
        refresh_token_ttl: Duration,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer { db, audit, clock, refresh_token_ttl, metrics, conn: None, down_since: None };
        std::thread::Builder::new().name("rotation".to_owned()).spawn(move || writer.run(queue))?;
        Ok(Self { jobs })
    }

    /// Carries out `rotation` with whatever else is waiting, and audits it if `audited` says for whom. An error says that the outcome is not known: the client
    /// may repeat the request, and the replay window answers it.
    pub async fn rotate(&self, rotation: Rotation, audited: Option<Client>) -> DbResult<Outcome> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Job::Rotate(Waiting { rotation, audited, answer });
        self.jobs.try_send(waiting).map_err(|_| unavailable("too many rotations are waiting"))?;
        in_time(async { outcome.await.unwrap_or_else(|_| Err(unavailable("the rotation was dropped"))) }).await
    }

    /// Leaves a note for the session's row. It is written soon, or lost if the database is away.
    pub fn note(&self, note: Note) {
        let _ = self.jobs.try_send(Job::Note(note));
    }
}

fn unavailable(reason: &str) -> DbError {
    DbError::Unavailable(reason.to_owned())
}

struct Writer {
    db: Db,
    audit: Audit,
    clock: Clock,
    refresh_token_ttl: Duration,
    metrics: Metrics,
    conn: Option<Conn>,
    down_since: Option<Instant>,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while queue.blocking_recv_many(&mut jobs, BATCH) > 0 {
            let (mut waiting, mut notes) = (Vec::new(), Vec::new());
            for job in jobs.drain(..) {
                match job {
                    // A client that has gone before its rotation began is better served by no rotation.
                    Job::Rotate(job) if job.answer.is_closed() => {}
                    Job::Rotate(job) => waiting.push(job),
                    Job::Note(note) => notes.push(note),
                }
            }
            let losers = self.rotate(waiting);
            self.write_notes(notes);
            for loser in losers {
                let _ = loser.answer.send(Ok(Outcome::NotCurrent));
            }
        }
    }

    /// Carries out a batch and answers all of it but those that were not current, which it returns.
    fn rotate(&mut self, mut waiting: Vec<Waiting>) -> Vec<Waiting> {
        if waiting.is_empty() {
            return waiting;
        }
        waiting.sort_unstable_by_key(key);
        self.metrics.rotation_batch(waiting.len());
        let audit = self.audit.clone();
        match self.with_connection(|conn, times, turn| {
            let _turn = turn.take();
            rotate_all(conn, &waiting, times, &audit)
        }) {
            Ok(rotated) => answer(waiting, rotated),
            Err(error) => {
                let alone = self.conn.is_some();
                for job in waiting {
                    let _ = job.answer.send(if alone { Ok(Outcome::Alone) } else { Err(error.clone()) });
                }
                Vec::new()
            }
        }
    }

    fn write_notes(&mut self, mut notes: Vec<Note>) {
        while !notes.is_empty() {
            let (batch, rest) = first_of_each_session(notes);
            let audit = self.audit.clone();
            let written = self.with_connection(|conn, _, turn| {
                let _turn = turn.take();
                write_all(conn, &batch, &audit)
            });
            if let Err(error) = written {
                tracing::warn!(%error, lost = batch.len() + rest.len(), "activity of sessions was not recorded");
                return;
            }
            notes = rest;
        }
    }

    /// Runs `work` on this thread's connection, opened first if need be. After an error the connection is kept if it
    /// still answers.
    fn with_connection<T>(
        &mut self,
        work: impl FnOnce(&mut Conn, RotationTimes, WriteTurn) -> DbResult<T>,
    ) -> DbResult<T> {
        if self.down_since.is_some_and(|since| since.elapsed() < RECONNECT_INTERVAL) {
            return Err(unavailable("it could not be reached a moment ago"));
        }
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => open(&self.db).inspect_err(|_| self.down_since = Some(Instant::now()))?,
        };
        self.down_since = None;
        let now = self.clock.now();
        let times = RotationTimes { now, expires_at: now.plus(self.refresh_token_ttl) };
        let result = work(&mut conn, times, self.db.write_turn());
        if result.is_ok() || conn.answers().is_ok() {
            self.conn = Some(conn);
        }
        result
    }
}

fn key(job: &Waiting) -> (SessionId, TokenDigest) {
    (job.rotation.session, job.rotation.presented)
}

/// The writer's connection. Batches lock their rows in the order of their ids.
fn open(db: &Db) -> DbResult<Conn> {
    let mut conn = db.open()?;
    conn.prepare_for_batches(LOCK_PATIENCE)?;
    Ok(conn)
}

/// Rotates one session in the caller's transaction, if its token is current.
pub fn rotate_alone(
    conn: &mut Conn,
    rotation: &Rotation,
    times: RotationTimes,
    audit: &Audit,
    audited: Option<&Client>,
) -> DbResult<Option<Rotated>> {
    let rotated = store::rotate(conn, rotation, times)?;
    if let (Some(rotated), Some(client)) = (&rotated, audited) {
        audit.append(conn, &rotated.record(client))?;
    }
    Ok(rotated)
}

/// One statement (Postgres) or one transaction (SQLite, or where refreshes are audited) for all that wait. Of copies of
/// one token one is carried out.
fn rotate_all(conn: &mut Conn, waiting: &[Waiting], times: RotationTimes, audit: &Audit) -> DbResult<Vec<Rotated>> {
    let mut rotations: Vec<&Rotation> = waiting.iter().map(|job| &job.rotation).collect();
    rotations.dedup_by(|a, b| a.session == b.session && a.presented == b.presented);
    let audited = waiting.iter().any(|job| job.audited.is_some());
    if matches!(conn, Conn::Postgres(_)) && !audited {
        return rotate_each(conn, &rotations, times);
    }
    conn.write(|conn| {
        let rotated = rotate_each(conn, &rotations, times)?;
        for one in &rotated {
            let job = waiting.iter().find(|job| job.rotation.access_token == one.standing.access_token);
            if let Some(client) = job.and_then(|job| job.audited.as_ref()) {
                audit.append(conn, &one.record(client))?;
            }
        }
        Ok(rotated)
    })
}

fn rotate_each(conn: &mut Conn, rotations: &[&Rotation], times: RotationTimes) -> DbResult<Vec<Rotated>> {
    match (rotations, &mut *conn) {
        ([one], conn) => Ok(store::rotate(conn, one, times)?.into_iter().collect()),
        (many, Conn::Postgres(postgres)) => store::rotate_batch(postgres, many, times),
        (many, Conn::Sqlite(_)) => {
            let mut rotated = Vec::with_capacity(many.len());
            for rotation in many {
                rotated.extend(store::rotate(conn, rotation, times)?);
            }
            Ok(rotated)
        }
    }
}

/// One statement (Postgres) or one transaction (SQLite, or where repetitions are audited) for notes of one session each.
fn write_all(conn: &mut Conn, notes: &[Note], audit: &Audit) -> DbResult<()> {
    let replayed: Vec<_> = notes.iter().filter_map(|note| Some((note.session, note.replay.as_ref()?))).collect();
    if let (Conn::Postgres(postgres), []) = (&mut *conn, replayed.as_slice()) {
        return store::add_notes(postgres, notes);
    }
    conn.write(|conn| {
        match &mut *conn {
            Conn::Postgres(postgres) => store::add_notes(postgres, notes)?,
            Conn::Sqlite(_) => notes.iter().try_for_each(|note| store::add_note(conn, note))?,
        }
        for (session, Replay { user, client }) in replayed {
            let record = Record::new(Event::RefreshReplayed, &Actor::stranger(client)).on(*user).session(session);
            audit.append(conn, &record)?;
        }
        Ok(())
    })
}

/// Hands each result to the one that asked for it, and returns those that were not rotated. A result carries the
/// access token's id that its rotation brought, so of copies of one token the right one is answered.
fn answer(waiting: Vec<Waiting>, rotated: Vec<Rotated>) -> Vec<Waiting> {
    let mut by_access_token: std::collections::HashMap<_, _> =
        rotated.into_iter().map(|rotated| (rotated.standing.access_token, rotated)).collect();
    let mut losers = Vec::new();
    for job in waiting {
        match by_access_token.remove(&job.rotation.access_token) {
            Some(rotated) => {
                let _ = job.answer.send(Ok(Outcome::Rotated(Box::new(rotated))));
            }
            None => losers.push(job),
        }
    }
    losers
}

/// Splits notes so that no session appears twice in the first part: one statement changes a row once.
fn first_of_each_session(notes: Vec<Note>) -> (Vec<Note>, Vec<Note>) {
    let mut sessions = HashSet::with_capacity(notes.len());
    let (mut first, rest): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| sessions.insert(note.session));
    first.sort_by_key(|note| note.session);
    (first, rest)
}
