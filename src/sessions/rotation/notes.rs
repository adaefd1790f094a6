//! Notes: observations about sessions that the rotation thread writes to their rows.

use std::collections::HashSet;

use super::store;
use crate::audit::{Actor, Audit, Event, Record};
use crate::db::{Channel, Conn, DbResult};
use crate::types::{Jti, Requester, SessionId, Timestamp, UserId};

/// An observation about a session that is written to its row.
#[derive(Clone)]
pub(crate) struct Note {
    pub session: SessionId,
    /// The access token that was presented.
    pub seen: Option<Jti>,
    /// The refresh that was repeated within the replay window.
    pub replay: Option<Replay>,
    pub at: Timestamp,
}

impl Note {
    pub(super) fn replays(&self) -> i32 {
        i32::from(self.replay.is_some())
    }
}

/// A repeated refresh: the account, and where the request came from.
#[derive(Clone)]
pub(crate) struct Replay {
    pub user: UserId,
    pub requester: Requester,
}

/// Writes notes of different sessions in one statement (Postgres), or in one transaction (SQLite, or if there are
/// replays to audit).
pub(super) fn write_all(channel: &mut Channel, notes: &[Note], audit: &Audit) -> DbResult<()> {
    let replayed: Vec<_> = notes.iter().filter_map(|note| Some((note.session, note.replay.as_ref()?))).collect();
    let add_notes = |conn: &mut Conn| match &mut *conn {
        Conn::Postgres(postgres) => store::add_notes(postgres, notes),
        Conn::Sqlite(_) => notes.iter().try_for_each(|note| store::add_note(conn, note)),
    };
    if matches!(**channel, Conn::Postgres(_)) && replayed.is_empty() {
        return channel.run(add_notes);
    }
    channel.write(|conn| {
        add_notes(conn)?;
        for (session, Replay { user, requester }) in replayed {
            let record = Record::new(Event::RefreshReplayed, &Actor::anonymous(requester)).on(*user).session(session);
            audit.append(conn, &record)?;
        }
        Ok(())
    })
}

/// Splits notes into the first of each session and the rest, because one statement can change a row only once.
pub(super) fn first_of_each_session(notes: Vec<Note>) -> (Vec<Note>, Vec<Note>) {
    let mut sessions = HashSet::with_capacity(notes.len());
    let (mut first, rest): (Vec<_>, Vec<_>) = notes.into_iter().partition(|note| sessions.insert(note.session));
    first.sort_by_key(|note| note.session);
    (first, rest)
}
