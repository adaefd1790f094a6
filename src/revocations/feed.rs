//! The feed: the log of revocations for those who verify access tokens themselves.
//!
//! A reader is told what is revoked, and how far that is complete. It can go on at any server with the cursor of the
//! last sync: entries may repeat, and none is left out. A cursor that means nothing here leads to a reset, after which
//! the reader has all that is in force.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use super::cursor::FeedCursor;
use super::{Revocation, RevocationLog};

/// The shortest time between two batches, so that a flood of revocations is one write to each reader for many.
const BATCH_INTERVAL: Duration = Duration::from_millis(20);

/// The number of batches by which a reader may lag behind. One that lags further has to come back with its cursor.
const MAX_LAG: usize = 1024;

/// The most entries of a page.
const PAGE_SIZE: usize = 10_000;

/// The point up to which the log is known.
#[derive(Clone)]
pub(crate) struct Sync {
    /// Where a reader goes on that has been told everything up to here.
    pub cursor: FeedCursor,
    /// When the log was read.
    pub read_at: Instant,
}

/// News for all readers.
pub(crate) struct Batch {
    /// Whether readers have to forget what they were told before.
    pub reset: bool,
    /// What was revoked.
    pub revocations: Vec<Revocation>,
    /// How far that is complete, if it was found out since the batch before.
    pub sync: Option<Sync>,
    text: OnceLock<Bytes>,
}

impl Batch {
    /// Returns the batch as `render` writes it, which is called once for all readers.
    pub(crate) fn text(&self, render: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.text.get_or_init(|| render(self)).clone()
    }
}

/// News for a single reader.
pub(crate) struct Page {
    /// Whether the reader has to forget what it was told before.
    pub reset: bool,
    /// What was revoked.
    pub revocations: Vec<Revocation>,
    /// How far that is complete. Its cursor leads to the rest, if there is more.
    pub sync: Sync,
    /// Whether there is more.
    pub has_more: bool,
}

/// The feed of a server. Clones share it.
#[derive(Clone)]
pub(crate) struct Feed {
    log: RevocationLog,
    batches: broadcast::Sender<Arc<Batch>>,
    closing: watch::Sender<bool>,
}

impl Feed {
    /// Creates the feed of a log that has been read.
    pub(crate) fn new(log: RevocationLog) -> Self {
        Self { log, batches: broadcast::Sender::new(MAX_LAG), closing: watch::Sender::new(false) }
    }

    /// Returns a receiver of all batches from now on.
    pub(crate) fn batches(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.batches.subscribe()
    }

    /// Returns what a reader with `cursor` was not told yet.
    pub(crate) fn page(&self, cursor: Option<&FeedCursor>) -> Page {
        self.log.page(cursor, PAGE_SIZE)
    }

    /// Returns a receiver that changes when revocations were added.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.log.changes()
    }

    /// Tells all readers that the server ends, once `ending` is ready.
    pub(crate) fn close_after(&self, ending: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        tokio::spawn(async move {
            ending.await;
            closing.send_replace(true);
        });
    }

    /// Waits until the server ends.
    pub(crate) async fn closed(&self) {
        // An error would mean that the feed is gone, which is held here.
        let _ = self.closing.subscribe().wait_for(|is_closing| *is_closing).await;
    }

    /// Sends batches until the future is dropped: when revocations were added, and whenever the log was read.
    pub(crate) async fn run(self) {
        let mut changes = self.log.changes();
        let mut reads = self.log.reads();
        // Readers are told what is older when they come.
        let mut told = self.log.page(None, usize::MAX).sync;
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                read = reads.changed() => if read.is_err() { return },
            }
            changes.mark_unchanged();
            reads.mark_unchanged();
            let page = self.log.page(Some(&told.cursor), usize::MAX);
            let is_news = page.reset || page.sync.read_at != told.read_at;
            let sync = is_news.then(|| page.sync.clone());
            told = page.sync;
            if sync.is_some() || !page.revocations.is_empty() {
                let batch = Batch { reset: page.reset, revocations: page.revocations, sync, text: OnceLock::new() };
                // An error means that nobody listens.
                let _ = self.batches.send(Arc::new(batch));
            }
            tokio::time::sleep(BATCH_INTERVAL).await;
        }
    }
}
