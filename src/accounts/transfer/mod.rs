//! Accounts that move in and out, password hashes included: one JSON object on a line for each.

pub mod intake;
pub mod record;
mod store;

use std::sync::Arc;

use super::Accounts;
use crate::db::DbResult;
use crate::db::types::UserId;
use record::{Newcomer, Record};

/// Accounts that go into or out of the database at once.
pub const BATCH: usize = 1000;

impl Accounts {
    /// Adds those of `newcomers` whose id and address no account has: all of these or none. Answers how many they were.
    /// What is there stays as it is, so that an import can be run again.
    pub async fn import(&self, newcomers: Arc<Vec<Newcomer>>) -> DbResult<usize> {
        self.0.db.write(move |conn| store::insert_new(conn, newcomers.iter().map(Newcomer::row))).await
    }

    /// The accounts that come after `after` in the order of ids, [`BATCH`] at the most: none after the last.
    pub async fn export(&self, after: Option<UserId>) -> DbResult<Vec<Record>> {
        let rows = self.0.db.read(move |conn| store::page(conn, after, BATCH)).await?;
        Ok(rows.into_iter().map(Record::from).collect())
    }
}
