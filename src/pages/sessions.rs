//! `/account/sessions`: the devices and apps that a person is logged in with.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use uuid::Uuid;

use super::confirmation::Confirmation;
use super::live::version;
use super::reply::{Answer, Detour, Reply};
use super::time_value;
use super::typed::required;
use super::visitor::{SentForm, Visitor, require_owner, state};
use crate::accounts::Recovery;
use crate::http::body::FormBody;
use crate::http::{Problem, query};
use crate::revocations::Reason;
use crate::sessions::{Session, SessionSelector, SessionSnapshot};
use crate::texts::{Language, Text};
use crate::types::{Label, SessionId, SessionKind, Timestamp};

const PATH: &str = "/account/sessions";

/// How long after its last use a session is still shown as used now.
const NOW: std::time::Duration = std::time::Duration::from_secs(180);

/// Lists the sessions: the one of this browser first, each with those that were opened within it.
#[utoipa::path(get, path = "/account/sessions", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_sessions(visitor: Visitor) -> HttpResponse {
    let reply = async {
        let own = visitor.person().await?;
        list(&visitor, &own, None, StatusCode::OK).await
    };
    visitor.respond(reply.await)
}

/// Asks whether to end a session, or all but the one of this browser.
#[utoipa::path(get, path = "/account/sessions/end", tag = "Pages", security(()),
    params(("session" = Option<Uuid>, Query, description = "The session; without it, all but the one of this browser")),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_end_session(visitor: Visitor) -> HttpResponse {
    let reply = async {
        let named = query::parameter(visitor.request(), "session")?;
        let own = visitor.person().await?;
        let (title, question, field) = match named.as_deref().map(|text| Uuid::try_parse(text)) {
            None => {
                let others = visitor.sessions.list(own.subject.id, false).await?.len().saturating_sub(1);
                if others == 0 {
                    return Ok(Reply::see_other(visitor.path(PATH)));
                }
                let count = i64::try_from(others).unwrap_or(i64::MAX);
                let question = Text::of("end-others-question").with_number("count", count);
                (Text::of("end-others-title"), question, ("all", "yes".to_owned()))
            }
            Some(id) => {
                let id = SessionId(id.map_err(|_| Problem::not_found())?);
                let session = visitor.sessions.find(id, own.subject.id).await?.ok_or_else(Problem::not_found)?;
                let question = Text::of("end-question").with("session", label(&session, visitor.language()));
                (Text::of("end-title"), question, ("session", id.to_string()))
            }
        };
        let confirmation = Confirmation {
            section: "sessions",
            title,
            question,
            button: Text::of("end-button"),
            kind: "danger",
            action: "/account/sessions/end",
            back: PATH,
            fields: vec![field],
            error: None,
        };
        Ok(confirmation.reply(&visitor, StatusCode::OK))
    };
    visitor.respond(reply.await)
}

/// Asks whether a session is somebody else's.
#[utoipa::path(get, path = "/account/sessions/not-me", tag = "Pages", security(()),
    params(("session" = Uuid, Query, description = "The session")),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_report_session(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let named = query::parameter(visitor.request(), "session")?;
        let own = visitor.person().await?;
        let session = reported(&visitor, &own, &named.unwrap_or_default()).await?;
        let confirmation = Confirmation {
            section: "sessions",
            title: Text::of("not-me-title"),
            question: Text::of("not-me-question").with("session", label(&session, visitor.language())),
            button: Text::of("not-me-button"),
            kind: "danger",
            action: "/account/sessions/not-me",
            back: PATH,
            fields: vec![("session", session.id.to_string())],
            error: None,
        };
        Ok(confirmation.reply(&visitor, StatusCode::OK))
    };
    visitor.respond(answer.await)
}

/// Reports a session as somebody else's: it is ended, no device is trusted any more, and the owner is asked for a new
/// password.
#[utoipa::path(post, path = "/account/sessions/not-me", tag = "Pages", security(()),
    request_body(content = SessionForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_report_session(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let session = reported(&visitor, &own, &form.get("session").unwrap_or_default()).await?;
        let recovery = state::<Recovery>(visitor.request())?;
        recovery.report_session(own.subject.id, session.id, &visitor.actor(&own)).await?;
        Ok(super::security::done(&visitor, "reported"))
    };
    visitor.respond(answer.await)
}

/// Finds another session of the same account.
async fn reported(visitor: &Visitor, own: &SessionSnapshot, text: &str) -> Result<Session, Detour> {
    let session = Uuid::try_parse(text).map(SessionId).map_err(|_| Problem::not_found())?;
    let found = visitor.sessions.find(session, own.subject.id).await?;
    let found = found.filter(|found| found.id != own.session && !found.has_ended);
    Ok(found.ok_or_else(Problem::not_found)?)
}

/// The fields of the forms about sessions.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the forms, whose fields are read by name")]
pub(crate) struct SessionForm {
    /// The session.
    session: Option<Uuid>,
    /// In its place: all but the one of this browser.
    all: Option<String>,
    /// The new name; empty for none.
    name: Option<String>,
}

/// Ends a session, or all but the one of this browser.
#[utoipa::path(post, path = "/account/sessions/end", tag = "Pages", security(()),
    request_body(content = SessionForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_end_session(visitor: Visitor, form: SentForm) -> HttpResponse {
    let reply = async {
        let form = form?;
        let own = visitor.sender(&form).await?;
        require_owner(&own)?;
        let user = own.subject.id;
        // A form from which something is missing ends nothing.
        let selector = match form.get("all") {
            Some(_) => SessionSelector::AllOfExcept(user, own.session),
            None => {
                let session = session_of(&form)?;
                visitor.sessions.find(session, user).await?.ok_or_else(Problem::not_found)?;
                SessionSelector::OneOf(session, user)
            }
        };
        visitor.sessions.revoke(selector, Reason::EndedByOwner, &visitor.actor(&own)).await?;
        Ok(Reply::see_other(visitor.path(PATH)))
    };
    visitor.respond(reply.await)
}

/// Names a session, or removes its name.
#[utoipa::path(post, path = "/account/sessions/name", tag = "Pages", security(()),
    request_body(content = SessionForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_session_name(visitor: Visitor, form: SentForm) -> HttpResponse {
    let reply = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        let session = session_of(&form)?;
        let typed = required(&form, "name")?;
        let name = match typed.trim() {
            "" => None,
            text => match Label::parse(text) {
                Ok(name) => Some(name),
                Err(_) => {
                    let refused = Refused { session, name: text };
                    return list(&visitor, &own, Some(refused), StatusCode::UNPROCESSABLE_ENTITY).await;
                }
            },
        };
        let renamed = visitor.sessions.rename(session, name, own.subject.id, &visitor.actor(&own)).await?;
        renamed.ok_or_else(Problem::not_found)?;
        Ok(Reply::see_other(visitor.path(PATH)))
    };
    visitor.respond(reply.await)
}

/// Returns the session that a form names.
fn session_of(form: &FormBody) -> Result<SessionId, Problem> {
    let text = form.get("session").unwrap_or_default();
    Uuid::try_parse(&text).map(SessionId).map_err(|_| Problem::not_found())
}

/// A name that was refused, which the form keeps.
struct Refused<'a> {
    session: SessionId,
    name: &'a str,
}

async fn list(visitor: &Visitor, own: &SessionSnapshot, refused: Option<Refused<'_>>, status: StatusCode) -> Answer {
    let language = visitor.language();
    let now = visitor.context.clock.now();
    let all = visitor.sessions.list(own.subject.id, true).await?;
    let (ended, mut live): (Vec<&Session>, Vec<&Session>) = all.iter().partition(|session| session.has_ended);
    // This browser first; otherwise the newest, as they come.
    live.sort_by_key(|session| session.id != own.session);
    let is_listed = |id: SessionId| live.iter().any(|session| session.id == id);
    let card = |session: &Session| card(session, own.session, refused.as_ref(), now, language);
    let with_children = |session: &&Session| {
        let children = live.iter().filter(|child| child.parent == Some(session.id));
        let children: Vec<Value> = children.map(|child| card(child)).collect();
        context! { children, ..card(session) }
    };
    let parents = live.iter().filter(|session| !session.parent.is_some_and(is_listed));
    let values = context! {
        title => Text::of("sessions-title").value(language),
        section => "sessions",
        email => &own.subject.email,
        version => version(&all),
        sessions => parents.map(with_children).collect::<Vec<_>>(),
        others => live.len().saturating_sub(1),
        ended => ended.iter().map(|session| card(session)).collect::<Vec<_>>(),
    };
    Ok(Reply::refused(status, "sessions.html", values))
}

/// Returns the name of a session, or else that of its device.
pub(super) fn label(session: &Session, language: Language) -> String {
    session.name.clone().unwrap_or_else(|| session.device.in_language(language))
}

fn card(session: &Session, own: SessionId, refused: Option<&Refused<'_>>, now: Timestamp, language: Language) -> Value {
    let time = |time| time_value(time, language);
    let refused = refused.filter(|refused| refused.session == session.id);
    let is_two_steps = session.amr.has_second_factor();
    let method = if is_two_steps { Text::of("session-two-steps") } else { Text::of("session-password") };
    context! {
        id => session.id.to_string(),
        label => label(session, language),
        name => refused.map_or_else(|| session.name.clone().unwrap_or_default(), |refused| refused.name.to_owned()),
        name_error => refused.map(|_| Text::of("session-name-refused").value(language)),
        device => session.device.in_language(language),
        icon => icon(session),
        is_current => session.id == own,
        is_browser => session.kind == SessionKind::Browser,
        is_impersonation => session.impersonator.is_some(),
        place => session.place.as_ref().map(|place| place.label()),
        ip => session.ip.map(|ip| ip.to_string()),
        created => time(session.created_at),
        last_active => time(session.last_active_at),
        is_active_now => now.since(session.last_active_at) <= NOW,
        expires => time(session.expires_at),
        method => method.value(language),
        ended => session.revoked_at.or(session.has_ended.then_some(session.expires_at)).map(time),
        reason => session.has_ended.then(|| reason(session.revoked_reason.as_deref()).value(language)),
    }
}

/// Returns the name of the icon of a device.
pub(super) fn icon(session: &Session) -> &'static str {
    match session.device.device_type.name() {
        "mobile" => "phone",
        "tablet" => "tablet",
        "desktop" => "desktop",
        "tv" | "console" => "tv",
        "bot" | "program" => "terminal",
        _ => "unknown",
    }
}

/// Returns why a session has ended, by the name of the reason; without one it has expired.
pub(super) fn reason(name: Option<&str>) -> Text {
    match name.map(Reason::parse) {
        None => Text::of("reason-expired"),
        Some(Reason::Logout) => Text::of("reason-logout"),
        Some(Reason::EndedByOwner) => Text::of("reason-ended"),
        Some(Reason::EndedByOperator) => Text::of("reason-operator"),
        Some(Reason::PasswordChanged) => Text::of("reason-password"),
        Some(Reason::ReportedByOwner) => Text::of("reason-reported"),
        Some(Reason::RefreshTokenReused) => Text::of("reason-reused"),
        Some(Reason::SessionLimit) => Text::of("reason-limit"),
        Some(Reason::AccountDisabled) => Text::of("reason-disabled"),
        Some(_) => Text::of("reason-other"),
    }
}
