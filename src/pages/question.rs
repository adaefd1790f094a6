//! The pages that ask for a confirmation before the button has an effect.

use super::{Form, Page, PasswordField};
use crate::accounts::links::{Creation, LinkInfo};
use crate::mail::format_time;
use crate::tokens::opaque::Purpose;

/// Returns the page that asks for a confirmation of a link's operation. `error` is the error of a password that was
/// sent.
pub(super) fn question<'a>(site: &str, link: &'a LinkInfo, token: &'a str, error: Option<String>) -> Page<'a> {
    let email = link.email.as_str();
    let new_email = link.new_email.as_deref().unwrap_or_default();
    let unchanged = "Nothing changes before both addresses have confirmed.".to_owned();
    let form =
        |action: &'static str, button: &'static str| Form { action, token, button, refusal: None, password: None };
    match link.purpose {
        Purpose::VerifyEmail => verification(site, link, form("verify-email", "Yes, it is mine")),
        Purpose::ResetPassword | Purpose::Invitation => {
            let password = Some(PasswordField { email, error });
            new_password(site, link, Form { password, ..form("reset-password", "Set the password") })
        }
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
        Purpose::CancelDeletion => Page {
            title: "Keep your account?",
            text: vec![format!("Your account at {site} is to be deleted, with its data. You can keep it as it is.")],
            form: Some(form("cancel-deletion", "Keep my account")),
        },
        // No link has such a token.
        Purpose::MfaChallenge | Purpose::TrustedDevice => Page { title: "", text: Vec::new(), form: None },
    }
}

/// Returns the page that verifies an address. Only of a new account it asks who has created it.
fn verification<'a>(site: &str, link: &LinkInfo, form: Form<'a>) -> Page<'a> {
    if link.is_first_proof {
        let refusal = Some("No, I did not create this account");
        let form = Some(Form { refusal, ..form });
        return Page { title: "Did you create this account?", text: creation_text(site, link), form };
    }
    let email = &link.email;
    let text = format!("An account at {site} has the email address {email}. Confirm it only if it is yours.");
    Page { title: "Is this your email address?", text: vec![text], form: Some(form) }
}

/// Returns the page that asks for a new password, or for the first one.
fn new_password<'a>(site: &str, link: &LinkInfo, form: Form<'a>) -> Page<'a> {
    if link.purpose == Purpose::Invitation {
        let text = format!("For your account at {site}. You log in there with this email address and the password.");
        return Page { title: "Choose a password", text: vec![text], form: Some(form) };
    }
    Page { title: "Choose a new password", text: reset_text(site, link), form: Some(form) }
}

/// Tells for which account an address is verified, so that nobody confirms one that a stranger has created with it.
fn creation_text(site: &str, link: &LinkInfo) -> Vec<String> {
    let Creation { name, at, device, place } = &link.creation;
    let mut text = vec![format!("An account at {site} has the email address {}.", link.email)];
    if let Some(name) = name {
        text.push(format!("Name: {name}"));
    }
    text.push(format!("Created: {}", format_time(*at)));
    text.extend(device.as_ref().map(|device| format!("Device: {device}")));
    text.extend(place.as_ref().map(|place| format!("Place: {place}")));
    text.push(
        "Confirm it only if you created it yourself. Unless you are logged in here, two-step login and settings from \
         before are removed."
            .to_owned(),
    );
    text
}

fn reset_text(site: &str, link: &LinkInfo) -> Vec<String> {
    let mut text = vec![format!("For your account at {site}. All devices are logged out then.")];
    if link.is_first_proof {
        let removed = "Two-step login and settings from before are removed, because this email address is confirmed \
                       for the first time.";
        text.push(removed.to_owned());
    }
    text
}

fn report_text(site: &str, is_about_one_session: bool) -> String {
    let ended = if is_about_one_session {
        format!("The login to your account at {site} is ended at once")
    } else {
        format!("All logins to your account at {site} are ended at once, including yours")
    };
    format!("{ended}, and you get an email with a link to set a new password.")
}
