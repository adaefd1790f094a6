//! One account as a line of JSON.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::time;
use crate::accounts::store::AccountRow;
use crate::mfa::{FactorError, ImportedFactor};
use crate::passwords::{HashError, NO_PASSWORD, check_hash};
use crate::random::Random;
use crate::types::{
    EmailAddress, EmailAddressError, Label, LabelError, Language, Roles, RolesError, Timestamp, UserId,
};

/// How far in the future a time may be, since clocks differ.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// The longest tag of a language that is taken, in bytes (RFC 5646 §4.4.1).
const MAX_TAG_LENGTH: usize = 35;

/// An account as a file has it: what an export writes and an import reads. Every field but `email` may be missing or
/// null.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// An account without an id gets a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    pub email: String,
    /// A hash that [`check_hash`] accepts. Without one, or with one of unknown form, the owner has to reset the
    /// password first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// The secret of the owner's authenticator app, in Base32 or as an otpauth URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp_secret: Option<Zeroizing<String>>,
    /// Recovery codes beside `totp_secret`, in plain text. An export has none: only digests of them are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<Vec<Zeroizing<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The language of pages and emails, as a tag of BCP 47. One that this server has no texts in is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// For systems that record no time of it: `true` means since the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    #[serde(default, deserialize_with = "time::deserialize", skip_serializing_if = "Option::is_none")]
    pub email_verified_at: Option<Timestamp>,
    /// For systems that record no time of it: `true` means since the import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    #[serde(default, deserialize_with = "time::deserialize", skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
    /// The time at which the account is deleted; until then nobody can log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletes_at: Option<Timestamp>,
    /// Whether the owner gets emails about logins from new devices and places.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alerts: Option<bool>,
    #[serde(default, deserialize_with = "time::deserialize", skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time::deserialize", skip_serializing_if = "Option::is_none")]
    pub password_changed_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "time::deserialize", skip_serializing_if = "Option::is_none")]
    pub last_login_at: Option<Timestamp>,
}

/// The second factor of an account whose secret is not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", rename_all = "lowercase")]
pub(crate) enum SecondFactor {
    /// None: the password is enough.
    None,
    /// One that cannot be imported. Then the password alone must not be enough.
    Other,
}

impl SecondFactor {
    /// The error of a text that is no value.
    const UNKNOWN: &str = "not a second factor";
}

impl TryFrom<String> for SecondFactor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "none" => Ok(Self::None),
            "other" => Ok(Self::Other),
            _ => Err(Self::UNKNOWN),
        }
    }
}

/// Why a line is not an account. The text repeats no value of the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EntryError {
    #[error("is not JSON, from column {0} on")]
    NotJson(usize),
    #[error("is not a JSON object")]
    NotAnObject,
    #[error("has no {0}")]
    Missing(String),
    #[error("has an unknown field, {0}")]
    Unknown(String),
    #[error("has {0} twice")]
    Duplicate(String),
    #[error("{0} has the wrong type")]
    WrongType(String),
    #[error("{0} is neither \"none\" nor \"other\"")]
    NotAFactor(String),
    #[error("{0} is not a time such as 2021-03-04T05:06:07Z; without a zone it is taken as UTC")]
    NotATime(String),
    #[error("email {0}")]
    Email(#[from] EmailAddressError),
    #[error("password_hash {0}")]
    PasswordHash(#[from] HashError),
    #[error("{0}")]
    Factor(FactorError),
    #[error("recovery_codes needs a totp_secret; a second factor of another kind is \"second_factor\": \"other\"")]
    LoneRecoveryCodes,
    #[error("name {0}")]
    Name(#[from] LabelError),
    #[error("language is not a tag such as de or pt-BR")]
    Language,
    #[error("id must not be all zeros or all ones")]
    Id,
    #[error("roles {0}")]
    Roles(#[from] RolesError),
    #[error("{0} and {0}_at contradict each other")]
    Contradiction(&'static str),
    #[error("{0} is before 1970 or in the future")]
    Time(&'static str),
}

impl Entry {
    /// Parses a line.
    ///
    /// # Errors
    /// The line is not JSON, not an object, or has a field that is unknown, repeated or of the wrong type.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, EntryError> {
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

    /// Takes the second factor.
    fn second_factor(&mut self) -> Result<Factor, EntryError> {
        let codes = self.recovery_codes.take().unwrap_or_default();
        let Some(secret) = self.totp_secret.take().filter(|secret| !secret.is_empty()) else {
            return match self.second_factor {
                Some(SecondFactor::Other) => Ok(Factor::Other),
                _ if !codes.is_empty() => Err(EntryError::LoneRecoveryCodes),
                _ => Ok(Factor::None),
            };
        };
        match ImportedFactor::parse(&secret, codes) {
            Ok(factor) => Ok(Factor::Totp(factor)),
            Err(FactorError::Unsupported) => Ok(Factor::Other),
            Err(error) => Err(EntryError::Factor(error)),
        }
    }

    /// Adds an account's second factor, whose secret may be unknown.
    pub(super) fn with_second_factor(mut self, factor: Option<Option<Zeroizing<String>>>) -> Self {
        if let Some(secret) = factor {
            self.second_factor = secret.is_none().then_some(SecondFactor::Other);
            self.totp_secret = secret;
        }
        self
    }

    /// Checks that every time is between 1970 and now.
    fn check_times(&self, now: Timestamp) -> Result<(), EntryError> {
        let possible = Timestamp::from_millis(0)..=now.plus(CLOCK_SKEW);
        for (field, time) in [
            ("created_at", self.created_at),
            ("password_changed_at", self.password_changed_at),
            ("last_login_at", self.last_login_at),
            ("email_verified_at", self.email_verified_at),
            ("disabled_at", self.disabled_at),
        ] {
            if time.is_some_and(|time| !possible.contains(&time)) {
                return Err(EntryError::Time(field));
            }
        }
        Ok(())
    }
}

/// Describes an error of serde, which names a missing, unknown or repeated field only in its text, between backticks.
fn describe(error: serde_path_to_error::Error<serde_json::Error>) -> EntryError {
    let path = error.path().to_string();
    let error = error.into_inner();
    if !error.is_data() {
        return EntryError::NotJson(error.column());
    }
    let text = error.to_string();
    let field = text.split('`').nth(1).unwrap_or(&path).escape_debug().to_string();
    match text.split_once(" field") {
        Some(("missing", _)) => EntryError::Missing(field),
        Some(("unknown", _)) => EntryError::Unknown(field),
        Some(("duplicate", _)) => EntryError::Duplicate(field),
        _ if text.starts_with(SecondFactor::UNKNOWN) => EntryError::NotAFactor(path),
        _ if text.starts_with(time::NOT_A_TIME) => EntryError::NotATime(path),
        _ => EntryError::WrongType(path),
    }
}

/// Why an account is imported without a password, although the file has something to log in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WithoutPassword {
    #[error("password_hash has no known form: imported without a password, which its owner can set by email")]
    UnknownHash,
    #[error("the second factor cannot be imported: imported without a password, which its owner can set by email")]
    OtherFactor,
}

/// The second factor of an entry.
enum Factor {
    None,
    Totp(ImportedFactor),
    Other,
}

/// An account that was checked and is ready to be inserted.
pub(crate) struct ImportedAccount {
    row: AccountRow,
    has_own_id: bool,
    second_factor: Option<ImportedFactor>,
    without_password: Option<WithoutPassword>,
}

impl ImportedAccount {
    /// Checks everything about an account that can be checked without the database. `now` is the time of the import.
    ///
    /// # Errors
    /// A field has a value that no account can have.
    pub(crate) fn new(mut entry: Entry, now: Timestamp, random: Random) -> Result<Self, EntryError> {
        let email = EmailAddress::parse(&entry.email)?;
        let name = entry.name.as_deref().filter(|name| !name.is_empty()).map(Label::parse).transpose()?;
        if entry.id.is_some_and(|id| id.is_nil() || id.is_max()) {
            return Err(EntryError::Id);
        }
        let language = entry.language.take().filter(|tag| !tag.is_empty()).map(language).transpose()?;
        entry.check_times(now)?;
        let mut password_hash = entry.password_hash.take().filter(|text| !text.is_empty());
        let mut without_password = match password_hash.as_deref().map_or(Ok(()), check_hash) {
            Ok(()) => None,
            Err(HashError::Unknown) => Some(WithoutPassword::UnknownHash),
            Err(error) => return Err(error.into()),
        };
        let second_factor = match entry.second_factor()? {
            Factor::None => None,
            Factor::Totp(factor) => Some(factor),
            Factor::Other => {
                without_password = without_password.or(Some(WithoutPassword::OtherFactor));
                None
            }
        };
        if without_password.is_some() {
            password_hash = None;
        }
        let created_at = entry.created_at.unwrap_or(now);
        let id = UserId(entry.id.unwrap_or_else(|| random.id(created_at)));
        let verified_at = since("email_verified", entry.email_verified, entry.email_verified_at, now)?;
        let row = AccountRow {
            password_hash: password_hash.unwrap_or_else(|| NO_PASSWORD.to_owned()),
            roles: Roles::parse(entry.roles.unwrap_or_default())?,
            password_changed_at: entry.password_changed_at.unwrap_or(created_at),
            last_login_at: entry.last_login_at,
            disabled_at: since("disabled", entry.disabled, entry.disabled_at, now)?,
            alerts: entry.alerts.unwrap_or(true),
            deletes_at: entry.deletes_at,
            language,
            ..AccountRow::new(id, &email, created_at).named(name).verified(verified_at)
        };
        Ok(Self { row, has_own_id: entry.id.is_some(), second_factor, without_password })
    }

    /// Returns why the account is imported without a password, although the file has something to log in with.
    pub(super) const fn without_password(&self) -> Option<WithoutPassword> {
        self.without_password
    }

    pub(super) const fn row(&self) -> &AccountRow {
        &self.row
    }

    pub(super) const fn second_factor(&self) -> Option<&ImportedFactor> {
        self.second_factor.as_ref()
    }

    /// Returns the email address in the form that is unique.
    pub(super) fn email_normalized(&self) -> &str {
        &self.row.email_normalized
    }

    /// Returns the id that the entry gave.
    pub(super) fn own_id(&self) -> Option<UserId> {
        self.has_own_id.then_some(self.row.id)
    }
}

/// Returns a tag of a language (RFC 5646 §2.1: parts of letters and digits) as this server writes it. Some systems
/// write `pt_BR`.
fn language(tag: String) -> Result<String, EntryError> {
    let tag = tag.replace('_', "-");
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if tag.len() > MAX_TAG_LENGTH || !tag.split('-').all(is_part) {
        return Err(EntryError::Language);
    }
    Ok(Language::with_tag(&tag).map_or(tag, |language| language.tag().to_owned()))
}

/// Returns since when a fact is true of an account; the entry may give the time, or only the fact.
fn since(
    field: &'static str,
    is_true: Option<bool>,
    at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, EntryError> {
    match (is_true, at) {
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
            totp_secret: None,
            recovery_codes: None,
            second_factor: None,
            name: row.name,
            language: row.language,
            roles: Some(row.roles.names().to_vec()),
            email_verified: None,
            email_verified_at: row.email_verified_at,
            disabled: None,
            disabled_at: row.disabled_at,
            deletes_at: row.deletes_at,
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

    fn read(line: &str) -> Result<ImportedAccount, EntryError> {
        ImportedAccount::new(Entry::parse(line.as_bytes())?, NOW, Random)
    }

    fn reason(line: &str) -> String {
        read(line).err().unwrap_or_else(|| panic!("{line} was accepted")).to_string()
    }

    #[test]
    fn an_address_alone_makes_an_account_without_password() {
        let account = read(r#"{"email":" Ada@Example.com ","name":"","id":null,"roles":null}"#).unwrap();
        assert_eq!(account.own_id(), None);
        let row = account.row();
        assert_eq!((&*row.email, &*row.email_normalized, &row.name), ("Ada@Example.com", "ada@example.com", &None));
        assert_eq!((&*row.password_hash, &row.roles), (NO_PASSWORD, &Roles::default()));
        assert_eq!((row.created_at, row.password_changed_at), (NOW, NOW));
        assert_eq!((row.last_login_at, row.disabled_at, row.email_verified_at, row.alerts), (None, None, None, true));
        assert_eq!(row.id.0.get_version_num(), 7);
    }

    #[test]
    fn a_hash_of_unknown_form_makes_an_account_without_password_that_is_told_of() {
        let account = |hash: &str| read(&format!(r#"{{"email":"a@example.com","password_hash":"{hash}"}}"#)).unwrap();
        for hash in ["secret", "!", "!unusable", "*", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "$y$j9T$salt$hash"] {
            let account = account(hash);
            assert_eq!(account.row().password_hash, NO_PASSWORD, "{hash}");
            let told = account.without_password().unwrap().to_string();
            assert!(told.starts_with("password_hash has no known form") && !told.contains(hash), "{told}");
        }
        let none = account("");
        assert_eq!((&*none.row().password_hash, none.without_password()), (NO_PASSWORD, None));
    }

    #[test]
    fn who_had_a_second_factor_is_never_imported_with_the_password_alone() {
        const HASH: &str = "$2b$04$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS";
        const TOTP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        let with = |rest: &str| format!(r#"{{"email":"a@example.com","password_hash":"{HASH}",{rest}}}"#);
        for rest in [
            format!(r#""totp_secret":"{TOTP}""#),
            format!(r#""totp_secret":"{TOTP}","recovery_codes":["ABCD-EFGH"],"second_factor":"other""#),
        ] {
            let account = read(&with(&rest)).unwrap();
            assert_eq!((&*account.row().password_hash, account.without_password()), (HASH, None), "{rest}");
            assert!(account.second_factor().is_some(), "{rest}");
        }
        for rest in [
            r#""second_factor":"other""#.to_owned(),
            r#""second_factor":"other","recovery_codes":["ABCD-EFGH"]"#.to_owned(),
            format!(r#""totp_secret":"otpauth://totp/a?secret={TOTP}&digits=8""#),
        ] {
            let account = read(&with(&rest)).unwrap();
            let without = Some(WithoutPassword::OtherFactor);
            assert_eq!((&*account.row().password_hash, account.without_password()), (NO_PASSWORD, without), "{rest}");
            assert!(account.second_factor().is_none(), "{rest}");
        }
        for rest in [r#""second_factor":"none""#, r#""totp_secret":"","recovery_codes":[]"#, r#""totp_secret":null"#] {
            let account = read(&with(rest)).unwrap();
            assert_eq!((&*account.row().password_hash, account.without_password()), (HASH, None), "{rest}");
            assert!(account.second_factor().is_none(), "{rest}");
        }
        for (rest, expected) in [
            (r#""totp_secret":"secret!""#, "totp_secret is neither Base32"),
            (r#""totp_secret":7"#, "totp_secret has the wrong type"),
            (r#""recovery_codes":["ABCD-EFGH"]"#, "recovery_codes needs a totp_secret"),
            (r#""recovery_codes":["123456"],"totp_secret":"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ""#, "recovery_codes has"),
            (r#""second_factor":"sms""#, "second_factor is neither"),
            (r#""second_factor":true"#, "second_factor has the wrong type"),
        ] {
            let reason = reason(&with(rest));
            assert!(reason.starts_with(expected) && !reason.contains("secret!"), "{rest}: {reason}");
        }
    }

    #[test]
    fn what_other_systems_say_without_a_time_holds_since_the_import() {
        let account = read(r#"{"email":"a@example.com","email_verified":true,"disabled":true}"#).unwrap();
        assert_eq!((account.row().email_verified_at, account.row().disabled_at), (Some(NOW), Some(NOW)));
        let account = read(r#"{"email":"a@example.com","email_verified":false,"disabled":false}"#).unwrap();
        assert_eq!((account.row().email_verified_at, account.row().disabled_at), (None, None));
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
        let ImportedAccount { row, has_own_id: true, .. } = read(line).unwrap() else { panic!("it has an id") };
        assert_eq!(serde_json::to_string(&Entry::from(row)).unwrap(), line);
    }

    #[test]
    fn a_line_that_is_no_account_is_refused_with_its_reason() {
        let with = |rest: &str| format!(r#"{{"email":"a@example.com",{rest}}}"#);
        let role = format!(r#""roles":["{}"]"#, "r".repeat(65));
        let many_roles: Vec<String> = (0..32).map(|number| format!("role-{number}")).collect();
        let many_roles = format!(r#""roles":{}"#, serde_json::to_string(&many_roles).unwrap());
        for (line, expected) in [
            ("{".to_owned(), "is not JSON"),
            ("secret".to_owned(), "is not JSON"),
            ("{} {}".to_owned(), "has no email"),
            (format!("{} x", with(r#""name":"Ada""#)), "is not JSON"),
            (r#"["a@example.com"]"#.to_owned(), "is not a JSON object"),
            ("null".to_owned(), "is not a JSON object"),
            (r#"{"name":"Ada"}"#.to_owned(), "has no email"),
            (r#"{"email":null}"#.to_owned(), "email has the wrong type"),
            (r#"{"email":"secret"}"#.to_owned(), "email is not an email address"),
            (r#"{"email":"a\u0000@example.com"}"#.to_owned(), "email is not an email address"),
            (with(r#""passwordHash":"secret""#), "has an unknown field, passwordHash"),
            (with(r#""email":"a@example.com""#), "has email twice"),
            (with(r#""password_hash":"$argon2id$v=19$m=1,t=1,p=1$secret""#), "password_hash is not a well-formed hash"),
            (
                with(r#""password_hash":"$2b$31$tH.bReaWYdiRau/tHhzLlOE3ZUAOTlyo3tR3xRkTzD8GrYULSfOCS""#),
                "password_hash costs too much",
            ),
            (with(r#""password_hash":7"#), "password_hash has the wrong type"),
            (with(r#""id":"auth0|secret""#), "id has the wrong type"),
            (with(r#""id":"00000000-0000-0000-0000-000000000000""#), "id must not be"),
            (with(r#""name":"a\nb""#), "name contains a control character"),
            (with(r#""roles":"user""#), "roles has the wrong type"),
            (with(r#""roles":["user",""]"#), "roles has a role"),
            (with(r#""roles":["a,b"]"#), "roles has a role"),
            (with(&role), "roles has a role"),
            (with(&many_roles), "roles has more than 32"),
            (with(r#""disabled":"no""#), "disabled has the wrong type"),
            (
                with(r#""disabled":false,"disabled_at":"2020-01-02T03:04:05Z""#),
                "disabled and disabled_at contradict each other",
            ),
            (with(r#""created_at":"yesterday""#), "created_at is not a time such as 2021-03-04T05:06:07Z"),
            (with(r#""created_at":true"#), "created_at has the wrong type"),
            (with(r#""created_at":"1969-12-31T23:59:59Z""#), "created_at is before 1970"),
            (with(r#""last_login_at":"2123-11-14T22:13:20Z""#), "last_login_at is before 1970 or in the future"),
            (with(r#""\u001b[2J":1"#), "has an unknown field, \\u{1b}[2J"),
        ] {
            let reason = reason(&line);
            assert!(reason.starts_with(expected), "{line}: {reason}");
            assert!(!reason.contains("secret"), "{line}: {reason}");
        }
    }
}
