//! Whoever sends a request for a page: a stranger, or a person who is logged in here.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, web};
use minijinja::context;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use super::Pages;
use super::reply::{Detour, Reply, SessionCookie};
use crate::audit::Actor;
use crate::http::body::FormBody;
use crate::http::language::{self, UI_LOCALES};
use crate::http::problem::Fields;
use crate::http::return_to::ReturnTo;
use crate::http::{HttpContext, Problem, pagination, query};
use crate::sessions::{BrowserCookie, Session, SessionSnapshot, Sessions};
use crate::texts::{Language, Text};
use crate::throttle::{Limit, Throttle};
use crate::tokens::opaque::{Kind, OpaqueToken};
use crate::types::Requester;

/// The parameter that says where a login leads back to.
const RETURN_TO: &str = "return_to";

/// The page that a login leads to, unless it says another.
pub(super) const HOME: &str = "/account/sessions";

/// The page of the console that administrators begin with.
pub(super) const CONSOLE: &str = "/admin";

/// The field of a form with the account that its page was shown to.
pub(super) const ACCOUNT: &str = "shown_to";

/// The field of a form that may be sent once.
pub(super) const MARK: &str = "form";

/// The form of a page.
pub(crate) type SentForm = Result<FormBody, Problem>;

/// The fields of a form with their values.
pub(super) type SentFields = Vec<(String, Zeroizing<String>)>;

/// A request for a page.
pub(crate) struct Visitor {
    pub(super) request: HttpRequest,
    pub(super) pages: web::Data<Pages>,
    pub(crate) context: web::Data<HttpContext>,
    pub(super) sessions: web::Data<Sessions>,
    /// The secret of the session of this browser, once the session was found, or that which has replaced it.
    secret: RefCell<Option<OpaqueToken>>,
    /// The session of the person who is logged in, once it was found.
    pub(super) found: RefCell<Option<SessionSnapshot>>,
    /// The fields of the form that was sent, if the page of a refusal may keep them.
    pub(super) sent: RefCell<Option<SentFields>>,
    /// The changes of cookies that the answer makes.
    pub(super) cookies: RefCell<Vec<SessionCookie>>,
    /// What the answer says of the notice for the next page: another one, or none if it is empty.
    pub(super) notice: RefCell<Option<String>>,
    /// Whether the browser has the cookie of a session in which an administrator acts for somebody.
    is_acting: Cell<bool>,
    /// The language that the person has chosen, once the session was found.
    chosen: Cell<Option<Language>>,
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

/// Refuses an administrator who acts for the owner of an account.
pub(super) fn require_owner(session: &SessionSnapshot) -> Result<(), Problem> {
    match session.actor {
        Some(_) => Err(Problem::forbidden("impersonated", "Only the owner of the account may do this.")),
        None => Ok(()),
    }
}

/// Returns the secret of a browser session that a cookie holds.
fn secret_of(cookie: Option<String>) -> Option<OpaqueToken> {
    OpaqueToken::parse(Kind::BrowserSession, cookie?)
}

impl Visitor {
    /// Creates the visitor of a request.
    ///
    /// # Errors
    /// The server lacks what pages share, which is a defect.
    pub(super) fn new(request: &HttpRequest) -> Result<Self, Problem> {
        Ok(Self {
            pages: state(request)?,
            context: state(request)?,
            sessions: state(request)?,
            request: request.clone(),
            secret: RefCell::new(None),
            found: RefCell::new(None),
            sent: RefCell::new(None),
            cookies: RefCell::default(),
            notice: RefCell::default(),
            is_acting: Cell::new(false),
            chosen: Cell::new(None),
        })
    }

    /// Finds the session of a person who is logged in, as it is now, and records its use. Returns `None` for a
    /// stranger.
    ///
    /// # Errors
    /// The database fails, or the cookie cannot be read.
    pub(super) async fn session(&self) -> Result<Option<SessionSnapshot>, Problem> {
        let found = self.find_session().await?;
        if let Some(session) = &found {
            self.sessions.note_browser_use(session);
            // A refusal is shown as a page of theirs, too.
            self.found.replace(Some(session.clone()));
        }
        Ok(found)
    }

    /// Finds the session as [`Self::session`] does, without recording a use.
    pub(super) async fn find_session(&self) -> Result<Option<SessionSnapshot>, Problem> {
        // The console is the administrator's own in any case.
        let acting = self.context.cookies.acting(&self.request)?.filter(|_| !self.is_console());
        self.is_acting.set(acting.is_some());
        let cookie = match acting {
            Some(acting) => Some(acting),
            None => self.context.cookies.session(&self.request)?,
        };
        let Some(secret) = secret_of(cookie) else { return Ok(None) };
        let Some((session, language)) = self.sessions.find_browser(&secret).await? else { return Ok(None) };
        self.chosen.set(language.as_deref().and_then(Language::find));
        self.secret.replace(Some(secret));
        Ok(Some(session))
    }

    /// Finds the session in which this browser acts for somebody.
    pub(super) async fn acting(&self) -> Result<Option<SessionSnapshot>, Problem> {
        let Some(secret) = secret_of(self.context.cookies.acting(&self.request)?) else { return Ok(None) };
        Ok(self.sessions.find_browser(&secret).await?.map(|(session, _)| session))
    }

    fn is_console(&self) -> bool {
        let route = self.request.match_pattern().unwrap_or_default();
        route == "/admin" || route.starts_with("/admin/")
    }

    /// Finds the session of this browser if it has ended.
    pub(super) async fn ended_session(&self) -> Result<Option<Session>, Problem> {
        let Some(secret) = secret_of(self.context.cookies.session(&self.request)?) else { return Ok(None) };
        Ok(self.sessions.find_ended_browser(&secret).await?)
    }

    /// Returns the session of the person who asks for a page, and counts the request. A stranger is sent to the login.
    pub(crate) async fn person(&self) -> Result<SessionSnapshot, Detour> {
        let Some(session) = self.session().await? else { return Err(self.to_login().into()) };
        self.count(Limit::SearchAccount, &session).await?;
        Ok(session)
    }

    /// Returns the session of the person who has sent a form of one of the server's own pages, and counts the request
    /// unless it ends a session. A stranger is sent to the login, and the form of a page that was another account's is
    /// refused.
    pub(super) async fn sender(&self, form: &FormBody) -> Result<SessionSnapshot, Detour> {
        self.context.require_own_page(&self.request)?;
        let Some(session) = self.session().await? else { return Err(self.to_login().into()) };
        // A page that was loaded before somebody else logged in here must not change their account.
        let shown = form.get(ACCOUNT);
        if shown.is_some_and(|shown| *shown != session.subject.id.to_string()) {
            return Err(self.message(StatusCode::CONFLICT, Text::of("other-title"), Text::of("other-text")).into());
        }
        self.keep(form);
        Ok(session)
    }

    /// Keeps the fields of a form for the page of a refusal, unless one of them is a secret, which is typed again.
    fn keep(&self, form: &FormBody) {
        let is_secret = |name: &str| name.contains("password") || name.contains("code");
        let fields: SentFields = form.fields().filter(|(name, _)| name != ACCOUNT).collect();
        self.sent.replace((!fields.iter().any(|(name, _)| is_secret(name))).then_some(fields));
    }

    /// Returns a page that says what was done, or why it was not.
    pub(super) fn message(&self, status: StatusCode, title: Text, text: Text) -> Reply {
        let language = self.language();
        let values = context! { title => title.value(language), text => text.value(language) };
        Reply::refused(status, "message.html", values)
    }

    /// Returns the position in the list at `path` that the cursor of the query stands for. Leads to the first page if
    /// it was not issued for this list.
    pub(super) fn cursor<T>(&self, path: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> Result<Option<T>, Detour> {
        let text = query::parameter(&self.request, "cursor")?.filter(|text| !text.is_empty());
        let position = pagination::cursor(&mut Fields::default(), text.as_deref().map(String::as_str), parse);
        position.ok_or_else(|| {
            let language = self.language();
            let values = context! {
                title => Text::of("cursor-title").value(language),
                text => Text::of("cursor-text").value(language),
                link => context! { href => self.path(path), text => Text::of("cursor-first").value(language) },
            };
            Reply::refused(StatusCode::UNPROCESSABLE_ENTITY, "message.html", values).into()
        })
    }

    /// Returns the session of the owner of an account who has sent a form that changes it. An administrator who acts
    /// for the owner may change nothing.
    pub(crate) async fn owner(&self, form: &FormBody) -> Result<SessionSnapshot, Detour> {
        let session = self.sender(form).await?;
        require_owner(&session)?;
        self.count(Limit::WriteAccount, &session).await?;
        Ok(session)
    }

    /// Refuses a form that was sent before: what it does shows a secret once, and reloading that page sends the form
    /// again. Call it after all else that can refuse the form.
    pub(super) async fn require_first(&self, form: &FormBody, own: &SessionSnapshot) -> Result<(), Detour> {
        let mark = form.get(MARK).and_then(|text| OpaqueToken::parse(Kind::Form, text));
        let Some(mark) = mark else { return Ok(()) };
        if self.sessions.claim_form(own, mark).await? {
            return Ok(());
        }
        Err(self.message(StatusCode::CONFLICT, Text::of("once-title"), Text::of("once-text")).into())
    }

    async fn count(&self, limit: Limit, session: &SessionSnapshot) -> Result<(), Problem> {
        let throttle = state::<Throttle>(&self.request)?;
        let account = session.actor.unwrap_or(session.subject.id);
        Ok(throttle.count(limit, account.0.as_bytes(), &self.actor(session)).await?)
    }

    /// Returns the person, or the administrator who acts for them, as an actor.
    pub(crate) fn actor(&self, session: &SessionSnapshot) -> Actor {
        let user = session.actor.unwrap_or(session.subject.id);
        Actor { user: Some(user), session: Some(session.session), requester: self.requester() }
    }

    /// Returns who has sent the request.
    pub(super) fn requester(&self) -> Requester {
        self.context.requester(&self.request)
    }

    /// Returns the request.
    pub(super) fn request(&self) -> &HttpRequest {
        &self.request
    }

    /// Returns the pages.
    pub(super) fn pages(&self) -> &Pages {
        &self.pages
    }

    /// Returns the language of the page.
    pub(super) fn language(&self) -> Language {
        language::of_request(&self.request, self.pages.languages(), self.chosen.get())
    }

    /// Gives the session a new secret, because its owner has changed how the account is protected.
    pub(super) async fn renew(&self, own: &SessionSnapshot) -> Result<(), Detour> {
        let cookie = self.sessions.replace_cookie(own, self.secret()?).await?;
        self.renewed(cookie);
        Ok(())
    }

    /// Returns the secret of the session of this browser. Without one the visitor is a stranger.
    pub(super) fn secret(&self) -> Result<OpaqueToken, Detour> {
        let secret = self.secret.borrow().clone();
        Ok(secret.ok_or_else(|| self.to_login())?)
    }

    /// Gives the browser the cookie that has replaced that of its session, if this request has got it.
    pub(super) fn renewed(&self, cookie: Option<BrowserCookie>) {
        if let Some(cookie) = cookie {
            self.secret.replace(Some(cookie.secret.clone()));
            self.set_cookie(SessionCookie::Set(cookie, None));
        }
    }

    /// Changes a cookie of the browser with the answer, whatever that is: that of the person's own session, or that of
    /// the one in which an administrator acts. A later change of the same cookie takes the place of an earlier one.
    pub(super) fn set_cookie(&self, cookie: SessionCookie) {
        let is_of_acting =
            |cookie: &SessionCookie| matches!(cookie, SessionCookie::Act(_) | SessionCookie::ClearActing);
        let mut cookies = self.cookies.borrow_mut();
        cookies.retain(|former| is_of_acting(former) != is_of_acting(&cookie));
        cookies.push(cookie);
    }

    /// Leads to a page of this server, which shows the notice once. It is left in a cookie, as a link can have any
    /// query.
    pub(super) fn notify(&self, page: &str, notice: impl Into<String>) -> Reply {
        self.notice.replace(Some(notice.into()));
        Reply::see_other(self.path(page))
    }

    /// Takes the notice that the answer to a form has left, if `read` knows it: it is not shown again.
    pub(super) fn take_notice<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let taken = read(&self.context.cookies.notice(&self.request)?)?;
        self.notice.replace(Some(String::new()));
        Some(taken)
    }

    /// Shows the answer as to a stranger: the session has ended.
    pub(super) fn forget(&self) {
        self.found.replace(None);
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

    /// Returns the query of links among the pages of strangers: the place that a login leads to, and the languages that
    /// the query of this request names.
    pub(super) fn carried(&self, return_to: Option<&ReturnTo>) -> String {
        let locales = language::in_url(&self.request);
        let kept = [(RETURN_TO, return_to.map(ReturnTo::as_str)), (UI_LOCALES, locales.as_deref().map(String::as_str))];
        let mut query = String::new();
        for (name, value) in kept.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            let mark = if query.is_empty() { '?' } else { '&' };
            let _ = write!(query, "{mark}{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        }
        query
    }

    /// Returns the path of a page of this server.
    pub(super) fn path(&self, page: &str) -> String {
        format!("{}{page}", self.pages.base())
    }

    /// Returns the page of this server from which the visitor comes, as the browser says.
    pub(super) fn former_page(&self) -> String {
        let from = self.context.former_page(&self.request);
        from.map_or_else(|| self.path(HOME), |page| page.as_str().to_owned())
    }

    /// Sends a stranger to the login, or an administrator who acts for nobody any more to the page that says so.
    pub(super) fn to_login(&self) -> Reply {
        if !self.is_acting.get() {
            return self.to_own_login();
        }
        self.set_cookie(SessionCookie::ClearActing);
        let language = self.language();
        let values = context! {
            title => Text::of("acting-ended-title").value(language),
            text => Text::of("acting-ended").value(language),
            is_console => true,
        };
        Reply::refused(StatusCode::FORBIDDEN, "message.html", values)
    }

    /// Sends a stranger to the login, which leads back to this page, or to the one whose form was sent.
    fn to_own_login(&self) -> Reply {
        let page = if self.request.method().is_safe() {
            self.request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned()
        } else {
            self.former_page()
        };
        let page = utf8_percent_encode(&page, NON_ALPHANUMERIC);
        Reply::see_other(self.path(&format!("/login?{RETURN_TO}={page}")))
    }
}
