//! Emails about changes of an account to its owner. `asked` is the language of the request that causes them, for an
//! account that has chosen none.

use super::store::LockedAccount;
use crate::audit::Actor;
use crate::db::{Conn, DbResult};
use crate::devices::Devices;
use crate::mail::{Activity, Email, Mail, Queued, ResetCause};
use crate::tokens::opaque::{self, Purpose, TokenRecord};
use crate::types::{Language, Timestamp};

/// The purposes of the links and tokens that a new password invalidates.
const INVALID_AFTER_PASSWORD_CHANGE: [Purpose; 4] =
    [Purpose::ResetPassword, Purpose::Invitation, Purpose::MfaChallenge, Purpose::TrustedDevice];

/// Invalidates, in the transaction that sets a password, earlier links, challenges and trusted devices.
pub(super) fn password_set(conn: &mut Conn, account: &LockedAccount) -> DbResult<()> {
    opaque::revoke(conn, account.id, &INVALID_AFTER_PASSWORD_CHANGE)
}

/// Completes a change of password in its transaction: invalidates earlier links, challenges and trusted devices, and
/// queues an email to the owner with a link that reports the change.
pub(super) fn password_changed(
    conn: &mut Conn,
    account: &LockedAccount,
    by: &Actor,
    mail: &Mail,
    devices: &Devices,
    now: Timestamp,
) -> DbResult<()> {
    password_set(conn, account)?;
    let record = TokenRecord { purpose: Purpose::ReportLogin, user: account.id, session: None };
    let link = mail.issue_link(conn, record, now)?;
    let activity = Activity::new(devices, by, account.id, now);
    mail.queue(conn, &account.email, by.requester.language, &Email::PasswordChanged { activity, link }, now)
}

/// Queues the email that asks the owner of an account's address to verify it.
pub(super) fn verify_email(
    conn: &mut Conn,
    account: &LockedAccount,
    asked: Option<Language>,
    mail: &Mail,
    now: Timestamp,
) -> DbResult<Queued> {
    let is_new = account.is_unproved();
    let record = TokenRecord { purpose: Purpose::VerifyEmail, user: account.id, session: None };
    mail.queue_link(conn, &account.email, asked, record, |link| Email::VerifyEmail { link, is_new }, now)
}

/// Queues the email with a link to set a new password. Earlier links become invalid.
pub(crate) fn reset_password(
    conn: &mut Conn,
    account: &LockedAccount,
    cause: ResetCause,
    asked: Option<Language>,
    mail: &Mail,
    now: Timestamp,
) -> DbResult<Queued> {
    let record = TokenRecord { purpose: Purpose::ResetPassword, user: account.id, session: None };
    mail.queue_link(conn, &account.email, asked, record, |link| Email::ResetPassword { link, cause }, now)
}

/// Queues the email that invites the owner of an account's address to set the first password. Earlier invitations
/// become invalid.
pub(crate) fn invitation(
    conn: &mut Conn,
    account: &LockedAccount,
    asked: Option<Language>,
    mail: &Mail,
    now: Timestamp,
) -> DbResult<Queued> {
    let record = TokenRecord { purpose: Purpose::Invitation, user: account.id, session: None };
    mail.queue_link(conn, &account.email, asked, record, |link| Email::Invitation { link }, now)
}

/// Queues the email that tells the owner that there are no more emails about unusual logins.
pub(super) fn alerts_disabled(
    conn: &mut Conn,
    account: &LockedAccount,
    by: &Actor,
    mail: &Mail,
    devices: &Devices,
    now: Timestamp,
) -> DbResult<()> {
    let record = TokenRecord { purpose: Purpose::ReportLogin, user: account.id, session: None };
    let link = mail.issue_link(conn, record, now)?;
    let activity = Activity::new(devices, by, account.id, now);
    mail.queue(conn, &account.email, by.requester.language, &Email::AlertsDisabled { activity, link }, now)
}
