//! `/account/activity`: what happened to an account, as sentences.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use uuid::Uuid;

use super::events::{is_personal, of_entry, sentence};
use super::machine_readable;
use super::reply::{Answer, Reply};
use super::sessions::reason;
use super::visitor::{Visitor, state};
use crate::audit::{Audit, Entry, Event, Filter, Outcome};
use crate::http::problem::Fields;
use crate::http::{Problem, pagination, query};
use crate::sessions::SessionSnapshot;
use crate::texts::{Language, Text, in_words};
use crate::types::{AuditId, Timestamp};

/// The entries of a page.
const PAGE: usize = 25;

/// What the page is asked for, as it was typed.
struct Asked {
    event: String,
    status: String,
    from: String,
    to: String,
}

impl Asked {
    fn read(visitor: &Visitor) -> Result<Self, Problem> {
        let read = |name| query::parameter(visitor.request(), name).map(|text| text.unwrap_or_default().to_string());
        Ok(Self { event: read("event")?, status: read("status")?, from: read("from")?, to: read("to")? })
    }

    /// Returns the filter. What is not understood filters nothing: the form shows what it took.
    fn filter(&self, own: &SessionSnapshot) -> Filter {
        Filter {
            user: Some(own.subject.id),
            event: Event::parse(&self.event),
            outcome: Outcome::parse(&self.status),
            from: Timestamp::parse(&format!("{}T00:00:00Z", self.from)),
            to: Timestamp::parse(&format!("{}T23:59:59.999Z", self.to)),
            ..Filter::default()
        }
    }

    /// Returns the query that asks for the same once more, from a position on.
    fn query(&self, cursor: &str) -> String {
        let fields = [("event", &*self.event), ("status", &self.status), ("from", &self.from), ("to", &self.to)];
        let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
        query::write(given.chain([("cursor", cursor)]))
    }
}

/// Lists what happened to the account, newest first.
#[utoipa::path(get, path = "/account/activity", tag = "Pages", security(()),
    params(
        ("event" = Option<String>, Query, description = "The name of an event"),
        ("status" = Option<String>, Query, description = "`success` or `failure`"),
        ("from" = Option<String>, Query, description = "The first day, in UTC"),
        ("to" = Option<String>, Query, description = "The last day, in UTC"),
        ("cursor" = Option<String>, Query, description = "Where the page begins")),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_activity(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let asked = Asked::read(&visitor)?;
        let cursor = query::parameter(visitor.request(), "cursor")?;
        let own = visitor.person().await?;
        let mut fields = Fields::default();
        let position = |bytes: &[u8]| Uuid::from_slice(bytes).ok().map(AuditId);
        let after = pagination::cursor(&mut fields, cursor.as_deref().map(|text| text.as_str()), position);
        fields.into_result()?;
        list(&visitor, &own, &asked, after.flatten()).await
    };
    visitor.respond(answer.await)
}

async fn list(visitor: &Visitor, own: &SessionSnapshot, asked: &Asked, after: Option<AuditId>) -> Answer {
    let language = visitor.language();
    let audit = state::<Audit>(visitor.request())?;
    let page = audit.page(&asked.filter(own), after, PAGE).await?;
    let next = page.next.map(|id| {
        let query = asked.query(&pagination::next_cursor(id.0.as_bytes()));
        visitor.path(&format!("/account/activity?{query}"))
    });
    let choice = |event: &Event| {
        let text = sentence(*event).value(language);
        context! { name => event.name(), text, is_chosen => event.name() == asked.event }
    };
    let events = Event::ALL.iter().filter(|event| is_personal(**event));
    let values = context! {
        title => Text::of("activity-title").value(language),
        section => "activity",
        entries => page.entries.iter().map(|entry| line(entry, language)).collect::<Vec<_>>(),
        next,
        is_first => after.is_none(),
        events => events.map(choice).collect::<Vec<_>>(),
        is_filtered => !(asked.event.is_empty() && asked.status.is_empty() && asked.from.is_empty()
            && asked.to.is_empty()),
        event => &asked.event,
        status => &asked.status,
        from => &asked.from,
        to => &asked.to,
    };
    Ok(Reply::page("activity.html", values))
}

fn line(entry: &Entry, language: Language) -> Value {
    let is_end = Event::parse(&entry.event) == Some(Event::SessionRevoked);
    let why = entry.metadata.get("reason").and_then(|reason| reason.as_str()).filter(|_| is_end);
    context! {
        text => of_entry(entry).value(language),
        time => context! { text => in_words(entry.at, language), machine => machine_readable(entry.at) },
        is_failure => entry.outcome == Outcome::Failure.name(),
        is_others => entry.actor.is_some(),
        device => entry.device.as_ref().map(|device| device.in_language(language)),
        ip => entry.ip.map(|ip| ip.to_string()),
        reason => why.map(|why| reason(Some(why)).value(language)),
    }
}
