//! Proxies of others in front of servers, configured as the documentation says.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use super::authority::Authority;
use super::servers::{answers, is_root};
use super::{Folder, variable};

const NGINX: &str = include_str!("../../docs/proxies/nginx.md");
const CADDY: &str = include_str!("../../docs/proxies/caddy.md");

/// The programs that can be a [`Front`].
#[derive(Clone, Copy, Debug)]
pub enum Program {
    Nginx,
    Caddy,
}

/// What stands behind a [`Front`].
pub struct Behind {
    pub keyturn: SocketAddr,
    /// The pages of all other hosts, and the app that forward authentication protects.
    pub app: SocketAddr,
}

/// A proxy that speaks https for all hosts below `localhost`: keyturn is `api.kt.localhost`, and `orders.kt.localhost`
/// is behind forward authentication. Killed when dropped.
pub struct Front {
    child: Child,
    folder: Folder,
    _authority: Authority,
}

impl Front {
    /// Starts one on a port that was free a moment ago.
    pub fn start(program: Program, port: u16, behind: &Behind) -> Self {
        let (folder, authority) = (Folder::new(), Authority::new());
        let certificate = authority.issue("DNS:*.kt.localhost, DNS:*.localhost");
        let mut command = match program {
            Program::Nginx => nginx(&folder, port, behind, &certificate),
            Program::Caddy => caddy(&folder, port, behind, &certificate),
        };
        let log = std::fs::File::create(folder.path().join("output.log")).unwrap();
        let own = log.try_clone().unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(log).stderr(own).spawn().unwrap();
        let runs = answers(&mut child, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let front = Self { child, folder, _authority: authority };
        assert!(runs, "{program:?} does not start: {}", front.log());
        front
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("output.log")).unwrap()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // Both end at once, and nginx ends its workers too.
        let _ = Command::new("kill").arg("-s").arg("TERM").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The first example of a page of the documentation, with the addresses of these servers.
fn example(page: &str, language: &str, behind: &Behind) -> String {
    let block = page.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap();
    let (keyturn, app) = ("127.0.0.1:8080", "127.0.0.1:3000");
    assert!(block.contains(keyturn) && block.contains(app), "{block}");
    block.replace(keyturn, &behind.keyturn.to_string()).replace(app, &behind.app.to_string())
}

fn nginx(folder: &Folder, port: u16, behind: &Behind, [certificate, key]: &[String; 2]) -> Command {
    let own = folder.path().display();
    let user = if is_root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {own}/{name};\n"))
        .concat();
    let (keyturn, app, example) = (behind.keyturn, behind.app, example(NGINX, "nginx", behind));
    let configuration = format!(
        "daemon off; {user} worker_processes 1; pid {own}/pid; error_log stderr; events {{}}
http {{
    access_log off; ssl_certificate {certificate}; ssl_certificate_key {key};
    {temporary}
    server {{
        listen 127.0.0.1:{port} ssl default_server;
        location / {{ proxy_pass http://{app}; }}
    }}
    server {{
        listen 127.0.0.1:{port} ssl; server_name api.kt.localhost;
        location / {{ proxy_pass http://{keyturn}; proxy_set_header Host $http_host; }}
    }}
    server {{
        listen 127.0.0.1:{port} ssl; server_name orders.kt.localhost;
        {example}
    }}
}}"
    );
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(variable("KEYTURN_TEST_NGINX"));
    command.arg("-p").arg(folder.path()).arg("-e").arg("stderr").arg("-c").arg(path);
    command
}

fn caddy(folder: &Folder, port: u16, behind: &Behind, [certificate, key]: &[String; 2]) -> Command {
    let (keyturn, app) = (behind.keyturn, behind.app);
    let own = format!("bind 127.0.0.1\n    tls {certificate} {key}");
    let example = example(CADDY, "caddyfile", behind);
    let orders = format!("https://orders.kt.localhost:{port} {{\n    {own}\n");
    let protected = example.replacen("app.example {\n", &orders, 1);
    let pages = ["app.kt", "other.kt", "shop"].map(|host| format!("https://{host}.localhost:{port}")).join(", ");
    let configuration = format!(
        "{{
    admin off
    auto_https disable_redirects
    storage file_system {folder}
    servers {{
        protocols h1 h2
    }}
}}
https://api.kt.localhost:{port} {{
    {own}
    reverse_proxy {keyturn}
}}
{pages} {{
    {own}
    reverse_proxy {app}
}}
{protected}",
        folder = folder.path().display()
    );
    let path = folder.path().join("Caddyfile");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(variable("KEYTURN_TEST_CADDY"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(path);
    command.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()).env("XDG_DATA_HOME", folder.path());
    command
}
