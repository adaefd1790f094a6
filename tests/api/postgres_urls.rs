//! What a URL of Postgres says is done: encryption, logins, sockets, lists of servers. On real servers.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use keyturn::db::PgConnection;

use crate::support::authority::Authority;
use crate::support::folder::Folder;
use crate::support::process::command;
use crate::support::servers::{Postgres, free_port};
use crate::support::{Backend, Deployment, until, variable};

scaled_only! {
    every_sslmode_encrypts_as_it_says,
    authorities_are_files_of_their_own_and_a_server_may_be_its_own,
    a_certificate_of_the_first_version_encrypts_and_proves_nothing,
    a_revoked_certificate_is_refused,
    a_client_certificate_logs_in,
    tls_can_begin_without_asking,
    passwords_log_in_as_the_server_asks_for_them,
    a_password_is_bound_to_the_certificate_where_it_has_to_be,
    a_password_file_has_passwords,
    a_unix_socket_is_a_host,
    servers_are_tried_until_one_is_as_it_has_to_be,
    a_server_that_accepts_and_says_nothing_is_given_up,
    settings_of_a_session_are_those_of_the_url,
    the_user_of_the_process_logs_in_where_the_url_names_nobody,
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    text: String,
}

/// The one text that `select` returns.
fn text(conn: &mut PgConnection, select: &str) -> String {
    let value: Value = diesel::sql_query(format!("SELECT ({select})::text AS text")).get_result(conn).unwrap();
    value.text
}

/// Connects by a URL and returns what `select` returns.
fn ask(url: &str, select: &str) -> String {
    text(&mut PgConnection::establish(url).unwrap_or_else(|error| panic!("{url}: {error}")), select)
}

fn is_encrypted(url: &str) -> bool {
    ask(url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == "true"
}

#[track_caller]
fn assert_refused(url: &str, reason: &str) {
    let error = PgConnection::establish(url).err().unwrap_or_else(|| panic!("{url} was accepted")).to_string();
    assert!(error.contains(reason), "{url}: {error}");
    assert!(!error.contains("sesame"), "{error}");
}

/// A server that speaks TLS, with these files.
fn secure(files: &[String; 2]) -> Postgres {
    Postgres::start(&["ssl=on", &format!("ssl_cert_file={}", files[0]), &format!("ssl_key_file={}", files[1])])
}

async fn every_sslmode_encrypts_as_it_says(_: Backend) {
    let authority = Authority::new();
    let mut server = secure(&authority.issue("IP:127.0.0.1"));
    let base = server.url();
    let with = |query: &str| format!("{base}?{query}");
    let roots = format!("sslrootcert={}", authority.certificate());
    for (query, encrypted) in [
        ("", true),
        ("sslmode=disable", false),
        ("sslmode=allow", false),
        ("sslmode=prefer", true),
        ("sslmode=require", true),
        ("ssl=true", true),
        (&format!("sslmode=require&{roots}"), true),
        (&format!("sslmode=verify-ca&{roots}"), true),
        (&format!("sslmode=verify-full&{roots}"), true),
        (&format!("sslmode=verify-full&{roots}&ssl_max_protocol_version=TLSv1.2&sslsni=0"), true),
    ] {
        assert_eq!(is_encrypted(&with(query)), encrypted, "{query}");
    }
    let version = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(ask(&with("sslmode=require&ssl_max_protocol_version=TLSv1.2"), version), "TLSv1.2");
    assert_eq!(ask(&with("sslmode=require&ssl_min_protocol_version=TLSv1.3"), version), "TLSv1.3");
    // Where the server takes only one of the two, it is found, unless the URL forbids it.
    server.let_in("hostssl all all all trust");
    assert!(is_encrypted(&with("sslmode=allow")));
    assert_refused(&with("sslmode=disable"), "no pg_hba.conf entry");
    server.let_in("hostnossl all all all trust");
    assert!(!is_encrypted(&with("sslmode=prefer")));
    assert_refused(&with("sslmode=require"), "no pg_hba.conf entry");
}

async fn authorities_are_files_of_their_own_and_a_server_may_be_its_own(_: Backend) {
    let (own, files) = Authority::sign_itself("IP:127.0.0.1");
    let server = secure(&files);
    let verify = |mode: &str, path: &str| format!("{}?sslmode={mode}&sslrootcert={path}", server.url());
    // What has signed itself is trusted by name, and by nobody else's certificate.
    for mode in ["verify-ca", "verify-full"] {
        assert!(is_encrypted(&verify(mode, &files[0])));
        assert_refused(&verify(mode, &own.certificate()), "invalid peer certificate");
    }
    assert_refused(&verify("require", &own.certificate()), "invalid peer certificate");
    let elsewhere = verify("verify-full", &files[0]).replace("127.0.0.1", "localhost");
    assert_refused(&elsewhere, "not valid for name \"localhost\"");
    for (path, reason) in [("/does/not/exist", "cannot be used"), (&*files[1], "has no certificate")] {
        for mode in ["require", "verify-ca", "verify-full"] {
            assert_refused(&verify(mode, path), reason);
        }
    }
}

async fn a_certificate_of_the_first_version_encrypts_and_proves_nothing(_: Backend) {
    let authority = Authority::new();
    let [certificate, key] = authority.issue_to("127.0.0.1");
    authority.give_to_postgres("client.key");
    let mut server = secure(&[certificate, key]);
    create_role(&server, "proven", "scram-sha-256");
    server.let_in("hostssl all all all scram-sha-256");
    let url = |query: &str| format!("postgres://proven:open%20sesame@127.0.0.1:{}/postgres?{query}", server.port());
    assert!(is_encrypted(&url("")) && is_encrypted(&url("sslmode=require&channel_binding=require")));
    let verified = url(&format!("sslmode=verify-ca&sslrootcert={}", authority.certificate()));
    assert_refused(&verified, "the server's certificate is of X.509 version 1");
}

async fn a_revoked_certificate_is_refused(_: Backend) {
    let authority = Authority::new();
    let files = authority.issue("IP:127.0.0.1");
    let server = secure(&files);
    for mode in ["verify-ca", "verify-full"] {
        let url = format!("{}?sslmode={mode}&sslrootcert={}&sslcrl=", server.url(), authority.certificate());
        assert!(is_encrypted(&format!("{url}{}", authority.revocations(None))));
        assert_refused(&format!("{url}{}", authority.revocations(Some(&files[0]))), "Revoked");
        assert_refused(&format!("{url}{}", authority.certificate()), "has no revocation list");
    }
}

async fn a_client_certificate_logs_in(_: Backend) {
    let authority = Authority::new();
    let files = authority.issue("IP:127.0.0.1");
    let trusted = format!("ssl_ca_file={}", authority.certificate());
    let settings = ["ssl=on", &format!("ssl_cert_file={}", files[0]), &format!("ssl_key_file={}", files[1]), &trusted];
    let mut server = Postgres::start(&settings);
    server.let_in("hostssl all all all cert");
    let [certificate, key] = authority.issue_to("keyturn");
    let url = format!("{}?sslmode=verify-full&sslrootcert={}", server.url(), authority.certificate());
    let with = format!("{url}&sslcert={certificate}&sslkey={key}");
    let name = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(ask(&with, name), "/CN=keyturn");
    assert_refused(&url, "valid client certificate");
    assert_refused(&format!("{with}&sslcertmode=disable"), "valid client certificate");
    assert_refused(&with.replace("keyturn@", "other@"), "certificate authentication failed");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_refused(&with, "can be read or changed by others");
    // In the home of whoever runs the server, all files are found.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let home = Folder::new();
    let folder = home.path().join(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    let authorities = authority.certificate();
    for (from, to) in [(&certificate, "postgresql.crt"), (&key, "postgresql.key"), (&authorities, "root.crt")] {
        std::fs::copy(from, folder.join(to)).unwrap();
    }
    let bare = format!("{}?sslmode=verify-full", server.url());
    let deployment = Deployment::new(Backend::Scaled);
    let mut migrate = command(&deployment, &[("DATABASE_URL", &bare)]);
    let migrated = migrate.env("HOME", home.path()).arg("migrate").output().unwrap();
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
}

async fn tls_can_begin_without_asking(_: Backend) {
    let authority = Authority::new();
    let [certificate, key] = authority.issue("IP:127.0.0.1");
    let port = free_port();
    // It takes no other first bytes than those of TLS, and prints what it decrypts.
    let mut server = Command::new(variable("KEYTURN_TEST_OPENSSL"))
        .args(["s_server", "-quiet", "-alpn", "postgresql", "-naccept", "1", "-accept", &format!("127.0.0.1:{port}")])
        .args(["-cert", &certificate, "-key", &key])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!(
        "postgres://keyturn@127.0.0.1:{port}/d?connect_timeout=1&sslnegotiation=direct&sslrootcert={}",
        authority.certificate()
    );
    until("the login", async || {
        let error = PgConnection::establish(&format!("{url}&sslmode=verify-full")).err().unwrap().to_string();
        (!error.contains("refused")).then_some(())
    })
    .await;
    let mut decrypted = Vec::new();
    server.stdout.take().unwrap().read_to_end(&mut decrypted).unwrap();
    server.wait().unwrap();
    let decrypted = String::from_utf8_lossy(&decrypted);
    assert!(decrypted.contains("user\0keyturn\0") && decrypted.contains("application_name\0keyturn\0"), "{decrypted}");
}

/// Creates a role that logs in by a password, stored as `encryption` says.
fn create_role(server: &Postgres, name: &str, encryption: &str) {
    let mut conn = PgConnection::establish(&server.url()).unwrap();
    let create = format!("SET password_encryption = '{encryption}'; CREATE ROLE {name} LOGIN PASSWORD 'open sesame'");
    conn.batch_execute(&create).unwrap();
}

async fn passwords_log_in_as_the_server_asks_for_them(_: Backend) {
    let mut server = Postgres::start(&[]);
    create_role(&server, "hashed", "md5");
    create_role(&server, "proven", "scram-sha-256");
    server.let_in("host all hashed all md5\nhost all proven all scram-sha-256\nhost all all all trust");
    let port = server.port();
    let url = |user: &str, password: &str, query: &str| {
        format!("postgres://{user}{password}@127.0.0.1:{port}/postgres?{query}")
    };
    for user in ["hashed", "proven"] {
        assert_eq!(ask(&url(user, ":open%20sesame", ""), "SELECT current_user"), user);
        assert_eq!(ask(&url(user, "", "password=open%20sesame"), "SELECT current_user"), user);
        assert_refused(&url(user, ":sesame", ""), "password authentication failed");
        assert_refused(&url(user, "", ""), "asks for a password, and there is none");
        assert_refused(&url(user, ":open%20sesame", "require_auth=none,password"), "require_auth");
    }
    assert_eq!(ask(&url("proven", ":open%20sesame", "require_auth=scram-sha-256"), "SELECT 1"), "1");
    assert_refused(&url("hashed", ":open%20sesame", "require_auth=!md5"), "require_auth");
    assert_refused(&url("keyturn", "", "require_auth=!none"), "require_auth");
    assert_refused(&url("keyturn", "", "channel_binding=require"), "channel binding");
    // In clear, if the server wants it so.
    server.let_in("host all all all password");
    assert_eq!(ask(&url("hashed", ":open%20sesame", ""), "SELECT current_user"), "hashed");
    assert_refused(&url("hashed", ":open%20sesame", "require_auth=!password"), "require_auth");
}

async fn a_password_is_bound_to_the_certificate_where_it_has_to_be(_: Backend) {
    let authority = Authority::new();
    let mut server = secure(&authority.issue("IP:127.0.0.1"));
    create_role(&server, "proven", "scram-sha-256");
    server.let_in("host all all all scram-sha-256");
    let url = |query: &str| format!("postgres://proven:open%20sesame@127.0.0.1:{}/postgres?{query}", server.port());
    for binding in ["disable", "prefer", "require"] {
        for mode in ["require", "prefer"] {
            assert!(is_encrypted(&url(&format!("channel_binding={binding}&sslmode={mode}"))));
        }
    }
    assert_eq!(ask(&url("sslmode=disable"), "SELECT current_user"), "proven");
    assert_refused(&url("sslmode=disable&channel_binding=require"), "not possible without TLS");
    let wrong = url("channel_binding=require").replace("open%20sesame", "sesame");
    assert_refused(&wrong, "password authentication failed");
}

async fn a_password_file_has_passwords(_: Backend) {
    let mut server = Postgres::start(&[]);
    create_role(&server, "proven", "scram-sha-256");
    server.let_in("host all proven all scram-sha-256\nhost all all all trust");
    let folder = Folder::new();
    let file = folder.path().join("passwords");
    std::fs::write(&file, format!("127.0.0.1:{}:*:proven:open sesame\n", server.port())).unwrap();
    let url = format!("postgres://proven@127.0.0.1:{}/postgres?passfile={}", server.port(), file.display());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(ask(&url, "SELECT current_user"), "proven");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_refused(&url, "asks for a password, and there is none");
}

async fn a_unix_socket_is_a_host(_: Backend) {
    let server = Postgres::start(&[]);
    let (folder, port) = (server.socket_folder(), server.port());
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres://keyturn@{encoded}:{port}/postgres"),
        format!("postgresql:///postgres?host={folder}&port={port}&user=keyturn"),
        // Nothing is encrypted that stays on the machine.
        format!("postgres://keyturn@/postgres?host={folder}&port={port}&sslmode=require"),
    ] {
        assert_eq!(ask(&url, "SELECT inet_client_addr() IS NULL"), "true", "{url}");
    }
    assert_refused(&format!("postgres://keyturn@{encoded}:1/postgres"), "connection to server on socket");
}

async fn servers_are_tried_until_one_is_as_it_has_to_be(_: Backend) {
    let writable = Postgres::start(&[]);
    let mut read_only = Postgres::start(&["default_transaction_read_only=on"]);
    let hosts = [free_port(), read_only.port(), writable.port()].map(|port| format!("127.0.0.1:{port}"));
    let list = |query: &str| format!("postgres://keyturn@{}/postgres?{query}", hosts.join(","));
    let port = "SELECT inet_server_port()";
    let own = |server: &Postgres| server.port().to_string();
    assert_eq!(ask(&list(""), port), own(&writable));
    assert_eq!(ask(&list("target_session_attrs=read-write"), port), own(&writable));
    assert_eq!(ask(&list("target_session_attrs=read-only"), port), own(&read_only));
    assert_eq!(ask(&list("target_session_attrs=any"), port), own(&read_only));
    assert_eq!(ask(&list("target_session_attrs=primary"), port), own(&read_only));
    assert_eq!(ask(&list("target_session_attrs=prefer-standby"), port), own(&read_only));
    assert_refused(&list("target_session_attrs=standby"), "server is not in hot standby mode");
    let only = format!("postgres://keyturn@127.0.0.1:{}/postgres", read_only.port());
    assert_refused(&only, "session is read-only");
    for _ in 0..8 {
        assert_eq!(ask(&list("load_balance_hosts=random"), port), own(&writable));
    }
    // A login that a server refuses is not tried elsewhere.
    read_only.let_in("host all all all reject");
    assert_refused(&list("target_session_attrs=any"), "pg_hba.conf rejects connection");
}

async fn a_server_that_accepts_and_says_nothing_is_given_up(_: Backend) {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    for mode in ["disable", "prefer", "require"] {
        let url = format!("postgres://keyturn@{address}/d?connect_timeout=1&sslmode={mode}");
        assert_refused(&url, "the server did not answer in time");
    }
    // The next one is tried.
    let url = variable("KEYTURN_TEST_POSTGRES_URL");
    let list = url.replacen("127.0.0.1", &format!("{address},127.0.0.1"), 1);
    assert_eq!(ask(&format!("{list}?connect_timeout=1"), "SELECT 1"), "1", "{list}");
}

async fn settings_of_a_session_are_those_of_the_url(_: Backend) {
    let url = variable("KEYTURN_TEST_POSTGRES_URL");
    let settings = "SELECT concat_ws(' ', current_setting('application_name'), current_setting('TimeZone'), \
                    current_setting('client_encoding'), current_setting('work_mem'))";
    assert_eq!(ask(&format!("{url}?options=-c%20work_mem%3D5MB"), settings), "keyturn UTC UTF8 5MB");
    let named = format!("{url}?application_name=other%20name&options=-c%20work_mem%3D6MB&client_encoding=auto");
    assert_eq!(ask(&named, settings), "other name UTC UTF8 6MB");
}

async fn the_user_of_the_process_logs_in_where_the_url_names_nobody(_: Backend) {
    let server = Postgres::start(&[]);
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap().trim().to_owned();
    assert_refused(&format!("postgres://127.0.0.1:{}", server.port()), &format!("role \"{name}\" does not exist"));
}
