//! `/login` and `/logout`: open and end browser sessions.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::{Value, context};

use super::live::ended_text;
use super::refusal::show_again;
use super::reply::{Answer, Reply, SessionCookie};
use super::step_up::second_factor;
use super::visitor::{HOME, SentForm, Visitor, require_owner, state};
use crate::accounts::Logins;
use crate::accounts::login::{LoginError, LoginOptions, LoginStep};
use crate::accounts::login_completion::{CompleteError, SecondFactor};
use crate::http::Problem;
use crate::http::body::FormBody;
use crate::http::return_to::ReturnTo;
use crate::mfa::Method;
use crate::passwords::Password;
use crate::revocations::Reason;
use crate::sessions::{BrowserCookie, LoggedIn, SessionSelector};
use crate::texts::Text;
use crate::throttle::{Limit, Throttle};
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::types::{EmailAddress, Transport};

/// Asks for email address and password.
#[utoipa::path(get, path = "/login", tag = "Pages", security(()), responses(super::handlers::PeoplePageResponses))]
pub(crate) async fn show_login(visitor: Visitor) -> HttpResponse {
    let reply = async {
        let return_to = visitor.return_to()?;
        Ok(match visitor.session().await? {
            Some(_) => Reply::see_other(home(&visitor, return_to.as_ref())),
            None => {
                let ended = visitor.ended_session().await?;
                let said =
                    visitor.take_notice(super::setup::closed).or_else(|| ended.as_ref().map(ended_text(&visitor)));
                ask(&visitor, return_to.as_ref(), Said { notice: said, ..Said::default() }, StatusCode::OK)
            }
        })
    };
    visitor.respond(reply.await)
}

/// The fields of the forms of a login.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the forms, whose fields are read by name")]
pub(crate) struct LoginForm {
    email: Option<String>,
    password: Option<String>,
    /// Where the login leads to: a page of this server, or of an allowed origin.
    return_to: Option<String>,
    /// Of the second step: the login that waits for it.
    mfa_token: Option<String>,
    code: Option<String>,
    /// Of the second step, in place of a code.
    recovery_code: Option<String>,
    /// Of the second step: whether this browser needs no code the next time.
    remember_device: Option<String>,
}

/// Opens a browser session, or asks for the second factor.
#[utoipa::path(post, path = "/login", tag = "Pages", security(()),
    request_body(content = LoginForm, content_type = "application/x-www-form-urlencoded"),
    responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_login(visitor: Visitor, form: SentForm) -> HttpResponse {
    let reply = async {
        let form = form?;
        visitor.context.require_own_page(visitor.request())?;
        let return_to = visitor.return_to_of(&form);
        let return_to = return_to.as_ref();
        if let Some(token) = form.get("mfa_token") {
            let Some(challenge) = OpaqueToken::parse(Kind::MfaChallenge, token) else {
                return Ok(begin_again(&visitor, return_to));
            };
            let answer = complete(&visitor, &form, &challenge, return_to).await;
            return show_again(&visitor, answer, |text, status| {
                ask_code(&visitor, return_to, &challenge, Asked::refused(text, &form), status)
            });
        }
        let typed = form.get("email").unwrap_or_default();
        let answer = log_in(&visitor, &form, &typed, return_to).await;
        show_again(&visitor, answer, |text, status| {
            ask(&visitor, return_to, Said { email: &typed, error: Some(text), ..Said::default() }, status)
        })
    };
    visitor.respond(reply.await)
}

async fn log_in(visitor: &Visitor, form: &FormBody, typed: &str, return_to: Option<&ReturnTo>) -> Answer {
    let throttle = state::<Throttle>(visitor.request())?;
    throttle.count_ip(Limit::LoginAddress, &visitor.requester()).await?;
    let Ok(email) = EmailAddress::parse(typed) else {
        let refusal = Text::of("login-no-email");
        let said = Said { email: typed, error: Some(refusal), ..Said::default() };
        return Ok(ask(visitor, return_to, said, StatusCode::UNPROCESSABLE_ENTITY));
    };
    let device = visitor.context.cookies.trusted_device(visitor.request())?;
    let trusted_device = device.and_then(|text| OpaqueToken::parse(Kind::TrustedDevice, text));
    let options =
        LoginOptions { device_name: None, transport: Transport::Pages, trusted_device, proven: None, parent: None };
    let password = Password::parse(form.get("password").unwrap_or_default()).ok();
    let logins = state::<Logins>(visitor.request())?;
    match logins.login(&email, password, &options, &visitor.requester()).await {
        Ok(LoginStep::Complete(logged_in)) => leave(visitor, return_to, logged_in, None).await,
        Ok(LoginStep::SecondFactorRequired(token)) => {
            Ok(ask_code(visitor, return_to, &token, Asked::default(), StatusCode::OK))
        }
        Err(error) => {
            let (status, text) = refused(error)?;
            Ok(ask(visitor, return_to, Said { email: typed, error: Some(text), ..Said::default() }, status))
        }
    }
}

/// Completes a login with its second factor.
async fn complete(visitor: &Visitor, form: &FormBody, challenge: &OpaqueToken, return_to: Option<&ReturnTo>) -> Answer {
    let logins = state::<Logins>(visitor.request())?;
    // One that an app has begun gives out tokens.
    let begun = logins.find_challenge(challenge).await?.filter(|begun| begun.transport == Transport::Pages);
    let Some(begun) = begun else { return Ok(begin_again(visitor, return_to)) };
    let Some(code) = second_factor(form, "code", "recovery_code") else {
        let asked = Asked::refused(Text::of("code-missing"), form);
        return Ok(ask_code(visitor, return_to, challenge, asked, StatusCode::UNPROCESSABLE_ENTITY));
    };
    let factor = SecondFactor {
        challenge: challenge.clone(),
        method: Method::from_code(&code),
        code,
        remember_device: remembers(form),
        proven: None,
    };
    match logins.complete(begun.user, factor, &visitor.requester()).await {
        Ok(completed) => leave(visitor, return_to, completed.logged_in, completed.trusted_device).await,
        Err(CompleteError::NoChallenge) => Ok(begin_again(visitor, return_to)),
        Err(CompleteError::InvalidCode) => {
            let asked = Asked::refused(Text::of("code-wrong"), form);
            Ok(ask_code(visitor, return_to, challenge, asked, StatusCode::UNAUTHORIZED))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns what a login failed by: the status and the text beside the form.
///
/// # Errors
/// The failure has nothing to do with what was typed.
fn refused(error: LoginError) -> Result<(StatusCode, Text), Problem> {
    Ok(match error {
        LoginError::InvalidCredentials => (StatusCode::UNAUTHORIZED, Text::of("login-wrong")),
        LoginError::AccountDisabled => (StatusCode::FORBIDDEN, Text::of("login-disabled")),
        LoginError::EmailNotVerified => (StatusCode::FORBIDDEN, Text::of("login-unverified")),
        LoginError::DeletionPending(at) => (StatusCode::FORBIDDEN, Text::of("login-deleted").with_time("at", at)),
        other => return Err(other.into()),
    })
}

/// Returns where a login leads to.
pub(super) fn home(visitor: &Visitor, return_to: Option<&ReturnTo>) -> String {
    return_to.map_or_else(|| visitor.path(HOME), |to| to.as_str().to_owned())
}

/// Leads to where the login was asked for, with the cookie of the new session.
///
/// # Errors
/// The login was an app's, which is a defect, or the database fails.
pub(super) async fn leave(
    visitor: &Visitor,
    return_to: Option<&ReturnTo>,
    logged_in: LoggedIn,
    trusted_device: Option<OpaqueToken>,
) -> Answer {
    let LoggedIn::Browser(cookie) = logged_in else {
        return Err(Problem::internal(&"a login on a page has opened the session of an app").into());
    };
    end_former(visitor, &cookie).await?;
    visitor.set_cookie(SessionCookie::Set(cookie, trusted_device));
    Ok(Reply::see_other(home(visitor, return_to)))
}

/// Ends the session that this browser has had until now, because nothing keeps its cookie any more. One of the same
/// account stays if apps are logged in within it: whoever logs in twice, in two tabs, is not logged out of them.
async fn end_former(visitor: &Visitor, new: &BrowserCookie) -> Result<(), Problem> {
    let Some(former) = visitor.find_session().await? else { return Ok(()) };
    let owner = former.subject.id;
    let new = visitor.sessions.find_browser(&new.secret).await?;
    if new.is_some_and(|(new, _)| new.subject.id == owner) {
        let live = visitor.sessions.list(owner, false).await?;
        if live.iter().any(|session| session.parent == Some(former.session)) {
            return Ok(());
        }
    }
    let end = SessionSelector::One(former.session);
    visitor.sessions.revoke(end, Reason::Logout, &visitor.actor(&former)).await?;
    Ok(())
}

/// The words of the form besides its fields.
#[derive(Default)]
struct Said<'a> {
    /// What was typed the time before.
    email: &'a str,
    /// What was wrong with it.
    error: Option<Text>,
    /// Why the visitor is not logged in any more.
    notice: Option<Text>,
}

/// Asks for email address and password.
fn ask(visitor: &Visitor, return_to: Option<&ReturnTo>, said: Said<'_>, status: StatusCode) -> Reply {
    let language = visitor.language();
    let Said { email, error, notice } = said;
    let title = Text::of("login-title").value(language);
    let error = error.map(|error| error.value(language));
    let notice = notice.map(|notice| notice.value(language));
    let has_registration = visitor.pages().has_registration();
    form_page(visitor, "login.html", return_to, context! { title, email, error, notice, has_registration }, status)
}

/// The form of the second step as it was the time before.
#[derive(Default)]
struct Asked {
    /// What was wrong with it.
    error: Option<Text>,
    /// Whether the device was to be remembered.
    remembers: bool,
}

impl Asked {
    fn refused(error: Text, form: &FormBody) -> Self {
        Self { error: Some(error), remembers: remembers(form) }
    }
}

fn remembers(form: &FormBody) -> bool {
    form.get("remember_device").is_some()
}

/// Asks for the code of the second step.
fn ask_code(
    visitor: &Visitor,
    return_to: Option<&ReturnTo>,
    challenge: &OpaqueToken,
    asked: Asked,
    status: StatusCode,
) -> Reply {
    let Asked { error, remembers } = asked;
    let title = Text::of("code-title").value(visitor.language());
    let error = error.map(|error| error.value(visitor.language()));
    let values = context! { title, mfa_token => challenge.expose(), error, remembers };
    form_page(visitor, "code.html", return_to, values, status)
}

/// Returns the page of a form of strangers, whose links keep the language and the place that the login leads to.
pub(super) fn form_page(
    visitor: &Visitor,
    template: &'static str,
    return_to: Option<&ReturnTo>,
    values: Value,
    status: StatusCode,
) -> Reply {
    let values = context! {
        return_to => return_to.map(ReturnTo::as_str),
        locales => visitor.carried(None),
        carried => visitor.carried(return_to),
        ..values
    };
    Reply::refused(status, template, values).leading_to(return_to.and_then(ReturnTo::foreign_origin))
}

/// Asks for the password again, because the login has waited too long for its second factor.
fn begin_again(visitor: &Visitor, return_to: Option<&ReturnTo>) -> Reply {
    let said = Said { error: Some(Text::of("code-expired")), ..Said::default() };
    ask(visitor, return_to, said, StatusCode::UNAUTHORIZED)
}

/// Ends the browser session, and the sessions that were opened within it.
#[utoipa::path(post, path = "/logout", tag = "Pages", security(()), responses(super::handlers::PeopleFormResponses))]
pub(crate) async fn submit_logout(visitor: Visitor, form: SentForm) -> HttpResponse {
    let reply = async {
        form?;
        visitor.context.require_own_page(visitor.request())?;
        if let Some(session) = visitor.session().await? {
            require_owner(&session)?;
            let own = SessionSelector::One(session.session);
            visitor.sessions.revoke(own, Reason::Logout, &visitor.actor(&session)).await?;
        }
        visitor.set_cookie(SessionCookie::Clear);
        Ok(Reply::see_other(visitor.path("/login")))
    };
    visitor.respond(reply.await)
}
