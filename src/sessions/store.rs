//! Sessions as rows.

use diesel::prelude::*;

use super::rotation::{Rotation, RotationTimes};
use super::{ADMIN, Standing};
use crate::clock::Timestamp;
use crate::db::schema::{sessions, users};
use crate::db::types::{Address, Json, Names, SessionId, TokenId, UserId};
use crate::db::{Conn, DbResult};
use crate::revocations::Reason;

/// A session at its beginning.
pub struct NewSession<'a> {
    pub standing: &'a Standing,
    pub token_digest: &'a [u8],
    pub address: Option<Address>,
    pub user_agent: Option<&'a str>,
    pub device: Json,
    /// Where the login was made; refreshes leave it.
    pub location: Option<Json>,
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
            sessions::device.eq(&new.device),
            sessions::location.eq(new.location.as_ref()),
            sessions::name.eq(new.name),
            sessions::amr.eq(&standing.amr),
            sessions::client_id.eq(&standing.client_id),
            sessions::actor_id.eq(standing.actor),
            sessions::metadata.eq(Json(serde_json::json!({}))),
        ))
        .execute(conn)?;
    Ok(())
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
    actor_id: Option<UserId>,
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
            subject: super::Subject {
                id: row.user_id,
                email,
                name,
                roles: if row.actor_id.is_some() { roles.without(ADMIN) } else { roles },
                email_verified: None,
            },
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
            actor: row.actor_id,
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
        .filter(sessions::actor_id.is_null())
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

/// Notes that a session's owner has authenticated again. Answers whether the session is live.
pub fn reauthenticate(conn: &mut Conn, session: SessionId, amr: &Names, now: Timestamp) -> DbResult<bool> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let changed = diesel::update(sessions::table.filter(sessions::id.eq(session)).filter(live))
        .set((sessions::authenticated_at.eq(now), sessions::amr.eq(amr), sessions::revision.eq(sessions::revision + 1)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Which sessions to end: the live ones of these. All sessions of an account are also those in which it acts for others.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    One(SessionId),
    OneOf(SessionId, UserId),
    AllOf(UserId),
    AllOfExcept(UserId, SessionId),
    /// Those in which this account acts for others.
    ActedBy(UserId),
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
        Which::AllOf(user) => end!(sessions::user_id.eq(user).or(sessions::actor_id.eq(user).assume_not_null())),
        Which::AllOfExcept(user, session) => end!(
            sessions::user_id.eq(user).or(sessions::actor_id.eq(user).assume_not_null()).and(sessions::id.ne(session))
        ),
        Which::ActedBy(user) => end!(sessions::actor_id.eq(user)),
    })
}

/// The access tokens of an account's live sessions, each with the one before it.
pub fn access_tokens(conn: &mut Conn, user: UserId, now: Timestamp) -> DbResult<Vec<(SessionId, TokenId)>> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    // A write, so that a refresh at the same time comes either before this transaction or after it.
    let rows: Vec<(SessionId, TokenId, Option<TokenId>)> =
        diesel::update(sessions::table.filter(sessions::user_id.eq(user)).filter(live))
            .set(sessions::revision.eq(sessions::revision + 1))
            .returning((sessions::id, sessions::access_jti, sessions::former_jti))
            .get_results(conn)?;
    let tokens = rows.into_iter().flat_map(|(session, token, former)| {
        [Some(token), former].into_iter().flatten().map(move |token| (session, token))
    });
    Ok(tokens.collect())
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
    pub device: Json,
    pub name: Option<String>,
    pub amr: Names,
    pub actor_id: Option<UserId>,
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

/// Whether there is such a session, live or not.
pub fn exists(conn: &mut Conn, session: SessionId) -> DbResult<bool> {
    let found: Option<SessionId> =
        sessions::table.filter(sessions::id.eq(session)).select(sessions::id).first(conn).optional()?;
    Ok(found.is_some())
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

/// A live session that an account has beyond its limit.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Beyond {
    pub id: SessionId,
    pub name: Option<String>,
    pub device: Json,
    pub last_active_at: Timestamp,
}

/// The live sessions of an account besides `newest` and the `kept` that were used last, the most recently used first.
/// Those in which somebody acts for its owner do not count.
pub fn beyond(conn: &mut Conn, newest: &Standing, kept: i64) -> DbResult<Vec<Beyond>> {
    let now = newest.issued_at;
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let others = sessions::table
        .filter(sessions::user_id.eq(newest.subject.id))
        .filter(sessions::id.ne(newest.session))
        .filter(sessions::actor_id.is_null())
        .filter(live);
    let last_used_first = (sessions::last_active_at.desc(), sessions::created_at.desc(), sessions::id.desc());
    // SQLite has no OFFSET without a LIMIT.
    Ok(others.order(last_used_first).limit(i64::MAX).offset(kept).select(Beyond::as_select()).load(conn)?)
}

/// Whether the owner of an account wants to be told of what happens to it, beyond what is always told.
pub fn wants_alerts(conn: &mut Conn, user: UserId) -> DbResult<bool> {
    let wants = users::table.filter(users::id.eq(user)).select(users::alerts).first(conn).optional()?;
    Ok(wants.unwrap_or(false))
}

/// An earlier session, as far as it tells what is usual for its account.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
pub struct Earlier {
    pub device: Json,
    /// Where its login was made.
    pub location: Option<Json>,
    pub created_at: Timestamp,
}

/// The sessions that an account's owner has opened besides `session`, whether they have ended or not, the latest first
/// and `limit` at most. One of which the owner said "this wasn't me" is none.
pub fn earlier(conn: &mut Conn, user: UserId, session: SessionId, limit: i64) -> DbResult<Vec<Earlier>> {
    let others = sessions::table
        .filter(sessions::user_id.eq(user))
        .filter(sessions::id.ne(session))
        .filter(sessions::actor_id.is_null())
        .filter(sessions::revoked_reason.is_null().or(sessions::revoked_reason.ne(Reason::ReportedByOwner.name())));
    let latest_first = (sessions::created_at.desc(), sessions::id.desc());
    Ok(others.order(latest_first).limit(limit).select(Earlier::as_select()).load(conn)?)
}

/// Where the clients of an account's sessions were last seen, of the latest `limit` sessions. Those that a thief had part
/// in do not count.
pub fn addresses(conn: &mut Conn, user: UserId, limit: i64) -> DbResult<Vec<Address>> {
    let stolen = [Reason::RefreshTokenReused, Reason::ReportedByOwner].map(Reason::name);
    let own = sessions::table
        .filter(sessions::user_id.eq(user))
        .filter(sessions::actor_id.is_null())
        .filter(sessions::revoked_reason.is_null().or(sessions::revoked_reason.ne_all(stolen)));
    let latest_first = (sessions::created_at.desc(), sessions::id.desc());
    let rows: Vec<Option<Address>> = own.order(latest_first).limit(limit).select(sessions::ip).load(conn)?;
    Ok(rows.into_iter().flatten().collect())
}

/// What a letter about a session tells of it.
pub struct Told {
    pub email: String,
    pub name: Option<String>,
    pub device: Json,
    pub location: Option<Json>,
    pub ip: Option<Address>,
}

/// `None` when there is no such session.
pub fn told(conn: &mut Conn, session: SessionId) -> DbResult<Option<Told>> {
    type Row = (String, Option<String>, Json, Option<Json>, Option<Address>);
    let columns = (users::email, sessions::name, sessions::device, sessions::location, sessions::ip);
    let found = sessions::table.inner_join(users::table).filter(sessions::id.eq(session));
    let row: Option<Row> = found.select(columns).first(conn).optional()?;
    Ok(row.map(|(email, name, device, location, ip)| Told { email, name, device, location, ip }))
}
