//! Whether the database can be written, found out by writing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::RunQueryDsl as _;
use diesel::sql_types::{Binary, Integer};
use tokio::sync::Mutex;

use super::channel::Channel;
use super::connection::Conn;
use super::error::{DbError, DbResult};
use super::{Db, with_timeout};
use crate::random::Random;

/// The time for which a result is used again.
const KEPT: Duration = Duration::from_secs(1);

/// Rows of the table. Each probe takes one of them, so that one that is stuck does not hold up the probes of others.
const SLOTS: u8 = 16;

/// Bytes that a probe writes usually.
const USUAL_SIZE: usize = 16;

/// Bytes that a probe writes if a statement has failed since the last one: more than fits into space that is there
/// already. On a full disk small changes in place still succeed.
const SIZE_IN_DOUBT: usize = 256 * 1024;

/// The condition of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It answers and can be written.
    Writable,
    /// It answers and cannot be written: read-only, a standby, a full disk, or a role without rights.
    NotWritable,
    /// It does not answer.
    Unavailable,
}

/// The latest result of a probe. Clones share it.
#[derive(Clone, Default)]
pub(super) struct LatestProbe {
    latest: Arc<Mutex<Option<(Instant, Condition)>>>,
}

impl Db {
    /// Finds out whether the database can be written, once a second at most.
    pub async fn condition(&self) -> Condition {
        let mut latest = self.latest_probe.latest.lock().await;
        if let Some((at, condition)) = *latest
            && at.elapsed() < KEPT
        {
            return condition;
        }
        let former = latest.map_or(Condition::Writable, |(_, condition)| condition);
        let condition = self.probe(former).await;
        *latest = Some((Instant::now(), condition));
        condition
    }

    /// Writes once. Logs a change from the `former` condition.
    async fn probe(&self, former: Condition) -> Condition {
        let size = if self.pool.take_doubt() { SIZE_IN_DOUBT } else { USUAL_SIZE };
        let write_queue = self.write_queue.clone();
        let refusal: DbResult<Option<DbError>> = with_timeout(self.pool.run(move |channel, _| {
            let _writing = write_queue.wait();
            match channel.run(|conn| write_probe(conn, size)) {
                Ok(()) => Ok(None),
                Err(error) => channel.ping().map(|()| Some(error)),
            }
        }))
        .await;
        let condition = match refusal {
            Ok(None) => {
                if former == Condition::NotWritable {
                    tracing::info!("the database can be written again");
                }
                return Condition::Writable;
            }
            Ok(Some(error)) => {
                if former != Condition::NotWritable {
                    tracing::error!(%error, "the database cannot be written: this server is not ready");
                }
                Condition::NotWritable
            }
            Err(_) => Condition::Unavailable,
        };
        self.pool.raise_doubt();
        condition
    }
}

/// Writes a row and deletes it, each durably.
///
/// # Errors
/// The database cannot be written.
pub fn write_test_row(channel: &mut Channel) -> DbResult<()> {
    let slot = i32::from(SLOTS);
    channel.write(|conn| write_slot(conn, slot, SIZE_IN_DOUBT))?;
    channel.write(|conn| {
        let delete = diesel::sql_query("DELETE FROM write_probes WHERE slot = $1");
        delete.bind::<Integer, _>(slot).execute(conn)?;
        Ok(())
    })
}

/// Writes one row in a transaction of its own, which holds no lock once the statement has ended.
fn write_probe(conn: &mut Conn, size: usize) -> DbResult<()> {
    let [slot] = Random.bytes::<1>();
    write_slot(conn, i32::from(slot % SLOTS), size)
}

fn write_slot(conn: &mut Conn, slot: i32, size: usize) -> DbResult<()> {
    let payload: Vec<u8> = std::iter::repeat_with(|| Random.bytes::<USUAL_SIZE>()).flatten().take(size).collect();
    diesel::sql_query(
        "INSERT INTO write_probes (slot, payload) VALUES ($1, $2) \
         ON CONFLICT (slot) DO UPDATE SET payload = excluded.payload",
    )
    .bind::<Integer, _>(slot)
    .bind::<Binary, _>(payload)
    .execute(conn)?;
    Ok(())
}
