//! Certificates for tests.

use std::path::PathBuf;
use std::process::Command;

use super::folder::Folder;
use super::servers::is_root;
use super::{random_hex, variable};

/// A certificate authority of the test's own.
pub struct Authority(Folder);

const CONFIGURATION: &str = "\
[req]
prompt = no
distinguished_name = name
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[name]
CN = ";

impl Authority {
    pub fn new() -> Self {
        let authority = Self(Folder::new());
        std::fs::write(authority.path("openssl.cnf"), format!("{CONFIGURATION}{}\n", random_hex::<8>())).unwrap();
        let options = ["-x509", "-extensions", "authority", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"];
        authority.openssl(&[&["req"][..], &NEW_KEY, &options].concat());
        authority
    }

    /// Certificate and key of a server with these names, such as `DNS:localhost`. The key is Postgres' to read.
    pub fn issue(&self, names: &str) -> [String; 2] {
        std::fs::write(self.path("names.cnf"), format!("subjectAltName = {names}\n")).unwrap();
        self.openssl(&[&["req"][..], &NEW_KEY, &["-keyout", "server.key", "-out", "server.csr"]].concat());
        let authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names.cnf"];
        self.openssl(&[&["x509", "-req", "-in", "server.csr", "-out", "server.pem"][..], &authority].concat());
        if is_root() {
            assert!(Command::new("chown").arg("postgres:").arg(self.path("server.key")).status().unwrap().success());
        }
        ["server.pem", "server.key"].map(|file| self.path(file).display().to_string())
    }

    pub fn certificate(&self) -> String {
        self.path("ca.pem").display().to_string()
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn openssl(&self, arguments: &[&str]) {
        let mut openssl = Command::new(variable("KEYTURN_TEST_OPENSSL"));
        let output = openssl.args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

const NEW_KEY: [&str; 7] = ["-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
