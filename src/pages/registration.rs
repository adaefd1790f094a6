//! `/register` and `/forgot`: for those who have no account yet, or have forgotten its password.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::context;

use super::login::home;
use super::refusal::weakness;
use super::reply::{Answer, Reply, SessionCookie};
use super::typed::Typed;
use super::visitor::{SentForm, Visitor, state};
use crate::accounts::registration::{NewAccount, RegisterError, Registered};
use crate::accounts::{Accounts, Recovery};
use crate::audit::Actor;
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::http::return_to::ReturnTo;
use crate::passwords::NewPassword;
use crate::sessions::{LoggedIn, SessionOptions};
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
        let throttle = state::<Throttle>(visitor.request())?;
        throttle.count_ip(Limit::RegisterAddress, &visitor.requester()).await?;
        register(&visitor, &form).await
    };
    visitor.respond(answer.await)
}

async fn register(visitor: &Visitor, form: &FormBody) -> Answer {
    let return_to = visitor.return_to_of(form);
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
        return Ok(ask(visitor, return_to.as_ref(), &typed, StatusCode::UNPROCESSABLE_ENTITY));
    };
    let new = NewAccount { email, name, roles: Roles::default() };
    let options = SessionOptions { kind: SessionKind::Browser, device_name: None, bound_to: None, parent: None };
    let accounts = state::<Accounts>(visitor.request())?;
    match accounts.register(new, password, options, &visitor.requester()).await {
        Ok(Registered::LoggedIn(LoggedIn::Browser(cookie))) => {
            visitor.set_cookie(SessionCookie::Set(cookie, None));
            Ok(Reply::see_other(home(visitor, return_to.as_ref())))
        }
        Ok(Registered::LoggedIn(LoggedIn::App(_))) => {
            Err(Problem::internal(&"a registration on a page has opened the session of an app").into())
        }
        Ok(Registered::Unverified) => {
            let text = Text::of("registered-text").with("email", typed.value("email"));
            Ok(visitor.message(StatusCode::OK, Text::of("registered-title"), text))
        }
        Err(RegisterError::Closed) => Ok(closed(visitor)),
        Err(RegisterError::EmailTaken) => {
            let typed = typed.refuse("email", vec![Text::of("register-taken")]);
            Ok(ask(visitor, return_to.as_ref(), &typed, StatusCode::CONFLICT))
        }
        Err(RegisterError::Weak(weak)) => {
            let typed = typed.refuse("new_password", weakness(&weak));
            Ok(ask(visitor, return_to.as_ref(), &typed, StatusCode::UNPROCESSABLE_ENTITY))
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
        return_to => return_to.map(ReturnTo::as_str),
    };
    let form_target = return_to.and_then(ReturnTo::foreign_origin);
    Reply::Page { status, template: "register.html", values, form_target }
}

fn closed(visitor: &Visitor) -> Reply {
    visitor.message(StatusCode::FORBIDDEN, Text::of("register-closed-title"), Text::of("register-closed"))
}

/// Asks for the email address of the account whose password was forgotten.
#[utoipa::path(get, path = "/forgot", tag = "Pages", security(()),
    responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_forgot(visitor: Visitor) -> HttpResponse {
    visitor.respond(Ok(ask_address(&visitor, &Typed::default(), StatusCode::OK)))
}

/// Sends an email with a link to set a new password, if the address has an account.
#[utoipa::path(post, path = "/forgot", tag = "Pages", security(()),
    request_body(content = StrangerForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_forgot(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        visitor.context.require_own_page(visitor.request())?;
        let throttle = state::<Throttle>(visitor.request())?;
        let requester = visitor.requester();
        throttle.count_ip(Limit::LoginAddress, &requester).await?;
        let typed = Typed::keep(&form, &["email"]);
        let Ok(email) = EmailAddress::parse(&form.get("email").unwrap_or_default()) else {
            let typed = typed.refuse("email", vec![Text::of("login-no-email")]);
            return Ok(ask_address(&visitor, &typed, StatusCode::UNPROCESSABLE_ENTITY));
        };
        throttle.count(Limit::ForgotAccount, email.normalized().as_bytes(), &Actor::anonymous(&requester)).await?;
        state::<Recovery>(visitor.request())?.forgot_password(&email, &requester).await?;
        let text = Text::of("forgot-done-text").with("email", typed.value("email"));
        Ok(visitor.message(StatusCode::OK, Text::of("forgot-done-title"), text))
    };
    visitor.respond(answer.await)
}

fn ask_address(visitor: &Visitor, typed: &Typed, status: StatusCode) -> Reply {
    let language = visitor.language();
    let values = context! {
        title => Text::of("forgot-title").value(language),
        typed => typed.values(),
        errors => typed.errors(language),
        alert => typed.alert(language),
    };
    Reply::refused(status, "forgot.html", values)
}
