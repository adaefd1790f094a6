//! `keyturn client …`

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use super::account::parse_id;
use super::output::{Form, say};
use super::{Outcome, with_app};
use crate::admin::{IssuedSecret, Operator, Replaced};
use crate::api::{ClientDetails, ClientWithSecret};
use crate::app::App;
use crate::clients::{Client, NewClient};
use crate::config::Config;
use crate::types::{Algorithm, Audiences, ClientId, Label, Scopes};

/// The number of clients that are read at a time.
const PAGE: usize = 100;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Register a client: a backend that asks about tokens, or a service with tokens of its own. Its secret is shown
    /// this once.
    #[command(after_help = "Examples:\n  keyturn client create --name gateway --scope introspect revocations\n  \
                            keyturn client create --name orders --scope orders:read --audience https://api.example")]
    Create(CreateArguments),
    /// List clients in the order of their registration.
    #[command(after_help = "Example:\n  keyturn client list\n\nColumns: id, state, last use, scopes, name")]
    List,
    /// Show a client.
    #[command(after_help = "Example:\n  keyturn client show 01a2003e-d8aa-7ec7-a93b-e076a8923cfc")]
    Show(ClientArgument),
    /// Issue a new secret, which is shown this once. The latest one before it stays valid until the next time.
    #[command(after_help = "Example:\n  keyturn client rotate-secret 01a2003e-d8aa-7ec7-a93b-e076a8923cfc")]
    RotateSecret(RotateArguments),
    /// Delete a client. Servers refuse it, and its access tokens, within two seconds.
    #[command(after_help = "Example:\n  keyturn client delete 01a2003e-d8aa-7ec7-a93b-e076a8923cfc")]
    Delete(ClientArgument),
}

#[derive(Args)]
pub(super) struct CreateArguments {
    /// The name, for people.
    #[arg(long)]
    name: String,
    /// What it may do: `introspect`, `revocations`, `token-exchange`, or scopes for the audiences of its tokens.
    #[arg(long = "scope", value_name = "SCOPE", num_args = 1..)]
    scopes: Vec<String>,
    /// Whom its tokens may be for, besides the server's own audience.
    #[arg(long = "audience", value_name = "AUDIENCE", num_args = 1..)]
    audiences: Vec<String>,
    /// Seconds that its access tokens live; by default as long as those of the server.
    #[arg(long, value_name = "SECONDS")]
    access_token_ttl: Option<u64>,
    /// The algorithm of its access tokens: `JWT_ALGORITHM`, the default, or one of `JWT_ADDITIONAL_ALGORITHMS`.
    #[arg(long, value_name = "ALGORITHM")]
    signing_algorithm: Option<String>,
}

#[derive(Args)]
pub(super) struct ClientArgument {
    /// The id of the client.
    #[arg(value_name = "CLIENT_ID", value_parser = parse_id)]
    client: Uuid,
}

#[derive(Args)]
pub(super) struct RotateArguments {
    #[command(flatten)]
    client: ClientArgument,
    /// Delete all former secrets, for one that has leaked.
    #[arg(long)]
    at_once: bool,
}

/// Runs a command about clients.
pub(super) fn run(config: &Config, command: Command, form: Form) -> Outcome {
    match command {
        Command::Create(arguments) => create(config, arguments, form),
        Command::List => list(config, form),
        Command::Show(client) => show(config, &client, form),
        Command::RotateSecret(arguments) => rotate_secret(config, &arguments, form),
        Command::Delete(client) => delete(config, &client, form),
    }
}

fn create(config: &Config, arguments: CreateArguments, form: Form) -> Outcome {
    let known = |name: String| Algorithm::parse(&name).ok_or_else(|| format!("{name:?} is no algorithm"));
    let new = NewClient {
        name: Label::parse(&arguments.name).map_err(|error| format!("the name {error}"))?,
        scopes: Scopes::parse(arguments.scopes).map_err(|error| format!("the list of scopes {error}"))?,
        audiences: Audiences::parse(arguments.audiences).map_err(|error| format!("the list of audiences {error}"))?,
        access_token_ttl: arguments.access_token_ttl.map(Duration::from_secs),
        signing_algorithm: arguments.signing_algorithm.map(known).transpose()?,
    };
    with_app(config, async |app| {
        say_secret(app.admin.create_client(new, &Operator::CommandLine).await?, form)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn say_secret(issued: IssuedSecret, form: Form) -> std::io::Result<()> {
    let text = format!(
        "client_id:     {}\nclient_secret: {}\nThe secret is not shown again.",
        issued.client.id,
        issued.secret.expose()
    );
    form.say(&ClientWithSecret::from(issued), format_args!("{text}"))
}

fn list(config: &Config, form: Form) -> Outcome {
    with_app(config, async |app| {
        let clients = all(&app).await?;
        if form == Form::Json {
            let clients: Vec<ClientDetails> = clients.into_iter().map(ClientDetails::from).collect();
            form.say(&json!({"clients": clients}), format_args!(""))?;
            return Ok(ExitCode::SUCCESS);
        }
        for client in clients {
            let state = if client.is_enabled() { "enabled" } else { "disabled" };
            let used = client.last_used_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
            say!("{}\t{state}\t{used}\t{}\t{}", client.id, client.scopes, client.name)?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

async fn all(app: &App) -> Result<Vec<Client>, crate::db::DbError> {
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let page = app.admin.list_clients(clients.last().map(|client| client.id), PAGE).await?;
        let is_last = page.len() < PAGE;
        clients.extend(page);
        if is_last {
            return Ok(clients);
        }
    }
}

fn show(config: &Config, client: &ClientArgument, form: Form) -> Outcome {
    let id = ClientId(client.client);
    with_app(config, async |app| {
        let client = app.admin.client(id).await?.ok_or_else(|| format!("there is no client {id}"))?;
        let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
        let ttl = client.access_token_ttl.map_or_else(|| "-".to_owned(), |ttl| format!("{} s", ttl.as_secs()));
        let used = client.last_used_at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let secrets = client.secrets.iter().map(|secret| format!("{} of {}", secret.number, secret.created_at));
        let lines = [
            format!("id:               {}", client.id),
            format!("name:             {}", client.name),
            format!("state:            {}", if client.is_enabled() { "enabled" } else { "disabled" }),
            format!("scopes:           {}", or_none(client.scopes.to_string())),
            format!("audiences:        {}", or_none(client.audiences.names().join(" "))),
            format!("access token TTL: {ttl}"),
            format!("algorithm:        {}", client.signing_algorithm.map_or("-", Algorithm::name)),
            format!("registered:       {}", client.created_at),
            format!("last used:        {used}"),
            format!("secrets:          {}", or_none(secrets.collect::<Vec<_>>().join(", "))),
        ];
        form.say(&ClientDetails::from(client), format_args!("{}", lines.join("\n")))?;
        Ok(ExitCode::SUCCESS)
    })
}

fn rotate_secret(config: &Config, arguments: &RotateArguments, form: Form) -> Outcome {
    let id = ClientId(arguments.client.client);
    let replaced = if arguments.at_once { Replaced::All } else { Replaced::Oldest };
    with_app(config, async |app| {
        say_secret(app.admin.add_client_secret(id, replaced, &Operator::CommandLine).await?, form)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn delete(config: &Config, client: &ClientArgument, form: Form) -> Outcome {
    let id = ClientId(client.client);
    with_app(config, async |app| {
        app.admin.delete_client(id, &Operator::CommandLine).await?;
        form.say(&json!({"client_id": id}), format_args!("The client is deleted."))?;
        Ok(ExitCode::SUCCESS)
    })
}
