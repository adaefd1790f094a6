//! `/api/v1/sessions/audit` and `/api/v1/admin/audit`: the audit log of one account, and of all.

use std::net::IpAddr;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::{By, ByAdministrator, ByUser, require_recent};
use super::audit_export::{Format, export};
use super::schema::Device;
use super::values::{Cursor, PageSize};
use crate::audit::{Audit, Entry, Event, Filter, Outcome, Record};
use crate::http::field_text::{NO_TIME, NO_UUID, must_be};
use crate::http::problem::Fields;
use crate::http::{HttpContext, Problem, Query, pagination};
use crate::pages::activity::{ActivityFilter, answer_export};
use crate::pages::admin::audit::{AdminAuditForm, submit_export};
use crate::pages::visitor::{SentForm, Visitor};
use crate::types::{AuditId, SessionId, Timestamp, UserId};

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct OwnAuditQuery {
    #[param(value_type = Option<Event>, inline)]
    event_type: Option<String>,
    #[param(value_type = Option<Outcome>, inline)]
    status: Option<String>,
    #[param(value_type = Option<SessionId>)]
    session_id: Option<String>,
    /// The first moment.
    #[param(value_type = Option<Timestamp>)]
    from: Option<String>,
    /// The last moment.
    #[param(value_type = Option<Timestamp>)]
    to: Option<String>,
    /// 50 by default.
    #[param(value_type = Option<PageSize>, inline)]
    limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(value_type = Option<Cursor>, inline)]
    cursor: Option<String>,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditQuery {
    #[param(value_type = Option<Event>, inline)]
    event_type: Option<String>,
    #[param(value_type = Option<Outcome>, inline)]
    status: Option<String>,
    /// The account that entries are about.
    #[param(value_type = Option<UserId>)]
    user_id: Option<String>,
    #[param(value_type = Option<SessionId>)]
    session_id: Option<String>,
    /// The first moment.
    #[param(value_type = Option<Timestamp>)]
    from: Option<String>,
    /// The last moment.
    #[param(value_type = Option<Timestamp>)]
    to: Option<String>,
    /// 50 by default.
    #[param(value_type = Option<PageSize>, inline)]
    limit: Option<String>,
    /// `next_cursor` of the previous page.
    #[param(value_type = Option<Cursor>, inline)]
    cursor: Option<String>,
    /// All entries as a file, without `limit` and `cursor`.
    #[param(value_type = Option<Format>, inline)]
    format: Option<String>,
}

/// An entry of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditEntry {
    id: AuditId,
    at: Timestamp,
    event_type: String,
    /// `success` or `failure`.
    status: String,
    /// The account that it is about.
    #[schema(required)]
    user_id: Option<UserId>,
    /// Who did it, if that is somebody else.
    #[schema(required)]
    actor_id: Option<UserId>,
    #[schema(required)]
    session_id: Option<SessionId>,
    #[schema(required, value_type = Option<String>)]
    ip_address: Option<IpAddr>,
    #[schema(required)]
    device: Option<Device>,
    #[schema(required)]
    user_agent: Option<String>,
    /// Details of the event.
    #[schema(value_type = Object)]
    metadata: serde_json::Value,
    /// `X-Request-Id` of the request.
    #[schema(required)]
    request_id: Option<String>,
}

impl From<Entry> for AuditEntry {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            event_type: entry.event,
            status: entry.outcome,
            user_id: entry.user,
            actor_id: entry.actor,
            session_id: entry.session,
            ip_address: entry.ip,
            device: entry.device.map(Device::from),
            user_agent: entry.user_agent,
            metadata: entry.metadata,
            request_id: entry.request_id,
        }
    }
}

/// A page of the audit log, newest first.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditPage {
    logs: Vec<AuditEntry>,
    pagination: AuditPagination,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct AuditPagination {
    limit: usize,
    has_more: bool,
    /// `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
    /// How many entries there are on all pages; `null` if they are too many to be counted.
    #[schema(required)]
    total: Option<usize>,
}

/// Lists the audit log of the account that calls, newest first.
#[utoipa::path(get, path = "/api/v1/sessions/audit", tag = "Sessions", params(OwnAuditQuery),
    responses((status = 200, body = AuditPage)))]
pub(super) async fn list_own_audit_log(
    audit: web::Data<Audit>,
    By { caller, input: Query(query), .. }: ByUser<Query<OwnAuditQuery>>,
) -> Result<web::Json<AuditPage>, Problem> {
    let OwnAuditQuery { event_type, status, session_id, from, to, limit, cursor } = query;
    let query = AuditQuery { event_type, status, user_id: None, session_id, from, to, limit, cursor, format: None };
    let selection = query.parse()?;
    let filter = Filter { user: Some(caller.user()), ..selection.filter };
    read_page(&audit, &filter, selection.after, selection.limit).await
}

/// Lists the audit log of all accounts, newest first; with `format` as a file, which needs a recent login and is
/// audited.
#[utoipa::path(get, path = "/api/v1/admin/audit", tag = "Administration", params(AuditQuery),
    responses((status = 200, content(
        (AuditPage = "application/json"), (String = "text/csv"), (String = "application/x-ndjson")))))]
pub(super) async fn list_audit_log(
    audit: web::Data<Audit>,
    context: web::Data<HttpContext>,
    By { caller, input: Query(query), .. }: ByAdministrator<Query<AuditQuery>>,
) -> Result<HttpResponse, Problem> {
    let selection = query.parse()?;
    if let Some(format) = selection.format {
        require_recent(&caller).await?;
        let record = Record::new(Event::AuditExported, &caller.actor(&context));
        audit.append_alone(record.with("format", format.name())).await?;
        return Ok(export(Audit::clone(&audit), selection.filter, format, context.clock.now()));
    }
    Ok(HttpResponse::Ok().json(read_page(&audit, &selection.filter, selection.after, selection.limit).await?))
}

/// Returns what happened to the account of the person who is logged in, as a file: what the list shows with the same
/// filter.
#[utoipa::path(get, path = "/account/activity/export", tag = "Pages", security(()),
    params(ActivityFilter),
    responses(
        crate::pages::handlers::PeoplePageResponses,
        (status = 200, body = String, content_type = "text/csv", example = "id,at,event_type,status\r\n")))]
pub(super) async fn export_activity(visitor: Visitor, audit: web::Data<Audit>) -> HttpResponse {
    let now = visitor.context.clock.now();
    let answer = answer_export(&visitor, |filter| export(Audit::clone(&audit), filter, Format::Csv, now)).await;
    visitor.respond(answer)
}

/// Returns the entries of the console's list as a file, which is audited.
#[utoipa::path(post, path = "/admin/audit/export", tag = "Pages", security(()),
    request_body(content = AdminAuditForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        crate::pages::handlers::ConsoleFormResponses,
        (status = 200, body = String, content_type = "text/csv", example = "id,at,event_type,status\r\n")))]
pub(super) async fn export_console_audit(visitor: Visitor, form: SentForm, audit: web::Data<Audit>) -> HttpResponse {
    let now = visitor.context.clock.now();
    submit_export(visitor, form, async |filter, by| {
        let record = Record::new(Event::AuditExported, by).with("format", Format::Csv.name());
        audit.append_alone(record).await?;
        Ok(export(Audit::clone(&audit), filter, Format::Csv, now))
    })
    .await
}

async fn read_page(
    audit: &Audit,
    filter: &Filter,
    after: Option<AuditId>,
    limit: usize,
) -> Result<web::Json<AuditPage>, Problem> {
    let page = audit.page(filter, after, limit).await?;
    let next_cursor = page.next.map(|id| pagination::next_cursor(id.0.as_bytes()));
    let pagination = AuditPagination { limit, has_more: next_cursor.is_some(), next_cursor, total: page.total };
    Ok(web::Json(AuditPage { logs: page.entries.into_iter().map(AuditEntry::from).collect(), pagination }))
}

/// A valid query.
struct Selection {
    filter: Filter,
    after: Option<AuditId>,
    limit: usize,
    format: Option<Format>,
}

impl AuditQuery {
    fn parse(self) -> Result<Selection, Problem> {
        let mut fields = Fields::default();
        let id = |text: &str| Uuid::try_parse(text).ok();
        let outcomes = must_be([Outcome::Success, Outcome::Failure].map(Outcome::name));
        let filter = Filter {
            user: parameter(&mut fields, "user_id", self.user_id.as_deref(), NO_UUID, id).map(UserId),
            session: parameter(&mut fields, "session_id", self.session_id.as_deref(), NO_UUID, id).map(SessionId),
            event: parameter(&mut fields, "event_type", self.event_type.as_deref(), NO_EVENT, Event::parse),
            outcome: parameter(&mut fields, "status", self.status.as_deref(), &outcomes, Outcome::parse),
            from: parameter(&mut fields, "from", self.from.as_deref(), NO_TIME, Timestamp::parse),
            to: parameter(&mut fields, "to", self.to.as_deref(), NO_TIME, Timestamp::parse),
        };
        let formats = must_be([Format::Csv, Format::Ndjson].map(Format::name));
        let format = parameter(&mut fields, "format", self.format.as_deref(), &formats, Format::parse);
        let limit = pagination::limit(&mut fields, self.limit.as_deref());
        let position = |bytes: &[u8]| Uuid::from_slice(bytes).ok().map(AuditId);
        let after = pagination::cursor(&mut fields, self.cursor.as_deref(), position);
        for (field, is_given) in [("limit", self.limit.is_some()), ("cursor", self.cursor.is_some())] {
            if is_given && self.format.is_some() {
                fields.refuse(field, "invalid", "cannot be combined with format");
            }
        }
        fields.into_result()?;
        Ok(Selection { filter, after: after.flatten(), limit: limit.unwrap_or_default(), format })
    }
}

/// The refusal of a text that is no event.
const NO_EVENT: &str = "is not an event of the audit log, such as login.failed";

/// Parses a parameter that may be missing. Returns `None` without it, or after adding `refusal`.
fn parameter<T>(
    fields: &mut Fields,
    field: &str,
    text: Option<&str>,
    refusal: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    fields.check(field, parse(text?).ok_or(refusal), |_| "invalid")
}
