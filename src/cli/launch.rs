//! How this program was started, so that texts can name the command that starts it again.

use std::env;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};

/// Returns the command that runs this program again, as an operator types it: by cargo, in a container, or installed.
pub(super) fn own_command() -> String {
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
    }
    .command()
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
}

impl Launch {
    fn command(&self) -> String {
        // Somebody with a shell in a container needs no way into it.
        if self.is_service {
            match (&self.pod, self.runtime, &self.container) {
                (Some(pod), _, _) => return format!("kubectl exec -it {pod} -- {}", self.installed()),
                (None, Some(runtime), Some(name)) => return format!("{runtime} exec -it {name} {}", self.installed()),
                (None, Some(_) | None, _) => {}
            }
        }
        let profile = self.program.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        match profile.filter(|_| self.is_by_cargo) {
            Some("release") => "cargo run --release --".to_owned(),
            Some("debug") => "cargo run --".to_owned(),
            Some(_) | None => self.installed(),
        }
    }

    /// Returns the program as a shell in the same folder finds it.
    fn installed(&self) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy();
        if self.is_on_path {
            return name.into_owned();
        }
        let path = match self.program.strip_prefix(&self.folder) {
            Ok(below) => format!("./{}", below.display()),
            Err(_) => self.program.display().to_string(),
        };
        let is_plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
        if is_plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) }
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
