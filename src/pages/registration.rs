//! `/register` and `/forgot`: for those who have no account yet, or have forgotten its password.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;

use super::login::{form_page, home, leave};
use super::refusal::{show_again, weakness};
use super::reply::{Answer, Detour, Reply};
use super::typed::Typed;
use super::visitor::{SentForm, Visitor, state};
use crate::accounts::registration::{NewAccount, RegisterError, Registered};
use crate::accounts::{Accounts, Recovery};
use crate::audit::Actor;
use crate::http::body::FormBody;
use crate::http::return_to::ReturnTo;
use crate::passwords::NewPassword;
use crate::sessions::SessionOptions;
use crate::texts::Text;
use crate::throttle::{Limit, Throttle};
use crate::types::{EmailAddress, Label, Roles, SessionKind};

/// Asks for what a new account needs.
#[utoipa::path(get, path = "/register", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_register(visitor: Visitor) -> HttpResponse {
    let answer = async {
        let return_to = visitor.return_to()?;
        if visitor.session().await?.is_some() {
            return Ok(Reply::see_other(home(&visitor, return_to.as_ref())));
        }
        if !visitor.pages().has_registration() {
            return Ok(closed(&visitor));
        }
        Ok(ask(&visitor, return_to.as_ref(), &Typed::default(), StatusCode::OK))
    };
    visitor.respond(answer.await)
}

/// The fields of the forms of strangers.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the forms, whose fields are read by name")]
pub(crate) struct StrangerForm {
    email: Option<String>,
    /// Empty for no name.
    name: Option<String>,
    new_password: Option<String>,
    /// Where the registration leads to: a page of this server, or of an allowed origin.
    return_to: Option<String>,
}

/// Creates an account, and logs its owner in unless only verified addresses may log in.
#[utoipa::path(post, path = "/register", tag = "Pages", security(()),
    request_body(content = StrangerForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_register(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        visitor.context.require_own_page(visitor.request())?;
        let return_to = visitor.return_to_of(&form);
        let answer = register(&visitor, &form, return_to.as_ref()).await;
        show_again(&visitor, answer, |text, status| {
            let typed = Typed::keep(&form, &["email", "name"]).warn(text);
            ask(&visitor, return_to.as_ref(), &typed, status)
        })
    };
    visitor.respond(answer.await)
}

async fn register(visitor: &Visitor, form: &FormBody, return_to: Option<&ReturnTo>) -> Answer {
    let throttle = state::<Throttle>(visitor.request())?;
    throttle.count_ip(Limit::RegisterAddress, &visitor.requester()).await?;
    let mut typed = Typed::keep(form, &["email", "name"]);
    let email = EmailAddress::parse(&form.get("email").unwrap_or_default());
    if email.is_err() {
        typed = typed.refuse("email", vec![Text::of("login-no-email")]);
    }
    let name = form.get("name").filter(|name| !name.trim().is_empty());
    let name = name.map(|name| Label::parse(name.trim())).transpose();
    if name.is_err() {
        typed = typed.refuse("name", vec![Text::of("session-name-refused")]);
    }
    let password = NewPassword::parse(form.get("new_password").unwrap_or_default());
    if let Err(weak) = &password {
        typed = typed.refuse("new_password", weakness(weak));
    }
    let (Ok(email), Ok(name), Ok(password)) = (email, name, password) else {
        return Ok(ask(visitor, return_to, &typed, StatusCode::UNPROCESSABLE_ENTITY));
    };
    let new = NewAccount { email, name, roles: Roles::default() };
    let options = SessionOptions { kind: SessionKind::Browser, device_name: None, bound_to: None, parent: None };
    let accounts = state::<Accounts>(visitor.request())?;
    match accounts.register(new, password, options, &visitor.requester()).await {
        Ok(Registered::LoggedIn(logged_in)) => leave(visitor, return_to, logged_in, None).await,
        Ok(Registered::Unverified) => {
            let text = Text::of("registered-text").with("email", typed.value("email"));
            Ok(visitor.message(StatusCode::OK, Text::of("registered-title"), text))
        }
        Err(RegisterError::Closed) => Ok(closed(visitor)),
        Err(RegisterError::EmailTaken) => {
            let typed = typed.refuse("email", vec![Text::of("register-taken")]);
            Ok(ask(visitor, return_to, &typed, StatusCode::CONFLICT))
        }
        Err(RegisterError::Weak(weak)) => {
            let typed = typed.refuse("new_password", weakness(&weak));
            Ok(ask(visitor, return_to, &typed, StatusCode::UNPROCESSABLE_ENTITY))
        }
        Err(error) => Err(error.into()),
    }
}

fn ask(visitor: &Visitor, return_to: Option<&ReturnTo>, typed: &Typed, status: StatusCode) -> Reply {
    let language = visitor.language();
    let values = context! {
        title => Text::of("register-title").value(language),
        typed => typed.values(),
        errors => typed.errors(language),
        alert => typed.alert(language),
    };
    form_page(visitor, "register.html", return_to, values, status)
}

fn closed(visitor: &Visitor) -> Reply {
    visitor.message(StatusCode::FORBIDDEN, Text::of("register-closed-title"), Text::of("register-closed"))
}

/// Asks for the email address of the account whose password was forgotten.
#[utoipa::path(get, path = "/forgot", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_forgot(visitor: Visitor) -> HttpResponse {
    let answer = visitor.return_to().map(|to| ask_address(&visitor, to.as_ref(), &Typed::default(), StatusCode::OK));
    visitor.respond(answer.map_err(Detour::from))
}

/// Sends an email with a link to set a new password, if the address has an account.
#[utoipa::path(post, path = "/forgot", tag = "Pages", security(()),
    request_body(content = StrangerForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_forgot(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        visitor.context.require_own_page(visitor.request())?;
        let return_to = visitor.return_to_of(&form);
        let answer = send_link(&visitor, &form, return_to.as_ref()).await;
        show_again(&visitor, answer, |text, status| {
            ask_address(&visitor, return_to.as_ref(), &Typed::keep(&form, &["email"]).warn(text), status)
        })
    };
    visitor.respond(answer.await)
}

async fn send_link(visitor: &Visitor, form: &FormBody, return_to: Option<&ReturnTo>) -> Answer {
    let throttle = state::<Throttle>(visitor.request())?;
    let requester = visitor.requester();
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    let typed = Typed::keep(form, &["email"]);
    let Ok(email) = EmailAddress::parse(typed.value("email")) else {
        let typed = typed.refuse("email", vec![Text::of("login-no-email")]);
        return Ok(ask_address(visitor, return_to, &typed, StatusCode::UNPROCESSABLE_ENTITY));
    };
    throttle.count(Limit::ForgotAccount, email.normalized().as_bytes(), &Actor::anonymous(&requester)).await?;
    state::<Recovery>(visitor.request())?.forgot_password(&email, &requester).await?;
    let text = Text::of("forgot-done-text").with("email", typed.value("email"));
    Ok(visitor.message(StatusCode::OK, Text::of("forgot-done-title"), text))
}

fn ask_address(visitor: &Visitor, return_to: Option<&ReturnTo>, typed: &Typed, status: StatusCode) -> Reply {
    let language = visitor.language();
    let values = context! {
        title => Text::of("forgot-title").value(language),
        typed => typed.values(),
        errors => typed.errors(language),
        alert => typed.alert(language),
    };
    form_page(visitor, "forgot.html", return_to, values, status)
}
