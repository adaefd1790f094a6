//! The command line: `keyturn COMMAND`.

// They panic when nobody reads what they print: see `output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod account;
mod client;
mod doctor;
mod health;
mod key;
mod launch;
mod log;
mod monitoring;
mod output;
mod progress;
mod reload;
mod secret;
mod serve;
mod service;
mod session;
mod signals;
mod testing;
mod transfer;
mod user;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::json;

use crate::api;
use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::{self, Config, ConfigError, Database, EffectiveSetting, Environment, Loaded};
use crate::db::migrate;
use crate::random::Random;

use output::{Form, say_error};

/// The exit code of a command, or why it failed.
type Outcome = Result<ExitCode, Box<dyn Error>>;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILD_COMMIT"), ")");

/// What holds for every command.
const HELP: &str = "Examples:
  keyturn serve
  keyturn user create ada@example.com --admin
  keyturn doctor

Exit codes:
  0  done
  1  refused or failed, with the reason on standard error; or something is wrong, as the command's help says
  2  the command line is wrong";

/// An auth server for access and refresh tokens, with sessions that can be listed and revoked at once.
#[derive(Parser)]
#[command(name = "keyturn", version = VERSION, arg_required_else_help = true, after_help = HELP)]
struct Arguments {
    /// A TOML file with settings; the environment takes precedence over it.
    #[arg(long, global = true, value_name = "PATH", env = "KEYTURN_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON for programs instead of text. Errors stay text, on standard error. Commands whose output has a form
    /// of its own refuse it.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    #[command(after_help = "Example:\n  keyturn serve --config /etc/keyturn.toml")]
    Serve,
    /// Run a server for the tests of an app: fresh, on a port of this machine alone, with a clock that they set ahead.
    #[command(after_help = testing::HELP)]
    Testing(testing::TestingArguments),
    /// Bring the database to the schema of this version.
    #[command(after_help = "Examples:\n  keyturn migrate\n  keyturn migrate --check")]
    Migrate(MigrateArguments),
    /// Create, list and change accounts.
    #[command(subcommand, after_help = "Example:\n  keyturn user list")]
    User(user::Command),
    /// List and revoke sessions.
    #[command(subcommand, after_help = "Example:\n  keyturn session list ada@example.com")]
    Session(session::Command),
    /// Register clients: backends that ask about tokens, and services with tokens of their own.
    #[command(subcommand, after_help = "Example:\n  keyturn client create --name gateway --scope introspect")]
    Client(client::Command),
    /// List, replace and export signing keys.
    #[command(subcommand, after_help = "Example:\n  keyturn key list")]
    Key(key::Command),
    /// Follow a change of JWT_SECRET.
    #[command(subcommand, after_help = "Example:\n  keyturn secret status")]
    Secret(secret::Command),
    /// Show the configuration.
    #[command(subcommand, after_help = "Example:\n  keyturn config check")]
    Config(ConfigCommand),
    /// Check everything that the server needs, and print how to fix what is wrong.
    #[command(
        after_help = "Example:\n  keyturn doctor\n\nExits with 1 if something is wrong, with 0 if it only warns."
    )]
    Doctor,
    /// Ask the server of this configuration whether it can serve; exit with 1 if it cannot.
    #[command(after_help = "Examples:\n  keyturn health\n  keyturn health --live --timeout 2")]
    Health(health::HealthArguments),
    /// Print what shows and watches servers.
    #[command(subcommand, after_help = "Example:\n  keyturn monitoring rules > keyturn.rules.yaml")]
    Monitoring(monitoring::Command),
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  keyturn completions bash > /etc/bash_completion.d/keyturn")]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

impl Command {
    /// Returns whether the command prints JSON if it is asked to. It does, unless it prints none, or a text that is
    /// meant to be kept as a file.
    const fn has_json(&self) -> bool {
        match self {
            Self::Serve
            | Self::Testing(_)
            | Self::Monitoring(_)
            | Self::Completions { .. }
            | Self::Config(ConfigCommand::Docs | ConfigCommand::Openapi) => false,
            Self::Migrate(_)
            | Self::User(_)
            | Self::Session(_)
            | Self::Client(_)
            | Self::Key(_)
            | Self::Secret(_)
            | Self::Config(ConfigCommand::Check)
            | Self::Doctor
            | Self::Health(_) => true,
        }
    }
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
    #[command(after_help = "Example:\n  keyturn config check --json")]
    Check,
    /// Print the documentation of all settings, as Markdown.
    #[command(after_help = "Example:\n  keyturn config docs > configuration.md")]
    Docs,
    /// Print the description of the HTTP API as OpenAPI 3.1, without the address of a server.
    #[command(after_help = "Example:\n  keyturn config openapi > openapi.json")]
    Openapi,
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
    let form = if arguments.json { Form::Json } else { Form::Text };
    if !matches!(arguments.command, Command::Serve | Command::Testing(_)) {
        signals::end_command()?;
    }
    if arguments.json && !arguments.command.has_json() {
        let error = "the output of this command has a form of its own: leave off --json";
        Arguments::command().error(ErrorKind::ArgumentConflict, error).exit()
    }
    match arguments.command {
        Command::Serve => serve::run(file),
        Command::Testing(testing) => testing::run(testing),
        Command::Migrate(migrate) if migrate.check => list_pending(file, form),
        Command::Migrate(_) => run_migrate(file, form),
        Command::User(user::Command::Import(import)) if import.check => {
            loaded(file)?;
            transfer::check(&import, form)
        }
        Command::User(command) => user::run(&load_existing(file)?, command, form),
        Command::Session(command) => session::run(&load_existing(file)?, command, form),
        Command::Client(command) => client::run(&load_existing(file)?, command, form),
        Command::Key(command) => key::run(&load_existing(file)?, command, form),
        Command::Secret(command) => secret::run(&load_existing(file)?, command, form),
        Command::Config(ConfigCommand::Check) => check(file, form),
        Command::Config(ConfigCommand::Docs) => {
            io::stdout().write_all(config::documentation().as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Config(ConfigCommand::Openapi) => {
            io::stdout().write_all(api::openapi_document()?.as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor => doctor::run(file, form),
        Command::Health(health) => health::run(file, &health, form),
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

fn check(file: Option<PathBuf>, form: Form) -> Outcome {
    let loaded = loaded(file)?;
    let settings = loaded.settings.clone();
    app::check(&loaded.into_preview(&Random)?)?;
    let described =
        |setting: &EffectiveSetting| json!({"name": setting.name, "value": setting.value, "origin": setting.origin});
    let value = json!({"settings": settings.iter().map(described).collect::<Vec<_>>()});
    let lines: Vec<String> = settings.iter().map(ToString::to_string).collect();
    form.say(&value, format_args!("{}", lines.join("\n")))?;
    Ok(ExitCode::SUCCESS)
}

fn list_pending(file: Option<PathBuf>, form: Form) -> Outcome {
    let database = loaded(file)?.database;
    name_database(&database);
    let pending = migrate::pending_in(&database)?;
    if form == Form::Json || !pending.is_empty() {
        let lines: Vec<String> = pending.iter().map(|name| format!("pending: {name}")).collect();
        form.say(&json!({"pending": pending}), format_args!("{}", lines.join("\n")))?;
    }
    Ok(if pending.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_migrate(file: Option<PathBuf>, form: Form) -> Outcome {
    let config = load(file)?;
    name_database(&config.database);
    let pending = migrate::pending_in(&config.database)?;
    block_on(async { App::migrate(&config, Clock::default()).await })?;
    let said: Vec<String> = pending.iter().map(|name| format!("applied: {name}\n")).collect();
    let value = json!({"applied": pending, "pending": []});
    form.say(&value, format_args!("{}The database is up to date.", said.concat()))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `work` on a runtime of its own, for commands other than `serve`.
fn block_on<T, E: From<io::Error>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Runs `work` on an installation that exists, with everything that a server has but HTTP and background tasks.
fn with_app<F: Future<Output = Outcome>>(config: &Config, work: impl FnOnce(App) -> F) -> Outcome {
    block_on(async {
        let app = App::open(config, Clock::default()).await?;
        let outcome = work(app.clone()).await;
        app.cache.flush().await;
        io::stdout().flush()?;
        outcome
    })
}

#[cfg(test)]
mod tests {
    use clap::Command;

    use super::*;

    /// Returns the lines of a command's help that show how it is called.
    fn examples(command: &Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
        lines.filter(|line| line.starts_with("keyturn ")).map(str::to_owned).collect()
    }

    /// Calls `look` with each command and the words that lead to it.
    fn walk(command: &Command, path: &[String], look: &mut impl FnMut(&[String], &Command)) {
        look(path, command);
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            let path: Vec<String> = path.iter().cloned().chain([child.get_name().to_owned()]).collect();
            walk(child, &path, look);
        }
    }

    #[test]
    fn every_command_and_argument_is_explained() {
        let mut command = Arguments::command();
        command.build();
        let mut missing = Vec::new();
        let mut commands = 0;
        walk(&command, &["keyturn".to_owned()], &mut |path, command| {
            commands += 1;
            let path = path.join(" ");
            if command.get_about().is_none_or(|about| about.to_string().trim().is_empty()) {
                missing.push(path.clone());
            }
            for argument in command.get_arguments() {
                if argument.get_help().is_none_or(|help| help.to_string().trim().is_empty()) {
                    missing.push(format!("{path} {}", argument.get_id()));
                }
            }
        });
        assert!(missing.is_empty(), "{missing:?}");
        assert!(commands > 25, "{commands}");
    }

    #[test]
    fn every_help_has_an_example_that_the_command_takes() {
        let mut broken = Vec::new();
        walk(&Arguments::command(), &["keyturn".to_owned()], &mut |path, command| {
            let shown = examples(command);
            if shown.is_empty() {
                broken.push(format!("{} has no example", path.join(" ")));
            }
            for example in shown {
                // Without what is the shell's: quotes around one word, a pipe, a file.
                let own = example.split(['|', '>']).next().unwrap_or_default().replace("'Ada Lovelace'", "Ada");
                let words: Vec<&str> = own.split_whitespace().collect();
                if !words.iter().zip(path).all(|(word, expected)| word == expected) {
                    broken.push(format!("{}: an example of another command: {example}", path.join(" ")));
                }
                if let Err(error) = Arguments::try_parse_from(words) {
                    broken.push(format!("{example}: {error}"));
                }
            }
        });
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
