//! `/account/security`: the password, two-step login, trusted devices and alerts.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use uuid::Uuid;

use super::refusal::weakness;
use super::reply::{Answer, Detour, Reply};
use super::time_value;
use super::typed::Typed;
use super::visitor::{SentForm, Visitor, state};
use crate::accounts::password::SetPasswordError;
use crate::accounts::profile::ProfileChange;
use crate::accounts::{Accounts, PasswordError, TwoStep};
use crate::http::Problem;
use crate::mfa::TrustedDevice;
use crate::passwords::{NewPassword, Password};
use crate::sessions::SessionSnapshot;
use crate::texts::{Language, Text};
use crate::types::TrustedDeviceId;

/// The path of the page.
pub(super) const PATH: &str = "/account/security";

/// Shows how the account is protected.
#[utoipa::path(get, path = "/account/security", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_security(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let own = visitor.person().await?;
        page(&visitor, &own, Typed::default(), StatusCode::OK).await
    };
    visitor.respond(answer.await)
}

/// Leads password managers to the page where the password is changed (W3C, A Well-Known URL for Changing Passwords).
#[utoipa::path(get, path = "/.well-known/change-password", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn find_change_password(visitor: Visitor) -> HttpResponse {
    visitor.respond(Ok(Reply::see_other(visitor.path(PATH))))
}

/// The fields of the forms about the security of an account.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the forms, whose fields are read by name")]
pub(crate) struct SecurityForm {
    current_password: Option<String>,
    new_password: Option<String>,
    /// `yes` for emails about unusual logins.
    alerts: Option<String>,
    /// A trusted device.
    device: Option<Uuid>,
    /// In its place: all of them.
    all: Option<String>,
    /// The first code of an app.
    code: Option<String>,
    /// Whether all other sessions are ended: they were opened without a code.
    end_others: Option<String>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Changes the password, and ends all other sessions.
#[utoipa::path(post, path = "/account/security/password", tag = "Pages", security(()),
    request_body(content = SecurityForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_password(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let current = Password::parse(form.get("current_password").unwrap_or_default()).ok();
        let new = NewPassword::parse(form.get("new_password").unwrap_or_default());
        let accounts = state::<Accounts>(visitor.request())?;
        let changed = match new {
            Ok(new) => accounts.change_password(own.subject.id, current, new, &visitor.actor(&own)).await,
            Err(weak) => Err(weak.into()),
        };
        let typed = match changed {
            Ok(_) => {
                visitor.renew(&own).await?;
                return Ok(done(&visitor, "password"));
            }
            Err(SetPasswordError::Weak(weak)) => Typed::default().refuse("new_password", weakness(&weak)),
            Err(SetPasswordError::Password(PasswordError::Wrong)) => {
                Typed::default().refuse("current_password", vec![Text::of("confirm-wrong")])
            }
            Err(error) => return Err(error.into()),
        };
        page(&visitor, &own, typed, StatusCode::UNPROCESSABLE_ENTITY).await
    };
    visitor.respond(answer.await)
}

/// Sets whether emails tell of unusual logins. To have none needs a recent login, as in the API.
#[utoipa::path(post, path = "/account/security/alerts", tag = "Pages", security(()),
    request_body(content = SecurityForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_alerts(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let alerts = form.get("alerts").is_some();
        let mut own = visitor.owner(&form).await?;
        if !alerts {
            own = visitor.require_recent(&form, own, Text::of("alerts-title")).await?;
        }
        let change = ProfileChange { alerts: Some(alerts), ..ProfileChange::default() };
        let accounts = state::<Accounts>(visitor.request())?;
        accounts.update_profile(own.subject.id, change, &visitor.actor(&own)).await?;
        Ok(done(&visitor, "alerts"))
    };
    visitor.respond(answer.await)
}

/// Deletes a trusted device, or all: its next login needs a code again.
#[utoipa::path(post, path = "/account/security/devices", tag = "Pages", security(()),
    request_body(content = SecurityForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_trusted_devices(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let device = match form.get("all") {
            Some(_) => None,
            None => Some(named_device(&form.get("device").unwrap_or_default())?),
        };
        let own = visitor.require_recent(&form, own, Text::of("devices-title")).await?;
        let two_step = state::<TwoStep>(visitor.request())?;
        let by = visitor.actor(&own);
        two_step.delete_trusted_devices(own.subject.id, device, own.amr, &by).await?;
        Ok(done(&visitor, "devices"))
    };
    visitor.respond(answer.await)
}

fn named_device(text: &str) -> Result<TrustedDeviceId, Problem> {
    Uuid::try_parse(text).map(TrustedDeviceId).map_err(|_| Problem::not_found())
}

/// Leads back to the page, which says once what was done.
pub(super) fn done(visitor: &Visitor, what: &str) -> Reply {
    visitor.notify(PATH, what)
}

/// Returns what the page says of the form that was sent before.
fn success(what: &str) -> Option<Text> {
    Some(match what {
        "password" => Text::of("security-password-done"),
        "alerts" => Text::of("security-alerts-done"),
        "devices" => Text::of("security-devices-done"),
        "reported" => Text::of("security-reported-done"),
        "two-step-off" => Text::of("security-two-step-off-done"),
        _ => return None,
    })
}

/// Shows the page, with what was typed into a form that is refused.
pub(super) async fn page(visitor: &Visitor, own: &SessionSnapshot, typed: Typed, status: StatusCode) -> Answer {
    let language = visitor.language();
    let user = own.subject.id;
    let accounts = state::<Accounts>(visitor.request())?;
    let two_step = state::<TwoStep>(visitor.request())?;
    let profile = accounts.profile(user).await?.ok_or_else(|| Detour::from(visitor.to_login()))?;
    let trusted = two_step.mfa.trusted_devices(user).await?;
    let codes = if profile.mfa_enabled { two_step.count_recovery_codes(user).await? } else { 0 };
    let success = visitor.take_notice(success);
    let values = context! {
        title => Text::of("security-title").value(language),
        section => "security",
        email => &own.subject.email,
        is_two_step => profile.mfa_enabled,
        codes,
        alerts => profile.alerts,
        devices => trusted.iter().map(|device| device_values(device, language)).collect::<Vec<_>>(),
        errors => typed.errors(language),
        alert => typed.alert(language),
        success => success.map(|text| text.value(language)),
    };
    Ok(Reply::refused(status, "security.html", values))
}

fn device_values(device: &TrustedDevice, language: Language) -> Value {
    context! {
        id => device.id.to_string(),
        label => device.device.in_language(language),
        ip => device.ip.map(|ip| ip.to_string()),
        last_used => time_value(device.last_used_at, language),
        expires => time_value(device.expires_at, language),
    }
}
