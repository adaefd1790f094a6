//! The log of events as rows.

use diesel::prelude::*;
use uuid::Uuid;

use super::Record;
use crate::clock::Timestamp;
use crate::db::schema::audit_log;
use crate::db::types::{Address, AuditId, Json};
use crate::db::{Conn, DbResult};

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
