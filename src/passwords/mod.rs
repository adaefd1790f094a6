//! Passwords: the rules for new passwords, hashing and verification, and hashes imported from other systems.

mod advice;
mod hash;
mod hasher;
mod imported_hash;
mod password;
mod queue;
mod request_load;

pub(crate) use hash::{NO_PASSWORD, check_hash};
pub(crate) use hasher::{Hasher, HasherError, NewPasswordError, Verification};
pub(crate) use imported_hash::HashError;
pub(crate) use password::{NewPassword, Password, WeakPassword};
pub(crate) use request_load::RequestLoad;
