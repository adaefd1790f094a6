//! The events of the audit log as sentences for the person whom they are about.

use crate::audit::{Entry, Event};
use crate::texts::Text;

/// The sentence of each event.
static SENTENCES: [(Event, Text); 59] = [
    (Event::AccountRegistered, Text::of("event-account-registered")),
    (Event::AccountInvited, Text::of("event-account-invited")),
    (Event::InvitationAccepted, Text::of("event-invitation-accepted")),
    (Event::AccountDisowned, Text::of("event-account-disowned")),
    (Event::AccountDisabled, Text::of("event-account-disabled")),
    (Event::AccountEnabled, Text::of("event-account-enabled")),
    (Event::AccountDeletionRequested, Text::of("event-deletion-requested")),
    (Event::AccountDeletionCancelled, Text::of("event-deletion-cancelled")),
    (Event::AccountDeleted, Text::of("event-account-deleted")),
    (Event::AccountExported, Text::of("event-account-exported")),
    (Event::RolesChanged, Text::of("event-roles-changed")),
    (Event::ProfileChanged, Text::of("event-profile-changed")),
    (Event::AccountsImported, Text::of("event-accounts-imported")),
    (Event::AccountsExported, Text::of("event-accounts-exported")),
    (Event::AuditExported, Text::of("event-audit-exported")),
    (Event::LoginSucceeded, Text::of("event-login")),
    (Event::LoginFailed, Text::of("event-login-failed")),
    (Event::LoginUnusual, Text::of("event-login-unusual")),
    (Event::LoginReported, Text::of("event-login-reported")),
    (Event::Reauthenticated, Text::of("event-reauthenticated")),
    (Event::ReauthenticationFailed, Text::of("event-reauthentication-failed")),
    (Event::SessionLoggedOut, Text::of("event-logged-out")),
    (Event::SessionRevoked, Text::of("event-session-ended")),
    (Event::AccessTokenRevoked, Text::of("event-token-revoked")),
    (Event::SessionRenamed, Text::of("event-session-renamed")),
    (Event::RefreshRotated, Text::of("event-refreshed")),
    (Event::RefreshReplayed, Text::of("event-refresh-repeated")),
    (Event::RefreshRecovered, Text::of("event-refresh-recovered")),
    (Event::RefreshTokenReused, Text::of("event-refresh-reused")),
    (Event::RefreshDoubted, Text::of("event-refresh-doubted")),
    (Event::RefreshCaughtUp, Text::of("event-refresh-caught-up")),
    (Event::PasswordChanged, Text::of("event-password-changed")),
    (Event::PasswordResetRequested, Text::of("event-reset-requested")),
    (Event::PasswordReset, Text::of("event-password-reset")),
    (Event::EmailVerified, Text::of("event-email-verified")),
    (Event::EmailUnverified, Text::of("event-email-unverified")),
    (Event::EmailChangeRequested, Text::of("event-email-change-requested")),
    (Event::EmailChangeCancelled, Text::of("event-email-change-cancelled")),
    (Event::EmailChanged, Text::of("event-email-changed")),
    (Event::MfaEnabled, Text::of("event-two-step-on")),
    (Event::MfaDisabled, Text::of("event-two-step-off")),
    (Event::MfaSucceeded, Text::of("event-code-accepted")),
    (Event::MfaFailed, Text::of("event-code-refused")),
    (Event::RecoveryCodesReplaced, Text::of("event-codes-replaced")),
    (Event::RecoveryCodeUsed, Text::of("event-code-used")),
    (Event::DeviceTrusted, Text::of("event-device-trusted")),
    (Event::TrustedDeviceDeleted, Text::of("event-device-deleted")),
    (Event::ImpersonationStarted, Text::of("event-impersonation")),
    (Event::ClientCreated, Text::of("event-client-created")),
    (Event::ClientChanged, Text::of("event-client-changed")),
    (Event::ClientDeleted, Text::of("event-client-deleted")),
    (Event::ClientSecretAdded, Text::of("event-secret-added")),
    (Event::ClientSecretDeleted, Text::of("event-secret-deleted")),
    (Event::KeyCreated, Text::of("event-key-created")),
    (Event::KeyRotated, Text::of("event-key-rotated")),
    (Event::KeyRetired, Text::of("event-key-retired")),
    (Event::KeyRevoked, Text::of("event-key-revoked")),
    (Event::EmailsRetried, Text::of("event-emails-retried")),
    (Event::LimitExceeded, Text::of("event-limit")),
];

/// Returns what an event was.
pub(super) fn sentence(event: Event) -> Text {
    let found = SENTENCES.iter().find(|(known, _)| *known == event);
    found.map_or_else(|| Text::of("event-other").with("event", event.name()), |(_, text)| text.clone())
}

/// Returns what an entry of the log says; one of another version's says its name.
pub(super) fn of_entry(entry: &Entry) -> Text {
    match Event::parse(&entry.event) {
        Some(event) => sentence(event),
        None => Text::of("event-other").with("event", entry.event.as_str()),
    }
}

/// Returns whether the event can be about a person, and not only about the server.
pub(super) const fn is_personal(event: Event) -> bool {
    !matches!(
        event,
        Event::AccountsImported
            | Event::AccountsExported
            | Event::AuditExported
            | Event::AccountDeleted
            | Event::ClientCreated
            | Event::ClientChanged
            | Event::ClientDeleted
            | Event::ClientSecretAdded
            | Event::ClientSecretDeleted
            | Event::KeyCreated
            | Event::KeyRotated
            | Event::KeyRetired
            | Event::KeyRevoked
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_a_sentence() {
        for event in Event::ALL {
            assert_eq!(SENTENCES.iter().filter(|(known, _)| known == event).count(), 1, "{}", event.name());
        }
    }
}
