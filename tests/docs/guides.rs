//! The guides, each followed from its first block to its last. [`crate::quickstarts`] has the quick starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};

use crate::page::{Block, Purpose, blocks};
use crate::support::authority::Authority;
use crate::support::clients::node;
use crate::support::servers::{answers, free_port, is_root};
use crate::support::{Deployment, Folder, PASSWORD, Process, variable};
use crate::terminal::Terminal;
use crate::verify::verify;

both_backends! {
    a_backend_verifies_tokens_as_its_guide_says,
    each_group_of_routes_is_tried_in_a_shell,
    a_single_page_app_keeps_people_logged_in,
    a_mobile_app_survives_lost_answers,
    accounts_come_from_another_system,
    a_server_behind_nginx_is_set_up_from_zero,
    a_server_behind_caddy_is_set_up_from_zero,
}

/// The guides that a test follows.
const FOLLOWED: [&str; 12] = [
    "backend.md",
    "curl.md",
    "mobile-app.md",
    "moving.md",
    "production.md",
    "quickstart-axum.md",
    "quickstart-express.md",
    "quickstart-fastapi.md",
    "quickstart-html.md",
    "quickstart-next.md",
    "quickstart-react.md",
    "single-page-app.md",
];

/// A reader with keyturn installed, whose server takes what the guide does not set from its environment.
pub struct Reader {
    pub terminal: Terminal,
    pub port: u16,
    deployment: Arc<Deployment>,
}

impl Reader {
    fn new(deployment: Arc<Deployment>) -> Self {
        Self::with(deployment, &[])
    }

    /// A reader whose server has further settings.
    pub fn with(deployment: Arc<Deployment>, more: &[(&str, &str)]) -> Self {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut settings = deployment.settings(&[&[("BIND", &*address)], more].concat());
        settings.retain(|(name, _)| name != "PUBLIC_URL");
        let mut terminal = Terminal::new(&settings);
        terminal.program("keyturn", &format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_keyturn")));
        terminal.with_packages();
        terminal.replace("8080", port);
        Self { terminal, port, deployment }
    }

    async fn follow(&mut self, guide: &str) {
        self.terminal.follow(&blocks(&format!("docs/guides/{guide}"))).await;
    }

    /// Lays the packages of the repository beside the folder of the guide, without what somebody has built there.
    pub fn clone_repository(&mut self) {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk");
        let built = "keyturn/sdk/typescript/dist keyturn/sdk/typescript/node_modules";
        self.terminal.run("a clone", &format!("mkdir keyturn && cp -R {} keyturn && rm -rf {built}", sdk.display()));
    }

    /// Gives the client that the guide has written all kinds of answers, and none for a while.
    fn understands_all_answers(&mut self) {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docs/answers.mjs");
        let told = self.terminal.run("all kinds of answers", &format!("node {program} \"$PWD\""));
        assert_eq!(told, "understood\n");
    }
}

#[test]
fn every_guide_is_followed_and_every_block_says_how() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides");
    let mut guides: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    guides.sort();
    assert_eq!(guides, FOLLOWED);
    for guide in FOLLOWED {
        for Block { place, purpose, .. } in blocks(&format!("docs/guides/{guide}")) {
            assert_ne!(purpose, Purpose::Shown, "{place}: a guide has no block that nothing is done with");
        }
    }
}

#[test]
fn every_guide_says_how_the_program_is_installed() {
    for guide in FOLLOWED {
        let page =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides").join(guide)).unwrap();
        let told = page.find("](../deployment.md").filter(|_| page.contains("`PATH`"));
        let used = page.find("\nkeyturn ").or_else(|| page.find(" keyturn --config"));
        assert!(told.is_some_and(|told| used.is_none_or(|used| told < used)), "{guide}");
    }
}

/// In production each command has the settings of the server, and never others.
#[test]
fn every_command_of_the_production_guide_names_the_settings() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides/production.md")).unwrap();
    let mut count = 0;
    for command in ["serve", "doctor", "user create", "config check", "migrate", "session"] {
        for (at, _) in page.match_indices(&format!("{command} ")).chain(page.match_indices(&format!("{command}`"))) {
            if let Some((_, before)) = page[..at].rsplit_once("keyturn ").filter(|(_, rest)| !rest.contains('`')) {
                assert_eq!(before, "--config /etc/keyturn/keyturn.toml ", "{command}");
                count += 1;
            }
        }
    }
    assert!(count >= 4, "{count}");
}

async fn a_backend_verifies_tokens_as_its_guide_says(deployment: Arc<Deployment>) {
    let mut reader = Reader::new(deployment);
    reader.follow("backend.md").await;
    // The block in Rust, which is compiled into this test.
    let token = reader.terminal.run("the token", "echo $TOKEN").trim().to_owned();
    let issuer = format!("http://127.0.0.1:{}", reader.port);
    let keys = reader.terminal.run("the keys", &format!("curl -sS {issuer}/.well-known/jwks.json"));
    let keys: JwkSet = serde_json::from_str(&keys).unwrap();
    let claims = verify(&token, &keys, &issuer).unwrap().unwrap();
    assert_eq!((claims.roles.as_slice(), claims.sub.len(), claims.sid.len()), (&["user".to_owned()][..], 36, 36));
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    assert!(verify(&forged, &keys, &issuer).unwrap().is_err());
    assert!(verify(&token, &keys, "https://other.example").unwrap().is_err());
    assert!(verify(&token, &JwkSet { keys: Vec::new() }, &issuer).is_none());
}

async fn each_group_of_routes_is_tried_in_a_shell(deployment: Arc<Deployment>) {
    Reader::new(deployment).follow("curl.md").await;
}

/// The routes for backends that a shell is the best place to try, and all groups.
#[test]
fn the_guide_to_the_shell_leaves_no_group_out() {
    let document: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let page = include_str!("../../docs/guides/curl.md");
    let urls = page.split("$K").skip(1).filter_map(|rest| rest.split(['"', ' ', ';', '?', '\n', ')']).next());
    let tried: Vec<Vec<&str>> = urls.map(|path| path.split('/').collect()).collect();
    let is_tried = |path: &str| {
        let own: Vec<&str> = path.split('/').collect();
        let is_segment = |(own, shown): (&&str, &&str)| own == shown || own.starts_with('{');
        tried.iter().any(|shown| shown.len() == own.len() && own.iter().zip(shown).all(is_segment))
    };
    let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let tag = item.as_object().unwrap().values().next().unwrap()["tags"][0].as_str().unwrap();
        *groups.entry(tag).or_default() |= is_tried(path);
        let is_wanted = tag == "For backends"
            || ["/api/v1/admin/clients", "/api/v1/admin/keys"].iter().any(|part| path.contains(part));
        // The second address of the metadata.
        assert!(!is_wanted || is_tried(path) || path.ends_with("openid-configuration"), "{path}");
    }
    groups.remove("Pages");
    assert!(groups.len() >= 6 && groups.values().all(|is_tried| *is_tried), "{groups:?}");
}

async fn a_single_page_app_keeps_people_logged_in(deployment: Arc<Deployment>) {
    let mut reader = Reader::new(deployment);
    reader.clone_repository();
    reader.follow("single-page-app.md").await;
    let given = json!({
        "chromium": variable("KEYTURN_TEST_CHROMIUM"),
        "keyturn": format!("http://localhost:{}", reader.port),
        "app": format!("http://localhost:{}", reader.terminal.meant("3000")),
        "email": "ada@example.com",
        "password": PASSWORD,
    });
    let seen = node("single_page_app.mjs", given).await;
    assert_eq!(seen["refused"], "The email address or the password is wrong.", "{seen}");
    assert_eq!(seen["who"], "ada@example.com", "{seen}");
    assert_eq!((&seen["devices"], &seen["left"]), (&json!(2), &json!(1)), "{seen}");
    // Without the cookie of the access token, in several tabs at once, and then without any.
    assert_eq!(seen["tabs"], json!(["ada@example.com", "ada@example.com", "ada@example.com"]), "{seen}");
    assert_eq!((&seen["scripts_see"], &seen["tokens"]), (&json!(""), &json!([])), "{seen}");
    assert_eq!(seen["after_logout"], true, "{seen}");
    assert_eq!(reader.deployment.count("sessions WHERE revoked_at IS NULL"), 1);
}

async fn a_mobile_app_survives_lost_answers(deployment: Arc<Deployment>) {
    let mut reader = Reader::new(deployment);
    reader.follow("mobile-app.md").await;
    // The one of the registration is left.
    assert_eq!(reader.deployment.count("sessions WHERE revoked_at IS NULL"), 1);
    reader.understands_all_answers();
}

async fn accounts_come_from_another_system(deployment: Arc<Deployment>) {
    let mut reader = Reader::new(deployment);
    reader.follow("moving.md").await;
    // The hash of the other system was replaced at the first login.
    assert_eq!(reader.deployment.count("users WHERE password_hash LIKE '$argon2id$%' AND name = 'Ada'"), 1);
}

async fn a_server_behind_nginx_is_set_up_from_zero(deployment: Arc<Deployment>) {
    production(deployment, "nginx.conf").await;
}

async fn a_server_behind_caddy_is_set_up_from_zero(deployment: Arc<Deployment>) {
    production(deployment, "Caddyfile").await;
}

/// Follows the guide with the proxy that has this configuration.
async fn production(deployment: Arc<Deployment>, configuration: &str) {
    let settings = [("PUBLIC_URL", "https://auth.example"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let process = Process::start(&deployment, &settings);
    let (folder, authority) = (Folder::new(), Authority::new());
    let mut terminal = Terminal::new(&[("DATA_DIR".to_owned(), folder.path().display().to_string())]);
    terminal.program("keyturn", &format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_keyturn")));
    let certificate = authority.issue("DNS:auth.example");
    std::fs::copy(authority.certificate(), folder.path().join("db-ca.pem")).unwrap();
    let port = free_port();
    terminal.program(
        "curl",
        &format!(
            "exec /usr/bin/curl --cacert {} --connect-to auth.example:443:127.0.0.1:{port} \"$@\"",
            authority.certificate()
        ),
    );
    // The reader is root on a machine of their own, which a test is not.
    for (program, script) in [
        ("useradd", "[[ ${@: -1} == keyturn ]]"),
        ("chown", "[[ $1 == keyturn: ]] && shift && ls \"$@\" >/dev/null"),
        ("sudo", "[[ \"$1 $2\" == '-u keyturn' ]] && shift 2 && exec \"$@\""),
    ] {
        terminal.program(program, script);
    }
    terminal.replace("/etc/keyturn", folder.path().display());
    terminal.replace("127.0.0.1:8080", process.address);
    let steps = blocks("docs/guides/production.md");
    let (before, after): (Vec<Block>, Vec<Block>) =
        steps.into_iter().partition(|block| !block.heading.starts_with("4."));
    assert!(!after.is_empty());
    terminal.follow(&before).await;
    let path = folder.path().join(configuration);
    let written = std::fs::read_to_string(&path).unwrap();
    let _proxy = Proxy(match configuration {
        "Caddyfile" => caddy(&folder, &written, port, &certificate),
        _ => nginx(&folder, &written, port, &certificate),
    });
    terminal.follow(&after).await;
    for (path, status) in [("/", "200"), ("/account/verify-email", "400"), ("/docs", "200"), ("/api/v1/auth/me", "401")]
    {
        let answer = format!("curl -sS -o /dev/null -w '%{{http_code}}' https://auth.example{path}");
        assert_eq!(terminal.run(path, &answer), status, "{path}");
    }
    // Whoever calls is known by the address that the proxy has seen: limits are for people, not for the proxy.
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let register = format!(
        "curl -sS https://auth.example/api/v1/auth/register --interface 127.0.0.2 \
         -H 'Content-Type: application/json' -d '{body}' -o /dev/null -w '%{{http_code}}'"
    );
    assert_eq!(terminal.run("register", &register), "201");
    let tokens = process.login("ada@example.com").await;
    let sessions = process.sessions(&tokens.access).await;
    let addresses: Vec<_> = sessions["sessions"].as_array().unwrap().iter().map(|s| s["ip_address"].clone()).collect();
    assert_eq!(addresses, [json!("127.0.0.1"), json!("127.0.0.2")]);
}

/// A proxy, which ends with the test.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-s").arg("TERM").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn start(mut command: Command, folder: &Folder, port: u16) -> Child {
    let log = folder.path().join("proxy.log");
    let output = std::fs::File::create(&log).unwrap();
    command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
    let mut child = command.spawn().unwrap();
    let runs = answers(&mut child, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(runs, "the proxy does not start: {}", std::fs::read_to_string(log).unwrap());
    child
}

/// Puts one text in the place of another, which has to be there.
#[track_caller]
fn replaced(text: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(text.to_owned(), |text, (shown, meant)| {
        assert!(text.contains(shown), "no {shown} in {text}");
        text.replacen(shown, meant, 1)
    })
}

fn nginx(folder: &Folder, written: &str, port: u16, [certificate, key]: &[String; 2]) -> Child {
    let own = folder.path().display();
    let user = if is_root() { "user root;" } else { "" };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {own}/{name};\n"))
        .concat();
    let configuration = replaced(
        written,
        &[
            ("http {", &format!("daemon off; {user} pid {own}/pid; events {{}}\nhttp {{ access_log off;\n{temporary}")),
            ("listen 80;", &format!("listen 127.0.0.1:{};", free_port())),
            ("listen 443 ssl;", &format!("listen 127.0.0.1:{port} ssl;")),
            ("/etc/letsencrypt/live/auth.example/fullchain.pem", certificate),
            ("/etc/letsencrypt/live/auth.example/privkey.pem", key),
        ],
    );
    let path = folder.path().join("started.conf");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(variable("KEYTURN_TEST_NGINX"));
    command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c"]).arg(path);
    start(command, folder, port)
}

fn caddy(folder: &Folder, written: &str, port: u16, [certificate, key]: &[String; 2]) -> Child {
    let own = format!("https://auth.example:{port} {{\n    bind 127.0.0.1\n    tls {certificate} {key}\n");
    let options = "{\n    admin off\n    auto_https disable_redirects\n}\n";
    let configuration = format!("{options}{}", replaced(written, &[("auth.example {\n", &own)]));
    let path = folder.path().join("started.caddyfile");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(variable("KEYTURN_TEST_CADDY"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(path);
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(name, folder.path());
    }
    start(command, folder, port)
}
