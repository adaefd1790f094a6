//! An account's mail address: whether it is its owner's, and how an account moves to another.

pub mod http;
mod store;

use super::Accounts;
use super::email::Email;
use super::links::{LinkError, holder};
use super::store::{self as accounts, UserRow};
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::db::types::UserId;
use crate::db::{Conn, DbError, DbResult};
use crate::mail::Letter;
use crate::sessions::revoke::Ended;
use crate::tokens::one_time::{self, Bearer, OneTimeToken, Purpose};

use store::Pending;

/// The two ends of a change of address.
const ENDS: [Purpose; 2] = [Purpose::ChangeEmailOld, Purpose::ChangeEmailNew];

/// Links that are worth nothing once the account has another address. "This wasn't me" goes on working: it lets nobody
/// in, and a thief may have moved the account.
const VOID_AFTER_A_MOVE: [Purpose; 4] =
    [Purpose::VerifyEmail, Purpose::ResetPassword, Purpose::ChangeEmailOld, Purpose::ChangeEmailNew];

/// Why a change of address was not begun.
#[derive(Debug, thiserror::Error)]
pub enum ChangeEmailError {
    #[error("is the account's address already")]
    Unchanged,
    /// The account is gone or disabled.
    #[error("there is no such account")]
    Gone,
    #[error(transparent)]
    Database(#[from] DbError),
}

/// Why a change of address was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Told only once both ends have agreed, so to nobody who does not read the new address's mail.
    #[error("another account has the address")]
    EmailTaken,
}

impl From<DbError> for ConfirmError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Taken { .. } => Self::EmailTaken,
            DbError::Unavailable(_) | DbError::Unexpected(_) => Self::Link(error.into()),
        }
    }
}

/// How a change of address stands after a confirmation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The other address has yet to agree.
    Half,
    /// The account has its new address.
    Moved,
}

/// The address that an account is to move to, if it is to move.
pub(super) fn pending(conn: &mut Conn, user: UserId) -> DbResult<Option<String>> {
    Ok(store::find(conn, user)?.map(|pending| pending.email))
}

/// Gives up the change of address that waits, if there is one, in the caller's transaction. Answers whether there was.
pub(super) fn drop_pending(conn: &mut Conn, user: UserId) -> DbResult<bool> {
    one_time::void(conn, user, &ENDS)?;
    store::delete(conn, user)
}

impl Accounts {
    /// Posts a link by which the owner of `email` shows to be the account's, in the caller's transaction.
    pub(super) fn post_verification(&self, conn: &mut Conn, user: UserId, email: &str) -> DbResult<()> {
        let letter = |link| Letter::VerifyEmail { link };
        self.post_link(conn, user, Purpose::VerifyEmail, email, letter)
    }

    fn post_link(
        &self,
        conn: &mut Conn,
        user: UserId,
        purpose: Purpose,
        to: &str,
        letter: impl FnOnce(crate::mail::Link) -> Letter,
    ) -> DbResult<()> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let link = one_time::issue(conn, &parts.mail, Bearer { user, purpose, session: None }, &parts.random, now)?;
        parts.mail.post(conn, to, &letter(link), now)
    }

    /// Mails the link of the registration once more. Nothing happens when the address is verified.
    pub async fn resend_verification(&self, user: UserId) -> DbResult<()> {
        let own = self.clone();
        let posted = self.0.db.write(move |conn| match accounts::hold(conn, user)? {
            Some(user) if user.email_verified_at.is_none() => own.post_verification(conn, user.id, &user.email),
            Some(_) | None => Ok(()),
        });
        posted.await?;
        self.0.mail.wake();
        Ok(())
    }

    /// Notes that the account's address is its owner's.
    pub async fn verify_email(&self, token: Option<OneTimeToken>, client: &Client) -> Result<(), LinkError> {
        let (token, bearer, _) = self.bearer(token, &[Purpose::VerifyEmail]).await?;
        let (own, now) = (self.clone(), self.0.clock.now());
        let record = Record::new(Event::EmailVerified, &holder(bearer, client));
        let verified = self.0.db.write(move |conn| {
            let held = accounts::hold(conn, bearer.user)?;
            if held.is_none() || !one_time::redeem(conn, &token, bearer, now)? {
                return Ok(false);
            }
            accounts::verify_email(conn, bearer.user, now)?;
            own.0.audit.append(conn, &record).map(|()| true)
        });
        if verified.await? { Ok(()) } else { Err(LinkError::Invalid) }
    }

    /// Begins a change of address: mails a link to each end. Whether another account has the address is not looked at.
    pub async fn change_email(&self, user: UserId, new: Email, by: &Actor) -> Result<(), ChangeEmailError> {
        let (own, by) = (self.clone(), by.clone());
        let begun = self.0.db.write(move |conn| {
            let Some(user) = accounts::hold(conn, user)? else { return Ok(Err(ChangeEmailError::Gone)) };
            if user.email_normalized == new.normalized() {
                return Ok(Err(ChangeEmailError::Unchanged));
            }
            own.change_email_in(conn, &user, &new, &by).map(Ok)
        });
        begun.await??;
        self.0.mail.wake();
        Ok(())
    }

    fn change_email_in(&self, conn: &mut Conn, user: &UserRow, new: &Email, by: &Actor) -> DbResult<()> {
        let now = self.0.clock.now();
        let pending = Pending {
            user_id: user.id,
            email: new.as_str().to_owned(),
            email_normalized: new.normalized().to_owned(),
            confirmed_by_old_at: None,
            confirmed_by_new_at: None,
            created_at: now,
            expires_at: now.plus(Purpose::ChangeEmailOld.lifetime()),
        };
        store::replace(conn, &pending)?;
        let to_old = |link| Letter::ChangeEmailOld { link, new_email: new.as_str().to_owned() };
        self.post_link(conn, user.id, Purpose::ChangeEmailOld, &user.email, to_old)?;
        let to_new = |link| Letter::ChangeEmailNew { link };
        self.post_link(conn, user.id, Purpose::ChangeEmailNew, new.as_str(), to_new)?;
        self.0.audit.append(conn, &Record::new(Event::EmailChangeRequested, by).on(user.id))
    }

    /// Notes that the holder of `token`, one of the two ends, agrees to the change of address, which takes place once
    /// both have. Then clients get tokens with the new address by a refresh.
    pub async fn confirm_email_change(
        &self,
        token: Option<OneTimeToken>,
        client: &Client,
    ) -> Result<Confirmed, ConfirmError> {
        let (token, bearer, _) = self.bearer(token, &ENDS).await?;
        let (own, by) = (self.clone(), holder(bearer, client));
        let confirmed = self.0.db.write(move |conn| own.confirm_in(conn, &token, bearer, &by)).await?;
        let Some(moved) = confirmed.ok_or(LinkError::Invalid)? else { return Ok(Confirmed::Half) };
        self.0.sessions.announce(&moved).await;
        self.0.mail.wake();
        Ok(Confirmed::Moved)
    }

    /// `None` when the token is not good, otherwise what ended if the account has moved.
    #[expect(
        clippy::option_option,
        reason = "the outer says whether the token was good, the inner whether both agreed"
    )]
    fn confirm_in(
        &self,
        conn: &mut Conn,
        token: &OneTimeToken,
        bearer: Bearer,
        by: &Actor,
    ) -> DbResult<Option<Option<Ended>>> {
        let now = self.0.clock.now();
        let Some(user) = accounts::hold(conn, bearer.user)? else { return Ok(None) };
        if !one_time::redeem(conn, token, bearer, now)? {
            return Ok(None);
        }
        store::confirm(conn, user.id, bearer.purpose == Purpose::ChangeEmailNew, now)?;
        let Some(pending) = store::find(conn, user.id)? else { return Ok(None) };
        if pending.confirmed_by_old_at.is_none() || pending.confirmed_by_new_at.is_none() {
            return Ok(Some(None));
        }
        self.move_account(conn, &user, &pending, by).map(|ended| Some(Some(ended)))
    }

    fn move_account(&self, conn: &mut Conn, user: &UserRow, pending: &Pending, by: &Actor) -> DbResult<Ended> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let ended = parts.sessions.supersede_access_tokens_in(conn, user.id)?;
        one_time::void(conn, user.id, &VOID_AFTER_A_MOVE)?;
        store::delete(conn, user.id)?;
        let record = Record::new(Event::EmailChanged, by).with("from", user.email.as_str());
        parts.audit.append(conn, &record.with("to", pending.email.as_str()))?;
        let letter = Letter::EmailChanged { new_email: pending.email.clone() };
        parts.mail.post(conn, &user.email, &letter, now)?;
        accounts::set_email(conn, user.id, &pending.email, &pending.email_normalized, now)?;
        Ok(ended)
    }

    /// Gives up the change of address that waits, if there is one.
    pub async fn cancel_email_change(&self, user: UserId, by: &Actor) -> DbResult<()> {
        let record = Record::new(Event::EmailChangeCancelled, by).on(user);
        let audit = self.0.audit.clone();
        let cancelled = self.0.db.write(move |conn| {
            accounts::hold(conn, user)?;
            if drop_pending(conn, user)? { audit.append(conn, &record) } else { Ok(()) }
        });
        cancelled.await
    }
}
