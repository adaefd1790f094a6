//! Browser sessions: logins on this server's own pages. Such a session has no tokens. Its secret is an opaque cookie,
//! of which the row has the digest, and each request for a page asks the database for it: what has ended opens nothing
//! any more, on any server. It is not replaced from request to request.

use std::time::Duration;

use super::{SessionSnapshot, Sessions, store};
use crate::db::DbResult;
use crate::tokens::opaque::OpaqueToken;
use crate::types::Timestamp;

/// How often the use of a browser session is recorded.
const USE_INTERVAL: Duration = Duration::from_secs(60);

impl Sessions {
    /// Finds the live browser session with this secret, and its account as they are now.
    pub(crate) async fn find_browser(&self, secret: &OpaqueToken) -> DbResult<Option<SessionSnapshot>> {
        let digest = secret.digest();
        let found = self.db.read(move |conn| store::find_browser(conn, &digest)).await?;
        let now = self.clock.now();
        let live = found.filter(|found| {
            found.revoked_at.is_none() && found.disabled_at.is_none() && now < found.snapshot.deadline()
        });
        Ok(live.map(|found| found.snapshot))
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
