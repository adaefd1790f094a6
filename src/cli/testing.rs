//! `keyturn testing`

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::random::Random;

use super::log::Log;
use super::output::{say, to_json};
use super::signals::{ServerSignals, Signal};
use super::{Outcome, VERSION};

/// The settings in which a server for tests differs: a login costs little, nothing is limited.
const DEFAULTS: [(&str, &str); 11] = [
    ("ARGON2", "m=7168,t=1,p=1"),
    ("LIMIT_FORGOT_ACCOUNT", "off"),
    ("LIMIT_LOGIN_ACCOUNT", "off"),
    ("LIMIT_LOGIN_ADDRESS", "off"),
    ("LIMIT_MFA_ACCOUNT", "off"),
    ("LIMIT_REFRESH_ADDRESS", "off"),
    ("LIMIT_REFRESH_SESSION", "off"),
    ("LIMIT_REGISTER_ADDRESS", "off"),
    ("LIMIT_SEARCH_ACCOUNT", "off"),
    ("LIMIT_WRITE_ACCOUNT", "off"),
    ("LOG", "warn"),
];

/// The settings that would have the server leave its folder and its machine, where its clock could do harm.
const REFUSED: [&str; 6] = ["BIND", "DATABASE_SCHEMA", "DATABASE_URL", "DATA_DIR", "METRICS_BIND", "REDIS_URL"];

/// The longest time by which one command sets the clock ahead: a century.
const MAX_ADVANCE: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The end of the command's help, with what the program that tests writes and reads.
pub(super) const HELP: &str = r#"Example:
  keyturn testing ALLOWED_ORIGINS=http://localhost:3000

Prints a line of JSON once it serves, with its url and its data_dir, where its emails are in the folder outbox.
A line such as {"advance_seconds": 900} on standard input sets its clock ahead, and is answered with the new time.
It ends, and everything that it has stored is deleted, when standard input ends."#;

#[derive(clap::Args)]
pub(super) struct TestingArguments {
    /// Settings such as ALLOWED_ORIGINS=http://localhost:3000. The environment and files are not read. PORT chooses
    /// the port.
    #[arg(value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// Parses a setting, and refuses those that are not for tests.
fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be of the form NAME=VALUE")?;
    let name = name.to_ascii_uppercase();
    if REFUSED.contains(&name.strip_suffix("_FILE").unwrap_or(&name)) {
        return Err(format!("{name} cannot be set here: a server for tests has a folder and a port of its own"));
    }
    Ok((name, value.to_owned()))
}

/// A line from the program that tests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Instruction {
    /// The number of seconds by which the clock is set ahead.
    advance_seconds: u64,
}

/// The folder of one run. It is removed with everything in it when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create(clock: &Clock) -> Result<Self, String> {
        let name = format!("keyturn-testing-{}", Random.id(clock.now()).simple());
        let path = std::env::temp_dir().join(name);
        let created = DirBuilder::new().mode(0o700).create(&path);
        created.map_err(|error| format!("cannot create the folder {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It is in the folder for temporary files, which the system clears.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs a server for the tests of an app until standard input ends.
pub(super) fn run(arguments: TestingArguments) -> Outcome {
    let signals = ServerSignals::handle()?;
    let mut settings: BTreeMap<String, String> = arguments.settings.into_iter().collect();
    let port = settings.remove("PORT").map_or(Ok(0), |port| port.parse::<u16>());
    let port = port.map_err(|_| "PORT: must be a whole number from 0 to 65535")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| format!("cannot listen on port {port} of 127.0.0.1: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    let clock = Clock::default();
    let folder = Folder::create(&clock)?;
    let data_dir = folder.0.display().to_string();
    let own = [("DATABASE_URL", "embedded"), ("DATA_DIR", &data_dir), ("PUBLIC_URL", &url)];
    for (name, value) in own.into_iter().chain(DEFAULTS) {
        settings.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (&**name, &**value)).collect();
    let config = &Config::from_settings(&settings, &Random)?;
    let _log = Log::start(&config.log);
    actix_web::rt::System::new().block_on(async {
        let (app, background) = App::build(config, clock.clone()).await?;
        let (server, _) = app.serve(listener, None)?;
        let handle = server.handle();
        let by_signal = handle.clone();
        // The calls themselves tell the server, whose end is awaited below.
        signals.forward(move |signal| match signal {
            Signal::Reload => {}
            Signal::Stop | Signal::Quit => drop(by_signal.stop(signal == Signal::Stop)),
        });
        let ready = json!({"url": url, "data_dir": data_dir, "now": clock.now(), "version": VERSION});
        say!("{}", to_json(&ready)?)?;
        std::thread::spawn(move || {
            obey(&clock);
            drop(handle.stop(true));
        });
        server.await?;
        background.finish().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// Carries out the lines of standard input, with a line in answer to each, until one of both ends.
fn obey(clock: &Clock) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match serde_json::from_str(&line) {
            Ok(Instruction { advance_seconds }) if advance_seconds <= MAX_ADVANCE.as_secs() => {
                clock.advance(Duration::from_secs(advance_seconds));
                json!({"now": clock.now()})
            }
            Ok(_) => json!({"error": "advance_seconds: must be at most a century"}),
            Err(error) => json!({"error": error.to_string()}),
        };
        if to_json(&answer).and_then(|answer| say!("{answer}")).is_err() {
            return;
        }
    }
}
