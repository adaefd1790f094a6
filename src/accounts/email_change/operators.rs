//! What operators do to the email addresses of accounts, in transactions that have locked the account.

use super::{EmailChanges, INVALID_AFTER_CHANGE, store};
use crate::accounts::notices;
use crate::accounts::store::LockedAccount;
use crate::audit::{Actor, Event, Record};
use crate::db::{Conn, DbResult};
use crate::mail::{Email, Queued, ResetCause};
use crate::sessions::RevokedSessions;
use crate::tokens::opaque;
use crate::types::EmailAddress;

impl EmailChanges {
    /// Changes the email address without a confirmation, to one that is not verified. A pending change and the links
    /// that were sent before end, the former address is told, and access tokens are revoked. What is spelled in another
    /// way is the same address: it stays verified, and nobody is told. Returns `None` if nothing changes.
    ///
    /// # Errors
    /// The email address has an account ([`crate::db::DbError::Taken`]).
    pub(crate) fn replace_in(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        new: &EmailAddress,
        by: &Actor,
    ) -> DbResult<Option<RevokedSessions>> {
        if account.email == new.as_str() {
            return Ok(None);
        }
        let is_same = account.email_normalized == new.normalized();
        let record = Record::new(Event::EmailChanged, by).on(account.id).with("from", account.email.as_str());
        self.audit.append(conn, &record.with("to", new.as_str()))?;
        if !is_same {
            opaque::revoke(conn, account.id, &INVALID_AFTER_CHANGE)?;
            store::delete(conn, account.id)?;
            let email = Email::EmailChanged { new_email: new.as_str().to_owned(), by_operator: true };
            self.mail.queue(conn, &account.email, by.requester.language, &email, self.clock.now())?;
        }
        let verified_at = account.email_verified_at.filter(|_| is_same);
        account.set_email(conn, new.as_str(), new.normalized(), verified_at)?;
        self.sessions.revoke_access_tokens(conn, account).map(Some)
    }

    /// Marks the email address as verified, or as not verified, which revokes access tokens: they say that it is.
    /// Returns `None` if no access token is revoked.
    pub(crate) fn set_verified_in(
        &self,
        conn: &mut Conn,
        account: &mut LockedAccount,
        verified: bool,
        by: &Actor,
    ) -> DbResult<Option<RevokedSessions>> {
        if verified == account.email_verified_at.is_some() {
            return Ok(None);
        }
        let event = if verified { Event::EmailVerified } else { Event::EmailUnverified };
        self.audit.append(conn, &Record::new(event, by).on(account.id))?;
        account.set_verified_at(conn, verified.then(|| self.clock.now()))?;
        if verified {
            opaque::revoke(conn, account.id, &[opaque::Purpose::VerifyEmail])?;
            self.sessions.take_over(conn, account)?;
            return Ok(None);
        }
        self.sessions.revoke_access_tokens(conn, account).map(Some)
    }

    /// Queues an email that verifies the account's address.
    pub(crate) fn queue_verification(&self, conn: &mut Conn, account: &LockedAccount, by: &Actor) -> DbResult<Queued> {
        notices::verify_email(conn, account, by.requester.language, &self.mail, self.clock.now())
    }

    /// Queues an email with a link to set a new password, or the first one.
    pub(crate) fn queue_password_link(&self, conn: &mut Conn, account: &LockedAccount, by: &Actor) -> DbResult<Queued> {
        let now = self.clock.now();
        let asked = by.requester.language;
        if account.has_password() {
            notices::reset_password(conn, account, ResetCause::Operator, asked, &self.mail, now)
        } else {
            notices::invitation(conn, account, asked, &self.mail, now)
        }
    }
}
