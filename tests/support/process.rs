//! The program itself, as a process that can be killed.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::servers::freeze;
use super::{Backend, Deployment, Endpoint, OnBackend};

/// `keyturn serve` with nothing in its environment but its settings. Killed when dropped. Dereferences to its
/// [`Endpoint`].
pub struct Process {
    endpoint: Endpoint,
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Deref for Process {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl OnBackend for Process {
    async fn on(backend: Backend) -> Self {
        Self::with(backend, &[])
    }
}

impl Process {
    /// A process with these settings in the place of defaults, alone on a deployment of its own.
    pub fn with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        Self::start(&Deployment::new(backend), settings)
    }

    /// A process on a deployment that others may use too. It listens when this returns.
    pub fn start(deployment: &Arc<Deployment>, settings: &[(&str, &str)]) -> Self {
        Self::spawn(deployment, command(deployment, settings))
    }

    /// As many processes as may share a deployment for a race: two over Postgres, one on an embedded database.
    pub fn fleet(deployment: &Arc<Deployment>, settings: &[(&str, &str)]) -> Vec<Self> {
        let count = if deployment.backend == Backend::Scaled { 2 } else { 1 };
        (0..count).map(|_| Self::start(deployment, settings)).collect()
    }

    /// A process whose writes beyond a limit of its files fail, as on a full disk, and do not kill it.
    pub fn with_limited_files(deployment: &Arc<Deployment>, settings: &[(&str, &str)]) -> Self {
        let own = command(deployment, settings);
        let mut command = Command::new("/usr/bin/env");
        command.arg("--ignore-signal=XFSZ").arg(own.get_program()).env_clear().envs(deployment.settings(settings));
        command.current_dir(deployment.folder.path()).stdin(Stdio::null());
        Self::spawn(deployment, command)
    }

    /// Sets the size beyond which no file can be written, or takes the limit away.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        let mut command = Command::new("prlimit");
        command.arg("--pid").arg(self.child.id().to_string()).arg(format!("--fsize={limit}:unlimited"));
        assert!(command.status().unwrap().success());
    }

    fn spawn(deployment: &Arc<Deployment>, mut command: Command) -> Self {
        let mut child = command.arg("serve").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = child.stderr.take().unwrap();
        let mut readers = vec![collect(stderr, &log)];
        let mut greeting = String::new();
        stdout.read_line(&mut greeting).unwrap();
        let address = greeting.trim().rsplit_once("http://").and_then(|(_, address)| address.parse().ok());
        let Some(address): Option<SocketAddr> = address else {
            let _ = child.kill();
            let status = child.wait();
            readers.drain(..).for_each(|reader| reader.join().unwrap());
            panic!("keyturn does not start ({status:?}): {greeting}{}", log.lock().unwrap());
        };
        // Read on: a server that cannot print would end.
        readers.push(collect(stdout, &Arc::default()));
        let endpoint = Endpoint { address, deployment: Arc::clone(deployment) };
        Self { endpoint, child, log, readers }
    }

    /// Ends the process at once, whatever it is doing (SIGKILL).
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end (SIGTERM) and returns at once.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal and returns at once.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg("-s").arg(name).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// How the process has ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Stops the process as it is (SIGSTOP), or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        freeze(&self.child, frozen);
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the process has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

/// `keyturn` with the settings of `deployment` and nothing else in its environment.
pub fn command(deployment: &Deployment, settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyturn"));
    command.env_clear().envs(deployment.settings(settings)).current_dir(deployment.folder.path()).stdin(Stdio::null());
    command
}

/// Lets `keyturn serve` run to its end. Returns its exit code and what it has told on standard error.
pub fn try_serve(deployment: &Deployment, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = command(deployment, settings).arg("serve").output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn collect(output: impl Read + Send + 'static, into: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut text = into.lock().unwrap();
            text.push_str(&line);
            text.push('\n');
        }
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("the log of process {}:\n{}", self.child.id(), self.log());
        }
    }
}
