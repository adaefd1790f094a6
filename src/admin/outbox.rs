//! Lists emails of the outbox for operators, and has them tried again.

use super::{Admin, AdminError, Operator, lock_caller};
use crate::audit::{Event, Record};
use crate::db::DbResult;
use crate::mail::{self, QueuedEmail};
use crate::types::EmailId;

impl Admin {
    /// Lists up to `limit` emails that were queued before `after`, newest first: those that wait, or those that were
    /// given up in the last two weeks.
    pub(crate) async fn list_emails(
        &self,
        is_waiting: bool,
        after: Option<EmailId>,
        limit: usize,
    ) -> DbResult<Vec<QueuedEmail>> {
        self.db.read(move |conn| mail::list_outbox(conn, is_waiting, after, limit)).await
    }

    /// Has the waiting email `id`, or all of them, tried at once. Those that would be tried within five minutes anyway
    /// are left alone. Returns how many are tried.
    ///
    /// # Errors
    /// The caller is no administrator, or the database fails.
    pub(crate) async fn retry_emails(&self, id: Option<EmailId>, by: &Operator) -> Result<usize, AdminError> {
        let mail = self.accounts.mail.clone();
        let audit = self.audit.clone();
        let clock = self.clock.clone();
        let by = by.clone();
        let retried = self.db.transact(move |conn| -> Result<_, AdminError> {
            lock_caller(conn, &by)?;
            let retried = mail.retry(conn, id, clock.database_now())?;
            if retried > 0 {
                let record = Record::new(Event::EmailsRetried, &by.actor()).with("emails", retried);
                let record = match id {
                    Some(id) => record.with("email", id.to_string()),
                    None => record,
                };
                audit.append(conn, &record)?;
            }
            Ok(retried)
        });
        let retried = retried.await?;
        self.accounts.mail.wake();
        Ok(retried)
    }
}
