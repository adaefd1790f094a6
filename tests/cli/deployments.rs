//! The files in `deploy/`, and those beside it: what they set are settings, and secrets are made once.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::run_with_input;
use crate::support::{Deployment, Folder};

embedded_only! {
    compose_sets_what_the_server_reads,
    compose_makes_each_secret_once,
    the_embedded_compose_sets_what_the_server_reads,
    the_settings_of_the_service_are_valid,
    the_unit_exposes_little,
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Makes the secrets of `compose.yaml` in a folder, as its first start does.
fn make_secrets(folder: &Path) -> BTreeMap<String, String> {
    for name in ["keyturn", "postgres", "redis", "bin"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    // Only root can give files away, and this test need not be root.
    let chown = folder.join("bin/chown");
    std::fs::write(&chown, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&chown, std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose/make-secrets");
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    let made = Command::new("/bin/sh").arg(script).arg(folder).env_clear().env("PATH", path).output().unwrap();
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let names =
        ["keyturn/jwt_secret", "keyturn/database_url", "keyturn/redis_url", "postgres/password", "redis/redis.conf"];
    names.iter().map(|name| ((*name).to_owned(), std::fs::read_to_string(folder.join(name)).unwrap())).collect()
}

async fn compose_makes_each_secret_once(_: Arc<Deployment>) {
    let folder = Folder::new();
    let secrets = make_secrets(folder.path());
    let is_random = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let password = &secrets["postgres/password"];
    assert!(is_random(&secrets["keyturn/jwt_secret"]) && is_random(password), "{secrets:?}");
    assert_eq!(secrets["keyturn/database_url"], format!("postgres://keyturn:{password}@postgres:5432/keyturn"));
    let of_redis = secrets["keyturn/redis_url"].strip_prefix("redis://:").unwrap().split_once('@').unwrap().0;
    assert!(is_random(of_redis), "{secrets:?}");
    assert!(secrets["redis/redis.conf"].contains(&format!("requirepass {of_redis}\n")), "{secrets:?}");
    for file in std::fs::read_dir(folder.path().join("keyturn")).unwrap().flatten() {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o400, "{file:?}");
    }
    assert_eq!(make_secrets(folder.path()), secrets);
    let other = Folder::new();
    assert_ne!(make_secrets(other.path())["keyturn/jwt_secret"], secrets["keyturn/jwt_secret"]);
}

/// Returns the environment of the first service in a compose file, with the values that nobody has changed.
fn environment(compose: &str) -> Vec<(String, String)> {
    let lines = compose.lines().skip_while(|line| line.trim() != "environment:").skip(1);
    let settings = lines.filter_map(|line| line.trim().split_once(": ").filter(|_| !line.trim().starts_with('#')));
    let settings = settings.take_while(|(name, _)| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
    let value = |text: &str| {
        let text = text.strip_prefix("&public_url ").unwrap_or(text);
        text.strip_prefix("${").map_or(text, |text| text.split_once(":-").unwrap().1.trim_end_matches('}')).to_owned()
    };
    settings.map(|(name, text)| (name.to_owned(), value(text))).collect()
}

/// Checks settings as `keyturn config check` does. Returns what it prints.
fn checked(deployment: &Deployment, settings: &[(String, String)]) -> String {
    let none = ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "DATA_DIR", "BIND"].map(|name| (name, ""));
    let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let settings: Vec<(&str, &str)> = none.into_iter().chain(settings).collect();
    run_with_input(deployment, &settings, &["config", "check"], "").printed()
}

async fn compose_sets_what_the_server_reads(deployment: Arc<Deployment>) {
    let folder = Folder::new();
    make_secrets(folder.path());
    let own = folder.path().join("keyturn").display().to_string();
    let mut settings = environment(&file("compose.yaml"));
    settings.iter_mut().for_each(|(_, value)| *value = value.replace("/run/keyturn", &own));
    let printed = checked(&deployment, &settings);
    for expected in [
        "DATABASE_URL = postgres://(hidden)@postgres:5432/keyturn (/",
        "REDIS_URL = redis://(hidden)@redis:6379/0 (/",
        "PUBLIC_URL = https://localhost:8443 (environment)",
        "SMTP_URL = smtp://mail:1025 (environment)",
    ] {
        assert!(printed.contains(expected), "{expected}: {printed}");
    }
}

async fn the_embedded_compose_sets_what_the_server_reads(deployment: Arc<Deployment>) {
    let printed = checked(&deployment, &environment(&file("compose.embedded.yaml")));
    assert!(printed.contains("PUBLIC_URL = http://localhost:8080 (environment)"), "{printed}");
    assert!(printed.contains("DATABASE_URL = embedded (environment)"), "{printed}");
}

async fn the_settings_of_the_service_are_valid(deployment: Arc<Deployment>) {
    let folder = Folder::new();
    let check = |settings: &str| {
        let path = folder.path().join("keyturn.toml");
        let text =
            settings.replace("/run/credentials/keyturn.service/secrets_", &format!("{}/", folder.path().display()));
        std::fs::write(&path, text).unwrap();
        let arguments = ["--config", path.to_str().unwrap(), "config", "check"];
        let none = ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "DATA_DIR", "BIND", "PUBLIC_URL"].map(|name| (name, ""));
        run_with_input(&deployment, &none, &arguments, "").printed()
    };
    let settings = file("deploy/systemd/keyturn.toml");
    assert!(check(&settings).contains("DATA_DIR = /var/lib/keyturn"));
    // With all that is commented out.
    for (name, value) in [
        ("database_url", "postgres://keyturn@db.example/keyturn"),
        ("redis_url", "redis://cache.example"),
        ("jwt_secret", &*crate::support::random_hex::<32>()),
        ("smtp_url", "smtps://mail.example"),
    ] {
        std::fs::write(folder.path().join(name), value).unwrap();
    }
    let uncommented = settings.lines().filter(|line| !line.starts_with("database_url ="));
    let uncommented =
        uncommented.map(|line| line.strip_prefix("# ").filter(|line| line.contains(" = ")).unwrap_or(line));
    let printed = check(&uncommented.collect::<Vec<_>>().join("\n"));
    assert!(printed.contains("PUBLIC_URL = https://auth.example.com"), "{printed}");
    assert!(printed.contains("SMTP_URL = smtps://mail.example"), "{printed}");
}

async fn the_unit_exposes_little(_: Arc<Deployment>) {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/keyturn.service");
    let mut analyze = Command::new("systemd-analyze");
    // In tenths: 1.5 of 10.
    analyze.args(["security", "--no-pager", "--offline=true", "--threshold=15"]).arg(unit);
    let analyzed = analyze.output().unwrap();
    assert!(analyzed.status.success(), "{}", String::from_utf8_lossy(&analyzed.stdout));
}
