//! The keys and the server's description, for those who verify tokens.

use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::jwks::JwkSet;
use super::ring::Ring;
use crate::http::{Edge, Problem};

/// How long a verifier may keep the keys, in seconds.
const MAX_AGE: &str = "public, max-age=300";

/// The public keys (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "For backends", security(()),
    responses((status = 200, body = JwkSet), (status = 304, description = "Not changed")))]
pub async fn jwks(request: HttpRequest, ring: web::Data<Ring>) -> Result<HttpResponse, Problem> {
    let body = serde_json::to_vec(&JwkSet::of(&ring)).map_err(|error| Problem::internal(&error))?;
    let digest = Sha256::digest(&body);
    let etag = format!("\"{}\"", digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>());
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|tag| matches(tag.trim(), &etag)));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((CACHE_CONTROL, MAX_AGE)).insert_header((ETAG, etag));
    if is_known {
        // Not even an empty body is left to chance: what follows a 304 would be read as the next answer.
        return Ok(response.finish());
    }
    Ok(response.content_type("application/jwk-set+json").body(body))
}

/// Whether `If-None-Match` names this version: weakly, or as any (RFC 9110 §13.1.2).
fn matches(tag: &str, etag: &str) -> bool {
    tag == "*" || tag.trim_start_matches("W/") == etag
}

/// What a client can learn of the server (RFC 8414 §2).
#[derive(Serialize, utoipa::ToSchema)]
pub struct ServerMetadata {
    issuer: String,
    jwks_uri: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 0],
    access_token_signing_alg_values_supported: [&'static str; 1],
}

/// The server's description (RFC 8414).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "For backends", security(()),
    responses((status = 200, body = ServerMetadata)))]
pub async fn metadata(edge: web::Data<Edge>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, MAX_AGE)).json(ServerMetadata {
        issuer: edge.issuer.clone(),
        jwks_uri: format!("{}/.well-known/jwks.json", edge.public_url),
        response_types_supported: [],
        grant_types_supported: [],
        access_token_signing_alg_values_supported: [edge.algorithm.name()],
    })
}
