//! `/admin/sessions`: the sessions of all people.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use uuid::Uuid;

use super::{Console, ROWS, Section, choices, short_time, show};
use crate::pages::handlers::ConsolePageResponses;
use crate::pages::reply::Answer;
use crate::pages::sessions::{icon, label};
use crate::pages::visitor::Visitor;
use crate::sessions::{OwnedSession, SessionPage, SessionQuery, SessionState};
use crate::texts::Text;
use crate::types::{SessionId, SessionKind};

/// The parameters of the list besides the cursor.
const FILTERS: [&str; 3] = ["user", "state", "kind"];

/// Lists the sessions of all people, newest first.
#[utoipa::path(get, path = "/admin/sessions", tag = "Pages", security(()),
    params(("user" = Option<String>, Query, description = "An account, by its email address or its id"),
        ("state" = Option<String>, Query), ("kind" = Option<String>, Query), ("cursor" = Option<String>, Query)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_sessions(visitor: Visitor) -> HttpResponse {
    show(visitor, list).await
}

async fn list(console: &Console<'_>) -> Answer {
    let language = console.language();
    let typed_user = console.parameter("user")?;
    let state = console.parameter("state")?.as_deref().and_then(SessionState::parse);
    let kinds = [SessionKind::App, SessionKind::Browser];
    let kind = console.parameter("kind")?;
    let kind = kinds.into_iter().find(|known| Some(known.name()) == kind.as_deref());
    let after = console.cursor(|bytes| Uuid::from_slice(bytes).ok().map(SessionId))?;
    let user = match &typed_user {
        Some(text) => console.find_user(text).await?,
        None => None,
    };
    let found = if typed_user.is_some() && user.is_none() {
        SessionPage { sessions: Vec::new(), next: None }
    } else {
        console.admin.search_sessions(SessionQuery { user, kind, state }, after, ROWS).await?
    };
    let next = found.next.map(|next| console.next_page(Section::Sessions, &FILTERS, next.0.as_bytes())).transpose()?;
    let states = [
        (SessionState::Live.name(), Text::of("admin-sessions-live").value(language)),
        (SessionState::Ended.name(), Text::of("admin-sessions-ended").value(language)),
    ];
    let kinds = [
        (SessionKind::App.name(), Text::of("admin-kind-app").value(language)),
        (SessionKind::Browser.name(), Text::of("admin-kind-browser").value(language)),
    ];
    let values = context! {
        user => typed_user,
        states => choices(states, state.map(SessionState::name)),
        kinds => choices(kinds, kind.map(SessionKind::name)),
        sessions => found.sessions.iter().map(|owned| row(owned, console)).collect::<Vec<_>>(),
        next,
    };
    Ok(console.page("admin/sessions.html", Section::Sessions, Text::of("admin-sessions").value(language), values))
}

/// Returns what lists tell of a session.
pub(super) fn row(owned: &OwnedSession, console: &Console<'_>) -> Value {
    let session = &owned.session;
    let ended = session.revoked_at.or(session.has_ended.then_some(session.expires_at));
    context! {
        id => session.id.to_string(),
        user => owned.user.to_string(),
        email => &owned.email,
        label => label(session, console.language()),
        device => session.device.in_language(console.language()),
        icon => icon(session),
        is_own => session.id == console.own.session,
        is_browser => session.kind == SessionKind::Browser,
        is_impersonation => session.impersonator.is_some(),
        has_two_steps => session.amr.has_second_factor(),
        place => session.place.as_ref().map(|place| place.label()),
        ip => session.ip.map(|ip| ip.to_string()),
        created => short_time(session.created_at),
        last_active => short_time(session.last_active_at),
        ended => ended.map(short_time),
        reason => &session.revoked_reason,
    }
}
