//! `/api/v1/revocations`: the feed of revocations, for backends that verify access tokens themselves.

use std::time::Duration;

use actix_web::http::header::{ACCEPT, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout_at};

use super::audit_export::{Batches, Sender};
use super::client_auth::Admission;
use crate::clock::Clock;
use crate::db::DbResult;
use crate::http::accept::accepts;
use crate::http::problem::FieldError;
use crate::http::{HttpContext, Problem, Query};
use crate::revocations::{Batch, Feed, FeedCursor, Page, Revocation, Revoked, Sync};
use crate::types::{ClientId, Jti, KeyId, SessionId, Timestamp};

/// The longest time that a reader may ask the server to wait, in seconds.
const MAX_WAIT: u64 = 30;

/// The time between two comment lines, below the idle time-outs of proxies.
const COMMENT_INTERVAL: Duration = Duration::from_secs(10);

/// The time after which readers come back, up to as much again, so that they do not come all together.
const RETRY: Duration = Duration::from_millis(500);

/// The time between two looks whether the client may still read the feed.
const ADMISSION_INTERVAL: Duration = Duration::from_secs(2);

/// The scope of clients that may read the feed.
const SCOPE: &str = "revocations";

/// The header with the cursor of a reader that comes back (Server-Sent Events).
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The media type of a stream of events.
const EVENTS: &str = "text/event-stream";

/// The event after which a reader forgets what it was told.
const RESET: &str = "event: reset\ndata: {}\n\n";

/// Has nginx pass on each event at once.
const ACCEL_BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FeedQuery {
    /// The cursor of the last answer, or the `id` of the last `sync`.
    cursor: Option<String>,
    /// How many seconds the server waits for something new.
    #[param(value_type = Option<u64>, maximum = 30)]
    wait: Option<String>,
}

/// A revoked session, or revoked access tokens of one that is valid.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RevokedEntry {
    /// The session (claim `sid`). Missing for the token of a client itself, which belongs to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    /// The access token that was revoked, or null if the whole session was.
    #[schema(required)]
    jti: Option<Jti>,
    /// If present, all access tokens of the session are revoked whose claim `rev` is lower, and the session is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    before_rev: Option<i64>,
    /// Why.
    reason: &'static str,
    revoked_at: Timestamp,
    /// When the last access token that is revoked has expired, by the server's clock.
    expires_at: Timestamp,
}

/// A signing key that was revoked, with all access tokens that it has signed.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RevokedKey {
    kid: KeyId,
    revoked_at: Timestamp,
}

/// A client that was deleted, with all access tokens that were issued to it.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct RevokedClient {
    /// The client (claim `client_id`).
    client_id: ClientId,
    revoked_at: Timestamp,
    /// When the last access token that is revoked has expired, by the server's clock.
    expires_at: Timestamp,
}

/// The news for one reader.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct FeedPage {
    /// Where the reader goes on.
    cursor: String,
    /// Whether the reader has to forget what it was told before.
    reset: bool,
    /// How many milliseconds ago this was complete.
    age_ms: u64,
    server_time: Timestamp,
    revocations: Vec<RevokedEntry>,
    keys: Vec<RevokedKey>,
    clients: Vec<RevokedClient>,
    /// Whether there is more, which is asked for at once.
    has_more: bool,
}

/// An entry in the form for readers.
enum FeedEntry {
    Revoked(RevokedEntry),
    Key(RevokedKey),
    Client(RevokedClient),
}

impl FeedEntry {
    fn new(entry: &Revocation) -> Self {
        let (sid, jti, before_rev) = match entry.revoked {
            Revoked::Session(session) => (Some(session), None, None),
            Revoked::Token { session, jti } => (session, Some(jti), None),
            Revoked::TokensBefore { session, revision, latest } => (Some(session), latest, Some(revision)),
            Revoked::Key(kid) => return Self::Key(RevokedKey { kid, revoked_at: entry.revoked_at }),
            Revoked::Client(client_id) => {
                let Revocation { revoked_at, expires_at, .. } = *entry;
                return Self::Client(RevokedClient { client_id, revoked_at, expires_at });
            }
        };
        Self::Revoked(RevokedEntry {
            sid,
            jti,
            before_rev,
            reason: entry.reason.name(),
            revoked_at: entry.revoked_at,
            expires_at: entry.expires_at,
        })
    }
}

/// Tells what was revoked and is not expired, and how far that is complete: as events for a request that accepts
/// `text/event-stream`, and as one answer for any other, which the server gives at once or, with `wait`, when there is
/// something new.
#[utoipa::path(get, path = "/api/v1/revocations", tag = "For backends", security(("client" = [])),
    params(FeedQuery, ("Last-Event-ID" = Option<String>, Header, description = "The cursor of a reader of events.")),
    responses((status = 200, description = "What was revoked", content(
        (FeedPage = "application/json"), (String = "text/event-stream")))))]
pub(super) async fn follow_revocations(
    request: HttpRequest,
    feed: web::Data<Feed>,
    context: web::Data<HttpContext>,
) -> Result<HttpResponse, Problem> {
    let admission = Admission::of(&request, SCOPE).await?;
    let query = Query::<FeedQuery>::read(&request)?;
    let wait = wait(query.wait.as_deref())?;
    let headers = request.headers();
    if accepts(headers.get(ACCEPT), EVENTS) {
        let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
        let cursor = last.or(query.cursor.as_deref()).and_then(FeedCursor::parse);
        let teller = Teller {
            feed: Feed::clone(&feed),
            admission,
            clock: context.clock.clone(),
            retry_ms: RETRY.mul_f64(1.0 + context.random.fraction()).as_millis(),
        };
        return Ok(HttpResponse::Ok()
            .content_type(EVENTS)
            .insert_header(ACCEL_BUFFERING)
            .streaming(Batches::of(|events| teller.tell(cursor, events))));
    }
    let cursor = query.cursor.as_deref().and_then(FeedCursor::parse);
    let page = wait_for_news(&feed, cursor.as_ref(), wait).await;
    Ok(HttpResponse::Ok().json(feed_page(page, context.clock.now())))
}

fn wait(text: Option<&str>) -> Result<Duration, Problem> {
    let Some(text) = text else { return Ok(Duration::ZERO) };
    match text.parse() {
        Ok(seconds) if seconds <= MAX_WAIT => Ok(Duration::from_secs(seconds)),
        _ => {
            let message = format!("is a number of seconds, up to {MAX_WAIT}");
            Err(Problem::invalid(vec![FieldError::new("wait", "invalid", &message)]))
        }
    }
}

/// Returns what the reader was not told yet, once there is something or `wait` is over.
async fn wait_for_news(feed: &Feed, cursor: Option<&FeedCursor>, wait: Duration) -> Page {
    let deadline = Instant::now() + wait;
    let mut changes = feed.changes();
    loop {
        changes.mark_unchanged();
        let page = feed.page(cursor);
        let is_over = Instant::now() >= deadline;
        if is_over || page.reset || page.has_more || !page.revocations.is_empty() {
            return page;
        }
        tokio::select! {
            // Either way there is another look.
            _ = timeout_at(deadline, changes.changed()) => {}
            () = feed.closed() => return page,
        }
    }
}

fn feed_page(page: Page, server_time: Timestamp) -> FeedPage {
    let mut revocations = Vec::new();
    let mut keys = Vec::new();
    let mut clients = Vec::new();
    for entry in page.revocations.iter().map(FeedEntry::new) {
        match entry {
            FeedEntry::Revoked(entry) => revocations.push(entry),
            FeedEntry::Key(key) => keys.push(key),
            FeedEntry::Client(client) => clients.push(client),
        }
    }
    FeedPage {
        cursor: page.sync.cursor.to_string(),
        reset: page.reset,
        age_ms: age_ms(&page.sync),
        server_time,
        revocations,
        keys,
        clients,
        has_more: page.has_more,
    }
}

fn age_ms(sync: &Sync) -> u64 {
    u64::try_from(sync.read_at.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The sender of events to one reader.
struct Teller {
    feed: Feed,
    admission: Admission,
    clock: Clock,
    /// After how many milliseconds the reader comes back.
    retry_ms: u128,
}

impl Teller {
    /// Sends events until the reader is gone, too slow or no longer admitted, or the server ends. A reader that is too
    /// slow comes back with its cursor.
    async fn tell(self, cursor: Option<FeedCursor>, events: Sender) -> DbResult<()> {
        // Subscribed to first, so that nothing is left out in between. Something may be told twice.
        let mut batches = self.feed.batches();
        if !self.tell_pages(cursor, &events).await {
            return Ok(());
        }
        let mut admitted_at = Instant::now();
        loop {
            let text = tokio::select! {
                batch = batches.recv() => match batch {
                    // Only looked at while the database answers.
                    Ok(batch) if batch.sync.is_some() && admitted_at.elapsed() >= ADMISSION_INTERVAL => {
                        if !self.admission.holds().await {
                            return Ok(());
                        }
                        admitted_at = Instant::now();
                        batch.text(|batch| render(batch, self.clock.now()))
                    }
                    Ok(batch) => batch.text(|batch| render(batch, self.clock.now())),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return Ok(()),
                },
                () = tokio::time::sleep(COMMENT_INTERVAL) => Bytes::from_static(b":\n\n"),
                () = self.feed.closed() => {
                    let bye = format!("event: bye\ndata: {{\"retry_ms\":{}}}\n\n", self.retry_ms);
                    let _ = events.send(Ok(Bytes::from(bye))).await;
                    return Ok(());
                }
                () = events.closed() => return Ok(()),
            };
            if events.send(Ok(text)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Sends what the reader was not told yet, with a sync at its end. Returns whether the reader has taken it.
    async fn tell_pages(&self, mut cursor: Option<FeedCursor>, events: &Sender) -> bool {
        let mut text = format!("retry: {}\n\n", self.retry_ms);
        loop {
            let page = self.feed.page(cursor.as_ref());
            if page.reset {
                text.push_str(RESET);
            }
            page.revocations.iter().for_each(|entry| push_entry(&mut text, entry));
            if !page.has_more {
                push_sync(&mut text, &page.sync, self.clock.now());
            }
            if events.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_err() {
                return false;
            }
            if !page.has_more {
                return true;
            }
            cursor = Some(page.sync.cursor);
        }
    }
}

/// Returns the events of a batch, in which the sync comes last.
fn render(batch: &Batch, server_time: Timestamp) -> Bytes {
    let mut text = String::new();
    if batch.reset {
        text.push_str(RESET);
    }
    batch.revocations.iter().for_each(|entry| push_entry(&mut text, entry));
    if let Some(sync) = &batch.sync {
        push_sync(&mut text, sync, server_time);
    }
    Bytes::from(text)
}

fn push_entry(text: &mut String, entry: &Revocation) {
    match FeedEntry::new(entry) {
        FeedEntry::Revoked(entry) => push_event(text, "revoked", &entry),
        FeedEntry::Key(key) => push_event(text, "key", &key),
        FeedEntry::Client(client) => push_event(text, "client", &client),
    }
}

fn push_sync(text: &mut String, sync: &Sync, server_time: Timestamp) {
    #[derive(Serialize)]
    struct Data {
        age_ms: u64,
        server_time: Timestamp,
    }
    text.push_str("id: ");
    text.push_str(&sync.cursor.to_string());
    text.push('\n');
    push_event(text, "sync", &Data { age_ms: age_ms(sync), server_time });
}

fn push_event(text: &mut String, event: &str, data: &impl Serialize) {
    text.push_str("event: ");
    text.push_str(event);
    text.push_str("\ndata: ");
    // These types can always be written.
    text.push_str(&serde_json::to_string(data).unwrap_or_default());
    text.push_str("\n\n");
}
