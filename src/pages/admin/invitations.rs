//! `/admin/users/new`: invites a person.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;

use super::{Console, Section, show, submit};
use crate::accounts::registration::NewAccount;
use crate::admin::{AdminError, NewUser};
use crate::audit::Event;
use crate::http::body::FormBody;
use crate::pages::handlers::{ConsoleFormResponses, ConsolePageResponses};
use crate::pages::reply::{Answer, Reply};
use crate::pages::visitor::{SentForm, Visitor};
use crate::texts::Text;
use crate::types::{EmailAddress, Label, Roles};

/// Asks whom to invite.
#[utoipa::path(get, path = "/admin/users/new", tag = "Pages", security(()), responses(ConsolePageResponses))]
pub(crate) async fn show_admin_invitation(visitor: Visitor) -> HttpResponse {
    show(visitor, async |console| Ok(page(console, None, Refused::default()))).await
}

/// The fields of the form that invites a person.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct AdminInvitationForm {
    email: String,
    name: Option<String>,
    /// Roles besides `user`, with spaces or commas between them.
    roles: Option<String>,
    /// Where the login was too long ago: the password, once more.
    confirm_password: Option<String>,
    /// A code of the app, where two-step login is on.
    confirm_code: Option<String>,
    /// A recovery code, in place of a code of the app.
    confirm_recovery_code: Option<String>,
}

/// Creates the account of a person, whom an email invites to choose a password.
#[utoipa::path(post, path = "/admin/users/new", tag = "Pages", security(()),
    request_body(content = AdminInvitationForm, content_type = "application/x-www-form-urlencoded"),
    responses(ConsoleFormResponses))]
pub(crate) async fn submit_admin_invitation(visitor: Visitor, form: SentForm) -> HttpResponse {
    submit(visitor, form, invite).await
}

/// What is wrong with the fields.
#[derive(Default)]
struct Refused {
    email: Option<Text>,
    name: Option<Text>,
    roles: Option<Text>,
}

async fn invite(console: &Console<'_>, form: &FormBody) -> Answer {
    let typed = |name: &str| form.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
    let email = EmailAddress::parse(&typed("email"));
    let name = Some(typed("name")).filter(|name| !name.is_empty()).map(|name| Label::parse(&name)).transpose();
    let roles = typed("roles");
    let roles = roles.split([' ', ',', '\n']).map(str::trim).filter(|role| !role.is_empty());
    let roles = Roles::parse(roles.map(str::to_owned).collect());
    let (email, name, roles) = match (email, name, roles) {
        (Ok(email), Ok(name), Ok(roles)) => (email, name, roles),
        (email, name, roles) => {
            let refused = Refused {
                email: email.err().map(|_| Text::of("login-no-email")),
                name: name.err().map(|_| Text::of("session-name-refused")),
                roles: roles.err().map(|_| Text::of("admin-roles-refused")),
            };
            return Ok(page(console, Some(form), refused));
        }
    };
    let by = console.operator(form, Text::of("admin-invite-new")).await?;
    let begun = console.visitor.context.clock.now();
    let new = NewUser { account: NewAccount { email, name, roles }, password: None, verified: false };
    let account = match console.admin.create_user(new, &by).await {
        Ok(account) => account,
        Err(AdminError::EmailTaken) => {
            let refused = Refused { email: Some(Text::of("refused-taken")), ..Refused::default() };
            return Ok(page(console, Some(form), refused));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(console.back(&format!("/admin/users/{}", account.id), account.id, &[Event::AccountInvited], begun).await?)
}

fn page(console: &Console<'_>, form: Option<&FormBody>, refused: Refused) -> Reply {
    let language = console.language();
    let typed = |name: &str| form.and_then(|form| form.get(name)).map(|value| value.as_str().to_owned());
    let is_refused = form.is_some();
    let error = |text: Option<Text>| text.map(|text| text.value(language));
    let values = context! {
        email => typed("email"),
        name => typed("name"),
        roles => typed("roles"),
        is_refused,
        email_error => error(refused.email),
        name_error => error(refused.name),
        roles_error => error(refused.roles),
    };
    let title = Text::of("admin-invite-new").value(language);
    let status = if is_refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    console.page_with(status, "admin/invitation.html", Section::Users, title, values)
}
