//! `/admin/keys`: the signing keys.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use uuid::Uuid;

use super::{Console, Section, changes, show, submit};
use crate::audit::Event;
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::keys::{KeyState, KeyStatus};
use crate::pages::handlers::{ConsoleFormResponses, ConsolePageResponses};
use crate::pages::reply::Answer;
use crate::pages::visitor::{SentForm, Visitor};
use crate::texts::Text;
use crate::types::KeyId;

/// The path to which the form is sent.
const CHANGE: &str = "/admin/keys/change";

/// Lists the signing keys, newest first.
#[utoipa::path(get, path = "/admin/keys", tag = "Pages", security(()), responses(ConsolePageResponses))]
pub(crate) async fn show_admin_keys(visitor: Visitor) -> HttpResponse {
    show(visitor, list).await
}

async fn list(console: &Console<'_>) -> Answer {
    let keys = console.admin.list_keys().await?;
    let values = context! {
        done => changes::done(console).await?,
        keys => keys.iter().rev().map(|key| row(key, console)).collect::<Vec<_>>(),
    };
    Ok(console.page("admin/keys.html", Section::Keys, Text::of("admin-keys").value(console.language()), values))
}

fn row(key: &KeyStatus, console: &Console<'_>) -> Value {
    let state = match key.state {
        KeyState::Next => Text::of("admin-key-next"),
        KeyState::Active => Text::of("admin-key-active"),
        KeyState::Retired => Text::of("admin-key-retired"),
        KeyState::Removed => Text::of("admin-key-removed"),
        KeyState::Revoked => Text::of("admin-key-revoked"),
    };
    context! {
        id => key.id.to_string(),
        algorithm => &key.algorithm,
        state => state.value(console.language()),
        is_active => key.state == KeyState::Active,
        verifies => key.state.verifies(),
        created => console.time(key.times.created_at),
        active_from => console.time(key.times.active_from),
        ended => key.times.revoked_at.or(key.times.retired_at).map(|ended| console.time(ended)),
    }
}

/// A change of the keys.
#[derive(Clone, Copy)]
enum Change {
    Rotate,
    Revoke(KeyId),
}

impl Change {
    /// Reads a change from its name and the key.
    ///
    /// # Errors
    /// There is no such change.
    fn read(name: Option<&str>, key: Option<&str>) -> Result<Self, Problem> {
        match (name, key.and_then(|key| Uuid::try_parse(key).ok())) {
            (Some("rotate"), _) => Ok(Self::Rotate),
            (Some("revoke"), Some(key)) => Ok(Self::Revoke(KeyId(key))),
            _ => Err(Problem::not_found()),
        }
    }

    fn question(self) -> (Text, Text) {
        match self {
            Self::Rotate => (Text::of("admin-rotate"), Text::of("admin-rotate-text")),
            Self::Revoke(key) => (Text::of("admin-revoke"), Text::of("admin-revoke-text").with("key", key.to_string())),
        }
    }
}

/// Asks whether to replace the keys, or to revoke one.
#[utoipa::path(get, path = "/admin/keys/change", tag = "Pages", security(()),
    params(("change" = Option<String>, Query, description = "What is to be done: `rotate` or `revoke`"),
        ("key" = Option<Uuid>, Query, description = "The key that is revoked")),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_key_change(visitor: Visitor) -> HttpResponse {
    show(visitor, ask).await
}

async fn ask(console: &Console<'_>) -> Answer {
    let change = Change::read(console.parameter("change")?.as_deref(), console.parameter("key")?.as_deref())?;
    let fields = match change {
        Change::Rotate => vec![("change", "rotate".to_owned())],
        Change::Revoke(key) => vec![("change", "revoke".to_owned()), ("key", key.to_string())],
    };
    Ok(console.ask(Section::Keys, change.question(), CHANGE, &fields))
}

/// The fields of the form that changes the keys.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct AdminKeyForm {
    /// `rotate` or `revoke`.
    change: String,
    /// The key that is revoked.
    key: Option<Uuid>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Replaces the keys, or revokes one.
#[utoipa::path(post, path = "/admin/keys/change", tag = "Pages", security(()),
    request_body(content = AdminKeyForm, content_type = "application/x-www-form-urlencoded"),
    responses(ConsoleFormResponses))]
pub(crate) async fn submit_admin_key_change(visitor: Visitor, form: SentForm) -> HttpResponse {
    submit(visitor, form, carry_out).await
}

async fn carry_out(console: &Console<'_>, form: &FormBody) -> Answer {
    let name = form.get("change");
    let key = form.get("key");
    let change = Change::read(name.as_deref().map(String::as_str), key.as_deref().map(String::as_str))?;
    let (act, _) = change.question();
    let by = console.operator(form, act).await?;
    let begun = console.visitor.context.clock.now();
    let event = match change {
        Change::Rotate => {
            console.admin.rotate_keys(&by).await?;
            Event::KeyRotated
        }
        Change::Revoke(key) => {
            console.admin.revoke_key(key, &by).await?;
            Event::KeyRevoked
        }
    };
    Ok(console.back(Section::Keys.path(), None, &[event], begun).await?)
}
