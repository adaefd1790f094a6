//! Tells the program which commit it was built from, and gives it the patterns of user agents that its parser's crate
//! carries.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    tell_commit();
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let patterns: Patterns = serde_saphyr::from_str(&std::fs::read_to_string(folder_of("ua-parser")?.join(PATTERNS))?)?;
    let path = Path::new(&env::var("OUT_DIR")?).join("user_agents.json");
    Ok(std::fs::write(path, serde_json::to_vec(&patterns)?)?)
}

fn tell_commit() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    // Named by those who build without the repository, as in an image.
    let named = env::var("BUILD_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = named.or_else(|| git(&["rev-parse", "--short=12", "HEAD"])).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    for path in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", path]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
}

/// Where the crate `ua-parser` has them.
const PATTERNS: &str = "uap-core/regexes.yaml";

/// Those that are used: of browsers and systems, not of devices.
#[derive(Serialize, Deserialize)]
struct Patterns {
    user_agent_parsers: Vec<Value>,
    os_parsers: Vec<Value>,
}

/// The source of a crate that this one depends on.
fn folder_of(name: &str) -> Result<PathBuf, Error> {
    let mut command = Command::new(env::var("CARGO")?);
    command.args(["metadata", "--format-version", "1", "--locked"]);
    // Of other platforms nothing may have been fetched.
    let output = command.args(["--filter-platform", &env::var("TARGET")?]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages =
        metadata.get("packages").and_then(serde_json::Value::as_array).ok_or("cargo metadata names no packages")?;
    let package = packages.iter().find(|package| package["name"] == name).ok_or("the crate is not there")?;
    let manifest = package["manifest_path"].as_str().ok_or("the crate has no manifest")?;
    Ok(Path::new(manifest).parent().ok_or("the crate has no folder")?.to_owned())
}
