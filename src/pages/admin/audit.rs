//! `/admin/audit`: the audit log of all accounts.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use uuid::Uuid;

use super::words::{self, ENDS, LIMITS, word};
use super::{Console, Section, choices, show, submit};
use crate::audit::{Actor, Audit, Entry, Event, Filter, Outcome, Page};
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::pages::confirmation::Confirmation;
use crate::pages::handlers::ConsolePageResponses;
use crate::pages::reply::{Answer, Reply};
use crate::pages::typed::Typed;
use crate::pages::visitor::{SentForm, Visitor, state};
use crate::texts::Text;
use crate::types::{AuditId, SessionId, UserId};

/// The parameters of the list besides the cursor.
const FILTERS: [&str; 6] = ["event_type", "status", "user", "session_id", "from", "to"];

/// The entries of a page: fewer than other lists have rows, because they are sentences.
const ENTRIES: usize = 16;

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
    let mut typed = Typed::of_query(console.visitor.request(), &FILTERS)?;
    let filter = filter(console, &mut typed).await?;
    let after = console.cursor(Section::Audit, |bytes| Uuid::from_slice(bytes).ok().map(AuditId))?;
    let found = if typed.is_refused() {
        Page { entries: Vec::new(), next: None, total: None }
    } else {
        state::<Audit>(console.visitor.request())?.page(&filter, after, ENTRIES).await?
    };
    let next = found.next.map(|next| console.next_page(Section::Audit, &typed, next.0.as_bytes()));
    let outcomes = [
        (Outcome::Success.name(), Text::of("admin-outcome-success").value(language)),
        (Outcome::Failure.name(), Text::of("admin-outcome-failure").value(language)),
    ];
    let events = Event::ALL.iter().map(|event| (event.name(), words::event(event.name()).value(language)));
    let values = context! {
        events => choices(events, filter.event.map(Event::name)),
        outcomes => choices(outcomes, filter.outcome.map(Outcome::name)),
        entries => rows(console, found.entries).await?,
        next,
    };
    Ok(console.list("admin/audit.html", Section::Audit, &typed, values))
}

/// Reads the filter of the list.
async fn filter(console: &Console<'_>, typed: &mut Typed) -> Result<Filter, Problem> {
    let [from, to] = typed.days();
    let session = |text: &str| Uuid::try_parse(text).ok().map(SessionId);
    Ok(Filter {
        user: console.filtered_user(typed).await?,
        session: typed.read("session_id", session, Text::of("admin-session-refused")),
        event: typed.read("event_type", Event::parse, Text::of("choice-refused")),
        outcome: typed.read("status", Outcome::parse, Text::of("choice-refused")),
        from,
        to,
    })
}

/// The fields of the form that asks for the entries of the list as a file: those of its filter.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct AdminAuditForm {
    event_type: Option<String>,
    status: Option<String>,
    /// An account, by its email address or its id.
    user: Option<String>,
    session_id: Option<Uuid>,
    /// The first day, in UTC.
    from: Option<String>,
    /// The last day, in UTC.
    to: Option<String>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app or a recovery code, where two-step login is on.
    confirm_code: Option<String>,
}

/// Answers to that form with the file that `write` begins.
pub(crate) async fn submit_export(
    visitor: Visitor,
    form: SentForm,
    write: impl AsyncFnOnce(Filter, &Actor) -> Result<HttpResponse, Problem>,
) -> HttpResponse {
    let work = async |console: &Console<'_>, form: &FormBody| {
        let mut typed = Typed::keep(form, &FILTERS);
        let filter = filter(console, &mut typed).await?;
        if typed.is_refused() {
            return Err(Problem::invalid(Vec::new()).into());
        }
        let title = Text::of("activity-export");
        let own = console.visitor.require_recent(form, console.own.clone(), title.clone()).await?;
        // A browser that is sent a file stays on the page that it came from, here the question.
        if Visitor::has_confirmed(form) {
            let fields = FILTERS.into_iter().map(|name| (name, typed.value(name).to_owned())).collect();
            let action = "/admin/audit/export";
            let download = Confirmation::of_file("", title, action, Section::Audit.path(), fields);
            return Ok(download.reply(console.visitor, StatusCode::OK));
        }
        Ok(Reply::Whole(write(filter, &console.visitor.actor(&own)).await?))
    };
    submit(visitor, form, work).await
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
    Ok(entries.into_iter().map(|entry| row(entry, &emails, console)).collect())
}

fn row(entry: Entry, emails: &HashMap<UserId, String>, console: &Console<'_>) -> Value {
    let language = console.language();
    let person = |id: UserId| context! { id => id.to_string(), email => emails.get(&id) };
    let details = entry.metadata.as_object().into_iter().flatten().map(|(name, value)| {
        let text = said(&entry.event, name, value);
        context! {
            is_text => text.is_some(),
            name => text.as_ref().map_or_else(|| Value::from(name.as_str()), |(name, _)| name.value(language)),
            value => text.map_or_else(|| Value::from(plain(value)), |(_, text)| text.value(language)),
        }
    });
    context! {
        details => details.collect::<Vec<_>>(),
        id => entry.id.to_string(),
        at => console.time(entry.at),
        event => words::event(&entry.event).value(language),
        event_type => entry.event,
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

/// Returns the name and the value of a detail in words, if it is a member of a closed set.
fn said(event: &str, name: &str, value: &serde_json::Value) -> Option<(Text, Text)> {
    match (Event::parse(event)?, name) {
        (Event::SessionRevoked, "reason") => Some((Text::of("admin-reason"), word(&ENDS, value.as_str()?))),
        (Event::LimitExceeded, "limit") => Some((Text::of("admin-limit"), word(&LIMITS, value.as_str()?))),
        _ => None,
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
