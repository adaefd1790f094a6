//! `/api/v1/sessions/audit` and `/api/v1/admin/audit`: reading the log, one's own or everybody's.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::export::Format;
use super::read::{Entry, Filter};
use super::{Audit, Event, Outcome};
use crate::clock::Timestamp;
use crate::db::types::{AuditId, SessionId, UserId};
use crate::db::{DbError, DbResult};
use crate::http::caller::By;
use crate::http::operator::Operator;
use crate::http::problem::{Fields, ProblemDetails};
use crate::http::{Edge, Problem, page};

/// Entries that an export reads at a time.
const EXPORTED_AT_ONCE: usize = 500;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OwnAuditQuery {
    event_type: Option<String>,
    /// `success` or `failure`.
    status: Option<String>,
    session_id: Option<String>,
    /// The first moment, RFC 3339.
    from: Option<String>,
    /// The last moment.
    to: Option<String>,
    /// 1 to 100, or 50.
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    event_type: Option<String>,
    /// `success` or `failure`.
    status: Option<String>,
    /// Whom it concerns.
    user_id: Option<String>,
    session_id: Option<String>,
    /// The first moment, RFC 3339.
    from: Option<String>,
    /// The last moment.
    to: Option<String>,
    /// 1 to 100, or 50.
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `csv` or `ndjson`: everything as a file, without `limit` and `cursor`.
    format: Option<String>,
}

/// Some entries of the log, the newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditPage {
    logs: Vec<Entry>,
    pagination: AuditPagination,
}

#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditPagination {
    limit: usize,
    has_more: bool,
    next_cursor: Option<String>,
    /// How many there are on all pages; `null` when they are too many to be counted.
    total: Option<usize>,
}

/// What happened to the caller's account, the newest first.
#[utoipa::path(get, path = "/api/v1/sessions/audit", tag = "Sessions", params(OwnAuditQuery),
    responses((status = 200, body = AuditPage), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn own_audit(
    audit: web::Data<Audit>,
    By(caller, web::Query(query)): By<web::Query<OwnAuditQuery>>,
) -> Result<web::Json<AuditPage>, Problem> {
    let OwnAuditQuery { event_type, status, session_id, from, to, limit, cursor } = query;
    let asked =
        AuditQuery { event_type, status, user_id: None, session_id, from, to, limit, cursor, format: None }.parse()?;
    let filter = Filter { user: Some(caller.user()), ..asked.filter };
    read_page(&audit, &filter, asked.after, asked.limit).await
}

/// What happened to all accounts, the newest first; as a file with `format`.
#[utoipa::path(get, path = "/api/v1/admin/audit", tag = "Administration", params(AuditQuery),
    responses((status = 200, content((AuditPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson"))), (status = 403, body = ProblemDetails, content_type = "application/problem+json"), (status = 422, body = ProblemDetails, content_type = "application/problem+json")))]
pub async fn all_audit(
    audit: web::Data<Audit>,
    edge: web::Data<Edge>,
    Operator(_operator, web::Query(query)): Operator<web::Query<AuditQuery>>,
) -> Result<HttpResponse, Problem> {
    let asked = query.parse()?;
    if let Some(format) = asked.format {
        return Ok(export(Audit::clone(&audit), asked.filter, format, edge.clock.now()));
    }
    Ok(HttpResponse::Ok().json(read_page(&audit, &asked.filter, asked.after, asked.limit).await?))
}

async fn read_page(
    audit: &Audit,
    filter: &Filter,
    after: Option<AuditId>,
    limit: usize,
) -> Result<web::Json<AuditPage>, Problem> {
    let page = audit.page(filter, after, limit).await?;
    let total = match (after, page.next) {
        (None, None) => Some(page.entries.len()),
        _ => audit.count(filter).await?,
    };
    let next_cursor = page.next.map(|id| page::next_cursor(id.0.as_bytes()));
    let pagination = AuditPagination { limit, has_more: next_cursor.is_some(), next_cursor, total };
    Ok(web::Json(AuditPage { logs: page.entries, pagination }))
}

/// A query that was understood.
struct Asked {
    filter: Filter,
    after: Option<AuditId>,
    limit: usize,
    format: Option<Format>,
}

impl AuditQuery {
    fn parse(self) -> Result<Asked, Problem> {
        let mut fields = Fields::default();
        let is_export = self.format.is_some();
        let event = read(&mut fields, "event_type", self.event_type.as_deref(), Event::parse);
        let outcome = read(&mut fields, "status", self.status.as_deref(), Outcome::parse);
        let user = read(&mut fields, "user_id", self.user_id.as_deref(), |text| text.parse().ok().map(UserId));
        let session =
            read(&mut fields, "session_id", self.session_id.as_deref(), |text| text.parse().ok().map(SessionId));
        let from = read(&mut fields, "from", self.from.as_deref(), Timestamp::parse);
        let to = read(&mut fields, "to", self.to.as_deref(), Timestamp::parse);
        let format = read(&mut fields, "format", self.format.as_deref(), Format::parse);
        // An export has no pages.
        let unused = |given: Option<String>| given.filter(|_| is_export).map(|_| ());
        let limit_given = self.limit.clone();
        let limit = page::limit(&mut fields, self.limit.as_deref());
        let after =
            page::cursor(&mut fields, self.cursor.as_deref(), |bytes| Uuid::from_slice(bytes).ok().map(AuditId));
        for (field, given) in [("limit", unused(limit_given)), ("cursor", unused(self.cursor))] {
            fields.check(field, given.map_or(Ok(()), |()| Err("goes with no format")), |_| "invalid");
        }
        fields.into_result()?;
        let filter = Filter {
            user: user.flatten(),
            session: session.flatten(),
            event: event.flatten(),
            outcome: outcome.flatten(),
            from: from.flatten(),
            to: to.flatten(),
        };
        Ok(Asked { filter, after: after.flatten(), limit: limit.unwrap_or_default(), format: format.flatten() })
    }
}

/// The value of a parameter that may be missing; `None` after its error was noted.
#[expect(clippy::option_option, reason = "the outer says whether it could be read, the inner whether it was there")]
fn read<T>(
    fields: &mut Fields,
    field: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<Option<T>> {
    let Some(text) = text else { return Some(None) };
    fields.check(field, parse(text).ok_or("is not one of the values it may have"), |_| "invalid").map(Some)
}

/// All entries as a file: read page by page as the client takes them, each page by itself. A database that fails ends
/// the connection before the answer's end.
fn export(audit: Audit, filter: Filter, format: Format, now: Timestamp) -> HttpResponse {
    let (pages, file) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = write_pages(&audit, &filter, format, &pages).await {
            tracing::warn!(%error, "an export of the audit log was cut off");
            let _ = pages.send(Err(error)).await;
        }
    });
    let name = format!("audit-{}.{}", now.to_string().replace(':', "-"), format.name());
    HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(Pages(file))
}

async fn write_pages(
    audit: &Audit,
    filter: &Filter,
    format: Format,
    pages: &mpsc::Sender<DbResult<Bytes>>,
) -> DbResult<()> {
    let (mut text, mut after) = (format.head(), None);
    loop {
        let page = audit.page(filter, after, EXPORTED_AT_ONCE).await?;
        text.extend(page.entries.iter().map(|entry| format.line(entry)));
        let is_taken = text.is_empty() || pages.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_ok();
        after = page.next;
        if after.is_none() || !is_taken {
            return Ok(());
        }
    }
}

/// The pages of an export in the order of their making.
struct Pages(mpsc::Receiver<DbResult<Bytes>>);

impl Stream for Pages {
    type Item = Result<Bytes, DbError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
