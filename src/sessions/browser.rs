//! Browser sessions: logins on this server's own pages. Such a session has no tokens. Its secret is an opaque cookie,
//! of which the row has the digest, and each request for a page asks the database for it: what has ended opens nothing
//! any more, on any server. It is not replaced from request to request, but when its owner authenticates again.

use std::time::Duration;

use super::{BrowserCookie, Reauthenticated, Session, SessionSnapshot, Sessions, store};
use crate::db::{Conn, DbResult};
use crate::tokens::opaque::{self, Kind, OpaqueToken, Purpose, TokenRecord};
use crate::types::{SessionId, Timestamp, UserId};

/// How often the use of a browser session is recorded.
const USE_INTERVAL: Duration = Duration::from_secs(60);

impl Sessions {
    /// Finds the live browser session with this secret, and its account as they are now, with the tag of the language
    /// that the account has chosen.
    pub(crate) async fn find_browser(
        &self,
        secret: &OpaqueToken,
    ) -> DbResult<Option<(SessionSnapshot, Option<String>)>> {
        let digest = secret.digest();
        let found = self.db.read(move |conn| store::find_browser(conn, &digest)).await?;
        let now = self.clock.now();
        let live = found.filter(|(found, _)| {
            found.revoked_at.is_none() && found.disabled_at.is_none() && now < found.snapshot.deadline()
        });
        Ok(live.map(|(found, language)| (found.snapshot, language)))
    }

    /// Finds the browser session with this secret if it has ended, so that its page can say so.
    pub(crate) async fn find_ended_browser(&self, secret: &OpaqueToken) -> DbResult<Option<Session>> {
        let digest = secret.digest();
        let Some((found, _)) = self.db.read(move |conn| store::find_browser(conn, &digest)).await? else {
            return Ok(None);
        };
        let session = self.find(found.snapshot.session, found.snapshot.subject.id).await?;
        Ok(session.filter(|session| session.has_ended))
    }

    /// Replaces the secret of a browser session in the caller's transaction, so that a copy of the `presented` one
    /// opens nothing after its owner has authenticated again. Returns the new one, or `None` if another request has
    /// replaced the presented one: its answer brings the browser the cookie that counts.
    pub(crate) fn renew_browser(
        &self,
        conn: &mut Conn,
        session: SessionId,
        presented: &OpaqueToken,
    ) -> DbResult<Option<OpaqueToken>> {
        let secret = OpaqueToken::generate(Kind::BrowserSession, &self.random);
        Ok(store::renew_browser(conn, session, &presented.digest(), &secret.digest())?.then_some(secret))
    }

    /// Replaces the `presented` secret of a browser session after its owner has changed how the account is protected.
    /// Returns the new cookie, or `None` if another request has replaced the secret.
    pub(crate) async fn replace_cookie(
        &self,
        own: &SessionSnapshot,
        presented: OpaqueToken,
    ) -> DbResult<Option<BrowserCookie>> {
        let sessions = self.clone();
        let session = own.session;
        let secret = self.db.write(move |conn| sessions.renew_browser(conn, session, &presented)).await?;
        let max_age = own.ends_at.since(self.clock.now());
        Ok(secret.map(|secret| BrowserCookie { secret, max_age }))
    }

    /// Returns a browser session whose owner has authenticated again, after the commit, with its new cookie if it has
    /// got one.
    pub(crate) fn renewed_browser(
        reauthenticated: Reauthenticated,
        secret: Option<OpaqueToken>,
    ) -> (SessionSnapshot, Option<BrowserCookie>) {
        let Reauthenticated { snapshot, at } = reauthenticated;
        let max_age = snapshot.ends_at.since(at);
        (snapshot, secret.map(|secret| BrowserCookie { secret, max_age }))
    }

    /// Returns a mark for a form that may be sent once.
    pub(crate) fn mark_form(&self) -> OpaqueToken {
        OpaqueToken::generate(Kind::Form, &self.random)
    }

    /// Records that the form with a mark was sent in a session. Returns whether it was not sent before.
    pub(crate) async fn claim_form(&self, own: &SessionSnapshot, mark: OpaqueToken) -> DbResult<bool> {
        let record = TokenRecord { purpose: Purpose::SentForm, user: own.subject.id, session: Some(own.session) };
        let now = self.clock.now();
        self.db.write(move |conn| opaque::claim(conn, &mark, record, now)).await
    }

    /// Locks a browser session in the caller's transaction, so that it cannot end before a session within it is there.
    /// Returns whether it is a live one of `user`.
    pub(crate) fn lock_parent(&self, conn: &mut Conn, parent: SessionId, user: UserId) -> DbResult<bool> {
        Ok(store::lock_live(conn, parent, self.clock.now())?.is_some() && store::is_browser_of(conn, parent, user)?)
    }

    /// Records that a browser session was used by its owner, at most once a minute. Nobody waits for it, and it may be
    /// lost.
    pub(crate) fn note_browser_use(&self, snapshot: &SessionSnapshot) {
        let now = self.clock.now();
        let expires_at = self.idle_end(now, snapshot.ends_at);
        if expires_at.since(snapshot.expires_at) < USE_INTERVAL {
            return;
        }
        let db = self.db.clone();
        let session = snapshot.session;
        tokio::spawn(async move {
            if let Err(error) = db.write(move |conn| store::use_browser(conn, session, now, expires_at)).await {
                tracing::debug!(%error, "the use of a browser session was not recorded");
            }
        });
    }

    fn idle_end(&self, now: Timestamp, ends_at: Timestamp) -> Timestamp {
        now.plus(self.policy.browser_sessions.idle).min(ends_at)
    }
}
