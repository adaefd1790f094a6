//! `/account/two-step`: two-step login is turned on and off, and recovery codes are replaced.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};

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
        let own = visitor.recent(&form).await?;
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
        let own = visitor.recent(&form).await?;
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
                Ok(ask(&visitor, &enrolment, Some(Text::of("two-step-wrong")), StatusCode::UNPROCESSABLE_ENTITY))
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
        let own = visitor.recent(&form).await?;
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
        let own = visitor.recent(&form).await?;
        let two_step = state::<TwoStep>(visitor.request())?;
        let by = visitor.actor(&own);
        two_step.disable_own(own.subject.id, own.amr, &by).await?;
        Ok(done(&visitor, "two-step-off"))
    }
    .await;
    visitor.respond(answer)
}

/// Shows the secret as a QR code and as text, and asks for the first code.
fn ask(visitor: &Visitor, enrolment: &TotpEnrolment, error: Option<Text>, status: StatusCode) -> Reply {
    let language = visitor.language();
    let values = context! {
        title => Text::of("two-step-title").value(language),
        section => "security",
        // The picture is drawn by this server, from a secret of its own.
        qr => Value::from_safe_string(enrolment.qr_svg.to_string()),
        secret => in_groups(&enrolment.secret),
        uri => enrolment.otpauth_uri.as_str(),
        error => error.map(|text| text.value(language)),
    };
    Reply::refused(status, "totp.html", values)
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
