//! Accounts as operators find and change them.

use super::store::{self, Account};
use super::{Admin, Stop, hold};
use crate::accounts::{ADMIN, USER};
use crate::audit::{Actor, Event, Record};
use crate::clock::Timestamp;
use crate::db::types::{Names, SessionId, UserId};
use crate::db::{Conn, DbResult};
use crate::label::Label;
use crate::revocations::Reason;
use crate::sessions::list::SessionView;
use crate::sessions::revoke::{Ended, Which};

/// Roles of one account at the most, and characters of one.
const MAX_ROLES: usize = 32;
const MAX_ROLE: usize = 64;

/// An account as operators see it.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct UserView {
    pub id: UserId,
    pub email: String,
    pub name: Option<String>,
    pub roles: Names,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub password_changed_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_login_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub email_verified_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
}

impl From<Account> for UserView {
    fn from(account: Account) -> Self {
        let Account { id, email, name, roles, created_at, password_changed_at, .. } = account;
        let Account { last_login_at, email_verified_at, disabled_at, .. } = account;
        Self { id, email, name, roles, created_at, password_changed_at, last_login_at, email_verified_at, disabled_at }
    }
}

/// Where a page of accounts ended: the id of its last, or, of a search, what it was sorted by, and the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub key: String,
    pub id: UserId,
}

impl Position {
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.id.0.as_bytes(), self.key.as_bytes()].concat()
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, key) = bytes.split_first_chunk::<16>()?;
        Some(Self { key: std::str::from_utf8(key).ok()?.to_owned(), id: UserId(uuid::Uuid::from_bytes(*id)) })
    }
}

/// Some accounts, and where the next page begins.
pub struct UserPage {
    pub users: Vec<UserView>,
    pub next: Option<Position>,
}

/// Roles that an account may have: each 1 to 64 lower-case letters, digits, `-` and `_`, beginning with a letter, up to
/// 32 of them; `user` is always among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(Names);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRoles {
    #[error("holds a role that is not a letter a to z and up to 63 of a to z, 0 to 9, - and _")]
    Name,
    #[error("holds more than {MAX_ROLES} roles")]
    TooMany,
}

impl InvalidRoles {
    pub const fn code(self) -> &'static str {
        match self {
            Self::Name => "invalid_role",
            Self::TooMany => "too_long",
        }
    }
}

impl Roles {
    pub fn parse(names: Vec<String>) -> Result<Self, InvalidRoles> {
        let mut roles = vec![USER.to_owned()];
        for name in names {
            if !is_role(&name) {
                return Err(InvalidRoles::Name);
            }
            if !roles.contains(&name) {
                roles.push(name);
            }
            if roles.len() > MAX_ROLES {
                return Err(InvalidRoles::TooMany);
            }
        }
        Ok(Self(Names(roles)))
    }
}

fn is_role(name: &str) -> bool {
    name.len() <= MAX_ROLE
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// What an operator changes about an account: what is `None` stays.
#[derive(Clone, Default)]
pub struct Change {
    pub disabled: Option<bool>,
    pub roles: Option<Roles>,
    /// `Some(None)` takes the name away.
    pub name: Option<Option<Label>>,
}

impl Admin {
    /// Up to `limit` accounts after `after`: the newest first, or, with `q`, those whose address or name begins with
    /// it, in the order of that. Letters A to Z of a name count as a to z.
    pub async fn users(&self, q: Option<String>, after: Option<Position>, limit: usize) -> DbResult<UserPage> {
        let mut found = self.0.db.read(move |conn| find(conn, q.as_deref(), after, limit)).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next =
            found.last().filter(|_| has_more).map(|(key, account)| Position { key: key.clone(), id: account.id });
        Ok(UserPage { users: found.into_iter().map(|(_, account)| account.into()).collect(), next })
    }

    /// `None` when there is no such account.
    pub async fn user(&self, user: UserId) -> DbResult<Option<UserView>> {
        Ok(self.0.db.read(move |conn| store::by_id(conn, user)).await?.map(UserView::from))
    }

    /// Changes an account: all of it or nothing. Disabling it ends its sessions, and those in which it acts for
    /// others; other roles supersede its access tokens. All of it counts from the next request on.
    pub async fn change(&self, user: UserId, change: Change, by: &Actor) -> DbResult<Result<UserView, Stop>> {
        let (admin, by) = (self.clone(), by.clone());
        let changed = self.0.db.write(move |conn| admin.change_in(conn, user, &change, &by)).await?;
        match changed {
            Ok(ended) => {
                for ended in &ended {
                    self.0.sessions.announce(ended).await;
                }
                Ok(self.user(user).await?.ok_or(Stop::NotFound))
            }
            Err(stop) => Ok(Err(stop)),
        }
    }

    fn change_in(
        &self,
        conn: &mut Conn,
        user: UserId,
        change: &Change,
        by: &Actor,
    ) -> DbResult<Result<Vec<Ended>, Stop>> {
        let Some(operator) = by.user else { return Ok(Err(Stop::NotOperator)) };
        let account = match hold(conn, operator, user)? {
            Ok(account) => account,
            Err(stop) => return Ok(Err(stop)),
        };
        let strips = change.roles.as_ref().is_some_and(|roles| !roles.0.contains(ADMIN));
        // So there is always an administrator left.
        if user == operator && (strips || change.disabled == Some(true)) {
            return Ok(Err(Stop::OwnAccount));
        }
        let mut ended = Vec::new();
        if let Some(name) = &change.name {
            let name = name.as_ref().map(Label::as_str);
            if name != account.name.as_deref() {
                store::set_name(conn, user, name)?;
                self.0.audit.append(conn, &Record::new(Event::ProfileChanged, by).on(user))?;
            }
        }
        if let Some(Roles(roles)) = change.roles.as_ref().filter(|roles| roles.0 != account.roles) {
            ended.extend(self.set_roles_in(conn, &account, roles, by)?);
        }
        match change.disabled {
            Some(true) if account.disabled_at.is_none() => ended.push(self.disable_in(conn, user, by)?),
            Some(false) if account.disabled_at.is_some() => {
                store::set_disabled(conn, user, None)?;
                self.0.audit.append(conn, &Record::new(Event::AccountEnabled, by).on(user))?;
            }
            Some(_) | None => {}
        }
        Ok(Ok(ended))
    }

    fn set_roles_in(&self, conn: &mut Conn, account: &Account, roles: &Names, by: &Actor) -> DbResult<Vec<Ended>> {
        let (user, sessions) = (account.id, &self.0.sessions);
        store::set_roles(conn, user, roles)?;
        let record = Record::new(Event::RolesChanged, by).on(user);
        let record = record.with("from", account.roles.0.clone()).with("to", roles.0.clone());
        self.0.audit.append(conn, &record)?;
        let mut ended = vec![sessions.supersede_access_tokens_in(conn, user)?];
        if account.roles.contains(ADMIN) && !roles.contains(ADMIN) {
            ended.push(sessions.revoke_in(conn, Which::ActedBy(user), Reason::EndedByOperator, by)?);
        }
        Ok(ended)
    }

    fn disable_in(&self, conn: &mut Conn, user: UserId, by: &Actor) -> DbResult<Ended> {
        store::set_disabled(conn, user, Some(self.0.clock.now()))?;
        self.0.audit.append(conn, &Record::new(Event::AccountDisabled, by).on(user))?;
        self.0.sessions.revoke_in(conn, Which::AllOf(user), Reason::AccountDisabled, by)
    }

    /// The account with this address gets these roles, or is enabled again: for the command line. `None` when there is
    /// no such account.
    pub async fn set_roles(&self, user: UserId, roles: Roles) -> DbResult<Option<Names>> {
        let (admin, by) = (self.clone(), Actor::default());
        let changed = self.0.db.write(move |conn| {
            let Some(account) = store::hold(conn, user)? else { return Ok(None) };
            let Roles(roles) = roles;
            let ended =
                if roles == account.roles { Vec::new() } else { admin.set_roles_in(conn, &account, &roles, &by)? };
            Ok(Some((ended, roles)))
        });
        let Some((ended, roles)) = changed.await? else { return Ok(None) };
        for ended in &ended {
            self.0.sessions.announce(ended).await;
        }
        Ok(Some(roles))
    }

    /// Lets an account log in again: for the command line. Answers whether there is such an account.
    pub async fn enable(&self, user: UserId) -> DbResult<bool> {
        let audit = self.0.audit.clone();
        let enabled = self.0.db.write(move |conn| {
            let Some(account) = store::hold(conn, user)? else { return Ok(false) };
            if account.disabled_at.is_some() {
                store::set_disabled(conn, user, None)?;
                audit.append(conn, &Record::new(Event::AccountEnabled, &Actor::default()).on(user))?;
            }
            Ok(true)
        });
        enabled.await
    }

    /// The sessions of an account, as its owner sees them. `None` when there is no such account.
    pub async fn sessions_of(
        &self,
        user: UserId,
        by: &Actor,
        include_expired: bool,
    ) -> DbResult<Option<Vec<SessionView>>> {
        if self.user(user).await?.is_none() {
            return Ok(None);
        }
        let current = by.session.unwrap_or(SessionId(uuid::Uuid::nil()));
        Ok(Some(self.0.sessions.list(user, current, include_expired).await?))
    }

    /// Ends all sessions of an account. `None` when there is no such account.
    pub async fn end_sessions_of(&self, user: UserId, by: &Actor) -> DbResult<Option<usize>> {
        if self.user(user).await?.is_none() {
            return Ok(None);
        }
        Ok(Some(self.0.sessions.revoke_all(Which::AllOf(user), Reason::EndedByOperator, by).await?))
    }
}

/// One account more than `limit` where there are as many, each with what it is sorted by.
fn find(conn: &mut Conn, q: Option<&str>, after: Option<Position>, limit: usize) -> DbResult<Vec<(String, Account)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let Some(q) = q else {
        let found = store::newest(conn, after.map(|after| after.id), limit)?;
        return Ok(found.into_iter().map(|account| (String::new(), account)).collect());
    };
    let (address, name) = (q.to_lowercase(), q.to_ascii_lowercase());
    let after = after.unwrap_or(Position { key: String::new(), id: UserId(uuid::Uuid::nil()) });
    let after = (after.key.as_str(), after.id);
    let by_address = store::by_address(conn, &address, after, limit)?;
    // An account that is found by both has its place by its address.
    let by_name = store::by_name(conn, (&name, &address), after, limit)?;
    let mut found: Vec<(String, Account)> =
        by_address.into_iter().map(|account| (account.email_normalized.clone(), account)).collect();
    found.extend(by_name.into_iter().map(|(account, name)| (name, account)));
    found.sort_by(|(a_key, a), (b_key, b)| (a_key, a.id).cmp(&(b_key, b.id)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(names: &[&str]) -> Result<Vec<String>, InvalidRoles> {
        Roles::parse(names.iter().map(|name| (*name).to_owned()).collect()).map(|roles| roles.0.0)
    }

    #[test]
    fn every_account_keeps_the_role_user_and_has_none_twice() {
        assert_eq!(parse(&[]).unwrap(), ["user"]);
        assert_eq!(parse(&["admin", "user", "admin", "a-1_b"]).unwrap(), ["user", "admin", "a-1_b"]);
    }

    #[test]
    fn a_role_has_a_name_that_needs_no_quoting() {
        for wrong in ["", "Admin", "1st", "-a", "a b", "a,b", "é", &"a".repeat(65)] {
            assert_eq!(parse(&[wrong]), Err(InvalidRoles::Name), "{wrong}");
        }
        let many: Vec<String> = (0..32).map(|number| format!("role-{number}")).collect();
        assert_eq!(Roles::parse(many), Err(InvalidRoles::TooMany));
    }

    #[test]
    fn a_position_reads_back_as_it_was() {
        let position = Position { key: "ada@example.com".to_owned(), id: UserId(uuid::Uuid::from_u128(7)) };
        assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
        assert_eq!(Position::from_bytes(b"short"), None);
        assert_eq!(Position::from_bytes(&[0xff; 17]), None);
    }
}
