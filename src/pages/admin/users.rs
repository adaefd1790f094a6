//! `/admin/users`: the people, and each of them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};

use super::{Console, ROWS, Section, audit, changes, choices, sessions, show};
use crate::accounts::{Account, AccountQuery, AccountState, Position};
use crate::audit::{Audit, Filter};
use crate::http::Problem;
use crate::mfa::TrustedDevice;
use crate::pages::handlers::ConsolePageResponses;
use crate::pages::reply::Answer;
use crate::pages::typed::Typed;
use crate::pages::visitor::{Visitor, state};
use crate::sessions::{SessionQuery, SessionState};
use crate::texts::Text;
use crate::types::{ADMIN, Role, USER, UserId};

/// The parameters of the list besides the cursor.
const FILTERS: [&str; 3] = ["q", "role", "state"];

/// The longest search, in characters.
const MAX_SEARCH: usize = 254;

/// The live sessions and entries of the audit log that the page of a person shows.
const SHOWN: usize = 10;

/// Lists people, newest first, or finds them by a part of their email address or name.
#[utoipa::path(get, path = "/admin/users", tag = "Pages", security(()),
    params(("q" = Option<String>, Query, description = "A part of an email address or a name"),
        ("role" = Option<String>, Query), ("state" = Option<String>, Query), ("cursor" = Option<String>, Query)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_users(visitor: Visitor) -> HttpResponse {
    show(visitor, list).await
}

async fn list(console: &Console<'_>) -> Answer {
    let language = console.language();
    let mut typed = Typed::of_query(console.visitor.request(), &FILTERS)?;
    let search = |text: &str| (text.chars().count() <= MAX_SEARCH).then(|| text.to_owned());
    let text = typed.read("q", search, Text::of("admin-search-refused"));
    let role = typed.read("role", |text| Role::parse(text).ok(), Text::of("admin-role-refused"));
    let state = typed.read("state", AccountState::parse, Text::of("choice-refused"));
    let after = console.cursor(Section::Users, Position::from_bytes)?;
    let (accounts, next) = if typed.is_refused() {
        (Vec::new(), None)
    } else {
        let found = console.admin.list_users(AccountQuery::new(text.as_deref(), role, state), after, ROWS).await?;
        (found.accounts, found.next)
    };
    let next = next.map(|next| console.next_page(Section::Users, &typed, &next.to_bytes()));
    let states = AccountState::ALL.map(|state| (state.name(), state_name(state).value(language)));
    let values = context! {
        done => changes::done(console).await?,
        states => choices(states, state.map(AccountState::name)),
        users => accounts.iter().map(|account| row(account, console)).collect::<Vec<_>>(),
        next,
    };
    Ok(console.list("admin/users.html", Section::Users, &typed, values))
}

fn state_name(state: AccountState) -> Text {
    match state {
        AccountState::Active => Text::of("admin-state-active"),
        AccountState::Disabled => Text::of("admin-state-disabled"),
        AccountState::DeletionPending => Text::of("admin-state-deletion"),
        AccountState::Unverified => Text::of("admin-state-unverified"),
        AccountState::WithoutPassword => Text::of("admin-state-invited"),
    }
}

fn row(account: &Account, console: &Console<'_>) -> Value {
    let time = |at| console.time(at);
    context! {
        id => account.id.to_string(),
        email => &account.email,
        name => &account.name,
        roles => other_roles(account),
        is_disabled => account.disabled_at.is_some(),
        is_leaving => account.deletes_at.is_some(),
        is_unverified => account.email_verified_at.is_none(),
        is_invited => !account.has_password,
        created => console.time(account.created_at),
        last_login => account.last_login_at.map(time),
    }
}

/// Returns the roles of an account besides the one that every account has.
fn other_roles(account: &Account) -> Vec<String> {
    account.roles.names().iter().filter(|role| *role != USER).cloned().collect()
}

/// Shows a person: what is known of the account, its sessions, devices and the last entries of the audit log.
#[utoipa::path(get, path = "/admin/users/{id}", tag = "Pages", security(()), params(("id" = Uuid, Path)),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_user(visitor: Visitor) -> HttpResponse {
    show(visitor, async |console| person(console, None).await).await
}

/// Shows the page of a person, again if a role that was typed is refused.
pub(super) async fn person(console: &Console<'_>, refused_role: Option<&str>) -> Answer {
    let user = UserId(console.id()?);
    let account = console.admin.user(user).await?.ok_or_else(Problem::not_found)?;
    let live = SessionQuery { user: Some(user), kind: None, state: Some(SessionState::Live) };
    let live = console.admin.search_sessions(live, None, SHOWN).await?;
    let devices = console.admin.trusted_devices(user).await?;
    let log = state::<Audit>(console.visitor.request())?;
    let log = log.page(&Filter { user: Some(user), ..Filter::default() }, None, SHOWN).await?;
    let time = |at| console.time(at);
    let values = context! {
        done => changes::done(console).await?,
        is_own => user == console.own.subject.id,
        is_administrator => account.roles.contains(ADMIN),
        has_password => account.has_password,
        has_mfa => console.admin.has_mfa(user).await?,
        verified => account.email_verified_at.map(time),
        password_changed => account.password_changed_at.map(time),
        disabled => account.disabled_at.map(time),
        deletes => account.deletes_at.map(time),
        sessions => live.sessions.iter().map(|owned| sessions::row(owned, console)).collect::<Vec<_>>(),
        has_more_sessions => live.next.is_some(),
        devices => devices.iter().map(|trusted| device(trusted, console)).collect::<Vec<_>>(),
        entries => audit::rows(console, log.entries).await?,
        user => row(&account, console),
        role => refused_role,
        role_error => refused_role.map(|_| Text::of("admin-roles-refused").value(console.language())),
    };
    let title = Value::from(account.name.as_ref().unwrap_or(&account.email).as_str());
    let status = if refused_role.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(console.page_with(status, "admin/user.html", Section::Users, title, values))
}

fn device(device: &TrustedDevice, console: &Console<'_>) -> Value {
    context! {
        label => device.device.in_language(console.language()),
        ip => device.ip.map(|ip| ip.to_string()),
        created => console.time(device.created_at),
        last_used => console.time(device.last_used_at),
        expires => console.time(device.expires_at),
    }
}
