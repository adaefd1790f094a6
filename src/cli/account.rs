//! The accounts that arguments of commands name.

use std::error::Error;

use clap::Args;
use uuid::Uuid;

use crate::accounts::Account;
use crate::app::App;
use crate::types::{EmailAddress, UserId};

/// An account that exists.
#[derive(Args)]
pub(super) struct AccountArgument {
    /// The email address or the id of the account.
    #[arg(value_name = "EMAIL|ID")]
    pub account: String,
}

/// A name of an account.
pub(super) enum NamedAccount {
    Id(UserId),
    Email(EmailAddress),
}

impl NamedAccount {
    /// Parses an id or an email address.
    ///
    /// # Errors
    /// The text is neither.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(UserId(id))),
            Err(_) => parse_email(text).map(Self::Email),
        }
    }

    /// Finds the account.
    ///
    /// # Errors
    /// There is none, or the database fails.
    pub(super) async fn find(&self, app: &App) -> Result<Account, Box<dyn Error>> {
        let id = match self {
            Self::Email(email) => app.admin.find_user(email).await?,
            Self::Id(id) => Some(*id),
        };
        let found = match id {
            Some(id) => app.admin.user(id).await?,
            None => None,
        };
        Ok(found.ok_or_else(|| self.missing())?)
    }

    /// Returns what to print if there is no such account.
    pub(super) fn missing(&self) -> String {
        match self {
            Self::Email(email) => format!("there is no account for {}", email.as_str()),
            Self::Id(id) => format!("there is no account {id}"),
        }
    }
}

/// Parses the id of something that is no account.
///
/// # Errors
/// The text is no id.
pub(super) fn parse_id(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| "it is no id, such as 01a2003e-d8aa-7ec7-a93b-e076a8923cfc; `list` shows them".to_owned())
}

/// Parses an email address.
pub(super) fn parse_email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| format!("{text} {error}"))
}
