//! The audit log as a file for other programs: one line for each entry.

use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

use super::audit::AuditEntry;
use crate::audit::{Audit, Entry, Filter};
use crate::db::{DbError, DbResult};
use crate::types::Timestamp;

/// Entries that an export reads at a time.
pub(super) const BATCH: usize = 500;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Comma-separated values with a header (RFC 4180).
    Csv,
    /// One JSON object on each line.
    Ndjson,
}

impl Format {
    /// Finds the format with this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "ndjson" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// Returns the name, which is also the extension of the file.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    /// Returns the header of the file.
    fn header(self) -> String {
        match self {
            Self::Csv => row(&COLUMNS.map(str::to_owned)),
            Self::Ndjson => String::new(),
        }
    }

    /// Returns the line of an entry.
    fn line(self, entry: Entry) -> String {
        match self {
            Self::Csv => row(&cells(&entry)),
            Self::Ndjson => serde_json::to_string(&AuditEntry::from(entry)).map(|json| json + "\n").unwrap_or_default(),
        }
    }
}

/// Sends all entries as a file.
pub(super) fn export(audit: Audit, filter: Filter, format: Format, now: Timestamp) -> HttpResponse {
    let batches = Batches::of(|batches| write_batches(audit, filter, format, batches));
    let name = format!("audit-{}.{}", now.to_string().replace(':', "-"), format.name());
    HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .streaming(batches)
}

async fn write_batches(audit: Audit, filter: Filter, format: Format, batches: Sender) -> DbResult<()> {
    let mut text = format.header();
    let mut after = None;
    loop {
        let page = audit.page(&filter, after, BATCH).await?;
        text.extend(page.entries.into_iter().map(|entry| format.line(entry)));
        let is_taken = text.is_empty() || batches.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_ok();
        after = page.next;
        if after.is_none() || !is_taken {
            return Ok(());
        }
    }
}

/// Takes the batches of an export.
pub(super) type Sender = mpsc::Sender<DbResult<Bytes>>;

/// The batches of an export, in order.
pub(super) struct Batches {
    batches: mpsc::Receiver<DbResult<Bytes>>,
}

impl Batches {
    /// Lets `write` send batches, each when the client has taken the one before. If `write` fails, the connection ends
    /// before the response does.
    pub(super) fn of<W>(write: impl FnOnce(Sender) -> W) -> Self
    where
        W: Future<Output = DbResult<()>> + Send + 'static,
    {
        let (sender, batches) = mpsc::channel(1);
        let writing = write(sender.clone());
        tokio::spawn(async move {
            if let Err(error) = writing.await {
                tracing::warn!(%error, "an export was cut off");
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { batches }
    }
}

impl Stream for Batches {
    type Item = Result<Bytes, DbError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.batches.poll_recv(context)
    }
}

const COLUMNS: [&str; 15] = [
    "id",
    "at",
    "event_type",
    "status",
    "user_id",
    "actor_id",
    "session_id",
    "ip_address",
    "device_type",
    "device_os",
    "device_browser",
    "device_label",
    "user_agent",
    "metadata",
    "request_id",
];

fn cells(entry: &Entry) -> [String; 15] {
    fn text(value: Option<impl ToString>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let device = entry.device.as_ref();
    [
        entry.id.to_string(),
        entry.at.to_string(),
        entry.event.clone(),
        entry.outcome.clone(),
        text(entry.user),
        text(entry.actor),
        text(entry.session),
        text(entry.ip),
        text(device.map(|device| device.device_type.name())),
        text(device.and_then(|device| device.os.as_deref())),
        text(device.and_then(|device| device.browser.as_deref())),
        text(device.map(|device| &device.label)),
        text(entry.user_agent.as_deref()),
        entry.metadata.to_string(),
        text(entry.request_id.as_deref()),
    ]
}

fn row(cells: &[String]) -> String {
    let mut line = String::new();
    for (index, cell) in cells.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Spreadsheets take such a cell for a formula, and clients choose the text of some cells.
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
        let guard = if is_formula { "'" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(line, "{comma}\"{guard}{}\"", cell.replace('"', "\"\""));
    }
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_quoted_and_never_a_formula() {
        for (cell, written) in [
            ("plain", "\"plain\""),
            ("a,b \"c\"\nd", "\"a,b \"\"c\"\"\nd\""),
            ("=HYPERLINK(\"//x\")", "\"'=HYPERLINK(\"\"//x\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            ("\t=1", "\"'\t=1\""),
            ("＝1", "\"'＝1\""),
            ("", "\"\""),
        ] {
            assert_eq!(row(&[cell.to_owned()]), format!("{written}\r\n"));
        }
        assert_eq!(row(&["a".to_owned(), "b".to_owned()]), "\"a\",\"b\"\r\n");
    }
}
