//! `/admin/users`: the people, and each of them.

use actix_web::HttpResponse;
use minijinja::{Value, context};

use super::{Console, ROWS, Section, audit, changes, choices, sessions, short_time, show};
use crate::accounts::{Account, AccountQuery, AccountState, Position};
use crate::audit::{Audit, Filter};
use crate::http::Problem;
use crate::mfa::TrustedDevice;
use crate::pages::handlers::ConsolePageResponses;
use crate::pages::reply::Answer;
use crate::pages::visitor::{Visitor, state};
use crate::sessions::{SessionQuery, SessionState};
use crate::texts::{Language, Text};
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
    let text = console.parameter("q")?.map(|text| text.chars().take(MAX_SEARCH).collect::<String>());
    let typed_role = console.parameter("role")?;
    let role = typed_role.as_deref().map(Role::parse);
    let state = console.parameter("state")?.as_deref().and_then(AccountState::parse);
    let after = console.cursor(Position::from_bytes)?;
    // No account has a role that is none.
    let is_impossible = matches!(role, Some(Err(_)));
    let wanted = AccountQuery::new(text.as_deref(), role.and_then(Result::ok), state);
    let found = console.admin.list_users(wanted, after, ROWS).await?;
    let accounts = if is_impossible { Vec::new() } else { found.accounts };
    let next = found.next.filter(|_| !is_impossible);
    let next = next.map(|next| console.next_page(Section::Users, &FILTERS, &next.to_bytes())).transpose()?;
    let states = AccountState::ALL.map(|state| (state.name(), state_name(state).value(language)));
    let values = context! {
        done => changes::done(console).await?,
        q => text,
        role => typed_role,
        states => choices(states, state.map(AccountState::name)),
        users => accounts.iter().map(row).collect::<Vec<_>>(),
        next,
    };
    Ok(console.page("admin/users.html", Section::Users, Text::of("admin-users").value(language), values))
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

fn row(account: &Account) -> Value {
    context! {
        id => account.id.to_string(),
        email => &account.email,
        name => &account.name,
        roles => other_roles(account),
        is_disabled => account.disabled_at.is_some(),
        is_leaving => account.deletes_at.is_some(),
        is_unverified => account.email_verified_at.is_none(),
        is_invited => !account.has_password,
        created => short_time(account.created_at),
        last_login => account.last_login_at.map(short_time),
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
    show(visitor, person).await
}

async fn person(console: &Console<'_>) -> Answer {
    let user = UserId(console.id()?);
    let account = console.admin.user(user).await?.ok_or_else(Problem::not_found)?;
    let live = SessionQuery { user: Some(user), kind: None, state: Some(SessionState::Live) };
    let live = console.admin.search_sessions(live, None, SHOWN).await?;
    let devices = console.admin.trusted_devices(user).await?;
    let log = state::<Audit>(console.visitor.request())?;
    let log = log.page(&Filter { user: Some(user), ..Filter::default() }, None, SHOWN).await?;
    let values = context! {
        done => changes::done(console).await?,
        is_own => user == console.own.subject.id,
        is_administrator => account.roles.contains(ADMIN),
        has_password => account.has_password,
        has_mfa => console.admin.has_mfa(user).await?,
        verified => account.email_verified_at.map(short_time),
        password_changed => account.password_changed_at.map(short_time),
        disabled => account.disabled_at.map(short_time),
        deletes => account.deletes_at.map(short_time),
        sessions => live.sessions.iter().map(|owned| sessions::row(owned, console)).collect::<Vec<_>>(),
        has_more_sessions => live.next.is_some(),
        devices => devices.iter().map(|trusted| device(trusted, console.language())).collect::<Vec<_>>(),
        entries => audit::rows(console, log.entries).await?,
        user => row(&account),
    };
    let title = Value::from(account.name.as_ref().unwrap_or(&account.email).as_str());
    Ok(console.page("admin/user.html", Section::Users, title, values))
}

fn device(device: &TrustedDevice, language: Language) -> Value {
    context! {
        label => device.device.in_language(language),
        ip => device.ip.map(|ip| ip.to_string()),
        created => short_time(device.created_at),
        last_used => short_time(device.last_used_at),
        expires => short_time(device.expires_at),
    }
}
