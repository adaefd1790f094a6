//! The SQL statements of rotations and notes.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text};
use diesel::{QueryResult, RunQueryDsl};

use super::{Note, Rotated, Rotation, RotationTimes};
use crate::db::connection::MultiBackend;
use crate::db::types::{IpColumn, SqlInet, SqlJson, SqlTime, SqlUuid};
use crate::db::{Conn, DbResult, PgConnection};
use crate::sessions::refresh::IdempotencyKey;
use crate::sessions::{SessionSnapshot, Subject};
use crate::types::{Amr, Jti, KeyThumbprint, Roles, SessionId, Timestamp, UserId};

type RotatedSql = (
    SqlUuid,
    SqlUuid,
    Text,
    Nullable<Text>,
    SqlJson,
    BigInt,
    BigInt,
    SqlUuid,
    Nullable<SqlUuid>,
    SqlTime,
    SqlTime,
    SqlTime,
    SqlTime,
    SqlTime,
    SqlJson,
    Text,
    BigInt,
    Bool,
    Nullable<Binary>,
);
type RotatedRow = (
    SessionId,
    UserId,
    String,
    Option<String>,
    Roles,
    i64,
    i64,
    Jti,
    Option<Jti>,
    Timestamp,
    Timestamp,
    Timestamp,
    Timestamp,
    Timestamp,
    Amr,
    String,
    i64,
    bool,
    Option<KeyThumbprint>,
);

impl From<RotatedRow> for Rotated {
    fn from(row: RotatedRow) -> Self {
        let (
            session,
            id,
            email,
            name,
            roles,
            generation,
            revision,
            access_jti,
            former_access_jti,
            issued_at,
            access_expires_at,
            expires_at,
            ends_at,
            authenticated_at,
            amr,
            client_id,
            valid_from_revision,
            email_verified,
            bound_to,
        ) = row;
        Self {
            snapshot: SessionSnapshot {
                session,
                subject: Subject { id, email, name, roles, email_verified },
                generation,
                revision,
                access_jti,
                former_access_jti,
                issued_at,
                access_expires_at,
                expires_at,
                ends_at,
                authenticated_at,
                amr,
                client_id,
                // An impersonation session is never refreshed.
                actor: None,
                valid_from_revision,
                bound_to,
            },
        }
    }
}

/// Rotates one session by one conditional `UPDATE`, which is atomic with regard to every other change of the row.
/// Returns `None` if the presented token is not current, the last rotation is this one, the session has ended, or its
/// account is disabled.
pub(super) fn rotate(conn: &mut Conn, rotation: &Rotation, times: RotationTimes) -> DbResult<Option<Rotated>> {
    let row: Option<RotatedRow> = RotateOne { rotation, key: key(rotation), times }.get_result(conn).optional()?;
    Ok(row.map(Rotated::from))
}

/// Rotates many sessions of a Postgres database in one statement, which locks the rows in the order of their ids. On an
/// error no session is rotated. A bulk revocation may lock in another order: then the lock timeout ends this statement
/// before Postgres detects a deadlock.
pub(super) fn rotate_batch(
    conn: &mut PgConnection,
    rotations: &[&Rotation],
    times: RotationTimes,
) -> DbResult<Vec<Box<Rotated>>> {
    fn each<'a, T>(rotations: &[&'a Rotation], part: impl Fn(&'a Rotation) -> T) -> Vec<T> {
        rotations.iter().map(|rotation| part(rotation)).collect()
    }
    let batch = RotateBatch {
        sessions: each(rotations, |rotation| rotation.session),
        presented: each(rotations, |rotation| rotation.presented.as_bytes()),
        successors: each(rotations, |rotation| rotation.successor.as_bytes()),
        salts: each(rotations, |rotation| rotation.salt.0.as_slice()),
        access_jtis: each(rotations, |rotation| rotation.access_jti),
        keys: each(rotations, key),
        repeats_since: each(rotations, |rotation| rotation.repeats_since),
        ips: each(rotations, |rotation| rotation.ip),
        proven: each(rotations, |rotation| rotation.proven),
        times,
    };
    Ok(batch.load::<RotatedRow>(conn)?.into_iter().map(|row| Box::new(row.into())).collect())
}

fn key(rotation: &Rotation) -> Option<&[u8]> {
    rotation.key.as_ref().map(IdempotencyKey::as_bytes)
}

// The two statements below are custom fragments, because a query of Diesel's DSL would be prepared and planned anew at
// each call. Both set the same columns: a change of one needs the same change of the other. A key that one of the last
// two rotations had proves nothing, so it is not stored again.

struct RotateOne<'a> {
    rotation: &'a Rotation,
    key: Option<&'a [u8]>,
    times: RotationTimes,
}

impl QueryId for RotateOne<'_> {
    type QueryId = RotateOne<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl diesel::query_builder::Query for RotateOne<'_> {
    type SqlType = RotatedSql;
}

impl RunQueryDsl<Conn> for RotateOne<'_> {}

impl QueryFragment<MultiBackend> for RotateOne<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE sessions SET generation = generation + 1, revision = revision + 1, parent_digest = token_digest, \
             former_jti = access_jti, access_seen = false, recovered = false, \
             recovery_debt = CASE WHEN recovery_debt > 0 THEN recovery_debt - 1 ELSE 0 END, token_digest = ",
        );
        out.push_bind_param::<Binary, [u8]>(self.rotation.successor.as_bytes())?;
        out.push_sql(", rotation_salt = ");
        out.push_bind_param::<Binary, [u8]>(&self.rotation.salt.0)?;
        out.push_sql(", former_rotation_key = rotation_key, rotation_key = nullif(nullif(");
        out.push_bind_param::<Nullable<Binary>, _>(&self.key)?;
        out.push_sql(", rotation_key), former_rotation_key), access_jti = ");
        out.push_bind_param::<SqlUuid, _>(&self.rotation.access_jti)?;
        out.push_sql(", ip = ");
        out.push_bind_param::<Nullable<SqlInet>, _>(&self.rotation.ip)?;
        out.push_sql(", issued_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(", access_expires_at = CASE WHEN access_expires_at < ");
        out.push_bind_param::<SqlTime, _>(&self.times.access_expires_at)?;
        out.push_sql(" THEN ");
        out.push_bind_param::<SqlTime, _>(&self.times.access_expires_at)?;
        out.push_sql(" ELSE access_expires_at END, last_active_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(", expires_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.expires_at)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<SqlUuid, _>(&self.rotation.session)?;
        out.push_sql(" AND token_digest = ");
        out.push_bind_param::<Binary, [u8]>(self.rotation.presented.as_bytes())?;
        out.push_sql(" AND NOT coalesce(rotation_key = ");
        out.push_bind_param::<Nullable<Binary>, _>(&self.key)?;
        out.push_sql(" AND issued_at > ");
        out.push_bind_param::<Nullable<SqlTime>, _>(&self.rotation.repeats_since)?;
        out.push_sql(", false) AND revoked_at IS NULL AND expires_at > ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(" AND ends_at > ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(" AND (dpop_jkt IS NULL OR dpop_jkt = ");
        out.push_bind_param::<Nullable<Binary>, _>(&self.rotation.proven)?;
        out.push_sql(
            ") AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id AND users.disabled_at IS NULL \
             AND users.revision = sessions.account_revision) \
             RETURNING id, user_id, (SELECT email FROM users WHERE users.id = sessions.user_id), \
             (SELECT users.name FROM users WHERE users.id = sessions.user_id), \
             (SELECT roles FROM users WHERE users.id = sessions.user_id), generation, revision, access_jti, \
             former_jti, issued_at, access_expires_at, expires_at, ends_at, authenticated_at, amr, client_id, \
             valid_from_revision, \
             (SELECT users.email_verified_at IS NOT NULL FROM users WHERE users.id = sessions.user_id), dpop_jkt",
        );
        Ok(())
    }
}

struct RotateBatch<'a> {
    sessions: Vec<SessionId>,
    presented: Vec<&'a [u8]>,
    successors: Vec<&'a [u8]>,
    salts: Vec<&'a [u8]>,
    access_jtis: Vec<Jti>,
    keys: Vec<Option<&'a [u8]>>,
    repeats_since: Vec<Option<Timestamp>>,
    ips: Vec<Option<IpColumn>>,
    proven: Vec<Option<KeyThumbprint>>,
    times: RotationTimes,
}

impl QueryId for RotateBatch<'_> {
    type QueryId = RotateBatch<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl diesel::query_builder::Query for RotateBatch<'_> {
    type SqlType = RotatedSql;
}

impl RunQueryDsl<PgConnection> for RotateBatch<'_> {}

impl QueryFragment<diesel::pg::Pg> for RotateBatch<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE sessions AS s SET generation = s.generation + 1, revision = s.revision + 1, \
             parent_digest = s.token_digest, former_jti = s.access_jti, access_seen = false, recovered = false, \
             recovery_debt = CASE WHEN s.recovery_debt > 0 THEN s.recovery_debt - 1 ELSE 0 END, \
             token_digest = r.successor, rotation_salt = r.salt, former_rotation_key = s.rotation_key, \
             rotation_key = nullif(nullif(r.rotation_key, s.rotation_key), s.former_rotation_key), \
             access_jti = r.access_jti, ip = r.ip, issued_at = ",
        );
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(", access_expires_at = greatest(s.access_expires_at, ");
        out.push_bind_param::<SqlTime, _>(&self.times.access_expires_at)?;
        out.push_sql("), last_active_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(", expires_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.expires_at)?;
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.sessions)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.presented)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.successors)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.salts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlUuid>, _>(&self.access_jtis)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Binary>>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlTime>>, _>(&self.repeats_since)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlInet>>, _>(&self.ips)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Binary>>, _>(&self.proven)?;
        out.push_sql(
            ") AS r(id, presented, successor, salt, access_jti, rotation_key, repeats_since, ip, proven), users AS u \
             WHERE s.id = r.id AND s.token_digest = r.presented AND (s.dpop_jkt IS NULL OR s.dpop_jkt = r.proven) \
             AND NOT coalesce(s.rotation_key = r.rotation_key AND s.issued_at > r.repeats_since, false) \
             AND s.revoked_at IS NULL AND s.expires_at > ",
        );
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(" AND s.ends_at > ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(
            " AND u.id = s.user_id AND u.disabled_at IS NULL AND u.revision = s.account_revision \
             RETURNING s.id, s.user_id, u.email, u.name, u.roles, s.generation, s.revision, s.access_jti, \
             s.former_jti, s.issued_at, s.access_expires_at, s.expires_at, s.ends_at, s.authenticated_at, s.amr, \
             s.client_id, s.valid_from_revision, u.email_verified_at IS NOT NULL, s.dpop_jkt",
        );
        Ok(())
    }
}

/// Writes one note to its session's row.
pub(super) fn add_note(conn: &mut Conn, note: &Note) -> DbResult<()> {
    AddNote { note, replays: note.replays() }.execute(conn)?;
    Ok(())
}

/// Writes notes to the rows of a Postgres database in one statement. No session may appear twice.
pub(super) fn add_notes(conn: &mut PgConnection, notes: &[Note]) -> DbResult<()> {
    let batch = AddNotes {
        sessions: notes.iter().map(|note| note.session).collect(),
        seen: notes.iter().map(|note| note.seen).collect(),
        replays: notes.iter().map(Note::replays).collect(),
        at: notes.iter().map(|note| note.at).collect(),
    };
    batch.execute(conn)?;
    Ok(())
}

struct AddNote<'a> {
    note: &'a Note,
    replays: i32,
}

impl QueryId for AddNote<'_> {
    type QueryId = AddNote<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<Conn> for AddNote<'_> {}

impl QueryFragment<MultiBackend> for AddNote<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        let note = self.note;
        out.push_sql("UPDATE sessions SET access_seen = (access_seen OR coalesce(access_jti = ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&note.seen)?;
        out.push_sql(", false) OR coalesce(recovered AND former_jti = ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&note.seen)?;
        out.push_sql(", false)), replays = replays + ");
        out.push_bind_param::<Integer, _>(&self.replays)?;
        out.push_sql(", last_active_at = CASE WHEN last_active_at < ");
        out.push_bind_param::<SqlTime, _>(&note.at)?;
        out.push_sql(" THEN ");
        out.push_bind_param::<SqlTime, _>(&note.at)?;
        out.push_sql(" ELSE last_active_at END WHERE id = ");
        out.push_bind_param::<SqlUuid, _>(&note.session)?;
        Ok(())
    }
}

struct AddNotes {
    sessions: Vec<SessionId>,
    seen: Vec<Option<Jti>>,
    replays: Vec<i32>,
    at: Vec<Timestamp>,
}

impl QueryId for AddNotes {
    type QueryId = Self;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<PgConnection> for AddNotes {}

impl QueryFragment<diesel::pg::Pg> for AddNotes {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, diesel::pg::Pg>) -> QueryResult<()> {
        out.push_sql(
            "UPDATE sessions AS s SET access_seen = (s.access_seen OR coalesce(s.access_jti = r.seen, false) \
             OR coalesce(s.recovered AND s.former_jti = r.seen, false)), replays = s.replays + r.replays, \
             last_active_at = greatest(s.last_active_at, r.at) FROM unnest(",
        );
        out.push_bind_param::<Array<SqlUuid>, _>(&self.sessions)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlUuid>>, _>(&self.seen)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Integer>, _>(&self.replays)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<SqlTime>, _>(&self.at)?;
        out.push_sql(") AS r(id, seen, replays, at) WHERE s.id = r.id");
        Ok(())
    }
}
