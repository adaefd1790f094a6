//! `keyturn user list` and `show`

use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::accounts::{Account, AccountQuery, AccountState};
use crate::api::{UserDetails, UserWithMfa};
use crate::cli::account::{AccountArgument, NamedAccount};
use crate::cli::output::{Form, say, to_json};
use crate::cli::{Outcome, with_app};
use crate::config::Config;
use crate::types::{Role, Timestamp};

/// Accounts that a list reads at once.
const PAGE: usize = 1000;

#[derive(Args)]
pub(in crate::cli) struct ListArguments {
    /// A part of the email address or the name.
    text: Option<String>,
    /// List the accounts with this role only.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// List the accounts in this state only.
    #[arg(long, value_name = "STATE", value_parser = states())]
    state: Option<String>,
}

/// Returns the parser of the names of states.
fn states() -> PossibleValuesParser {
    PossibleValuesParser::new(AccountState::ALL.map(AccountState::name))
}

/// Lists accounts, page by page.
pub(super) fn list(config: &Config, arguments: &ListArguments, form: Form) -> Outcome {
    let role = arguments.role.as_deref().map(Role::parse).transpose().map_err(|error| format!("the list {error}"))?;
    let state = arguments.state.as_deref().and_then(AccountState::parse);
    let query = AccountQuery::new(arguments.text.as_deref(), role, state);
    with_app(config, async |app| {
        let mut after = None;
        let mut separator = "";
        if form == Form::Json {
            say!("{{\"users\": [")?;
        }
        loop {
            let page = app.admin.list_users(query.clone(), after, PAGE).await?;
            for account in page.accounts {
                match form {
                    Form::Text => say!("{}", line(&account))?,
                    Form::Json => say!("{separator}{}", to_json(&UserDetails::from(account))?)?,
                }
                separator = ",";
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if form == Form::Json {
            say!("]}}")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn line(account: &Account) -> String {
    let roles = account.roles.names().join(",");
    format!("{}\t{}\t{roles}\t{}\t{}", account.id, account.created_at, states_of(account), account.email)
}

/// Returns the names of all states that an account is in.
fn states_of(account: &Account) -> String {
    let own = AccountState::ALL.into_iter().filter(|state| state.includes(account));
    own.map(AccountState::name).collect::<Vec<_>>().join(",")
}

/// Shows an account.
pub(super) fn show(config: &Config, account: &AccountArgument, form: Form) -> Outcome {
    let named = NamedAccount::parse(&account.account)?;
    with_app(config, async |app| {
        let account = named.find(&app).await?;
        let has_mfa = app.admin.has_mfa(account.id).await?;
        let text = description(&account, has_mfa);
        form.say(&UserWithMfa::new(account, has_mfa), format_args!("{text}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn description(account: &Account, has_mfa: bool) -> String {
    let time = |time: Option<Timestamp>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
    let rows = [
        ("id", account.id.to_string()),
        ("email address", account.email.clone()),
        ("name", account.name.clone().unwrap_or_else(|| "-".to_owned())),
        ("roles", account.roles.names().join(", ")),
        ("states", states_of(account)),
        ("created", account.created_at.to_string()),
        ("last login", time(account.last_login_at)),
        ("email verified", time(account.email_verified_at)),
        ("password", time(account.password_changed_at)),
        ("two-step login", if has_mfa { "enabled" } else { "not enabled" }.to_owned()),
        ("disabled", time(account.disabled_at)),
        ("to be deleted", time(account.deletes_at)),
    ];
    rows.map(|(label, value)| format!("{:<16}{value}", format!("{label}:"))).join("\n")
}
