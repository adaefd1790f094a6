//! `/api/v1/admin/clients`: registered clients, their scopes and their secrets, for administrators.

use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::access::{By, ByAdministrator, ByRecentAdministrator};
use super::path_id::{PathId, PathNumber};
use super::schema::Pagination;
use super::values::{Cursor, PageSize};
use crate::admin::{Admin, IssuedSecret, Operator, Replaced};
use crate::clients::{Client, ClientChange, NewClient, StoredSecret};
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem, Query, pagination};
use crate::types::{
    Algorithm, Audiences, AudiencesError, ClientId, Label, LabelError, Patch, Scopes, ScopesError, Timestamp, not_null,
};

/// A secret of a client, without the secret itself.
#[derive(Serialize, utoipa::ToSchema)]
struct ClientSecretDetails {
    /// The number by which it is deleted.
    number: i32,
    created_at: Timestamp,
}

impl From<StoredSecret> for ClientSecretDetails {
    fn from(secret: StoredSecret) -> Self {
        Self { number: secret.number, created_at: secret.created_at }
    }
}

/// A registered client.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ClientDetails {
    pub client_id: ClientId,
    pub name: String,
    pub scopes: Scopes,
    /// Whom its tokens may be for, besides the server's own audience.
    pub audiences: Audiences,
    /// Seconds that its access tokens live; `null`: as long as those of the server.
    #[schema(required)]
    access_token_ttl: Option<u64>,
    /// The algorithm of its access tokens; `null`: that of the server.
    #[schema(required)]
    signing_algorithm: Option<&'static str>,
    pub disabled: bool,
    pub created_at: Timestamp,
    /// When it last authenticated, as of a minute before.
    #[schema(required)]
    pub last_used_at: Option<Timestamp>,
    /// Up to two, oldest first.
    secrets: Vec<ClientSecretDetails>,
}

impl From<Client> for ClientDetails {
    fn from(client: Client) -> Self {
        Self {
            disabled: !client.is_enabled(),
            client_id: client.id,
            name: client.name,
            scopes: client.scopes,
            audiences: client.audiences,
            access_token_ttl: client.access_token_ttl.map(|ttl| ttl.as_secs()),
            signing_algorithm: client.signing_algorithm.map(Algorithm::name),
            created_at: client.created_at,
            last_used_at: client.last_used_at,
            secrets: client.secrets.into_iter().map(ClientSecretDetails::from).collect(),
        }
    }
}

/// A client with a new secret, which is shown this once.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ClientWithSecret {
    client_secret: String,
    /// The number of the secret.
    secret_number: i32,
    #[serde(flatten)]
    client: ClientDetails,
}

impl From<IssuedSecret> for ClientWithSecret {
    fn from(issued: IssuedSecret) -> Self {
        Self {
            client_secret: issued.secret.expose().to_owned(),
            secret_number: issued.number,
            client: issued.client.into(),
        }
    }
}

/// A page of clients, in the order of their registration.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct ClientList {
    clients: Vec<ClientDetails>,
    pagination: Pagination,
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientsQuery {
    /// 50 by default.
    #[param(value_type = Option<PageSize>, inline)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<Cursor>, inline)]
    cursor: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateClientRequest {
    #[schema(value_type = Label)]
    name: String,
    /// `introspect`, `revocations` and `token-exchange` are permissions on this server; all others are for the
    /// audiences of tokens.
    #[serde(default)]
    #[schema(value_type = Option<Scopes>)]
    scopes: Vec<String>,
    /// Whom its tokens may be for, besides the server's own audience.
    #[serde(default)]
    #[schema(value_type = Option<Audiences>)]
    audiences: Vec<String>,
    /// Seconds that its access tokens live, up to `ACCESS_TOKEN_TTL`.
    access_token_ttl: Option<u64>,
    /// The algorithm of its access tokens: `JWT_ALGORITHM` or one of `JWT_ADDITIONAL_ALGORITHMS`.
    signing_algorithm: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateClientRequest {
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Option<Label>)]
    name: Option<String>,
    /// All scopes that it has then.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Option<Scopes>)]
    scopes: Option<Vec<String>>,
    /// All audiences that it has then.
    #[serde(default, deserialize_with = "not_null")]
    #[schema(value_type = Option<Audiences>)]
    audiences: Option<Vec<String>>,
    /// Seconds that its access tokens live; `null`: as long as those of the server.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    access_token_ttl: Patch<u64>,
    /// The algorithm of its access tokens; `null`: that of the server.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    signing_algorithm: Patch<String>,
    /// A disabled client is refused, and so are its access tokens.
    #[serde(default, deserialize_with = "not_null")]
    disabled: Option<bool>,
}

fn check_name(fields: &mut Fields, name: &str) -> Option<Label> {
    fields.check("name", Label::parse(name), |error| LabelError::code(*error))
}

fn check_scopes(fields: &mut Fields, names: Vec<String>) -> Option<Scopes> {
    fields.check("scopes", Scopes::parse(names), |error| ScopesError::code(*error))
}

fn check_audiences(fields: &mut Fields, names: Vec<String>) -> Option<Audiences> {
    fields.check("audiences", Audiences::parse(names), |error| AudiencesError::code(*error))
}

fn check_algorithm(name: &str) -> Result<Algorithm, Problem> {
    Algorithm::parse(name).ok_or_else(|| {
        let mut fields = Fields::default();
        fields.refuse("signing_algorithm", "unsupported_algorithm", "is no algorithm that this server knows");
        fields.into_problem()
    })
}

/// Lists registered clients in the order of their registration.
#[utoipa::path(get, path = "/api/v1/admin/clients", tag = "Administration", params(ClientsQuery),
    responses((status = 200, body = ClientList)))]
pub(super) async fn list_clients(
    admin: web::Data<Admin>,
    By { input: query, .. }: ByAdministrator<Query<ClientsQuery>>,
) -> Result<web::Json<ClientList>, Problem> {
    let mut fields = Fields::default();
    let limit = pagination::limit(&mut fields, query.limit.as_deref());
    let parse = |bytes: &[u8]| uuid::Uuid::from_slice(bytes).ok().map(ClientId);
    let after = pagination::cursor(&mut fields, query.cursor.as_deref(), parse);
    fields.into_result()?;
    let limit = limit.unwrap_or_default();
    let mut found = admin.list_clients(after.flatten(), limit.saturating_add(1)).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|client| client.id);
    let next_cursor = last.map(|id| pagination::next_cursor(id.0.as_bytes()));
    let pagination = Pagination { limit, has_more, next_cursor };
    Ok(web::Json(ClientList { clients: found.into_iter().map(ClientDetails::from).collect(), pagination }))
}

/// Registers a client. Its secret is shown this once.
#[utoipa::path(post, path = "/api/v1/admin/clients", tag = "Administration", request_body = CreateClientRequest,
    responses((status = 201, body = ClientWithSecret, headers(("Location" = String, description = "The client")))))]
pub(super) async fn create_client(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(body, _), .. }: ByRecentAdministrator<Body<CreateClientRequest>>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::default();
    let name = check_name(&mut fields, &body.name);
    let scopes = check_scopes(&mut fields, body.scopes);
    let audiences = check_audiences(&mut fields, body.audiences);
    let access_token_ttl = body.access_token_ttl.map(Duration::from_secs);
    let (Some(name), Some(scopes), Some(audiences)) = (name, scopes, audiences) else {
        return Err(fields.into_problem());
    };
    let signing_algorithm = body.signing_algorithm.as_deref().map(check_algorithm).transpose()?;
    let new = NewClient { name, scopes, audiences, access_token_ttl, signing_algorithm };
    let issued = admin.create_client(new, &Operator::Administrator(caller.actor(&context))).await?;
    let location = format!("/api/v1/admin/clients/{}", issued.client.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(ClientWithSecret::from(issued)))
}

/// Returns a client.
#[utoipa::path(get, path = "/api/v1/admin/clients/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 200, body = ClientDetails)))]
pub(super) async fn get_client(
    admin: web::Data<Admin>,
    By { input: PathId(client), .. }: ByAdministrator<PathId<ClientId>>,
) -> Result<web::Json<ClientDetails>, Problem> {
    Ok(web::Json(admin.client(client).await?.ok_or_else(Problem::not_found)?.into()))
}

/// Changes a client: all that the request says, or nothing. Every server heeds it within two seconds.
#[utoipa::path(patch, path = "/api/v1/admin/clients/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    request_body = UpdateClientRequest, responses((status = 200, body = ClientDetails)))]
pub(super) async fn update_client(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input, .. }: ByRecentAdministrator<(PathId<ClientId>, Body<UpdateClientRequest>)>,
) -> Result<web::Json<ClientDetails>, Problem> {
    let (PathId(client), Body(body, _)) = input;
    let mut fields = Fields::default();
    let name = body.name.and_then(|name| check_name(&mut fields, &name));
    let scopes = body.scopes.and_then(|names| check_scopes(&mut fields, names));
    let audiences = body.audiences.and_then(|names| check_audiences(&mut fields, names));
    fields.into_result()?;
    let ttl = body.access_token_ttl.try_map(|secs| Ok::<_, Problem>(Duration::from_secs(secs)))?;
    let algorithm = body.signing_algorithm.try_map(|name| check_algorithm(&name))?;
    let change = ClientChange {
        name,
        scopes,
        audiences,
        access_token_ttl: ttl,
        signing_algorithm: algorithm,
        disabled: body.disabled,
    };
    let by = Operator::Administrator(caller.actor(&context));
    Ok(web::Json(admin.update_client(client, change, &by).await?.into()))
}

/// Deletes a client with its secrets. Every server refuses it within two seconds. Its access tokens, also those of
/// people that it got in exchange, are revoked: readers of the feed are told.
#[utoipa::path(delete, path = "/api/v1/admin/clients/{id}", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 204, description = "The client is deleted")))]
pub(super) async fn delete_client(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(client), .. }: ByRecentAdministrator<PathId<ClientId>>,
) -> Result<HttpResponse, Problem> {
    admin.delete_client(client, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Issues a second secret of a client, so that the first can be replaced while it is in use. It is shown this once.
#[utoipa::path(post, path = "/api/v1/admin/clients/{id}/secret", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 201, body = ClientWithSecret)))]
pub(super) async fn add_client_secret(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(client), .. }: ByRecentAdministrator<PathId<ClientId>>,
) -> Result<HttpResponse, Problem> {
    let by = Operator::Administrator(caller.actor(&context));
    let issued = admin.add_client_secret(client, Replaced::Nothing, &by).await?;
    Ok(HttpResponse::Created().json(ClientWithSecret::from(issued)))
}

/// Deletes a secret of a client. Every server refuses it within two seconds.
#[utoipa::path(delete, path = "/api/v1/admin/clients/{id}/secret/{n}", tag = "Administration",
    params(("id" = Uuid, Path), ("n" = i32, Path, description = "The number of the secret")),
    responses((status = 204, description = "The secret is deleted")))]
pub(super) async fn delete_client_secret(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input, .. }: ByRecentAdministrator<(PathId<ClientId>, PathNumber)>,
) -> Result<HttpResponse, Problem> {
    let (PathId(client), PathNumber(number)) = input;
    admin.delete_client_secret(client, number, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(HttpResponse::NoContent().finish())
}
