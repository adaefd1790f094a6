//! Whoever sends a request for a page: a stranger, or a person who is logged in here.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError as _, web};
use minijinja::Value;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Pages;
use super::page::Page;
use super::refusal::refusal;
use crate::audit::Actor;
use crate::http::body::FormBody;
use crate::http::return_to::ReturnTo;
use crate::http::{HttpContext, Problem, language, query};
use crate::sessions::{BrowserCookie, SessionSnapshot, Sessions};
use crate::texts::Language;
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::types::Requester;

/// The parameter that says where a login leads back to.
const RETURN_TO: &str = "return_to";

/// The form of a page.
pub(super) type SentForm = Result<FormBody, Problem>;

/// A request for a page.
pub(crate) struct Visitor {
    request: HttpRequest,
    pages: web::Data<Pages>,
    pub(super) context: web::Data<HttpContext>,
    pub(super) sessions: web::Data<Sessions>,
}

/// The answer of a page, before it is rendered.
pub(super) enum Reply {
    /// A template with its values, and the origin that its form may lead to.
    Page { status: StatusCode, template: &'static str, values: Value, form_target: Option<String> },
    /// Another page, after something was done or because of a login that is missing.
    SeeOther { to: String, session: Option<SessionCookie> },
}

/// A change of the cookies of the browser.
pub(super) enum SessionCookie {
    /// A login.
    Set(BrowserCookie, Option<OpaqueToken>),
    /// A logout.
    Clear,
}

impl Reply {
    /// Returns a page.
    pub(super) fn page(template: &'static str, values: Value) -> Self {
        Self::Page { status: StatusCode::OK, template, values, form_target: None }
    }

    /// Returns a redirect to another page of this server.
    pub(super) fn see_other(to: impl Into<String>) -> Self {
        Self::SeeOther { to: to.into(), session: None }
    }
}

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::new(request))
    }
}

/// Returns what the server shares with its handlers.
pub(super) fn state<T: 'static>(request: &HttpRequest) -> Result<web::Data<T>, Problem> {
    let state = request.app_data::<web::Data<T>>().cloned();
    state.ok_or_else(|| Problem::internal(&format_args!("the state of pages lacks {}", std::any::type_name::<T>())))
}

impl Visitor {
    fn new(request: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self {
            pages: state(request)?,
            context: state(request)?,
            sessions: state(request)?,
            request: request.clone(),
        })
    }

    /// Finds the session of a person who is logged in, as it is now, and records its use. Returns `None` for a
    /// stranger.
    ///
    /// # Errors
    /// The database fails, or the cookie cannot be read.
    pub(super) async fn session(&self) -> Result<Option<SessionSnapshot>, Problem> {
        let Some(text) = self.context.cookies.session(&self.request)? else { return Ok(None) };
        let Some(secret) = OpaqueToken::parse(Kind::BrowserSession, text) else { return Ok(None) };
        let found = self.sessions.find_browser(&secret).await?;
        if let Some(session) = &found {
            self.sessions.note_browser_use(session);
        }
        Ok(found)
    }

    /// Returns the person as an actor.
    pub(super) fn actor(&self, session: &SessionSnapshot) -> Actor {
        Actor { user: Some(session.subject.id), session: Some(session.session), requester: self.requester() }
    }

    /// Returns who has sent the request.
    pub(super) fn requester(&self) -> Requester {
        self.context.requester(&self.request)
    }

    /// Returns the request.
    pub(super) fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// Returns the language of the page.
    pub(super) fn language(&self) -> Language {
        language::of_request(&self.request, self.pages.languages(), None)
    }

    /// Returns where the query of the request leads back to, if that is a place to follow.
    ///
    /// # Errors
    /// The query cannot be read.
    pub(super) fn return_to(&self) -> Result<Option<ReturnTo>, Problem> {
        let text = query::parameter(&self.request, RETURN_TO)?;
        Ok(text.and_then(|text| ReturnTo::parse(&text, &self.context)))
    }

    /// Returns where a form leads back to, if that is a place to follow.
    pub(super) fn return_to_of(&self, form: &FormBody) -> Option<ReturnTo> {
        ReturnTo::parse(&form.get(RETURN_TO)?, &self.context)
    }

    /// Returns the path of a page of this server.
    pub(super) fn path(&self, page: &str) -> String {
        format!("{}{page}", self.pages.base())
    }

    /// Sends a stranger to the login, which leads back to this page.
    pub(super) fn to_login(&self) -> Reply {
        let page = self.request.uri().path_and_query().map_or("/", |target| target.as_str());
        let page = utf8_percent_encode(page, NON_ALPHANUMERIC);
        Reply::see_other(self.path(&format!("/login?{RETURN_TO}={page}")))
    }

    /// Answers with a page, a redirect, or the page of a refusal.
    pub(super) fn respond(&self, reply: Result<Reply, Problem>) -> HttpResponse {
        let language = self.language();
        let reply = reply.and_then(|reply| match reply {
            Reply::Page { status, template, values, form_target } => {
                let html = self.pages.fill(template, language, values).map_err(|error| Problem::internal(&error))?;
                Ok(Self::html(status, html, form_target.as_deref()))
            }
            Reply::SeeOther { to, session } => Ok(self.see_other(&to, session)),
        });
        reply.unwrap_or_else(|problem| self.refuse(&problem, language))
    }

    fn html(status: StatusCode, html: String, form_target: Option<&str>) -> HttpResponse {
        let form_action = form_target.map_or_else(|| "'self'".to_owned(), |origin| format!("'self' {origin}"));
        HttpResponse::build(status)
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CONTENT_SECURITY_POLICY, super::content_security_policy(&form_action)))
            // With `no-referrer` a browser would not say from which page a form comes.
            .insert_header((REFERRER_POLICY, "same-origin"))
            .body(html)
    }

    fn see_other(&self, to: &str, session: Option<SessionCookie>) -> HttpResponse {
        let mut response = HttpResponse::SeeOther();
        response.insert_header((LOCATION, to)).insert_header((CACHE_CONTROL, "no-store"));
        match session {
            Some(SessionCookie::Set(cookie, device)) => {
                self.context.cookies.set_session(&mut response, cookie.secret.expose(), cookie.max_age);
                if let Some(device) = device {
                    let max_age = crate::tokens::opaque::Purpose::TrustedDevice.lifetime();
                    self.context.cookies.set_trusted_device(&mut response, device.expose(), max_age);
                }
            }
            Some(SessionCookie::Clear) => self.context.cookies.clear_session(&mut response),
            None => {}
        }
        response.finish()
    }

    fn refuse(&self, problem: &Problem, language: Language) -> HttpResponse {
        let page: Page<'_> = refusal(problem, self.pages.site(), false);
        let html = self.pages.render(&page, language, "").unwrap_or_default();
        let mut response = Self::html(problem.status_code(), html, None);
        for (name, value) in problem.headers() {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }
}
