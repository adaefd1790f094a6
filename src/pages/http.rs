//! `/account/…`: the pages that links in mails lead to. GET tells what will happen, POST does it.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError as _, web};

use super::{Form, Page, Pages, PasswordField};
use crate::accounts::Accounts;
use crate::accounts::address::Confirmed;
use crate::accounts::links::Linked;
use crate::accounts::recovery::ResetError;
use crate::http::body::{FormBody, form_field};
use crate::http::{Edge, Problem};
use crate::limits::Kind;
use crate::tokens::one_time::{OneTimeToken, Purpose};

/// Somebody who follows a link.
pub struct Visit {
    request: HttpRequest,
    pages: web::Data<Pages>,
    accounts: web::Data<Accounts>,
    edge: web::Data<Edge>,
}

impl FromRequest for Visit {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        fn state<T: 'static>(request: &HttpRequest) -> Result<web::Data<T>, Problem> {
            let state = request.app_data::<web::Data<T>>().cloned();
            state.ok_or_else(|| Problem::internal(&"a page has not what it needs"))
        }
        let visit = |pages, accounts, edge| Self { request: request.clone(), pages, accounts, edge };
        ready((|| Ok(visit(state(request)?, state(request)?, state(request)?)))())
    }
}

/// What a button is sent with.
type Sent = Result<FormBody, Problem>;

/// Asks whether an address is the visitor's.
#[utoipa::path(get, path = "/account/verify-email", tag = "Pages", security(()),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn ask_verify_email(visit: Visit) -> HttpResponse {
    visit.ask(&[Purpose::VerifyEmail]).await
}

/// Verifies the address.
#[utoipa::path(post, path = "/account/verify-email", tag = "Pages", security(()), request_body(content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 413, content_type = "text/html"), (status = 415, content_type = "text/html"), (status = 422, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn submit_verify_email(visit: Visit, sent: Sent) -> HttpResponse {
    let done = async {
        let token = visit.token(&sent?).await?;
        visit.accounts.verify_email(token, &visit.edge.client(&visit.request)).await?;
        let text = format!("This address belongs to your account at {}. You can close this page.", visit.pages.site());
        Ok(told("Your address is verified", text))
    };
    visit.answer(done.await)
}

/// Asks for a new password.
#[utoipa::path(get, path = "/account/reset-password", tag = "Pages", security(()),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn ask_reset_password(visit: Visit) -> HttpResponse {
    visit.ask(&[Purpose::ResetPassword]).await
}

/// Sets the new password. A weak one is asked for again.
#[utoipa::path(post, path = "/account/reset-password", tag = "Pages", security(()), request_body(content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 413, content_type = "text/html"), (status = 415, content_type = "text/html"), (status = 422, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn submit_reset_password(visit: Visit, sent: Sent) -> HttpResponse {
    let done = async {
        let sent = sent?;
        let token = visit.token(&sent).await?;
        let password = sent.get("new_password").unwrap_or_default();
        let client = visit.edge.client(&visit.request);
        match visit.accounts.reset_password(token.clone(), password, &client).await {
            Ok(()) => {
                let text = "All devices were logged out. Log in with the new password from now on.";
                Ok(told("Your password is set", text))
            }
            Err(ResetError::Weak(weak)) => {
                let linked = visit.accounts.linked(token.as_ref(), &[Purpose::ResetPassword]).await?;
                let html = visit.question(&linked, token.as_ref(), Some(weak.to_string()))?;
                Ok(Told::Html(StatusCode::UNPROCESSABLE_ENTITY, html))
            }
            Err(ResetError::Link(error)) => Err(error.into()),
            Err(ResetError::Hasher(error)) => Err(error.into()),
        }
    };
    visit.answer(done.await)
}

/// Asks whether an account is to move to another address.
#[utoipa::path(get, path = "/account/confirm-email-change", tag = "Pages", security(()),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn ask_confirm_email_change(visit: Visit) -> HttpResponse {
    visit.ask(&[Purpose::ChangeEmailOld, Purpose::ChangeEmailNew]).await
}

/// Agrees to the change of address.
#[utoipa::path(post, path = "/account/confirm-email-change", tag = "Pages", security(()), request_body(content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 409, content_type = "text/html"), (status = 413, content_type = "text/html"), (status = 415, content_type = "text/html"), (status = 422, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn submit_confirm_email_change(visit: Visit, sent: Sent) -> HttpResponse {
    let done = async {
        let token = visit.token(&sent?).await?;
        let client = visit.edge.client(&visit.request);
        Ok(match visit.accounts.confirm_email_change(token, &client).await? {
            Confirmed::Half => {
                told("One more address to go", "The other address has yet to agree: there is a mail with a link in it.")
            }
            Confirmed::Moved => told("Your account has moved", "Log in with the new address from now on."),
        })
    };
    visit.answer(done.await)
}

/// Asks whether a login was somebody else's.
#[utoipa::path(get, path = "/account/not-me", tag = "Pages", security(()),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn ask_not_me(visit: Visit) -> HttpResponse {
    visit.ask(&[Purpose::NotMe]).await
}

/// Ends the login.
#[utoipa::path(post, path = "/account/not-me", tag = "Pages", security(()), request_body(content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, content_type = "text/html"), (status = 400, content_type = "text/html"), (status = 413, content_type = "text/html"), (status = 415, content_type = "text/html"), (status = 422, content_type = "text/html"), (status = 429, content_type = "text/html"), (status = 503, content_type = "text/html")))]
pub async fn submit_not_me(visit: Visit, sent: Sent) -> HttpResponse {
    let done = async {
        let token = visit.token(&sent?).await?;
        visit.accounts.not_me(token, &visit.edge.client(&visit.request)).await?;
        let text = "A mail with a link to choose a new password is on its way. Choose one that you use nowhere else.";
        Ok(told("They are logged out", text))
    };
    visit.answer(done.await)
}

/// A page to be written, or one that is.
enum Told {
    Page(&'static str, String),
    Html(StatusCode, String),
}

fn told(title: &'static str, text: impl Into<String>) -> Told {
    Told::Page(title, text.into())
}

impl Visit {
    /// Tells what the link of this visit is about, with a button.
    async fn ask(&self, purposes: &'static [Purpose]) -> HttpResponse {
        let asked = async {
            self.limit().await?;
            let token = form_field(self.request.query_string().as_bytes(), "token").and_then(OneTimeToken::parse);
            let linked = self.accounts.linked(token.as_ref(), purposes).await?;
            Ok(Told::Html(StatusCode::OK, self.question(&linked, token.as_ref(), None)?))
        };
        self.answer(asked.await)
    }

    /// The token that the button was sent with.
    async fn token(&self, sent: &FormBody) -> Result<Option<OneTimeToken>, Problem> {
        self.limit().await?;
        Ok(sent.get("token").and_then(OneTimeToken::parse))
    }

    async fn limit(&self) -> Result<(), Problem> {
        self.edge.limit_address(Kind::LoginAddress, &self.edge.client(&self.request)).await
    }

    fn question(
        &self,
        linked: &Linked,
        token: Option<&OneTimeToken>,
        wrong: Option<String>,
    ) -> Result<String, Problem> {
        let (site, email) = (self.pages.site(), &linked.email);
        let new_email = linked.new_email.as_deref().unwrap_or_default();
        let (title, text, action, button) = match linked.purpose {
            Purpose::VerifyEmail => (
                "Is this your address?",
                vec![format!("An account at {site} was registered with {email}.")],
                "verify-email",
                "Yes, it is mine",
            ),
            Purpose::ResetPassword => (
                "Choose a new password",
                vec![format!("For your account at {site}. All devices are logged out then.")],
                "reset-password",
                "Set the password",
            ),
            Purpose::ChangeEmailOld => (
                "Is your account to move?",
                vec![
                    format!("Your account at {site} is to move from {email} to {new_email}."),
                    "Nothing changes before both addresses have agreed.".to_owned(),
                ],
                "confirm-email-change",
                "Yes, move it",
            ),
            // Whoever reads this address's mail need not know the other one.
            Purpose::ChangeEmailNew => (
                "Is your account to move here?",
                vec![
                    format!("An account at {site} is to move to {new_email}."),
                    "Nothing changes before both addresses have agreed.".to_owned(),
                ],
                "confirm-email-change",
                "Yes, move it",
            ),
            Purpose::NotMe => (
                "Was it not you?",
                vec![if linked.is_one_session {
                    format!(
                        "The login to your account at {site} is ended at once, and you get a mail to choose a new password."
                    )
                } else {
                    format!(
                        "All logins to your account at {site} are ended at once, yours too, and you get a mail to choose a new password."
                    )
                }],
                "not-me",
                "It was not me",
            ),
        };
        let password = (linked.purpose == Purpose::ResetPassword).then(|| PasswordField { email, error: wrong });
        let token = token.map(OneTimeToken::expose).unwrap_or_default();
        let page = Page { title, text, form: Some(Form { action, token, button, password }) };
        self.pages.render(&page).map_err(|error| Problem::internal(&error))
    }

    fn answer(&self, done: Result<Told, Problem>) -> HttpResponse {
        let rendered = done.and_then(|told| match told {
            Told::Html(status, html) => Ok((status, html)),
            Told::Page(title, text) => Ok((StatusCode::OK, self.page(title, text)?)),
        });
        let (problem, (status, html)) = match rendered {
            Ok(answer) => (None, answer),
            Err(problem) => {
                let html = self.page(title_of(problem.status_code()), problem.detail().to_owned());
                let answer = (problem.status_code(), html.unwrap_or_default());
                (Some(problem), answer)
            }
        };
        let mut response = HttpResponse::build(status);
        for (name, value) in problem.iter().flat_map(Problem::headers) {
            response.append_header((name.clone(), value.clone()));
        }
        response
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((CONTENT_SECURITY_POLICY, super::CONTENT_SECURITY_POLICY.as_str()))
            .body(html)
    }

    fn page(&self, title: &str, text: String) -> Result<String, Problem> {
        let page = Page { title, text: vec![text], form: None };
        self.pages.render(&page).map_err(|error| Problem::internal(&error))
    }
}

fn title_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "This link does not work",
        StatusCode::CONFLICT => "This address is taken",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "Please try again in a moment",
        _ => "That did not work",
    }
}
