//! The load benchmark: how fast keyturn logs in, refreshes and verifies, beside what its machine and backends can do
//! at most. See `benches/README.md`.

#![allow(
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a benchmark ends by panicking, and nothing here is a library"
)]

mod argon2;
mod bench;
mod client;
mod lanes;
mod postgres;
mod report;
mod server;
mod size;

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::process::{Command, ExitCode};
use std::time::Duration;

use bench::{Bench, Only, measure_starts};
use postgres::{Database, Servers};
use report::Report;
use server::{Backend, Folder};

type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

const USAGE: &str = "usage: cargo bench --bench load -- [--seconds S] [--rounds N] [--backend embedded|postgres|all] \
                     [--only ROW] [--connections N] [--size EVENTS]";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Vec<String>) -> Result<ExitCode> {
    if let [server::EMPTY_ACTIX, port] = arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        server::serve_empty(port.parse()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::parse(arguments)?;
    let mut report = Report::new(options.describe()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(options.run(&mut report));
    // What was measured before an error is worth reading too.
    println!("{report}");
    ended?;
    Ok(if report.failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Options {
    /// Of each measurement.
    length: Duration,
    rounds: usize,
    backend: Option<String>,
    only: Only,
    /// Measures what a database with so many audited events costs, instead of the load.
    size: Option<u64>,
}

impl Options {
    fn parse(arguments: Vec<String>) -> Result<Self> {
        let mut options =
            Self { length: Duration::from_secs(5), rounds: 3, backend: None, only: Only::default(), size: None };
        // Cargo says --bench to a benchmark that is to measure. Where it only runs everything (`test --all-targets`),
        // one short round shows that this still works.
        if !arguments.iter().any(|argument| argument == "--bench") {
            options.length = Duration::from_millis(500);
            options.rounds = 1;
            options.backend = Some("embedded".to_owned());
        }
        let mut arguments = arguments.into_iter().filter(|argument| argument != "--bench");
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match argument.as_str() {
                "--seconds" => options.length = Duration::try_from_secs_f64(value.parse()?)?,
                "--rounds" => options.rounds = value.parse()?,
                "--backend" => options.backend = Some(value),
                "--only" => options.only.row = Some(value),
                "--connections" => options.only.connections = Some(value.parse()?),
                "--size" => options.size = Some(value.parse()?),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    async fn run(&self, report: &mut Report) -> Result<()> {
        let servers = Servers::from_environment()?;
        let (embedded, postgres) = match (self.backend.as_deref(), servers) {
            (Some("embedded"), _) | (None, None) => (true, None),
            (Some("postgres"), Some(servers)) => (false, Some(servers)),
            (None | Some("all"), Some(servers)) => (true, Some(servers)),
            (Some("postgres" | "all"), None) => {
                return Err("KEYTURN_TEST_POSTGRES_URL is not set: run this under scripts/servers --durable".into());
            }
            (Some(_), _) => return Err(USAGE.into()),
        };
        if let Some(rows) = self.size {
            return self.run_size(rows, embedded, postgres, report).await;
        }
        if embedded {
            if self.only == Only::default() {
                measure_starts(report).await?;
            }
            let backend = Backend::Embedded(Folder::new()?);
            Bench::new(backend, self.length, self.only.clone()).await?.run(self.rounds, report).await?;
        }
        if let Some(servers) = postgres {
            let backend = Backend::Postgres(Folder::new()?, Database::create(servers)?);
            Bench::new(backend, self.length, self.only.clone()).await?.run(self.rounds, report).await?;
        }
        Ok(())
    }

    async fn run_size(&self, rows: u64, embedded: bool, postgres: Option<Servers>, report: &mut Report) -> Result<()> {
        if embedded {
            let sides = (Backend::Embedded(Folder::new()?), Backend::Embedded(Folder::new()?));
            size::run(sides, rows, self.length, self.rounds, report).await?;
        }
        if let Some(servers) = postgres {
            let side =
                || -> Result<Backend> { Ok(Backend::Postgres(Folder::new()?, Database::create(servers.clone())?)) };
            size::run((side()?, side()?), rows, self.length, self.rounds, report).await?;
        }
        Ok(())
    }

    fn describe(&self) -> Result<String> {
        let version = output(Command::new(env!("CARGO_BIN_EXE_keyturn")).arg("--version"))?;
        Ok(format!(
            "{}; {} cores, shared with the load generator; medians of {} rounds of {} s",
            version.trim(),
            std::thread::available_parallelism()?,
            self.rounds,
            self.length.as_secs_f64()
        ))
    }
}

/// For names and secrets of this run: twice as many digits as `bytes`.
fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut hex = String::with_capacity(2 * bytes);
    for byte in random {
        write!(hex, "{byte:02x}")?;
    }
    Ok(hex)
}

/// What a program prints, once it has ended well.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{name}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
