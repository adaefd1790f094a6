mod environment;
mod keys;
mod values;

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use super::*;
use crate::random::Random;

/// A directory that is deleted with its test.
struct Directory {
    path: PathBuf,
}

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("keyturn-config-{:032x}", u128::from_le_bytes(Random.bytes())));
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Returns a secret that is long enough and is not reported by scanners for secrets.
fn long_secret() -> String {
    "not-a-secret but a sentence of a test that is long enough and does not repeat itself".to_owned()
}

fn load_with(file: Option<&str>, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Config::load(file.map(Path::new), &environment.iter().copied().collect())
}

/// Asks for the embedded database where the environment names none.
fn load(environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let names_database = environment.iter().any(|(name, _)| name.contains("DATABASE_URL"));
    let embedded: &[(&str, &str)] = if names_database { &[] } else { &[("DATABASE_URL", "embedded")] };
    load_with(None, &[embedded, environment].concat())
}

/// Returns the configuration of an environment, in a directory of its own.
fn config(environment: &[(&str, &str)]) -> Config {
    let directory = Directory::new();
    let data_dir = directory.path("data");
    let environment = [&[("DATA_DIR", data_dir.as_str())], environment].concat();
    load(&environment).and_then(|loaded| loaded.into_config(&Random)).unwrap_or_else(|error| panic!("{error}"))
}

/// Returns the error of a configuration that must be refused.
fn refusal(environment: &[(&str, &str)]) -> String {
    load(environment).err().unwrap_or_else(|| panic!("{environment:?} was accepted")).to_string()
}

fn refusal_of_file(content: &str) -> String {
    let directory = Directory::new();
    let file = directory.file("keyturn.toml", content);
    load_with(Some(&file), &[]).err().unwrap_or_else(|| panic!("{content} was accepted")).to_string()
}

/// Returns what `config check` displays of one setting.
fn shown(loaded: &Loaded, name: &str) -> String {
    loaded.settings.iter().find(|setting| setting.name == name).unwrap().to_string()
}

fn accepts(name: &str, values: &[&str]) {
    values.iter().for_each(|value| drop(load(&[(name, value)]).unwrap_or_else(|error| panic!("{value}: {error}"))));
}

fn refuses(name: &str, values: &[&str]) {
    for value in values {
        let refusal = refusal(&[(name, value)]);
        assert!(refusal.starts_with(&format!("{name}: ")) && refusal.contains("; example: "), "{value}: {refusal}");
        assert_eq!(refusal.lines().count(), 1, "{value}: {refusal}");
    }
}

#[test]
fn without_any_configuration_the_server_is_embedded() {
    let directory = Directory::new();
    let loaded = load_with(None, &[("DATA_DIR", &directory.path("data"))]).unwrap();
    let config = loaded.into_config(&Random).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(&config.database, Database::Sqlite { path } if *path == config.data_dir.join("keyturn.db")));
    assert!(matches!(config.cache, CacheKind::Memory));
    assert_eq!(config.algorithm, Algorithm::Es256);
    assert_eq!(config.access_token_ttl, Duration::from_secs(900));
    assert_eq!(config.refresh_token_ttl, Duration::from_secs(604_800));
    assert_eq!(config.session_max_lifetime, Duration::from_secs(2_592_000));
    assert_eq!(config.replay_window, Duration::from_secs(10));
    assert_eq!(config.recoveries, 2);
    assert!(config.registration);
    assert_eq!(config.argon2, Argon2Cost { memory_kib: 19_456, passes: 2, lanes: 1 });
    assert_eq!(config.bind.to_string(), "127.0.0.1:8080");
    assert!(config.workers >= 1);
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!((config.issuer.as_str(), config.audience.as_str()), ("http://127.0.0.1:8080", "keyturn"));
    assert!(config.origins.allowed.is_empty() && config.trusted_proxies.is_empty());
    assert_eq!(config.limits.login_account.unwrap().burst.get(), 10);
    assert_eq!(config.limits.login_account.unwrap().period, Duration::from_secs(600));
    assert_eq!(config.log, "info");
}

#[test]
fn every_setting_is_read_and_refuses_what_is_wrong_in_one_line_with_its_example() {
    let anything = ["DATA_DIR"];
    for setting in settings().iter().filter(|setting| !anything.contains(&setting.name)) {
        let wrong = refusal(&[(setting.name, "\u{7} \u{7}")]);
        assert!(wrong.starts_with(&format!("{}: ", setting.name)), "{wrong}");
        assert!(wrong.ends_with(&format!("; example: {}", setting.example)), "{wrong}");
    }
    assert_eq!(config(&[]).data_dir.file_name().unwrap(), "data");
}

#[test]
fn every_example_is_valid() {
    let secret = long_secret();
    let elsewhere = [
        "COOKIE_DOMAIN",
        "JWT_SECRET",
        "JWT_SECRET_PREVIOUS",
        "REDIS_CA_FILE",
        "SMTP_CA_FILE",
        "MAIL_TEMPLATES",
        "PAGE_TEMPLATES",
        "BRAND_LOGO",
        "GEOIP_DATABASE",
    ];
    for setting in settings().iter().filter(|setting| !elsewhere.contains(&setting.name)) {
        let mut environment = vec![("JWT_SECRET", secret.as_str()), (setting.name, setting.example)];
        if setting.name == "DATABASE_SCHEMA" {
            environment.push(("DATABASE_URL", "postgres://db.example/keyturn"));
        }
        assert!(load(&environment).is_ok(), "{} = {}: {}", setting.name, setting.example, refusal(&environment));
    }
}

#[test]
fn the_documentation_is_the_one_that_is_committed() {
    let committed = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md")).unwrap();
    assert!(committed == documentation(), "stale: run `keyturn config docs > docs/configuration.md`");
}

#[test]
fn a_file_takes_strings_integers_booleans_and_arrays() {
    let directory = Directory::new();
    let text = "\u{feff}data_dir = \"d\"\nworkers = 3\nregistration = false\nlimit_login_account = false\n\
                trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nallowed_origins = []\n";
    let file = directory.file("keyturn.toml", text);
    let config = load_with(Some(&file), &[("DATA_DIR", &directory.path("data"))]).unwrap();
    let config = config.into_config(&Random).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.workers, config.registration), (3, false));
    assert_eq!(config.limits.login_account, None);
    assert_eq!(config.trusted_proxies.len(), 2);
    assert!(config.origins.allowed.is_empty());
}

#[test]
fn a_file_with_another_kind_of_value_is_refused() {
    assert!(refusal_of_file("access_token_ttl = 1.5").starts_with("ACCESS_TOKEN_TTL: must be a string, an integer"));
    assert!(refusal_of_file("allowed_origins = [[1.5]]").starts_with("ALLOWED_ORIGINS: must be a string"));
}

#[test]
fn an_unknown_key_in_a_file_is_refused_with_the_nearest_known_one() {
    let refusal = refusal_of_file("databse_url = \"sqlite:a.db\"\naccess_token_ttl_file_x = 1\nDATA_DIR = \"x\"");
    let lines: Vec<&str> = refusal.lines().collect();
    assert_eq!(lines.len(), 3, "{refusal}");
    for (key, nearest) in [
        ("DATA_DIR", "data_dir"),
        ("access_token_ttl_file_x", "access_token_ttl_file"),
        ("databse_url", "database_url"),
    ] {
        let line = lines.iter().find(|line| line.starts_with(&format!("{key}: "))).unwrap();
        assert!(line.contains(&format!("the nearest is {nearest};")), "{line}");
    }
    assert!(refusal_of_file("redis_ca_fil = \"x\"").contains("the nearest is redis_ca_file;"));
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_refused_without_showing_its_lines() {
    let missing = load_with(Some("/nonexistent/keyturn.toml"), &[]).err().unwrap().to_string();
    assert!(missing.starts_with("/nonexistent/keyturn.toml: cannot be read: "), "{missing}");
    let refusal = refusal_of_file(&format!("log = \"info\"\njwt_secret = \"{}\n", long_secret()));
    assert!(refusal.contains("in line 2; example: "), "{refusal}");
    assert!(!refusal.contains("not-a-secret"), "{refusal}");
}

#[test]
fn a_value_can_be_in_a_file_of_its_own() {
    let directory = Directory::new();
    let path = directory.file("audience", "\u{feff}  api.example\n\n");
    let loaded = load(&[("AUDIENCE_FILE", &path)]).unwrap();
    assert_eq!(shown(&loaded, "AUDIENCE"), format!("AUDIENCE = api.example ({path})"));
    let file = directory.file("keyturn.toml", format!("audience_file = {path:?}"));
    assert_eq!(shown(&load_with(Some(&file), &[]).unwrap(), "AUDIENCE"), format!("AUDIENCE = api.example ({path})"));
}

#[test]
fn a_value_set_both_directly_and_by_file_is_refused() {
    let refusal = refusal(&[("AUDIENCE", "a"), ("AUDIENCE_FILE", "b")]);
    assert!(refusal.starts_with("AUDIENCE: is set twice, as AUDIENCE and as AUDIENCE_FILE;"), "{refusal}");
}

#[test]
fn a_value_file_that_is_missing_empty_or_not_utf8_is_refused() {
    let directory = Directory::new();
    let empty = directory.file("empty", " \n");
    let binary = directory.file("binary", [0xff, 0xfe]);
    assert!(refusal(&[("JWT_SECRET_FILE", "/nonexistent/value")]).contains("the file that JWT_SECRET_FILE names"));
    for path in [&empty, &binary] {
        let refusal = refusal(&[("JWT_SECRET_FILE", path)]);
        assert!(refusal.starts_with("JWT_SECRET: ") && refusal.contains(path), "{refusal}");
    }
}

#[test]
fn an_empty_value_counts_as_unset() {
    let loaded = load(&[("AUDIENCE", ""), ("LOG", "  "), ("JWT_SECRET", ""), ("JWT_SECRET_FILE", "")]).unwrap();
    assert_eq!(shown(&loaded, "AUDIENCE"), "AUDIENCE = keyturn (default)");
    assert_eq!(shown(&loaded, "LOG"), "LOG = info (default)");
}

#[test]
fn a_value_that_is_not_utf8_is_refused_rather_than_overlooked() {
    let environment = Environment::from_iter([("AUDIENCE", OsString::from_vec(vec![0xff]))]);
    let refusal = Config::load(None, &environment).err().unwrap().to_string();
    assert_eq!(refusal, "AUDIENCE: is not UTF-8; example: https://api.example");
}

#[test]
fn all_wrong_values_are_reported_at_once_each_in_a_line() {
    let refusal = refusal(&[("BIND", "here"), ("ACCESS_TOKEN_TTL", "15m"), ("REGISTRATION", "maybe")]);
    let lines: Vec<&str> = refusal.lines().collect();
    let ttl = "ACCESS_TOKEN_TTL: must be a whole number from 1 to 86400, in seconds, is \"15m\"; example: 600";
    assert_eq!(lines.len(), 3, "{refusal}");
    assert!(lines.contains(&ttl), "{refusal}");
    assert!(lines.contains(&"BIND: must be an IP address and a port, is \"here\"; example: 0.0.0.0:8080"), "{refusal}");
    assert!(lines.contains(&"REGISTRATION: must be open or closed, is \"maybe\"; example: closed"), "{refusal}");
}

#[test]
fn a_wrong_secret_is_never_repeated() {
    for (name, value) in [
        ("JWT_SECRET", "too-short-hunter2"),
        ("DATABASE_URL", "mysql://keyturn:hunter2@db.example/keyturn"),
        ("DATABASE_URL", "hunter2"),
        ("JWT_SECRET_FILE", "hunter2-hunter2"),
        ("REDIS_URL", "redis://:hunter2#@cache.example"),
        ("REDIS_URL", "redis+sentinel://:hunter2@cache.example"),
        ("REDIS_URL", "http://hunter2@cache.example"),
    ] {
        let refusal = refusal(&[(name, value)]);
        assert!(refusal.starts_with(name.trim_end_matches("_FILE")) && !refusal.contains("hunter2"), "{refusal}");
    }
}

#[test]
fn a_check_shows_no_part_of_a_secret() {
    let secret = format!("hunter2://{}", long_secret());
    for (name, value, expected) in [
        ("JWT_SECRET", secret.as_str(), "(hidden)"),
        ("DATABASE_URL", "postgres://keyturn:hunter2@db.example/keyturn", "postgres://(hidden)@db.example/keyturn"),
        ("DATABASE_URL", "postgres://db.example/k?password=hunter2", "postgres://db.example/k?(hidden)"),
        ("DATABASE_URL", "sqlite:/var/lib/keyturn/a.db", "sqlite:/var/lib/keyturn/a.db"),
        ("REDIS_URL", "rediss://:hunter2@cache.example:6379/1", "rediss://(hidden)@cache.example:6379/1"),
        ("REDIS_URL", "redis+sentinel://s/m?sentinel_password=hunter2", "redis+sentinel://s/m?(hidden)"),
    ] {
        let loaded = load(&[("JWT_SECRET", &secret), (name, value)]).unwrap();
        assert_eq!(shown(&loaded, name), format!("{name} = {expected} (environment)"));
    }
}

#[test]
fn a_database_is_postgres_or_sqlite_and_nothing_else() {
    let secret = long_secret();
    for url in ["postgres://keyturn@db.example/keyturn", "postgresql://%2Frun%2Fpg/k", "postgres://a:1,b:2/k"] {
        let config = config(&[("DATABASE_URL", url), ("JWT_SECRET", &secret)]);
        assert!(matches!(config.database, Database::Postgres { url: parsed, .. } if *parsed == url));
    }
    for (url, file) in [("sqlite:a.db", "a.db"), ("sqlite:///var/a.db", "/var/a.db")] {
        let config = config(&[("DATABASE_URL", url)]);
        assert!(matches!(config.database, Database::Sqlite { path } if path == Path::new(file)));
    }
    refuses("DATABASE_URL", &["mysql://db/k", "keyturn.db", "/var/a.db", "postgres:db", "postgres://", "Postgres"]);
    refuses("DATABASE_URL", &["sqlite:", "sqlite::memory:", "sqlite:a.db?mode=rwc", "sqlite:file:a.db", "file:a.db"]);
}

fn redis(url: &str) -> RedisLayout {
    match config(&[("REDIS_URL", url)]).cache {
        CacheKind::Redis(redis) => redis.layout,
        CacheKind::Memory => panic!("{url} is not Redis"),
    }
}

fn texts(urls: &[Zeroizing<String>]) -> Vec<&str> {
    urls.iter().map(|url| url.as_str()).collect()
}

#[test]
fn a_redis_may_stand_alone() {
    for url in ["redis://cache.example", "rediss://user:pa%23ss@cache.example:6380/2", "redis://[::1]:6379/"] {
        assert!(matches!(redis(url), RedisLayout::Single { url: parsed } if *parsed == url), "{url}");
    }
    refuses("REDIS_URL", &["redis://", "redis://a,b", "redis://a/x", "redis://a/-1", "rediss://a/#insecure"]);
    refuses(
        "REDIS_URL",
        &["redis://word@a", "redis://:p/w@a", "redis://:p#w@a", "redis://a:port", "redis:a", "a:6379"],
    );
    refuses("REDIS_URL", &["redis+ring://a", "http://a", "redis+single://a"]);
    for url in ["unix:///run/redis.sock", "redis+unix:///run/redis.sock?db=1&user=u&pass=p%26ss"] {
        let rest = url.split_once("://").unwrap().1;
        let expected = format!("redis+unix://{rest}");
        assert!(matches!(redis(url), RedisLayout::Single { url: parsed } if *parsed == expected), "{url}");
    }
    refuses("REDIS_URL", &["unix://", "unix:///", "unix://run/redis.sock", "unix:///a?db=x", "unix:///a?other=1"]);
}

#[test]
fn a_redis_may_be_found_by_sentinels() {
    let url = "rediss+sentinel://user:p%2B+&=%26@s1.example:26380,s2.example/main/3?sentinel_password=other";
    let RedisLayout::Sentinel { sentinels, service, username, password, db, tls } = redis(url) else {
        panic!("not a sentinel layout");
    };
    assert_eq!(texts(&sentinels), ["rediss://:other@s1.example:26380", "rediss://:other@s2.example:26379"]);
    assert_eq!((service.as_str(), db, tls), ("main", 3, true));
    assert_eq!((username.as_deref(), password.as_ref().map(|p| p.as_str())), (Some("user"), Some("p++&=&")));

    let RedisLayout::Sentinel { sentinels, username, password, db, tls, .. } = redis("redis+sentinel://s1/main") else {
        panic!("not a sentinel layout");
    };
    assert_eq!(texts(&sentinels), ["redis://s1:26379"]);
    assert!(username.is_none() && password.is_none() && db == 0 && !tls);
    refuses("REDIS_URL", &["redis+sentinel://s1", "redis+sentinel:///main", "redis+sentinel://s1/main/x"]);
    refuses(
        "REDIS_URL",
        &["redis+sentinel://s1/main?other=1", "redis+sentinel://s1,:p@s2/main", "redis+sentinel://user:1/2@s1"],
    );
}

#[test]
fn a_redis_may_be_a_cluster() {
    let RedisLayout::Cluster { nodes } = redis("rediss+cluster://:word@a.example:7000,b.example") else {
        panic!("not a cluster layout");
    };
    assert_eq!(texts(&nodes), ["rediss://:word@a.example:7000", "rediss://:word@b.example:6379"]);
    refuses("REDIS_URL", &["redis+cluster://", "redis+cluster://a,,b", "redis+cluster://a/1", "redis+cluster://a?x=1"]);
}

#[test]
fn a_redis_certificate_authority_must_be_readable_and_have_an_effect() {
    let directory = Directory::new();
    let file = directory.file("ca.pem", "");
    let config = config(&[("REDIS_URL", "rediss://a"), ("REDIS_CA_FILE", &file), ("REDIS_PREFIX", "staging")]);
    assert!(matches!(config.cache, CacheKind::Redis(Redis { ca_file: Some(path), prefix, .. })
        if path == Path::new(&file) && prefix == "staging"));
    let missing = refusal(&[("REDIS_URL", "rediss://a"), ("REDIS_CA_FILE", "/nonexistent/ca.pem")]);
    assert!(missing.contains("cannot be read"), "{missing}");
    assert!(refusal(&[("REDIS_URL", "redis://a"), ("REDIS_CA_FILE", &file)]).contains("has an effect only with"));
    refuses("REDIS_PREFIX", &["{keyturn}", "key turn", &"k".repeat(65)]);
    refuses("REDIS_TIMEOUT", &["0", "9", "10001", "0.1", "1s"]);
}

#[test]
fn emails_come_from_the_host_of_the_public_url_unless_set_otherwise() {
    let from = |settings: &[(&str, &str)]| config(settings).mail.from.to_string();
    assert_eq!(from(&[]), "keyturn <no-reply@localhost>");
    assert_eq!(from(&[("PUBLIC_URL", "https://auth.example:8443/base")]), "keyturn <no-reply@auth.example>");
    assert_eq!(from(&[("MAIL_FROM", "mail@shop.example")]), "mail@shop.example");
    refuses("MAIL_FROM", &["nobody", "a@b@c", "Shop <shop>", "Shop <a@shop.example>\nBcc: b@shop.example"]);
    assert!(config(&[]).mail.relay.is_none() && config(&[]).mail.templates.is_none());
}

#[test]
fn a_mail_server_is_displayed_without_its_password() {
    let loaded = load(&[("SMTP_URL", "smtps://me:sesame@mail.example")]).unwrap();
    assert_eq!(shown(&loaded, "SMTP_URL"), "SMTP_URL = smtps://(hidden)@mail.example (environment)");
    let refusal = refusal(&[("SMTP_URL", "smtp://me:sesame@mail.example")]);
    assert!(refusal.starts_with("SMTP_URL: would send the password unencrypted") && !refusal.contains("sesame"));
    refuses("SMTP_URL", &["mail.example", "http://mail.example", "smtp://"]);
    let directory = Directory::new();
    let file = directory.file("ca.pem", "");
    let refusal = self::refusal(&[("SMTP_URL", "smtp://mail.example"), ("SMTP_CA_FILE", &file)]);
    assert!(refusal.contains("has an effect only with"), "{refusal}");
    assert!(self::refusal(&[("MAIL_TEMPLATES", "/nonexistent")]).contains("cannot be read"));
}

#[test]
fn a_secret_has_at_least_64_characters_and_does_not_repeat_itself() {
    refuses("JWT_SECRET", &[&long_secret()[..63], &"x".repeat(64), &"changeme".repeat(8)]);
    accepts("JWT_SECRET", &[&long_secret(), &long_secret()[..64]]);
}

#[test]
fn postgres_requires_a_secret() {
    let refusal = refusal(&[("DATABASE_URL", "postgres://db.example/keyturn")]);
    assert!(refusal.starts_with("JWT_SECRET: is required with Postgres"), "{refusal}");
}

/// Returns a value that distinguishes secrets without showing them.
fn fingerprint(config: &Config) -> [u8; 16] {
    config.secret.refresh_token_key().tag(b"fingerprint")
}

#[test]
fn an_embedded_server_generates_its_secret_once_and_only_its_owner_reads_it() {
    let directory = Directory::new();
    let data_dir = directory.path("new/data");
    let start = || load(&[("DATA_DIR", &data_dir)]).unwrap().into_config(&Random).unwrap_or_else(|e| panic!("{e}"));
    let first = start();
    assert_eq!(fingerprint(&first), fingerprint(&start()));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&first.data_dir), 0o700);
    assert_eq!(mode(&first.data_dir.join("jwt_secret")), 0o600);
    assert_eq!(fs::read_to_string(first.data_dir.join("jwt_secret")).unwrap().len(), 64);
    assert_eq!(fs::read_dir(&first.data_dir).unwrap().count(), 1, "a draft was left behind");
    let other = config(&[]);
    assert_ne!(fingerprint(&first), fingerprint(&other));
}

#[test]
fn servers_that_start_at_once_end_with_the_same_secret() {
    let directory = Directory::new();
    let data_dir = directory.path("data");
    let barrier = Barrier::new(16);
    let start = || {
        // All have found no secret before one of them generates it.
        let loaded = load(&[("DATA_DIR", &data_dir)]).unwrap();
        barrier.wait();
        fingerprint(&loaded.into_config(&Random).unwrap_or_else(|error| panic!("{error}")))
    };
    let fingerprints: Vec<[u8; 16]> = std::thread::scope(|scope| {
        let servers: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        servers.into_iter().map(|server| server.join().unwrap()).collect()
    });
    assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
    assert_eq!(fs::read_dir(&data_dir).unwrap().count(), 1, "a draft was left behind");
}

#[test]
fn a_check_creates_nothing_and_says_what_becomes_of_the_secret() {
    let directory = Directory::new();
    let data_dir = directory.path("data");
    let check = || load(&[("DATA_DIR", &data_dir)]).unwrap();
    let told = format!("JWT_SECRET = generated at the first start, in {data_dir}/jwt_secret (default)");
    assert!(shown(&check(), "JWT_SECRET") == told && check().into_preview(&Random).is_ok());
    assert!(!Path::new(&data_dir).exists());
    check().into_config(&Random).unwrap_or_else(|error| panic!("{error}"));
    // A reload compares the two, and nothing has changed.
    assert_eq!(shown(&check(), "JWT_SECRET"), told);
}

#[test]
fn a_damaged_secret_file_is_not_replaced() {
    let directory = Directory::new();
    let path = directory.file("jwt_secret", "short");
    let data_dir = directory.path("");
    let refused = refusal(&[("DATA_DIR", &data_dir)]);
    assert!(refused.starts_with("JWT_SECRET: cannot be read from "), "{refused}");
    assert_eq!(fs::read_to_string(path).unwrap(), "short");
    assert!(load(&[("DATA_DIR", &data_dir), ("JWT_SECRET", &long_secret())]).is_ok(), "the file is not needed");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let directory = Directory::new();
    let file = directory.file("file", "");
    let refusal = load(&[("DATA_DIR", &format!("{file}/data")), ("JWT_SECRET", "")]).map(|l| l.into_config(&Random));
    let refusal = match refusal {
        Ok(Err(error)) | Err(error) => error.to_string(),
        Ok(Ok(_)) => panic!("a file was taken for a directory"),
    };
    assert!(refusal.contains(&file), "{refusal}");
}

#[test]
fn durations_are_whole_seconds_within_bounds() {
    accepts("ACCESS_TOKEN_TTL", &["11", "86400"]);
    refuses("ACCESS_TOKEN_TTL", &["0", "86401", "-1", "15m", "1.5", "99999999999999999999"]);
    accepts("REFRESH_TOKEN_TTL", &["900", "31536000"]);
    refuses("REFRESH_TOKEN_TTL", &["0", "31536001"]);
    refuses("SESSION_MAX_LIFETIME", &["0", "315360001"]);
    accepts("REFRESH_REPLAY_WINDOW", &["0", "60"]);
    refuses("REFRESH_REPLAY_WINDOW", &["61", "-1"]);
    accepts("REFRESH_RECOVERIES", &["0", "10"]);
    refuses("REFRESH_RECOVERIES", &["11", "-1"]);
}

#[test]
fn lifetimes_fit_each_other() {
    refuses("REFRESH_TOKEN_TTL", &["899"]);
    refuses("SESSION_MAX_LIFETIME", &["899"]);
    let window = refusal(&[("ACCESS_TOKEN_TTL", "10"), ("REFRESH_REPLAY_WINDOW", "10")]);
    assert_eq!(window, "REFRESH_REPLAY_WINDOW: must be below ACCESS_TOKEN_TTL; example: 0");
    assert!(load(&[("ACCESS_TOKEN_TTL", "1"), ("REFRESH_REPLAY_WINDOW", "0"), ("REFRESH_TOKEN_TTL", "1")]).is_ok());
}

#[test]
fn a_rule_between_two_settings_is_silent_while_one_of_them_is_wrong_by_itself() {
    let refusal = refusal(&[("ACCESS_TOKEN_TTL", "never"), ("REFRESH_TOKEN_TTL", "60")]);
    assert!(refusal.starts_with("ACCESS_TOKEN_TTL: ") && refusal.lines().count() == 1, "{refusal}");
}

#[test]
fn an_algorithm_is_one_of_four_in_any_case_of_letters() {
    for (text, algorithm) in [("es256", Algorithm::Es256), ("EdDSA", Algorithm::EdDsa), ("HS256", Algorithm::Hs256)] {
        assert_eq!(config(&[("JWT_ALGORITHM", text)]).algorithm, algorithm);
    }
    refuses("JWT_ALGORITHM", &["none", "RS512"]);
}

#[test]
fn an_issuer_is_the_public_url_unless_set() {
    assert_eq!(config(&[("PUBLIC_URL", "https://auth.example/base/")]).issuer, "https://auth.example/base");
    let both = [("PUBLIC_URL", "https://auth.example"), ("ISSUER", "https://i.example")];
    assert_eq!(config(&both).issuer, "https://i.example");
    refuses("ISSUER", &["two words"]);
    refuses("AUDIENCE", &["two words"]);
    let long = format!("https://auth.example/{}", "x".repeat(400));
    assert_eq!(config(&[("PUBLIC_URL", &long)]).issuer, long);
}

#[test]
fn a_public_url_is_of_the_web_and_without_query() {
    accepts("PUBLIC_URL", &["http://localhost:8080", "https://auth.example/base/"]);
    refuses("PUBLIC_URL", &["ftp://a", "auth.example", "https://a/?q=1", "https://a/#f", "https://u:p@a", "https://"]);
    for (bind, url) in [
        ("[::]:80", "http://localhost/"),
        ("[::1]:9000", "http://[::1]:9000/"),
        ("[fe80::1%7]:1", "http://[fe80::1]:1/"),
    ] {
        assert_eq!(config(&[("BIND", bind)]).public_url.as_str(), url);
    }
}

#[test]
fn an_origin_is_a_scheme_and_a_host_and_never_a_star() {
    let config = config(&[("ALLOWED_ORIGINS", " https://App.example:443/ , http://localhost:3000,")]);
    let origins: Vec<String> = config.origins.allowed.iter().map(ToString::to_string).collect();
    assert_eq!(origins, ["https://app.example", "http://localhost:3000"]);
    refuses("ALLOWED_ORIGINS", &["https://a.example/path", "a.example", "null", "ftp://a", "https://a?x"]);
    refuses("COOKIE_DOMAIN", &["example.com", "com", "127.0.0.1", "https://a.example"]);
    let star = refusal(&[("ALLOWED_ORIGINS", "https://a.example,*")]);
    assert!(star.contains("would allow every website"), "{star}");
}

#[test]
fn a_proxy_is_an_address_or_a_network_but_not_everybody() {
    let config = config(&[("TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.1,fd00::/8,::1")]);
    let proxies: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "fd00::/8", "::1/128"]);
    refuses("TRUSTED_PROXIES", &["10.0.0.0/33", "proxy.example", "0.0.0.0/0", "::/0"]);
}

#[test]
fn a_limit_is_a_count_over_seconds_or_off() {
    let limits = config(&[("LIMIT_LOGIN_ADDRESS", "7/30"), ("LIMIT_REFRESH_SESSION", "off")]).limits;
    let rate = limits.login_address.unwrap();
    assert_eq!((rate.burst.get(), rate.period), (7, Duration::from_secs(30)));
    assert_eq!(limits.refresh_session, None);
    for name in settings().iter().map(|setting| setting.name).filter(|name| name.starts_with("LIMIT_")) {
        refuses(name, &["0/60", "10/0", "10", "10/min", "/", "-1/60", "10/86401", "1000001/1", "on"]);
    }
}

#[test]
fn a_configuration_can_be_made_of_settings_alone() {
    let directory = Directory::new();
    let data_dir = directory.path("data");
    let config = Config::from_settings(&[("DATA_DIR", &data_dir), ("BIND", "127.0.0.1:0")], &Random);
    assert_eq!(config.unwrap_or_else(|error| panic!("{error}")).bind.port(), 0);
    assert!(Config::from_settings(&[("BIND", "here")], &Random).is_err());
    let misspelt = Config::from_settings(&[("DATA_DIRS", &data_dir)], &Random).err().unwrap().to_string();
    assert!(misspelt.contains("the nearest is data_dir"), "{misspelt}");
}
