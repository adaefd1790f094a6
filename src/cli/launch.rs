//! How this program was started, so that texts can name the command that starts it again.

use std::env;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};

/// Returns the command that runs this program again with the settings of `file`, as an operator types it: by cargo, in
/// a container, or installed.
pub(super) fn own_command(file: Option<&Path>) -> String {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("keyturn"));
    Launch {
        folder: env::current_dir().unwrap_or_default(),
        is_on_path: is_on_path(&program, &variable("PATH").unwrap_or_default()),
        program,
        is_by_cargo: variable("CARGO_MANIFEST_DIR").is_some() && variable("CARGO").is_some(),
        pod: variable("KUBERNETES_SERVICE_HOST").and_then(|_| variable("HOSTNAME")),
        container: variable("HOSTNAME").or_else(hostname),
        runtime: runtime(),
        is_service: std::process::id() == 1 || parent_id() <= 1,
        file: file.map(Path::to_owned),
    }
    .command()
}

/// Returns a text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// What is known of the start.
#[derive(Default)]
struct Launch {
    program: PathBuf,
    /// The folder in which it was started.
    folder: PathBuf,
    /// Whether the shell finds this program by its name.
    is_on_path: bool,
    is_by_cargo: bool,
    /// The name of the pod, on Kubernetes.
    pod: Option<String>,
    /// The name of the container, if this is one.
    container: Option<String>,
    /// The program that runs the container, if this is one.
    runtime: Option<&'static str>,
    /// Whether nobody's shell has started the program: it is the first process, or a child of that.
    is_service: bool,
    /// The file of settings.
    file: Option<PathBuf>,
}

impl Launch {
    fn command(&self) -> String {
        let is_outside = self.entry().is_some();
        let file = self.file.as_ref().map(|file| if is_outside { self.folder.join(file) } else { file.clone() });
        let option = file.map_or_else(String::new, |file| format!(" --config {}", quoted(&file.to_string_lossy())));
        match self.entry() {
            Some(entry) => format!("{entry} {}{option}", self.installed(true)),
            None => format!("{}{option}", self.program_here()),
        }
    }

    /// Returns what leads into the container from outside. Somebody with a shell in it needs no way.
    fn entry(&self) -> Option<String> {
        match (self.is_service, &self.pod, self.runtime, &self.container) {
            (true, Some(pod), _, _) => Some(format!("kubectl exec -it {pod} --")),
            (true, None, Some(runtime), Some(name)) => Some(format!("{runtime} exec -it {name}")),
            _ => None,
        }
    }

    fn program_here(&self) -> String {
        let profile = self.program.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        match profile.filter(|_| self.is_by_cargo) {
            Some("release") => "cargo run --release --".to_owned(),
            Some("debug") => "cargo run --".to_owned(),
            Some(_) | None => self.installed(false),
        }
    }

    /// Returns the program as a shell in the same folder finds it, or in `any_folder`.
    fn installed(&self, any_folder: bool) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        if self.is_on_path {
            return name.into_owned();
        }
        quoted(&match self.program.strip_prefix(&self.folder) {
            Ok(below) if !any_folder => format!("./{}", below.display()),
            Ok(_) | Err(_) => self.program.display().to_string(),
        })
    }
}

fn is_on_path(program: &Path, path: &str) -> bool {
    let Some(name) = program.file_name() else { return false };
    let found = env::split_paths(path).map(|folder| folder.join(name)).find(|path| path.is_file());
    // The first that a shell finds may be another one of the same name.
    found.and_then(|path| path.canonicalize().ok()).is_some_and(|found| found == program)
}

/// Returns the program that runs this container; `None` if this is none.
fn runtime() -> Option<&'static str> {
    let is = |path: &str| Path::new(path).exists();
    if is("/run/.containerenv") {
        return Some("podman");
    }
    is("/.dockerenv").then_some("docker")
}

fn hostname() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(profile: &str) -> Launch {
        let program = PathBuf::from(format!("/home/ada/keyturn/target/{profile}/keyturn"));
        Launch { program, folder: PathBuf::from("/home/ada/keyturn"), ..Launch::default() }
    }

    #[test]
    fn the_command_is_the_one_that_started_the_program() {
        let installed = || Launch { program: PathBuf::from("/usr/bin/keyturn"), is_on_path: true, ..Launch::default() };
        let name = || Some("4f1a2b3c4d5e".to_owned());
        let service = |runtime| Launch { container: name(), runtime, is_service: true, ..installed() };
        let pod = Some("keyturn-0".to_owned());
        let file = |path: &str| Some(PathBuf::from(path));
        for (launch, command) in [
            (Launch { is_by_cargo: true, ..built("release") }, "cargo run --release --"),
            (Launch { is_by_cargo: true, ..built("debug") }, "cargo run --"),
            (built("release"), "./target/release/keyturn"),
            (Launch { folder: PathBuf::from("/"), ..built("release") }, "./home/ada/keyturn/target/release/keyturn"),
            (Launch { folder: PathBuf::from("/srv"), ..built("debug") }, "/home/ada/keyturn/target/debug/keyturn"),
            (Launch { folder: PathBuf::from("/"), ..built("it's") }, "'./home/ada/keyturn/target/it'\\''s/keyturn'"),
            (installed(), "keyturn"),
            // Cargo's variables are inherited by what is started from a program that it runs.
            (Launch { is_by_cargo: true, ..installed() }, "keyturn"),
            (service(None), "keyturn"),
            (service(Some("docker")), "docker exec -it 4f1a2b3c4d5e keyturn"),
            (service(Some("podman")), "podman exec -it 4f1a2b3c4d5e keyturn"),
            (Launch { pod, ..service(Some("docker")) }, "kubectl exec -it keyturn-0 -- keyturn"),
            // What is run in a container begins in the folder of the image, wherever the server was started.
            (
                Launch { is_on_path: false, folder: PathBuf::from("/usr"), ..service(Some("docker")) },
                "docker exec -it 4f1a2b3c4d5e /usr/bin/keyturn",
            ),
            (
                Launch { folder: PathBuf::from("/srv"), file: file("kt.toml"), ..service(Some("podman")) },
                "podman exec -it 4f1a2b3c4d5e keyturn --config /srv/kt.toml",
            ),
            (Launch { file: file("/etc/kt.toml"), ..installed() }, "keyturn --config /etc/kt.toml"),
            (Launch { file: file("my kt.toml"), ..installed() }, "keyturn --config 'my kt.toml'"),
            (Launch { is_by_cargo: true, file: file("kt.toml"), ..built("debug") }, "cargo run -- --config kt.toml"),
            (Launch { is_service: false, ..service(Some("docker")) }, "keyturn"),
            (Launch { is_by_cargo: true, runtime: Some("docker"), ..built("debug") }, "cargo run --"),
        ] {
            assert_eq!(launch.command(), command);
        }
    }

    #[test]
    fn a_program_is_on_the_path_if_a_shell_would_find_it_first() {
        let own = env::current_exe().unwrap().canonicalize().unwrap();
        let folder = own.parent().unwrap().display().to_string();
        assert!(is_on_path(&own, &folder) && is_on_path(&own, &format!("/nowhere:{folder}")));
        assert!(!is_on_path(&own, "/usr/bin:/bin") && !is_on_path(&own, "") && !is_on_path(Path::new("/"), &folder));
    }
}
