//! Recovery of accounts: forgotten passwords, and reports of logins by somebody else.

use std::sync::Arc;

use tracing::Instrument as _;

use super::links::{LinkError, Links, ValidLink, redeem};
use super::store::{self, LockedAccount};
use super::{email_change, first_proof, notices};
use crate::audit::{Actor, Audit, Event, Record};
use crate::clock::Clock;
use crate::db::{Conn, Db, DbError, DbResult};
use crate::devices::Devices;
use crate::mail::{Mail, ResetCause};
use crate::mfa::Mfa;
use crate::passwords::{Hasher, HasherError, NewPassword, NewPasswordError, WeakPassword};
use crate::revocations::Reason;
use crate::sessions::{RevokedSessions, SessionSelector, Sessions};
use crate::tokens::opaque::{self, OpaqueToken, Purpose};
use crate::types::{EmailAddress, Requester, SessionId, UserId};

/// The purposes of the links that set a password.
pub(crate) const SET_PASSWORD: &[Purpose] = &[Purpose::ResetPassword, Purpose::Invitation];

/// The recovery of accounts. Clones share everything.
#[derive(Clone)]
pub(crate) struct Recovery {
    /// The database.
    pub db: Db,
    /// The audit log.
    pub audit: Audit,
    /// The outbox for emails to owners.
    pub mail: Mail,
    /// The sessions.
    pub sessions: Sessions,
    /// The second factors.
    pub mfa: Mfa,
    /// The databases of user agents and places.
    pub devices: Devices,
    /// The hasher of passwords.
    pub hasher: Arc<Hasher>,
    /// The links in emails.
    pub links: Links,
    /// The clock.
    pub clock: Clock,
}

/// Why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResetError {
    /// The link is not valid, or the database failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The new password is too weak. The link stays valid for another attempt.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    /// The password could not be hashed.
    #[error(transparent)]
    Hasher(#[from] HasherError),
}

impl From<NewPasswordError> for ResetError {
    fn from(error: NewPasswordError) -> Self {
        match error {
            NewPasswordError::Weak(weak) => weak.into(),
            NewPasswordError::Hasher(error) => error.into(),
        }
    }
}

impl From<DbError> for ResetError {
    fn from(error: DbError) -> Self {
        Self::Link(error.into())
    }
}

impl Recovery {
    /// Queues an email with a link to set a new password, if `email` has an enabled account. The work continues in the
    /// background after this returns, so that the response time does not reveal whether there is an account.
    pub(crate) async fn forgot_password(&self, email: &EmailAddress, requester: &Requester) -> DbResult<()> {
        let normalized = email.normalized().to_owned();
        let account = self.db.read(move |conn| store::find_by_email(conn, &normalized)).await?;
        let user = account.map(|account| account.id);
        let recovery = self.clone();
        let requester = requester.clone();
        let queueing = async move {
            if let Err(error) = recovery.queue_reset_link(user, &requester).await {
                tracing::warn!(%error, "an email with a link to reset a password was not queued");
            }
        };
        tokio::spawn(queueing.in_current_span());
        Ok(())
    }

    async fn queue_reset_link(&self, user: Option<UserId>, requester: &Requester) -> DbResult<()> {
        let record = Record::new(Event::PasswordResetRequested, &Actor::anonymous(requester)).on(user);
        let asked = requester.language;
        let recovery = self.clone();
        let queued = self.db.write(move |conn| {
            let account = user.map_or(Ok(None), |user| LockedAccount::lock_enabled(conn, user))?;
            recovery.audit.append(conn, &record)?;
            match account {
                Some(account) => {
                    // Nobody learns whether the email is dropped.
                    let mail = &recovery.mail;
                    let now = recovery.clock.now();
                    let _ = notices::reset_password(conn, &account, ResetCause::Asked, asked, mail, now)?;
                    Ok(())
                }
                None => Ok(()),
            }
        });
        queued.await?;
        self.mail.wake();
        Ok(())
    }

    /// Sets a new password with the token of a link and revokes all sessions of the account, in one transaction. The
    /// link is looked at before the password. It proves the address; at the first proof, what was set before it is
    /// dropped. Returns the purpose of the link: a reset, or an invitation.
    ///
    /// # Errors
    /// The link is not valid, or the password is too weak.
    pub(crate) async fn reset_password(
        &self,
        token: Option<OpaqueToken>,
        new: Result<NewPassword, WeakPassword>,
        requester: &Requester,
    ) -> Result<Purpose, ResetError> {
        let link = self.links.find(token, SET_PASSWORD).await?;
        let purpose = link.record.purpose;
        let personal = [link.account.email.clone()].into_iter().chain(link.account.name.clone()).collect();
        let hash = self.hasher.hash_new(new?, personal).await?;
        let recovery = self.clone();
        let by = link.actor(requester);
        let revoked = self.db.transact(move |conn| recovery.reset_in(conn, &link, &hash, &by)).await?;
        self.sessions.publish(&revoked).await;
        self.mail.wake();
        Ok(purpose)
    }

    fn reset_in(
        &self,
        conn: &mut Conn,
        link: &ValidLink,
        hash: &str,
        by: &Actor,
    ) -> Result<RevokedSessions, LinkError> {
        let now = self.clock.now();
        let mut account = redeem(conn, link, &self.clock)?;
        let mut reason = Reason::PasswordChanged;
        // The link proves that its holder reads the emails of this address.
        if account.is_unproved() {
            first_proof::drop_earlier(conn, &mut account, &self.mfa, &self.sessions, by)?;
            reason = Reason::EmailProved;
        }
        if account.email_verified_at.is_none() {
            opaque::revoke(conn, account.id, &[Purpose::VerifyEmail])?;
            // No session has to take this over: all of them are revoked below.
            account.verify_email(conn, now)?;
        }
        account.set_password(conn, hash, now)?;
        email_change::cancel(conn, account.id)?;
        if link.record.purpose == Purpose::Invitation {
            notices::password_set(conn, &account)?;
            self.audit.append(conn, &Record::new(Event::InvitationAccepted, by))?;
        } else {
            notices::password_changed(conn, &account, by, &self.mail, &self.devices, now)?;
            self.audit.append(conn, &Record::new(Event::PasswordReset, by))?;
        }
        let all = SessionSelector::AllOf(account.id);
        Ok(self.sessions.revoke_in(conn, all, reason, by)?)
    }

    /// Reports a login as somebody else's. In one transaction, this revokes the session of the link or all sessions of
    /// the account, deletes trusted devices and challenges, and queues an email with a link to set a new password.
    ///
    /// # Errors
    /// The link is not valid.
    pub(crate) async fn report_login(
        &self,
        token: Option<OpaqueToken>,
        requester: &Requester,
    ) -> Result<(), LinkError> {
        let link = self.links.find(token, &[Purpose::ReportLogin]).await?;
        let recovery = self.clone();
        let by = link.actor(requester);
        let revoked = self.db.transact(move |conn| {
            let account = redeem(conn, &link, &recovery.clock)?;
            Ok::<_, LinkError>(recovery.report_in(conn, &account, link.record.session, &by)?)
        });
        let revoked = revoked.await?;
        self.sessions.publish(&revoked).await;
        self.mail.wake();
        Ok(())
    }

    /// Reports a session as somebody else's, by the owner of the account, who is logged in elsewhere. This has the
    /// effects of [`Self::report_login`].
    pub(crate) async fn report_session(&self, user: UserId, session: SessionId, by: &Actor) -> DbResult<()> {
        let recovery = self.clone();
        let by = by.clone();
        let revoked = self.db.write(move |conn| {
            let account = LockedAccount::lock_enabled(conn, user)?;
            account.map(|account| recovery.report_in(conn, &account, Some(session), &by)).transpose()
        });
        if let Some(revoked) = revoked.await? {
            self.sessions.publish(&revoked).await;
        }
        self.mail.wake();
        Ok(())
    }

    fn report_in(
        &self,
        conn: &mut Conn,
        account: &LockedAccount,
        session: Option<SessionId>,
        by: &Actor,
    ) -> DbResult<RevokedSessions> {
        opaque::revoke(conn, account.id, &[Purpose::MfaChallenge, Purpose::TrustedDevice])?;
        email_change::cancel(conn, account.id)?;
        let mut record = Record::new(Event::LoginReported, by);
        let mut selector = SessionSelector::AllOf(account.id);
        if let Some(session) = session {
            record = record.session(session);
            selector = SessionSelector::OneOf(session, account.id);
        }
        self.audit.append(conn, &record)?;
        let asked = by.requester.language;
        let now = self.clock.now();
        let _ = notices::reset_password(conn, account, ResetCause::Report, asked, &self.mail, now)?;
        self.sessions.revoke_in(conn, selector, Reason::ReportedByOwner, by)
    }
}
