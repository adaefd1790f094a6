//! TLS to a server, verified as the URL says.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use rustls::{RootCertStore, StreamOwned};

use super::certificate::{is_current, public_key};
use super::password_file::home;
use super::stream::{Socket, Stream};
use crate::config::postgres_url::{Host, Roots, TlsMode, TlsOptions};

/// The protocol that a server may ask for (PostgreSQL documentation, "Message Flow").
const ALPN: &[u8] = b"postgresql";

/// Bits of a mode by which others than the owner can read or write a file.
const OTHERS: u32 = 0o077;

/// The same for a file of root, which its group may read.
const OTHERS_OF_ROOT: u32 = 0o027;

/// The encryption of connections to one server.
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads the files of certificates anew, since they are replaced from time to time.
    pub(super) fn new(host: &Host, options: &TlsOptions) -> Result<Self, String> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = [(options.has_tls12, &TLS12), (options.has_tls13, &TLS13)];
        let versions: Vec<_> = versions.into_iter().filter_map(|(has, version)| has.then_some(version)).collect();
        let verifier = Arc::new(Verifier::new(options, &provider)?);
        let certificate = client_certificate(options, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&versions);
        let builder =
            builder.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match certificate {
            Some(certified) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.enable_sni = options.is_name_sent;
        let name = if host.name.is_empty() {
            host.address.map(|address| address.to_string()).unwrap_or_default()
        } else {
            host.name.clone()
        };
        let name = ServerName::try_from(name).map_err(|_| "the host is no name that a certificate can have".to_owned());
        Ok(Self { config: Arc::new(config), name: name? })
    }
}

/// Encrypts a connection.
pub(super) fn handshake(mut socket: Socket, tls: &Tls) -> io::Result<Stream> {
    let connection = ClientConnection::new(tls.config.clone(), tls.name.clone());
    let mut connection = connection.map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket).map_err(super::stream::or_timeout)?;
    }
    Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
}

/// Verifies a server's certificate as far as the URL wants it.
#[derive(Debug)]
struct Verifier {
    /// `None` if no certificate is verified.
    chains: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates of the file of authorities. A server may present one itself.
    trusted: Vec<CertificateDer<'static>>,
    is_name_verified: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let trusted = match &options.roots {
            Roots::System => Some(of_system()?),
            Roots::File(path) => Some(certificates(path)?),
            Roots::Home => {
                let path = in_home("root.crt").filter(|path| path.exists());
                path.as_deref().map(certificates).transpose()?
            }
        };
        let Some(trusted) = trusted else {
            if options.mode >= TlsMode::VerifyCa {
                let path = in_home("root.crt").map(|path| path.display().to_string()).unwrap_or_default();
                return Err(format!(
                    "root certificate file \"{path}\" does not exist: name a file by sslrootcert=PATH, or trust the \
                     authorities of the system by sslrootcert=system"
                ));
            }
            return Ok(Self { chains: None, trusted: Vec::new(), is_name_verified: false, provider: provider.clone() });
        };
        let mut roots = RootCertStore::empty();
        // One that cannot be an authority can still be presented itself.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let lists = options.revocation_lists.clone().or_else(|| in_home("root.crl").filter(|path| path.exists()));
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let chains = chains.with_crls(lists.as_deref().map(revocation_lists).transpose()?.unwrap_or_default());
        let chains = chains.build().map_err(|error| format!("no certificate authority can be used: {error}"))?;
        // Anybody can own one of the system's certificates, so none of them is trusted as a server's.
        let trusted = if options.roots == Roots::System { Vec::new() } else { trusted };
        let is_name_verified = options.mode == TlsMode::VerifyFull;
        Ok(Self { chains: Some(chains), trusted, is_name_verified, provider: provider.clone() })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chains) = &self.chains else { return Ok(ServerCertVerified::assertion()) };
        let verified = if self.trusted.contains(certificate) {
            // Often a certificate that has signed itself, which webpki takes for an authority's and refuses.
            if !is_current(certificate, now) {
                return Err(Error::InvalidCertificate(CertificateError::Expired));
            }
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)
                .map(|()| ServerCertVerified::assertion())
        } else {
            chains.verify_server_cert(certificate, intermediates, name, ocsp, now)
        };
        match verified {
            // The name is verified last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.is_name_verified => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    // The signatures are verified even where no certificate is: a login can be bound to the certificate.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        match (&self.chains, public_key(certificate)) {
            // A certificate that nobody verifies can be of the first version of X.509, of which webpki reads nothing.
            (None, Some(key)) => verify_tls13_signature_with_raw_key(message, &key.into(), signature, algorithms),
            _ => verify_tls13_signature(message, certificate, signature, algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Returns the client's certificate and its key, if there is one. That in the home directory is taken unless one is
/// named.
fn client_certificate(options: &TlsOptions, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, String> {
    if !options.has_certificate {
        return Ok(None);
    }
    let certificate = options.certificate.clone();
    let certificate = certificate.or_else(|| in_home("postgresql.crt").filter(|path| path.exists()));
    let Some(certificate) = certificate else { return Ok(None) };
    let key = options.key.clone().or_else(|| in_home("postgresql.key"));
    let key = key.ok_or("the client certificate has no key: name its file by sslkey=PATH")?;
    let metadata = std::fs::metadata(&key).map_err(|error| unreadable("private key", &key, error))?;
    if metadata.mode() & if metadata.uid() == 0 { OTHERS_OF_ROOT } else { OTHERS } != 0 {
        return Err(format!(
            "private key file \"{}\" can be read or changed by others: chmod 0600, or 0640 if root owns it",
            key.display()
        ));
    }
    let chain = certificates(&certificate)?;
    let read = PrivateKeyDer::from_pem_file(&key).map_err(|error| unreadable("private key", &key, error))?;
    let signer =
        provider.key_provider.load_private_key(read).map_err(|error| unreadable("private key", &key, error))?;
    Ok(Some(CertifiedKey::new(chain, signer)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| unreadable("certificate", path, error))?;
    if read.is_empty() { Err(unreadable("certificate", path, "it has no certificate")) } else { Ok(read) }
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let read = CertificateRevocationListDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| unreadable("revocation list", path, error))?;
    if read.is_empty() { Err(unreadable("revocation list", path, "it has no revocation list")) } else { Ok(read) }
}

/// Returns the authorities that the system trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("the system has no certificate authorities: {}", errors.join("; ")));
    }
    Ok(found.certs)
}

fn unreadable(what: &str, path: &Path, reason: impl std::fmt::Display) -> String {
    format!("{what} file \"{}\" cannot be used: {reason}", path.display())
}

/// Returns the path of a file where PostgreSQL's own programs look for it.
fn in_home(name: &str) -> Option<PathBuf> {
    Some(home()?.join(".postgresql").join(name))
}
