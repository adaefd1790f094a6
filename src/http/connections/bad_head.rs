//! The answer to a head that is no HTTP. The protocol knows no request then, and would say nothing but the status.

use std::fmt::Write as _;

use actix_web::ResponseError as _;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;

use crate::clock::Clock;
use crate::http::problem::Problem;
use crate::http::request::{CONTENT_SECURITY_POLICY, REQUEST_ID, SECURITY_HEADERS};
use crate::random::Random;

/// How every answer begins.
const ANSWERS_BEGIN: &[u8] = b"HTTP/1.1 ";

/// Returns what is sent in the place of the protocol's own answer, or `None` for one of another status.
pub(super) fn answer(own: &[u8], clock: &Clock) -> Option<Bytes> {
    let problem = match own.get(..ANSWERS_BEGIN.len() + 3)?.strip_prefix(ANSWERS_BEGIN)? {
        b"400" => Problem::bad_request("malformed_request", "The head of the request is no HTTP/1.1."),
        b"431" => Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head_too_large",
            "The head of the request is too large.",
        ),
        _ => return None,
    };
    let id = Random.id(clock.now()).to_string();
    tracing::debug!(id, code = %problem, "the head of a request could not be read");
    Some(answer_with(&problem, &id).into())
}

fn answer_with(problem: &Problem, id: &str) -> Vec<u8> {
    let body = problem.body(id);
    let mut head = format!("HTTP/1.1 {}\r\n", problem.status_code());
    let length = body.len().to_string();
    let id_name = REQUEST_ID;
    let own = [
        ("connection", "close"),
        ("content-type", "application/problem+json"),
        ("content-length", length.as_str()),
        (id_name.as_str(), id),
        ("cache-control", "no-store"),
        ("content-security-policy", CONTENT_SECURITY_POLICY),
    ];
    for (name, value) in own.iter().chain(&SECURITY_HEADERS) {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", &body].concat()
}
