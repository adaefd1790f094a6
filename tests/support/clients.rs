//! Programs in `tests/clients/`, which use keyturn by the libraries that its users have.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::servers::free_port;
use super::{Folder, variable};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// Settings by which a server is found at the address that it publishes, and that address.
pub fn own_address() -> ([(&'static str, String); 2], String) {
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{address}");
    ([("BIND", address), ("PUBLIC_URL", url.clone())], url)
}

/// Runs a program with Node, given `input`, and returns what it prints. The program stands in a folder beside the
/// packages that it imports.
pub async fn node(program: &str, input: Value) -> Value {
    let folder = node_folder();
    let mut command = Command::new(variable("KEYTURN_TEST_NODE"));
    command.arg(folder.path().join(program)).current_dir(folder.path());
    run(command, program, input, folder).await
}

/// A folder with the programs for Node and the packages of npm.
pub fn node_folder() -> Folder {
    let folder = Folder::new();
    std::os::unix::fs::symlink(variable("KEYTURN_TEST_NODE_MODULES"), folder.path().join("node_modules")).unwrap();
    for entry in std::fs::read_dir(CLIENTS).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
    }
    folder
}

/// Runs a program with Python, given `input`, and returns what it prints.
pub async fn python(program: &str, input: Value) -> Value {
    let folder = Folder::new();
    let mut command = python_command();
    command.arg(format!("{CLIENTS}/{program}")).current_dir(folder.path());
    run(command, program, input, folder).await
}

/// Python with the modules of PyPI.
pub fn python_command() -> Command {
    let mut command = Command::new(variable("KEYTURN_TEST_PYTHON"));
    command.env("PYTHONPATH", variable("KEYTURN_TEST_PYTHON_PATH")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null());
    command
}

async fn run(mut command: Command, program: &str, input: Value, folder: Folder) -> Value {
    command.arg(input.to_string()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || {
        let _folder = folder;
        command.output().unwrap()
    });
    let output = output.await.unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}: {}\n{printed}{said}", output.status);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{program}: {error}: {printed}{said}"))
}
