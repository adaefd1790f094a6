//! The client of a mail server (SMTP, RFC 5321).

use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};

use super::SetupError;
use crate::config::{self, Encryption};

/// The time limit for one email, from the connection to its acceptance. RFC 5321 §4.5.3.2 allows minutes for each step;
/// an email that takes longer is tried again.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);

/// The time limit for the answer to QUIT, after the email was accepted.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The beginning of a certificate in PEM.
const PEM: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// A mail server.
pub(super) struct Relay {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
}

/// Why an email was not accepted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The email may be accepted later: the server does not answer, refuses the login, or is busy.
    #[error("{0}")]
    Temporary(String),
    /// The email will never be accepted: the server refuses the recipient or the message.
    #[error("{0}")]
    Permanent(String),
}

impl Relay {
    /// Creates the client for the configured mail server.
    ///
    /// # Errors
    /// The certificates cannot be used, or TLS cannot be set up.
    pub(super) fn new(config: &config::Relay) -> Result<Self, SetupError> {
        let unusable = |error: &dyn std::fmt::Display| SetupError::Tls(error.to_string());
        let mut tls = TlsParameters::builder(config.host.clone());
        if let Some(path) = &config.ca_file {
            let pem = std::fs::read(path).map_err(|error| unusable(&error))?;
            if !pem.windows(PEM.len()).any(|window| window == PEM) {
                return Err(unusable(&"SMTP_CA_FILE contains no certificate"));
            }
            let authorities = Certificate::from_pem(&pem).map_err(|error| unusable(&error))?;
            tls = tls.certificate_store(CertificateStore::None).add_root_certificate(authorities);
        }
        let credentials = config.credentials.as_ref();
        Ok(Self {
            host: config.host.clone(),
            port: config.port,
            encryption: config.encryption,
            tls: tls.build().map_err(|error| unusable(&error))?,
            credentials: credentials.map(|(user, password)| Credentials::new(user.clone(), password.to_string())),
            hello: ClientId::Domain(config.hello.clone()),
        })
    }

    /// Delivers a message. `Ok` means that the server has accepted it.
    ///
    /// # Errors
    /// The server has not accepted the message; [`Failure`] says whether it may do so later.
    pub(super) async fn deliver(&self, from: &Address, to: &Address, message: &[u8]) -> Result<(), Failure> {
        let mut connection = in_time(self.hand_over(from, to, message)).await?;
        // The email is accepted, whatever the server answers to QUIT.
        let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
        Ok(())
    }

    /// Checks that the server answers and accepts the credentials.
    ///
    /// # Errors
    /// The server does not answer or refuses the credentials.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let mut connection = in_time(self.connect()).await?;
        let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
        Ok(())
    }

    async fn hand_over(&self, from: &Address, to: &Address, message: &[u8]) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = self.connect().await?;
        let mut parameters = Vec::new();
        if !from.to_string().is_ascii() || !to.to_string().is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::Permanent(
                    "the mail server does not support addresses outside ASCII (SMTPUTF8)".to_owned(),
                ));
            }
            // SMTPUTF8 implies 8BITMIME (RFC 6531 §3.1), which the message needs because its headers contain the
            // address.
            parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
        }
        // The sender is configured, so a refusal of it is not permanent: the configuration may be corrected.
        connection.command(Mail::new(Some(from.clone()), parameters)).await.map_err(temporary)?;
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(permanent_if_refused)?;
        connection.command(Data).await.map_err(permanent_if_refused)?;
        connection.message(message).await.map_err(permanent_if_refused)?;
        Ok(connection)
    }

    /// Connects, encrypts and logs in as configured. Never sends the password unencrypted unless it was configured so.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let server = (self.host.as_str(), self.port);
        let tls = || self.tls.clone();
        let implicit_tls = (self.encryption == Encryption::Implicit).then(tls);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(TIMEOUT), &self.hello, implicit_tls, None)
                .await
                .map_err(temporary)?;
        match self.encryption {
            Encryption::Opportunistic if connection.can_starttls() => {
                connection.starttls(tls(), &self.hello).await.map_err(temporary)?;
            }
            Encryption::Opportunistic if self.credentials.is_some() => {
                return Err(Failure::Temporary(
                    "the mail server does not offer STARTTLS, and the password is not sent unencrypted: \
                     tls=none in SMTP_URL would allow it"
                        .to_owned(),
                ));
            }
            Encryption::Required => connection.starttls(tls(), &self.hello).await.map_err(temporary)?,
            Encryption::Opportunistic | Encryption::None | Encryption::Implicit => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(temporary)?;
        }
        Ok(connection)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let timed_out = || Failure::Temporary(format!("the mail server took longer than {} s", TIMEOUT.as_secs()));
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(timed_out()))
}

fn temporary(error: Error) -> Failure {
    Failure::Temporary(without_addresses(&error.to_string()))
}

/// Returns a permanent failure if the server refuses the recipient or the message. Codes that ask for a login or
/// encryption (RFC 4954 §6, RFC 3207 §4) or report a wrong order of commands (503) are temporary failures.
fn permanent_if_refused(error: Error) -> Failure {
    const CLIENT_CODES: [u16; 5] = [503, 530, 534, 535, 538];
    if error.is_permanent() && !error.status().is_some_and(|code| CLIENT_CODES.contains(&code.into())) {
        return Failure::Permanent(without_addresses(&error.to_string()));
    }
    temporary(error)
}

/// The maximum length of a server's text that is kept, in characters.
const MAX_ERROR_LENGTH: usize = 300;

/// Removes email addresses from a text before it is logged, because servers repeat the address that they refuse.
fn without_addresses(text: &str) -> String {
    let hide = |word: &str| if word.contains('@') { "(address)".to_owned() } else { word.to_owned() };
    let text = text.split_whitespace().map(hide).collect::<Vec<_>>().join(" ");
    text.chars().filter(|c| !c.is_control()).take(MAX_ERROR_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_text_is_shortened_and_its_addresses_are_removed() {
        let text = "permanent error (550): 5.1.1 <ada@example.com>: unknown\r\nada@example.com";
        assert_eq!(without_addresses(text), "permanent error (550): 5.1.1 (address) unknown (address)");
        assert_eq!(without_addresses(&"x".repeat(1000)).len(), MAX_ERROR_LENGTH);
    }
}
