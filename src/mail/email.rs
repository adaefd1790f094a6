//! The emails that keyturn sends, and the variables of their templates.

use std::collections::BTreeMap;

use minijinja::Value;

use super::activity::{Activity, DeviceName};
use crate::texts::{Language, in_words, without_isolation};
use crate::types::Timestamp;
use crate::types::text::is_invisible;

/// An email. Each kind has two templates, `<name>.txt` and `<name>.html`.
#[derive(Clone, Debug)]
pub enum Email {
    /// A request to verify the email address of an account.
    VerifyEmail {
        /// The link that verifies the address.
        link: Link,
        /// Whether the account is new. An operator has changed the address of any other.
        is_new: bool,
    },
    /// A link to set a new password.
    ResetPassword {
        /// The link to set a new password.
        link: Link,
        /// Why it is sent.
        cause: ResetCause,
    },
    /// An invitation to an account that an operator has created.
    Invitation {
        /// The link to set the first password.
        link: Link,
    },
    /// A request to the current address to confirm a change of address.
    ChangeEmailOld {
        /// The link that confirms the change.
        link: Link,
        /// The new address.
        new_email: String,
    },
    /// A request to the new address to confirm a change of address.
    ChangeEmailNew {
        /// The link that confirms the change.
        link: Link,
    },
    /// A notice to the former address that the account has a new one.
    EmailChanged {
        /// The new address.
        new_email: String,
        /// Whether an operator has changed it, and not its owner.
        by_operator: bool,
    },
    /// A notice of a login that is unusual for the account.
    NewLogin {
        /// The login.
        activity: Activity,
        /// Why the login is unusual.
        reasons: Vec<LoginRisk>,
        /// The link that reports the login as somebody else's.
        link: Link,
    },
    /// A notice that a session was revoked because its refresh token was reused.
    RefreshReused {
        /// The last activity of the session.
        activity: Activity,
        /// The link that reports it and revokes all sessions.
        link: Link,
    },
    /// A notice that the password was changed.
    PasswordChanged {
        /// The change.
        activity: Activity,
        /// The link that reports the change as somebody else's.
        link: Link,
    },
    /// A notice that the second factor was changed.
    MfaChanged {
        /// The kind of change.
        what: MfaChange,
        /// The change.
        activity: Activity,
        /// The link that reports the change as somebody else's.
        link: Link,
    },
    /// A notice that somebody who knows the password has tried many wrong codes of the second factor.
    WrongCodes {
        /// The last attempt.
        activity: Activity,
        /// The link that reports the attempts as somebody else's.
        link: Link,
    },
    /// A notice that emails about unusual logins were disabled.
    AlertsDisabled {
        /// The change.
        activity: Activity,
        /// The link that reports the change as somebody else's.
        link: Link,
    },
    /// A notice that a login revoked the least recently used session, because of the limit of sessions.
    SessionLimit {
        /// The device of the revoked session.
        revoked_device: DeviceName,
        /// The time of the last activity of the revoked session.
        revoked_active_at: Timestamp,
        /// The login.
        activity: Activity,
        /// The link that reports the login as somebody else's.
        link: Link,
    },
    /// A notice that the account is to be deleted.
    AccountDeletion {
        /// The time at which it is deleted.
        deletes_at: Timestamp,
        /// The request.
        activity: Activity,
        /// The link that cancels the deletion; `None` if only an operator can.
        link: Option<Link>,
    },
    /// A notice that the account is not deleted after all.
    DeletionCancelled {
        /// The cancellation.
        activity: Activity,
    },
    /// A notice that the account was deleted.
    AccountDeleted,
}

/// A link with a one-time token.
#[derive(Clone)]
pub struct Link {
    /// The URL.
    pub url: String,
    /// The time at which the link expires.
    pub expires_at: Timestamp,
}

// Hides the token.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

/// A sign that a login may not be the owner's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginRisk {
    /// The account was never used with this kind of device.
    NewDevice,
    /// The account was never used from this country.
    NewCountry,
    /// The place of the last login is too far away for the time that has passed.
    ImpossibleTravel,
}

/// Why a link to set a new password is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetCause {
    /// Somebody has asked for it.
    Asked,
    /// An operator has sent it.
    Operator,
    /// The owner has reported a login as somebody else's.
    Report,
}

/// A change of the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MfaChange {
    /// Two-step login was enabled.
    Enabled,
    /// Two-step login was disabled.
    Disabled,
    /// The recovery codes were replaced.
    RecoveryCodesReplaced,
    /// A recovery code was used.
    RecoveryCodeUsed,
}

impl LoginRisk {
    /// Returns the name in templates and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewDevice => "new_device",
            Self::NewCountry => "new_country",
            Self::ImpossibleTravel => "impossible_travel",
        }
    }
}

impl MfaChange {
    pub(super) const ALL: [Self; 4] =
        [Self::Enabled, Self::Disabled, Self::RecoveryCodesReplaced, Self::RecoveryCodeUsed];

    const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::RecoveryCodesReplaced => "recovery_codes_replaced",
            Self::RecoveryCodeUsed => "recovery_code_used",
        }
    }
}

impl Email {
    /// Returns the name of the email's templates, without their extensions.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::ResetPassword { .. } => "reset_password",
            Self::Invitation { .. } => "invitation",
            Self::ChangeEmailOld { .. } => "change_email_old",
            Self::ChangeEmailNew { .. } => "change_email_new",
            Self::EmailChanged { .. } => "email_changed",
            Self::NewLogin { .. } => "new_login",
            Self::RefreshReused { .. } => "refresh_reused",
            Self::PasswordChanged { .. } => "password_changed",
            Self::MfaChanged { .. } => "mfa_changed",
            Self::WrongCodes { .. } => "wrong_codes",
            Self::AlertsDisabled { .. } => "alerts_disabled",
            Self::SessionLimit { .. } => "session_limit",
            Self::AccountDeletion { .. } => "account_deletion",
            Self::DeletionCancelled { .. } => "deletion_cancelled",
            Self::AccountDeleted => "account_deleted",
        }
    }

    /// Returns the email without anything that a stranger can have chosen, for an address that nobody has verified:
    /// whoever gives somebody else's address must not be able to write to them.
    pub(super) fn without_chosen_texts(&self) -> Self {
        let mut email = self.clone();
        match &mut email {
            Self::VerifyEmail { .. }
            | Self::ResetPassword { .. }
            | Self::Invitation { .. }
            | Self::ChangeEmailNew { .. }
            | Self::AccountDeleted => {}
            Self::ChangeEmailOld { new_email, .. } | Self::EmailChanged { new_email, .. } => {
                new_email.clear();
            }
            Self::NewLogin { activity, .. }
            | Self::RefreshReused { activity, .. }
            | Self::PasswordChanged { activity, .. }
            | Self::MfaChanged { activity, .. }
            | Self::WrongCodes { activity, .. }
            | Self::AlertsDisabled { activity, .. }
            | Self::AccountDeletion { activity, .. }
            | Self::DeletionCancelled { activity } => activity.device = DeviceName::default(),
            Self::SessionLimit { revoked_device, activity, .. } => {
                *revoked_device = DeviceName::default();
                activity.device = DeviceName::default();
            }
        }
        email
    }

    /// Returns whether the email has a link.
    pub(super) fn has_link(&self) -> bool {
        self.variables(Language::English).get("link").is_some_and(|link| !link.is_none())
    }

    /// Returns when the email becomes useless: when its link expires, if the link is its only purpose. A notice never
    /// becomes useless.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::VerifyEmail { link, .. }
            | Self::ResetPassword { link, .. }
            | Self::Invitation { link }
            | Self::ChangeEmailOld { link, .. }
            | Self::ChangeEmailNew { link } => Some(link.expires_at),
            // Later there is nothing to keep any more.
            Self::AccountDeletion { deletes_at, .. } => Some(*deletes_at),
            Self::EmailChanged { .. }
            | Self::NewLogin { .. }
            | Self::RefreshReused { .. }
            | Self::PasswordChanged { .. }
            | Self::MfaChanged { .. }
            | Self::WrongCodes { .. }
            | Self::AlertsDisabled { .. }
            | Self::SessionLimit { .. }
            | Self::DeletionCancelled { .. }
            | Self::AccountDeleted => None,
        }
    }

    /// Returns the variables of the email's templates in a language, by name.
    pub(super) fn variables(&self, language: Language) -> BTreeMap<&'static str, Value> {
        let mut variables = Variables { language, by_name: BTreeMap::new() };
        match self {
            Self::VerifyEmail { link, is_new } => variables.link(link).set("is_new", *is_new),
            Self::ResetPassword { link, cause } => {
                variables.link(link).set("by_operator", *cause == ResetCause::Operator);
                variables.set("is_reported", *cause == ResetCause::Report);
            }
            Self::Invitation { link } | Self::ChangeEmailNew { link } => {
                variables.link(link);
            }
            Self::ChangeEmailOld { link, new_email } => variables.link(link).set("new_email", new_email.as_str()),
            Self::EmailChanged { new_email, by_operator } => {
                variables.set("new_email", new_email.as_str());
                variables.set("by_operator", *by_operator);
            }
            Self::NewLogin { activity, reasons, link } => {
                let reasons: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
                variables.link(link).activity(activity).set("reasons", reasons);
            }
            Self::RefreshReused { activity, link }
            | Self::WrongCodes { activity, link }
            | Self::AlertsDisabled { activity, link } => {
                variables.link(link).activity(activity);
            }
            Self::PasswordChanged { activity, link } => {
                variables.link(link).change(activity);
            }
            Self::MfaChanged { what, activity, link } => {
                variables.link(link).change(activity).set("what", what.name());
            }
            Self::SessionLimit { revoked_device, revoked_active_at, activity, link } => {
                variables.link(link).activity(activity);
                variables.device("revoked_device", revoked_device);
                variables.time("revoked_active", *revoked_active_at);
            }
            Self::AccountDeletion { deletes_at, activity, link } => {
                variables.change(activity).time("deletes_at", *deletes_at);
                variables.set("link", link.as_ref().map(|link| link.url.as_str()));
            }
            Self::DeletionCancelled { activity } => {
                variables.change(activity);
            }
            Self::AccountDeleted => {}
        }
        variables.by_name
    }
}

/// The variables of a template.
struct Variables {
    language: Language,
    by_name: BTreeMap<&'static str, Value>,
}

impl Variables {
    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.by_name.insert(name, value.into());
    }

    fn time(&mut self, name: &'static str, time: Timestamp) {
        self.set(name, without_isolation(&in_words(time, self.language)));
    }

    fn device(&mut self, name: &'static str, device: &DeviceName) {
        self.set(name, sanitize(&device.in_language(self.language)));
    }

    fn link(&mut self, link: &Link) -> &mut Self {
        self.set("link", link.url.as_str());
        self.time("link_expires", link.expires_at);
        self
    }

    fn activity(&mut self, activity: &Activity) -> &mut Self {
        self.device("device", &activity.device);
        self.set("place", activity.place.as_deref().map(sanitize));
        self.set("ip", activity.ip.as_deref());
        self.time("time", activity.at);
        self
    }

    /// Sets the variables of an action that may be an operator's.
    fn change(&mut self, activity: &Activity) -> &mut Self {
        self.activity(activity).set("by_operator", activity.by_operator);
        self
    }
}

/// The maximum length of a text from a client, in characters.
const MAX_TEXT_LENGTH: usize = 60;

/// Sanitizes a text from a client: one short line without anything that a mail program would turn into a link, so that
/// nobody can make keyturn deliver their own message.
fn sanitize(text: &str) -> String {
    let mut sanitized = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let could_make_link = matches!(c, '/' | '\\' | ':' | '@')
            || (c == '.' && characters.peek().is_some_and(|next| next.is_alphabetic() || *next == '.'));
        if could_make_link || c.is_whitespace() || c.is_control() || is_invisible(c) {
            if !sanitized.ends_with(' ') {
                sanitized.push(' ');
            }
        } else {
            sanitized.push(c);
        }
    }
    let sanitized = sanitized.trim();
    match sanitized.char_indices().nth(MAX_TEXT_LENGTH) {
        Some((end, _)) => format!("{}…", sanitized.get(..end).unwrap_or_default().trim_end()),
        None => sanitized.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_client_chose_holds_no_link_no_line_and_is_short() {
        for (given, expected) in [
            ("Firefox 141.0 on Windows", "Firefox 141.0 on Windows"),
            ("Dr. Ada's phone", "Dr. Ada's phone"),
            ("Win a prize: https://evil.example/x", "Win a prize https evil example x"),
            ("www.evil.example", "www evil example"),
            ("mail me@evil.example", "mail me evil example"),
            ("two\r\nlines\u{202e}\u{200b}", "two lines"),
        ] {
            assert_eq!(sanitize(given), expected);
        }
        assert_eq!(sanitize(&"x".repeat(100)), format!("{}…", "x".repeat(60)));
    }
}
