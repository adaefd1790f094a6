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

/// Why a server takes no address whose name is outside ASCII.
const NO_UTF8: &str = "the mail server does not support SMTPUTF8, which addresses outside ASCII need";

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
    /// The email may be accepted later: the server is busy, or refuses it for a while.
    #[error("{0}")]
    Temporary(String),
    /// No email is accepted: the server cannot be used, or refuses the login, the sender or what is sent. This can be
    /// corrected.
    #[error("{0}")]
    Unusable(String),
    /// The email is not accepted as long as the server lacks SMTPUTF8, by which it takes addresses outside ASCII
    /// (RFC 6531). Others are.
    #[error("{NO_UTF8}")]
    NoUtf8,
    /// The email will never be accepted: the server refuses the recipient.
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

    /// Checks that the server answers and accepts the credentials and the sender. Returns whether it takes recipients
    /// outside ASCII.
    ///
    /// # Errors
    /// The server does not answer, or refuses the credentials or the sender.
    pub(super) async fn check(&self, from: &Address) -> Result<bool, Failure> {
        let check = async {
            let mut connection = self.connect().await?;
            connection.command(Mail::new(Some(from.clone()), Vec::new())).await.map_err(unusable)?;
            Ok(connection)
        };
        let mut connection = in_time(check).await?;
        let takes_utf8 = connection.server_info().supports_feature(Extension::SmtpUtfEight);
        let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
        Ok(takes_utf8)
    }

    async fn hand_over(&self, from: &Address, to: &Address, message: &[u8]) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = self.connect().await?;
        let mut parameters = Vec::new();
        if !from.to_string().is_ascii() || !to.to_string().is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(Failure::NoUtf8);
            }
            // SMTPUTF8 implies 8BITMIME (RFC 6531 §3.1), which the message needs because its headers contain the
            // address.
            parameters = vec![MailParameter::SmtpUtfEight, MailParameter::Body(MailBodyParameter::EightBitMime)];
        }
        // The sender is configured, so a refusal of it is not permanent: the configuration may be corrected. What is
        // sent is the same for all, but for the recipient: a server that refuses it wants another sender or template.
        connection.command(Mail::new(Some(from.clone()), parameters)).await.map_err(unusable)?;
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(refused_recipient)?;
        connection.command(Data).await.map_err(unusable)?;
        connection.message(message).await.map_err(unusable)?;
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
                .map_err(unusable_server)?;
        match self.encryption {
            Encryption::Opportunistic if connection.can_starttls() => {
                connection.starttls(tls(), &self.hello).await.map_err(unusable_server)?;
            }
            Encryption::Opportunistic if self.credentials.is_some() => {
                return Err(Failure::Unusable(
                    "the mail server does not offer STARTTLS, and the password is not sent unencrypted: \
                     tls=none in SMTP_URL would allow it"
                        .to_owned(),
                ));
            }
            Encryption::Required => connection.starttls(tls(), &self.hello).await.map_err(unusable_server)?,
            Encryption::Opportunistic | Encryption::None | Encryption::Implicit => {}
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(unusable_server)?;
        }
        Ok(connection)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let timed_out = || Failure::Unusable(format!("the mail server took longer than {} s", TIMEOUT.as_secs()));
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(timed_out()))
}

/// Returns the failure of a connection or a login.
fn unusable_server(error: Error) -> Failure {
    Failure::Unusable(without_addresses(&error.to_string()))
}

/// Returns the failure of a step that is the same for every recipient. An answer that asks for patience is about this
/// email.
fn unusable(error: Error) -> Failure {
    let text = without_addresses(&error.to_string());
    if error.is_transient() { Failure::Temporary(text) } else { Failure::Unusable(text) }
}

/// Returns the failure of a step that names the recipient. Many servers refuse the sender, the client or a missing
/// login only here, which the enhanced status code tells (RFC 3463).
fn refused_recipient(error: Error) -> Failure {
    let text = error.to_string();
    match error.status() {
        Some(code) if error.is_permanent() && is_about_recipient(code.into(), &text) => {
            Failure::Permanent(without_addresses(&text))
        }
        _ => unusable(error),
    }
}

/// Returns whether a refusal (5xx) that followed RCPT is about the recipient: by its enhanced status code if `text` has
/// one, otherwise by its code. Codes of policy (5.7) and of the protocol or the system (5.3, 5.5), and those of the
/// sender's address (5.1.7, 5.1.8), are about the client.
fn is_about_recipient(code: u16, text: &str) -> bool {
    const RECIPIENT_CODES: [u16; 4] = [550, 551, 552, 553];
    let enhanced = text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut parts = word.strip_prefix("5.")?.split('.').map(|part| part.parse::<u16>().ok());
        let subject = parts.next()??;
        let detail = parts.next()??;
        parts.next().is_none().then_some((subject, detail))
    });
    match enhanced {
        Some((1, 7 | 8)) => false,
        Some((1 | 2 | 4, _)) => true,
        Some((0, _)) | None => RECIPIENT_CODES.contains(&code),
        Some(_) => false,
    }
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
    fn only_what_is_said_of_the_recipient_gives_an_email_up() {
        for (code, text) in [
            (550, "550 5.1.1 <a@b.example> unknown"),
            (550, "550 no such user here"),
            (550, "550 5.4.1 Recipient address rejected: Access denied"),
            (553, "553 5.1.3 bad syntax"),
            (552, "552 5.2.2 mailbox full"),
            (550, "550 5.0.0 no"),
            (550, "550 192.0.5.1 does not know you"),
        ] {
            assert!(is_about_recipient(code, text), "{text}");
        }
        for (code, text) in [
            (553, "553 5.7.1 Sender address rejected: not owned by user"),
            (550, "550 5.7.26 unauthenticated email"),
            (554, "554 relay access denied"),
            (554, "554 5.7.1 Relay access denied"),
            (550, "550 5.1.8 Sender address rejected: Domain not found"),
            (530, "530 5.7.0 Must issue a STARTTLS command first"),
            (503, "503 5.5.1 bad sequence of commands"),
            (530, "530 authentication required"),
        ] {
            assert!(!is_about_recipient(code, text), "{text}");
        }
    }

    #[test]
    fn a_servers_text_is_shortened_and_its_addresses_are_removed() {
        let text = "permanent error (550): 5.1.1 <ada@example.com>: unknown\r\nada@example.com";
        assert_eq!(without_addresses(text), "permanent error (550): 5.1.1 (address) unknown (address)");
        assert_eq!(without_addresses(&"x".repeat(1000)).len(), MAX_ERROR_LENGTH);
    }
}
