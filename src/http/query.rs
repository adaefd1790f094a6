//! The query of a request.

use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::body::form_field;
use super::field_text;
use super::nul;
use super::problem::{FieldError, Problem};

/// The parameters of a query. A query that is not one of `T` is refused with 422.
pub(crate) struct Query<T>(pub T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> Query<T> {
    /// Reads the query of a request.
    ///
    /// # Errors
    /// It is not one of `T`.
    pub(crate) fn read(request: &HttpRequest) -> Result<Self, Problem> {
        parse(request.query_string()).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(request))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    if let Some(error) = nul::in_form(query.as_bytes()) {
        return Err(Problem::invalid(vec![error]));
    }
    let parameters = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let path = error.path().to_string();
        Problem::invalid(vec![field_text::describe(&error.into_inner().to_string(), &path, field_text::PARAMETER)])
    })
}

/// Checks that the query of a request has no parameters but those of `known`.
///
/// # Errors
/// It has another parameter, or one that contains NUL.
pub(crate) fn require_known(request: &HttpRequest, known: &[String]) -> Result<(), Problem> {
    let query = request.query_string();
    if query.is_empty() {
        return Ok(());
    }
    if let Some(error) = nul::in_form(query.as_bytes()) {
        return Err(Problem::invalid(vec![error]));
    }
    let mut names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    match names.find(|name| !known.iter().any(|other| other == name)) {
        Some(name) => {
            let message = format!("has a parameter that this request does not take: `{name}`");
            Err(Problem::invalid(vec![FieldError::new("query", "invalid", &message)]))
        }
        None => Ok(()),
    }
}

/// Writes a query.
pub(crate) fn write<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// Returns the parameter `name` of a query, if the query has it.
///
/// # Errors
/// A parameter contains NUL.
pub(crate) fn parameter(request: &HttpRequest, name: &str) -> Result<Option<Zeroizing<String>>, Problem> {
    let query = request.query_string().as_bytes();
    match nul::in_form(query) {
        Some(error) => Err(Problem::invalid(vec![error])),
        None => Ok(form_field(query, name)),
    }
}
