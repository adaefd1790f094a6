//! `/admin/users/{id}/act`: an administrator acts for a person, in their own browser, for a quarter of an hour.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;

use super::{Console, Section, show, submit};
use crate::admin::ImpersonationReason;
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::pages::handlers::{ConsoleFormResponses, ConsolePageResponses, PeopleFormResponses};
use crate::pages::reply::{Answer, Reply, SessionCookie};
use crate::pages::visitor::{HOME, SentForm, Visitor};
use crate::revocations::Reason;
use crate::sessions::{SessionSelector, SessionSnapshot};
use crate::texts::Text;
use crate::types::UserId;

/// Asks why to act for a person.
#[utoipa::path(get, path = "/admin/users/{id}/act", tag = "Pages", security(()),
    params(("id" = uuid::Uuid, Path)), responses(ConsolePageResponses))]
pub(crate) async fn show_acting(visitor: Visitor) -> HttpResponse {
    show(visitor, async |console| page(console, "", false).await).await
}

/// The fields of the form that asks for the reason.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct ActingForm {
    /// What the person can read in the list of what happened.
    reason: String,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Begins to act for a person: their pages can be seen, and nothing on them changed.
#[utoipa::path(post, path = "/admin/users/{id}/act", tag = "Pages", security(()),
    params(("id" = uuid::Uuid, Path)),
    request_body(content = ActingForm, content_type = "application/x-www-form-urlencoded"),
    responses(ConsoleFormResponses))]
pub(crate) async fn submit_acting(visitor: Visitor, form: SentForm) -> HttpResponse {
    submit(visitor, form, act).await
}

async fn act(console: &Console<'_>, form: &FormBody) -> Answer {
    let user = UserId(console.id()?);
    let typed = form.get("reason").unwrap_or_default();
    let Ok(reason) = ImpersonationReason::parse(&typed) else { return page(console, &typed, true).await };
    let own = console.visitor.require_recent(form, console.own.clone(), Text::of("acting-title")).await?;
    let by = console.visitor.actor(&own);
    let cookie = console.admin.impersonate_in_browser(user, reason, &own, &by).await?;
    // Nothing keeps the cookie of the one until now any more.
    if let Some(former) = console.visitor.acting().await?.filter(|former| former.actor == Some(own.subject.id)) {
        end(console.visitor, &former).await?;
    }
    console.visitor.set_cookie(SessionCookie::Act(cookie));
    Ok(Reply::see_other(console.visitor.path(HOME)))
}

/// Ends a session in which an administrator acts for somebody.
async fn end(visitor: &Visitor, acting: &SessionSnapshot) -> Result<(), Problem> {
    let selector = SessionSelector::One(acting.session);
    visitor.sessions.revoke(selector, Reason::Logout, &visitor.actor(acting)).await?;
    Ok(())
}

async fn page(console: &Console<'_>, typed: &str, is_refused: bool) -> Answer {
    let user = UserId(console.id()?);
    let account = console.admin.user(user).await?.ok_or_else(Problem::not_found)?;
    let language = console.language();
    let values = context! {
        id => user.to_string(),
        email => account.email,
        reason => typed,
        is_refused,
        reason_error => is_refused.then(|| Text::of("acting-reason-refused").value(language)),
    };
    let status = if is_refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let title = Text::of("acting-title").value(language);
    Ok(console.page_with(status, "admin/acting.html", Section::Users, title, values))
}

/// Ends the session in which an administrator acts for somebody, and leads back to the console.
#[utoipa::path(post, path = "/account/acting/end", tag = "Pages", security(()), responses(PeopleFormResponses))]
pub(crate) async fn submit_acting_end(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.sender(&form).await?;
        let to = match own.actor {
            Some(_) => {
                end(&visitor, &own).await?;
                format!("/admin/users/{}", own.subject.id)
            }
            None => HOME.to_owned(),
        };
        visitor.set_cookie(SessionCookie::ClearActing);
        Ok(Reply::see_other(visitor.path(&to)))
    };
    visitor.respond(answer.await)
}
