//! The routes `/account/…` of pages that links in emails lead to. GET shows the operation, POST executes it.

use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::sync::LazyLock;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _, web};
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema as _};

use super::page::Page;
use super::question::question;
use super::refusal::{refusal, weakness};
use super::{Pages, content_security_policy};
use crate::accounts::email_change::EmailChangeStep;
use crate::accounts::links::{LinkInfo, Links};
use crate::accounts::recovery::{ResetError, SET_PASSWORD};
use crate::accounts::{Deletions, EmailChanges, Recovery};
use crate::http::body::FormBody;
use crate::http::{HttpContext, Problem, language, query};
use crate::passwords::NewPassword;
use crate::sessions::Sessions;
use crate::sessions::check::CheckError;
use crate::texts::{Language, Text};
use crate::throttle::{Limit, Throttle};
use crate::tokens::opaque::{Kind, OpaqueToken, Purpose};
use crate::types::{Requester, UserId};

/// Declares the responses of pages for the OpenAPI attributes of handlers.
macro_rules! page_responses {
    ($($(#[$meta:meta])* $name:ident = $($status:literal $description:literal),+;)+) => {$(
        $(#[$meta])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                BTreeMap::from([$(($status.to_owned(), page($description))),+])
            }
        }
    )+};
}

page_responses! {
    /// The responses of a page.
    PageResponses = "200" "The question that the link asks", "400" "The link is not valid any more",
        "422" "A value is not valid", "429" "Too many requests", "500" "Something went wrong on the server",
        "503" "To be tried again";
    /// The responses of a page for people who are logged in here.
    PeoplePageResponses = "200" "The page", "303" "To the login, or from there to where one came from",
        "400" "A cookie cannot be read", "403" "Not here, or not for this account",
        "404" "There is no such session, or it belongs to another account", "422" "A value is not valid",
        "429" "Too many requests", "500" "Something went wrong on the server", "503" "To be tried again";
    /// The responses to the form of such a page.
    PeopleFormResponses = "200" "The next step", "303" "Done, or to the login", "400" "A cookie cannot be read",
        "401" "The password or the code is wrong", "403" "The form was sent by another page, or the account is closed",
        "404" "There is no such session, or it belongs to another account",
        "409" "The state of the account does not allow it", "408" "The form took too long to arrive", "413" "The form is too large", "415" "No form",
        "422" "A value is not valid", "429" "Too many requests", "500" "Something went wrong on the server",
        "503" "To be tried again";
    /// The responses of a page of the console.
    ConsolePageResponses = "200" "The page", "303" "To the login", "400" "A cookie cannot be read",
        "403" "Only administrators may see it", "404" "There is no such person or entry",
        "422" "A value is not valid", "429" "Too many requests", "500" "Something went wrong on the server",
        "503" "To be tried again";
    /// The responses to a form of the console.
    ConsoleFormResponses = "200" "The question for password and code", "303" "Done, or to the login",
        "400" "A cookie cannot be read", "401" "The password or the code is wrong",
        "403" "The form was sent by another page, or only administrators may send it",
        "404" "There is no such person", "408" "The form took too long to arrive",
        "409" "The state of the account does not allow it", "413" "The form is too large", "415" "No form",
        "422" "A value is not valid", "429" "Too many requests", "500" "Something went wrong on the server",
        "503" "To be tried again";
    /// The responses to the form of a page.
    FormResponses = "200" "Done", "400" "The link is not valid any more",
        "408" "The form took too long to arrive", "409" "The state of the account does not allow it",
        "413" "The form is too large", "415" "No form", "422" "A value is not valid", "429" "Too many requests",
        "500" "Something went wrong on the server", "503" "To be tried again";
}

fn page(description: &str) -> RefOr<Response> {
    let html = ContentBuilder::new().schema(Some(String::schema())).build();
    ResponseBuilder::new().description(description).content("text/html", html).build().into()
}

/// The fields of the forms. `token` is that of the link.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes the forms, whose fields are read by name")]
pub(crate) struct LinkForm {
    token: String,
    /// Of the page that resets a password.
    new_password: Option<String>,
    /// Of the page that verifies an address: somebody else has created the account.
    refused: Option<String>,
}

/// A request of somebody who follows a link, with the state that handlers need.
pub(crate) struct Visit {
    request: HttpRequest,
    language: Language,
    /// Whether the URL asks for the language, as that of the form then has to.
    keeps_language: bool,
    pages: web::Data<Pages>,
    links: web::Data<Links>,
    email_changes: web::Data<EmailChanges>,
    recovery: web::Data<Recovery>,
    deletions: web::Data<Deletions>,
    sessions: web::Data<Sessions>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
}

impl FromRequest for Visit {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::new(request))
    }
}

/// The path of the page that sets a password.
const RESET_PASSWORD: &str = crate::mail::Page::ResetPassword.path();

/// The form that the button of a page sends.
type SentForm = Result<FormBody, Problem>;

/// Asks whether the visitor has created the account of an email address.
#[utoipa::path(get, path = "/account/verify-email", tag = "Pages", security(()), responses(PageResponses))]
pub(crate) async fn show_verify_email(visit: Visit) -> HttpResponse {
    visit.show(&[Purpose::VerifyEmail]).await
}

/// Verifies the email address, or reports that somebody else has created its account.
#[utoipa::path(post, path = "/account/verify-email", tag = "Pages", security(()),
    request_body(content = LinkForm, content_type = "application/x-www-form-urlencoded"), responses(FormResponses))]
pub(crate) async fn submit_verify_email(visit: Visit, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let token = visit.token(&form).await?;
        let site = visit.pages.site();
        if form.get("refused").is_some() {
            visit.email_changes.disown(token, &visit.requester()).await?;
            return Ok(Answer::done(Text::of("disowned-title"), Text::of("disowned-text").with("site", site)));
        }
        let owner = visit.owner().await?;
        visit.email_changes.verify(token, owner, &visit.requester()).await?;
        Ok(Answer::done(Text::of("verified-title"), Text::of("verified-text").with("site", site)))
    };
    visit.respond(answer.await)
}

/// Asks for a new password, or for the first one of somebody who was invited.
#[utoipa::path(get, path = "/account/reset-password", tag = "Pages", security(()), responses(PageResponses))]
pub(crate) async fn show_reset_password(visit: Visit) -> HttpResponse {
    visit.show(SET_PASSWORD).await
}

/// Sets the new password, or asks again for a stronger one.
#[utoipa::path(post, path = "/account/reset-password", tag = "Pages", security(()),
    request_body(content = LinkForm, content_type = "application/x-www-form-urlencoded"), responses(FormResponses))]
pub(crate) async fn submit_reset_password(visit: Visit, form: SentForm) -> HttpResponse {
    let answer = async {
        let form = form?;
        let token = visit.token(&form).await?;
        let password = NewPassword::parse(form.get("new_password").unwrap_or_default());
        match visit.recovery.reset_password(token.clone(), password, &visit.requester()).await {
            Ok(Purpose::Invitation) => {
                let text = Text::of("invitation-done-text").with("site", visit.pages.site());
                Ok(Answer::done(Text::of("invitation-done-title"), text))
            }
            Ok(_) => Ok(Answer::done(Text::of("reset-done-title"), Text::of("reset-done-text"))),
            Err(ResetError::Weak(weak)) => {
                let link = visit.links.info(token.as_ref(), SET_PASSWORD).await?;
                let html = visit.ask(&link, token.as_ref(), weakness(&weak))?;
                Ok(Answer::Html(StatusCode::UNPROCESSABLE_ENTITY, html))
            }
            Err(error) => Err(error.into()),
        }
    };
    visit.respond(answer.await)
}

/// Asks whether to change the email address of an account.
#[utoipa::path(get, path = "/account/confirm-email-change", tag = "Pages", security(()), responses(PageResponses))]
pub(crate) async fn show_confirm_email_change(visit: Visit) -> HttpResponse {
    visit.show(&[Purpose::ChangeEmailOld, Purpose::ChangeEmailNew]).await
}

/// Confirms the change of email address.
#[utoipa::path(post, path = "/account/confirm-email-change", tag = "Pages", security(()),
    request_body(content = LinkForm, content_type = "application/x-www-form-urlencoded"), responses(FormResponses))]
pub(crate) async fn submit_confirm_email_change(visit: Visit, form: SentForm) -> HttpResponse {
    let answer = async {
        let token = visit.token(&form?).await?;
        Ok(match visit.email_changes.confirm(token, &visit.requester()).await? {
            EmailChangeStep::HalfConfirmed => Answer::done(Text::of("change-half-title"), Text::of("change-half-text")),
            EmailChangeStep::Changed => Answer::done(Text::of("changed-title"), Text::of("changed-text")),
        })
    };
    visit.respond(answer.await)
}

/// Asks whether a login was somebody else's.
#[utoipa::path(get, path = "/account/not-me", tag = "Pages", security(()), responses(PageResponses))]
pub(crate) async fn show_report_login(visit: Visit) -> HttpResponse {
    visit.show(&[Purpose::ReportLogin]).await
}

/// Reports the login, which revokes its session.
#[utoipa::path(post, path = "/account/not-me", tag = "Pages", security(()),
    request_body(content = LinkForm, content_type = "application/x-www-form-urlencoded"), responses(FormResponses))]
pub(crate) async fn submit_report_login(visit: Visit, form: SentForm) -> HttpResponse {
    let answer = async {
        let token = visit.token(&form?).await?;
        visit.recovery.report_login(token, &visit.requester()).await?;
        Ok(Answer::done(Text::of("reported-title"), Text::of("reported-text")))
    };
    visit.respond(answer.await)
}

/// Asks whether to keep an account that is to be deleted.
#[utoipa::path(get, path = "/account/cancel-deletion", tag = "Pages", security(()), responses(PageResponses))]
pub(crate) async fn show_cancel_deletion(visit: Visit) -> HttpResponse {
    visit.show(&[Purpose::CancelDeletion]).await
}

/// Cancels the deletion of the account.
#[utoipa::path(post, path = "/account/cancel-deletion", tag = "Pages", security(()),
    request_body(content = LinkForm, content_type = "application/x-www-form-urlencoded"), responses(FormResponses))]
pub(crate) async fn submit_cancel_deletion(visit: Visit, form: SentForm) -> HttpResponse {
    let answer = async {
        let token = visit.token(&form?).await?;
        visit.deletions.cancel_by_link(token, &visit.requester()).await?;
        Ok(Answer::done(Text::of("kept-title"), Text::of("kept-text")))
    };
    visit.respond(answer.await)
}

/// The content security policy of these pages: their forms are sent to this server.
static POLICY: LazyLock<String> = LazyLock::new(|| content_security_policy("'self'"));

/// The content of a response.
enum Answer {
    /// A title and a text.
    Done(Text, Text),
    Html(StatusCode, String),
}

impl Answer {
    fn done(title: Text, text: Text) -> Self {
        Self::Done(title, text)
    }
}

/// Begins the response with a page in a language.
fn html_response(status: StatusCode, language: Language) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_LANGUAGE, language.tag()));
    response
}

impl Visit {
    fn new(request: &HttpRequest) -> Result<Self, Problem> {
        fn state<T: 'static>(request: &HttpRequest) -> Result<web::Data<T>, Problem> {
            let state = request.app_data::<web::Data<T>>().cloned();
            state.ok_or_else(|| {
                Problem::internal(&format_args!("the state of pages lacks {}", std::any::type_name::<T>()))
            })
        }
        let pages = state::<Pages>(request)?;
        Ok(Self {
            request: request.clone(),
            language: language::of_request(request, pages.languages(), None),
            keeps_language: language::in_url(request).is_some(),
            pages,
            links: state(request)?,
            email_changes: state(request)?,
            recovery: state(request)?,
            deletions: state(request)?,
            sessions: state(request)?,
            throttle: state(request)?,
            context: state(request)?,
        })
    }

    fn requester(&self) -> Requester {
        self.context.requester(&self.request)
    }

    /// Shows the operation of the link, with a button that executes it.
    async fn show(&self, purposes: &'static [Purpose]) -> HttpResponse {
        let answer = async {
            self.count().await?;
            let token = query::parameter(&self.request, "token")?.and_then(|text| OpaqueToken::parse(Kind::Link, text));
            let link = self.links.info(token.as_ref(), purposes).await?;
            Ok(Answer::Html(StatusCode::OK, self.ask(&link, token.as_ref(), Vec::new())?))
        };
        self.respond(answer.await)
    }

    /// Counts the request and returns the token in the form.
    async fn token(&self, form: &FormBody) -> Result<Option<OpaqueToken>, Problem> {
        self.count().await?;
        Ok(form.get("token").and_then(|text| OpaqueToken::parse(Kind::Link, text)))
    }

    /// Finds the account that the visitor's browser is logged in to. The page of another origin gains nothing by a
    /// request with its cookie: the token of the link decides.
    async fn owner(&self) -> Result<Option<UserId>, Problem> {
        let Some(token) = self.context.cookies.access_token(&self.request)? else { return Ok(None) };
        match self.sessions.check(&token).await {
            Ok(checked) => Ok(checked.owner()),
            Err(CheckError::Database(_)) => {
                Err(Problem::unavailable("database_unavailable", "The database cannot be reached at the moment."))
            }
            Err(CheckError::Invalid(_) | CheckError::Ended | CheckError::Superseded) => Ok(None),
        }
    }

    /// Counts the request by its IP address.
    async fn count(&self) -> Result<(), Problem> {
        Ok(self.throttle.count_ip(Limit::LoginAddress, &self.requester()).await?)
    }

    fn ask(&self, link: &LinkInfo, token: Option<&OpaqueToken>, error: Vec<Text>) -> Result<String, Problem> {
        let token = token.map(OpaqueToken::expose).unwrap_or_default();
        self.render(&question(self.pages.site(), link, token, error))
    }

    fn respond(&self, answer: Result<Answer, Problem>) -> HttpResponse {
        let rendered = answer.and_then(|answer| match answer {
            Answer::Html(status, html) => Ok((status, html)),
            Answer::Done(title, text) => Ok((StatusCode::OK, self.render(&Page::new(title, vec![text]))?)),
        });
        let (status, html, problem) = match rendered {
            Ok((status, html)) => (status, html, None),
            Err(problem) => {
                let status = problem.status_code();
                let page = refusal(&problem, self.pages.site(), self.request.path() == RESET_PASSWORD);
                (status, self.render(&page).unwrap_or_default(), Some(problem))
            }
        };
        let mut response = html_response(status, self.language);
        for (name, value) in problem.iter().flat_map(Problem::headers) {
            response.append_header((name.clone(), value.clone()));
        }
        response.insert_header((CONTENT_SECURITY_POLICY, POLICY.as_str())).body(html)
    }

    fn render(&self, page: &Page<'_>) -> Result<String, Problem> {
        let query = if self.keeps_language { format!("?ui_locales={}", self.language.tag()) } else { String::new() };
        self.pages.render(page, self.language, &query).map_err(|error| Problem::internal(&error))
    }
}
