//! `keyturn user …`

use std::error::Error;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use clap::Subcommand;
use zeroize::Zeroizing;

use crate::accounts::DeletionTime;
use crate::accounts::registration::NewAccount;
use crate::admin::{AdminError, NewUser, Operator, UserChange};
use crate::app::App;
use crate::config::Config;
use crate::passwords::NewPassword;
use crate::types::{EmailAddress, Label, Roles, UserId};

use super::output::{say, say_error};
use super::{Outcome, transfer, with_app};

/// Accounts that a list reads at once.
const PAGE: i64 = 1000;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create an account. The password is asked for, or read from standard input.
    Create {
        email: String,
        #[arg(long)]
        name: Option<String>,
        /// Make the account an administrator.
        #[arg(long)]
        admin: bool,
    },
    /// List the accounts.
    List,
    /// Disable an account and revoke its sessions.
    Disable { email: String },
    /// Enable an account that was disabled.
    Enable { email: String },
    /// Delete an account after a grace period (`ACCOUNT_DELETION_GRACE`), and revoke its sessions at once.
    Delete {
        /// The email address or the id of the account.
        account: String,
        /// Delete it at once, without a grace period.
        #[arg(long)]
        at_once: bool,
        /// Do not ask for a confirmation, which is asked for on a terminal only.
        #[arg(long)]
        yes: bool,
    },
    /// Keep an account that is to be deleted.
    CancelDeletion {
        /// The email address or the id of the account.
        account: String,
    },
    /// Set the roles of an account; `user` is always among them. Revokes its access tokens; its sessions go on.
    SetRoles { email: String, roles: Vec<String> },
    /// Disable an account's two-step login, for somebody who has lost the second factor.
    ResetMfa { email: String },
    /// Set an account's password and revoke its sessions. The password is asked for, or read from standard input.
    SetPassword { email: String },
    /// Import accounts with their password hashes, from one JSON object on each line.
    Import(transfer::ImportArguments),
    /// Export all accounts with their password hashes, as one JSON object on each line.
    Export(transfer::ExportArguments),
}

/// Runs a command about accounts.
pub(super) fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::Create { email, name, admin } => create(config, &email, name.as_deref(), admin),
        Command::List => list(config),
        Command::Disable { email } => disable(config, &email),
        Command::Enable { email } => enable(config, &email),
        Command::Delete { account, at_once, yes } => delete(config, &account, at_once, yes),
        Command::CancelDeletion { account } => cancel_deletion(config, &account),
        Command::SetRoles { email, roles } => set_roles(config, &email, roles),
        Command::ResetMfa { email } => reset_mfa(config, &email),
        Command::SetPassword { email } => set_password(config, &email),
        Command::Import(arguments) => transfer::import(config, &arguments),
        Command::Export(arguments) => transfer::export(config, &arguments),
    }
}

fn create(config: &Config, email: &str, name: Option<&str>, admin: bool) -> Outcome {
    let address = parse_email(email)?;
    let label = name.map(Label::parse).transpose().map_err(|error| format!("the name {error}"))?;
    let password = NewPassword::parse(read_password()?)?;
    let roles = if admin { Roles::administrator() } else { Roles::default() };
    let account = NewAccount { email: address, name: label, roles };
    let new = NewUser { account, password: Some(password), verified: false };
    with_app(config, async |app| {
        let account = app.admin.create_user(new, &Operator::CommandLine).await?;
        say!("{}", account.id)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn list(config: &Config) -> Outcome {
    with_app(config, async |app| {
        let mut after = None;
        loop {
            let page = app.accounts.page(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for account in page {
                let state = match account {
                    _ if account.deletes_at.is_some() => "deleting",
                    _ if account.disabled_at.is_some() => "disabled",
                    _ => "active",
                };
                let roles = account.roles.names().join(",");
                say!("{}\t{}\t{roles}\t{state}\t{}", account.id, account.created_at, account.email)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn disable(config: &Config, email: &str) -> Outcome {
    let email = parse_email(email)?;
    with_app(config, async |app| {
        let user = find_user(&app, &email).await?;
        let change = UserChange { disabled: Some(true), ..UserChange::default() };
        let updated = app.admin.update_user(user, change, &Operator::CommandLine).await?;
        say!("The account is disabled. Sessions revoked: {}", updated.sessions_revoked)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn enable(config: &Config, email: &str) -> Outcome {
    let email = parse_email(email)?;
    with_app(config, async |app| {
        let user = find_user(&app, &email).await?;
        let change = UserChange { disabled: Some(false), ..UserChange::default() };
        app.admin.update_user(user, change, &Operator::CommandLine).await?;
        say!("The account is enabled.")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn delete(config: &Config, account: &str, at_once: bool, yes: bool) -> Outcome {
    let named = Named::parse(account)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?;
        if !yes && io::stdin().is_terminal() && !confirm("Delete the account and its data?")? {
            say!("Nothing was changed.")?;
            return Ok(ExitCode::FAILURE);
        }
        let time = if at_once { DeletionTime::AtOnce } else { DeletionTime::AfterGrace };
        let deletes_at = app.admin.delete_user(user, time, &Operator::CommandLine).await?;
        if app.accounts.find(user).await?.is_some() {
            say!("The account is logged out everywhere. It will be deleted at {deletes_at}.")?;
        } else {
            say!("The account is deleted.")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn cancel_deletion(config: &Config, account: &str) -> Outcome {
    let named = Named::parse(account)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?;
        app.admin.cancel_deletion(user, &Operator::CommandLine).await?;
        say!("The account is kept.")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// An account as the command line names it.
enum Named {
    Id(UserId),
    Email(EmailAddress),
}

impl Named {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(id) => Ok(Self::Id(UserId(id))),
            Err(_) => parse_email(text).map(Self::Email),
        }
    }

    async fn find(&self, app: &App) -> Result<UserId, Box<dyn Error>> {
        match self {
            Self::Email(email) => find_user(app, email).await,
            Self::Id(id) => {
                let found = app.accounts.find(*id).await?;
                Ok(found.ok_or_else(|| format!("there is no account {id}"))?.id)
            }
        }
    }
}

/// Asks a question on the terminal. Returns whether the answer was yes.
fn confirm(question: &str) -> Result<bool, Box<dyn Error>> {
    say_error!("{question} [y/N]");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn set_roles(config: &Config, email: &str, roles: Vec<String>) -> Outcome {
    let email = parse_email(email)?;
    let roles = Roles::parse(roles).map_err(|error| format!("the list {error}"))?;
    with_app(config, async |app| {
        let user = find_user(&app, &email).await?;
        let change = UserChange { roles: Some(roles), ..UserChange::default() };
        let updated = app.admin.update_user(user, change, &Operator::CommandLine).await?;
        say!("The account's roles: {}", updated.account.roles.names().join(", "))?;
        // Those in which a former administrator acted for others.
        if updated.sessions_revoked > 0 {
            say!("Sessions revoked: {}", updated.sessions_revoked)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn reset_mfa(config: &Config, email: &str) -> Outcome {
    let email = parse_email(email)?;
    with_app(config, async |app| {
        let user = find_user(&app, &email).await?;
        let state = match app.admin.reset_mfa(user, &Operator::CommandLine).await {
            Ok(()) => "is disabled",
            Err(AdminError::MfaNotEnabled) => "was not enabled",
            Err(error) => return Err(error.into()),
        };
        say!("Two-step login {state}.")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn set_password(config: &Config, email: &str) -> Outcome {
    let address = parse_email(email)?;
    let password = NewPassword::parse(read_password()?)?;
    with_app(config, async |app| {
        let user = find_user(&app, &address).await?;
        let revoked = app.admin.set_password(user, password, &Operator::CommandLine).await?;
        let revoked = revoked.ok_or_else(|| no_account(&address))?;
        say!("The password is set. Sessions revoked: {revoked}")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Parses the email address of an account.
pub(super) fn parse_email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| format!("{text} {error}"))
}

/// Finds the account with this email address.
pub(super) async fn find_user(app: &App, email: &EmailAddress) -> Result<UserId, Box<dyn Error>> {
    Ok(app.admin.find_user(email).await?.ok_or_else(|| no_account(email))?)
}

/// Returns what to print if no account has this email address.
pub(super) fn no_account(email: &EmailAddress) -> String {
    format!("there is no account for {}", email.as_str())
}

/// Asks for a password twice on a terminal; elsewhere reads it from the first line of standard input.
fn read_password() -> Result<Zeroizing<String>, Box<dyn Error>> {
    if !io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    let second = Zeroizing::new(rpassword::prompt_password("Repeat the password: ")?);
    if first != second {
        return Err("the two passwords differ".into());
    }
    Ok(first)
}
