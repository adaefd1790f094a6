//! Deletes accounts for operators.

use super::{Admin, AdminError, Operator, lock};
use crate::accounts::DeletionTime;
use crate::accounts::deletion::{DeleteError, lock_unless_last};
use crate::types::{Timestamp, UserId};

impl From<DeleteError> for AdminError {
    fn from(error: DeleteError) -> Self {
        match error {
            // Operators show no second factor of the account.
            DeleteError::NoAccount | DeleteError::FactorRequired => Self::NotFound,
            DeleteError::LastAdministrator => Self::LastAdministrator,
            DeleteError::Database(error) => error.into(),
        }
    }
}

impl Admin {
    /// Deletes an account, after the grace period or at once. Returns when it is deleted.
    ///
    /// # Errors
    /// The account does not exist, is the caller's own or the last administrator's, or the caller is no administrator.
    pub(crate) async fn delete_user(
        &self,
        user: UserId,
        time: DeletionTime,
        by: &Operator,
    ) -> Result<Timestamp, AdminError> {
        let deletions = self.deletions.clone();
        let by = by.clone();
        let requested = self.db.transact(move |conn| {
            let account = match by {
                // The caller is an administrator who stays.
                Operator::Administrator(_) => lock(conn, user, &by)?,
                Operator::CommandLine => lock_unless_last(conn, user)?,
            };
            if by.user() == Some(user) {
                return Err(AdminError::OwnAccount);
            }
            Ok(deletions.request_in(conn, account, time, &by.actor())?)
        });
        Ok(self.deletions.complete(requested.await?).await?)
    }

    /// Cancels the deletion of an account.
    ///
    /// # Errors
    /// The account does not exist or is not to be deleted, or the caller is no administrator.
    pub(crate) async fn cancel_deletion(&self, user: UserId, by: &Operator) -> Result<(), AdminError> {
        let deletions = self.deletions.clone();
        let by = by.clone();
        let cancelled = self.db.transact(move |conn| {
            let account = lock(conn, user, &by)?;
            if deletions.cancel_in(conn, account, &by.actor())? { Ok(()) } else { Err(AdminError::NoDeletion) }
        });
        cancelled.await?;
        self.deletions.mail.wake();
        Ok(())
    }
}
