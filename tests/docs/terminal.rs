//! A reader's terminals: a shell in a folder of its own, in which a page's blocks are carried out one after the other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::page::{Block, Purpose, is_as_shown, is_balanced};
use crate::support::servers::free_port;
use crate::support::{Folder, PATIENCE, until, variable};

/// What the shell prints behind the output of a block, before the block's exit code.
const END: &str = "--- end of the block";

/// A shell that keeps its folder, variables and functions from one block to the next. What it has started ends with it.
pub struct Terminal {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    folder: Folder,
    /// What stands in the pages, and what stands for it here.
    replaced: Vec<(String, String)>,
    printed: String,
}

impl Terminal {
    /// A shell in an empty folder, with these variables and little else in its environment.
    pub fn new(settings: &[(String, String)]) -> Self {
        let folder = Folder::new();
        let programs = folder.path().join(".programs");
        std::fs::create_dir(&programs).unwrap();
        let postgres = variable("KEYTURN_TEST_POSTGRES_BIN");
        let path = format!("{}:{postgres}:/usr/local/bin:/usr/bin:/bin:/usr/sbin", programs.display());
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc"]).current_dir(folder.path()).env_clear();
        bash.envs(settings.iter().map(|(name, value)| (name, value))).env("PATH", path).env("LANG", "C.UTF-8");
        bash.env("HOME", folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        bash.env("PYTHONPATH", variable("KEYTURN_TEST_PYTHON_PATH"));
        bash.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut shell = bash.spawn().unwrap();
        let (input, output) = (shell.stdin.take().unwrap(), BufReader::new(shell.stdout.take().unwrap()));
        let terminal = Self { shell, input, output, folder, replaced: Vec::new(), printed: String::new() };
        terminal.program("node", &format!("exec {} \"$@\"", variable("KEYTURN_TEST_NODE")));
        terminal.program("python3", &format!("exec {} \"$@\"", variable("KEYTURN_TEST_PYTHON")));
        terminal
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a program with this name first in the PATH.
    pub fn program(&self, name: &str, script: &str) {
        let path = self.folder.path().join(".programs").join(name);
        std::fs::write(&path, format!("#!/bin/bash\nset -eu\n{script}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Lets `npm` and `pip` install the packages of the tests, if the page asks for their versions, and those of this
    /// repository by their folders; `npx` runs what is installed.
    pub fn with_packages(&self) {
        let node = variable("KEYTURN_TEST_NODE");
        let modules = variable("KEYTURN_TEST_NODE_MODULES");
        self.program("npm", &format!("node={node} modules={modules}\n{}", include_str!("npm.sh")));
        self.program("npx", &format!("exec {node} \"node_modules/.bin/$1\" \"${{@:2}}\""));
        let (python, modules) = (variable("KEYTURN_TEST_PYTHON"), variable("KEYTURN_TEST_PYTHON_PATH"));
        self.program("python3", &format!("python={python} modules={modules}\n{}", include_str!("python.sh")));
    }

    /// Lets something stand for what the pages say.
    pub fn replace(&mut self, shown: &str, meant: impl ToString) {
        self.replaced.push((shown.to_owned(), meant.to_string()));
    }

    /// Reads a text of a page as it is meant here.
    pub fn meant(&self, text: &str) -> String {
        self.replaced.iter().fold(text.to_owned(), |text, (shown, meant)| text.replace(shown, meant))
    }

    /// Follows a page from its first block to its last.
    pub async fn follow(&mut self, blocks: &[Block]) {
        for block in blocks {
            if let Purpose::Listens(port) = block.purpose {
                self.replace(&port.to_string(), free_port());
            }
        }
        for block in blocks {
            self.carry_out(block).await;
        }
    }

    async fn carry_out(&mut self, block: &Block) {
        let text = self.meant(&block.text);
        let place = &block.place;
        match &block.purpose {
            Purpose::Run => {
                assert!(["bash", "sh"].contains(&&*block.language), "{place}: it can only be run in a shell");
                self.printed = self.run(place, &text);
            }
            Purpose::Listens(port) => {
                let port: u16 = self.meant(&port.to_string()).parse().unwrap();
                let log = self.folder().join(format!(".log-{port}"));
                self.run(place, &format!("{{ {text} }} >{} 2>&1 </dev/null &", log.display()));
                until(&format!("{place} to answer"), async || answers(port).then_some(())).await;
            }
            Purpose::Output => {
                assert!(is_as_shown(&self.printed, &text), "{place}: it prints\n{}instead of\n{text}", self.printed);
            }
            Purpose::File(name) => {
                let path = self.place_of(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            Purpose::Compiled(name) => {
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docs").join(name);
                assert_eq!(
                    std::fs::read_to_string(path).unwrap(),
                    text,
                    "{place}: left: tests/docs/{name}; right: the page"
                );
            }
            Purpose::Unrun => assert!(is_balanced(&text), "{place}: brackets are left open"),
            Purpose::Shown => assert!(
                !["bash", "sh"].contains(&&*block.language),
                "{place}: say behind `{}` what becomes of it: run, or listens=PORT",
                block.language
            ),
        }
    }

    /// The path of a file in the folder where the shell is.
    fn place_of(&mut self, name: &str) -> PathBuf {
        let folder = self.run("the terminal", "pwd");
        Path::new(folder.trim_end()).join(name)
    }

    /// Carries out commands, which must succeed, and returns what they print.
    pub fn run(&mut self, place: &str, commands: &str) -> String {
        // Each command must succeed, and the shell goes on.
        let errors = self.folder.path().join(".errors");
        let script = format!(
            "kt_failed=; trap 'kt_failed=\"$kt_failed $BASH_COMMAND\"' ERR; {{\n{commands}\n}} 2>{}; trap - ERR\n\
             printf '\\n{END} %s\\n' \"$kt_failed\"\n",
            errors.display()
        );
        self.input.write_all(script.as_bytes()).unwrap();
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            let length = self.output.read_line(&mut line).unwrap();
            let told = || std::fs::read_to_string(&errors).unwrap_or_default();
            assert_ne!(length, 0, "{place}: the shell has ended\n{printed}{}", told());
            if let Some(failed) = line.strip_prefix(END) {
                let logs = if failed.trim().is_empty() { String::new() } else { self.logs() };
                assert_eq!(failed.trim(), "", "{place} fails: it prints\n{printed}{}{logs}", told());
                printed.pop();
                return printed;
            }
            printed.push_str(&line);
        }
    }

    /// What the programs have said that still run.
    pub fn logs(&self) -> String {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path());
        let logs = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(".log-"));
        logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}

/// Whether HTTP is answered on a port. A server may listen before it is ready.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    asked.is_ok() && stream.read(&mut [0; 1]).is_ok_and(|length| length == 1)
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The whole group: the shell and what it has started.
        let _ = Command::new("kill").args(["-s", "KILL", "--"]).arg(format!("-{}", self.shell.id())).status();
        let _ = self.shell.wait();
    }
}
