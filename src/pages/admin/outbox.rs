//! `/admin/outbox`: the emails that wait, and those that were given up.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use uuid::Uuid;

use super::words::{EMAILS, word};
use super::{Console, ROWS, Section, changes, show, submit};
use crate::audit::Event;
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::mail::QueuedEmail;
use crate::pages::handlers::{ConsoleFormResponses, ConsolePageResponses};
use crate::pages::reply::Answer;
use crate::pages::typed::Typed;
use crate::pages::visitor::{SentForm, Visitor};
use crate::texts::Text;
use crate::types::EmailId;

/// The value of `state` for emails that were given up.
const FAILED: &str = "failed";

/// Lists the emails that wait, or those that were given up, newest first.
#[utoipa::path(get, path = "/admin/outbox", tag = "Pages", security(()),
    params(("state" = Option<String>, Query, description = "`failed` for emails that were given up"),
        ("cursor" = Option<String>, Query)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_outbox(visitor: Visitor) -> HttpResponse {
    show(visitor, list).await
}

async fn list(console: &Console<'_>) -> Answer {
    let language = console.language();
    let typed = Typed::of_query(console.visitor.request(), &["state"])?;
    let is_waiting = match typed.value("state") {
        "" => true,
        FAILED => false,
        _ => return Err(Problem::not_found().into()),
    };
    let after = console.cursor(Section::Outbox, |bytes| Uuid::from_slice(bytes).ok().map(EmailId))?;
    let mut emails = console.admin.list_emails(is_waiting, after, ROWS.saturating_add(1)).await?;
    let has_more = emails.len() > ROWS;
    emails.truncate(ROWS);
    let last = emails.last().filter(|_| has_more).map(|email| email.id);
    let next = last.map(|id| console.next_page(Section::Outbox, &typed, id.0.as_bytes()));
    let path = console.visitor.path(Section::Outbox.path());
    let values = context! {
        done => changes::done(console).await?,
        states => [
            context! {
                href => &path,
                text => Text::of("admin-mail-waiting").value(language),
                is_current => is_waiting,
            },
            context! {
                href => format!("{path}?state={FAILED}"),
                text => Text::of("admin-mail-failed").value(language),
                is_current => !is_waiting,
            },
        ],
        is_waiting,
        emails => emails.iter().map(|email| row(email, console)).collect::<Vec<_>>(),
        next,
    };
    Ok(console.page("admin/outbox.html", Section::Outbox, Text::of("admin-mail").value(language), values))
}

fn row(email: &QueuedEmail, console: &Console<'_>) -> Value {
    context! {
        id => email.id.to_string(),
        kind => word(&EMAILS, &email.kind).value(console.language()),
        recipient => &email.recipient,
        created => console.time(email.created_at),
        next => email.next_attempt_at.map(|at| console.time(at)),
        expires => email.expires_at.map(|at| console.time(at)),
        attempts => email.attempts,
        error => &email.last_error,
    }
}

/// Asks whether to try one email, or all that wait, at once.
#[utoipa::path(get, path = "/admin/outbox/retry", tag = "Pages", security(()),
    params(("email" = Option<Uuid>, Query, description = "The email; without it, all that wait")),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_retry(visitor: Visitor) -> HttpResponse {
    show(visitor, ask).await
}

async fn ask(console: &Console<'_>) -> Answer {
    let email = console.parameter("email")?;
    let (text, fields) = match &email {
        Some(id) => {
            Uuid::try_parse(id).map_err(|_| Problem::not_found())?;
            (Text::of("admin-retry-one"), vec![("email", id.clone())])
        }
        None => (Text::of("admin-retry-all"), vec![("all", "yes".to_owned())]),
    };
    Ok(console.ask(Section::Outbox, (Text::of("admin-retry"), text), "/admin/outbox/retry", &fields))
}

/// The fields of the form that has emails tried again.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct AdminRetryForm {
    /// The email.
    email: Option<Uuid>,
    /// In its place: all that wait.
    all: Option<String>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Has one email, or all that wait, tried at once.
#[utoipa::path(post, path = "/admin/outbox/retry", tag = "Pages", security(()),
    request_body(content = AdminRetryForm, content_type = "application/x-www-form-urlencoded"),
    responses(ConsoleFormResponses))]
pub(crate) async fn submit_admin_retry(visitor: Visitor, form: SentForm) -> HttpResponse {
    submit(visitor, form, retry).await
}

async fn retry(console: &Console<'_>, form: &FormBody) -> Answer {
    // A form from which something is missing has nothing sent.
    let email = match (form.get("all"), form.get("email")) {
        (Some(_), _) => None,
        (None, email) => {
            let id = Uuid::try_parse(&email.unwrap_or_default()).map_err(|_| Problem::not_found())?;
            Some(EmailId(id))
        }
    };
    let by = console.operator(form, Text::of("admin-retry")).await?;
    let begun = console.visitor.context.clock.now();
    console.admin.retry_emails(email, &by).await?;
    Ok(console.back(Section::Outbox.path(), None, &[Event::EmailsRetried], begun).await?)
}
