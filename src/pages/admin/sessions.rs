//! `/admin/sessions`: the sessions of all people.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use uuid::Uuid;

use super::words::{ENDS, word};
use super::{Console, ROWS, Section, choices, show};
use crate::pages::handlers::ConsolePageResponses;
use crate::pages::reply::Answer;
use crate::pages::sessions::{icon, label};
use crate::pages::typed::Typed;
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
    let mut typed = Typed::of_query(console.visitor.request(), &FILTERS)?;
    let kinds = [SessionKind::App, SessionKind::Browser];
    let parse_kind = |text: &str| kinds.into_iter().find(|kind| kind.name() == text);
    let wanted = SessionQuery {
        user: console.filtered_user(&mut typed).await?,
        state: typed.read("state", SessionState::parse, Text::of("choice-refused")),
        kind: typed.read("kind", parse_kind, Text::of("choice-refused")),
    };
    let after = console.cursor(Section::Sessions, |bytes| Uuid::from_slice(bytes).ok().map(SessionId))?;
    let found = if typed.is_refused() {
        SessionPage { sessions: Vec::new(), next: None }
    } else {
        console.admin.search_sessions(wanted, after, ROWS).await?
    };
    let next = found.next.map(|next| console.next_page(Section::Sessions, &typed, next.0.as_bytes()));
    let states = [
        (SessionState::Live.name(), Text::of("admin-sessions-live").value(language)),
        (SessionState::Ended.name(), Text::of("admin-sessions-ended").value(language)),
    ];
    let kinds = [
        (SessionKind::App.name(), Text::of("admin-kind-app").value(language)),
        (SessionKind::Browser.name(), Text::of("admin-kind-browser").value(language)),
    ];
    let values = context! {
        states => choices(states, wanted.state.map(SessionState::name)),
        kinds => choices(kinds, wanted.kind.map(SessionKind::name)),
        sessions => found.sessions.iter().map(|owned| row(owned, console)).collect::<Vec<_>>(),
        next,
    };
    Ok(console.list("admin/sessions.html", Section::Sessions, &typed, values))
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
        created => console.time(session.created_at),
        last_active => console.time(session.last_active_at),
        ended => ended.map(|ended| console.time(ended)),
        reason => session.revoked_reason.as_deref().map(|reason| word(&ENDS, reason).value(console.language())),
    }
}
