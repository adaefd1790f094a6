//! The processes under load: keyturn on a backend of its own and, beside it, an actix handler that does nothing.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::Connection;
use crate::postgres::Database;
use crate::{Result, random_hex};

/// The hidden argument, followed by a port, with which this program is the server of [`serve_empty`].
pub const EMPTY_ACTIX: &str = "--empty-actix";

/// After which a server that does not answer is taken to hang.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server process on a free loopback port; ended when dropped.
pub struct Server {
    child: Child,
    /// The settings of keyturn, for commands beside it.
    settings: Vec<(String, String)>,
    pub address: SocketAddr,
    /// From the start of the process to its first 200.
    pub first_answer: Duration,
}

/// Where keyturn keeps its data, and the folder that it runs in. Removed when dropped.
pub enum Backend {
    Embedded(Folder),
    Postgres(Folder, Database),
}

/// An empty folder on the disk that the build is on: the system's temporary folder may be memory, where a commit is
/// free.
pub struct Folder(PathBuf);

impl Server {
    /// Starts keyturn without any configuration but its backend, its address and limits that count but never refuse.
    pub async fn keyturn(backend: &Backend) -> Result<Self> {
        let address = free_address()?;
        let (Backend::Embedded(folder) | Backend::Postgres(folder, _)) = backend;
        let mut settings = vec![
            ("BIND".to_owned(), address.to_string()),
            ("JWT_SECRET".to_owned(), random_hex(48)?),
            ("LOG".to_owned(), "warn".to_owned()),
            ("DATA_DIR".to_owned(), folder.path().join("data").display().to_string()),
        ];
        for limit in [
            "LOGIN_ACCOUNT",
            "LOGIN_ADDRESS",
            "REGISTER_ADDRESS",
            "REFRESH_SESSION",
            "REFRESH_ADDRESS",
            "SEARCH_ACCOUNT",
        ] {
            settings.push((format!("LIMIT_{limit}"), "1000000/1".to_owned()));
        }
        if let Backend::Postgres(_, database) = backend {
            settings.push(("DATABASE_URL".to_owned(), database.url()));
            settings.push(("REDIS_URL".to_owned(), database.redis_url().to_owned()));
        }
        let mut command = program(&settings);
        command.arg("serve").current_dir(folder.path());
        let mut server = Self::start(command, address, "/health/ready").await?;
        server.settings = settings;
        Ok(server)
    }

    /// Registers a client that may introspect. Returns what its `Authorization` header says.
    pub fn register_client(&self) -> Result<String> {
        let mut command = program(&self.settings);
        command.args(["client", "create", "--name", "load", "--scope", "introspect", "--json"]);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        let client: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let text = |name: &str| client.get(name).and_then(|text| text.as_str()).ok_or("a client without credentials");
        Ok(format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id")?, text("client_secret")?))))
    }

    /// Starts this program again, as the server of [`serve_empty`].
    pub async fn empty_actix() -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(EMPTY_ACTIX).arg(address.port().to_string());
        Self::start(command, address, "/").await
    }

    async fn start(mut command: Command, address: SocketAddr, path: &str) -> Result<Self> {
        let begun = Instant::now();
        // The greeting on standard output is not for this program's table; complaints on standard error are.
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut server = Self { child, settings: Vec::new(), address, first_answer: Duration::MAX };
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answered = async {
            while !answers(address, &request).await {
                if let Some(status) = server.child.try_wait()? {
                    return Err(
                        format!("{} ended before it answered: {status}", command.get_program().display()).into()
                    );
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        };
        let answered: std::result::Result<Result<()>, _> = tokio::time::timeout(PATIENCE, answered).await;
        answered.map_err(|_| format!("{path} did not answer 200 within {PATIENCE:?}"))??;
        server.first_answer = begun.elapsed();
        Ok(server)
    }

    /// Processor time used so far, user and system, by steps of 10 ms.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(&self.child.id().to_string())
    }

    /// Resident memory, in millions of bytes.
    pub fn resident_megabytes(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        Ok(kibibytes.ok_or("no VmRSS in /proc")?.parse::<f64>()? * 1024.0 / 1e6)
    }
}

/// Returns a command of keyturn with these settings and no others.
fn program(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyturn"));
    command.env_clear();
    for inherited in ["PATH", "LD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(inherited) {
            command.env(inherited, value);
        }
    }
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Backend {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Postgres(..) => "postgres",
        }
    }
}

impl Folder {
    pub fn new() -> Result<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("load-{}", random_hex(8)?));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}

/// Processor time used so far by this process, the load generator.
pub fn own_cpu() -> Result<Duration> {
    cpu("self")
}

/// Serves a constant from as many workers as actix chooses by itself, until killed.
pub fn serve_empty(port: u16) -> std::io::Result<()> {
    use actix_web::{App, HttpServer, rt, web};
    let server = HttpServer::new(|| App::new().route("/", web::get().to(async || "ok")));
    rt::System::new().block_on(async { server.bind((Ipv4Addr::LOCALHOST, port))?.run().await })
}

async fn answers(address: SocketAddr, request: &str) -> bool {
    let Ok(mut connection) = Connection::open(address).await else { return false };
    connection.exchange(request.as_bytes()).await.is_ok_and(|answer| answer.status == 200)
}

/// A port that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// `process` is a number or `self`. See proc(5): utime and stime, in hundredths of a second on every Linux.
fn cpu(process: &str) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the program's name in parentheses and may itself hold spaces.
    let (_, fields) = stat.rsplit_once(") ").ok_or("no process name in /proc")?;
    let ticks =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<std::result::Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}
