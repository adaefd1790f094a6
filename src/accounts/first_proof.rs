//! The first proof that an account's email address is its owner's. Anybody can register with somebody else's address.
//! What was set until then may be a stranger's, who could keep the owner out with it or hide from them.

use super::email_change::{self, EmailChanges};
use super::links::{LinkError, ValidLink, redeem};
use super::store::LockedAccount;
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbResult};
use crate::mail::MfaChange;
use crate::mfa::{Mfa, Owner};
use crate::passwords::NO_PASSWORD;
use crate::revocations::Reason;
use crate::sessions::{RevokedSessions, SessionSelector, Sessions};
use crate::tokens::opaque::{self, OpaqueToken, Purpose};
use crate::types::{Requester, UserId};

/// The purposes of everything that a stranger's account leaves behind.
const ALL_LINKS: [Purpose; 8] = [
    Purpose::VerifyEmail,
    Purpose::ResetPassword,
    Purpose::Invitation,
    Purpose::ChangeEmailOld,
    Purpose::ChangeEmailNew,
    Purpose::ReportLogin,
    Purpose::MfaChallenge,
    Purpose::TrustedDevice,
];

/// Drops what was set before the first proof of an address and would outlast a new password: the second factor, trusted
/// devices and waiting logins, the setting of alerts, the names of sessions, and a change of address. The language is
/// that of whoever proves it.
pub(super) fn drop_earlier(
    conn: &mut Conn,
    account: &mut LockedAccount,
    mfa: &Mfa,
    sessions: &Sessions,
    by: &Actor,
) -> DbResult<()> {
    if mfa.discard(conn, account.id)? {
        mfa.notify(conn, Owner { id: account.id, email: &account.email }, MfaChange::Disabled, by)?;
    }
    account.set_alerts(conn, true)?;
    account.set_language(conn, by.requester.language)?;
    sessions.clear_names(conn, account.id)?;
    email_change::cancel(conn, account.id)?;
    Ok(())
}

impl EmailChanges {
    /// Marks the account's address as verified. At the first proof, what was set before it is dropped, unless whoever
    /// follows the link is logged in to the account as `caller`: then the address and the account have one owner.
    ///
    /// # Errors
    /// The link is not valid.
    pub(crate) async fn verify(
        &self,
        token: Option<OpaqueToken>,
        caller: Option<UserId>,
        requester: &Requester,
    ) -> Result<(), LinkError> {
        let link = self.links.find(token, &[Purpose::VerifyEmail]).await?;
        let by = link.actor(requester);
        let changes = self.clone();
        let verified = self.db.transact(move |conn| changes.verify_in(conn, &link, caller, &by));
        verified.await?;
        self.mail.wake();
        Ok(())
    }

    fn verify_in(
        &self,
        conn: &mut Conn,
        link: &ValidLink,
        caller: Option<UserId>,
        by: &Actor,
    ) -> Result<(), LinkError> {
        let mut account = redeem(conn, link, &self.clock)?;
        if account.is_unproved() && caller != Some(account.id) {
            drop_earlier(conn, &mut account, &self.mfa, &self.sessions, by)?;
        }
        if account.verify_email(conn, self.clock.now())? {
            self.sessions.take_over(conn, &account)?;
            self.audit.append(conn, &Record::new(Event::EmailVerified, by))?;
        }
        Ok(())
    }

    /// Reports an account that somebody else has created with the address to which the link was sent: ends all its
    /// sessions, and deletes its password and all that was set. The address stays without proof; its owner can take the
    /// account over with a new password.
    ///
    /// # Errors
    /// The link is not valid, or the address was proved before.
    pub(crate) async fn disown(&self, token: Option<OpaqueToken>, requester: &Requester) -> Result<(), LinkError> {
        let link = self.links.find(token, &[Purpose::VerifyEmail]).await?;
        let by = link.actor(requester);
        let changes = self.clone();
        let revoked = self.db.transact(move |conn| changes.disown_in(conn, &link, &by)).await?;
        self.sessions.publish(&revoked).await;
        Ok(())
    }

    fn disown_in(&self, conn: &mut Conn, link: &ValidLink, by: &Actor) -> Result<RevokedSessions, LinkError> {
        let mut account = redeem(conn, link, &self.clock)?;
        if !account.is_unproved() {
            return Err(LinkError::Invalid);
        }
        // First, so that no email tells the owner of the address that a second factor of somebody else's is gone.
        self.mfa.discard(conn, account.id)?;
        drop_earlier(conn, &mut account, &self.mfa, &self.sessions, by)?;
        opaque::revoke(conn, account.id, &ALL_LINKS)?;
        account.set_password(conn, NO_PASSWORD, self.clock.now())?;
        self.audit.append(conn, &Record::new(Event::AccountDisowned, by))?;
        Ok(self.sessions.revoke_in(conn, SessionSelector::AllOf(account.id), Reason::ReportedByOwner, by)?)
    }
}
