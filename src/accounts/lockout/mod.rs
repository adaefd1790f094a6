//! Guessing passwords: failures in a row make the next attempt wait, longer each time, without a stranger being able to
//! lock anybody out.
//!
//! Attempts from a device that the account trusts are judged by that device's failures alone, and attempts from a network
//! in which the account has, or lately had, a session by that network's; all others by the failures of their own network
//! and by those of all unknown networks together. Accounts that do not exist are judged in the same way.

mod store;

use std::time::Duration;

use uuid::Uuid;

use super::Accounts;
use super::email::Email;
use super::mfa::token::Token;
use super::mfa::trusted_devices::trusts;
use super::store::{self as accounts, UserRow};
use crate::audit::{Actor, Event, Record};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::db::types::UserId;
use crate::db::{Conn, DbError, DbResult};
use crate::devices::Network;
use crate::limits::{Kind, Limited};

use store::Failures;

/// Failures in a row that cost nothing.
const FREE: u32 = 5;

/// The longest that an attempt has to wait for after the last failure.
const LONGEST: Duration = Duration::from_secs(900);

/// After this, failures are forgotten.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(86_400);

/// The name in metrics and in the audit log, beside those of the limits.
const NAME: &str = "login-failures";

/// Why a guess at a password is not even looked at.
#[derive(Debug, thiserror::Error)]
pub enum GuessError {
    #[error("too many failures in a row")]
    TooManyFailures { retry_after: Duration },
    #[error("too many attempts")]
    Limited(Limited),
    #[error(transparent)]
    Database(#[from] DbError),
}

/// By what failures are counted: a MAC of the account's address and of where they come from.
type Source = Vec<u8>;

/// An attempt that is let through: the caller says what became of it.
#[derive(Clone)]
pub struct Guess {
    /// What a failure counts for, and a success makes forgotten.
    sources: Vec<Source>,
    /// Whether any are remembered.
    has_failed: bool,
    user: Option<UserId>,
    pub client: Client,
}

/// What an account knows of where a guess comes from.
#[derive(Clone, Copy)]
enum Knows {
    Device,
    Network,
    Neither,
}

fn network(client: &Client) -> String {
    client.address.map_or_else(|| "nowhere".to_owned(), |address| Network::of(address).to_string())
}

fn name(device: &Token) -> String {
    device.digest().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long an attempt has to wait since the last failure, after this many in a row.
fn delay(failures: i32) -> Duration {
    let failures = u32::try_from(failures).unwrap_or(0);
    match failures.checked_sub(FREE) {
        Some(beyond) => Duration::from_secs(1 << beyond.min(10)).min(LONGEST),
        None => Duration::ZERO,
    }
}

/// How long one has to wait from `now` on.
fn wait(failures: &Failures, now: Timestamp) -> Duration {
    failures.last_failed_at.plus(delay(failures.failures)).since(now)
}

impl Accounts {
    /// Judges an attempt to guess the password of `email`, before any work is done for it.
    pub(super) async fn admit(
        &self,
        email: &Email,
        device: Option<&Token>,
        client: &Client,
    ) -> Result<Guess, GuessError> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let (user, knows) = self.recognize(email, device, client).await?;
        let (here, elsewhere) = (self.source(email, &network(client)), self.source(email, "elsewhere"));
        let sources = match (knows, device) {
            (Knows::Device, Some(device)) => vec![self.source(email, &name(device))],
            (Knows::Device | Knows::Network, _) => vec![here],
            (Knows::Neither, _) => vec![here, elsewhere],
        };
        let looked_up = sources.clone();
        let failures = parts.db.read(move |conn| store::failures(conn, &looked_up, now.minus(FORGOTTEN_AFTER))).await?;
        let waits = failures.iter().map(|failures| wait(failures, now));
        let waits: Vec<Duration> = waits.collect();
        let retry_after = waits.iter().max().copied().unwrap_or_default();
        let guess = Guess { sources, has_failed: !waits.is_empty(), user, client: client.clone() };
        if !retry_after.is_zero() {
            self.note_limit(NAME, &guess).await;
            return Err(GuessError::TooManyFailures { retry_after });
        }
        // What is known has a count of its own, which nobody elsewhere can use up.
        let subject = match (knows, guess.sources.first()) {
            (Knows::Device | Knows::Network, Some(own)) => own.as_slice(),
            _ => email.normalized().as_bytes(),
        };
        match parts.limits.check(&parts.cache, Kind::LoginAccount, subject).await {
            Ok(_) => Ok(guess),
            Err(limited) => {
                self.note_limit(Kind::LoginAccount.name(), &guess).await;
                Err(GuessError::Limited(limited))
            }
        }
    }

    /// The account, and whether it knows where a guess comes from. Looked up for an account that is not there too, which
    /// must not be told by the time.
    async fn recognize(
        &self,
        email: &Email,
        device: Option<&Token>,
        client: &Client,
    ) -> DbResult<(Option<UserId>, Knows)> {
        let (parts, now) = (&*self.0, self.0.clock.now());
        let (normalized, device, client) = (email.normalized().to_owned(), device.cloned(), client.clone());
        let sessions = parts.sessions.clone();
        let recognized = parts.db.read(move |conn| {
            let user = accounts::by_email(conn, &normalized)?.map(|user| user.id);
            let own = user.unwrap_or(UserId(Uuid::nil()));
            if let Some(device) = device
                && trusts(conn, own, &device, now)?
            {
                return Ok((user, Knows::Device));
            }
            let knows = if sessions.know_network(conn, own, &client)? { Knows::Network } else { Knows::Neither };
            Ok((user, knows))
        });
        recognized.await
    }

    /// Notes a guess that was wrong, with why.
    pub(super) async fn failed(&self, guess: &Guess, record: Record) -> DbResult<()> {
        let (audit, sources, now) = (self.0.audit.clone(), guess.sources.clone(), self.0.clock.now());
        let noted = self.0.db.write(move |conn| {
            for source in &sources {
                store::count(conn, source, now, now.minus(FORGOTTEN_AFTER))?;
            }
            audit.append(conn, &record)
        });
        noted.await
    }

    /// [`Self::admit`] for an attempt by who is logged in already; `None` when the account is gone. Guesses with a stolen
    /// session count like guesses at the login.
    pub(super) async fn admit_owner(
        &self,
        user: UserId,
        client: &Client,
    ) -> Result<Option<(UserRow, Guess)>, GuessError> {
        let Some(user) = self.0.db.read(move |conn| accounts::by_id(conn, user)).await? else { return Ok(None) };
        let email = Email::parse(&user.email).map_err(|_| DbError::Unexpected("an address that is none".to_owned()))?;
        let guess = self.admit(&email, None, client).await?;
        Ok(Some((user, guess)))
    }

    /// Forgets the failures before a guess that was right.
    pub(super) async fn succeeded(&self, guess: &Guess) -> DbResult<()> {
        if !guess.has_failed {
            return Ok(());
        }
        let guess = guess.clone();
        self.0.db.write(move |conn| guess.succeeded_in(conn)).await
    }

    async fn note_limit(&self, name: &'static str, guess: &Guess) {
        let parts = &*self.0;
        parts.metrics.limited(name);
        let Some(here) = guess.sources.first() else { return };
        if !parts.limits.is_news(name, here) {
            return;
        }
        let record = Record::new(Event::LimitHit, &Actor::stranger(&guess.client)).on(guess.user).with("limit", name);
        if let Err(error) = parts.audit.append_alone(record).await {
            tracing::warn!(%error, "a limit that was hit is missing in the audit log");
        }
    }

    /// No address is kept in clear, neither of a person nor of a client.
    fn source(&self, email: &Email, place: &str) -> Source {
        self.0.lockout_key.tag(format!("{place} {}", email.normalized()).as_bytes()).to_vec()
    }
}

impl Guess {
    /// Forgets the failures before a guess that was right, in the transaction that it leads to.
    pub(super) fn succeeded_in(&self, conn: &mut Conn) -> DbResult<()> {
        // In the order in which failures are counted, so that neither waits for the other.
        self.sources.iter().try_for_each(|source| store::forget(conn, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_are_free_and_then_each_doubles_the_delay_up_to_a_quarter_of_an_hour() {
        let seconds = |failures| delay(failures).as_secs();
        assert_eq!([-1, 0, 1, 4].map(seconds), [0; 4]);
        assert_eq!([5, 6, 7, 8, 14].map(seconds), [1, 2, 4, 8, 512]);
        assert_eq!([15, 16, 100, i32::MAX].map(seconds), [900; 4]);
    }

    #[test]
    fn a_wait_counts_from_the_last_failure() {
        let last_failed_at = Timestamp::from_secs(1000);
        let failures = Failures { failures: 7, last_failed_at };
        let wait_at = |second| wait(&failures, Timestamp::from_secs(second)).as_secs();
        assert_eq!([1000, 1001, 1004, 2000].map(wait_at), [4, 3, 0, 0]);
    }
}
