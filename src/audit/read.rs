//! Reads the audit log page by page, newest first.

use std::collections::HashMap;
use std::net::IpAddr;

use super::store::{self, AuditRow, PageRows};
use super::{Audit, Event, Outcome};
use crate::db::DbResult;
use crate::devices::{Device, Devices};
use crate::types::{AuditId, SessionId, Timestamp, UserId};

/// A filter of entries. An entry must match everything that is set.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The account that the entries are about.
    pub user: Option<UserId>,
    /// The session that the entries are about.
    pub session: Option<SessionId>,
    /// The event.
    pub event: Option<Event>,
    /// The outcome of the event.
    pub outcome: Option<Outcome>,
    /// The earliest time.
    pub from: Option<Timestamp>,
    /// The latest time, including the whole millisecond.
    pub to: Option<Timestamp>,
}

impl Filter {
    /// Returns whether no entry can match, because the event has another outcome.
    fn contradicts_itself(&self) -> bool {
        self.event.zip(self.outcome).is_some_and(|(event, outcome)| event.outcome() != outcome)
    }
}

/// A page of entries, newest first.
pub struct Page {
    /// The entries of the page. With a filter, a page that is not the last can have few entries or none.
    pub entries: Vec<Entry>,
    /// The entry after which the next page begins, or `None` on the last page.
    pub next: Option<AuditId>,
    /// The number of entries on all pages, or `None` if there are more than 200, or if too many would have to be
    /// scanned.
    pub total: Option<usize>,
}

/// An entry of the audit log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The id of the entry.
    pub id: AuditId,
    /// The time of the event.
    pub at: Timestamp,
    /// The name of the event.
    pub event: String,
    /// The name of the outcome.
    pub outcome: String,
    /// The account that the event is about.
    pub user: Option<UserId>,
    /// The account of the actor, if it is another one.
    pub actor: Option<UserId>,
    /// The session that the event is about.
    pub session: Option<SessionId>,
    /// The IP address of the client.
    pub ip: Option<IpAddr>,
    /// The device that the user agent describes.
    pub device: Option<Device>,
    /// The user agent of the client.
    pub user_agent: Option<String>,
    /// The details of the event.
    pub metadata: serde_json::Value,
    /// The id of the request.
    pub request_id: Option<String>,
}

impl Entry {
    fn new(row: AuditRow, device: Option<Device>) -> Self {
        Self {
            id: row.id,
            at: row.at,
            event: row.event,
            outcome: row.outcome,
            user: row.user_id,
            actor: row.actor_id,
            session: row.session_id,
            ip: row.ip.map(|ip| ip.0),
            device,
            user_agent: row.user_agent,
            metadata: row.metadata.0,
            request_id: row.request_id,
        }
    }
}

/// Converts rows into entries. Parses each distinct user agent once.
fn entries(rows: Vec<AuditRow>, devices: &Devices) -> Vec<Entry> {
    let mut known: HashMap<String, Device> = HashMap::new();
    let entry = |row: AuditRow| {
        let device = row.user_agent.as_ref().map(|agent| match known.get(agent) {
            Some(device) => device.clone(),
            None => known.entry(agent.clone()).or_insert(devices.device(Some(agent))).clone(),
        });
        Entry::new(row, device)
    };
    rows.into_iter().map(entry).collect()
}

impl Audit {
    /// Finds the entry with this id.
    pub async fn find(&self, id: AuditId) -> DbResult<Option<Entry>> {
        let row = self.db.read(move |conn| store::find(conn, id)).await?;
        Ok(entries(row.into_iter().collect(), &self.devices).pop())
    }

    /// Reads a page of up to `limit` entries that follow the entry `after`.
    pub async fn page(&self, filter: &Filter, after: Option<AuditId>, limit: usize) -> DbResult<Page> {
        if filter.contradicts_itself() {
            return Ok(Page { entries: Vec::new(), next: None, total: Some(0) });
        }
        let filter = filter.clone();
        let read = self.db.read(move |conn| {
            let page = store::page(conn, &filter, after, limit)?;
            let total = match after {
                None if page.is_cut => None,
                None if page.next.is_none() => Some(page.rows.len()),
                _ => store::count(conn, &filter)?,
            };
            Ok((page, total))
        });
        let (PageRows { rows, next, .. }, total) = read.await?;
        Ok(Page { entries: entries(rows, &self.devices), next, total })
    }
}
