//! Lists, replaces and revokes signing keys for operators.

use super::{Admin, AdminError, Operator, lock_caller};
use crate::db::{DbError, DbResult, time};
use crate::keys::KeyStatus;
use crate::keys::keeper::RevokeError;
use crate::types::KeyId;

impl Admin {
    /// Lists the signing keys, oldest first, also those that have ended.
    pub(crate) async fn list_keys(&self) -> DbResult<Vec<KeyStatus>> {
        self.keys.list().await
    }

    /// Publishes new signing keys, which sign in the place of the current ones as soon as all verifiers can know them.
    /// If that was done before and the new ones do not sign yet, it stays at that. Returns all keys.
    ///
    /// # Errors
    /// The caller is no administrator, or the database fails.
    pub(crate) async fn rotate_keys(&self, by: &Operator) -> Result<Vec<KeyStatus>, AdminError> {
        let keeper = self.keys.keeper().clone();
        let clock = self.clock.clone();
        let by = by.clone();
        let rotated = self.db.transact(move |conn| -> Result<_, AdminError> {
            lock_caller(conn, &by)?;
            keeper.lock(conn)?;
            let now = time::read(conn, &clock)?;
            Ok(keeper.rotate(conn, &by.actor(), now)?)
        });
        rotated.await?;
        self.follow_keys().await?;
        Ok(self.list_keys().await?)
    }

    /// Revokes a signing key, and with it every access token that it has signed. If it signed, another key signs at
    /// once. Sessions stay valid: clients refresh. Returns whether the key had not ended before.
    ///
    /// # Errors
    /// The key does not exist, the caller is no administrator, or the database fails.
    pub(crate) async fn revoke_key(&self, key: KeyId, by: &Operator) -> Result<bool, AdminError> {
        let keeper = self.keys.keeper().clone();
        let clock = self.clock.clone();
        let by = by.clone();
        let revoked = self.db.transact(move |conn| -> Result<_, AdminError> {
            lock_caller(conn, &by)?;
            keeper.lock(conn)?;
            let now = time::read(conn, &clock)?;
            match keeper.revoke(conn, key, &by.actor(), now) {
                Ok(entry) => Ok(Some(entry)),
                Err(RevokeError::Ended(_)) => Ok(None),
                Err(RevokeError::NotFound) => Err(AdminError::NotFound),
                Err(RevokeError::Database(error)) => Err(error.into()),
            }
        });
        let revoked = revoked.await?;
        if let Some(entry) = revoked
            && let Err(error) = self.keys.publish_revoked(entry).await
        {
            tracing::warn!(%error, "the signing keys cannot be read after one was revoked");
        }
        Ok(revoked.is_some())
    }

    /// Has this server take over what a transaction has changed.
    async fn follow_keys(&self) -> DbResult<()> {
        self.keys.reload().await.map_err(|error| DbError::Unexpected(error.to_string()))
    }
}
