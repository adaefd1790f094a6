//! The HTTP API: every route with its handler, who may call it, its JSON, its refusals, and its description as OpenAPI.
//!
//! A handler parses, calls one operation and answers; it knows no rule.

mod access;
mod accounts;
mod admin;
mod audit;
mod audit_export;
mod caller;
mod client_auth;
mod clients;
mod deletion;
mod docs;
mod dpop;
mod email;
mod examples;
mod export;
mod invitations;
mod keys;
mod login;
mod mfa;
mod oauth;
mod oauth_error;
mod oauth_token;
mod openapi;
mod operations;
mod path_id;
mod recovery;
mod refresh;
mod refusals;
mod revocations;
mod routes;
mod schema;
mod sessions;
mod strictness;
mod token_response;
mod values;
mod verify;

pub(crate) use admin::{UserDetails, UserWithMfa};
pub(crate) use clients::{ClientDetails, ClientWithSecret};
pub(crate) use export::Stores;
pub(crate) use keys::SigningKeyList;
pub(crate) use routes::{configure, configure_metrics, configure_without_metrics, openapi_document};
pub(crate) use schema::SessionList;
