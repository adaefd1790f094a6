//! The pages that ask for a confirmation before the button has an effect.

use super::{Form, Page, PasswordField};
use crate::accounts::links::LinkInfo;
use crate::tokens::opaque::Purpose;

/// Returns the page that asks for a confirmation of a link's operation. `error` is the error of a password that was
/// sent.
pub(super) fn question<'a>(site: &str, link: &'a LinkInfo, token: &'a str, error: Option<String>) -> Page<'a> {
    let email = link.email.as_str();
    let new_email = link.new_email.as_deref().unwrap_or_default();
    let unchanged = "Nothing changes before both addresses have confirmed.".to_owned();
    let form = |action: &'static str, button: &'static str| Form { action, token, button, password: None };
    match link.purpose {
        Purpose::VerifyEmail => Page {
            title: "Is this your email address?",
            text: vec![format!("An account at {site} was registered with {email}.")],
            form: Some(form("verify-email", "Yes, it is mine")),
        },
        Purpose::ResetPassword => Page {
            title: "Choose a new password",
            text: vec![format!("For your account at {site}. All devices are logged out then.")],
            form: Some(Form {
                password: Some(PasswordField { email, error }),
                ..form("reset-password", "Set the password")
            }),
        },
        Purpose::ChangeEmailOld => Page {
            title: "Change your email address?",
            text: vec![
                format!("The email address of your account at {site} is to change from {email} to {new_email}."),
                unchanged,
            ],
            form: Some(form("confirm-email-change", "Yes, change it")),
        },
        // Whoever reads the emails of the new address need not know the old one.
        Purpose::ChangeEmailNew => Page {
            title: "Use this email address?",
            text: vec![format!("An account at {site} is to use the email address {new_email}."), unchanged],
            form: Some(form("confirm-email-change", "Yes, use it")),
        },
        Purpose::ReportLogin => Page {
            title: "Was this not you?",
            text: vec![report_text(site, link.is_about_one_session)],
            form: Some(form("not-me", "It was not me")),
        },
        // No link has such a token.
        Purpose::MfaChallenge | Purpose::TrustedDevice => Page { title: "", text: Vec::new(), form: None },
    }
}

fn report_text(site: &str, is_about_one_session: bool) -> String {
    let ended = if is_about_one_session {
        format!("The login to your account at {site} is ended at once")
    } else {
        format!("All logins to your account at {site} are ended at once, including yours")
    };
    format!("{ended}, and you get an email with a link to set a new password.")
}
