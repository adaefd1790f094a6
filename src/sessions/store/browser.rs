//! The rows of browser sessions.

use diesel::prelude::*;

use super::{TokenFamily, token_family};
use crate::db::schema::{sessions, users};
use crate::db::{Conn, DbResult};
use crate::types::{SessionId, SessionKind, Timestamp, UserId};

/// Finds the session of a browser by the digest of its cookie, and the language of its account.
pub(crate) fn find_browser(conn: &mut Conn, digest: &[u8]) -> DbResult<Option<(TokenFamily, Option<String>)>> {
    let own = sessions::table.inner_join(users::table).filter(sessions::cookie_digest.eq(digest));
    let found: Option<(SessionId, Option<String>)> =
        own.select((sessions::id, users::language)).first(conn).optional()?;
    let Some((session, language)) = found else { return Ok(None) };
    Ok(token_family(conn, session)?.map(|family| (family, language)))
}

/// Returns whether a session is a browser's, and its own login of `user`.
pub(crate) fn is_browser_of(conn: &mut Conn, session: SessionId, user: UserId) -> DbResult<bool> {
    let own = sessions::table.filter(sessions::id.eq(session)).filter(sessions::user_id.eq(user));
    let own = own.filter(sessions::kind.eq(SessionKind::Browser.name())).filter(sessions::actor_id.is_null());
    Ok(own.count().get_result::<i64>(conn)? == 1)
}

/// Records the use of a browser session, which ends at `expires_at` unless it is used again.
pub(crate) fn use_browser(conn: &mut Conn, session: SessionId, now: Timestamp, expires_at: Timestamp) -> DbResult<()> {
    let own = sessions::table.filter(sessions::id.eq(session)).filter(sessions::expires_at.lt(expires_at));
    let live = own.filter(sessions::revoked_at.is_null()).filter(sessions::expires_at.gt(now));
    diesel::update(live).set((sessions::last_active_at.eq(now), sessions::expires_at.eq(expires_at))).execute(conn)?;
    Ok(())
}

/// Replaces the secret of a browser session by its digest. Returns whether the session still has the `former` one.
pub(crate) fn renew_browser(conn: &mut Conn, session: SessionId, former: &[u8], digest: &[u8]) -> DbResult<bool> {
    let own = sessions::table.filter(sessions::id.eq(session)).filter(sessions::cookie_digest.eq(former));
    Ok(diesel::update(own).set(sessions::cookie_digest.eq(digest)).execute(conn)? == 1)
}
