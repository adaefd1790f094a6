//! A PgBouncer that belongs to one test.

use std::process::{Child, Command, Stdio};

use diesel::Connection as _;
use keyturn::db::PgConnection;
use url::Url;

use super::folder::Folder;
use super::servers::{answers, free_port, is_root};
use super::variable;

/// A PgBouncer before a Postgres; killed when dropped.
pub struct PgBouncer {
    _folder: Folder,
    port: u16,
    child: Child,
}

impl PgBouncer {
    /// Starts one with up to `size` connections to each database, in a `mode` such as `transaction`.
    pub fn start(postgres_url: &str, mode: &str, size: usize) -> Self {
        for _ in 0..5 {
            if let Some(pooler) = Self::try_start(&Url::parse(postgres_url).unwrap(), mode, size) {
                return pooler;
            }
        }
        panic!("PgBouncer does not start");
    }

    fn try_start(postgres: &Url, mode: &str, size: usize) -> Option<Self> {
        let (folder, port) = (Folder::new(), free_port());
        let (configuration, users) = (folder.path().join("pgbouncer.ini"), folder.path().join("users"));
        let (host, to) = (postgres.host_str().unwrap(), postgres.port().unwrap());
        // As root it becomes the user that Postgres runs as.
        let user = if is_root() { "user = postgres\n" } else { "" };
        let text = format!(
            "[databases]\n* = host={host} port={to}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = {size}\n\
             max_client_conn = 400\n{user}",
            users.display()
        );
        std::fs::write(&configuration, text).unwrap();
        std::fs::write(&users, format!("\"{}\" \"\"\n", postgres.username())).unwrap();
        let mut command = Command::new(variable("KEYTURN_TEST_PGBOUNCER"));
        command.arg("--quiet").arg(configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut pooler = Self { _folder: folder, port, child: command.spawn().unwrap() };
        let url = pooler.url(postgres.as_str());
        answers(&mut pooler.child, || PgConnection::establish(&url).is_ok()).then_some(pooler)
    }

    /// The URL of a database, by way of the pooler.
    pub fn url(&self, direct: &str) -> String {
        let mut url = Url::parse(direct).unwrap();
        url.set_port(Some(self.port)).unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.into()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
