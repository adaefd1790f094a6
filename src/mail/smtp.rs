//! The way to a mail server (RFC 5321).

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};

use super::SetupError;
use crate::config::{self, Encryption};

/// The longest that a mail server may take for one mail, from the first byte to the last. RFC 5321 §4.5.3.2 allows it
/// minutes for each step; a mail that takes so long is tried again.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The longest that it may take to say goodbye, when the mail is delivered already.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What a certificate begins with.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A mail server.
pub struct Relay {
    server: (String, u16),
    encryption: Encryption,
    tls: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
}

/// Why a mail was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may be next time: nobody answers, the login is refused, the server is busy.
    #[error("{0}")]
    Passing(String),
    /// It never will be: the server refuses the recipient or the message.
    #[error("{0}")]
    Final(String),
}

impl Relay {
    pub fn new(config: &config::Relay) -> Result<Self, SetupError> {
        let unusable = |error: &dyn std::fmt::Display| SetupError::Tls(error.to_string());
        let mut tls = TlsParameters::builder(config.host.clone());
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
            if !pem.windows(PEM.len()).any(|window| window == PEM) {
                return Err(unusable(&"SMTP_CA_FILE holds no certificate"));
            }
            let authorities = Certificate::from_pem(&pem).map_err(|error| unusable(&error))?;
            tls = tls.certificate_store(CertificateStore::None).add_root_certificate(authorities);
        }
        let credentials = config.credentials.as_ref();
        Ok(Self {
            server: (config.host.clone(), config.port),
            encryption: config.encryption,
            tls: tls.build().map_err(|error| unusable(&error))?,
            credentials: credentials.map(|(user, password)| Credentials::new(user.clone(), password.to_string())),
            hello: ClientId::Domain(config.hello.clone()),
        })
    }

    /// Hands over a message. `Ok` means that the server has taken it.
    pub async fn deliver(&self, from: &Address, to: &Address, message: &[u8]) -> Result<(), Failure> {
        let mut connection = in_time(self.hand_over(from, to, message)).await?;
        // The mail is theirs, whatever becomes of this.
        let _ = tokio::time::timeout(LAST_WORDS, connection.quit()).await;
        Ok(())
    }

    /// Whether the server answers and takes the credentials.
    pub async fn answers(&self) -> Result<(), Failure> {
        let mut connection = in_time(async { self.connect().await.map_err(passing) }).await?;
        let _ = tokio::time::timeout(LAST_WORDS, connection.quit()).await;
        Ok(())
    }

    async fn hand_over(&self, from: &Address, to: &Address, message: &[u8]) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = self.connect().await.map_err(passing)?;
        let mut parameters = Vec::new();
        if !from.to_string().is_ascii() || !to.to_string().is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::Final("the mail server takes no address outside ASCII (SMTPUTF8)".to_owned()));
            }
            // A server with the one extension has the other (RFC 6531 §3.1): the address stands in the message too.
            parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
        }
        // The sender is the operator's choice: a refusal is the fault of no mail, and ends with the next setting.
        connection.command(Mail::new(Some(from.clone()), parameters)).await.map_err(passing)?;
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(of_this_mail)?;
        connection.command(Data).await.map_err(of_this_mail)?;
        connection.message(message).await.map_err(of_this_mail)?;
        Ok(connection)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let server = (self.server.0.as_str(), self.server.1);
        let tls = || self.tls.clone();
        let at_once = (self.encryption == Encryption::Implicit).then(tls);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(PATIENCE), &self.hello, at_once, None).await?;
        match self.encryption {
            Encryption::Opportunistic if connection.can_starttls() => {
                connection.starttls(tls(), &self.hello).await?;
            }
            Encryption::Required => connection.starttls(tls(), &self.hello).await?,
            Encryption::Opportunistic | Encryption::None | Encryption::Implicit => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = || Failure::Passing(format!("the mail server took longer than {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
}

fn passing(error: Error) -> Failure {
    Failure::Passing(without_addresses(&error.to_string()))
}

/// A refusal of the recipient or the message is final, unless the server means to say that we have to log in or encrypt
/// (RFC 4954 §6, RFC 3207 §4), or that it has lost the thread (503).
fn of_this_mail(error: Error) -> Failure {
    const OURS: [u16; 5] = [503, 530, 534, 535, 538];
    if error.is_permanent() && !error.status().is_some_and(|code| OURS.contains(&code.into())) {
        return Failure::Final(without_addresses(&error.to_string()));
    }
    passing(error)
}

/// The most of what a server says that is kept.
const LONGEST_ERROR: usize = 300;

/// Servers repeat the address that they refuse, and what they say is logged.
fn without_addresses(text: &str) -> String {
    let hide = |word: &str| if word.contains('@') { "(address)".to_owned() } else { word.to_owned() };
    let text = text.split_whitespace().map(hide).collect::<Vec<_>>().join(" ");
    text.chars().filter(|c| !c.is_control()).take(LONGEST_ERROR).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_kept_short_and_without_addresses() {
        let told = "permanent error (550): 5.1.1 <ada@example.com>: unknown\r\nada@example.com";
        assert_eq!(without_addresses(told), "permanent error (550): 5.1.1 (address) unknown (address)");
        assert_eq!(without_addresses(&"x".repeat(1000)).len(), LONGEST_ERROR);
    }
}
