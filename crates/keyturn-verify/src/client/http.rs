//! Requests over HTTP/1.1, each on a connection of its own: there is one for a long time, and few others.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Connection, InvalidSettings, RequestError, Settings};

/// How long a connection and the head of a response may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest body that is read whole, in bytes.
const MAX_BODY: usize = 1 << 20;

/// Who is called, and how.
pub(crate) struct Http {
    base: String,
    host: String,
    port: u16,
    authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    authorization: String,
}

impl Http {
    pub(crate) fn new(settings: &Settings) -> Result<Self, InvalidSettings> {
        let invalid = |what: &str| InvalidSettings(format!("{}: {what}", settings.url));
        let uri: Uri = settings.url.parse().map_err(|_| invalid("not a URL"))?;
        let host = uri.host().ok_or_else(|| invalid("no host"))?;
        // Rust's resolver takes an address of IPv6 without brackets.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(invalid("neither http:// nor https://")),
        };
        let tls = if is_tls {
            let name = ServerName::try_from(host.clone()).map_err(|_| invalid("no name of a server"))?;
            Some((TlsConnector::from(Arc::new(tls_configuration()?)), name))
        } else {
            None
        };
        let authority = uri.authority().ok_or_else(|| invalid("no host"))?.as_str().to_owned();
        if authority.contains('@') {
            return Err(invalid("a URL has no user and no password here"));
        }
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let credentials = format!("{}:{}", form(&settings.client_id), form(&settings.client_secret));
        let authorization = format!("Basic {}", STANDARD.encode(credentials));
        let base = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { base, host, port, authority, tls, authorization })
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("keyturn-verify/", env!("CARGO_PKG_VERSION")))
    }

    async fn connect(&self) -> Result<http1::SendRequest<Full<Bytes>>, RequestError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(connection)?;
        stream.set_nodelay(true).map_err(connection)?;
        match &self.tls {
            Some((connector, name)) => {
                handshake(connector.connect(name.clone(), stream).await.map_err(connection)?).await
            }
            None => handshake(stream).await,
        }
    }

    async fn send(&self, request: http::request::Builder, body: String) -> Result<Response<Incoming>, RequestError> {
        let request = request.body(Full::new(Bytes::from(body))).map_err(connection)?;
        let answer = async { self.connect().await?.send_request(request).await.map_err(connection) };
        timeout(TIMEOUT, answer).await.map_err(|_| RequestError::Silence)?
    }

    /// Gets the keys, and for how many seconds they may be kept.
    pub(crate) async fn keys(&self) -> Result<(Bytes, Option<u64>), RequestError> {
        let response = self.send(self.request(Method::GET, "/.well-known/jwks.json"), String::new()).await?;
        let cache_control = response.headers().get(http::header::CACHE_CONTROL);
        let max_age = cache_control.and_then(|value| value.to_str().ok()).and_then(max_age);
        Ok((whole(response).await?, max_age))
    }

    /// Opens the feed, from a cursor on.
    pub(crate) async fn feed(&self, cursor: Option<&str>) -> Result<Response<Incoming>, RequestError> {
        let request = self
            .request(Method::GET, "/api/v1/revocations")
            .header(ACCEPT, "text/event-stream")
            .header(AUTHORIZATION, &self.authorization);
        let request = if let Some(cursor) = cursor { request.header("Last-Event-ID", cursor) } else { request };
        let response = self.send(request, String::new()).await?;
        if response.status() == 200 { Ok(response) } else { Err(RequestError::Status(response.status().as_u16())) }
    }
}

impl Connection {
    /// Asks keyturn whether a token is active (RFC 7662).
    pub(crate) async fn introspect(&self, token: &str) -> Result<bool, RequestError> {
        let request = self
            .http
            .request(Method::POST, "/oauth/introspect")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(AUTHORIZATION, &self.http.authorization);
        let response = self.http.send(request, format!("token={}", form(token))).await?;
        let answer: serde_json::Value =
            serde_json::from_slice(&whole(response).await?).map_err(|_| RequestError::Malformed)?;
        answer.get("active").and_then(serde_json::Value::as_bool).ok_or(RequestError::Malformed)
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<http1::SendRequest<Full<Bytes>>, RequestError> {
    let (sender, connection_task) = http1::handshake(TokioIo::new(stream)).await.map_err(connection)?;
    // It ends with the response, whose error says what went wrong.
    tokio::spawn(connection_task);
    Ok(sender)
}

async fn whole(response: Response<Incoming>) -> Result<Bytes, RequestError> {
    if response.status() != 200 {
        return Err(RequestError::Status(response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), MAX_BODY).collect();
    let body = timeout(TIMEOUT, body).await.map_err(|_| RequestError::Silence)?;
    Ok(body.map_err(|error| RequestError::Connection(error.to_string()))?.to_bytes())
}

fn connection(error: impl ToString) -> RequestError {
    RequestError::Connection(error.to_string())
}

fn max_age(cache_control: &str) -> Option<u64> {
    cache_control.split(',').find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok())
}

/// Encodes a text as in forms (RFC 6749 appendix B).
fn form(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn tls_configuration() -> Result<ClientConfig, InvalidSettings> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| InvalidSettings(error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Returns a duration of up to `max` by chance, so that many readers do not come back at once.
pub(crate) fn jitter(max: Duration) -> Duration {
    let mut bytes = [0; 2];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return max;
    }
    max.mul_f64(f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX))
}
