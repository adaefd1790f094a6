//! What keyturn writes to people, and what each kind of letter says.

use std::collections::BTreeMap;

use minijinja::Value;

use crate::clock::Timestamp;

/// A mail to one person. Each kind has its templates, `<name>.txt` and `<name>.html`.
#[derive(Clone, Debug)]
pub enum Letter {
    /// Asks whether the address is that of who registered with it.
    VerifyEmail {
        link: Link,
    },
    /// Answers a forgotten password.
    ResetPassword {
        link: Link,
    },
    /// Asks the present address whether the account may move to `new_email`.
    ChangeEmailOld {
        link: Link,
        new_email: String,
    },
    /// Asks the new address.
    ChangeEmailNew {
        link: Link,
    },
    /// Tells the former address that the account has moved.
    EmailChanged {
        new_email: String,
    },
    /// A login that was unusual for the account. The link says "this wasn't me".
    NewLogin {
        occasion: Occasion,
        reasons: Vec<Unusual>,
        link: Link,
    },
    /// A session ended because its refresh token was used twice. The occasion is the session's.
    RefreshReused {
        occasion: Occasion,
        link: Link,
    },
    PasswordChanged {
        occasion: Occasion,
        link: Link,
    },
    MfaChanged {
        what: MfaChange,
        occasion: Occasion,
        link: Link,
    },
    /// A login ended the session that had been idle the longest, because the account may have no more.
    SessionLimit {
        ended_device: String,
        ended_active_at: Timestamp,
        occasion: Occasion,
    },
}

/// A one-time link: where it leads, and until when it works.
#[derive(Clone)]
pub struct Link {
    pub url: String,
    pub expires_at: Timestamp,
}

/// Shows nothing of the token.
impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link(…)")
    }
}

/// Where and when something was done. What strangers choose, such as the device's name, may be given as it is.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// Such as "Firefox on Windows".
    pub device: String,
    /// Such as "Oslo, Norway", where known.
    pub place: Option<String>,
    pub ip: Option<String>,
    pub at: Timestamp,
}

/// Why a login is unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusual {
    NewDevice,
    NewCountry,
    ImpossibleJourney,
}

/// What became of the second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MfaChange {
    Enabled,
    Disabled,
    RecoveryCodesReplaced,
    RecoveryCodeUsed,
}

impl Unusual {
    /// The name in templates and in the audit log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewDevice => "new_device",
            Self::NewCountry => "new_country",
            Self::ImpossibleJourney => "impossible_journey",
        }
    }
}

impl MfaChange {
    const ALL: [Self; 4] = [Self::Enabled, Self::Disabled, Self::RecoveryCodesReplaced, Self::RecoveryCodeUsed];

    const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::RecoveryCodesReplaced => "recovery_codes_replaced",
            Self::RecoveryCodeUsed => "recovery_code_used",
        }
    }
}

impl Letter {
    /// What its templates are called, without their endings.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::VerifyEmail { .. } => "verify_email",
            Self::ResetPassword { .. } => "reset_password",
            Self::ChangeEmailOld { .. } => "change_email_old",
            Self::ChangeEmailNew { .. } => "change_email_new",
            Self::EmailChanged { .. } => "email_changed",
            Self::NewLogin { .. } => "new_login",
            Self::RefreshReused { .. } => "refresh_reused",
            Self::PasswordChanged { .. } => "password_changed",
            Self::MfaChanged { .. } => "mfa_changed",
            Self::SessionLimit { .. } => "session_limit",
        }
    }

    /// When the letter is worth nothing any more: that of its link, where the link is all that it is for. What tells of
    /// something that has happened is worth reading later too.
    pub const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::VerifyEmail { link }
            | Self::ResetPassword { link }
            | Self::ChangeEmailOld { link, .. }
            | Self::ChangeEmailNew { link } => Some(link.expires_at),
            Self::EmailChanged { .. }
            | Self::NewLogin { .. }
            | Self::RefreshReused { .. }
            | Self::PasswordChanged { .. }
            | Self::MfaChanged { .. }
            | Self::SessionLimit { .. } => None,
        }
    }

    /// What the templates may use, by name.
    pub(super) fn variables(&self) -> BTreeMap<&'static str, Value> {
        let mut variables = Variables::default();
        match self {
            Self::VerifyEmail { link } | Self::ResetPassword { link } | Self::ChangeEmailNew { link } => {
                variables.link(link);
            }
            Self::ChangeEmailOld { link, new_email } => variables.link(link).set("new_email", new_email.as_str()),
            Self::EmailChanged { new_email } => variables.set("new_email", new_email.as_str()),
            Self::NewLogin { occasion, reasons, link } => {
                let reasons: Vec<&str> = reasons.iter().map(|reason| reason.name()).collect();
                variables.link(link).occasion(occasion).set("reasons", reasons);
            }
            Self::RefreshReused { occasion, link } | Self::PasswordChanged { occasion, link } => {
                variables.link(link).occasion(occasion);
            }
            Self::MfaChanged { what, occasion, link } => {
                variables.link(link).occasion(occasion).set("what", what.name());
            }
            Self::SessionLimit { ended_device, ended_active_at, occasion } => {
                variables.occasion(occasion);
                variables.set("ended_device", harmless(ended_device));
                variables.set("ended_active", in_words(*ended_active_at));
            }
        }
        variables.0
    }

    /// One of each kind, in each form that makes a difference to templates.
    pub(super) fn samples() -> Vec<Self> {
        let at = Timestamp::from_secs(1_700_000_000);
        let link = || Link { url: "https://auth.example/account/page?token=sample".to_owned(), expires_at: at };
        let new_email = || "new@auth.example".to_owned();
        let full = || Occasion {
            device: "Firefox on Windows".to_owned(),
            place: Some("Oslo, Norway".to_owned()),
            ip: Some("192.0.2.1".to_owned()),
            at,
        };
        let bare = || Occasion { device: String::new(), place: None, ip: None, at };
        let reasons = vec![Unusual::NewDevice, Unusual::NewCountry, Unusual::ImpossibleJourney];
        let mut samples = vec![
            Self::VerifyEmail { link: link() },
            Self::ResetPassword { link: link() },
            Self::ChangeEmailOld { link: link(), new_email: new_email() },
            Self::ChangeEmailNew { link: link() },
            Self::EmailChanged { new_email: new_email() },
        ];
        for occasion in [full(), bare()] {
            samples.extend([
                Self::NewLogin { occasion: occasion.clone(), reasons: reasons.clone(), link: link() },
                Self::NewLogin { occasion: occasion.clone(), reasons: Vec::new(), link: link() },
                Self::RefreshReused { occasion: occasion.clone(), link: link() },
                Self::PasswordChanged { occasion: occasion.clone(), link: link() },
                Self::SessionLimit { ended_device: "App".to_owned(), ended_active_at: at, occasion: occasion.clone() },
            ]);
            samples.extend(MfaChange::ALL.map(|what| Self::MfaChanged {
                what,
                occasion: occasion.clone(),
                link: link(),
            }));
        }
        samples
    }
}

#[derive(Default)]
struct Variables(BTreeMap<&'static str, Value>);

impl Variables {
    fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.insert(name, value.into());
    }

    fn link(&mut self, link: &Link) -> &mut Self {
        self.set("link", link.url.as_str());
        self.set("link_expires", in_words(link.expires_at));
        self
    }

    fn occasion(&mut self, occasion: &Occasion) -> &mut Self {
        self.set("device", harmless(&occasion.device));
        self.set("place", occasion.place.as_deref().map(harmless));
        self.set("ip", occasion.ip.as_deref());
        self.set("time", in_words(occasion.at));
        self
    }
}

/// A time for people anywhere: `22 November 2026, 01:30 UTC`.
fn in_words(time: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or_default();
    time.strftime("%-d %B %Y, %H:%M UTC").to_string()
}

/// The most characters of a text that a stranger chose.
const LONGEST: usize = 60;

/// A text that a stranger chose, on one line, short, and without what a mail program would make a link of, so that
/// nobody can have keyturn send his own message.
fn harmless(text: &str) -> String {
    let mut harmless = String::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let links = matches!(c, '/' | '\\' | ':' | '@')
            || (c == '.' && characters.peek().is_some_and(|next| next.is_alphabetic() || *next == '.'));
        if links || c.is_whitespace() || is_invisible(c) {
            if !harmless.ends_with(' ') {
                harmless.push(' ');
            }
        } else {
            harmless.push(c);
        }
    }
    let harmless = harmless.trim();
    match harmless.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", harmless.get(..end).unwrap_or_default().trim_end()),
        None => harmless.to_owned(),
    }
}

/// Control characters, and those that turn the direction of a line or take no room.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_chose_holds_no_link_no_line_and_little_text() {
        for (given, expected) in [
            ("Firefox 141.0 on Windows", "Firefox 141.0 on Windows"),
            ("Dr. Ada's phone", "Dr. Ada's phone"),
            ("Win a prize: https://evil.example/x", "Win a prize https evil example x"),
            ("www.evil.example", "www evil example"),
            ("mail me@evil.example", "mail me evil example"),
            ("two\r\nlines\u{202e}\u{200b}", "two lines"),
        ] {
            assert_eq!(harmless(given), expected);
        }
        assert_eq!(harmless(&"x".repeat(100)), format!("{}…", "x".repeat(60)));
    }

    #[test]
    fn a_time_is_told_in_words() {
        assert_eq!(in_words(Timestamp::from_secs(1_700_000_000)), "14 November 2023, 22:13 UTC");
    }
}
