//! A Postgres and a Redis that belong to one test, to be stopped, started again and killed.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use deadpool_redis::redis;
use diesel::Connection as _;
use keyturn::db::PgConnection;

use super::folder::Folder;
use super::{PATIENCE, variable};

/// A port that was free a moment ago. It is below those that the system gives away itself, to clients, too.
pub fn free_port() -> u16 {
    let port = || 10_000 + u16::from_be_bytes(keyturn::random::Random.bytes()) % 20_000;
    std::iter::repeat_with(port).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// A Postgres of the test's own; killed when dropped.
pub struct Postgres {
    folder: Folder,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl Postgres {
    /// Starts a new one, with settings of `postgresql.conf` such as `log_statement=all`.
    pub fn start(settings: &[&str]) -> Self {
        let folder = Folder::new();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if is_root() {
            // Postgres refuses to run as root.
            assert!(Command::new("chown").arg("postgres:").arg(folder.path()).arg(&data).status().unwrap().success());
        }
        let options = ["--no-sync", "--username=keyturn", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"];
        let made = as_postgres("initdb").args(options).arg("--pgdata").arg(&data).current_dir(folder.path()).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut postgres = Self {
            folder,
            port: 0,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            child: None,
        };
        // Another process may take a port before Postgres does.
        for _ in 0..5 {
            postgres.port = free_port();
            if postgres.try_start() {
                return postgres;
            }
        }
        panic!("Postgres does not start: {}", postgres.log());
    }

    /// Starts it again, on the same port, after it was stopped.
    pub fn start_again(&mut self) {
        assert!(self.try_start(), "Postgres does not start again: {}", self.log());
    }

    fn try_start(&mut self) -> bool {
        let mut command = as_postgres("postgres");
        command.current_dir(self.folder.path()).arg("-D").arg(self.folder.path().join("data"));
        let sockets = format!("unix_socket_directories={}", self.folder.path().display());
        let own = ["listen_addresses=127.0.0.1", "fsync=off", &sockets].map(str::to_owned);
        for setting in own.iter().chain(&self.settings).chain([&format!("port={}", self.port)]) {
            command.arg("-c").arg(setting);
        }
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.log_file()).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let url = format!(
            "postgres://keyturn@/postgres?target_session_attrs=any&host={}&port={}",
            self.socket_folder(),
            self.port
        );
        let runs = answers(&mut child, || PgConnection::establish(&url).is_ok());
        self.child = Some(child);
        runs
    }

    /// Lets it hold connections and answer nothing (SIGSTOP), or go on (SIGCONT).
    pub fn freeze(&self, frozen: bool) {
        freeze(self.child.as_ref().expect("runs"), frozen);
    }

    /// Stops it at once, as a crash would: connections break, and it recovers at the next start.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An immediate shutdown, which what is frozen would not see; a killed Postgres would leave processes
            // behind.
            freeze(&child, false);
            signal(&child, "QUIT");
            child.wait().unwrap();
        }
    }

    /// The maintenance database, as a superuser without password.
    pub fn url(&self) -> String {
        format!("postgres://keyturn@127.0.0.1:{}/postgres", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket.
    pub fn socket_folder(&self) -> String {
        self.folder.path().display().to_string()
    }

    /// Starts it again so that it lets in whom these lines of `pg_hba.conf` name, and everybody by its socket.
    pub fn let_in(&mut self, lines: &str) {
        let rules = format!("local all all trust\n{lines}\n");
        std::fs::write(self.folder.path().join("data").join("pg_hba.conf"), rules).unwrap();
        self.stop();
        self.start_again();
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A Redis of the test's own; killed when dropped. It keeps nothing on the disk.
pub struct Redis {
    folder: Folder,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    pub fn start() -> Self {
        Self::start_with(&["--databases", "4096"])
    }

    /// Starts one with these arguments besides address, port and folder.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut redis = Self { folder: Folder::new(), port: 0, arguments, child: None };
        for _ in 0..5 {
            redis.port = free_port();
            if redis.try_start() {
                return redis;
            }
        }
        panic!("Redis does not start");
    }

    /// Starts it again, on the same port and empty, after it was stopped.
    pub fn start_again(&mut self) {
        assert!(self.try_start(), "Redis does not start again");
    }

    fn try_start(&mut self) -> bool {
        let mut command = Command::new(variable("KEYTURN_TEST_REDIS_SERVER"));
        // A path comes first: it is that of a configuration, which the options after it complete.
        let is_path = |argument: &&String| !argument.starts_with("--");
        let (path, options) = self.arguments.split_at(self.arguments.first().filter(is_path).iter().count());
        command.args(path).args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.port.to_string()).arg("--dir").arg(self.folder.path()).args(options);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let client = redis::Client::open(self.url()).unwrap();
        let runs = answers(&mut child, || client.get_connection().is_ok());
        self.child = Some(child);
        runs
    }

    /// Kills it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Lets it hold connections and answer nothing (SIGSTOP), or go on (SIGCONT).
    pub fn freeze(&self, frozen: bool) {
        freeze(self.child.as_ref().expect("runs"), frozen);
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until a server answers; `false` when it has ended instead, most likely for want of its port.
pub fn answers(child: &mut Child, mut ask: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if ask() {
            return true;
        }
        assert!(begun.elapsed() < PATIENCE, "a server does not answer");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    false
}

/// A program of Postgres, as the user that may run it.
fn as_postgres(program: impl AsRef<OsStr>) -> Command {
    let program = PathBuf::from(variable("KEYTURN_TEST_POSTGRES_BIN")).join(program.as_ref());
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--init-groups"]).arg(program);
    command
}

pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg("-s").arg(name).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

/// Stops a server and the processes that it has started, or lets them go on.
pub fn freeze(server: &Child, frozen: bool) {
    let name = if frozen { "STOP" } else { "CONT" };
    // First the one that could start more.
    if frozen {
        signal(server, name);
    }
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", server.id())).unwrap_or_default();
    if !children.is_empty() {
        // One that has ended meanwhile is no harm.
        let _ = Command::new("kill").arg("-s").arg(name).args(children.split_whitespace()).output().unwrap();
    }
    if frozen {
        wait_until_stopped(server);
    } else {
        signal(server, name);
    }
}

/// Waits until no thread of a process runs any more: SIGSTOP returns before that.
fn wait_until_stopped(server: &Child) {
    let is_stopped = |thread: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, state)| state.starts_with(" T"))
    };
    let threads = || std::fs::read_dir(format!("/proc/{}/task", server.id())).unwrap().flatten();
    while !threads().all(is_stopped) {
        std::thread::yield_now();
    }
}
