//! What a service manager is told: ready, reloading, stopping, and the food of its watchdog.

use std::io::{BufRead as _, BufReader};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use crate::support::servers::Postgres;
use crate::support::{Backend, Deployment, Process, until, variable};

both_backends! {
    a_service_manager_is_told_of_start_reload_and_end,
    a_thread_that_rotates_and_makes_no_progress_starves_the_watchdog,
}

embedded_only! {
    a_manager_without_a_watchdog_gets_no_food,
    a_manager_in_the_abstract_namespace_is_told,
    a_manager_that_is_gone_is_no_reason_to_stop,
    a_manager_that_does_not_listen_holds_nothing_up,
}

scaled_only! {
    a_database_that_does_not_answer_is_no_reason_for_a_restart,
}

/// Stops one thread of a process, until its standard input ends.
const STOP_A_THREAD: &str = "
import ctypes, os, sys
SEIZE, INTERRUPT, ALL = 0x4206, 0x4207, 0x40000000
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
thread = int(sys.argv[1])
for request in SEIZE, INTERRUPT:
    if ptrace(request, thread, None, None) != 0:
        sys.exit(f'root alone may stop a thread: {os.strerror(ctypes.get_errno())}')
os.waitpid(thread, ALL)
print('stopped', flush=True)
sys.stdin.read()
";

/// The socket of a service manager.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    fn at(address: &SocketAddr) -> Self {
        let socket = UnixDatagram::bind_addr(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, told: Vec::new() }
    }

    fn new(deployment: &Deployment) -> Self {
        Self::at(&SocketAddr::from_pathname(path(deployment)).unwrap())
    }

    /// Returns what was told since the last call, line by line.
    fn news(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut message) {
            news.extend(std::str::from_utf8(&message[..length]).unwrap().lines().map(str::to_owned));
        }
        self.told.extend(news.iter().cloned());
        news
    }

    async fn until_told(&mut self, line: &str) {
        until(line, async || self.news().iter().any(|told| told == line).then_some(())).await;
    }
}

fn path(deployment: &Deployment) -> String {
    deployment.folder.path().join("notify").to_str().unwrap().to_owned()
}

/// Settings of a server that a service manager starts, with a watchdog that wants to be fed five times a second.
fn managed(deployment: &Deployment) -> [(&'static str, String); 2] {
    [("NOTIFY_SOCKET", path(deployment)), ("WATCHDOG_USEC", "800000".to_owned())]
}

fn start(deployment: &Arc<Deployment>) -> Process {
    let settings = managed(deployment);
    Process::start(deployment, &settings.each_ref().map(|(name, value)| (*name, value.as_str())))
}

async fn a_service_manager_is_told_of_start_reload_and_end(deployment: Arc<Deployment>) {
    let mut manager = Manager::new(&deployment);
    let mut server = start(&deployment);
    manager.until_told("READY=1").await;
    assert!(manager.told.contains(&format!("STATUS=listens on {}", server.address)), "{:?}", manager.told);
    manager.until_told("WATCHDOG=1").await;
    manager.until_told("WATCHDOG=1").await;
    manager.told.clear();
    server.signal("HUP");
    manager.until_told("READY=1").await;
    let reload: Vec<&String> = manager.told.iter().filter(|line| !line.starts_with("WATCHDOG")).collect();
    assert!(reload[0] == "RELOADING=1" && reload[1].starts_with("MONOTONIC_USEC="), "{reload:?}");
    until("the log", async || server.log().contains("the configuration was reloaded").then_some(())).await;
    server.terminate();
    manager.until_told("STOPPING=1").await;
    assert!(until("the server to end", async || server.ended()).await.success());
}

/// Stops the thread of a process that has this name. It goes on when the child's input is closed.
fn stop_thread(process: u32, name: &str) -> Child {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().flatten();
    let is_named = |thread: &std::fs::DirEntry| {
        std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let thread = threads.into_iter().find(is_named).expect("the thread runs").file_name();
    let mut python = Command::new(variable("KEYTURN_TEST_PYTHON"));
    python.arg("-c").arg(STOP_A_THREAD).arg(thread).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "stopped\n");
    child
}

async fn a_thread_that_rotates_and_makes_no_progress_starves_the_watchdog(deployment: Arc<Deployment>) {
    let mut manager = Manager::new(&deployment);
    let server = start(&deployment);
    let tokens = server.register().await;
    manager.until_told("WATCHDOG=1").await;
    let mut stopped = stop_thread(server.id(), "rotation");
    until("the log to tell", async || {
        manager.news();
        server.log().contains("the thread that rotates refresh tokens does not answer").then_some(())
    })
    .await;
    manager.news();
    // Everything else goes on meanwhile.
    server.verify(&tokens.access).await.assert_status(200);
    for _ in 0..3 {
        server.register().await;
    }
    assert!(!manager.news().iter().any(|line| line == "WATCHDOG=1"), "{:?}", manager.told);
    drop(stopped.stdin.take());
    stopped.wait().unwrap();
    manager.until_told("WATCHDOG=1").await;
    server.refreshed(&tokens).await;
}

async fn a_database_that_does_not_answer_is_no_reason_for_a_restart(_: Backend) {
    let postgres = Postgres::start(&[]);
    let deployment = Deployment::on(&postgres.url(), &variable("KEYTURN_TEST_REDIS_URL"));
    let mut manager = Manager::new(&deployment);
    let server = start(&deployment);
    manager.until_told("WATCHDOG=1").await;
    postgres.freeze(true);
    until("the log to tell", async || {
        manager.news();
        server.log().contains("the revocation log cannot be read").then_some(())
    })
    .await;
    for _ in 0..3 {
        manager.until_told("WATCHDOG=1").await;
    }
    assert!(!server.log().contains("makes no progress"), "{}", server.log());
    postgres.freeze(false);
}

async fn a_manager_without_a_watchdog_gets_no_food(deployment: Arc<Deployment>) {
    let mut manager = Manager::new(&deployment);
    let mut server = Process::start(&deployment, &[("NOTIFY_SOCKET", &path(&deployment))]);
    manager.until_told("READY=1").await;
    server.register().await;
    server.terminate();
    until("the server to end", async || server.ended()).await;
    manager.news();
    assert!(!manager.told.iter().any(|line| line.starts_with("WATCHDOG")), "{:?}", manager.told);
}

async fn a_manager_in_the_abstract_namespace_is_told(deployment: Arc<Deployment>) {
    let name = path(&deployment);
    let mut manager = Manager::at(&SocketAddr::from_abstract_name(&name).unwrap());
    let _server = Process::start(&deployment, &[("NOTIFY_SOCKET", &format!("@{name}"))]);
    manager.until_told("READY=1").await;
}

async fn a_manager_that_is_gone_is_no_reason_to_stop(deployment: Arc<Deployment>) {
    let server = start(&deployment);
    server.register().await;
    until("the log", async || server.log().contains("the service manager could not be told").then_some(())).await;
}

async fn a_manager_that_does_not_listen_holds_nothing_up(deployment: Arc<Deployment>) {
    let _manager = Manager::new(&deployment);
    let server = start(&deployment);
    until("its queue to be full", async || server.log().contains("could not be told").then_some(())).await;
    // The task that reads the log and the one that feeds the watchdog share a thread.
    let tokens = server.register().await;
    server.logout(&tokens.access).await.assert_status(204);
    server.terminate();
    let mut server = server;
    assert!(until("the server to end", async || server.ended()).await.success());
}
