//! Entries of the audit log as rows.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use uuid::Uuid;

use super::{Filter, PERSONAL, Record};
use crate::db::connection::MultiBackend;
use crate::db::schema::audit_log;
use crate::db::types::{IpColumn, Json, SqlUuid};
use crate::db::{Conn, DbResult};
use crate::types::{AuditId, SessionId, Timestamp, UserId};

/// The most entries that are scanned for one page if no index covers the whole filter, which takes some 2 ms.
const MAX_SCANNED: usize = 2_000;

/// The highest count that is returned.
const MAX_COUNT: usize = 200;

/// Inserts an entry.
pub(super) fn append(conn: &mut Conn, record: &Record, id: Uuid, at: Timestamp) -> DbResult<()> {
    let requester = &record.requester;
    diesel::insert_into(audit_log::table)
        .values((
            audit_log::id.eq(AuditId(id)),
            audit_log::at.eq(at),
            audit_log::event.eq(record.event.name()),
            audit_log::outcome.eq(record.event.outcome().name()),
            audit_log::user_id.eq(record.user),
            audit_log::actor_id.eq(record.actor.filter(|actor| record.user != Some(*actor))),
            audit_log::session_id.eq(record.session),
            audit_log::ip.eq(requester.ip.map(IpColumn)),
            audit_log::user_agent.eq(requester.user_agent.as_deref()),
            audit_log::request_id.eq(requester.request_id.as_deref()),
            audit_log::metadata.eq(Json(record.metadata.clone().into())),
        ))
        .execute(conn)?;
    Ok(())
}

/// An entry in the database.
#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub(super) struct AuditRow {
    pub id: AuditId,
    pub at: Timestamp,
    pub event: String,
    pub outcome: String,
    pub user_id: Option<UserId>,
    pub actor_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    pub ip: Option<IpColumn>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub metadata: Json,
}

/// The first and the last id of a range, both included.
type Span = (AuditId, AuditId);

/// Selects the rows with a value of `column` and an id within a span, as a range of the index on both columns.
macro_rules! in_span {
    ($column:literal, $type:ty, $value:expr, $first:expr, $last:expr) => {
        sql::<Bool>(concat!("(", $column, ", id) >= ("))
            .bind::<$type, _>($value)
            .sql(", ")
            .bind::<SqlUuid, _>($first)
            .sql(concat!(") AND (", $column, ", id) <= ("))
            .bind::<$type, _>($value)
            .sql(", ")
            .bind::<SqlUuid, _>($last)
            .sql(")")
    };
}

type Rows<'a> = audit_log::BoxedQuery<'a, MultiBackend>;

/// Selects the rows from `first` to `last`, newest first, that match the part of the filter that one index covers.
///
/// The comparison and the order name both columns of the index, so that no other index can be used. Otherwise a planner
/// can choose the primary key for an account with many rows and scan the rows of all other accounts.
fn indexed<'a>(filter: &Filter, (first, last): Span) -> Rows<'a> {
    let rows = audit_log::table.into_boxed();
    match (filter.session, filter.user, filter.event, filter.outcome) {
        (Some(session), user, ..) => {
            // A session has few rows and belongs to one account.
            let rows = rows.filter(audit_log::session_id.eq(session)).filter(audit_log::id.between(first, last));
            let rows = rows.order(audit_log::id.desc());
            if let Some(user) = user { rows.filter(audit_log::user_id.eq(user)) } else { rows }
        }
        (None, Some(user), ..) => rows
            .filter(in_span!("user_id", SqlUuid, user, first, last))
            .order((audit_log::user_id.desc(), audit_log::id.desc())),
        (None, None, Some(event), _) => rows
            .filter(in_span!("event", Text, event.name(), first, last))
            .order((audit_log::event.desc(), audit_log::id.desc())),
        (None, None, None, Some(outcome)) => rows
            .filter(in_span!("outcome", Text, outcome.name(), first, last))
            .order((audit_log::outcome.desc(), audit_log::id.desc())),
        (None, None, None, None) => rows.filter(audit_log::id.between(first, last)).order(audit_log::id.desc()),
    }
}

/// Returns whether the index does not cover the whole filter.
fn has_remainder(filter: &Filter) -> bool {
    (filter.session.is_some() || filter.user.is_some()) && (filter.event.is_some() || filter.outcome.is_some())
}

/// Returns the span of ids that the filter allows after the previous page.
fn span(filter: &Filter, after: Option<AuditId>) -> Span {
    let first = filter.from.map_or(AuditId(Uuid::nil()), first_of);
    let last = filter.to.map_or(AuditId(Uuid::max()), last_of);
    let before = after.map_or(Uuid::max(), |after| Uuid::from_u128(after.0.as_u128().saturating_sub(1)));
    (first, last.min(AuditId(before)))
}

/// Selects the rows that match the whole filter. The part that the index does not cover is compared as an expression,
/// for which no other index can be used.
fn matching<'a>(filter: &Filter, span: Span) -> Rows<'a> {
    let rows = indexed(filter, span);
    match (has_remainder(filter), filter.event, filter.outcome) {
        (true, Some(event), _) => rows.filter(audit_log::event.concat("").eq(event.name())),
        (true, None, Some(outcome)) => rows.filter(audit_log::outcome.concat("").eq(outcome.name())),
        _ => rows,
    }
}

/// Returns the last id that is scanned for one page, if there can be more rows after it.
fn last_scanned(conn: &mut Conn, filter: &Filter, span: Span) -> DbResult<Option<AuditId>> {
    if !has_remainder(filter) {
        return Ok(None);
    }
    let last = indexed(filter, span).select(audit_log::id).offset(count_of(MAX_SCANNED - 1)).limit(1);
    Ok(last.first(conn).optional()?)
}

/// The rows of a page, newest first.
pub(super) struct PageRows {
    pub rows: Vec<AuditRow>,
    /// The id after which the next page begins.
    pub next: Option<AuditId>,
    /// Whether more rows would have to be scanned than one page may.
    pub is_cut: bool,
}

/// Finds up to `limit` rows that follow `after`, newest first.
pub(super) fn page(conn: &mut Conn, filter: &Filter, after: Option<AuditId>, limit: usize) -> DbResult<PageRows> {
    let (first, last) = span(filter, after);
    let last_scanned = last_scanned(conn, filter, (first, last))?;
    let rows = matching(filter, (last_scanned.unwrap_or(first), last)).limit(count_of(limit.saturating_add(1)));
    let mut rows: Vec<AuditRow> = rows.select(AuditRow::as_select()).load(conn)?;
    if rows.len() <= limit {
        return Ok(PageRows { rows, next: last_scanned, is_cut: last_scanned.is_some() });
    }
    rows.truncate(limit);
    let next = rows.last().map(|row| row.id);
    Ok(PageRows { rows, next, is_cut: last_scanned.is_some() })
}

/// Finds the entry with this id.
pub(super) fn find(conn: &mut Conn, id: AuditId) -> DbResult<Option<AuditRow>> {
    Ok(audit_log::table.find(id).select(AuditRow::as_select()).first(conn).optional()?)
}

/// Counts the rows that match the filter. Returns `None` if there are too many.
pub(super) fn count(conn: &mut Conn, filter: &Filter) -> DbResult<Option<usize>> {
    let span = span(filter, None);
    if last_scanned(conn, filter, span)?.is_some() {
        return Ok(None);
    }
    let ids: Vec<AuditId> = matching(filter, span).limit(count_of(MAX_COUNT + 1)).select(audit_log::id).load(conn)?;
    Ok(Some(ids.len()).filter(|count| *count <= MAX_COUNT))
}

/// Removes the personal data from up to `limit` entries about an account or by it. Where somebody else acted on the
/// account, the client was theirs and stays. Returns the number of entries that had any.
pub(super) fn anonymize(conn: &mut Conn, user: UserId, limit: i64) -> DbResult<usize> {
    let none = Json(serde_json::json!({}));
    let is_personal = || audit_log::event.eq_any(PERSONAL.map(super::Event::name));
    let identifies =
        || audit_log::ip.is_not_null().or(audit_log::user_agent.is_not_null()).or(audit_log::request_id.is_not_null());
    let has_details = is_personal().and(audit_log::metadata.ne(&none));
    // An actor is stored only if it is not the account itself.
    let identifies_owner = audit_log::actor_id.is_null().and(identifies());
    let about = audit_log::table.filter(audit_log::user_id.eq(user)).filter(identifies_owner.or(has_details));
    let about: Vec<AuditId> = about.select(audit_log::id).limit(limit).load(conn)?;
    // What the account did to others stays, with the account's id.
    let by = audit_log::table.filter(audit_log::actor_id.eq(user)).filter(identifies());
    let left = limit.saturating_sub(count_of(about.len()));
    let by: Vec<AuditId> = by.select(audit_log::id).limit(left).load(conn)?;
    let details = audit_log::table.filter(audit_log::id.eq_any(&about)).filter(is_personal());
    diesel::update(details).set(audit_log::metadata.eq(&none)).execute(conn)?;
    let all: Vec<AuditId> = about.into_iter().chain(by).collect();
    let change = (
        audit_log::ip.eq(None::<IpColumn>),
        audit_log::user_agent.eq(None::<String>),
        audit_log::request_id.eq(None::<String>),
    );
    let own = audit_log::actor_id.is_null().or(audit_log::actor_id.eq(user));
    diesel::update(audit_log::table.filter(audit_log::id.eq_any(&all)).filter(own)).set(change).execute(conn)?;
    Ok(all.len())
}

/// Deletes up to `limit` entries that are older than `before`, oldest first. Returns their number.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let old = audit_log::table.filter(audit_log::id.lt(first_of(before)));
    let last = old.order(audit_log::id).select(audit_log::id).offset(limit.saturating_sub(1)).limit(1);
    let last: Option<AuditId> = last.first(conn).optional()?;
    Ok(match last {
        Some(last) => diesel::delete(audit_log::table.filter(audit_log::id.le(last))).execute(conn)?,
        None => diesel::delete(old).execute(conn)?,
    })
}

fn count_of(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Returns the lowest id of this millisecond.
fn first_of(at: Timestamp) -> AuditId {
    AuditId(Uuid::from_u128(millis(at) << 80))
}

/// Returns the highest id of this millisecond.
fn last_of(at: Timestamp) -> AuditId {
    AuditId(Uuid::from_u128((millis(at) << 80) | ((1 << 80) - 1)))
}

/// Returns the first 48 bits of an id of version 7.
fn millis(at: Timestamp) -> u128 {
    u128::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1)
}
