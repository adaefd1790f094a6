//! Imports and exports accounts with their password hashes: one JSON object on each line.

pub(crate) mod entry;
mod format;
pub(crate) mod reader;
mod time;

use std::sync::Arc;

use super::store;
use crate::audit::{Actor, Audit, Event, Record};
use crate::db::{Db, DbResult};
use crate::types::UserId;
use entry::{Entry, ImportedAccount};

/// The most lines that one transaction imports, and the most accounts on one page of an export.
pub(crate) const BATCH: u16 = 1000;

/// Imports and exports accounts for the command line. Clones share everything.
#[derive(Clone)]
pub(crate) struct Transfer {
    db: Db,
    audit: Audit,
}

impl Transfer {
    /// Creates the import and export of a server.
    pub(crate) fn new(db: Db, audit: Audit) -> Self {
        Self { db, audit }
    }

    /// Inserts those of `accounts` whose id and email address no account has: all of these or none. Returns how many.
    /// Existing accounts are not changed, so an import can be repeated.
    pub(crate) async fn import(&self, accounts: Arc<Vec<ImportedAccount>>) -> DbResult<usize> {
        let audit = self.audit.clone();
        let imported = self.db.write(move |conn| {
            let imported = store::insert_new(conn, accounts.iter().map(ImportedAccount::row))?;
            if imported > 0 {
                let record = Record::new(Event::AccountsImported, &Actor::default()).with("accounts", imported);
                audit.append(conn, &record)?;
            }
            Ok(imported)
        });
        imported.await
    }

    /// Records in the audit log that all accounts are about to be exported.
    pub(crate) async fn begin_export(&self) -> DbResult<()> {
        self.audit.append_alone(Record::new(Event::AccountsExported, &Actor::default())).await
    }

    /// Returns up to [`BATCH`] accounts after `after` in the order of their ids; none after the last.
    pub(crate) async fn export(&self, after: Option<UserId>) -> DbResult<Vec<Entry>> {
        let rows = self.db.read(move |conn| store::page(conn, after, BATCH.into())).await?;
        Ok(rows.into_iter().map(Entry::from).collect())
    }
}
