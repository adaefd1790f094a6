//! The responses of pages: rendered, with their policies and the cookies that change.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError as _};
use minijinja::{Value, context};

use super::page::Page;
use super::refusal::refusal;
use super::reply::{Answer, Detour, PageReply, Reply, SessionCookie};
use super::visitor::{ACCOUNT, MARK, Visitor};
use crate::http::Problem;
use crate::sessions::{SessionSnapshot, Subject};
use crate::texts::Text;
use crate::tokens::opaque::Purpose;
use crate::types::ADMIN;

/// Returns a hidden field of a form, whose value needs no escaping.
fn hidden(name: &str, value: &str) -> Value {
    Value::from_safe_string(format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"))
}

/// Shows the refusal of a request that no page serves, to somebody who is logged in as one of theirs.
pub(crate) async fn refuse_stray(request: &HttpRequest, problem: Problem) -> HttpResponse {
    match Visitor::new(request) {
        Ok(visitor) => {
            // Where the sessions cannot be read, whoever asks is a stranger.
            let _ = visitor.session().await;
            visitor.respond(Err(problem.into()))
        }
        Err(problem) => problem.error_response(),
    }
}

impl Visitor {
    /// Answers with a page, a redirect, a file, or the page of a refusal.
    pub(crate) fn respond(&self, answer: Answer) -> HttpResponse {
        let answer = match answer {
            Err(Detour::Reply(reply)) => Ok(*reply),
            Ok(reply) => Ok(reply),
            Err(Detour::Problem(problem)) => Err(*problem),
        };
        let response = answer.and_then(|reply| match reply {
            Reply::Page(page) => self.page(page),
            Reply::SeeOther(to) => {
                let mut response = HttpResponse::SeeOther();
                response.insert_header((LOCATION, to)).insert_header((CACHE_CONTROL, "no-store"));
                Ok(self.with_cookie(&mut response).finish())
            }
            Reply::Whole(response) => Ok(self.whole(response)),
        });
        response.or_else(|problem| self.refuse(&problem)).unwrap_or_else(|problem| self.refuse_plainly(&problem))
    }

    fn page(&self, page: PageReply) -> Result<HttpResponse, Problem> {
        let PageReply { status, template, values, form_target, headers } = page;
        let values = context! { person => self.person_values(), is_improved => true, ..values };
        let html = self.pages.fill(template, self.language(), values);
        let html = html.map_err(|error| Problem::internal(&error))?;
        let mut response = self.html(status, form_target.as_deref());
        for header in headers {
            response.append_header(header);
        }
        Ok(self.with_cookie(&mut response).body(html))
    }

    /// Returns what the layout shows of the person who is logged in.
    fn person_values(&self) -> Value {
        self.found.borrow().as_ref().map_or(Value::from(()), |session| {
            context! {
                account => hidden(ACCOUNT, &session.subject.id.to_string()),
                mark => hidden(MARK, self.sessions.mark_form().expose()),
                email => &session.subject.email,
                name => &session.subject.name,
                acting => session.actor.map(|_| self.acting_values(session)),
                is_administrator => session.subject.roles.contains(ADMIN) && session.actor.is_none(),
            }
        })
    }

    /// Returns what the banner says while an administrator acts for the account.
    fn acting_values(&self, session: &SessionSnapshot) -> Value {
        let left = session.deadline().since(self.context.clock.now());
        let minutes = i64::try_from(left.as_secs().div_ceil(60)).unwrap_or(i64::MAX);
        let Subject { name, email, .. } = &session.subject;
        let text = Text::of("acting-banner").with("person", name.as_ref().unwrap_or(email));
        context! { text => text.with_number("minutes", minutes).value(self.language()) }
    }

    fn html(&self, status: StatusCode, form_target: Option<&str>) -> HttpResponseBuilder {
        let form_action = form_target.map_or_else(|| "'self'".to_owned(), |origin| format!("'self' {origin}"));
        let mut response = HttpResponse::build(status);
        response
            .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((CONTENT_LANGUAGE, self.language().tag()))
            .insert_header((CONTENT_SECURITY_POLICY, super::content_security_policy(&form_action)))
            // With `no-referrer` a browser would not say from which page a form comes.
            .insert_header((REFERRER_POLICY, "same-origin"));
        response
    }

    fn with_cookie<'a>(&self, response: &'a mut HttpResponseBuilder) -> &'a mut HttpResponseBuilder {
        let cookies = &self.context.cookies;
        for change in self.cookies.take() {
            match change {
                SessionCookie::Set(cookie, device) => {
                    cookies.set_session(response, cookie.secret.expose(), cookie.max_age);
                    if let Some(device) = device {
                        cookies.set_trusted_device(response, device.expose(), Purpose::TrustedDevice.lifetime());
                    }
                }
                SessionCookie::Clear => cookies.clear_session(response),
                SessionCookie::Act(cookie) => cookies.set_acting(response, cookie.secret.expose()),
                SessionCookie::ClearActing => cookies.clear_acting(response),
            }
        }
        if let Some(notice) = self.notice.take() {
            cookies.set_notice(response, &notice);
        }
        response
    }

    /// Adds the change of cookies to a response that was built elsewhere.
    fn whole(&self, mut response: HttpResponse) -> HttpResponse {
        let mut changed = HttpResponse::Ok();
        let changed = self.with_cookie(&mut changed).finish();
        for (name, value) in changed.headers() {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }

    /// Returns the page of a refusal. A form that may be accepted later is kept, and can be sent again from there.
    fn refuse(&self, problem: &Problem) -> Result<HttpResponse, Problem> {
        let kept = self.sent.take().filter(|_| problem.retry_after().is_some());
        let Some(fields) = kept else { return Ok(self.refuse_plainly(problem)) };
        let language = self.language();
        let page = refusal(problem, self.pages.site(), false);
        let fields = fields.iter().map(|(name, value)| context! { name, value => value.as_str() });
        let values = context! {
            title => page.title.value(language),
            paragraphs => page.text.into_iter().map(|text| text.value(language)).collect::<Vec<_>>(),
            action => self.request.uri().path(),
            back => self.former_page(),
            fields => fields.collect::<Vec<_>>(),
        };
        self.page(PageReply {
            status: problem.status_code(),
            template: "later.html",
            values,
            form_target: None,
            headers: problem.headers().to_vec(),
        })
    }

    fn refuse_plainly(&self, problem: &Problem) -> HttpResponse {
        let language = self.language();
        let page: Page<'_> = refusal(problem, self.pages.site(), false);
        let html = self.pages.render_for(&page, language, self.person_values()).unwrap_or_default();
        let mut response = self.html(problem.status_code(), None);
        let mut response = self.with_cookie(&mut response).body(html);
        for (name, value) in problem.headers() {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }
}
