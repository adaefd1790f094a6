//! The log of revocations as rows.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::{Reason, Revocation, Revoked};
use crate::db::schema::revocations;
use crate::db::{Conn, DbError, DbResult};
use crate::types::{ClientId, Jti, KeyId, SessionId, Timestamp, UserId};

/// The position of an entry in the log: on Postgres the id of its transaction, on SQLite its `seq`.
pub(super) type Position = i64;

/// The positions that were visible at a read. On Postgres they are those of a snapshot, because a sequence number is
/// assigned before the commit and a later one can become visible first. On SQLite commits have the order of `seq`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The end: no position from here on was visible.
    pub end: Position,
    /// The positions before the end that were not visible either: those of transactions that were running.
    pub running: Vec<Position>,
}

impl Snapshot {
    /// Returns whether a position was visible.
    pub(super) fn contains(&self, position: Position) -> bool {
        position < self.end && !self.running.contains(&position)
    }

    /// Parses the text of Postgres: the first transaction that was running, the first that was not begun, and those in
    /// between that were running.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':').skip(1);
        let end = parts.next()?.parse().ok()?;
        let running = parts.next()?.split_terminator(',').map(|id| id.parse().ok()).collect::<Option<_>>()?;
        Some(Self { end, running })
    }
}

/// The position of a reader.
#[derive(Clone, Default)]
pub(super) struct Cursor {
    /// What was visible at the last read.
    pub snapshot: Snapshot,
    /// The identity of the database that was read, which changes when its server starts anew; on SQLite that of this
    /// process's reader.
    pub database: i64,
}

/// The snapshot, and the identity of a start of Postgres and of the database in it: a database that was restored has
/// another.
const SNAPSHOT: &str = "SELECT pg_current_snapshot()::text AS snapshot, \
    hashtextextended(concat_ws('/', extract(epoch FROM pg_postmaster_start_time()), \
    (SELECT oid FROM pg_database WHERE datname = current_database())), 0) AS database";

/// The columns of a [`Row`], with the one that is its position.
macro_rules! columns {
    ($position:expr) => {
        (
            $position,
            revocations::session_id,
            revocations::jti,
            revocations::before_revision,
            revocations::key_id,
            revocations::client_id,
            revocations::reason,
            revocations::revoked_at,
            revocations::expires_at,
        )
    };
}

/// The result of one read of the log.
pub(super) struct Read {
    /// The unexpired entries that were not visible at the cursor.
    pub revocations: Vec<(Revocation, Position)>,
    /// The cursor of the next read.
    pub cursor: Cursor,
    /// Whether these are all unexpired entries, because the cursor was of another server or of a later time. Never with
    /// SQLite, which no standby takes over from.
    pub is_complete: bool,
}

/// The answer to [`SNAPSHOT`].
#[derive(QueryableByName)]
struct SnapshotRow {
    #[diesel(sql_type = Text)]
    snapshot: String,
    #[diesel(sql_type = BigInt)]
    database: i64,
}

/// A row of the log.
#[derive(Queryable)]
struct Row {
    position: Position,
    session: Option<SessionId>,
    jti: Option<Jti>,
    before: Option<i64>,
    key: Option<KeyId>,
    client: Option<ClientId>,
    reason: String,
    revoked_at: Timestamp,
    expires_at: Timestamp,
}

impl Row {
    /// Returns the entry, unless the row is none of this version.
    fn entry(self) -> Option<(Revocation, Position)> {
        let revoked = match (self.key, self.client, self.session, self.jti, self.before) {
            (Some(key), None, None, None, None) => Revoked::Key(key),
            (None, Some(client), None, None, None) => Revoked::Client(client),
            (None, None, Some(session), None, None) => Revoked::Session(session),
            (None, None, session, Some(jti), None) => Revoked::Token { session, jti },
            (None, None, Some(session), latest, Some(revision)) => Revoked::TokensBefore { session, revision, latest },
            _ => return None,
        };
        let reason = Reason::parse(&self.reason);
        let entry = Revocation { revoked, reason, revoked_at: self.revoked_at, expires_at: self.expires_at };
        Some((entry, self.position))
    }
}

/// Inserts entries.
pub(super) fn append(conn: &mut Conn, entries: &[Revocation], user: Option<UserId>) -> DbResult<()> {
    for entry in entries {
        let (key, client) = match entry.revoked {
            Revoked::Key(key) => (Some(key), None),
            Revoked::Client(client) => (None, Some(client)),
            Revoked::Session(_) | Revoked::TokensBefore { .. } | Revoked::Token { .. } => (None, None),
        };
        let (session, jti, before) = match entry.revoked {
            Revoked::Session(session) => (Some(session), None, None),
            Revoked::TokensBefore { session, revision, latest } => (Some(session), latest, Some(revision)),
            Revoked::Token { session, jti } => (session, Some(jti), None),
            Revoked::Key(_) | Revoked::Client(_) => (None, None, None),
        };
        diesel::insert_into(revocations::table)
            .values((
                revocations::session_id.eq(session),
                revocations::user_id.eq(user),
                revocations::reason.eq(entry.reason.name()),
                revocations::revoked_at.eq(entry.revoked_at),
                revocations::expires_at.eq(entry.expires_at),
                revocations::before_revision.eq(before),
                revocations::jti.eq(jti),
                revocations::key_id.eq(key),
                revocations::client_id.eq(client),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Reads the unexpired entries that were not visible at `cursor`.
pub(super) fn since(conn: &mut Conn, cursor: &Cursor, now: Timestamp) -> DbResult<Read> {
    let unexpired = revocations::table.filter(revocations::expires_at.gt(now));
    if let Conn::Postgres(_) = conn {
        // Read before the rows, so that an entry that is committed in between is read at the next call again.
        let row: SnapshotRow = diesel::sql_query(SNAPSHOT).get_result(conn)?;
        let snapshot = Snapshot::parse(&row.snapshot)
            .ok_or_else(|| DbError::Unexpected(format!("the snapshot {:?} cannot be read", row.snapshot)))?;
        // A database that was restored from a backup has lower transaction ids, and one that was a standby uses those
        // again that it has not received.
        let is_complete = row.database != cursor.database || snapshot.end < cursor.snapshot.end;
        let former = if is_complete { &Snapshot::default() } else { &cursor.snapshot };
        let is_new = revocations::txid.ge(former.end).or(revocations::txid.eq_any(&former.running));
        let rows: Vec<Row> = unexpired.filter(is_new).select(columns!(revocations::txid)).load(conn)?;
        let cursor = Cursor { snapshot, database: row.database };
        return Ok(Read { revocations: rows.into_iter().filter_map(Row::entry).collect(), cursor, is_complete });
    }
    let end = cursor.snapshot.end;
    let rows: Vec<Row> = unexpired.filter(revocations::seq.ge(end)).select(columns!(revocations::seq)).load(conn)?;
    let end = rows.iter().map(|row| row.position.saturating_add(1)).max().unwrap_or(end);
    let cursor = Cursor { snapshot: Snapshot { end, running: Vec::new() }, database: cursor.database };
    Ok(Read { revocations: rows.into_iter().filter_map(Row::entry).collect(), cursor, is_complete: false })
}

/// Deletes up to `limit` entries that expired at `before` or earlier. Returns their number.
pub(super) fn expire(conn: &mut Conn, before: Timestamp, limit: i64) -> DbResult<usize> {
    let expired = revocations::table.filter(revocations::expires_at.le(before));
    let entries: Vec<i64> = expired.select(revocations::seq).limit(limit).load(conn)?;
    Ok(diesel::delete(revocations::table.filter(revocations::seq.eq_any(entries))).execute(conn)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_what_was_committed_before_its_end() {
        let snapshot = Snapshot::parse("100:104:100,102").unwrap();
        assert_eq!((99..=105).filter(|id| snapshot.contains(*id)).collect::<Vec<_>>(), [99, 101, 103]);
        assert_eq!(Snapshot::parse("7:7:"), Some(Snapshot { end: 7, running: Vec::new() }));
        for other in ["", "7", "7:7", "7:a:", "7:7:7,,8", "7:7:b"] {
            assert_eq!(Snapshot::parse(other), None, "{other}");
        }
    }
}
