//! `/admin/users/{id}/change`: changes of a person's account, each asked for on a page that names the person.

use actix_web::HttpResponse;
use minijinja::{Value, context};
use uuid::Uuid;

use super::{Console, Section, show, submit, users};
use crate::accounts::DeletionTime;
use crate::admin::{AdminError, Operator, RoleChange, UserChange};
use crate::audit::{Audit, Event, Filter};
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::pages::handlers::{ConsoleFormResponses, ConsolePageResponses};
use crate::pages::reply::Answer;
use crate::pages::visitor::{SentForm, Visitor, state};
use crate::texts::Text;
use crate::types::{AuditId, Role, SessionId, Timestamp, UserId};

/// The beginning of notices of changes. The id of the entry of the audit log follows, if there is one.
pub(super) const NOTICE: &str = "entry:";

/// A change of the account of a person.
pub(super) enum Change {
    Disable,
    Enable,
    GiveRole(Role),
    TakeRole(Role),
    EndSession(SessionId),
    EndSessions,
    ResetMfa,
    DeleteDevices,
    Delete,
    DeleteAtOnce,
    CancelDeletion,
    Invite,
    ResetPassword,
}

/// Why there is no change to carry out.
enum ChangeError {
    /// There is no such change.
    Unknown,
    /// What was typed is not a role.
    Role(String),
}

impl ChangeError {
    /// Shows the page of the person again, with what was typed.
    async fn reply(self, console: &Console<'_>) -> Answer {
        match self {
            Self::Unknown => Err(Problem::not_found().into()),
            Self::Role(typed) => users::person(console, Some(&typed)).await,
        }
    }
}

impl Change {
    /// Reads a change from the fields of a form or the parameters of a query.
    ///
    /// # Errors
    /// There is no such change, or the role is none.
    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ChangeError> {
        let role = || {
            let typed = get("role").unwrap_or_default();
            Role::parse(typed.trim()).map_err(|_| ChangeError::Role(typed))
        };
        let session = || get("session").and_then(|id| Uuid::try_parse(&id).ok()).map(SessionId);
        Ok(match get("change").unwrap_or_default().as_str() {
            "disable" => Self::Disable,
            "enable" => Self::Enable,
            "give_role" => Self::GiveRole(role()?),
            "take_role" => Self::TakeRole(role()?),
            "end_session" => Self::EndSession(session().ok_or(ChangeError::Unknown)?),
            "end_sessions" => Self::EndSessions,
            "reset_mfa" => Self::ResetMfa,
            "delete_devices" => Self::DeleteDevices,
            "delete" => Self::Delete,
            "delete_at_once" => Self::DeleteAtOnce,
            "cancel_deletion" => Self::CancelDeletion,
            "invite" => Self::Invite,
            "reset_password" => Self::ResetPassword,
            _ => return Err(ChangeError::Unknown),
        })
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::GiveRole(_) => "give_role",
            Self::TakeRole(_) => "take_role",
            Self::EndSession(_) => "end_session",
            Self::EndSessions => "end_sessions",
            Self::ResetMfa => "reset_mfa",
            Self::DeleteDevices => "delete_devices",
            Self::Delete => "delete",
            Self::DeleteAtOnce => "delete_at_once",
            Self::CancelDeletion => "cancel_deletion",
            Self::Invite => "invite",
            Self::ResetPassword => "reset_password",
        }
    }

    /// Returns the title of the question, and the question itself about `person`. `object` is the session or the role.
    fn question(&self, person: &str, object: &str) -> (Text, Text) {
        let (title, text) = match self {
            Self::Disable => (Text::of("admin-disable"), Text::of("admin-disable-text")),
            Self::Enable => (Text::of("admin-enable"), Text::of("admin-enable-text")),
            Self::GiveRole(_) => (Text::of("admin-give-role"), Text::of("admin-give-role-text").with("role", object)),
            Self::TakeRole(_) => (Text::of("admin-take-role"), Text::of("admin-take-role-text").with("role", object)),
            Self::EndSession(_) => {
                (Text::of("admin-end-session"), Text::of("admin-end-session-text").with("session", object))
            }
            Self::EndSessions => (Text::of("admin-end-sessions"), Text::of("admin-end-sessions-text")),
            Self::ResetMfa => (Text::of("admin-reset-mfa"), Text::of("admin-reset-mfa-text")),
            Self::DeleteDevices => (Text::of("admin-delete-devices"), Text::of("admin-delete-devices-text")),
            Self::Delete => (Text::of("admin-delete"), Text::of("admin-delete-text")),
            Self::DeleteAtOnce => (Text::of("admin-delete-at-once"), Text::of("admin-delete-at-once-text")),
            Self::CancelDeletion => (Text::of("admin-cancel-deletion"), Text::of("admin-cancel-deletion-text")),
            Self::Invite => (Text::of("admin-invite"), Text::of("admin-invite-text")),
            Self::ResetPassword => (Text::of("admin-reset-password"), Text::of("admin-reset-password-text")),
        };
        (title, text.with("person", person))
    }

    /// Returns the events that stand in the audit log for the change.
    const fn events(&self) -> &'static [Event] {
        match self {
            Self::Disable => &[Event::AccountDisabled],
            Self::Enable => &[Event::AccountEnabled],
            Self::GiveRole(_) | Self::TakeRole(_) => &[Event::RolesChanged],
            Self::EndSession(_) | Self::EndSessions => &[Event::SessionRevoked],
            Self::ResetMfa => &[Event::MfaDisabled],
            Self::DeleteDevices => &[Event::TrustedDeviceDeleted],
            Self::Delete | Self::DeleteAtOnce => &[Event::AccountDeletionRequested],
            Self::CancelDeletion => &[Event::AccountDeletionCancelled],
            Self::Invite => &[Event::AccountInvited],
            Self::ResetPassword => &[Event::PasswordResetRequested, Event::AccountInvited],
        }
    }

    /// Returns the field of the form beside the name of the change: its name and its value.
    fn field(&self) -> Option<(&'static str, String)> {
        match self {
            Self::GiveRole(role) | Self::TakeRole(role) => Some(("role", role.as_str().to_owned())),
            Self::EndSession(session) => Some(("session", session.to_string())),
            _ => None,
        }
    }

    /// Carries the change out.
    async fn carry_out(&self, console: &Console<'_>, user: UserId, by: &Operator) -> Result<(), AdminError> {
        let admin = &console.admin;
        let update = async |change| admin.update_user(user, change, by).await.map(drop);
        let none = UserChange::default;
        match self {
            Self::Disable => update(UserChange { disabled: Some(true), ..none() }).await?,
            Self::Enable => update(UserChange { disabled: Some(false), ..none() }).await?,
            Self::GiveRole(role) => update(UserChange { role: Some(RoleChange::Give(role.clone())), ..none() }).await?,
            Self::TakeRole(role) => update(UserChange { role: Some(RoleChange::Take(role.clone())), ..none() }).await?,
            Self::EndSession(session) => {
                let _ = admin.revoke_session(*session, by).await?.ok_or(AdminError::NotFound)?;
            }
            Self::EndSessions => {
                let _ = admin.revoke_sessions(user, by).await?.ok_or(AdminError::NotFound)?;
            }
            Self::ResetMfa => admin.reset_mfa(user, by).await?,
            Self::DeleteDevices => admin.delete_trusted_devices(user, by).await.map(drop)?,
            Self::Delete => admin.delete_user(user, DeletionTime::AfterGrace, by).await.map(drop)?,
            Self::DeleteAtOnce => admin.delete_user(user, DeletionTime::AtOnce, by).await.map(drop)?,
            Self::CancelDeletion => admin.cancel_deletion(user, by).await?,
            Self::Invite => admin.invite(user, by).await.map(drop)?,
            Self::ResetPassword => admin.send_password_reset(user, by).await.map(drop)?,
        }
        Ok(())
    }
}

/// Asks whether to change the account of a person.
#[utoipa::path(get, path = "/admin/users/{id}/change", tag = "Pages", security(()),
    params(("id" = Uuid, Path), ("change" = Option<String>, Query, description = "What is to be done"),
        ("role" = Option<String>, Query, description = "The role that is given or taken"),
        ("session" = Option<Uuid>, Query, description = "The session that is ended")),
    responses(ConsolePageResponses))]
pub(crate) async fn show_admin_change(visitor: Visitor) -> HttpResponse {
    show(visitor, ask).await
}

async fn ask(console: &Console<'_>) -> Answer {
    let parameters: Vec<(&str, Option<String>)> = [
        ("change", console.parameter("change")?),
        ("role", console.parameter("role")?),
        ("session", console.parameter("session")?),
    ]
    .into();
    let get = |name: &str| parameters.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.clone());
    let user = UserId(console.id()?);
    let account = console.admin.user(user).await?.ok_or_else(Problem::not_found)?;
    let change = match Change::read(get) {
        Ok(change) => change,
        Err(error) => return error.reply(console).await,
    };
    let object = match &change {
        Change::EndSession(session) => {
            let found = console.admin.find_session(*session).await?.filter(|found| found.user == user);
            crate::pages::sessions::label(&found.ok_or_else(Problem::not_found)?.session, console.language())
        }
        other => other.field().map(|(_, value)| value).unwrap_or_default(),
    };
    let mut fields = vec![("change", change.name().to_owned())];
    fields.extend(change.field());
    let question = change.question(&account.email, &object);
    Ok(console.ask(Section::Users, question, &format!("/admin/users/{user}/change"), &fields))
}

/// The fields of the form that changes the account of a person.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct AdminChangeForm {
    /// What is to be done.
    change: String,
    /// The role that is given or taken.
    role: Option<String>,
    /// The session that is ended.
    session: Option<Uuid>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Changes the account of a person.
#[utoipa::path(post, path = "/admin/users/{id}/change", tag = "Pages", security(()), params(("id" = Uuid, Path)),
    request_body(content = AdminChangeForm, content_type = "application/x-www-form-urlencoded"),
    responses(ConsoleFormResponses))]
pub(crate) async fn submit_admin_change(visitor: Visitor, form: SentForm) -> HttpResponse {
    submit(visitor, form, carry_out).await
}

async fn carry_out(console: &Console<'_>, form: &FormBody) -> Answer {
    let user = UserId(console.id()?);
    let change = match Change::read(|name| form.get(name).map(|value| value.as_str().to_owned())) {
        Ok(change) => change,
        Err(error) => return error.reply(console).await,
    };
    if let Change::EndSession(session) = change {
        let found = console.admin.find_session(session).await?.filter(|found| found.user == user);
        found.ok_or_else(Problem::not_found)?;
    }
    let (act, _) = change.question("", "");
    let by = console.operator(form, act).await?;
    let begun = console.visitor.context.clock.now();
    match (change.carry_out(console, user, &by).await, &change) {
        (Ok(()), _) => {}
        // The account has as many as it can.
        (Err(AdminError::Roles(_)), Change::GiveRole(role)) => {
            return users::person(console, Some(role.as_str())).await;
        }
        (Err(error), _) => return Err(error.into()),
    }
    if console.admin.user(user).await?.is_some() {
        return Ok(console.back(&format!("/admin/users/{user}"), user, change.events(), begun).await?);
    }
    Ok(console.back(Section::Users.path(), user, change.events(), begun).await?)
}

/// Finds the entry of the audit log that this request has made about an account; `None` if it has changed nothing.
pub(super) async fn entry_of(
    console: &Console<'_>,
    user: impl Into<Option<UserId>>,
    events: &[Event],
    begun: Timestamp,
) -> Result<Option<AuditId>, Problem> {
    let audit = state::<Audit>(console.visitor.request())?;
    let request = console.visitor.requester().request_id;
    let user = user.into();
    for event in events {
        let filter = Filter { user, event: Some(*event), from: Some(begun), ..Filter::default() };
        let page = audit.page(&filter, None, super::ROWS).await?;
        let own = page.entries.into_iter().find(|entry| entry.request_id == request);
        if let Some(entry) = own {
            return Ok(Some(entry.id));
        }
    }
    Ok(None)
}

/// Returns what a page says of the change that has led to it: the text, and the link to its entry of the audit log.
pub(super) async fn done(console: &Console<'_>) -> Result<Option<Value>, Problem> {
    let notice = console.visitor.take_notice(|notice| notice.strip_prefix(NOTICE).map(str::to_owned));
    let Some(named) = notice else { return Ok(None) };
    let language = console.language();
    let Ok(id) = Uuid::try_parse(&named) else {
        return Ok(Some(context! { text => Text::of("admin-done-nothing").value(language) }));
    };
    let found = state::<Audit>(console.visitor.request())?.find(AuditId(id)).await?;
    // Another administrator may have logged in here since.
    let own = found.filter(|entry| entry.actor.or(entry.user) == Some(console.own.subject.id));
    let Some(entry) = own else { return Ok(None) };
    let text = match Event::parse(&entry.event) {
        Some(Event::AccountDeletionRequested) => deletion_text(console, entry.user).await?,
        event => done_text(event),
    };
    let link = console.visitor.path(&format!("/admin/audit/{}", entry.id));
    Ok(Some(context! { text => text.value(language), link }))
}

/// Returns what is said of the deletion of an account: that it is done, or when it will be.
async fn deletion_text(console: &Console<'_>, user: Option<UserId>) -> Result<Text, Problem> {
    let account = match user {
        Some(user) => console.admin.user(user).await?,
        None => None,
    };
    Ok(match account.and_then(|account| account.deletes_at) {
        Some(at) => Text::of("admin-done-deletion").with_time("at", at),
        None => Text::of("admin-done-deleted"),
    })
}

fn done_text(event: Option<Event>) -> Text {
    match event {
        Some(Event::AccountDisabled) => Text::of("admin-done-disabled"),
        Some(Event::AccountEnabled) => Text::of("admin-done-enabled"),
        Some(Event::RolesChanged) => Text::of("admin-done-roles"),
        Some(Event::SessionRevoked) => Text::of("admin-done-ended"),
        Some(Event::MfaDisabled) => Text::of("admin-done-mfa"),
        Some(Event::TrustedDeviceDeleted) => Text::of("admin-done-devices"),
        Some(Event::AccountDeletionCancelled) => Text::of("admin-done-kept"),
        Some(Event::AccountInvited | Event::PasswordResetRequested) => Text::of("admin-done-email"),
        Some(Event::EmailsRetried) => Text::of("admin-done-retried"),
        Some(Event::KeyRotated) => Text::of("admin-done-rotated"),
        Some(Event::KeyRevoked) => Text::of("admin-done-revoked"),
        _ => Text::of("admin-done"),
    }
}
