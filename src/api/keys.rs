//! The public keys and the server's metadata, for those who verify tokens, and the signing keys for administrators.

use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, web};
use jsonwebtoken::jwk::Jwk;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::access::{By, ByAdministrator, ByRecentAdministrator};
use super::oauth_token::GRANTS;
use super::path_id::PathId;
use crate::admin::{Admin, Operator};
use crate::http::{HttpContext, Problem};
use crate::keys::{KeyRing, KeyState, KeyStatus, Keys};
use crate::sessions::Sessions;
use crate::types::{Algorithm, KeyId, Timestamp};

/// The public keys of the server (RFC 7517 §5).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JwkSet {
    #[schema(value_type = Vec<PublicJwk>)]
    keys: Vec<Jwk>,
}

/// One public key (RFC 7517 §4), with the members of its type (RFC 7518 §6, RFC 8037 §2).
#[derive(utoipa::ToSchema)]
#[schema(as = Jwk)]
#[expect(dead_code, reason = "the description of another crate's type")]
pub(super) struct PublicJwk {
    kty: String,
    kid: String,
    alg: String,
    #[schema(rename = "use")]
    usage: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl From<&KeyRing> for JwkSet {
    fn from(key_ring: &KeyRing) -> Self {
        Self { keys: key_ring.published().iter().filter_map(|key| key.verifying.jwk.clone()).collect() }
    }
}

/// Returns the public keys (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "For backends", security(()),
    responses((status = 200, body = JwkSet, content_type = "application/jwk-set+json"),
        (status = 304, description = "Not changed")))]
pub(super) async fn get_jwks(
    request: HttpRequest,
    context: web::Data<HttpContext>,
    keys: web::Data<Keys>,
) -> Result<HttpResponse, Problem> {
    keys.catch_up().await;
    let body = serde_json::to_vec(&JwkSet::from(keys.key_ring())).map_err(|error| Problem::internal(&error))?;
    let digest = Sha256::digest(&body);
    let etag = format!("\"{}\"", digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>());
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|known| known.split(',').any(|tag| matches(tag.trim(), &etag)));
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((CACHE_CONTROL, cache_policy(&context))).insert_header((ETAG, etag));
    if is_known {
        // Without any body: a client would take it for the beginning of the next response.
        return Ok(response.finish());
    }
    Ok(response.content_type("application/jwk-set+json").body(body))
}

/// Returns how long a verifier may keep the keys, as `Cache-Control` says it.
fn cache_policy(context: &HttpContext) -> String {
    format!("public, max-age={}", context.jwks_max_age.as_secs())
}

/// Returns whether a tag of `If-None-Match` matches, by weak comparison or as any (RFC 9110 §13.1.2).
fn matches(tag: &str, etag: &str) -> bool {
    tag == "*" || tag.trim_start_matches("W/") == etag
}

/// The server's metadata (RFC 8414 §2).
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ServerMetadata {
    issuer: String,
    jwks_uri: String,
    token_endpoint: String,
    introspection_endpoint: String,
    revocation_endpoint: String,
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 3],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint_auth_methods_supported: [&'static str; 3],
    access_token_signing_alg_values_supported: Vec<&'static str>,
    dpop_signing_alg_values_supported: [&'static str; 3],
}

/// Returns the server's metadata (RFC 8414).
#[utoipa::path(get, path = "/.well-known/oauth-authorization-server", tag = "For backends", security(()),
    responses((status = 200, body = ServerMetadata)))]
pub(super) async fn get_server_metadata(
    context: web::Data<HttpContext>,
    sessions: web::Data<Sessions>,
) -> HttpResponse {
    metadata(&context, &sessions)
}

/// Returns the server's metadata, at the place where libraries for OpenID Connect look for the keys.
#[utoipa::path(get, path = "/.well-known/openid-configuration", tag = "For backends", security(()),
    responses((status = 200, body = ServerMetadata)))]
pub(super) async fn get_openid_configuration(
    context: web::Data<HttpContext>,
    sessions: web::Data<Sessions>,
) -> HttpResponse {
    metadata(&context, &sessions)
}

/// Returns the server's metadata at the place of an issuer with a path: the path follows the well-known name
/// (RFC 8414 §3.1). The path of another issuer is not found.
pub(super) async fn get_metadata_of_path(
    path: web::Path<String>,
    context: web::Data<HttpContext>,
    sessions: web::Data<Sessions>,
) -> Result<HttpResponse, Problem> {
    let own = url::Url::parse(&sessions.issuer).map_err(|_| Problem::not_found())?;
    let own = own.path().trim_matches('/');
    if own.is_empty() || own != path.trim_matches('/') {
        return Err(Problem::not_found());
    }
    Ok(metadata(&context, &sessions))
}

fn metadata(context: &HttpContext, sessions: &Sessions) -> HttpResponse {
    let algorithms = sessions.key_ring.algorithms().into_iter();
    HttpResponse::Ok().insert_header((CACHE_CONTROL, cache_policy(context))).json(ServerMetadata {
        issuer: sessions.issuer.clone(),
        jwks_uri: format!("{}/.well-known/jwks.json", context.public_url),
        token_endpoint: format!("{}/oauth/token", context.public_url),
        introspection_endpoint: format!("{}/oauth/introspect", context.public_url),
        revocation_endpoint: format!("{}/oauth/revoke", context.public_url),
        response_types_supported: [],
        grant_types_supported: GRANTS,
        // A refresh, and the revocation of a person's token, need no client.
        token_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
        introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
        revocation_endpoint_auth_methods_supported: ["none", "client_secret_basic", "client_secret_post"],
        access_token_signing_alg_values_supported: algorithms.map(Algorithm::name).collect(),
        dpop_signing_alg_values_supported: keyturn_verify::dpop::ALGORITHMS,
    })
}

/// A signing key, without its private half.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SigningKeyDetails {
    kid: KeyId,
    /// What its signatures are for: `access` for access tokens.
    #[serde(rename = "use")]
    usage: String,
    algorithm: String,
    /// `next` (published, signs later), `active`, `retired` (published until its last token has expired), `removed` or
    /// `revoked`.
    #[schema(value_type = KeyState)]
    state: &'static str,
    /// When the key was published.
    created_at: Timestamp,
    /// From when on it signs.
    active_from: Timestamp,
    /// From when on it signs no more, if that is planned or past.
    #[schema(required)]
    retired_at: Option<Timestamp>,
    /// When its last token has expired.
    #[schema(required)]
    remove_after: Option<Timestamp>,
    #[schema(required)]
    revoked_at: Option<Timestamp>,
}

/// All signing keys, oldest first, also those that have ended.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SigningKeyList {
    keys: Vec<SigningKeyDetails>,
}

impl From<Vec<KeyStatus>> for SigningKeyList {
    fn from(keys: Vec<KeyStatus>) -> Self {
        let details = |key: KeyStatus| SigningKeyDetails {
            kid: key.id,
            usage: key.key_use,
            algorithm: key.algorithm,
            state: key.state.name(),
            created_at: key.times.created_at,
            active_from: key.times.active_from,
            // What was planned for after a revocation does not take place.
            retired_at: key.times.retired_at.filter(|at| key.times.revoked_at.is_none_or(|revoked| *at <= revoked)),
            remove_after: key.times.remove_after,
            revoked_at: key.times.revoked_at,
        };
        Self { keys: keys.into_iter().map(details).collect() }
    }
}

/// Lists the signing keys.
#[utoipa::path(get, path = "/api/v1/admin/keys", tag = "Administration",
    responses((status = 200, body = SigningKeyList)))]
pub(super) async fn list_keys(
    admin: web::Data<Admin>,
    _administrator: ByAdministrator,
) -> Result<web::Json<SigningKeyList>, Problem> {
    Ok(web::Json(admin.list_keys().await?.into()))
}

/// Publishes a new signing key in the place of the one that signs, once all verifiers can know it. If that was done
/// before and the new key does not sign yet, it stays at that.
#[utoipa::path(post, path = "/api/v1/admin/keys/rotate", tag = "Administration",
    responses((status = 200, body = SigningKeyList)))]
pub(super) async fn rotate_keys(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByRecentAdministrator,
) -> Result<web::Json<SigningKeyList>, Problem> {
    let by = Operator::Administrator(caller.actor(&context));
    Ok(web::Json(admin.rotate_keys(&by).await?.into()))
}

/// Revokes a signing key, and with it every access token that it has signed. If it signed, another key signs at once.
/// Sessions stay valid: clients refresh.
#[utoipa::path(post, path = "/api/v1/admin/keys/{id}/revoke", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 204, description = "The key is revoked, or has ended")))]
pub(super) async fn revoke_key(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(key), .. }: ByRecentAdministrator<PathId<KeyId>>,
) -> Result<HttpResponse, Problem> {
    admin.revoke_key(key, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(HttpResponse::NoContent().finish())
}
