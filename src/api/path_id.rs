//! Ids in paths.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use uuid::Uuid;

use crate::http::Problem;

/// The `{id}` of a path. A text that is no id is the id of nothing: 404.
pub(super) struct PathId<T>(pub T);

impl<T: From<Uuid>> FromRequest for PathId<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|text| Uuid::try_parse(text).ok());
        ready(id.map(|id| Self(id.into())).ok_or_else(Problem::not_found))
    }
}

/// The `{n}` of a path. A text that is no number is that of nothing: 404.
pub(super) struct PathNumber(pub i32);

impl FromRequest for PathNumber {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let number = request.match_info().get("n").and_then(|text| text.parse().ok());
        ready(number.map(Self).ok_or_else(Problem::not_found))
    }
}
