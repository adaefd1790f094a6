//! Whether a server makes progress, for the watchdog of a service manager.

use std::time::Duration;

use super::App;

/// The longest that a turn of the log reader takes, with every time-out of the database and the cache in it.
const MAX_TURN: Duration = Duration::from_secs(20);

/// The longest time between two reads of the log while the database answers.
const MAX_BETWEEN_READS: Duration = Duration::from_secs(3);

/// A part of this process that makes no progress, which a restart can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stall {
    /// The task that reads the log of revocations.
    #[error("the log of revocations was neither read nor tried to be read for {} s", .0.as_secs())]
    LogReader(Duration),
    /// The thread that rotates refresh tokens.
    #[error("the thread that rotates refresh tokens does not answer, although the database does")]
    Rotation,
}

impl App {
    /// Checks that the log of revocations is read, and that the thread that rotates refresh tokens answers. A database
    /// that does not answer is no stall: a restart would not help, and end what works without it.
    ///
    /// # Errors
    /// One of the two makes no progress.
    pub async fn check_progress(&self) -> Result<(), Stall> {
        let reader = self.sessions.log.reader_progress();
        if reader.since_turn() > MAX_TURN {
            return Err(Stall::LogReader(reader.since_turn()));
        }
        let database_answers = || reader.since_read() <= MAX_BETWEEN_READS;
        // Asked again afterwards, as the database may have stopped to answer meanwhile.
        if database_answers() && !self.sessions.rotator.makes_progress().await && database_answers() {
            return Err(Stall::Rotation);
        }
        Ok(())
    }
}
