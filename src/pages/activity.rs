//! `/account/activity`: what happened to an account, as sentences.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use uuid::Uuid;

use super::events::{is_personal, of_entry, sentence};
use super::reply::{Answer, Detour, Reply};
use super::sessions::reason;
use super::time_value;
use super::typed::Typed;
use super::visitor::{Visitor, state};
use crate::audit::{Audit, Entry, Event, Filter, Outcome, Page};
use crate::http::pagination;
use crate::texts::{Language, Text};
use crate::types::AuditId;

/// The path of the page.
const PATH: &str = "/account/activity";

/// The entries of a page.
const ENTRIES: usize = 25;

/// The parameters of the list besides the cursor.
const FILTERS: [&str; 4] = ["event", "status", "from", "to"];

/// The filter of the list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes the query, whose parameters are read by name")]
pub(crate) struct ActivityFilter {
    /// The name of an event
    event: Option<String>,
    /// `success` or `failure`
    status: Option<String>,
    /// The first day, in UTC
    from: Option<String>,
    /// The last day, in UTC
    to: Option<String>,
}

/// Reads the filter of the list of whoever is logged in.
async fn filter(visitor: &Visitor) -> Result<(Typed, Filter), Detour> {
    let mut typed = Typed::of_query(visitor.request(), &FILTERS)?;
    let own = visitor.person().await?;
    let [from, to] = typed.days();
    let filter = Filter {
        user: Some(own.subject.id),
        event: typed.read("event", Event::parse, Text::of("choice-refused")),
        outcome: typed.read("status", Outcome::parse, Text::of("choice-refused")),
        from,
        to,
        ..Filter::default()
    };
    Ok((typed, filter))
}

/// Lists what happened to the account, newest first.
#[utoipa::path(get, path = "/account/activity", tag = "Pages", security(()),
    params(
        ActivityFilter,
        ("cursor" = Option<String>, Query, description = "Where the page begins")),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_activity(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let (typed, filter) = filter(&visitor).await?;
        list(&visitor, typed, filter).await
    };
    visitor.respond(answer.await)
}

/// Answers with what `export` makes of the entries that the list would show.
pub(crate) async fn answer_export(visitor: &Visitor, export: impl FnOnce(Filter) -> HttpResponse) -> Answer {
    let (typed, filter) = filter(visitor).await?;
    if typed.is_refused() {
        return list(visitor, typed, filter).await;
    }
    Ok(Reply::Whole(export(filter)))
}

async fn list(visitor: &Visitor, typed: Typed, filter: Filter) -> Answer {
    let language = visitor.language();
    let after = visitor.cursor(PATH, |bytes| Uuid::from_slice(bytes).ok().map(AuditId))?;
    let found = if typed.is_refused() {
        Page { entries: Vec::new(), next: None, total: None }
    } else {
        state::<Audit>(visitor.request())?.page(&filter, after, ENTRIES).await?
    };
    let query = typed.query();
    let next = found.next.map(|id| {
        let and = if query.is_empty() { "" } else { "&" };
        visitor.path(&format!("{PATH}?{query}{and}cursor={}", pagination::next_cursor(id.0.as_bytes())))
    });
    let choice = |event: &Event| {
        let text = sentence(*event).value(language);
        context! { name => event.name(), text, is_chosen => filter.event == Some(*event) }
    };
    let events = Event::ALL.iter().filter(|event| is_personal(**event));
    let outcomes =
        [(Outcome::Failure, Text::of("activity-failed")), (Outcome::Success, Text::of("activity-succeeded"))];
    let outcomes = outcomes.map(|(outcome, text)| {
        let is_chosen = filter.outcome == Some(outcome);
        context! { name => outcome.name(), text => text.value(language), is_chosen }
    });
    let values = context! {
        outcomes => outcomes.to_vec(),
        title => Text::of("activity-title").value(language),
        section => "activity",
        entries => found.entries.iter().map(|entry| line(entry, language)).collect::<Vec<_>>(),
        next,
        is_first => after.is_none(),
        events => events.map(choice).collect::<Vec<_>>(),
        is_filtered => !query.is_empty(),
        export => visitor.path(&format!("{PATH}/export{}{query}", if query.is_empty() { "" } else { "?" })),
        typed => typed.values(),
        errors => typed.errors(language),
        alert => typed.alert(language),
    };
    let status = if typed.is_refused() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(Reply::refused(status, "activity.html", values))
}

fn line(entry: &Entry, language: Language) -> Value {
    let why = entry.metadata.get("reason").and_then(|reason| reason.as_str());
    let reason = match Event::parse(&entry.event) {
        Some(Event::SessionRevoked) => why.map(|why| reason(Some(why)).value(language)),
        // What the administrator has written.
        Some(Event::ImpersonationStarted) => why.map(Value::from),
        _ => None,
    };
    context! {
        text => of_entry(entry).value(language),
        time => time_value(entry.at, language),
        is_failure => entry.outcome == Outcome::Failure.name(),
        is_others => entry.actor.is_some(),
        device => entry.device.as_ref().map(|device| device.in_language(language)),
        ip => entry.ip.map(|ip| ip.to_string()),
        reason,
    }
}
