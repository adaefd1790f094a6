//! `/`: the first page, and on it the set-up of the first administrator.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError as _};
use minijinja::{Value, context};

use super::refusal::{reason, weakness};
use super::reply::{Answer, Detour, Reply, SessionCookie};
use super::typed::Typed;
use super::visitor::{CONSOLE, SentForm, Visitor, state};
use crate::accounts::Accounts;
use crate::accounts::setup::SetupError;
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::passwords::NewPassword;
use crate::sessions::LoggedIn;
use crate::texts::Text;
use crate::throttle::{Limit, Throttle};
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::types::EmailAddress;

/// The notice that there is an administrator already.
const CLOSED: &str = "set-up-closed";

/// Shows that the server works, where its documentation is, and what to do next: first of all, to set up an
/// administrator while there is none.
#[utoipa::path(get, path = "/", tag = "Pages", security(()), responses(
    (status = 200, description = "The first page", body = String, content_type = "text/html")))]
pub(crate) async fn show_welcome(visitor: Visitor) -> HttpResponse {
    let reply = welcome(&visitor, &Typed::default(), StatusCode::OK).await;
    visitor.respond(Ok(reply))
}

/// The fields of the form for the first administrator.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the form, whose fields are read by name")]
pub(crate) struct SetupForm {
    /// The code in the log of the server.
    setup_code: Option<String>,
    email: Option<String>,
    new_password: Option<String>,
}

/// Creates the first administrator with the code from the log, and logs the browser in.
#[utoipa::path(post, path = "/", tag = "Pages", security(()),
    request_body(content = SetupForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_setup(visitor: Visitor, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        visitor.context.require_own_page(visitor.request())?;
        // The code is long, and of no use to anybody who can see the page but whoever has pasted it.
        let typed = || Typed::keep(&form, &["setup_code", "email"]);
        match set_up(&visitor, &form, typed()).await {
            Err(Detour::Problem(problem)) if problem.retry_after().is_some() => {
                let text = reason(&problem, visitor.pages().site());
                let page = refused(&visitor, typed().warn(text), problem.status_code()).await;
                Ok(page.with_headers_of(&problem))
            }
            answer => answer,
        }
    };
    visitor.respond(answer.await)
}

async fn set_up(visitor: &Visitor, form: &FormBody, mut typed: Typed) -> Answer {
    let throttle = state::<Throttle>(visitor.request())?;
    throttle.count_ip(Limit::LoginAddress, &visitor.requester()).await?;
    let code = OpaqueToken::parse(Kind::SetUp, typed.value("setup_code").trim().to_owned());
    if code.is_none() {
        typed = typed.refuse("setup_code", vec![Text::of("setup-code-wrong")]);
    }
    let email = EmailAddress::parse(typed.value("email"));
    if email.is_err() {
        typed = typed.refuse("email", vec![Text::of("login-no-email")]);
    }
    let password = NewPassword::parse(form.get("new_password").unwrap_or_default());
    if let Err(weak) = &password {
        typed = typed.refuse("new_password", weakness(weak));
    }
    let (Some(code), Ok(email), Ok(password)) = (code, email, password) else {
        return Ok(refused(visitor, typed, StatusCode::UNPROCESSABLE_ENTITY).await);
    };
    let accounts = state::<Accounts>(visitor.request())?;
    match accounts.set_up(&code, email, password, &visitor.requester()).await {
        Ok(LoggedIn::Browser(cookie)) => {
            visitor.set_cookie(SessionCookie::Set(cookie, None));
            Ok(Reply::see_other(visitor.path(CONSOLE)))
        }
        Ok(LoggedIn::App(_)) => Err(Problem::internal(&"the set-up has opened the session of an app").into()),
        Err(SetupError::InvalidCode) => {
            let typed = typed.refuse("setup_code", vec![Text::of("setup-code-wrong")]);
            Ok(refused(visitor, typed, StatusCode::FORBIDDEN).await)
        }
        Err(SetupError::Closed) => Ok(late(visitor)),
        Err(SetupError::EmailTaken) => {
            let typed = typed.refuse("email", vec![Text::of("setup-taken")]);
            Ok(refused(visitor, typed, StatusCode::CONFLICT).await)
        }
        Err(SetupError::Weak(weak)) => {
            let typed = typed.refuse("new_password", weakness(&weak));
            Ok(refused(visitor, typed, StatusCode::UNPROCESSABLE_ENTITY).await)
        }
        Err(SetupError::Hasher(error)) => Err(error.into()),
        Err(SetupError::Issue(error)) => Err(error.into()),
    }
}

/// Shows the form again; or the login, if somebody else was first.
async fn refused(visitor: &Visitor, typed: Typed, status: StatusCode) -> Reply {
    match needs_set_up(visitor).await {
        true => welcome(visitor, &typed, status).await,
        false => late(visitor),
    }
}

/// Leads to the login, which says that somebody else was first.
fn late(visitor: &Visitor) -> Reply {
    visitor.notify("/login", CLOSED)
}

/// Returns what the login says to those who came too late.
pub(super) fn closed(notice: &str) -> Option<Text> {
    (notice == CLOSED).then(|| Text::of("setup-closed"))
}

/// Returns whether there is no administrator yet. The page does not depend on the database.
async fn needs_set_up(visitor: &Visitor) -> bool {
    match state::<Accounts>(visitor.request()) {
        Ok(accounts) => accounts.needs_set_up().await.unwrap_or(false),
        Err(_) => false,
    }
}

async fn welcome(visitor: &Visitor, typed: &Typed, status: StatusCode) -> Reply {
    let language = visitor.language();
    let setup = needs_set_up(visitor).await.then(|| {
        context! {
            typed => typed.values(),
            errors => typed.errors(language),
            alert => typed.alert(language),
        }
    });
    // Whoever is logged in finds the way to their pages. The page does not depend on the database.
    let _ = visitor.session().await;
    let values: Value = context! { setup, ..visitor.pages().welcome_values() };
    Reply::refused(status, "welcome.html", values)
}
