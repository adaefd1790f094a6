//! Administration: accounts as operators see and change them, acting for a person, and figures of the whole.

pub mod http;
pub mod impersonate;
pub mod stats;
mod store;
pub mod users;

use std::sync::Arc;

use crate::accounts::ADMIN;
use crate::audit::Audit;
use crate::clock::Clock;
use crate::db::types::UserId;
use crate::db::{Conn, Db, DbResult};
use crate::sessions::Sessions;

use store::Account;

/// All that operators do. Clones share it.
#[derive(Clone)]
pub struct Admin(Arc<Parts>);

/// What administration is made of and with.
pub struct Parts {
    pub db: Db,
    pub audit: Audit,
    pub sessions: Sessions,
    pub clock: Clock,
    pub figures: stats::Figures,
}

impl Admin {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Whether the database names the account an administrator, at this moment.
    pub async fn is_operator(&self, user: UserId) -> DbResult<bool> {
        let account = self.0.db.read(move |conn| store::by_id(conn, user)).await?;
        Ok(account.is_some_and(|account| is_operator(&account)))
    }
}

fn is_operator(account: &Account) -> bool {
    account.disabled_at.is_none() && account.roles.contains(ADMIN)
}

/// What may stop an operator at one account.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The operator's role was taken away meanwhile.
    #[error("the caller is no administrator any more")]
    NotOperator,
    #[error("there is no such account")]
    NotFound,
    #[error("the account is the operator's own")]
    OwnAccount,
    #[error("the account is disabled")]
    Disabled,
}

/// The account of `user`, held for the rest of the transaction together with that of `operator`, who is still one: what
/// takes the role away comes either before this or after all of it.
fn hold(conn: &mut Conn, operator: UserId, user: UserId) -> DbResult<Result<Account, Stop>> {
    // Always in the same order, so that two operators who change each other wait and do not block each other for good.
    let (first, second) = (operator.min(user), operator.max(user));
    let mut held = vec![store::hold(conn, first)?];
    if second != first {
        held.push(store::hold(conn, second)?);
    }
    let held: Vec<Account> = held.into_iter().flatten().collect();
    if !held.iter().any(|account| account.id == operator && is_operator(account)) {
        return Ok(Err(Stop::NotOperator));
    }
    Ok(held.into_iter().find(|account| account.id == user).ok_or(Stop::NotFound))
}
