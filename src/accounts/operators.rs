//! Finds and lists accounts for operators.

use uuid::Uuid;

use super::Accounts;
use super::store::{self, AccountRow, NamePrefix};
use crate::db::{Conn, DbResult};
use crate::types::{Roles, Timestamp, UserId, normalized_prefix};

/// An account as shown to operators.
#[derive(Clone)]
pub(crate) struct Account {
    /// The id.
    pub id: UserId,
    /// The email address.
    pub email: String,
    /// The name.
    pub name: Option<String>,
    /// The roles.
    pub roles: Roles,
    /// The time of the registration.
    pub created_at: Timestamp,
    /// The time of the last change of password.
    pub password_changed_at: Timestamp,
    /// The time of the last login.
    pub last_login_at: Option<Timestamp>,
    /// The time at which the email address was verified.
    pub email_verified_at: Option<Timestamp>,
    /// The time at which the account was disabled.
    pub disabled_at: Option<Timestamp>,
    /// The time at which the account is deleted.
    pub deletes_at: Option<Timestamp>,
}

impl From<&AccountRow> for Account {
    fn from(row: &AccountRow) -> Self {
        Self {
            id: row.id,
            email: row.email.clone(),
            name: row.name.clone(),
            roles: row.roles.clone(),
            created_at: row.created_at,
            password_changed_at: row.password_changed_at,
            last_login_at: row.last_login_at,
            email_verified_at: row.email_verified_at,
            disabled_at: row.disabled_at,
            deletes_at: row.deletes_at,
        }
    }
}

/// The position of an account in a list: its id and, in a search, its sort key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// The email address or name by which a search is sorted; otherwise empty.
    pub key: String,
    /// The id of the account.
    pub id: UserId,
}

impl Position {
    /// Encodes the position for a cursor.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [self.id.0.as_bytes(), self.key.as_bytes()].concat()
    }

    /// Decodes the position of a cursor. Returns `None` if the bytes have another form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (id, key) = bytes.split_first_chunk::<16>()?;
        // Postgres takes no text with NUL.
        let key = std::str::from_utf8(key).ok().filter(|key| !key.contains('\0'))?;
        Some(Self { key: key.to_owned(), id: UserId(Uuid::from_bytes(*id)) })
    }
}

/// A page of accounts.
pub(crate) struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// The position after which the next page begins; `None` on the last page.
    pub next: Option<Position>,
}

impl Account {
    /// Returns whether the account is neither disabled nor waits for its deletion.
    pub(crate) const fn is_active(&self) -> bool {
        self.disabled_at.is_none() && self.deletes_at.is_none()
    }
}

impl Accounts {
    /// Finds up to `limit` accounts after `after`, newest first. With `query` it finds those whose email address or
    /// name begins with it, in the order of the address or name. Names are compared without regard to the case of ASCII
    /// letters.
    pub(crate) async fn search(
        &self,
        query: Option<String>,
        after: Option<Position>,
        limit: usize,
    ) -> DbResult<AccountPage> {
        let mut found = self.db.read(move |conn| search(conn, query.as_deref(), after, limit)).await?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| has_more);
        let next = last.map(|(key, row)| Position { key: key.clone(), id: row.id });
        Ok(AccountPage { accounts: found.iter().map(|(_, row)| Account::from(row)).collect(), next })
    }

    /// Finds an account.
    pub(crate) async fn find(&self, user: UserId) -> DbResult<Option<Account>> {
        Ok(self.db.read(move |conn| store::find(conn, user)).await?.as_ref().map(Account::from))
    }

    /// Finds up to `limit` accounts after `after` in the order of their ids.
    pub(crate) async fn page(&self, after: Option<UserId>, limit: i64) -> DbResult<Vec<Account>> {
        let rows = self.db.read(move |conn| store::page(conn, after, limit)).await?;
        Ok(rows.iter().map(Account::from).collect())
    }

    /// Counts all accounts.
    pub(crate) async fn count(&self) -> DbResult<i64> {
        self.db.read(store::count).await
    }
}

/// Finds up to one account more than `limit`, each with its sort key.
fn search(
    conn: &mut Conn,
    query: Option<&str>,
    after: Option<Position>,
    limit: usize,
) -> DbResult<Vec<(String, AccountRow)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let Some(query) = query else {
        let found = store::newest(conn, after.map(|after| after.id), limit)?;
        return Ok(found.into_iter().map(|row| (String::new(), row)).collect());
    };
    let email = normalized_prefix(query);
    let name = query.to_ascii_lowercase();
    let after = after.unwrap_or(Position { key: String::new(), id: UserId(Uuid::nil()) });
    let by_email = store::search_emails(conn, &email, &after, limit)?;
    // An account whose address and name both match is sorted by its address.
    let prefixes = NamePrefix { name: &name, other_than_email: &email };
    let by_name = store::search_names(conn, prefixes, &after, limit)?;
    let mut found: Vec<(String, AccountRow)> =
        by_email.into_iter().map(|row| (row.email_normalized.clone(), row)).collect();
    found.extend(by_name.into_iter().map(|(row, name)| (name, row)));
    found.sort_by(|(a_key, a), (b_key, b)| (a_key, a.id).cmp(&(b_key, b.id)));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_was() {
        let position = Position { key: "ada@example.com".to_owned(), id: UserId(Uuid::from_u128(7)) };
        assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
        assert_eq!(Position::from_bytes(b"short"), None);
        assert_eq!(Position::from_bytes(&[0xff; 17]), None);
        assert_eq!(Position::from_bytes(&[0; 17]), None);
    }
}
