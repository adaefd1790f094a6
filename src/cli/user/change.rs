//! Commands that change an account or delete it.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::create::{confirm, read_password};
use crate::accounts::{Account, DeletionTime};
use crate::admin::{Operator, UpdatedUser, UserChange};
use crate::api::UserDetails;
use crate::cli::account::{AccountArgument, NamedAccount, parse_email};
use crate::cli::output::Form;
use crate::cli::{Outcome, with_app};
use crate::config::Config;
use crate::passwords::NewPassword;
use crate::types::Roles;

/// The seconds of a day.
const DAY: u64 = 86_400;

#[derive(Args)]
pub(in crate::cli) struct DeleteArguments {
    #[command(flatten)]
    account: AccountArgument,
    /// Delete it at once, without a grace period.
    #[arg(long)]
    at_once: bool,
    /// Do not ask for a confirmation, which is asked for on a terminal only.
    #[arg(long)]
    yes: bool,
}

#[derive(Args)]
pub(in crate::cli) struct RolesArguments {
    #[command(flatten)]
    account: AccountArgument,
    /// All roles that the account has then.
    roles: Vec<String>,
}

#[derive(Args)]
pub(in crate::cli) struct EmailArguments {
    #[command(flatten)]
    account: AccountArgument,
    /// The new email address.
    new: String,
    /// Let the new address count as verified. Without it, an email with a link asks its owner to verify it.
    #[arg(long)]
    verified: bool,
}

/// An account that was changed, as JSON.
#[derive(Serialize)]
struct Changed {
    #[serde(flatten)]
    user: UserDetails,
    sessions_revoked: usize,
}

/// Changes an account, and prints it or what `text` says.
fn change(
    config: &Config,
    account: &AccountArgument,
    change: UserChange,
    form: Form,
    text: impl FnOnce(&UpdatedUser) -> String,
) -> Outcome {
    let named = NamedAccount::parse(&account.account)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?.id;
        let updated = app.admin.update_user(user, change, &Operator::CommandLine).await?;
        let text = text(&updated);
        let UpdatedUser { account, sessions_revoked } = updated;
        form.say(&Changed { user: account.into(), sessions_revoked }, format_args!("{text}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Disables an account.
pub(super) fn disable(config: &Config, account: &AccountArgument, form: Form) -> Outcome {
    let disabled = UserChange { disabled: Some(true), ..UserChange::default() };
    change(config, account, disabled, form, |updated| {
        format!("The account is disabled. Sessions revoked: {}", updated.sessions_revoked)
    })
}

/// Enables an account.
pub(super) fn enable(config: &Config, account: &AccountArgument, form: Form) -> Outcome {
    let enabled = UserChange { disabled: Some(false), ..UserChange::default() };
    change(config, account, enabled, form, |_| "The account is enabled.".to_owned())
}

/// Sets the roles of an account.
pub(super) fn set_roles(config: &Config, arguments: RolesArguments, form: Form) -> Outcome {
    let roles = Roles::parse(arguments.roles).map_err(|error| format!("the list {error}"))?;
    let roles = UserChange { roles: Some(roles), ..UserChange::default() };
    change(config, &arguments.account, roles, form, |updated| {
        let roles = format!("The account's roles: {}", updated.account.roles.names().join(", "));
        match updated.sessions_revoked {
            0 => roles,
            // Those in which a former administrator acted for others.
            revoked => format!("{roles}\nSessions revoked: {revoked}"),
        }
    })
}

/// Changes the email address of an account.
pub(super) fn set_email(config: &Config, arguments: &EmailArguments, form: Form) -> Outcome {
    let email = Some(parse_email(&arguments.new)?);
    let moved = UserChange { email, verified: arguments.verified.then_some(true), ..UserChange::default() };
    change(config, &arguments.account, moved, form, |updated| {
        let is_verified = updated.account.email_verified_at.is_some();
        let state = if is_verified { "verified" } else { "not verified" };
        format!("The account's email address: {}, {state}", updated.account.email)
    })
}

/// Marks the email address of an account as verified or not.
pub(super) fn set_verified(config: &Config, account: &AccountArgument, verified: bool, form: Form) -> Outcome {
    let marked = UserChange { verified: Some(verified), ..UserChange::default() };
    change(config, account, marked, form, |updated| {
        let state = if verified { "verified" } else { "not verified" };
        format!("The account's email address: {}, {state}", updated.account.email)
    })
}

/// Deletes an account, after the grace period or at once.
pub(super) fn delete(config: &Config, arguments: &DeleteArguments, form: Form) -> Outcome {
    let named = NamedAccount::parse(&arguments.account.account)?;
    with_app(config, async |app| {
        let Account { id: user, email, .. } = named.find(&app).await?;
        let (time, when) = if arguments.at_once {
            (DeletionTime::AtOnce, "at once".to_owned())
        } else {
            (DeletionTime::AfterGrace, after(config.account_deletion_grace))
        };
        let question = format!("Delete the account of {email} and its data, {when}?");
        if !arguments.yes && io::stdin().is_terminal() && !confirm(&question)? {
            return Err("nothing was changed".into());
        }
        let deletes_at = app.admin.delete_user(user, time, &Operator::CommandLine).await?;
        let deleted = app.admin.user(user).await?.is_none();
        let text = if deleted {
            format!("The account of {email} is deleted.")
        } else {
            format!("The account of {email} is logged out everywhere. It will be deleted at {deletes_at}.")
        };
        form.say(&json!({"deletes_at": deletes_at, "deleted": deleted}), format_args!("{text}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Tells when a grace period ends.
fn after(grace: Duration) -> String {
    match (grace.as_secs(), grace.as_secs() / DAY) {
        (0, _) => "at once".to_owned(),
        (DAY, _) => "after a day".to_owned(),
        (seconds, days) if seconds % DAY == 0 => format!("after {days} days"),
        (seconds, _) => format!("after {seconds} seconds"),
    }
}

/// Keeps an account that is to be deleted.
pub(super) fn cancel_deletion(config: &Config, account: &AccountArgument, form: Form) -> Outcome {
    let named = NamedAccount::parse(&account.account)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?.id;
        app.admin.cancel_deletion(user, &Operator::CommandLine).await?;
        form.say(&UserDetails::from(named.find(&app).await?), format_args!("The account is kept."))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Disables two-step login of an account.
pub(super) fn reset_mfa(config: &Config, account: &AccountArgument, form: Form) -> Outcome {
    let named = NamedAccount::parse(&account.account)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?.id;
        app.admin.reset_mfa(user, &Operator::CommandLine).await?;
        form.say(&json!({"mfa_disabled": true}), format_args!("Two-step login is disabled."))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Sets the password of an account.
pub(super) fn set_password(config: &Config, account: &AccountArgument, form: Form) -> Outcome {
    let named = NamedAccount::parse(&account.account)?;
    let password = NewPassword::parse(read_password()?)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?.id;
        let revoked = app.admin.set_password(user, password, &Operator::CommandLine).await?;
        let revoked = revoked.ok_or_else(|| named.missing())?;
        let text = format_args!("The password is set. Sessions revoked: {revoked}");
        form.say(&json!({"sessions_revoked": revoked}), text)?;
        Ok(ExitCode::SUCCESS)
    })
}
