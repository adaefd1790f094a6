//! A password that was forgotten, and a login that was not the owner's.

pub mod http;

use tracing::Instrument as _;
use zeroize::Zeroizing;

use super::Accounts;
use super::address;
use super::email::Email;
use super::hasher::HasherError;
use super::links::{LinkError, holder};
use super::password::{Password, WeakPassword};
use super::store::{self, UserRow};
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::db::types::UserId;
use crate::db::{Conn, DbError, DbResult};
use crate::mail::Letter;
use crate::revocations::Reason;
use crate::sessions::revoke::{Ended, Which};
use crate::tokens::one_time::{self, Bearer, OneTimeToken, Purpose};

/// Why a password was not reset.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The link stays good: its holder may choose another.
    #[error(transparent)]
    Weak(#[from] WeakPassword),
    #[error(transparent)]
    Hasher(#[from] HasherError),
}

impl From<DbError> for ResetError {
    fn from(error: DbError) -> Self {
        Self::Link(error.into())
    }
}

impl Accounts {
    /// Mails the owner of `email` a link to choose a new password, if there is such an account and it is not disabled.
    /// That happens after the answer, so that the time of the answer tells nobody whether there is one.
    pub async fn forgot_password(&self, email: &Email, client: &Client) -> DbResult<()> {
        let normalized = email.normalized().to_owned();
        let user = self.0.db.read(move |conn| store::by_email(conn, &normalized)).await?;
        let (accounts, client) = (self.clone(), client.clone());
        let answering = async move {
            if let Err(error) = accounts.answer_forgotten(user, &client).await {
                tracing::warn!(%error, "a link to reset a password was not sent");
            }
        };
        tokio::spawn(answering.in_current_span());
        Ok(())
    }

    async fn answer_forgotten(&self, user: Option<UserRow>, client: &Client) -> DbResult<()> {
        let user = user.map(|user| user.id);
        let record = Record::new(Event::PasswordResetRequested, &Actor::stranger(client)).on(user);
        let accounts = self.clone();
        let answered = self.0.db.write(move |conn| {
            let held = user.map_or(Ok(None), |user| store::hold(conn, user))?;
            accounts.0.audit.append(conn, &record)?;
            held.map_or(Ok(()), |user| accounts.post_reset_link(conn, &user))
        });
        answered.await?;
        self.0.mail.wake();
        Ok(())
    }

    /// Posts a link to choose a new password; former ones are worth nothing then. To be called on a
    /// [held](store::hold) account.
    fn post_reset_link(&self, conn: &mut Conn, user: &UserRow) -> DbResult<()> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let bearer = Bearer { user: user.id, purpose: Purpose::ResetPassword, session: None };
        let link = one_time::issue(conn, &parts.mail, bearer, &parts.random, now)?;
        parts.mail.post(conn, &user.email, &Letter::ResetPassword { link }, now)
    }

    /// Sets the password of the account that `token` is for, and ends all its sessions: both or neither.
    pub async fn reset_password(
        &self,
        token: Option<OneTimeToken>,
        new: Zeroizing<String>,
        client: &Client,
    ) -> Result<(), ResetError> {
        let parts = &*self.0;
        let (token, bearer, user) = self.bearer(token, &[Purpose::ResetPassword]).await?;
        let hash = parts.hasher.hash(judged(new, user).await?).await?;
        let (accounts, by) = (self.clone(), holder(bearer, client));
        let ended = parts.db.write(move |conn| accounts.reset_in(conn, &token, bearer, &hash, &by)).await?;
        parts.sessions.announce(&ended.ok_or(LinkError::Invalid)?).await;
        parts.mail.wake();
        Ok(())
    }

    fn reset_in(
        &self,
        conn: &mut Conn,
        token: &OneTimeToken,
        bearer: Bearer,
        hash: &str,
        by: &Actor,
    ) -> DbResult<Option<Ended>> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let Some(user) = store::hold(conn, bearer.user)? else { return Ok(None) };
        if !one_time::redeem(conn, token, bearer, now)? {
            return Ok(None);
        }
        store::set_password(conn, user.id, None, hash, now)?;
        // Who has the link reads the mail of the account's address.
        store::verify_email(conn, user.id, now)?;
        address::drop_pending(conn, user.id)?;
        self.password_changed_in(conn, user.id, by)?;
        parts.audit.append(conn, &Record::new(Event::PasswordReset, by))?;
        parts.sessions.revoke_in(conn, Which::AllOf(user.id), Reason::PasswordChanged, by).map(Some)
    }

    /// What goes with each change of a password, in its transaction: no link from before it is worth
    /// anything, and the owner is told, with a link for the case that it was somebody else.
    pub(super) fn password_changed_in(&self, conn: &mut Conn, user: UserId, by: &Actor) -> DbResult<()> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        one_time::void(conn, user, &[Purpose::ResetPassword])?;
        let Some(user) = store::by_id(conn, user)? else { return Ok(()) };
        let bearer = Bearer { user: user.id, purpose: Purpose::NotMe, session: None };
        let link = one_time::issue(conn, &parts.mail, bearer, &parts.random, now)?;
        let letter = Letter::PasswordChanged { occasion: parts.sessions.occasion(&by.client), link };
        parts.mail.post(conn, &user.email, &letter, now)
    }

    /// "This wasn't me": ends the session that `token` names, or all of the account's, forgets its devices, and mails a
    /// link to choose a new password: all or nothing.
    pub async fn not_me(&self, token: Option<OneTimeToken>, client: &Client) -> Result<(), LinkError> {
        let (token, bearer, _) = self.bearer(token, &[Purpose::NotMe]).await?;
        let (accounts, by) = (self.clone(), holder(bearer, client));
        let ended = self.0.db.write(move |conn| accounts.not_me_in(conn, &token, bearer, &by)).await?;
        self.0.sessions.announce(&ended.ok_or(LinkError::Invalid)?).await;
        self.0.mail.wake();
        Ok(())
    }

    fn not_me_in(&self, conn: &mut Conn, token: &OneTimeToken, bearer: Bearer, by: &Actor) -> DbResult<Option<Ended>> {
        let parts = &*self.0;
        let Some(user) = store::hold(conn, bearer.user)? else { return Ok(None) };
        if !one_time::redeem(conn, token, bearer, parts.clock.now())? {
            return Ok(None);
        }
        store::forget_challenges(conn, user.id)?;
        store::forget_trusted_devices(conn, user.id)?;
        address::drop_pending(conn, user.id)?;
        let record = Record::new(Event::ReportedByOwner, by);
        let (which, record) = match bearer.session {
            Some(session) => (Which::OneOf(session, user.id), record.session(session)),
            None => (Which::AllOf(user.id), record),
        };
        parts.audit.append(conn, &record)?;
        self.post_reset_link(conn, &user)?;
        parts.sessions.revoke_in(conn, which, Reason::ReportedByOwner, by).map(Some)
    }
}

/// `text` as a password for `user`. On a thread of its own, for judging takes up to tens of milliseconds.
async fn judged(text: Zeroizing<String>, user: UserRow) -> Result<Password, ResetError> {
    let judging = tokio::task::spawn_blocking(move || {
        Password::parse_new(text, &[&user.email, user.name.as_deref().unwrap_or_default()])
    });
    Ok(judging.await.map_err(|panic| DbError::Unexpected(panic.to_string()))??)
}
