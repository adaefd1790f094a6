//! `keyturn user import` and `keyturn user export`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use keyturn::accounts::Accounts;
use keyturn::accounts::transfer::entry::Newcomer;
use keyturn::accounts::transfer::intake::{Batch, Intake, Rejection};
use keyturn::app::App;
use keyturn::clock::Clock;
use keyturn::config::Config;
use keyturn::db::types::UserId;
use keyturn::db::{DbError, DbResult};
use keyturn::random::Random;
use tokio::sync::mpsc;

use super::output::say;
use super::progress::Progress;
use super::{Outcome, with_app};

/// How often a batch is tried again while the database is not available, and how long after.
const TRIES: u32 = 5;
const RETRY: Duration = Duration::from_secs(1);

/// Batches that are read ahead of the one that is being written.
const READ_AHEAD: usize = 2;

/// Rejections that are told on standard error when a file has them all.
const TOLD: u64 = 20;

#[derive(Args)]
pub struct ImportArguments {
    /// The file with one account on each line; `-` for standard input. Lines that are not imported are listed in
    /// FILE.rejected.ndjson.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only check every line; import nothing.
    #[arg(long)]
    check: bool,
}

#[derive(Args)]
pub struct ExportArguments {
    /// A file that does not exist yet; standard output if it is not given.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

pub fn import(config: &Config, arguments: &ImportArguments) -> Outcome {
    let (input, size) = open(&arguments.file)?;
    let mut intake = Intake::new(input, Clock::default().now(), Random);
    let mut report = Report::new(&arguments.file, Progress::new(size))?;
    if arguments.check {
        while let Some(batch) = intake.next_batch()? {
            report.note(&batch, batch.newcomers.len(), 0)?;
        }
        report.progress.finish();
        say!("Good: {}", report.good)?;
        return report.conclude();
    }
    with_app(config, async move |app| {
        let mut batches = read_ahead(intake);
        while let Some(batch) = batches.recv().await {
            let mut batch = batch?;
            let newcomers = Arc::new(std::mem::take(&mut batch.newcomers));
            let imported = write(&app, &newcomers).await.map_err(|error| report.interrupted(&error))?;
            report.note(&batch, newcomers.len(), imported)?;
        }
        report.progress.finish();
        say!("Imported: {}", report.imported)?;
        say!("Already there: {}", report.good.saturating_sub(report.imported))?;
        report.conclude()
    })
}

/// The lines of a file or of standard input, and how many bytes they are where that is known.
fn open(path: &Path) -> Result<(Box<dyn BufRead + Send>, Option<u64>), String> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::new(io::stdin())), None));
    }
    let file = File::open(path).map_err(|error| cannot("read", path, &error))?;
    let size = file.metadata().ok().filter(fs::Metadata::is_file).map(|metadata| metadata.len());
    Ok((Box::new(BufReader::new(file)), size))
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}

/// Reads on a thread of its own, while the database is busy with what was read before.
fn read_ahead(mut intake: Intake<Box<dyn BufRead + Send>>) -> mpsc::Receiver<io::Result<Batch>> {
    let (sender, batches) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        while let Some(batch) = intake.next_batch().transpose() {
            let failed = batch.is_err();
            if sender.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });
    batches
}

/// Adds a batch in one transaction; what is there already is left alone, so to try again does no harm.
async fn write(app: &App, newcomers: &Arc<Vec<Newcomer>>) -> DbResult<usize> {
    let begun = Instant::now();
    let mut retries = 1..TRIES;
    let outcome = loop {
        match app.accounts.import(Arc::clone(newcomers)).await {
            Err(DbError::Unavailable(_)) if retries.next().is_some() => tokio::time::sleep(RETRY).await,
            outcome => break outcome,
        }
    };
    // SQLite has one writer at a time, and a server that waits for its turn polls: it needs a gap to find.
    if !app.db.is_postgres() {
        tokio::time::sleep(begun.elapsed()).await;
    }
    outcome
}

/// What an import has done so far.
struct Report {
    progress: Progress,
    /// Lines up to here.
    lines: u64,
    good: usize,
    imported: usize,
    rejected: u64,
    /// Where rejections are listed; nowhere for standard input.
    list: Option<PathBuf>,
    listed: Option<BufWriter<File>>,
}

impl Report {
    /// Removes the list of an earlier import of the same file: this one reads every line again.
    fn new(file: &Path, progress: Progress) -> Result<Self, String> {
        let list = (file != Path::new("-")).then(|| {
            let mut name = file.as_os_str().to_owned();
            name.push(".rejected.ndjson");
            PathBuf::from(name)
        });
        if let Some(list) = &list {
            remove(list)?;
        }
        Ok(Self { progress, lines: 0, good: 0, imported: 0, rejected: 0, list, listed: None })
    }

    fn note(&mut self, batch: &Batch, good: usize, imported: usize) -> Result<(), String> {
        self.good = self.good.saturating_add(good);
        self.imported = self.imported.saturating_add(imported);
        self.lines = batch.lines;
        for rejection in &batch.rejections {
            self.reject(rejection)?;
        }
        if let Some(listed) = &mut self.listed {
            listed.flush().map_err(|error| format!("cannot list what is rejected: {error}"))?;
        }
        self.progress.advance(batch.lines, batch.bytes, self.rejected);
        Ok(())
    }

    fn reject(&mut self, rejection: &Rejection) -> Result<(), String> {
        self.rejected = self.rejected.saturating_add(1);
        let Some(list) = &self.list else {
            self.progress.tell(format_args!("line {}: {}", rejection.line, rejection.reason));
            return Ok(());
        };
        if self.rejected <= TOLD {
            self.progress.tell(format_args!("line {}: {}", rejection.line, rejection.reason));
        } else if self.rejected == TOLD.saturating_add(1) {
            self.progress.tell(format_args!("more lines are rejected: see {}", list.display()));
        }
        if self.listed.is_none() {
            self.listed = Some(BufWriter::new(create_private(list)?));
        }
        let Some(listed) = &mut self.listed else { return Ok(()) };
        write_line(listed, rejection).map_err(|error| cannot("write", list, &error))
    }

    /// What to say when the database fails.
    fn interrupted(&self, error: &DbError) -> String {
        self.progress.finish();
        format!("{error}\nThe lines up to {} are imported. The same command goes on from there.", self.lines)
    }

    fn conclude(self) -> Outcome {
        match self.list {
            Some(list) if self.rejected > 0 => say!("Rejected: {}, listed in {}", self.rejected, list.display())?,
            _ => say!("Rejected: {}", self.rejected)?,
        }
        Ok(if self.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("remove", path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A new file that only its owner can read.
fn create_private(path: &Path) -> Result<File, String> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map_err(|error| cannot("create", path, &error))
}

fn write_line(output: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

pub fn export(config: &Config, arguments: &ExportArguments) -> Outcome {
    let Some(path) = arguments.file.as_deref().filter(|path| *path != Path::new("-")) else {
        return with_app(config, async |app| {
            export_to(&app.accounts, &mut BufWriter::new(io::stdout())).await?;
            Ok(ExitCode::SUCCESS)
        });
    };
    if path.exists() {
        return Err(format!("{} is there already: name another file", path.display()).into());
    }
    // A file of the name that was given is always whole.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    remove(&partial)?;
    let mut output = BufWriter::new(create_private(&partial)?);
    with_app(config, async move |app| {
        let exported = export_to(&app.accounts, &mut output).await?;
        output.get_ref().sync_all()?;
        fs::rename(&partial, path).map_err(|error| cannot("create", path, &error))?;
        say!("Exported: {exported}")?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes all accounts, page by page, and answers how many they are.
async fn export_to(accounts: &Accounts, output: &mut impl Write) -> Result<usize, Box<dyn std::error::Error>> {
    accounts.begin_export().await?;
    let (mut after, mut exported) = (None, 0_usize);
    loop {
        let page = accounts.export(after).await?;
        let Some(last) = page.last() else { break };
        after = last.id.map(UserId);
        exported = exported.saturating_add(page.len());
        for entry in &page {
            write_line(output, entry)?;
        }
    }
    output.flush()?;
    Ok(exported)
}
