//! Apache as a resource server with mod_oauth2, which nobody here wrote, configured as the documentation says.

use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::audit::administrator;
use crate::clients::{Client, register};
use crate::support::servers::{answers, free_port, is_root};
use crate::support::{Endpoint, Folder, Request, Server, until, variable};

both_backends! {
    apache_asks_about_each_token,
    apache_verifies_tokens_by_the_published_keys,
}

const PAGE: &str = include_str!("../../docs/proxies/apache.md");
const MODULES: [&str; 7] = ["mpm_event", "authn_core", "authz_core", "authz_user", "proxy", "proxy_http", "oauth2"];

/// An Apache. Killed when dropped.
struct Apache {
    child: Child,
    address: SocketAddr,
    _folder: Folder,
}

impl Apache {
    fn start(example: &str) -> Self {
        let folder = Folder::new();
        let own = folder.path().display();
        let program = variable("KEYTURN_TEST_APACHE");
        let port = free_port();
        let modules: String =
            MODULES.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n")).concat();
        let user = if is_root() { "User www-data\nGroup www-data\n" } else { "" };
        let configuration = format!(
            "ServerRoot {own}\nServerName localhost\nPidFile {own}/pid\nListen 127.0.0.1:{port}\nErrorLog {own}/log\n\
             DefaultRuntimeDir {own}\nMutex file:{own}\n{modules}{user}{example}"
        );
        let path = folder.path().join("apache.conf");
        std::fs::write(&path, configuration).unwrap();
        let mut command = Command::new(program);
        command.arg("-f").arg(&path).arg("-DFOREGROUND").stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let runs = answers(&mut child, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert!(runs, "{}", std::fs::read_to_string(folder.path().join("log")).unwrap_or_default());
        Self { child, address: ([127, 0, 0, 1], port).into(), _folder: folder }
    }

    async fn status(&self, token: &str) -> u16 {
        Request::new(self.address, "GET", "/orders/api/v1/auth/me").bearer(token).send().await.status
    }
}

impl Drop for Apache {
    fn drop(&mut self) {
        // It ends its workers too.
        let _ = Command::new("kill").arg("-s").arg("TERM").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// The example of the documentation, with the addresses of this server, which is the app, too.
fn example(server: &Endpoint, client: &Client) -> String {
    let block = PAGE.split("```apache\n").nth(1).unwrap().split("```").next().unwrap();
    let address = server.address.to_string();
    let block = block.replace("127.0.0.1:8080", &address).replace("127.0.0.1:3000", &address);
    block.replace("CLIENT_ID", &client.id).replace("CLIENT_SECRET", &client.secret)
}

async fn apache_asks_about_each_token(server: Server) {
    let admin = administrator(&server).await;
    let client = register(&server, &admin, &json!({"name": "apache", "scopes": ["introspect"]})).await;
    let apache = Apache::start(&example(&server, &client));
    let tokens = server.register().await;
    assert_eq!(apache.status(&tokens.access).await, 200);
    assert_eq!(apache.status("x").await, 401);
    assert_eq!(Request::new(apache.address, "GET", "/orders/").send().await.status, 401);
    server.logout(&tokens.access).await.assert_status(204);
    until("the end of the session", async || (apache.status(&tokens.access).await == 401).then_some(())).await;
    assert_eq!(apache.status(&server.register().await.access).await, 200);
}

async fn apache_verifies_tokens_by_the_published_keys(server: Server) {
    let (_, client) = crate::clients::introspecting(&server).await;
    let example = example(&server, &client);
    let asking = example.lines().find(|line| line.contains("introspect")).unwrap();
    let keys = format!("OAuth2TokenVerify jwks_uri http://{}/.well-known/jwks.json", server.address);
    let apache = Apache::start(&example.replace(asking, &keys));
    let tokens = server.register().await;
    assert_eq!(apache.status(&tokens.access).await, 200);
    let forged = format!("{}AAAA", &tokens.access[..tokens.access.len() - 4]);
    assert_eq!(apache.status(&forged).await, 401);
}
