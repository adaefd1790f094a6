//! `keyturn user import` and `keyturn user export`

use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use crate::accounts::Transfer;
use crate::accounts::transfer::entry::ImportedAccount;
use crate::accounts::transfer::reader::{AccountReader, Batch, Remark};
use crate::api::Stores;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::db::{DbError, DbResult};
use crate::random::Random;
use crate::types::UserId;

use super::account::NamedAccount;
use super::output::Form;
use super::progress::Progress;
use super::{Outcome, with_app};

/// How often a batch is tried while the database is not available.
const ATTEMPTS: u32 = 5;

/// The pause between two attempts.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Batches that are read ahead of the one that is being imported.
const READ_AHEAD: usize = 2;

/// The most lines that are printed of those that a file lists all.
const MAX_PRINTED: u64 = 20;

/// The accounts of a file or of standard input.
type Accounts = AccountReader<Box<dyn BufRead + Send>>;

#[derive(Args)]
pub(super) struct ImportArguments {
    /// The file with one account on each line, as a JSON object; `-` for standard input. Lines that are not imported
    /// are listed in FILE.rejected.ndjson, and accounts whose password cannot be imported in
    /// FILE.without-password.ndjson: their owners set one by email.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only check every line; import nothing.
    #[arg(long)]
    pub(super) check: bool,
}

#[derive(Args)]
pub(super) struct ExportArguments {
    /// A file that does not exist yet; standard output if it is not given.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Export all that is stored about this account, as one JSON object: the account, sessions, trusted devices and the
    /// audit log; no passwords, secrets or tokens.
    #[arg(long, value_name = "EMAIL|ID")]
    user: Option<String>,
}

/// Checks every line of a file. Exits with 1 if lines are rejected.
pub(super) fn check(arguments: &ImportArguments, form: Form) -> Outcome {
    let (mut reader, mut report) = begin(arguments)?;
    while let Some(batch) = reader.next_batch()? {
        report.add(&batch, batch.accounts.len(), 0)?;
    }
    report.progress.finish();
    let counts = [("valid", "Valid", report.valid)];
    report.finish(&counts, form)
}

/// Imports the accounts of a file. Exits with 1 if lines are rejected.
pub(super) fn import(config: &Config, arguments: &ImportArguments, form: Form) -> Outcome {
    let (reader, mut report) = begin(arguments)?;
    with_app(config, async move |app| {
        let mut batches = read_ahead(reader);
        while let Some(batch) = batches.recv().await {
            let mut batch = batch?;
            let accounts = Arc::new(std::mem::take(&mut batch.accounts));
            let imported = import_batch(&app, &accounts).await.map_err(|error| report.interrupted(&error))?;
            report.add(&batch, accounts.len(), imported)?;
        }
        report.progress.finish();
        let already_there = report.valid.saturating_sub(report.imported);
        let counts = [("imported", "Imported", report.imported), ("already_there", "Already there", already_there)];
        report.finish(&counts, form)
    })
}

/// Opens what is to be imported, and begins a report.
fn begin(arguments: &ImportArguments) -> Result<(Accounts, Report), Box<dyn Error>> {
    let (input, size) = open(&arguments.file)?;
    let reader = AccountReader::new(input, Clock::default().now(), Random);
    Ok((reader, Report::new(&arguments.file, Progress::new(size))?))
}

/// Opens a file or standard input. Returns its size in bytes too, if that is known.
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

/// Reads on a thread of its own, while the database works on what was read before.
fn read_ahead(mut reader: Accounts) -> mpsc::Receiver<io::Result<Batch>> {
    let (sender, batches) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        while let Some(batch) = reader.next_batch().transpose() {
            let failed = batch.is_err();
            if sender.blocking_send(batch).is_err() || failed {
                return;
            }
        }
    });
    batches
}

/// Imports a batch in one transaction. Returns how many accounts are new. A batch can be tried again, because accounts
/// that exist are not changed.
async fn import_batch(app: &App, accounts: &Arc<Vec<ImportedAccount>>) -> DbResult<usize> {
    let started = Instant::now();
    let mut retries = 1..ATTEMPTS;
    let outcome = loop {
        match app.transfer.import(Arc::clone(accounts)).await {
            Err(DbError::Unavailable(_)) if retries.next().is_some() => tokio::time::sleep(RETRY_DELAY).await,
            outcome => break outcome,
        }
    };
    // SQLite has one writer at a time, and a server that waits for its turn polls: it needs a gap to find.
    if !app.db.is_postgres() {
        tokio::time::sleep(started.elapsed()).await;
    }
    outcome
}

/// What an import has done so far.
struct Report {
    progress: Progress,
    /// Lines read.
    lines: u64,
    /// Lines with an account that can be imported.
    valid: usize,
    /// Accounts that were new.
    imported: usize,
    /// Lines that were rejected.
    rejected: Listing,
    /// Accounts without the password that the file has for them.
    without_password: Listing,
}

impl Report {
    /// Creates a report, and deletes the lists of an earlier import of the same file: this one reads every line again.
    fn new(file: &Path, progress: Progress) -> Result<Self, String> {
        let rejected = Listing::new(file, ".rejected.ndjson")?;
        let without_password = Listing::new(file, ".without-password.ndjson")?;
        Ok(Self { progress, lines: 0, valid: 0, imported: 0, rejected, without_password })
    }

    /// Adds a batch, of which so many accounts were valid and imported.
    fn add(&mut self, batch: &Batch, valid: usize, imported: usize) -> Result<(), String> {
        self.valid = self.valid.saturating_add(valid);
        self.imported = self.imported.saturating_add(imported);
        self.lines = batch.lines;
        self.rejected.add(&batch.rejections, &self.progress)?;
        self.without_password.add(&batch.without_password, &self.progress)?;
        self.progress.advance(batch.lines, batch.bytes, self.rejected.count);
        Ok(())
    }

    /// Returns what to print when the database fails.
    fn interrupted(&self, error: &DbError) -> String {
        self.progress.finish();
        format!("{error}\nLines up to {} are imported. Run the same command again to import the others.", self.lines)
    }

    /// Prints `counts`, each with its name in JSON and for people, how many accounts have no password, if any, and how
    /// many lines were rejected. Returns success if none was rejected.
    fn finish(self, counts: &[(&str, &str, usize)], form: Form) -> Outcome {
        let mut value: Map<String, Value> =
            counts.iter().map(|(name, _, count)| ((*name).to_owned(), (*count).into())).collect();
        value.insert("without_password".to_owned(), self.without_password.count.into());
        value.insert("rejected".to_owned(), self.rejected.count.into());
        let mut lines: Vec<String> = counts.iter().map(|(_, label, count)| format!("{label}: {count}")).collect();
        if self.without_password.count > 0 {
            lines.push(format!("Without password: {}", self.without_password.summary()));
        }
        lines.push(format!("Rejected: {}", self.rejected.summary()));
        form.say(&value, format_args!("{}", lines.join("\n")))?;
        Ok(if self.rejected.count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Lines of one kind, which are printed, and listed in a file beside the imported one.
struct Listing {
    /// Lines so far.
    count: u64,
    /// The file; `None` if standard input is imported.
    path: Option<PathBuf>,
    /// The file, opened at the first line.
    output: Option<BufWriter<File>>,
}

impl Listing {
    /// Creates an empty list for the import of `file`, and deletes that of an earlier import.
    fn new(file: &Path, suffix: &str) -> Result<Self, String> {
        let path = (file != Path::new("-")).then(|| {
            let mut name = file.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        });
        if let Some(path) = &path {
            delete(path)?;
        }
        Ok(Self { count: 0, path, output: None })
    }

    /// Prints and lists the lines of a batch.
    fn add(&mut self, remarks: &[Remark], progress: &Progress) -> Result<(), String> {
        for remark in remarks {
            self.count = self.count.saturating_add(1);
            let Some(path) = &self.path else {
                progress.print(format_args!("line {}: {}", remark.line, remark.reason));
                continue;
            };
            if self.count <= MAX_PRINTED {
                progress.print(format_args!("line {}: {}", remark.line, remark.reason));
            } else if self.count == MAX_PRINTED.saturating_add(1) {
                progress.print(format_args!("more such lines: see {}", path.display()));
            }
            if self.output.is_none() {
                self.output = Some(BufWriter::new(create_private(path)?));
            }
            let Some(output) = &mut self.output else { continue };
            write_line(output, remark).map_err(|error| cannot("write", path, &error))?;
        }
        if let (Some(output), Some(path)) = (&mut self.output, &self.path) {
            output.flush().map_err(|error| cannot("write", path, &error))?;
        }
        Ok(())
    }

    /// Returns the number of lines, and where they are listed.
    fn summary(&self) -> String {
        match &self.path {
            Some(path) if self.count > 0 => format!("{}, listed in {}", self.count, path.display()),
            _ => self.count.to_string(),
        }
    }
}

/// Deletes a file, if it exists.
fn delete(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("delete", path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Creates a new file that only its owner can read.
fn create_private(path: &Path) -> Result<File, String> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map_err(|error| cannot("create", path, &error))
}

fn write_line(output: &mut impl Write, value: &impl serde::Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *output, value)?;
    output.write_all(b"\n")
}

/// Exports all accounts to a new file or to standard output.
pub(super) fn export(config: &Config, arguments: &ExportArguments, form: Form) -> Outcome {
    let user = arguments.user.as_deref().map(NamedAccount::parse).transpose()?;
    let Some(path) = arguments.file.as_deref().filter(|path| *path != Path::new("-")) else {
        return with_app(config, async move |app| {
            export_to(&app, user.as_ref(), &mut BufWriter::new(io::stdout())).await?;
            Ok(ExitCode::SUCCESS)
        });
    };
    if path.exists() {
        return Err(format!("{} exists already: choose another name", path.display()).into());
    }
    // Renamed at the end, so that a file with the given name is always complete.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    delete(&partial)?;
    let mut output = BufWriter::new(create_private(&partial)?);
    with_app(config, async move |app| {
        let exported = match export_to(&app, user.as_ref(), &mut output).await {
            Ok(exported) => exported,
            Err(error) => {
                delete(&partial)?;
                return Err(error);
            }
        };
        output.get_ref().sync_all()?;
        fs::rename(&partial, path).map_err(|error| cannot("create", path, &error))?;
        form.say(&json!({"exported": exported}), format_args!("Exported: {exported}"))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Writes all accounts, or all that is stored about one. Returns how many.
async fn export_to(app: &App, user: Option<&NamedAccount>, output: &mut impl Write) -> Result<usize, Box<dyn Error>> {
    let Some(named) = user else { return export_all(&app.transfer, output).await };
    let account = named.find(app).await?;
    let stores = Stores {
        accounts: app.accounts.clone(),
        two_step: app.two_step.clone(),
        email_changes: app.email_changes.clone(),
        sessions: app.sessions.clone(),
        audit: app.audit.clone(),
    };
    let exists = stores.write(account.id, Clock::default().now(), output).await?;
    if exists { Ok(1) } else { Err(named.missing().into()) }
}

/// Writes all accounts, page by page. Returns how many.
async fn export_all(transfer: &Transfer, output: &mut impl Write) -> Result<usize, Box<dyn Error>> {
    transfer.begin_export().await?;
    let mut after = None;
    let mut exported = 0_usize;
    loop {
        let page = transfer.export(after).await?;
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
