//! Challenges: logins that wait for their second factor.

use super::Mfa;
use super::store::{self, ChallengeRow};
use crate::db::{Conn, DbError, DbResult};
use crate::tokens::opaque::{self, IssuedToken, OpaqueToken, Purpose, TokenRecord};
use crate::types::{KeyThumbprint, Label, SessionId, Transport, UserId};

/// The maximum number of codes per challenge. After that the login has to start again.
const MAX_ATTEMPTS: i32 = 5;

/// A challenge as it was created with the password.
pub(crate) struct Challenge {
    /// The account.
    pub user: UserId,
    /// How the client receives its tokens.
    pub transport: Transport,
    /// The key whose possession the client has proven.
    pub proven: Option<KeyThumbprint>,
    /// The browser session that the session is to end with.
    pub parent: Option<SessionId>,
}

/// A login that waits for its second factor.
pub(crate) struct PendingLogin {
    /// How the client receives its tokens.
    pub transport: Transport,
    /// The name that the client gave the device.
    pub device_name: Option<String>,
    /// The browser session that the session is to end with.
    pub parent: Option<SessionId>,
}

impl Mfa {
    /// Creates a challenge for a login and returns its token.
    pub(crate) fn challenge(
        &self,
        conn: &mut Conn,
        challenge: Challenge,
        device_name: Option<&Label>,
    ) -> DbResult<OpaqueToken> {
        let Challenge { user, transport, proven, parent } = challenge;
        let record = TokenRecord { purpose: Purpose::MfaChallenge, user, session: None };
        let IssuedToken { token, .. } = opaque::issue(conn, record, &self.random, self.clock.now())?;
        let challenge = ChallengeRow {
            transport: transport.name().to_owned(),
            device_name: device_name.map(|name| name.as_str().to_owned()),
            dpop_jkt: proven,
            parent_id: parent,
        };
        store::insert_challenge(conn, &token.digest(), challenge)?;
        Ok(token)
    }

    /// Finds the challenge with this token.
    pub(crate) async fn find_challenge(&self, token: &OpaqueToken) -> DbResult<Option<Challenge>> {
        let token = token.clone();
        let now = self.clock.now();
        let find = move |conn: &mut Conn| {
            let Some(record) = opaque::find(conn, &token, &[Purpose::MfaChallenge], now)? else { return Ok(None) };
            let Some(row) = store::find_challenge(conn, &token.digest())? else { return Ok(None) };
            let transport = transport_of(&row.transport)?;
            Ok(Some(Challenge { user: record.user, transport, proven: row.dpop_jkt, parent: row.parent_id }))
        };
        self.db.read(find).await
    }

    /// Counts an attempt at the challenge of `user` with `token`. Returns `None` if the challenge does not exist or has
    /// expired, or if too many codes were tried.
    pub(crate) fn attempt_challenge(
        &self,
        conn: &mut Conn,
        user: UserId,
        token: &OpaqueToken,
    ) -> DbResult<Option<PendingLogin>> {
        let found = opaque::find(conn, token, &[Purpose::MfaChallenge], self.clock.now())?;
        if found.is_none_or(|record| record.user != user) {
            return Ok(None);
        }
        let Some(row) = store::attempt_challenge(conn, &token.digest(), MAX_ATTEMPTS)? else { return Ok(None) };
        let transport = transport_of(&row.transport)?;
        Ok(Some(PendingLogin { transport, device_name: row.device_name, parent: row.parent_id }))
    }

    /// Redeems the token of a challenge whose code was accepted. Returns whether the token was valid.
    pub(crate) fn redeem_challenge(&self, conn: &mut Conn, user: UserId, token: &OpaqueToken) -> DbResult<bool> {
        let record = TokenRecord { purpose: Purpose::MfaChallenge, user, session: None };
        opaque::redeem(conn, token, record, self.clock.now())
    }
}

fn transport_of(name: &str) -> DbResult<Transport> {
    Transport::parse(name).ok_or_else(|| DbError::Unexpected(format!("a challenge has the unknown transport {name:?}")))
}
