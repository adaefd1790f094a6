//! The pages that ask for a confirmation before the button has an effect.

use super::page::{Detail, Form, Page, PasswordField};
use crate::accounts::links::{Creation, LinkInfo};
use crate::texts::Text;
use crate::tokens::opaque::Purpose;

/// Returns the page that asks for a confirmation of a link's operation. `error` is the error of a password that was
/// sent.
pub(super) fn question<'a>(site: &str, link: &'a LinkInfo, token: &'a str, error: Vec<Text>) -> Page<'a> {
    let email = link.email.as_str();
    let new_email = link.new_email.as_deref().unwrap_or_default();
    let form = |action: &'static str, button| Form { action, token, button, refusal: None, password: None };
    match link.purpose {
        Purpose::VerifyEmail => verification(site, link, form("verify-email", Text::of("verify-button"))),
        Purpose::ResetPassword | Purpose::Invitation => {
            let password = Some(PasswordField { email, error });
            let form = form("reset-password", Text::of("reset-button"));
            new_password(site, link).with_form(Form { password, ..form })
        }
        Purpose::ChangeEmailOld => {
            let text = Text::of("change-old-text").with("site", site).with("email", email).with("new", new_email);
            Page::new(Text::of("change-old-title"), vec![text, Text::of("change-both")])
                .with_form(form("confirm-email-change", Text::of("change-old-button")))
        }
        // Whoever reads the emails of the new address need not know the old one.
        Purpose::ChangeEmailNew => {
            let text = Text::of("change-new-text").with("site", site).with("new", new_email);
            Page::new(Text::of("change-new-title"), vec![text, Text::of("change-both")])
                .with_form(form("confirm-email-change", Text::of("change-new-button")))
        }
        Purpose::ReportLogin => {
            let text = if link.is_about_one_session {
                Text::of("report-one").with("site", site)
            } else {
                Text::of("report-all").with("site", site)
            };
            Page::new(Text::of("report-title"), vec![text]).with_form(form("not-me", Text::of("report-button")))
        }
        Purpose::CancelDeletion => Page::new(Text::of("keep-title"), vec![Text::of("keep-text").with("site", site)])
            .with_form(form("cancel-deletion", Text::of("keep-button"))),
        // No link has such a token.
        Purpose::MfaChallenge | Purpose::TrustedDevice | Purpose::SentForm => {
            Page::new(Text::of("refused-title"), Vec::new())
        }
    }
}

/// Returns the page that verifies an address. Only of a new account it asks who has created it.
fn verification<'a>(site: &str, link: &'a LinkInfo, form: Form<'a>) -> Page<'a> {
    let with_email = |text: Text| text.with("site", site).with("email", &link.email);
    if link.is_first_proof {
        let text = vec![with_email(Text::of("verify-new-email")), Text::of("verify-new-advice")];
        let form = Form { refusal: Some(Text::of("verify-refuse")), ..form };
        let details = creation(&link.creation);
        return Page { details, ..Page::new(Text::of("verify-new-title"), text) }.with_form(form);
    }
    Page::new(Text::of("verify-title"), vec![with_email(Text::of("verify-text"))]).with_form(form)
}

/// Returns the page that asks for a new password, or for the first one.
fn new_password<'a>(site: &str, link: &LinkInfo) -> Page<'a> {
    if link.purpose == Purpose::Invitation {
        return Page::new(Text::of("invitation-title"), vec![Text::of("invitation-text").with("site", site)]);
    }
    let mut text = vec![Text::of("reset-text").with("site", site)];
    if link.is_first_proof {
        text.push(Text::of("reset-first-proof"));
    }
    Page::new(Text::of("reset-title"), text)
}

/// Tells for which account an address is verified, so that nobody confirms one that a stranger has created with it.
fn creation(creation: &Creation) -> Vec<(Text, Detail)> {
    let Creation { name, at, device, place } = creation;
    let chosen = |name, value: &Option<String>| value.clone().map(|value| (name, Detail::Chosen(value)));
    let details = [
        chosen(Text::of("name"), name),
        Some((Text::of("created"), Detail::Time(*at))),
        chosen(Text::of("device"), device),
        chosen(Text::of("place"), place),
    ];
    details.into_iter().flatten().collect()
}
