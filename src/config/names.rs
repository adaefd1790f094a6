//! The names of settings in the environment, and what looks like one of them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use strsim::{jaro_winkler, osa_distance};

use super::settings::{Setting, settings};
use super::source::problem;

/// The prefix with which each setting is read too.
pub(super) const PREFIX: &str = "KEYTURN_";

/// The beginning of names that the project's tests read, without the prefix.
const TESTS: &str = "TEST_";

/// The name that the command line reads besides the settings, without the prefix.
const CONFIG: &str = "CONFIG";

/// The end of the name of a setting whose value is in a file.
const FILE: &str = "_FILE";

/// The similarity (Jaro–Winkler) from which on a setting is suggested for a name that is none.
const SIMILAR: f64 = 0.8;

/// The number of characters of the shortest setting that is searched for in misspelled names. Many programs have
/// variables that are similar to shorter ones, such as `LOG` and `BIND`.
const MIN_LENGTH: usize = 8;

/// The number of characters from which on a name may be misspelled in two places.
const LONG: usize = 16;

/// The variables of an environment.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl Environment {
    /// Returns the environment of this process, without variables whose names are not UTF-8.
    pub fn of_process() -> Self {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// Returns the value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    /// Describes each variable that is not a setting but seems to be meant as one. If it were ignored, the setting
    /// would keep its default, and the server could use another database than the one that it was given.
    pub(super) fn mistaken(&self) -> Vec<String> {
        let is_set = |value: &OsStr| !value.to_string_lossy().trim().is_empty();
        let set = self.variables.iter().filter(|(_, value)| is_set(value));
        set.filter_map(|(name, value)| match name.strip_prefix(PREFIX) {
            Some(plain) if plain == CONFIG || plain.starts_with(TESTS) => None,
            Some(plain) if is_service_link(plain, value) => None,
            Some(plain) => unknown_with_prefix(name, plain),
            None => self.near_miss(name),
        })
        .collect()
    }

    fn near_miss(&self, name: &str) -> Option<String> {
        let upper = name.to_ascii_uppercase();
        let plain = without_file(&upper);
        if name == upper && is_known(&upper) {
            return None;
        }
        let value = self.get(name).unwrap_or_default();
        if let Some(meant) = after_misspelled_prefix(&upper).filter(|meant| !is_service_link(meant, value)) {
            return Some(unknown_name(name, meant, PREFIX));
        }
        let setting = settings().iter().find(|setting| is_near(setting.name, plain) && !self.sets(setting))?;
        let known = setting.name;
        let error = format!("is not a setting, but {known} is, and is not set: rename it, or remove it");
        Some(problem(name, &error, setting.example))
    }

    /// Returns whether a setting is set by one of its names.
    fn sets(&self, setting: &Setting) -> bool {
        let name = setting.name;
        let names =
            [name.to_owned(), format!("{name}{FILE}"), format!("{PREFIX}{name}"), format!("{PREFIX}{name}{FILE}")];
        names.iter().any(|name| self.variables.contains_key(name))
    }
}

fn without_file(name: &str) -> &str {
    name.strip_suffix(FILE).unwrap_or(name)
}

/// Returns whether `name` is that of a setting, or of the file with its value.
fn is_known(name: &str) -> bool {
    settings().iter().any(|setting| setting.name == name || setting.name == without_file(name))
}

/// Returns what follows in a name that begins with what can be a misspelling of the prefix, if a setting follows.
/// Hardly another program's variable looks so, hence the shortest setting is enough.
fn after_misspelled_prefix(name: &str) -> Option<&str> {
    let is_prefix = |head: &str| osa_distance(&head.replace('_', ""), PREFIX.trim_end_matches('_')) <= 1;
    let is_meant = |rest: &str| {
        let plain = without_file(rest);
        is_known(rest) || rest == CONFIG || settings().iter().any(|setting| is_near(setting.name, plain))
    };
    let splits = name.char_indices().filter_map(|(index, _)| name.split_at_checked(index));
    let mut rests = splits.filter(|(head, _)| is_prefix(head)).map(|(_, rest)| rest.trim_start_matches('_'));
    rests.find(|rest| is_meant(rest))
}

/// Returns whether `name` can be a misspelling of the setting `known`, or of the name for its file: one character
/// differs, is missing, is too much or has changed its place with the next one, or two such in long names; or they
/// differ in underscores and number.
fn is_near(known: &str, name: &str) -> bool {
    let allowed = if known.len() < LONG { 1 } else { 2 };
    let plain = |name: &str| {
        let name = name.replace('_', "");
        let singular = name.strip_suffix("IES").map(|stem| format!("{stem}Y"));
        singular.or_else(|| name.strip_suffix('S').map(str::to_owned)).unwrap_or(name)
    };
    let is_misspelling = |known: &str| osa_distance(known, name) <= allowed || plain(known) == plain(name);
    known.len() >= MIN_LENGTH && (is_misspelling(known) || is_misspelling(&format!("{known}{FILE}")))
}

/// Returns whether a variable, given without the prefix, is one that Kubernetes sets in every container for a service
/// named `keyturn` or `keyturn-…`: `SERVICE_HOST`, `SERVICE_PORT`, `SERVICE_PORT_HTTP`, `PORT` with a URL,
/// `PORT_8080_TCP`, `PORT_8080_TCP_ADDR` and so on.
pub(super) fn is_service_link(plain: &str, value: &OsStr) -> bool {
    let named = format!("_{plain}");
    let is_url = value.to_string_lossy().contains("://");
    let has_port = named.split("_PORT_").skip(1).any(|rest| {
        let (port, protocol) = rest.split_once('_').unwrap_or((rest, ""));
        port.parse::<u16>().is_ok() && ["TCP", "UDP", "SCTP"].iter().any(|known| protocol.starts_with(known))
    });
    named.ends_with("_SERVICE_HOST")
        || named.ends_with("_SERVICE_PORT")
        || named.contains("_SERVICE_PORT_")
        || (named.ends_with("_PORT") && is_url)
        || has_port
}

/// Describes a name with the prefix that is not a setting. Returns `None` for a setting.
fn unknown_with_prefix(name: &str, plain: &str) -> Option<String> {
    (!is_known(plain)).then(|| unknown_name(name, plain, PREFIX))
}

/// Describes a key of a file that is not the name of a setting. Returns `None` for the name of a setting. If it were
/// ignored, a misspelled setting would keep its default.
pub(super) fn unknown(key: &str) -> Option<String> {
    let upper = key.to_ascii_uppercase();
    let is_right = key == key.to_ascii_lowercase() && is_known(&upper);
    (!is_right).then(|| unknown_name(key, upper.strip_prefix(PREFIX).unwrap_or(&upper), ""))
}

/// Describes a name that is not a setting, with the setting that `meant` resembles most, if it resembles one. Names
/// with a prefix are those of the environment, others those of a file, in lower case.
fn unknown_name(name: &str, meant: &str, prefix: &str) -> String {
    let mut nearest: Option<(f64, String, &str)> = None;
    let own = (!prefix.is_empty()).then_some((CONFIG.to_owned(), "/etc/keyturn.toml"));
    let names = settings().iter().flat_map(|setting| {
        [setting.name.to_owned(), format!("{}{FILE}", setting.name)].map(|name| (name, setting.example))
    });
    for (known, example) in names.chain(own) {
        let similarity = jaro_winkler(&known, meant);
        if similarity >= SIMILAR && nearest.as_ref().is_none_or(|(best, ..)| similarity > *best) {
            nearest = Some((similarity, known, example));
        }
    }
    match nearest {
        Some((_, known, example)) if prefix.is_empty() => {
            problem(name, &format!("is not a setting, the nearest is {}", known.to_ascii_lowercase()), example)
        }
        Some((_, known, example)) if known == CONFIG => {
            problem(name, &format!("is not a setting, the nearest is {prefix}{known}"), example)
        }
        Some((_, known, example)) => {
            problem(name, &format!("is not a setting, the nearest is {prefix}{known}, or {known}"), example)
        }
        None => format!("{name}: is not a setting; `keyturn config docs` lists all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of shells, service managers, platforms and languages, with values that they have there.
    const ORDINARY: &str = "\
        _ HOME PATH PWD OLDPWD USER LOGNAME SHELL SHLVL TERM COLORTERM LANG LANGUAGE LC_ALL LC_CTYPE LC_MESSAGES TZ \
        EDITOR VISUAL PAGER MAIL MAILTO HOSTNAME HOSTTYPE DISPLAY TMPDIR TEMP TMP XDG_DATA_DIRS XDG_DATA_HOME \
        XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_SESSION_ID SSH_AUTH_SOCK SSH_CONNECTION DBUS_SESSION_BUS_ADDRESS LS_COLORS \
        HISTSIZE PS1 IFS BASH_ENV HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy SSL_CERT_FILE \
        SSL_CERT_DIR LISTEN_FDS LISTEN_PID NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID INVOCATION_ID JOURNAL_STREAM \
        STATE_DIRECTORY RUNTIME_DIRECTORY CACHE_DIRECTORY LOGS_DIRECTORY CONFIGURATION_DIRECTORY CREDENTIALS_DIRECTORY \
        MAINPID MANAGERPID SYSTEMD_EXEC_PID MEMORY_PRESSURE_WATCH KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT \
        KUBERNETES_SERVICE_PORT_HTTPS KUBERNETES_PORT KUBERNETES_PORT_443_TCP KUBERNETES_PORT_443_TCP_ADDR \
        KUBERNETES_PORT_443_TCP_PORT KUBERNETES_PORT_443_TCP_PROTO REDIS_PORT REDIS_SERVICE_HOST REDIS_SERVICE_PORT \
        REDIS_PORT_6379_TCP REDIS_PORT_6379_TCP_ADDR POSTGRES_PORT_5432_TCP POSTGRES_PORT POSTGRES_SERVICE_HOST \
        DATABASE_PORT DATABASE_SERVICE_HOST DATABASE_PORT_5432_TCP SMTP_PORT SMTP_SERVICE_HOST SMTP_PORT_25_TCP \
        POD_NAME POD_NAMESPACE NODE_NAME DYNO PORT PS SOURCE_VERSION STACK WEB_CONCURRENCY MEMORY_AVAILABLE \
        HEROKU_APP_NAME HEROKU_RELEASE_VERSION HEROKU_POSTGRESQL_BRONZE_URL REDIS_TLS_URL K_SERVICE K_REVISION \
        K_CONFIGURATION CLOUD_RUN_JOB RENDER RENDER_EXTERNAL_URL RENDER_SERVICE_ID RAILWAY_ENVIRONMENT \
        RAILWAY_PUBLIC_DOMAIN FLY_APP_NAME FLY_REGION CI GITHUB_ACTIONS GITHUB_TOKEN GITHUB_SHA GITHUB_REF \
        GITHUB_REPOSITORY GITHUB_WORKSPACE GITHUB_ENV GITHUB_OUTPUT GITHUB_STEP_SUMMARY RUNNER_OS RUNNER_TEMP \
        RUNNER_TOOL_CACHE GITLAB_CI CI_COMMIT_SHA CI_REGISTRY CI_JOB_TOKEN BUILD_NUMBER RUST_LOG RUST_BACKTRACE \
        CARGO_HOME RUSTUP_HOME NODE_ENV NODE_OPTIONS NPM_CONFIG_CACHE npm_config_port npm_lifecycle_event PYTHONPATH \
        VIRTUAL_ENV JAVA_HOME JAVA_OPTS GOPATH PGHOST PGPORT PGUSER PGPASSWORD PGDATABASE PGDATA PGSSLMODE PGSERVICE \
        POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB POSTGRES_URL REDIS_HOST REDIS_PASSWORD REDIS_DB DB_HOST DB_USER \
        DB_PASSWORD DB_NAME DB_URL DATABASE_HOST DATABASE_NAME DATABASE_USER DATABASE_PASSWORD DATABASE_SSL \
        DATABASE_DSN SMTP_HOST SMTP_USER SMTP_PASSWORD SMTP_FROM MAIL_HOST MAIL_PORT MAIL_USERNAME MAIL_DRIVER \
        MAIL_FROM_NAME MAIL_FROM_ADDRESS JWT_TTL JWT_ALGO JWT_ISSUER JWT_KEY JWT_PRIVATE_KEY APP_URL APP_KEY APP_ENV \
        LOG_LEVEL LOG_FORMAT LOG_FILE LOGS BIND_ADDRESS HOST WORKER WORKER_PROCESSES THREADS TIMEOUT SECRET_KEY \
        SECRET_KEY_BASE ALLOWED_HOSTS CORS_ORIGIN CORS_ORIGINS API_URL BASE_URL AWS_REGION AWS_ACCESS_KEY_ID \
        OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_ENDPOINT SENTRY_DSN DOCKER_HOST DEBIAN_FRONTEND container \
        POSTGRES_PASSWORD_FILE POSTGRES_USER_FILE REDIS_PASSWORD_FILE REDISCLI_AUTH SMTP_PASSWORD_FILE DATABASE_FILE \
        DATABASE_URL_TEST TEST_DATABASE_URL DATABASE_URL_LIVE LOG_FILES PORT_FILE BIND_FILES KEYCLOAK_LOG \
        KEYRING_BACKEND KEYTAB_FILE KRB5_KTNAME KEYCHAIN_PATH";

    fn mistaken(name: &str) -> Vec<String> {
        Environment::from_iter([(name, "x")]).mistaken()
    }

    #[test]
    fn variables_of_other_programs_are_left_alone() {
        let names: Vec<&str> = ORDINARY.split_whitespace().collect();
        assert!(names.len() > 200, "{}", names.len());
        let all = Environment::from_iter(names.iter().map(|name| (*name, "x")));
        assert_eq!(all.mistaken(), [""; 0]);
    }

    #[test]
    fn a_misspelled_setting_is_named_with_the_one_that_it_resembles() {
        for (wrong, right) in [
            ("DATBASE_URL", "DATABASE_URL"),
            ("DATABSE_URL", "DATABASE_URL"),
            ("DATABASE_URI", "DATABASE_URL"),
            ("DATABASEURL", "DATABASE_URL"),
            ("DATABASE_ULR", "DATABASE_URL"),
            ("database_url", "DATABASE_URL"),
            ("DATBASE_URL_FILE", "DATABASE_URL"),
            ("REDIS_URI", "REDIS_URL"),
            ("REDISURL", "REDIS_URL"),
            ("JWT_SECERT", "JWT_SECRET"),
            ("JWT_SECRETS", "JWT_SECRET"),
            ("JWT_SECERT_FILE", "JWT_SECRET"),
            ("SMTP_URI", "SMTP_URL"),
            ("PUBLIC_URI", "PUBLIC_URL"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("ALLOWED_ORIGIN", "ALLOWED_ORIGINS"),
            ("DATADIR", "DATA_DIR"),
            ("REQUIRE_VERIFIED_MAIL", "REQUIRE_VERIFIED_EMAIL"),
            ("MAX_SESSION_PER_USERS", "MAX_SESSIONS_PER_USER"),
            ("JWT_SECRET_FIEL", "JWT_SECRET"),
            ("JWT_SECRETFILE", "JWT_SECRET"),
            ("JWT_SECRET_FILES", "JWT_SECRET"),
            ("JWT_SECRET__FILE", "JWT_SECRET"),
            ("jwt_secret_file", "JWT_SECRET"),
            ("DATABASE_URL_FILES", "DATABASE_URL"),
            ("SMTP_URLFILE", "SMTP_URL"),
            ("SMTP_URL_FLIE", "SMTP_URL"),
            ("REDIS_CA_FLIE", "REDIS_CA_FILE"),
        ] {
            let problems = mistaken(wrong);
            let [problem] = problems.as_slice() else { panic!("{wrong}: {problems:?}") };
            assert!(problem.starts_with(&format!("{wrong}: is not a setting, but {right} is")), "{problem}");
            let both = Environment::from_iter([(wrong, "x"), (right, "y")]);
            assert_eq!(both.mistaken(), [""; 0], "{right} is set, so {wrong} is another program's");
            assert_eq!(Environment::from_iter([(wrong, " ")]).mistaken(), [""; 0], "{wrong} is unset");
        }
    }

    #[test]
    fn a_misspelled_prefix_is_named() {
        for (wrong, right) in [
            ("KEYTRUN_BIND", "KEYTURN_BIND"),
            ("KEYTURNBIND", "KEYTURN_BIND"),
            ("KEY_TURN_BIND", "KEYTURN_BIND"),
            ("KEY_TURN_LOG", "KEYTURN_LOG"),
            ("KEYTURN__LOG", "KEYTURN_LOG"),
            ("keyturn_port", "KEYTURN_PORT"),
            ("KETURN_JWT_SECRET_FILE", "KEYTURN_JWT_SECRET_FILE"),
            ("KEYTUNR_DATBASE_URL", "KEYTURN_DATABASE_URL"),
            ("KEYTRUN_CONFIG", "KEYTURN_CONFIG"),
        ] {
            let problems = mistaken(wrong);
            let [problem] = problems.as_slice() else { panic!("{wrong}: {problems:?}") };
            let told = format!("{wrong}: is not a setting, the nearest is {right}");
            assert!(problem.strip_prefix(&told).is_some_and(|rest| rest.starts_with([',', ';'])), "{problem}");
        }
        for other in ["KEYTRUN_HOME", "KEYBIND", "KEY_TURNS", "KEYRING_LOG_ON", "TURN_PORT", "KEYSTONE_BIND"] {
            assert_eq!(mistaken(other), [""; 0]);
        }
        let link = Environment::from_iter([("KEY_TURN_PORT", "tcp://10.0.0.1:8080"), ("KEYTURNS_SERVICE_PORT", "80")]);
        assert_eq!(link.mistaken(), [""; 0]);
    }

    #[test]
    fn a_setting_is_suggested_for_what_resembles_one() {
        for (wrong, right) in [
            ("KEYTURN_CONFG", "KEYTURN_CONFIG"),
            ("KEYTURN_SMTP_URL_FLIE", "KEYTURN_SMTP_URL_FILE, or SMTP_URL_FILE"),
            ("KEYTURN_DATABSE_URL", "KEYTURN_DATABASE_URL, or DATABASE_URL"),
            ("KEYTURN_JWT_SECERT_FILE", "KEYTURN_JWT_SECRET_FILE, or JWT_SECRET_FILE"),
            ("KEYTURN_BINDING", "KEYTURN_BIND, or BIND"),
        ] {
            let told = mistaken(wrong);
            assert!(told[0].starts_with(&format!("{wrong}: is not a setting, the nearest is {right};")), "{told:?}");
        }
        for (wrong, right) in
            [("keyturn_bind", "bind"), ("BIND", "bind"), ("databse_url", "database_url"), ("log_flie", "log_file")]
        {
            let told = unknown(wrong).unwrap();
            assert!(told.starts_with(&format!("{wrong}: is not a setting, the nearest is {right};")), "{told}");
        }
        for wrong in ["KEYTURN_FOO", "KEYTURN_", "KEYTURN_SERVER"] {
            assert_eq!(mistaken(wrong), [format!("{wrong}: is not a setting; `keyturn config docs` lists all")]);
        }
        for wrong in ["server", "foo", "http"] {
            assert_eq!(unknown(wrong).unwrap(), format!("{wrong}: is not a setting; `keyturn config docs` lists all"));
        }
        for known in ["bind", "redis_ca_file", "jwt_secret_file"] {
            assert_eq!(unknown(known), None);
        }
    }

    #[test]
    fn an_unknown_name_with_the_prefix_is_named_and_those_of_kubernetes_are_not() {
        for wrong in ["KEYTURN_DATABSE_URL", "KEYTURN_SECRET", "KEYTURN_", "KEYTURN_BINDING", "KEYTURN_CONFIGS"] {
            let problems = mistaken(wrong);
            let [problem] = problems.as_slice() else { panic!("{wrong}: {problems:?}") };
            assert!(problem.starts_with(&format!("{wrong}: is not a setting")), "{problem}");
        }
        for other in ["KEYTURN_CONFIG", "KEYTURN_TEST_POSTGRES_URL", "KEYTURN_LOG", "KEYTURN_REDIS_CA_FILE"] {
            assert_eq!(mistaken(other), [""; 0]);
        }
        let links = [
            ("KEYTURN_SERVICE_HOST", "10.0.0.1"),
            ("KEYTURN_SERVICE_PORT", "8080"),
            ("KEYTURN_SERVICE_PORT_HTTP", "8080"),
            ("KEYTURN_PORT", "tcp://10.0.0.1:8080"),
            ("KEYTURN_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("KEYTURN_PORT_8080_TCP_PROTO", "tcp"),
            ("KEYTURN_PORT_8080_TCP_PORT", "8080"),
            ("KEYTURN_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("KEYTURN_DB_SERVICE_HOST", "10.0.0.2"),
            ("KEYTURN_DB_PORT", "tcp://10.0.0.2:5432"),
            ("KEYTURN_DB_PORT_5432_TCP_ADDR", "10.0.0.2"),
            ("KEYTURN_DNS_PORT_53_UDP", "udp://10.0.0.3:53"),
        ];
        assert_eq!(Environment::from_iter(links).mistaken(), [""; 0]);
    }
}
