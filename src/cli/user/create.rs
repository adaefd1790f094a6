//! `keyturn user create`, `invite` and `send-reset`

use std::error::Error;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use clap::Args;
use zeroize::Zeroizing;

use crate::accounts::registration::NewAccount;
use crate::admin::{NewUser, Operator};
use crate::api::UserDetails;
use crate::config::Config;
use crate::passwords::NewPassword;
use crate::types::{ADMIN, EmailAddress, Label, Roles};

use crate::cli::account::{AccountArgument, NamedAccount, parse_email};
use crate::cli::output::{Form, say_error};
use crate::cli::{Outcome, with_app};

/// The properties of a new account.
#[derive(Args)]
struct Properties {
    /// The name of its owner.
    #[arg(long)]
    name: Option<String>,
    /// A role besides `user`; can be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Make the account an administrator: the same as `--role admin`.
    #[arg(long)]
    admin: bool,
    /// Let the email address count as verified.
    #[arg(long)]
    verified: bool,
}

impl Properties {
    const fn is_empty(&self) -> bool {
        self.name.is_none() && self.roles.is_empty() && !self.admin && !self.verified
    }

    fn into_new_user(self, email: EmailAddress, password: Option<NewPassword>) -> Result<NewUser, String> {
        let name = self.name.as_deref().map(Label::parse).transpose().map_err(|error| format!("the name {error}"))?;
        let mut roles = self.roles;
        if self.admin {
            roles.push(ADMIN.to_owned());
        }
        let roles = Roles::parse(roles).map_err(|error| format!("the list of roles {error}"))?;
        Ok(NewUser { account: NewAccount { email, name, roles }, password, verified: self.verified })
    }
}

#[derive(Args)]
pub(in crate::cli) struct CreateArguments {
    /// The email address.
    email: String,
    #[command(flatten)]
    properties: Properties,
}

#[derive(Args)]
pub(in crate::cli) struct InviteArguments {
    /// The email address of somebody new, or the email address or id of an account that has no password yet: its owner
    /// gets another email, and the earlier link ends.
    #[arg(value_name = "EMAIL|ID")]
    account: String,
    #[command(flatten)]
    properties: Properties,
}

/// Creates an account with a password.
pub(super) fn create(config: &Config, arguments: CreateArguments, form: Form) -> Outcome {
    let email = parse_email(&arguments.email)?;
    let password = NewPassword::parse(read_password()?)?;
    let new = arguments.properties.into_new_user(email, Some(password))?;
    with_app(config, async |app| {
        let account = app.admin.create_user(new, &Operator::CommandLine).await?;
        let id = account.id;
        form.say(&UserDetails::from(account), format_args!("{id}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Invites somebody to a new account, or once more to one that has no password yet.
pub(super) fn invite(config: &Config, arguments: InviteArguments, form: Form) -> Outcome {
    let named = NamedAccount::parse(&arguments.account)?;
    let properties = arguments.properties;
    with_app(config, async |app| {
        let exists = match &named {
            NamedAccount::Email(email) => app.admin.find_user(email).await?,
            NamedAccount::Id(id) => app.admin.user(*id).await?.map(|account| account.id),
        };
        let invited = match (exists, named) {
            (Some(_), _) if !properties.is_empty() => {
                return Err("the account exists already: invite its owner without name, roles and --verified".into());
            }
            (Some(id), _) => app.admin.invite(id, &Operator::CommandLine).await?,
            (None, NamedAccount::Email(email)) => {
                let new = properties.into_new_user(email, None)?;
                app.admin.create_user(new, &Operator::CommandLine).await?
            }
            (None, named @ NamedAccount::Id(_)) => return Err(named.missing().into()),
        };
        let text = format!("An invitation to {} is on its way. The id of the account: {}", invited.email, invited.id);
        form.say(&UserDetails::from(invited), format_args!("{text}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Sends an email with a link to set a new password.
pub(super) fn send_reset(config: &Config, account: &AccountArgument, form: Form) -> Outcome {
    let named = NamedAccount::parse(&account.account)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?.id;
        let account = app.admin.send_password_reset(user, &Operator::CommandLine).await?;
        let text = format!("An email with a link to set a password is on its way to {}.", account.email);
        form.say(&UserDetails::from(account), format_args!("{text}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Asks a question on the terminal. Returns whether the answer was yes.
pub(super) fn confirm(question: &str) -> Result<bool, Box<dyn Error>> {
    say_error!("{question} [y/N]");
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a password twice on a terminal; elsewhere reads it from the first line of standard input.
pub(super) fn read_password() -> Result<Zeroizing<String>, Box<dyn Error>> {
    if !io::stdin().is_terminal() {
        let mut line = Zeroizing::new(String::new());
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Err("there is no password on standard input, where the first line is read".into());
        }
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    let second = Zeroizing::new(rpassword::prompt_password("Repeat the password: ")?);
    if first != second {
        return Err("the two passwords differ".into());
    }
    Ok(first)
}
