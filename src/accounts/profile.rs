//! What an account's owner, or an operator, changes about it.

use super::Accounts;
use super::email::Email;
use super::hasher::{HasherError, Verdict};
use super::lockout::GuessError;
use super::password::Password;
use super::register::subject;
use super::store::{self, UserRow};
use crate::audit::{Actor, Event, Record};
use crate::db::types::UserId;
use crate::db::{DbError, DbResult};
use crate::label::Label;
use crate::revocations::Reason;
use crate::sessions::Subject;
use crate::sessions::revoke::Which;

#[derive(Debug, thiserror::Error)]
pub enum ChangePasswordError {
    #[error("the current password is not right")]
    WrongPassword,
    #[error(transparent)]
    Guess(#[from] GuessError),
    #[error(transparent)]
    Hasher(#[from] HasherError),
    #[error(transparent)]
    Database(#[from] DbError),
}

/// An account as its owner sees it.
pub struct Profile {
    pub user: Subject,
    /// Whether mails tell of unusual logins.
    pub alerts: bool,
    /// Whether a login needs a second factor.
    pub has_mfa: bool,
}

/// What to change of an account; what is `None` stays as it is.
#[derive(Default)]
pub struct ProfileChange {
    /// The inner is `None` to take the name away.
    pub name: Option<Option<Label>>,
    pub alerts: Option<bool>,
}

impl Accounts {
    /// The account as its owner sees it; `None` when it is gone.
    pub async fn profile(&self, user: UserId) -> DbResult<Option<Profile>> {
        let found = self.0.db.read(move |conn| Ok((store::by_id(conn, user)?, Self::has_mfa_in(conn, user)?))).await?;
        let (row, has_mfa) = found;
        Ok(row.map(|row| Profile { user: subject(&row), alerts: row.alerts, has_mfa }))
    }

    /// Changes what the account says of its owner and what it tells them.
    pub async fn change_profile(&self, user: UserId, change: ProfileChange, by: &Actor) -> DbResult<Option<Profile>> {
        let audit = self.0.audit.clone();
        let record = Record::new(Event::ProfileChanged, by).on(user);
        let changed = self.0.db.write(move |conn| {
            let ProfileChange { name, alerts } = change;
            let named = name.map_or(Ok(false), |name| store::set_name(conn, user, name.as_ref().map(Label::as_str)))?;
            let set = alerts.map_or(Ok(false), |alerts| store::set_alerts(conn, user, alerts))?;
            if named || set { audit.append(conn, &record) } else { Ok(()) }
        });
        changed.await?;
        self.profile(user).await
    }

    /// Changes the password and ends every session but the one that it is done from: both or neither. Answers how many
    /// ended.
    pub async fn change_password(
        &self,
        user: UserId,
        current: Option<Password>,
        new: Password,
        by: &Actor,
    ) -> Result<usize, ChangePasswordError> {
        let parts = &*self.0;
        let admitted = self.admit_owner(user, &by.client).await?;
        let (UserRow { password_hash: former, .. }, guess) = admitted.ok_or(ChangePasswordError::WrongPassword)?;
        let current = current.ok_or(ChangePasswordError::WrongPassword)?;
        if parts.hasher.verify(current, Some(former.clone())).await? == Verdict::Wrong {
            let failed = Record::new(Event::ReauthenticationFailed, by).with("reason", "invalid_credentials");
            self.failed(&guess, failed).await?;
            return Err(ChangePasswordError::WrongPassword);
        }
        self.succeeded(&guess).await?;
        let hash = parts.hasher.hash(new).await?;
        let ended = self.replace_password(user, Some(former), hash, by).await?;
        ended.ok_or(ChangePasswordError::WrongPassword)
    }

    /// Sets a password and ends every session of the account: for operators. `None` when there is no such account.
    pub async fn set_password(&self, email: &Email, new: Password) -> Result<Option<usize>, ChangePasswordError> {
        let Some(user) = self.id_of(email).await? else { return Ok(None) };
        let hash = self.0.hasher.hash(new).await?;
        Ok(self.replace_password(user, None, hash, &Actor::default()).await?)
    }

    async fn replace_password(
        &self,
        user: UserId,
        former: Option<String>,
        hash: String,
        by: &Actor,
    ) -> DbResult<Option<usize>> {
        let (accounts, now) = (self.clone(), self.0.clock.now());
        let which = by.session.map_or(Which::AllOf(user), |session| Which::AllOfExcept(user, session));
        let by = by.clone();
        let ended = self
            .0
            .db
            .write(move |conn| {
                if !store::set_password(conn, user, former.as_deref(), &hash, now)? {
                    return Ok(None);
                }
                accounts.password_changed_in(conn, user, &by)?;
                accounts.0.audit.append(conn, &Record::new(Event::PasswordChanged, &by).on(user))?;
                accounts.0.sessions.revoke_in(conn, which, Reason::PasswordChanged, &by).map(Some)
            })
            .await?;
        let Some(ended) = ended else { return Ok(None) };
        self.0.sessions.announce(&ended).await;
        self.0.mail.wake();
        Ok(Some(ended.count()))
    }

    /// Disables an account and ends its sessions: for operators. `None` when there is no such account.
    pub async fn disable(&self, email: &Email) -> DbResult<Option<usize>> {
        let Some(user) = self.id_of(email).await? else { return Ok(None) };
        let (sessions, audit, now) = (self.0.sessions.clone(), self.0.audit.clone(), self.0.clock.now());
        let ended = self
            .0
            .db
            .write(move |conn| {
                store::disable(conn, user, now)?;
                let by = Actor::default();
                audit.append(conn, &Record::new(Event::AccountDisabled, &by).on(user))?;
                sessions.revoke_in(conn, Which::AllOf(user), Reason::AccountDisabled, &by)
            })
            .await?;
        self.0.sessions.announce(&ended).await;
        Ok(Some(ended.count()))
    }

    /// The account with this address.
    pub async fn id_of(&self, email: &Email) -> DbResult<Option<UserId>> {
        let normalized = email.normalized().to_owned();
        Ok(self.0.db.read(move |conn| store::by_email(conn, &normalized)).await?.map(|user| user.id))
    }
}
