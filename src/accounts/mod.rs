//! Who may log in: registering, logging in and out, the address and the password.

pub mod address;
pub mod email;
pub mod foreign;
pub mod hash;
pub mod hasher;
pub mod http;
pub mod links;
pub mod lockout;
pub mod login;
pub mod mfa;
pub mod password;
pub mod profile;
pub mod reauthenticate;
pub mod recovery;
pub mod register;
mod store;
pub mod transfer;

use std::sync::Arc;

use crate::audit::Audit;
use crate::cache::Cache;
use crate::clock::Clock;
use crate::db::Db;
use crate::devices::Devices;
use crate::limits::Limits;
use crate::mail::Mail;
use crate::metrics::Metrics;
use crate::random::Random;
use crate::secret::MacKey;
use crate::sessions::Sessions;

use hasher::Hasher;
use mfa::Mfa;

/// The role that every account has.
pub const USER: &str = "user";

pub use crate::sessions::ADMIN;

/// All that concerns accounts. Clones share it.
#[derive(Clone)]
pub struct Accounts(Arc<Parts>);

/// What accounts are made of and with.
pub struct Parts {
    pub db: Db,
    pub audit: Audit,
    pub sessions: Sessions,
    pub hasher: Hasher,
    pub mfa: Mfa,
    pub devices: Devices,
    pub mail: Mail,
    pub limits: Arc<Limits>,
    pub cache: Cache,
    /// For the names of failed logins.
    pub lockout_key: MacKey,
    /// Whether strangers may register.
    pub registration: bool,
    pub clock: Clock,
    pub random: Random,
    pub metrics: Metrics,
}

impl Accounts {
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}
