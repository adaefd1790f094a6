//! `keyturn secret …`

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::json;

use crate::admin::secrets::SecretStatus;
use crate::config::Config;

use super::output::Form;
use super::{Outcome, with_app};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Tell what still needs JWT_SECRET_PREVIOUS, and when it may go.
    #[command(after_help = "Example:\n  keyturn secret status --json")]
    Status,
}

/// Runs a command about the secret.
pub(super) fn run(config: &Config, command: Command, form: Form) -> Outcome {
    let Command::Status = command;
    with_app(config, async |app| {
        let status = app.secret_change.status().await?;
        let removable = status.is_removable(app.admin.clock.database_now());
        let SecretStatus { has_previous, in_force_from, is_in_force, sealed, sessions, needed_until } = status;
        let value = json!({
            "previous": has_previous,
            "in_force_from": in_force_from,
            "in_force": is_in_force,
            "sealed": {
                "signing_keys": sealed.signing_keys,
                "totp_secrets": sealed.totp_secrets,
                "emails": sealed.emails,
            },
            "sessions": sessions,
            "needed_until": needed_until,
            "removable": removable,
        });
        let begin = if is_in_force { "in force since" } else { "in force from" };
        let verdict = match (has_previous, removable, needed_until) {
            (true, true, _) => "JWT_SECRET_PREVIOUS may be removed.".to_owned(),
            (true, false, Some(until)) => format!("JWT_SECRET_PREVIOUS is needed, until {until} at the latest."),
            (true, false, None) => "JWT_SECRET_PREVIOUS is needed.".to_owned(),
            (false, true, _) => "JWT_SECRET_PREVIOUS is not set, and not needed.".to_owned(),
            (false, false, _) => "JWT_SECRET_PREVIOUS is not set, and needed.".to_owned(),
        };
        let text = format!(
            "JWT_SECRET is {begin} {in_force_from}\nSigning keys under another secret: {}\nSecrets of second factors under \
             another secret: {}\nEmails under another secret: {}\nSessions with a refresh token of another secret: \
             {sessions}\n{verdict}",
            sealed.signing_keys, sealed.totp_secrets, sealed.emails
        );
        form.say(&value, format_args!("{text}"))?;
        Ok(ExitCode::SUCCESS)
    })
}
