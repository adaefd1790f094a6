//! Reading the log: the newest first, page by page.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::Serialize;

use super::store::{self, AuditRow};
use super::{Audit, Event, Outcome};
use crate::clock::Timestamp;
use crate::db::DbResult;
use crate::db::types::{AuditId, SessionId, UserId};
use crate::devices::{Device, Devices};

/// Which entries to read: those that meet all that is set.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Whom it concerns.
    pub user: Option<UserId>,
    pub session: Option<SessionId>,
    pub event: Option<Event>,
    pub outcome: Option<Outcome>,
    /// The first moment.
    pub from: Option<Timestamp>,
    /// The last moment, to the end of its millisecond.
    pub to: Option<Timestamp>,
}

impl Filter {
    /// Whether no entry can meet it: an event has one outcome.
    fn contradicts_itself(&self) -> bool {
        self.event.zip(self.outcome).is_some_and(|(event, outcome)| event.outcome() != outcome)
    }
}

/// Some entries, the newest first.
pub struct Page {
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` when there is nothing further. With a filter a page may hold few entries or
    /// none, and there is still more to look through.
    pub next: Option<AuditId>,
}

/// One entry of the log.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Entry {
    pub id: AuditId,
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub event_type: String,
    /// `success` or `failure`.
    pub status: String,
    /// Whom it concerns.
    pub user_id: Option<UserId>,
    /// Who did it, where that is somebody else.
    pub actor_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    #[schema(value_type = Option<String>)]
    pub ip_address: Option<IpAddr>,
    pub device: Option<Device>,
    pub user_agent: Option<String>,
    /// What else there is to say of it.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Value,
    /// The request's `X-Request-Id`.
    pub request_id: Option<String>,
}

impl Entry {
    fn of(row: AuditRow, device: Option<Device>) -> Self {
        Self {
            id: row.id,
            at: row.at,
            event_type: row.event,
            status: row.outcome,
            user_id: row.user_id,
            actor_id: row.actor_id,
            session_id: row.session_id,
            ip_address: row.ip.map(|address| address.0),
            device,
            user_agent: row.user_agent,
            metadata: row.metadata.0,
            request_id: row.request_id,
        }
    }
}

/// Each user agent is read once.
fn entries(rows: Vec<AuditRow>, devices: &Devices) -> Vec<Entry> {
    let mut known: HashMap<String, Device> = HashMap::new();
    let of = |row: AuditRow| {
        let device = row.user_agent.as_ref().map(|agent| match known.get(agent) {
            Some(device) => device.clone(),
            None => known.entry(agent.clone()).or_insert(devices.device(Some(agent))).clone(),
        });
        Entry::of(row, device)
    };
    rows.into_iter().map(of).collect()
}

impl Audit {
    /// Up to `limit` entries after `after`, which is where the page before it ended.
    pub async fn page(&self, filter: &Filter, after: Option<AuditId>, limit: usize) -> DbResult<Page> {
        if filter.contradicts_itself() {
            return Ok(Page { entries: Vec::new(), next: None });
        }
        let filter = filter.clone();
        let (rows, next) = self.db.read(move |conn| store::page(conn, &filter, after, limit)).await?;
        Ok(Page { entries: entries(rows, &self.devices), next })
    }

    /// How many entries there are; `None` when they are more than 200, or too many to look through.
    pub async fn count(&self, filter: &Filter) -> DbResult<Option<usize>> {
        if filter.contradicts_itself() {
            return Ok(Some(0));
        }
        let filter = filter.clone();
        self.db.read(move |conn| store::count(conn, &filter)).await
    }
}
