//! HTTP without business rules: connections, bodies, problems, cookies, client addresses, pagination, and the
//! middleware for every request.

pub(crate) mod accept;
pub(crate) mod basic;
pub(crate) mod body;
mod client_address;
mod connections;
mod context;
pub(crate) mod cookies;
pub(crate) mod cors;
pub(crate) mod field_text;
pub(crate) mod language;
mod login_redirect;
mod nul;
pub(crate) mod original_url;
mod own_page;
pub(crate) mod pagination;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod request;
pub(crate) mod return_to;
mod trace_context;

pub(crate) use body::Body;
pub(crate) use connections::Connections;
pub(crate) use context::HttpContext;
pub(crate) use problem::Problem;
pub(crate) use query::Query;
