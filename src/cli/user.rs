//! `keyturn user …`

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use clap::Subcommand;
use keyturn::accounts::email::Email;
use keyturn::accounts::password::Password;
use keyturn::accounts::{ADMIN, USER};
use keyturn::admin::users::Roles;
use keyturn::config::Config;
use keyturn::db::types::Names;
use keyturn::label::Label;
use zeroize::Zeroizing;

use super::output::say;
use super::{Outcome, transfer, with_app};

#[derive(Subcommand)]
pub enum Command {
    /// Create an account. The password is asked for, or read from standard input.
    Create {
        email: String,
        #[arg(long)]
        name: Option<String>,
        /// Let the account administer the server.
        #[arg(long)]
        admin: bool,
    },
    /// List the accounts.
    List,
    /// Disable an account and end its sessions.
    Disable { email: String },
    /// Let a disabled account log in again.
    Enable { email: String },
    /// Give an account these roles and no others; `user` is always among them. Tokens with other roles end, sessions go on.
    SetRoles { email: String, roles: Vec<String> },
    /// Take away an account's second factor, for somebody who has lost it: the next login needs the password alone.
    ResetMfa { email: String },
    /// Set an account's password and end its sessions. The password is asked for, or read from standard input.
    SetPassword { email: String },
    /// Import accounts with their password hashes, from one JSON object on each line.
    Import(transfer::ImportArguments),
    /// Export all accounts with their password hashes, as one JSON object on each line.
    Export(transfer::ExportArguments),
}

pub fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::Create { email, name, admin } => create(config, &email, name.as_deref(), admin),
        Command::List => list(config),
        Command::Disable { email } => disable(config, &email),
        Command::Enable { email } => enable(config, &email),
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
    let password = Password::parse_new(read_password()?, &[email, name.unwrap_or_default()])?;
    let roles = if admin { Names::of(&[USER, ADMIN]) } else { Names::of(&[USER]) };
    with_app(config, async |app| {
        let id = app.accounts.create(&address, password, label, roles).await?;
        say!("{id}")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn list(config: &Config) -> Outcome {
    with_app(config, async |app| {
        for account in app.accounts.list().await? {
            let state = if account.is_disabled { "disabled" } else { "active" };
            say!("{}\t{}\t{}\t{state}\t{}", account.id, account.created_at, account.roles.0.join(","), account.email)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn disable(config: &Config, email: &str) -> Outcome {
    let address = parse_email(email)?;
    with_app(config, async |app| {
        let ended = app.accounts.disable(&address).await?.ok_or_else(|| unknown(&address))?;
        say!("The account is disabled. Sessions ended: {ended}")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn enable(config: &Config, email: &str) -> Outcome {
    let address = parse_email(email)?;
    with_app(config, async |app| {
        let user = app.accounts.id_of(&address).await?.ok_or_else(|| unknown(&address))?;
        app.admin.enable(user).await?;
        say!("The account is enabled.")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn set_roles(config: &Config, email: &str, roles: Vec<String>) -> Outcome {
    let address = parse_email(email)?;
    let roles = Roles::parse(roles).map_err(|error| format!("the list {error}"))?;
    with_app(config, async |app| {
        let user = app.accounts.id_of(&address).await?.ok_or_else(|| unknown(&address))?;
        let roles = app.admin.set_roles(user, roles).await?.ok_or_else(|| unknown(&address))?;
        say!("The account's roles: {}", roles.0.join(", "))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn reset_mfa(config: &Config, email: &str) -> Outcome {
    let address = parse_email(email)?;
    with_app(config, async |app| {
        let id = app.accounts.id_of(&address).await?.ok_or_else(|| unknown(&address))?;
        let was_on = app.accounts.reset_mfa(id).await?;
        let state = if was_on { "is switched off" } else { "was not switched on" };
        say!("Two-step login {state}.")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn set_password(config: &Config, email: &str) -> Outcome {
    let address = parse_email(email)?;
    let password = Password::parse_new(read_password()?, &[email])?;
    with_app(config, async |app| {
        let ended = app.accounts.set_password(&address, password).await?.ok_or_else(|| unknown(&address))?;
        say!("The password is set. Sessions ended: {ended}")?;
        Ok(ExitCode::SUCCESS)
    })
}

pub fn parse_email(text: &str) -> Result<Email, String> {
    Email::parse(text).map_err(|error| format!("{text} {error}"))
}

pub fn unknown(email: &Email) -> String {
    format!("there is no account for {}", email.as_str())
}

/// Asks twice on a terminal; elsewhere takes the first line of standard input.
fn read_password() -> Result<Zeroizing<String>, Box<dyn std::error::Error>> {
    if !io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        io::stdin().lock().read_line(&mut line)?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    let second = Zeroizing::new(rpassword::prompt_password("Once more: ")?);
    if first != second {
        return Err("the two passwords differ".into());
    }
    Ok(first)
}
