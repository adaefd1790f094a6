//! `keyturn session …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::admin::Operator;
use crate::app::App;
use crate::config::Config;
use crate::types::SessionId;

use super::output::say;
use super::user::{find_user, no_account, parse_email};
use super::{Outcome, with_app};

#[derive(Subcommand)]
pub(super) enum Command {
    /// List an account's sessions.
    List {
        email: String,
        /// Include sessions that have ended.
        #[arg(long)]
        include_expired: bool,
    },
    /// Revoke one session, or all of an account. Takes effect at once on servers with Redis, within half a second on
    /// others.
    Revoke(Target),
    /// Delete sessions, audit entries and other rows that were kept for long enough, as servers do by themselves.
    #[command(alias = "sweep")]
    Cleanup,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct Target {
    /// The id of the session.
    id: Option<Uuid>,
    /// Revoke all sessions of this account.
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

/// Runs a command about sessions.
pub(super) fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::List { email, include_expired } => list(config, &email, include_expired),
        Command::Revoke(target) => revoke(config, target),
        Command::Cleanup => clean_up(config),
    }
}

fn list(config: &Config, email: &str, include_expired: bool) -> Outcome {
    let email = parse_email(email)?;
    with_app(config, async |app| {
        let user = find_user(&app, &email).await?;
        let sessions = app.admin.list_sessions(user, include_expired).await?.ok_or_else(|| no_account(&email))?;
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

fn revoke(config: &Config, target: Target) -> Outcome {
    with_app(config, async |app| {
        let revoked = match target {
            Target { user: Some(email), .. } => revoke_all(&app, &email).await?,
            Target { id: Some(id), .. } => {
                let revoked = app.admin.revoke_session(SessionId(id), &Operator::CommandLine).await?;
                usize::from(revoked.ok_or_else(|| format!("there is no session {id}"))?)
            }
            // clap requires one of the two.
            Target { id: None, user: None } => 0,
        };
        say!("Sessions revoked: {revoked}")?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn revoke_all(app: &App, email: &str) -> Result<usize, Box<dyn std::error::Error>> {
    let email = parse_email(email)?;
    let user = find_user(app, &email).await?;
    let revoked = app.admin.revoke_sessions(user, &Operator::CommandLine).await?;
    Ok(revoked.ok_or_else(|| no_account(&email))?)
}

fn clean_up(config: &Config) -> Outcome {
    with_app(config, async |app| {
        let cleanup = app.admin.clean_up().await?;
        say!("Sessions deleted: {}", cleanup.sessions_deleted)?;
        say!("Other rows deleted: {}", cleanup.other_rows_deleted)?;
        say!("Ended sessions kept: {}", cleanup.sessions_kept)?;
        Ok(ExitCode::SUCCESS)
    })
}
