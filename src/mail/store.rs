//! The rows of the outbox.

use std::num::NonZeroUsize;

use diesel::prelude::*;

use crate::db::connection::MultiBackend;
use crate::db::schema::{email_counts, outbox, users};
use crate::db::{Conn, DbResult};
use crate::types::{EmailAddress, EmailId, Language, Timestamp, UserId};

/// The row of a new email.
#[derive(Insertable)]
#[diesel(table_name = outbox)]
pub struct NewMail<'a> {
    pub id: EmailId,
    pub kind: &'a str,
    pub recipient: &'a str,
    pub sealed_message: Vec<u8>,
    pub created_at: Timestamp,
    pub next_attempt_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// The row of an email.
#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub(super) struct MailRow {
    pub id: EmailId,
    pub kind: String,
    pub recipient: String,
    pub sealed_message: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    /// The number of attempts that were started.
    pub attempts: i32,
}

/// The row of an email in a list, without its message.
#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
pub(super) struct OutboxRow {
    pub id: EmailId,
    pub kind: String,
    pub recipient: String,
    pub created_at: Timestamp,
    pub next_attempt_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub attempts: i32,
    pub last_error: Option<String>,
}

/// The recipient of an email.
pub(super) struct Recipient {
    /// The normalized email address.
    pub normalized: String,
    /// The account that has the address.
    pub user: Option<UserId>,
    /// Whether that account has verified it.
    pub is_verified: bool,
    /// The language that the account has chosen.
    pub language: Option<Language>,
}

/// The count of emails to a recipient.
#[derive(Queryable, Selectable)]
#[diesel(table_name = email_counts)]
pub(super) struct Count {
    /// The time at which all emails are available again.
    pub full_at: Timestamp,
    /// The time of the last dropped email that was audited.
    pub dropped_at: Option<Timestamp>,
}

/// Finds who has an email address.
pub(super) fn recipient(conn: &mut Conn, address: &str) -> DbResult<Recipient> {
    let normalized =
        EmailAddress::parse(address).map_or_else(|_| address.to_lowercase(), |address| address.normalized().to_owned());
    let account = users::table.filter(users::email_normalized.eq(&normalized));
    let account: Option<(UserId, Option<Timestamp>, Option<String>)> =
        account.select((users::id, users::email_verified_at, users::language)).first(conn).optional()?;
    let Some((user, verified_at, language)) = account else {
        return Ok(Recipient { normalized, user: None, is_verified: false, language: None });
    };
    let language = language.as_deref().and_then(Language::find);
    Ok(Recipient { normalized, user: Some(user), is_verified: verified_at.is_some(), language })
}

/// Reads the count with this key, and locks it until the transaction ends.
pub(super) fn lock_count(conn: &mut Conn, key: &[u8], now: Timestamp) -> DbResult<Count> {
    macro_rules! lock {
        ($conn:expr) => {
            diesel::insert_into(email_counts::table)
                .values((email_counts::key.eq(key), email_counts::full_at.eq(now)))
                .on_conflict(email_counts::key)
                .do_update()
                .set(email_counts::key.eq(key))
                .returning(Count::as_returning())
                .get_result($conn)?
        };
    }
    Ok(match conn {
        Conn::Postgres(conn) => lock!(conn),
        Conn::Sqlite(conn) => lock!(conn),
    })
}

/// Sets when all emails of a count are available again.
pub(super) fn set_count(conn: &mut Conn, key: &[u8], full_at: Timestamp) -> DbResult<()> {
    let count = email_counts::table.filter(email_counts::key.eq(key));
    diesel::update(count).set(email_counts::full_at.eq(full_at)).execute(conn)?;
    Ok(())
}

/// Notes that a dropped email was audited.
pub(super) fn set_dropped(conn: &mut Conn, key: &[u8], now: Timestamp) -> DbResult<()> {
    let count = email_counts::table.filter(email_counts::key.eq(key));
    diesel::update(count).set(email_counts::dropped_at.eq(now)).execute(conn)?;
    Ok(())
}

/// Deletes up to `limit` counts of which all emails are available since `before`. Returns how many.
pub(super) fn expire_counts(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let full = email_counts::table.filter(email_counts::full_at.le(before));
    let keys: Vec<Vec<u8>> = full.select(email_counts::key).limit(limit).load(conn)?;
    Ok(diesel::delete(email_counts::table.filter(email_counts::key.eq_any(keys))).execute(conn)?)
}

/// Inserts an email.
pub(super) fn insert(conn: &mut Conn, mail: &NewMail<'_>) -> DbResult<()> {
    diesel::insert_into(outbox::table).values(mail).execute(conn)?;
    Ok(())
}

/// Finds up to `limit` emails that are due, in the order in which they became due, except `started`.
pub(super) fn due(conn: &mut Conn, now: Timestamp, started: &[EmailId], limit: NonZeroUsize) -> DbResult<Vec<MailRow>> {
    let limit = i64::try_from(limit.get()).unwrap_or(i64::MAX);
    let due = outbox::table.filter(outbox::next_attempt_at.le(now)).filter(outbox::id.ne_all(started));
    let due = due.order(outbox::next_attempt_at).limit(limit);
    Ok(due.select(MailRow::as_select()).load(conn)?)
}

/// Claims an email until `lease_ends`, when it becomes due again. `attempts` is the number that was read with it.
/// Returns `false` if another server has claimed it in the meantime.
pub(super) fn claim(conn: &mut Conn, id: EmailId, attempts: i32, lease_ends: Timestamp) -> DbResult<bool> {
    let unclaimed =
        outbox::table.find(id).filter(outbox::attempts.eq(attempts)).filter(outbox::next_attempt_at.is_not_null());
    let claimed = diesel::update(unclaimed)
        .set((outbox::attempts.eq(attempts.saturating_add(1)), outbox::next_attempt_at.eq(lease_ends)))
        .execute(conn)?;
    Ok(claimed == 1)
}

/// Deletes an email.
pub(super) fn delete(conn: &mut Conn, id: EmailId) -> DbResult<()> {
    diesel::delete(outbox::table.find(id)).execute(conn)?;
    Ok(())
}

/// Defers an email after attempt number `attempts`, unless the lease has expired and another server has claimed it.
pub(super) fn defer(conn: &mut Conn, id: EmailId, attempts: i32, until: Timestamp, error: &str) -> DbResult<()> {
    let claimed = outbox::table.find(id).filter(outbox::attempts.eq(attempts));
    let change = (outbox::next_attempt_at.eq(until), outbox::last_error.eq(error));
    diesel::update(claimed).set(change).execute(conn)?;
    Ok(())
}

/// Gives an email up: keeps the row with the error and deletes the message.
pub(super) fn give_up(conn: &mut Conn, id: EmailId, error: &str) -> DbResult<()> {
    let change = (
        outbox::next_attempt_at.eq(None::<Timestamp>),
        outbox::sealed_message.eq(Vec::new()),
        outbox::last_error.eq(error),
    );
    diesel::update(outbox::table.find(id)).set(change).execute(conn)?;
    Ok(())
}

/// Deletes up to `limit` emails that were given up and queued before `before`. Returns how many.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let old = outbox::table.filter(outbox::next_attempt_at.is_null()).filter(outbox::created_at.lt(before));
    let ids: Vec<EmailId> = old.select(outbox::id).limit(limit).load(conn)?;
    Ok(diesel::delete(outbox::table.filter(outbox::id.eq_any(ids))).execute(conn)?)
}

/// Deletes the emails to these addresses.
pub(super) fn forget(conn: &mut Conn, addresses: &[String]) -> DbResult<()> {
    diesel::delete(outbox::table.filter(outbox::recipient.eq_any(addresses))).execute(conn)?;
    Ok(())
}

/// Finds up to `limit` emails that were queued before `after`, newest first: those that wait, or those that were given
/// up.
pub(super) fn list(conn: &mut Conn, is_waiting: bool, after: Option<EmailId>, limit: i64) -> DbResult<Vec<OutboxRow>> {
    let mut emails = outbox::table.into_boxed::<MultiBackend>();
    emails = match is_waiting {
        true => emails.filter(outbox::next_attempt_at.is_not_null()),
        false => emails.filter(outbox::next_attempt_at.is_null()),
    };
    if let Some(after) = after {
        emails = emails.filter(outbox::id.lt(after));
    }
    Ok(emails.order(outbox::id.desc()).limit(limit).select(OutboxRow::as_select()).load(conn)?)
}

/// Lets the waiting email `id`, or all of them, be tried at `now` if the next attempt is later than `after`. Returns
/// how many those are.
pub(super) fn hasten(conn: &mut Conn, id: Option<EmailId>, after: Timestamp, now: Timestamp) -> DbResult<usize> {
    let later = outbox::next_attempt_at.gt(after).assume_not_null();
    Ok(match id {
        Some(id) => {
            diesel::update(outbox::table.find(id).filter(later)).set(outbox::next_attempt_at.eq(now)).execute(conn)?
        }
        None => diesel::update(outbox::table.filter(later)).set(outbox::next_attempt_at.eq(now)).execute(conn)?,
    })
}

/// Finds up to `limit` waiting emails after `after`, by their ids: id, recipient and encrypted message.
pub(super) fn waiting_after(conn: &mut Conn, after: EmailId, limit: i64) -> DbResult<Vec<(EmailId, String, Vec<u8>)>> {
    let waiting = outbox::table.filter(outbox::next_attempt_at.is_not_null()).filter(outbox::id.gt(after));
    let columns = (outbox::id, outbox::recipient, outbox::sealed_message);
    Ok(waiting.order(outbox::id).limit(limit).select(columns).load(conn)?)
}

/// Replaces an encrypted message, unless the email was given up meanwhile.
pub(super) fn reseal(conn: &mut Conn, id: EmailId, sealed: &[u8], resealed: &[u8]) -> DbResult<()> {
    let email = outbox::table.filter(outbox::id.eq(id)).filter(outbox::sealed_message.eq(sealed));
    diesel::update(email).set(outbox::sealed_message.eq(resealed)).execute(conn)?;
    Ok(())
}

/// Moves a count to another key, unless that has one.
pub(super) fn adopt_count(conn: &mut Conn, from: &[u8], to: &[u8]) -> DbResult<()> {
    let present = email_counts::table.filter(email_counts::key.eq(to)).count().get_result::<i64>(conn)?;
    if present == 0 {
        let count = email_counts::table.filter(email_counts::key.eq(from));
        diesel::update(count).set(email_counts::key.eq(to)).execute(conn)?;
    }
    Ok(())
}

/// Reads the state of the outbox.
pub(super) fn status(conn: &mut Conn) -> DbResult<super::OutboxStatus> {
    let waiting = || outbox::table.filter(outbox::next_attempt_at.is_not_null());
    Ok(super::OutboxStatus {
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
