//! What a link in a mail is about, for those who hold its token.

use super::Accounts;
use super::address;
use super::store::{self, UserRow};
use crate::audit::Actor;
use crate::client::Client;
use crate::db::{DbError, DbResult};
use crate::tokens::one_time::{self, Bearer, OneTimeToken, Purpose};

/// Why a link did nothing.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Wrong, expired, used before, replaced by a later one, or of an account that is disabled: which, is not told.
    #[error("the token is not good, or not any more")]
    Invalid,
    #[error(transparent)]
    Database(#[from] DbError),
}

/// What a link is about.
pub struct Linked {
    pub purpose: Purpose,
    /// The account's address.
    pub email: String,
    /// For a change of address, the address to move to.
    pub new_email: Option<String>,
    /// For "this wasn't me", whether one session ends rather than all.
    pub is_one_session: bool,
}

impl Accounts {
    /// What the link with `token` is about, if it leads to one of `purposes` and is good. It stays good.
    pub async fn linked(
        &self,
        token: Option<&OneTimeToken>,
        purposes: &'static [Purpose],
    ) -> Result<Linked, LinkError> {
        let (_, bearer, user) = self.bearer(token.cloned(), purposes).await?;
        let id = user.id;
        let new_email = match bearer.purpose {
            Purpose::ChangeEmailOld | Purpose::ChangeEmailNew => {
                let next = self.0.db.read(move |conn| address::pending(conn, id)).await?;
                Some(next.ok_or(LinkError::Invalid)?)
            }
            Purpose::VerifyEmail | Purpose::ResetPassword | Purpose::NotMe => None,
        };
        Ok(Linked { purpose: bearer.purpose, email: user.email, new_email, is_one_session: bearer.session.is_some() })
    }

    /// Whose `token` is, and the account, if it is good for one of `purposes` and the account not disabled. To be asked
    /// again by the transaction that acts.
    pub(super) async fn bearer(
        &self,
        token: Option<OneTimeToken>,
        purposes: &'static [Purpose],
    ) -> Result<(OneTimeToken, Bearer, UserRow), LinkError> {
        let token = token.ok_or(LinkError::Invalid)?;
        let now = self.0.clock.now();
        let found = self.0.db.read(move |conn| -> DbResult<_> {
            let Some(bearer) = one_time::look(conn, &token, purposes, now)? else { return Ok(None) };
            Ok(store::by_id(conn, bearer.user)?.map(|user| (token, bearer, user)))
        });
        found.await?.filter(|(_, _, user)| user.disabled_at.is_none()).ok_or(LinkError::Invalid)
    }
}

/// Who uses a link: the account's owner, as far as having the mail shows, in no session.
pub(super) fn holder(bearer: Bearer, client: &Client) -> Actor {
    Actor { user: Some(bearer.user), session: None, client: client.clone() }
}
