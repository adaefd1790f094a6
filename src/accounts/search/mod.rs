//! Lists accounts and searches them, page by page.
//!
//! A search needs no index of the parts of words: it finds first the accounts whose email address begins with the text,
//! then those whose name does, each by an index, and then looks through all others, newest first, [`WINDOW`] rows at a
//! time. A page looks through [`WINDOWS`] of these at most, and may so have fewer accounts than were asked for, even
//! none, although others follow.

mod store;

use uuid::Uuid;

use super::store::AccountRow;
use super::{Account, Accounts};
use crate::db::{Conn, DbResult};
use crate::types::{Role, UserId, ascii_domain, normalized_prefix, text};

/// Rows that one query looks through.
const WINDOW: i64 = 10_000;

/// Queries for one page.
const WINDOWS: usize = 5;

/// The accounts that a list contains.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountQuery {
    /// A part of the email address or the name, in any case of letters.
    text: Option<SearchText>,
    /// The role that the accounts have.
    role: Option<Role>,
    /// The state that the accounts are in.
    state: Option<AccountState>,
}

/// A text as email addresses and as names are compared.
#[derive(Clone, Debug)]
struct SearchText {
    email: String,
    name: String,
    /// The text as the DNS writes it, if it can be a part of a domain outside ASCII.
    domain: Option<String>,
}

impl SearchText {
    /// Returns the text as it is compared, if there is something to look for.
    fn new(text: &str) -> Option<Self> {
        let text = text::visible(text);
        let domain = Some(text.as_str()).filter(|text| !text.is_ascii()).and_then(ascii_domain);
        (!text.is_empty()).then(|| Self { email: normalized_prefix(&text), name: text::folded(&text), domain })
    }
}

/// A state of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountState {
    /// The account is neither disabled nor to be deleted.
    Active,
    /// The account is disabled.
    Disabled,
    /// The account is to be deleted.
    DeletionPending,
    /// The email address is not verified.
    Unverified,
    /// The account has no password: its owner was invited, or it was imported without one.
    WithoutPassword,
}

impl AccountState {
    /// Every state.
    pub(crate) const ALL: [Self; 5] =
        [Self::Active, Self::Disabled, Self::DeletionPending, Self::Unverified, Self::WithoutPassword];

    /// Returns the name in the API and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::DeletionPending => "deletion_pending",
            Self::Unverified => "unverified",
            Self::WithoutPassword => "without_password",
        }
    }

    /// Returns whether an account is in this state. It can be in several.
    pub(crate) const fn includes(self, account: &Account) -> bool {
        match self {
            Self::Active => account.is_active(),
            Self::Disabled => account.disabled_at.is_some(),
            Self::DeletionPending => account.deletes_at.is_some(),
            Self::Unverified => account.email_verified_at.is_none(),
            Self::WithoutPassword => !account.has_password,
        }
    }

    /// Finds the state with this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A part of a list, sorted in a way of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The accounts whose email address begins with the text, by address.
    Emails,
    /// The other accounts whose name begins with the text, by name.
    Names,
    /// The others, newest first: those that have the text elsewhere, or all if there is none.
    Others,
}

impl Part {
    const ALL: [Self; 3] = [Self::Emails, Self::Names, Self::Others];

    const fn next(self) -> Option<Self> {
        match self {
            Self::Emails => Some(Self::Names),
            Self::Names => Some(Self::Others),
            Self::Others => None,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Emails => 0,
            Self::Names => 1,
            Self::Others => 2,
        }
    }
}

/// A position in a list: after an account, or before all of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    part: Part,
    /// The email address or the name by which the part is sorted; otherwise empty.
    key: String,
    id: UserId,
}

impl Position {
    /// Returns the position before all accounts of a part.
    fn before(part: Part) -> Self {
        let id = if part == Part::Others { Uuid::max() } else { Uuid::nil() };
        Self { part, key: String::new(), id: UserId(id) }
    }

    /// Returns the position after an account.
    fn after(part: Part, row: &AccountRow) -> Self {
        let key = match part {
            Part::Emails => row.email_normalized.clone(),
            Part::Names => row.name_normalized.clone().unwrap_or_default(),
            Part::Others => String::new(),
        };
        Self { part, key, id: row.id }
    }

    /// Encodes the position for a cursor.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&[self.part.number()], self.id.0.as_bytes().as_slice(), self.key.as_bytes()].concat()
    }

    /// Decodes the position of a cursor. Returns `None` if the bytes have another form.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first()?;
        let part = Part::ALL.into_iter().find(|part| part.number() == *number)?;
        let (id, key) = rest.split_first_chunk::<16>()?;
        // Postgres takes no text with NUL.
        let key = std::str::from_utf8(key).ok().filter(|key| !key.contains('\0'))?;
        Some(Self { part, key: key.to_owned(), id: UserId(Uuid::from_bytes(*id)) })
    }
}

/// A page of accounts.
pub(crate) struct AccountPage {
    /// The accounts: up to as many as were asked for, or fewer although others follow.
    pub accounts: Vec<Account>,
    /// The position after which the next page begins; `None` on the last page.
    pub next: Option<Position>,
}

/// What was found for a page.
#[derive(Default)]
struct Found {
    rows: Vec<(Part, AccountRow)>,
    /// The position from which the search has to go on, if it was left off.
    left_off: Option<Position>,
}

impl AccountQuery {
    /// Creates a query for the accounts that have a text somewhere in their email address or name, a role, and a state,
    /// as far as these are given.
    pub(crate) fn new(text: Option<&str>, role: Option<Role>, state: Option<AccountState>) -> Self {
        Self { text: text.and_then(SearchText::new), role, state }
    }

    /// Returns where a page begins. A position of another query is taken for one of this.
    fn begin(&self, after: Option<Position>) -> Position {
        match (after, &self.text) {
            (Some(after), Some(_)) => after,
            (Some(after), None) if after.part == Part::Others => after,
            (None, Some(_)) => Position::before(Part::Emails),
            (_, None) => Position::before(Part::Others),
        }
    }

    /// Returns whether some rows of a part may not belong to the list, so that a page must not go on until it is full.
    const fn is_sparse(&self, part: Part) -> bool {
        let is_filtered = self.role.is_some() || self.state.is_some();
        match part {
            Part::Emails => is_filtered,
            Part::Names => true,
            Part::Others => is_filtered || self.text.is_some(),
        }
    }

    fn find(&self, conn: &mut Conn, after: Option<Position>, limit: usize) -> DbResult<Found> {
        let mut at = self.begin(after);
        let mut found = Found::default();
        for _ in 0..WINDOWS {
            let part = at.part;
            let end = if self.is_sparse(part) { store::end(conn, self, &at)? } else { None };
            let wanted = limit.saturating_add(1).saturating_sub(found.rows.len());
            let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
            let rows = store::find(conn, self, &at, end.as_ref(), wanted)?;
            found.rows.extend(rows.into_iter().map(|row| (part, row)));
            if found.rows.len() > limit {
                return Ok(found);
            }
            match end.or_else(|| part.next().map(Position::before)) {
                Some(next) => at = next,
                None => return Ok(found),
            }
        }
        found.left_off = Some(at);
        Ok(found)
    }
}

impl Accounts {
    /// Finds up to `limit` accounts after `after`: newest first; with a text first those whose email address begins
    /// with it, then those whose name does, then those that have it elsewhere.
    pub(crate) async fn search(
        &self,
        query: AccountQuery,
        after: Option<Position>,
        limit: usize,
    ) -> DbResult<AccountPage> {
        let Found { mut rows, left_off } = self.db.read(move |conn| query.find(conn, after, limit)).await?;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| has_more).map(|(part, row)| Position::after(*part, row));
        let accounts = rows.iter().map(|(_, row)| Account::from(row)).collect();
        Ok(AccountPage { accounts, next: last.or(left_off) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_reads_back_as_it_was() {
        for part in Part::ALL {
            let position = Position { part, key: "ada@example.com".to_owned(), id: UserId(Uuid::from_u128(7)) };
            assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
        }
        for bytes in [&b""[..], b"short", &[0xff; 18], &[0; 18], &[9; 17]] {
            assert_eq!(Position::from_bytes(bytes), None, "{bytes:?}");
        }
        assert!(Position::from_bytes(&[0; 17]).is_some());
    }

    #[test]
    fn states_are_known_by_their_names() {
        for state in AccountState::ALL {
            assert_eq!(AccountState::parse(state.name()), Some(state));
        }
        assert_eq!(AccountState::parse("asleep"), None);
    }
}
