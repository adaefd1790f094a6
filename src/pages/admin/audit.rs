//! `/admin/audit`: the audit log of all accounts.

use std::collections::HashMap;

use actix_web::HttpResponse;
use minijinja::{Value, context};
use uuid::Uuid;

use super::{Console, ROWS, Section, choices, short_time, show};
use crate::audit::{Audit, Entry, Event, Filter, Outcome, Page};
use crate::http::Problem;
use crate::pages::handlers::ConsolePageResponses;
use crate::pages::reply::Answer;
use crate::pages::visitor::{Visitor, state};
use crate::texts::{Language, Text};
use crate::types::{AuditId, SessionId, Timestamp, UserId};

/// The parameters of the list besides the cursor.
const FILTERS: [&str; 6] = ["event_type", "status", "user", "session_id", "from", "to"];

/// Lists the audit log, newest first.
#[utoipa::path(get, path = "/admin/audit", tag = "Pages", security(()),
    params(("event_type" = Option<String>, Query), ("status" = Option<String>, Query),
        ("user" = Option<String>, Query, description = "An account, by its email address or its id"),
        ("session_id" = Option<String>, Query), ("from" = Option<String>, Query, description = "The first day"),
        ("to" = Option<String>, Query, description = "The last day"), ("cursor" = Option<String>, Query)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_audit(visitor: Visitor) -> HttpResponse {
    show(visitor, list).await
}

async fn list(console: &Console<'_>) -> Answer {
    let language = console.language();
    let typed_user = console.parameter("user")?;
    let typed_session = console.parameter("session_id")?;
    let [from, to] = [console.parameter("from")?, console.parameter("to")?];
    let user = match &typed_user {
        Some(text) => console.find_user(text).await?,
        None => None,
    };
    let session = typed_session.as_deref().and_then(|text| Uuid::try_parse(text).ok()).map(SessionId);
    let filter = Filter {
        user,
        session,
        event: console.parameter("event_type")?.as_deref().and_then(Event::parse),
        outcome: console.parameter("status")?.as_deref().and_then(Outcome::parse),
        from: from.as_deref().and_then(|day| moment(day, "00:00:00.000")),
        to: to.as_deref().and_then(|day| moment(day, "23:59:59.999")),
    };
    let after = console.cursor(|bytes| Uuid::from_slice(bytes).ok().map(AuditId))?;
    // Somebody who does not exist has no entries, in place of those of all.
    let is_impossible = (typed_user.is_some() && user.is_none()) || (typed_session.is_some() && session.is_none());
    let found = if is_impossible {
        Page { entries: Vec::new(), next: None, total: Some(0) }
    } else {
        state::<Audit>(console.visitor.request())?.page(&filter, after, ROWS).await?
    };
    let next = found.next.map(|next| console.next_page(Section::Audit, &FILTERS, next.0.as_bytes())).transpose()?;
    let outcomes = [
        (Outcome::Success.name(), Text::of("admin-outcome-success").value(language)),
        (Outcome::Failure.name(), Text::of("admin-outcome-failure").value(language)),
    ];
    let events = Event::ALL.iter().map(|event| (event.name(), Value::from(event.name())));
    let values = context! {
        events => choices(events, filter.event.map(Event::name)),
        outcomes => choices(outcomes, filter.outcome.map(Outcome::name)),
        user => typed_user,
        session => typed_session,
        from,
        to,
        entries => rows(console, found.entries).await?,
        next,
    };
    Ok(console.page("admin/audit.html", Section::Audit, Text::of("admin-audit").value(language), values))
}

/// Returns a moment of a day that a form names.
fn moment(day: &str, time: &str) -> Option<Timestamp> {
    Timestamp::parse(&format!("{day}T{time}Z"))
}

/// Shows an entry of the audit log.
#[utoipa::path(get, path = "/admin/audit/{id}", tag = "Pages", security(()), params(("id" = Uuid, Path)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_entry(visitor: Visitor) -> HttpResponse {
    show(visitor, entry).await
}

async fn entry(console: &Console<'_>) -> Answer {
    let id = AuditId(console.id()?);
    let found = state::<Audit>(console.visitor.request())?.find(id).await?.ok_or_else(Problem::not_found)?;
    let mut rows = rows(console, vec![found]).await?;
    let entry = rows.pop().ok_or_else(Problem::not_found)?;
    let title = Text::of("admin-entry").value(console.language());
    Ok(console.page("admin/entry.html", Section::Audit, title, context! { entry }))
}

/// Returns what lists tell of entries, with the email addresses of the accounts that are in them.
pub(super) async fn rows(console: &Console<'_>, entries: Vec<Entry>) -> Result<Vec<Value>, Problem> {
    let mut users: Vec<UserId> = entries.iter().flat_map(|entry| [entry.user, entry.actor]).flatten().collect();
    users.sort_unstable();
    users.dedup();
    let emails = if users.is_empty() { HashMap::new() } else { console.admin.emails(users).await? };
    Ok(entries.into_iter().map(|entry| row(entry, &emails, console.language())).collect())
}

fn row(entry: Entry, emails: &HashMap<UserId, String>, language: Language) -> Value {
    let person = |id: UserId| context! { id => id.to_string(), email => emails.get(&id) };
    let details = entry.metadata.as_object().into_iter().flatten().map(|(name, value)| {
        context! { name, value => plain(value) }
    });
    context! {
        details => details.collect::<Vec<_>>(),
        id => entry.id.to_string(),
        at => short_time(entry.at),
        event => entry.event,
        is_failure => entry.outcome == Outcome::Failure.name(),
        user => entry.user.map(person),
        actor => entry.actor.map(person),
        session => entry.session.map(|session| session.to_string()),
        ip => entry.ip.map(|ip| ip.to_string()),
        device => entry.device.map(|device| device.in_language(language)),
        user_agent => entry.user_agent,
        request => entry.request_id,
    }
}

/// Returns a detail as text: a list as its items.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
