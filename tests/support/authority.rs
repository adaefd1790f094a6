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
[ca]
default_ca = lists
[lists]
database = index
default_md = sha256
default_crl_days = 2
crlnumber = number
crl_extensions = list
[list]
authorityKeyIdentifier = keyid
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
        self.give_to_postgres("server.key");
        ["server.pem", "server.key"].map(|file| self.path(file).display().to_string())
    }

    /// Certificate and key of a client that logs in as `user`, of the first version of X.509.
    pub fn issue_to(&self, user: &str) -> [String; 2] {
        let subject = format!("/CN={user}");
        let request = ["-keyout", "client.key", "-out", "client.csr", "-subj", &subject];
        self.openssl(&[&["req"][..], &NEW_KEY, &request].concat());
        let authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", "client.pem"];
        self.openssl(&[&["x509", "-req", "-in", "client.csr"][..], &authority].concat());
        ["client.pem", "client.key"].map(|file| self.path(file).display().to_string())
    }

    /// Certificate and key of a server that has signed its certificate itself. The key is Postgres' to read.
    pub fn sign_itself(names: &str) -> (Self, [String; 2]) {
        let authority = Self::new();
        let names = format!("subjectAltName={names}");
        let request = ["-x509", "-days", "2", "-addext", &names, "-keyout", "own.key", "-out", "own.pem"];
        authority.openssl(&[&["req"][..], &NEW_KEY, &request].concat());
        authority.give_to_postgres("own.key");
        let files = ["own.pem", "own.key"].map(|file| authority.path(file).display().to_string());
        (authority, files)
    }

    /// A list of the revoked certificates: `certificate`, or none.
    pub fn revocations(&self, certificate: Option<&str>) -> String {
        std::fs::write(self.path("index"), "").unwrap();
        std::fs::write(self.path("number"), "01").unwrap();
        let authority = ["ca", "-config", "openssl.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
        if let Some(certificate) = certificate {
            self.openssl(&[&authority[..], &["-revoke", certificate]].concat());
        }
        self.openssl(&[&authority[..], &["-gencrl", "-out", "revoked.pem"]].concat());
        self.path("revoked.pem").display().to_string()
    }

    pub fn certificate(&self) -> String {
        self.path("ca.pem").display().to_string()
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Makes a key Postgres' to read.
    pub fn give_to_postgres(&self, file: &str) {
        if is_root() {
            assert!(Command::new("chown").arg("postgres:").arg(self.path(file)).status().unwrap().success());
        }
    }

    fn openssl(&self, arguments: &[&str]) {
        let mut openssl = Command::new(variable("KEYTURN_TEST_OPENSSL"));
        let output = openssl.args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

const NEW_KEY: [&str; 7] = ["-config", "openssl.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
