//! `keyturn session …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use keyturn::audit::Actor;
use keyturn::config::Config;
use keyturn::db::types::SessionId;
use keyturn::revocations::Reason;
use keyturn::sessions::revoke::Which;
use uuid::Uuid;

use super::output::say;
use super::user::{parse_email, unknown};
use super::{Outcome, with_app};

#[derive(Subcommand)]
pub enum Command {
    /// List an account's sessions.
    List {
        email: String,
        /// List those that have ended too.
        #[arg(long)]
        include_expired: bool,
    },
    /// End one session, or all of an account. It counts at once on servers with Redis, within half a second on others.
    Revoke(Target),
    /// Remove sessions, audited events and all else that was kept for long enough, as the server does by itself.
    Sweep,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Target {
    /// The session's id.
    id: Option<Uuid>,
    /// End all sessions of this account.
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

pub fn run(config: &Config, command: Command) -> Outcome {
    match command {
        Command::List { email, include_expired } => list(config, &email, include_expired),
        Command::Revoke(target) => revoke(config, target),
        Command::Sweep => sweep(config),
    }
}

fn list(config: &Config, email: &str, include_expired: bool) -> Outcome {
    let address = parse_email(email)?;
    with_app(config, async |app| {
        let user = app.accounts.id_of(&address).await?.ok_or_else(|| unknown(&address))?;
        for session in app.sessions.list(user, SessionId(Uuid::nil()), include_expired).await? {
            let state =
                session.revoked_reason.as_deref().unwrap_or(if session.is_expired { "expired" } else { "live" });
            let address = session.ip_address.map_or_else(|| "-".to_owned(), |address| address.to_string());
            let device = session.name.unwrap_or(session.device.label);
            say!("{}\t{}\t{}\t{address}\t{state}\t{device}", session.id, session.created_at, session.last_active_at)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn revoke(config: &Config, target: Target) -> Outcome {
    with_app(config, async |app| {
        let ended = match (target.id, target.user) {
            (Some(id), _) => {
                usize::from(app.sessions.revoke(SessionId(id), Reason::EndedByOperator, &Actor::default()).await?)
            }
            (None, Some(email)) => {
                let address = parse_email(&email)?;
                let user = app.accounts.id_of(&address).await?.ok_or_else(|| unknown(&address))?;
                app.sessions.revoke_all(Which::AllOf(user), Reason::EndedByOperator, &Actor::default()).await?
            }
            (None, None) => 0,
        };
        say!("Sessions ended: {ended}")?;
        Ok(ExitCode::SUCCESS)
    })
}

fn sweep(config: &Config) -> Outcome {
    with_app(config, async |app| {
        let swept = app.sweeper.sweep().await?;
        say!("Sessions removed: {}", swept.sessions)?;
        say!("Other rows removed: {}", swept.others)?;
        Ok(ExitCode::SUCCESS)
    })
}
