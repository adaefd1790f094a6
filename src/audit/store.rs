//! The log of events as rows.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use uuid::Uuid;

use super::Record;
use super::read::Filter;
use crate::clock::Timestamp;
use crate::db::connection::MultiBackend;
use crate::db::schema::audit_log;
use crate::db::types::{Address, AuditId, Json, SessionId, SqlUuid, UserId};
use crate::db::{Conn, DbResult};

/// How many entries are looked through for one page, where no index knows the whole filter: some 20 ms of work.
const LOOKED_THROUGH: usize = 20_000;

/// The highest number that is counted up to.
const COUNTED: usize = 200;

pub fn append(conn: &mut Conn, record: &Record, id: Uuid, at: Timestamp) -> DbResult<()> {
    let client = &record.client;
    diesel::insert_into(audit_log::table)
        .values((
            audit_log::id.eq(AuditId(id)),
            audit_log::at.eq(at),
            audit_log::event.eq(record.event.name()),
            audit_log::outcome.eq(record.event.outcome().name()),
            audit_log::user_id.eq(record.user),
            audit_log::actor_id.eq(record.actor.filter(|actor| record.user != Some(*actor))),
            audit_log::session_id.eq(record.session),
            audit_log::ip.eq(client.address.map(Address)),
            audit_log::user_agent.eq(client.user_agent.as_deref()),
            audit_log::request_id.eq(client.request_id.as_deref()),
            audit_log::metadata.eq(Json(record.metadata.clone().into())),
        ))
        .execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub struct AuditRow {
    pub id: AuditId,
    pub at: Timestamp,
    pub event: String,
    pub outcome: String,
    pub user_id: Option<UserId>,
    pub actor_id: Option<UserId>,
    pub session_id: Option<SessionId>,
    pub ip: Option<Address>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub metadata: Json,
}

/// Ids from the first to the last of those that are asked for, both included.
type Span = (AuditId, AuditId);

/// The rows of a value of `column` within a span of ids, as a range of the index of both.
macro_rules! together {
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

/// The rows from `first` to `last`, the newest first, that meet the part of the filter that one index has in its order.
///
/// Such an index is named by its columns together, in the comparison and in the order: no other one can serve then. A
/// planner that is left the choice takes the primary key for an account that has many rows, and walks past those of all
/// others.
fn indexed<'a>(filter: &Filter, (first, last): Span) -> Rows<'a> {
    let rows = audit_log::table.into_boxed();
    match (filter.session, filter.user, filter.event, filter.outcome) {
        (Some(session), user, ..) => {
            // A session has few rows, and is one account's.
            let rows = rows.filter(audit_log::session_id.eq(session)).filter(audit_log::id.between(first, last));
            let rows = rows.order(audit_log::id.desc());
            if let Some(user) = user { rows.filter(audit_log::user_id.eq(user)) } else { rows }
        }
        (None, Some(user), ..) => rows
            .filter(together!("user_id", SqlUuid, user, first, last))
            .order((audit_log::user_id.desc(), audit_log::id.desc())),
        (None, None, Some(event), _) => rows
            .filter(together!("event", Text, event.name(), first, last))
            .order((audit_log::event.desc(), audit_log::id.desc())),
        (None, None, None, Some(outcome)) => rows
            .filter(together!("outcome", Text, outcome.name(), first, last))
            .order((audit_log::outcome.desc(), audit_log::id.desc())),
        (None, None, None, None) => rows.filter(audit_log::id.between(first, last)).order(audit_log::id.desc()),
    }
}

/// Whether the index leaves a part of the filter to be looked for.
fn has_rest(filter: &Filter) -> bool {
    (filter.session.is_some() || filter.user.is_some()) && (filter.event.is_some() || filter.outcome.is_some())
}

/// The ids that the filter and the page before leave.
fn span(filter: &Filter, after: Option<AuditId>) -> Span {
    let first = filter.from.map_or(AuditId(Uuid::nil()), first_of);
    let last = filter.to.map_or(AuditId(Uuid::max()), last_of);
    let before = after.map_or(Uuid::max(), |after| Uuid::from_u128(after.0.as_u128().saturating_sub(1)));
    (first, last.min(AuditId(before)))
}

/// The rows that meet the whole filter. What is left of it is compared as an expression, which no index has.
fn matching<'a>(filter: &Filter, span: Span) -> Rows<'a> {
    let rows = indexed(filter, span);
    match (has_rest(filter), filter.event, filter.outcome) {
        (true, Some(event), _) => rows.filter(audit_log::event.concat("").eq(event.name())),
        (true, None, Some(outcome)) => rows.filter(audit_log::outcome.concat("").eq(outcome.name())),
        _ => rows,
    }
}

/// The last row of those that are looked through for one page, if there may be more behind it.
fn floor(conn: &mut Conn, filter: &Filter, span: Span) -> DbResult<Option<AuditId>> {
    if !has_rest(filter) {
        return Ok(None);
    }
    let last = indexed(filter, span).select(audit_log::id).offset(count_of(LOOKED_THROUGH - 1)).limit(1);
    Ok(last.first(conn).optional()?)
}

/// Up to `limit` rows after `after`, the newest first, and where to go on.
pub fn page(
    conn: &mut Conn,
    filter: &Filter,
    after: Option<AuditId>,
    limit: usize,
) -> DbResult<(Vec<AuditRow>, Option<AuditId>)> {
    let (first, last) = span(filter, after);
    let floor = floor(conn, filter, (first, last))?;
    let rows = matching(filter, (floor.unwrap_or(first), last)).limit(count_of(limit.saturating_add(1)));
    let mut rows: Vec<AuditRow> = rows.select(AuditRow::as_select()).load(conn)?;
    if rows.len() <= limit {
        return Ok((rows, floor));
    }
    rows.truncate(limit);
    let next = rows.last().map(|row| row.id);
    Ok((rows, next))
}

/// How many rows meet the filter; `None` when they are too many to be counted.
pub fn count(conn: &mut Conn, filter: &Filter) -> DbResult<Option<usize>> {
    let span = span(filter, None);
    if floor(conn, filter, span)?.is_some() {
        return Ok(None);
    }
    let ids: Vec<AuditId> = matching(filter, span).limit(count_of(COUNTED + 1)).select(audit_log::id).load(conn)?;
    Ok(Some(ids.len()).filter(|count| *count <= COUNTED))
}

/// Removes up to `batch` rows from before `before`, the oldest first. Answers how many.
pub fn sweep(conn: &mut Conn, before: Timestamp, batch: usize) -> DbResult<usize> {
    let old = audit_log::table.filter(audit_log::id.lt(first_of(before)));
    let last = old.order(audit_log::id).select(audit_log::id).offset(count_of(batch.saturating_sub(1))).limit(1);
    let last: Option<AuditId> = last.first(conn).optional()?;
    Ok(match last {
        Some(last) => diesel::delete(audit_log::table.filter(audit_log::id.le(last))).execute(conn)?,
        None => diesel::delete(old).execute(conn)?,
    })
}

fn count_of(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Not above any id of this millisecond and those after it.
fn first_of(at: Timestamp) -> AuditId {
    AuditId(Uuid::from_u128(millis(at) << 80))
}

/// Not below any id of this millisecond and those before it.
fn last_of(at: Timestamp) -> AuditId {
    AuditId(Uuid::from_u128((millis(at) << 80) | ((1 << 80) - 1)))
}

/// The first 48 bits of an id of version 7.
fn millis(at: Timestamp) -> u128 {
    u128::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1)
}
