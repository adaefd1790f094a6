//! Notifications of Postgres (`LISTEN`), by which the servers of one database wake each other.

use std::time::Duration;
use std::{io, thread};

use diesel::connection::SimpleConnection as _;
use tokio::sync::mpsc;

use super::channel::Purpose;
use super::error::DbResult;
use super::pool::Pool;
use super::{Conn, DbError};
use crate::config::Database;

/// How long a thread waits for a notification before it looks whether anybody waits for it.
const TURN: Duration = Duration::from_secs(1);

/// The number of turns without a notification after which the connection is tried: it may lead nowhere.
const QUIET_TURNS: usize = 10;

/// The time until a lost connection is opened again.
const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

/// Starts a thread that reports the notifications on `channel`, those that arrive together once. It ends after the
/// receiver is dropped. Notifications are lost while there is no connection, and there are none from SQLite or through
/// a pooler that gives sessions to others: whoever waits has to look from time to time anyway.
pub(super) fn listen(pool: &Pool, channel: &'static str) -> io::Result<Option<mpsc::Receiver<()>>> {
    let Database::Postgres { .. } = pool.database() else { return Ok(None) };
    let (sender, receiver) = mpsc::channel(1);
    let pool = pool.clone();
    thread::Builder::new().name("listener".to_owned()).spawn(move || {
        while !sender.is_closed() {
            match report(&pool, channel, &sender) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "notifications cannot be received"),
            }
            thread::sleep(RECONNECT_INTERVAL);
        }
    })?;
    Ok(Some(receiver))
}

/// Reports notifications until the receiver is dropped or there can be none.
fn report(pool: &Pool, channel: &str, sender: &mpsc::Sender<()>) -> DbResult<()> {
    let opened = pool.open(Purpose::Setup)?;
    if !opened.local_settings().is_empty() {
        return Ok(());
    }
    let Conn::Postgres(mut conn) = opened.into_conn() else { return Ok(()) };
    conn.listen(channel).map_err(DbError::from)?;
    // What happened before.
    let _ = sender.try_send(());
    let mut quiet_turns: usize = 0;
    while !sender.is_closed() {
        let is_notified = conn.has_notification(TURN).map_err(DbError::from)?;
        if !is_notified && quiet_turns < QUIET_TURNS {
            quiet_turns = quiet_turns.saturating_add(1);
            continue;
        }
        if !is_notified {
            conn.batch_execute("").map_err(DbError::from)?;
        }
        quiet_turns = 0;
        // A notification may have come with the answer. If the channel is full, the receiver has yet to look.
        let _ = sender.try_send(());
    }
    Ok(())
}
