//! The outbox as rows.

use std::num::NonZeroUsize;

use diesel::prelude::*;

use crate::clock::Timestamp;
use crate::db::schema::outbox;
use crate::db::types::MailId;
use crate::db::{Conn, DbResult};

#[derive(Insertable)]
#[diesel(table_name = outbox)]
pub struct NewMail<'a> {
    pub id: MailId,
    pub kind: &'a str,
    pub recipient: &'a str,
    pub sealed_message: Vec<u8>,
    pub created_at: Timestamp,
    pub next_attempt_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub struct MailRow {
    pub id: MailId,
    pub kind: String,
    pub recipient: String,
    pub sealed_message: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// How often somebody has begun to deliver it.
    pub attempts: i32,
}

pub fn insert(conn: &mut Conn, mail: &NewMail<'_>) -> DbResult<()> {
    diesel::insert_into(outbox::table).values(mail).execute(conn)?;
    Ok(())
}

/// The mails to be delivered now, those that have waited longest first.
pub fn due(conn: &mut Conn, now: Timestamp, limit: NonZeroUsize) -> DbResult<Vec<MailRow>> {
    let limit = i64::try_from(limit.get()).unwrap_or(i64::MAX);
    let due = outbox::table.filter(outbox::next_attempt_at.le(now)).order(outbox::next_attempt_at).limit(limit);
    Ok(due.select(MailRow::as_select()).load(conn)?)
}

/// Takes a mail that was due when `attempts` was read, until `lease_ends`: then it is due again. Answers whether it was
/// there to be taken.
pub fn claim(conn: &mut Conn, id: MailId, attempts: i32, lease_ends: Timestamp) -> DbResult<bool> {
    let unclaimed =
        outbox::table.find(id).filter(outbox::attempts.eq(attempts)).filter(outbox::next_attempt_at.is_not_null());
    let claimed = diesel::update(unclaimed)
        .set((outbox::attempts.eq(attempts.saturating_add(1)), outbox::next_attempt_at.eq(lease_ends)))
        .execute(conn)?;
    Ok(claimed == 1)
}

pub fn remove(conn: &mut Conn, id: MailId) -> DbResult<()> {
    diesel::delete(outbox::table.find(id)).execute(conn)?;
    Ok(())
}

/// Puts off a mail that was claimed as the attempt number `attempts`, unless the lease has run out and another server
/// has it.
pub fn put_off(conn: &mut Conn, id: MailId, attempts: i32, until: Timestamp, error: &str) -> DbResult<()> {
    let own = outbox::table.find(id).filter(outbox::attempts.eq(attempts));
    let change = (outbox::next_attempt_at.eq(until), outbox::last_error.eq(error));
    diesel::update(own).set(change).execute(conn)?;
    Ok(())
}

/// Keeps of a mail only that it was not delivered, and why.
pub fn give_up(conn: &mut Conn, id: MailId, error: &str) -> DbResult<()> {
    let change = (
        outbox::next_attempt_at.eq(None::<Timestamp>),
        outbox::sealed_message.eq(Vec::new()),
        outbox::last_error.eq(error),
    );
    diesel::update(outbox::table.find(id)).set(change).execute(conn)?;
    Ok(())
}

/// Forgets the mails that were given up and are older than `before`.
pub fn forget(conn: &mut Conn, before: Timestamp) -> DbResult<()> {
    let old = outbox::table.filter(outbox::next_attempt_at.is_null()).filter(outbox::created_at.lt(before));
    diesel::delete(old).execute(conn)?;
    Ok(())
}

/// How many mails wait and how many were given up, since when the oldest of those that wait does, and what became of the
/// latest attempt that failed.
pub fn contents(conn: &mut Conn) -> DbResult<super::Contents> {
    let waiting = || outbox::table.filter(outbox::next_attempt_at.is_not_null());
    Ok(super::Contents {
        waiting: waiting().count().get_result(conn)?,
        oldest: waiting().order(outbox::created_at).select(outbox::created_at).first(conn).optional()?,
        failed: outbox::table.filter(outbox::next_attempt_at.is_null()).count().get_result(conn)?,
        last_error: outbox::table
            .filter(outbox::last_error.is_not_null())
            .order(outbox::created_at.desc())
            .select(outbox::last_error)
            .first::<Option<String>>(conn)
            .optional()?
            .flatten(),
    })
}
