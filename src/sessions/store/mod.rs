//! The rows of sessions: inserted, changed and deleted here, revoked in [`mod@revoke`], and listed and counted in
//! [`queries`].

mod browser;
mod queries;
mod revoke;
mod search;

use std::net::IpAddr;

use diesel::dsl::case_when;
use diesel::prelude::*;

use super::refresh::IdempotencyKey;
use super::rotation::{Rotation, RotationTimes};
use super::{SessionSnapshot, Subject};
use crate::db::schema::{sessions, users};
use crate::db::types::{IpColumn, Json, SqlTime};
use crate::db::{Conn, DbResult};
use crate::types::{ADMIN, Amr, Jti, KeyThumbprint, Roles, SessionId, SessionKind, Timestamp, UserId};

pub(super) use browser::{find_browser, is_browser_of, renew_browser, use_browser};
pub(super) use queries::{
    ExcessSession, PastSession, SessionRow, count_by_device, count_ended, count_live, excess_sessions, exists, find,
    first_login, ips, issued_before, list, past_sessions, summary,
};
pub(super) use revoke::{
    RecordedRevocation, RevokedAccessTokens, owner, recorded_revocations, revoke, revoke_access_tokens,
    rewrite_revision, rewrite_revoked,
};
pub(super) use search::{OwnedRow, find_owned, search, window_end};

/// A new session.
pub(super) struct NewSession<'a> {
    pub snapshot: &'a SessionSnapshot,
    pub kind: SessionKind,
    pub token_digest: &'a [u8],
    pub ip: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    pub device: Json,
    /// The place of the login, which refreshes do not change.
    pub location: Option<Json>,
    pub name: Option<&'a str>,
    pub account_revision: i64,
    /// The session with which this one ends.
    pub parent: Option<SessionId>,
}

/// Inserts a session.
pub(super) fn insert(conn: &mut Conn, new: &NewSession<'_>) -> DbResult<()> {
    let snapshot = new.snapshot;
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(snapshot.session),
            sessions::user_id.eq(snapshot.subject.id),
            sessions::created_at.eq(snapshot.issued_at),
            sessions::authenticated_at.eq(snapshot.authenticated_at),
            sessions::last_active_at.eq(snapshot.issued_at),
            sessions::expires_at.eq(snapshot.expires_at),
            sessions::ends_at.eq(snapshot.ends_at),
            sessions::generation.eq(snapshot.generation),
            sessions::revision.eq(snapshot.revision),
            sessions::token_digest.eq(new.token_digest),
            sessions::issued_at.eq(snapshot.issued_at),
            sessions::access_expires_at.eq(snapshot.access_expires_at),
            sessions::access_jti.eq(snapshot.access_jti),
            sessions::ip.eq(new.ip.map(IpColumn)),
            sessions::user_agent.eq(new.user_agent),
            sessions::device.eq(&new.device),
            sessions::location.eq(new.location.as_ref()),
            sessions::name.eq(new.name),
            sessions::amr.eq(&snapshot.amr),
            sessions::client_id.eq(&snapshot.client_id),
            sessions::actor_id.eq(snapshot.actor),
            sessions::parent_id.eq(new.parent),
            sessions::account_revision.eq(new.account_revision),
            sessions::dpop_jkt.eq(snapshot.bound_to),
            sessions::kind.eq(new.kind.name()),
            // Not the digest of tokens: an index of that would have every rotation write all indexes.
            sessions::cookie_digest.eq((new.kind == SessionKind::Browser).then_some(new.token_digest)),
        ))
        .execute(conn)?;
    Ok(())
}

/// A session's family of refresh tokens: the columns by which a refresh is judged.
#[derive(Clone)]
pub(super) struct TokenFamily {
    pub snapshot: SessionSnapshot,
    pub token_digest: Vec<u8>,
    pub parent_digest: Option<Vec<u8>>,
    pub rotation_salt: Option<Vec<u8>>,
    pub access_seen: bool,
    pub recovered: bool,
    pub recovery_debt: i32,
    pub rotation_key: Option<Vec<u8>>,
    pub former_rotation_key: Option<Vec<u8>>,
    pub doubted_generation: Option<i64>,
    pub doubted_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
    pub disabled_at: Option<Timestamp>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = sessions)]
struct TokenFamilyRow {
    id: SessionId,
    user_id: UserId,
    generation: i64,
    revision: i64,
    access_jti: Jti,
    former_jti: Option<Jti>,
    issued_at: Timestamp,
    access_expires_at: Timestamp,
    expires_at: Timestamp,
    ends_at: Timestamp,
    authenticated_at: Timestamp,
    amr: Amr,
    client_id: String,
    token_digest: Vec<u8>,
    parent_digest: Option<Vec<u8>>,
    rotation_salt: Option<Vec<u8>>,
    access_seen: bool,
    recovered: bool,
    recovery_debt: i32,
    rotation_key: Option<Vec<u8>>,
    former_rotation_key: Option<Vec<u8>>,
    doubted_generation: Option<i64>,
    doubted_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    revoked_reason: Option<String>,
    actor_id: Option<UserId>,
    valid_from_revision: i64,
    dpop_jkt: Option<KeyThumbprint>,
}

/// Finds a session's token family.
pub(super) fn token_family(conn: &mut Conn, session: SessionId) -> DbResult<Option<TokenFamily>> {
    type OwnerRow = (String, Option<String>, Roles, Option<Timestamp>, Option<Timestamp>);
    let found: Option<(TokenFamilyRow, OwnerRow)> = sessions::table
        .inner_join(users::table)
        .filter(sessions::id.eq(session))
        .select((
            TokenFamilyRow::as_select(),
            (users::email, users::name, users::roles, users::disabled_at, users::email_verified_at),
        ))
        .first(conn)
        .optional()?;
    Ok(found.map(|(row, (email, name, roles, disabled_at, email_verified_at))| TokenFamily {
        snapshot: SessionSnapshot {
            session: row.id,
            subject: Subject {
                id: row.user_id,
                email,
                name,
                roles: if row.actor_id.is_some() { roles.without(ADMIN) } else { roles },
                email_verified: email_verified_at.is_some(),
            },
            generation: row.generation,
            revision: row.revision,
            access_jti: row.access_jti,
            former_access_jti: row.former_jti,
            issued_at: row.issued_at,
            access_expires_at: row.access_expires_at,
            expires_at: row.expires_at,
            ends_at: row.ends_at,
            authenticated_at: row.authenticated_at,
            amr: row.amr,
            client_id: row.client_id,
            actor: row.actor_id,
            valid_from_revision: row.valid_from_revision,
            bound_to: row.dpop_jkt,
        },
        token_digest: row.token_digest,
        parent_digest: row.parent_digest,
        rotation_salt: row.rotation_salt,
        access_seen: row.access_seen,
        recovered: row.recovered,
        recovery_debt: row.recovery_debt,
        rotation_key: row.rotation_key,
        former_rotation_key: row.former_rotation_key,
        doubted_generation: row.doubted_generation,
        doubted_at: row.doubted_at,
        revoked_at: row.revoked_at,
        revoked_reason: row.revoked_reason,
        disabled_at,
    }))
}

/// Records that the current generation is issued again with a new access token, unless the row has changed since
/// `family` was read. Returns whether it was recorded.
pub(super) fn recover(
    conn: &mut Conn,
    family: &TokenFamily,
    access_jti: Jti,
    debt: i32,
    times: RotationTimes,
) -> DbResult<bool> {
    let unchanged = sessions::table
        .filter(sessions::id.eq(family.snapshot.session))
        .filter(sessions::generation.eq(family.snapshot.generation))
        .filter(sessions::revision.eq(family.snapshot.revision))
        .filter(sessions::access_seen.eq(false))
        .filter(sessions::revoked_at.is_null());
    let changed = diesel::update(unchanged)
        .set((
            sessions::revision.eq(family.snapshot.revision + 1),
            sessions::former_jti.eq(family.snapshot.access_jti),
            sessions::access_jti.eq(access_jti),
            sessions::issued_at.eq(times.now),
            sessions::access_expires_at.eq(family.snapshot.access_expires_at.max(times.access_expires_at)),
            sessions::last_active_at.eq(times.now),
            sessions::recovered.eq(true),
            sessions::recovery_debt.eq(debt),
            sessions::recoveries.eq(sessions::recoveries + i32::from(!family.recovered)),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Records that a replaced token was presented, unless the row has changed since `family` was read. Returns whether it
/// was recorded.
pub(super) fn doubt(conn: &mut Conn, family: &TokenFamily, presented: i64, arrived: Timestamp) -> DbResult<bool> {
    let unchanged = sessions::table
        .filter(sessions::id.eq(family.snapshot.session))
        .filter(sessions::generation.eq(family.snapshot.generation))
        .filter(sessions::doubted_generation.is_null().or(sessions::doubted_generation.lt(presented)))
        .filter(sessions::revoked_at.is_null());
    let doubt = (sessions::doubted_generation.eq(presented), sessions::doubted_at.eq(arrived));
    Ok(diesel::update(unchanged).set(doubt).execute(conn)? == 1)
}

/// Updates the row to a token of a later generation, whose rotation the database has lost: the token's successor
/// becomes current. Returns whether the row still had an earlier generation.
pub(super) fn catch_up(conn: &mut Conn, rotation: &Rotation, generation: i64, times: RotationTimes) -> DbResult<bool> {
    let behind = sessions::table
        .filter(sessions::id.eq(rotation.session))
        .filter(sessions::generation.lt(generation))
        .filter(sessions::actor_id.is_null())
        .filter(sessions::revoked_at.is_null());
    let own = times.access_expires_at;
    let latest = case_when(sessions::access_expires_at.lt(own), own.into_sql::<SqlTime>())
        .otherwise(sessions::access_expires_at);
    let changed = diesel::update(behind)
        .set((
            sessions::generation.eq(generation + 1),
            sessions::revision.eq(sessions::revision + 1),
            sessions::parent_digest.eq(rotation.presented.as_bytes()),
            sessions::token_digest.eq(rotation.successor.as_bytes()),
            sessions::rotation_salt.eq(rotation.salt.0.as_slice()),
            sessions::former_jti.eq(None::<Jti>),
            sessions::access_jti.eq(rotation.access_jti),
            sessions::issued_at.eq(times.now),
            sessions::access_expires_at.eq(latest),
            sessions::last_active_at.eq(times.now),
            sessions::expires_at.eq(times.expires_at),
            sessions::access_seen.eq(false),
            sessions::recovered.eq(false),
            sessions::rotation_key.eq(rotation.key.as_ref().map(IdempotencyKey::as_bytes)),
            sessions::former_rotation_key.eq(None::<Vec<u8>>),
        ))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Forgets the id of an access token, which the row's current one is replaced by `other`.
pub(super) fn forget_access_token(conn: &mut Conn, session: SessionId, jti: Jti, other: Jti) -> DbResult<()> {
    let own = sessions::table.filter(sessions::id.eq(session));
    let next = sessions::revision.eq(sessions::revision + 1);
    let current = own.filter(sessions::access_jti.eq(jti));
    diesel::update(current).set((sessions::access_jti.eq(other), next)).execute(conn)?;
    let former = own.filter(sessions::former_jti.eq(jti));
    diesel::update(former).set((sessions::former_jti.eq(None::<Jti>), next)).execute(conn)?;
    Ok(())
}

/// Locks a live session. Returns when it ends unless it is refreshed; `None` if it has ended.
pub(super) fn lock_live(conn: &mut Conn, session: SessionId, now: Timestamp) -> DbResult<Option<Timestamp>> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let ends: Vec<(Timestamp, Timestamp)> =
        diesel::update(sessions::table.filter(sessions::id.eq(session)).filter(live))
            .set(sessions::revision.eq(sessions::revision))
            .returning((sessions::expires_at, sessions::ends_at))
            .get_results(conn)?;
    Ok(ends.into_iter().next().map(|(expires_at, ends_at)| expires_at.min(ends_at)))
}

/// Records that a session's owner has authenticated again. Returns whether the session is live.
pub(super) fn reauthenticate(conn: &mut Conn, session: SessionId, amr: &Amr, now: Timestamp) -> DbResult<bool> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let changed = diesel::update(sessions::table.filter(sessions::id.eq(session)).filter(live))
        .set((sessions::authenticated_at.eq(now), sessions::amr.eq(amr), sessions::revision.eq(sessions::revision + 1)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Records that a session's owner has shown another factor since the last authentication. Returns whether the session
/// is live.
pub(super) fn set_amr(conn: &mut Conn, session: SessionId, amr: &Amr, now: Timestamp) -> DbResult<bool> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let changed = diesel::update(sessions::table.filter(sessions::id.eq(session)).filter(live))
        .set((sessions::amr.eq(amr), sessions::revision.eq(sessions::revision + 1)))
        .execute(conn)?;
    Ok(changed == 1)
}

/// Deletes the names that were given to an account's sessions.
pub(super) fn clear_names(conn: &mut Conn, user: UserId) -> DbResult<()> {
    let named = sessions::table.filter(sessions::user_id.eq(user)).filter(sessions::name.is_not_null());
    diesel::update(named).set(sessions::name.eq(None::<&str>)).execute(conn)?;
    Ok(())
}

/// Has the live sessions of an account take over its revision.
pub(super) fn take_over(conn: &mut Conn, user: UserId, account_revision: i64, now: Timestamp) -> DbResult<()> {
    let live = sessions::revoked_at.is_null().and(sessions::expires_at.gt(now)).and(sessions::ends_at.gt(now));
    let owned = sessions::table.filter(sessions::user_id.eq(user)).filter(live);
    let change = (sessions::revision.eq(sessions::revision + 1), sessions::account_revision.eq(account_revision));
    diesel::update(owned).set(change).execute(conn)?;
    Ok(())
}

/// Renames a session. Returns whether it had another name; `None` if the account does not have the session.
pub(super) fn rename(conn: &mut Conn, session: SessionId, user: UserId, name: Option<&str>) -> DbResult<Option<bool>> {
    let target = sessions::table.filter(sessions::id.eq(session)).filter(sessions::user_id.eq(user));
    let present: Option<Option<String>> = target.select(sessions::name).first(conn).optional()?;
    let Some(present) = present else { return Ok(None) };
    if present.as_deref() == name {
        return Ok(Some(false));
    }
    Ok((diesel::update(target).set(sessions::name.eq(name)).execute(conn)? == 1).then_some(true))
}

/// Deletes the sessions that ended at `before` or earlier among the `limit` sessions after `after` in the order of ids,
/// which is the order of their logins. Returns how many were deleted and the last id that was examined; `None` if no
/// session that old is left. There is no index of the ends, because every refresh would have to update it.
pub(super) fn expire(
    conn: &mut Conn,
    before: Timestamp,
    after: SessionId,
    limit: i64,
) -> DbResult<(usize, Option<SessionId>)> {
    let end = first_id(before);
    let next = sessions::table.filter(sessions::id.gt(after)).filter(sessions::id.lt(end)).order(sessions::id);
    let last = next.select(sessions::id).offset(limit.saturating_sub(1)).limit(1).first(conn).optional()?;
    let expired = sessions::expires_at.le(before).or(sessions::ends_at.le(before));
    let ended = sessions::revoked_at.is_not_null().and(sessions::revoked_at.le(before)).or(expired.nullable());
    let range = sessions::table.filter(sessions::id.gt(after)).filter(sessions::id.le(last.unwrap_or(end)));
    Ok((diesel::delete(range.filter(ended)).execute(conn)?, last))
}

/// Deletes up to `limit` sessions of an account, and removes what identifies it from as many of those in which it acted
/// for others. Returns how many there were.
pub(super) fn erase(conn: &mut Conn, user: UserId, limit: i64) -> DbResult<usize> {
    let own = sessions::table.filter(sessions::user_id.eq(user)).select(sessions::id).limit(limit);
    let own: Vec<SessionId> = own.load(conn)?;
    diesel::delete(sessions::table.filter(sessions::id.eq_any(&own))).execute(conn)?;
    let left = limit.saturating_sub(i64::try_from(own.len()).unwrap_or(i64::MAX));
    let identifies = sessions::ip.is_not_null().or(sessions::user_agent.is_not_null());
    let acted =
        sessions::table.filter(sessions::actor_id.eq(user)).filter(identifies.or(sessions::location.is_not_null()));
    let acted: Vec<SessionId> = acted.select(sessions::id).limit(left).load(conn)?;
    let nothing = (
        sessions::ip.eq(None::<IpColumn>),
        sessions::user_agent.eq(None::<String>),
        sessions::location.eq(None::<Json>),
    );
    diesel::update(sessions::table.filter(sessions::id.eq_any(&acted))).set(nothing).execute(conn)?;
    Ok(own.len().saturating_add(acted.len()))
}

/// Returns the lowest possible id of a session that is opened at `time`.
fn first_id(time: Timestamp) -> SessionId {
    let millis = u64::try_from(time.as_millis()).unwrap_or(0);
    SessionId(uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid())
}
