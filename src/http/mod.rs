//! What all handlers share: who calls and from where, how a body is read, how a refusal is told.

pub mod body;
pub mod caller;
pub mod client_address;
pub mod cookies;
pub mod edge;
pub mod health;
pub mod openapi;
pub mod operator;
pub mod page;
pub mod problem;
pub mod request;
pub mod token_response;

pub use body::Body;
pub use caller::Caller;
pub use edge::Edge;
pub use problem::Problem;
