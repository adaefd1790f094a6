//! One account as a line of JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store::AccountRow;
use crate::accounts::USER;
use crate::accounts::email::{Email, EmailError};
use crate::accounts::foreign::HashRefusal;
use crate::accounts::hash::{self, NO_PASSWORD};
use crate::clock::Timestamp;
use crate::db::types::{Names, UserId};
use crate::label::{Label, LabelError};
use crate::random::Random;

/// How far in the future a time may lie, since clocks differ.
const TOLERABLE_SKEW: Duration = Duration::from_secs(300);

/// Roles of one account at the most.
const MAX_ROLES: usize = 32;

/// Bytes of a role's name at the most.
const MAX_ROLE_BYTES: usize = 64;

/// An account as it stands in a file: what an export writes, and an import reads. All but `email` may be missing or
/// null.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A new one is made for an account that brings none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    pub email: String,
    /// A hash in a form that [`hash::check`] knows. Without one, the owner has to reset the password first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// What systems say that keep no time for it; `true` means "since now".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified_at: Option<Timestamp>,
    /// Likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// Whether mails tell of logins from new devices and places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_changed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<Timestamp>,
}

/// Why a line is not an account. The text repeats no value of the line's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("is not JSON, from column {0} on")]
    NotJson(usize),
    #[error("is not a JSON object")]
    NotAnObject,
    #[error("has no {0}")]
    Missing(String),
    #[error("has a field that is not known here, {0}")]
    Unknown(String),
    #[error("{0} is there twice")]
    Twice(String),
    #[error("{0} is of the wrong type")]
    WrongType(String),
    #[error("email {0}")]
    Email(#[from] EmailError),
    #[error("password_hash {0}")]
    PasswordHash(#[from] HashRefusal),
    #[error("name {0}")]
    Name(#[from] LabelError),
    #[error("id must not be all zeros or all ones")]
    Id,
    #[error("roles are up to {MAX_ROLES} names of up to {MAX_ROLE_BYTES} letters, digits and . _ : - each")]
    Roles,
    #[error("{0} and {0}_at contradict each other")]
    Contradiction(&'static str),
    #[error("{0} lies before 1970 or in the future")]
    Time(&'static str),
}

impl Entry {
    pub fn parse(line: &[u8]) -> Result<Self, EntryError> {
        // serde would also take an array for the fields in their order.
        if line.trim_ascii_start().first() != Some(&b'{') {
            let other: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(line);
            return Err(other.map_or_else(|error| EntryError::NotJson(error.column()), |_| EntryError::NotAnObject));
        }
        let mut json = serde_json::Deserializer::from_slice(line);
        let entry = serde_path_to_error::deserialize(&mut json).map_err(describe)?;
        json.end().map_err(|error| EntryError::NotJson(error.column()))?;
        Ok(entry)
    }
}

/// serde names a missing, unknown or repeated field in its text alone, between backticks.
fn describe(error: serde_path_to_error::Error<serde_json::Error>) -> EntryError {
    let path = error.path().to_string();
    let error = error.into_inner();
    if !error.is_data() {
        return EntryError::NotJson(error.column());
    }
    let text = error.to_string();
    let named = text.split('`').nth(1).unwrap_or(&path).escape_debug().to_string();
    match text.split_once(" field") {
        Some(("missing", _)) => EntryError::Missing(named),
        Some(("unknown", _)) => EntryError::Unknown(named),
        Some(("duplicate", _)) => EntryError::Twice(named),
        _ => EntryError::WrongType(path),
    }
}

/// An account that is ready to be added.
pub struct Newcomer {
    row: AccountRow,
    has_own_id: bool,
}

impl Newcomer {
    /// Checks everything about an account that can be checked without the database. `now` is the time of the import.
    pub fn of(entry: Entry, now: Timestamp, random: Random) -> Result<Self, EntryError> {
        let email = Email::parse(&entry.email)?;
        let name = entry.name.as_deref().filter(|name| !name.is_empty()).map(Label::parse).transpose()?;
        if entry.id.is_some_and(|id| id.is_nil() || id.is_max()) {
            return Err(EntryError::Id);
        }
        if let Some(text) = &entry.password_hash {
            hash::check(text)?;
        }
        for (field, time) in [
            ("created_at", entry.created_at),
            ("password_changed_at", entry.password_changed_at),
            ("last_login_at", entry.last_login_at),
            ("email_verified_at", entry.email_verified_at),
            ("disabled_at", entry.disabled_at),
        ] {
            let possible = Timestamp::from_millis(0)..=now.plus(TOLERABLE_SKEW);
            if time.is_some_and(|time| !possible.contains(&time)) {
                return Err(EntryError::Time(field));
            }
        }
        let created_at = entry.created_at.unwrap_or(now);
        let row = AccountRow {
            id: UserId(entry.id.unwrap_or_else(|| random.id(created_at))),
            email: email.as_str().to_owned(),
            email_normalized: email.normalized().to_owned(),
            name: name.map(Label::into_string),
            password_hash: entry.password_hash.unwrap_or_else(|| NO_PASSWORD.to_owned()),
            roles: roles(entry.roles)?,
            created_at,
            password_changed_at: entry.password_changed_at.unwrap_or(created_at),
            last_login_at: entry.last_login_at,
            disabled_at: since("disabled", entry.disabled, entry.disabled_at, now)?,
            email_verified_at: since("email_verified", entry.email_verified, entry.email_verified_at, now)?,
            alerts: entry.alerts.unwrap_or(true),
        };
        Ok(Self { row, has_own_id: entry.id.is_some() })
    }

    pub(super) const fn row(&self) -> &AccountRow {
        &self.row
    }

    /// The address in the form in which it is unique.
    pub(super) fn address(&self) -> &str {
        &self.row.email_normalized
    }

    /// The id that the account brought with it.
    pub(super) fn own_id(&self) -> Option<Uuid> {
        self.has_own_id.then_some(self.row.id.0)
    }
}

/// Every account has the role of a user, named or not.
fn roles(given: Option<Vec<String>>) -> Result<Names, EntryError> {
    let is_name = |role: &String| {
        let letters = role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte));
        letters && (1..=MAX_ROLE_BYTES).contains(&role.len())
    };
    let mut roles = given.unwrap_or_default();
    if !roles.iter().any(|role| role == USER) {
        roles.insert(0, USER.to_owned());
    }
    if roles.len() > MAX_ROLES || !roles.iter().all(is_name) {
        return Err(EntryError::Roles);
    }
    Ok(Names(roles))
}

/// Since when something holds of an account, which may be told as a time, or as a fact alone.
fn since(
    field: &'static str,
    holds: Option<bool>,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, EntryError> {
    match (holds, at) {
        (Some(false), Some(_)) => Err(EntryError::Contradiction(field)),
        (Some(true), None) => Ok(Some(now)),
        (_, at) => Ok(at),
    }
}

impl From<AccountRow> for Entry {
    fn from(row: AccountRow) -> Self {
        Self {
            id: Some(row.id.0),
            email: row.email,
            password_hash: Some(row.password_hash).filter(|hash| hash != NO_PASSWORD),
            name: row.name,
            roles: Some(row.roles.0),
            email_verified: None,
            email_verified_at: row.email_verified_at,
            disabled: None,
            disabled_at: row.disabled_at,
            alerts: Some(row.alerts),
            created_at: Some(row.created_at),
            password_changed_at: Some(row.password_changed_at),
            last_login_at: row.last_login_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn read(line: &str) -> Result<Newcomer, EntryError> {
        Newcomer::of(Entry::parse(line.as_bytes())?, NOW, Random)
    }

    fn reason(line: &str) -> String {
        read(line).err().unwrap_or_else(|| panic!("{line} was accepted")).to_string()
    }

    #[test]
    fn an_address_alone_makes_an_account_without_password() {
        let newcomer = read(r#"{"email":" Ada@Example.com ","name":"","id":null,"roles":null}"#).unwrap();
        assert_eq!(newcomer.own_id(), None);
        let row = newcomer.row();
        assert_eq!((&*row.email, &*row.email_normalized, &row.name), ("Ada@Example.com", "ada@example.com", &None));
        assert_eq!((&*row.password_hash, &row.roles), (NO_PASSWORD, &Names::of(&["user"])));
        assert_eq!((row.created_at, row.password_changed_at), (NOW, NOW));
        assert_eq!((row.last_login_at, row.disabled_at, row.email_verified_at, row.alerts), (None, None, None, true));
        assert_eq!(row.id.0.get_version_num(), 7);
    }

    #[test]
    fn what_other_systems_say_without_a_time_holds_since_the_import() {
        let newcomer = read(r#"{"email":"a@example.com","email_verified":true,"disabled":true}"#).unwrap();
        assert_eq!((newcomer.row().email_verified_at, newcomer.row().disabled_at), (Some(NOW), Some(NOW)));
        let newcomer = read(r#"{"email":"a@example.com","email_verified":false,"disabled":false}"#).unwrap();
        assert_eq!((newcomer.row().email_verified_at, newcomer.row().disabled_at), (None, None));
        let at = r#"{"email":"a@example.com","email_verified":true,"email_verified_at":"2020-01-02T03:04:05+01:00"}"#;
        let verified_at = read(at).unwrap().row().email_verified_at.unwrap();
        assert_eq!(verified_at.to_string(), "2020-01-02T02:04:05.000Z");
    }

    #[test]
    fn an_entry_that_is_written_and_read_again_is_the_same() {
        let line = concat!(
            r#"{"id":"0190b5a0-0000-7000-8000-000000000001","email":"Ada@Example.com","#,
            r#""password_hash":"$2b$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS","name":"Ada","#,
            r#""roles":["user","editor:news"],"email_verified_at":"2020-01-02T03:04:05.006Z","#,
            r#""disabled_at":"2021-01-02T03:04:05.006Z","alerts":false,"created_at":"2019-01-02T03:04:05.006Z","#,
            r#""password_changed_at":"2019-02-02T03:04:05.006Z","last_login_at":"2022-01-02T03:04:05.006Z"}"#
        );
        let Newcomer { row, has_own_id: true } = read(line).unwrap() else { panic!("it has an id") };
        assert_eq!(serde_json::to_string(&Entry::from(row)).unwrap(), line);
    }

    #[test]
    fn a_line_that_is_no_account_is_refused_with_its_reason() {
        let with = |rest: &str| format!(r#"{{"email":"a@example.com",{rest}}}"#);
        let role = format!(r#""roles":["{}"]"#, "r".repeat(65));
        for (line, expected) in [
            ("{".to_owned(), "is not JSON"),
            ("secret".to_owned(), "is not JSON"),
            ("{} {}".to_owned(), "has no email"),
            (format!("{} x", with(r#""name":"Ada""#)), "is not JSON"),
            (r#"["a@example.com"]"#.to_owned(), "is not a JSON object"),
            ("null".to_owned(), "is not a JSON object"),
            (r#"{"name":"Ada"}"#.to_owned(), "has no email"),
            (r#"{"email":null}"#.to_owned(), "email is of the wrong type"),
            (r#"{"email":"secret"}"#.to_owned(), "email is not a mail address"),
            (r#"{"email":"a\u0000@example.com"}"#.to_owned(), "email is not a mail address"),
            (with(r#""passwordHash":"secret""#), "has a field that is not known here, passwordHash"),
            (with(r#""email":"a@example.com""#), "email is there twice"),
            (with(r#""password_hash":"secret""#), "password_hash is of no form"),
            (with(r#""password_hash":"!""#), "password_hash is of no form"),
            (with(r#""password_hash":"""#), "password_hash is of no form"),
            (with(r#""password_hash":"$argon2id$v=19$m=1,t=1,p=1$secret""#), "password_hash is no well-formed hash"),
            (
                with(r#""password_hash":"$2b$31$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS""#),
                "password_hash costs too much",
            ),
            (with(r#""password_hash":7"#), "password_hash is of the wrong type"),
            (with(r#""id":"auth0|secret""#), "id is of the wrong type"),
            (with(r#""id":"00000000-0000-0000-0000-000000000000""#), "id must not be"),
            (with(r#""name":"a\nb""#), "name holds a control character"),
            (with(r#""roles":"user""#), "roles is of the wrong type"),
            (with(r#""roles":["user",""]"#), "roles are"),
            (with(r#""roles":["a,b"]"#), "roles are"),
            (with(&role), "roles are"),
            (with(r#""disabled":"no""#), "disabled is of the wrong type"),
            (
                with(r#""disabled":false,"disabled_at":"2020-01-02T03:04:05Z""#),
                "disabled and disabled_at contradict each other",
            ),
            (with(r#""created_at":"yesterday""#), "created_at is of the wrong type"),
            (with(r#""created_at":"1969-12-31T23:59:59Z""#), "created_at lies before 1970"),
            (with(r#""last_login_at":"2123-11-14T22:13:20Z""#), "last_login_at lies before 1970 or in the future"),
            (with(r#""\u001b[2J":1"#), "has a field that is not known here, \\u{1b}[2J"),
        ] {
            let reason = reason(&line);
            assert!(reason.starts_with(expected), "{line}: {reason}");
            assert!(!reason.contains("secret"), "{line}: {reason}");
        }
    }
}
