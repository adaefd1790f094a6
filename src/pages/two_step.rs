//! `/account/two-step`: two-step login is turned on and off, and recovery codes are replaced.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use sha2::{Digest as _, Sha256};

use super::reply::{Answer, Reply};
use super::security::{SecurityForm, done};
use super::visitor::{SentForm, Visitor, state};
use crate::accounts::TwoStep;
use crate::accounts::two_step::{ConfirmTotpError, Confirmation};
use crate::mfa::{MfaError, RecoveryCodes, TotpEnrolment};
use crate::texts::Text;

/// Creates a secret for an app, and asks for its first code.
#[utoipa::path(post, path = "/account/two-step/begin", tag = "Pages", security(()),
    request_body(content = SecurityForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_two_step_begin(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.recent(&form, Text::of("two-step-title")).await?;
        let two_step = state::<TwoStep>(visitor.request())?;
        let enrolment = two_step.enrol_totp(own.subject.id).await?;
        Ok(ask(&visitor, &enrolment, None, StatusCode::OK))
    };
    visitor.respond(answer.await)
}

/// Turns two-step login on with the first code of the app, and shows the recovery codes.
#[utoipa::path(post, path = "/account/two-step/confirm", tag = "Pages", security(()),
    request_body(content = SecurityForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_two_step_confirm(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.recent(&form, Text::of("two-step-title")).await?;
        let code = form.get("code").unwrap_or_default();
        let confirmation = Confirmation { code, revoke_other_sessions: form.get("end_others").is_some() };
        let two_step = state::<TwoStep>(visitor.request())?;
        match two_step.confirm_totp(own.subject.id, confirmation, &visitor.actor(&own)).await {
            Ok(enabled) => {
                visitor.renew(&own).await?;
                Ok(codes(&visitor, &enabled.recovery_codes, Text::of("two-step-done")))
            }
            Err(ConfirmTotpError::Mfa(MfaError::InvalidCode)) => {
                let enrolment = two_step.pending_totp(own.subject.id).await?;
                let is_shown = form.get("shown").is_none_or(|shown| *shown == fingerprint(&enrolment));
                let refused = if is_shown { Refused::Code } else { Refused::OtherSecret };
                Ok(ask(&visitor, &enrolment, Some(refused), StatusCode::UNPROCESSABLE_ENTITY))
            }
            // The page with the recovery codes was loaded again.
            Err(ConfirmTotpError::Mfa(MfaError::AlreadyEnabled)) => {
                Ok(visitor.message(StatusCode::CONFLICT, Text::of("two-step-done"), Text::of("once-text")))
            }
            Err(error) => Err(error.into()),
        }
    };
    visitor.respond(answer.await)
}

/// Replaces the recovery codes, and shows the new ones.
#[utoipa::path(post, path = "/account/two-step/codes", tag = "Pages", security(()),
    request_body(content = SecurityForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_recovery_codes(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.recent(&form, Text::of("codes-replace")).await?;
        visitor.require_first(&form, &own).await?;
        let two_step = state::<TwoStep>(visitor.request())?;
        let by = visitor.actor(&own);
        let new = two_step.replace_recovery_codes(own.subject.id, own.amr, &by).await?;
        Ok(codes(&visitor, &new, Text::of("codes-done")))
    };
    visitor.respond(answer.await)
}

/// Turns two-step login off.
#[utoipa::path(post, path = "/account/two-step/off", tag = "Pages", security(()),
    request_body(content = SecurityForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_two_step_off(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer: Answer = async {
        let form = form?;
        let own = visitor.recent(&form, Text::of("two-step-turn-off")).await?;
        let two_step = state::<TwoStep>(visitor.request())?;
        let by = visitor.actor(&own);
        two_step.disable_own(own.subject.id, own.amr, &by).await?;
        Ok(done(&visitor, "two-step-off"))
    }
    .await;
    visitor.respond(answer)
}

/// Why the first code of an app is refused.
enum Refused {
    /// It is wrong.
    Code,
    /// The page has shown another secret, which was replaced since.
    OtherSecret,
}

/// Shows the secret as a QR code and as text, and asks for the first code.
fn ask(visitor: &Visitor, enrolment: &TotpEnrolment, refused: Option<Refused>, status: StatusCode) -> Reply {
    let language = visitor.language();
    let (alert, error) = match refused {
        None => (None, None),
        Some(Refused::Code) => (Some(Text::of("form-refused")), Some(Text::of("two-step-wrong"))),
        Some(Refused::OtherSecret) => (Some(Text::of("two-step-replaced")), None),
    };
    let values = context! {
        title => Text::of("two-step-title").value(language),
        section => "security",
        // The picture is drawn by this server, from a secret of its own.
        qr => Value::from_safe_string(enrolment.qr_svg.to_string()),
        secret => in_groups(&enrolment.secret),
        uri => enrolment.otpauth_uri.as_str(),
        shown => fingerprint(enrolment),
        alert => alert.map(|text| text.value(language)),
        error => error.map(|text| text.value(language)),
    };
    Reply::refused(status, "totp.html", values)
}

/// Returns a text by which a secret is recognized again, and from which nobody can compute it.
fn fingerprint(enrolment: &TotpEnrolment) -> String {
    Sha256::digest(enrolment.secret.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns a secret in groups of four, as people type it.
fn in_groups(secret: &str) -> String {
    let mut text = String::new();
    for (place, character) in secret.chars().enumerate() {
        if place > 0 && place % 4 == 0 {
            text.push(' ');
        }
        text.push(character);
    }
    text
}

fn codes(visitor: &Visitor, codes: &RecoveryCodes, success: Text) -> Reply {
    let language = visitor.language();
    let lines: Vec<String> = codes.iter().map(|code| code.to_string()).collect();
    let values = context! {
        title => Text::of("codes-title").value(language),
        section => "security",
        success => success.value(language),
        file => lines.join("\n"),
        codes => lines,
    };
    Reply::page("codes.html", values)
}
