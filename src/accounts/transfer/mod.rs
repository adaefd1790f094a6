//! Imports and exports accounts with their password hashes: one JSON object on each line.

pub(crate) mod entry;
mod format;
pub(crate) mod reader;
mod time;

use std::collections::HashMap;
use std::sync::Arc;

use super::store;
use crate::audit::{Actor, Audit, Event, Record};
use crate::db::{Conn, Db, DbResult};
use crate::mfa::Mfa;
use crate::types::UserId;
use entry::{Entry, ImportedAccount};

/// The most lines that one transaction imports, and the most accounts on one page of an export.
pub(crate) const BATCH: u16 = 1000;

/// Imports and exports accounts for the command line. Clones share everything.
#[derive(Clone)]
pub(crate) struct Transfer {
    db: Db,
    audit: Audit,
    mfa: Mfa,
}

impl Transfer {
    /// Creates the import and export of a server.
    pub(crate) fn new(db: Db, audit: Audit, mfa: Mfa) -> Self {
        Self { db, audit, mfa }
    }

    /// Inserts those of `accounts` whose id and email address no account has: all of these or none. Returns how many.
    /// Existing accounts are not changed, so an import can be repeated.
    pub(crate) async fn import(&self, accounts: Arc<Vec<ImportedAccount>>) -> DbResult<usize> {
        let transfer = self.clone();
        self.db.write(move |conn| transfer.import_in(conn, &accounts)).await
    }

    fn import_in(&self, conn: &mut Conn, accounts: &[ImportedAccount]) -> DbResult<usize> {
        let imported = store::insert_new(conn, accounts.iter().map(ImportedAccount::row))?;
        let factors: HashMap<UserId, _> =
            accounts.iter().filter_map(|account| Some((account.row().id, account.second_factor()?))).collect();
        for user in &imported {
            if let Some(factor) = factors.get(user) {
                self.mfa.import(conn, *user, factor)?;
            }
        }
        if !imported.is_empty() {
            let record = Record::new(Event::AccountsImported, &Actor::default()).with("accounts", imported.len());
            self.audit.append(conn, &record)?;
        }
        Ok(imported.len())
    }

    /// Records in the audit log that all accounts are about to be exported.
    pub(crate) async fn begin_export(&self) -> DbResult<()> {
        self.audit.append_alone(Record::new(Event::AccountsExported, &Actor::default())).await
    }

    /// Returns up to [`BATCH`] accounts after `after` in the order of their ids; none after the last.
    pub(crate) async fn export(&self, after: Option<UserId>) -> DbResult<Vec<Entry>> {
        let transfer = self.clone();
        self.db.read(move |conn| transfer.export_in(conn, after)).await
    }

    fn export_in(&self, conn: &mut Conn, after: Option<UserId>) -> DbResult<Vec<Entry>> {
        let rows = store::page(conn, after, BATCH.into())?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        let mut factors: HashMap<_, _> = self.mfa.export(conn, first.id, last.id)?.into_iter().collect();
        let entries = rows.into_iter().map(|row| {
            let factor = factors.remove(&row.id);
            Entry::from(row).with_second_factor(factor)
        });
        Ok(entries.collect())
    }
}
