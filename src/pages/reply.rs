//! The answers of pages, before they are rendered.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use minijinja::Value;

use crate::http::Problem;
use crate::sessions::BrowserCookie;
use crate::tokens::opaque::OpaqueToken;

/// The answer of a page, before it is rendered.
pub(crate) enum Reply {
    /// A page.
    Page(PageReply),
    /// Another page, after something was done or because of a login that is missing.
    SeeOther(String),
    /// A file, or a part of a page that a script has asked for.
    Whole(HttpResponse),
}

impl Reply {
    /// Returns a page.
    pub(crate) fn page(template: &'static str, values: Value) -> Self {
        Self::refused(StatusCode::OK, template, values)
    }

    /// Returns a page again, because something that was sent is refused.
    pub(crate) fn refused(status: StatusCode, template: &'static str, values: Value) -> Self {
        Self::Page(PageReply { status, template, values, form_target: None, headers: Vec::new() })
    }

    /// Returns the page of a form whose answer may lead to another origin.
    pub(crate) fn leading_to(self, form_target: Option<String>) -> Self {
        match self {
            Self::Page(page) => Self::Page(PageReply { form_target, ..page }),
            other => other,
        }
    }

    /// Adds the headers of a refusal that the page shows.
    pub(crate) fn with_headers_of(self, problem: &Problem) -> Self {
        match self {
            Self::Page(page) => Self::Page(PageReply { headers: problem.headers().to_vec(), ..page }),
            other => other,
        }
    }

    /// Returns a redirect to another page of this server.
    pub(crate) fn see_other(to: impl Into<String>) -> Self {
        Self::SeeOther(to.into())
    }
}

/// A page, before it is rendered.
pub(crate) struct PageReply {
    pub status: StatusCode,
    pub template: &'static str,
    pub values: Value,
    /// The origin that the page's form may lead to.
    pub form_target: Option<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// An answer in place of the one that was asked for.
pub(crate) enum Detour {
    /// Another answer, such as the login.
    Reply(Box<Reply>),
    /// A refusal.
    Problem(Box<Problem>),
}

impl From<Reply> for Detour {
    fn from(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }
}

impl<E> From<E> for Detour
where
    Problem: From<E>,
{
    fn from(error: E) -> Self {
        Self::Problem(Box::new(error.into()))
    }
}

/// The answer of a page, or what is answered in its place.
pub(crate) type Answer = Result<Reply, Detour>;

/// A change of the cookies of the browser.
pub(crate) enum SessionCookie {
    /// A login, or one that was renewed; with the token of a device that is trusted from now on.
    Set(BrowserCookie, Option<OpaqueToken>),
    /// A logout.
    Clear,
    /// An administrator acts for somebody from now on.
    Act(BrowserCookie),
    /// The administrator acts for nobody any more.
    ClearActing,
}
