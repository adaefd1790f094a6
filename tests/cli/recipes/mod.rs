//! The recipes of docs/operations.md for coming from another system, each run as it stands there on data in that
//! system's form: who could log in can, who could not cannot.

mod frameworks;
mod services;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use keyturn::types::Timestamp;
use serde_json::{Value, json};

use crate::hashes::{HASHES, SHORT};
use crate::run;
use crate::support::process::Process;
use crate::support::totp::Authenticator;
use crate::support::{Backend, Deployment, variable};

/// The secret of an app, in Base32.
const SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// What the password of another system does here.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    LogsIn,
    /// It needs a code of the app with [`SECRET`].
    NeedsCode,
    /// The account is disabled.
    IsDisabled,
    /// Nothing but a reset by email lets anybody in: no account, or none with a password.
    IsRefused,
}
use Outcome::{IsDisabled, IsRefused, LogsIn, NeedsCode};

fn hash(name: &str) -> &'static str {
    HASHES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no hash of {name}")).1
}

/// The first block of code under the heading `### From SYSTEM`.
fn recipe(system: &str) -> String {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md")).unwrap();
    let (_, section) = page.split_once(&format!("### From {system}\n")).unwrap_or_else(|| panic!("{system}"));
    let (_, code) = section.split_once("\n```").unwrap();
    let (_, code) = code.split_once('\n').unwrap();
    code.split_once("\n```\n").unwrap().0.to_owned() + "\n"
}

/// A folder to run a recipe in, and a server to move to.
pub struct Move {
    process: Process,
    /// A database of the other system.
    postgres: Arc<Deployment>,
}

impl Move {
    fn new(backend: Backend) -> Self {
        let process = Process::with(backend, &[("LIMIT_LOGIN_ADDRESS", "off")]);
        Self { process, postgres: Deployment::new(Backend::Scaled) }
    }

    /// Carries out statements in the other system's own schema.
    fn sql(&self, statements: &str) {
        self.postgres.sql(&format!("SET search_path = public; {statements}"));
    }

    fn folder(&self) -> &Path {
        self.process.folder.path()
    }

    fn write(&self, name: &str, content: impl ToString) {
        std::fs::write(self.folder().join(name), content.to_string()).unwrap();
    }

    /// Puts a program with this name in the place of the other system's.
    fn program(&self, name: &str, script: &str) {
        self.write(name, format!("#!/bin/bash\nset -eu\n{script}\n"));
        std::fs::set_permissions(self.folder().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a recipe, imports what it wrote, and tries the password of everybody.
    async fn run(&self, script: &str, url: &str, expected: &[(&str, Outcome)]) -> Vec<Value> {
        let path = format!("{}:{}:/usr/bin:/bin", self.folder().display(), variable("KEYTURN_TEST_POSTGRES_BIN"));
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]).current_dir(self.folder()).env_clear().env("PATH", path);
        bash.env(url, self.postgres.database_url()).env("LANG", "C.UTF-8").env("DATABASE", "shop");
        bash.env("PYTHONPATH", variable("KEYTURN_TEST_PYTHON_PATH")).env("PYTHONDONTWRITEBYTECODE", "1");
        bash.env("USER_POOL", "eu-central-1_Example").env("SIGNER_KEY", signer_key());
        let output = bash.output().unwrap();
        assert!(output.status.success(), "{output:?}");

        let ran = run(&self.process, &["user", "import", "people.ndjson"]);
        let people = std::fs::read_to_string(self.folder().join("people.ndjson")).unwrap();
        assert_eq!(ran.code, Some(0), "{ran:?}\n{people}");
        for (email, outcome) in expected {
            let answer = self.process.try_login(email, SHORT).await;
            match outcome {
                LogsIn => assert!(answer.assert_status(200).json()["access_token"].is_string(), "{email}: {people}"),
                NeedsCode => {
                    let token = answer.assert_status(200).json()["mfa_token"].clone();
                    let code = Authenticator::new(SECRET).code(now(), 0);
                    let body = json!({"mfa_token": token, "method": "totp", "code": code});
                    self.process.post("/api/v1/auth/mfa").json(&body).send().await.assert_status(200);
                }
                IsDisabled => drop(answer.assert_problem(403, "account_disabled")),
                IsRefused => drop(answer.assert_problem(401, "invalid_credentials")),
            };
            self.process.try_login(email, "another").await.assert_problem(401, "invalid_credentials");
        }
        let exported = run(&self.process, &["user", "export"]).printed();
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_secs(i64::try_from(since.as_secs()).unwrap())
}

/// The key in the hash of Firebase.
fn signer_key() -> &'static str {
    hash("firebase").rsplit('$').next().unwrap()
}

fn account<'a>(accounts: &'a [Value], email: &str) -> &'a Value {
    accounts.iter().find(|account| account["email"] == email).unwrap_or_else(|| panic!("{email}: {accounts:?}"))
}

#[track_caller]
fn assert_fields(account: &Value, expected: Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&account[name], value, "{name} of {account}");
    }
}
