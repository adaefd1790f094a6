//! The answers of pages, before they are rendered.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use minijinja::Value;

use crate::http::Problem;
use crate::sessions::BrowserCookie;
use crate::tokens::opaque::OpaqueToken;

/// The answer of a page, before it is rendered.
pub(crate) enum Reply {
    /// A template with its values, and the origin that its form may lead to.
    Page { status: StatusCode, template: &'static str, values: Value, form_target: Option<String> },
    /// Another page, after something was done or because of a login that is missing.
    SeeOther(String),
    /// A file, or a part of a page that a script has asked for.
    Whole(HttpResponse),
}

impl Reply {
    /// Returns a page.
    pub(crate) fn page(template: &'static str, values: Value) -> Self {
        Self::Page { status: StatusCode::OK, template, values, form_target: None }
    }

    /// Returns a page again, because something that was sent is refused.
    pub(crate) fn refused(status: StatusCode, template: &'static str, values: Value) -> Self {
        Self::Page { status, template, values, form_target: None }
    }

    /// Returns a redirect to another page of this server.
    pub(crate) fn see_other(to: impl Into<String>) -> Self {
        Self::SeeOther(to.into())
    }
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
