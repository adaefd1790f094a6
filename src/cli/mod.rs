//! The command line: `keyturn COMMAND`.

// They panic when nobody reads what they print: see `output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod doctor;
mod health;
mod log;
mod monitoring;
mod output;
mod progress;
mod reload;
mod serve;
mod service;
mod session;
mod signals;
mod transfer;
mod user;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError, Database, Environment, Loaded};
use crate::db::migrate;
use crate::random::Random;

use output::{say, say_error};

/// The exit code of a command, or why it failed.
type Outcome = Result<ExitCode, Box<dyn Error>>;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("KEYTURN_COMMIT"), ")");

/// An auth server for access and refresh tokens, with sessions that can be listed and revoked at once.
#[derive(Parser)]
#[command(name = "keyturn", version = VERSION, arg_required_else_help = true)]
struct Arguments {
    /// A TOML file with settings; the environment takes precedence over it.
    #[arg(long, global = true, value_name = "PATH", env = "KEYTURN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Serve,
    /// Bring the database to the schema of this version.
    Migrate(MigrateArguments),
    /// Create, list and change accounts.
    #[command(subcommand)]
    User(user::Command),
    /// List and revoke sessions.
    #[command(subcommand)]
    Session(session::Command),
    /// Show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check everything that the server needs, and print how to fix what is wrong.
    Doctor,
    /// Ask the server of this configuration whether it can serve; exit with 1 if it cannot.
    Health(health::HealthArguments),
    /// Print what shows and watches servers.
    #[command(subcommand)]
    Monitoring(monitoring::Command),
    /// Print a completion script for a shell.
    Completions { shell: Shell },
}

#[derive(Args)]
struct MigrateArguments {
    /// Change nothing; exit with 1 if the database is not up to date.
    #[arg(long)]
    check: bool,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Check the settings and print those in effect, with secrets hidden.
    Check,
    /// Print the documentation of all settings, as Markdown.
    Docs,
}

/// Runs the command that the program was started with.
pub fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) if output::is_unread(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            say_error!("keyturn: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Outcome {
    let file = arguments.config;
    if !matches!(arguments.command, Command::Serve) {
        signals::end_command()?;
    }
    match arguments.command {
        Command::Serve => serve::run(file),
        Command::Migrate(migrate) if migrate.check => list_pending(file),
        Command::Migrate(_) => run_migrate(file),
        Command::User(user::Command::Import(import)) if import.check => {
            loaded(file)?;
            transfer::check(&import)
        }
        Command::User(command) => user::run(&load_existing(file)?, command),
        Command::Session(command) => session::run(&load_existing(file)?, command),
        Command::Config(ConfigCommand::Check) => check(file),
        Command::Config(ConfigCommand::Docs) => {
            io::stdout().write_all(config::documentation().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor => doctor::run(file),
        Command::Health(health) => health::run(file, &health),
        Command::Monitoring(command) => monitoring::run(command),
        Command::Completions { shell } => {
            // `generate` would panic if it wrote to standard output and nobody read that.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "keyturn", &mut script);
            io::stdout().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn loaded(file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
    Config::load(file.as_deref(), &Environment::of_process())
}

/// Loads the configuration, and creates the secret of an embedded server if there is none.
fn load(file: Option<PathBuf>) -> Result<Config, ConfigError> {
    loaded(file)?.into_config(&Random)
}

/// Loads the configuration of an installation that exists, and says which one it is. Creates nothing.
fn load_existing(file: Option<PathBuf>) -> Result<Config, Box<dyn Error>> {
    let loaded = loaded(file)?;
    let database = loaded.database.clone();
    let config = loaded.into_existing().ok_or_else(|| app::no_installation(&database))?;
    name_database(&database);
    Ok(config)
}

/// Prints which database a command uses, apart from its output.
fn name_database(database: &Database) {
    say_error!("keyturn uses the database {database}");
}

fn check(file: Option<PathBuf>) -> Outcome {
    let loaded = loaded(file)?;
    let settings = loaded.settings.clone();
    app::check(&loaded.into_preview(&Random)?)?;
    for setting in settings {
        say!("{setting}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list_pending(file: Option<PathBuf>) -> Outcome {
    let database = loaded(file)?.database;
    name_database(&database);
    let pending = migrate::pending_in(&database)?;
    for name in &pending {
        say!("pending: {name}")?;
    }
    Ok(if pending.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_migrate(file: Option<PathBuf>) -> Outcome {
    let config = load(file)?;
    name_database(&config.database);
    let pending = migrate::pending_in(&config.database)?;
    block_on(async { App::build(&config, Clock::default()).await.map(drop) })?;
    for name in pending {
        say!("applied: {name}")?;
    }
    say!("The database is up to date.")?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `work` on a runtime of its own, for commands other than `serve`.
fn block_on<T, E: From<io::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Runs `work` on an installation that exists, with everything that a server has but HTTP.
fn with_app<F: Future<Output = Outcome>>(config: &Config, work: impl FnOnce(App) -> F) -> Outcome {
    block_on(async {
        let (app, background) = App::open(config, Clock::default()).await?;
        let outcome = work(app).await;
        drop(background);
        io::stdout().flush()?;
        outcome
    })
}
