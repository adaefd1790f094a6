//! `keyturn key …`

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use crate::admin::{AdminError, Operator};
use crate::api::SigningKeyList;
use crate::app::App;
use crate::config::Config;
use crate::keys::KeyStatus;
use crate::types::KeyId;

use super::account::parse_id;
use super::output::{Form, say, to_json};
use super::{Outcome, with_app};

/// The number of characters on a line of a PEM file (RFC 7468 §2).
const PEM_LINE: usize = 64;

#[derive(Subcommand)]
pub(super) enum Command {
    /// List the signing keys, oldest first.
    #[command(
        after_help = "Example:\n  keyturn key list\n\nColumns: id, use, algorithm, state, publication, begin and end \
                            of signing"
    )]
    List,
    /// Publish a new signing key, which signs once all verifiers can know it: after twice JWKS_MAX_AGE.
    #[command(after_help = "Example:\n  keyturn key rotate")]
    Rotate,
    /// Revoke a key and every access token that it has signed, on all servers at once. Clients refresh; nobody is
    /// logged out. If it signed, another key signs at once.
    #[command(after_help = "Example:\n  keyturn key revoke 01a2003e-d8aa-7ec7-a93b-e076a8923cfc")]
    Revoke {
        /// The id of the key: `kid` of its tokens.
        #[arg(value_name = "KID")]
        id: Uuid,
    },
    /// Print the public half of a key, as a JWK or as PEM.
    #[command(after_help = "Example:\n  keyturn key export 01a2003e-d8aa-7ec7-a93b-e076a8923cfc --pem")]
    Export(ExportArguments),
}

#[derive(Args)]
pub(super) struct ExportArguments {
    /// The id of the key: `kid` of its tokens.
    #[arg(value_name = "KID", value_parser = parse_id)]
    id: Uuid,
    /// Print PEM instead of a JWK.
    #[arg(long)]
    pem: bool,
}

/// Runs a command about signing keys.
pub(super) fn run(config: &Config, command: Command, form: Form) -> Outcome {
    with_app(config, async |app| match command {
        Command::List => print(app.admin.list_keys().await?, form),
        Command::Rotate => print(app.admin.rotate_keys(&Operator::CommandLine).await?, form),
        Command::Revoke { id } => revoke(&app, id, form).await,
        Command::Export(export) => print_public(&app, &export, form),
    })
}

fn print(keys: Vec<KeyStatus>, form: Form) -> Outcome {
    if form == Form::Json {
        say!("{}", to_json(&SigningKeyList::from(keys))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for key in keys {
        let KeyStatus { id, key_use, algorithm, state, times } = key;
        let end = times.revoked_at.or(times.retired_at).map_or_else(|| "-".to_owned(), |end| end.to_string());
        let state = state.name();
        say!("{id}\t{key_use}\t{algorithm}\t{state}\t{}\t{}\t{end}", times.created_at, times.active_from)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn revoke(app: &App, id: Uuid, form: Form) -> Outcome {
    let revoked = match app.admin.revoke_key(KeyId(id), &Operator::CommandLine).await {
        Err(AdminError::NotFound) => return Err(format!("there is no key {id}").into()),
        revoked => revoked?,
    };
    let text = if revoked { "The key is revoked." } else { "The key has ended already." };
    form.say(&json!({"revoked": revoked}), format_args!("{text}"))?;
    Ok(ExitCode::SUCCESS)
}

fn print_public(app: &App, export: &ExportArguments, form: Form) -> Outcome {
    let id = export.id;
    let key = app.sessions.key_ring.verifying(KeyId(id)).ok_or_else(|| format!("no key {id} is published"))?;
    let shared = || format!("{id} is a shared key ({}), which has no public half", key.algorithm().name());
    if form == Form::Json || !export.pem {
        say!("{}", to_json(key.verifying.jwk.as_ref().ok_or_else(shared)?)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let der = key.public_der()?.ok_or_else(shared)?;
    let text = STANDARD.encode(der);
    let mut rest = text.as_str();
    say!("-----BEGIN PUBLIC KEY-----")?;
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(PEM_LINE));
        say!("{line}")?;
        rest = more;
    }
    say!("-----END PUBLIC KEY-----")?;
    Ok(ExitCode::SUCCESS)
}
