//! `/admin/clients`: registered clients and their secrets.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};
use uuid::Uuid;

use super::{Console, ROWS, Section, changes, show, submit};
use crate::admin::{IssuedSecret, Replaced};
use crate::audit::Event;
use crate::clients::{Client, ClientChange, NewClient};
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::pages::handlers::{ConsoleFormResponses, ConsolePageResponses};
use crate::pages::reply::{Answer, Reply};
use crate::pages::typed::Typed;
use crate::pages::visitor::{SentForm, Visitor};
use crate::texts::Text;
use crate::types::{Audiences, ClientId, Label, Scopes};

/// Lists the registered clients, in the order of their registration.
#[utoipa::path(get, path = "/admin/clients", tag = "Pages", security(()), params(("cursor" = Option<String>, Query)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_clients(visitor: Visitor) -> HttpResponse {
    show(visitor, list).await
}

async fn list(console: &Console<'_>) -> Answer {
    let after = console.cursor(Section::Clients, |bytes| Uuid::from_slice(bytes).ok().map(ClientId))?;
    let mut clients = console.admin.list_clients(after, ROWS.saturating_add(1)).await?;
    let has_more = clients.len() > ROWS;
    clients.truncate(ROWS);
    let last = clients.last().filter(|_| has_more).map(|client| client.id);
    let next = last.map(|id| console.next_page(Section::Clients, &Typed::default(), id.0.as_bytes()));
    let values = context! {
        done => changes::done(console).await?,
        clients => clients.iter().map(|client| row(client, console)).collect::<Vec<_>>(),
        next,
    };
    let title = Text::of("admin-clients").value(console.language());
    Ok(console.page("admin/clients.html", Section::Clients, title, values))
}

fn row(client: &Client, console: &Console<'_>) -> Value {
    context! {
        id => client.id.to_string(),
        name => &client.name,
        scopes => client.scopes.names().to_vec(),
        audiences => client.audiences.names().to_vec(),
        ttl => client.access_token_ttl.map(|ttl| ttl.as_secs()),
        algorithm => client.signing_algorithm.map(|algorithm| algorithm.name()),
        is_disabled => !client.is_enabled(),
        created => console.time(client.created_at),
        last_used => client.last_used_at.map(|at| console.time(at)),
        secrets => client.secrets.iter().map(|secret| {
            context! { number => secret.number, created => console.time(secret.created_at) }
        }).collect::<Vec<_>>(),
    }
}

/// Shows a client.
#[utoipa::path(get, path = "/admin/clients/{id}", tag = "Pages", security(()), params(("id" = Uuid, Path)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_client(visitor: Visitor) -> HttpResponse {
    show(visitor, one).await
}

async fn one(console: &Console<'_>) -> Answer {
    let client = console.admin.client(ClientId(console.id()?)).await?.ok_or_else(Problem::not_found)?;
    let values = context! { done => changes::done(console).await?, client => row(&client, console) };
    Ok(console.page("admin/client.html", Section::Clients, Value::from(client.name.as_str()), values))
}

/// Asks what a new client is to be.
#[utoipa::path(get, path = "/admin/clients/new", tag = "Pages", security(()), responses(ConsolePageResponses))]
pub(crate) async fn show_admin_new_client(visitor: Visitor) -> HttpResponse {
    show(visitor, async |console| Ok(form_page(console, None, [None, None, None]))).await
}

/// The fields of the form that registers a client.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct AdminClientForm {
    name: String,
    /// With spaces between them.
    scopes: Option<String>,
    /// With spaces between them.
    audiences: Option<String>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Registers a client, and shows its secret this once.
#[utoipa::path(post, path = "/admin/clients/new", tag = "Pages", security(()),
    request_body(content = AdminClientForm, content_type = "application/x-www-form-urlencoded"),
    responses(ConsoleFormResponses))]
pub(crate) async fn submit_admin_new_client(visitor: Visitor, form: SentForm) -> HttpResponse {
    submit(visitor, form, create).await
}

async fn create(console: &Console<'_>, form: &FormBody) -> Answer {
    let typed = |name: &str| form.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let name = Label::parse(&typed("name"));
    let scopes = Scopes::parse(typed("scopes").split_whitespace());
    let audiences = Audiences::parse(typed("audiences").split_whitespace());
    let (name, scopes, audiences) = match (name, scopes, audiences) {
        (Ok(name), Ok(scopes), Ok(audiences)) => (name, scopes, audiences),
        (name, scopes, audiences) => {
            let refused = [
                name.err().map(|_| Text::of("session-name-refused")),
                scopes.err().map(|_| Text::of("admin-scopes-refused")),
                audiences.err().map(|_| Text::of("admin-audiences-refused")),
            ];
            return Ok(form_page(console, Some(form), refused));
        }
    };
    let new = NewClient { name, scopes, audiences, access_token_ttl: None, signing_algorithm: None };
    let by = console.operator(form, Text::of("admin-client-new")).await?;
    console.visitor.require_first(form, &console.own).await?;
    let issued = console.admin.create_client(new, &by).await?;
    Ok(secret_page(console, &issued))
}

/// Returns the form for a new client, with what was typed and refused: the name, the scopes, the audiences.
fn form_page(console: &Console<'_>, form: Option<&FormBody>, refused: [Option<Text>; 3]) -> Reply {
    let language = console.language();
    let typed = |name: &str| form.and_then(|form| form.get(name)).map(|value| value.as_str().to_owned());
    let [name_error, scopes_error, audiences_error] = refused.map(|text| text.map(|text| text.value(language)));
    let values = context! {
        is_refused => form.is_some(),
        name => typed("name"),
        scopes => typed("scopes"),
        audiences => typed("audiences"),
        name_error,
        scopes_error,
        audiences_error,
    };
    let title = Text::of("admin-client-new").value(language);
    let status = if form.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    console.page_with(status, "admin/new_client.html", Section::Clients, title, values)
}

/// Shows a secret, which nobody can read again.
fn secret_page(console: &Console<'_>, issued: &IssuedSecret) -> Reply {
    let values =
        context! { secret => issued.secret.expose(), number => issued.number, client => row(&issued.client, console) };
    let title = Text::of("admin-secret-title").value(console.language());
    console.page("admin/secret.html", Section::Clients, title, values)
}

/// A change of a client.
enum Change {
    AddSecret,
    DeleteSecret(i32),
    Disable,
    Enable,
    Delete,
}

impl Change {
    /// Reads a change from its name and the number of a secret.
    ///
    /// # Errors
    /// There is no such change.
    fn read(name: Option<&str>, number: Option<&str>) -> Result<Self, Problem> {
        match (name, number.and_then(|number| number.parse().ok())) {
            (Some("add_secret"), _) => Ok(Self::AddSecret),
            (Some("delete_secret"), Some(number)) => Ok(Self::DeleteSecret(number)),
            (Some("disable"), _) => Ok(Self::Disable),
            (Some("enable"), _) => Ok(Self::Enable),
            (Some("delete"), _) => Ok(Self::Delete),
            _ => Err(Problem::not_found()),
        }
    }

    fn question(&self, client: &str) -> (Text, Text) {
        let (title, text) = match self {
            Self::AddSecret => (Text::of("admin-add-secret"), Text::of("admin-add-secret-text")),
            Self::DeleteSecret(number) => {
                let text = Text::of("admin-delete-secret-text").with("number", number.to_string());
                (Text::of("admin-delete-secret"), text)
            }
            Self::Disable => (Text::of("admin-client-disable"), Text::of("admin-client-disable-text")),
            Self::Enable => (Text::of("admin-client-enable"), Text::of("admin-client-enable-text")),
            Self::Delete => (Text::of("admin-client-delete"), Text::of("admin-client-delete-text")),
        };
        (title, text.with("client", client))
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::AddSecret => vec![("change", "add_secret".to_owned())],
            Self::DeleteSecret(number) => vec![("change", "delete_secret".to_owned()), ("number", number.to_string())],
            Self::Disable => vec![("change", "disable".to_owned())],
            Self::Enable => vec![("change", "enable".to_owned())],
            Self::Delete => vec![("change", "delete".to_owned())],
        }
    }
}

/// Asks whether to change a client.
#[utoipa::path(get, path = "/admin/clients/{id}/change", tag = "Pages", security(()),
    params(("id" = Uuid, Path), ("change" = Option<String>, Query, description = "What is to be done"),
        ("number" = Option<i32>, Query, description = "The number of the secret that is deleted")),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_client_change(visitor: Visitor) -> HttpResponse {
    show(visitor, ask).await
}

async fn ask(console: &Console<'_>) -> Answer {
    let change = Change::read(console.parameter("change")?.as_deref(), console.parameter("number")?.as_deref())?;
    let client = console.admin.client(ClientId(console.id()?)).await?.ok_or_else(Problem::not_found)?;
    let action = format!("/admin/clients/{}/change", client.id);
    Ok(console.ask(Section::Clients, change.question(&client.name), &action, &change.fields()))
}

/// The fields of the form that changes a client.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct AdminClientChangeForm {
    /// What is to be done: `add_secret`, `delete_secret`, `disable`, `enable` or `delete`.
    change: String,
    /// The number of the secret that is deleted.
    number: Option<i32>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Changes a client. Another secret is shown this once.
#[utoipa::path(post, path = "/admin/clients/{id}/change", tag = "Pages", security(()), params(("id" = Uuid, Path)),
    request_body(content = AdminClientChangeForm, content_type = "application/x-www-form-urlencoded"),
    responses(ConsoleFormResponses))]
pub(crate) async fn submit_admin_client_change(visitor: Visitor, form: SentForm) -> HttpResponse {
    submit(visitor, form, carry_out).await
}

async fn carry_out(console: &Console<'_>, form: &FormBody) -> Answer {
    let client = ClientId(console.id()?);
    let name = form.get("change");
    let number = form.get("number");
    let change = Change::read(name.as_deref().map(String::as_str), number.as_deref().map(String::as_str))?;
    let (act, _) = change.question("");
    let by = console.operator(form, act).await?;
    let begun = console.visitor.context.clock.now();
    let admin = &console.admin;
    let update = async |disabled| {
        let change = ClientChange { disabled: Some(disabled), ..ClientChange::default() };
        admin.update_client(client, change, &by).await.map(drop)
    };
    let event = match change {
        Change::AddSecret => {
            console.visitor.require_first(form, &console.own).await?;
            let issued = admin.add_client_secret(client, Replaced::Nothing, &by).await?;
            return Ok(secret_page(console, &issued));
        }
        Change::DeleteSecret(number) => {
            admin.delete_client_secret(client, number, &by).await?;
            Event::ClientSecretDeleted
        }
        Change::Disable => update(true).await.map(|()| Event::ClientChanged)?,
        Change::Enable => update(false).await.map(|()| Event::ClientChanged)?,
        Change::Delete => {
            admin.delete_client(client, &by).await?;
            return Ok(console.back(Section::Clients.path(), None, &[Event::ClientDeleted], begun).await?);
        }
    };
    Ok(console.back(&format!("/admin/clients/{client}"), None, &[event], begun).await?)
}
