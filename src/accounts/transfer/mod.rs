//! Accounts that move in and out, password hashes included: one JSON object on a line for each.

pub mod entry;
pub mod intake;
mod store;

use std::sync::Arc;

use super::Accounts;
use crate::audit::{Actor, Event, Record};
use crate::db::types::UserId;
use crate::db::{Conn, DbResult};
use entry::{Entry, Newcomer};

/// Accounts that go into or out of the database at once.
pub const BATCH: usize = 1000;

impl Accounts {
    /// Adds those of `newcomers` whose id and address no account has: all of these or none. Answers how many they were.
    /// What is there stays as it is, so that an import can be run again.
    pub async fn import(&self, newcomers: Arc<Vec<Newcomer>>) -> DbResult<usize> {
        let audit = self.0.audit.clone();
        let import = move |conn: &mut Conn| {
            let imported = store::insert_new(conn, newcomers.iter().map(Newcomer::row))?;
            if imported > 0 {
                let record = Record::new(Event::AccountsImported, &Actor::default()).with("accounts", imported);
                audit.append(conn, &record)?;
            }
            Ok(imported)
        };
        self.0.db.write(import).await
    }

    /// Notes that all accounts are about to be exported.
    pub async fn begin_export(&self) -> DbResult<()> {
        self.0.audit.append_alone(Record::new(Event::AccountsExported, &Actor::default())).await
    }

    /// The accounts that come after `after` in the order of ids, [`BATCH`] at the most: none after the last.
    pub async fn export(&self, after: Option<UserId>) -> DbResult<Vec<Entry>> {
        let rows = self.0.db.read(move |conn| store::page(conn, after, BATCH)).await?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }
}
