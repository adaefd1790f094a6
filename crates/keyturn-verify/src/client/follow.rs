//! The feed is followed: over one connection that is made again whenever it ends.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::fetch::KeySource;
use super::http::jitter;
use super::sse::Parser;
use super::{Connection, Ready, RequestError};
use crate::{Event, Moment, Verifier};

/// How long nothing may arrive. The server sends something every second.
const SILENCE: Duration = Duration::from_secs(15);

/// The bounds of the pause before another connection.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A reader of the feed.
struct Reader {
    connection: Arc<Connection>,
    verifier: Verifier,
    keys: Arc<KeySource>,
    ready: Arc<watch::Sender<Ready>>,
    /// The place up to which everything was read.
    cursor: Option<String>,
    has_synced: bool,
}

/// How a connection ended.
enum End {
    /// The server goes, and said when to come back.
    Bye(Duration),
    /// The server has closed the connection.
    Closed,
}

/// Follows the feed until the future is dropped.
pub(crate) async fn run(
    connection: Arc<Connection>,
    verifier: Verifier,
    keys: Arc<KeySource>,
    ready: Arc<watch::Sender<Ready>>,
) {
    let mut reader = Reader { connection, verifier, keys, ready, cursor: None, has_synced: false };
    let mut pause = PAUSES.0;
    loop {
        reader.has_synced = false;
        let end = reader.read().await;
        if reader.has_synced {
            pause = PAUSES.0;
        }
        let wait = match end {
            Ok(End::Bye(retry)) => retry.min(PAUSES.1) + jitter(retry.clamp(PAUSES.0, PAUSES.1)),
            Ok(End::Closed) => jitter(pause),
            Err(error) => {
                reader.connection.note(&error);
                // A cursor that leads nowhere, or data that cannot be read: a snapshot is always right.
                if matches!(error, RequestError::Malformed | RequestError::Status(400 | 404 | 410 | 422)) {
                    reader.cursor = None;
                }
                pause + jitter(pause)
            }
        };
        pause = (pause * 2).min(PAUSES.1);
        sleep(wait).await;
    }
}

impl Reader {
    async fn read(&mut self) -> Result<End, RequestError> {
        let response = self.connection.http.feed(self.cursor.as_deref()).await?;
        let mut body = response.into_body();
        let mut parser = Parser::default();
        loop {
            let frame = timeout(SILENCE, body.frame()).await.map_err(|_| RequestError::Silence)?;
            let Some(frame) = frame else { return Ok(End::Closed) };
            let frame = frame.map_err(|error| RequestError::Connection(error.to_string()))?;
            let Some(chunk) = frame.data_ref() else { continue };
            for received in parser.read(chunk)? {
                let event = Event::parse(&received.name, &received.data).map_err(|_| RequestError::Malformed)?;
                self.apply(&event);
                match event {
                    Event::Sync { .. } => self.cursor = received.id.filter(|id| !id.is_empty()),
                    Event::Bye { retry_millis } => return Ok(End::Bye(Duration::from_millis(retry_millis))),
                    Event::Reset
                    | Event::Revoked { .. }
                    | Event::Key { .. }
                    | Event::Client { .. }
                    | Event::Unknown => {}
                }
            }
        }
    }

    fn apply(&mut self, event: &Event) {
        self.verifier.apply(event, Moment::now());
        match event {
            Event::Key { .. } => self.keys.want_all(),
            Event::Reset => self.cursor = None,
            Event::Sync { .. } => {
                self.has_synced = true;
                self.ready.send_if_modified(|ready| !std::mem::replace(&mut ready.snapshot, true));
            }
            Event::Revoked { .. } | Event::Client { .. } | Event::Bye { .. } | Event::Unknown => {}
        }
    }
}
