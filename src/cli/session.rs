//! `keyturn session …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use crate::admin::{Cleanup, Operator};
use crate::api::SessionList;
use crate::app::App;
use crate::config::Config;
use crate::types::SessionId;

use super::account::{AccountArgument, NamedAccount, parse_id};
use super::output::{Form, say, to_json};
use super::{Outcome, with_app};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List an account's sessions, newest first.
    #[command(
        after_help = "Example:\n  keyturn session list ada@example.com --include-expired\n\nColumns: id, begin, last \
                            activity, IP address, `live` or why it has ended, device"
    )]
    List {
        #[command(flatten)]
        account: AccountArgument,
        /// Include sessions that have ended.
        #[arg(long)]
        include_expired: bool,
    },
    /// Revoke one session, or all of an account. Takes effect at once on servers with Redis, within half a second on
    /// others.
    #[command(after_help = "Examples:\n  keyturn session revoke 01a2003e-d8aa-7ec7-a93b-e076a8923cfc\n  \
                            keyturn session revoke --user ada@example.com")]
    Revoke(Target),
    /// Delete sessions, audit entries and other rows that were kept for long enough, as servers do by themselves.
    #[command(alias = "sweep", after_help = "Example:\n  keyturn session cleanup")]
    Cleanup,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Target {
    /// The id of the session.
    #[arg(value_name = "SESSION_ID", value_parser = parse_id)]
    id: Option<Uuid>,
    /// Revoke all sessions of this account.
    #[arg(long, value_name = "EMAIL|ID")]
    user: Option<String>,
}

/// Runs a command about sessions.
pub(super) fn run(config: &Config, command: Command, form: Form) -> Outcome {
    match command {
        Command::List { account, include_expired } => list(config, &account, include_expired, form),
        Command::Revoke(target) => revoke(config, target, form),
        Command::Cleanup => clean_up(config, form),
    }
}

fn list(config: &Config, account: &AccountArgument, include_expired: bool, form: Form) -> Outcome {
    let named = NamedAccount::parse(&account.account)?;
    with_app(config, async |app| {
        let user = named.find(&app).await?.id;
        let sessions = app.admin.list_sessions(user, include_expired).await?.ok_or_else(|| named.missing())?;
        if form == Form::Json {
            // No session calls.
            say!("{}", to_json(&SessionList::new(sessions, SessionId(Uuid::nil())))?)?;
            return Ok(ExitCode::SUCCESS);
        }
        for session in sessions {
            let unrevoked = if session.has_ended { "expired" } else { "live" };
            let state = session.revoked_reason.as_deref().unwrap_or(unrevoked);
            let ip = session.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string());
            let device = session.name.unwrap_or(session.device.label);
            say!("{}\t{}\t{}\t{ip}\t{state}\t{device}", session.id, session.created_at, session.last_active_at)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn revoke(config: &Config, target: Target, form: Form) -> Outcome {
    with_app(config, async |app| {
        let revoked = match target {
            Target { user: Some(account), .. } => revoke_all(&app, &account).await?,
            Target { id: Some(id), .. } => {
                let revoked = app.admin.revoke_session(SessionId(id), &Operator::CommandLine).await?;
                usize::from(revoked.ok_or_else(|| format!("there is no session {id}"))?)
            }
            // clap requires one of the two.
            Target { id: None, user: None } => 0,
        };
        form.say(&json!({"sessions_revoked": revoked}), format_args!("Sessions revoked: {revoked}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn revoke_all(app: &App, account: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let named = NamedAccount::parse(account)?;
    let user = named.find(app).await?.id;
    let revoked = app.admin.revoke_sessions(user, &Operator::CommandLine).await?;
    Ok(revoked.ok_or_else(|| named.missing())?)
}

fn clean_up(config: &Config, form: Form) -> Outcome {
    with_app(config, async |app| {
        let cleanup = app.admin.clean_up().await?;
        let Cleanup { sessions_kept: kept, sessions_deleted: deleted, other_rows_deleted: others } = cleanup;
        let value = json!({"expired": kept, "deleted": deleted, "other_rows_deleted": others});
        let text = format!("Sessions deleted: {deleted}\nOther rows deleted: {others}\nEnded sessions kept: {kept}");
        form.say(&value, format_args!("{text}"))?;
        Ok(ExitCode::SUCCESS)
    })
}
