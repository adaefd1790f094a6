//! Sessions as rows.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, Text};
use diesel::{QueryResult, RunQueryDsl};

use super::Standing;
use crate::clock::Timestamp;
use crate::db::connection::MultiBackend;
use crate::db::schema::{sessions, users};
use crate::db::types::{Address, Json, Names, SessionId, SqlAddress, SqlJson, SqlTime, SqlUuid, TokenId, UserId};
use crate::db::{Conn, DbResult};
use crate::revocations::Reason;
use crate::tokens::refresh::{RotationSalt, TokenDigest};

/// A session at its beginning.
pub struct NewSession<'a> {
    pub standing: &'a Standing,
    pub token_digest: &'a [u8],
    pub address: Option<Address>,
    pub user_agent: Option<&'a str>,
    pub name: Option<&'a str>,
}

pub fn insert(conn: &mut Conn, new: &NewSession<'_>) -> DbResult<()> {
    let standing = new.standing;
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(standing.session),
            sessions::user_id.eq(standing.subject.id),
            sessions::created_at.eq(standing.issued_at),
            sessions::authenticated_at.eq(standing.authenticated_at),
            sessions::last_active_at.eq(standing.issued_at),
            sessions::expires_at.eq(standing.expires_at),
            sessions::ends_at.eq(standing.ends_at),
            sessions::generation.eq(standing.generation),
            sessions::revision.eq(standing.revision),
            sessions::token_digest.eq(new.token_digest),
            sessions::issued_at.eq(standing.issued_at),
            sessions::access_jti.eq(standing.access_token),
            sessions::ip.eq(new.address),
            sessions::user_agent.eq(new.user_agent),
            sessions::device.eq(Json(serde_json::json!({}))),
            sessions::name.eq(new.name),
            sessions::amr.eq(&standing.amr),
            sessions::client_id.eq(&standing.client_id),
            sessions::metadata.eq(Json(serde_json::json!({}))),
        ))
        .execute(conn)?;
    Ok(())
}

/// A rotation to be carried out if the token presented is current.
#[derive(Clone, Copy)]
pub struct Rotation {
    pub session: SessionId,
    pub presented: TokenDigest,
    pub successor: TokenDigest,
    pub salt: RotationSalt,
    pub access_token: TokenId,
    pub address: Option<Address>,
}

/// When a rotation takes place and how long its refresh token is good.
#[derive(Clone, Copy)]
pub struct RotationTimes {
    pub now: Timestamp,
    pub expires_at: Timestamp,
}

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
    SqlJson,
    Text,
    Binary,
);
type RotatedRow = (
    SessionId,
    UserId,
    String,
    Option<String>,
    Names,
    i64,
    i64,
    TokenId,
    Option<TokenId>,
    Timestamp,
    Timestamp,
    Timestamp,
    Timestamp,
    Names,
    String,
    Vec<u8>,
);

/// A session that was rotated, and the digest of the token that is now its parent.
pub struct Rotated {
    pub standing: Standing,
    pub presented: Vec<u8>,
}

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
            access_token,
            former,
            issued_at,
            expires_at,
            ends_at,
            authenticated_at,
            amr,
            client_id,
            presented,
        ) = row;
        Self {
            standing: Standing {
                session,
                subject: super::Subject { id, email, name, roles },
                generation,
                revision,
                access_token,
                former_access_token: former,
                issued_at,
                expires_at,
                ends_at,
                authenticated_at,
                amr,
                client_id,
            },
            presented,
        }
    }
}

/// Rotates one session: one conditional `UPDATE`, `None` when the token presented is not current or the session or
/// its account has ended. Atomic against every other change of the row.
pub fn rotate(conn: &mut Conn, rotation: &Rotation, times: RotationTimes) -> DbResult<Option<Rotated>> {
    let row: Option<RotatedRow> = RotateOne { rotation, times }.get_result(conn).optional()?;
    Ok(row.map(Rotated::from))
}

/// Rotates many sessions of a Postgres database in one statement, in the order of their ids: all or none on an error. A
/// bulk revocation may lock in another order; the lock timeout gives way to it well before Postgres finds a deadlock.
pub fn rotate_batch(conn: &mut PgConnection, rotations: &[&Rotation], times: RotationTimes) -> DbResult<Vec<Rotated>> {
    fn each<'a, T>(rotations: &[&'a Rotation], part: impl Fn(&'a Rotation) -> T) -> Vec<T> {
        rotations.iter().map(|rotation| part(rotation)).collect()
    }
    let batch = RotateBatch {
        sessions: each(rotations, |rotation| rotation.session),
        presented: each(rotations, |rotation| rotation.presented.as_bytes()),
        successors: each(rotations, |rotation| rotation.successor.as_bytes()),
        salts: each(rotations, |rotation| rotation.salt.0.as_slice()),
        access_tokens: each(rotations, |rotation| rotation.access_token),
        addresses: each(rotations, |rotation| rotation.address),
        times,
    };
    Ok(batch.load::<RotatedRow>(conn)?.into_iter().map(Rotated::from).collect())
}

// The two statements below are fragments of their own, because Diesel plans what it builds from its query language
// anew at each call. They change the row alike: what one sets, the other sets.

struct RotateOne<'a> {
    rotation: &'a Rotation,
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
        out.push_sql(", access_jti = ");
        out.push_bind_param::<SqlUuid, _>(&self.rotation.access_token)?;
        out.push_sql(", ip = ");
        out.push_bind_param::<Nullable<SqlAddress>, _>(&self.rotation.address)?;
        out.push_sql(", issued_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(", last_active_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(", expires_at = ");
        out.push_bind_param::<SqlTime, _>(&self.times.expires_at)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<SqlUuid, _>(&self.rotation.session)?;
        out.push_sql(" AND token_digest = ");
        out.push_bind_param::<Binary, [u8]>(self.rotation.presented.as_bytes())?;
        out.push_sql(" AND revoked_at IS NULL AND expires_at > ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(" AND ends_at > ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(
            " AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id AND users.disabled_at IS NULL) \
             RETURNING id, user_id, (SELECT email FROM users WHERE users.id = sessions.user_id), \
             (SELECT users.name FROM users WHERE users.id = sessions.user_id), \
             (SELECT roles FROM users WHERE users.id = sessions.user_id), generation, revision, access_jti, former_jti, \
             issued_at, expires_at, ends_at, authenticated_at, amr, client_id, parent_digest",
        );
        Ok(())
    }
}

struct RotateBatch<'a> {
    sessions: Vec<SessionId>,
    presented: Vec<&'a [u8]>,
    successors: Vec<&'a [u8]>,
    salts: Vec<&'a [u8]>,
    access_tokens: Vec<TokenId>,
    addresses: Vec<Option<Address>>,
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
             token_digest = r.successor, rotation_salt = r.salt, access_jti = r.access_jti, ip = r.ip, issued_at = ",
        );
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(", last_active_at = ");
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
        out.push_bind_param::<Array<SqlUuid>, _>(&self.access_tokens)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<SqlAddress>>, _>(&self.addresses)?;
        out.push_sql(
            ") AS r(id, presented, successor, salt, access_jti, ip), users AS u \
             WHERE s.id = r.id AND s.token_digest = r.presented AND s.revoked_at IS NULL AND s.expires_at > ",
        );
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(" AND s.ends_at > ");
        out.push_bind_param::<SqlTime, _>(&self.times.now)?;
        out.push_sql(
            " AND u.id = s.user_id AND u.disabled_at IS NULL \
             RETURNING s.id, s.user_id, u.email, u.name, u.roles, s.generation, s.revision, s.access_jti, s.former_jti, \
             s.issued_at, s.expires_at, s.ends_at, s.authenticated_at, s.amr, s.client_id, s.parent_digest",
        );
        Ok(())
    }
}

/// What was noticed of a session since the last time, to be added to its row.
#[derive(Clone, Copy)]
pub struct Note {
    pub session: SessionId,
    /// An access token that was presented.
    pub seen: Option<TokenId>,
    /// Refreshes that were repeated within the replay window.
    pub replays: i32,
    pub at: Timestamp,
}

/// Adds one note to its session's row.
pub fn add_note(conn: &mut Conn, note: &Note) -> DbResult<()> {
    AddNote(note).execute(conn)?;
    Ok(())
}

/// Adds notes to the rows of a Postgres database in one statement. No session may appear twice.
pub fn add_notes(conn: &mut PgConnection, notes: &[Note]) -> DbResult<()> {
    let batch = AddNotes {
        sessions: notes.iter().map(|note| note.session).collect(),
        seen: notes.iter().map(|note| note.seen).collect(),
        replays: notes.iter().map(|note| note.replays).collect(),
        at: notes.iter().map(|note| note.at).collect(),
    };
    batch.execute(conn)?;
    Ok(())
}

struct AddNote<'a>(&'a Note);

impl QueryId for AddNote<'_> {
    type QueryId = AddNote<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl RunQueryDsl<Conn> for AddNote<'_> {}

impl QueryFragment<MultiBackend> for AddNote<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        let note = self.0;
        out.push_sql("UPDATE sessions SET access_seen = (access_seen OR coalesce(access_jti = ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&note.seen)?;
        out.push_sql(", false) OR coalesce(recovered AND former_jti = ");
        out.push_bind_param::<Nullable<SqlUuid>, _>(&note.seen)?;
        out.push_sql(", false)), replays = replays + ");
        out.push_bind_param::<Integer, _>(&note.replays)?;
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
    seen: Vec<Option<TokenId>>,
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

/// The part of a session's row that a refresh is judged by.
#[derive(Clone)]
pub struct Chain {
    pub standing: Standing,
    pub token_digest: Vec<u8>,
    pub parent_digest: Option<Vec<u8>>,
    pub rotation_salt: Option<Vec<u8>>,
    pub access_seen: bool,
    pub recovered: bool,
    pub recovery_debt: i32,
    pub revoked_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct ChainRow {
    id: SessionId,
    user_id: UserId,
    generation: i64,
    revision: i64,
    access_jti: TokenId,
    former_jti: Option<TokenId>,
    issued_at: Timestamp,
    expires_at: Timestamp,
    ends_at: Timestamp,
    authenticated_at: Timestamp,
    amr: Names,
    client_id: String,
    token_digest: Vec<u8>,
    parent_digest: Option<Vec<u8>>,
    rotation_salt: Option<Vec<u8>>,
    access_seen: bool,
    recovered: bool,
    recovery_debt: i32,
    revoked_at: Option<Timestamp>,
}

/// `None` when there is no such session.
pub fn chain(conn: &mut Conn, session: SessionId) -> DbResult<Option<Chain>> {
    type OwnerRow = (String, Option<String>, Names, Option<Timestamp>);
    let found: Option<(ChainRow, OwnerRow)> = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(session))
        .select((ChainRow::as_select(), (users::email, users::name, users::roles, users::disabled_at)))
        .first(conn)
        .optional()?;
    Ok(found.map(|(row, (email, name, roles, disabled_at))| Chain {
        standing: Standing {
            session: row.id,
            subject: super::Subject { id: row.user_id, email, name, roles },
            generation: row.generation,
            revision: row.revision,
            access_token: row.access_jti,
            former_access_token: row.former_jti,
            issued_at: row.issued_at,
            expires_at: row.expires_at,
            ends_at: row.ends_at,
            authenticated_at: row.authenticated_at,
            amr: row.amr,
            client_id: row.client_id,
        },
        token_digest: row.token_digest,
        parent_digest: row.parent_digest,
        rotation_salt: row.rotation_salt,
        access_seen: row.access_seen,
        recovered: row.recovered,
        recovery_debt: row.recovery_debt,
        revoked_at: row.revoked_at,
        disabled_at,
    }))
}

/// Hands the current generation out again with a fresh access token, if nothing has happened to it since `chain` was
/// read. Answers whether it was so.
pub fn recover(conn: &mut Conn, chain: &Chain, access_token: TokenId, debt: i32, now: Timestamp) -> DbResult<bool> {
    let unchanged = sessions::table
        .filter(sessions::id.eq(chain.standing.session))
        .filter(sessions::generation.eq(chain.standing.generation))
        .filter(sessions::revision.eq(chain.standing.revision))
        .filter(sessions::access_seen.eq(false))
        .filter(sessions::revoked_at.is_null());
    let changed = diesel::update(unchanged)
        .set((
            sessions::revision.eq(chain.standing.revision + 1),
            sessions::former_jti.eq(chain.standing.access_token),
            sessions::access_jti.eq(access_token),
            sessions::issued_at.eq(now),
            sessions::last_active_at.eq(now),
            sessions::recovered.eq(true),
            sessions::recovery_debt.eq(debt),
            sessions::recoveries.eq(sessions::recoveries + i32::from(!chain.recovered)),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Lets the row follow a token of a later generation, which the database has lost, to that token's successor.
/// Answers whether the row was still behind.
pub fn follow(conn: &mut Conn, rotation: &Rotation, generation: i64, times: RotationTimes) -> DbResult<bool> {
    let behind = sessions::table
        .filter(sessions::id.eq(rotation.session))
        .filter(sessions::generation.lt(generation))
        .filter(sessions::revoked_at.is_null());
    let changed = diesel::update(behind)
        .set((
            sessions::generation.eq(generation + 1),
            sessions::revision.eq(sessions::revision + 1),
            sessions::parent_digest.eq(rotation.presented.as_bytes()),
            sessions::token_digest.eq(rotation.successor.as_bytes()),
            sessions::rotation_salt.eq(rotation.salt.0.as_slice()),
            sessions::former_jti.eq(None::<TokenId>),
            sessions::access_jti.eq(rotation.access_token),
            sessions::issued_at.eq(times.now),
            sessions::last_active_at.eq(times.now),
            sessions::expires_at.eq(times.expires_at),
            sessions::access_seen.eq(false),
            sessions::recovered.eq(false),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Which sessions to end.
#[derive(Clone, Copy)]
pub enum Which {
    One(SessionId),
    OneOf(SessionId, UserId),
    AllOf(UserId),
    AllOfExcept(UserId, SessionId),
}

/// Ends live sessions and answers which: those that had ended before are left as they are.
pub fn revoke(
    conn: &mut Conn,
    which: Which,
    reason: Reason,
    by: Option<UserId>,
    now: Timestamp,
) -> DbResult<Vec<(SessionId, UserId)>> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let change = (
        sessions::revoked_at.eq(now),
        sessions::revoked_reason.eq(reason.name()),
        sessions::revoked_by.eq(by),
        sessions::revision.eq(sessions::revision + 1),
    );
    let ended = (sessions::id, sessions::user_id);
    macro_rules! end {
        ($filter:expr) => {
            diesel::update(sessions::table.filter(live).filter($filter))
                .set(change)
                .returning(ended)
                .get_results(conn)?
        };
    }
    Ok(match which {
        Which::One(session) => end!(sessions::id.eq(session)),
        Which::OneOf(session, user) => end!(sessions::id.eq(session).and(sessions::user_id.eq(user))),
        Which::AllOf(user) => end!(sessions::user_id.eq(user)),
        Which::AllOfExcept(user, session) => end!(sessions::user_id.eq(user).and(sessions::id.ne(session))),
    })
}

/// A session as its owner sees it.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct SessionRow {
    pub id: SessionId,
    pub created_at: Timestamp,
    pub last_active_at: Timestamp,
    pub expires_at: Timestamp,
    pub ends_at: Timestamp,
    pub token_digest: Vec<u8>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
    pub ip: Option<Address>,
    pub user_agent: Option<String>,
    pub name: Option<String>,
    pub amr: Names,
}

/// The sessions of one account, newest first; with those that have ended if `include_expired`.
pub fn of_user(conn: &mut Conn, user: UserId, include_expired: bool, now: Timestamp) -> DbResult<Vec<SessionRow>> {
    let all =
        sessions::table.filter(sessions::user_id.eq(user)).order((sessions::created_at.desc(), sessions::id.desc()));
    let columns = SessionRow::as_select();
    if include_expired {
        return Ok(all.select(columns).load(conn)?);
    }
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    Ok(all.filter(live).select(columns).load(conn)?)
}

/// One session of one account; `None` when it is somebody else's or none at all.
pub fn one_of_user(conn: &mut Conn, session: SessionId, user: UserId) -> DbResult<Option<SessionRow>> {
    let own = sessions::table.filter(sessions::id.eq(session)).filter(sessions::user_id.eq(user));
    Ok(own.select(SessionRow::as_select()).first(conn).optional()?)
}

/// Names a session; answers whether the account has such a one.
pub fn rename(conn: &mut Conn, session: SessionId, user: UserId, name: Option<&str>) -> DbResult<bool> {
    let own = sessions::table.filter(sessions::id.eq(session)).filter(sessions::user_id.eq(user));
    Ok(diesel::update(own).set(sessions::name.eq(name)).execute(conn)? == 1)
}

/// How many sessions are live.
pub fn count_live(conn: &mut Conn, now: Timestamp) -> DbResult<i64> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    Ok(sessions::table.filter(live).count().get_result(conn)?)
}
