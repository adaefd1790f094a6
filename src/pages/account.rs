//! `/account`: the profile, the email address, and what is stored about a person.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;

use super::confirmation::Confirmation;
use super::reply::{Answer, Detour, Reply, SessionCookie};
use super::typed::{Typed, required};
use super::visitor::{SentForm, Visitor, state};
use crate::accounts::deletion::DeleteError;
use crate::accounts::email_change::ChangeEmailError;
use crate::accounts::profile::ProfileChange;
use crate::accounts::{Accounts, Deletions, EmailChanges};
use crate::http::Problem;
use crate::sessions::SessionSnapshot;
use crate::texts::{Language, Text};
use crate::throttle::{Limit, Throttle};
use crate::types::{EmailAddress, Label, Patch};

/// The path of the page.
const PATH: &str = "/account";

/// Shows the profile of the person who is logged in.
#[utoipa::path(get, path = "/account", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_account(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let own = visitor.person().await?;
        page(&visitor, &own, Typed::default(), StatusCode::OK).await
    };
    visitor.respond(answer.await)
}

/// The fields of the forms about a profile.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the forms, whose fields are read by name")]
pub(crate) struct ProfileForm {
    /// Empty for no name.
    name: Option<String>,
    /// The tag of a language; empty for that of the browser.
    language: Option<String>,
    new_email: Option<String>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Changes the name, or removes it.
#[utoipa::path(post, path = "/account/name", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_name(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let text = required(&form, "name")?;
        let name = match text.trim() {
            "" => None,
            text => match Label::parse(text) {
                Ok(name) => Some(name),
                Err(_) => {
                    let refused = vec![Text::of("session-name-refused")];
                    let typed = Typed::keep(&form, &["name"]).refuse("name", refused);
                    return page(&visitor, &own, typed, StatusCode::UNPROCESSABLE_ENTITY).await;
                }
            },
        };
        let change = ProfileChange { name: name.map_or(Patch::Clear, Patch::Set), ..ProfileChange::default() };
        let accounts = state::<Accounts>(visitor.request())?;
        accounts.update_profile(own.subject.id, change, &visitor.actor(&own)).await?;
        Ok(done(&visitor, "name"))
    };
    visitor.respond(answer.await)
}

/// Sets the language of pages and emails.
#[utoipa::path(post, path = "/account/language", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_language(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let tag = required(&form, "language")?;
        let language = match visitor.pages().languages().parse_offered(&tag) {
            _ if tag.is_empty() => Patch::Clear,
            Ok(language) => Patch::Set(language),
            Err(_) => return Err(Problem::not_found().into()),
        };
        let change = ProfileChange { language, ..ProfileChange::default() };
        let accounts = state::<Accounts>(visitor.request())?;
        accounts.update_profile(own.subject.id, change, &visitor.actor(&own)).await?;
        Ok(done(&visitor, "language"))
    };
    visitor.respond(answer.await)
}

/// Sends the email that verifies the address once more.
#[utoipa::path(post, path = "/account/email/resend", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_resend_verification(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        count_emails(&visitor, &own, &format!("verify {}", own.subject.id)).await?;
        state::<EmailChanges>(visitor.request())?
            .resend_verification(own.subject.id, visitor.requester().language)
            .await?;
        Ok(done(&visitor, "verification"))
    };
    visitor.respond(answer.await)
}

/// Begins a change of the email address.
#[utoipa::path(post, path = "/account/email", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_new_email(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let refused = |text| Typed::keep(&form, &["new_email"]).refuse("new_email", vec![text]);
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        let Ok(new) = EmailAddress::parse(&form.get("new_email").unwrap_or_default()) else {
            return page(&visitor, &own, refused(Text::of("login-no-email")), status).await;
        };
        let own = visitor.require_recent(&form, own, Text::of("profile-email-change")).await?;
        count_emails(&visitor, &own, &format!("change {}", own.subject.id)).await?;
        count_emails(&visitor, &own, &format!("change {}", new.normalized())).await?;
        let changes = state::<EmailChanges>(visitor.request())?;
        match changes.begin(own.subject.id, new, &visitor.actor(&own)).await {
            Ok(()) => Ok(done(&visitor, "email")),
            Err(ChangeEmailError::Unchanged) => {
                page(&visitor, &own, refused(Text::of("profile-email-unchanged")), status).await
            }
            Err(error) => Err(error.into()),
        }
    };
    visitor.respond(answer.await)
}

/// Counts the emails that an owner asks for, with those of the API.
async fn count_emails(visitor: &Visitor, own: &SessionSnapshot, subject: &str) -> Result<(), Detour> {
    let throttle = state::<Throttle>(visitor.request())?;
    Ok(throttle.count(Limit::ForgotAccount, subject.as_bytes(), &visitor.actor(own)).await?)
}

/// Cancels the pending change of the email address.
#[utoipa::path(post, path = "/account/email/cancel", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_cancel_email(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let changes = state::<EmailChanges>(visitor.request())?;
        changes.cancel(own.subject.id, &visitor.actor(&own)).await?;
        Ok(done(&visitor, "email-cancelled"))
    };
    visitor.respond(answer.await)
}

/// Asks whether to delete the account.
#[utoipa::path(get, path = "/account/delete", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_delete_account(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let own = visitor.person().await?;
        Ok(deletion(&own, None).reply(&visitor, StatusCode::OK))
    };
    visitor.respond(answer.await)
}

/// Deletes the account after the grace period, and logs all of its devices out.
#[utoipa::path(post, path = "/account/delete", tag = "Pages", security(()),
    request_body(content = ProfileForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_delete_account(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.recent(&form, Text::of("delete-button")).await?;
        let language = visitor.language();
        let by = visitor.actor(&own);
        let deletions = state::<Deletions>(visitor.request())?;
        let at = match deletions.delete_own(own.subject.id, own.amr.clone(), &by).await {
            Ok(at) => at,
            Err(DeleteError::LastAdministrator) => {
                let error = Text::of("delete-last-administrator");
                return Ok(deletion(&own, Some(error)).reply(&visitor, StatusCode::CONFLICT));
            }
            Err(error) => return Err(error.into()),
        };
        visitor.set_cookie(SessionCookie::Clear);
        visitor.forget();
        let text = Text::of("deleted-text").with_time("at", at);
        let values = context! {
            title => Text::of("deleted-title").value(language),
            text => text.value(language),
        };
        Ok(Reply::page("message.html", values))
    };
    visitor.respond(answer.await)
}

fn deletion(own: &SessionSnapshot, error: Option<Text>) -> Confirmation {
    Confirmation {
        section: "account",
        title: Text::of("delete-title"),
        question: Text::of("delete-text").with("email", &own.subject.email),
        button: Text::of("delete-button"),
        kind: "danger",
        action: "/account/delete",
        back: PATH,
        fields: Vec::new(),
        error,
    }
}

/// Returns the page whose button downloads the file with all that is stored about the owner, who has authenticated.
pub(crate) fn ask_to_download(visitor: &Visitor) -> Reply {
    let download = Confirmation::of_file("account", Text::of("data-export"), "/account/export", PATH, Vec::new());
    download.reply(visitor, StatusCode::OK)
}

/// Leads back to the page, which says once what was done.
fn done(visitor: &Visitor, what: &str) -> Reply {
    visitor.notify(PATH, what)
}

/// Returns what the page says of the form that was sent before.
fn success(what: &str) -> Option<Text> {
    Some(match what {
        "name" => Text::of("profile-name-done"),
        "language" => Text::of("profile-language-done"),
        "verification" => Text::of("profile-verification-done"),
        "email" => Text::of("profile-email-done"),
        "email-cancelled" => Text::of("profile-email-cancelled-done"),
        _ => return None,
    })
}

/// Shows the page, with what was typed into a form that is refused.
async fn page(visitor: &Visitor, own: &SessionSnapshot, typed: Typed, status: StatusCode) -> Answer {
    let language = visitor.language();
    let success = visitor.take_notice(success);
    let pending = state::<EmailChanges>(visitor.request())?.pending(own.subject.id).await?;
    let accounts = state::<Accounts>(visitor.request())?;
    let profile = accounts.profile(own.subject.id).await?.ok_or_else(|| visitor.to_login())?;
    let chosen = profile.language.as_deref().and_then(Language::find);
    let choice = |language: Language| {
        context! { name => language.tag(), text => language.own_name(), is_chosen => Some(language) == chosen }
    };
    let values = context! {
        languages => visitor.pages().languages().iter().map(choice).collect::<Vec<_>>(),
        title => Text::of("profile-title").value(language),
        section => "account",
        email => &own.subject.email,
        is_verified => own.subject.email_verified,
        pending,
        name => &own.subject.name,
        typed => typed.values(),
        errors => typed.errors(language),
        alert => typed.alert(language),
        success => success.map(|text| text.value(language)),
    };
    Ok(Reply::refused(status, "account.html", values))
}
