//! Profiles: an account as its owner reads and changes it.

use super::store::{self, AccountRow, LockedAccount};
use super::{Accounts, notices};
use crate::audit::{Actor, Event, Record};
use crate::db::DbResult;
use crate::sessions::Subject;
use crate::types::{Label, Language, Patch, UserId};

/// An account as shown to its owner.
pub(crate) struct Profile {
    /// The account.
    pub subject: Subject,
    /// Whether the owner wants emails about unusual logins.
    pub alerts: bool,
    /// The tag of the language that was chosen.
    pub language: Option<String>,
    /// Whether logins need a second factor.
    pub mfa_enabled: bool,
}

/// A change of a profile.
#[derive(Default)]
pub(crate) struct ProfileChange {
    /// The new name.
    pub name: Patch<Label>,
    /// Whether the owner wants emails about unusual logins; `None` keeps the setting.
    pub alerts: Option<bool>,
    /// The new language.
    pub language: Patch<Language>,
}

impl ProfileChange {
    /// Returns whether the change is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_keep() && self.alerts.is_none() && self.language.is_keep()
    }
}

/// Returns the account with the fields that tokens contain.
pub(super) fn subject(row: &AccountRow) -> Subject {
    Subject {
        id: row.id,
        email: row.email.clone(),
        name: row.name.clone(),
        roles: row.roles.clone(),
        email_verified: row.email_verified_at.is_some(),
    }
}

impl Accounts {
    /// Reads the profile of an account. Returns `None` if the account does not exist.
    pub(crate) async fn profile(&self, user: UserId) -> DbResult<Option<Profile>> {
        let mfa = self.attempts.mfa().clone();
        let read = self.db.read(move |conn| {
            let Some(row) = store::find(conn, user)? else { return Ok(None) };
            let mfa_enabled = mfa.is_enabled(conn, user)?;
            Ok(Some(Profile { subject: subject(&row), alerts: row.alerts, language: row.language, mfa_enabled }))
        });
        read.await
    }

    /// Changes the profile of an account. What it has already is neither written nor audited. Returns `None` if the
    /// account does not exist.
    pub(crate) async fn update_profile(
        &self,
        user: UserId,
        change: ProfileChange,
        by: &Actor,
    ) -> DbResult<Option<Profile>> {
        let audit = self.audit.clone();
        let sessions = self.sessions.clone();
        let mail = self.mail.clone();
        let devices = self.devices.clone();
        let by = by.clone();
        let now = self.clock.now();
        let record = Record::new(Event::ProfileChanged, &by).on(user);
        let updated = self.db.write(move |conn| {
            let Some(mut account) = LockedAccount::lock(conn, user)? else { return Ok(()) };
            let name = change.name.changed().map(|name| name.map(Label::into_string));
            let name = name.filter(|name| *name != account.name);
            let alerts = change.alerts.filter(|alerts| *alerts != account.alerts);
            let language = change.language.changed();
            let language = language.filter(|language| language.map(Language::tag) != account.language.as_deref());
            if name.is_none() && alerts.is_none() && language.is_none() {
                return Ok(());
            }
            if let Some(name) = name {
                account.set_name(conn, name.as_deref())?;
                sessions.take_over(conn, &account)?;
            }
            if let Some(language) = language {
                account.set_language(conn, language)?;
            }
            if let Some(alerts) = alerts {
                if !alerts {
                    notices::alerts_disabled(conn, &account, &by, &mail, &devices, now)?;
                }
                account.set_alerts(conn, alerts)?;
            }
            audit.append(conn, &record)
        });
        updated.await?;
        self.mail.wake();
        self.profile(user).await
    }
}
