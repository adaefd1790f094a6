//! What a page says where the API would answer with problem details.

use actix_web::ResponseError as _;
use actix_web::http::StatusCode;

use super::admin;
use super::page::Page;
use super::reply::{Answer, Detour, Reply};
use super::visitor::Visitor;
use crate::http::Problem;
use crate::passwords::{Password, WeakPassword};
use crate::texts::Text;

/// Returns the page of a refusal. `another_link` says whether the visitor may ask for another link.
pub(super) fn refusal(problem: &Problem, site: &str, another_link: bool) -> Page<'static> {
    let mut text = vec![reason(problem, site)];
    if problem.code() == INVALID_LINK && another_link {
        text.push(Text::of("refused-link-another"));
    }
    Page::new(title(problem), text)
}

/// The code of a link that is not valid any more.
const INVALID_LINK: &str = "invalid_one_time_token";

fn title(problem: &Problem) -> Text {
    match (problem.code(), problem.status_code()) {
        (INVALID_LINK, _) => Text::of("refused-link-title"),
        ("email_taken", _) => Text::of("refused-taken-title"),
        ("not_found", _) => Text::of("refused-missing-title"),
        (_, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => Text::of("refused-later-title"),
        _ => Text::of("refused-title"),
    }
}

/// Shows a form again where the server cannot judge it now: there were too many attempts, or it is busy. `show` is
/// given the reason.
pub(super) fn show_again(visitor: &Visitor, answer: Answer, show: impl FnOnce(Text, StatusCode) -> Reply) -> Answer {
    match answer {
        Err(Detour::Problem(problem)) if problem.retry_after().is_some() => {
            let text = reason(&problem, visitor.pages().site());
            Ok(show(text, problem.status_code()).with_headers_of(&problem))
        }
        answer => answer,
    }
}

/// Returns why something was refused.
pub(super) fn reason(problem: &Problem, site: &str) -> Text {
    match problem.code() {
        INVALID_LINK => Text::of("refused-link"),
        "email_taken" => Text::of("refused-taken"),
        "too_many_requests" | "too_many_failures" => {
            let seconds = problem.retry_after().unwrap_or_default().max(1);
            Text::of("refused-too-many").with_number("minutes", seconds.saturating_add(59) / 60)
        }
        "busy" | "clock_skew" | "database_unavailable" => Text::of("refused-unavailable"),
        "malformed_form" => Text::of("refused-repeated"),
        "invalid_input" | "unsupported_media_type" => Text::of("refused-form"),
        "incomplete_body" | "request_timeout" => Text::of("refused-too-slow"),
        "body_too_large" => Text::of("refused-too-large"),
        "duplicate_cookie" | "malformed_cookie" => Text::of("refused-cookie"),
        "method_not_allowed" => Text::of("refused-method"),
        "origin_not_allowed" => Text::of("refused-origin").with("site", site),
        other => admin::refusal(other).unwrap_or_else(|| Text::of("refused-other").with("site", site)),
    }
}

/// Returns why a password is refused, sentence by sentence.
pub(super) fn weakness(weak: &WeakPassword) -> Vec<Text> {
    // A character has a byte or more: the texts are true for those who count characters.
    let number = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    match weak {
        WeakPassword::TooShort => {
            vec![Text::of("password-too-short").with_number("count", number(Password::MIN_BYTES))]
        }
        WeakPassword::TooLong => vec![Text::of("password-too-long").with_number("count", number(Password::MAX_BYTES))],
        WeakPassword::Guessable(advice) => [&[Text::of("password-guessable")], advice.texts()].concat(),
    }
}
