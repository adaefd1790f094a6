//! `keyturn user …`

mod change;
mod create;
mod list;

use clap::Subcommand;

use super::account::AccountArgument;
use super::output::Form;
use super::{Outcome, transfer};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create an account. The password is asked for, or read from standard input.
    #[command(
        after_help = "Example:\n  keyturn user create ada@example.com --name 'Ada Lovelace' --role editor --verified"
    )]
    Create(create::CreateArguments),
    /// Invite somebody by an email with a link to choose a password. Without an account, one is created.
    #[command(after_help = "Example:\n  keyturn user invite ada@example.com --role editor")]
    Invite(create::InviteArguments),
    /// Show an account.
    #[command(after_help = "Example:\n  keyturn user show ada@example.com --json")]
    Show(AccountArgument),
    /// List accounts, newest first; with a text those that begin with it first.
    #[command(
        after_help = "Examples:\n  keyturn user list\n  keyturn user list lovelace --role editor --state unverified\n\n\
                            Columns: id, time of registration, roles, states, email address"
    )]
    List(list::ListArguments),
    /// Disable an account and revoke its sessions.
    #[command(after_help = "Example:\n  keyturn user disable ada@example.com")]
    Disable(AccountArgument),
    /// Enable an account that was disabled.
    #[command(after_help = "Example:\n  keyturn user enable ada@example.com")]
    Enable(AccountArgument),
    /// Delete an account after a grace period (`ACCOUNT_DELETION_GRACE`), and revoke its sessions at once.
    #[command(after_help = "Example:\n  keyturn user delete ada@example.com --at-once --yes")]
    Delete(change::DeleteArguments),
    /// Keep an account that is to be deleted.
    #[command(after_help = "Example:\n  keyturn user cancel-deletion ada@example.com")]
    CancelDeletion(AccountArgument),
    /// Set the roles of an account; `user` is always among them. Revokes its access tokens; its sessions go on.
    #[command(after_help = "Example:\n  keyturn user set-roles ada@example.com editor admin")]
    SetRoles(change::RolesArguments),
    /// Change the email address of an account, and tell the former one. Revokes its access tokens; its sessions go on.
    #[command(after_help = "Example:\n  keyturn user set-email ada@example.com ada@example.org --verified")]
    SetEmail(change::EmailArguments),
    /// Mark the email address of an account as verified.
    #[command(after_help = "Example:\n  keyturn user verify ada@example.com")]
    Verify(AccountArgument),
    /// Mark the email address of an account as not verified.
    #[command(after_help = "Example:\n  keyturn user unverify ada@example.com")]
    Unverify(AccountArgument),
    /// Send the owner of an account an email with a link to set a new password.
    #[command(after_help = "Example:\n  keyturn user send-reset ada@example.com")]
    SendReset(AccountArgument),
    /// Disable an account's two-step login, for somebody who has lost the second factor.
    #[command(after_help = "Example:\n  keyturn user reset-mfa ada@example.com")]
    ResetMfa(AccountArgument),
    /// Set an account's password and revoke its sessions. The password is asked for, or read from standard input.
    #[command(after_help = "Example:\n  keyturn user set-password ada@example.com")]
    SetPassword(AccountArgument),
    /// Import accounts with their password hashes, from one JSON object on each line.
    #[command(
        after_help = "Examples:\n  keyturn user import --check people.ndjson\n  keyturn user import people.ndjson\n\n\
                            Exits with 1 if lines are rejected."
    )]
    Import(transfer::ImportArguments),
    /// Export all accounts with their password hashes, as one JSON object on each line; or all that is stored about
    /// one person, as they can take it along themselves.
    #[command(after_help = "Examples:\n  keyturn user export people.ndjson\n  \
                            keyturn user export | gzip > people.ndjson.gz\n  \
                            keyturn user export --user ada@example.com ada.json")]
    Export(transfer::ExportArguments),
}

/// Runs a command about accounts.
pub(super) fn run(config: &Config, command: Command, form: Form) -> Outcome {
    match command {
        Command::Create(arguments) => create::create(config, arguments, form),
        Command::Invite(arguments) => create::invite(config, arguments, form),
        Command::Show(account) => list::show(config, &account, form),
        Command::List(arguments) => list::list(config, &arguments, form),
        Command::Disable(account) => change::disable(config, &account, form),
        Command::Enable(account) => change::enable(config, &account, form),
        Command::Delete(arguments) => change::delete(config, &arguments, form),
        Command::CancelDeletion(account) => change::cancel_deletion(config, &account, form),
        Command::SetRoles(arguments) => change::set_roles(config, arguments, form),
        Command::SetEmail(arguments) => change::set_email(config, &arguments, form),
        Command::Verify(account) => change::set_verified(config, &account, true, form),
        Command::Unverify(account) => change::set_verified(config, &account, false, form),
        Command::SendReset(account) => create::send_reset(config, &account, form),
        Command::ResetMfa(account) => change::reset_mfa(config, &account, form),
        Command::SetPassword(account) => change::set_password(config, &account, form),
        Command::Import(arguments) => transfer::import(config, &arguments, form),
        Command::Export(arguments) => transfer::export(config, &arguments, form),
    }
}
