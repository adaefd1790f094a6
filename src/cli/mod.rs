//! What `keyturn COMMAND` does.

mod doctor;
pub mod output;
mod progress;
mod serve;
mod session;
mod transfer;
mod user;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use keyturn::app::{App, Background};
use keyturn::clock::Clock;
use keyturn::config::{self, Config};
use keyturn::db::migrate;
use keyturn::random::Random;

use output::say;

pub type Outcome = Result<ExitCode, Box<dyn Error>>;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("KEYTURN_COMMIT"), ")");

/// An auth server for access and refresh tokens, with sessions that can be seen and ended at once.
#[derive(Parser)]
#[command(name = "keyturn", version = VERSION, arg_required_else_help = true)]
pub struct Arguments {
    /// A TOML file with settings; the environment goes before it.
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
    /// List and end sessions.
    #[command(subcommand)]
    Session(session::Command),
    /// Show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check everything that the server stands on, and say what to do about what is wrong.
    Doctor,
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

pub fn run(arguments: Arguments) -> Outcome {
    let file = arguments.config;
    match arguments.command {
        Command::Serve => serve::run(&load(file)?),
        Command::Migrate(migrate) => run_migrate(&load(file)?, &migrate),
        Command::User(command) => user::run(&load(file)?, command),
        Command::Session(command) => session::run(&load(file)?, command),
        Command::Config(ConfigCommand::Check) => check(file),
        Command::Config(ConfigCommand::Docs) => {
            io::stdout().write_all(config::documentation().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor => doctor::run(file),
        Command::Completions { shell } => {
            // To standard output directly, it would panic when nobody reads that.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "keyturn", &mut script);
            io::stdout().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn loaded(file: Option<PathBuf>) -> Result<config::Loaded, config::ConfigError> {
    Config::load(file.as_deref(), &|name| std::env::var_os(name))
}

fn load(file: Option<PathBuf>) -> Result<Config, config::ConfigError> {
    loaded(file)?.into_config(&Random)
}

fn check(file: Option<PathBuf>) -> Outcome {
    for setting in loaded(file)?.shown {
        say!("{setting}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_migrate(config: &Config, arguments: &MigrateArguments) -> Outcome {
    if arguments.check {
        let pending = migrate::pending_in(&config.database)?;
        for name in &pending {
            say!("pending: {name}")?;
        }
        return Ok(if pending.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    block_on(async {
        App::build(config, Clock::default()).await?;
        say!("The database is up to date.")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs a command that needs no server on a runtime of its own.
fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Runs `work` with everything that a server has but the HTTP.
fn with_app<F: Future<Output = Outcome>>(config: &Config, work: impl FnOnce(App) -> F) -> Outcome {
    block_on(async {
        let (app, background): (App, Background) = App::build(config, Clock::default()).await?;
        let outcome = work(app).await;
        drop(background);
        io::stdout().flush()?;
        outcome
    })
}
