//! `/admin`: the console for operators. Each page calls the operations that the API for administrators calls.

pub(crate) mod acting;
pub(crate) mod audit;
pub(crate) mod changes;
mod chart;
pub(crate) mod clients;
pub(crate) mod dashboard;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod outbox;
pub(crate) mod sessions;
pub(crate) mod users;
mod words;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use minijinja::{Value, context};
use uuid::Uuid;

use super::reply::{Answer, Detour, Reply};
use super::time_value;
use super::typed::Typed;
use super::visitor::{HOME, SentForm, Visitor, state};
use crate::admin::{Admin, Operator};
use crate::audit::Event;
use crate::http::body::FormBody;
use crate::http::{Problem, pagination, query};
use crate::sessions::SessionSnapshot;
use crate::texts::{Language, Text};
use crate::types::{ADMIN, EmailAddress, Timestamp, UserId};

/// The templates of the console by their names.
pub(super) const TEMPLATES: [(&str, &str); 17] = [
    ("admin/acting.html", include_str!("../templates/admin/acting.html")),
    ("admin/layout.html", include_str!("../templates/admin/layout.html")),
    ("admin/parts.html", include_str!("../templates/admin/parts.html")),
    ("admin/dashboard.html", include_str!("../templates/admin/dashboard.html")),
    ("admin/users.html", include_str!("../templates/admin/users.html")),
    ("admin/user.html", include_str!("../templates/admin/user.html")),
    ("admin/change.html", include_str!("../templates/admin/change.html")),
    ("admin/invitation.html", include_str!("../templates/admin/invitation.html")),
    ("admin/sessions.html", include_str!("../templates/admin/sessions.html")),
    ("admin/audit.html", include_str!("../templates/admin/audit.html")),
    ("admin/clients.html", include_str!("../templates/admin/clients.html")),
    ("admin/client.html", include_str!("../templates/admin/client.html")),
    ("admin/new_client.html", include_str!("../templates/admin/new_client.html")),
    ("admin/secret.html", include_str!("../templates/admin/secret.html")),
    ("admin/keys.html", include_str!("../templates/admin/keys.html")),
    ("admin/outbox.html", include_str!("../templates/admin/outbox.html")),
    ("admin/entry.html", include_str!("../templates/admin/entry.html")),
];

/// The rows of a page of a list.
const ROWS: usize = 20;

/// A part of the console.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Dashboard,
    Users,
    Sessions,
    Audit,
    Clients,
    Keys,
    Outbox,
}

impl Section {
    const ALL: [Self; 7] =
        [Self::Dashboard, Self::Users, Self::Sessions, Self::Audit, Self::Clients, Self::Keys, Self::Outbox];

    const fn path(self) -> &'static str {
        match self {
            Self::Dashboard => "/admin",
            Self::Users => "/admin/users",
            Self::Sessions => "/admin/sessions",
            Self::Audit => "/admin/audit",
            Self::Clients => "/admin/clients",
            Self::Keys => "/admin/keys",
            Self::Outbox => "/admin/outbox",
        }
    }

    const fn name(self) -> Text {
        match self {
            Self::Dashboard => Text::of("admin-dashboard"),
            Self::Users => Text::of("admin-users"),
            Self::Sessions => Text::of("admin-sessions"),
            Self::Audit => Text::of("admin-audit"),
            Self::Clients => Text::of("admin-clients"),
            Self::Keys => Text::of("admin-keys"),
            Self::Outbox => Text::of("admin-mail"),
        }
    }
}

/// A request of an administrator for a page of the console.
struct Console<'a> {
    visitor: &'a Visitor,
    admin: web::Data<Admin>,
    own: SessionSnapshot,
}

/// Answers the request of an administrator for a page. A stranger is sent to the login.
async fn show(visitor: Visitor, work: impl AsyncFnOnce(&Console<'_>) -> Answer) -> HttpResponse {
    let answer = async {
        // Before all else: no query may contain NUL.
        query::parameter(visitor.request(), "")?;
        let own = visitor.person().await?;
        work(&Console::new(&visitor, own)?).await
    };
    visitor.respond(answer.await)
}

/// Answers to the form of an administrator. What changes something asks for [`Console::operator`] first.
async fn submit(
    visitor: Visitor,
    form: SentForm,
    work: impl AsyncFnOnce(&Console<'_>, &FormBody) -> Answer,
) -> HttpResponse {
    let answer = async {
        let form = form?;
        let own = visitor.owner(&form).await?;
        work(&Console::new(&visitor, own)?, &form).await
    };
    visitor.respond(answer.await)
}

/// Returns what a page says of a refusal that is of the console; `None` if it is another one.
pub(super) fn refusal(code: &str) -> Option<Text> {
    Some(match code {
        "forbidden" => Text::of("admin-refused-forbidden"),
        "impersonated" => Text::of("acting-refused"),
        "not_found" => Text::of("admin-refused-missing"),
        "own_account" => Text::of("admin-refused-own"),
        "account_disabled" => Text::of("admin-refused-disabled"),
        "account_deletion_pending" => Text::of("admin-refused-deletion"),
        "no_deletion" => Text::of("admin-refused-no-deletion"),
        "last_administrator" => Text::of("admin-refused-last"),
        "password_set" => Text::of("admin-refused-password"),
        "mfa_not_enabled" => Text::of("admin-refused-mfa"),
        "too_many_secrets" => Text::of("admin-refused-secrets"),
        "too_many_emails" => Text::of("admin-refused-emails"),
        _ => return None,
    })
}

impl<'a> Console<'a> {
    /// Opens the console to an administrator in a session of their own.
    ///
    /// # Errors
    /// Whoever is logged in is no administrator, or acts for somebody else.
    fn new(visitor: &'a Visitor, own: SessionSnapshot) -> Result<Self, Problem> {
        if own.actor.is_some() {
            return Err(Problem::forbidden("impersonated", "Only the owner of the account may do this."));
        }
        if !own.subject.roles.contains(ADMIN) {
            return Err(Problem::forbidden("forbidden", "Only administrators may do this."));
        }
        Ok(Self { visitor, admin: state(visitor.request())?, own })
    }

    /// Returns the administrator as the one who changes something, if they have authenticated a moment ago. Otherwise
    /// the form is kept and asks for that first, under the name of the `act`.
    async fn operator(&self, form: &FormBody, act: Text) -> Result<Operator, Detour> {
        let own = self.visitor.require_recent(form, self.own.clone(), act).await?;
        Ok(Operator::Administrator(self.visitor.actor(&own)))
    }

    fn language(&self) -> Language {
        self.visitor.language()
    }

    /// Returns a time as pages show it.
    fn time(&self, time: Timestamp) -> Value {
        time_value(time, self.language())
    }

    /// Returns a parameter of the query, unless it is empty: a form sends all of its fields.
    fn parameter(&self, name: &str) -> Result<Option<String>, Problem> {
        let value = query::parameter(self.visitor.request(), name)?;
        Ok(value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()))
    }

    /// Returns the id in the path.
    ///
    /// # Errors
    /// It is none, so there is nothing with it.
    fn id(&self) -> Result<Uuid, Problem> {
        let text = self.visitor.request().match_info().get("id").unwrap_or_default();
        Uuid::try_parse(text).map_err(|_| Problem::not_found())
    }

    /// Returns the position that the query's cursor stands for.
    ///
    /// # Errors
    /// It was not issued for this list.
    fn cursor<T>(&self, section: Section, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>, Detour> {
        self.visitor.cursor(section.path(), parse)
    }

    /// Reads the account of the filter `user`: its id or its email address.
    async fn filtered_user(&self, typed: &mut Typed) -> Result<Option<UserId>, Problem> {
        let refusal = Text::of("admin-user-refused");
        let id = |text: &str| Uuid::try_parse(text).ok().map(UserId);
        if let Some(user) = id(typed.value("user")) {
            return Ok(Some(user));
        }
        let Some(email) = typed.read("user", |text| EmailAddress::parse(text).ok(), refusal) else { return Ok(None) };
        // No account has the nil id: nothing is found of somebody who does not exist.
        Ok(Some(self.admin.find_user(&email).await?.unwrap_or(UserId(Uuid::nil()))))
    }

    /// Returns the page of a list, which is refused if a filter is.
    fn list(&self, template: &'static str, section: Section, typed: &Typed, values: Value) -> Reply {
        let language = self.language();
        let filters = context! {
            typed => typed.values(),
            errors => typed.errors(language),
            is_refused => typed.is_refused(),
        };
        let status = if typed.is_refused() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        self.page_with(status, template, section, section.name().value(language), context! { ..filters, ..values })
    }

    /// Returns a page of the console.
    fn page(&self, template: &'static str, section: Section, title: Value, values: Value) -> Reply {
        self.page_with(StatusCode::OK, template, section, title, values)
    }

    /// Returns a page of the console with a status, because something that was sent is refused.
    fn page_with(
        &self,
        status: StatusCode,
        template: &'static str,
        section: Section,
        title: Value,
        values: Value,
    ) -> Reply {
        let language = self.language();
        let tab = |tab: Section| {
            let href = self.visitor.path(tab.path());
            context! { href, text => tab.name().value(language), is_current => tab == section }
        };
        let account = context! { href => self.visitor.path(HOME), text => Text::of("admin-own").value(language) };
        let tabs: Vec<Value> = Section::ALL.into_iter().map(tab).chain([account]).collect();
        Reply::refused(status, template, context! { title, tabs, ..values })
    }

    /// Asks whether to send a form with these fields to `action`.
    fn ask(&self, section: Section, (title, question): (Text, Text), action: &str, fields: &[(&str, String)]) -> Reply {
        let language = self.language();
        let back = action.rsplit_once('/').map_or(action, |(page, _)| page);
        let values = context! {
            question => question.value(language),
            action => self.visitor.path(action),
            back => self.visitor.path(back),
            fields => fields.iter().map(|(name, value)| context! { name => *name, value }).collect::<Vec<_>>(),
        };
        self.page("admin/change.html", section, title.value(language), values)
    }

    /// Leads back to a page after a change, which says once what was done and links to the entry of the audit log.
    async fn back(
        &self,
        to: &str,
        user: impl Into<Option<UserId>>,
        events: &[Event],
        begun: Timestamp,
    ) -> Result<Reply, Problem> {
        let entry = changes::entry_of(self, user, events, begun).await?;
        let entry = entry.map_or_else(|| "none".to_owned(), |entry| entry.to_string());
        Ok(self.visitor.notify(to, format!("{}{entry}", changes::NOTICE)))
    }

    /// Returns the link to the page of a list that begins after `position`, with the same filters.
    fn next_page(&self, section: Section, typed: &Typed, position: &[u8]) -> String {
        let path = self.visitor.path(section.path());
        let query = typed.query();
        let and = if query.is_empty() { "" } else { "&" };
        format!("{path}?{query}{and}cursor={}", pagination::next_cursor(position))
    }
}

/// Returns the choices of a filter, with the one that is chosen.
fn choices<'a>(names: impl IntoIterator<Item = (&'a str, Value)>, chosen: Option<&str>) -> Vec<Value> {
    let choice = |(name, text): (&'a str, Value)| context! { name, text, is_chosen => Some(name) == chosen };
    names.into_iter().map(choice).collect()
}
