//! The words for members of closed sets, which counts and logs keep by name.

use crate::audit::Event;
use crate::devices::DeviceType;
use crate::metrics::{LoginOutcome, RefreshOutcome};
use crate::pages::events::sentence;
use crate::revocations::Reason;
use crate::texts::Text;
use crate::throttle::Limit;

/// The words of a set, by the names of its members.
pub(super) type Words = [(&'static str, Text)];

pub(super) static DEVICES: [(&str, Text); 8] = [
    (DeviceType::Desktop.name(), Text::of("admin-device-desktop")),
    (DeviceType::Mobile.name(), Text::of("admin-device-mobile")),
    (DeviceType::Tablet.name(), Text::of("admin-device-tablet")),
    (DeviceType::Tv.name(), Text::of("admin-device-tv")),
    (DeviceType::Console.name(), Text::of("admin-device-console")),
    (DeviceType::Bot.name(), Text::of("admin-device-bot")),
    (DeviceType::Program.name(), Text::of("admin-device-program")),
    (DeviceType::Unknown.name(), Text::of("device-unknown")),
];

pub(super) static LOGINS: [(&str, Text); 3] = [
    (LoginOutcome::Succeeded.name(), Text::of("admin-login-succeeded")),
    (LoginOutcome::Refused.name(), Text::of("admin-login-refused")),
    (LoginOutcome::Unavailable.name(), Text::of("admin-outcome-unavailable")),
];

pub(super) static REFRESHES: [(&str, Text); 12] = [
    (RefreshOutcome::Rotated.name(), Text::of("admin-refresh-rotated")),
    (RefreshOutcome::Replayed.name(), Text::of("admin-refresh-replayed")),
    (RefreshOutcome::Recovered.name(), Text::of("admin-refresh-recovered")),
    (RefreshOutcome::CaughtUp.name(), Text::of("admin-refresh-caught-up")),
    (RefreshOutcome::Invalid.name(), Text::of("admin-refresh-invalid")),
    (RefreshOutcome::Reused.name(), Text::of("admin-refresh-reused")),
    (RefreshOutcome::Revoked.name(), Text::of("admin-refresh-revoked")),
    (RefreshOutcome::Expired.name(), Text::of("admin-refresh-expired")),
    (RefreshOutcome::AlreadyRefreshed.name(), Text::of("admin-refresh-already")),
    (RefreshOutcome::Doubted.name(), Text::of("admin-refresh-doubted")),
    (RefreshOutcome::Unproven.name(), Text::of("admin-refresh-unproven")),
    (RefreshOutcome::Unavailable.name(), Text::of("admin-outcome-unavailable")),
];

pub(super) static LIMITS: [(&str, Text); 9] = [
    (Limit::LoginAccount.name(), Text::of("admin-limit-login-account")),
    (Limit::LoginAddress.name(), Text::of("admin-limit-login-address")),
    (Limit::RegisterAddress.name(), Text::of("admin-limit-register-address")),
    (Limit::RefreshSession.name(), Text::of("admin-limit-refresh-session")),
    (Limit::RefreshAddress.name(), Text::of("admin-limit-refresh-address")),
    (Limit::ForgotAccount.name(), Text::of("admin-limit-forgot-account")),
    (Limit::MfaAccount.name(), Text::of("admin-limit-mfa-account")),
    (Limit::WriteAccount.name(), Text::of("admin-limit-write-account")),
    (Limit::SearchAccount.name(), Text::of("admin-limit-search-account")),
];

/// Why sessions and tokens have ended.
pub(super) static ENDS: [(&str, Text); 14] = [
    (Reason::Logout.name(), Text::of("admin-end-logout")),
    (Reason::EndedByOwner.name(), Text::of("admin-end-owner")),
    (Reason::EndedByOperator.name(), Text::of("admin-end-operator")),
    (Reason::RefreshTokenReused.name(), Text::of("admin-end-reused")),
    (Reason::PasswordChanged.name(), Text::of("admin-end-password")),
    (Reason::ReportedByOwner.name(), Text::of("admin-end-reported")),
    (Reason::EmailProved.name(), Text::of("admin-end-proved")),
    (Reason::AccountDisabled.name(), Text::of("admin-end-disabled")),
    (Reason::AccountDeleted.name(), Text::of("admin-end-deleted")),
    (Reason::SessionLimit.name(), Text::of("admin-end-limit")),
    (Reason::AccountChanged.name(), Text::of("admin-end-changed")),
    (Reason::TokenRevoked.name(), Text::of("admin-end-token")),
    (Reason::KeyRevoked.name(), Text::of("admin-end-key")),
    (Reason::ClientDeleted.name(), Text::of("admin-end-client")),
];

/// The kinds of emails.
pub(super) static EMAILS: [(&str, Text); 16] = [
    ("verify_email", Text::of("admin-email-verify")),
    ("reset_password", Text::of("admin-email-reset")),
    ("invitation", Text::of("admin-email-invitation")),
    ("change_email_old", Text::of("admin-email-change-old")),
    ("change_email_new", Text::of("admin-email-change-new")),
    ("email_changed", Text::of("admin-email-changed")),
    ("new_login", Text::of("admin-email-login")),
    ("refresh_reused", Text::of("admin-email-reused")),
    ("password_changed", Text::of("admin-email-password")),
    ("mfa_changed", Text::of("admin-email-mfa")),
    ("wrong_codes", Text::of("admin-email-codes")),
    ("alerts_disabled", Text::of("admin-email-alerts")),
    ("session_limit", Text::of("admin-email-limit")),
    ("account_deletion", Text::of("admin-email-deletion")),
    ("deletion_cancelled", Text::of("admin-email-kept")),
    ("account_deleted", Text::of("admin-email-deleted")),
];

/// Returns the word for a member of a set. One of another version stands as its name.
pub(super) fn word(words: &Words, name: &str) -> Text {
    let found = words.iter().find(|(known, _)| *known == name);
    found.map_or_else(|| Text::of("event-other").with("event", name), |(_, text)| text.clone())
}

/// Returns what an event of the audit log was, for somebody whom it is not about.
pub(super) fn event(name: &str) -> Text {
    match Event::parse(name) {
        Some(Event::ImpersonationStarted) => Text::of("admin-event-impersonation"),
        Some(event) => sentence(event),
        None => Text::of("event-other").with("event", name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Email;

    #[test]
    fn every_member_of_a_closed_set_has_words() {
        fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<&'static str> {
            all.iter().map(|member| name(*member)).collect()
        }
        let sets: [(&Words, Vec<&str>); 6] = [
            (&DEVICES, names(&DeviceType::ALL, DeviceType::name)),
            (&LOGINS, names(LoginOutcome::ALL, LoginOutcome::name)),
            (&REFRESHES, names(RefreshOutcome::ALL, RefreshOutcome::name)),
            (&LIMITS, names(&Limit::ALL, Limit::name)),
            (&ENDS, names(Reason::ALL, Reason::name)),
            (&EMAILS, Email::samples().iter().map(Email::name).collect()),
        ];
        for (words, names) in sets {
            for name in &names {
                assert_eq!(words.iter().filter(|(known, _)| known == name).count(), 1, "{name}");
            }
            assert!(words.iter().all(|(known, _)| names.contains(known)), "{names:?}");
        }
    }
}
