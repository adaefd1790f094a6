//! `/api/v1/auth/me` and `/api/v1/auth/deletion/cancel`, and the same for administrators: the deletion of accounts.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::access::{By, ByRecentAdministrator, ByRecentUser, shown_methods};
use super::path_id::PathId;
use super::recovery::TokenRequest;
use crate::accounts::deletion::DeleteError;
use crate::accounts::{DeletionTime, Deletions};
use crate::admin::{Admin, AdminError, Operator};
use crate::http::{Body, HttpContext, Problem, Query};
use crate::throttle::{Limit, Throttle};
use crate::types::{Timestamp, UserId};

/// The deletion of an account.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Deletion {
    /// When the account and its data are deleted. Until then the deletion can be cancelled, and nobody can log in.
    deletes_at: Timestamp,
}

/// Deletes the account that calls, after the grace period, and revokes all its sessions at once. Needs a recent login
/// with the second factor.
#[utoipa::path(delete, path = "/api/v1/auth/me", tag = "Accounts",
    responses((status = 202, body = Deletion)))]
pub(super) async fn delete_me(
    deletions: web::Data<Deletions>,
    context: web::Data<HttpContext>,
    By { caller, .. }: ByRecentUser,
) -> Result<HttpResponse, Problem> {
    let shown = shown_methods(&caller, &context);
    let deletes_at = deletions.delete_own(caller.user(), shown, &caller.actor(&context)).await?;
    let mut response = HttpResponse::Accepted();
    context.cookies.clear(&mut response);
    Ok(response.json(Deletion { deletes_at }))
}

impl From<DeleteError> for Problem {
    fn from(error: DeleteError) -> Self {
        match error {
            // The account was deleted a moment ago, and the token with it.
            DeleteError::NoAccount => Self::invalid_token(),
            DeleteError::FactorRequired => Self::second_factor_required(crate::accounts::RECENT_LOGIN),
            DeleteError::LastAdministrator => AdminError::LastAdministrator.into(),
            DeleteError::Database(error) => error.into(),
        }
    }
}

/// Cancels the deletion of an account with the token of the link that was sent to its owner.
#[utoipa::path(post, path = "/api/v1/auth/deletion/cancel", tag = "Accounts", security(()),
    request_body = TokenRequest,
    responses((status = 204, description = "The account is kept")))]
pub(super) async fn cancel_deletion(
    request: HttpRequest,
    deletions: web::Data<Deletions>,
    throttle: web::Data<Throttle>,
    context: web::Data<HttpContext>,
    Body(body, _): Body<TokenRequest>,
) -> Result<HttpResponse, Problem> {
    let requester = context.requester(&request);
    throttle.count_ip(Limit::LoginAddress, &requester).await?;
    deletions.cancel_by_link(body.into_token(), &requester).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DeleteUserQuery {
    /// Whether the account is deleted at once, without a grace period.
    #[serde(default)]
    at_once: bool,
}

/// Deletes an account, after the grace period or at once, and revokes all its sessions at once.
#[utoipa::path(delete, path = "/api/v1/admin/users/{id}", tag = "Administration",
    params(("id" = Uuid, Path), DeleteUserQuery),
    responses((status = 202, body = Deletion)))]
pub(super) async fn delete_user(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input, .. }: ByRecentAdministrator<(PathId<UserId>, Query<DeleteUserQuery>)>,
) -> Result<HttpResponse, Problem> {
    let (PathId(user), Query(query)) = input;
    let time = if query.at_once { DeletionTime::AtOnce } else { DeletionTime::AfterGrace };
    let by = Operator::Administrator(caller.actor(&context));
    let deletes_at = admin.delete_user(user, time, &by).await?;
    Ok(HttpResponse::build(StatusCode::ACCEPTED).json(Deletion { deletes_at }))
}

/// Cancels the deletion of an account.
#[utoipa::path(delete, path = "/api/v1/admin/users/{id}/deletion", tag = "Administration",
    params(("id" = Uuid, Path)),
    responses((status = 204, description = "The account is kept")))]
pub(super) async fn cancel_user_deletion(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(user), .. }: ByRecentAdministrator<PathId<UserId>>,
) -> Result<HttpResponse, Problem> {
    admin.cancel_deletion(user, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(HttpResponse::NoContent().finish())
}
