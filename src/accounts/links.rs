//! Links in emails: the account of a token, and the details that its page shows.

use std::time::Duration;

use super::email_change;
use super::store::{self, AccountRow, LockedAccount};
use crate::audit::Actor;
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::sessions::Sessions;
use crate::tokens::opaque::{self, OpaqueToken, Purpose, TokenRecord};
use crate::types::{Requester, Timestamp};

/// Why a link was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The token is unknown, expired, used or replaced, or its account is disabled or waits for its deletion. The error
    /// does not reveal which.
    #[error("the link is not valid or has expired")]
    Invalid,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbError),
}

/// The details of a link, for its page.
pub(crate) struct LinkInfo {
    /// The purpose of the link.
    pub purpose: Purpose,
    /// The email address of the account.
    pub email: String,
    /// The new address, for a change of email address.
    pub new_email: Option<String>,
    /// Whether a report of a login revokes one session instead of all.
    pub is_about_one_session: bool,
    /// Whether the link is the first proof of the address.
    pub is_first_proof: bool,
    /// The creation of the account, for the verification of its address.
    pub creation: Creation,
}

/// The creation of an account.
pub(crate) struct Creation {
    /// The name of the account.
    pub name: Option<String>,
    /// The time.
    pub at: Timestamp,
    /// The device of the registration, unless an operator created the account.
    pub device: Option<String>,
    /// The place of the registration, if it is known.
    pub place: Option<String>,
}

/// The longest time between an account and the session that was opened with it.
const REGISTRATION: Duration = Duration::from_secs(60);

/// The links in emails. Clones share everything.
#[derive(Clone)]
pub(crate) struct Links {
    /// The database.
    pub db: Db,
    /// The sessions.
    pub sessions: Sessions,
    /// The clock.
    pub clock: Clock,
}

/// A valid link: its token with its purpose, and its account.
pub(super) struct ValidLink {
    pub token: OpaqueToken,
    pub record: TokenRecord,
    pub account: AccountRow,
}

impl ValidLink {
    /// Returns the account's owner as the actor, because whoever has the link can read the owner's emails.
    pub(super) fn actor(&self, requester: &Requester) -> Actor {
        Actor { user: Some(self.record.user), session: None, requester: requester.clone() }
    }
}

impl Links {
    /// Returns the details of the link with `token`, if it is valid for one of `purposes`. The link stays valid.
    ///
    /// # Errors
    /// The link is not valid.
    pub(crate) async fn info(
        &self,
        token: Option<&OpaqueToken>,
        purposes: &'static [Purpose],
    ) -> Result<LinkInfo, LinkError> {
        let ValidLink { record, account, .. } = self.find(token.cloned(), purposes).await?;
        let user = account.id;
        let new_email = match record.purpose {
            Purpose::ChangeEmailOld | Purpose::ChangeEmailNew => {
                let pending = self.db.read(move |conn| email_change::pending(conn, user)).await?;
                Some(pending.ok_or(LinkError::Invalid)?)
            }
            Purpose::VerifyEmail
            | Purpose::ResetPassword
            | Purpose::Invitation
            | Purpose::ReportLogin
            | Purpose::CancelDeletion
            | Purpose::MfaChallenge
            | Purpose::TrustedDevice
            | Purpose::SentForm => None,
        };
        let sessions = self.sessions.clone();
        let first = self.db.read(move |conn| sessions.first_login(conn, user)).await?;
        let first = first.filter(|login| login.at.since(account.created_at) < REGISTRATION);
        let is_first_proof = account.is_unproved();
        let (device, place) = first.map_or((None, None), |login| (Some(login.device), login.place));
        Ok(LinkInfo {
            purpose: record.purpose,
            email: account.email,
            new_email,
            is_about_one_session: record.session.is_some(),
            is_first_proof,
            creation: Creation { name: account.name, at: account.created_at, device, place },
        })
    }

    /// Finds a link that is valid for one of `purposes` and whose account is enabled. An account that waits for its
    /// deletion has no valid link but the one that cancels it. The transaction of the operation
    /// has to redeem the token.
    pub(super) async fn find(
        &self,
        token: Option<OpaqueToken>,
        purposes: &'static [Purpose],
    ) -> Result<ValidLink, LinkError> {
        let token = token.ok_or(LinkError::Invalid)?;
        let now = self.clock.now();
        let found = self.db.read(move |conn| -> DbResult<_> {
            let Some(record) = opaque::find(conn, &token, purposes, now)? else { return Ok(None) };
            let account = store::find(conn, record.user)?;
            Ok(account.map(|account| ValidLink { token, record, account }))
        });
        let is_usable = |link: &ValidLink| {
            let cancels = link.record.purpose == Purpose::CancelDeletion;
            link.account.disabled_at.is_none() && link.account.deletes_at.is_some() == cancels
        };
        found.await?.filter(is_usable).ok_or(LinkError::Invalid)
    }
}

/// Locks the account of a link and redeems its token.
pub(super) fn redeem(conn: &mut Conn, link: &ValidLink, clock: &Clock) -> Result<LockedAccount, LinkError> {
    let account = LockedAccount::lock_enabled(conn, link.record.user)?.ok_or(LinkError::Invalid)?;
    if opaque::redeem(conn, &link.token, link.record, clock.now())? { Ok(account) } else { Err(LinkError::Invalid) }
}
