//! `/api/v1/admin/users`: accounts that administrators create, invitations to them, and ways back in for their owners.

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::access::{By, ByRecentAdministrator};
use super::accounts::optional_label;
use super::admin::UserDetails;
use super::path_id::PathId;
use crate::accounts::registration::NewAccount;
use crate::admin::{Admin, NewUser, Operator};
use crate::http::problem::Fields;
use crate::http::{Body, HttpContext, Problem};
use crate::passwords::{NewPassword, WeakPassword};
use crate::types::{EmailAddress, EmailAddressError, Label, Roles, RolesError, UserId};

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateUserRequest {
    #[schema(value_type = EmailAddress)]
    email: String,
    #[schema(value_type = Option<Label>)]
    name: Option<String>,
    /// `user` is always among them.
    #[schema(value_type = Option<Roles>)]
    roles: Option<Vec<String>>,
    /// Without a password, an email invites the owner to choose one.
    #[schema(value_type = Option<NewPassword>)]
    password: Option<Zeroizing<String>>,
    /// Whether the email address counts as verified; `false` by default.
    #[serde(default)]
    verified: bool,
}

impl CreateUserRequest {
    fn parse(self) -> Result<NewUser, Problem> {
        let mut fields = Fields::default();
        let email = EmailAddress::parse(&self.email);
        let email = fields.check("email", email, |error| EmailAddressError::code(*error));
        let name = optional_label(&mut fields, "name", self.name.as_deref());
        let roles = Roles::parse(self.roles.unwrap_or_default());
        let roles = fields.check("roles", roles, |error| RolesError::code(*error));
        let password = self.password.map(NewPassword::parse);
        let password = password.and_then(|parsed| fields.check("password", parsed, WeakPassword::code));
        let Some((email, roles)) = email.zip(roles) else { return Err(fields.into_problem()) };
        fields.into_result()?;
        Ok(NewUser { account: NewAccount { email, name, roles }, password, verified: self.verified })
    }
}

/// Creates an account. Without a password, an email invites the owner to choose one.
#[utoipa::path(post, path = "/api/v1/admin/users", tag = "Administration", request_body = CreateUserRequest,
    responses((status = 201, body = UserDetails, headers(("Location" = String, description = "The account")))))]
pub(super) async fn create_user(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: Body(body, _), .. }: ByRecentAdministrator<Body<CreateUserRequest>>,
) -> Result<HttpResponse, Problem> {
    let account = admin.create_user(body.parse()?, &Operator::Administrator(caller.actor(&context))).await?;
    let location = format!("/api/v1/admin/users/{}", account.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(UserDetails::from(account)))
}

/// Sends the owner of an account without a password an email with a link to choose one. Earlier links end.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/invitation", tag = "Administration",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "An email is on its way")))]
pub(super) async fn invite_user(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(user), .. }: ByRecentAdministrator<PathId<UserId>>,
) -> Result<HttpResponse, Problem> {
    admin.invite(user, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Sends the owner of an account an email with a link to set a new password. The present one stays valid.
#[utoipa::path(post, path = "/api/v1/admin/users/{id}/password-reset", tag = "Administration",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "An email is on its way")))]
pub(super) async fn send_password_reset(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(user), .. }: ByRecentAdministrator<PathId<UserId>>,
) -> Result<HttpResponse, Problem> {
    admin.send_password_reset(user, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Disables two-step login of an account whose owner has lost the second factor.
#[utoipa::path(delete, path = "/api/v1/admin/users/{id}/mfa", tag = "Administration", params(("id" = Uuid, Path)),
    responses((status = 204, description = "Two-step login is disabled")))]
pub(super) async fn reset_user_mfa(
    admin: web::Data<Admin>,
    context: web::Data<HttpContext>,
    By { caller, input: PathId(user), .. }: ByRecentAdministrator<PathId<UserId>>,
) -> Result<HttpResponse, Problem> {
    admin.reset_mfa(user, &Operator::Administrator(caller.actor(&context))).await?;
    Ok(HttpResponse::NoContent().finish())
}
